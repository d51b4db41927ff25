"""The figures of a report, each with its words: from what was found to what is drawn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from postergenre.evaluation.report import curves, maps
from postergenre.evaluation.report.findings import (
    Bins,
    Findings,
    Floats,
    Marks,
    co_occurrence,
    precision_recall,
    reliability,
)
from postergenre.evaluation.report.pages import number
from postergenre.evaluation.report.tables import cell
from postergenre.evaluation.scored import Scored

NUM_TOGETHER = 12
"""Genres in a heat map."""
NUM_RELIABLE = 10
"""Genres with a reliability curve of their own."""
LOSSES = ("train/loss_epoch", "train/bce_epoch", "train/loss", "train/bce", "val/loss", "val/bce")
RANKINGS = ("val/map", "val/map_all", "val/map_prior")

Row = Mapping[str, str | float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One of several figures that stand together."""

    title: str
    note: str = ""
    picture: Markup


def precision_recall_curves(findings: Findings, rows: Sequence[Row]) -> list[Panel]:
    """Return a panel for each genre that has a poster; ``rows`` are in the order of the findings."""
    panels = []
    for place, (row, genre) in enumerate(zip(rows, findings.genres, strict=True)):
        if not findings.present[place]:
            continue
        recall, precision = precision_recall(findings.logits[:, place], findings.truth[:, place])
        ap, chance = number(cell(row, "ap"), 2), cell(row, "chance")
        picture = curves.precision_recall_curve(
            recall,
            precision,
            chance=chance,
            cut=(cell(row, "recall"), cell(row, "precision")),
            name=f"pr{place}",
            label=f"Precision against recall of {genre}: average precision {ap}, chance {number(chance, 2)}",
        )
        panels.append(Panel(title=genre, note=f"AP {ap}, n {int(row['support']):,}", picture=picture))
    return panels


def pooled_reliability(findings: Findings) -> Markup | None:
    """Return the curve over all answers about headline genres; None where no poster has one."""
    counted = findings.headline & findings.present
    if not counted.any():
        return None
    before, after, note = _bins(findings, counted)
    label = f"Share that is true against predicted probability, all answers about headline genres: {note}"
    return curves.counted_reliability_curve(before, after, name="pooled", label=label)


def reliability_curves(findings: Findings) -> list[Panel]:
    """Return a panel for each of the most frequent genres."""
    panels = []
    for place in np.flatnonzero(findings.present)[:NUM_RELIABLE]:
        genre = findings.genres[place]
        before, after, note = _bins(findings, np.arange(len(findings.genres)) == place)
        label = f"Observed against predicted share of {genre}: {note}"
        picture = curves.reliability_curve(before, after, name=f"reliability{place}", label=label)
        panels.append(Panel(title=genre, note=note, picture=picture))
    return panels


def _bins(findings: Findings, genres: Marks) -> tuple[Bins | None, Bins, str]:
    """Return the bins before calibration, where it changed anything, those after it, and both errors in words."""
    truth = findings.truth[:, genres]
    after = reliability(findings.probabilities[:, genres], truth)
    if not findings.calibrated:
        return None, after, f"ECE {after.error:.3f}"
    before = reliability(findings.before[:, genres], truth)
    return before, after, f"ECE {before.error:.3f} → {after.error:.3f}"


def genres_together(findings: Findings) -> list[Panel]:
    """Return the heat maps of true and of predicted genres, the most frequent ones; nothing of fewer than two."""
    kept = np.flatnonzero(findings.present)[:NUM_TOGETHER]
    if len(kept) < 2:
        return []
    genres = [findings.genres[place] for place in kept]
    panels = []
    for title, marks in (("True", findings.truth), ("Predicted", findings.decided)):
        label = (
            f"Heat map, {title.lower()} genres: the share of the posters with a row's genre that have the column's, too"
        )
        picture = maps.heat_map(co_occurrence(marks[:, kept]), genres, name=f"together-{title.lower()}", label=label)
        panels.append(Panel(title=title, picture=picture))
    return panels


def scores_by_frequency(rows: Sequence[Row], num_posters: int) -> list[Panel]:
    """Return average precision, and what it is above chance, against support; nothing where there is no score."""
    known = [row for row in rows if row["support"] and math.isfinite(cell(row, "ap"))]
    if not known:
        return []
    support, ap, chance = (np.array([cell(row, name) for row in known]) for name in ("support", "ap", "chance"))
    shown: tuple[tuple[str, Floats, int | None], ...] = (
        ("Average precision", ap, num_posters),
        ("Average precision minus chance", ap - chance, None),
    )
    panels: list[Panel] = []
    for title, values, count in shown:
        picture = maps.against_frequency(
            support,
            values,
            [str(row["genre"]) for row in known],
            num_posters=count,
            value_name=title.lower(),
            name=f"frequency{len(panels)}",
            label=f"{title} against the number of posters; the table by genre has the numbers",
        )
        panels.append(Panel(title=title, picture=picture))
    return panels


def training_curves(scored: Scored) -> list[Panel]:
    """Return loss and ranking by epoch, as far as the history knows them."""
    best = scored.contract.provenance.get("epoch")
    panels: list[Panel] = []
    for title, names in (("Loss", LOSSES), ("Mean average precision", RANKINGS)):
        lines = {}
        for name in names:
            points = [
                (row.get("epoch", place) + 1, row[name])
                for place, row in enumerate(scored.history)
                if math.isfinite(row.get(name, math.nan))
            ]
            word = name.removesuffix("_epoch").replace("/map_prior", "/map of no poster")
            if points and word not in lines:
                lines[word] = (np.array([epoch for epoch, _ in points]), np.array([value for _, value in points]))
        if lines:
            picture = curves.training_curves(
                lines,
                best=best + 1 if isinstance(best, int) else None,
                value_name=title.lower(),
                name=f"training{len(panels)}",
                label=f"{title} by epoch: {', '.join(lines)}",
            )
            panels.append(Panel(title=title, picture=picture))
    return panels
