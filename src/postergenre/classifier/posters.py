"""The posters a checkpoint was trained beside, found again."""

import os
from dataclasses import dataclass, fields
from typing import Any

from postergenre.classifier.contract import Contract
from postergenre.classifier.plain import built
from postergenre.data.corrections import Corrections
from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.posters import Posters
from postergenre.data.scan import SCANS
from postergenre.data.sharded import build_data
from postergenre.errors import CheckpointError, ConfigError, DataError, PosterGenreError
from postergenre.genres import GenreMapping
from postergenre.web import scheme, without_secrets

LARGEST_BATCH = 1024
"""Posters a step, where only a checkpoint says how many."""


@dataclass(kw_only=True, slots=True)
class Place:
    """Where the posters lie and how they are read now; what is not said is as it was in training."""

    source: str | None = None
    """``posters`` or ``shards``, where they are no longer what they were in training."""
    root: str | None = None
    """Folder of the poster CSV, or where the shards are."""
    manifest: str | None = None
    """The CSV, within ``root``; another one than that of training only with ``split=all``."""
    images: str | None = None
    """Folder of the pictures within ``root`` (original schema only)."""
    batch_size: int | None = None
    """Posters a step."""
    workers: int | None = None
    """Processes that decode posters."""
    cache: str | None = None
    """What was learnt about the pictures is kept here."""


def settings_of_training(contract: Contract, place: Place) -> dict[str, Any]:
    """Return the settings of ``DataConfig`` as they were in training, but for what ``place`` says.

    ``exclude`` and ``relabel`` are not among them: ``corrections_of_training`` knows what they said. Neither is what a
    checkpoint may not decide on a machine that is not its own: it names no cache that is not there, no more processes
    than there are cores, and no address.

    Raises:
        CheckpointError: The checkpoint does not say it in a way that is understood, or says an address.
    """
    known = {setting.name for setting in fields(DataConfig)} & contract.data.keys() - {"exclude", "relabel"}
    told: dict[str, Any] = {name: contract.data[name] for name in known}
    try:
        built(DataConfig, told, name="data")
    except ConfigError as error:
        raise CheckpointError(f"its contract is broken: {error}") from None
    root = told.get("root", "")
    if place.root is None and "://" in root and scheme(root) not in ("file", "memory"):
        raise CheckpointError(
            f"the posters of training lie at an address, {without_secrets(root)}, and a checkpoint alone may not say "
            "what is asked: write data.root=ADDRESS"
        )
    if not os.path.isdir(os.path.join(os.path.expanduser(told.get("cache", "")), SCANS)):
        told.pop("cache", None)
    for name, most in (("workers", os.cpu_count() or 1), ("batch_size", LARGEST_BATCH)):
        told[name] = min(told.get(name, getattr(DataConfig(), name)), most)
    given = {setting.name: getattr(place, setting.name) for setting in fields(place)}
    return told | {name: value for name, value in given.items() if value is not None}


def mapping_of_training(contract: Contract) -> GenreMapping:
    """Return what happened to the genres of the CSV in training: nothing, where a checkpoint is older than that.

    Raises:
        CheckpointError: The checkpoint does not say it in a way that is understood.
    """
    try:
        return built(GenreMapping, contract.data.get("genres", {}), name="data.genres")
    except CheckpointError:
        raise
    except (TypeError, PosterGenreError) as error:
        raise CheckpointError(f"its contract is broken: genres of the data: {error}") from None


def corrections_of_training(contract: Contract) -> Corrections:
    """Return what the user left out and changed in training.

    Raises:
        CheckpointError: The checkpoint does not say it in a way that is understood.
    """
    if not (plain := contract.data.get("corrections")):
        return Corrections()
    try:
        return Corrections.from_plain(plain)
    except DataError as error:
        raise CheckpointError(f"its contract is broken: {error}") from None


def posters_of_training(contract: Contract, place: Place, *, posters: Posters | None = None) -> PosterData:
    """Return the posters of training in their splits.

    Args:
        contract: Of the checkpoint.
        place: Where they lie now.
        posters: They, where they were read before.

    Raises:
        DataError: They cannot be used any more.
        CheckpointError: They, or their splits, are not those of training.
    """
    config = DataConfig(**settings_of_training(contract, place))
    data = build_data(
        config,
        contract.preprocess,
        mapping=None if config.source == "shards" else mapping_of_training(contract),  # shards hold what it made
        posters=posters,
        corrections=corrections_of_training(contract),
    )
    if place.root is not None:  # to draw the demo posters where a checkpoint says would be to write there
        data.prepare_data()
    try:
        data.setup()
    except (DataError, ConfigError) as error:
        raise DataError(f"the posters of training cannot be used any more: {error}") from None
    if data.genres != contract.genres:
        raise CheckpointError(
            f"the posters have other genres ({', '.join(data.genres)}) than the checkpoint "
            f"({', '.join(contract.genres)}); to score on another poster set, say split=all"
        )
    if data.fingerprint != contract.data.get("fingerprint"):
        raise CheckpointError(
            f"the posters at {config.root} or their splits are not those of training: its test posters may have "
            "been trained on. Point data.root at the posters of training; to score on another poster set, say split=all"
        )
    return data
