import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import COLOURS, evaluate_config, read_csv, small_config
from postergenre.classifier.contract import find_checkpoints, read_checkpoint
from postergenre.errors import CheckpointError, ConfigError
from postergenre.evaluation import EvaluateConfig, evaluate
from postergenre.evaluation.answers import answer
from postergenre.evaluation.config import Place
from postergenre.genres import GenreMapping
from postergenre.training import TrainConfig, Trained, train


def config(trained: Trained, output: Path, **settings: Any) -> EvaluateConfig:
    return evaluate_config(trained.best, output, **settings)


def altered(trained: Trained, path: Path, *, noise: float) -> Path:
    """Return a copy of a checkpoint whose last layer was disturbed."""
    checkpoint, contract = read_checkpoint(trained.best)
    random = torch.Generator().manual_seed(0)
    state = {
        name: value + noise * torch.randn(value.shape, generator=random) if "output" in name else value
        for name, value in checkpoint["state_dict"].items()
    }
    torch.save(checkpoint | {"state_dict": state, "postergenre": contract.to_plain()}, path)
    return path


def test_evaluate_gives_the_very_numbers_training_gave(trained: Trained, tmp_path: Path) -> None:
    scores = evaluate(config(trained, tmp_path, split="val"))
    assert scores == pytest.approx(trained.scores, abs=1e-6)


def test_evaluate_takes_the_test_split_and_writes_its_tables(trained: Trained, tmp_path: Path) -> None:
    scores = evaluate(
        EvaluateConfig(checkpoint=str(trained.best), gpus="0", num_resamples=100, output_dir=str(tmp_path))
    )
    assert scores["num_posters"] == 21
    assert scores["map"] > 0.9
    table = pd.read_csv(tmp_path / "per_genre.csv")
    assert list(table["genre"]) == ["Red", "Green", "Blue"]
    report = pd.read_json(tmp_path / "metrics.json", typ="series")
    assert report["split"] == "test"
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Scalars("test/map")[0].value == pytest.approx(scores["map"])
    assert events.Scalars("test/map_prior")[0].value < 0.7
    low, high = report["intervals"]["map"]
    assert low <= report["scores"]["map"] <= high


def test_evaluate_refuses_other_posters_than_those_of_training(
    trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    (tmp_path / "Images").symlink_to(colour_posters / "Images")
    lines = (colour_posters / "train.csv").read_text().splitlines()
    (tmp_path / "train.csv").write_text("\n".join(lines[:-3]))
    with pytest.raises(CheckpointError, match="not those of training"):
        evaluate(EvaluateConfig(checkpoint=str(trained.best), data=Place(root=str(tmp_path)), output_dir=str(tmp_path)))


def test_evaluate_takes_posters_that_moved(trained: Trained, colour_posters: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").symlink_to(colour_posters)
    config = EvaluateConfig(
        checkpoint=str(trained.best),
        split="val",
        data=Place(root=str(tmp_path / "moved"), batch_size=5),
        gpus="0",
        precision="32",
        num_resamples=100,
        output_dir=str(tmp_path / "out"),
    )
    assert evaluate(config)["map"] == pytest.approx(trained.score, abs=1e-5)


def test_every_score_has_its_baseline_beside_it(trained: Trained, tmp_path: Path) -> None:
    scores = evaluate(config(trained, tmp_path))
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert set(scores) - set(written["baselines"]) == {
        "map_prior", "map_all_prior", "bce_prior", "accuracy_prior", "ece_before", "ece_genres_before", "bce_before"
    }  # fmt: skip
    assert written["baselines"]["map"] == pytest.approx(scores["map_prior"])
    assert written["baselines"]["bce"] == pytest.approx(scores["bce_prior"], abs=1e-5)


def test_predictions_are_written_with_the_truth(trained: Trained, tmp_path: Path) -> None:
    evaluate(config(trained, tmp_path))
    rows = read_csv(tmp_path / "predictions.csv")
    assert len(rows) == 21
    for row in rows:
        number = int(Path(row["poster"]).stem[1:])
        marks = [(number % 7 + 1) >> channel & 1 for channel in range(3)]
        assert row["genres"].split("|") == [c for c, mark in zip(("Red", "Green", "Blue"), marks, strict=True) if mark]
    sure = [float(row["Red"]) > 0.5 for row in rows]
    assert np.mean([s == ("Red" in row["genres"]) for s, row in zip(sure, rows, strict=True)]) > 0.9


def test_a_worse_checkpoint_is_found_to_be_worse(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = altered(trained, tmp_path / "worse.ckpt", noise=3.0)
    evaluate(config(trained, tmp_path / "out", split="train", against=str(worse)))
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())["against"]["map"]
    alone = evaluate(config(trained, tmp_path / "alone", split="train", checkpoint=str(worse)))
    whole = json.loads((tmp_path / "out" / "metrics.json").read_text())["scores"]["map"]
    assert told["score"] == pytest.approx(whole - alone["map"], abs=1e-6)
    assert 0 < told["interval"][0] < told["score"] < told["interval"][1]
    assert "the difference in mAP is real" in capsys.readouterr().out
    genres = json.loads((tmp_path / "out" / "metrics.json").read_text())["against"]["genres"]
    ours, theirs = (
        {row["genre"]: float(row["ap"]) for row in read_csv(tmp_path / folder / "per_genre.csv")}
        for folder in ("out", "alone")
    )
    assert {row["genre"]: row["difference"] for row in genres} == pytest.approx(
        {name: ours[name] - theirs[name] for name in ours}, abs=1e-6
    )
    assert np.mean([row["difference"] for row in genres]) == pytest.approx(told["score"], abs=1e-6)
    assert [(row["ap"], row["other_ap"]) for row in genres] == [
        (pytest.approx(ours[name], abs=1e-6), pytest.approx(theirs[name], abs=1e-6)) for name in ours
    ]
    for row in genres:
        assert row["low"] <= row["difference"] <= row["high"]


def test_a_checkpoint_against_itself_may_be_chance(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(config(trained, tmp_path, against=str(trained.best)))
    assert "the difference in mAP may be chance" in capsys.readouterr().out


def test_checkpoints_of_different_splits_are_not_compared(
    trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    other = small_config(colour_posters, tmp_path / "fold1")
    other.data.fold, other.trainer.max_epochs = 1, 1
    fold1 = train(other).best
    with pytest.raises(CheckpointError, match="the two cannot be compared"):
        evaluate(config(trained, tmp_path, against=str(fold1)))
    with pytest.raises(CheckpointError, match="was trained beside other test posters"):
        evaluate(config(trained, tmp_path, checkpoint=[str(trained.best), str(fold1)]))


def test_the_folder_of_the_posters_may_be_named_in_two_ways(
    trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    """Once as it is, once by a way round: checkpoints of the same posters still stand together."""
    (tmp_path / "here").symlink_to(colour_posters)
    again = small_config(tmp_path / "here", tmp_path / "run")
    again.trainer.max_epochs = 1
    other = train(again).best
    evaluate(config(trained, tmp_path / "out", checkpoint=[str(trained.best), str(other)], against=str(other)))
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [row["genre"] for row in told["against"]["genres"]] == list(COLOURS)
    assert told["against"]["genres"][0]["difference"] == pytest.approx(
        told["genres"][0]["ap"] - told["against"]["genres"][0]["other_ap"], abs=1e-6
    )


def test_the_same_posters_in_another_order_do_not_stand_together(trained: Trained, tmp_path: Path) -> None:
    found = answer([trained.best], config(trained, tmp_path))
    assert found.on_posters_of(found)
    assert not found.on_posters_of(replace(found, paths=found.paths[::-1]))
    assert not found.on_posters_of(replace(found, paths=found.paths[1:]))


def test_an_ensemble_averages_logits(trained: Trained, tmp_path: Path) -> None:
    other = altered(trained, tmp_path / "other.ckpt", noise=0.5)
    paths = [trained.best, other]
    one, two, both = (answer(asked, config(trained, tmp_path)).logits for asked in (paths[:1], paths[1:], paths))
    assert not torch.allclose(one, two, atol=0.05)
    assert torch.allclose(both, (one + two) / 2, atol=1e-5)


def test_looking_twice_changes_answers_a_little(trained: Trained, tmp_path: Path) -> None:
    once, twice = (evaluate(config(trained, tmp_path, tta=tta)) for tta in ("none", "flip"))
    assert twice["bce"] != once["bce"]
    assert twice["map"] == pytest.approx(once["map"], abs=0.1)


def test_training_on_a_set_that_is_all_test_is_refused(colour_posters: Path, tmp_path: Path) -> None:
    asked = small_config(colour_posters, tmp_path)
    asked.data.split = "all"
    with pytest.raises(ConfigError, match=r"data\.split=all leaves nothing to train on"):
        TrainConfig(data=asked.data)


def test_kept_features_answer_for_the_frozen_layers(colour_posters: Path, tmp_path: Path) -> None:
    asked = small_config(colour_posters, tmp_path / "run")
    asked.model.freeze, asked.data.cache = "stage2", str(tmp_path / "cache")
    frozen = train(asked)
    kept = evaluate(config(frozen, tmp_path / "kept"))
    anew = evaluate(config(frozen, tmp_path / "anew", data=Place(cache=str(tmp_path / "empty"))))
    assert kept == pytest.approx(anew, abs=2e-3)


def test_a_report_and_a_card_are_written_unless_not_wanted(trained: Trained, tmp_path: Path) -> None:
    evaluate(config(trained, tmp_path / "with", report=True))
    evaluate(config(trained, tmp_path / "without"))
    tables = {"metrics.json", "per_genre.csv", "predictions.csv", "tensorboard"}
    assert {path.name for path in (tmp_path / "without").iterdir()} == tables
    assert {path.name for path in (tmp_path / "with").iterdir()} == tables | {"report.html", "MODEL_CARD.md"}


def test_checkpoints_are_named_by_path_pattern_or_list(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.ckpt").touch()
    a, b = tmp_path / "a.ckpt", tmp_path / "b.ckpt"
    assert find_checkpoints(str(a)) == [a]
    assert find_checkpoints(f"{tmp_path}/*.ckpt") == [a, b]
    assert find_checkpoints([str(b), str(a)]) == [b, a]
    with pytest.raises(CheckpointError, match="no checkpoint matches"):
        find_checkpoints(f"{tmp_path}/*.pth")
    for nonsense in (3, [], [""], None):
        with pytest.raises(ConfigError, match="checkpoint takes a file, a quoted pattern or"):
            find_checkpoints(nonsense)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"split": "some"}, "no split 'some'; known: auto, all"), ({"tta": "spin"}, "no tta 'spin'"),
     ({"num_resamples": 5}, "num_resamples must be at least 100"),
     ({"min_group": 0}, "min_group must be at least 1, not 0"),
     ({"groups": ["year", "year"]}, "groups names a column twice: year, year"),
     ({"genres": GenreMapping()}, "genres=… is for another poster set: say split=all data.root=FOLDER"),
     ({"home": "x", "split": "test"}, "home=… is for another poster set")],
)  # fmt: skip
def test_settings_that_cannot_work_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EvaluateConfig(checkpoint="x", **settings)
