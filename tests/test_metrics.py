import itertools
import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torch import Tensor

from postergenre.metrics import (
    GenreScores,
    average_precision,
    bootstrap_intervals,
    calibration_errors,
    constant_scores,
    genre_table,
    loss_interval,
    paired_bootstrap,
    random_average_precision,
    resamples,
    score,
    stand_together,
    weighted_average_precision,
)


def logit(probabilities: list[list[float]]) -> Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).logit().float()


def random_case(num_posters: int = 200, num_genres: int = 6, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logits that know something, targets, priors and a headline without the last genre."""
    random = torch.Generator().manual_seed(seed)
    shares = torch.linspace(0.5, 0.05, num_genres)
    targets = (torch.rand(num_posters, num_genres, generator=random) < shares).float()
    logits = 1.5 * targets - 1 + torch.randn(num_posters, num_genres, generator=random)
    headline = torch.arange(num_genres) < num_genres - 1
    return logits, targets, shares, headline


# Four posters, genres A, B, C; nobody has C.
LOGITS = logit([[0.9, 0.2, 0.6], [0.8, 0.7, 0.1], [0.6, 0.4, 0.2], [0.3, 0.1, 0.3]])
TARGETS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
PRIORS = torch.tensor([0.5, 0.25, 0.25])
HEADLINE = torch.tensor([True, False, True])


def by_hand(**changes: Tensor) -> dict[str, float]:
    given = {"priors": PRIORS, "headline": HEADLINE} | changes
    return {name: float(value) for name, value in score(LOGITS, TARGETS, **given).items()}


def test_average_precisions_computed_by_hand() -> None:
    # A: ranked 1, 0, 1, 0 -> (1/1 + 2/3) / 2; B: ranked 1, 1, 0, 0 -> 1
    scores = by_hand()
    assert scores["map"] == pytest.approx(5 / 6)
    assert scores["map_all"] == pytest.approx((5 / 6 + 1) / 2)
    assert scores["auroc"] == pytest.approx((3 / 4 + 1) / 2)


def test_a_genre_without_a_positive_is_left_out_and_not_counted_as_0() -> None:
    scores = by_hand()
    assert (scores["num_genres"], scores["num_genres_all"], scores["num_posters"]) == (1, 2, 4)
    assert math.isnan(average_precision(LOGITS.sigmoid(), TARGETS)[2])
    assert scores["f1_macro"] == pytest.approx((4 / 5 + 2 / 3) / 2)  # over A and B


def test_decisions_computed_by_hand() -> None:
    # At 0.5: A decided for posters 1, 2, 3 (2 right of 2), B for 2 (1 of 2), C for 1 (0 of 0).
    scores = by_hand()
    assert scores["f1_micro"] == pytest.approx(2 * 3 / (5 + 4))
    assert scores["f1_weighted"] == pytest.approx((2 * 4 / 5 + 2 * 2 / 3) / 4)
    # Each poster: {A,C} against {A}, {A,B} against {B}, {A} against {A,B}, nothing against nothing.
    assert scores["f1_samples"] == pytest.approx((2 / 3 + 2 / 3 + 2 / 3 + 0) / 4)
    assert scores["exact_match"] == pytest.approx(1 / 4)
    assert scores["hamming"] == pytest.approx(3 / 12)
    assert scores["accuracy"] == pytest.approx(9 / 12)


def test_the_best_three_computed_by_hand() -> None:
    scores = by_hand()
    assert scores["precision_at_3"] == pytest.approx((1 + 1 + 2 + 0) / 12)
    assert scores["recall_at_3"] == pytest.approx(1.0)  # of the three posters that have a genre
    # With four genres the third place matters.
    logits = logit([[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]])
    targets = torch.tensor([[1.0, 0, 0, 1], [1, 1, 1, 0]])
    result = score(logits, targets, priors=torch.full((4,), 0.5), headline=torch.ones(4, dtype=torch.bool))
    assert float(result["precision_at_3"]) == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert float(result["recall_at_3"]) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_cross_entropy_computed_by_hand() -> None:
    likelihoods = [0.9, 0.8, 0.4, 0.2, 0.7, 0.9, 0.6, 0.4, 0.8, 0.7, 0.9, 0.7]
    assert by_hand()["bce"] == pytest.approx(-sum(map(math.log, likelihoods)) / 12, abs=1e-6)


def test_expected_calibration_error_computed_by_hand() -> None:
    # Bins of 1/15. Said 0.9 ten times and true seven, said 0.3 ten times and true five: (0.2 + 0.2) / 2.
    logits = logit([[0.9, 0.3]] * 10)
    targets = torch.tensor([[float(i < 7), float(i < 5)] for i in range(10)])
    result = score(logits, targets, priors=torch.tensor([0.7, 0.5]), headline=torch.tensor([True, True]))
    assert float(result["ece"]) == pytest.approx(0.2, abs=1e-6)


def test_the_scores_of_the_prior_computed_by_hand() -> None:
    scores = by_hand()
    assert scores["map_prior"] == pytest.approx(2 / 4)  # share of A
    assert scores["map_all_prior"] == pytest.approx((2 / 4 + 2 / 4) / 2)
    a, b, c = math.log(0.5), math.log(0.25) + math.log(0.75), math.log(0.75)
    assert scores["bce_prior"] == pytest.approx(-(4 * a + 2 * b + 4 * c) / 12)
    assert scores["accuracy_prior"] == pytest.approx(8 / 12)  # says no to everything


def test_answering_nothing_gives_ninety_percent_accuracy_and_the_priors_map() -> None:
    targets = torch.zeros(100, 10)
    for poster in range(100):
        targets[poster, poster % 10] = 1
    share = torch.full((10,), 0.1)
    result = score(torch.full((100, 10), -20.0), targets, priors=share, headline=torch.ones(10, dtype=torch.bool))
    assert float(result["accuracy"]) == pytest.approx(0.9)
    assert float(result["accuracy_prior"]) == pytest.approx(0.9)
    assert float(result["map"]) == pytest.approx(0.1) == float(result["map_prior"])
    assert float(result["f1_micro"]) == 0


def test_perfect_answers_score_one_everywhere() -> None:
    _, targets, priors, headline = random_case()
    result = score(40 * targets - 20, targets, priors=priors, headline=headline)
    perfect = ("map", "map_all", "auroc", "accuracy", "f1_micro", "f1_macro", "f1_weighted", "exact_match")
    assert {name: float(result[name]) for name in perfect} == dict.fromkeys(perfect, 1.0)
    assert float(result["bce"]) < 1e-6
    assert float(result["hamming"]) == 0


def test_scores_agree_with_scikit_learn() -> None:
    logits, targets, priors, headline = random_case()
    thresholds = torch.linspace(0.3, 0.7, 6)
    ours = score(logits, targets, priors=priors, headline=headline, thresholds=thresholds)
    p, y = logits.sigmoid().numpy(), targets.numpy().astype(int)
    theirs = {
        "map": sklearn_metrics.average_precision_score(y[:, :5], p[:, :5]),
        "map_all": sklearn_metrics.average_precision_score(y, p),
        "auroc": sklearn_metrics.roc_auc_score(y, p),
        "bce": sklearn_metrics.log_loss(y.ravel(), p.ravel().astype(np.float64)),
        "accuracy": (y == (p >= 0.5)).mean(),
    }
    for suffix, cut in (("", 0.5), ("_tuned", thresholds.numpy())):
        decided = (p >= cut).astype(int)
        for average in ("micro", "macro", "weighted", "samples"):
            theirs[f"f1_{average}{suffix}"] = sklearn_metrics.f1_score(y, decided, average=average, zero_division=0)
        theirs[f"exact_match{suffix}"] = sklearn_metrics.accuracy_score(y, decided)
        theirs[f"hamming{suffix}"] = sklearn_metrics.hamming_loss(y, decided)
    assert {name: float(ours[name]) for name in theirs} == pytest.approx(theirs, abs=1e-5)


def test_equal_probabilities_are_ranked_as_one() -> None:
    _, targets, priors, headline = random_case()
    ours = score(torch.zeros_like(targets), targets, priors=priors, headline=headline)
    assert float(ours["map_all"]) == pytest.approx(float(ours["map_all_prior"]))
    assert float(ours["auroc"]) == pytest.approx(0.5)


def test_a_genre_that_every_poster_has_counts_in_map_but_not_in_auroc() -> None:
    logits, targets, priors, headline = random_case()
    without = score(logits[:, 1:], targets[:, 1:], priors=priors[1:], headline=headline[1:])
    targets[:, 0] = 1
    result = score(logits, targets, priors=priors, headline=headline)
    assert float(result["auroc"]) == pytest.approx(float(without["auroc"]))
    assert float(result["map_all"]) == pytest.approx((5 * float(without["map_all"]) + 1) / 6)


def test_without_any_positive_there_is_no_map_and_no_crash() -> None:
    result = score(LOGITS, torch.zeros_like(TARGETS), priors=PRIORS, headline=HEADLINE)
    assert math.isnan(result["map"])
    assert math.isnan(result["auroc"])
    assert (float(result["num_genres"]), float(result["num_posters"])) == (0, 4)


def test_a_decision_at_exactly_one_half_is_the_same_in_every_score() -> None:
    logits, targets = torch.zeros(4, 2), torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 0]])
    result = score(logits, targets, priors=torch.tensor([0.5, 0.25]), headline=torch.tensor([True, True]))
    assert float(result["accuracy"]) == pytest.approx(1 - float(result["hamming"]))


def test_a_vocabulary_of_one_genre_can_be_scored() -> None:
    result = score(
        logit([[0.9], [0.4], [0.2]]), torch.tensor([[1.0], [1], [0]]), priors=torch.tensor([0.6]),
        headline=torch.tensor([True]),
    )  # fmt: skip
    assert float(result["map"]) == 1
    assert float(result["accuracy"]) == pytest.approx(2 / 3)


def test_very_sure_answers_keep_their_ranks() -> None:
    logits = torch.tensor([[20.0, -20], [30, -30], [10, -10], [40, -40]])
    targets = torch.tensor([[0.0, 0], [1, 1], [0, 0], [1, 1]])
    result = score(logits, targets, priors=torch.tensor([0.5, 0.5]), headline=torch.tensor([True, False]))
    low, high = bootstrap_intervals(logits.repeat(10, 1), targets.repeat(10, 1), headline=torch.tensor([True, False]))[
        "map"
    ]
    assert low <= float(result["map"]) <= high


def test_batches_give_the_scores_of_the_whole() -> None:
    logits, targets, priors, headline = random_case(90)
    collected = GenreScores(priors=priors, headline=headline)
    for first, last in ((0, 1), (1, 40), (40, 90)):
        collected.update(logits[first:last], targets[first:last], torch.arange(first, last))
    whole = score(logits, targets, priors=priors, headline=headline)
    assert {k: float(v) for k, v in collected.compute().items()} == {k: float(v) for k, v in whole.items()}
    gathered = collected.gathered()
    assert torch.equal(gathered[0], logits)
    assert torch.equal(gathered[1], targets)


def test_answers_come_in_the_order_of_their_rows_and_each_counts_once() -> None:
    logits, targets, priors, headline = random_case(40)
    collected = GenreScores(priors=priors, headline=headline)
    for rows in (torch.arange(1, 40, 2), torch.cat([torch.arange(0, 40, 2), torch.tensor([0, 1])])):
        collected.update(logits[rows], targets[rows], rows)
    gathered = collected.gathered()
    assert torch.equal(gathered[0], logits)
    assert torch.equal(gathered[1], targets)


def test_scores_forget_the_last_epoch_and_leave_nothing_in_checkpoints() -> None:
    logits, targets, priors, headline = random_case(40)
    collected = GenreScores(priors=priors, headline=headline)
    collected.update(-logits, targets, torch.arange(40))
    collected.reset()
    collected.update(logits, targets, torch.arange(40))
    assert float(collected.compute()["num_posters"]) == 40
    assert collected.state_dict() == {}


def test_logits_of_half_precision_are_scored_in_float32() -> None:
    logits, targets, priors, headline = random_case(40)
    collected = GenreScores(priors=priors, headline=headline)
    collected.update(logits.bfloat16(), targets, torch.arange(40))
    assert collected.gathered()[0].dtype == torch.float32
    assert float(collected.compute()["map"]) == pytest.approx(
        float(score(logits.bfloat16().float(), targets, priors=priors, headline=headline)["map"])
    )


def test_weighted_average_precision_equals_scikit_learns() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 12, (60, 4)).astype(np.float32)  # with many ties
    targets = (random.random((60, 4)) < 0.3).astype(np.float32)
    weights = random.integers(0, 4, (5, 60))
    ours = weighted_average_precision(scores, targets, weights)
    theirs = [
        [sklearn_metrics.average_precision_score(targets[:, g], scores[:, g], sample_weight=w) for g in range(4)]
        for w in weights
    ]
    assert ours == pytest.approx(np.array(theirs), abs=1e-12)


def test_weights_of_one_give_the_plain_average_precision_and_absence_gives_nan() -> None:
    ap = weighted_average_precision(LOGITS.numpy(), TARGETS.numpy(), np.ones((1, 4), dtype=np.int64))
    assert ap[0, :2] == pytest.approx([5 / 6, 1])
    assert math.isnan(ap[0, 2])
    without_positives = np.array([[0, 0, 0, 7]])
    assert np.isnan(weighted_average_precision(LOGITS.numpy(), TARGETS.numpy(), without_positives)).all()


def test_resamples_draw_as_many_posters_as_there_are_and_repeat_with_their_seed() -> None:
    draws = resamples(30, 8, seed=1)
    assert draws.shape == (8, 30)
    assert (draws.sum(axis=1) == 30).all()
    assert np.array_equal(draws, resamples(30, 8, seed=1))
    assert not np.array_equal(draws, resamples(30, 8, seed=2))


def test_the_interval_holds_the_score_and_narrows_with_more_posters() -> None:
    widths = []
    for num_posters in (100, 1600):
        logits, targets, priors, headline = random_case(num_posters)
        scores = score(logits, targets, priors=priors, headline=headline)
        intervals = bootstrap_intervals(logits, targets, headline=headline, num_resamples=200)
        assert set(intervals) == {"map", "map_all", "bce"}
        for name, (low, high) in intervals.items():
            assert low < float(scores[name]) < high
        widths.append(intervals["bce"][1] - intervals["bce"][0])
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.35)


def test_the_interval_of_the_loss_is_the_one_of_the_normal_law() -> None:
    logits, targets, _, headline = random_case(400)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1)
    error = float(losses.std()) / 20
    low, high = bootstrap_intervals(logits, targets, headline=headline, num_resamples=2000)["bce"]
    assert (low, high) == pytest.approx(
        (float(losses.mean()) - 1.96 * error, float(losses.mean()) + 1.96 * error), abs=0.2 * error
    )


def test_the_interval_of_the_loss_alone_is_the_one_beside_the_others() -> None:
    random = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(300, 4, generator=random), (torch.rand(300, 4, generator=random) < 0.3).float()
    every = bootstrap_intervals(logits, targets, headline=torch.ones(4, dtype=torch.bool), num_resamples=200)
    assert loss_interval(logits, targets, num_resamples=200) == every["bce"]


def test_a_lower_level_gives_a_narrower_interval() -> None:
    logits, targets, _, headline = random_case(100)
    (low, high), (lower, higher) = (
        bootstrap_intervals(logits, targets, headline=headline, num_resamples=200, level=level)["map"]
        for level in (0.5, 0.95)
    )
    assert lower < low < high < higher


def test_a_genre_so_rare_that_resamples_miss_it_still_has_an_interval() -> None:
    logits, targets = random_case(60, 2)[:2]
    targets[:, 0] = 0
    targets[:2, 0] = 1  # a resample misses both in one case of seven
    low, high = bootstrap_intervals(logits, targets, headline=torch.tensor([True, False]), num_resamples=200)["map"]
    assert 0 < low < high <= 1


def test_posters_without_a_headline_genre_have_no_interval_and_no_complaint() -> None:
    logits, targets = random_case(40, 2)[:2]
    targets[:, 0] = 0
    headline = torch.tensor([True, False])
    found = bootstrap_intervals(logits, targets, headline=headline, num_resamples=100)
    assert all(math.isnan(end) for end in found["map"])
    assert found["map_all"][0] < found["map_all"][1]
    difference = paired_bootstrap(logits, -logits, targets, headline=headline, num_resamples=100).scores["map"]
    assert math.isnan(difference.score)
    assert math.isnan(difference.p_value)


def test_the_table_tells_each_genre_by_hand() -> None:
    raw = torch.full_like(LOGITS, 10.0)  # as good as certain of everything
    thresholds = torch.tensor([0.5, 0.35, 0.5])
    a, b, c = genre_table(LOGITS, TARGETS, raw=raw, genres=["A", "B", "C"], thresholds=thresholds)
    errors = calibration_errors(LOGITS.sigmoid(), TARGETS)
    assert a == pytest.approx(
        {
            "genre": "A", "support": 2, "chance": 0.5, "ap": 5 / 6, "auroc": 0.75, "threshold": 0.5,
            "precision": 2 / 3, "recall": 1.0, "f1": 0.8, "ece_before": 0.5, "ece": float(errors[0]),
        },
        abs=1e-4,
    )  # fmt: skip
    assert (b["precision"], b["recall"], b["f1"]) == (1.0, 1.0, 1.0)
    assert (c["genre"], c["support"], c["chance"]) == ("C", 0, 0.0)
    assert all(math.isnan(float(c[name])) for name in ("ap", "auroc", "precision", "recall", "f1"))


def test_the_table_decides_at_the_threshold_and_counts_a_single_decision() -> None:
    logits, targets = torch.tensor([[0.0], [-1.0], [-2.0]]), torch.tensor([[1.0], [1.0], [0.0]])
    (row,) = genre_table(logits, targets, raw=logits, genres=["A"], thresholds=torch.tensor([0.5]))
    assert (row["precision"], row["recall"]) == (1.0, 0.5)
    assert row["f1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("positives", "num_posters"), [(1, 1), (1, 5), (2, 5), (3, 6), (6, 6)])
def test_a_random_order_has_the_average_precision_of_all_orders(positives: int, num_posters: int) -> None:
    truths = [
        torch.tensor([float(place in places) for place in range(num_posters)])[:, None]
        for places in itertools.combinations(range(num_posters), positives)
    ]
    scores = torch.arange(num_posters, 0, -1.0)[:, None] / num_posters
    mean = sum(float(average_precision(scores, truth)[0]) for truth in truths) / len(truths)
    found = random_average_precision(torch.tensor([positives, 0]), num_posters)
    assert float(found[0]) == pytest.approx(mean, abs=1e-6)
    assert math.isnan(found[1])


def test_calibration_errors_by_hand() -> None:
    # Two bins of the fifteen are used: (0.2, 0.2, 0.2) with a third true, (0.9) true; then a genre that is never there.
    probabilities = torch.tensor([[0.2, 0.1], [0.2, 0.1], [0.2, 0.1], [0.9, 0.1]])
    targets = torch.tensor([[1.0, 0], [0, 0], [0, 0], [1, 0]])
    expected = [3 / 4 * (1 / 3 - 0.2) + 1 / 4 * (1 - 0.9), 0.1]
    assert calibration_errors(probabilities, targets).tolist() == pytest.approx(expected, abs=1e-6)


def test_the_calibration_error_of_genres_is_the_mean_over_the_headline() -> None:
    logits, targets, priors = random_case(80, 3)[0], random_case(80, 3)[1], torch.full((3,), 0.3)
    headline = torch.tensor([True, False, True])
    errors = calibration_errors(logits.sigmoid(), targets)
    found = score(logits, targets, priors=priors, headline=headline)["ece_genres"]
    assert float(found) == pytest.approx(float((errors[0] + errors[2]) / 2))


def test_the_best_answer_without_a_poster_by_hand() -> None:
    # Shares in training: A 0.6, B 0.3. Four posters: A, A, A and B, B.
    targets = torch.tensor([[1.0, 0], [1, 0], [1, 1], [0, 1]])
    found = constant_scores(targets, priors=torch.tensor([0.6, 0.3]), headline=torch.tensor([True, True]))
    assert found["map"] == pytest.approx((3 / 4 + 2 / 4) / 2)  # the share of the positives
    assert found["auroc"] == pytest.approx(0.5)
    bce = -(3 * math.log(0.6) + math.log(0.4) + 2 * math.log(0.3) + 2 * math.log(0.7)) / 8
    assert found["bce"] == pytest.approx(bce)
    assert found["accuracy"] == pytest.approx(5 / 8)  # A everywhere, B nowhere
    assert found["f1_macro"] == pytest.approx((6 / 7 + 0) / 2)
    assert found["f1_macro_tuned"] == pytest.approx((6 / 7 + 4 / 6) / 2)  # both everywhere
    assert found["f1_micro_tuned"] == pytest.approx(max(2 * 3 / (4 + 5), 2 * 5 / (8 + 5)))
    assert found["hamming_tuned"] == pytest.approx(3 / 8)  # the least of 3/8 (A) and 3/8 (A and B)
    assert found["ece_genres"] == pytest.approx((0.15 + 0.2) / 2)
    assert not any(name.endswith("_prior") for name in found)


def test_the_best_answer_without_a_poster_takes_frequent_genres_first_and_leaves_absent_ones_out() -> None:
    # Shares in training: A 0.1, B 0.8, C 0.2, which nobody has here. Four posters: B, B, B, A.
    targets = torch.tensor([[0.0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]])
    headline = torch.tensor([True, True, True])
    found = constant_scores(targets, priors=torch.tensor([0.1, 0.8, 0.2]), headline=headline)
    assert found["hamming_tuned"] == pytest.approx(2 / 12)  # B everywhere
    assert found["f1_micro_tuned"] == pytest.approx(2 * 3 / (4 + 4))
    assert found["f1_macro_tuned"] == pytest.approx((2 / 5 + 6 / 7) / 2)  # all three everywhere, over A and B


def test_a_genre_that_training_never_or_always_had_has_a_finite_baseline() -> None:
    targets = torch.tensor([[1.0, 0], [0, 1]])
    found = constant_scores(targets, priors=torch.tensor([0.0, 1.0]), headline=torch.tensor([True, True]))
    assert found["bce"] == pytest.approx(-math.log(1e-7) / 2, rel=0.01)


def test_a_checkpoint_does_not_differ_from_itself() -> None:
    logits, targets = random_case(60, 3)[:2]
    found = paired_bootstrap(logits, logits, targets, headline=torch.ones(3, dtype=torch.bool), num_resamples=100)
    for difference in [*found.scores.values(), *found.genres]:
        assert (difference.score, difference.interval, difference.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_a_clear_difference_is_real_and_its_sign_is_that_of_the_first() -> None:
    logits, targets = random_case(300, 3)[:2]
    random = torch.randn(logits.shape, generator=torch.Generator().manual_seed(5))
    headline = torch.ones(3, dtype=torch.bool)
    better, worse = logits + 2 * targets, random
    found = paired_bootstrap(better, worse, targets, headline=headline, num_resamples=200)
    maps = [float(average_precision(answers, targets).mean()) for answers in (better, worse)]
    assert found.scores["map"].score == pytest.approx(maps[0] - maps[1], abs=1e-6)
    low, high = found.scores["map"].interval
    assert 0 < low < found.scores["map"].score < high
    assert found.scores["map"].p_value == pytest.approx(1 / 201)
    back = paired_bootstrap(worse, better, targets, headline=headline, num_resamples=200)
    assert back.scores["map"].interval == pytest.approx((-high, -low), abs=1e-9)


def test_pairing_finds_what_two_intervals_would_miss() -> None:
    logits, targets = random_case(300, 3)[:2]
    headline = torch.ones(3, dtype=torch.bool)
    slightly = logits + 0.25 * targets
    ours, theirs = (
        bootstrap_intervals(answers, targets, headline=headline, num_resamples=300)["map"]
        for answers in (slightly, logits)
    )
    assert ours[0] < theirs[1]  # they overlap
    assert (
        paired_bootstrap(slightly, logits, targets, headline=headline, num_resamples=300).scores["map"].interval[0] > 0
    )


def test_differences_by_genre_are_those_of_the_average_precisions() -> None:
    logits, targets = random_case(200, 3)[:2]
    targets[:, 2] = 0
    others = logits.clone()
    others[:, 0] = torch.randn(200, generator=torch.Generator().manual_seed(1))
    found = paired_bootstrap(logits, others, targets, headline=torch.tensor([True, True, False]), num_resamples=200)
    first, same, nobody = found.genres
    ap = average_precision(logits, targets) - average_precision(others, targets)
    assert first.score == pytest.approx(float(ap[0]), abs=1e-6)
    assert 0 < first.interval[0] < first.score < first.interval[1]
    assert found.scores["map"].score == pytest.approx((first.score + same.score) / 2)
    assert (same.score, same.interval, same.p_value) == (0.0, (0.0, 0.0), 1.0)
    assert math.isnan(nobody.score)
    assert math.isnan(nobody.p_value)


def test_of_many_differences_those_stand_that_holm_lets_stand() -> None:
    # 0.01 <= 0.05 / 4, 0.013 <= 0.05 / 3, 0.03 > 0.05 / 2: it falls, and so does every larger one.
    assert stand_together([0.03, 0.01, 0.04, math.nan, 0.013]) == [False, True, False, False, True]
    assert stand_together([0.03, 0.2, 0.3]) == [False, False, False]
    assert stand_together([0.05]) == [True]
    assert stand_together([]) == []
