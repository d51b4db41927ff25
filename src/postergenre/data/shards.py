"""Shards: a poster set as Parquet files on any path that fsspec knows, each within one split.

The folder holds ``<split>-00000.parquet`` … and, written last, ``index.json``: vocabulary, counts, and which shards
make up which split. A row is a poster with the columns of ``SCHEMA``; ``id`` and ``image`` (a whole picture file) are
all that prediction needs, and every tool that reads Parquet can look.

Why Parquet, and why a reader of our own over pyarrow and fsspec: litdata and webdataset were tried on the original
posters; see ``streams`` for what they lack.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pyarrow as arrow  # type: ignore[import-untyped]
from fsspec import AbstractFileSystem
from pyarrow import parquet

from postergenre.data.manifest import SPLITS
from postergenre.data.table import SHOWN
from postergenre.errors import ConfigError, DataError
from postergenre.genres import Genres

FORMAT = 1
INDEX = "index.json"
KEY = b"postergenre"
"""In a shard's metadata: the identity of the set it is a part of."""
SCHEMA = arrow.schema(
    [
        ("id", arrow.string()),
        ("image", arrow.binary()),
        ("genres", arrow.list_(arrow.string())),
        ("split", arrow.string()),
        ("poster", arrow.int64()),  # place among all posters of the set: what augmentation draws from
        ("group", arrow.int64()),  # posters that show the same art share one
        ("width", arrow.int32()),
        ("height", arrow.int32()),
    ]
)
TOLD = ("id", "image", "genres", "poster")
"""What training needs of a row."""
BROKEN = (OSError, arrow.ArrowException, IndexError, KeyError)
"""What reading a file that is gone, cut short or damaged raises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One file."""

    name: str
    num_posters: int
    num_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """What a folder of shards says about itself."""

    identity: str
    """What tells these very shards, in this order, from any others."""
    fingerprint: str
    """Of posters, genres and splits, as a folder of the same posters has it."""
    genres: Genres
    """G names."""
    split: str
    """``data.split`` by which the posters were divided."""
    fold: int
    """``data.fold``, likewise."""
    ignore_genres: list[str]
    """Names that were no genre."""
    group_rows: int
    """Posters that are read at once; the last group of a shard may have fewer."""
    counts: dict[str, list[int]]
    """For each split, how many posters have each of the G genres."""
    shards: dict[str, list[Shard]]
    """For each split, its shards in order."""

    def num_posters(self, split: str) -> int:
        """Return how many posters a split has."""
        return sum(shard.num_posters for shard in self.shards[split])

    def to_json(self) -> str:
        """Return the text of ``index.json``."""
        num_posters = {split: self.num_posters(split) for split in SPLITS}
        told = {"format": FORMAT, **asdict(self), "genres": list(self.genres), "num_posters": num_posters}
        return json.dumps(told, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Index":
        """Return the index that ``to_json`` wrote.

        Raises:
            DataError: It is no such text, or of another format.
        """
        try:
            told: dict[str, Any] = json.loads(text)
            if told.pop("format") != FORMAT:
                raise DataError("it has another format than this version reads")
            del told["num_posters"]
            shards = {split: [Shard(**shard) for shard in told["shards"][split]] for split in SPLITS}
            index = cls(**told | {"genres": Genres(told["genres"]), "shards": shards})
            index._check()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"it is not what shard.py writes: {type(error).__name__}, {error}") from None
        return index

    def _check(self) -> None:
        """Refuse what no set of posters is.

        Raises:
            ValueError: It says such a thing.
        """
        numbers = [self.fold, self.group_rows - 1, *(count for split in SPLITS for count in self.counts[split])]
        numbers += [number for split in SPLITS for s in self.shards[split] for number in (s.num_posters, s.num_bytes)]
        if not all(type(number) is int and 0 <= number < 2**48 for number in numbers):
            raise ValueError("a number that counts nothing")
        if any(len(self.counts[split]) != len(self.genres) for split in SPLITS):
            raise ValueError("other genres are counted than there are")
        if not all(
            isinstance(text, str) for text in (self.identity, self.fingerprint, self.split, *self.ignore_genres)
        ):
            raise ValueError("a name that is no text")
        if any(s.num_posters > s.num_bytes for split in SPLITS for s in self.shards[split]):
            raise ValueError("more posters than bytes")


def located(path: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system that holds a path, and the path as that file system calls it.

    Args:
        path: A folder of this machine, or what fsspec knows: ``s3://bucket/posters``, ``memory://posters``.

    Raises:
        ConfigError: Nothing is known of such addresses here.
    """
    try:
        filesystem, place = fsspec.url_to_fs(path if "://" in path else os.path.abspath(os.path.expanduser(path)))
    except (ImportError, ValueError) as error:
        raise ConfigError(f"cannot reach {path}: {error}") from None
    return filesystem, str(place)


class ShardFolder:
    """The shards at a path: its index, and their rows. What is read is read anew each time, and nothing is kept."""

    def __init__(self, root: str) -> None:
        """Read the index, and see whether all shards are there, whole.

        Args:
            root: The folder: a path of this machine, or what fsspec knows.

        Raises:
            ConfigError: Nothing is known of such addresses here.
            DataError: There is no index, it cannot be used, or a shard is missing or has another size than it says.
        """
        self.root = root
        self.filesystem, self.place = located(root)
        try:
            text = self.filesystem.cat_file(f"{self.place}/{INDEX}")
            sizes = {
                str(entry["name"]).rsplit("/", 1)[-1]: entry["size"]
                for entry in self.filesystem.ls(self.place, detail=True, refresh=True)
            }
        except FileNotFoundError:
            raise DataError(
                f"no {INDEX} at {root}: it is written last, so that its shards are not all made; "
                f"make them with scripts/shard.py output={root}, which goes on where it was cut off"
            ) from None
        except OSError as error:
            raise DataError(f"cannot read shards at {root}: {error}") from None
        try:
            self.index = Index.from_json(text)
        except DataError as error:
            raise DataError(f"cannot use {root}/{INDEX}: {error}") from None
        self._check(sizes)

    def _check(self, sizes: dict[str, int]) -> None:
        wrong = [
            f"{shard.name} is missing"
            if shard.name not in sizes
            else f"{shard.name} has {sizes[shard.name]:,} bytes instead of {shard.num_bytes:,}"
            for shards in self.index.shards.values()
            for shard in shards
            if sizes.get(shard.name) != shard.num_bytes
        ]
        if wrong:
            told = f"{'; '.join(wrong[:SHOWN])}{' …' if len(wrong) > SHOWN else ''}"
            raise DataError(
                f"{len(wrong)} shard(s) at {self.root} cannot be used: {told}. Delete what is damaged, and index.json, "
                "and run the same scripts/shard.py again: it makes what is missing"
            )

    def read(self, shard: Shard, first: int, last: int, columns: Sequence[str] = TOLD) -> arrow.Table:
        """Return ``columns`` of the rows ``first`` to before ``last`` of a shard.

        Raises:
            DataError: The shard is gone, damaged, or not of this set.
        """
        size = self.index.group_rows
        begin, end = first // size, -(-last // size)
        try:
            with (
                self.filesystem.open(f"{self.place}/{shard.name}", "rb", cache_type="none") as file,
                parquet.ParquetFile(file, page_checksum_verification=True, pre_buffer=True) as opened,
            ):
                schema = opened.schema_arrow
                known = (schema.metadata or {}).get(KEY) == self.index.identity.encode()
                # A picture that is text would be taken for a path.
                if not known or any(schema.field(name).type != SCHEMA.field(name).type for name in columns):
                    raise DataError(f"{shard.name} at {self.root} is not a shard of the set that its {INDEX} describes")
                table = opened.read_row_groups(list(range(begin, end)), columns=list(columns), use_threads=False)
        except BROKEN as error:
            raise DataError(
                f"cannot read {shard.name} at {self.root}: {' '.join(str(error).split())}. Delete it and {INDEX}, and "
                "run the same scripts/shard.py again"
            ) from None
        rows = table.slice(first - begin * size, last - first)
        if len(rows) != last - first or any(rows.column(name).null_count for name in columns):
            raise DataError(f"{shard.name} at {self.root} lacks some of the posters that its {INDEX} counts")
        return rows
