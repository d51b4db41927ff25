"""Unpacking archives of strangers: nothing lands outside the folder, and nothing grows beyond its bounds."""

import bz2
import gzip
import io
import lzma
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from postergenre.errors import DataError

CHUNK = 1 << 18
MAX_FILES = 1_000_000
MAX_RATIO = 100
"""A poster set grows little when it is unpacked: pictures are compressed already."""
ALWAYS = 100_000_000
"""Bytes to which any archive may grow."""
MAX_HEADER = 1 << 20
"""Bytes that a tar archive may use for the name of one file: they are read at once."""
BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError,
)  # fmt: skip
"""What the libraries raise on damaged, encrypted or unknown archives."""


class Readable(Protocol):
    """What a tar archive is read from."""

    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


def extract(archive: Path, folder: Path, *, max_bytes: int) -> list[str]:
    """Unpack a zip or tar archive (plain, gz, bz2, xz) into a folder that is not there yet; return what to know.

    Only plain files and folders are made. Links within the archive are left out; nothing else may be in it.

    Args:
        archive: The file.
        folder: Where to.
        max_bytes: That may come out, whatever the archive says of itself.

    Raises:
        DataError: It is no such archive, it is broken, or it holds a name or link that leads out of the folder, a
            device, or too much.
    """
    bound = min(max_bytes, max(ALWAYS, MAX_RATIO * archive.stat().st_size))
    try:
        links = _extract(archive, folder, bound)
    except (DataError, *BROKEN) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, DataError):
            raise
        if isinstance(error, FileExistsError):
            name = os.path.relpath(error.filename, folder)
            raise DataError(f"{archive} holds {name} twice: not unpacked") from None
        raise DataError(f"cannot unpack {archive}: {error or type(error).__name__}") from None
    return [f"{links} link(s) in the archive are left out"] if links else []


def _extract(archive: Path, folder: Path, bound: int) -> int:
    """Write the files, and return how many links are left out."""
    links = files = 0
    room = bound
    folder.mkdir(parents=True)
    for name, content in (_zip if zipfile.is_zipfile(archive) else _tar)(archive, bound):
        files += 1
        if files > MAX_FILES:
            raise DataError(f"{archive} holds more than {MAX_FILES:,} files: not unpacked")
        if content is None:
            links += 1
            continue
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:  # no set of posters has a name twice
            while chunk := content.read(min(CHUNK, room + 1)):
                room -= len(chunk)
                if room < 0:
                    raise _too_much(archive, bound)
                file.write(chunk)
    return links


def _zip(archive: Path, bound: int) -> Iterator[tuple[PurePosixPath, IO[bytes] | None]]:
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
        if sum(entry.file_size for entry in entries) > bound:
            raise _too_much(archive, bound)
        for entry in entries:
            name, kind = _inside(entry.filename, archive), stat.S_IFMT(entry.external_attr >> 16)
            if stat.S_ISLNK(kind):
                with opened.open(entry) as content:
                    _check_link(name, content.read(MAX_HEADER).decode("utf-8", "replace"), archive)
                yield name, None
            elif kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                raise DataError(f"{archive} holds {name}, which is no file: not unpacked")
            elif not entry.is_dir():
                with opened.open(entry) as content:
                    yield name, content


def _tar(archive: Path, bound: int) -> Iterator[tuple[PurePosixPath, IO[bytes] | None]]:
    with _decompressed(archive) as plain, tarfile.open(fileobj=_Bounded(plain, archive, bound), mode="r:") as opened:
        while entry := opened.next():
            opened.members = []  # type: ignore[attr-defined]  # else it keeps all it has seen
            name = _inside(entry.name, archive)
            if entry.issym() or entry.islnk():
                _check_link(name if entry.issym() else PurePosixPath("x"), entry.linkname, archive)
                yield name, None
            elif not (entry.isreg() or entry.isdir()):
                raise DataError(f"{archive} holds {name}, which is no file: not unpacked")
            elif entry.isreg():
                if entry.size > bound:
                    raise _too_much(archive, bound)
                yield name, opened.extractfile(entry)


class _Bounded:
    """The plain content of a tar archive, of which no more is decompressed than may come out."""

    def __init__(self, content: Readable, archive: Path, bound: int) -> None:
        self._content = content
        self._archive = archive
        self._bound = bound
        # Headers and padding: three blocks of 512 bytes a file, and the end.
        self._most = bound + 4 * 512 * MAX_FILES

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, if they may be read at once."""
        if not 0 <= size <= MAX_HEADER:
            raise DataError(f"{self._archive} has a header of {size:,} bytes: not unpacked")
        self._check(self.tell() + size)
        return self._content.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place from the beginning."""
        assert whence == 0
        self._check(offset)
        return self._content.seek(offset)

    def write(self, content: bytes) -> int:
        """Refuse: it is read only."""
        raise io.UnsupportedOperation

    def close(self) -> None:
        """Leave it to who opened it."""

    def tell(self) -> int:
        """Return the place."""
        return self._content.tell()

    def _check(self, place: int) -> None:
        if place > self._most:
            raise _too_much(self._archive, self._bound)


def _decompressed(archive: Path) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | IO[bytes]:
    with archive.open("rb") as file:
        begin = file.read(6)
    if begin.startswith(b"\x1f\x8b"):
        return gzip.open(archive)
    if begin.startswith(b"BZh"):
        return bz2.open(archive)
    if begin.startswith((b"\xfd7zXZ", b"\x5d\x00\x00")):
        return lzma.open(archive)
    return archive.open("rb")


def _inside(name: str, archive: Path) -> PurePosixPath:
    """Return the name of an entry as a path within the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name) or "\0" in name:
        raise DataError(f"{archive} holds {name!r}, which leads out of its folder: not unpacked")
    return path


def _check_link(name: PurePosixPath, target: str, archive: Path) -> None:
    """Refuse a link that leads out of the folder; the target is seen from where the link is."""
    depth = len(name.parts) - 1
    path = PurePosixPath(target.replace("\\", "/"))
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if path.is_absolute() or depth < 0:
            raise DataError(f"{archive} holds the link {name} to {target!r}, out of its folder: not unpacked")


def _too_much(archive: Path, bound: int) -> DataError:
    return DataError(f"{archive} ({archive.stat().st_size:,} bytes) would grow beyond {bound:,} bytes: not unpacked")
