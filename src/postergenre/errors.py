"""The mistakes a user can make. Each message says what is wrong, where, and what to do; anything else is our bug."""

import re
from collections.abc import Iterable
from itertools import islice

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What ends a line, what a terminal obeys, and what UTF-8 cannot write."""
LONG = 200
"""Characters up to which an error shows what somebody wrote whole."""
MANY = 30
"""Names that an error looks at."""


def printable(text: str) -> str:
    """Return the text on one line: names of files may hold anything, and what is no letter is spelled in escapes."""
    return UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)


def brief(text: str, longest: int = LONG) -> str:
    """Return a text without its middle where it is too long for a sentence."""
    return text if len(text) <= longest else f"{text[: longest // 2]} … {text[-longest // 2 :]}"


def brief_list(names: Iterable[str]) -> str:
    """Return names for a sentence, though they may be any number and each of any length."""
    return brief(", ".join(islice(names, MANY)), longest=600)


class PosterGenreError(Exception):
    """A mistake that a sentence can explain: scripts print it on one line, without a traceback."""

    status = 1
    """What a script then exits with."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(PosterGenreError, ValueError):
    """A setting has a value that cannot work, here or on this machine."""


class DataError(PosterGenreError):
    """The poster CSV or a poster cannot be used as it is."""


class PictureError(DataError):
    """One picture cannot be decoded."""


class PartialError(DataError):
    """Everything was gone through and what could be answered is written, but something could not."""

    status = 3


class CacheError(PosterGenreError):
    """Something cannot be kept for the next time; it can still be computed."""


class ProcessError(PosterGenreError):
    """One of several processes died, and the others cannot go on without it."""


class StoppedError(PosterGenreError):
    """Somebody stopped the run, with Ctrl-C or SIGTERM; what it had finished is kept."""

    def __init__(self, told: str, *, status: int = 130) -> None:
        """Say what is kept; ``status`` is 128 and the number of the signal: see ``stopping``."""
        super().__init__(told)
        self.status = status


class CheckpointError(PosterGenreError):
    """A checkpoint is missing, broken, foreign or unsafe."""


class ExportError(PosterGenreError):
    """An export cannot be made, or does not answer as its checkpoint does: it is not written."""
