"""Collect a set of posters that training takes at once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from postergenre.collecting import tables
from postergenre.collecting.archive import unpack_set
from postergenre.collecting.asking import Asker
from postergenre.collecting.config import CollectConfig
from postergenre.collecting.discover import Discovery
from postergenre.collecting.pictures import Row, gather
from postergenre.collecting.records import asked_for, poster_csv, table_csv, write_provenance, write_skips
from postergenre.collecting.shelf import IMAGES, TABLE, Shelf, claimed
from postergenre.collecting.titles import Listing, Skip
from postergenre.collecting.tmdb import ATTRIBUTION, JUSTWATCH, Tmdb
from postergenre.errors import DataError, PartialError, StoppedError
from postergenre.paths import expanded
from postergenre.stopping import stops_told

SHOWN = 5
SPLITS = ("train", "val", "test")


def collect(config: CollectConfig) -> Path:
    """Collect the set into its folder and return its CSV; a run that was killed goes on where it was.

    ``train.csv`` and ``Images/`` are the set, ``skipped.csv`` says what is not in it and why, ``provenance.json`` where
    and when it comes from.

    Raises:
        ConfigError: A setting cannot work, or TMDB has no key or refuses it.
        DataError: The source does not answer or cannot be used, or nothing of it can.
        PartialError: The set is written, but lacks pictures that the same command may get later.
        StoppedError: Ctrl-C or SIGTERM; what came is kept.
    """
    folder = expanded(config.output)
    asker = Asker(config.web)
    kept = stops_told(f"stopped; what came is kept in {folder}, and the same command goes on with it")
    try:
        with kept, claimed(folder, asked_for(config)) as shelf:
            if config.retry_skipped:
                shelf.refused.clear()
            return _unpacked(config, shelf, asker) if config.source == "archive" else _gathered(config, shelf, asker)
    except StoppedError:
        asker.pace.stop()
        raise
    except OSError as error:
        raise DataError(f"cannot write {error.filename or folder}: {error.strerror or error}") from None


def _gathered(config: CollectConfig, shelf: Shelf, asker: Asker) -> Path:
    name, cache = config.name or config.source, expanded(config.cache)
    known: list[Skip] = []
    repeats: list[dict[str, str]] = []
    attribution = ""
    match config.source:
        case "tmdb":
            listing = Discovery(config.tmdb, Tmdb(config.tmdb, asker, shelf)).listing()
            attribution = ATTRIBUTION + (JUSTWATCH if config.tmdb.providers else "")
            shelf.write(shelf.folder / "ATTRIBUTION.txt", attribution.encode())
            _say(attribution.splitlines()[0])
            told = "its terms ask for an agreement before models train on its content"
            _say(f"{told}: {shelf.folder / 'ATTRIBUTION.txt'}")
        case "csv":
            listing = tables.listing(_given(config.path), config.columns, name=name)
        case "folder":
            from postergenre.collecting import folders  # brings scipy and scikit-learn

            listing = folders.listing(_given(config.path), name=name, cache=cache)
        case _:
            from postergenre.collecting.merging import merged

            together = merged([_given(path) for path in config.merge], union=config.repeats == "union", cache=cache)
            known, repeats = together.skips, together.repeats
            listing = Listing(items=iter(together.titles), total=len(together.titles), notes=together.notes)
    for note in listing.notes:
        _say(note)
    rows, skips = gather(listing, shelf, asker)
    skips = known + skips
    write_skips(shelf, skips)
    if not rows:
        told = f": {skips[0].id} {skips[0].reason}" if skips else ""
        raise DataError(f"not one poster could be collected{told}")
    for title, _ in rows:
        title.columns.setdefault("source", name)
    if note := _settle_splits(rows):
        listing.notes.append(note)
        _say(note)
    shelf.write(shelf.folder / TABLE, poster_csv(rows))
    if repeats:
        shelf.write(shelf.folder / "repeats.csv", table_csv(repeats))
    write_provenance(config, shelf, listing.notes, len(rows), skips, attribution)
    return _told(shelf, rows, skips)


def _unpacked(config: CollectConfig, shelf: Shelf, asker: Asker) -> Path:
    from postergenre.data.manifest import read_manifest  # brings pandas

    assert config.url
    table, notes = unpack_set(config.url, shelf, asker, sha256=config.sha256, max_bytes=config.max_bytes)
    for note in notes:
        _say(note)
    try:
        manifest = read_manifest(table, images=shelf.folder / IMAGES)
    except DataError as error:
        raise DataError(f"the archive is unpacked in {shelf.folder}, but training cannot take it: {error}") from None
    write_provenance(config, shelf, notes, len(manifest.ids), [], "")
    named = "" if table.name == TABLE else f" data.manifest={table.name}"
    _say(f"{len(manifest.ids):,} posters of {len(manifest.genres)} genres")
    _say(f"python scripts/train.py data.root={shelf.folder}{named}")
    return table


def _told(shelf: Shelf, rows: Sequence[Row], skips: Sequence[Skip]) -> Path:
    counts = Counter(genre for title, _ in rows for genre in title.genres)
    most = ", ".join(f"{genre} {count:,}" for genre, count in counts.most_common(SHOWN))
    _say(f"{len(rows):,} posters of {len(counts)} genres ({most}{' …' if len(counts) > SHOWN else ''})")
    if skips:
        why = "; ".join(f"{count:,} {reason}" for reason, count in Counter(s.reason for s in skips).most_common(SHOWN))
        _say(f"{len(skips):,} left out, see skipped.csv: {why}")
    _say(f"python scripts/train.py data.root={shelf.folder}")
    if passing := sum(skip.passing for skip in skips):
        raise PartialError(
            f"{passing:,} of {len(rows) + passing:,} pictures did not come; the same command asks for them again"
        )
    return shelf.folder / TABLE


def _settle_splits(rows: Sequence[Row]) -> str:
    """Keep a column ``split`` that training can take; drop any other, and return a sentence that says so."""
    splits = [title.columns.get("split", "").strip().lower() for title, _ in rows]
    if {*splits} <= {*SPLITS, "validation"}:
        return ""
    if not any("split" in title.columns for title, _ in rows):
        return ""
    for title, _ in rows:
        title.columns.pop("split", None)
    return f"the column split is left out: not every poster has one of {', '.join(SPLITS)} in it"


def _given(path: str | None) -> Path:
    assert path
    return expanded(path)


def _say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
