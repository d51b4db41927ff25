"""Posters from shards as batches, in an order that follows from seed, epoch and process, and from nothing else.

The process that trains reads shards and hands whole pictures, still encoded, to the workers that decode them. So the
order does not depend on the number of workers, bytes are read once (but for the groups that two windows share), and to
go on in the middle of an epoch is to begin at a later place of the same order.

Two libraries were tried on the 5,076 original posters to train on (2 workers a process, batches of 32). litdata 0.2
resumes exactly, but shares an epoch either unevenly (among three processes 52, 52 and 55 batches, at which they would
wait for each other for ever) or without some of its posters (84); it reads no ``memory://``, and brings boto3, obstore
and tifffile. webdataset 1.0 deals out whole shards (among two processes 93 and 68 batches), cannot go on within an
epoch, and takes half as much CPU time again. Exact scores of several processes need as many batches in each, and what
is repeated to that end told by its row. This reader takes the CPU time of decoding a folder, within a tenth.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pyarrow as arrow  # type: ignore[import-untyped]
import torch
from torch import Tensor
from torch.utils.data import Dataset
from typing_extensions import Unpack

from postergenre.augment import Augment
from postergenre.data.dataset import Batch, Epochs, Settings, augmented
from postergenre.data.shards import TOLD, Shard, ShardFolder
from postergenre.errors import PictureError
from postergenre.genres import Genres
from postergenre.preprocess import Preprocess

READERS = 4
"""Shards that are read at the same time: far storage answers slowly, but many at once."""


class Sample(NamedTuple):
    """A poster on its way to whoever decodes it."""

    epoch: int
    row: int
    """Its place in the split."""
    poster: int
    """Its place among all posters of the set."""
    name: str
    image: bytes
    """A whole picture file."""
    genres: list[str]


class Piece(NamedTuple):
    """Neighbours in a shard."""

    shard: int
    """Which of the split's shards."""
    first: int
    last: int
    """Behind the last."""


class Stream(Epochs[Sample]):
    """The posters of an epoch, each once: shuffled by (seed, epoch), or in order.

    The shards in a new order, one behind the other, are divided among W processes, each of which reads its part window
    by window and shuffles each window.

    While one window is trained on, the next is read: two are in memory at any time, however many posters there are.
    """

    def __init__(
        self,
        folder: ShardFolder,
        shards: Sequence[Shard],
        *,
        shuffle: bool,
        window: int,
        **settings: Unpack[Settings],
    ) -> None:
        """Prepare to read; for the other arguments see ``Epochs``.

        Args:
            folder: Where shards are read.
            shards: Those of the split.
            shuffle: Give the posters to train on; else in order.
            window: Posters among which is shuffled.
            settings: See ``Epochs``.
        """
        self.folder = folder
        self.shards = shards
        self.window = window
        self.starts: list[int] = np.cumsum([0, *(shard.num_posters for shard in shards)]).tolist()
        """Row of each shard's first poster; at the end, the number of posters."""
        super().__init__(self.starts[-1], shuffle=shuffle, **settings)

    def __iter__(self) -> Iterator[Sample]:
        epoch, skip, num_posters = self.epoch, self.skip, len(self)
        order = list(range(len(self.shards)))
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.shards)).tolist()
        starts = np.cumsum([0, *(self.shards[shard].num_posters for shard in order)]).tolist()
        windows = range(skip // self.window, -(-num_posters // self.window))
        pool = ThreadPoolExecutor(READERS)

        def begin(number: int) -> list[Future[arrow.Table]]:
            first = number * self.window
            last = min(first + self.window, num_posters)
            before = self.rank * num_posters
            pieces = _pieces(starts, order, before + first, before + last) if number in windows else ()
            return [pool.submit(self._read, piece) for piece in pieces]

        try:
            ahead = begin(windows.start)
            for number in windows:
                # As Arrow holds it; a poster becomes an object of Python when it is passed on.
                table = arrow.concat_tables(future.result() for future in ahead)
                ahead = begin(number + 1)
                places = np.arange(len(table))
                if self.shuffle:
                    np.random.default_rng([self.seed, epoch, 1 + self.rank, number]).shuffle(places)
                columns = [table.column(name) for name in ("row", *TOLD)]
                for place in places[max(skip - number * self.window, 0) :].tolist():
                    row, name, image, genres, poster = (column[place].as_py() for column in columns)
                    yield Sample(epoch, row, poster, name, image, genres)
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, piece: Piece) -> arrow.Table:
        """Return the columns of ``TOLD`` and ``row``, the place of each poster in the split."""
        row = self.starts[piece.shard] + piece.first
        table = self.folder.read(self.shards[piece.shard], piece.first, piece.last)
        return table.append_column("row", arrow.array(range(row, row + len(table)), arrow.int64()))


def _pieces(starts: Sequence[int], order: Sequence[int], begin: int, end: int) -> Iterator[Piece]:
    """Yield what lies from one place to before another of shards that are laid one behind the other, round and round.

    Args:
        starts: Place of each one's first poster; at the end, the number of posters.
        order: Which shards they are.
        begin: A place.
        end: A place behind it; beyond the number of posters, the first come again.
    """
    while begin < end:
        place = begin % starts[-1]
        number = bisect_right(starts, place) - 1
        first = place - starts[number]
        count = min(starts[number + 1] - place, end - begin)
        yield Piece(order[number], first, first + count)
        begin += count


class StreamedPosters(Dataset[Batch]):
    """Makes batches of samples: decodes and augments, in whatever process it is asked."""

    def __init__(
        self, num_posters: int, genres: Genres, preprocess: Preprocess, *, augment: Augment | None = None, seed: int = 0
    ) -> None:
        self.num_posters = num_posters
        self.genres = genres
        self.preprocess = preprocess
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return self.num_posters

    def __getitems__(self, samples: Sequence[Sample]) -> Batch:
        """Return a whole batch; DataLoader asks for it where it is offered.

        Raises:
            PictureError: A picture does not decode, which it did when shards were made.
        """
        images = torch.stack([decoded(self.preprocess, sample.name, sample.image) for sample in samples])
        images = augmented(
            images, [sample.poster for sample in samples], self.augment, seed=self.seed, epoch=samples[0].epoch
        )
        targets = torch.stack([self.genres.encode(sample.genres) for sample in samples])
        return Batch(images, targets, torch.tensor([sample.row for sample in samples]))


def decoded(preprocess: Preprocess, name: str, image: bytes) -> Tensor:
    """Return ``uint8 (3,H,W)`` of a picture file's content; an error names the poster.

    Raises:
        PictureError: The picture does not decode.
    """
    try:
        return preprocess.read(image)
    except PictureError as error:
        raise PictureError(f"poster {name}: {error}") from None
