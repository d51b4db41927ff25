"""What a study has found so far: a table, a line a trial, the command that repeats the best, two pictures."""

import csv
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Console
from rich.table import Table

from postergenre.errors import ConfigError
from postergenre.sweeping.plots import plot_history, plot_importance
from postergenre.sweeping.space import Dimension, Value
from postergenre.sweeping.study import Study
from postergenre.web import without_secrets

STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
NUM_SHOWN = 15
"""Trials in the terminal's table."""


@dataclass(kw_only=True, slots=True)
class Best:
    """The best trial of a study."""

    number: int
    score: float
    """Its ``val/map``."""
    settings: dict[str, Value]
    """Its own, dotted."""
    folder: Path
    """What its training left."""
    command: str
    """Trains the same again."""


class Report:
    """Reads a study, writes ``sweep.csv``, ``best.json``, ``history.png`` and ``importance.png`` into its folder."""

    def __init__(
        self, study: Study, dimensions: Sequence[Dimension], overrides: Sequence[str], console: Console
    ) -> None:
        self.study = study
        self.dimensions = dimensions
        self.overrides = overrides
        self.console = console

    def begin(self, wanted: int) -> None:
        """Say where the study stands."""
        ended = len(self.study.ended())
        before = f"{ended} of {wanted} trials have ended" if ended else f"{wanted} trials to come"
        self._say(f"study {self.study.optuna.study_name}: {before}; in {self.study.folder}")

    def trial(self, number: int) -> None:
        """Say how a trial went, and bring the table up to date."""
        trial = self.study.all()[number]
        settings = "  ".join(f"{key}={_short(value)}" for key, value in trial.params.items())
        best = self.best()
        told = trial.user_attrs.get("error") or f"val map {_best_epoch(trial):.4f}"
        record = f" (best {best.score:.4f}, trial {best.number})" if best else ""
        self._say(f"trial {number:>3} {STATES[trial.state]}: {told}{record}  {settings}")
        self._write_table()

    def best(self) -> Best | None:
        """Return the best trial so far, if one came to its end."""
        ranked = self.study.ranked()
        if not ranked:
            return None
        trial = ranked[0]
        assert trial.value is not None
        words = [*self.overrides, *(self._override(key, value) for key, value in trial.params.items())]
        return Best(
            number=trial.number,
            score=trial.value,
            settings=dict(trial.params),
            folder=self.study.trial_folder(trial.number),
            command=without_secrets(shlex.join(["python", "scripts/train.py", *words])),
        )

    def end(self, *, gave_up: bool) -> Best:
        """Print and write everything, and return the best trial.

        Raises:
            ConfigError: No trial came to its end, or the last ones all failed.
        """
        rows = self._write_table()
        failed = [row for row in rows if row["status"] == "failed"]
        best = self.best()
        if best:
            self._print_table(rows)
            told = {"trial": best.number, "val/map": best.score, "settings": best.settings, "command": best.command}
            (self.study.folder / "best.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            plot_history(self.study.all(), self.study.folder / "history.png")
            plot_importance(self.study.optuna, self.study.folder / "importance.png")
        if gave_up:
            raise ConfigError(
                f"the last trials here all failed, one after the other; the last said: {failed[-1]['error']} — mend "
                "that, and the same command goes on"
            )
        if best is None:
            reason = f"; one said: {failed[-1]['error']}" if failed else ""
            raise ConfigError(f"no trial of study {self.study.optuna.study_name} came to its end{reason}")
        self._say(f"all trials: {self.study.folder / 'sweep.csv'}; pictures: history.png, importance.png beside it")
        self._say(f"the best again: {best.command}")
        return best

    def _write_table(self) -> list[dict[str, Any]]:
        """Write and return a row for each trial: finished ones first, best first."""
        repeated = self.study.repeated()
        rows = []
        for trial in sorted(self.study.all(), key=_rank):
            attributes = trial.user_attrs
            status = "repeated" if trial.number in repeated else STATES[trial.state]
            error = attributes.get("error", "its worker died" if trial.state is TrialState.FAIL else "")
            scores = {f"val/{name}": value for name, value in attributes.get("scores", {}).items()}
            if trial.state is TrialState.COMPLETE:
                scores["val/map"] = trial.value
            row: dict[str, Any] = {"trial": trial.number, "status": status}
            row |= {dimension.key: trial.params.get(dimension.key, "") for dimension in self.dimensions}
            row |= {"epochs": len(trial.intermediate_values), "minutes": _minutes(trial), "error": error}
            rows.append(row | scores)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        draft = self.study.folder / f"sweep.csv.{self.study.worker.name}"
        with draft.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, fieldnames=columns, restval="")
            table.writeheader()
            table.writerows(rows)
        draft.replace(self.study.folder / "sweep.csv")  # several workers write it
        return rows

    def _print_table(self, rows: list[dict[str, Any]]) -> None:
        counts = {status: sum(row["status"] == status for row in rows) for status in (*STATES.values(), "repeated")}
        title = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        shown = ["trial", "status", *(dimension.key for dimension in self.dimensions), "val/map", "val/bce"]
        for key in shown:
            table.add_column(key.rsplit(".", 1)[-1], justify="left" if key == "status" else "right")
        for row in rows[:NUM_SHOWN]:
            scores = (f"{row[key]:.4f}" if key in row else "" for key in shown[-2:])
            table.add_row(*(_short(row[key]) for key in shown[:-2]), *scores)
        self.console.print(table)

    def _override(self, key: str, value: Value) -> str:
        # What a dict holds may not be in the composed config yet.
        return f"{'++' if key.startswith('loss.settings.') else ''}{key}={value}"

    def _say(self, message: str) -> None:
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)


def _rank(trial: FrozenTrial) -> tuple[int, float, int]:
    order = list(STATES).index(trial.state)
    return order, -_best_epoch(trial), trial.number


def _best_epoch(trial: FrozenTrial) -> float:
    if trial.state is TrialState.COMPLETE:
        assert trial.value is not None
        return trial.value
    return max(trial.intermediate_values.values(), default=0.0)


def _minutes(trial: FrozenTrial) -> float | str:
    return round(trial.duration.total_seconds() / 60, 2) if trial.duration else ""


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
