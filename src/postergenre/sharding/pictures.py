"""Pictures as shards hold them."""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from postergenre.preprocess import JPEG, open_picture, upright_rgb


class Stored(NamedTuple):
    """A picture file's content, and its size in pixels."""

    image: bytes
    width: int
    height: int


def stored(file: str, *, longest: int, quality: int) -> Stored:
    """Return a picture as it is, or as a JPEG whose longer side has at most ``longest`` pixels.

    Args:
        file: Its path.
        longest: Pixels; 0 keeps every file as it is. One that is small enough and a JPEG stays as it is, too.
        quality: Of a new JPEG.

    Raises:
        PictureError: It does not decode.
        OSError: It cannot be read.
    """
    content = Path(file).read_bytes()
    with Image.open(BytesIO(content)) as picture:
        width, height = picture.size
    if not longest or (max(width, height) <= longest and content.startswith(JPEG)):
        return Stored(content, width, height)
    small = upright_rgb(open_picture(content))
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return Stored(buffer.getvalue(), *small.size)
