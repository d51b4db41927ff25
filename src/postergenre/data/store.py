"""Records of one size in one file: written whole or not at all, read by row, shared by every run that asks for them."""

import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from postergenre.errors import CacheError, DataError

GIGABYTE = 1_000_000_000
HOST = platform.node().split(".")[0] or "here"


class RowStore:
    """N records of one shape and type. Read with ``pread``, not mapped: what was read does not stay in the process.

    The file may be deleted while it is open; whoever has it open keeps it.
    """

    def __init__(self, path: Path, *, num_rows: int, shape: Sequence[int], dtype: torch.dtype) -> None:
        self.path = path
        self.num_rows = num_rows
        self.shape = tuple(shape)
        self.dtype = dtype
        self.row_bytes = int(np.prod(self.shape)) * dtype.itemsize
        self._file: int | None = None

    @property
    def num_bytes(self) -> int:
        """Size of the complete file."""
        return self.num_rows * self.row_bytes

    @property
    def complete(self) -> bool:
        """Whether the file is there, whole."""
        return self.path.is_file() and self.path.stat().st_size == self.num_bytes

    def open(self) -> bool:
        """Hold on to the file, if it is there, whole: whoever deletes it now only makes room for later.

        Returns:
            Whether it is there.
        """
        if self._file is None and self.complete:
            with suppress(FileNotFoundError):
                self._file = os.open(self.path, os.O_RDONLY)
                os.utime(self.path)  # used just now
        return self._file is not None

    def read(self, rows: Sequence[int]) -> Tensor:
        """Return the records of ``rows``: ``(B, *shape)``."""
        if self._file is None and not self.open():
            raise DataError(f"{self.path} is gone; start again, and it is made anew")
        assert self._file is not None
        records = torch.empty((len(rows), *self.shape), dtype=self.dtype)
        buffer = records.view(len(rows), -1).view(torch.uint8).numpy()
        for place, row in enumerate(rows):
            assert 0 <= row < self.num_rows
            if os.preadv(self._file, [buffer[place].data], row * self.row_bytes) != self.row_bytes:
                raise DataError(f"{self.path} was cut short while it was read; delete it and start again")
        return records

    def write(self, chunks: Iterable[Tensor], *, limit: float) -> None:
        """Write the file from ``(B, *shape)`` chunks in order of the rows, unless it is there already.

        Of processes that want the same file, one writes and the others wait for it. The file appears when it is
        complete; a process that dies leaves nothing that would be read. The least recently used stores of the folder
        are deleted to make room.

        Args:
            chunks: The records; not touched where the file is there already.
            limit: Gigabytes that the folder may hold.

        Raises:
            CacheError: The file would be larger than ``limit``, or the disk is full or read-only.
        """
        if self.num_bytes > limit * GIGABYTE:
            raise CacheError(f"{self.num_bytes / GIGABYTE:.1f} GB would be more than data.cache_limit={limit:g} GB")
        draft = self.path.with_name(f"{self.path.name}.{HOST}.{os.getpid()}.draft")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock")):
                if self.open():
                    return
                with FileLock(self.path.parent / "room.lock"):
                    _make_room(self.path.parent, self.num_bytes, limit * GIGABYTE)
                with draft.open("wb") as file:
                    for chunk in chunks:
                        assert chunk.shape[1:] == self.shape
                        assert chunk.dtype == self.dtype
                        file.write(chunk.contiguous().view(-1).view(torch.uint8).numpy().data)
                    file.flush()
                    os.fsync(file.fileno())
                assert draft.stat().st_size == self.num_bytes
                draft.replace(self.path)
        except OSError as error:
            raise CacheError(f"cannot write {self.path}: {error.strerror}") from None
        finally:
            draft.unlink(missing_ok=True)

    def __getstate__(self) -> dict[str, object]:
        """Leave the open file behind: another process opens its own."""
        return self.__dict__ | {"_file": None}

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _make_room(folder: Path, needed: int, limit: float) -> None:
    """Delete drafts of dead processes, then the least recently used stores, until ``needed`` bytes fit in ``limit``."""
    for draft in folder.glob(f"*.{HOST}.*.draft"):  # other machines may share the folder, but not our processes
        if not _runs(int(draft.suffixes[-2][1:])):
            draft.unlink(missing_ok=True)
    stores = sorted(folder.glob("*.rows"), key=lambda path: path.stat().st_mtime)
    held = sum(path.stat().st_size for path in [*stores, *folder.glob("*.draft")])
    for path in stores:
        if held + needed <= limit:
            return
        held -= path.stat().st_size
        path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
