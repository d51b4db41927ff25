"""The LightningDataModule over a poster CSV."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from postergenre.augment import Augment
from postergenre.data.corrections import Corrections
from postergenre.data.dataset import Batch, Order, PosterDataset, as_it_is, chances
from postergenre.data.manifest import SPLITS, Manifest
from postergenre.data.pixels import DecodedPosters, Source, decoded, pixel_store
from postergenre.data.posters import Posters, read_posters
from postergenre.data.splits import NUM_FOLDS, original_split, stratified_split
from postergenre.errors import CacheError, ConfigError, DataError
from postergenre.genres import GenreMapping, Genres
from postergenre.paths import expanded
from postergenre.preprocess import Preprocess

SOURCES = ("posters", "demo", "shards")
METHODS = ("fixed", "original", "column", "all")
ON_BAD_IMAGE = ("error", "skip")


@dataclass(kw_only=True, slots=True)
class DataConfig:
    """Which posters, who is in which split, and how they reach the network."""

    source: str = "posters"
    """``posters``: a CSV and pictures under ``root``. ``demo``: posters drawn by code into ``root`` when missing.
    ``shards``: what ``scripts/shard.py`` made of one of these, in the splits that it chose."""
    root: str = "data/posters"
    """Folder of the poster CSV; of shards, any path that fsspec knows."""
    manifest: str = "train.csv"
    """The CSV, within ``root``."""
    images: str = "Images"
    """Folder of ``<Id>.jpg`` within ``root`` (original schema only)."""
    num_demo_posters: int = 1200
    """How many posters ``source=demo`` draws."""
    split: str = "fixed"
    """``fixed``: 70/10/20 stratified over duplicate groups. ``original``: the source's random 80/20. ``column``: the
    CSV's own ``split`` column. ``all``: every poster is ``test``, to score what was trained elsewhere."""
    fold: int = 0
    """Which of five folds is the test split of ``split=fixed``; 0 is the one for everyday work."""
    ignore_genres: list[str] = field(default_factory=lambda: ["N/A"])
    """Names among the genres that are none: never a target. A poster with no other genre is left out."""
    min_positives: int = 40
    """Posters a genre needs, over all splits, to count in the headline ``map``."""
    exclude: str | None = None
    """A CSV with a column of ids (``id``, ``Id`` or ``image``): posters to leave out; others stay in their splits."""
    relabel: str | None = None
    """A CSV of genres to give or take: id, genre, suggested (1 or 0), as ``suspects.csv`` of ``scripts/audit.py``."""
    on_bad_image: str = "error"
    """``error`` names the pictures that do not decode and stops; ``skip`` lists them in the output folder."""
    balance: float = 0.0
    """0: every training poster once an epoch. 1: as many, drawn with replacement so that each genre comes about equally
    often. Between: milder. Probabilities then lean towards rare genres."""
    window: int = 2048
    """Posters of ``source=shards`` among which an epoch shuffles, besides the shards; twice as many are in memory."""
    cache: str = "~/.cache/postergenre"
    """Decoded pixels, features and what was learnt about pictures are kept here; it can be deleted at any time."""
    cache_limit: float = 20.0
    """Gigabytes of pixels and features to keep; what would be larger is computed anew each time. 0 keeps nothing."""
    batch_size: int = 32
    """Posters a step, on each device."""
    workers: int = -1
    """Processes that decode posters; 0 decodes in the main process, -1 means one per CPU core, at most 8. With several
    GPUs, each has so many, and -1 shares out the cores."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("source", self.source, SOURCES),
            ("split", self.split, METHODS),
            ("on_bad_image", self.on_bad_image, ON_BAD_IMAGE),
        ):
            if value not in known:
                raise ConfigError(f"no data.{name} {value!r}; known: {', '.join(known)}")
        if not 0.0 <= self.balance <= 1.0:
            raise ConfigError(f"data.balance must lie in 0 … 1, not {self.balance}")
        if self.cache_limit < 0:
            raise ConfigError(f"data.cache_limit must be 0 gigabytes or more, not {self.cache_limit:g}")
        if not 0 <= self.fold < NUM_FOLDS:
            raise ConfigError(f"data.fold must lie in 0 … {NUM_FOLDS - 1}, not {self.fold}")
        for number, given, least in (
            ("batch_size", self.batch_size, 1),
            ("workers", self.workers, -1),
            ("min_positives", self.min_positives, 1),
            ("num_demo_posters", self.num_demo_posters, 50),
            ("window", self.window, 1),
        ):
            if given < least:
                raise ConfigError(f"data.{number} must be at least {least}, not {given}")


@dataclass(kw_only=True, slots=True)
class Features:
    """What a frozen prefix of a network makes of all kept posters."""

    plain: Source
    """Of the posters as they are."""
    train: Sequence[Source]
    """Of the posters as they train: one source for each augmented view, or the plain one."""


class Shown(NamedTuple):
    """A poster to be looked at."""

    name: str
    picture: Path | bytes
    """The picture file: where it lies, or its content."""
    target: Tensor
    """``(G,)``."""


class PosterData(LightningDataModule):
    """Posters in splits.

    After ``setup`` it knows ``genres``, ``sizes`` and ``counts``, ``priors``, ``headline`` and ``fingerprint``.
    """

    streamed = False
    """Whether posters come one after the other, and none of them can be kept."""

    def __init__(
        self,
        config: DataConfig,
        preprocess: Preprocess,
        *,
        augment: Augment | None = None,
        seed: int = 0,
        mapping: GenreMapping | None = None,
        posters: Posters | None = None,
        corrections: Corrections | None = None,
    ) -> None:
        """Prepare to set up.

        Args:
            config: Which posters, in which splits.
            preprocess: How a poster becomes pixels.
            augment: What happens to training posters.
            seed: Of their order and augmentation.
            mapping: What happens to the genres that the CSV names.
            posters: What ``read`` returned before for the same posters, so that another fold need not read them again.
            corrections: What ``data.exclude`` and ``data.relabel`` said in training, instead of what they say now.
        """
        super().__init__()
        self.config = config
        self.preprocess = preprocess
        self.augment = augment or Augment()
        self.seed = seed
        self.mapping = mapping or GenreMapping()
        self.posters = posters
        """All posters, whatever split they are in; after ``setup``."""
        self.corrections = corrections
        self.manifest: Manifest | None = None
        self.splits: list[str] = []
        """The split of each poster of the manifest; after ``setup``."""
        self.features: Features | None = None
        """What a frozen prefix makes of the posters, to be fed to the rest of the network instead of images."""
        self.first_epoch = 0
        """Where a resumed run goes on: loader workers fetch ahead before Lightning tells a sampler its epoch."""
        self.first_batch = 0
        """Batches of that epoch which each process had before."""
        self.rank, self.num_ranks, self.num_local = 0, 1, 1
        """Which process this is, of how many that share the posters, and how many of them are on this machine."""
        self.pin_memory = False
        """Whether batches lie in memory that a GPU copies from while it computes."""
        self.notes: list[str] = []
        """What was left out and why, a sentence each."""
        self.bad: list[tuple[Path, str]] = []
        """Pictures that do not decode, and why."""
        self._keeps_pixels = config.cache_limit > 0

    def prepare_data(self) -> None:
        """Draw the demo posters, where they are asked for and not there yet."""
        if self.config.source == "demo":
            from postergenre.data.synthetic import write_demo_set  # drawing is for the demo alone

            write_demo_set(self._root(), num_posters=self.config.num_demo_posters)

    def folder(self) -> Path:
        """Return where the poster CSV lies.

        Raises:
            DataError: There is no such folder.
        """
        root = self._root()
        if not root.is_dir():
            raise DataError(
                f"no posters at {root}: put a poster CSV ({self.config.manifest}) and its pictures there, or point "
                "data.root=FOLDER at them, or start with data=demo, which draws its own; see 'Posters' in README.md"
            )
        return root

    def read(self) -> Posters:
        """Return all posters: the CSV read and checked, every picture looked at once.

        Raises:
            DataError: The posters cannot be used as they are.
        """
        config, root = self.config, self.folder()
        return read_posters(
            self.table,
            images=root / config.images,
            ignore=config.ignore_genres,
            skip_bad=config.on_bad_image == "skip",
            cache=expanded(config.cache),
            mapping=self.mapping,
            exclude=expanded(config.exclude) if config.exclude else None,
            relabel=expanded(config.relabel) if config.relabel else None,
            corrections=self.corrections,
        )

    def setup(self, stage: str | None = None) -> None:
        """Read the posters, where that was not done before, and split them.

        Raises:
            DataError: The posters cannot be used as they are.
        """
        if self.manifest is not None:
            return
        self.posters = posters = self.posters or self.read()
        manifest, kept, targets = posters.manifest, posters.kept, posters.targets
        self.splits = splits = self._split(posters)
        self.notes += posters.notes
        self.bad, self.groups = posters.bad, posters.groups
        self.manifest = manifest
        self.kept = kept
        self.identity = posters.identity
        self.rows = {name: [i for i in kept if splits[i] == name] for name in SPLITS}
        self.targets = {name: targets[rows] for name, rows in self.rows.items()}
        self._count(manifest.genres, {name: targets.sum(dim=0) for name, targets in self.targets.items()})
        self.fingerprint = sha256(
            "\n".join(sorted(f"{manifest.ids[i]}\t{splits[i]}\t{'|'.join(manifest.labels[i])}" for i in kept)).encode()
        ).hexdigest()

    def _count(self, genres: Genres, counts: dict[str, Tensor]) -> None:
        """Learn from how many posters of each split ``(G,)`` have each genre what can be learnt from it."""
        self.genres = genres
        self.counts = counts
        """``(G,)`` posters of each split that have each genre."""
        needed = ("test",) if self.config.split == "all" else ("train", "val")
        if empty := [name for name in needed if not self.sizes[name]]:
            raise DataError(f"no poster in split {' and '.join(empty)} of {self.place}")
        total = torch.stack([*counts.values()]).sum(dim=0)
        least = self.config.min_positives
        self.headline: list[str] = [g for g, count in zip(genres, total, strict=True) if count >= least]
        if not self.headline and self.config.split != "all":
            raise DataError(
                f"no genre has {least} posters (the most frequent has {int(total.max())}); lower data.min_positives"
            )
        self.priors: list[float] = (counts["train"] / self.sizes["train"]).tolist()

    @property
    def sizes(self) -> dict[str, int]:
        """Posters of each split."""
        return {split: len(rows) for split, rows in self.rows.items()}

    @property
    def place(self) -> str:
        """Where the posters lie, in words."""
        return str(self.table)

    @property
    def corrected(self) -> Corrections | None:
        """What the user left out and changed; after ``setup``."""
        return self.posters.corrections if self.posters else None

    @property
    def root(self) -> str:
        """``data.root``, wherever it is read from."""
        return str(expanded(self.config.root).absolute())

    @property
    def order(self) -> dict[str, Any]:
        """What the order of training posters depends on, as plain data: a run can only go on in an epoch of its own."""
        return {
            "seed": self.seed,
            "data.batch_size": self.config.batch_size,
            "data.balance": self.config.balance,
            "number of processes": self.num_ranks,
        }

    def shown(self, split: str, rows: Sequence[int]) -> list[Shown]:
        """Return posters of a split, by their rows, to be looked at."""
        assert self.manifest is not None
        posters = [self.rows[split][row] for row in rows]
        return [
            Shown(self.manifest.ids[poster], Path(self.manifest.files[poster]), self.targets[split][row])
            for row, poster in zip(rows, posters, strict=True)
        ]

    def pixels(self, split: str, rows: Sequence[int]) -> Tensor:
        """Return posters of a split, by their rows, as the network takes them: ``uint8 (B,3,H,W)``."""
        place = {poster: number for number, poster in enumerate(self.kept)}
        return self.images().read([place[self.rows[split][row]] for row in rows])

    def paths(self, split: str) -> list[Path]:
        """Return the pictures of a split, in the order of its rows."""
        assert self.manifest is not None
        return [Path(self.manifest.files[i]) for i in self.rows[split]]

    def write_tables(self, folder: Path) -> None:
        """Write ``splits.csv`` (every distinct poster) and, where some do not decode, ``bad_images.csv``."""
        assert self.manifest is not None
        kept = {i for rows in self.rows.values() for i in rows}
        with (folder / "splits.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["id", "split", "group"])
            for i, name in enumerate(self.manifest.ids):
                table.writerow([name, self.splits[i] if i in kept else "", self.groups[i]])
        if self.bad:
            with (folder / "bad_images.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("image", "problem"), *self.bad])

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the training posters, shuffled and augmented."""
        return self.loader("train", train=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the validation posters in order."""
        return self.loader("val")

    def loader(self, split: str, *, train: bool = False) -> DataLoader[Batch]:
        """Return the posters of a split in order, or, to train on, shuffled (or balanced) and augmented."""
        sources: Sequence[Source]
        if self.features is None:
            sources, augment = [self.images()], self.augment if train else None
        else:
            sources, augment = (self.features.train if train else [self.features.plain]), None
        place = {poster: number for number, poster in enumerate(self.kept)}
        dataset = PosterDataset(
            sources,
            [place[poster] for poster in self.rows[split]],
            self.targets[split],
            augment=augment,
            seed=self.seed,
        )
        # Reading rows of a file needs no help; decoding and augmenting do.
        idle = not isinstance(sources[0], DecodedPosters) and not (augment and augment.active)
        workers = 0 if idle else self.num_workers
        order = Order(
            len(dataset),
            shuffle=train,
            chances=chances(dataset.targets, balance=self.config.balance) if train and self.config.balance else None,
            seed=self.seed,
            epoch=self.first_epoch if train else 0,
            skip=self.first_batch * self.config.batch_size if train else 0,
            rank=self.rank,
            num_ranks=self.num_ranks,
        )
        if not len(order):
            raise DataError(f"{len(dataset)} poster(s) to {split} on cannot be shared among {self.num_ranks} processes")
        return self._batches(dataset, order, workers=workers)

    def _batches(self, dataset: Dataset[Batch], order: Sampler[Any], *, workers: int) -> DataLoader[Batch]:
        return DataLoader(
            dataset,
            batch_size=self.config.batch_size,
            sampler=order,
            collate_fn=as_it_is,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self.pin_memory,
            generator=torch.Generator().manual_seed(self.seed),  # else each epoch draws from the global state
        )

    @property
    def num_workers(self) -> int:
        """Processes that decode or augment posters for this one."""
        if self.config.workers >= 0:
            return self.config.workers
        return min(max((os.cpu_count() or 1) // self.num_local, 1), 8)

    def images(self, *, write: bool = False) -> Source:
        """Return all kept posters as ``uint8 (B,3,H,W)``: decoded before if that was kept, else as they are asked for.

        Args:
            write: Decode them all now, if that was not done before, and keep them within ``data.cache_limit``.
        """
        assert self.manifest is not None
        files = [self.manifest.files[i] for i in self.kept]
        store = pixel_store(self.identity, len(files), self.preprocess, self.stores)
        if write and self._keeps_pixels:
            try:
                store.write(decoded(files, self.preprocess), limit=self.config.cache_limit)
            except CacheError as problem:
                self._keeps_pixels = False  # neither try nor tell twice
                self.notes.append(f"pixels are not kept, posters are decoded in every epoch: {problem}")
        return store if store.open() else DecodedPosters(files, self.preprocess)

    @property
    def stores(self) -> Path:
        """Folder of the kept pixels and features."""
        return expanded(self.config.cache) / "stores"

    @property
    def table(self) -> Path:
        """The poster CSV."""
        return self._root() / self.config.manifest

    def _root(self) -> Path:
        root = expanded(self.config.root)
        # A set of another size is another set: it gets another folder.
        return root / f"{self.config.num_demo_posters}" if self.config.source == "demo" else root

    def _split(self, posters: Posters) -> list[str]:
        manifest, parted = posters.manifest, posters.parted
        match self.config.split:
            case "column":
                if manifest.splits is None:
                    raise DataError(f"data.split=column, but {self.config.manifest} has no column 'split'")
                return manifest.splits
            case "all":
                return ["test"] * len(manifest.ids)
            case "original":
                return original_split(manifest.rows)
            case _:
                ids, groups = [manifest.ids[i] for i in parted], np.array(posters.groups)[parted]
                sides = stratified_split(ids, posters.given[parted].numpy(), groups, fold=self.config.fold)
                splits = [""] * len(manifest.ids)
                for i, side in zip(parted, sides, strict=True):
                    splits[i] = side
                return splits
