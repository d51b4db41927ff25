"""A table in Parquet. A file of that format cannot be added to, so the table is a folder of parts."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as arrow  # type: ignore[import-untyped]
from pyarrow import parquet

from postergenre.errors import DataError
from postergenre.inference.tables import Row

PART_ROWS = 2048
"""Rows of a part: what a run that is killed has to do again at most."""


class ParquetTable:
    """``part-00000.parquet``, ``part-00001.parquet``, … in a folder; each appears when it is complete."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        names = arrow.list_(arrow.string())
        kinds = {"poster": arrow.string(), "genres": names, "top": names, "error": arrow.string()}
        self.path = path
        self.schema = arrow.schema([(column, kinds.get(column, arrow.float32())) for column in columns])
        self._waiting: list[Row] = []
        path.mkdir(parents=True, exist_ok=True)

    def rows(self) -> Iterator[tuple[str, str | None]]:
        """Yield ``poster`` and ``error`` of each row; see ``Table``."""
        for number, part in enumerate(self._parts()):
            try:
                schema = parquet.read_schema(part)
                if part != self._part(number) or schema.names != self.schema.names:
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
        part = self._part(len(self._parts()))
        draft = part.with_name(f".{part.name}")  # readers of the folder pass over hidden files
        parquet.write_table(arrow.Table.from_pylist(self._waiting, schema=self.schema), draft)
        draft.replace(part)
        self._waiting = []

    def _parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.parquet"))

    def _part(self, number: int) -> Path:
        return self.path / f"part-{number:05}.parquet"
