"""A set of drawn posters on disk, in the schema of the real one."""

import csv
import json
import shutil
from pathlib import Path
from random import Random

from filelock import FileLock

from postergenre.data.synthetic.mixture import GENRES, mix_genres
from postergenre.data.synthetic.poster import draw_poster
from postergenre.errors import ConfigError

JPEG_QUALITY = 88


def write_demo_set(root: Path, *, num_posters: int, seed: int = 0) -> Path:
    """Return the folder of a drawn poster set; a folder that exists is left as it is.

    The set is drawn into a folder beside ``root`` and renamed when complete: an interrupted run leaves no half a set,
    and of two processes one draws and the other waits.

    Args:
        root: Gets ``train.csv``, ``Images/<Id>.jpg`` and ``boxes.json``: ``{id: {genre: [left, top, right, bottom]}}``.
        num_posters: How many posters, at least 1.
        seed: Which set.

    Raises:
        ConfigError: ``num_posters`` is less than 1.
    """
    if root.exists():
        return root
    if num_posters < 1:
        raise ConfigError(f"a demo set has at least 1 poster, not {num_posters}; set data.num_demo_posters")
    root.parent.mkdir(parents=True, exist_ok=True)
    draft = root.parent / f".{root.name}.draft"
    with FileLock(root.parent / f".{root.name}.lock"):
        shutil.rmtree(draft, ignore_errors=True)  # of a run that was killed
        if not root.exists():
            draft.mkdir()
            try:
                _draw_all(draft, num_posters=num_posters, seed=seed)
                draft.rename(root)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return root


def _draw_all(folder: Path, *, num_posters: int, seed: int) -> None:
    (folder / "Images").mkdir()
    boxes = {}
    with (folder / "train.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["Id", "Genre", *GENRES])
        for number, genres in enumerate(mix_genres(num_posters, Random(f"mixture#{seed}")), start=1):
            name = f"demo{number:04d}"
            poster = draw_poster(genres, seed=seed * 1_000_003 + number)
            poster.picture.save(folder / "Images" / f"{name}.jpg", quality=JPEG_QUALITY)
            table.writerow([name, str(list(poster.genres)), *(int(genre in poster.genres) for genre in GENRES)])
            boxes[name] = poster.boxes
    (folder / "boxes.json").write_text(json.dumps(boxes), encoding="utf-8")
