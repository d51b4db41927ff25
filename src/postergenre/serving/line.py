"""Who is in: the posters accepted and not yet answered."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from postergenre.serving.refusal import Refusal

REMEMBERED = 256
"""Answers from which the pace is told."""
SURE = 8
"""So many answers tell it; before, everybody is let in."""


class Line:
    """The waiting line: never longer than there is room, nor than can be answered in time."""

    def __init__(self, room: int, *, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Open an empty line.

        Args:
            room: Posters, at most.
            patience: Seconds after which an answer comes too late.
            clock: Tells the time in seconds.
        """
        self.room = room
        self.patience = patience
        self.length = 0
        """Posters accepted and not yet answered."""
        self._clock = clock
        self._times: deque[float] = deque(maxlen=REMEMBERED)
        """When posters were answered since the line was last empty; it begins with when that was."""

    @contextmanager
    def place(self) -> Iterator[Callable[[int], None]]:
        """Take a request in as one poster, before its body is read; what you get tells how many it really brings.

        Raises:
            Refusal: There is no room, or no time: 503, with ``Retry-After``.
        """
        held = 0

        def hold(count: int) -> None:
            nonlocal held
            length = self.length - held + count
            late = length * self._seconds_each() - self.patience
            if length > self.room or late > 0:
                after = str(max(math.ceil(late), 1))
                raise Refusal(503, "the server is busy; try again a little later", headers={"Retry-After": after})
            if not self.length:
                self._times.clear()
                self._times.append(self._clock())
            self.length += count - held
            held = count

        try:
            hold(1)
            yield hold
        finally:
            self.length -= held

    def answered(self) -> None:
        """Note that a poster is."""
        self._times.append(self._clock())

    def _seconds_each(self) -> float:
        """Return how long a poster takes, as far as is known; 0 where it is not."""
        count = len(self._times) - 1
        return (self._clock() - self._times[0]) / count if self.length and count >= SURE else 0.0
