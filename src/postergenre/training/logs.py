"""``metrics.csv``, which a run that goes on goes on with."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter
from typing_extensions import override

Rows = Sequence[Mapping[str, Any]]


def rows_before(table: Path, step: int) -> list[dict[str, str]]:
    """Return the rows of a ``metrics.csv`` from before a step; a row that was cut off is none."""
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        whole = (line for line in file if line.endswith("\n"))
        return [row for row in csv.DictReader(whole) if row["step"] and int(row["step"]) < step]


class Metrics(CSVLogger):
    """``metrics.csv`` in a run's folder, which begins with the rows of the run that this one goes on with."""

    def __init__(self, folder: Path, *, rows: Rows = ()) -> None:
        super().__init__(folder, name="", version="")
        self.rows = rows

    @property
    @override
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self._experiment = _Writer(Path(self.log_dir), self.rows)
        return self._experiment


class _Writer(ExperimentWriter):
    """Changes the header of the file without a moment in which its rows are nowhere."""

    def __init__(self, folder: Path, rows: Rows) -> None:
        super().__init__(str(folder))
        table = Path(self.metrics_file_path)
        if rows:
            self.metrics_keys = list(rows[0])
            self._replace(rows)
        else:
            table.unlink(missing_ok=True)

    @override
    def _check_log_dir_exists(self) -> None:
        """Leave the file: Lightning would delete it first."""

    @override
    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        with open(self.metrics_file_path, newline="", encoding="utf-8") as file:
            self._replace(list(csv.DictReader(file)))

    def _replace(self, rows: Rows) -> None:
        table = Path(self.metrics_file_path)
        draft = table.with_name(f"{table.name}.draft")
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=self.metrics_keys)
            writer.writeheader()
            writer.writerows(rows)
        draft.replace(table)
