"""Posters that are worth a look: the most confident mistakes, and where the answer is most open."""

import base64
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from postergenre.errors import PictureError
from postergenre.evaluation.report.findings import Findings, Floats, Marks, entropies
from postergenre.preprocess import open_picture, upright_rgb

NUM_SHOWN = 18
"""Posters in each grid."""
NUM_PER_GENRE = 4
"""Of one genre, so that a frequent (or a rare) one does not fill a grid."""
THUMBNAIL = (220, 160)
"""Width and height in pixels that a small picture stays within."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One poster of a grid."""

    row: int
    """Which of the N posters."""
    genre: int | None = None
    """Which genre was wrong; None where no genre is singled out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What stands on and beneath a poster of a grid."""

    file: str
    picture: str | None
    """A ``data:`` address; None where the file cannot be read."""
    lead: str
    true: list[str]
    predicted: list[str]
    """With probabilities; empty where no genre reached its threshold."""
    likely: str
    """The most probable genre."""


def grids(findings: Findings) -> dict[str, list[Card]]:
    """Return the cards of ``alarms``, ``misses`` and ``uncertain`` posters, the first of each kind first."""
    p, truth, thresholds = findings.probabilities, findings.truth, findings.thresholds
    return {
        "alarms": [_card(findings, shown) for shown in false_alarms(p, truth, thresholds)],
        "misses": [_card(findings, shown) for shown in misses(p, truth, thresholds)],
        "uncertain": [_card(findings, shown) for shown in most_uncertain(p)],
    }


def _card(findings: Findings, shown: Shown) -> Card:
    p, path = findings.probabilities[shown.row], findings.paths[shown.row]
    ranked = np.argsort(-p, kind="stable")
    named = {genre: f"{findings.genres[genre]} {p[genre]:.2f}" for genre in ranked}
    true = [genre for genre, applies in zip(findings.genres, findings.truth[shown.row], strict=True) if applies]
    if shown.genre is None:
        lead = f"{entropies(p[None])[0]:.1f} bits"
    else:
        lead = f"{findings.genres[shown.genre]} {_told(p[shown.genre])}"
    return Card(
        file=path.name,
        picture=thumbnail(findings.picture(shown.row)),
        lead=lead,
        true=true,
        predicted=[text for genre, text in named.items() if findings.decided[shown.row, genre]],
        likely=named[ranked[0]],
    )


def _told(probability: float) -> str:
    return f"{probability:.2f}" if 0.005 <= probability < 0.995 else f"{probability:.4f}"


def false_alarms(probabilities: Floats, truth: Marks, thresholds: Floats) -> list[Shown]:
    """Return the posters that were given a genre they do not have, the highest probability first.

    Args:
        probabilities: ``(N,G)``, calibrated.
        truth: ``(N,G)``.
        thresholds: ``(G,)``, from which a genre is given.
    """
    wrong = (probabilities >= thresholds) & ~truth
    return _first(*np.nonzero(wrong), order=-probabilities[wrong])


def misses(probabilities: Floats, truth: Marks, thresholds: Floats) -> list[Shown]:
    """Return the posters that were not given a genre they have, the lowest probability first; see ``false_alarms``."""
    wrong = (probabilities < thresholds) & truth
    return _first(*np.nonzero(wrong), order=probabilities[wrong])


def most_uncertain(probabilities: Floats) -> list[Shown]:
    """Return the posters whose answers leave most bits open, the most open first."""
    return [Shown(row=int(row)) for row in np.argsort(-entropies(probabilities), kind="stable")[:NUM_SHOWN]]


def _first(rows: Iterable[int], genres: Iterable[int], *, order: Floats) -> list[Shown]:
    """Return the first mistakes in an order: each poster once, and each genre a few times."""
    pairs = list(zip(rows, genres, strict=True))
    shown: dict[int, Shown] = {}
    per_genre: Counter[int] = Counter()
    for place in np.argsort(order, kind="stable"):
        row, genre = (int(number) for number in pairs[place])
        if row not in shown and per_genre[genre] < NUM_PER_GENRE:
            per_genre[genre] += 1
            shown[row] = Shown(row=row, genre=genre)
        if len(shown) == NUM_SHOWN:
            break
    return list(shown.values())


def thumbnail(source: Path | bytes) -> str | None:
    """Return a small JPEG as the text of a ``data:`` address; None where the file is gone or is no picture."""
    try:
        picture = upright_rgb(open_picture(source))
    except PictureError:
        return None
    picture.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=78, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
