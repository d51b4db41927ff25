"""Who is in: the posters accepted and not yet answered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from postergenre.serving.refusal import Refusal


class Line:
    """The waiting line, never longer than there is room."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.length = 0
        """Posters accepted and not yet answered."""

    @contextmanager
    def place(self) -> Iterator[Callable[[int], None]]:
        """Take a request in as one poster, before its body is read; what you get tells how many it really brings.

        Raises:
            Refusal: There is no room: 503, with ``Retry-After``.
        """
        held = 0

        def hold(count: int) -> None:
            nonlocal held
            if self.length - held + count > self.room:
                raise Refusal(503, "the server is busy; try again in a second", headers={"Retry-After": "1"})
            self.length += count - held
            held = count

        try:
            hold(1)
            yield hold
        finally:
            self.length -= held
