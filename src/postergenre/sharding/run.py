"""Make shards of a poster CSV."""

import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as arrow  # type: ignore[import-untyped]
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]
from pyarrow import parquet
from rich.console import Console
from rich.progress import track

from postergenre.data.datamodule import PosterData
from postergenre.data.manifest import SPLITS
from postergenre.data.shards import BROKEN, INDEX, KEY, SCHEMA, Index, Shard, located
from postergenre.errors import DataError, PosterGenreError
from postergenre.preprocess import Preprocess
from postergenre.sharding.config import ShardConfig
from postergenre.sharding.pictures import stored
from postergenre.sharding.plan import GROUP_ROWS, MEGABYTE, Plan, Planned, planned
from postergenre.stopping import stops_told

DRAFT = ".draft"
"""Ends the name of a shard that is not whole yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharded:
    """What making shards left."""

    index: Index
    num_written: int
    """Shards that were not there before."""


def shard(config: ShardConfig, *, console: Console | None = None) -> Sharded:
    """Write the posters of a CSV as shards, and last their index; shards that are there already are not made again.

    A shard appears when it is whole. Splits, and so the groups of posters that show the same art, are those that
    training on the CSV would have.

    Args:
        config: What to do.
        console: Where to say what happens; the terminal where nothing is said.

    Raises:
        DataError: The posters cannot be used as they are, or the place holds other shards or cannot be written.
        ConfigError: Nothing is known of such a place here.
        StoppedError: Ctrl-C or SIGTERM; whole shards stay.
    """
    console = console or Console()
    filesystem, place = located(config.output)
    data = PosterData(replace(config.data, min_positives=1), Preprocess(), mapping=config.genres)
    data.prepare_data()
    data.setup()
    started = time.perf_counter()
    kept = stops_told(
        f"stopped; the shards that are whole stay in {config.output}, and the same command goes on with them"
    )
    try:
        with kept:
            plan = planned(data, config)
            filesystem.makedirs(place, exist_ok=True)
            there = _there(filesystem, place, plan, config.output)
            missing = [planned for planned in plan.shards if planned.name not in there]
            with ThreadPoolExecutor() as pool:  # decoders and disks work outside the interpreter lock
                for shard in track(missing, "writing shards", transient=True, disable=not console.is_terminal):
                    _write(shard, data, config, plan.identity, filesystem, f"{place}/{shard.name}", pool)
            index = _index(data, config, plan, _sizes(filesystem, place))
            _whole(filesystem, f"{place}/{INDEX}", index.to_json().encode())
    except PosterGenreError:
        raise
    except OSError as error:
        raise DataError(f"cannot write shards to {config.output}: {error}") from None
    for note in data.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    shards = [shard for split in SPLITS for shard in index.shards[split]]
    sizes = ", ".join(f"{index.num_posters(split):,} {split}" for split in SPLITS if index.shards[split])
    console.print(
        f"{sizes} posters in {len(shards):,} shards, {sum(shard.num_bytes for shard in shards) / MEGABYTE:,.0f} MB; "
        f"{len(missing):,} written now, in {time.perf_counter() - started:.0f} s\n"
        f"train on them: python scripts/train.py data=shards data.root={config.output}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return Sharded(index=index, num_written=len(missing))


def _there(filesystem: AbstractFileSystem, place: str, plan: Plan, output: str) -> set[str]:
    """Return the names of the shards that are there, after the drafts of a run that was cut off are gone.

    Raises:
        DataError: They are of other posters, or were made with other settings.
    """
    wanted = {planned.name: len(planned.posters) for planned in plan.shards}
    found = set()
    for name in _sizes(filesystem, place):
        path = f"{place}/{name}"
        if name.endswith(DRAFT):
            filesystem.rm_file(path)
        elif name.endswith(".parquet"):
            try:
                with filesystem.open(path, "rb") as file, parquet.ParquetFile(file) as opened:
                    identity, num_posters = (opened.schema_arrow.metadata or {}).get(KEY), opened.metadata.num_rows
            except BROKEN as error:
                raise DataError(f"{name} in {output} is damaged ({error}); delete it and start again") from None
            if identity != plan.identity.encode() or wanted.get(name) != num_posters:
                raise DataError(
                    f"{output} holds shards of other posters or other settings ({name}); give another output, or "
                    "delete them"
                )
            found.add(name)
    return found


def _sizes(filesystem: AbstractFileSystem, place: str) -> dict[str, int]:
    entries = filesystem.ls(place, detail=True, refresh=True)
    return {str(entry["name"]).rsplit("/", 1)[-1]: entry["size"] for entry in entries}


def _write(
    shard: Planned,
    data: PosterData,
    config: ShardConfig,
    identity: str,
    filesystem: AbstractFileSystem,
    path: str,
    pool: ThreadPoolExecutor,
) -> None:
    draft = _draft(path)
    schema = SCHEMA.with_metadata({KEY: identity.encode()})
    with (
        filesystem.open(draft, "wb") as file,
        parquet.ParquetWriter(
            file,
            schema,
            compression="NONE",  # pictures are
            use_dictionary=False,
            write_statistics=False,  # whole pictures would stand in the footer
            write_page_checksum=True,
        ) as writer,
    ):
        for group in _groups(shard, data, config, pool):
            writer.write_table(arrow.Table.from_pylist(group, schema=schema), row_group_size=GROUP_ROWS)
    filesystem.mv(draft, path)


def _groups(
    shard: Planned, data: PosterData, config: ShardConfig, pool: ThreadPoolExecutor
) -> Iterator[list[dict[str, object]]]:
    """Yield the rows of a shard as they are read together."""
    manifest = data.manifest
    assert manifest is not None
    numbers = {poster: number for number, poster in enumerate(data.kept)}
    for start in range(0, len(shard.posters), GROUP_ROWS):
        posters = shard.posters[start : start + GROUP_ROWS]
        files = [manifest.files[poster] for poster in posters]
        pictures = pool.map(lambda file: stored(file, longest=config.longest, quality=config.quality), files)
        yield [
            {
                "id": manifest.ids[poster],
                **picture._asdict(),
                "genres": manifest.labels[poster],
                "split": shard.split,
                "poster": numbers[poster],
                "group": data.groups[poster],
            }
            for poster, picture in zip(posters, pictures, strict=True)
        ]


def _index(data: PosterData, config: ShardConfig, plan: Plan, sizes: dict[str, int]) -> Index:
    return Index(
        identity=plan.identity,
        fingerprint=data.fingerprint,
        genres=data.genres,
        split=config.data.split,
        fold=config.data.fold,
        ignore_genres=list(config.data.ignore_genres),
        group_rows=GROUP_ROWS,
        counts={split: counts.int().tolist() for split, counts in data.counts.items()},
        shards={
            split: [
                Shard(name=shard.name, num_posters=len(shard.posters), num_bytes=sizes[shard.name])
                for shard in plan.shards
                if shard.split == split
            ]
            for split in SPLITS
        },
    )


def _whole(filesystem: AbstractFileSystem, path: str, content: bytes) -> None:
    """Write a file that appears when it is whole."""
    draft = _draft(path)
    filesystem.pipe_file(draft, content)
    filesystem.mv(draft, path)


def _draft(path: str) -> str:
    return f"{path}.{platform.node()}.{os.getpid()}{DRAFT}"
