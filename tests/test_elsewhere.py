"""Scores on a set that the checkpoint was not trained on, with genres of its own."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from conftest import evaluate_config, read_csv, small_config
from postergenre.classifier.contract import read_checkpoint
from postergenre.classifier.posters import Place
from postergenre.errors import ConfigError, DataError
from postergenre.evaluation import EvaluateConfig, Scored, evaluate, scored
from postergenre.genres import GenreMapping
from postergenre.training import Trained, train


def config(trained: Trained, output: Path, **settings: Any) -> EvaluateConfig:
    return evaluate_config(trained.best, output, **settings)


def away(trained: Trained, root: Path, output: Path, **settings: Any) -> Scored:
    asked = config(trained, output, split="all", data=Place(root=str(root)), **settings)
    return scored(asked, Console(width=80))


@pytest.fixture
def elsewhere(colour_posters: Path, tmp_path: Path) -> Path:
    """Another set: some of the posters, in the simple schema, with one genre that nobody has heard of."""
    rows = read_csv(colour_posters / "train.csv")[:30]
    lines = ["image,genres"]
    for number, row in enumerate(rows):
        genres = [name for name in ("Green", "Red") if row[name] == "1"] + (["Mauve"] if number % 3 == 0 else [])
        lines.append(f"{colour_posters}/Images/{row['Id']}.jpg,{'|'.join(genres or ['Mauve'])}")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text("\n".join(lines))
    return tmp_path / "set"


def renamed(root: Path, **names: str) -> None:
    text = (root / "train.csv").read_text()
    (root / "train.csv").write_text(re.sub("|".join(names), lambda found: names[found[0]], text))


def test_only_genres_that_both_know_are_scored_and_the_rest_is_told(
    trained: Trained, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of posters 0 … 29, number n shows n % 7 + 1 as bits Red, Green, Blue; each third is Mauve, too.
    shown = [number % 7 + 1 & 3 for number in range(30)]
    found = away(trained, elsewhere, tmp_path / "out")
    assert found.contract.genres == ("Red", "Green")
    assert found.scores["num_posters"] == sum(marks > 0 for marks in shown) == 26
    assert found.scores["num_genres_all"] == 2
    assert found.scores["map"] > 0.95
    rows = {row["genre"]: int(row["support"]) for row in read_csv(tmp_path / "out" / "per_genre.csv")}
    assert rows == {"Red": sum(m & 1 for m in shown), "Green": sum(m >> 1 for m in shown)}
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())["elsewhere"]
    mauve = sum(number % 3 == 0 or not shown[number] for number in range(30))
    assert (told["strange"], told["absent"], told["num_without"]) == ({"Mauve": mauve}, ["Blue"], 4)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"genres that the checkpoint does not know, left out with their labels: Mauve ({mauve});" in printed
    assert "genres that this set does not know, left out: Blue" in printed
    assert "4 poster(s) have none of the 2 genres: left out" in printed


def test_to_leave_genres_out_changes_nothing_about_the_others(
    trained: Trained, elsewhere: Path, tmp_path: Path
) -> None:
    found = away(trained, elsewhere, tmp_path / "out")
    contract = read_checkpoint(trained.best)[1]
    for name in ("priors", "thresholds", "temperatures", "offsets"):
        assert getattr(found.contract, name) == getattr(contract, name)[:2]
    asked = config(trained, tmp_path / "home", split="train")
    home = scored(asked, Console(quiet=True))
    place = {path.name: row for row, path in enumerate(home.paths)}
    both = [(row, place[path.name]) for row, path in enumerate(found.paths) if path.name in place]
    here, there = zip(*both, strict=True)
    assert torch.allclose(found.logits[list(here)], home.logits[list(there)][:, :2], atol=1e-5)


def test_each_genre_stands_beside_its_validation_score(trained: Trained, elsewhere: Path, tmp_path: Path) -> None:
    found = away(trained, elsewhere, tmp_path / "out")
    assert found.elsewhere is not None
    assert found.elsewhere.home == "validation at the end of training"
    evaluate(config(trained, tmp_path / "val", split="val"))
    home = {row["genre"]: row for row in read_csv(tmp_path / "val" / "per_genre.csv")}
    here = {str(row["genre"]): row for row in found.genres}
    assert [row["genre"] for row in found.elsewhere.genres] == ["Red", "Green"]
    for row in found.elsewhere.genres:
        for name in ("support", "chance", "ap", "auroc"):
            assert row[f"home_{name}"] == pytest.approx(float(home[row["genre"]][name]), abs=1e-6)
            assert row[name] == here[row["genre"]][name]
        assert row["ap_difference"] == pytest.approx(row["ap"] - row["home_ap"])


def test_home_may_be_an_earlier_evaluation(
    trained: Trained, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(config(trained, tmp_path / "home"))
    rows = {row["genre"]: row for row in read_csv(tmp_path / "home" / "per_genre.csv")}
    found = away(trained, elsewhere, tmp_path / "out", home=str(tmp_path / "home"))
    assert found.elsewhere is not None
    assert found.elsewhere.home == str(tmp_path / "home")
    assert [row["home_ap"] for row in found.elsewhere.genres] == [float(rows[name]["ap"]) for name in ("Red", "Green")]
    mean = sum(row["home_ap"] for row in found.elsewhere.genres) / 2
    assert f"{mean:.4f} at home" in " ".join(capsys.readouterr().out.split())


def test_a_home_that_is_none_is_told(trained: Trained, elsewhere: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"home=.*nowhere has no per_genre\.csv: give the folder that an evaluation"):
        away(trained, elsewhere, tmp_path / "out", home=str(tmp_path / "nowhere"))
    (tmp_path / "per_genre.csv").write_text("genre,support,chance,ap,auroc\nOpera,3,0.1,0.5,0.5\n")
    with pytest.raises(ConfigError, match="tells of other genres than those scored here: Opera"):
        away(trained, elsewhere, tmp_path / "out", home=str(tmp_path))
    (tmp_path / "per_genre.csv").write_text("genre,support\nRed,3\n")
    with pytest.raises(ConfigError, match="is not what an evaluation writes"):
        away(trained, elsewhere, tmp_path / "out", home=str(tmp_path))


def test_a_checkpoint_without_scores_by_genre_says_how_to_get_them(
    trained: Trained, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, contract = read_checkpoint(trained.best)
    del contract.provenance["val_genres"]  # as they were before
    torch.save(checkpoint | {"postergenre": contract.to_plain()}, tmp_path / "old.ckpt")
    found = away(trained, elsewhere, tmp_path / "out", checkpoint=str(tmp_path / "old.ckpt"))
    assert found.elsewhere is not None
    assert (found.elsewhere.home, found.elsewhere.genres) == ("", [])
    assert "evaluate it there and say home=FOLDER" in " ".join(capsys.readouterr().out.split())


def test_other_names_for_the_same_genres_are_mapped(trained: Trained, elsewhere: Path, tmp_path: Path) -> None:
    plain = away(trained, elsewhere, tmp_path / "plain")
    renamed(elsewhere, Red="Rouge", Green="Vert & Bleu")
    with pytest.raises(DataError, match="no poster has a genre that the checkpoint knows"):
        away(trained, elsewhere, tmp_path / "none")
    mapping = GenreMapping(rename={"Rouge": "Red", "Vert & Bleu": ["Green", "Blue"]}, drop=["Mauve"])
    found = away(trained, elsewhere, tmp_path / "mapped", genres=mapping)
    assert found.elsewhere is not None
    assert (found.elsewhere.strange, found.elsewhere.absent, found.elsewhere.num_without) == ({}, [], 0)
    assert found.paths == plain.paths
    assert torch.equal(found.targets[:, :2], plain.targets)
    assert torch.equal(found.targets[:, 2], plain.targets[:, 1])
    strict = GenreMapping(rename=mapping.rename, vocabulary=["Red", "Green", "Blue"])
    with pytest.raises(DataError, match=r"row 2, column genres: Mauve is not in genres\.vocabulary"):
        away(trained, elsewhere, tmp_path / "strict", genres=strict)


def test_the_mapping_of_training_holds_elsewhere_as_far_as_it_applies(
    colour_posters: Path, elsewhere: Path, tmp_path: Path
) -> None:
    asked = small_config(colour_posters, tmp_path / "run")
    asked.genres = GenreMapping(
        rename={"Blue": "Azure"}, derive={"Yellow": ["Red", "Green"]}, vocabulary=["Red", "Green", "Yellow", "Azure"]
    )
    found = away(train(asked), elsewhere, tmp_path / "out")
    assert found.contract.genres == ("Red", "Green", "Yellow")
    assert torch.equal(found.targets[:, 2], found.targets[:, 0] * found.targets[:, 1])
    assert found.elsewhere is not None
    assert (list(found.elsewhere.strange), found.elsewhere.absent) == (["Mauve"], ["Azure"])


def test_posters_that_the_checkpoint_was_fitted_to_are_told(
    trained: Trained, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = {row["id"]: row["split"] for row in read_csv(trained.best.parent.parent / "splits.csv")}
    found = away(trained, elsewhere, tmp_path / "out")
    fitted = sum(splits[path.stem] in ("train", "val") for path in found.paths)
    assert 0 < fitted < len(found.paths)
    told = f"{fitted} poster(s) bear names of posters that the checkpoint was fitted to: their scores flatter it"
    assert told in found.notes


def test_an_ensemble_is_scored_elsewhere_too(trained: Trained, elsewhere: Path, tmp_path: Path) -> None:
    one = away(trained, elsewhere, tmp_path / "one")
    both = away(trained, elsewhere, tmp_path / "both", checkpoint=[str(trained.best), str(trained.best)])
    assert torch.allclose(both.logits, one.logits, atol=1e-5)
    assert both.elsewhere is not None
    assert not both.elsewhere.genres  # validation scored each of them, not the two together


def test_another_poster_set_has_to_be_named_and_to_share_a_genre(
    trained: Trained, elsewhere: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"say which with data\.root=FOLDER"):
        evaluate(config(trained, tmp_path, split="all"))
    text = (elsewhere / "train.csv").read_text()
    (elsewhere / "train.csv").write_text(text.replace("Red", "Ochre").replace("Green", "Teal"))
    with pytest.raises(DataError, match="no poster has a genre that the checkpoint knows"):
        evaluate(config(trained, tmp_path, split="all", data=Place(root=str(elsewhere))))
