import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import COLOURS, read_csv, small_config
from postergenre.crossvalidation import CrossvalidateConfig, crossvalidate
from postergenre.crossvalidation.comparison import compare
from postergenre.errors import ConfigError
from postergenre.metrics import average_precision
from postergenre.training import TrainConfig


def config(root: Path, output: Path, **settings: Any) -> CrossvalidateConfig:
    base = small_config(root, output)
    base.trainer.max_epochs = 2
    given = {name: getattr(base, name) for name in TrainConfig.__dataclass_fields__}
    return CrossvalidateConfig(**given | settings)


def test_every_poster_is_answered_once_by_a_network_that_did_not_see_it(
    colour_posters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = crossvalidate(config(colour_posters, tmp_path))
    rows = read_csv(tmp_path / "predictions.csv")
    names = [Path(row["poster"]).stem for row in rows]
    assert sorted(names) == [f"c{number:03}" for number in range(120)]
    maps = []
    for fold in range(5):
        splits = {row["id"]: row["split"] for row in read_csv(tmp_path / f"fold{fold}" / "splits.csv")}
        answered = [row for row in rows if row["fold"] == str(fold)]
        assert {splits[Path(row["poster"]).stem] for row in answered} == {"test"}
        probabilities = torch.tensor([[float(row[name]) for name in COLOURS] for row in answered])
        truth = torch.tensor([[float(name in row["genres"].split("|")) for name in COLOURS] for row in answered])
        maps.append(float(average_precision(probabilities.logit(), truth).mean()))
    assert [fold["map"] for fold in found.folds] == pytest.approx(maps, abs=1e-3)
    summary = json.loads((tmp_path / "crossvalidation.json").read_text())
    assert summary["mean"]["map"] == pytest.approx(np.mean(maps), abs=1e-3)
    assert summary["sd"]["map"] == pytest.approx(np.std(maps, ddof=1), abs=1e-3)
    printed = capsys.readouterr().out
    assert f"{np.mean(maps):.3f}" in printed
    assert "all 120 answers together" in printed


def test_folds_that_are_done_are_not_trained_again(
    colour_posters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = crossvalidate(config(colour_posters, tmp_path, folds=[3]))
    printed = capsys.readouterr().out  # of one fold there is no spread
    assert "1 fold, test splits" in printed
    assert "± nan" not in printed
    assert set(json.loads((tmp_path / "crossvalidation.json").read_text())["sd"].values()) == {None}
    before = (tmp_path / "fold3" / "checkpoints" / "best.ckpt").stat().st_mtime_ns
    two = crossvalidate(config(colour_posters, tmp_path, folds=[3, 4]))
    assert (tmp_path / "fold3" / "checkpoints" / "best.ckpt").stat().st_mtime_ns == before
    assert two.folds[0] == one.folds[0]
    assert "fold 3: trained before" in capsys.readouterr().out
    other = config(colour_posters, tmp_path, folds=[3])
    other.optim.lr = 1e-4
    with pytest.raises(ConfigError, match="fold3 was trained with other settings; give another output folder"):
        crossvalidate(other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"folds": []}, "folds must be different numbers in 0 … 4"), ({"folds": [1, 1]}, "folds must be different"),
     ({"folds": [5]}, "folds must be different numbers in 0 … 4"), ({"resume": "x"}, "resume belongs to one fold"),
     ({"start": "x"}, "start belongs to one fold")],
)  # fmt: skip
def test_what_makes_no_sense_for_folds_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CrossvalidateConfig(**settings)


def test_a_split_of_ones_own_is_not_folded(colour_posters: Path, tmp_path: Path) -> None:
    asked = small_config(colour_posters, tmp_path)
    asked.data.split = "original"
    with pytest.raises(ConfigError, match=r"data\.split=fixed, not original"):
        CrossvalidateConfig(data=asked.data)


def test_two_cross_validations_are_compared_genre_by_genre(
    colour_posters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crossvalidate(config(colour_posters, tmp_path / "plain", folds=[0, 1]))
    other = config(colour_posters, tmp_path / "slow", folds=[0, 1], against=str(tmp_path / "plain"))
    other.optim.lr = 1e-5
    crossvalidate(other)
    found = json.loads((tmp_path / "slow" / "crossvalidation.json").read_text())["against"]
    ap = {
        side: [
            {row["genre"]: float(row["ap"]) for row in read_csv(tmp_path / side / fold / "test" / "per_genre.csv")}
            for fold in ("fold0", "fold1")
        ]
        for side in ("slow", "plain")
    }
    assert [row["name"] for row in found["genres"]] == list(COLOURS)
    for row in found["genres"]:
        one, two = (ap["slow"][fold][row["name"]] - ap["plain"][fold][row["name"]] for fold in (0, 1))
        assert row["difference"] == pytest.approx((one + two) / 2)
        assert row["sd"] == pytest.approx(abs(one - two) / 2**0.5)
        assert (row["higher"], row["folds"]) == ((one > 0) + (two > 0), 2)
    scores = {row["name"]: row for row in found["scores"]}
    assert scores["map"]["difference"] < 0
    assert scores["map"]["mean"] + -scores["map"]["other"] == pytest.approx(scores["map"]["difference"])
    told = "".join(capsys.readouterr().out.split())  # a long path may be broken anywhere
    assert f"minus {tmp_path / 'plain'}, fold by fold".replace(" ", "") in told
    # To ask again for a comparison trains nothing: it is no setting of the folds.
    crossvalidate(config(colour_posters, tmp_path / "plain", folds=[0, 1], against=str(tmp_path / "slow")))
    back = json.loads((tmp_path / "plain" / "crossvalidation.json").read_text())["against"]
    assert [row["difference"] for row in back["genres"]] == pytest.approx(
        [-row["difference"] for row in found["genres"]]
    )


def test_the_networks_of_a_fold_answer_together(
    colour_posters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        crossvalidate(config(colour_posters, tmp_path / f"{seed}", folds=[1, 3], seed=seed))
    capsys.readouterr()
    members = [str(tmp_path / name) for name in "01"]
    together = CrossvalidateConfig(ensemble=members, folds=[3, 1], output_dir=str(tmp_path / "both"))
    found = crossvalidate(together)
    printed = capsys.readouterr().out
    logits = [
        torch.tensor([[float(row[name]) for name in COLOURS] for row in read_csv(place / "predictions.csv")]).logit()
        for place in (tmp_path / "0", tmp_path / "1", tmp_path / "both")
    ]
    assert not torch.allclose(logits[0], logits[1], atol=1e-2)
    order = sorted(range(len(logits[2])), key=lambda row: read_csv(tmp_path / "both" / "predictions.csv")[row]["fold"])
    assert torch.allclose(logits[2][order], (logits[0] + logits[1]) / 2, atol=1e-2)
    summary = json.loads((tmp_path / "both" / "crossvalidation.json").read_text())
    assert [*summary["folds"]] == ["3", "1"]
    assert found.pooled["bce"] < max(
        json.loads((Path(member) / "crossvalidation.json").read_text())["pooled"]["bce"] for member in members
    )
    assert "2 folds, test splits" in printed
    assert not [*(tmp_path / "both").rglob("*.ckpt")]


def test_an_ensemble_that_lacks_a_fold_is_told_before_any_answers(colour_posters: Path, tmp_path: Path) -> None:
    crossvalidate(config(colour_posters, tmp_path / "one", folds=[0]))
    members = [str(tmp_path / "one"), str(tmp_path / "none")]
    with pytest.raises(ConfigError, match=r"none of the ensemble has no fold 0: there is no .*none/fold0/checkpoints"):
        crossvalidate(CrossvalidateConfig(ensemble=members, folds=[0], output_dir=str(tmp_path / "both")))
    with pytest.raises(ConfigError, match=r"one of the ensemble has no fold 2: there is no"):
        crossvalidate(CrossvalidateConfig(ensemble=members[:1] * 2, folds=[0, 2], output_dir=str(tmp_path / "both")))
    assert not (tmp_path / "both").exists()
    with pytest.raises(ConfigError, match=r"ensemble takes two or more folders, as ensemble=\[A,B\], not .*one alone"):
        CrossvalidateConfig(ensemble=members[:1])


def test_a_cross_validation_that_cannot_be_compared_with_is_told_before_training(
    colour_posters: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"against=.*nowhere has no scores of fold2: give the folder"):
        crossvalidate(config(colour_posters, tmp_path / "run", folds=[2], against=str(tmp_path / "nowhere")))
    assert not (tmp_path / "run" / "fold2").exists()


def test_a_genre_that_became_another_is_not_compared(tmp_path: Path) -> None:
    for side, genres, ap in (
        ("one", ["Music", "Musical"], "Music,0.5\nMusical,0.2\nDrama,0.7"),
        ("two", ["Music", "Music"], "Music,0.6\nDrama,0.9"),
    ):
        folder = tmp_path / side / "fold0" / "test"
        folder.mkdir(parents=True)
        names = ("map", "map_all", "auroc", "bce", "f1_macro_tuned", "ece_genres")
        (folder / "metrics.json").write_text(json.dumps({"scores": dict.fromkeys(names, 0.5)}))
        (folder / "per_genre.csv").write_text(f"genre,ap\n{ap}\n")
        rows = [f"/{side}/{i}.jpg,{genre}|Drama" for i, genre in enumerate(genres)]
        (folder / "predictions.csv").write_text("\n".join(["poster,genres", *rows]))
    found = compare(tmp_path / "one", tmp_path / "two", [0])
    assert [(row.name, row.support, row.difference) for row in found.genres] == [("Drama", 2, pytest.approx(-0.2))]
    assert found.left_out == ["Music", "Musical"]
    text = (tmp_path / "two" / "fold0" / "test" / "predictions.csv").read_text()
    (tmp_path / "two" / "fold0" / "test" / "predictions.csv").write_text(text.replace("1.jpg", "9.jpg"))
    with pytest.raises(ConfigError, match=r"fold 0 of .*two tested other posters: the two cannot be compared"):
        compare(tmp_path / "one", tmp_path / "two", [0])
