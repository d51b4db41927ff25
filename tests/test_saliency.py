import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from postergenre.augment import Augment
from postergenre.classifier.contract import Contract, load_network
from postergenre.classifier.optim import OptimConfig
from postergenre.data.datamodule import DataConfig
from postergenre.errors import ConfigError
from postergenre.networks import ModelConfig, PosterNetwork, build_network
from postergenre.preprocess import Preprocess
from postergenre.saliency import coloured, heat_maps, heated
from postergenre.saliency.tokens import to_grid
from postergenre.training import TrainConfig, Trained, TrainerConfig, train

NETWORKS = [
    ("tiny", "tiny", "auto"), ("tiny", "tiny", "avg"), ("tiny", "tiny", "avgmax"), ("tiny", "tiny", "statistics"),
    ("torchvision", "vgg11", "auto"), ("torchvision", "resnet18", "statistics"),
    ("torchvision", "convnext_tiny", "auto"),
    ("timm", "resnet10t", "auto"), ("timm", "resnet10t", "statistics"), ("timm", "vit_tiny_patch16_224", "auto"),
    ("timm", "vit_tiny_patch16_224", "statistics"), ("timm", "vit_relpos_small_patch16_224", "auto"),
    ("timm", "swin_tiny_patch4_window7_224", "auto"), ("timm", "mixer_s32_224", "auto"),
]  # fmt: skip
SIZE = (64, 96)


def build(
    library: str, name: str, pool: str = "auto", *, freeze: str = "none", size: Sequence[int] = SIZE
) -> PosterNetwork:
    torch.manual_seed(0)
    model = ModelConfig(library=library, name=name, weights="none", pool=pool, hidden=0, freeze=freeze)
    return build_network(model, num_outputs=5, input_size=(size[0], size[1]))


def image(size: Sequence[int] = SIZE) -> Tensor:
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def relative(heat: Tensor) -> Tensor:
    return heat / heat.amax(dim=(1, 2), keepdim=True)


@pytest.mark.slow
@pytest.mark.parametrize(("library", "name", "pool"), NETWORKS)
def test_every_network_tells_where_it_looks_and_is_left_as_it_was(library: str, name: str, pool: str) -> None:
    size = (224, 224) if name == "mixer_s32_224" else SIZE
    network = build(library, name, pool, freeze="backbone", size=size).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    fused = [getattr(module, "fused_attn", None) for module in network.modules()]
    maps = heat_maps(network, image(size), [4, 0, 4])
    assert maps.shape == (3, *size)
    assert maps.dtype == torch.float32
    assert float(maps.min()) >= 0
    assert set(maps.amax(dim=(1, 2)).tolist()) <= {0.0, 1.0}
    assert float(maps.max()) == 1
    torch.testing.assert_close(maps[0], maps[2], rtol=1e-3, atol=1e-4)  # places in a batch round differently
    assert modes == [module.training for module in network.modules()]
    assert not any(p.requires_grad for p in network.stages.parameters())
    assert all(p.requires_grad and p.grad is None for p in network.head.parameters())
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    assert fused == [getattr(module, "fused_attn", None) for module in network.modules()]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):  # as a caller that answers would be in
        assert torch.equal(maps, heat_maps(network, image(size).clone(), [4, 0, 4]))


def test_where_the_maps_are_averaged_it_is_grad_cam() -> None:
    network = build("tiny", "tiny", "avg").eval()
    found = heat_maps(network, image(), [3])
    with torch.no_grad():
        (maps,) = network.maps(image()[None])
        cam = torch.einsum("c,chw->hw", network.output.weight[3], maps[0]).relu()[None, None]
    expected = nn.functional.interpolate(cam, SIZE, mode="bilinear")[0]
    torch.testing.assert_close(found, relative(expected))


def test_behind_a_maximum_only_the_places_of_maxima_are_hot() -> None:
    network = build("tiny", "tiny", "max").eval()
    with torch.no_grad():
        network.output.weight.abs_()
        (maps,) = network.maps(image()[None])
        expected = torch.zeros(1, 1, *maps.shape[2:])
        for weight, channel in zip(network.output.weight[1], maps[0], strict=True):
            row, column = divmod(int(channel.argmax()), channel.shape[1])
            expected[0, 0, row, column] += weight * channel.max()
    assert 0 < int((expected > 0).sum()) < expected.numel()
    torch.testing.assert_close(
        heat_maps(network, image(), [1]), relative(nn.functional.interpolate(expected, SIZE, mode="bilinear")[0])
    )


def test_statistics_are_asked_at_every_stage() -> None:
    """A head that only listens to the first stage has its heat where that stage is active."""
    network = build("tiny", "tiny", "statistics").eval()
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.weight[:, :16] = 1  # the means of the first stage
        first = network.maps(image()[None])[0].sum(dim=1, keepdim=True)
    expected = nn.functional.adaptive_avg_pool2d(first, (SIZE[0] // 8, SIZE[1] // 8))  # the grid of the last but one
    torch.testing.assert_close(
        heat_maps(network, image(), [2]), relative(nn.functional.interpolate(expected, SIZE, mode="bilinear")[0])
    )


def test_what_speaks_against_a_genre_is_cold() -> None:
    network = build("tiny", "tiny", "avg")
    with torch.no_grad():
        network.output.weight.abs_().neg_()
    assert float(heat_maps(network, image(), [0]).abs().max()) == 0


def test_no_genre_means_no_map() -> None:
    assert heat_maps(build("tiny", "tiny"), image(), []).shape == (0, *SIZE)


def test_a_transformer_of_one_layer_by_hand() -> None:
    network = build("timm", "vit_tiny_patch16_224").eval()
    model = network.backbone.model  # type: ignore[union-attr]
    model.blocks = model.blocks[:1]
    nn.init.normal_(network.output.weight)
    block = model.blocks[0]
    tokens = model._pos_embed(model.patch_embed(network.normalize(image()[None])))  # (1,N,C)
    query, key, value = (
        block.attn.qkv(block.norm1(tokens)).unflatten(2, (3, block.attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    )
    attention = ((query @ key.mT) * query.shape[-1] ** -0.5).softmax(dim=-1)  # (1,heads,N,N)
    tokens = tokens + block.attn.proj((attention @ value).transpose(1, 2).flatten(2))
    tokens = tokens + block.mlp(block.norm2(tokens))
    logit = network.head(model.norm(tokens)[:, 0])[0, 2]
    (gradient,) = torch.autograd.grad(logit, attention)
    row = (attention * gradient).relu().mean(dim=1)[0, 0, 1:].detach()  # what the first token took from each patch
    expected = nn.functional.interpolate(row.view(1, 1, SIZE[0] // 16, SIZE[1] // 16), SIZE, mode="bilinear")[0]
    torch.testing.assert_close(heat_maps(network, image(), [2]), relative(expected), rtol=1e-3, atol=1e-4)


def test_patches_lie_in_lines_and_other_tokens_nowhere() -> None:
    network = build("timm", "vit_tiny_patch16_224")
    grid = to_grid(network, torch.arange(25.0)[None, None], SIZE)
    assert grid[0, 0].tolist() == [[1 + 6 * row + column for column in range(6)] for row in range(4)]
    with pytest.raises(ConfigError, match="its 23 tokens fill no grid of 64 x 96"):
        to_grid(network, torch.zeros(1, 1, 24), SIZE)


def test_a_network_that_hides_its_attention_says_so() -> None:
    network = build("timm", "xcit_nano_12_p16_224")
    with pytest.raises(ConfigError, match="no heat maps of Xcit: its head sees one token"):
        heat_maps(network, image(), [0])


def test_heat_covers_the_poster_and_cold_lets_it_through() -> None:
    poster = Image.new("RGB", (20, 30), (200, 200, 200))
    heat = torch.zeros(30, 20)
    heat[:15] = 1
    picture = np.asarray(heated(poster, heat)).astype(int)
    hot, cold = 255 * coloured(np.array([1.0, 0.0]))
    assert np.abs(picture[0, 0] - (0.25 * 200 + 0.75 * hot)).max() <= 1
    assert np.abs(picture[-1, 0] - (0.85 * 200 + 0.15 * cold)).max() <= 1
    assert heated(poster.resize((2400, 100)), torch.zeros(100, 2400)).size == (1200, 50)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("demo")
    return train(
        TrainConfig(
            data=DataConfig(
                source="demo", root=str(folder / "posters"), num_demo_posters=500, batch_size=32, workers=0,
                min_positives=20, cache=str(folder / "cache"),
            ),
            preprocess=Preprocess(height=96, width=64),
            augment=Augment(flip=0.5, crop=0.4, colour=0.2),
            model=ModelConfig(library="tiny", name="tiny", weights="none", hidden=0, dropout=0.1),
            optim=OptimConfig(lr=4e-3, backbone_scale=1.0, schedule="cosine", warmup=0.05),
            trainer=TrainerConfig(gpus="0", precision="32", max_epochs=14),
            output_dir=str(folder / "run"),
        ),
        pictures=False,
    )  # fmt: skip


def concentration(network: PosterNetwork, contract: Contract, posters: Path) -> tuple[float, float]:
    """Return how much denser heat is within the box of a motif than over the poster; 1 is chance.

    Returns:
        In the box of the genre that was asked for, and, with the same maps, in those of the poster's other genres.
    """
    boxes = json.loads((posters / "boxes.json").read_text())
    own, other = [], []
    for name in sorted(boxes)[::4]:
        genres = list(boxes[name])
        if len(genres) < 2:
            continue
        picture = contract.preprocess.read(posters / "Images" / f"{name}.jpg")
        maps = heat_maps(network, picture, [contract.genres.index(genre) for genre in genres])
        maps = contract.preprocess.laid_back(maps, 300, 200)
        for asked, heat in zip(genres, maps, strict=True):
            for genre in genres if float(heat.sum()) > 0 else ():
                left, top, right, bottom = boxes[name][genre]
                share = float(heat[top:bottom, left:right].sum() / heat.sum())
                density = share / ((right - left) * (bottom - top) / (300 * 200))
                (own if genre == asked else other).append(density)
    return float(np.mean(own)), float(np.mean(other))


@pytest.mark.slow
def test_heat_lies_on_the_motif_of_its_genre_and_that_of_a_random_network_does_not(demo: Trained) -> None:
    network, contract = load_network(demo.best)
    posters = demo.best.parents[2] / "posters" / "500"
    own, other = concentration(network, contract, posters)
    assert own > 1.3
    assert own > 1.4 * other
    for seed in range(3):
        torch.manual_seed(seed)
        untrained = build_network(contract.model, num_outputs=len(contract.genres), input_size=(96, 64))
        random_own, random_other = concentration(untrained, contract, posters)
        assert random_own < 0.85 * own
        assert random_own == pytest.approx(random_other, rel=0.2)
