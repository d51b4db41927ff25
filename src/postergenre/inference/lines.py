"""Tables whose rows are lines of a text file: CSV and JSON Lines."""

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from postergenre.errors import DataError
from postergenre.inference.tables import Row


class LineTable(ABC):
    """Rows of a text file. Each is in the operating system's hands before the next is made."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path = path
        self.columns = columns
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")

    def rows(self) -> Iterator[tuple[str, str | None]]:
        """Yield ``poster`` and ``error`` of each row; see ``Table``."""
        self._file.seek(0)
        end, record, header = 0, b"", self._header()
        for line in self._file:
            record += line
            if not self._whole(record):
                continue
            if end or not header:
                try:
                    yield self._decoded(record)
                except (ValueError, KeyError, TypeError, csv.Error):
                    raise DataError(f"{self.path} has a row that predict did not write: {record[:80]!r}") from None
            elif record != header:
                raise DataError(f"{self.path} has other columns: {record[:300].decode('utf-8', 'replace').strip()}")
            end, record = end + len(record), b""
        self._file.truncate(end)

    def write(self, row: Row) -> None:
        """Add a row; see ``Table``."""
        header = b"" if self._file.seek(0, io.SEEK_END) else self._header()
        self._file.write(header + self._encoded(row))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _header(self) -> bytes:
        return b""

    @abstractmethod
    def _whole(self, record: bytes) -> bool: ...

    @abstractmethod
    def _encoded(self, row: Row) -> bytes: ...

    @abstractmethod
    def _decoded(self, record: bytes) -> tuple[str, str | None]: ...


class CsvTable(LineTable):
    """Comma-separated; several genres in one cell are separated by ``|``."""

    def _header(self) -> bytes:
        return self._line(self.columns)

    def _whole(self, record: bytes) -> bool:
        return record.endswith(b"\n") and record.count(b'"') % 2 == 0  # a quoted cell may hold line breaks

    def _encoded(self, row: Row) -> bytes:
        return self._line([self._cell(value) for value in row.values()])

    @staticmethod
    def _cell(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.6f}"
        return "|".join(value) if isinstance(value, list) else value or ""

    def _decoded(self, record: bytes) -> tuple[str, str | None]:
        (cells,) = csv.reader(io.StringIO(record.decode("utf-8"), newline=""), strict=True)
        if len(cells) != len(self.columns):
            raise ValueError
        return cells[0], cells[-1] or None

    def _line(self, cells: list[str]) -> bytes:
        line = io.StringIO(newline="")
        csv.writer(line).writerow(cells)
        return line.getvalue().encode("utf-8")


class JsonTable(LineTable):
    """One JSON object a line; ``genres`` and ``top`` are lists."""

    def _whole(self, record: bytes) -> bool:
        return record.endswith(b"\n")

    def _encoded(self, row: Row) -> bytes:
        cells = {name: round(cell, 6) if isinstance(cell, float) else cell for name, cell in row.items()}
        return json.dumps(cells, ensure_ascii=False).encode("utf-8") + b"\n"

    def _decoded(self, record: bytes) -> tuple[str, str | None]:
        cells = json.loads(record)
        if list(cells) != self.columns:
            raise ValueError
        return cells["poster"], cells["error"]
