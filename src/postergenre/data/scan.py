"""One look at every picture before training: does it decode, and what does it look like? Remembered between runs."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from PIL import Image
from rich.console import Console
from rich.progress import track
from scipy.fft import dctn

from postergenre.errors import PictureError
from postergenre.preprocess import open_picture, upright_rgb

SIDE = 16
"""A perceptual hash has SIDE * SIDE bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at a picture file told."""

    path: str
    """Absolute."""
    size: int
    """Bytes."""
    mtime_ns: int
    """Modification time."""
    hash: str
    """Perceptual hash as hex text; empty where the picture does not decode."""
    error: str
    """Why it does not decode, as a sentence; empty where it does."""
    width: int
    """Of the upright picture, in pixels; 0 where it does not decode, and what follows is as empty then."""
    height: int
    """Of the upright picture, in pixels."""
    format: str
    """As Pillow names it: ``JPEG``, ``PNG`` …"""
    mode: str
    """As Pillow names it: ``RGB``, ``L``, ``CMYK`` …"""
    spread: float
    """Standard deviation of the grey levels (0 … 255) of the picture at 32 x 32 pixels: small where it is blank."""


def scan(files: Sequence[str], *, cache: Path) -> list[Look]:
    """Return a look at each picture, in order.

    What was learnt of a file holds as long as its path, size and modification time do, and is kept under ``cache``. A
    file that is not there has a look with an error like one that does not decode.
    """
    if not files:
        return []
    names = [os.path.abspath(file) for file in files]
    folder = os.path.commonpath([os.path.dirname(name) for name in names])
    store = cache / "scans" / f"{sha256(folder.encode()).hexdigest()[:16]}.jsonl"
    known = _read(store)
    stats = {name: _stat(name) for name in names}
    fresh = [
        name
        for name, stat in stats.items()
        if stat and (name not in known or (known[name].size, known[name].mtime_ns) != (stat.st_size, stat.st_mtime_ns))
    ]
    if fresh:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside the interpreter lock
            for look in track(
                pool.map(_look, fresh),
                "looking at each poster once",
                len(fresh),
                transient=True,
                disable=not Console().is_terminal,
            ):
                known[look.path] = look
        _write(store, known.values())
    return [known[name] if stats[name] else _gone(name) for name in names]


def perceptual_hash(picture: Image.Image) -> npt.NDArray[np.bool_]:
    """Return ``(SIDE * SIDE,)`` bits that survive resizing and recompression.

    The lowest two-dimensional cosine frequencies of the grey picture, each above or below their median (Zauner,
    "Implementation and benchmarking of perceptual image hash functions", 2010, section 3.2.1).
    """
    return _bits(_reduced(upright_rgb(picture)))


def _reduced(picture: Image.Image) -> npt.NDArray[np.float64]:
    """Return ``(32,32)`` grey levels of an RGB picture."""
    return np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.BILINEAR), dtype=np.float64)


def _bits(grey: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    waves = dctn(grey, norm="ortho")[:SIDE, :SIDE].ravel()
    bits: npt.NDArray[np.bool_] = waves > np.median(waves)
    return bits


def _look(path: str) -> Look:
    try:
        stat = os.stat(path)
    except OSError:
        return _gone(path)
    try:
        picture = open_picture(path)
        upright = upright_rgb(picture)
    except PictureError as problem:
        return _unreadable(path, str(problem), size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    grey = _reduced(upright)
    return Look(
        path=path,
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        hash=np.packbits(_bits(grey)).tobytes().hex(),
        error="",
        width=upright.width,
        height=upright.height,
        format=picture.format or "",
        mode=picture.mode,
        spread=round(float(grey.std()), 2),
    )


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _gone(path: str) -> Look:
    return _unreadable(path, f"no picture at {path}", size=0, mtime_ns=0)


def _unreadable(path: str, error: str, *, size: int, mtime_ns: int) -> Look:
    return Look(
        path=path, size=size, mtime_ns=mtime_ns, hash="", error=error, width=0, height=0, format="", mode="", spread=0.0
    )


def _write(store: Path, looks: Iterable[Look]) -> None:
    draft = store.with_suffix(".draft")
    with suppress(OSError):  # a full or read-only disk: what was learnt can be learnt again
        store.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(store.with_suffix(".lock")), draft.open("w") as file:
            file.writelines(json.dumps(asdict(look)) + "\n" for look in looks)
            file.flush()
            draft.replace(store)  # a reader sees the old file or the new one, never a part


def _read(store: Path) -> dict[str, Look]:
    try:
        with store.open() as lines:  # line by line: the whole text would be the peak of a large run's memory
            looks = [Look(**_shared(json.loads(line))) for line in lines]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError):  # written by another version: what it says can be learnt again
        return {}
    return {look.path: look for look in looks}


def _shared(told: dict[str, Any]) -> dict[str, Any]:
    """Let a million posters share the few names of formats and modes."""
    return told | {name: sys.intern(told[name]) for name in ("format", "mode")}
