"""Which device computes, and how precisely: asked for in our words, answered by what this machine has."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from postergenre.errors import ConfigError

PRECISIONS = ("auto", "32", "bf16", "16")
DTYPES = {"bf16": torch.bfloat16, "16": torch.float16}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """One device and its arithmetic."""

    device: torch.device
    precision: str
    """``32``, ``bf16`` or ``16``; the latter two are mixed: weights stay in float32."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which a network runs at this precision."""
        if self.precision == "32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"
        return f"{name}, {'float32' if self.precision == '32' else f'mixed {self.precision}'}"


def choose_hardware(gpus: str | int, precision: str, *, prefix: str = "", several: bool = False) -> Hardware:
    """Return what to compute on.

    Args:
        gpus: ``auto`` (a CUDA GPU where there is one), ``0`` (the CPU) or how many.
        precision: ``auto``, ``32``, ``bf16`` or ``16``. ``auto`` is mixed precision on CUDA (bf16 where the GPU has it,
            else fp16), bf16 on a CPU that multiplies it natively, else float32.
        prefix: What stands before the names of the two settings where the user writes them.
        several: Whether more than one GPU can be used.

    Raises:
        ConfigError: This machine has no such device or arithmetic.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = str(gpus)
    if wanted != "auto" and not wanted.isdecimal():
        raise ConfigError(f"{prefix}gpus takes auto, 0 or a number of GPUs, not {gpus!r}")
    if wanted != "auto" and int(wanted) > found:
        raise ConfigError(
            f"{prefix}gpus={wanted}, but torch {torch.__version__} finds {found or 'no'} CUDA "
            f"GPU{'s' if found > 1 else ''} here; write {prefix}gpus={found} or {prefix}gpus=auto"
        )
    if wanted not in ("auto", "0", "1") and not several:
        raise ConfigError(f"{prefix}gpus={wanted}: only training uses several GPUs; write {prefix}gpus=1")
    if precision not in PRECISIONS:
        raise ConfigError(f"no {prefix}precision {precision!r}; known: {', '.join(PRECISIONS)}")
    device = torch.device("cpu" if wanted == "0" or not found else "cuda")
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where float32 is left
    if device.type == "cpu" and precision == "16":
        raise ConfigError(f"{prefix}precision=16 needs a CUDA GPU; on a CPU write {prefix}precision=bf16, 32 or auto")
    if precision == "auto":
        if device.type == "cuda":
            precision = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "16"
        else:
            precision = "bf16" if has_native_bf16() else "32"
    return Hardware(device=device, precision=precision)


@contextmanager
def memory_for(setting: str, batch_size: int, *, otherwise: str = "") -> Iterator[None]:
    """Tell in a sentence that a batch does not fit into the device's memory, with the size to try.

    Args:
        setting: What the user calls the size.
        batch_size: Its value.
        otherwise: What else would help.

    Raises:
        ConfigError: It does not fit.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        smaller = f"try {setting}={batch_size // 2}" if batch_size > 1 else "try smaller pictures or a smaller network"
        raise ConfigError(
            f"out of memory: {setting}={batch_size} is too much for this device; {smaller}{otherwise}"
        ) from None


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a GPU, or the main memory, is too small."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def has_native_bf16() -> bool:
    """Return whether this CPU multiplies bfloat16 matrices in hardware."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
