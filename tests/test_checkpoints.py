"""How checkpoints reach the disk."""

import zipfile
from pathlib import Path

import pytest
import torch
from rich.console import Console

from conftest import no_room_for_files_beyond
from postergenre.classifier.contract import read_checkpoint
from postergenre.errors import CheckpointError
from postergenre.hardware import choose_hardware
from postergenre.training import TrainerConfig
from postergenre.training.checkpoints import WholeFiles
from postergenre.training.run import build_trainer

SMALL, LARGE = {"weights": torch.ones(10)}, {"weights": torch.zeros(100_000)}


def held(path: Path) -> torch.Tensor:
    weights: torch.Tensor = torch.load(path, weights_only=True)["weights"]
    return weights


def test_training_writes_its_checkpoints_whole(tmp_path: Path) -> None:
    trainer = build_trainer(TrainerConfig(), choose_hardware("0", "32"), tmp_path, [], Console(quiet=True))
    assert isinstance(trainer.strategy.checkpoint_io, WholeFiles)


def test_a_checkpoint_replaces_the_one_before(tmp_path: Path) -> None:
    place = tmp_path / "made" / "best.ckpt"
    for checkpoint in (SMALL, LARGE):
        WholeFiles().save_checkpoint(checkpoint, place)
        assert torch.equal(held(place), checkpoint["weights"])
    assert [path.name for path in place.parent.iterdir()] == ["best.ckpt"]


def test_where_the_disk_takes_no_more_the_checkpoint_before_is_unharmed(tmp_path: Path) -> None:
    place = tmp_path / "best.ckpt"
    WholeFiles().save_checkpoint(SMALL, place)
    with no_room_for_files_beyond(50_000), pytest.raises(CheckpointError, match=r"cannot write .*best.ckpt: File too"):
        WholeFiles().save_checkpoint(LARGE, place)
    assert torch.equal(held(place), SMALL["weights"])
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]


def test_a_write_that_is_interrupted_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    class Interrupts:
        def __reduce__(self) -> str:
            raise KeyboardInterrupt

    place = tmp_path / "best.ckpt"
    WholeFiles().save_checkpoint(SMALL, place)
    with pytest.raises(KeyboardInterrupt):
        WholeFiles().save_checkpoint({"weights": torch.zeros(9), "then": Interrupts()}, place)
    assert torch.equal(held(place), SMALL["weights"])
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]


def test_what_cannot_be_saved_is_a_bug_and_no_full_disk(tmp_path: Path) -> None:
    class Broken:
        def __reduce__(self) -> str:
            raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        WholeFiles().save_checkpoint({"broken": Broken()}, tmp_path / "best.ckpt")
    assert not list(tmp_path.iterdir())


def test_a_pickle_that_torch_does_not_foresee_is_refused(tmp_path: Path) -> None:
    """Found by fuzzing: a persistent id that is a number raised ``AssertionError`` within torch."""
    whole, broken = tmp_path / "whole.ckpt", tmp_path / "broken.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(1)}}, whole)
    with zipfile.ZipFile(whole) as read, zipfile.ZipFile(broken, "w") as made:
        for name in read.namelist():
            made.writestr(name, b"\x80\x02K\x01Q." if name.endswith("data.pkl") else read.read(name))
    with pytest.raises(CheckpointError, match="is not a checkpoint that can be used"):
        read_checkpoint(broken)
