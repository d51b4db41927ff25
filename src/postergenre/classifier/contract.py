"""What a checkpoint says about itself, so that nothing else is needed to use it. Reads without Lightning."""

import glob
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from postergenre.calibration import calibrate
from postergenre.classifier.plain import built, check_plain, is_of
from postergenre.errors import CheckpointError, ConfigError, PosterGenreError
from postergenre.genres import Genres
from postergenre.networks import ModelConfig, PosterNetwork, build_network
from postergenre.networks.weights import load_state, named_tensors, read_torch
from postergenre.paths import expanded
from postergenre.preprocess import Preprocess

KEY = "postergenre"
FORMAT = 1
PREFIX = "network."
"""Before the names of the network's tensors in a checkpoint."""
PROVENANCE = {
    "command": str, "precision": str, "epoch": int, "step": int, "val": dict[str, float | None],
    "val_genres": dict[str, dict[str, float | None]],
}  # fmt: skip
"""What is read again of where a checkpoint is from; JSON has null for a score that is no number."""
CALIBRATION: tuple[str, ...] = ("temperatures", "offsets")
PER_GENRE = ("genres", "priors", "thresholds", "temperatures", "offsets")


@dataclass(kw_only=True, slots=True)
class Contract:
    """Plain data under ``checkpoint["postergenre"]``: everything but the weights."""

    model: ModelConfig
    """How to build the network."""
    preprocess: Preprocess
    """How a poster becomes pixels."""
    genres: Genres
    """Names of the G outputs, in order."""
    headline: list[str]
    """The genres that count in ``map``."""
    priors: list[float]
    """``(G,)`` share of each genre among the training posters."""
    thresholds: list[float]
    """``(G,)`` calibrated probability from which a genre is said to apply; fitted on validation, 0.5 before."""
    temperatures: list[float] = field(default_factory=list)
    """``(G,)`` a logit is divided by before it becomes a probability; fitted on validation, 1 before."""
    offsets: list[float] = field(default_factory=list)
    """``(G,)`` added to a logit after that; 0 before."""
    data: dict[str, Any]
    """The ``DataConfig`` of training, its ``GenreMapping`` as ``genres``, and the ``fingerprint`` of the posters and
    splits."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Versions, command, device and precision; the validation scores of these very weights, in all and by genre."""

    def __post_init__(self) -> None:
        self.temperatures = self.temperatures or [1.0] * len(self.genres)
        self.offsets = self.offsets or [0.0] * len(self.genres)

    def headline_mask(self) -> Tensor:
        """Return ``(G,)`` bool: which genres count in ``map``."""
        return torch.tensor([genre in self.headline for genre in self.genres])

    def calibrate(self, logits: Tensor) -> Tensor:
        """Return calibrated logits ``(N,G)`` of the network's ``(N,G)``; their sigmoid is the probability to tell."""
        device = logits.device
        temperatures, offsets = (torch.tensor(values, device=device) for values in (self.temperatures, self.offsets))
        return calibrate(logits, temperatures, offsets)

    def decide(self, probabilities: Sequence[float], *, allow_empty: bool = False) -> list[str]:
        """Return the genres of a poster, most probable first: those whose probability reaches their threshold.

        Args:
            probabilities: ``(G,)``, calibrated.
            allow_empty: Return none where none reaches it, instead of the genre that comes nearest (by ratio).
        """
        reached = [p / max(threshold, 1e-9) for p, threshold in zip(probabilities, self.thresholds, strict=True)]
        order = sorted(range(len(reached)), key=lambda i: -probabilities[i])
        genres = [self.genres[i] for i in order if reached[i] >= 1]
        if genres or allow_empty:
            return genres
        return [self.genres[max(order, key=lambda i: reached[i])]]

    def only(self, genres: Sequence[str]) -> "Contract":
        """Return what it says about some of its genres, in their order."""
        places = [self.genres.index(genre) for genre in genres]
        per_genre: dict[str, Any] = {
            name: [getattr(self, name)[place] for place in places] for name in PER_GENRE if name != "genres"
        }
        headline = [genre for genre in self.headline if genre in genres]
        return replace(self, genres=Genres(genres), headline=headline, **per_genre)

    @classmethod
    def together(cls, contracts: Sequence["Contract"]) -> "Contract":
        """Return what an ensemble says about itself: it averages calibrated logits, and here the thresholds.

        Raises:
            CheckpointError: They know different genres.
        """
        first = contracts[0]
        if len(contracts) == 1:
            return first
        for contract in contracts:
            if contract.genres != first.genres:
                raise CheckpointError(
                    f"checkpoints of different genres cannot answer together: {', '.join(first.genres)} and "
                    f"{', '.join(contract.genres)}"
                )
        columns = zip(*(contract.thresholds for contract in contracts), strict=True)
        return replace(
            first, thresholds=[sum(column) / len(contracts) for column in columns], temperatures=[], offsets=[]
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the contract as dicts, lists, text and numbers."""
        return {"format": FORMAT, **asdict(self), "genres": list(self.genres)}

    def to_json(self) -> str:
        """Return the contract as JSON, for files whose metadata is text; a score that is no number becomes null."""
        return json.dumps(without_nan(self.to_plain()), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Return the contract that ``to_json`` wrote.

        Raises:
            CheckpointError: It is no such text, has another format, or does not agree with itself.
        """
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"its contract is not JSON: {error}") from None
        if not isinstance(plain, dict):
            raise CheckpointError("its contract is not a JSON object")
        return cls.from_plain(plain)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Contract":
        """Return the contract that ``to_plain`` wrote.

        Raises:
            CheckpointError: It has another format, or does not agree with itself.
        """
        check_plain(plain)
        if plain.get("format") != FORMAT or plain["format"] is True:
            told = repr(plain.get("format"))[:20]
            raise CheckpointError(f"contract format {told} is not {FORMAT}: made by another version")
        try:
            contract = cls(
                model=built(ModelConfig, plain["model"], name="model"),
                preprocess=built(Preprocess, plain["preprocess"], name="preprocess"),
                genres=Genres(_names(plain["genres"])),
                **{name: plain[name] for name in ("headline", "priors", "thresholds", "data", "provenance")},
                # Checkpoints that were made before there was a calibration have none.
                **{name: _listed(plain, name) for name in CALIBRATION if name in plain},
            )
        except CheckpointError:
            raise
        except PosterGenreError as error:
            raise CheckpointError(f"its contract is broken: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"its contract is broken: {error!r}") from None
        contract._check_types()
        lengths = {name: len(getattr(contract, name)) for name in PER_GENRE}
        if len(set(lengths.values())) > 1 or not set(contract.headline) <= set(contract.genres):
            told = ", ".join(f"{count} {name}" for name, count in lengths.items())
            raise CheckpointError(f"its contract disagrees with itself: {told}")
        if not all(temperature > 0 for temperature in contract.temperatures):
            raise CheckpointError("its contract has a temperature that is not above 0")
        for name in ("priors", "thresholds"):
            if not all(0 <= share <= 1 for share in getattr(contract, name)):
                raise CheckpointError(f"its contract has {name} outside 0 … 1")
        return contract

    def _check_types(self) -> None:
        """Refuse what a file may say and a dataclass does not notice.

        Raises:
            CheckpointError: A list is none, or holds something else than it should.
        """
        if not (isinstance(self.headline, list) and all(isinstance(value, str) for value in self.headline)):
            raise CheckpointError("its contract is broken: headline is not a list of names")
        for name in ("priors", "thresholds", "temperatures", "offsets"):
            values = getattr(self, name)
            if not (isinstance(values, list) and all(_is_number(value) for value in values)):
                raise CheckpointError(f"its contract is broken: {name} is not a list of numbers")
        for name in ("data", "provenance"):
            if not isinstance(getattr(self, name), dict):
                raise CheckpointError(f"its contract is broken: {name} is not a table")
        for name, kind in PROVENANCE.items():
            if name in self.provenance and not is_of(self.provenance[name], kind):
                raise CheckpointError(f"its contract is broken: {name} in its provenance is not what training writes")


def without_nan(value: Any) -> Any:
    """Return plain data as JSON knows it, which has neither NaN nor infinity."""
    match value:
        case dict():
            return {key: without_nan(item) for key, item in value.items()}
        case list() | tuple():
            return [without_nan(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


def _listed(plain: dict[str, Any], name: str) -> Any:
    if not isinstance(plain[name], list):
        raise CheckpointError(f"its contract is broken: {name} is not a list of numbers")
    return plain[name]


def _names(values: Any) -> list[str]:
    if not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
        raise CheckpointError("its contract is broken: genres is not a list of names")
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def find_checkpoints(named: Any) -> list[Path]:
    """Return the files that a path, a pattern with ``*`` or a list of those names, in order.

    Raises:
        CheckpointError: A pattern matches nothing.
        ConfigError: It is none of these.
    """
    names = named if isinstance(named, list) else [named]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"checkpoint takes a file, a quoted pattern or [A,B], not {named!r}")
    paths: list[Path] = []
    for name in names:
        place = expanded(name)
        if place.is_file() or not glob.has_magic(str(place)):
            paths.append(place)  # a missing file is told where it is read
        elif matches := sorted(glob.glob(str(place), recursive=True)):
            paths += [Path(match) for match in matches]
        else:
            raise CheckpointError(f"no checkpoint matches {name}")
    return paths


def read_checkpoint(path: str | Path) -> tuple[dict[str, Any], Contract]:
    """Return everything a checkpoint holds, and its contract. No code in the file is ever run.

    Raises:
        CheckpointError: The file is missing, broken, unsafe, or was not made by postergenre.
    """
    path = expanded(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; training writes them to outputs/train/*/checkpoints/")
    if path.suffix in (".onnx", ".pt2"):
        raise CheckpointError(
            f"{path} is an exported graph: predicting takes .onnx, everything else the checkpoint it was made from"
        )
    try:
        # mmap: what the optimiser remembers is twice the weights
        checkpoint = _read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path, mmap=True)
    except (ValueError, SafetensorError, OSError, MemoryError) as error:
        raise CheckpointError(f"{path} is not a checkpoint that can be used: {error}") from None
    told = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(told, dict | str):
        raise CheckpointError(f"{path} was not made by postergenre: it has no '{KEY}' contract")
    try:
        return checkpoint, Contract.from_json(told) if isinstance(told, str) else Contract.from_plain(told)
    except CheckpointError as error:
        raise CheckpointError(f"cannot use {path}: {error}") from None


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Return what an export to safetensors holds, in the shape of a checkpoint; its contract is text."""
    with safe_open(path, framework="pt") as file:
        state = {f"{PREFIX}{name}": file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        return {"state_dict": state, KEY: (file.metadata() or {}).get(KEY)}


def load_network(path: str | Path) -> tuple[PosterNetwork, Contract]:
    """Return the trained network of a checkpoint, in evaluation mode on the CPU, and its contract.

    Raises:
        CheckpointError: The file is missing, broken, unsafe, or was not made by postergenre.
    """
    checkpoint, contract = read_checkpoint(path)
    preprocess = contract.preprocess
    try:
        stored = named_tensors(checkpoint.get("state_dict", {}))
    except ValueError as error:
        raise CheckpointError(f"cannot use {path}: {error}") from None
    state = {name.removeprefix(PREFIX): value for name, value in stored.items() if name.startswith(PREFIX)}
    first = state.get("head.hidden.weight", state.get("head.output.weight"))
    try:
        network = build_network(
            contract.model,
            num_outputs=len(contract.genres),
            input_size=(preprocess.height, preprocess.width),
            empty=True,
            num_features=first.shape[1] if first is not None and first.ndim == 2 else None,
        )
    except ConfigError as error:
        raise CheckpointError(f"cannot use {path}: {error}") from None
    try:
        load_state(network, state)
    except ValueError as error:
        raise CheckpointError(f"the weights in {path} do not fit its {contract.model.name}: {error}") from None
    return network.eval(), contract
