"""Posters in shards behind the DataModule of posters in a folder."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from typing_extensions import override

from postergenre.augment import Augment
from postergenre.data.corrections import Corrections
from postergenre.data.datamodule import DataConfig, PosterData, Shown
from postergenre.data.dataset import Batch
from postergenre.data.manifest import SPLITS
from postergenre.data.pixels import Source
from postergenre.data.posters import Posters
from postergenre.data.shards import Shard, ShardFolder, located
from postergenre.data.streams import Stream, StreamedPosters
from postergenre.errors import ConfigError, DataError
from postergenre.genres import GenreMapping
from postergenre.preprocess import Preprocess


def build_data(
    config: DataConfig,
    preprocess: Preprocess,
    *,
    augment: Augment | None = None,
    seed: int = 0,
    mapping: GenreMapping | None = None,
    posters: Posters | None = None,
    corrections: Corrections | None = None,
) -> PosterData:
    """Return the DataModule that ``config.source`` asks for, to be set up; for the arguments see ``PosterData``.

    Raises:
        ConfigError: Shards, which are written once, cannot be changed in the way the settings say.
    """
    if config.source != "shards":
        return PosterData(
            config, preprocess, augment=augment, seed=seed, mapping=mapping, posters=posters, corrections=corrections
        )
    if (mapping and mapping.active) or config.exclude or config.relabel:
        raise ConfigError(
            "shards hold the posters and genres they were made with: give genres, data.exclude and data.relabel to "
            "scripts/shard.py"
        )
    return ShardedPosterData(config, preprocess, augment=augment, seed=seed)


class ShardedPosterData(PosterData):
    """Posters streamed from shards: in memory are the index, and the posters of two windows."""

    streamed = True

    @override
    def read(self) -> Posters:
        raise ConfigError("shards are already read and divided: this needs the poster CSV, data.source=posters")

    @override
    def setup(self, stage: str | None = None) -> None:
        """Read the index.

        Raises:
            ConfigError: The shards were divided in another way than the settings say.
            DataError: The shards cannot be used as they are.
        """
        if hasattr(self, "shelf"):
            return
        config = self.config
        folder = ShardFolder(config.root)
        index = folder.index
        for name in ("split", "fold", "ignore_genres"):
            ours, theirs = getattr(config, name), getattr(index, name)
            if ours != theirs and (name, ours) != ("split", "all"):
                raise ConfigError(
                    f"data.{name}={ours}, but the shards at {config.root} were divided with {theirs}: write "
                    f"data.{name}={str(theirs).replace(' ', '')}, or make others"
                )
        self.shelf = folder
        self.fingerprint = index.fingerprint
        self.identity = index.identity
        counts = {split: torch.tensor(index.counts[split]).float() for split in SPLITS}
        self.shards: dict[str, list[Shard]] = index.shards
        if config.split == "all":
            nothing = torch.zeros(len(index.genres))
            self.shards = {"train": [], "val": [], "test": [shard for split in SPLITS for shard in index.shards[split]]}
            counts = {"train": nothing, "val": nothing, "test": torch.stack([*counts.values()]).sum(dim=0)}
        self._count(index.genres, counts)

    @property
    @override
    def sizes(self) -> dict[str, int]:
        return {split: sum(shard.num_posters for shard in shards) for split, shards in self.shards.items()}

    @property
    @override
    def place(self) -> str:
        return self.config.root

    @property
    @override
    def root(self) -> str:
        filesystem, place = located(self.config.root)
        return str(filesystem.unstrip_protocol(place)) if "://" in self.config.root else place

    @property
    @override
    def order(self) -> dict[str, Any]:
        return super().order | {"data.window": self.config.window, "shards": self.identity}

    @override
    def loader(self, split: str, *, train: bool = False) -> DataLoader[Batch]:
        order = Stream(
            self.shelf,
            self.shards[split],
            shuffle=train,
            window=self.config.window,
            seed=self.seed,
            epoch=self.first_epoch if train else 0,
            skip=self.first_batch * self.config.batch_size if train else 0,
            rank=self.rank,
            num_ranks=self.num_ranks,
        )
        if not len(order):
            size = self.sizes[split]
            raise DataError(f"{size} poster(s) to {split} on cannot be shared among {self.num_ranks} processes")
        dataset = StreamedPosters(
            len(order), self.genres, self.preprocess, augment=self.augment if train else None, seed=self.seed
        )
        return self._batches(dataset, order, workers=self.num_workers)

    @override
    def paths(self, split: str) -> list[Path]:
        """Return the names of a split's posters, in the order of its rows: in shards they have no other place."""
        shards = self.shards[split]
        tables = (self.shelf.read(shard, 0, shard.num_posters, ["id"]) for shard in shards)
        return [Path(name) for table in tables for name in table.column("id").to_pylist()]

    @override
    def shown(self, split: str, rows: Sequence[int]) -> list[Shown]:
        starts = [0]
        for shard in self.shards[split]:
            starts.append(starts[-1] + shard.num_posters)
        found: dict[int, Shown] = {}
        wanted = set(rows)
        for shard, (start, end) in zip(self.shards[split], pairwise(starts), strict=True):
            for row in sorted(wanted.intersection(range(start, end))):
                (told,) = self.shelf.read(shard, row - start, row - start + 1).to_pylist()
                found[row] = Shown(told["id"], told["image"], self.genres.encode(told["genres"]))
        return [found[row] for row in rows]

    @override
    def pixels(self, split: str, rows: Sequence[int]) -> Tensor:
        return torch.stack([self.preprocess.read(poster.picture) for poster in self.shown(split, rows)])

    @override
    def images(self, *, write: bool = False) -> Source:
        raise AssertionError("streamed posters are not kept")

    @override
    def write_tables(self, folder: Path) -> None:
        """Write which shards these are: ``shards.json``."""
        (folder / "shards.json").write_text(self.shelf.index.to_json(), encoding="utf-8")
