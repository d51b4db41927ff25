"""The study that all workers share: who tries what next, and what became of it."""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from postergenre.errors import ConfigError
from postergenre.paths import expanded
from postergenre.sweeping.space import Dimension, Value
from postergenre.sweeping.workers import Worker

MOST_ATTEMPTS = 3
"""Workers that may die in the same settings before these are held to be the reason."""
UNJUDGED = 10
"""Trials before TPE replaces chance, and before the median prunes: fewer say little."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
SETTINGS = "settings"


class StorageError(ConfigError):
    """The study's storage does not answer: no fault of a trial."""


class OldStorageError(Exception):
    """The storage is of another version of Optuna, which says what to do."""


class Study:
    """One Optuna study in one folder, opened by one worker.

    Whatever must not be done by two workers at once is done under a lock in the folder. So workers that share it never
    start more trials than are wanted, and give back the trials of those that died.
    """

    def __init__(
        self, name: str, folder: Path, worker: Worker, *, storage: str | None, settings: Mapping[str, Any], seed: int
    ) -> None:
        """Open the study, or begin it.

        Args:
            name: Of the study in its storage.
            folder: Of the trials.
            worker: Who opens it.
            storage: As in ``SweepConfig``.
            settings: What all trials have in common, as plain data.
            seed: Of the sampler.

        Raises:
            ConfigError: The storage cannot be used, or the study was begun with other settings.
        """
        self.folder = folder
        self.worker = worker
        self.seed = seed
        self.lock = FileLock(folder / "study.lock")
        self.storage = storage or f"sqlite:///{(folder / 'study.db').absolute()}"
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # what happens is ours to say
        with self.lock, self.answering():
            self.optuna = optuna.create_study(
                study_name=name, storage=_storage(self.storage), direction="maximize", load_if_exists=True
            )
            self._agree(json.loads(json.dumps(settings)))

    def next_trial(
        self, dimensions: list[Dimension], *, trials: int, prune: bool
    ) -> tuple[Trial, dict[str, Value]] | None:
        """Return a trial and its settings, or None where as many as are wanted have ended or are being tried."""
        with self.lock, self.answering():
            for name in self.worker.dead():
                for trial in self._running(name):
                    self.give_back(trial.number)
                self.worker.bury(name)
            at_work = [trial for trial in self._running() if self.worker.lives(trial.user_attrs.get("worker", ""))]
            if len(self.ended()) + len(at_work) >= trials:
                return None
            # Each trial has a seed of its own: a study that goes on tries what it would have tried, and two workers
            # that begin together do not try the same.
            seed = np.random.SeedSequence([self.seed, len(self.all())]).generate_state(1)[0]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)  # `multivariate` before Optuna 5
                self.optuna.sampler = TPESampler(
                    n_startup_trials=UNJUDGED, multivariate=True, constant_liar=True, seed=int(seed)
                )
            self.optuna.pruner = MedianPruner(n_startup_trials=UNJUDGED) if prune else NopPruner()
            started = self.optuna.ask()
            started.set_user_attr("worker", self.worker.name)
            return started, {dimension.key: dimension.suggest(started) for dimension in dimensions}

    def give_back(self, number: int, *, blame: bool = True) -> None:
        """End a trial whose worker is gone: what it finished counts, what it did not is tried again.

        Args:
            number: Of the trial.
            blame: Count this against its settings.
        """
        trial = self.all()[number]
        scores = self.trial_folder(number) / "scores.json"
        try:
            score = float(json.loads(scores.read_text(encoding="utf-8"))["map"])
        except (OSError, ValueError):
            pass
        else:  # it died between the end of its training and telling so
            if trial.user_attrs.get("pruned"):
                self.optuna.tell(number, state=TrialState.PRUNED)
            else:
                self.optuna.tell(number, score)
            return
        attempt = int(trial.user_attrs.get("attempt", 1)) + blame
        if attempt <= MOST_ATTEMPTS and number not in self.repeated():
            self.optuna.enqueue_trial(trial.params, user_attrs={"repeats": number, "attempt": attempt})
        self.optuna.tell(number, state=TrialState.FAIL)

    def all(self) -> list[FrozenTrial]:
        """Return every trial, by number."""
        return self.optuna.get_trials(deepcopy=False)

    def repeated(self) -> set[int]:
        """Return the numbers of the trials that are tried again under another number."""
        return {int(trial.user_attrs["repeats"]) for trial in self.all() if "repeats" in trial.user_attrs}

    def ended(self) -> list[FrozenTrial]:
        """Return the trials that need no other try."""
        repeated = self.repeated()
        return [trial for trial in self.all() if trial.state in ENDED and trial.number not in repeated]

    def ranked(self) -> list[FrozenTrial]:
        """Return the trials that trained to their end, best first."""
        complete = [trial for trial in self.all() if trial.state is TrialState.COMPLETE]
        return sorted(complete, key=lambda trial: (-_score(trial), trial.number))

    def trial_folder(self, number: int) -> Path:
        """Return where a trial leaves what training leaves."""
        return self.folder / "trials" / f"{number:03}"

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Say in a sentence that the storage does not answer; the study itself is where it was.

        Raises:
            StorageError: It does not.
        """
        try:
            yield
        except (SQLAlchemyError, StorageInternalError, ImportError, OldStorageError) as error:
            told = (str(error.__cause__ or error).strip() or repr(error)).splitlines()[0]
            raise StorageError(f"storage={_safe(self.storage)} cannot be used: {told}") from error

    def _running(self, worker: str | None = None) -> list[FrozenTrial]:
        running = [trial for trial in self.all() if trial.state is TrialState.RUNNING]
        return [trial for trial in running if worker is None or trial.user_attrs.get("worker") == worker]

    def _agree(self, settings: dict[str, Any]) -> None:
        before = self.optuna.user_attrs.get(SETTINGS)
        name = self.optuna.study_name
        if before is None and self.all():
            raise ConfigError(f"study {name} in {_safe(self.storage)} is none of ours; give another study=NAME")
        if before is None:
            self.optuna.set_user_attr(SETTINGS, settings)
        elif before != settings:
            differing = [key for key in sorted({*before, *settings}) if before.get(key) != settings.get(key)]
            told = "; ".join(f"{key} was {before.get(key)}, now {settings.get(key)}" for key in differing)
            raise ConfigError(f"study {name} was begun with other settings ({told}); give another study=NAME")


def _score(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _storage(address: str) -> BaseStorage:
    if "://" not in address:
        path = expanded(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))
    # Workers wait for one another.
    waiting = {"connect_args": {"timeout": 60}} if address.startswith("sqlite") else {}
    try:
        return RDBStorage(address, engine_kwargs=waiting)
    except RuntimeError as error:
        raise OldStorageError(str(error)) from None


def _safe(address: str) -> str:
    """Return an address without its password."""
    return make_url(address).render_as_string(hide_password=True) if "://" in address else address
