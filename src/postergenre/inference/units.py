"""Posters without end, as units of work: each is read, answered and written by itself, wherever that happens.

What there is to do is a file beside the answers, not a list in memory: for picture files and addresses a batch of
their names for each unit, for Parquet shards of pictures a row that tells where in which shard.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pyarrow as arrow  # type: ignore[import-untyped]
from pyarrow import ipc, parquet

from postergenre.errors import ConfigError, DataError
from postergenre.inference.predictor import batches
from postergenre.inference.sources import each_poster, names_of
from postergenre.inference.tables import spelled
from postergenre.web import is_address, scheme

NAME = "_posters.arrow"
"""What there is to do, in the folder of answers; readers of Parquet pass over names that begin so."""
READ_ROWS = 64
"""Rows of a shard that are in memory at once."""
READ_BYTES = 1 << 20
"""Of each column, for the same."""
SHARD = {"id": "the poster's name", "image": "the content of its picture file"}
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
        raise ConfigError(f"column={column} is for posters=FILE.csv; shards have the columns {' and '.join(SHARD)}")
    draft, there = folder / f".{NAME}", folder / NAME
    if shards:
        _write(draft, PIECES, batches(_pieces(shards, rows), rows))
    else:
        found = each_poster(posters, recursive=recursive, column=column)
        _write(draft, NAMES, batches(({"poster": os.fsencode(name)} for name in found), rows))
    if there.exists():
        _compare(there, draft, folder)
    draft.replace(there)
    return _units(there)


def find_shards(posters: Any, *, recursive: bool = False) -> list[str]:
    """Return the Parquet files that are meant, in the same order every time; none where pictures are.

    A folder with a Parquet file in it is a folder of shards.

    Raises:
        ConfigError: Shards and something else are named together.
        DataError: An address cannot be looked at.
    """
    found = {name: _shards(name, recursive) for name in names_of(posters)}
    if any(found.values()) and not all(found.values()):
        others = ", ".join(name for name, shards in found.items() if not shards)
        raise ConfigError(f"posters names Parquet shards, and {others}, where there is none: give one kind at a time")
    return [shard for shards in found.values() for shard in shards]


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
    try:
        with _open(unit.shard) as file:
            # A row group may be larger than memory; its pages are read one after the other.
            shard = parquet.ParquetFile(file, buffer_size=READ_BYTES, pre_buffer=False)
            groups = range(unit.first, unit.stop)
            for some in shard.iter_batches(batch_size=READ_ROWS, row_groups=groups, columns=list(SHARD)):
                for name, content in zip(some["id"].to_pylist(), some["image"].to_pylist(), strict=True):
                    yield "" if name is None else str(name), content or b""
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"cannot read {unit.shard}: {error}") from None


def _shards(name: str, recursive: bool) -> list[str]:
    if is_address(name):
        return []
    deep = "**/" if recursive else ""
    if scheme(name):
        try:
            system, path = fsspec.url_to_fs(name)
            found = [path] if system.isfile(path) else system.glob(f"{path.rstrip('/')}/{deep}*.parquet")
            return sorted(system.unstrip_protocol(shard) for shard in found if _visible(shard))
        except (OSError, ValueError, ImportError) as error:
            raise DataError(f"cannot look at {name}: {error}") from None
    place = os.path.expanduser(name)
    if os.path.isdir(place):
        place = os.path.join(glob.escape(place), f"{deep}*.parquet")
    found = [place] if os.path.isfile(place) else glob.glob(place, recursive=True)
    return sorted(path for path in found if path.endswith(".parquet") and os.path.isfile(path) and _visible(path))


def _visible(path: str) -> bool:
    return not path.rpartition("/")[2].startswith((".", "_"))


def _open(shard: str) -> Any:
    return fsspec.open(shard, "rb") if scheme(shard) else open(shard, "rb")


def _pieces(shards: list[str], rows: int) -> Iterator[dict[str, Any]]:
    """Yield row groups of one shard after the other, as many together as have ``rows`` rows."""
    found = False
    with ThreadPoolExecutor() as pool:
        for shard, (size, counts) in zip(shards, pool.map(_row_groups, shards), strict=True):
            first = waiting = 0
            for stop, count in enumerate(counts, 1):
                waiting += count
                if waiting and (waiting >= rows or stop == len(counts)):
                    found = True
                    yield {"shard": shard, "bytes": size, "first": first, "stop": stop, "rows": waiting}
                    first, waiting = stop, 0
    if not found:
        raise DataError(f"there is no row in {shards[0]}{f' … {shards[-1]}' if len(shards) > 1 else ''}")


def _row_groups(shard: str) -> tuple[int, list[int]]:
    """Return the bytes of a shard, and how many rows each of its row groups has."""
    try:
        with _open(shard) as file:
            size = file.seek(0, os.SEEK_END)
            told = parquet.read_metadata(file)
            kinds = {field.name: field.type for field in told.schema.to_arrow_schema()}
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"cannot read {shard}: {error}") from None
    binary = arrow.types.is_binary, arrow.types.is_large_binary
    if not kinds.keys() >= SHARD.keys() or not any(kind(kinds["image"]) for kind in binary):
        wanted = " and ".join(f"{name} ({what})" for name, what in SHARD.items())
        raise DataError(f"{shard} is no shard of posters: it needs the columns {wanted}; it has {', '.join(kinds)}")
    return size, [told.row_group(group).num_rows for group in range(told.num_row_groups)]


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
