"""Ctrl-C and SIGTERM ask for the same: an end that comes soon and leaves every file whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from postergenre.errors import StoppedError


class Terminated(KeyboardInterrupt):
    """SIGTERM came: whatever Ctrl-C ends, ends, and in the same way."""


def status(stop: KeyboardInterrupt) -> int:
    """Return what a script exits with: 128 and the number of the signal, as a shell has it."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


@contextmanager
def stops_told(told: str) -> Iterator[None]:
    """Tell a stop in a sentence: what is kept, and how to go on.

    Raises:
        StoppedError: Ctrl-C or SIGTERM, or what was told of it further down, where less is known.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise StoppedError(told, status=status(stop)) from None
    except StoppedError as stop:
        raise StoppedError(told, status=stop.status) from None


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise ``Terminated``; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():  # where Python takes no signals
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    raise Terminated
