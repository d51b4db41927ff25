from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conftest import evaluate_config, no_room_for_files_beyond
from postergenre.augment import Augment
from postergenre.classifier.contract import load_network
from postergenre.data.datamodule import PosterData
from postergenre.evaluation import evaluate
from postergenre.evaluation.config import Place
from postergenre.features import keep_features
from postergenre.hardware import choose_hardware
from postergenre.networks import ModelConfig, PosterNetwork, build_network
from postergenre.preprocess import Preprocess
from postergenre.training import TrainConfig, train

MakeConfig = Callable[[], TrainConfig]


@pytest.mark.parametrize("freeze", ["stage1", "stage3", "backbone"])
@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "tiny"])
def test_prefix_and_suffix_make_the_whole_network(name: str, freeze: str) -> None:
    names = {"stage1": {"resnet18": "stem"}, "stage3": {"resnet18": "layer2"}}
    stage = names.get(freeze, {}).get(name, freeze)
    library = "tiny" if name == "tiny" else "torchvision"
    config = ModelConfig(library=library, name=name, weights="none", freeze=stage)
    network = build_network(config, num_outputs=4, input_size=(64, 48)).eval()
    images = torch.randint(0, 256, (3, 3, 64, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network(network.prefix(images)), network(images))
    assert network.prefix(images).ndim == (2 if freeze == "backbone" else 4)


@pytest.fixture
def make(colour_config: MakeConfig, tmp_path: Path) -> MakeConfig:
    def make_config() -> TrainConfig:
        config = colour_config()
        config.model.freeze = "stage2"
        config.trainer.max_epochs = 3
        config.data.cache = str(tmp_path / "cache")
        return config

    return make_config


def features(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "stores").glob("features-*.rows"))


@pytest.mark.parametrize(
    "augment",
    [
        pytest.param(Augment(), id="plain", marks=pytest.mark.slow),
        pytest.param(Augment(flip=0.5, colour=0.2, views=2), id="two augmented views", marks=pytest.mark.slow),
    ],
)
def test_training_with_kept_features_is_training_without(make: MakeConfig, tmp_path: Path, augment: Augment) -> None:
    with_cache, without = make(), make()
    with_cache.augment = without.augment = augment
    with_cache.optim.lr = without.optim.lr = 5e-4
    without.data.cache_limit, without.output_dir = 0.0, str(tmp_path / "without")
    kept, plain = train(with_cache), train(without)
    assert len(features(tmp_path)) == (3 if augment.active else 1)
    assert not set(tmp_path.glob("without/**/*.rows"))
    assert kept.scores["map"] == pytest.approx(plain.scores["map"], abs=1e-3)
    assert kept.scores["bce"] == pytest.approx(plain.scores["bce"], abs=1e-2)
    left, right = (load_network(trained.last)[0] for trained in (kept, plain))
    assert left.state_dict().keys() == right.state_dict().keys()
    data = PosterData(without.data, without.preprocess)
    data.setup()
    with torch.inference_mode():
        for images, _, _ in data.loader("test"):
            difference = left(images).sigmoid() - right(images).sigmoid()
            assert float(difference.abs().max()) < 0.03  # 18 steps of Adam away from features rounded to 16 bits


@pytest.mark.slow
def test_a_checkpoint_trained_on_features_is_scored_from_pictures(make: MakeConfig, tmp_path: Path) -> None:
    trained = train(make())
    place = Place(cache=str(tmp_path / "elsewhere"))
    scores = evaluate(evaluate_config(trained.best, tmp_path / "scores", split="val", data=place))
    assert scores["map"] == pytest.approx(trained.score, abs=1e-3)


def kept(config: TrainConfig, network: PosterNetwork | None = None) -> bool:
    data = PosterData(config.data, config.preprocess, augment=config.augment, seed=config.seed)
    data.setup()
    if network is None:
        torch.manual_seed(0)
        network = build_network(config.model, num_outputs=3, input_size=(32, 24))
    return keep_features(network, data, choose_hardware("0", "32"))


def test_folds_and_heads_share_features_and_other_weights_do_not(make: MakeConfig, tmp_path: Path) -> None:
    config = make()
    assert kept(config)
    config.data.fold, config.model.hidden = 2, 0
    assert kept(config)
    assert len(features(tmp_path)) == 1
    torch.manual_seed(1)
    assert kept(config, build_network(config.model, num_outputs=3, input_size=(32, 24)))
    assert len(features(tmp_path)) == 2


def test_nothing_is_kept_where_nothing_is_frozen_or_every_epoch_augments_anew(make: MakeConfig) -> None:
    config = make()
    config.augment = Augment(flip=0.5)
    assert not kept(config)
    config = make()
    config.model.freeze = "none"
    assert not kept(config)


@pytest.mark.slow
def test_features_beyond_the_limit_are_computed_in_every_step_with_a_note(
    make: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make()
    config.data.cache_limit = 2e-4  # the pixels fit
    trained = train(config)
    assert "features are not kept, the frozen layers run in every step" in capsys.readouterr().out
    assert trained.best.is_file()


@pytest.mark.slow
def test_a_run_goes_on_where_the_disk_takes_neither_pixels_nor_features(
    make: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make()
    config.preprocess = Preprocess(height=128, width=96)  # 4.4 MB of pixels and more of features
    config.trainer.max_epochs = 1
    with no_room_for_files_beyond(2_000_000):
        trained = train(config)
    printed = capsys.readouterr().out
    assert "note: pixels are not kept, posters are decoded in every epoch: cannot write" in printed
    assert "note: features are not kept, the frozen layers run in every step: cannot write" in printed
    assert printed.count("File too large") == 2
    assert {path.suffix for path in (tmp_path / "cache" / "stores").iterdir()} == {".lock"}
    assert evaluate(evaluate_config(trained.best, tmp_path / "scores", split="val"))["map"] == pytest.approx(
        trained.score, abs=1e-6
    )


def test_four_views_take_up_the_two_there_are(make: MakeConfig, tmp_path: Path) -> None:
    config = make()
    config.augment = Augment(flip=0.5, views=2)
    assert kept(config)
    before = {path: path.stat().st_ctime_ns for path in features(tmp_path)}
    config.augment.views = 4
    assert kept(config)
    assert len(features(tmp_path)) == 5
    assert set(before) < set(features(tmp_path))
