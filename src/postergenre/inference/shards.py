"""Shards: Parquet files whose rows are posters, in folders or in object stores."""

import glob
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pyarrow as arrow  # type: ignore[import-untyped]
from pyarrow import parquet

from postergenre.errors import ConfigError, DataError
from postergenre.inference.sources import names_of
from postergenre.web import is_address, scheme

COLUMNS = {"id": "the poster's name", "image": "the content of its picture file"}
READ_ROWS = 64
"""Rows that are in memory at once."""
READ_BYTES = 1 << 20
"""Of each column, for the same."""


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


def pieces(shards: list[str], rows: int) -> Iterator[dict[str, Any]]:
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


def read_rows(shard: str, first: int, stop: int) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each poster in the row groups ``first`` to ``stop``, that one not included.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with _open(shard) as file:
            # A row group may be larger than memory; its pages are read one after the other.
            table = parquet.ParquetFile(file, buffer_size=READ_BYTES, pre_buffer=False)
            groups = range(first, stop)
            for some in table.iter_batches(batch_size=READ_ROWS, row_groups=groups, columns=list(COLUMNS)):
                for name, content in zip(some["id"].to_pylist(), some["image"].to_pylist(), strict=True):
                    yield "" if name is None else str(name), content or b""
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"cannot read {shard}: {error}") from None


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
    if not kinds.keys() >= COLUMNS.keys() or not any(kind(kinds["image"]) for kind in binary):
        wanted = " and ".join(f"{name} ({what})" for name, what in COLUMNS.items())
        raise DataError(f"{shard} is no shard of posters: it needs the columns {wanted}; it has {', '.join(kinds)}")
    return size, [told.row_group(group).num_rows for group in range(told.num_row_groups)]
