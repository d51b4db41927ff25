"""The table of answers: one row a poster, written so that a run that was killed can go on."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from postergenre.errors import DataError
from postergenre.inference.predictor import Prediction
from postergenre.web import without_secrets

Row = dict[str, Any]
"""Cells by column; the numbers and ``error`` are None where there is nothing to say."""


class Table(Protocol):
    """Rows in a file or folder."""

    def rows(self) -> Iterator[tuple[str, str | None]]:
        """Yield ``poster`` and ``error`` of each row that is there, and drop a last one that is not whole.

        Raises:
            DataError: There is something else.
        """
        ...

    def write(self, row: Row) -> None:
        """Add a row."""
        ...

    def close(self) -> None:
        """Leave nothing unwritten."""
        ...


def columns(genres: Sequence[str]) -> list[str]:
    """Return the names of a table's columns.

    Raises:
        DataError: A genre has the name of another column.
    """
    others = ("poster", "genres", "top", "error")
    if clash := [genre for genre in genres if genre in others]:
        raise DataError(f"a genre cannot be called {clash[0]}: the table has a column of that name")
    return [*others[:3], *genres, others[3]]


def row(poster: str, prediction: Prediction, *, genres: Sequence[str], top: int) -> Row:
    """Return the row of a poster; ``genres`` are all that the checkpoint knows."""
    numbers = {genre: prediction.probabilities.get(genre) for genre in genres}
    best = [genre for genre, _ in prediction.top(top)]
    error = spelled(prediction.error) or None
    return {"poster": spelled(poster), "genres": prediction.genres, "top": best, **numbers, "error": error}


def spelled(text: str) -> str:
    """Return the text as UTF-8 can hold it, and without secrets: what is no letter in a name is spelled in escapes."""
    return without_secrets(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def open_table(path: Path, columns: list[str]) -> Table:
    """Return the table at ``path``, in the format that its suffix names, with the rows that are there already.

    Raises:
        DataError: It cannot be written there.
    """
    # A format is imported when it is asked for: one poster must not wait for pyarrow.
    if path.suffix.lower() == ".parquet":
        from postergenre.inference.parquet import ParquetTable

        return ParquetTable(path, columns)
    from postergenre.inference.lines import CsvTable, JsonTable

    return {".csv": CsvTable, ".jsonl": JsonTable}[path.suffix.lower()](path, columns)
