"""A large file from an address, in as many goes as it takes."""

import json
import re
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from postergenre.collecting.asking import Asker, patient
from postergenre.collecting.shelf import Shelf
from postergenre.errors import DataError
from postergenre.web import CHUNK, DownloadError, opened


def downloaded(url: str, shelf: Shelf, asker: Asker, max_bytes: int) -> Path:
    """Return the file at an address, begun anew only where the server has another one by now, or sends no part of one.

    Raises:
        DataError: It cannot be had, or is larger than ``max_bytes``.
    """
    whole, part = shelf.private / "archive", shelf.private / "archive.part"
    if whole.is_file():
        return whole
    console, attempt, before = Console(), 0, -1
    with Progress(
        TextColumn("archive"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console,
        transient=True, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        task = progress.add_task("archive", total=None)
        while True:
            try:
                with asker.pace.turn():
                    for have, total in _more(url, part, shelf, max_bytes):
                        progress.update(task, completed=have, total=total)
                break
            except DownloadError as error:
                have = part.stat().st_size if part.is_file() else 0
                attempt = 0 if have > before else attempt  # as long as more comes, there is hope
                before = max(before, have)
                if not error.passing or attempt >= asker.config.retries:
                    kept = f"; {have:,} bytes are kept, and the same command goes on with them" if have else ""
                    raise DataError(f"{url} {error}{kept}") from None
                asker.pace.hold(patient(error.wait, 0.0))
                asker.pause(attempt)
                attempt += 1
    part.replace(whole)
    return whole


def _more(url: str, part: Path, shelf: Shelf, max_bytes: int) -> Iterator[tuple[int, int | None]]:
    """Add to the part what is missing; yield how many bytes are there, and of how many."""
    note = shelf.private / "archive.json"
    have, tag = (part.stat().st_size if part.is_file() else 0), _tag(note)
    headers = {"Accept": "*/*"}
    if have and tag:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    try:
        with opened(url, headers=headers) as response:
            if response.status != 206 or _begin(response) != have:
                have = 0
                part.unlink(missing_ok=True)
                shelf.write(note, json.dumps({"tag": _strong_tag(response)}).encode())
            total = have + response.length if response.length is not None else None
            if (total or 0) > max_bytes:
                raise DataError(f"{url} has {total:,} bytes, more than max_bytes={max_bytes:,}")
            with part.open("ab") as file:
                while chunk := response.read1(CHUNK):
                    try:
                        file.write(chunk)
                    except OSError as error:  # the disk's, not the connection's
                        raise DataError(f"cannot write {part}: {error.strerror}") from None
                    have += len(chunk)
                    if have > max_bytes:
                        raise DataError(f"{url} has more than max_bytes={max_bytes:,}")
                    yield have, total
    except DownloadError as error:
        if error.code == 416:  # the part is not a part of what is there now, or it is all of it
            part.unlink(missing_ok=True)
            raise DownloadError("has changed", passing=True) from None
        raise
    if total is not None and have < total:
        raise DownloadError(f"was cut short: {have:,} of {total:,} bytes came", passing=True)


def _tag(note: Path) -> str:
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["tag"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ""


def _strong_tag(response: HTTPResponse) -> str:
    """Return what tells this very content from any other; empty where the server does not say."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _begin(response: HTTPResponse) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None
