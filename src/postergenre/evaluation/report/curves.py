"""Lines of a report: ranking, calibration, training. Each function returns ``<svg>``; call it within ``drawing()``."""

from itertools import cycle

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from postergenre.evaluation.report.findings import Bins, Floats
from postergenre.evaluation.report.svg import CHANCE, DASHED, DPI, INK, MODEL, OTHER, to_svg

SMALL, MEDIUM = (2.1, 1.8), (4.4, 3.3)
"""Inches; the page scales them to its columns."""
FEW = 10
"""Answers below which the share of a bin is mostly luck, and not drawn."""
MOST_POINTS = 150
"""Of a curve: more cannot be told apart at its size."""


def precision_recall_curve(
    recall: Floats, precision: Floats, *, chance: float, cut: tuple[float, float], name: str, label: str
) -> Markup:
    """Return the curve of one genre, the line of chance, and the point ``cut`` (recall, precision) of its threshold."""
    figure, axes = _unit_square(SMALL, (0.2, 0.19, 0.77, 0.78), x="recall", y="precision")
    kept = np.unique(np.linspace(0, len(recall) - 1, MOST_POINTS).round().astype(int))
    axes.axhline(chance, color=CHANCE, linestyle=DASHED, linewidth=0.9)
    axes.plot(np.append(0, recall[kept]), np.append(precision[:1], precision[kept]), color=MODEL)
    axes.plot(*cut, marker="o", markersize=4, color="white", markeredgecolor=INK, markeredgewidth=1, clip_on=False)
    return to_svg(figure, name, label)


def reliability_curve(before: Bins | None, after: Bins, *, name: str, label: str) -> Markup:
    """Return observed against predicted shares after calibration, and ``before`` where that differs."""
    figure, axes = _unit_square(SMALL, (0.2, 0.19, 0.77, 0.78), x="predicted", y="observed")
    _reliability(axes, before, after, size=3.0)
    return to_svg(figure, name, label)


def counted_reliability_curve(before: Bins | None, after: Bins, *, name: str, label: str) -> Markup:
    """Return the same larger, over a histogram of how many answers lie where."""
    figure, axes = _unit_square(MEDIUM, (0.15, 0.33, 0.82, 0.64), x="", y="share that is true")
    _reliability(axes, before, after, size=4.5)
    axes.set_xticklabels([])
    axes.legend(loc="upper left", handlelength=2.6)
    counts = figure.add_axes((0.15, 0.12, 0.82, 0.16))
    edges = np.linspace(0, 1, len(after.counts) + 1)
    counts.stairs(after.counts, edges, color=MODEL, fill=True, alpha=0.25)
    counts.stairs(after.counts, edges, color=MODEL, linewidth=1)
    if before is not None:
        counts.stairs(before.counts, edges, color=OTHER, linestyle=(0, (2, 1)), linewidth=1)
    most = max(after.counts.max(), before.counts.max() if before else 0, 10)
    counts.set(xlim=(-0.02, 1.02), xlabel="predicted probability", ylabel="answers")
    counts.set_yscale("log")
    counts.set_ylim(0.7, 2 * most)
    counts.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    ticks = [10**power for power in range(0, 7, 2) if 10**power <= 2 * most]
    counts.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    counts.yaxis.set_minor_locator(NullLocator())
    return to_svg(figure, name, label)


def training_curves(
    lines: dict[str, tuple[Floats, Floats]], *, best: float | None, value_name: str, name: str, label: str
) -> Markup:
    """Return curves over epochs.

    Args:
        lines: Epochs and values of each, by name; any number of points.
        best: The epoch of the checkpoint, marked by a line.
        value_name: What the vertical axis shows.
        name: As in ``to_svg``.
        label: As in ``to_svg``.
    """
    figure = Figure(figsize=(4.4, 2.6), dpi=DPI)
    axes = figure.add_axes((0.12, 0.15, 0.85, 0.81))
    looks = cycle(((MODEL, "-", "o"), (OTHER, (0, (4, 1.5)), "s"), (INK, (0, (1, 1)), "^"), (CHANCE, "-", "D")))
    for (line, (epochs, values)), (colour, dashes, marker) in zip(lines.items(), looks, strict=False):
        axes.plot(
            epochs,
            values,
            color=colour,
            linestyle=dashes,
            marker=marker if len(epochs) <= 40 else None,
            markersize=3,
            label=line,
        )
    if best is not None:
        axes.axvline(best, color=CHANCE, linewidth=0.8, linestyle=(0, (1, 1.5)), label="this checkpoint")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set(xlabel="epoch", ylabel=value_name)
    axes.margins(x=0.03, y=0.08)
    axes.legend(loc="best", handlelength=2.6)
    return to_svg(figure, name, label)


def _reliability(axes: Axes, before: Bins | None, after: Bins, *, size: float) -> None:
    axes.plot([0, 1], [0, 1], color=CHANCE, linestyle=DASHED, linewidth=0.9)
    for bins, colour, marker, fill, dashes, word in (
        (before, OTHER, "s", "white", (0, (2, 1)), "before: "),
        (after, MODEL, "o", MODEL, "-", "after: " if before else ""),
    ):
        if bins is not None:
            axes.plot(
                bins.predicted,
                np.where(bins.counts >= FEW, bins.observed, np.nan),
                color=colour,
                linestyle=dashes,
                marker=marker,
                markersize=size,
                markerfacecolor=fill,
                markeredgewidth=0.9,
                label=f"{word}ECE {bins.error:.3f}",
            )


def _unit_square(
    size: tuple[float, float], place: tuple[float, float, float, float], *, x: str, y: str
) -> tuple[Figure, Axes]:
    """Return a figure whose axes go from 0 to 1 both."""
    figure = Figure(figsize=size, dpi=DPI)
    axes = figure.add_axes(place)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y)
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    return figure, axes
