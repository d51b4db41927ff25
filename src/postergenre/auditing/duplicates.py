"""Posters that show the same art under several ids, and whether their labels and splits agree."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from postergenre.auditing.subject import Subject
from postergenre.data.splits import duplicate_groups

MOST_COMPARED = 200
"""Posters of one group whose files and hashes are compared; a stand-in for missing posters may come many times."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alike:
    """Posters that show the same art."""

    places: list[int]
    """Two or more, in the order of the CSV."""
    identical: bool
    """Whether their files are the same, byte by byte."""
    bits: int
    """The most bits, of 256, in which the perceptual hash of one differs from that of the first."""
    agree: bool
    """Whether all have the same genres."""
    sides: list[str]
    """The splits they lie in, in use; more than one is a leak."""


def find_duplicates(subject: Subject) -> list[Alike]:
    """Return the groups of posters that show the same art: those whose labels disagree first, then the largest.

    All posters that decode are looked at, also those without a genre.
    """
    looks, manifest = subject.looks, subject.manifest
    shown = [place for place, look in enumerate(looks) if not look.error]
    members: dict[int, list[int]] = defaultdict(list)
    for place, group in zip(shown, duplicate_groups([looks[place].hash for place in shown]).tolist(), strict=True):
        members[group].append(place)
    found = []
    used = set(subject.posters.kept)
    for places in members.values():
        if len(places) < 2:
            continue
        compared = places[:MOST_COMPARED]
        first = int(looks[places[0]].hash, 16)
        found.append(
            Alike(
                places=places,
                identical=_identical(compared, subject),
                bits=max((int(looks[place].hash, 16) ^ first).bit_count() for place in compared),
                agree=len({frozenset(manifest.labels[place]) for place in places}) == 1,
                sides=sorted({subject.splits[place] for place in places if place in used} if subject.splits else ()),
            )
        )
    return sorted(found, key=lambda alike: (alike.agree, -len(alike.places), not alike.identical, alike.places))


def across(groups: list[Alike], sides: list[str], used: set[int]) -> list[Alike]:
    """Return the groups whose used posters lie in more than one of ``sides`` (N)."""
    return [alike for alike in groups if len(Counter(sides[place] for place in alike.places if place in used)) > 1]


def _identical(places: list[int], subject: Subject) -> bool:
    looks = [subject.looks[place] for place in places]
    if len({look.size for look in looks}) > 1 or len({look.hash for look in looks}) > 1:
        return False
    return len({sha256(Path(look.path).read_bytes()).digest() for look in looks}) == 1
