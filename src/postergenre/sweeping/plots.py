"""Two pictures of a study: how its scores rose, and which settings they hang on."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

INK, FAINT, MODEL, OTHER = "#222222", "#9a9a9a", "#2166ac", "#d6604d"
FEWEST = 10
"""Finished trials below which the importance of settings would be made up."""


def plot_history(trials: Sequence[FrozenTrial], path: Path) -> None:
    """Draw each trial's best ``val/map`` by its number, and the best so far."""
    figure = Figure(figsize=(7, 3.6), dpi=150, layout="constrained")
    axes = figure.subplots()
    finished = [(trial.number, trial.value) for trial in trials if trial.state is TrialState.COMPLETE]
    pruned = [
        (trial.number, max(trial.intermediate_values.values()))
        for trial in trials
        if trial.state is TrialState.PRUNED and trial.intermediate_values
    ]
    numbers, scores = np.array(finished, dtype=float).T
    if pruned:
        axes.plot(*np.array(pruned, dtype=float).T, "x", color=FAINT, markersize=5, label="stopped early")
    axes.plot(numbers, scores, "o", color=MODEL, markersize=4, alpha=0.8, label="finished")
    best = np.maximum.accumulate(scores)
    axes.step(
        [*numbers, len(trials) - 1], [*best, best[-1]], where="post", color=OTHER, linewidth=1.2, label="best so far"
    )
    failed = [trial.number for trial in trials if trial.state is TrialState.FAIL]
    if failed:
        axes.plot(
            failed, np.full(len(failed), 0.02), "|", color=OTHER, transform=axes.get_xaxis_transform(), label="failed"
        )
    axes.set(xlabel="trial", ylabel="val/map")
    _plain(figure, path)


def plot_importance(study: optuna.Study, path: Path) -> None:
    """Draw which share of the differences between trials each setting explains; nothing where too few have finished.

    Hutter et al., "An efficient approach for assessing hyperparameter importance", 2014 (fANOVA).
    """
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(finished) < FEWEST or len({trial.value for trial in finished}) < 2:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    names, values = list(shares)[::-1], list(shares.values())[::-1]
    figure = Figure(figsize=(7, 0.7 + 0.32 * len(names)), dpi=150, layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, values, color=MODEL, height=0.62)
    axes.bar_label(bars, labels=[f"{value:.0%}" for value in values], padding=3, color=INK)
    axes.set_xlabel(f"share of the spread of val/map over {len(finished)} finished trials")
    axes.set_xlim(0, max(values) * 1.12)
    axes.tick_params(axis="y", length=0)
    _plain(figure, path)


def _plain(figure: Figure, path: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize="small", loc="lower right", bbox_to_anchor=(1, 1), ncols=4)
    figure.savefig(path)
