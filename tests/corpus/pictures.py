"""Picture files: whole ones of every mode and format, odd ones, damaged ones, and what is no picture at all."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image, ImageCms

from corpus import Fate
from corpus.formats import (
    SETTINGS,
    SUFFIXES,
    Pixels,
    chunk,
    decoded,
    drawn,
    kept,
    of_mode,
    on_paper,
    png,
    saved,
    turned,
)  # fmt: skip

T = TypeVar("T")
STEMS = (
    "poster ", "-", "--help ", "a b  c ", "Amélie é ", "千と千尋 ", "🎬", "line\nbreak ", "tab\t", "'quoted' ",
    '"quoted" ', "a,b;c|",
    "[1-3]*?", "%20%s{}", "~", "$HOME ", "\x1b[31mred", "مرحبا", "a\u2028b", "..", "#", "CON.", "x" * 180,
)  # fmt: skip
"""How names of files begin. What is no UTF-8 cannot be written into a CSV, and has tests of its own."""
SUFFIX = ("jpg", "png", "gif", "webp", "bmp", "tiff", "jpeg", "JPG")


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A file, and what must become of it."""

    number: int
    kind: str
    name: str
    content: bytes
    fate: Fate
    pixels: Pixels | None = None
    """What it shows, where that is known."""
    slack: int = 0
    """Levels by which a channel may differ from that."""


@dataclass(kw_only=True, slots=True)
class Made:
    """A file without a name."""

    kind: str
    content: bytes
    suffix: str = ""
    fate: Fate = "works"
    pixels: Pixels | None = None
    slack: int = 0


def pictures(count: int, *, seed: int) -> Iterator[Picture]:
    """Yield as many files; each depends on the seed and its own number alone."""
    for number in range(count):
        random = np.random.default_rng([seed, number])
        made = KINDS[number % len(KINDS)](random)
        suffix = made.suffix or str(random.choice(SUFFIX))
        yield Picture(
            number=number,
            kind=made.kind,
            name=f"{random.choice(STEMS)}{number:06}.{suffix}",
            content=made.content,
            fate=made.fate,
            pixels=made.pixels,
            slack=made.slack,
        )


def of_any_mode(random: np.random.Generator) -> Made:
    format_, mode = _one(kept(lossless=True), random)
    picture, pixels, slack = of_mode(mode, random, *_size(random))
    content = saved(picture, format_, **SETTINGS.get(format_, {}))
    return Made(kind=f"{format_} {mode}", content=content, suffix=_suffix(format_), pixels=pixels, slack=slack)


def of_any_lossy_mode(random: np.random.Generator) -> Made:
    format_, mode = _one(kept(lossless=False), random)
    picture, _, _ = of_mode(mode, random, *_size(random))
    clear = mode in ("LA", "RGBA")
    content = saved(picture, format_)
    if clear:
        with Image.open(io.BytesIO(content)) as opened:
            cells = np.asarray(opened.convert("RGBA"))
        pixels = on_paper(cells[:, :, :3], cells[:, :, 3:])
    else:
        pixels = decoded(content)
    return Made(kind=f"{format_} {mode} lossy", content=content, suffix=_suffix(format_), pixels=pixels, slack=clear)


def photograph(random: np.random.Generator) -> Made:
    settings = {
        "quality": int(random.integers(30, 96)), "progressive": bool(random.integers(2)),
        "optimize": bool(random.integers(2)), "subsampling": int(random.integers(3)),
    }  # fmt: skip
    content = saved(Image.fromarray(drawn(random, *_size(random))), "JPEG", **settings)
    return Made(
        kind="JPEG progressive" if settings["progressive"] else "JPEG", content=content, pixels=decoded(content)
    )


def inks(random: np.random.Generator) -> Made:
    """A CMYK JPEG, with Adobe's marker (its values are inverted then) or without."""
    picture, pixels, _ = of_mode("CMYK", random, *_size(random))
    content = saved(picture, "JPEG", quality=100, subsampling=0)
    if random.integers(2):
        return Made(kind="JPEG CMYK Adobe", content=content, pixels=pixels, slack=16)
    start = content.index(b"\xff\xee")
    (length,) = struct.unpack(">H", content[start + 2 : start + 4])
    bare = content[:start] + content[start + 2 + length :]
    return Made(kind="JPEG CMYK bare", content=bare, pixels=decoded(bare))


def oriented(random: np.random.Generator) -> Made:
    stored = drawn(random, *_size(random))
    orientation, format_ = int(random.integers(1, 9)), _one(["JPEG", "PNG", "WEBP", "TIFF"], random)
    picture = Image.fromarray(stored)
    if format_ in ("JPEG", "WEBP") and random.integers(3) == 0:
        told = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'
        content, how = saved(picture, format_, xmp=told.encode(), **SETTINGS.get(format_, {})), "XMP"
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        exif[0x010F] = "maker"
        content, how = saved(picture, format_, exif=exif, **SETTINGS.get(format_, {})), "EXIF"
    if format_ == "JPEG":
        stored = decoded(content)
    return Made(
        kind=f"{format_} {how} {orientation}",
        content=content,
        suffix=_suffix(format_),
        pixels=turned(stored, orientation),
    )


def animated(random: np.random.Generator) -> Made:
    height, width = _size(random)
    format_, mode = _one([("GIF", "P"), ("GIF", "L"), ("PNG", "RGB"), ("PNG", "L"), ("WEBP", "RGB")], random)
    first, pixels, _ = of_mode(mode, random, height, width)
    others = [of_mode(mode, random, height, width)[0] for _ in range(int(random.integers(1, 4)))]
    content = saved(first, format_, save_all=True, append_images=others, duration=40, **SETTINGS.get(format_, {}))
    return Made(kind=f"{format_} animated", content=content, suffix=_suffix(format_), pixels=pixels)


def profiled(random: np.random.Generator) -> Made:
    """With a colour profile, whole or garbage: pixels are taken as they are."""
    format_ = _one(["JPEG", "PNG", "WEBP", "TIFF"], random)
    whole = bool(random.integers(2))
    profile = (
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        if whole
        else random.bytes(int(random.integers(1, 400)))
    )
    pixels = drawn(random, *_size(random))
    content = saved(Image.fromarray(pixels), format_, icc_profile=profile, **SETTINGS.get(format_, {}))
    return Made(
        kind=f"{format_} ICC {'sRGB' if whole else 'garbage'}", content=content, suffix=_suffix(format_),
        pixels=decoded(content) if format_ == "JPEG" else pixels,
    )  # fmt: skip


def deep_png(random: np.random.Generator) -> Made:
    """Depths and channels that Pillow reads and does not write."""
    height, width = _size(random)
    depth, colour = _one([(16, 2), (16, 4), (16, 6), (16, 0), (1, 0), (2, 0), (4, 0)], random)
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    values = random.integers(0, 1 << depth, (height, width, channels))
    if depth == 16:
        rows, levels = values.astype(">u2").tobytes(), values >> 8
    else:
        bits = np.unpackbits(values.astype(np.uint8), axis=2)[:, :, -depth:].reshape(height, -1)
        rows, levels = np.packbits(bits, axis=1).tobytes(), values * (255 // ((1 << depth) - 1))
    shown = np.repeat(levels[:, :, :1], 3, axis=2) if channels < 3 else levels[:, :, :3]
    clear = channels in (2, 4)
    pixels = on_paper(shown, levels[:, :, -1:]) if clear else shown.astype(np.uint8)
    content = png(width, height, rows, depth=depth, colour=colour)
    return Made(
        kind=f"PNG {depth} bit, {channels} channels", content=content, suffix="png", pixels=pixels, slack=int(clear)
    )


def clear_colour(random: np.random.Generator) -> Made:
    """One colour named as transparent, as old PNG and GIF have it."""
    format_, mode = _one(
        [("PNG", "L"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "I;16"), ("GIF", "P"), ("GIF", "L")], random
    )
    picture, pixels, _ = of_mode(mode, random, *_size(random))
    named = picture.getpixel((0, 0))
    same = (np.asarray(picture).reshape(*pixels.shape[:2], -1) == np.array(named)).all(axis=2)
    pixels = pixels.copy()
    pixels[same] = 255
    content = saved(picture, format_, transparency=named)
    return Made(kind=f"{format_} {mode} transparent", content=content, suffix=_suffix(format_), pixels=pixels)


def of_odd_shape(random: np.random.Generator) -> Made:
    width, height = _one([(1, 1), (1, 20_000), (20_000, 1), (2, 3_000), (3_000, 2), (1, 9), (9, 1)], random)
    format_ = "PNG" if random.integers(2) else "JPEG"
    pixels = drawn(random, height, width)
    content = saved(Image.fromarray(pixels), format_)
    return Made(
        kind=f"{width} x {height}", content=content, suffix=_suffix(format_),
        pixels=decoded(content) if format_ == "JPEG" else pixels,
    )  # fmt: skip


def enormous(random: np.random.Generator) -> Made:
    """A decompression bomb: a few bytes that say they are billions of pixels."""
    side = int(random.integers(30_000, 65_000))
    which = int(random.integers(4))
    if which == 0:
        content = png(side, side, bytes(side), depth=1, colour=0)
    elif which == 1:
        content = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6) + b"," + bytes(20)
    elif which == 2:
        content = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    else:
        content = f"P6 {side} {side} 255\n".encode() + bytes(30)
    return Made(kind=f"bomb {('PNG', 'GIF', 'BMP', 'PPM')[which]}", content=content, fate="refused")


def mislabelled(random: np.random.Generator) -> Made:
    made = _whole(random)
    made.kind, made.suffix = f"{made.kind} mislabelled", str(random.choice(SUFFIX))
    return made


def with_more_behind(random: np.random.Generator) -> Made:
    made = photograph(random) if random.integers(2) else of_odd_shape(random)
    made.kind, made.content = "bytes behind the end", made.content + random.bytes(int(random.integers(1, 2000)))
    return made


def with_odd_metadata(random: np.random.Generator) -> Made:
    """A whole picture beside metadata that is none."""
    pixels = drawn(random, *_size(random))
    if random.integers(2):
        whole = saved(Image.fromarray(pixels), "PNG")
        kind = _one([b"eXIf", b"iTXt", b"zTXt", b"tEXt", b"gAMA", b"pHYs", b"acTL", b"tRNS", b"cHRM"], random)
        content = whole[:33] + chunk(kind, random.bytes(int(random.integers(0, 60)))) + whole[33:]
        # Pillow reads broken chunks of text, time and colour strictly: a sentence is as good.
        return Made(kind=f"PNG garbage in {kind.decode()}", content=content, fate="either")
    exif = b"Exif\0\0" + _one([b"", b"II*\0", b"MM\0*", b"garbage"], random) + random.bytes(int(random.integers(0, 60)))
    content = saved(Image.fromarray(pixels), "JPEG", exif=exif)
    return Made(kind="JPEG garbage EXIF", content=content)


def cut_short(random: np.random.Generator) -> Made:
    format_ = _one(["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "TGA"], random)
    noise = Image.fromarray(random.integers(0, 256, (40, 30, 3), dtype=np.uint8))
    settings = {"progressive": bool(random.integers(2))} if format_ == "JPEG" else SETTINGS.get(format_, {})
    content = saved(noise.quantize() if format_ == "GIF" else noise, format_, **settings)
    length = int(random.integers(0, int(len(content) * 0.6)))
    return Made(kind=f"{format_} cut short", content=content[:length], suffix=_suffix(format_), fate="refused")


def cut_anywhere(random: np.random.Generator) -> Made:
    made = _whole(random)
    return _damaged(made, "cut", made.content[: int(random.integers(0, len(made.content)))])


def flipped(random: np.random.Generator) -> Made:
    made = _whole(random)
    content = bytearray(made.content)
    first = min(len(content), _one([64, 256, len(content)], random))  # headers decide most
    for place in random.integers(0, first, int(random.integers(1, 12))):
        content[place] ^= 1 << int(random.integers(8))
    return _damaged(made, "flipped", bytes(content))


def shuffled(random: np.random.Generator) -> Made:
    """A piece removed, repeated, or from another file."""
    made, other = _whole(random), _whole(random)
    content = made.content
    start, end = sorted(int(place) for place in random.integers(0, len(content) + 1, 2))
    piece = _one([b"", content[start:end] * 2, other.content[start:end], bytes(end - start)], random)
    return _damaged(made, "shuffled", content[:start] + piece + content[end:])


def no_picture(random: np.random.Generator) -> Made:
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        archive.writestr("poster.jpg", b"\xff\xd8\xff")
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"
    kinds = {
        "empty": b"", "text": b"this is a page, not a poster\n", "HTML": b"<!doctype html><title>404</title>",
        "JSON": b'{"error": "not found"}', "ZIP": box.getvalue(), "pickle": pickle.dumps({"poster": [1.0]}),
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>', "zeros": bytes(4096),
        "PDF": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "PostScript": postscript, "JPEG's first bytes": b"\xff\xd8\xff", "PNG's first bytes": b"\x89PNG\r\n\x1a\n",
        "MP4": b"\0\0\0\x18ftypisom" + bytes(64),
    }  # fmt: skip
    kind = _one([*kinds], random)
    return Made(kind=kind, content=kinds[kind], fate="refused")


def noise(random: np.random.Generator) -> Made:
    magic = _one(
        [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
         b"RIFF\0\0\0\0WEBP", b"P6 ",
         b"8BPS", b"\0\0\1\0", b"qoif", b"DDS ", b"\0\0\0\x0cjP  \r\n\x87\n", b"\x0a\5\1\10", b"\1\xda"],
        random,
    )  # fmt: skip
    return Made(kind="noise", content=magic + random.bytes(int(random.integers(1, 600))), fate="either")


WHOLE: tuple[Callable[[np.random.Generator], Made], ...] = (
    of_any_mode, of_any_lossy_mode, photograph, inks, oriented, animated, profiled, deep_png, clear_colour,
)  # fmt: skip
KINDS: tuple[Callable[[np.random.Generator], Made], ...] = (
    *WHOLE, of_any_mode, oriented, of_odd_shape, enormous, mislabelled, with_more_behind, with_odd_metadata, cut_short,
    cut_anywhere, flipped, flipped, shuffled, no_picture, noise,
)  # fmt: skip


def _whole(random: np.random.Generator) -> Made:
    return WHOLE[int(random.integers(len(WHOLE)))](random)


def _damaged(made: Made, how: str, content: bytes) -> Made:
    return Made(kind=f"{made.kind.split()[0]} {how}", content=content, suffix=made.suffix, fate="either")


def _size(random: np.random.Generator) -> tuple[int, int]:
    height, width = random.integers(8, 41, 2)
    return int(height), int(width)


def _suffix(format_: str) -> str:
    return SUFFIXES.get(format_, format_.lower())


def _one(choices: list[T], random: np.random.Generator) -> T:
    return choices[int(random.integers(len(choices)))]
