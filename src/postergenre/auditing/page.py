"""A page that shows what an audit found, to be kept, printed or sent."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from markupsafe import Markup

from postergenre.auditing import looks
from postergenre.auditing.duplicates import Alike
from postergenre.auditing.findings import Findings, Severity
from postergenre.auditing.suspects import Suspect
from postergenre.evaluation.report import maps
from postergenre.evaluation.report.findings import co_occurrence
from postergenre.evaluation.report.gallery import thumbnail
from postergenre.evaluation.report.pages import fill, read
from postergenre.evaluation.report.panels import NUM_TOGETHER, Panel
from postergenre.evaluation.report.svg import drawing

NUM_GROUPS = 24
"""Groups of the same art on the page."""
NUM_ALIKE = 4
"""Posters of each."""
NUM_POSTERS = 12
"""In a grid of nearly blank pictures, or of posters on both sides."""
NUM_SUSPECTS = 18
"""In the grid of the most suspect labels of all, of each kind; at most ``NUM_PER_GENRE`` of one genre."""
NUM_PER_GENRE = 4
"""Also the posters in a strip of a genre."""
NUM_ROWS = 30
"""Rows of a table of problems."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A poster, and what stands beneath it."""

    name: str
    picture: str | None
    """A ``data:`` address; None where the file cannot be read."""
    genres: list[str]
    lead: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """The suspects of one genre."""

    genre: str
    num_wrong: int
    num_missing: int
    wrong: list[Card]
    missing: list[Card]


def write_page(findings: Findings, folder: Path, *, command: str) -> Path:
    """Return the path of ``audit.html``, written into ``folder``: one file that loads nothing else."""
    issues = findings.issues()
    cards = _Cards(findings)
    page = fill(
        read("audit.html", room=__package__),
        css=Markup(read("report.css") + read("audit.css", room=__package__)),  # noqa: S704 - files of ours
        findings=findings,
        manifest=findings.subject.manifest,
        issues=issues,
        severities=[(severity, sum(issue.severity is severity for issue in issues)) for severity in Severity],
        genres=sorted(findings.labels.counts.items(), key=lambda item: -item[1]),
        together=_together(findings),
        groups=[(alike, cards.alike(alike)) for alike in findings.groups[:NUM_GROUPS]],
        blank=[cards.of(place, lead=f"spread {spread:.1f}") for place, spread in findings.pictures.blank[:NUM_POSTERS]],
        straddling=[cards.of(place) for place in findings.sides.straddling[:NUM_POSTERS]],
        problems=findings.subject.defects.problems,
        wrong=cards.suspects(_mixed(findings.suspects.wrong)) if findings.suspects else [],
        missing=cards.suspects(_mixed(findings.suspects.missing)) if findings.suspects else [],
        strips=cards.strips(),
        limits={
            "rows": NUM_ROWS,
            "groups": NUM_GROUPS,
            "per_genre": NUM_PER_GENRE,
            "blank": looks.BLANK,
            "small": looks.SMALL,
            "posters": NUM_POSTERS,
        },
        command=command,
    )
    path = folder / "audit.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


class _Cards:
    """Makes the cards of posters; a poster that is shown twice is decoded once."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.manifest = findings.subject.manifest
        self._thumbnail = cache(lambda place: thumbnail(Path(self.manifest.files[place])))

    def of(self, place: int, *, lead: str = "", note: str = "") -> Card:
        return Card(
            name=self.manifest.ids[place],
            picture=self._thumbnail(place),
            genres=list(self.manifest.labels[place]),
            lead=lead,
            note=note,
        )

    def alike(self, alike: Alike) -> list[Card]:
        splits, used = self.findings.subject.splits, set(self.findings.subject.posters.kept)
        return [
            self.of(place, note=splits[place] if splits and place in used else "not used")
            for place in alike.places[:NUM_ALIKE]
        ]

    def suspects(self, suspects: Iterable[Suspect], *, named: bool = True) -> list[Card]:
        return [
            self.of(
                suspect.place,
                lead=f"{suspect.genre if named else ''} {_told(suspect.probability)}".strip(),
                note=f"no.\u00a0{suspect.rank:,}",
            )
            for suspect in suspects
        ]

    def strips(self) -> list[Strip]:
        """Return the suspects of each genre, those with most first."""
        suspects = self.findings.suspects
        if suspects is None:
            return []
        found = [
            Strip(
                genre=genre,
                num_wrong=wrong,
                num_missing=missing,
                wrong=self.suspects([s for s in suspects.wrong if s.genre == genre][:NUM_PER_GENRE], named=False),
                missing=self.suspects([s for s in suspects.missing if s.genre == genre][:NUM_PER_GENRE], named=False),
            )
            for genre, (wrong, missing) in suspects.counts.items()
            if wrong or missing
        ]
        return sorted(found, key=lambda strip: -(strip.num_wrong + strip.num_missing))


def _mixed(suspects: Sequence[Suspect]) -> list[Suspect]:
    """Return the first suspects, each genre a few times only."""
    chosen: list[Suspect] = []
    per_genre: Counter[str] = Counter()
    for suspect in suspects:
        if per_genre[suspect.genre] < NUM_PER_GENRE and len(chosen) < NUM_SUSPECTS:
            per_genre[suspect.genre] += 1
            chosen.append(suspect)
    return chosen


def _together(findings: Findings) -> list[Panel]:
    """Return the heat map of the most frequent genres; nothing of fewer than two."""
    ranked = sorted(findings.labels.counts.items(), key=lambda item: -item[1])
    genres = [genre for genre, count in ranked if count][:NUM_TOGETHER]
    if len(genres) < 2:
        return []
    columns = [findings.subject.manifest.genres.index(genre) for genre in genres]
    marks = findings.subject.posters.targets.numpy()[:, columns] > 0
    with drawing():
        picture = maps.heat_map(
            co_occurrence(np.asarray(marks)),
            genres,
            name="together",
            label="Heat map of genres: the share of the posters with a row's genre that have the column's, too",
        )
    return [Panel(title="Genres together", picture=picture)]


def _told(probability: float) -> str:
    return f"{probability:.2f}" if 0.005 <= probability < 0.995 else f"{probability:.4f}"
