"""Weight files: read as data, never as code."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from postergenre.errors import ConfigError


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` or ``torch.save`` file by name; half precision becomes float32.

    Raises:
        ConfigError: There is no such file, or it holds anything but tensors.
    """
    if not path.is_file():
        raise ConfigError(f"no weight file at {path}; model.weights takes imagenet, none or a file")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        first_line = str(error).strip().split("\n")[0]
        raise ConfigError(f"{path} is not a file of weights: {first_line}") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not (isinstance(state, dict) and state and all(isinstance(value, Tensor) for value in state.values())):
        raise ConfigError(f"{path} is not a file of weights: it holds more than named tensors")
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
