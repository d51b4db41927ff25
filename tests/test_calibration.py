import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from postergenre.calibration import calibrate, fit_calibration, fit_thresholds


def random_case(num_posters: int, num_genres: int, *, steps: int | None = None) -> tuple[Tensor, Tensor]:
    """Return probabilities (with ``steps``, full of ties) and the targets they know something of."""
    random = torch.Generator().manual_seed(num_posters)
    targets = (torch.rand(num_posters, num_genres, generator=random) < 0.25).float()
    targets[0] = 1
    probabilities = (targets - 1 + torch.randn(num_posters, num_genres, generator=random)).sigmoid()
    return (probabilities * steps).round() / steps if steps else probabilities, targets


def f1(probabilities: Tensor, targets: Tensor, threshold: float | Tensor) -> float:
    return float(f1_score(targets.numpy(), (probabilities >= threshold).numpy(), zero_division=0))


def best_f1(probabilities: Tensor, targets: Tensor) -> float:
    return max(f1(probabilities, targets, cut) for cut in probabilities.unique())


@pytest.mark.parametrize("steps", [None, 8])
@pytest.mark.parametrize("num_posters", [5, 40])
def test_thresholds_maximise_f1_as_trying_every_cut_does(num_posters: int, steps: int | None) -> None:
    probabilities, targets = random_case(num_posters, 4, steps=steps)
    thresholds = fit_thresholds(probabilities, targets, prior_strength=0)
    for genre in range(4):
        p, t = probabilities[:, genre], targets[:, genre]
        assert f1(p, t, thresholds[genre]) == pytest.approx(best_f1(p, t), abs=1e-6)


def test_a_threshold_lies_half_way_between_the_last_above_and_the_first_below() -> None:
    probabilities = torch.tensor([[0.9], [0.7], [0.3], [0.1]])
    targets = torch.tensor([[1.0], [1], [0], [0]])
    assert float(fit_thresholds(probabilities, targets, prior_strength=0)) == pytest.approx(0.5)


def test_a_genre_that_every_poster_has_is_given_to_every_poster() -> None:
    probabilities = torch.tensor([[0.9], [0.2]])
    assert float(fit_thresholds(probabilities, torch.ones(2, 1), prior_strength=0)) == pytest.approx(0.1)


def test_a_cut_never_parts_equal_probabilities() -> None:
    # The two at 0.6 come together or not at all: with them F1 is 4/5, without 2/3.
    probabilities = torch.tensor([[0.8], [0.6], [0.6], [0.2]])
    targets = torch.tensor([[1.0], [1], [0], [0]])
    assert float(fit_thresholds(probabilities, targets, prior_strength=0)) == pytest.approx(0.4)
    assert float(fit_thresholds(probabilities.flip(0), targets.flip(0), prior_strength=0)) == pytest.approx(0.4)


def test_probabilities_that_are_almost_equal_are_still_parted() -> None:
    below = torch.tensor(0.5)
    for _ in range(8):
        above = torch.nextafter(below, torch.tensor(1.0))
        threshold = fit_thresholds(torch.stack([above, below])[:, None], torch.tensor([[1.0], [0]]), prior_strength=0)
        assert below < threshold[0] <= above
        below = above


def expected_f1(probabilities: Tensor, threshold: float) -> float:
    """Return the F1 that calibrated probabilities expect of the decisions at a threshold."""
    decided = probabilities >= threshold
    return float(2 * probabilities[decided].sum() / (decided.sum() + probabilities.sum()))


def test_few_positives_shrink_the_cut_towards_the_one_the_probabilities_expect() -> None:
    probabilities, targets = random_case(60, 3)
    own = fit_thresholds(probabilities, targets, prior_strength=0)
    expected = fit_thresholds(probabilities, targets, prior_strength=1e9)
    for genre in range(3):
        p = probabilities[:, genre]
        best = max(expected_f1(p, float(cut)) for cut in p)
        assert expected_f1(p, float(expected[genre])) == pytest.approx(best, abs=1e-6)
    count = targets.sum(dim=0)
    between = (count * own + 20 * expected) / (count + 20)
    assert fit_thresholds(probabilities, targets, prior_strength=20).tolist() == pytest.approx(between.tolist())


def test_a_rare_genre_is_decided_at_half_of_the_f1_it_can_reach() -> None:
    # Lipton et al., 2014: with true odds, the best threshold is half of the best F1.
    logits, _ = odds(20000, 1)
    probabilities = (logits - 3).sigmoid()
    threshold = fit_thresholds(probabilities, torch.zeros_like(probabilities))
    assert float(threshold) == pytest.approx(expected_f1(probabilities[:, 0], float(threshold)) / 2, abs=0.005)


@pytest.mark.parametrize("prior_strength", [0.0, 50.0])
def test_a_genre_without_positives_takes_the_expected_cut(prior_strength: float) -> None:
    probabilities, targets = random_case(60, 3)
    targets[:, 1] = 0
    expected = fit_thresholds(probabilities, targets, prior_strength=1e9)
    assert float(fit_thresholds(probabilities, targets, prior_strength=prior_strength)[1]) == float(expected[1])


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_probabilities_that_are_all_equal_give_a_usable_threshold(value: float) -> None:
    probabilities, targets = torch.full((6, 2), value), torch.eye(6)[:, :2]
    thresholds = fit_thresholds(probabilities, targets)
    assert thresholds.shape == (2,)
    assert ((thresholds >= 0) & (thresholds <= value)).all()


def test_fitting_leaves_its_input_alone() -> None:
    probabilities, targets = random_case(20, 3)
    before = probabilities.clone(), targets.clone()
    fit_thresholds(probabilities, targets)
    assert torch.equal(probabilities, before[0])
    assert torch.equal(targets, before[1])


def odds(num_posters: int, num_genres: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return true logits, and targets drawn with those odds."""
    random = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(num_posters, num_genres, generator=random) - 1
    return logits, (torch.rand(num_posters, num_genres, generator=random) < logits.sigmoid()).float()


def test_calibration_divides_then_adds() -> None:
    calibrated = calibrate(torch.tensor([[2.0, -3.0]]), torch.tensor([2.0, 0.5]), torch.tensor([0.25, -1.0]))
    assert calibrated.tolist() == [[1.25, -7.0]]


def test_one_genre_alone_is_fitted_as_logistic_regression_fits_it() -> None:
    logits, targets = odds(400, 1)
    temperatures, offsets = fit_calibration(3 * logits + 2, targets)
    fitted = LogisticRegression(C=1e6, tol=1e-8).fit((3 * logits + 2).numpy(), targets[:, 0].numpy())
    assert 1 / float(temperatures) == pytest.approx(float(fitted.coef_[0, 0]), rel=0.02)
    assert float(offsets) == pytest.approx(float(fitted.intercept_[0]), abs=0.02)


def test_answers_that_are_all_right_stay_finite() -> None:
    targets = (torch.rand(50, 3, generator=torch.Generator().manual_seed(2)) < 0.4).float()
    logits = 2 * (2 * targets - 1)
    temperatures, offsets = fit_calibration(logits, targets)
    calibrated = calibrate(logits, temperatures, offsets).abs()
    assert calibrated.min() > 2
    assert calibrated.max() < 6  # about one doubt among the 150 answers


def test_what_was_overconfident_and_biased_is_undone() -> None:
    logits, targets = odds(4000, 4)
    temperatures, offsets = fit_calibration(2.5 * logits + 1, targets)
    assert temperatures.tolist() == pytest.approx([2.5] * 4, rel=0.12)
    assert offsets.tolist() == pytest.approx([-0.4] * 4, abs=0.12)
    fresh, drawn = odds(4000, 4, seed=1)
    before = binary_cross_entropy_with_logits(2.5 * fresh + 1, drawn)
    after = binary_cross_entropy_with_logits(calibrate(2.5 * fresh + 1, temperatures, offsets), drawn)
    best = binary_cross_entropy_with_logits(fresh, drawn)
    assert best < after < best + 0.1 * (before - best)


def test_a_genre_with_few_positives_is_drawn_towards_the_others() -> None:
    logits, targets = odds(2000, 4)
    logits[:, 3] -= 3
    targets[:, 3] = 0
    targets[logits[:, 3].argsort(descending=True)[:60], 3] = 1  # a perfect ranking, that alone asks for more
    alone, _ = fit_calibration(2 * logits[:, 3:], targets[:, 3:])
    temperatures, _ = fit_calibration(2 * logits, targets)
    assert 3 * float(alone) < float(temperatures[3]) < float(temperatures[:3].min())


def test_answers_that_are_true_to_their_odds_are_left_alone() -> None:
    logits, targets = odds(400, 30, seed=3)
    temperatures, offsets = fit_calibration(logits, targets)
    untouched = (temperatures == 1) & (offsets == 0)
    assert untouched.float().mean() > 0.5
    calibrated = calibrate(logits, temperatures, offsets)
    assert (calibrated - logits).abs().mean() < 0.1


def test_a_ranking_is_never_turned_round() -> None:
    logits, targets = odds(300, 2)
    temperatures, _ = fit_calibration(-4 * logits, targets)
    assert (temperatures > 0).all()


@pytest.mark.parametrize("value", [-30.0, 0.0, 30.0])
def test_logits_that_are_all_equal_give_a_usable_calibration(value: float) -> None:
    targets = (torch.arange(60).reshape(30, 2) % 5 == 0).float()
    temperatures, offsets = fit_calibration(torch.full((30, 2), value), targets)
    assert temperatures.isfinite().all()
    assert offsets.isfinite().all()
    assert (temperatures > 0).all()


def test_three_posters_can_be_calibrated() -> None:
    temperatures, offsets = fit_calibration(torch.randn(3, 2), torch.eye(3)[:, :2])
    assert temperatures.shape == offsets.shape == (2,)
    assert temperatures.isfinite().all()


def test_one_poster_leaves_the_networks_own_logits() -> None:
    temperatures, offsets = fit_calibration(torch.tensor([[3.0, -1.0]]), torch.tensor([[1.0, 1.0]]))
    assert temperatures.tolist() == [1, 1]
    assert offsets.tolist() == [0, 0]
