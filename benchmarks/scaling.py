"""Time per poster as their number grows: reading the CSV, looking, splitting, decoding, one pass of batches."""

import csv
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.manifest import read_manifest
from postergenre.data.scan import scan
from postergenre.data.splits import duplicate_groups, stratified_split
from postergenre.preprocess import Preprocess
from report import arguments, report

GENRES = [f"G{number:02}" for number in range(20)]
SIZE = (48, 72)


def draw(root: Path, count: int) -> None:
    """Write ``count`` different posters of coloured blocks, and their CSV."""
    random = np.random.default_rng(count)
    (root / "Images").mkdir(parents=True)
    with (root / "train.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["Id", "Genre", *GENRES])
        for number in range(count):
            blocks = Image.fromarray(random.integers(0, 256, (9, 6, 3), dtype=np.uint8))
            blocks.resize(SIZE, Image.Resampling.BILINEAR).save(root / "Images" / f"p{number:06}.jpg", quality=80)
            marks = random.random(len(GENRES)) < np.geomspace(0.4, 0.02, len(GENRES))
            marks[random.integers(5)] = True
            names = [genre for genre, mark in zip(GENRES, marks, strict=True) if mark]
            table.writerow([f"p{number:06}", str(names), *marks.astype(int)])


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options = parser.parse_args()
    rows = []
    for count in [200] if options.smoke else options.counts:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "posters"
            draw(root, count)
            stamps = [time.perf_counter()]
            manifest = read_manifest(root / "train.csv", images=root / "Images")
            stamps.append(time.perf_counter())
            looks = scan(manifest.files, cache=Path(scratch) / "cache")
            stamps.append(time.perf_counter())
            groups = duplicate_groups([look.hash for look in looks])
            stamps.append(time.perf_counter())
            targets = np.stack([manifest.genres.encode(labels).numpy() for labels in manifest.labels])
            stratified_split(manifest.ids, targets, groups)
            stamps.append(time.perf_counter())
            data = PosterData(
                DataConfig(root=str(root), cache=f"{scratch}/cache", min_positives=1, workers=0),
                Preprocess(height=48, width=32),
            )
            data.setup()
            stamps.append(time.perf_counter())
            data.images(write=True)
            stamps.append(time.perf_counter())
            seen = sum(len(batch.rows) for batch in data.train_dataloader())
            stamps.append(time.perf_counter())
            assert 0.6 * count < seen < 0.8 * count
            parts = np.diff(stamps) / count * 1e6
            parts[-1] *= count / seen
            rows.append([f"{count:,}", *(f"{part:,.0f}" for part in parts)])
            shutil.rmtree(root)
    columns = ["posters", "read and check the CSV", "look", "group", "split", "all four again, remembered",
               "decode and store", "a pass of batches"]  # fmt: skip
    report(
        options,
        "Microseconds per poster as their number grows",
        columns,
        rows,
        f"Drawn posters of {SIZE[0]} × {SIZE[1]} pixels.",
    )


if __name__ == "__main__":
    main()
