"""Where Hydra ends: configs become dataclasses, a user's mistake becomes one line, a sweep becomes a table.

Only this room and ``scripts/`` know Hydra.
"""

import atexit
import csv
import errno
import json
import os
import shlex
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich import box
from rich.console import Console
from rich.table import Table

from postergenre.errors import ConfigError, PosterGenreError, StoppedError, brief
from postergenre.stopping import status, terminable
from postergenre.web import without_secrets

T = TypeVar("T")
SCORES = "scores.json"
"""What a training run leaves in its folder for the table of its sweep."""
FAILURE = "failure.txt"
"""What a run of a sweep leaves there instead."""
DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE,
    errno.ENOTDIR, errno.ENAMETOOLONG,
}  # fmt: skip
"""What a disk says that is full, read-only, somebody else's or broken: no bug of ours."""


def register(name: str, schema: type) -> None:
    """Let ``conf/<name>.yaml`` begin with ``<name>_schema``: Hydra then checks keys and types against the dataclass."""
    ConfigStore.instance().store(name=f"{name}_schema", node=schema)


def parse(config: DictConfig, schema: type[T]) -> T:
    """Return the composed config as the dataclass it was checked against; no ``DictConfig`` is left after this.

    Raises:
        ConfigError: A required setting is not given, or a value cannot work.
    """
    if missing := OmegaConf.missing_keys(config):
        raise ConfigError(f"required setting(s) not given: {', '.join(f'{key}=…' for key in sorted(missing))}")
    _hide_secrets()
    parsed = OmegaConf.to_object(config)  # runs every __post_init__
    assert isinstance(parsed, schema)
    return parsed


def _hide_secrets() -> None:
    """Take passwords and keys in addresses out of what Hydra has noted of this run's config."""
    if not HydraConfig.initialized() or not (hydra := HydraConfig.get()).output_subdir:
        return
    for note in (Path(hydra.runtime.output_dir) / hydra.output_subdir).glob("*.yaml"):
        text = note.read_text(encoding="utf-8")
        if (shown := without_secrets(text)) != text:
            note.write_text(shown, encoding="utf-8")


def training_overrides(schema: type, training: type) -> list[str]:
    """Return what ``scripts/train.py`` is to be told to train what this script was told to, but for its own settings.

    An experiment that another choice brought along is named.

    Args:
        schema: The dataclass of this script's config.
        training: That of ``scripts/train.py``, whose settings it has too.
    """
    hydra = HydraConfig.get()
    own = {field.name for field in fields(schema)} - {field.name for field in fields(training)} | {"sweep"}
    keys = {override: override.lstrip("+~").split("=", 1)[0].split(".", 1)[0] for override in hydra.overrides.task}
    kept = [override for override, key in keys.items() if key not in own]
    experiment = hydra.runtime.choices.get("experiment")
    named = not experiment or any(override.startswith("experiment=") for override in kept)
    return kept if named else [f"experiment={experiment}", *kept]


def one_of_many() -> None:
    """Where torchrun or srun started several processes, let only the first keep Hydra's records.

    Each composes its own config, at a second of its own; training tells the others where the first one writes.
    """
    from postergenre.training.ranks import launched  # brings Lightning, which prediction does without

    with reported():
        ranks = launched()
        if ranks is None or ranks.num_ranks == 1:
            return
        if {"-m", "--multirun"} & set(sys.argv):
            raise ConfigError("a sweep starts the processes of its runs itself: leave torchrun or srun out")
    if not ranks.first:
        sys.argv += ["hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=stdout"]


@contextmanager
def reported() -> Iterator[None]:
    """Turn a user's mistake, a full disk or a stop into one line and its exit status; in a sweep, others go on.

    Only a stop ends a sweep, too: with 130 after Ctrl-C, 143 after SIGTERM.
    """
    hydra = HydraConfig.get() if HydraConfig.initialized() else None  # ``one_of_many`` comes before it
    failure = Path(hydra.runtime.output_dir) / FAILURE if hydra and hydra.mode is RunMode.MULTIRUN else None
    if failure:
        failure.unlink(missing_ok=True)  # of an earlier sweep in the same folder
    stops = False
    try:
        with terminable():
            yield
        return
    except KeyboardInterrupt as stop:
        told, code, stops = "stopped before it was done; the same command begins again", status(stop), True
    except PosterGenreError as error:
        told, code, stops = " ".join(str(error).split()), error.status, isinstance(error, StoppedError)
    except OSError as error:
        if failure is None and error.errno not in DISK:
            raise
        told, code = f"cannot read or write {error.filename or 'a file'}: {error.strerror or error}", 1
    except Exception as error:
        if failure is None:
            raise
        traceback.print_exc()
        told, code = " ".join(f"{type(error).__name__}: {error}".split()), 1
    Console(stderr=True).print(f"error: {told}", markup=False, highlight=False, soft_wrap=True)
    if failure:
        failure.write_text(told + "\n", encoding="utf-8")
    if stops or failure is None:
        raise SystemExit(code)


class Folder(Callback):
    """Sees to it, before Hydra makes a run's folder and shows a traceback, that it can be made and written to."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Tell in one line, with exit status 1, where it cannot."""
        self._make(config.hydra.run.dir, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Tell it of the folder of all runs."""
        self._make(config.hydra.sweep.dir, "hydra.sweep.dir")

    def _make(self, folder: str, setting: str) -> None:
        with reported():
            try:
                Path(folder).mkdir(parents=True, exist_ok=True)
                with TemporaryFile(dir=folder):
                    pass
            except (OSError, ValueError) as error:  # a NUL in its name
                reason = error.strerror if isinstance(error, OSError) else error
                raise ConfigError(
                    f"cannot write to the folder {brief(folder)}: {reason}; give another with {setting}=FOLDER"
                ) from None


class SweepTable(Callback):
    """Keeps ``sweep.csv`` beside the runs of a sweep, and prints it when the sweep ends, however it does."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """See to it that the table is printed even where a launcher lost a job and gives up."""
        atexit.register(self._print, config)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Refresh the table after each job, so that a sweep that dies leaves what it learnt."""
        if config.hydra.mode is RunMode.MULTIRUN:
            write_sweep(Path(config.hydra.sweep.dir))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table, best run first, and fail where a run failed."""
        atexit.unregister(self._print)
        rows = self._print(config)
        if failed := sum(row["status"] != "finished" for row in rows):
            raise SystemExit(f"error: {failed} of {len(rows)} runs failed; what each said is above")

    def _print(self, config: DictConfig) -> list[dict[str, Any]]:
        folder = Path(config.hydra.sweep.dir)
        rows = write_sweep(folder, ended=True)
        settings = [key for key in dict.fromkeys(key for row in rows for key in row) if not key.startswith("val/")]
        own = ("run", "status", "error")
        varied = [key for key in settings if len({row.get(key) for row in rows}) > 1 and key not in own]
        table = Table(
            title=f"{len(rows)} runs", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
        )
        shown = ["run", "status", *varied, "val/map", "val/map_all", "val/bce"]
        for key in shown:
            table.add_column(key)
        for row in rows:
            cells = (row.get(key, "") for key in shown)
            table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells))
        console = Console()
        console.print(table)
        console.print(f"all settings and scores: {folder / 'sweep.csv'}", markup=False, highlight=False, soft_wrap=True)
        if rows and rows[0]["status"] == "finished":
            overrides = shlex.join(_overrides(folder / str(rows[0]["run"])))
            console.print(
                f"the best again: python scripts/{config.hydra.job.name}.py {overrides}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        return rows


def write_sweep(folder: Path, *, ended: bool = False) -> list[dict[str, Any]]:
    """Write and return the table of a sweep's runs, best validation score first.

    Each row holds ``run``, ``status``, the settings that the sweep gave the run, its ``error`` and its ``val/`` scores.

    Args:
        folder: Of the sweep.
        ended: Runs that left neither scores nor an error do not run any more: something killed them.
    """
    rows = []
    runs = [path.parent.parent for path in folder.glob("*/.hydra/overrides.yaml")]
    for run in sorted(runs, key=lambda run: (len(run.name), run.name)):
        scores = run / SCORES
        settings = dict(override.lstrip("+").split("=", 1) for override in _overrides(run) if "=" in override)
        row: dict[str, Any] = {"run": run.name, "status": "killed" if ended else "running", **settings}
        if (failure := run / FAILURE).is_file():
            row |= {"status": "failed", "error": failure.read_text(encoding="utf-8").strip()}
        elif scores.is_file():
            row["status"] = "finished"
            row |= {f"val/{name}": value for name, value in json.loads(scores.read_text(encoding="utf-8")).items()}
        rows.append(row)
    rows.sort(key=lambda row: -row.get("val/map", -1.0))
    columns = sorted(dict.fromkeys(key for row in rows for key in row), key=lambda key: key.startswith("val/"))
    draft = folder / f"sweep.csv.{os.getpid()}"  # launchers let several jobs end at once
    with draft.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=columns, restval="")
        table.writeheader()
        table.writerows(rows)
    draft.replace(folder / "sweep.csv")
    return rows


def _overrides(run: Path) -> list[str]:
    loaded = OmegaConf.load(run / ".hydra" / "overrides.yaml")
    return [str(override) for override in loaded]
