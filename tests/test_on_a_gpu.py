"""Where no GPU is: a step on one that is only imagined, which refuses to compute with tensors of two devices."""

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from postergenre.losses import LOSSES, LossConfig, build_loss
from postergenre.mixing import mix
from postergenre.networks import ModelConfig, build_network
from postergenre.networks.network import PosterNetwork
from postergenre.views import VIEWS, averaged

GPU = torch.device("cuda", 0)
NUM_GENRES = 5


def small_network(pool: str = "auto", *, standardize: bool = False) -> PosterNetwork:
    config = ModelConfig(library="tiny", name="tiny", weights="none", pool=pool, standardize=standardize)
    return build_network(config, num_outputs=NUM_GENRES, input_size=(32, 32))


def moved(module: nn.Module) -> nn.Module:
    """Bring what ``Module.to`` would bring to the imagined GPU; ``to`` itself asks the driver."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(torch.empty_like(parameter, device=GPU))
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty_like(buffer, device=GPU)
    return module


def posters() -> tuple[Tensor, Tensor]:
    return torch.empty(4, 3, 32, 32, dtype=torch.uint8, device=GPU), torch.empty(4, NUM_GENRES, device=GPU)


def imagined() -> FakeTensorMode:
    return FakeTensorMode(allow_non_fake_inputs=True)


class Forgetful(nn.Module):
    """A loss whose weights ``Module.to`` would not find."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.ones(NUM_GENRES)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return ((logits - targets).square() * self.weights).mean()


def test_what_stays_behind_is_noticed() -> None:
    loss = Forgetful()
    with imagined():
        _, targets = posters()
        with pytest.raises(RuntimeError, match=r"two (different )?devices"):
            moved(loss)(targets, targets)


@pytest.mark.parametrize("smooth", [0.0, 0.1])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_computes_where_the_answers_are(name: str, smooth: float) -> None:
    loss = build_loss(
        LossConfig(name=name, smooth_negatives=smooth), counts=torch.tensor([0, 1, 5, 9, 20]), num_posters=20
    )
    with imagined():
        _, targets = posters()
        assert moved(loss)(torch.empty_like(targets), targets).device == GPU


@pytest.mark.parametrize("tta", VIEWS)
@pytest.mark.parametrize("pool", ["auto", "avg", "max", "avgmax", "statistics"])
def test_every_network_and_view_computes_where_the_posters_are(pool: str, tta: str) -> None:
    network = small_network(pool, standardize=pool == "statistics")
    with imagined():
        moved(network)
        assert averaged(network, posters()[0], tta).device == GPU


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 0.4)])
def test_batches_are_mixed_where_they_are(mixup: float, cutmix: float) -> None:
    with imagined():
        mixed = mix(*posters(), mixup=mixup, cutmix=cutmix, seed=[0, 1, 2])
        assert [tensor.device for tensor in mixed] == [GPU, GPU]
