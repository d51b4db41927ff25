"""Posters as batches, augmented when they train."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from postergenre.augment import Augment
from postergenre.data.pixels import Source


class Batch(NamedTuple):
    """B posters."""

    images: Tensor
    """``uint8 (B,3,H,W)``, or the floating-point features of a frozen prefix."""
    targets: Tensor
    """``float32 (B,G)``, 1 where a genre applies."""
    rows: Tensor
    """``int64 (B,)``, place of each poster in its split: padding and order can always be told."""


class Draw(NamedTuple):
    """What a sampler asks a dataset for."""

    epoch: int
    row: int


class PosterDataset(Dataset[Batch]):
    """The posters of one split. A sample depends on seed, epoch and poster, and on nothing else."""

    def __init__(
        self,
        sources: Sequence[Source],
        posters: Sequence[int],
        targets: Tensor,
        *,
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        """Prepare to read.

        Args:
            sources: Where posters are read from; with several, epoch by epoch in turn (features of augmented views).
            posters: Place in the sources of each of the N posters.
            targets: ``(N,G)``.
            augment: What happens to images; None for features, which it happened to before.
            seed: Of the augmentation.
        """
        assert len(posters) == len(targets)
        self.sources = sources
        self.posters = posters
        self.targets = targets
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.posters)

    def __getitems__(self, draws: Sequence[Draw]) -> Batch:
        """Return a whole batch; DataLoader asks for it where it is offered."""
        epoch = draws[0].epoch
        rows = [draw.row for draw in draws]
        posters = [self.posters[row] for row in rows]
        images = self.sources[epoch % len(self.sources)].read(posters)
        if self.augment is not None and self.augment.active:
            version = self.augment.version(epoch)
            seeds = [np.random.SeedSequence([self.seed, version, poster]).generate_state(1) for poster in posters]
            views = [self.augment(image, seed=int(seed[0])) for image, seed in zip(images, seeds, strict=True)]
            images = torch.stack(views)
        return Batch(images, self.targets[rows], torch.tensor(rows))


def as_it_is(batch: Any) -> Batch:
    """Return what ``__getitems__`` returned: DataLoader's ``collate_fn`` for datasets that make whole batches."""
    assert isinstance(batch, Batch)
    return batch


class Order(Sampler[Draw]):
    """Every row once an epoch: shuffled by (seed, epoch), or in order. Lightning calls ``set_epoch``."""

    def __init__(self, num_rows: int, *, shuffle: bool, seed: int = 0, epoch: int = 0) -> None:
        self.num_rows = num_rows
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = epoch

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
