"""What every format keeps of every mode, and what the picture then shows, computed without ``postergenre``."""

import io
import struct
import warnings
import zlib
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

Pixels = npt.NDArray[np.uint8]
"""``(h,w,3)``: what a picture shows, upright and on white paper."""

LOSSLESS = {
    "PNG": "1 L LA P I I;16 RGB RGBA",
    "TIFF": "1 L LA P PA I I;16 I;16B F RGB RGBX RGBA CMYK YCbCr LAB",
    "BMP": "1 L P RGB",
    "GIF": "1 L P",
    "WEBP": "RGB RGBA",
    "JPEG2000": "L LA RGB RGBA I;16",
    "PPM": "1 L I RGB",
    "TGA": "1 L LA P RGB RGBA",
    "PCX": "1 L P RGB",
    "SGI": "L RGB RGBA",
    "IM": "1 L LA P PA I;16 F RGB RGBX RGBA CMYK YCbCr",
    "DDS": "L LA RGB RGBA",
    "ICO": "RGBA",
    "SPIDER": "F",
    "XBM": "1",
    "MSP": "1",
    "QOI": "RGB RGBA",
}
"""Modes that a format gives back as they were."""
LOSSY = {
    "JPEG": "1 L RGB CMYK YCbCr",
    "WEBP": "L P RGBA",
    "AVIF": "L LA P RGB RGBA",
    "GIF": "RGB RGBA LA",
    "MPO": "RGB",
    "BMP": "RGBA",
}
SETTINGS: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}}
SUFFIXES = {"JPEG": "jpg", "JPEG2000": "jp2", "SPIDER": "spi"}


def drawn(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Return something with smooth parts and noise."""
    coarse = Image.fromarray(random.integers(0, 256, (3, 3, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    noise = random.integers(-8, 9, (height, width, 3))
    return (np.asarray(coarse, dtype=int) + noise).clip(0, 255).astype(np.uint8)


def of_mode(mode: str, random: np.random.Generator, height: int, width: int) -> tuple[Image.Image, Pixels, int]:
    """Return a picture of a mode, what it shows, and by how many levels that may be rounded."""
    pixels, alpha = drawn(random, height, width), random.integers(0, 256, (height, width, 1), dtype=np.uint8)
    grey = np.repeat(pixels[:, :, :1], 3, axis=2)
    size = (width, height)
    if mode == "1":
        return Image.fromarray(pixels[:, :, 0] > 127), np.where(grey > 127, 255, 0).astype(np.uint8), 0
    if mode in ("P", "PA"):
        palette = random.integers(0, 256, (256, 3), dtype=np.uint8)
        places = random.integers(0, 256, (height, width, 1), dtype=np.uint8)
        cells = np.concatenate([places, alpha], axis=2) if mode == "PA" else places
        picture = Image.frombytes(mode, size, cells.tobytes())
        picture.putpalette(palette.tobytes())
        shown = palette[places[:, :, 0]]
        return (picture, on_paper(shown, alpha), 1) if mode == "PA" else (picture, shown, 0)
    if mode in ("I", "I;16", "I;16B"):
        deep = random.integers(0, 65536, (height, width, 1))
        kind = {"I": np.int32, "I;16": "<u2", "I;16B": ">u2"}[mode]
        return Image.frombytes(mode, size, deep.astype(kind).tobytes()), np.repeat(deep >> 8, 3, 2).astype(np.uint8), 0
    if mode == "F":
        return Image.fromarray(grey[:, :, 0].astype(np.float32)), grey, 0
    if mode in ("L", "LA"):
        cells = np.concatenate([grey[:, :, :1], alpha], axis=2) if mode == "LA" else grey[:, :, :1]
        picture = Image.frombytes(mode, size, cells.tobytes())
        return (picture, on_paper(grey, alpha), 1) if mode == "LA" else (picture, grey, 0)
    if mode in ("RGBA", "RGBX"):
        picture = Image.frombytes(mode, size, np.concatenate([pixels, alpha], axis=2).tobytes())
        return (picture, on_paper(pixels, alpha), 1) if mode == "RGBA" else (picture, pixels, 0)
    picture = Image.frombytes(
        mode, size, (np.concatenate([pixels, alpha], axis=2) if mode == "CMYK" else pixels).tobytes()
    )
    if mode == "CMYK":
        light = (255.0 - pixels) * (255.0 - alpha) / 255
        return picture, light.round().astype(np.uint8), 1
    if mode == "YCbCr":  # JFIF 1.02, page 3
        y, blue, red = (pixels[:, :, i].astype(float) - (128 if i else 0) for i in range(3))
        rgb = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], axis=2)
        return picture, rgb.round().clip(0, 255).astype(np.uint8), 1
    if mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        shown = ImageCms.applyTransform(picture, transform)
        assert shown is not None
        return picture, np.asarray(shown), 0
    assert mode == "RGB"
    return picture, pixels, 0


def on_paper(colours: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> Pixels:
    """Return colours as they look on white, where alpha of 0 lets all of it through."""
    part = alpha / 255.0
    return (colours * part + 255 * (1 - part)).round().astype(np.uint8)


def saved(picture: Image.Image, format_: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    if format_ == "ICO":
        settings["sizes"] = [picture.size]
    picture.save(file, format_, **settings)
    return file.getvalue()


def decoded(content: bytes) -> Pixels:
    """Return what Pillow alone makes of a file without transparency or metadata."""
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))


@cache
def kept(*, lossless: bool) -> list[tuple[str, str]]:
    """Return every format with every mode that it keeps in this Pillow."""
    named = LOSSLESS if lossless else LOSSY
    return [(format_, mode) for format_, modes in named.items() for mode in modes.split() if _is_kept(format_, mode)]


def _is_kept(format_: str, mode: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            saved(of_mode(mode, np.random.default_rng(0), 9, 9)[0], format_)
    except (OSError, KeyError, DeprecationWarning):  # Pillow was built without the format, or is about to drop it
        return False
    return True


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Return what is stored as EXIF 2.32 (tag 0x0112) says it is to be seen."""
    flipped = pixels[:, ::-1] if orientation in (2, 4, 5, 7) else pixels
    quarters = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[orientation]
    return np.ascontiguousarray(np.rot90(flipped, quarters))


def png(width: int, height: int, rows: bytes, *, depth: int, colour: int, chunks: bytes = b"") -> bytes:
    """Return a PNG file written down by hand, of depths that Pillow does not write.

    Args:
        width: As its header says, whatever the rows hold.
        height: The same.
        rows: Packed rows without filter bytes.
        depth: Bits of a sample.
        colour: 0 grey, 2 RGB, 4 grey with alpha, 6 RGBA.
        chunks: Put before the rows.
    """
    length = (width * depth * {0: 1, 2: 3, 4: 2, 6: 4}[colour] + 7) // 8
    filtered = b"".join(b"\0" + rows[start : start + length] for start in range(0, len(rows), length))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunks
        + chunk(b"IDAT", zlib.compress(filtered))
        + chunk(b"IEND", b"")
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
