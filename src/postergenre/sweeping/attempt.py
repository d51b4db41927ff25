"""One trial: train with its settings, and tell the study how it went, whatever happens."""

import traceback
from collections.abc import Mapping
from contextlib import suppress

from optuna.trial import Trial, TrialState
from rich.console import Console

from postergenre.errors import PosterGenreError, StoppedError
from postergenre.sweeping.space import Value, with_settings
from postergenre.sweeping.study import StorageError, Study
from postergenre.training import TrainConfig, train


def attempt(trial: Trial, settings: Mapping[str, Value], *, base: TrainConfig, study: Study, prune: bool) -> bool:
    """Train as ``base`` with the settings of a trial, and tell the study.

    What training prints goes to ``train.log`` in the trial's folder. Whatever goes wrong there is the trial's: it is
    told to the study as a sentence, with the traceback in the log.

    Returns:
        Whether the trial ended with a score.

    Raises:
        StorageError: The study cannot be told.
    """
    folder = study.trial_folder(trial.number)
    folder.mkdir(parents=True, exist_ok=True)

    def on_epoch(epoch: int, score: float) -> bool:
        with study.answering():
            trial.report(score, epoch)
            if stop := prune and trial.should_prune():
                trial.set_user_attr("pruned", True)
        return stop

    with (folder / "train.log").open("w", encoding="utf-8") as log:
        try:
            config = with_settings(base, {**settings, "output_dir": str(folder)})
            trained = train(config, console=Console(file=log, width=160), on_epoch=on_epoch, pictures=False)
        except StorageError:
            raise
        except BaseException as error:
            if isinstance(error, StoppedError) or not isinstance(error, Exception):  # no fault of these settings
                with study.answering():
                    study.give_back(trial.number, blame=False)
                raise
            traceback.print_exc(file=log)
            told = " ".join(str(error).split())
            problem = told if isinstance(error, PosterGenreError) else f"{type(error).__name__}: {told}"
            with study.answering(), suppress(RuntimeError):
                trial.set_user_attr("error", problem)
                study.optuna.tell(trial, state=TrialState.FAIL)
            return False
    with study.answering(), suppress(RuntimeError):  # of a trial that others ended, for they believed this worker dead
        trial.set_user_attr("scores", trained.scores)
        if study.all()[trial.number].user_attrs.get("pruned"):
            study.optuna.tell(trial, state=TrialState.PRUNED)
        else:
            study.optuna.tell(trial, trained.score)
    return True


def tidy(study: Study, *, keep: int) -> None:
    """Delete the checkpoints of all ended trials but the ``keep`` best: a study would leave gigabytes of them."""
    kept = {trial.number for trial in study.ranked()[:keep]}
    for trial in study.all():
        if trial.state.is_finished() and trial.number not in kept:
            for checkpoint in study.trial_folder(trial.number).glob("**/*.ckpt*"):  # and drafts of the killed
                checkpoint.unlink(missing_ok=True)
