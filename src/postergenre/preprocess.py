"""From a picture file to the pixels every network takes. The only place where a poster is decoded or resized."""

import math
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from postergenre.errors import ConfigError, PictureError

RESIZES = ("stretch", "letterbox", "crop")
PAPER = (255, 255, 255)
"""What shows through transparent pixels: posters are printed on white."""
BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, KeyError, IndexError, TypeError)
"""What Pillow's decoders raise on damaged files."""

# Damaged metadata is no concern of a user whose picture decodes. Once for the process: filters are not thread-safe.
warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)


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
        size = (self.width, self.height)
        picture = upright_rgb(picture)
        match self.resize:
            case "stretch":
                picture = picture.resize(size, Image.Resampling.BILINEAR)
            case "letterbox":
                picture = ImageOps.pad(picture, size, Image.Resampling.BILINEAR, color=(0, 0, 0))
            case "crop":
                picture = ImageOps.fit(picture, size, Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()  # (H, W, 3) -> (3, H, W)


def open_picture(path: str | Path) -> Image.Image:
    """Return the first frame of a picture file, decoded, in its own mode.

    Raises:
        PictureError: The file is missing, is no picture, is cut short, or is too large to be a poster.
    """
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise PictureError(f"{path} has {picture.width} x {picture.height} pixels: too large to be a poster")
            picture.load()
            return picture.copy() if getattr(picture, "is_animated", False) else picture
    except FileNotFoundError:
        raise PictureError(f"no picture at {path}") from None
    except UnidentifiedImageError:
        raise PictureError(f"{path} is not a picture Pillow can read") from None
    except PictureError:
        raise
    # Decoders signal broken files with whatever they meet first.
    except (*BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise PictureError(f"cannot decode {path}: {error}") from None


def upright_rgb(picture: Image.Image) -> Image.Image:
    """Return any picture as RGB: EXIF orientation applied, transparency on white, 16 bits scaled to 8.

    Raises:
        PictureError: The pixels cannot be decoded.
    """
    try:
        picture = _upright(picture)
        if picture.mode.startswith("I;16") or picture.mode == "I":
            # Pillow's own conversion clips at 255: a 16-bit grey poster would come out white.
            picture = Image.fromarray((np.asarray(picture, dtype=np.uint32) >> 8).clip(0, 255).astype(np.uint8))
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            paper = Image.new("RGBA", picture.size, (*PAPER, 255))
            picture = Image.alpha_composite(paper, picture)
        return picture.convert("RGB")
    except BROKEN as error:
        raise PictureError(f"cannot decode a picture of mode {picture.mode}: {error}") from None


def _upright(picture: Image.Image) -> Image.Image:
    """Return the picture turned as its EXIF orientation says; damaged metadata says nothing."""
    try:
        return ImageOps.exif_transpose(picture)
    except BROKEN:
        return picture
