import re

import pytest
import torch

from postergenre.errors import ConfigError
from postergenre.hardware import choose_hardware, has_native_bf16

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="asserts what a machine without CUDA says")


@no_cuda
@pytest.mark.parametrize("gpus", [1, "1", "2"])
def test_a_gpu_that_is_not_there_is_refused_with_what_was_found_and_what_to_write(gpus: str | int) -> None:
    message = f"gpus={gpus}, but torch {torch.__version__} finds no CUDA GPU here; write gpus=0 or gpus=auto"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        choose_hardware(gpus, "auto")


def test_several_gpus_are_for_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=r"^gpus=2: only training uses several GPUs; write gpus=1$"):
        choose_hardware("2", "32")
    assert choose_hardware("2", "32", several=True).device.type == "cuda"


@no_cuda
def test_auto_takes_the_cpu_where_there_is_no_gpu() -> None:
    assert choose_hardware("auto", "32").device == torch.device("cpu")


@pytest.mark.parametrize("gpus", ["all", "-1", "1.5", ""])
def test_gpus_that_are_no_number_are_refused(gpus: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"gpus takes auto, 0 or a number of GPUs, not {gpus!r}")):
        choose_hardware(gpus, "auto")


def test_an_unknown_precision_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no precision 'fp8'; known: auto, 32, bf16, 16$"):
        choose_hardware("0", "fp8")


def test_half_precision_on_a_cpu_is_refused_with_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r"precision=16 needs a CUDA GPU; on a CPU write precision=bf16, 32 or auto"):
        choose_hardware(0, "16")


def test_auto_precision_on_a_cpu_is_bf16_only_where_it_is_native() -> None:
    assert choose_hardware("0", "auto").precision == ("bf16" if has_native_bf16() else "32")


def test_autocast_computes_at_the_chosen_precision_and_leaves_float32_alone() -> None:
    for precision, dtype in (("32", torch.float32), ("bf16", torch.bfloat16)):
        with choose_hardware("0", precision).autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_hardware_names_itself() -> None:
    assert str(choose_hardware("0", "32")) == "CPU, float32"
    assert str(choose_hardware("0", "bf16")) == "CPU, mixed bf16"


@pytest.mark.gpu
def test_a_gpu_that_is_there_is_taken() -> None:
    hardware = choose_hardware("auto", "auto")
    assert hardware.device.type == "cuda"
    assert torch.cuda.get_device_name() in str(hardware)
