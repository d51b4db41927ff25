"""Show where in posters a classifier sees genres."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from postergenre.classifier.contract import Contract, find_checkpoints, load_network
from postergenre.errors import ConfigError, DataError, PartialError, PictureError
from postergenre.explanation.picture import explained
from postergenre.hardware import choose_hardware
from postergenre.networks import PosterNetwork
from postergenre.paths import expanded
from postergenre.pictures import Answer
from postergenre.preprocess import open_picture, upright_rgb
from postergenre.saliency import heat_maps

NUM_BARS = 8
"""Genres beside the poster, where there are no more heat maps than that."""


@dataclass(kw_only=True, slots=True)
class ExplainConfig:
    """Everything ``scripts/explain.py`` can be told."""

    checkpoint: Any
    """The checkpoint that answers; several (``[A,B]``, or a quoted pattern with ``*``) answer together."""
    poster: Any
    """A picture file, or several: ``[A,B]``."""
    genre: Any = None
    """The genre to look for, or several: ``[A,B]``; the most probable ones where nothing is said."""
    top: int = 3
    """How many of the most probable genres to look for, where ``genre`` names none."""
    gpus: str = "auto"
    """``auto`` (a CUDA GPU where there is one), ``0`` (the CPU) or ``1``."""
    output_dir: str = "outputs/explain"
    """Where the pictures are written."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ConfigError(f"top must be at least 1, not {self.top}")
        for name, what in (("poster", "a picture file"), ("genre", "the name of a genre")):
            given = getattr(self, name)
            if name == "genre" and given is None:
                continue
            if not _listed(given) or not all(isinstance(one, str) and one for one in _listed(given)):
                raise ConfigError(f"{name} takes {what}, or several as [A,B], not {given!r}")


def explain(config: ExplainConfig) -> list[Path]:
    """Write a picture of each poster with its bars and the heat maps of its genres; return the files in order.

    Raises:
        ConfigError: No such genre, or a network that does not tell where its features come from.
        DataError: Not one poster decodes.
        PartialError: Some posters do not decode: the others are explained and written before it is raised.
    """
    console = Console()
    device = choose_hardware(config.gpus, "32").device
    members = [load_network(path) for path in find_checkpoints(config.checkpoint)]
    contract = Contract.together([own for _, own in members])
    for network, _ in members:
        network.to(device)
    wanted = _wanted(config.genre, contract)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    paths = [expanded(path) for path in _listed(config.poster)]
    written: list[Path] = []
    for path in paths:
        try:
            poster = upright_rgb(open_picture(path))
            images = [own.preprocess.read(path) for _, own in members]
        except PictureError as error:
            console.print(f"{path.name}: left out, {error}", markup=False, highlight=False, soft_wrap=True)
            continue
        probabilities = _probabilities(members, images)
        order = sorted(range(len(probabilities)), key=lambda i: -probabilities[i])
        shown = wanted or order[: config.top]
        maps = torch.stack(
            [
                own.preprocess.laid_back(heat_maps(network, image, shown), poster.height, poster.width)
                for (network, own), image in zip(members, images, strict=True)
            ]
        ).mean(dim=0)  # (K,h,w)
        answers = [
            Answer(genre=genre, probability=probability, threshold=threshold)
            for genre, probability, threshold in zip(contract.genres, probabilities, contract.thresholds, strict=True)
        ]
        bars = sorted({*order[:NUM_BARS], *shown}, key=order.index)
        picture = explained(
            poster, [answers[i] for i in bars], [(answers[i], heat) for i, heat in zip(shown, maps, strict=True)],
            title=path.stem,
        )  # fmt: skip
        file = _file(path, output, written)
        picture.save(file)
        written.append(file)
        told = ", ".join(f"{answers[i].genre} {answers[i].probability:.1%}{'*' * answers[i].predicted}" for i in shown)
        console.print(f"{path.name}: {told}; see {file}", markup=False, highlight=False, soft_wrap=True)
    console.print("* reaches the threshold of its genre", highlight=False)
    if failed := len(paths) - len(written):
        told = f"{failed} of {len(paths)} pictures did not decode"
        raise PartialError(f"{told}; the others are explained") if written else DataError(told)
    return written


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _wanted(genre: Any, contract: Contract) -> list[int]:
    """Return the positions of the genres that are asked for; none where nobody asks."""
    names = [] if genre is None else _listed(genre)
    known = list(contract.genres)
    for name in names:
        if name not in known:
            raise ConfigError(f"no genre {name!r}; the checkpoint knows: {', '.join(known)}")
    return [known.index(name) for name in dict.fromkeys(names)]


def _probabilities(members: Sequence[tuple[PosterNetwork, Contract]], images: Sequence[Tensor]) -> list[float]:
    """Return the calibrated probabilities of one poster, as prediction has them."""
    with torch.inference_mode():
        logits = [
            own.calibrate(network(image[None].to(network.output.weight.device))).float().cpu()
            for (network, own), image in zip(members, images, strict=True)
        ]
        probabilities: list[float] = torch.stack(logits).mean(dim=0).sigmoid()[0].tolist()
    return probabilities


def _file(poster: Path, folder: Path, taken: Sequence[Path]) -> Path:
    """Return where the picture of a poster goes: posters of one name are told apart."""
    names = [f"{poster.stem}.png", f"{poster.name}.png", f"{poster.absolute().parent.name}_{poster.name}.png"]
    names += [f"{poster.name}_{len(taken)}.png"]
    return next(folder / name for name in names if folder / name not in taken)
