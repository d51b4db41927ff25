"""Paths as people write them."""

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` as the home folder; a ``~`` of nobody is left, where ``Path.expanduser`` raises."""
    return Path(os.path.expanduser(path))
