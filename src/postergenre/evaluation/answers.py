"""What checkpoints answer about the posters of a split."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from postergenre.classifier.contract import Contract
from postergenre.classifier.module import PosterClassifier
from postergenre.classifier.posters import Place, posters_of_training, settings_of_training
from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.posters import Posters
from postergenre.data.sharded import build_data
from postergenre.errors import CheckpointError, ConfigError, DataError
from postergenre.evaluation.config import EvaluateConfig
from postergenre.features import keep_features
from postergenre.genres import Genres
from postergenre.hardware import Hardware, choose_hardware
from postergenre.views import averaged


@dataclass(kw_only=True, slots=True)
class Answers:
    """The answers of a checkpoint, or of several together, on N posters."""

    contract: Contract
    split: str
    hardware: Hardware
    paths: list[Path]
    picture: Callable[[int], Path | bytes]
    """Gets the picture file of a row: where it lies, or its content."""
    raw: Tensor
    """``(N,G)`` logits as the network gives them; of an ensemble, the calibrated ones."""
    logits: Tensor
    """``(N,G)``, calibrated."""
    targets: Tensor
    """``(N,G)``."""
    notes: list[str]
    """What a reader of the scores should know, a sentence each."""
    validation: bool
    """Whether these posters chose the checkpoint and its thresholds."""


def answer(checkpoints: Sequence[Path], config: EvaluateConfig, *, posters: Posters | None = None) -> Answers:
    """Return what ``checkpoints`` answer together on the split that ``config`` asks for.

    The calibrated logits of several are averaged, and so are their thresholds.

    Args:
        checkpoints: One, or several that answer together.
        config: What to score.
        posters: The posters of training, where they were read before.

    Raises:
        PosterGenreError: A checkpoint or its posters cannot be used, or the posters are not those of training.
    """
    members = [_answer(checkpoint, config, posters) for checkpoint in checkpoints]
    first = members[0]
    if len(members) == 1:
        return first
    contract = Contract.together([member.contract for member in members])
    for path, member in zip(checkpoints, members, strict=True):
        if member.paths != first.paths:
            raise CheckpointError(f"{path} was trained beside other {first.split} posters than {checkpoints[0]}")
    logits = torch.stack([member.logits for member in members]).mean(dim=0)
    return Answers(
        contract=contract,
        split=first.split,
        hardware=first.hardware,
        paths=first.paths,
        picture=first.picture,
        raw=logits,
        logits=logits,
        targets=first.targets,
        notes=[*dict.fromkeys(note for member in members for note in member.notes)],
        validation=first.validation,
    )


def _answer(checkpoint: Path, config: EvaluateConfig, posters: Posters | None) -> Answers:
    classifier = PosterClassifier.from_checkpoint(str(checkpoint))
    contract = classifier.contract
    hardware = _hardware(config, contract)
    elsewhere = config.split == "all"
    data = (
        _posters_elsewhere(contract, config.data)
        if elsewhere
        else posters_of_training(contract, config.data, posters=posters)
    )
    split = "test" if elsewhere else _split(data, config.split)
    notes = list(data.notes)
    if split == "val" and config.split == "auto":
        notes.append("this split has no test posters; scored on val, which chose the checkpoint and its thresholds")
    if config.tta == "none":
        keep_features(classifier.network, data, hardware, compute=False)  # what training kept need not run again
    raw, targets = _run(classifier, data, split, hardware, config.tta)
    if elsewhere:
        targets = _matched(targets, data.genres, contract.genres)
        if unknown := [genre for genre in data.genres if genre not in contract.genres]:
            notes.append(f"genres the checkpoint does not know, left out: {', '.join(unknown)}")
        if not targets.any():
            raise DataError(
                f"no poster has a genre that the checkpoint knows ({', '.join(contract.genres)}); the set has: "
                f"{', '.join(data.genres)}"
            )
    return Answers(
        contract=contract,
        split="all" if elsewhere else split,
        hardware=hardware,
        paths=data.paths(split),
        picture=lambda row: data.shown(split, [row])[0].picture,
        raw=raw,
        logits=contract.calibrate(raw),
        targets=targets,
        notes=notes,
        validation=split == "val",
    )


def _hardware(config: EvaluateConfig, contract: Contract) -> Hardware:
    if config.precision == "auto":
        with suppress(ConfigError):
            return choose_hardware(config.gpus, contract.provenance.get("precision", "auto"))
    return choose_hardware(config.gpus, config.precision)


def _posters_elsewhere(contract: Contract, place: Place) -> PosterData:
    """Return all posters of a set that the checkpoint need not know."""
    if place.root is None:
        raise ConfigError("split=all scores another poster set: say which with data.root=FOLDER")
    settings = settings_of_training(contract, place) | {"source": place.source or "posters", "split": "all"}
    data = build_data(DataConfig(**settings), contract.preprocess)
    data.setup()
    return data


def _matched(targets: Tensor, genres: Genres, wanted: Genres) -> Tensor:
    """Return ``(N,G)`` targets of the ``wanted`` genres; one that the set does not know is nowhere."""
    columns = [list(genres).index(genre) if genre in genres else -1 for genre in wanted]
    padded = torch.cat([targets, torch.zeros(len(targets), 1)], dim=1)  # column -1
    return padded[:, columns]


def _split(data: PosterData, wanted: str) -> str:
    if wanted == "auto":
        return "test" if data.sizes["test"] else "val"
    if not data.sizes[wanted]:
        raise ConfigError(
            f"these posters have no split {wanted!r}; they have: "
            f"{', '.join(split for split, size in data.sizes.items() if size)}"
        )
    return wanted


def _run(
    classifier: PosterClassifier, data: PosterData, split: str, hardware: Hardware, tta: str
) -> tuple[Tensor, Tensor]:
    """Return the network's logits ``(N,G)`` on a split, and the targets."""
    device = hardware.device
    data.pin_memory = device.type == "cuda"
    network = classifier.network.to(device).eval()
    with torch.inference_mode(), hardware.autocast():
        answers = [
            (averaged(network, images.to(device, non_blocking=True), tta).float(), targets)
            for images, targets, _ in data.loader(split)
        ]
    logits, targets = (torch.cat(column) for column in zip(*answers, strict=True))
    return logits.cpu(), targets
