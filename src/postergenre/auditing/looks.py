"""What the pictures are like: how large, of which kind, unreadable, nearly blank."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from postergenre.auditing.subject import Subject

BLANK = 9.0
"""A picture whose grey levels spread less is nearly blank. On the original posters the one such poster, a few words on
black, lies at 7.1, and the next (a title and a portrait in dark red) at 11.1."""
SMALL = 96
"""Pixels of the shorter side below which a poster is small: networks are fed with more."""
PARTS = (("least", 0.0), ("5 %", 0.05), ("median", 0.5), ("95 %", 0.95), ("most", 1.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """What was found out about the pictures of N posters; places are those of the manifest."""

    num_bytes: int
    formats: dict[str, int]
    """Pictures of each file format, most frequent first."""
    modes: dict[str, int]
    """Pictures of each colour mode, most frequent first."""
    sizes: dict[str, dict[str, float]]
    """Of ``width``, ``height`` (pixels), ``shape`` (width / height) and ``kilobytes``: the quantiles in ``PARTS``."""
    unreadable: list[tuple[int, str]]
    """Files that are there and do not decode, and why."""
    missing: list[int]
    """Files that are not there."""
    blank: list[tuple[int, float]]
    """Nearly blank ones, and the spread of their grey levels, the blankest first."""
    small: list[int]
    """With a short side below ``SMALL`` pixels."""
    wide: list[int]
    """Wider than high: no posters, most likely."""


def look_over(subject: Subject) -> Pictures:
    """Return what there is to say about the pictures."""
    looks = subject.looks
    good = [look for look in looks if not look.error]
    gone = set(subject.defects.missing)
    missing = [place for place, file in enumerate(subject.manifest.files) if file in gone]
    values: dict[str, list[float]] = {
        "width": [look.width for look in good],
        "height": [look.height for look in good],
        "shape": [look.width / look.height for look in good],
        "kilobytes": [look.size / 1000 for look in good],
    }
    blank = [(place, look.spread) for place, look in enumerate(looks) if not look.error and look.spread < BLANK]
    absent = set(missing)
    return Pictures(
        num_bytes=sum(look.size for look in looks),
        formats=dict(Counter(look.format or "unknown" for look in good).most_common()),
        modes=dict(Counter(look.mode for look in good).most_common()),
        sizes={
            name: {word: float(np.quantile(column, part)) for word, part in PARTS} if column else {}
            for name, column in values.items()
        },
        unreadable=[(place, look.error) for place, look in enumerate(looks) if look.error and place not in absent],
        missing=missing,
        blank=sorted(blank, key=lambda found: found[1]),
        small=[place for place, look in enumerate(looks) if 0 < min(look.width, look.height) < SMALL],
        wide=[place for place, look in enumerate(looks) if look.width > look.height],
    )
