"""Several processes are as good as one. On a CPU they talk over gloo; where there are GPUs, over NCCL too."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from conftest import ROOT, evaluate_config, small_config
from postergenre.augment import Augment
from postergenre.classifier.contract import read_checkpoint
from postergenre.config import one_of_many
from postergenre.errors import ConfigError
from postergenre.evaluation import evaluate
from postergenre.hardware import Hardware
from postergenre.training import TrainConfig, Trained, TrainerConfig, train
from postergenre.training.ranks import Ranks, launched, num_processes

MakeConfig = Callable[[], TrainConfig]
CPU = Hardware(device=torch.device("cpu"), precision="32")
SMALL = [
    "model=tiny", "data.workers=0", "data.min_positives=5", "data.batch_size=16", "preprocess.height=32",
    "preprocess.width=24", "trainer.gpus=0", "trainer.precision=32",
]  # fmt: skip


def state(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = read_checkpoint(path)[0]["state_dict"]
    return weights


def assert_close(ours: Path, theirs: Path, *, tolerance: float) -> None:
    one, other = state(ours), state(theirs)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.allclose(value, other[name], atol=tolerance), f"{name}: {(value - other[name]).abs().max()}"


def assert_scored_as_by_one(trained: Trained, folder: Path) -> None:
    """What several processes said about the validation posters is what one says."""
    assert evaluate(evaluate_config(trained.best, folder, split="val")) == pytest.approx(trained.scores, abs=1e-6)


# Two steps on the same posters, from the same weights: the gradient of 30 posters is the mean of those of its parts.


def two_steps(root: Path, output: Path, processes: int) -> Trained:
    config = small_config(root, output)
    config.model.freeze, config.model.dropout = "backbone", 0.0  # batch norms would see other batches
    config.trainer.max_epochs, config.trainer.limit_train_batches = 1, 2
    config.data.batch_size, config.trainer.processes = 30 // processes, str(processes)
    return train(config)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_take_the_steps_of_one_and_score_as_it_does(
    colour_posters: Path, tmp_path: Path, processes: int
) -> None:
    alone = two_steps(colour_posters, tmp_path / "alone", 1)
    together = two_steps(colour_posters, tmp_path / "together", processes)
    assert_close(together.last, alone.last, tolerance=1e-5)
    ours, theirs = read_checkpoint(together.last)[0], read_checkpoint(alone.last)[0]
    assert ours.keys() == theirs.keys()
    assert together.scores["num_posters"] == 16  # which three do not divide
    assert together.scores.keys() == alone.scores.keys()
    assert_scored_as_by_one(together, tmp_path / "scores")
    assert json.loads((tmp_path / "together" / "scores.json").read_text()) == together.scores
    assert len(list((colour_posters / "cache" / "stores").glob("*.draft"))) == 0


@pytest.mark.slow
def test_two_processes_resume_bit_for_bit_and_one_goes_on_alone(colour_posters: Path, tmp_path: Path) -> None:
    def noisy(name: str, processes: int) -> TrainConfig:
        config = small_config(colour_posters, tmp_path / name)
        config.augment, config.model.dropout = Augment(flip=0.5, colour=0.2, mixup=0.4), 0.5
        config.optim.ema, config.trainer.max_epochs = 0.9, 5
        config.trainer.processes = str(processes)
        return config

    whole = train(noisy("whole", 2))
    assert read_checkpoint(whole.best)[1].provenance["epoch"] < 4, "nothing left to resume"
    assert_scored_as_by_one(whole, tmp_path / "scores")
    config = noisy("resumed", 2)
    config.resume = str(whole.best)
    assert_close(train(config).last, whole.last, tolerance=0)
    config = noisy("alone", 1)
    config.resume, config.trainer.max_epochs = str(whole.last), 6
    alone = train(config)
    assert read_checkpoint(alone.last)[0]["epoch"] == 5
    assert state(alone.last).keys() == state(whole.last).keys()


@pytest.mark.slow
def test_one_process_resumes_into_two_whole_or_in_shares_and_back(
    trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    lasts = []
    for strategy in ("ddp", "fsdp"):
        config = small_config(colour_posters, tmp_path / strategy)
        config.trainer.processes, config.trainer.strategy = "2", strategy
        config.resume, config.trainer.max_epochs = str(trained.last), 7
        resumed = train(config)
        lasts.append(resumed.last)
        assert read_checkpoint(resumed.last)[0].keys() == read_checkpoint(trained.last)[0].keys()
        epochs = pd.read_csv(tmp_path / strategy / "metrics.csv")
        assert epochs.dropna(subset="val/map")["epoch"].tolist() == [*range(7)]
        config = small_config(colour_posters, tmp_path / f"{strategy}-back")
        config.resume, config.trainer.max_epochs = str(resumed.last), 8
        back = train(config)
        lasts.append(back.last)
    ddp, ddp_back, fsdp, fsdp_back = lasts
    assert_close(ddp, fsdp, tolerance=1e-5)
    assert_close(ddp_back, fsdp_back, tolerance=1e-4)  # with the moments of other weights, they would part
    layouts = [{name: value.stride() for name, value in state(path).items()} for path in (ddp, fsdp)]
    assert layouts[0] == layouts[1]


@pytest.mark.slow
def test_a_loss_that_explodes_in_one_of_two_processes_is_told_in_a_sentence(colour_config: MakeConfig) -> None:
    config = colour_config()
    config.optim.lr, config.trainer.processes = 1e30, "2"
    with pytest.raises(ConfigError, match=r"^the loss became .* at step \d+: lower optim.lr"):
        train(config)


def start(*command: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command], cwd=cwd, env=os.environ | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ranks_of(process: int) -> list[int]:
    """Return the processes that a training process started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes where Linux lists them")
def test_a_process_that_dies_ends_the_run_with_a_message(colour_posters: Path, tmp_path: Path) -> None:
    run = start(
        str(ROOT / "scripts" / "train.py"), f"data.root={colour_posters}", f"data.cache={tmp_path}", *SMALL,
        "trainer.processes=2", "trainer.max_epochs=100000", cwd=tmp_path,
    )  # fmt: skip
    try:
        assert run.stdout is not None
        while not run.stdout.readline().startswith("epoch"):
            assert run.poll() is None, run.communicate()
        ranks = ranks_of(run.pid)
        assert len(ranks) == 2
        os.kill(ranks[1], signal.SIGKILL)
        killed = time.monotonic()
        _, errors = run.communicate(timeout=60)
        assert time.monotonic() - killed < 30
    finally:
        run.kill()
    assert run.returncode == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: process 2 of 2 was killed by SIGKILL, and with it the run; the checkpoints of")
    assert "Traceback" not in errors
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)
    assert len(list((tmp_path / "outputs" / "train").iterdir())) == 1


@pytest.mark.slow
def test_two_machines_rehearsed_by_two_agents_write_one_folder(colour_posters: Path, tmp_path: Path) -> None:
    nodes = [
        start(
            "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(node), "--nproc-per-node", "1",
            "--master-addr", "127.0.0.1", "--master-port", str(free_port), str(ROOT / "scripts" / "train.py"),
            f"data.root={colour_posters}", *SMALL, f"data.cache={tmp_path / f'cache{node}'}", "trainer.num_nodes=2",
            "trainer.max_epochs=1", cwd=tmp_path,
        )
        for free_port in [port()]
        for node in (0, 1)
    ]  # fmt: skip
    try:
        told = [node.communicate(timeout=300) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert [node.returncode for node in nodes] == [0, 0], told
    assert "2 processes on 2 machines" in told[0][0]
    assert told[1][0] == ""
    (folder,) = (tmp_path / "outputs" / "train").iterdir()
    assert (folder / ".hydra" / "config.yaml").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"outputs", "cache0", "cache1"}
    scores = json.loads((folder / "scores.json").read_text())
    assert evaluate(
        evaluate_config(folder / "checkpoints" / "best.ckpt", tmp_path / "scores", split="val")
    ) == pytest.approx(scores, abs=1e-6)


def port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
}  # fmt: skip
SRUN = {
    "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "2", "SLURM_PROCID": "3", "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1", "SLURM_JOB_NAME": "posters",
}  # fmt: skip


@pytest.mark.parametrize("environment", [TORCHRUN, SRUN])
def test_the_place_of_a_process_is_read_as_torchrun_and_srun_write_it(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert launched() is None
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ranks = launched()
    assert ranks is not None
    assert (ranks.rank, ranks.num_ranks, ranks.local_rank, ranks.num_local, ranks.num_nodes) == (3, 4, 1, 2, 2)
    monkeypatch.setattr(sys, "argv", ["train.py", "seed=1"])
    one_of_many()
    assert sys.argv == ["train.py", "seed=1", "hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=stdout"]
    monkeypatch.setattr(sys, "argv", ["train.py", "-m"])
    with pytest.raises(SystemExit, match="1"):
        one_of_many()
    assert capsys.readouterr().err.startswith("error: a sweep starts the processes of its runs itself")


def test_srun_without_tasks_per_node_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SRUN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(ConfigError, match="--ntasks-per-node=4"):
        launched()


@pytest.mark.parametrize(
    ("settings", "ranks", "message"),
    [
        ({"num_nodes": 2}, None, "trainer.num_nodes=2 needs a process on every machine: start it there with torchrun"),
        ({"processes": "4", "num_nodes": 2}, (4, 2), r"trainer.processes=4, but 2 process.* write trainer.processes=2"),
        ({}, (4, 2), r"trainer.num_nodes=1, but processes were started on 2 machine.* write trainer.num_nodes=2"),
        ({"strategy": "fsdp"}, None, "divides the weights among processes, and there is one: write ddp"),
    ],
)
def test_settings_that_disagree_with_what_runs_are_told(
    settings: dict[str, Any], ranks: tuple[int, int] | None, message: str
) -> None:
    place = None if ranks is None else Ranks(num_ranks=ranks[0], num_local=ranks[1])
    with pytest.raises(ConfigError, match=message):
        num_processes(TrainerConfig(**settings), CPU, place)


def test_processes_are_for_the_cpu() -> None:
    gpu = Hardware(device=torch.device("cuda"), precision="32")
    with pytest.raises(ConfigError, match=r"trainer.processes=2 counts processes on the CPU"):
        num_processes(TrainerConfig(processes="2"), gpu, None)
    assert num_processes(TrainerConfig(gpus="4"), gpu, None) == 4
    assert num_processes(TrainerConfig(processes="3"), CPU, None) == 3
    assert num_processes(TrainerConfig(num_nodes=2), CPU, Ranks(num_ranks=8, num_local=4)) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "horovod"}, "no trainer.strategy 'horovod'; known: auto, ddp, fsdp"),
        ({"processes": "0"}, "trainer.processes takes auto or a number from 1, not '0'"),
        ({"num_nodes": 0}, "trainer.num_nodes must be at least 1, not 0"),
    ],
)
def test_settings_that_mean_nothing_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainerConfig(**settings)


def test_what_needs_whole_weights_is_not_shared(colour_config: MakeConfig) -> None:
    config = colour_config()
    config.trainer.strategy, config.optim.ema = "fsdp", 0.9
    with pytest.raises(ConfigError, match=r"optim\.ema needs the weights whole: .* trainer\.strategy=ddp"):
        config.__post_init__()


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_gpus_score_as_one_and_go_on_alone(colour_posters: Path, tmp_path: Path, strategy: str) -> None:
    config = small_config(colour_posters, tmp_path / "two")
    config.trainer.gpus, config.trainer.strategy, config.trainer.max_epochs = "2", strategy, 3
    two = train(config)
    assert two.score > 0.9
    scores = evaluate(evaluate_config(two.best, tmp_path / "scores", split="val", gpus="1"))  # float32 on both
    assert scores == pytest.approx(two.scores, abs=1e-4)
    config = small_config(colour_posters, tmp_path / "one")
    config.trainer.gpus, config.resume, config.trainer.max_epochs = "1", str(two.last), 4
    assert state(train(config).last).keys() == state(two.last).keys()
