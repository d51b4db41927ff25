"""Posters as batches, augmented when they train."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypedDict, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from typing_extensions import Unpack

from postergenre.augment import Augment
from postergenre.data.pixels import Source

T_co = TypeVar("T_co", covariant=True)


class Settings(TypedDict, total=False):
    """Arguments of ``Epochs`` that every order has."""

    seed: int
    epoch: int
    skip: int
    rank: int
    num_ranks: int


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
        images = augmented(images, posters, self.augment, seed=self.seed, epoch=epoch)
        return Batch(images, self.targets[rows], torch.tensor(rows))


def augmented(images: Tensor, posters: Sequence[int], augment: Augment | None, *, seed: int, epoch: int) -> Tensor:
    """Return images ``uint8 (B,3,H,W)`` as they are seen in an epoch.

    Args:
        images: As they are.
        posters: Place of each among all posters of the set.
        augment: What happens to them.
        seed: Of what happens.
        epoch: From 0.
    """
    if augment is None or not augment.active:
        return images
    version = augment.version(epoch)
    seeds = [np.random.SeedSequence([seed, version, poster]).generate_state(1) for poster in posters]
    return torch.stack([augment(image, seed=int(state[0])) for image, state in zip(images, seeds, strict=True)])


def as_it_is(batch: Any) -> Batch:
    """Return what ``__getitems__`` returned: DataLoader's ``collate_fn`` for datasets that make whole batches."""
    assert isinstance(batch, Batch)
    return batch


def chances(targets: Tensor, *, balance: float) -> Tensor:
    """Return how likely each poster is to be drawn, so that rare genres are drawn more often than they are frequent.

    A poster is drawn as its rarest genre g asks, by ``n_g ** -balance``, where n_g posters have g: the maximum is that
    of repeat factor sampling (Gupta et al., "LVIS", 2019, with the power 0.5). Genres come together, so no weights draw
    all of them equally often, as class-aware sampling does where each picture has one class (Shen et al., 2016). With
    balance 1 and the maximum, each genre is in at least 1/G of the draws; a mean over a poster's genres would not grant
    that to a rare one that comes with frequent ones.

    Args:
        targets: ``(N,G)``, 1 where a genre applies; each poster has one at least.
        balance: 0: all posters alike. 1: genres about equally often.

    Returns:
        ``float64 (N,)``, which sum to 1.
    """
    counts = targets.double().sum(dim=0).clamp(min=1)  # (G,): one that no poster has divides nothing
    weights = (targets * counts**-balance).amax(dim=1)
    return weights / weights.sum()


class Epochs(Sampler[T_co]):
    """Posters epoch by epoch, shared by processes: what an order in memory and that of a stream have in common.

    All processes get as many. To train, the last few posters that do not divide by their number are left out, others in
    each epoch; in order, the first come again at the end, to be told by their rows.

    Lightning calls ``set_epoch``.
    """

    def __init__(
        self,
        num_posters: int,
        *,
        shuffle: bool,
        seed: int = 0,
        epoch: int = 0,
        skip: int = 0,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        """Prepare to pass.

        Args:
            num_posters: Of all processes together.
            shuffle: Give the posters to train on; else in order.
            seed: Of the order.
            epoch: The first to pass.
            skip: Posters of that epoch which this process had before it was cut off.
            rank: Which of the processes this is.
            num_ranks: How many there are.
        """
        self.num_posters = num_posters
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = epoch
        self.begun = epoch, skip
        self.rank = rank
        self.num_ranks = num_ranks

    def __len__(self) -> int:
        return self.num_posters // self.num_ranks if self.shuffle else -(-self.num_posters // self.num_ranks)

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be that of ``epoch``."""
        self.epoch = epoch

    @property
    def skip(self) -> int:
        """Posters of this epoch which this process had before."""
        epoch, skip = self.begun
        return skip if self.epoch == epoch else 0


class Order(Epochs[Draw]):
    """The rows of an epoch: each once, shuffled by (seed, epoch) or in order, or as many drawn by ``chances``.

    Of W processes, number r takes the places r, r + W, r + 2W … of that one order, so that their batches of B are
    together what one process would take in a batch of W * B.
    """

    def __init__(
        self, num_posters: int, *, shuffle: bool, chances: Tensor | None = None, **settings: Unpack[Settings]
    ) -> None:
        """Prepare to pass.

        Args:
            num_posters: Of all processes together.
            shuffle: Give the posters to train on; else in order.
            chances: ``(N,)`` how likely each is to be drawn, where not each comes once.
            settings: See ``Epochs``.
        """
        assert shuffle or chances is None
        super().__init__(num_posters, shuffle=shuffle, **settings)
        self.chances = chances

    def __iter__(self) -> Iterator[Draw]:
        rows: Sequence[int] = range(self.num_posters)
        random = np.random.default_rng([self.seed, self.epoch])
        if self.chances is not None:
            rows = random.choice(self.num_posters, size=self.num_posters, p=self.chances.numpy()).tolist()
        elif self.shuffle:
            rows = random.permutation(self.num_posters).tolist()
        places = range(self.rank, len(self) * self.num_ranks, self.num_ranks)
        return (Draw(self.epoch, rows[place % self.num_posters]) for place in places[self.skip :])
