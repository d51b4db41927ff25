"""Weight files: read as data, never as code."""

import pickle
import re
import warnings
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

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
        state = load_file(path) if path.suffix == ".safetensors" else read_torch(path)
    except (SafetensorError, ValueError) as error:
        raise ConfigError(f"{path} is not a file of weights: {error}") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not (isinstance(state, dict) and state and all(isinstance(value, Tensor) for value in state.values())):
        raise ConfigError(f"{path} is not a file of weights: it holds more than named tensors")
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def read_torch(path: Path, *, mmap: bool = False) -> Any:
    """Return what ``torch.save`` wrote, on the CPU, if it is tensors and plain data; nothing in it is run.

    Args:
        path: The file.
        mmap: Read a tensor only when it is used, where the format (that of torch 1.6 and later) allows it.

    Raises:
        ValueError: It is cut short, is no such file, or asks for code.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's doubts about files that are then read, or refused, below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and is_zipfile(path))
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it asks for {asked[1]}" if asked else "it holds more than tensors and plain data"
        raise ValueError(f"{what}; nothing in it was run") from None
    except Exception as error:  # a broken file fails wherever it happens to be broken
        raise ValueError((str(error).strip().splitlines() or ["it is cut short"])[0]) from None
