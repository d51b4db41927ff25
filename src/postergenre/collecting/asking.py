"""Asking servers as they wish to be asked: not too often, again when it may help, later when they say so."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Condition, Event
from typing import TypeVar

from postergenre import web
from postergenre.collecting.config import WebConfig
from postergenre.errors import DataError, PictureError
from postergenre.web import DownloadError

T = TypeVar("T")
LONGEST = 30.0
"""Seconds of a pause between two attempts, where the server says nothing of it."""
PATIENCE = 600.0
"""Seconds that a server may ask to wait."""
REFUSALS = 20
"""How often a server may say of one request that it comes too early."""


class Stopped(Exception):
    """The user wants no more."""


class Pace:
    """Lets at most ``rate`` requests begin in any second, by the clock of the server that they reach.

    A request occupies its place until a second after its answer. So of those that arrive within one second, whatever
    delays them on the way, none has left its place to another. Rates below one a second stretch the second.
    """

    def __init__(self, rate: float) -> None:
        self.places = max(int(rate), 1)
        self.window = max(1 / rate, 1.0)
        self._under_way = 0
        self._answered: deque[float] = deque()
        self._not_before = 0.0
        self._changed = Condition()
        self.stopped = Event()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a place, and hold it for one request."""
        with self._changed:
            while (wait := self._wait()) > 0:
                self._changed.wait(wait)
            if self.stopped.is_set():
                raise Stopped
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._answered.append(time.monotonic())
                if len(self._answered) == 1:  # until now, those that wait did not know how long
                    self._changed.notify_all()

    def hold(self, seconds: float) -> None:
        """Let no request begin for a while."""
        with self._changed:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def stop(self) -> None:
        """Let none begin any more, and nobody wait."""
        self.stopped.set()
        with self._changed:
            self._changed.notify_all()

    def _wait(self) -> float:
        """Return the seconds after which to look again; 0 or less where there is a place."""
        now = time.monotonic()
        while self._answered and self._answered[0] <= now - self.window:
            self._answered.popleft()
        if self.stopped.is_set():
            return 0.0
        if now < self._not_before:
            return self._not_before - now
        if self._under_way + len(self._answered) < self.places:
            return 0.0
        return self._answered[0] + self.window - now if self._answered else LONGEST


class Asker:
    """Fetches what lies at addresses, for all threads together."""

    def __init__(self, config: WebConfig) -> None:
        self.config = config
        self.pace = Pace(config.rate)
        self.num_requests = 0
        """Asked so far, those asked again included."""

    def fetch(
        self,
        address: str,
        read: Callable[[bytes], T],
        *,
        headers: Mapping[str, str] | None = None,
        what: str = "a picture",
    ) -> T:
        """Return what ``read`` makes of the content at an address.

        Args:
            address: Where it lies.
            read: Raises ``PictureError`` where the content is not what it should be; one more attempt is then made, or
                as many as after any passing failure where a ``DownloadError`` says that it is one.
            headers: Sent along; see ``web.opened``.
            what: What it should be, for messages.

        Raises:
            PictureError: It cannot be had; a ``DownloadError`` says whether that may pass.
            DataError: The server wants no more requests for longer than anyone would wait.
            Stopped: The user wants no more.
        """
        attempt = refusals = 0
        while True:
            try:
                with self.pace.turn():
                    self.num_requests += 1
                    content = web.fetch(address, headers=headers, what=what)
                return read(content)
            except DownloadError as error:
                if not error.passing:
                    raise
                if error.code == 429 and refusals < REFUSALS:
                    refusals += 1
                    self.pace.hold(patient(error.wait, self._pause(refusals)))
                    continue
                if attempt >= self.config.retries:
                    raise
                if error.wait is not None:
                    self.pace.hold(patient(error.wait, 0.0))
            except PictureError:
                if attempt >= min(1, self.config.retries):
                    raise
            self.pause(attempt)
            attempt += 1

    def pause(self, attempt: int) -> None:
        """Wait before the next attempt, longer each time; the first is number 0."""
        self.pace.stopped.wait(self._pause(attempt))

    def _pause(self, attempt: int) -> float:
        pause: float = min(self.config.backoff * 2.0**attempt, LONGEST)
        return pause * random.uniform(0.5, 1.5)  # noqa: S311  # threads that failed together come back one by one


def patient(wait: float | None, otherwise: float) -> float:
    """Return the seconds that a server asks to wait.

    Raises:
        DataError: They are too many.
    """
    if wait is not None and wait > PATIENCE:
        raise DataError(f"the server asks to be asked again after {wait:,.0f} s; start the same command again then")
    return otherwise if wait is None else wait
