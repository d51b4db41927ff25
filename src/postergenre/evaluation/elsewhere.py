"""Posters of another set: which genres both know, what is left out, and how the scores compare with those at home."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from postergenre.classifier.contract import Contract
from postergenre.classifier.posters import Place, mapping_of_training, settings_of_training
from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.sharded import build_data
from postergenre.errors import ConfigError, DataError
from postergenre.genres import GenreMapping, Genres
from postergenre.paths import expanded

COMPARED = ("support", "chance", "ap", "auroc")
Row = dict[str, Any]


@dataclass(kw_only=True, slots=True)
class Elsewhere:
    """What a checkpoint and a set that it was not trained on do not share, and how it fares there."""

    strange: dict[str, int]
    """Genres that only the set knows, left out, and how many posters have them."""
    absent: list[str]
    """Genres that only the checkpoint knows, left out."""
    num_without: int
    """Posters left out because they have none of the genres that both know."""
    home: str = ""
    """Where the scores at home are from; empty where nobody knows them."""
    genres: list[Row] = field(default_factory=list)
    """A row per genre that is scored on both sides: ``support``, ``chance``, ``ap`` and ``auroc`` here, the same at
    home under ``home_…``, and ``ap_difference`` and ``auroc_difference``, here minus home."""

    def mean(self, name: str) -> float:
        """Return the mean of a column over the genres; NaN where there is none."""
        values = [float(row[name]) for row in self.genres if math.isfinite(row[name])]
        return sum(values) / len(values) if values else math.nan


def posters_elsewhere(contract: Contract, place: Place, mapping: GenreMapping | None) -> PosterData:
    """Return all posters of a set that the checkpoint need not know.

    Args:
        contract: Of the checkpoint.
        place: Where the set lies.
        mapping: What happens to the genres of its CSV; what happened in training, where nothing is said, as far as it
            applies.

    Raises:
        PosterGenreError: The set is not named, or cannot be used.
    """
    if place.root is None:
        raise ConfigError("split=all scores another poster set: say which with data.root=FOLDER")
    settings = settings_of_training(contract, place) | {"split": "all", "balance": 0.0}
    settings["source"] = place.source or "posters"
    if mapping is None and settings["source"] != "shards":  # a vocabulary would refuse what is only to be told
        mapping = replace(mapping_of_training(contract), vocabulary=[], unused="ignore")
    data = build_data(DataConfig(**settings), contract.preprocess, mapping=mapping)
    data.setup()
    return data


def meet(contract: Contract, genres: Genres, targets: Tensor) -> tuple[Contract, Elsewhere, list[bool]]:
    """Return the contract of the genres that both know, what is left out of it and of a set, and which posters stay.

    Args:
        contract: Of the checkpoint.
        genres: Of the set.
        targets: ``(N,G)`` of the set's posters. Those stay that have a genre that both know.

    Raises:
        DataError: No poster has a genre that both know.
    """
    common = [genre for genre in contract.genres if genre in genres]
    keep = targets[:, [genres.index(genre) for genre in common]].any(dim=1)
    if not keep.any():
        raise DataError(
            f"no poster has a genre that the checkpoint knows ({', '.join(contract.genres)}); the set has: "
            f"{', '.join(genres)}"
        )
    counts = dict(zip(genres, targets.sum(dim=0).int().tolist(), strict=True))
    strange = {genre: counts[genre] for genre in genres if genre not in common}
    elsewhere = Elsewhere(
        strange=dict(sorted(strange.items(), key=lambda item: -item[1])),
        absent=[genre for genre in contract.genres if genre not in common],
        num_without=int((~keep).sum()),
    )
    return contract.only(common), elsewhere, keep.tolist()


def told(elsewhere: Elsewhere, contract: Contract) -> list[str]:
    """Return what was left out, a sentence each."""
    sentences = []
    if elsewhere.strange:
        listed = ", ".join(f"{genre} ({count})" for genre, count in elsewhere.strange.items())
        sentences.append(
            f"genres that the checkpoint does not know, left out with their labels: {listed}; "
            "where they go by another name, say so with genres=…"
        )
    if elsewhere.absent:
        sentences.append(f"genres that this set does not know, left out: {', '.join(elsewhere.absent)}")
    if elsewhere.num_without:
        sentences.append(f"{elsewhere.num_without} poster(s) have none of the {len(contract.genres)} genres: left out")
    return sentences


def seen_before(checkpoint: Path, paths: Sequence[Path]) -> list[str]:
    """Return a warning, where posters bear the names of some that the checkpoint was fitted to.

    Their names are in the ``splits.csv`` of the run that wrote a checkpoint; nothing is said where it is gone or torn.
    """
    place = checkpoint.parent.parent / "splits.csv"
    if not place.is_file():
        return []
    try:
        with place.open(newline="", encoding="utf-8") as file:
            names = {row["id"] for row in csv.DictReader(file) if row.get("split") in ("train", "val")}
    except (csv.Error, ValueError, KeyError):
        return []
    fitted = names | {Path(name).stem for name in names}  # an id, or a file
    count = sum(path.stem in fitted for path in paths)
    if not count:
        return []
    return [f"{count} poster(s) bear names of posters that the checkpoint was fitted to: their scores flatter it"]


def beside_home(
    elsewhere: Elsewhere, rows: Sequence[Mapping[str, Any]], contract: Contract, home: str | None, *, alone: bool
) -> Elsewhere:
    """Return what ``elsewhere`` says, and the scores of each genre beside those at home.

    Args:
        elsewhere: What was left out.
        rows: A row per genre, as ``metrics.genre_table`` gives them.
        contract: Of the checkpoint, which tells its validation scores where nothing else is said.
        home: The folder of an earlier evaluation or cross-validation at home.
        alone: Whether one checkpoint answered: an ensemble has no validation scores of its own.

    Raises:
        ConfigError: ``home`` is no such folder, or tells of other genres.
    """
    if home is not None:
        source, scores = home, _earlier(expanded(home))
        if not set(scores) & {row["genre"] for row in rows}:
            raise ConfigError(f"home={home} tells of other genres than those scored here: {', '.join(scores)}")
    else:
        source, scores = "validation at the end of training", contract.provenance.get("val_genres", {}) if alone else {}
    genres = []
    for row in rows:
        there = scores.get(row["genre"])
        if there and row["support"]:
            line = {"genre": row["genre"], **{name: row[name] for name in COMPARED}}
            line |= {f"home_{name}": there[name] for name in COMPARED}
            line |= {f"{name}_difference": line[name] - line[f"home_{name}"] for name in ("ap", "auroc")}
            genres.append(line)
    return replace(elsewhere, home=source if genres else "", genres=genres)


def _earlier(folder: Path) -> dict[str, dict[str, float]]:
    """Return the scores of each genre with a poster in the ``per_genre.csv`` of an earlier evaluation."""
    table = folder / "per_genre.csv"
    if not table.is_file():
        raise ConfigError(f"home={folder} has no per_genre.csv: give the folder that an evaluation at home wrote")
    with table.open(newline="", encoding="utf-8") as file:
        try:
            rows = {row["genre"]: {name: float(row[name]) for name in COMPARED} for row in csv.DictReader(file)}
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise ConfigError(f"{table} is not what an evaluation writes: {type(error).__name__}, {error}") from None
    if not rows:
        raise ConfigError(f"{table} is not what an evaluation writes: it has no genre")
    return {genre: row | {"support": int(row["support"])} for genre, row in rows.items() if row["support"]}
