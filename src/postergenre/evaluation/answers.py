"""What checkpoints answer about the posters of a split."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from postergenre.classifier.contract import Contract
from postergenre.classifier.module import PosterClassifier
from postergenre.classifier.posters import posters_of_training
from postergenre.data.columns import read_columns
from postergenre.data.datamodule import PosterData
from postergenre.data.posters import Posters
from postergenre.errors import CheckpointError, ConfigError
from postergenre.evaluation.config import EvaluateConfig
from postergenre.evaluation.elsewhere import Elsewhere, meet, posters_elsewhere, seen_before, told
from postergenre.features import keep_features
from postergenre.hardware import Hardware, choose_hardware
from postergenre.views import averaged


@dataclass(kw_only=True, slots=True)
class Answers:
    """The answers of a checkpoint, or of several together, on N posters."""

    contract: Contract
    split: str
    hardware: Hardware
    paths: list[Path]
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
    elsewhere: Elsewhere | None = None
    """What was left out of another poster set."""
    columns: dict[str, list[tuple[str, ...]]]
    """What the columns to group by say about each of the N posters."""


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
    notes = [*dict.fromkeys(note for member in members for note in member.notes)]
    return replace(first, contract=contract, raw=logits, logits=logits, notes=notes)


def _answer(checkpoint: Path, config: EvaluateConfig, posters: Posters | None) -> Answers:
    classifier = PosterClassifier.from_checkpoint(str(checkpoint))
    contract = classifier.contract
    hardware = _hardware(config, contract)
    elsewhere = None
    if config.split == "all":
        split, data = "test", posters_elsewhere(contract, config.data, config.genres)
        known, (contract, elsewhere) = contract, meet(contract, data)
        outputs = [known.genres.index(genre) for genre in contract.genres]
        notes = [*data.notes, *told(elsewhere, contract), *seen_before(checkpoint, data)]
    else:
        data = posters_of_training(contract, config.data, posters=posters)
        split, outputs = _split(data, config.split), list(range(len(contract.genres)))
        notes = list(data.notes)
    if split == "val" and config.split == "auto":
        notes.append("this split has no test posters; scored on val, which chose the checkpoint and its thresholds")
    if config.tta == "none":
        keep_features(classifier.network, data, hardware, compute=False)  # what training kept need not run again
    raw = _run(classifier, data, split, hardware, config.tta)[:, outputs]
    return Answers(
        contract=contract,
        split=config.split if elsewhere else split,
        hardware=hardware,
        paths=data.paths(split),
        raw=raw,
        logits=contract.calibrate(raw),
        targets=data.targets[split],
        notes=notes,
        validation=split == "val",
        elsewhere=elsewhere,
        columns=_columns(data, split, config.groups),
    )


def _columns(data: PosterData, split: str, names: Sequence[str]) -> dict[str, list[tuple[str, ...]]]:
    if not names:
        return {}
    assert data.manifest is not None
    found = read_columns(data.table, data.manifest, names)
    return {name: [values[row] for row in data.rows[split]] for name, values in found.items()}


def _hardware(config: EvaluateConfig, contract: Contract) -> Hardware:
    if config.precision == "auto":
        with suppress(ConfigError):
            return choose_hardware(config.gpus, contract.provenance.get("precision", "auto"))
    return choose_hardware(config.gpus, config.precision)


def _split(data: PosterData, wanted: str) -> str:
    if wanted == "auto":
        return "test" if data.rows["test"] else "val"
    if not data.rows[wanted]:
        raise ConfigError(
            f"these posters have no split {wanted!r}; they have: "
            f"{', '.join(split for split, rows in data.rows.items() if rows)}"
        )
    return wanted


def _run(classifier: PosterClassifier, data: PosterData, split: str, hardware: Hardware, tta: str) -> Tensor:
    """Return the network's logits ``(N,G)`` on a split."""
    device = hardware.device
    data.pin_memory = device.type == "cuda"
    network = classifier.network.to(device).eval()
    with torch.inference_mode(), hardware.autocast():
        answers = [
            averaged(network, images.to(device, non_blocking=True), tta).float() for images, _, _ in data.loader(split)
        ]
    return torch.cat(answers).cpu()
