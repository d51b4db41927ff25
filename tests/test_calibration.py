import pytest
import torch
from sklearn.metrics import f1_score
from torch import Tensor

from postergenre.calibration import fit_thresholds


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


def test_few_positives_shrink_the_cut_towards_the_common_one() -> None:
    probabilities, targets = random_case(60, 3)
    own = fit_thresholds(probabilities, targets, prior_strength=0)
    common = fit_thresholds(probabilities.reshape(-1, 1), targets.reshape(-1, 1), prior_strength=0)
    count = targets.sum(dim=0)
    expected = (count * own + 20 * common) / (count + 20)
    assert fit_thresholds(probabilities, targets, prior_strength=20).tolist() == pytest.approx(expected.tolist())
    assert fit_thresholds(probabilities, targets, prior_strength=1e9).tolist() == pytest.approx([float(common)] * 3)


@pytest.mark.parametrize("prior_strength", [0.0, 50.0])
def test_a_genre_without_positives_takes_the_common_cut(prior_strength: float) -> None:
    probabilities, targets = random_case(60, 3)
    targets[:, 1] = 0
    common = fit_thresholds(probabilities.reshape(-1, 1), targets.reshape(-1, 1), prior_strength=0)
    assert float(fit_thresholds(probabilities, targets, prior_strength=prior_strength)[1]) == float(common)


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
