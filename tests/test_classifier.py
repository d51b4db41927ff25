import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from postergenre.classifier.contract import Contract, load_network, read_checkpoint
from postergenre.classifier.module import PosterClassifier
from postergenre.classifier.optim import OptimConfig, build_optimizer, build_schedule
from postergenre.errors import CheckpointError, ConfigError
from postergenre.genres import Genres
from postergenre.networks import ModelConfig, PosterNetwork, build_network
from postergenre.preprocess import Preprocess
from postergenre.training import Trained


def contract() -> Contract:
    return Contract(
        model=ModelConfig(library="tiny", name="tiny", weights="none"),
        preprocess=Preprocess(height=32, width=24, resize="letterbox"),
        genres=Genres(["Comedy", "Drama", "War"]),
        headline=["Comedy", "Drama"],
        priors=[0.4, 0.5, 0.02],
        thresholds=[0.3, 0.4, 0.1],
        temperatures=[2.0, 1.0, 0.5],
        offsets=[0.0, -1.0, 0.25],
        data={"root": "data/posters", "fingerprint": "f"},
        provenance={"val": {"map": 0.25}},
    )


def network(freeze: str = "none") -> PosterNetwork:
    config = ModelConfig(library="tiny", name="tiny", weights="none", freeze=freeze)
    return build_network(config, num_outputs=3, input_size=(32, 24))


def test_a_contract_survives_the_checkpoint() -> None:
    assert Contract.from_plain(contract().to_plain()) == contract()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 7}, "contract format 7 is not 1"),
        ({"thresholds": [0.5]}, "3 genres, 3 priors, 1 thresholds, 3 temperatures, 3 offsets"),
        ({"temperatures": [1.0, 0.0, 1.0]}, "a temperature that is not above 0"),
        ({"headline": ["Western"]}, "disagrees with itself"),
        ({"genres": ["Drama", "Drama", "War"]}, "its contract is broken"),
        ({"preprocess": {"height": -1, "width": 3, "resize": "stretch"}}, "its contract is broken"),
        ({"model": {"colour": "red"}}, "its contract is broken"),
    ],
)
def test_a_tampered_contract_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        Contract.from_plain(contract().to_plain() | change)


def test_a_contract_calibrates_logits() -> None:
    assert contract().calibrate(torch.tensor([[2.0, 2.0, 2.0]])).tolist() == [[1.0, 1.0, 4.25]]


def test_a_checkpoint_from_before_there_was_a_calibration_has_none() -> None:
    plain = contract().to_plain()
    del plain["temperatures"], plain["offsets"]
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    assert torch.equal(Contract.from_plain(plain).calibrate(logits), logits)


def test_genres_are_those_over_their_thresholds_or_else_the_nearest() -> None:
    decide = contract().decide
    assert decide([0.5, 0.39, 0.2]) == ["Comedy", "War"]
    assert decide([0.1, 0.5, 0.1]) == ["Drama", "War"]  # reached is enough
    assert decide([0.1, 0.3, 0.05]) == ["Drama"]  # 0.33, 0.75 and 0.5 of their thresholds
    assert decide([0.1, 0.3, 0.05], allow_empty=True) == []


def test_an_ensemble_has_the_mean_of_the_thresholds_and_no_calibration_of_its_own() -> None:
    other = replace(contract(), thresholds=[0.5, 0.2, 0.1])
    together = Contract.together([contract(), other])
    assert together.thresholds == pytest.approx([0.4, 0.3, 0.1])
    assert (together.temperatures, together.offsets) == ([1.0] * 3, [0.0] * 3)
    assert Contract.together([contract()]) == contract()
    stranger = replace(contract(), genres=Genres(["A", "B", "C"]), headline=["A"])
    with pytest.raises(CheckpointError, match="checkpoints of different genres cannot answer together"):
        Contract.together([contract(), stranger])


class Malice:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/postergenre-was-here"),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a checkpoint that can be used: "),
        (b"PK\x03\x04 cut short", "is not a checkpoint that can be used: "),
        (pickle.dumps({"postergenre": Malice()}), r"is not a checkpoint that can be used: .*nothing in it was run"),
    ],
)
def test_a_foreign_checkpoint_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "x.ckpt")
    assert not Path("/tmp/postergenre-was-here").exists()


def test_code_inside_a_torch_file_is_never_run(tmp_path: Path) -> None:
    torch.save({"postergenre": Malice()}, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=r"it asks for \S+; nothing in it was run"):
        read_checkpoint(tmp_path / "x.ckpt")
    assert not Path("/tmp/postergenre-was-here").exists()


def test_another_librarys_checkpoint_and_a_missing_one_are_told_apart(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="was not made by postergenre"):
        read_checkpoint(tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*missing.ckpt; training writes them"):
        read_checkpoint(tmp_path / "missing.ckpt")


def test_weights_that_do_not_fit_their_contract_are_refused(trained: Trained, tmp_path: Path) -> None:
    checkpoint, _ = read_checkpoint(trained.best)
    del checkpoint["state_dict"]["network.head.output.bias"]
    torch.save(checkpoint, tmp_path / "cut.ckpt")
    with pytest.raises(CheckpointError, match=r"the weights in .* do not fit its tiny"):
        load_network(tmp_path / "cut.ckpt")


def test_a_checkpoint_is_plain_data_and_rebuilds_its_network(trained: Trained) -> None:
    checkpoint = torch.load(trained.best, weights_only=True)
    found = checkpoint["postergenre"]
    assert found["genres"] == ["Red", "Green", "Blue"]
    assert found["provenance"]["val"] == trained.scores
    assert found["provenance"]["command"]
    loaded, _ = load_network(trained.best)
    images = torch.zeros(1, 3, 32, 24, dtype=torch.uint8)
    images[:, 0] = 220  # a red poster
    assert [round(p) for p in loaded(images).sigmoid()[0].tolist()] == [1, 0, 0]
    assert not loaded.training


def test_the_output_starts_at_the_priors() -> None:
    classifier = PosterClassifier(network(), contract(), optim=OptimConfig())
    classifier.start_from_priors()
    assert classifier.network.output.bias.sigmoid().tolist() == pytest.approx([0.4, 0.5, 0.02], abs=1e-5)


def test_head_and_backbone_have_their_own_rates_and_biases_do_not_decay() -> None:
    optim = OptimConfig(lr=0.1, backbone_scale=0.01, weight_decay=0.5)
    groups = {group["name"]: group for group in build_optimizer(network(), optim).param_groups}
    assert {name: (group["lr"], group["weight_decay"]) for name, group in groups.items()} == {
        "head": (0.1, 0.5),
        "head/no_decay": (0.1, 0.0),
        "backbone": (0.001, 0.5),
        "backbone/no_decay": (0.001, 0.0),
    }
    assert sum(p.numel() for g in groups.values() for p in g["params"]) == sum(
        p.numel() for p in network().parameters()
    )
    assert set(build_optimizer(network("backbone"), optim).state_dict()["param_groups"][0]) >= {"lr", "betas"}
    assert {g["name"] for g in build_optimizer(network("backbone"), optim).param_groups} == {"head", "head/no_decay"}


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0.0, [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("constant", 0.5, [0.5, 1.0, 1.0, 1.0, 1.0]),
        ("cosine", 0.0, [1.0, 0.853553, 0.5, 0.146447, 0.0]),
        ("cosine", 0.5, [0.5, 1.0, 1.0, 0.5, 0.0]),
    ],
)
def test_the_rate_follows_its_schedule(schedule: str, warmup: float, expected: list[float]) -> None:
    optim = OptimConfig(lr=1.0, schedule=schedule, warmup=warmup)
    optimizer = build_optimizer(network(), optim)
    steps = build_schedule(optimizer, optim, num_steps=4)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        steps.step()
    assert rates == pytest.approx(expected, abs=1e-6)


def test_adam_is_adam_and_adamw_is_adamw() -> None:
    for name, kind in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)):
        assert type(build_optimizer(network(), OptimConfig(name=name))) is kind


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "sgd"}, "no optim.name 'sgd'; known: adam, adamw"),
        ({"schedule": "linear"}, "no optim.schedule 'linear'; known: constant, cosine"),
        ({"lr": 0.0}, "optim.lr must be above 0, not 0.0"),
        ({"warmup": 1.0}, "optim.warmup is a share of all steps"),
        ({"weight_decay": -1.0}, "optim.weight_decay must be 0 or more"),
        ({"betas": [0.9]}, "optim.betas must be two numbers"),
    ],
)
def test_an_impossible_optimiser_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(OptimConfig(), **change)


def test_layer_decay_lowers_the_rate_with_depth() -> None:
    config = OptimConfig(lr=1.0, backbone_scale=0.5, layer_decay=0.1)
    groups = {str(group["name"]): group["lr"] for group in build_optimizer(network(), config).param_groups}
    assert groups["head"] == 1.0
    rates = [groups[f"stage{i}"] for i in (4, 3, 2, 1)]
    assert rates == pytest.approx([0.5, 0.05, 0.005, 0.0005])
    every = [p for group in build_optimizer(network(), config).param_groups for p in group["params"]]
    assert len({id(p) for p in every}) == len(every) == len(list(network().parameters()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"layer_decay": 0.0}, r"optim\.layer_decay must lie in 0"), ({"layer_decay": 1.1}, r"optim\.layer_decay"),
     ({"ema": 1.0}, r"optim\.ema must lie in 0"), ({"ema": -0.1}, r"optim\.ema")],
)  # fmt: skip
def test_rates_that_cannot_work_are_told(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OptimConfig(**settings)  # type: ignore[arg-type]
