"""Further columns of the poster CSV, read only when somebody asks: country, year, source."""

import re
from collections.abc import Sequence
from pathlib import Path

from postergenre.data.manifest import Manifest
from postergenre.data.table import LINE, read_table
from postergenre.errors import ConfigError, brief_list

DECADE = "decade"
YEAR = "year"
UNKNOWN = "not said"
"""Of a poster whose cell is empty."""


def read_columns(path: Path, manifest: Manifest, names: Sequence[str]) -> dict[str, list[tuple[str, ...]]]:
    """Return what columns of a CSV say about each of the N posters of its manifest: one value, or several.

    A cell may hold several values with ``|`` between them, as genres have. Of a poster that stands in several rows the
    first one counts. ``decade`` need not be a column: it follows from ``year``, where the first four digits count.

    Args:
        path: The CSV that the manifest was read from.
        manifest: Its posters.
        names: Columns, or ``decade``.

    Raises:
        ConfigError: The CSV has no such column.
        DataError: It cannot be read.
    """
    table = read_table(path)
    columns = [name for name in table.columns if name != LINE]
    first = [rows[0] for rows in manifest.rows]
    found = {}
    for name in names:
        source = YEAR if name == DECADE and DECADE not in columns and YEAR in columns else name
        if source not in columns:
            wanted = f"{name!r} (nor 'year')" if name == DECADE else repr(name)
            raise ConfigError(f"{path} has no column {wanted} to group by; it has: {brief_list(columns)}")
        cells = table[source].iloc[first].tolist()
        found[name] = [_decade(cell) if source != name else _values(cell) for cell in cells]
    return found


def _values(cell: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value.strip() for value in cell.split("|") if value.strip())) or (UNKNOWN,)


def _decade(cell: str) -> tuple[str, ...]:
    year = re.match(r"\s*(\d{3})\d(?!\d)", cell)
    return (f"{year[1]}0s" if year else UNKNOWN,)
