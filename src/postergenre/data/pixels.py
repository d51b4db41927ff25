"""Posters as pixels: decoded as they are asked for, or decoded once and kept."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from postergenre.data.scan import Look
from postergenre.data.store import RowStore
from postergenre.preprocess import Preprocess

FORMAT = 2
"""Of the stored pixels: to be raised when the same preprocessing gives other pixels."""
CHUNK = 64
"""Posters decoded and written at a time."""


class Source(Protocol):
    """What a network is fed with, by poster."""

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return ``(B, ...)`` for B posters: ``uint8 (B,3,H,W)`` images, or floating-point features."""


class DecodedPosters:
    """Posters decoded each time they are asked for."""

    def __init__(self, files: Sequence[str], preprocess: Preprocess) -> None:
        self.files = files
        self.preprocess = preprocess

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return ``uint8 (B,3,H,W)``."""
        return torch.stack([self.preprocess.read(self.files[row]) for row in rows])


def identify(looks: Iterable[Look]) -> str:
    """Return what tells these very files, in this order, from any others: a digest of paths, sizes and times."""
    digest = sha256()
    for look in looks:
        digest.update(f"{look.path}\0{look.size}\0{look.mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def pixel_store(identity: str, num_posters: int, preprocess: Preprocess, folder: Path) -> RowStore:
    """Return the store, perhaps still to be written, of the pixels of certain files under this preprocessing."""
    key = sha256(json.dumps([FORMAT, asdict(preprocess), identity]).encode()).hexdigest()[:24]
    return RowStore(
        folder / f"pixels-{key}.rows",
        num_rows=num_posters,
        shape=(3, preprocess.height, preprocess.width),
        dtype=torch.uint8,
    )


def decoded(files: Sequence[str], preprocess: Preprocess) -> Iterator[Tensor]:
    """Yield all posters in chunks ``uint8 (B,3,H,W)``, decoded on every core, with a progress bar."""
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding and resizing leave the interpreter lock
        for chunk in track(chunks, "decoding each poster once", transient=True, disable=not Console().is_terminal):
            yield torch.stack(list(pool.map(preprocess.read, chunk)))
