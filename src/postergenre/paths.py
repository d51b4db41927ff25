"""Paths as people write them."""

import os
from contextlib import suppress
from pathlib import Path

from postergenre.errors import ConfigError, brief


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` as the home folder; a ``~`` of nobody is left, where ``Path.expanduser`` raises.

    Raises:
        ConfigError: No file can be called so: later, ``Path.is_file`` would raise what is no sentence.
    """
    path = os.path.expanduser(path)
    try:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            os.stat(path)
    except (OSError, ValueError) as error:  # too long, links in a circle, or a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{brief(path)!r} cannot be used as a path: {reason}") from None
    return Path(path)
