import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import COLOURS, read_csv, small_config
from postergenre.crossvalidation import CrossvalidateConfig, crossvalidate
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
