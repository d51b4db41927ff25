"""A known set as one file: downloaded in as many goes as it takes, checked, unpacked, put in its place."""

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from postergenre.collecting.asking import Asker
from postergenre.collecting.download import downloaded
from postergenre.collecting.extract import extract
from postergenre.collecting.shelf import IMAGES, PRIVATE, TABLE, Shelf
from postergenre.errors import ConfigError, DataError
from postergenre.paths import expanded
from postergenre.web import is_address, scheme

SCHEMAS = ({"Id", "Genre"}, {"image", "genres"})
"""Columns by which a poster CSV is known."""


def unpack_set(url: str, shelf: Shelf, asker: Asker, *, sha256: str | None, max_bytes: int) -> tuple[Path, list[str]]:
    """Return the poster CSV of an archive, with all that lies beside it moved to the set's folder, and what to know.

    Args:
        url: An http(s) address, a ``file://`` one, or a path.
        shelf: Where it goes.
        asker: Keeps the pace.
        sha256: The checksum, or None.
        max_bytes: Of the archive, and of what comes out of it.

    Raises:
        DataError: It cannot be had, is not what was asked for, is unsafe, or holds no poster CSV.
    """
    done = shelf.private / "unpacked.json"
    if done.is_file():
        try:
            known = json.loads(done.read_text(encoding="utf-8"))
            before, name, notes = known["sha256"], str(known["table"]), list(known["notes"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DataError(f"{done} does not say what was unpacked; give another output=FOLDER") from None
        _check(before, sha256, url)
        return shelf.folder / name, notes
    archive = downloaded(url, shelf, asker, max_bytes) if is_address(url) else _path(url)
    digest = _digest(archive)
    try:
        _check(digest, sha256, url)
    except DataError:
        if is_address(url):
            archive.unlink()
        raise
    notes = [f"sha256={digest}{'' if sha256 else ', not checked: no checksum was given'}"]
    draft = shelf.private / "unpacked"
    shutil.rmtree(draft, ignore_errors=True)
    notes += extract(archive, draft, max_bytes=max_bytes)
    table = _find_table(draft)
    for entry in table.parent.iterdir():
        place = shelf.folder / entry.name
        if entry.name == PRIVATE:  # ours alone
            continue
        if place.is_dir():  # of a run that was killed here, or the shelf's own empty one
            shutil.rmtree(place)
        entry.replace(place)
    shelf.write(done, json.dumps({"table": table.name, "sha256": digest, "notes": notes}).encode())
    shutil.rmtree(draft, ignore_errors=True)
    if is_address(url):
        archive.unlink(missing_ok=True)
    return shelf.folder / table.name, notes


def _path(url: str) -> Path:
    kind = scheme(url)
    if kind not in (None, "file"):
        raise ConfigError(f"url={url}: archives lie at http, https or file addresses, or at a path")
    path = expanded(url2pathname(urlsplit(url).path) if kind else url)
    if not path.is_file():
        raise DataError(f"no archive at {path}")
    return path


def _check(digest: str, asked: str | None, url: str) -> None:
    if asked and digest != asked.lower():
        raise DataError(f"{url} is not the archive that was asked for: its sha256 is {digest}, not {asked.lower()}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find_table(folder: Path) -> Path:
    """Return the poster CSV nearest to the top, ``train.csv`` before others."""
    tables = sorted(folder.rglob("*.csv"), key=lambda path: (len(path.parts), path.name != TABLE, path.name))
    for table in tables:
        try:
            with table.open(newline="", encoding="utf-8-sig") as file:
                header = {cell.strip() for cell in next(csv.reader(file), [])}
        except (csv.Error, UnicodeDecodeError):
            continue
        if any(schema <= header for schema in SCHEMAS):
            return table
    found = ", ".join(sorted(os.listdir(folder))[:10]) or "nothing"
    raise DataError(
        f"the archive holds no poster CSV (columns 'Id, Genre' or 'image, genres'; pictures in {IMAGES}); it is "
        f"unpacked in {folder} ({found}): collect it from there with source=csv or source=folder, and another output"
    )
