"""Scores of groups of posters, computed by hand."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from rich.console import Console

from conftest import evaluate_config
from postergenre.classifier.contract import Contract
from postergenre.classifier.posters import Place
from postergenre.errors import ConfigError
from postergenre.evaluation import scored
from postergenre.evaluation.groups import Group, group_scores
from postergenre.genres import Genres
from postergenre.metrics import average_precision, random_average_precision
from postergenre.networks import ModelConfig
from postergenre.preprocess import Preprocess
from postergenre.training import Trained

# Six posters, genres A, B, C; C is no headline genre.
PROBABILITIES = torch.tensor(
    [[0.9, 0.2, 0.5], [0.8, 0.7, 0.5], [0.6, 0.4, 0.5], [0.3, 0.1, 0.5], [0.7, 0.9, 0.5], [0.6, 0.2, 0.5]]
)
TARGETS = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0]])
CONTRACT = Contract(
    model=ModelConfig(library="tiny", name="tiny", weights="none"),
    preprocess=Preprocess(height=36, width=24),
    genres=Genres("ABC"),
    headline=["A", "B"],
    priors=[0.5, 0.25, 0.25],
    thresholds=[0.5, 0.5, 0.5],
    data={},
)


def grouped(*values: str, smallest: int = 1) -> list[Group]:
    return group_scores(
        [tuple(filter(None, value.split("|"))) for value in values],
        logits=PROBABILITIES.double().logit().float(),
        targets=TARGETS,
        contract=CONTRACT,
        smallest=smallest,
        num_resamples=100,
    )


def test_scores_of_two_groups_by_hand() -> None:
    four, two = grouped("x", "x", "x", "x", "y", "y")
    assert [(group.name, group.num_posters) for group in (four, two)] == [("x", 4), ("y", 2)]
    # A of x: ranked 1, 0, 1, 0 -> (1 + 2/3) / 2; B of x: 1, 1, 0, 0 -> 1; C of x: all equal, one of four.
    assert four.scores["map"] == pytest.approx((5 / 6 + 1) / 2)
    assert four.scores["map_all"] == pytest.approx((5 / 6 + 1 + 1 / 4) / 3)
    assert (four.scores["num_genres"], four.scores["num_genres_all"]) == (2, 3)
    assert four.scores["auroc"] == pytest.approx((3 / 4 + 1 + 1 / 2) / 3)
    # y: A is ranked 0, 1 -> 1/2; B 1, 0 -> 1; nobody has C.
    assert two.scores["map"] == pytest.approx((1 / 2 + 1) / 2)
    assert (two.scores["num_genres"], two.scores["num_genres_all"]) == (2, 2)
    assert two.scores["bce"] == pytest.approx(
        -(math.log(0.3) + math.log(0.6) + math.log(0.9) + math.log(0.8) + 2 * math.log(0.5)) / 6, abs=1e-5
    )
    assert two.scores["bce_prior"] == pytest.approx(
        -(2 * math.log(0.5) + math.log(0.25) + math.log(0.75) + 2 * math.log(0.75)) / 6, abs=1e-5
    )
    # Two answers a genre, each in a bin of its own: the mean distances from what is true.
    assert two.scores["ece_genres"] == pytest.approx(((0.7 + 0.4) / 2 + (0.1 + 0.2) / 2) / 2, abs=1e-5)
    # A random order of two with one positive: 1 or 1/2.
    assert two.scores["map_random"] == pytest.approx(3 / 4)


@pytest.mark.parametrize(("positives", "num_posters"), [(1, 1), (1, 4), (2, 4), (3, 5), (5, 5)])
def test_a_random_order_scores_the_mean_over_all_orders(positives: int, num_posters: int) -> None:
    truth = torch.arange(num_posters) < positives
    orders = torch.tensor(list(itertools.permutations(range(num_posters))))
    found = average_precision(
        -torch.arange(num_posters).float()[:, None].expand(-1, len(orders)), truth[orders].float().T
    )
    expected = random_average_precision(torch.tensor([positives, 0]), num_posters)
    assert float(expected[0]) == pytest.approx(float(found.mean()), abs=1e-6)
    assert math.isnan(expected[1])


def test_rare_values_are_put_together_at_the_end() -> None:
    groups = grouped("x", "y", "x", "z", "x", "z", smallest=3)
    assert [(group.name, group.num_posters) for group in groups] == [("x", 3), ("2 others (< 3 each)", 3)]
    groups = grouped("x", "y", "x", "x", "x", "x", smallest=2)
    assert [(group.name, group.num_posters) for group in groups] == [("x", 5), ("y (< 2)", 1)]


def test_frequent_values_come_first_and_years_in_order() -> None:
    assert [group.name for group in grouped("KR", "US", "US", "IN", "US", "IN")] == ["US", "IN", "KR"]
    assert [group.name for group in grouped("2000s", "1990s", "1990s", "not said", "1980s", "1980s")] == [
        "1980s", "1990s", "2000s", "not said"
    ]  # fmt: skip


def test_a_poster_with_several_values_counts_in_each() -> None:
    groups = {group.name: group.num_posters for group in grouped("US", "US|FR", "US", "FR", "US", "US")}
    assert groups == {"US": 5, "FR": 2}


def test_a_group_without_a_headline_genre_has_no_map() -> None:
    alone = next(group for group in grouped("x", "x", "x", "y", "x", "x") if group.name == "y")
    assert math.isnan(alone.scores["map"])
    assert alone.scores["num_genres"] == 0


@pytest.fixture
def moved(colour_posters: Path, tmp_path: Path) -> Path:
    """The posters of training, with further columns: even ones are of the nineties, the others of 2004 or not said."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "Images").symlink_to(colour_posters / "Images")
    header, *lines = (colour_posters / "train.csv").read_text().splitlines()
    years = ["1999", "2004-01-31", "1991", ""]
    told = [
        f"{header},year,land",
        *(f"{line},{years[i % 4]},{'KR' if i % 2 else 'US'}" for i, line in enumerate(lines)),
    ]
    (tmp_path / "set" / "train.csv").write_text("\n".join(told))
    return tmp_path / "set"


def test_posters_of_training_are_scored_by_columns_that_came_later(
    trained: Trained, moved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = evaluate_config(
        trained.best, tmp_path / "out", data=Place(root=str(moved)), groups=["decade", "land"], min_group=2, report=True
    )
    found = scored(asked, Console(width=80))
    decades = {group.name: group for group in found.groups["decade"]}
    assert set(decades) == {"1990s", "2000s", "not said"}
    numbers = [int(path.stem[1:]) for path in found.paths]
    in_nineties = [row for row, number in enumerate(numbers) if number % 2 == 0]
    assert decades["1990s"].num_posters == len(in_nineties)
    ap = average_precision(found.logits[in_nineties], found.targets[in_nineties])
    assert decades["1990s"].scores["map"] == pytest.approx(float(ap.nanmean()), abs=1e-6)
    assert sum(group.num_posters for group in found.groups["land"]) == len(found.paths)
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())["groups"]
    assert [group["name"] for group in written["decade"]] == list(decades)
    assert written["decade"][0]["scores"]["map"] == pytest.approx(decades["1990s"].scores["map"])
    printed = capsys.readouterr().out
    assert "by decade" in printed
    assert max(map(len, printed.splitlines()[: printed[: printed.index("written to")].count("\n")])) <= 80
    page, card = ((tmp_path / "out" / name).read_text() for name in ("report.html", "MODEL_CARD.md"))
    for text in (page, card):
        assert "1990s" in text
        assert "2000s" in text


def test_a_column_that_the_csv_lacks_is_told(trained: Trained, moved: Path, tmp_path: Path) -> None:
    asked = evaluate_config(trained.best, tmp_path / "out", data=Place(root=str(moved)), groups=["source"])
    with pytest.raises(ConfigError, match=r"has no column 'source' to group by; it has: Id, Genre, Red, .*, land"):
        scored(asked, Console(quiet=True))
