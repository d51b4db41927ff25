"""Thousands of strangers' files at the doors people use: each is answered rightly, or refused with one sentence.

``python tests/trial.py --pictures 8000 --tables 2000 --seed 0`` prints how many inputs were tried, answered and refused
at each door, and every failure; exit status 1 where there is one. An input is a failure if it must be answered and is
not, or wrongly; if it must be refused and is answered; if a refusal does not name the file, is not one line, or does
not say what it must; and if anything is raised or warned of that is no error of ours.
"""

import argparse
import csv
import io
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table as Printed
from torch import Tensor

from corpus import Fate
from corpus.formats import Pixels
from corpus.pictures import Picture, pictures
from corpus.tables import Table, make_posters, tables
from postergenre.data.columns import read_columns
from postergenre.data.corrections import read_corrections
from postergenre.data.manifest import Defects, Manifest, read_manifest
from postergenre.data.pixels import DecodedPosters, decoded, pixel_store
from postergenre.data.posters import read_posters
from postergenre.errors import ConfigError, DataError, PictureError, PosterGenreError, printable
from postergenre.inference.sources import find_posters
from postergenre.preprocess import RESIZES, Preprocess
from postergenre.serving.refusal import Refusal
from postergenre.serving.uploads import FORMATS, check_picture

T = TypeVar("T")
MAX_PIXELS = 1_000_000
"""Of a picture, in a trial: time is better spent than on decoding large ones. A bomb says that it is much larger."""
CHUNK = 250
"""Pictures of one folder, and of one CSV."""
SEEN = Preprocess(height=24, width=16, resize="letterbox")
RESIZED = 2
"""Levels by which torch's antialiased resizing may differ from Pillow's, which rounds between its two passes."""
REDUCED = 120
"""The same where a JPEG was decoded at a part of its size, at a pixel; and on average a tenth of it."""


@dataclass(kw_only=True, slots=True)
class Door:
    """What happened at one door."""

    tried: int = 0
    answered: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Trial:
    """What happened to all inputs."""

    inputs: int = 0
    doors: dict[str, Door] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        return [failure for door in self.doors.values() for failure in door.failures]

    def ask(
        self,
        name: str,
        what: str,
        ask: Callable[[], T],
        *,
        fate: Fate,
        mistakes: tuple[type[PosterGenreError], ...] = (DataError,),
        names: str = "",
        told: Sequence[str] = (),
    ) -> T | None:
        """Return the answer at a door, None where it is refused or fails; both are counted.

        Args:
            name: Of the door.
            what: The input, for who reads of a failure.
            ask: Gets the answer.
            fate: What must become of it.
            mistakes: Classes that a refusal may have.
            names: What a refusal must name: the file.
            told: What else it must say, whatever it is.
        """
        door = self.doors.setdefault(name, Door())
        door.tried += 1
        try:
            answer = ask()
        except mistakes as error:
            door.refused += 1
            said = str(error)
            if fate == "works":
                self.fail(name, f"{what} is refused: {said}")
            elif said != printable(said) or not said or re.search(r"Traceback|Error\(|<class|object at 0x", said):
                self.fail(name, f"{what} is refused with {said!r}")
            elif missing := [part for part in (printable(names), *told) if part not in said]:
                self.fail(name, f"{what} is refused without {missing}: {said}")
            return None
        except Exception:
            self.fail(name, f"{what} raises {traceback.format_exc(limit=-3)}")
            return None
        door.answered += 1
        if fate == "refused":
            self.fail(name, f"{what} is answered")
        return answer

    def fail(self, name: str, told: str) -> None:
        self.doors[name].failures.append(told)


def try_pictures(trial: Trial, count: int, *, seed: int, folder: Path) -> None:
    """Take as many picture files through decoding, the server's check, the data check and the store of pixels."""
    with _few_pixels():
        files = pictures(count, seed=seed)
        for number, chunk in enumerate(iter(lambda: list(islice(files, CHUNK)), [])):
            _try_chunk(trial, chunk, folder / f"{number:03}")


def _try_chunk(trial: Trial, chunk: Sequence[Picture], folder: Path) -> None:
    folder.mkdir()
    answered = {}
    for picture in chunk:
        trial.inputs += 1
        path, what = folder / picture.name, f"picture {picture.number} ({picture.kind})"
        path.write_bytes(picture.content)
        preprocess = _preprocess(picture)
        image = trial.ask(
            "decoding a file", what, lambda p=preprocess, f=path: p.read(f), fate=picture.fate, names=str(path),
            mistakes=(PictureError,),
        )  # fmt: skip
        again = trial.ask(
            "decoding bytes", what, lambda p=preprocess, c=picture.content: p.read(c), fate=picture.fate,
            mistakes=(PictureError,),
        )  # fmt: skip
        answered[path] = image is not None
        # Where a damaged file ends before its parts do, disk and memory differ in what can be read behind the end.
        if image is not None and again is not None and not torch.equal(image, again):
            trial.fail("decoding bytes", f"{what} is not what it is as a file")
        if image is not None and (wrong := _wrong(image, picture, preprocess)):
            trial.fail("decoding a file", f"{what} {wrong}")
        _try_upload(trial, picture, what)
    _try_data_check(trial, chunk, folder, answered)


def _preprocess(picture: Picture) -> Preprocess:
    """Return a preprocessing that keeps every pixel where that can be, and others for every fourth picture."""
    resize = RESIZES[picture.number // 4 % 3]
    if picture.pixels is not None and picture.number % 4:
        height, width = picture.pixels.shape[:2]
        if 8 <= height <= 100 and 8 <= width <= 100:
            return Preprocess(height=height, width=width, resize=resize)
    return Preprocess(height=8 + picture.number % 11, width=8 + picture.number % 7, resize=resize)


def _wrong(image: Tensor, picture: Picture, preprocess: Preprocess) -> str:
    """Return what is wrong about an answer; nothing where it is right."""
    if image.dtype is not torch.uint8 or image.shape != (3, preprocess.height, preprocess.width):
        return f"becomes {image.dtype} of {tuple(image.shape)}"
    if picture.pixels is None:
        return ""
    wanted = plainly_resized(picture.pixels, preprocess)
    same_size = picture.pixels.shape[:2] == image.shape[1:]
    far = np.abs(image.permute(1, 2, 0).numpy().astype(int) - wanted)
    slack = picture.slack + (0 if same_size else RESIZED)
    if picture.content.startswith(b"\xff\xd8\xff") and not same_size:
        return f"differs by {far.max()}, {far.mean():.1f}" if far.max() > REDUCED or far.mean() > REDUCED / 10 else ""
    return f"differs by {far.max()} levels, more than {slack}" if far.max() > slack else ""


def plainly_resized(pixels: Pixels, preprocess: Preprocess) -> Pixels:
    """Return ``(H,W,3)`` as the documentation of ``Preprocess`` says, by Pillow alone."""
    height, width = pixels.shape[:2]
    size, picture = (preprocess.width, preprocess.height), Image.fromarray(pixels)
    if preprocess.resize == "crop":
        kept = (
            min(width, max(round(height * size[0] / size[1]), 1)),
            min(height, max(round(width * size[1] / size[0]), 1)),
        )
        left, top = (width - kept[0]) // 2, (height - kept[1]) // 2
        picture = picture.crop((left, top, left + kept[0], top + kept[1]))
    if preprocess.resize == "letterbox":
        scale = min(size[0] / width, size[1] / height)
        inner = max(round(width * scale), 1), max(round(height * scale), 1)
        whole = Image.new("RGB", size)
        whole.paste(
            picture.resize(inner, Image.Resampling.BILINEAR), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)
        )
        return np.asarray(whole)
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


def _try_upload(trial: Trial, picture: Picture, what: str) -> None:
    """See that the server tells the size of what it reads, and refuses the rest with a status of its own."""
    fate: Fate = "either"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(picture.content), formats=FORMATS):
                fate = "works" if picture.fate == "works" else "either"
        except Exception:
            fate = "refused"
    size = trial.ask(
        "a picture sent to the server", what, lambda: check_picture(picture.content, max_pixels=MAX_PIXELS), fate=fate,
        mistakes=(Refusal,),
    )  # fmt: skip
    if size and picture.pixels is not None and size != picture.pixels.shape[1::-1]:
        trial.fail("a picture sent to the server", f"{what} is said to have {size} pixels")


def _try_data_check(trial: Trial, chunk: Sequence[Picture], folder: Path, answered: dict[Path, bool]) -> None:
    """See that what cannot be decoded is left out by name, and that the others come out of the store as they are."""
    table = folder / "train.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("image", "genres"), *((picture.name, "Drama" if picture.number % 2 else "War") for picture in chunk)]
        )
    settings = {"images": folder, "ignore": (), "cache": folder / "cache"}
    posters = trial.ask(
        "the data check, on_bad_image=skip", str(table), lambda: read_posters(table, skip_bad=True, **settings),
        fate="works",
    )  # fmt: skip
    if posters is None:
        return
    bad = dict(posters.bad)
    for picture in chunk:
        path, what = folder / picture.name, f"picture {picture.number} ({picture.kind})"
        trial.ask(
            "one look at each", what, lambda p=path: _raise(bad.get(p)), fate=picture.fate, names=str(path)
        )  # fmt: skip
        if path not in bad and not answered[path]:
            trial.fail("one look at each", f"{what} looks whole and cannot be decoded")
    trial.ask(
        "the data check", str(table), lambda: read_posters(table, skip_bad=False, **settings),
        fate="refused" if bad else "works", names=str(next(iter(bad), "")),
        told=(f"{len(bad)} picture(s) do not decode", "Mend them, or leave them out with data.on_bad_image=skip"),
    )  # fmt: skip
    files = [posters.manifest.files[place] for place in posters.kept]
    store = pixel_store(posters.identity, len(files), SEEN, folder / "store")

    def stored() -> Tensor:
        store.write(decoded(files, SEEN), limit=1)
        return store.read(range(len(files)))

    pixels = trial.ask("the store of pixels", str(table), stored, fate="works")
    if pixels is not None and not torch.equal(pixels, DecodedPosters(files, SEEN).read(range(len(files)))):
        trial.fail("the store of pixels", f"{table}: pixels differ from the decoded ones")


def _raise(reason: str | None) -> None:
    if reason is not None:
        raise DataError(reason)


def try_tables(trial: Trial, count: int, *, seed: int, folder: Path) -> None:
    """Take as many CSVs through the readers of training, audit, prediction, corrections and further columns."""
    make_posters(folder)
    whole = folder / "whole.csv"
    whole.write_text("image,genres\nImages/p00.jpg,Drama\n", encoding="utf-8")
    path, images = folder / "some posters.csv", folder / "Images"
    manifest_of_whole = read_manifest(whole, images=images)
    for table in tables(count, seed=seed):
        trial.inputs += 1
        path.write_bytes(table.content)
        what = f"table {table.number} ({table.kind})"
        manifest = trial.ask(
            "training's CSV", what, lambda: read_manifest(path, images=images), fate=table.fate, names=str(path),
            told=table.told,
        )  # fmt: skip
        if manifest is not None and (wrong := _misread(manifest, table, folder)):
            trial.fail("training's CSV", f"{what} {wrong}")
        defects = Defects()
        trial.ask(
            "the audit's CSV", what, lambda d=defects: read_manifest(path, images=images, defects=d),
            fate="works" if table.fate == "works" else "either", names=str(path),
        )  # fmt: skip
        if table.fate == "works" and (defects.problems or defects.missing):
            trial.fail("the audit's CSV", f"{what} is found to have {defects}")
        named = trial.ask(
            "prediction's CSV", what, lambda: find_posters(str(path)), names=str(path),
            fate="works" if table.fate == "works" and len(table.content) < 100_000 else "either",
        )  # fmt: skip
        if table.fate == "works" and named is not None and named != [str(folder / file) for file in table.files]:
            trial.fail("prediction's CSV", f"{what} names {named}")
        if table.number % 4 == 0:
            trial.ask(
                "a file of corrections", what, lambda: read_corrections(manifest_of_whole, relabel=path, exclude=path),
                fate="either", names=str(path),
            )  # fmt: skip
            if manifest is not None:
                columns = trial.ask(
                    "further columns", what, lambda m=manifest: read_columns(path, m, ["note"]), fate="either",
                    mistakes=(ConfigError,), names=str(path),
                )  # fmt: skip
                if columns is not None and len(columns["note"]) != len(manifest.ids):
                    trial.fail("further columns", f"{what} has not one note for each poster")


def _misread(manifest: Manifest, table: Table, folder: Path) -> str:
    """Return what is wrong about posters that were read; nothing where all is right."""
    unlike = [name for name in {genre for held in manifest.labels for genre in held} if name not in manifest.genres]
    if unlike or len(set(manifest.ids)) < len(manifest.ids) or not all(path.is_file() for path in manifest.paths):
        return f"is no poster set: {manifest}"
    if table.fate != "works":
        return ""
    paths = list(dict.fromkeys(folder / file for file in table.files))
    read = (
        manifest.paths, [set(held) for held in manifest.labels], tuple(manifest.genres), manifest.splits,
        manifest.num_rows,
    )  # fmt: skip
    meant = (
        paths, [{*row.genres} - {"N/A"} for row in table.rows], table.genres,
        [row.split for row in table.rows] if table.splits else None, len(table.files),
    )  # fmt: skip
    return "" if read == meant else f"is read as {read}, not as {meant}"


@contextmanager
def _few_pixels() -> Iterator[None]:
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def printed(trial: Trial) -> Printed:
    """Return a line for each door."""
    table = Printed(title=f"{trial.inputs:,} inputs")
    table.add_column("door")
    for name in ("tried", "answered", "refused", "failures"):
        table.add_column(name, justify="right")
    for name, door in trial.doors.items():
        table.add_row(name, *(f"{count:,}" for count in (door.tried, door.answered, door.refused, len(door.failures))))
    return table


def main(arguments: Iterable[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description="Take generated inputs through the doors people use.")
    parser.add_argument("--pictures", type=int, default=8000)
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(None if arguments is None else list(arguments))
    warnings.filterwarnings("error", append=True)
    torch.set_num_threads(1)
    trial, began = Trial(), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        for name, run, count in (("pictures", try_pictures, options.pictures), ("tables", try_tables, options.tables)):
            folder = Path(scratch, name)
            folder.mkdir()
            run(trial, count, seed=options.seed, folder=folder)
    Console(width=100).print(printed(trial))
    print(f"{time.monotonic() - began:.0f} s; {len(trial.failures)} failures")
    for failure in trial.failures:
        print(failure, file=sys.stderr)
    return int(bool(trial.failures))


if __name__ == "__main__":
    raise SystemExit(main())
