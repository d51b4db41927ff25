"""The vocabulary of genres: names on one side, multi-hot targets on the other."""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from postergenre.errors import UNPRINTABLE, DataError

LONGEST = 100
"""Letters of a name."""
NAMES = f"names have 1 … {LONGEST} letters, and no line breaks or control characters"
"""What a refusal tells."""


def is_name(text: str) -> bool:
    """Return whether a genre may be called so: what would break a table's line may not."""
    return bool(text.strip()) and len(text) <= LONGEST and not UNPRINTABLE.search(text)


class Genres(tuple[str, ...]):
    """The genre names in target order, G of them; equal to (and stored as) the plain sequence of names."""

    __slots__ = ()

    def __new__(cls, names: Iterable[str]) -> "Genres":
        names = tuple(names)
        if not names:
            raise DataError("no genre to learn: the vocabulary is empty")
        if repeated := sorted(name for name, count in Counter(names).items() if count > 1):
            raise DataError(f"genre(s) named twice in the vocabulary: {', '.join(repeated)}")
        for name in names:
            if not is_name(name):
                raise DataError(f"{name[:LONGEST]!r} cannot be a genre: {NAMES}")
        return super().__new__(cls, names)

    def encode(self, labels: Iterable[str]) -> Tensor:
        """Return the multi-hot target of one poster.

        Args:
            labels: Genre names, in any order.

        Returns:
            Float tensor ``(G,)``, 1.0 where the genre applies.

        Raises:
            DataError: A label is not in the vocabulary.
        """
        target = torch.zeros(len(self))
        for label in labels:
            if label not in self:
                raise DataError(f"unknown genre {label!r}; known: {', '.join(self)}")
            target[self.index(label)] = 1.0
        return target

    def decode(self, target: Tensor) -> list[str]:
        """Return the names of the genres whose entry in ``target (G,)`` is true or non-zero."""
        return [name for name, applies in zip(self, target.tolist(), strict=True) if applies]

    def top(self, probabilities: Sequence[float], k: int) -> list[tuple[str, float]]:
        """Return the ``k`` most probable genres with their probabilities, best first; ties in vocabulary order."""
        ranked = sorted(zip(self, probabilities, strict=True), key=lambda answer: -answer[1])
        return ranked[:k]
