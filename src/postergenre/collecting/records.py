"""What lies beside the pictures: the poster CSV, what is not in it, where it comes from."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from postergenre.collecting.config import CollectConfig
from postergenre.collecting.pictures import Row
from postergenre.collecting.shelf import Shelf, now
from postergenre.collecting.titles import Skip

ASKED = {
    "tmdb": ("tmdb",),
    "archive": ("url",),
    "csv": ("path", "columns"),
    "folder": ("path",),
    "merge": ("merge", "repeats"),
}
"""The settings that say what a set is, by its source; others say only how to get it."""


def asked_for(config: CollectConfig) -> dict[str, Any]:
    """Return what the set is, by the names of the settings. More titles of the same are the same set."""
    source, settings = config.source or "merge", asdict(config)
    asked = {"source": source, "name": config.name}
    for name in ASKED[source]:
        inner = settings[name]
        asked |= {f"{name}.{key}": value for key, value in inner.items()} if isinstance(inner, dict) else {name: inner}
    asked.pop("tmdb.number", None)
    return asked


def poster_csv(rows: Sequence[Row]) -> bytes:
    """Return the poster CSV: the simple schema, and what else is known."""
    own = ("image", "genres", "id")
    return table_csv(
        [
            {"image": image, "genres": "|".join(title.genres), "id": title.id}
            | {column: cell for column, cell in title.columns.items() if column not in own}
            for title, image in rows
        ]
    )


def table_csv(rows: Sequence[Mapping[str, str]]) -> bytes:
    """Return a CSV of all columns that any row has."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=dict.fromkeys(column for row in rows for column in row), restval="")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def write_skips(shelf: Shelf, skips: Sequence[Skip]) -> None:
    """Write ``skipped.csv``, where anything is."""
    place = shelf.folder / "skipped.csv"
    if not skips:
        place.unlink(missing_ok=True)
        return
    rows = [
        {"id": skip.id, "picture": skip.picture, "reason": skip.reason, "again": "yes" if skip.passing else "no"}
        for skip in skips
    ]
    shelf.write(place, table_csv(rows))


def write_provenance(
    config: CollectConfig, shelf: Shelf, notes: Sequence[str], num_posters: int, skips: Sequence[Skip], attribution: str
) -> None:
    """Write ``provenance.json``."""
    told = {
        "made_by": f"postergenre {version('postergenre')}",
        "source": config.source or "merge",
        "settings": asked_for(config) | ({"tmdb.number": config.tmdb.number} if config.source == "tmdb" else {}),
        "began": shelf.began,
        "ended": now(),
        "num_posters": num_posters,
        "skipped": dict(Counter(skip.reason for skip in skips).most_common()),
        "notes": list(notes),
        "attribution": attribution,
    }
    shelf.write(shelf.folder / "provenance.json", (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode())
