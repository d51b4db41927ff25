import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from PIL import Image
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from rich.console import Console
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from postergenre.augment import Augment
from postergenre.classifier.contract import load_network, read_checkpoint
from postergenre.errors import CheckpointError, ConfigError
from postergenre.hardware import Hardware
from postergenre.losses import LOSSES, LossConfig
from postergenre.networks import ModelConfig
from postergenre.training import TrainConfig, Trained, insight, train
from postergenre.training.callbacks import Last
from postergenre.training.insight import principal_components
from postergenre.training.run import build_trainer

MakeConfig = Callable[[], TrainConfig]


def test_training_learns_genres_that_can_be_seen(trained: Trained) -> None:
    assert trained.score > 0.97
    assert trained.scores["map_prior"] < 0.7
    assert trained.scores["f1_micro_tuned"] > 0.9


def test_a_run_leaves_its_logs_splits_and_checkpoints(trained: Trained) -> None:
    folder = trained.best.parents[1]
    assert {path.name for path in trained.best.parent.iterdir()} == {"best.ckpt", "last.ckpt"}
    splits = pd.read_csv(folder / "splits.csv")
    assert splits["split"].value_counts().to_dict() == {"train": 83, "test": 21, "val": 16}
    metrics = pd.read_csv(folder / "metrics.csv")
    assert metrics["val/map"].max() == pytest.approx(trained.score, abs=1e-4)
    assert metrics["val/map_prior"].dropna().tolist() == pytest.approx([trained.scores["map_prior"]] * 6)
    assert metrics["train/loss_epoch"].dropna().is_monotonic_decreasing


def test_tensorboard_shows_scalars_rates_curves_posters_and_hyperparameters(trained: Trained) -> None:
    events = EventAccumulator(str(trained.best.parents[1] / "tensorboard"), size_guidance={"tensors": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    assert {"val/map", "val/map_prior", "val/bce", "val/bce_prior", "train/loss", "lr-AdamW/head"} <= set(
        tags["scalars"]
    )
    assert {"pr/Red", "pr/Green", "pr/Blue"} <= set(tags["tensors"])
    assert set(tags["images"]) == {"val/posters", "val/heat_maps"}
    assert events.Images("val/posters")[0].width > 400
    assert events.Images("val/heat_maps")[-1].step == events.Images("val/posters")[-1].step == 36  # the last one
    assert "_hparams_/session_start_info" in tags["scalars"] or events.SummaryMetadata("_hparams_/session_start_info")


def test_heat_maps_follow_the_epochs_within_their_share_of_the_time(
    colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insight, "PACE", 0)
    counts = []
    for share in (1e9, 1e-9):
        monkeypatch.setattr(insight, "SHARE", share)
        config = colour_config()
        config.output_dir += f"{share}"
        config.trainer.max_epochs = 4
        monkeypatch.setattr(insight.HeatMaps, "on_fit_start", lambda self, *_: None)  # the first epoch counts too
        train(config)
        events = EventAccumulator(f"{config.output_dir}/tensorboard", size_guidance={"images": 0})
        events.Reload()
        counts.append(len({heat.step for heat in events.Images("val/heat_maps")}))
    assert counts == [4, 2]  # after every epoch; or only after the first and the last


def test_the_projector_gets_validation_posters_with_their_genres(trained: Trained) -> None:
    folder = trained.best.parents[1]
    (told,) = (folder / "tensorboard").glob("*/val/tensors.tsv")
    rows = pd.read_csv(told.with_name("metadata.tsv"), sep="\t")
    assert list(rows) == ["poster", "genres", "Red", "Green", "Blue"]
    splits = pd.read_csv(folder / "splits.csv")
    assert sorted(rows["poster"]) == sorted(splits["id"][splits["split"] == "val"])
    assert ((rows["Red"] == "yes") == rows["genres"].str.contains("Red")).all()
    features = torch.from_numpy(pd.read_csv(told, sep="\t", header=None).to_numpy())
    assert features.shape == (len(rows), 16)  # the hidden layer's width
    red = torch.tensor((rows["Red"] == "yes").tolist())
    distances = torch.cdist(features, features)
    assert distances[red][:, red].mean() < distances[red][:, ~red].mean()
    side = 48 * math.ceil(math.sqrt(len(rows)))
    with Image.open(told.with_name("sprite.png")) as sprite:
        assert sprite.size == (side, side)
        assert np.asarray(sprite.convert("RGB"))[24, 0].tolist() == [255, 255, 255]  # beside a 3:4 poster


def test_principal_components_keep_distances() -> None:
    features = torch.randn(20, 7, generator=torch.Generator().manual_seed(0))
    told = principal_components(features, most=100)
    assert told.shape == (20, 7)
    torch.testing.assert_close(torch.cdist(told, told), torch.cdist(features, features), rtol=1e-4, atol=1e-4)
    assert told.var(dim=0).diff().max() <= 0  # largest first
    assert principal_components(features, most=3).shape == (20, 3)


def test_a_network_that_hides_where_it_looks_is_trained_all_the_same(
    colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> torch.Tensor:
        raise ConfigError("no heat maps of Xcit: its head sees one token")

    monkeypatch.setattr("postergenre.saliency.heat_maps", refuse)
    config = colour_config()
    config.trainer.max_epochs = 2
    train(config)
    assert capsys.readouterr().out.count("note: TensorBoard gets no heat maps of Xcit") == 1


def weights(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = read_checkpoint(path)[0]["state_dict"]
    return state


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    make_noisy: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    save = Last.on_train_epoch_end

    def save_and_keep(self: Last, trainer: Trainer, pl_module: LightningModule) -> None:
        save(self, trainer, pl_module)
        shutil.copyfile(self.best_model_path, tmp_path / f"{trainer.current_epoch}.ckpt")

    monkeypatch.setattr(Last, "on_train_epoch_end", save_and_keep)
    monkeypatch.setattr("postergenre.training.callbacks.PACE", 0.0)
    config = make_noisy()
    config.data.workers = workers
    uninterrupted = train(config)
    torch.rand(7)  # whatever happens between the two runs
    config = make_noisy()
    config.data.workers = workers
    config.resume, config.output_dir = str(tmp_path / "1.ckpt"), str(tmp_path / "resumed")
    resumed = train(config)
    assert (tmp_path / "3.ckpt").is_file()
    assert weights(resumed.last).keys() == weights(uninterrupted.last).keys()
    for name, value in weights(uninterrupted.last).items():
        assert torch.equal(weights(resumed.last)[name], value), name
    assert resumed.scores == uninterrupted.scores
    assert resumed.best.parent == Path(config.output_dir) / "checkpoints"


@pytest.fixture
def make_noisy(colour_config: MakeConfig) -> MakeConfig:
    """A recipe with everything that could go another way: dropout, augmentation, momentum, a schedule."""

    def make() -> TrainConfig:
        config = colour_config()
        config.augment = Augment(flip=0.5, crop=0.3, colour=0.2)
        config.model.dropout = 0.5
        config.trainer.max_epochs = 4
        config.optim.schedule, config.optim.warmup = "cosine", 0.2
        return config

    return make


@pytest.mark.slow
def test_resuming_keeps_an_earlier_best(colour_config: MakeConfig, tmp_path: Path) -> None:
    config = colour_config()
    config.trainer.max_epochs = 3
    half = train(config)
    config = colour_config()
    config.resume, config.trainer.max_epochs, config.output_dir = str(half.last), 4, str(tmp_path / "worse")
    config.optim.lr = 3.0  # ruins the weights; the rates in the checkpoint are replaced by the schedule's
    resumed = train(config)
    assert resumed.score >= half.score
    assert resumed.best.is_file()


def test_resuming_another_kind_of_run_is_refused(trained: Trained, colour_config: MakeConfig) -> None:
    config = colour_config()
    config.resume, config.preprocess.height = str(trained.last), 40
    with pytest.raises(CheckpointError, match=r"cannot resume .*: its preprocess"):
        train(config)
    config = colour_config()
    config.resume, config.model.hidden = str(trained.last), 99
    with pytest.raises(
        CheckpointError, match=r"cannot resume .*: its model.hidden \(16\) is not that of this run \(99\)"
    ):
        train(config)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["resume", "start"])
def test_where_a_checkpoint_brings_the_weights_the_pretrained_ones_may_be_gone(
    how: str, colour_config: MakeConfig, tmp_path: Path
) -> None:
    weights = tmp_path / "vgg11.safetensors"
    network = torchvision.models.vgg11(weights=None, init_weights=False)
    save_file({f"features.{name}": value for name, value in network.features.state_dict().items()}, weights)
    config = colour_config()
    config.model = ModelConfig(library="torchvision", name="vgg11", weights=str(weights), freeze="stage4", hidden=0)
    config.preprocess.width = 32
    config.trainer.max_epochs = 1
    first = train(config)
    weights.unlink()
    config.output_dir, config.trainer.max_epochs = str(tmp_path / "more"), 2
    setattr(config, how, str(first.last))
    more = train(config)
    before, after = (load_network(done.last)[0].state_dict() for done in (first, more))
    assert torch.equal(before["stages.stage4.0.weight"], after["stages.stage4.0.weight"])  # frozen
    assert not torch.equal(before["stages.stage5.0.weight"], after["stages.stage5.0.weight"])
    setattr(config, how, None)
    with pytest.raises(ConfigError, match="no weight file"):
        train(config)


@pytest.mark.slow
def test_a_run_resumed_with_another_seed_keeps_the_features_of_its_own_frozen_layers(
    colour_config: MakeConfig, tmp_path: Path
) -> None:
    config = colour_config()
    config.model.freeze, config.trainer.max_epochs, config.data.cache = "stage3", 2, str(tmp_path / "cache")
    first = train(config)
    config = colour_config()
    config.model.freeze, config.trainer.max_epochs, config.data.cache = "stage3", 3, str(tmp_path / "cache")
    config.resume, config.seed, config.output_dir = str(first.last), 5, str(tmp_path / "resumed")
    resumed = train(config)
    assert len(list((tmp_path / "cache" / "stores").glob("features-*.rows"))) == 1
    before, after = (read_checkpoint(run.last)[1].provenance["val"]["bce"] for run in (first, resumed))
    assert after < before


@pytest.mark.slow
def test_a_moved_run_goes_on_with_its_best_and_keeps_its_metrics(colour_config: MakeConfig, tmp_path: Path) -> None:
    config = colour_config()
    config.trainer.max_epochs = 2
    first = train(config)
    shutil.move(first.best.parents[1], tmp_path / "moved")
    config.resume, config.output_dir = str(tmp_path / "moved" / "checkpoints" / "last.ckpt"), str(tmp_path / "goes on")
    config.trainer.max_epochs, config.optim.lr = 3, 3.0
    assert train(config).score >= first.score
    config.resume, config.output_dir = str(tmp_path / "moved" / "checkpoints" / "last.ckpt"), str(tmp_path / "moved")
    config.trainer.max_epochs = 3
    train(config)
    assert pd.read_csv(tmp_path / "moved" / "metrics.csv").dropna(subset="val/map")["epoch"].tolist() == [0, 1, 2]


@pytest.mark.slow
def test_early_stopping_stops_when_the_score_no_longer_rises(colour_config: MakeConfig) -> None:
    config = colour_config()
    config.trainer.max_epochs, config.trainer.patience = 50, 2
    trained = train(config)
    epochs = pd.read_csv(trained.best.parents[1] / "metrics.csv")["val/map"].dropna()
    assert len(epochs) < 50
    assert epochs.iloc[-2:].max() <= epochs.iloc[:-2].max()


def test_a_loss_that_explodes_stops_the_run_and_keeps_its_checkpoints(colour_config: MakeConfig) -> None:
    config = colour_config()
    config.optim.lr = 1e30
    with pytest.raises(ConfigError, match=r"the loss became .* at step \d+: lower optim.lr"):
        train(config)


@pytest.mark.slow
def test_frozen_layers_leave_training_as_they_entered_it(colour_config: MakeConfig) -> None:
    """Running statistics of batch norms included, which change without a gradient."""
    config = colour_config()
    config.model.freeze, config.data.cache_limit, config.trainer.max_epochs = "stage2", 0.0, 2
    two_epochs = weights(train(config).last)
    config = colour_config()
    config.model.freeze, config.data.cache_limit, config.trainer.max_epochs = "stage2", 0.0, 1
    config.optim.lr = 1e-9
    one_epoch = weights(train(config).last)
    frozen = [name for name in two_epochs if ".stage1." in name or ".stage2." in name]
    assert any("running_mean" in name for name in frozen)
    for name in frozen:
        assert torch.equal(two_epochs[name], one_epoch[name]), name
    assert int(two_epochs["network.stages.stage2.1.num_batches_tracked"]) == 0
    assert int(two_epochs["network.stages.stage3.1.num_batches_tracked"]) == 12


def test_a_prior_bias_starts_the_loss_at_the_prior(colour_config: MakeConfig) -> None:
    config = colour_config()
    config.optim.lr, config.trainer.max_epochs = 1e-9, 1
    scores = train(config).scores
    assert scores["bce"] == pytest.approx(scores["bce_prior"], abs=0.02)


@pytest.mark.slow
def test_the_average_of_the_weights_is_what_is_kept_and_scored(colour_config: MakeConfig) -> None:
    config = colour_config()
    config.optim.ema, config.trainer.max_epochs = 0.9, 2
    averaged = train(config)
    checkpoint, _ = read_checkpoint(averaged.last)
    kept, current = checkpoint["state_dict"], checkpoint["current_model_state"]
    assert not torch.equal(kept["network.head.output.weight"], current["network.head.output.weight"])
    config = colour_config()
    config.trainer.max_epochs, config.output_dir = 2, f"{config.output_dir}-plain"
    plain = weights(train(config).last)
    assert torch.allclose(plain["network.head.output.weight"], current["network.head.output.weight"], atol=1e-6)


def test_an_average_is_resumed_as_it_was(colour_config: MakeConfig, tmp_path: Path) -> None:
    config = colour_config()
    config.optim.ema = 0.9
    whole = weights(train(config).last)
    config.output_dir, config.trainer.max_epochs = str(tmp_path / "half"), 3
    half = train(config).last
    config.output_dir, config.trainer.max_epochs, config.resume = str(tmp_path / "rest"), 6, str(half)
    rest = weights(train(config).last)
    assert all(torch.equal(rest[name], value) for name, value in whole.items())


def test_the_head_learns_first_and_the_rest_goes_on_from_it(
    colour_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = colour_config()
    config.head_epochs, config.trainer.max_epochs, config.trainer.limit_train_batches = 8, 1, 1
    config.optim.backbone_scale = 1e-9
    config.augment = Augment(flip=0.5)
    trained = train(config)
    head = weights(Path(config.output_dir) / "head" / "checkpoints" / "best.ckpt")
    both = weights(trained.best)
    config.head_epochs, config.output_dir = 0, f"{config.output_dir}-without"
    without = weights(train(config).best)
    assert torch.allclose(both["network.stages.stage1.0.weight"], head["network.stages.stage1.0.weight"], atol=1e-5)
    name = "network.head.hidden.weight"
    assert 0 < (both[name] - head[name]).norm() < 0.5 * (without[name] - head[name]).norm()
    assert "the head first, 8 epochs" in capsys.readouterr().out


def test_a_run_can_start_from_another_ones_network(colour_config: MakeConfig, trained: Trained) -> None:
    config = colour_config()
    config.start, config.trainer.max_epochs, config.optim.lr = str(trained.best), 1, 1e-9
    assert train(config).score == pytest.approx(trained.score, abs=1e-3)


def test_what_knows_the_posters_in_other_splits_is_no_start(colour_config: MakeConfig, trained: Trained) -> None:
    config = colour_config()
    config.start, config.data.fold = str(trained.best), 1
    with pytest.raises(CheckpointError, match="it knows these posters with other splits"):
        train(config)


def test_another_network_is_no_start(colour_config: MakeConfig, trained: Trained) -> None:
    config = colour_config()
    config.start, config.model.hidden = str(trained.best), 8
    with pytest.raises(CheckpointError, match=r"cannot start from .*; give the same model\.\* settings"):
        train(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head_epochs": -1}, "head_epochs must be 0"),
        ({"head_epochs": 2, "start": "x.ckpt"}, "give one of the two"),
        ({"head_epochs": 2, "model": ModelConfig(freeze="backbone")}, "with model.freeze=backbone nothing does"),
    ],
)
def test_ways_to_start_that_exclude_each_other_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**settings)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_learns_the_colours(name: str, colour_config: MakeConfig) -> None:
    config = colour_config()
    config.loss = LossConfig(name=name, smooth_negatives=0.05)
    assert train(config).score > 0.9


def test_mixing_is_the_same_with_kept_features_as_without(colour_config: MakeConfig, tmp_path: Path) -> None:
    config = colour_config()
    config.model.freeze = "stage2"
    last = []
    for name, limit, alpha in (("kept", 20.0, 1.0), ("anew", 0.0, 1.0), ("unmixed", 20.0, 0.0)):
        config.data.cache_limit, config.augment.mixup, config.augment.cutmix = limit, alpha, alpha
        config.output_dir = str(tmp_path / name)
        last.append(weights(train(config).last)["network.head.output.weight"])
    kept, anew, unmixed = last
    assert (kept - anew).norm() < 0.1 * (kept - unmixed).norm()  # features are kept in 16 bits


def test_balanced_posters_train_and_leave_validation_as_it_is(colour_config: MakeConfig) -> None:
    config = colour_config()
    config.data.balance = 1.0
    trained = train(config)
    assert trained.score > 0.9
    assert trained.scores["num_posters"] == 16


def test_the_penalty_on_the_last_layer_shrinks_it(colour_config: MakeConfig) -> None:
    plain, penalised = colour_config(), colour_config()
    penalised.optim.output_l2 = 1.0
    norms = [float(weights(train(config).last)["network.head.output.weight"].norm()) for config in (plain, penalised)]
    assert norms[1] < 0.9 * norms[0], norms


@pytest.mark.parametrize(
    ("hardware", "accelerator", "precision"),
    [
        (Hardware(device=torch.device("cpu"), precision="32"), "CPUAccelerator", "32-true"),
        (Hardware(device=torch.device("cpu"), precision="bf16"), "CPUAccelerator", "bf16-mixed"),
    ],
)
def test_the_trainer_receives_device_and_precision(
    hardware: Hardware, accelerator: str, precision: str, tmp_path: Path
) -> None:
    trainer = build_trainer(TrainConfig().trainer, hardware, tmp_path, [], Console())
    assert type(trainer.accelerator).__name__ == accelerator
    assert trainer.precision == precision
    assert trainer.num_devices == 1


def test_one_gpu_means_one_cuda_device_in_mixed_precision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no GPU, what Trainer is asked for is all that can be seen."""
    asked: dict[str, object] = {}
    monkeypatch.setattr("postergenre.training.run.Trainer", lambda **settings: asked.update(settings))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    from postergenre.hardware import choose_hardware

    config = TrainConfig()
    config.trainer.gpus = "1"
    build_trainer(config.trainer, choose_hardware("1", "auto"), tmp_path, [], Console())
    assert (asked["accelerator"], asked["devices"], asked["precision"]) == ("gpu", 1, "bf16-mixed")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    build_trainer(config.trainer, choose_hardware("1", "auto"), tmp_path, [], Console())
    assert asked["precision"] == "16-mixed"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_network_leaves_a_checkpoint_like_any_other(colour_config: MakeConfig, trained: Trained) -> None:
    config = colour_config()
    config.trainer.compile, config.trainer.max_epochs = True, 1
    compiled = train(config)
    assert weights(compiled.best).keys() == weights(trained.best).keys()
    network, _ = load_network(compiled.best)
    assert network(torch.zeros(1, 3, 32, 24, dtype=torch.uint8)).shape == (1, 3)


@pytest.mark.gpu
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_gpu_learns_in_mixed_precision(colour_config: MakeConfig, clip: float) -> None:
    config = colour_config()
    config.trainer.gpus, config.trainer.precision, config.trainer.gradient_clip_val = "1", "auto", clip
    trained = train(config)
    assert trained.score > 0.97
    assert "mixed" in read_checkpoint(trained.best)[1].provenance["hardware"]


def test_the_data_are_a_lightning_datamodule() -> None:
    from postergenre.data.datamodule import PosterData

    assert issubclass(PosterData, LightningDataModule)
