"""Ctrl-C and SIGTERM ask for the same: an end that comes soon and leaves every file whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from postergenre.errors import StoppedError

UNGUARDED = (threading.Condition.__enter__.__code__, threading.Condition.__exit__.__code__)
"""Where a lock is held that no ``with`` statement gives back yet, or any more."""
SOON = 0.001
"""Seconds until such a place is left."""
ALARM: int | None = getattr(signal, "SIGALRM", None)
"""Asks again then; Windows has none."""


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


class _Stop:
    """A signal handler that raises, as Python's own for Ctrl-C, but in no place where other threads would then hang."""

    def __init__(self, *numbers: int) -> None:
        self.asked: type[KeyboardInterrupt] | None = None
        self._late = 0
        self._before = {number: signal.signal(number, self) for number in numbers}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number == ALARM:
            number = self._late
        if ALARM and frame is not None and frame.f_code in UNGUARDED:
            self._late = number
            self._before.setdefault(ALARM, signal.signal(ALARM, self))
            signal.setitimer(signal.ITIMER_REAL, SOON)
            return
        self.asked = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
        raise self.asked

    def end(self) -> None:
        """Give the signals back."""
        if ALARM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise ``Terminated``; a second one ends the process at once.

    Ctrl-C raises ``KeyboardInterrupt``, where that has not been changed. What breaks in the end that they bring is part
    of the stop, not an error.
    """
    if threading.current_thread() is not threading.main_thread():  # where Python takes no signals
        yield
        return
    ctrl_c = signal.getsignal(signal.SIGINT)
    ours = ctrl_c is signal.default_int_handler or isinstance(ctrl_c, _Stop)
    stop = _Stop(signal.SIGTERM, *([signal.SIGINT] if ours else []))
    try:
        yield
    except StoppedError:
        raise
    except Exception as error:
        if stop.asked is None:
            raise
        raise stop.asked from error
    finally:
        stop.end()
