"""The figures of a report. Each function returns ``<svg>`` elements; call them within ``drawing()``."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from postergenre.evaluation.report.findings import Bins, Floats
from postergenre.evaluation.report.labels import place_labels
from postergenre.evaluation.report.svg import to_svg

MODEL, OTHER, CHANCE, INK = "#0b5394", "#d06000", "#8a8a8a", "#222222"
"""Blue and orange are told apart by colour-blind readers; in grey print by their dashes and markers."""
DASHED = (0, (4, 2))
DPI = 72
"""A pixel of matplotlib is then a point of the SVG."""
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


def heat_map(shares: Floats, genres: Sequence[str], *, name: str, label: str) -> Markup:
    """Return ``shares (g,g)`` as percentages on a scale of 0 … 1; the diagonal, always 1, is left grey."""
    size = len(genres)
    figure = Figure(figsize=(4.4, 4.0), dpi=DPI)
    axes = figure.add_axes((0.18, 0.01, 0.71, 0.71 * 4.4 / 4.0))
    diagonal = np.eye(size, dtype=bool)
    empty = diagonal | ~np.isfinite(shares)
    for shown, colours in (
        (np.ma.masked_where(empty, shares), "Blues"),
        (np.ma.masked_where(~empty, np.ones_like(shares)), ListedColormap(["#dcdbd8"])),
    ):
        axes.pcolormesh(shown, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=0.8)
    for row, column in zip(*np.nonzero(~diagonal), strict=True):
        share = shares[row, column]
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{100 * share:.0f}" if np.isfinite(share) else "–",
            ha="center",
            va="center_baseline",
            fontsize=6.5,
            color="white" if share > 0.55 else INK,
        )
    short = [_shortened(genre) for genre in genres]
    axes.set(xlim=(0, size), ylim=(size, 0))
    axes.set_xticks(np.arange(size) + 0.5, short, rotation=45, ha="left", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(np.arange(size) + 0.5, short, parse_math=False)
    axes.tick_params(length=0, pad=2, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    return to_svg(figure, name, label)


def against_frequency(
    support: Floats,
    values: Floats,
    genres: Sequence[str],
    *,
    num_posters: int | None = None,
    value_name: str,
    name: str,
    label: str,
) -> Markup:
    """Return labelled points, a genre each, over a logarithmic axis of support.

    Args:
        support: ``(g,)``, above 0.
        values: ``(g,)``, finite.
        genres: Their names.
        num_posters: Where given, the curve of what chance scores, ``support / num_posters``; a line at 0 otherwise.
        value_name: What the vertical axis shows.
        name: As in ``to_svg``.
        label: As in ``to_svg``.
    """
    figure = Figure(figsize=(4.4, 3.6), dpi=DPI)
    axes = figure.add_axes((0.1, 0.11, 0.87, 0.86))
    low, high = support.min() / 1.35, support.max() * 1.7
    axes.set(xscale="log", xlim=(low, high), xlabel="posters with the genre (log scale)", ylabel=value_name)
    bottom, top = min(values.min(), 0), max(values.max(), 0.05)
    axes.set_ylim(bottom - 0.04 * (top - bottom), top + 0.08 * (top - bottom))
    line = np.geomspace(low, high, 120)
    chance = np.zeros_like(line) if num_posters is None else line / num_posters
    axes.plot(line, chance, color=CHANCE, linestyle=DASHED, linewidth=0.9)
    ticks = [step * 10**power for power in range(7) for step in (1, 2, 5) if low <= step * 10**power <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:,}" for tick in ticks])
    axes.plot(support, values, "o", color=MODEL, markersize=4, markeredgecolor="white", markeredgewidth=0.5)
    frame = axes.get_window_extent().extents
    short = [_shortened(genre) for genre in genres]
    points = axes.transData.transform(np.column_stack([support, values]))
    places = place_labels(points, short, size=6.5, within=frame)
    for text, (x, y) in zip(short, places, strict=True):
        axes.text(x, y, text, transform=None, fontsize=6.5, color=INK, parse_math=False)
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


def _shortened(genre: str) -> str:
    genre = " ".join(genre.split())
    return genre if len(genre) <= 14 else f"{genre[:13].rstrip()}…"
