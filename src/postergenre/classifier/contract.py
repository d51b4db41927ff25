"""What a checkpoint says about itself, so that nothing else is needed to use it. Reads without Lightning."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from postergenre.errors import CheckpointError, PosterGenreError
from postergenre.genres import Genres
from postergenre.networks import ModelConfig, PosterNetwork, build_network
from postergenre.networks.weights import read_torch
from postergenre.preprocess import Preprocess

KEY = "postergenre"
FORMAT = 1


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
    """``(G,)`` probability from which a genre is said to apply; fitted on validation, 0.5 before."""
    data: dict[str, Any]
    """The ``DataConfig`` of training, and the ``fingerprint`` of the posters and splits."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Versions, command, device and precision; the validation scores of these very weights."""

    def to_plain(self) -> dict[str, Any]:
        """Return the contract as dicts, lists, text and numbers."""
        return {"format": FORMAT, **asdict(self), "genres": list(self.genres)}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Contract":
        """Return the contract that ``to_plain`` wrote.

        Raises:
            CheckpointError: It has another format, or does not agree with itself.
        """
        if plain.get("format") != FORMAT:
            raise CheckpointError(f"contract format {plain.get('format')!r} is not {FORMAT}: made by another version")
        try:
            contract = cls(
                model=ModelConfig(**plain["model"]),
                preprocess=Preprocess(**plain["preprocess"]),
                genres=Genres(plain["genres"]),
                **{name: plain[name] for name in ("headline", "priors", "thresholds", "data", "provenance")},
            )
        except (KeyError, TypeError, AttributeError, PosterGenreError) as error:
            raise CheckpointError(f"its contract is broken: {error!r}") from None
        lengths = {len(contract.genres), len(contract.priors), len(contract.thresholds)}
        if len(lengths) > 1 or not set(contract.headline) <= set(contract.genres):
            raise CheckpointError(
                f"its contract disagrees with itself: {len(contract.genres)} genres, "
                f"{len(contract.priors)} priors, {len(contract.thresholds)} thresholds"
            )
        return contract


def read_checkpoint(path: str | Path) -> tuple[dict[str, Any], Contract]:
    """Return everything a checkpoint holds, and its contract. No code in the file is ever run.

    Raises:
        CheckpointError: The file is missing, broken, unsafe, or was not made by postergenre.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; training writes them to outputs/train/*/checkpoints/")
    try:
        checkpoint = read_torch(path, mmap=True)  # what the optimiser remembers is twice the weights
    except ValueError as error:
        raise CheckpointError(f"{path} is not a checkpoint that can be used: {error}") from None
    if not (isinstance(checkpoint, dict) and isinstance(checkpoint.get(KEY), dict)):
        raise CheckpointError(f"{path} was not made by postergenre: it has no '{KEY}' contract")
    try:
        return checkpoint, Contract.from_plain(checkpoint[KEY])
    except CheckpointError as error:
        raise CheckpointError(f"cannot use {path}: {error}") from None


def load_network(path: str | Path) -> tuple[PosterNetwork, Contract]:
    """Return the trained network of a checkpoint, in evaluation mode on the CPU, and its contract.

    Raises:
        CheckpointError: The file is missing, broken, unsafe, or was not made by postergenre.
    """
    checkpoint, contract = read_checkpoint(path)
    preprocess = contract.preprocess
    network = build_network(
        contract.model, num_outputs=len(contract.genres), input_size=(preprocess.height, preprocess.width), empty=True
    )
    prefix = "network."
    state: dict[str, Tensor] = {
        name.removeprefix(prefix): value.clone()  # the file may be overwritten by the run that wrote it
        for name, value in checkpoint.get("state_dict", {}).items()
        if name.startswith(prefix)
    }
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights in {path} do not fit its {contract.model.name}: {str(error).strip().splitlines()[-1].strip()}"
        ) from None
    return network.eval(), contract
