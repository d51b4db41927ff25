"""A table in Parquet. A file of that format cannot be added to, so the table is a folder of parts."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as arrow  # type: ignore[import-untyped]
from pyarrow import parquet

from postergenre.errors import DataError
from postergenre.inference.predictor import batches
from postergenre.inference.tables import Row

PART_ROWS = 2048
"""Rows of a part: what a run that is killed has to do again at most."""


class ParquetTable:
    """``part-00000.parquet``, ``part-00001.parquet``, … in a folder; each appears when it is complete."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path = path
        self.schema = table_schema(columns)
        self._waiting: list[Row] = []
        path.mkdir(parents=True, exist_ok=True)
        for draft in path.glob(".part-*.draft"):  # of a run that was killed
            draft.unlink()

    def rows(self) -> Iterator[tuple[str, str | None]]:
        """Yield ``poster`` and ``error`` of each row; see ``Table``."""
        for number, part in enumerate(self._parts()):
            try:
                schema = parquet.read_schema(part)
                if part != part_path(self.path, number) or schema.names != self.schema.names:
                    raise DataError(f"{part} is no part {number} of this table")
                table = parquet.read_table(part, columns=["poster", "error"])
            except (arrow.ArrowException, OSError) as error:
                raise DataError(f"{part} has a row that predict did not write: {error}") from None
            yield from zip(table["poster"].to_pylist(), table["error"].to_pylist(), strict=True)

    def write(self, row: Row) -> None:
        """Add a row; see ``Table``."""
        self._waiting.append(row)
        if len(self._waiting) == PART_ROWS:
            self.close()

    def close(self) -> None:
        """Write the rows that wait as a part."""
        if not self._waiting:
            return
        write_part(part_path(self.path, len(self._parts())), self._waiting, self.schema)
        self._waiting = []

    def _parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.parquet"))


def table_schema(columns: list[str]) -> arrow.Schema:
    """Return the types of a table's columns."""
    names = arrow.list_(arrow.string())
    kinds = {"poster": arrow.string(), "genres": names, "top": names, "error": arrow.string()}
    return arrow.schema([(column, kinds.get(column, arrow.float32())) for column in columns])


def part_path(table: Path, number: int) -> Path:
    """Return where a part of a table lies."""
    return table / f"part-{number:05}.parquet"


def write_part(part: Path, rows: Iterable[Row], schema: arrow.Schema) -> None:
    """Write a part that is there as a whole or not at all, whoever else writes it or dies meanwhile."""
    draft = part.with_name(f".{part.stem}-{uuid4().hex[:12]}.draft")  # readers of the folder pass over hidden files
    try:
        with draft.open("xb") as file:
            with parquet.ParquetWriter(file, schema) as writer:
                for some in batches(rows, PART_ROWS):
                    writer.write_table(arrow.Table.from_pylist(some, schema=schema))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(part)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def count_part(part: Path, schema: arrow.Schema) -> tuple[int, int] | None:
    """Return how many rows a part has and how many of them an error; None where it is not there or not whole.

    Only the end of the file is read.

    Raises:
        DataError: It has other columns.
    """
    try:
        told = parquet.read_metadata(part)
    except (arrow.ArrowException, OSError):
        return None
    if told.schema.to_arrow_schema().names != schema.names:
        raise DataError(f"{part} is no part of this table: it has other columns")
    errors = [told.row_group(group).column(told.num_columns - 1) for group in range(told.num_row_groups)]
    return told.num_rows, told.num_rows - sum(column.statistics.null_count for column in errors)
