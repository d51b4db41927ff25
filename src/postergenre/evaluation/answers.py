"""What checkpoints answer about the posters of a split."""

from collections.abc import Callable, Sequence
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
from postergenre.hardware import Hardware, choose_hardware, memory_for
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
    elsewhere: Elsewhere | None = None
    """What was left out of another poster set."""
    columns: dict[str, list[tuple[str, ...]]]
    """What the columns to group by say about each of the N posters."""

    def on_posters_of(self, other: "Answers") -> bool:
        """Return whether both are about the same files, row by row; their folder may be named in two ways."""
        ours, theirs = ([path.resolve() for path in answers.paths] for answers in (self, other))
        return ours == theirs


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
        if not member.on_posters_of(first):
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
    else:
        data = posters_of_training(contract, config.data, posters=posters)
        split = _split(data, config.split)
    notes = list(data.notes)
    if split == "val" and config.split == "auto":
        notes.append("this split has no test posters; scored on val, which chose the checkpoint and its thresholds")
    if config.tta == "none":
        keep_features(classifier.network, data, hardware, compute=False)  # what training kept need not run again
    raw, targets = _run(classifier, data, split, hardware, config.tta)
    paths, rows = data.paths(split), list(range(len(raw)))
    if config.split == "all":
        known, (contract, elsewhere, keep) = contract, meet(contract, data.genres, targets)
        rows = [row for row in rows if keep[row]]
        raw = raw[rows][:, [known.genres.index(genre) for genre in contract.genres]]
        targets = targets[rows][:, [data.genres.index(genre) for genre in contract.genres]]
        paths = [paths[row] for row in rows]
        notes += told(elsewhere, contract) + seen_before(checkpoint, paths)
    return Answers(
        contract=contract,
        split=config.split if elsewhere else split,
        hardware=hardware,
        paths=paths,
        picture=lambda row: data.shown(split, [rows[row]])[0].picture,
        raw=raw,
        logits=contract.calibrate(raw),
        targets=targets,
        notes=notes,
        validation=split == "val",
        elsewhere=elsewhere,
        columns=_columns(data, split, config.groups, rows),
    )


def _columns(
    data: PosterData, split: str, names: Sequence[str], rows: Sequence[int]
) -> dict[str, list[tuple[str, ...]]]:
    if not names:
        return {}
    if data.manifest is None:
        raise ConfigError("shards hold no further columns: groups need the poster CSV, data.source=posters")
    found, posters = read_columns(data.table, data.manifest, names), data.rows[split]
    return {name: [values[posters[row]] for row in rows] for name, values in found.items()}


def _hardware(config: EvaluateConfig, contract: Contract) -> Hardware:
    if config.precision == "auto":
        with suppress(ConfigError):
            return choose_hardware(config.gpus, contract.provenance.get("precision", "auto"))
    return choose_hardware(config.gpus, config.precision)


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
    memory = memory_for("data.batch_size", data.config.batch_size)
    with memory, torch.inference_mode(), hardware.autocast():
        answers = [
            (averaged(network, images.to(device, non_blocking=True), tta).float(), targets)
            for images, targets, _ in data.loader(split)
        ]
    logits, targets = (torch.cat(column) for column in zip(*answers, strict=True))
    return logits.cpu(), targets
