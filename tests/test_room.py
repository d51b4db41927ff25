"""A disk that is full, a folder that takes nothing, a cache that disappears, memory that does not suffice."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conftest import ROOT, evaluate_config, no_room_for_files_beyond, read_csv, small_config
from postergenre.augment import Augment
from postergenre.classifier.contract import read_checkpoint
from postergenre.collecting import CollectConfig, collect
from postergenre.config import reported
from postergenre.errors import CheckpointError, ConfigError, DataError
from postergenre.evaluation import evaluate
from postergenre.hardware import memory_for, out_of_memory
from postergenre.inference import PredictConfig, predict
from postergenre.networks import PosterNetwork
from postergenre.training import TrainConfig, Trained, train

MakeConfig = Callable[[], TrainConfig]


def prediction(trained: Trained, colour_posters: Path, output: Path) -> PredictConfig:
    return PredictConfig(
        checkpoint=str(trained.best), posters=str(colour_posters / "Images"), output=str(output), gpus="0",
        precision="32", batch_size=16, output_dir=str(output.parent / "out"),
    )  # fmt: skip


def test_a_table_that_the_disk_cuts_short_is_continued_when_there_is_room(
    trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    asked = prediction(trained, colour_posters, tmp_path / "x.csv")
    with no_room_for_files_beyond(5_000), pytest.raises(DataError, match=r"^cannot write .*x.csv: File too large$"):
        predict(asked)
    assert (tmp_path / "x.csv").stat().st_size == 5_000  # ends within a row
    predict(asked)
    whole = prediction(trained, colour_posters, tmp_path / "whole.csv")
    predict(whole)
    assert [row["poster"] for row in read_csv(tmp_path / "x.csv")] == [
        row["poster"] for row in read_csv(tmp_path / "whole.csv")
    ]


def test_a_part_that_the_disk_does_not_take_leaves_no_draft(
    trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    asked = prediction(trained, colour_posters, tmp_path / "x.parquet")
    with (
        no_room_for_files_beyond(2_000),
        pytest.raises(DataError, match=r"^cannot write .*x.parquet.*: File too large$"),
    ):
        predict(asked)
    assert {path.name for path in (tmp_path / "x.parquet").iterdir()} <= {"_run.json", "._run.json.lock"}
    predict(asked)
    assert [path.name for path in (tmp_path / "x.parquet").glob("*.parquet")] == ["part-00000.parquet"]


def test_a_full_disk_ends_training_in_a_sentence_and_leaves_the_checkpoint_before(
    colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = colour_config()
    train(config)
    last = Path(config.output_dir) / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    config = colour_config()
    config.resume, config.trainer.max_epochs = str(last), 8
    with (
        no_room_for_files_beyond(300_000),
        pytest.raises(CheckpointError, match=r"^cannot write .*ckpt: File too large"),
    ):
        train(config, pictures=False)
    assert last.read_bytes() == before
    assert not list(last.parent.glob("*.draft"))
    assert read_checkpoint(train(config).last)[0]["epoch"] == 7


def test_a_report_that_does_not_fit_is_one_line(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = evaluate_config(trained.best, tmp_path / "scores", report=True)
    with no_room_for_files_beyond(20_000), pytest.raises(SystemExit), reported():
        evaluate(config)
    assert capsys.readouterr().err == "error: cannot read or write a file: File too large\n"


def test_a_collection_that_does_not_fit_is_one_line_and_goes_on(colour_posters: Path, tmp_path: Path) -> None:
    rows = ["image,genres", *(f"{colour_posters}/Images/c{n:03}.jpg,Red" for n in range(8))]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    config = CollectConfig(source="csv", path=str(tmp_path / "list.csv"), output=str(tmp_path / "set"))
    size = max(path.stat().st_size for path in (colour_posters / "Images").iterdir())
    with no_room_for_files_beyond(size - 200), pytest.raises(DataError, match=r"^cannot write .*: File too large$"):
        collect(config)
    collect(config)
    assert len(read_csv(tmp_path / "set" / "train.csv")) == 8


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["train", "evaluate", "predict"])
def test_an_output_folder_that_cannot_be_made_is_one_line(
    verb: str, trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    """Below a file nobody can make a folder, not even root, whom no mode keeps out."""
    (tmp_path / "file").write_text("")
    arguments = {
        "train": [f"data.root={colour_posters}", "model=tiny"],
        "evaluate": [f"checkpoint={trained.best}"],
        "predict": [f"checkpoint={trained.best}", f"posters={colour_posters / 'Images'}"],
    }[verb]
    command = [sys.executable, str(ROOT / "scripts" / f"{verb}.py"), *arguments, "output_dir=file/run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = "write" if verb == "predict" else "read or write"
    place = tmp_path / "file/run" if verb == "train" else "file/run"
    assert done.stderr == f"error: cannot {told} {place}: Not a directory\n"


def test_a_cache_that_is_deleted_while_it_is_used_changes_nothing(colour_posters: Path, tmp_path: Path) -> None:
    def config(folder: str) -> TrainConfig:
        made = small_config(colour_posters, tmp_path / folder)
        made.data.cache, made.model.freeze = str(tmp_path / "cache"), "stage2"
        made.augment, made.trainer.max_epochs = Augment(flip=0.5, views=2), 3
        return made

    def delete(epoch: int, score: float) -> bool:
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        return False

    weights = [read_checkpoint(train(config("whole")).last)[0]["state_dict"]]
    weights.append(read_checkpoint(train(config("deleted"), on_epoch=delete).last)[0]["state_dict"])
    assert not (tmp_path / "cache").exists()
    weights.append(read_checkpoint(train(config("again")).last)[0]["state_dict"])
    assert list((tmp_path / "cache" / "stores").glob("features-*.rows"))
    for other in weights[1:]:
        assert all(torch.equal(other[name], value) for name, value in weights[0].items())


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A network that fits four posters into memory and says otherwise what CUDA says."""
    forward = PosterNetwork.forward

    def forward_few(self: PosterNetwork, images: Tensor) -> Tensor:
        if len(images) > 4:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of …"
            )
        return forward(self, images)

    with monkeypatch.context() as patched:
        patched.setattr(PosterNetwork, "forward", forward_few)
        yield


@pytest.mark.usefixtures("small_gpu")
def test_training_beyond_the_memory_names_the_batch_size_to_try(colour_config: MakeConfig) -> None:
    told = (
        r"^out of memory: data.batch_size=16 is too much for this device; try data.batch_size=8, with "
        r"trainer.accumulate_grad_batches=2 for the same steps, or smaller pictures$"
    )
    with pytest.raises(ConfigError, match=told):
        train(colour_config())
    config = colour_config()
    config.data.batch_size, config.trainer.max_epochs = 4, 1
    train(config)


@pytest.mark.usefixtures("small_gpu")
def test_prediction_and_evaluation_beyond_the_memory_name_the_batch_size_to_try(
    trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigError, match=r"^out of memory: batch_size=16 is too much for this device; try batch_size=8$"
    ):
        predict(prediction(trained, colour_posters, tmp_path / "x.csv"))
    with pytest.raises(ConfigError, match=r"^out of memory: data.batch_size=16 is .*; try data.batch_size=8$"):
        evaluate(evaluate_config(trained.best, tmp_path / "scores"))


def test_what_torch_says_of_too_little_main_memory_is_understood() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 58, dtype=torch.uint8)
    assert out_of_memory(refused.value)
    with (
        pytest.raises(ConfigError, match=r"^out of memory: n=1 .*; try smaller pictures or a smaller network$"),
        memory_for("n", 1),
    ):
        raise MemoryError
    with pytest.raises(RuntimeError, match="ours"), memory_for("n", 1):
        raise RuntimeError("ours")


def test_features_for_which_the_memory_does_not_suffice_are_not_kept(
    colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = PosterNetwork.prefix

    def prefix_few(self: PosterNetwork, images: Tensor) -> Any:
        if len(images) > 16:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return prefix(self, images)

    monkeypatch.setattr(PosterNetwork, "prefix", prefix_few)
    config = colour_config()
    config.model.freeze, config.trainer.max_epochs, config.data.cache = "stage2", 1, f"{config.output_dir}-cache"
    train(config)
    printed = " ".join(capsys.readouterr().out.split())
    assert "the frozen layers run in every step: the device has not enough memory for 64 posters at once" in printed
