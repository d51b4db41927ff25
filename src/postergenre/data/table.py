"""A CSV as text: nothing in it is a number, nothing is missing, and every row knows its line."""

import os
import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from postergenre.errors import DataError

LINE = " line"
"""Column of the line numbers: no column of a CSV keeps a blank in front."""
SHOWN = 10
"""How many of many problems an error names."""


def read_table(path: Path) -> pd.DataFrame:
    """Return the rows of a CSV, all of it text, empty lines left out; ``LINE`` is the line each row begins on.

    Raises:
        DataError: There is no such file, or it is no CSV.
    """
    if not os.path.isfile(path):  # Path's own is_file stumbles over names that are too long
        found = ", ".join(sorted(p.name for p in path.parent.glob("*.csv"))[:SHOWN]) or "no CSV there"
        raise DataError(f"no poster CSV at {path} ({found}); set data.manifest=NAME within data.root")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas would cut off the cells beyond the header
            table = _records(path)
    except pd.errors.ParserWarning:
        raise DataError(f"{path} has rows with more cells than its header; quote cells that hold commas") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(f"cannot read {path} as a UTF-8 CSV: {_reason(path, error)}") from None
    # Read as a row, the header keeps names that stand twice, which pandas would otherwise rename.
    names = [str(name).strip() for name in table.iloc[0]]
    if repeated := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(f"{path} has more than one column {', '.join(map(repr, repeated))}")
    table.columns = pd.Index(names)
    table = table.assign(**{LINE: _line_numbers(table)}).iloc[1:]
    table = table[(table[names] != "").any(axis=1)].reset_index(drop=True)  # empty lines are no rows
    if table.empty:
        raise DataError(f"{path} has a header and no rows")
    return table


def _records(path: Path, count: int | None = None) -> pd.DataFrame:
    """Return the first ``count`` records of a CSV, or all, the header among them."""
    # Everything stays text: pandas would read the genre N/A, and an id such as 007, as something else.
    return pd.read_csv(
        path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False, header=None,
        skip_blank_lines=False, compression=None, nrows=count,
    )  # fmt: skip


def _line_numbers(table: pd.DataFrame) -> list[int]:
    """Return the line each row begins on, as an editor counts: from 1, line breaks inside quoted cells included."""
    breaks = sum((table[name].str.count("\n") for name in table.columns), start=pd.Series(0, index=table.index))
    lines: list[int] = (np.arange(len(table)) + 1 + breaks.cumsum().shift(fill_value=0)).astype(int).tolist()
    return lines


def _reason(path: Path, error: Exception) -> str:
    """Return what to mend, and in which row, where pandas cannot read a CSV."""
    said = str(error)
    if isinstance(error, UnicodeDecodeError):
        with path.open("rb") as file:
            row = next((row for row, line in enumerate(file, start=1) if not _is_utf8(line)), 1)
        return f"row {row} has bytes that are none; save it as UTF-8"
    if found := re.search(r"Expected \d+ fields in line (\d+), saw", said):
        return f"row {_line_of(path, int(found[1]))} has more cells than the header; quote cells that hold commas"
    if found := re.search(r"EOF inside string starting at row (\d+)", said):
        return f"a quote of row {_line_of(path, int(found[1]) + 1)} is never closed; close it, or write it twice"
    if isinstance(error, pd.errors.EmptyDataError):
        return "it is empty; write a header and a row for each poster"
    return said.strip()


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _line_of(path: Path, record: int) -> int:
    """Return the line on which a record begins, as an editor counts; both are counted from 1."""
    if record == 1:
        return 1
    before = _records(path, record - 1)
    return record + sum(int(before[name].str.count("\n").sum()) for name in before.columns)
