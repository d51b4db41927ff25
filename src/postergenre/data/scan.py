"""One look at every picture before training: does it decode, and what does it look like? Remembered between runs."""

import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
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


def scan(files: Sequence[str], *, cache: Path) -> list[Look]:
    """Return a look at each picture, in order.

    What was learnt of a file holds as long as its path, size and modification time do, and is kept under ``cache``.
    """
    names = [os.path.abspath(file) for file in files]
    folder = os.path.commonpath([os.path.dirname(name) for name in names])
    store = cache / "scans" / f"{sha256(folder.encode()).hexdigest()[:16]}.jsonl"
    known = _read(store)
    stats = {name: os.stat(name) for name in names}
    fresh = [
        name
        for name, stat in stats.items()
        if name not in known or (known[name].size, known[name].mtime_ns) != (stat.st_size, stat.st_mtime_ns)
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
    return [known[name] for name in names]


def perceptual_hash(picture: Image.Image) -> npt.NDArray[np.bool_]:
    """Return ``(SIDE * SIDE,)`` bits that survive resizing and recompression.

    The lowest two-dimensional cosine frequencies of the grey picture, each above or below their median (Zauner,
    "Implementation and benchmarking of perceptual image hash functions", 2010, section 3.2.1).
    """
    grey = np.asarray(upright_rgb(picture).convert("L").resize((32, 32), Image.Resampling.BILINEAR), dtype=np.float64)
    waves = dctn(grey, norm="ortho")[:SIDE, :SIDE].ravel()
    bits: npt.NDArray[np.bool_] = waves > np.median(waves)
    return bits


def _look(path: str) -> Look:
    stat = os.stat(path)
    try:
        bits, error = np.packbits(perceptual_hash(open_picture(path))).tobytes().hex(), ""
    except PictureError as problem:
        bits, error = "", str(problem)
    return Look(path=path, size=stat.st_size, mtime_ns=stat.st_mtime_ns, hash=bits, error=error)


def _write(store: Path, looks: Iterable[Look]) -> None:
    draft = store.with_name(f"{store.name}.{os.getpid()}")
    with suppress(OSError):  # a full or read-only disk: what was learnt can be learnt again
        store.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w") as file:
            file.writelines(json.dumps(asdict(look)) + "\n" for look in looks)
        draft.replace(store)  # a reader sees the old file or the new one, never a part


def _read(store: Path) -> dict[str, Look]:
    try:
        with store.open() as lines:  # line by line: the whole text would be the peak of a large run's memory
            looks = [Look(**json.loads(line)) for line in lines]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):  # written by another version: what it says can be learnt again
        return {}
    return {look.path: look for look in looks}
