"""Weight files: read as data, never as code."""

import pickle
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from postergenre.errors import ConfigError

PLAIN = {
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
}  # fmt: skip
"""Types of numbers that networks are made of."""
SHOWN = 80
"""Letters of a tensor's name that a message repeats."""


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` or ``torch.save`` file by name; half precision becomes float32.

    Raises:
        ConfigError: There is no such file, or it holds anything but tensors.
    """
    if not path.is_file():
        raise ConfigError(f"no weight file at {path}; model.weights takes imagenet, none or a file")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else read_torch(path)
    except (SafetensorError, ValueError, OSError, MemoryError) as error:
        raise ConfigError(f"{path} is not a file of weights: {error}") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    try:
        named = named_tensors(state)
    except ValueError as error:
        raise ConfigError(f"{path} is not a file of weights: {error}") from None
    if broken := next((name for name, value in named.items() if not finite(value)), None):
        raise ConfigError(f"{path} holds numbers that are none: {broken[:SHOWN]} has NaN or infinity")
    return {name: value.float() if value.is_floating_point() else value for name, value in named.items()}


def named_tensors(state: object) -> dict[str, Tensor]:
    """Return what a file holds under ``state_dict``, if it is plain tensors by name, none larger than what is stored.

    Raises:
        ValueError: It is something else. A tensor of a few bytes can claim to be one of terabytes, by strides of 0.
    """
    if not (isinstance(state, dict) and state and all(isinstance(name, str) for name in state)):
        raise ValueError("it holds more than named tensors")
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError("it holds more than named tensors")
        if value.layout is not torch.strided or not (value.device.type == "cpu" and value.dtype in PLAIN):
            raise ValueError(f"{name[:SHOWN]} is no plain tensor")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError(f"{name[:SHOWN]} claims to be larger than what is stored")
    return state


def load_state(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a network, which may be on the meta device, the tensors of a file; it then has copies of its own.

    Args:
        network: Whose tensors have the names, shapes and types that are wanted.
        state: From ``named_tensors``.

    Raises:
        ValueError: They do not fit, or hold what is no number.
    """
    own = network.state_dict()
    if missing := [name for name in own if name not in state]:
        raise ValueError(f"{len(missing)} missing, first {missing[0]}")
    if unknown := [name for name in state if name not in own]:
        raise ValueError(f"{len(unknown)} unknown, first {unknown[0][:SHOWN]}")
    for name, value in own.items():
        given = state[name]
        if (given.shape, given.dtype) != (value.shape, value.dtype):
            told = f"{tuple(given.shape)} {given.dtype}, not {tuple(value.shape)} {value.dtype}"
            raise ValueError(f"{name} is {told}".replace("torch.", ""))
        if not finite(given):
            raise ValueError(f"{name} has NaN or infinity")
    # The file may be overwritten by the run that wrote it.
    network.load_state_dict({name: state[name].clone() for name in own}, assign=True)


def finite(value: Tensor) -> bool:
    """Return whether a tensor holds no NaN and no infinity: by its ends, for a mask would be as large as the tensor."""
    if not (value.is_floating_point() and value.numel()):
        return True
    return all(bool(end.isfinite()) for end in torch.aminmax(value))


def read_torch(path: Path, *, mmap: bool = False) -> Any:
    """Return what ``torch.save`` wrote, on the CPU, if it is tensors and plain data; nothing in it is run.

    Args:
        path: The file.
        mmap: Read a tensor only when it is used, where the format (that of torch 1.6 and later) allows it.

    Raises:
        ValueError: It is cut short, is no such file, or asks for code.
    """
    try:
        sizes = _check_archive(path) if is_zipfile(path) else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's doubts about files that are then read, or refused, below
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and sizes is not None)
        if sizes is not None and _storages(found) - sizes:
            raise ValueError("a tensor in it is larger than its part of the archive")
        return found
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it asks for {asked[1]}" if asked else "it holds more than tensors and plain data"
        raise ValueError(f"{what}; nothing in it was run") from None
    except Exception as error:  # a broken file fails wherever it happens to be broken
        raise ValueError((str(error).strip().splitlines() or ["it is cut short"])[0]) from None


def _storages(found: object) -> Counter[int]:
    """Return how many storages of which size, in bytes, the tensors in plain data have: torch reads beyond parts."""
    sizes: dict[int, int] = {}
    seen: set[int] = set()
    waiting = [found]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Tensor) and part.layout is torch.strided and not part.is_meta:
            sizes[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
        elif isinstance(part, dict | list | tuple) and id(part) not in seen:
            seen.add(id(part))
            waiting += part.values() if isinstance(part, dict) else part
    return Counter(size for size in sizes.values() if size)


def _check_archive(path: Path) -> Counter[int]:
    """Return how many parts have which size, in bytes.

    Refused is what ``torch.save`` never writes: parts that grow when they are unpacked, or that lie on one another.

    Raises:
        ValueError: There are some.
    """
    try:
        with ZipFile(path) as archive:
            parts = archive.infolist()
    except (BadZipFile, NotImplementedError) as error:
        raise ValueError(f"its archive is broken: {error}") from None
    if any(part.compress_type != ZIP_STORED for part in parts):
        raise ValueError("it is a compressed archive, which torch does not write")
    if len({part.filename for part in parts}) < len(parts) or sum(p.file_size for p in parts) > path.stat().st_size:
        raise ValueError("its archive claims to hold more than the file does")
    return Counter(part.file_size for part in parts)
