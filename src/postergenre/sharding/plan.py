"""Which poster goes where, before anything is written: so that a run that was cut off goes on as if it never was."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from postergenre.data.datamodule import PosterData
from postergenre.data.manifest import SPLITS
from postergenre.data.shards import FORMAT
from postergenre.sharding.config import ShardConfig
from postergenre.sharding.pictures import stored

GROUP_ROWS = 64
"""Posters that are read at once: a megabyte or a few."""
SAMPLE = 64
"""Posters of a split that tell how large its pictures become."""
MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A shard to be written."""

    name: str
    split: str
    posters: list[int]
    """Places in the manifest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All shards of a set."""

    shards: list[Planned]
    identity: str
    """What tells these shards from those of other posters or settings."""


def planned(data: PosterData, config: ShardConfig) -> Plan:
    """Return the shards of posters that are set up: about ``config.size`` each, as even as can be.

    The plan depends on posters, splits and settings, and not on the machine or on what is written already.
    """
    shards = [
        Planned(name=f"{split}-{number:05}.parquet", split=split, posters=part.tolist())
        for place, split in enumerate(SPLITS)
        if data.rows[split]
        for number, part in enumerate(_parts(data, _ordered(data.rows[split], config, place), config))
    ]
    return Plan(shards=shards, identity=_identity(data, shards, config))


def _ordered(posters: Sequence[int], config: ShardConfig, place: int) -> list[int]:
    if not config.shuffle:
        return list(posters)
    order: list[int] = np.random.default_rng([config.seed, place]).permutation(posters).tolist()
    return order


def _parts(
    data: PosterData, posters: list[int], config: ShardConfig
) -> Iterator[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Yield the posters of each shard of a split."""
    assert data.manifest is not None
    files = [data.manifest.files[poster] for poster in posters]
    if config.longest:
        some = files[:: max(len(files) // SAMPLE, 1)]
        sizes = [len(stored(file, longest=config.longest, quality=config.quality).image) for file in some]
        num_bytes = sum(sizes) * len(files) / len(sizes)
    else:
        num_bytes = sum(Path(file).stat().st_size for file in files)
    count = min(max(math.ceil(num_bytes / (config.size * MEGABYTE)), 1), len(posters))
    yield from np.array_split(np.array(posters), count)


def _identity(data: PosterData, shards: Sequence[Planned], config: ShardConfig) -> str:
    assert data.manifest is not None
    settings = [FORMAT, GROUP_ROWS, config.longest, config.quality if config.longest else None, list(data.genres)]
    digest = sha256(json.dumps([data.fingerprint, *settings]).encode())
    for shard in shards:
        digest.update(f"\n{shard.name}".encode())
        for poster in shard.posters:
            size = Path(data.manifest.files[poster]).stat().st_size
            digest.update(f"\n{poster}\t{data.manifest.ids[poster]}\t{size}".encode(errors="surrogateescape"))
    return digest.hexdigest()
