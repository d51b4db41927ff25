import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from postergenre.classifier.contract import Contract
from postergenre.errors import ConfigError
from postergenre.genres import Genres
from postergenre.networks import ModelConfig, PosterNetwork, build_network
from postergenre.networks.pools import AverageAndMax, Statistics
from postergenre.networks.vgg import empty_vgg_stages
from postergenre.networks.vision import vision_stages
from postergenre.preprocess import Preprocess

NETWORKS = [
    ("torchvision", "vgg19", ["stage1", "stage2", "stage3", "stage4", "stage5"]),
    ("torchvision", "vgg16", ["stage1", "stage2", "stage3", "stage4", "stage5"]),
    ("torchvision", "vgg19_bn", ["stage1", "stage2", "stage3", "stage4", "stage5"]),
    ("torchvision", "resnet50", ["stem", "layer1", "layer2", "layer3", "layer4"]),
    ("torchvision", "convnext_tiny", ["stage1", "stage2", "stage3", "stage4"]),
    ("torchvision", "efficientnet_b0", [f"stage{i}" for i in range(9)]),
    ("timm", "resnet18", [f"stage{i}" for i in range(5)]),
    ("timm", "vit_tiny_patch16_224", [f"stage{i}" for i in range(13)]),
    ("tiny", "tiny", ["stage1", "stage2", "stage3", "stage4"]),
]


def build(
    library: str = "tiny", name: str = "tiny", size: tuple[int, int] = (64, 48), **settings: object
) -> PosterNetwork:
    config = ModelConfig(**{"library": library, "name": name, "weights": "none", **settings})  # type: ignore[arg-type]
    return build_network(config, num_outputs=5, input_size=size)


def pictures(height: int = 64, width: int = 48) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("library", "name", "stages"), NETWORKS)
def test_every_network_takes_uint8_and_names_its_stages(library: str, name: str, stages: list[str]) -> None:
    network = build(library, name)
    assert list(network.stage_parameters()) == stages
    assert all(network.stage_parameters().values())
    backbone = [p for stage in network.stage_parameters().values() for p in stage]
    assert len(backbone) + len(list(network.head.parameters())) == len(list(network.parameters()))
    with torch.inference_mode():
        assert network.eval()(pictures()).shape == (2, 5)
        features = network.train().features(pictures())  # with batch statistics: untrained ones let signals fade
    assert not torch.allclose(features[0], features[1], rtol=1e-3)


def test_a_backbone_frozen_up_to_a_stage_does_not_change_when_training() -> None:
    network = build(freeze="stage2").train()
    modes = [stage.training for stage in network.stages]
    assert modes == [False, False, True, True]
    before = {name: value.clone() for name, value in network.stages.state_dict().items()}
    optimizer = torch.optim.SGD(p for p in network.parameters() if p.requires_grad)
    network(pictures()).sum().backward()
    optimizer.step()
    changed = {
        name.split(".")[0]
        for name, value in network.stages.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"stage3", "stage4"}


def test_freezing_the_backbone_leaves_the_head() -> None:
    network = build("timm", "resnet18", freeze="backbone")
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad} == {"head"}


def test_an_unknown_stage_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no stage 'stage9' to freeze; known: none, backbone, stage1, stage2"):
        build(freeze="stage9")


def test_the_head_is_the_original_one_or_linear() -> None:
    layers = [type(layer) for layer in build().head]
    assert layers == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert build().head.hidden.out_features == 128
    assert [type(layer) for layer in build(hidden=0).head] == [nn.Dropout, nn.Linear]


@pytest.mark.parametrize(("normalize", "black", "white"), [("auto", -2.1179, 2.2489), ("unit", 0.0, 1.0)])
def test_normalisation_is_the_first_layer(normalize: str, black: float, white: float) -> None:
    network = build("torchvision", "resnet18", normalize=normalize)
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    pixels = network.normalize(images)
    assert pixels[0, 0, 0, 0].item() == pytest.approx(black, abs=1e-4)
    assert pixels[1, 0, 0, 0].item() == pytest.approx(white, abs=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "efficientnet_b0"])
def test_torchvision_features_are_torchvisions_own(name: str, tmp_path: Path) -> None:
    reference = torchvision.models.get_model(name, weights=None).eval()
    save_file(reference.state_dict(), tmp_path / "weights.safetensors")
    network = build("torchvision", name, weights=str(tmp_path / "weights.safetensors"), hidden=0).eval()
    classifier = reference.fc if name == "resnet18" else reference.classifier[-1]
    network.head = nn.Sequential(classifier)
    images = pictures()
    with torch.inference_mode():
        torch.testing.assert_close(network(images), reference(network.normalize(images)), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_vgg_takes_half_precision_features_without_their_classifier(tmp_path: Path) -> None:
    convolutions = build("torchvision", "vgg11").state_dict()
    reference = torchvision.models.vgg11(weights=None, init_weights=False).features.eval()
    state = {f"features.{key}": value.half() for key, value in reference.state_dict().items()}
    save_file(state, tmp_path / "vgg11.safetensors")
    network = build("torchvision", "vgg11", weights=str(tmp_path / "vgg11.safetensors")).eval()
    reference.load_state_dict({key.removeprefix("features."): value.float() for key, value in state.items()})
    with torch.inference_mode():
        expected = reference(network.normalize(pictures())).mean((2, 3))
        torch.testing.assert_close(network.features(pictures()), expected, rtol=1e-4, atol=1e-5)
    assert network.state_dict().keys() == convolutions.keys()


def test_timm_weights_load_from_a_file(tmp_path: Path) -> None:
    reference = timm.create_model("resnet18", num_classes=7).eval()
    torch.save({"state_dict": reference.state_dict()}, tmp_path / "weights.pth")
    network = build("timm", "resnet18", weights=str(tmp_path / "weights.pth")).eval()
    images = pictures()
    with torch.inference_mode():
        expected = reference.forward_head(reference.forward_features(network.normalize(images)), pre_logits=True)
        torch.testing.assert_close(network.features(images), expected, rtol=1e-4, atol=1e-5)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "resnet18.safetensors")
    with pytest.raises(ConfigError, match=r"does not fit vgg11: \d+ tensor\(s\) missing \(features.0.weight"):
        build("torchvision", "vgg11", weights=str(tmp_path / "resnet18.safetensors"))
    with pytest.raises(ConfigError, match="does not fit resnet34"):
        build("torchvision", "resnet34", weights=str(tmp_path / "resnet18.safetensors"))


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x04\x95"])
def test_a_broken_weight_file_is_told_by_name(content: bytes, tmp_path: Path) -> None:
    for name in ("broken.safetensors", "broken.pth"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=f"{name} is not a file of weights"):
            build("torchvision", "resnet18", weights=str(tmp_path / name))


def test_a_missing_weight_file_says_what_weights_can_be() -> None:
    with pytest.raises(ConfigError, match=r"no weight file at /nowhere; model.weights takes imagenet, none or a file"):
        build("torchvision", "resnet18", weights="/nowhere")


def test_without_a_connection_one_line_says_what_to_put_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens on the discard port
    with pytest.raises(ConfigError) as caught:
        build("torchvision", "vgg19", weights="imagenet")
    assert f"put vgg19-dcbb9e9d.pth into {tmp_path}/hub/checkpoints" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_network_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no network 'vgg99'; torchvision knows: .*vgg19.*model=timm"):
        build("torchvision", "vgg99")
    with pytest.raises(ConfigError, match=r"no timm model 'resnet18x'; close: .*resnet"):
        build("timm", "resnet18x")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"library": "keras"}, "no model.library 'keras'; known: torchvision, timm, tiny"),
        ({"normalize": "z"}, "no model.normalize 'z'; known: auto, unit"),
        ({"dropout": 1.0}, "model.dropout must lie in 0"),
        ({"hidden": -1}, "model.hidden must lie in 0"),
    ],
)
def test_a_wrong_setting_names_the_right_ones(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**settings)  # type: ignore[arg-type]


def test_statistics_of_every_stage_by_hand() -> None:
    maps = [torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]), torch.tensor([[[[2.0]], [[-1.0]]]])]
    assert Statistics()(maps).tolist() == [[4.0, 7.0, pytest.approx(5**0.5), 2.0, -1.0, 2.0, -1.0, 0.0, 0.0]]


def test_average_and_max_by_hand() -> None:
    assert AverageAndMax()(torch.tensor([[[[1.0, 3.0]], [[0.0, -2.0]]]])).tolist() == [[2.0, -1.0, 3.0, 0.0]]


@pytest.mark.parametrize(("pool", "num_features"), [("avg", 128), ("max", 128), ("avgmax", 256), ("statistics", 720)])
def test_pools_make_as_many_features_as_they_say(pool: str, num_features: int) -> None:
    network = build(pool=pool).eval()
    assert network.features(pictures()).shape == (2, num_features)
    assert network(pictures()).shape == (2, 5)


def test_a_timm_network_can_tell_the_statistics_of_its_stages() -> None:
    network = build("timm", "resnet18", pool="statistics", freeze="backbone").eval()
    features = network.features(pictures())
    assert features.shape == (2, 3 * (64 + 64 + 128 + 256 + 512))
    (backbone,) = network.stages
    maps = backbone.model.forward_intermediates(network.normalize(pictures()), intermediates_only=True)
    assert torch.allclose(features[:, :64], maps[0].mean(dim=(2, 3)), atol=1e-5)
    assert torch.equal(network.prefix(pictures()), features)
    with pytest.raises(ConfigError, match=r"model\.pool=auto, or statistics, not max"):
        build("timm", "resnet18", pool="max")


def test_a_head_that_sees_every_stage_is_not_cut_before_the_last() -> None:
    network = build(pool="statistics", freeze="stage2").eval()
    assert network.num_frozen == 0
    assert not any(p.requires_grad for p in network.stages.stage2.parameters())
    whole = build(pool="statistics", freeze="backbone").eval()
    assert torch.equal(whole(whole.prefix(pictures())), whole(pictures()))


def test_a_head_may_standardise_its_features() -> None:
    network = build(standardize=True, hidden=0, dropout=0.0).train()
    seen = []
    network.head.dropout.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    network(pictures())
    assert torch.allclose(seen[0].mean(dim=0), torch.zeros(128), atol=1e-3)
    assert {name for name, _ in network.head.named_parameters()} == {"output.weight", "output.bias"}


def test_a_last_batch_of_one_poster_is_standardised_by_what_came_before() -> None:
    network = build(standardize=True, hidden=0, dropout=0.0).train()
    network(pictures())
    one = network.features(pictures()[:1])
    layer = network.head.standardize
    expected = (one - layer.running_mean) / (layer.running_var + layer.eps).sqrt()
    assert torch.allclose(layer(one), expected, atol=1e-5)


@pytest.mark.parametrize(("library", "name"), [("tiny", "tiny"), ("torchvision", "resnet18"), ("timm", "resnet18")])
def test_batch_norms_that_are_frozen_answer_as_before_and_train_their_scales(library: str, name: str) -> None:
    network = build(library, name, frozen_norm=True, standardize=True, dropout=0.0)
    norms = [module for module in network.stages.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    before = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]
    expected = network.eval().features(pictures())
    features = network.train().features(pictures())
    assert torch.allclose(features, expected, atol=1e-4)
    features.sum().backward()
    for norm, (mean, variance) in zip(norms, before, strict=True):
        assert torch.equal(norm.running_mean, mean)
        assert torch.equal(norm.running_var, variance)
        assert norm.weight.grad is not None
    assert network.head.standardize.training
    loose = build(library, name).train()
    loose.features(pictures())
    assert all(
        int(norm.num_batches_tracked) for norm in loose.stages.modules() if isinstance(norm, torch.nn.BatchNorm2d)
    )


def test_an_unknown_pool_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"no model\.pool 'best'; known: auto, avg, max, avgmax, statistics"):
        ModelConfig(pool="best")


@pytest.mark.parametrize("name", ["vgg11", "vgg13_bn", "vgg16", "vgg19", "vgg19_bn"])
def test_the_vgg_that_a_checkpoint_fills_is_torchvisions(name: str) -> None:
    ours, ours_pool = empty_vgg_stages(name)
    theirs, pool = vision_stages(name, "none", empty=True)
    assert repr(nn.Sequential(ours)) == repr(nn.Sequential(theirs))
    assert repr(ours_pool) == repr(pool)
    shapes = [
        {key: value.shape for key, value in nn.Sequential(stages).state_dict().items()} for stages in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.slow
def test_one_answer_of_a_vgg_imports_neither_torchvision_nor_the_compiler(tmp_path: Path) -> None:
    config = ModelConfig(weights="none", pool="statistics", hidden=8)
    contract = Contract(
        model=config, preprocess=Preprocess(height=32, width=32), genres=Genres(["A", "B"]), headline=["A"],
        priors=[0.5, 0.5], thresholds=[0.5, 0.5], data={},
    )  # fmt: skip
    network = build_network(config, num_outputs=2, input_size=(32, 32))
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "postergenre": contract.to_plain()}, tmp_path / "vgg.ckpt")
    Image.new("RGB", (40, 60)).save(tmp_path / "poster.jpg")
    program = (
        "import sys\n"
        "from postergenre.inference import PredictConfig, predict\n"
        "predict(PredictConfig(checkpoint='vgg.ckpt', posters='poster.jpg', output_dir='out'))\n"
        "sys.exit(', '.join({'torchvision', 'torch._dynamo', 'pytorch_lightning'} & set(sys.modules)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
