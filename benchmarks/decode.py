"""Decode and resize: pictures per second of one core's time, ours beside the decoders that were tried."""

import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from time import process_time

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional as v2

from postergenre.preprocess import Preprocess
from report import alternated, arguments, keras, poster_data, report, spread

LARGE = 300
"""Short side of the original posters, of which smaller copies may be at hand."""


def resized(pixels: np.ndarray, size: int) -> Tensor:
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    return functional.interpolate(image, (size, size), mode="bilinear", antialias=True)[0].contiguous()


def pillow(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def pillow_draft(path: Path, size: int) -> Tensor:
    with Image.open(path) as picture:
        picture.draft("RGB", (size, size))
        return resized(np.array(picture.convert("RGB")), size)


def torchvision_io(path: Path, size: int) -> Tensor:
    data = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    return v2.resize(decode_jpeg(data, ImageReadMode.RGB), [size, size], antialias=True)


def simplejpeg_any_scale(path: Path, size: int) -> Tensor:
    return resized(simplejpeg.decode_jpeg(path.read_bytes(), "RGB", min_height=size, min_width=size), size)


def ours(path: Path, size: int) -> Tensor:
    return Preprocess(height=size, width=size).read(path)


def main() -> None:
    parser = arguments(__doc__ or "")
    options = parser.parse_args()
    torch.set_num_threads(1)
    count, rounds = (8, 1) if options.smoke else (400, 7)
    with tempfile.TemporaryDirectory() as scratch:
        data = poster_data(options, Preprocess(height=64, width=64), cache=scratch)
        paths = data.paths("train")[:count]
        large = [enlarge(path, Path(scratch) / "large" / path.name) for path in paths]
        rows = []
        for kind, files in (("as they are", paths), (f"short side {LARGE} px", large)):
            for size in (128, 224):
                sides: dict[str, Callable[[Path, int], object]] = {
                    "ours": ours, "Pillow": pillow, "Pillow draft + torch": pillow_draft,
                    "torchvision.io": torchvision_io, "simplejpeg, any scale": simplejpeg_any_scale,
                }  # fmt: skip
                figures = alternated({name: timed(f, files, size) for name, f in sides.items()}, rounds)
                if options.keras and not options.smoke:
                    folder = files[0].parent
                    figures["Keras load_img"] = [keras(options, "decode", str(folder), str(size)) for _ in range(3)]
                base = sorted(figures["Pillow"])[rounds // 2]
                rows += [
                    [kind, f"{size} px", name, spread(f, 0), f"{sorted(f)[len(f) // 2] / base:.2f}"]
                    for name, f in figures.items()
                ]
    note = f"{len(paths)} posters, {rounds} rounds in turn; files in the page cache."
    report(
        options,
        "Decode and resize, pictures per second and core",
        ["posters", "to", "by", "median (min … max)", "÷ Pillow"],
        rows,
        note,
    )


def timed(read: Callable[[Path, int], object], paths: list[Path], size: int) -> Callable[[], float]:
    def measure() -> float:
        start = process_time()
        for path in paths:
            read(path, size)
        return len(paths) / (process_time() - start)

    return measure


def enlarge(path: Path, target: Path) -> Path:
    with Image.open(path) as picture:
        scale = LARGE / min(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        buffer = BytesIO()
        picture.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=90)
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(buffer.getvalue())
    return target


if __name__ == "__main__":
    main()
