"""Try settings until as many trials have ended as were asked for."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from postergenre.data.datamodule import PosterData
from postergenre.errors import ConfigError
from postergenre.stopping import stops_told
from postergenre.sweeping.config import SweepConfig
from postergenre.sweeping.space import Dimension, read_space
from postergenre.sweeping.workers import Worker
from postergenre.training import TrainConfig
from postergenre.training.ranks import launched
from postergenre.web import without_secrets

if TYPE_CHECKING:
    from postergenre.sweeping.report import Best

MOST_FAILURES = 10
"""Trials that may fail one after the other before it is not their settings that are held to be the reason."""
MACHINE = (
    "output_dir", "data.root", "data.cache", "data.cache_limit", "data.workers", "data.exclude", "data.relabel",
    "trainer.gpus",
)  # fmt: skip
"""Settings in which the workers of a study may differ; what a file says is in the fingerprint of the posters."""


def sweep(config: SweepConfig, *, overrides: Sequence[str] = ()) -> "Best":
    """Go on with the study, or begin it, until its trials have ended; print and write what they gave.

    Any number of processes may do so at once. A process may die at any time: what its trial would have tried is tried
    by another, or when the same is asked for again.

    Args:
        config: What to search.
        overrides: What ``scripts/train.py`` is told to train as all trials do, for the command that repeats the best.

    Raises:
        PosterGenreError: A setting, the posters or the storage cannot be used, or no trial came to its end.
        StoppedError: Ctrl-C or SIGTERM; the trial is given back.
    """
    try:
        from postergenre.sweeping.attempt import attempt, tidy  # Optuna is an extra
        from postergenre.sweeping.report import Report
        from postergenre.sweeping.study import Study
    except ImportError as error:
        raise ConfigError(f"sweeps need Optuna ({error}): pip install 'postergenre[sweep]'") from None
    if (ranks := launched()) and ranks.num_ranks > 1:
        raise ConfigError(
            "the workers of a study are no ranks of one training: leave torchrun or srun out, and start the same "
            "command as often as you like"
        )
    console = Console()
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    base = config.training()
    dimensions = read_space(config.space, base)
    settings = _common(base, dimensions) | {"posters": _fingerprint(base, console)}
    kept = stops_told(f"stopped; the trial is given back, and the same command goes on with the study in {output}")
    with kept, Worker(output / "workers") as worker:
        study = Study(config.study, output, worker, storage=config.storage, settings=settings, seed=config.seed)
        report = Report(study, dimensions, overrides, console)
        report.begin(config.trials)
        failures = 0
        while failures < MOST_FAILURES:
            started = study.next_trial(dimensions, trials=config.trials, prune=config.prune)
            if started is None:
                break
            finished = attempt(*started, base=base, study=study, prune=config.prune)
            failures = 0 if finished else failures + 1
            tidy(study, keep=config.keep)
            report.trial(started[0].number)
        return report.end(gave_up=failures == MOST_FAILURES)


def _common(base: TrainConfig, dimensions: list[Dimension]) -> dict[str, Any]:
    """Return what trials of one study must have in common, flat: other settings would give other scores."""
    varied = {dimension.key for dimension in dimensions}
    flat = {key: value for key, value in _flat(asdict(base)).items() if key not in varied and key not in MACHINE}
    if not base.genres.active:  # as before there was a mapping
        flat = {key: value for key, value in flat.items() if not key.startswith("genres.")}
    space = {f"space.{key}": value for key, value in _flat({d.key: asdict(d) for d in dimensions}).items()}
    common = flat | {key: value for key, value in space.items() if not key.endswith((".kind", ".key"))}
    return {key: without_secrets(value) if isinstance(value, str) else value for key, value in common.items()}


def _flat(branch: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in branch.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _fingerprint(base: TrainConfig, console: Console) -> str:
    """Return what tells the posters and their splits from others; what is wrong with them is told before all trials."""
    data = PosterData(base.data, base.preprocess, mapping=base.genres)
    data.prepare_data()
    data.setup()
    for note in data.notes:
        console.print(f"note: {note}", highlight=False)
    return data.fingerprint
