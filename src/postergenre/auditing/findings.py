"""Everything an audit found, and what of it a user should act on."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from postergenre.auditing.duplicates import Alike
from postergenre.auditing.labels import EXPECTED, Labels
from postergenre.auditing.looks import SMALL, Pictures
from postergenre.auditing.sides import Sides
from postergenre.auditing.subject import Subject
from postergenre.auditing.suspects import Suspects
from postergenre.data.datamodule import DataConfig

RARE = EXPECTED
"""Posters below which a genre can hardly be learnt, and its score is luck."""


class Severity(StrEnum):
    """How much an issue matters, the gravest first."""

    STOPS = "stops training"
    HARMS = "harms scores"
    LOOK = "worth a look"
    KNOW = "good to know"


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """One thing that a user should know, and what to do about it."""

    severity: Severity
    title: str
    detail: str
    advice: str
    section: str
    """Of the page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What an audit found."""

    subject: Subject
    config: DataConfig
    pictures: Pictures
    groups: list[Alike]
    labels: Labels
    sides: Sides
    suspects: Suspects | None

    def issues(self) -> list[Issue]:
        """Return what should be acted on, the gravest first."""
        found = [*self._rows(), *self._pictures(), *self._duplicates(), *self._splits(), *self._labels()]
        found += self._suspicions()
        return sorted(found, key=lambda issue: list(Severity).index(issue.severity))

    def _rows(self) -> Iterator[Issue]:
        problems, manifest = self.subject.defects.problems, self.subject.manifest
        if problems:
            line, column, what = problems[0]
            yield Issue(
                severity=Severity.STOPS,
                title=_count(len(problems), "problem", "in rows of the CSV", "in rows of the CSV"),
                detail=f"row {line}, column {column}: {what}{' …' if len(problems) > 1 else ''}",
                advice="mend these rows; all of them are in audit.json",
                section="table",
            )
        if manifest.num_repeats:
            repeated = sum(len(rows) > 1 for rows in manifest.rows)
            yield Issue(
                severity=Severity.KNOW,
                title=_count(manifest.num_repeats, "row", "repeats an earlier one", "repeat earlier ones"),
                detail=f"{_count(repeated, 'poster', 'has', 'have')} more than one row",
                advice="training drops repeats; a random split of rows would not",
                section="table",
            )
        if self.labels.nameless:
            but = f" but {' or '.join(self.config.ignore_genres)}" if self.config.ignore_genres else ""
            yield Issue(
                severity=Severity.KNOW,
                title=_count(len(self.labels.nameless), "poster", f"has no genre{but}", f"have no genre{but}"),
                detail=_some([manifest.ids[place] for place in self.labels.nameless]),
                advice="training leaves them out",
                section="genres",
            )

    def _pictures(self) -> Iterator[Issue]:
        pictures, ids = self.pictures, self.subject.manifest.ids
        if pictures.missing:
            yield Issue(
                severity=Severity.STOPS,
                title=_count(len(pictures.missing), "picture", "is missing", "are missing"),
                detail=_some([ids[place] for place in pictures.missing]),
                advice="bring the files, or take their rows out of the CSV",
                section="pictures",
            )
        if pictures.unreadable:
            yield Issue(
                severity=Severity.STOPS,
                title=_count(len(pictures.unreadable), "picture", "does not decode", "do not decode"),
                detail=_some([ids[place] for place, _ in pictures.unreadable]),
                advice="mend them, leave them out with data.on_bad_image=skip, or name them in data.exclude=FILE",
                section="pictures",
            )
        if pictures.blank:
            yield Issue(
                severity=Severity.LOOK,
                title=_count(len(pictures.blank), "picture", "is nearly blank", "are nearly blank"),
                detail=_some([ids[place] for place, _ in pictures.blank]),
                advice="if there is nothing to be seen, name them in data.exclude=FILE",
                section="pictures",
            )
        for places, title, detail in (
            (pictures.small, "small", f"shorter side below {SMALL} pixels"),
            (pictures.wide, "wider than high", "perhaps stills or banners, not posters"),
        ):
            if places:
                yield Issue(
                    severity=Severity.KNOW,
                    title=_count(len(places), "picture", f"is {title}", f"are {title}"),
                    detail=f"{detail}: {_some([ids[place] for place in places])}",
                    advice="nothing has to be done",
                    section="pictures",
                )

    def _duplicates(self) -> Iterator[Issue]:
        ids = self.subject.manifest.ids
        for identical, what in ((True, "identical pictures"), (False, "near-duplicate pictures")):
            for agree in (False, True):
                groups = [a for a in self.groups if a.identical is identical and a.agree is agree]
                if not groups:
                    continue
                kind = f"group of {what}", f"groups of {what}"
                labels = "with the same genres" if agree else "with different genres"
                yield Issue(
                    severity=Severity.LOOK if agree else Severity.HARMS,
                    title=f"{len(groups):,} {kind[len(groups) > 1]} {labels}",
                    detail="; ".join(_some([ids[place] for place in alike.places], most=3) for alike in groups[:3]),
                    advice="data.split=fixed keeps each group on one side; one of each is enough"
                    if agree
                    else "no network can answer both ways: find out which is right (data.relabel=FILE), or leave them "
                    "out (data.exclude=FILE)",
                    section="duplicates",
                )

    def _splits(self) -> Iterator[Issue]:
        sides, ids, method = self.sides, self.subject.manifest.ids, self.config.split
        if self.subject.refusal:
            yield Issue(
                severity=Severity.STOPS,
                title="The posters cannot be split to train on",
                detail=self.subject.refusal,
                advice="",
                section="splits",
            )
        if sides.leaks:
            yield Issue(
                severity=Severity.HARMS,
                title=f"{_count(len(sides.leaks), 'group', 'of the same art lies', 'of the same art lie')} in several "
                f"splits of data.split={method}",
                detail="; ".join(_some([ids[place] for place in leak.places], most=3) for leak in sides.leaks[:3]),
                advice="scores on them are partly memory: use data.split=fixed, or mend the column split",
                section="splits",
            )
        for genres in dict.fromkeys(tuple(genres) for genres in sides.absent.values() if genres):
            names = [name for name, absent in sides.absent.items() if tuple(absent) == genres]
            unlearnt = "train" in names
            yield Issue(
                severity=Severity.HARMS if unlearnt else Severity.KNOW,
                title=f"{_count(len(genres), 'genre', 'has no poster', 'have no poster')} in {' and '.join(names)}",
                detail=_some(list(genres)),
                advice="what is not in train cannot be learnt" if unlearnt else "there is no score for it there",
                section="genres",
            )
        if sides.straddling or sides.original_leaks:
            used = method == "original"
            also = f"; same art under several ids: {len(sides.original_leaks)}" if sides.original_leaks else ""
            yield Issue(
                severity=Severity.LOOK if used else Severity.KNOW,
                title=f"{_count(len(sides.straddling), 'poster', 'lies', 'lie')} on both sides of the source's own "
                "random split",
                detail=_some([ids[place] for place in sides.straddling]) + also,
                advice="data.split=original counts them as validation only"
                if used
                else "data.split=original would count them as validation only",
                section="splits",
            )

    def _labels(self) -> Iterator[Issue]:
        labels = self.labels
        if cap := labels.cap:
            yield Issue(
                severity=Severity.HARMS,
                title=f"No poster has more than {cap.most} genres, and {cap.share:.0%} have just {cap.most}",
                detail="a limit of the source, most likely: further genres are missing"
                + (f"; about {cap.expected:,.0f} posters would have {cap.most + 1}" if cap.expected < 1e9 else ""),
                advice="trust rankings more than false alarms; loss.smooth_negatives=0.05 or loss=hill forgive some",
                section="genres",
            )
        few = {genre: count for genre, count in labels.counts.items() if count < self.config.min_positives}
        if few:
            hard = [genre for genre, count in few.items() if count < RARE]
            yield Issue(
                severity=Severity.LOOK if hard else Severity.KNOW,
                title=f"{_count(len(few), 'genre', 'has', 'have')} fewer than {self.config.min_positives} posters",
                detail=", ".join(f"{genre} {count}" for genre, count in sorted(few.items(), key=lambda item: item[1])),
                advice="they do not count in the headline map"
                + (f"; with fewer than {RARE}, hardly anything can be learnt: {', '.join(hard)}" if hard else ""),
                section="genres",
            )
        for names in labels.alike:
            yield Issue(
                severity=Severity.LOOK,
                title=f"Genres that may be one: {', '.join(names)}",
                detail="their names differ only in case, blanks or signs",
                advice="spell them alike in the CSV",
                section="genres",
            )

    def _suspicions(self) -> Iterator[Issue]:
        if self.suspects is None:
            return
        wrong, missing = (sum(counts[kind] for counts in self.suspects.counts.values()) for kind in (0, 1))
        if wrong or missing:
            yield Issue(
                severity=Severity.LOOK,
                title=f"{wrong + missing:,} labels are suspect: {wrong:,} given, {missing:,} not given",
                detail="by what networks answered about the posters"
                + (f". {self.suspects.scores.caution}" if self.suspects.scores.caution else ""),
                advice="delete from suspects.csv what you disagree with; data.relabel=suspects.csv changes the others",
                section="suspects",
            )


def _count(number: int, noun: str, one: str, many: str) -> str:
    return f"{number:,} {noun} {one}" if number == 1 else f"{number:,} {noun}s {many}"


def _some(names: list[str], *, most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
