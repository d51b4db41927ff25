"""From a picture file to the pixels every network takes. The only place where a poster is decoded or resized."""

import logging
import math
import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from postergenre.errors import ConfigError, PictureError

JPEG = b"\xff\xd8\xff"
"""First bytes of a JPEG file."""
START_OF_SCAN = b"\xff\xda"
TURNS = (b"Exif\0\0", b"tiff:Orientation")
"""What a JPEG file has in its head where its metadata, EXIF or XMP, may turn the picture."""
RESIZES = ("stretch", "letterbox", "crop")
PAPER = (255, 255, 255)
"""What shows through transparent pixels: posters are printed on white."""
BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, struct.error, KeyError, IndexError, TypeError, AttributeError,
    RuntimeError, ArithmeticError, AssertionError,
)  # fmt: skip
"""What Pillow's decoders raise on damaged files."""

# What is odd about a file is no concern of a user whose picture decodes. Once for the process: filters are not
# thread-safe, and whoever wants to see Pillow's log still can.
logging.getLogger("PIL").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(kw_only=True, slots=True)
class Preprocess:
    """A function from any PIL image to ``uint8 (3,H,W)``, and its own description in configs and checkpoints."""

    height: int = 224
    """Rows of the result, in pixels."""
    width: int = 224
    """Columns of the result, in pixels."""
    resize: str = "stretch"
    """``stretch`` ignores the aspect ratio, ``letterbox`` pads with black, ``crop`` fills and cuts the long side."""

    def __post_init__(self) -> None:
        if self.resize not in RESIZES:
            raise ConfigError(f"no resize {self.resize!r}; known: {', '.join(RESIZES)}")
        if not (8 <= self.height <= 4096 and 8 <= self.width <= 4096):
            raise ConfigError(f"preprocess.height and width must lie in 8 … 4096, not {self.height} x {self.width}")

    def __call__(self, picture: Image.Image) -> Tensor:
        """Return ``uint8 (3,H,W)``: upright, on white paper, RGB, resized with an antialiasing bilinear filter.

        Raises:
            PictureError: The pixels cannot be decoded.
        """
        pixels = np.array(upright_rgb(picture))
        return self._resized(pixels, inner=self._inner(*pixels.shape[:2]))

    def read(self, source: str | Path | bytes) -> Tensor:
        """Return ``uint8 (3,H,W)`` of a picture file, as ``self(open_picture(source))`` but faster where it is a JPEG.

        A JPEG at least twice as large as needed, and without EXIF or XMP metadata that may turn it, is decoded at a
        half of its size, three, two or one eighth.

        Args:
            source: The file's path, or its content.

        Raises:
            PictureError: The file is missing, is no picture, is cut short, or is too large to be a poster.
        """
        try:
            data = source if isinstance(source, bytes) else _content(source)
            if not data.startswith(JPEG):
                raise ValueError
            head = _before_scans(data)
            if any(mark in head for mark in TURNS):
                raise ValueError
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
            if colours not in ("YCbCr", "Gray") or not fits((width, height)):
                raise ValueError
            least = self._inner(height, width)
            # Reduced scales below a half are no faster (see benchmarks), and alter the pixels.
            pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=least[0], min_width=least[1], min_factor=2)
        except BROKEN:
            return self(open_picture(source))  # whatever is special or wrong about it, Pillow knows best
        return self._resized(pixels, inner=self._inner(height, width))

    def _inner(self, height: int, width: int) -> tuple[int, int]:
        """Return the size to which a whole picture would be scaled before it is padded or cut."""
        if self.resize == "stretch":
            return self.height, self.width
        choose = min if self.resize == "letterbox" else max
        scale = choose(self.height / height, self.width / width)
        return max(round(height * scale), 1), max(round(width * scale), 1)

    def _kept(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of what is left of a whole picture where the long side is cut."""
        return (
            min(height, max(round(width * self.height / self.width), 1)),
            min(width, max(round(height * self.width / self.height), 1)),
        )

    def _resized(self, pixels: npt.NDArray[np.uint8], *, inner: tuple[int, int]) -> Tensor:
        """Return ``uint8 (3,H,W)`` of ``(h,w,3)``, decoded at a part of its size or whole.

        Args:
            pixels: The picture.
            inner: What ``_inner`` says of the whole picture: at a part of its size, it would be rounded otherwise.
        """
        if self.resize == "crop":  # cut before scaling: a very long picture would grow beyond memory
            pixels = pixels[_centred(pixels.shape[:2], self._kept(*pixels.shape[:2]))]
        size = inner if self.resize == "letterbox" else (self.height, self.width)
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None]  # (1,3,h,w), channels last in memory
        if image.shape[-2:] != size:
            image = functional.interpolate(image, size, mode="bilinear", antialias=True)
        if self.resize == "letterbox":
            top, left = (self.height - size[0]) // 2, (self.width - size[1]) // 2
            edges = (left, self.width - size[1] - left, top, self.height - size[0] - top)
            image = functional.pad(image, edges)
        return image[0].contiguous()

    def laid_back(self, maps: Tensor, height: int, width: int) -> Tensor:
        """Return maps of the pixels as maps ``float (K,height,width)`` of the picture that the pixels were made of.

        Args:
            maps: ``float (K,H,W)``.
            height: Rows of the upright picture.
            width: Its columns.

        Returns:
            Padding is dropped; what was cut off, and so was never seen, is 0.
        """
        shown = _centred((self.height, self.width), self._inner(height, width)) if self.resize == "letterbox" else ()
        kept = self._kept(height, width) if self.resize == "crop" else (height, width)
        whole = maps.new_zeros(len(maps), height, width)
        scaled = functional.interpolate(maps[:, *shown][None], kept, mode="bilinear", antialias=True)
        whole[:, *_centred((height, width), kept)] = scaled[0]
        return whole


def _content(path: str | Path) -> bytes:
    with open(path, "rb", buffering=0) as file:  # half the time of Path.read_bytes, which counts beside a decoder
        return file.readall()


def _before_scans(jpeg: bytes) -> bytes:
    """Return the head of a JPEG file, where its metadata lies.

    Raises:
        ValueError: It is not a plain row of segments.
        IndexError: It ends before a scan.
    """
    place = 2
    while jpeg[place : place + 2] != START_OF_SCAN:
        if jpeg[place] != 0xFF:
            raise ValueError
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4])
    return jpeg[:place]


def _centred(whole: tuple[int, ...], part: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a part in the middle of a whole; sizes are height and width."""
    top, left = (whole[0] - part[0]) // 2, (whole[1] - part[1]) // 2
    return slice(top, top + part[0]), slice(left, left + part[1])


def fits(size: tuple[int, int]) -> bool:
    """Return whether a picture of ``(width, height)`` pixels may be decoded; no poster has that many."""
    return size[0] * size[1] <= (Image.MAX_IMAGE_PIXELS or math.inf)


def open_picture(source: str | Path | bytes) -> Image.Image:
    """Return the first frame of a picture file, decoded, in its own mode.

    Args:
        source: The file's path, or its content.

    Raises:
        PictureError: The file is missing, is no picture, is cut short, or is too large to be a poster.
    """
    name = "the picture" if isinstance(source, bytes) else str(source)
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as picture:
            if picture.format == "EPS":  # Pillow would have Ghostscript run it
                raise PictureError(f"{name} is a PostScript program; save the picture it draws as JPEG or PNG")
            if not fits(picture.size):
                raise PictureError(f"{name} has {picture.width} x {picture.height} pixels: too large to be a poster")
            picture.load()
            if not getattr(picture, "is_animated", False):
                return picture
            still = picture.copy()
            still.format = picture.format
            return still
    except FileNotFoundError:
        raise PictureError(f"no picture at {name}") from None
    except UnidentifiedImageError:
        raise PictureError(f"{name} is not a picture Pillow can read") from None
    except PictureError:
        raise
    # Decoders signal broken files with whatever they meet first.
    except (*BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise PictureError(f"cannot decode {name}: {error}") from None


def upright_rgb(picture: Image.Image) -> Image.Image:
    """Return any picture as RGB: EXIF orientation applied, transparency on white, 16 bits scaled to 8.

    Raises:
        PictureError: The pixels cannot be decoded.
    """
    try:
        picture = _upright(picture)
        if picture.mode.startswith("I;16") or picture.mode == "I":
            # Pillow's own conversion clips at 255: a 16-bit grey poster would come out white.
            picture = _eight_bits(picture)
        if picture.mode == "La":  # the one mode that Pillow turns into nothing but its like
            picture = picture.convert("LA")
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            paper = Image.new("RGBA", picture.size, (*PAPER, 255))
            picture = Image.alpha_composite(paper, picture)
        return picture.convert("RGB")
    except BROKEN as error:
        raise PictureError(f"cannot decode a picture of mode {picture.mode}: {error}") from None


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Return a grey picture of 16 bits as ``L``, or as ``LA`` where it names one of its levels as transparent."""
    levels = np.asarray(picture)
    grey = Image.fromarray((levels.clip(0, 65535) >> 8).astype(np.uint8))
    if "transparency" in picture.info:
        opaque = np.not_equal(levels, picture.info["transparency"])
        grey.putalpha(Image.fromarray(opaque.astype(np.uint8) * 255))
    return grey


def _upright(picture: Image.Image) -> Image.Image:
    """Return the picture turned as its EXIF orientation says; damaged metadata says nothing."""
    try:
        return ImageOps.exif_transpose(picture)
    except BROKEN:
        return picture
