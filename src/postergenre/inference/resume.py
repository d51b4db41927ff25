"""Going on with a table that is there: only where it was begun by the same command, and never by two runs at once."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postergenre.errors import DataError
from postergenre.inference.config import PredictConfig
from postergenre.inference.tables import Table, spelled


def made_with(config: PredictConfig, checkpoints: Sequence[Path]) -> dict[str, Any]:
    """Return what the rows of a table depend on, besides the posters."""
    kept = ("tta", "allow_empty", "top")
    settings = {name: getattr(config, name) for name in kept}
    settings |= {"engine": config.engine, "part_rows": config.part_rows if config.engine == "ray" else None}
    return {"checkpoint": [str(path) for path in checkpoints], "sha256": digests(checkpoints), **settings}


def digests(checkpoints: Sequence[Path]) -> list[str]:
    """Return the SHA-256 of each file."""
    found = []
    for checkpoint in checkpoints:
        with checkpoint.open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256").hexdigest())
    return found


@contextmanager
def claimed(table: Path, made: dict[str, Any]) -> Iterator[None]:
    """Keep other runs from the table, and note beside it what it is made with.

    The note is ``<table>.run.json``, or ``_run.json`` in the folder of a Parquet table.

    Raises:
        DataError: Another run is writing it, it was begun with something else, or it is not predict's.
    """
    from filelock import FileLock, Timeout

    note = _note(table)
    note.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(note.with_name(f".{note.name}.lock"), timeout=0):
            if note.is_file():
                _compare(note, made, table)
            elif table.is_file() or (table.is_dir() and any(table.glob("*.parquet"))):
                raise DataError(f"{table} is there, and predict did not write it; give another output")
            else:
                draft = note.with_name(f".{note.name}")
                draft.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
                draft.replace(note)
            yield
    except Timeout:
        raise DataError(f"another run is writing {table}") from None


def count_done(table: Table, posters: Sequence[str], *, where: Path) -> tuple[int, int]:
    """Return how many posters are answered already, and how many of them with an error.

    Raises:
        DataError: The rows are of other posters, or of these in another order.
    """
    done = failed = 0
    for name, error in table.rows():
        now = spelled(posters[done]) if done < len(posters) else "no poster"
        if name != now:
            raise DataError(
                f"{where} was begun with other posters: number {done + 1} is {name} there and {now} now; "
                "give another output"
            )
        done += 1
        failed += error is not None
    return done, failed


def _note(table: Path) -> Path:
    return table / "_run.json" if table.suffix.lower() == ".parquet" else table.with_name(f"{table.name}.run.json")


def _compare(note: Path, made: dict[str, Any], table: Path) -> None:
    try:
        usual = {"engine": "local", "part_rows": None}  # of notes from when there was no other
        before = usual | json.loads(note.read_text(encoding="utf-8"))
        others = [name for name in made if name != "checkpoint" and before[name] != made[name]]
        was = ", ".join(before["checkpoint"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{note} does not say what {table} was made with; give another output") from None
    if "sha256" in others:
        told = f"checkpoint {was}, not as {', '.join(made['checkpoint'])} is now"
        raise DataError(f"{table} was begun with {told}; give another output")
    if others:
        told = ", ".join(f"{name}={before[name]}, not {made[name]}" for name in others)
        raise DataError(f"{table} was begun with {told}; give another output")
