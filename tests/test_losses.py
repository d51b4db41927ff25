"""Each loss against its paper's formula in plain Python, its gradient against one derived by hand."""

import math
import re
from math import exp, log
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import sigmoid_focal_loss

from conftest import ROOT
from postergenre.errors import ConfigError
from postergenre.losses import LOSSES, LossConfig, build_loss, default_settings

YAMLS = sorted((ROOT / "conf" / "loss").glob("*.yaml"))
NUM_POSTERS = 10
COUNTS = (6, 3, 1)
LOGITS = ((0.5, -1.0, 2.0), (-0.3, 1.2, -2.5))
TARGETS = ((1.0, 0.0, 1.0), (0.0, 1.0, 0.0))
SOFT = ((0.8, 0.1, 1.0), (0.0, 0.6, 0.3))
EXTREMES = (-1000.0, -100.0, -30.0, 0.0, 30.0, 100.0, 1000.0)
CASES: list[tuple[str, dict[str, float]]] = [
    *((name, {}) for name in LOSSES),
    ("weighted", {"power": 0.5}),
    ("focal", {"gamma": 0.5, "alpha": 0.6}),
    ("asymmetric", {"gamma_pos": 1.0, "gamma_neg": 3.0, "margin": 0.2}),
    ("asymmetric", {"gamma_pos": 0.5, "gamma_neg": 0.5, "margin": 0.0}),
    ("asymmetric", {"gamma_neg": 0.0, "margin": 0.3}),
    ("two_way", {"temperature_pos": 0.7, "temperature_neg": 2.5}),
    ("distribution_balanced", {"alpha": 0.3, "beta": 4.0, "mu": 0.6, "scale": 3.0, "kappa": 0.4}),
    ("hill", {"lam": 2.0, "margin": 0.4, "gamma": 1.5}),
]
ELEMENTWISE = [name for name in LOSSES if name not in ("two_way", "distribution_balanced")]


def made(name: str, *, counts: tuple[int, ...] = COUNTS, smooth: float = 0.0, **settings: float) -> nn.Module:
    config = LossConfig(name=name, settings=settings, smooth_negatives=smooth)
    return build_loss(config, counts=torch.tensor(counts), num_posters=NUM_POSTERS).double()


def doubles(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def value(loss: nn.Module, logits: Any, targets: Any) -> float:
    return float(loss(doubles(logits), doubles(targets)))


def gradient(loss: nn.Module, logits: Any, targets: Any) -> Tensor:
    leaf = doubles(logits).requires_grad_()
    return torch.autograd.grad(loss(leaf, doubles(targets)), leaf)[0]


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def softplus(x: float) -> float:
    return log(1 + exp(x))


# What the papers say, for one element with logit x: the loss of a positive and the loss of a negative.


def bce(x: float) -> tuple[float, float]:
    return -log(sigmoid(x)), -log(1 - sigmoid(x))


def focal(x: float, gamma: float = 2, alpha: float = 0.25) -> tuple[float, float]:
    p = sigmoid(x)
    return -alpha * (1 - p) ** gamma * log(p), -(1 - alpha) * p**gamma * log(1 - p)


def asymmetric(x: float, gamma_pos: float = 0, gamma_neg: float = 4, margin: float = 0.05) -> tuple[float, float]:
    p = sigmoid(x)
    p_m = max(p - margin, 0)
    return -((1 - p) ** gamma_pos) * log(p), -(p_m**gamma_neg) * log(1 - p_m)


def hill(x: float, lam: float = 1.5, margin: float = 1, gamma: float = 2) -> tuple[float, float]:
    p, p_m = sigmoid(x), sigmoid(x - margin)
    return -((1 - p_m) ** gamma) * log(p_m), (lam - p) * p**2


def weighted(x: float, count: int, power: float = 1) -> tuple[float, float]:
    return ((NUM_POSTERS - count) / count) ** power * softplus(-x), softplus(x)


def distribution_balanced(
    x: float,
    genre: int,
    targets: tuple[float, ...],
    alpha: float = 0.1,
    beta: float = 10,
    mu: float = 0.2,
    scale: float = 2,
    kappa: float = 0.05,
) -> tuple[float, float]:
    p_class = 1 / COUNTS[genre]
    p_instance = sum(y / n for y, n in zip(targets, COUNTS, strict=True))
    weight = alpha + 1 / (1 + exp(-beta * (p_class / p_instance - mu)))
    nu = kappa * log(1 / (COUNTS[genre] / NUM_POSTERS) - 1)
    return weight * log(1 + exp(-(x - nu))), weight * log(1 + exp(scale * (x - nu))) / scale


def two_way(
    logits: Any, targets: Any, counts: tuple[int, int] = (3, 2), temperature_pos: float = 4, temperature_neg: float = 1
) -> float:
    """Return the loss of columns plus that of rows, averaged over as many as have a positive."""

    def ranking(pairs: list[tuple[float, float]]) -> float:
        positives = sum(y * exp(-x / temperature_pos) for x, y in pairs)
        negatives = sum((1 - y) * exp(x / temperature_neg) for x, y in pairs)
        if not positives or not negatives:
            return 0.0
        return softplus(temperature_pos * log(positives) + temperature_neg * log(negatives))

    rows = [list(zip(x, y, strict=True)) for x, y in zip(logits, targets, strict=True)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    return sum(map(ranking, columns)) / counts[0] + sum(map(ranking, rows)) / counts[1]


def by_hand(name: str, settings: dict[str, float], targets: tuple[tuple[float, ...], ...]) -> float:
    if name == "two_way":
        return two_way(LOGITS, targets, **settings)
    total = 0.0
    for xs, ys in zip(LOGITS, targets, strict=True):
        for genre, (x, y) in enumerate(zip(xs, ys, strict=True)):
            if name == "weighted":
                positive, negative = weighted(x, COUNTS[genre], **settings)
            elif name == "distribution_balanced":
                positive, negative = distribution_balanced(x, genre, ys, **settings)
            else:
                formula = {"bce": bce, "focal": focal, "asymmetric": asymmetric, "hill": hill}[name]
                positive, negative = formula(x, **settings)
            total += y * positive + (1 - y) * negative
    return total / 6


@pytest.mark.parametrize("targets", [TARGETS, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_a_loss_is_its_papers_formula(
    name: str, settings: dict[str, float], targets: tuple[tuple[float, ...], ...]
) -> None:
    expected = by_hand(name, settings, targets)
    assert value(made(name, **settings), LOGITS, targets) == pytest.approx(expected, rel=1e-6)


def test_one_poster_with_an_undecided_network_costs_what_a_pencil_says() -> None:
    # x = 0: p = 1/2 everywhere; one genre that the poster has, one that it has not, each had by 2 of 10 posters.
    half = log(2)
    expected = {
        "bce": half,
        "weighted": (4 * half + half) / 2,
        "focal": (0.25 / 4 * half + 0.75 / 4 * half) / 2,
        "asymmetric": (half - 0.45**4 * log(0.55)) / 2,
        "two_way": half + 0,  # the poster, and a genre without negatives; one without positives is left out
        "hill": ((1 - sigmoid(-1)) ** 2 * softplus(1) + 1 / 4) / 2,
    }
    # r = 1: the weight is 0.1 + σ(8); ν = 0.05·log 4.
    nu = 0.05 * log(4)
    expected["distribution_balanced"] = (0.1 + sigmoid(8)) * (softplus(nu) + softplus(-2 * nu) / 2) / 2
    assert set(expected) == set(LOSSES)
    for name, number in expected.items():
        assert value(made(name, counts=(2, 2)), [[0, 0]], [[1, 0]]) == pytest.approx(number, rel=1e-6), name


# The slope of −(1 − p)^γ·log p is (1 − p)^γ·(γ·p·log p + p − 1).


def focused_slope(p: float, gamma: float) -> float:
    return (1 - p) ** gamma * (gamma * p * log(p) + p - 1)


def asymmetric_slope(p: float, gamma: float, margin: float) -> float:
    p_m = p - margin
    return p * (1 - p) * (p_m**gamma / (1 - p_m) - gamma * p_m ** (gamma - 1) * log(1 - p_m))


def balanced_weight(ratio: float) -> float:
    return 0.1 + sigmoid(10 * (ratio - 0.2))


def two_way_slope_of_the_first_negative() -> float:
    """Return the slope for x = −1: alone among the negatives of its row, and of its column."""
    row = softplus_slope(4 * log(exp(-0.5 / 4) + exp(-2.0 / 4)) + -1.0)
    column = softplus_slope(-1.2 + -1.0)
    return row / 2 + column / 3


def two_way_slope_of_the_first_positive() -> float:
    """Return the slope for x = 0.5: one of two positives of its row, alone in its column."""
    share = exp(-0.5 / 4) / (exp(-0.5 / 4) + exp(-2.0 / 4))
    row = softplus_slope(4 * log(exp(-0.5 / 4) + exp(-2.0 / 4)) + -1.0)
    column = softplus_slope(-0.5 + -0.3)
    return -share * row / 2 - column / 3


softplus_slope = sigmoid
POSITIVE, NEGATIVE = (0, 0), (0, 1)  # x = 0.5 and x = −1
SLOPES: list[tuple[str, dict[str, float], tuple[int, int], float]] = [
    ("bce", {}, POSITIVE, (sigmoid(0.5) - 1) / 6),
    ("bce", {}, NEGATIVE, sigmoid(-1) / 6),
    ("weighted", {}, POSITIVE, 4 / 6 * (sigmoid(0.5) - 1) / 6),
    ("weighted", {}, NEGATIVE, sigmoid(-1) / 6),
    ("focal", {}, POSITIVE, 0.25 * focused_slope(sigmoid(0.5), 2) / 6),
    ("focal", {}, NEGATIVE, -0.75 * focused_slope(sigmoid(1), 2) / 6),
    ("asymmetric", {}, POSITIVE, (sigmoid(0.5) - 1) / 6),
    ("asymmetric", {"gamma_pos": 1}, POSITIVE, focused_slope(sigmoid(0.5), 1) / 6),
    ("asymmetric", {}, NEGATIVE, asymmetric_slope(sigmoid(-1), 4, 0.05) / 6),
    ("two_way", {}, POSITIVE, two_way_slope_of_the_first_positive()),
    ("two_way", {}, NEGATIVE, two_way_slope_of_the_first_negative()),
    # The first poster's genres are had by 6 and 1 posters: Σ 1/n = 7/6, so r = 1/7 and, for the negative, 2/7.
    (
        "distribution_balanced",
        {},
        POSITIVE,
        balanced_weight(1 / 7) * (sigmoid(0.5 - 0.05 * log(4 / 6)) - 1) / 6,
    ),
    ("distribution_balanced", {}, NEGATIVE, balanced_weight(2 / 7) * sigmoid(2 * (-1 - 0.05 * log(7 / 3))) / 6),
    ("hill", {}, POSITIVE, focused_slope(sigmoid(-0.5), 2) / 6),
    ("hill", {}, NEGATIVE, (3 * sigmoid(-1) - 3 * sigmoid(-1) ** 2) * sigmoid(-1) * (1 - sigmoid(-1)) / 6),
]


@pytest.mark.parametrize(("name", "settings", "element", "expected"), SLOPES)
def test_a_gradient_is_the_one_derived_by_hand(
    name: str, settings: dict[str, float], element: tuple[int, int], expected: float
) -> None:
    slope = float(gradient(made(name, **settings), LOGITS, TARGETS)[element])
    assert slope == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("targets", [TARGETS, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_a_gradient_is_the_slope_of_the_loss(
    name: str, settings: dict[str, float], targets: tuple[tuple[float, ...], ...]
) -> None:
    loss, fixed = made(name, **settings), doubles(targets)
    assert torch.autograd.gradcheck(lambda logits: loss(logits, fixed), doubles(LOGITS).requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
def test_positives_are_pushed_up_and_negatives_down(name: str) -> None:
    slopes = gradient(made(name), LOGITS, TARGETS)
    assert (slopes[doubles(TARGETS) == 1] < 0).all()
    assert (slopes[doubles(TARGETS) == 0] > 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_getting_the_ranking_right_costs_less_than_getting_it_wrong(name: str) -> None:
    loss, right = made(name), (4 * doubles(TARGETS) - 2).tolist()
    assert value(loss, right, TARGETS) < 0.5 * value(loss, [[-x for x in row] for row in right], TARGETS)


@pytest.mark.parametrize("name", LOSSES)
def test_targets_that_are_almost_hard_cost_almost_the_same(name: str) -> None:
    loss = made(name)
    almost = (doubles(TARGETS) * (1 - 2e-9) + 1e-9).tolist()
    assert value(loss, LOGITS, almost) == pytest.approx(value(loss, LOGITS, TARGETS), rel=1e-6)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_soft_target_costs_what_is_to_be_expected(name: str) -> None:
    loss = made(name)
    positive, negative = (value(loss, LOGITS, [[y] * 3] * 2) for y in (1.0, 0.0))
    assert value(loss, LOGITS, [[0.3] * 3] * 2) == pytest.approx(0.3 * positive + 0.7 * negative)


@pytest.mark.parametrize("counts", [(0,), (4,), (NUM_POSTERS,)])
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_most_extreme_logits_give_finite_numbers(
    name: str, settings: dict[str, float], counts: tuple[int, ...]
) -> None:
    loss = made(name, counts=counts * len(EXTREMES), **settings).float()
    for targets in (0.0, 0.5, 1.0):
        logits = torch.tensor([EXTREMES, EXTREMES[::-1]], requires_grad=True)
        loss(logits, torch.full_like(logits, targets)).backward()
        assert logits.grad is not None
        assert torch.isfinite(loss(logits, torch.full_like(logits, targets)))
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_positive_that_is_missed_by_far_is_still_pushed_up(name: str) -> None:
    # A formula in probabilities has no slope left at σ(−100) = 0.
    logits = torch.tensor([[-100.0, 0.0, 0.0]], requires_grad=True)
    made(name).float()(logits, torch.tensor([[1.0, 0, 0]])).backward()
    assert logits.grad is not None
    assert float(logits.grad[0, 0]) < -0.02


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_batch_of_one_kind_gives_finite_numbers(name: str, target: float) -> None:
    loss, targets = made(name), [[target] * 3] * 2
    assert math.isfinite(value(loss, LOGITS, targets))
    assert torch.isfinite(gradient(loss, LOGITS, targets)).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_leaves_its_inputs_alone_and_nothing_in_the_checkpoint(name: str) -> None:
    loss, logits, targets = made(name, smooth=0.1), doubles(LOGITS), doubles(TARGETS)
    loss(logits, targets)
    assert logits.tolist() == doubles(LOGITS).tolist()
    assert targets.tolist() == doubles(TARGETS).tolist()
    assert loss.state_dict() == {}


# What one loss is in the limit of another.


def test_bce_is_torchs() -> None:
    expected = binary_cross_entropy_with_logits(doubles(LOGITS), doubles(SOFT))
    assert value(made("bce"), LOGITS, SOFT) == float(expected)


def test_focal_is_torchvisions() -> None:
    for settings in ({"gamma": 2.0, "alpha": 0.25}, {"gamma": 0.7, "alpha": 0.9}):
        expected = sigmoid_focal_loss(doubles(LOGITS), doubles(TARGETS), reduction="mean", **settings)
        assert value(made("focal", **settings), LOGITS, TARGETS) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("name", "settings", "factor"),
    [
        ("focal", {"gamma": 0, "alpha": 0.5}, 0.5),
        ("asymmetric", {"gamma_pos": 0, "gamma_neg": 0, "margin": 0}, 1.0),
        ("weighted", {"power": 0}, 1.0),
        ("distribution_balanced", {"beta": 0, "scale": 1, "kappa": 0}, 0.6),  # one weight for all: 0.1 + σ(0)
    ],
)
def test_with_nothing_special_a_loss_is_bce(name: str, settings: dict[str, float], factor: float) -> None:
    assert value(made(name, **settings), LOGITS, SOFT) == pytest.approx(factor * value(made("bce"), LOGITS, SOFT))


def test_with_equal_powers_and_no_margin_asymmetric_is_focal() -> None:
    symmetric = made("asymmetric", gamma_pos=2, gamma_neg=2, margin=0)
    assert value(symmetric, LOGITS, SOFT) == pytest.approx(2 * value(made("focal", alpha=0.5), LOGITS, SOFT))


# What each loss is for.


def test_weighted_gives_the_posters_of_a_genre_the_weight_of_all_others() -> None:
    # 3 of 10 posters have the genre: at p = 1/2, what they pull up is what the other 7 pull down.
    slopes = gradient(made("weighted", counts=(3,)), [[0.0]] * 10, [[1.0]] * 3 + [[0.0]] * 7)
    assert float(slopes.sum()) == pytest.approx(0, abs=1e-7)
    assert float(slopes[0]) == pytest.approx(-7 / 3 * 0.5 / 10)


def test_a_genre_without_posters_is_weighted_as_if_it_had_one() -> None:
    assert made("weighted", counts=(0, 1)).weight.tolist() == [9, 9]
    balanced = made("distribution_balanced", counts=(0, 1))
    assert balanced.bias.tolist() == pytest.approx([0.05 * log(9)] * 2)
    assert balanced.inverse.tolist() == [1, 1]


def test_asymmetric_drops_negatives_below_the_margin() -> None:
    slopes = gradient(made("asymmetric"), [[-3.0, -2.9, 0.0]], [[0.0, 0.0, 0.0]])  # p = 0.047, 0.052, 0.5
    assert float(slopes[0, 0]) == 0
    assert 0 < float(slopes[0, 1]) < 1e-6 < float(slopes[0, 2])


def test_hill_takes_a_sure_negative_for_a_missing_label_and_bce_does_not() -> None:
    logits, targets = [[-8.0, 0.5, 3.0, 6.0, 9.0]], [[0.0] * 5]
    hill_slopes = gradient(made("hill", counts=(1,) * 5), logits, targets)[0]
    assert int(hill_slopes.argmax()) == 1
    assert (hill_slopes[1:].diff() < 0).all()
    assert float(hill_slopes[4]) == pytest.approx(0, abs=1e-6)
    assert float(gradient(made("bce", counts=(1,) * 5), logits, targets)[0, 4]) == pytest.approx(1 / 5, rel=1e-3)


def test_hill_with_a_lower_lam_believes_the_surest_negatives() -> None:
    # The slope of (λ − p)·p² turns at p = 2λ/3.
    slopes = gradient(made("hill", counts=(1,) * 2, lam=1.2), [[log(0.79 / 0.21), log(0.81 / 0.19)]], [[0.0, 0.0]])
    assert float(slopes[0, 0]) > 0 > float(slopes[0, 1])


def test_distribution_balanced_weighs_a_frequent_companion_less() -> None:
    # Genres of 8 and 2 posters: Σ 1/n = 5/8, so r = 0.2 and 0.8, and the weights are 0.1 + σ(0) and 0.1 + σ(6).
    loss = made("distribution_balanced", counts=(8, 2), kappa=0)
    assert gradient(loss, [[0.0, 0.0]], [[1.0, 1.0]])[0].tolist() == pytest.approx([-0.6 / 4, -1.0975274 / 4])
    alone = gradient(loss, [[0.0, 0.0]], [[1.0, 0.0]])[0]
    assert float(alone[0]) == pytest.approx(-(0.1 + sigmoid(8)) / 4)


def test_distribution_balanced_tolerates_negatives_of_rare_genres() -> None:
    loss = made("distribution_balanced", counts=(2, 8), kappa=1, beta=0)  # ν = ± log 4, one weight for all
    slopes = gradient(loss, [[0.0, 0.0]], [[0.0, 0.0]])[0] / (0.6 / 2)
    assert slopes.tolist() == pytest.approx([1 / 17, 16 / 17])  # σ(∓ 2·log 4)
    assert value(loss, [[log(4), -log(4)]], [[1.0, 1.0]]) == pytest.approx(0.6 * log(2))


def test_distribution_balanced_gives_a_poster_without_genres_the_largest_weight() -> None:
    loss = made("distribution_balanced", kappa=0)
    assert gradient(loss, [[0.0] * 3], [[0.0] * 3])[0].tolist() == pytest.approx([1.1 / 2 / 3] * 3)
    faint = gradient(loss, [[0.0] * 3], [[1e-9, 0.0, 0.0]])[0]
    assert faint.tolist() == pytest.approx([1.1 / 2 / 3] * 3)


def test_two_way_leaves_out_what_has_no_positives() -> None:
    # The last poster has no genre and the last genre no poster: 2 genres and 2 posters count.
    logits = [[0.5, -1.0, 2.0], [-0.3, 1.2, -2.5], [0.1, 0.2, 0.3]]
    targets = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    expected = two_way(logits, targets, counts=(2, 2))
    assert value(made("two_way"), logits, targets) == pytest.approx(expected)
    assert float(gradient(made("two_way"), logits, targets)[2, 2]) == 0  # it shares no comparison with a positive


def test_two_way_costs_nothing_without_negatives_or_without_positives() -> None:
    for target in (0.0, 1.0):
        targets = [[target] * 3] * 2
        assert value(made("two_way"), LOGITS, targets) == 0
        assert gradient(made("two_way"), LOGITS, targets).abs().max() == 0


def test_two_way_compares_a_negative_with_the_worst_positive() -> None:
    sharp = made("two_way", counts=(1,) * 3, temperature_pos=0.01, temperature_neg=0.01)
    # Among the genres of one poster, at low temperature: the highest negative less the lowest positive.
    assert value(sharp, [[3.0, 1.0, 1.5]], [[1.0, 1.0, 0.0]]) == pytest.approx(softplus(1.5 - 1.0))


@pytest.mark.parametrize("name", LOSSES)
def test_smoothed_negatives_are_never_certain(name: str) -> None:
    smoothed = [[max(y, 0.25) for y in row] for row in SOFT]
    assert smoothed == [[0.8, 0.25, 1.0], [0.25, 0.6, 0.3]]
    assert value(made(name, smooth=0.25), LOGITS, SOFT) == value(made(name), LOGITS, smoothed)


def test_smoothed_negatives_are_best_at_their_target() -> None:
    loss, best = made("bce", counts=(1,), smooth=0.1), log(0.1 / 0.9)
    assert float(gradient(loss, [[best]], [[0.0]])) == pytest.approx(0, abs=1e-12)
    assert float(gradient(loss, [[2.0]], [[1.0]])) == pytest.approx(sigmoid(2.0) - 1)


# Configuration.


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_a_yaml_shows_the_defaults_and_builds(path: Any) -> None:
    loaded = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(LossConfig), OmegaConf.load(path)))
    assert isinstance(loaded, LossConfig)
    assert loaded.name == path.stem
    assert loaded.settings == default_settings(path.stem)
    assert list(OmegaConf.load(path)) == ["name", "settings"]
    assert path.read_text(encoding="utf-8").startswith("# ")
    loss = build_loss(loaded, counts=torch.tensor(COUNTS), num_posters=NUM_POSTERS).double()
    assert value(loss, LOGITS, TARGETS) == value(made(path.stem), LOGITS, TARGETS)


def test_every_loss_has_a_yaml() -> None:
    assert {path.stem for path in YAMLS} == set(LOSSES)


def test_a_number_is_changed_on_the_command_line() -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("loss/focal", overrides=["loss.settings.gamma=1"]).loss
    loaded = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(LossConfig), config))
    assert loaded == LossConfig(name="focal", settings={"gamma": 1.0, "alpha": 0.25})


def test_the_defaults_are_the_papers() -> None:
    assert {name: default_settings(name) for name in LOSSES} == {
        "bce": {},
        "weighted": {"power": 1},
        "focal": {"gamma": 2, "alpha": 0.25},
        "asymmetric": {"gamma_pos": 0, "gamma_neg": 4, "margin": 0.05},
        "two_way": {"temperature_pos": 4, "temperature_neg": 1},
        "distribution_balanced": {"alpha": 0.1, "beta": 10, "mu": 0.2, "scale": 2, "kappa": 0.05},
        "hill": {"lam": 1.5, "margin": 1, "gamma": 2},
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"name": "hinge"},
            "no loss.name 'hinge'; known: bce, weighted, focal, asymmetric, two_way, distribution_balanced, hill",
        ),
        ({"settings": {"gamma": 1.0}}, "loss 'bce' has no setting 'gamma'; it has none"),
        (
            {"name": "focal", "settings": {"gama": 1.0, "alpha": 0.5, "beta": 1.0}},
            "loss 'focal' has no setting 'gama', 'beta'; it has gamma, alpha",
        ),
        ({"name": "weighted", "settings": {"counts": 1.0}}, "loss 'weighted' has no setting 'counts'; it has power"),
        ({"smooth_negatives": 0.5}, "loss.smooth_negatives must be at least 0 and below 0.5, not 0.5"),
        ({"smooth_negatives": -0.1}, "loss.smooth_negatives must be at least 0 and below 0.5, not -0.1"),
        ({"smooth_negatives": math.nan}, "loss.smooth_negatives must be at least 0 and below 0.5, not nan"),
    ],
)
def test_a_wrong_config_is_refused_by_name(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        LossConfig(**wrong)


@pytest.mark.parametrize(
    ("name", "setting", "number", "wanted"),
    [
        ("weighted", "power", -0.5, "in 0 … 2"),
        ("weighted", "power", 2.5, "in 0 … 2"),
        ("focal", "gamma", -1, "0 or more"),
        ("focal", "gamma", math.inf, "0 or more"),
        ("focal", "alpha", 1.5, "in 0 … 1"),
        ("focal", "alpha", -0.5, "in 0 … 1"),
        ("focal", "alpha", math.nan, "in 0 … 1"),
        ("asymmetric", "gamma_pos", -1, "0 or more"),
        ("asymmetric", "gamma_neg", -1, "0 or more"),
        ("asymmetric", "margin", 1, "at least 0 and below 1"),
        ("asymmetric", "margin", -0.1, "at least 0 and below 1"),
        ("two_way", "temperature_pos", 0, "in 0.01 … 100"),
        ("two_way", "temperature_pos", 101, "in 0.01 … 100"),
        ("two_way", "temperature_neg", 0, "in 0.01 … 100"),
        ("two_way", "temperature_neg", 101, "in 0.01 … 100"),
        ("distribution_balanced", "alpha", -1, "0 or more"),
        ("distribution_balanced", "beta", -1, "0 or more"),
        ("distribution_balanced", "mu", -1, "0 or more"),
        ("distribution_balanced", "kappa", -1, "0 or more"),
        ("distribution_balanced", "scale", 0, "more than 0"),
        ("hill", "lam", 0.9, "1 or more"),
        ("hill", "margin", -1, "0 or more"),
        ("hill", "gamma", -1, "0 or more"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_name(name: str, setting: str, number: float, wanted: str) -> None:
    message = f"loss.settings.{setting} must be {wanted}, not {number:g}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        made(name, **{setting: number})


@pytest.mark.parametrize(
    ("name", "setting", "number"),
    [
        ("weighted", "power", 0), ("weighted", "power", 2), ("focal", "gamma", 0), ("focal", "alpha", 0),
        ("focal", "alpha", 1), ("asymmetric", "gamma_pos", 0), ("asymmetric", "gamma_neg", 0),
        ("asymmetric", "margin", 0), ("two_way", "temperature_pos", 0.01),
        ("two_way", "temperature_pos", 100), ("two_way", "temperature_neg", 0.01),
        ("two_way", "temperature_neg", 100), ("distribution_balanced", "alpha", 0),
        ("distribution_balanced", "beta", 0),
        ("distribution_balanced", "mu", 0), ("distribution_balanced", "kappa", 0), ("hill", "lam", 1),
        ("hill", "margin", 0), ("hill", "gamma", 0),
    ],
)  # fmt: skip
def test_a_setting_at_the_end_of_its_range_is_taken(name: str, setting: str, number: float) -> None:
    assert math.isfinite(value(made(name, **{setting: number}), [[0.0, 1.0, -1.0]], [[1.0, 0.0, 0.0]]))
