"""Posters as samples: decoded, preprocessed, and augmented when they train."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from postergenre.augment import Augment
from postergenre.preprocess import Preprocess, open_picture


class Batch(NamedTuple):
    """What a loader yields: B posters (or, without the leading B, one)."""

    images: Tensor
    """``uint8 (B,3,H,W)``."""
    targets: Tensor
    """``float32 (B,G)``, 1 where a genre applies."""
    rows: Tensor
    """``int64 (B,)``, place of each poster in its split: padding and order can always be told."""


class Draw(NamedTuple):
    """What a sampler asks a dataset for."""

    epoch: int
    row: int


class PosterDataset(Dataset[Batch]):
    """The posters of one split; the augmentation of a sample depends on seed, epoch and row, and on nothing else."""

    def __init__(
        self, paths: Sequence[Path], targets: Tensor, preprocess: Preprocess, *, augment: Augment, seed: int
    ) -> None:
        assert len(paths) == len(targets)
        self.paths = list(paths)
        self.targets = targets  # (N, G)
        self.preprocess = preprocess
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, draw: Draw) -> Batch:
        image = self.preprocess(open_picture(self.paths[draw.row]))
        if self.augment.active:
            entropy = np.random.SeedSequence([self.seed, draw.epoch, draw.row]).generate_state(1)
            image = self.augment(image, seed=int(entropy[0]))
        return Batch(image, self.targets[draw.row], torch.tensor(draw.row))


class Order(Sampler[Draw]):
    """Every row once an epoch: shuffled by (seed, epoch), or in order. Lightning calls ``set_epoch``."""

    def __init__(self, num_rows: int, *, shuffle: bool, seed: int = 0) -> None:
        self.num_rows = num_rows
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.num_rows

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be that of ``epoch``."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Draw]:
        rows: Sequence[int] = range(self.num_rows)
        if self.shuffle:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(self.num_rows).tolist()
        return (Draw(self.epoch, row) for row in rows)
