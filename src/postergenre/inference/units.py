"""Posters without end, as units of work: each is read, answered and written by itself, wherever that happens.

What there is to do is a file beside the answers, not a list in memory: for picture files and addresses a batch of
their names for each unit, for Parquet shards of pictures a row that tells where in which shard.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as arrow  # type: ignore[import-untyped]
from pyarrow import ipc

from postergenre.errors import ConfigError, DataError
from postergenre.inference.predictor import batches
from postergenre.inference.shards import COLUMNS, find_shards, pieces, read_rows
from postergenre.inference.sources import each_poster
from postergenre.inference.tables import spelled

NAME = "_posters.arrow"
"""What there is to do, in the folder of answers; readers of Parquet pass over names that begin so."""
NAMES = arrow.schema([("poster", arrow.binary())])  # a file's name need not be UTF-8
PIECES = arrow.schema([
    ("shard", arrow.string()), ("bytes", arrow.int64()), ("first", arrow.int64()), ("stop", arrow.int64()),
    ("rows", arrow.int64()),
])  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """What is read, retried and written at once."""

    number: int
    rows: int
    shard: str = ""
    """Path or address of a Parquet file; empty where the posters are those of batch ``number`` of the list."""
    first: int = 0
    stop: int = 0
    """Row groups of the shard."""


def list_posters(folder: Path, posters: Any, *, recursive: bool, column: str | None, rows: int) -> list[Unit]:
    """Write beside the answers what there is to do, and return it as units; names are not kept in memory.

    Args:
        folder: Of the answers.
        posters: As ``find_posters`` takes it, or Parquet files with columns ``id`` and ``image`` (bytes): files,
            folders, globs, ``fsspec`` addresses.
        recursive: Look into the folders of a folder, too.
        column: As for ``find_posters``.
        rows: Posters of a unit; of shards, whole row groups with together at least as many.

    Raises:
        ConfigError: It is neither.
        DataError: There is no poster, a shard cannot be used, or these are not the posters that were begun with;
            posters that come after those are welcome.
    """
    shards = find_shards(posters, recursive=recursive)
    if shards and column is not None:
        raise ConfigError(f"column={column} is for posters=FILE.csv; shards have the columns {' and '.join(COLUMNS)}")
    draft, there = folder / f".{NAME}", folder / NAME
    if shards:
        _write(draft, PIECES, batches(pieces(shards, rows), rows))
    else:
        found = each_poster(posters, recursive=recursive, column=column)
        _write(draft, NAMES, batches(({"poster": os.fsencode(name)} for name in found), rows))
    if there.exists():
        _compare(there, draft, folder)
    draft.replace(there)
    return _units(there)


def read_unit(unit: Unit, folder: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield the name of each poster, and its path, address or content.

    Raises:
        DataError: A shard cannot be read.
    """
    if not unit.shard:
        with arrow.memory_map(str(folder / NAME)) as file:
            for name in ipc.open_file(file).get_batch(unit.number)["poster"].to_pylist():
                yield (poster := os.fsdecode(name)), poster
        return
    yield from read_rows(unit.shard, unit.first, unit.stop)


def _write(path: Path, schema: arrow.Schema, found: Iterable[list[dict[str, Any]]]) -> None:
    options = ipc.IpcWriteOptions(compression="zstd")
    with arrow.OSFile(str(path), "wb") as file, ipc.new_file(file, schema, options=options) as writer:
        for some in found:
            writer.write_batch(arrow.RecordBatch.from_pylist(some, schema=schema))


def _batches(path: Path) -> Iterator[arrow.RecordBatch]:
    with arrow.memory_map(str(path)) as file:
        reader = ipc.open_file(file)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _units(path: Path) -> list[Unit]:
    with arrow.memory_map(str(path)) as file:
        reader = ipc.open_file(file)
        if reader.schema.names == PIECES.names:
            pieces = reader.read_all().drop_columns("bytes").to_pylist()
            return [Unit(number=number, **piece) for number, piece in enumerate(pieces)]
        last = reader.num_record_batches - 1  # all others are as long as the first
        sizes = [reader.get_batch(0).num_rows] * last + [reader.get_batch(last).num_rows]
        return [Unit(number=number, rows=size) for number, size in enumerate(sizes)]


def _compare(before: Path, now: Path, folder: Path) -> None:
    done = 0
    for old, new in zip_longest(_batches(before), _batches(now)):
        if old is None:
            return
        if new is not None and new.slice(0, old.num_rows).equals(old):
            done += old.num_rows
            continue
        pairs = zip_longest(old.to_pylist(), new.to_pylist() if new is not None else ())
        place, (there, here) = next((place, pair) for place, pair in enumerate(pairs, 1) if pair[0] != pair[1])
        raise DataError(
            f"{folder} was begun with other posters: number {done + place} is {_told(there)} there and {_told(here)} "
            "now; give another output"
        )


def _told(row: dict[str, Any] | None) -> str:
    if row is None:
        return "no poster"
    if "poster" in row:
        return spelled(os.fsdecode(row["poster"]))
    return f"{row['shard']} of {row['bytes']:,} bytes, row groups {row['first']} … {row['stop'] - 1}"
