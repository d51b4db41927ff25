"""Maps of the genres: which stand together, and which are frequent. Call the functions within ``drawing()``."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from postergenre.evaluation.report.findings import Floats
from postergenre.evaluation.report.labels import place_labels
from postergenre.evaluation.report.svg import CHANCE, DASHED, DPI, INK, MODEL, to_svg

LETTERS = 14
"""Of a genre's name beside a figure."""


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
    for text, place in zip(short, place_labels(points, short, size=6.5, within=frame), strict=True):
        axes.text(place.x, place.y, text, transform=None, fontsize=6.5, color=INK, parse_math=False, ha=place.side)
    return to_svg(figure, name, label)


def _shortened(genre: str) -> str:
    genre = " ".join(genre.split())
    return genre if len(genre) <= LETTERS else f"{genre[: LETTERS - 1].rstrip()}…"
