"""Sweeps: what is tried, what is counted, and what survives."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, read_csv, small_config
from postergenre.errors import ConfigError, DataError
from postergenre.sweeping import SweepConfig, sweep
from postergenre.sweeping.space import read_space, with_settings
from postergenre.sweeping.workers import Worker
from postergenre.training import TrainConfig, train

optuna = pytest.importorskip("optuna")
LR = {"optim": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}}}


def config(root: Path, output: Path, **settings: Any) -> SweepConfig:
    base = small_config(root, output)
    base.trainer.max_epochs = 1
    given: dict[str, Any] = {name: getattr(base, name) for name in TrainConfig.__dataclass_fields__}
    return SweepConfig(**given | {"space": LR, "trials": 2} | settings)


def study_of(output: Path, name: str = "sweep") -> Any:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{output / 'study.db'}")


def states(output: Path) -> list[str]:
    return [trial.state.name for trial in study_of(output).trials]


@pytest.mark.slow
def test_each_trial_trains_with_its_settings_and_the_best_can_be_repeated(
    colour_posters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = config(
        colour_posters, tmp_path, trials=3, space=LR | {"model": {"hidden": {"choices": [0, 8]}, "dropout": None}}
    )
    best = sweep(asked, overrides=["data.root=here"])
    rows = read_csv(tmp_path / "sweep.csv")
    scores = [float(row["val/map"]) for row in rows]
    assert [row["status"] for row in rows] == ["finished"] * 3
    assert scores == sorted(scores, reverse=True)
    for row in rows:  # what it says is what was done
        folder = tmp_path / "trials" / f"{int(row['trial']):03}"
        assert json.loads((folder / "scores.json").read_text())["map"] == pytest.approx(float(row["val/map"]))
    assert (
        best.command
        == f"python scripts/train.py data.root=here {' '.join(f'{k}={v}' for k, v in best.settings.items())}"
    )
    assert json.loads((tmp_path / "best.json").read_text())["settings"] == best.settings
    assert best.command in capsys.readouterr().out
    again = train(with_settings(asked.training(output_dir=str(tmp_path / "again")), best.settings))
    assert again.score == pytest.approx(best.score, abs=1e-6)


@pytest.mark.slow
def test_only_the_best_keep_their_checkpoints(colour_posters: Path, tmp_path: Path) -> None:
    best = sweep(config(colour_posters, tmp_path, trials=3))
    assert {path.parents[1] for path in tmp_path.glob("trials/*/checkpoints/*.ckpt")} == {best.folder}


@pytest.mark.slow
def test_a_study_goes_on_as_if_it_had_never_stopped(colour_posters: Path, tmp_path: Path) -> None:
    sweep(config(colour_posters, tmp_path / "whole", trials=4, space=LR))
    sweep(config(colour_posters, tmp_path / "parts", trials=2, space=LR))
    sweep(config(colour_posters, tmp_path / "parts", trials=4, space=LR))
    whole, parts = (
        [(trial.params, trial.value) for trial in study_of(tmp_path / name).trials] for name in ("whole", "parts")
    )
    assert parts == whole
    assert len({trial["optim.lr"] for trial, _ in whole}) == 4


@pytest.mark.slow
def test_trials_that_diverge_are_recorded_with_their_sentence_and_the_others_go_on(
    colour_posters: Path, tmp_path: Path
) -> None:
    space = {"optim": {"lr": {"choices": [1e-2, 1e30]}}}
    best = sweep(config(colour_posters, tmp_path, trials=6, space=space))
    assert best.settings == {"optim.lr": 1e-2}
    rows = read_csv(tmp_path / "sweep.csv")
    assert {(row["status"], float(row["optim.lr"])) for row in rows} == {("finished", 1e-2), ("failed", 1e30)}
    failed = next(row for row in rows if row["status"] == "failed")
    assert "became" in failed["error"] or "numbers that are none" in failed["error"]
    assert "Traceback" in (tmp_path / "trials" / f"{int(failed['trial']):03}" / "train.log").read_text()
    assert sorted(states(tmp_path)) == ["COMPLETE"] * (6 - states(tmp_path).count("FAIL")) + ["FAIL"] * states(
        tmp_path
    ).count("FAIL")


@pytest.mark.slow
def test_a_sweep_in_which_everything_fails_says_why_and_stops_early(colour_posters: Path, tmp_path: Path) -> None:
    space = {"optim": {"lr": {"low": 1e30, "high": 1e31}}}
    with pytest.raises(ConfigError, match="no trial of study sweep came to its end; one said: "):
        sweep(config(colour_posters, tmp_path / "few", trials=2, space=space))
    with pytest.raises(ConfigError, match="the last trials here all failed, one after the other; the last said: "):
        sweep(config(colour_posters, tmp_path / "many", trials=99, space=space))
    assert states(tmp_path / "many") == ["FAIL"] * 10


@pytest.mark.slow
def test_a_trial_that_falls_behind_is_pruned_and_keeps_its_scores(colour_posters: Path, tmp_path: Path) -> None:
    asked = config(colour_posters, tmp_path, trials=16, space={"optim": {"lr": {"choices": [1e-2, 1e-9]}}})
    asked.trainer.max_epochs = 4
    best = sweep(asked)
    assert best.settings == {"optim.lr": 1e-2}
    pruned = [row for row in read_csv(tmp_path / "sweep.csv") if row["status"] == "pruned"]
    assert pruned
    assert {float(row["optim.lr"]) for row in pruned} == {1e-9}
    assert {int(row["epochs"]) for row in pruned} < {1, 2, 3}
    assert all(0 < float(row["val/map"]) < best.score for row in pruned)
    assert (tmp_path / "history.png").stat().st_size > 5000
    assert (tmp_path / "importance.png").stat().st_size > 3000


@pytest.mark.slow
def test_a_study_of_other_settings_or_posters_is_refused(colour_posters: Path, tmp_path: Path) -> None:
    sweep(config(colour_posters, tmp_path, trials=1))
    other = config(colour_posters, tmp_path, trials=1)
    other.optim.weight_decay = 0.5
    with pytest.raises(
        ConfigError, match=r"study sweep was begun with other settings \(optim.weight_decay was 0.0, now 0.5\); give"
    ):
        sweep(other)
    other = config(colour_posters, tmp_path, trials=1)
    other.data.fold = 1
    with pytest.raises(ConfigError, match=r"data\.fold was 0, now 1; posters was "):
        sweep(other)
    with pytest.raises(ConfigError, match=r"space\.optim\.lr\.high was 0\.1, now 0\.2"):
        sweep(config(colour_posters, tmp_path, space={"optim": {"lr": {"low": 1e-4, "high": 0.2, "log": True}}}))
    moved = config(colour_posters, tmp_path, trials=1)
    moved.data.workers = 1
    assert sweep(moved).number == 0  # where and how fast does not matter


def test_somebody_elses_study_is_left_alone(colour_posters: Path, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'theirs.db'}"
    optuna.create_study(study_name="sweep", storage=storage).enqueue_trial({"lr": 1})
    with pytest.raises(
        ConfigError, match=r"study sweep in sqlite:.*theirs.db is none of ours; give another study=NAME"
    ):
        sweep(config(colour_posters, tmp_path / "run", storage=storage))


def test_a_storage_that_cannot_be_used_is_one_sentence_without_its_password(
    colour_posters: Path, tmp_path: Path
) -> None:
    for storage in (f"sqlite:///{tmp_path}/nowhere/study.db", "postgresql://me:secret@nowhere/db", "ftp://me:secret@x"):
        with pytest.raises(ConfigError, match=r"storage=.* cannot be used: ") as caught:
            sweep(config(colour_posters, tmp_path, storage=storage))
        assert "secret" not in str(caught.value)


def test_posters_that_are_not_there_cost_no_trial(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no posters at"):
        sweep(config(tmp_path / "nowhere", tmp_path))
    assert not (tmp_path / "study.db").exists()


@pytest.mark.slow
def test_a_journal_file_serves_as_storage(colour_posters: Path, tmp_path: Path) -> None:
    storage = str(tmp_path / "study.journal")
    sweep(config(colour_posters, tmp_path / "run", storage=storage, trials=1))
    sweep(config(colour_posters, tmp_path / "run", storage=storage, trials=2))
    assert [row["status"] for row in read_csv(tmp_path / "run" / "sweep.csv")] == ["finished"] * 2


def lost_trial(output: Path, **attributes: Any) -> int:
    """Leave what a killed worker leaves: a running trial, and a lock that nobody holds. Returns the trial's number."""
    trial = study_of(output).ask()
    trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)
    for name, value in ({"worker": "gone"} | attributes).items():
        trial.set_user_attr(name, value)
    (output / "workers").mkdir(exist_ok=True)
    (output / "workers" / "gone.lock").touch()
    return int(trial.number)


@pytest.mark.slow
def test_a_dead_workers_trial_is_tried_again_with_its_settings(colour_posters: Path, tmp_path: Path) -> None:
    sweep(config(colour_posters, tmp_path, trials=1))
    lost = lost_trial(tmp_path)
    sweep(config(colour_posters, tmp_path, trials=2))
    trials = study_of(tmp_path).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials[2].params == trials[lost].params
    assert {row["trial"]: row["status"] for row in read_csv(tmp_path / "sweep.csv")} == {
        "0": "finished", "1": "repeated", "2": "finished",
    }  # fmt: skip
    assert not list((tmp_path / "workers").iterdir())


@pytest.mark.slow
def test_what_a_dead_worker_had_finished_is_not_lost(colour_posters: Path, tmp_path: Path) -> None:
    sweep(config(colour_posters, tmp_path, trials=1))
    for number, attributes in ((1, {}), (2, {"pruned": True})):
        assert lost_trial(tmp_path, **attributes) == number
        (tmp_path / "trials" / f"00{number}").mkdir()
        (tmp_path / "trials" / f"00{number}" / "scores.json").write_text('{"map": 0.25}')
    sweep(config(colour_posters, tmp_path, trials=3))
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert study_of(tmp_path).trials[1].value == 0.25


@pytest.mark.slow
def test_settings_that_kill_worker_after_worker_are_given_up(colour_posters: Path, tmp_path: Path) -> None:
    sweep(config(colour_posters, tmp_path, trials=1))
    lost_trial(tmp_path, attempt=3)
    sweep(config(colour_posters, tmp_path, trials=2))
    assert states(tmp_path) == ["COMPLETE", "FAIL"]
    (failed,) = [row for row in read_csv(tmp_path / "sweep.csv") if row["status"] == "failed"]
    assert failed["error"] == "its worker died"


@pytest.mark.slow
def test_a_living_workers_trial_is_left_alone_and_counts(colour_posters: Path, tmp_path: Path) -> None:
    sweep(config(colour_posters, tmp_path, trials=1))
    code = (
        "import sys, pathlib; from postergenre.sweeping.workers import Worker\n"
        "worker = Worker(pathlib.Path(sys.argv[1])).__enter__(); print(worker.name, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "workers")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        lost_trial(tmp_path, worker=other.stdout.readline().strip())
        sweep(config(colour_posters, tmp_path, trials=2))
        assert states(tmp_path) == ["COMPLETE", "RUNNING"]
        other.kill()
    sweep(config(colour_posters, tmp_path, trials=2))
    assert states(tmp_path) == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_worker_knows_who_lives(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        (tmp_path / "gone.lock").touch()
        assert (worker.lives(worker.name), worker.lives("gone"), worker.lives("elsewhere")) == (True, False, None)
        assert worker.dead() == ["gone"]
        worker.bury("gone")
        assert worker.dead() == []
    assert not list(tmp_path.iterdir())


SCRIPT = [
    "model=tiny", "~sweep", "study=colours", "+space.optim.lr={low: 1e-4, high: 1e-1, log: true}",
    "+space.model.hidden.choices=[0,8,16]", "data.workers=0", "data.min_positives=5", "data.batch_size=16",
    "preprocess.height=32", "preprocess.width=24", "trainer.max_epochs=2", "trainer.gpus=0", "trainer.precision=32",
    "hydra.run.dir=study",
]  # fmt: skip


def start(root: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "scripts" / "sweep.py"), f"data.root={root}", f"data.cache={root / 'cache'}"]
    return subprocess.Popen(
        [*command, *SCRIPT, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so would all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(folder: Path, workers: list[subprocess.Popen[str]], *, ended: int) -> None:
    """Wait until so many trials have scores, and all of the workers are in the middle of one."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        done = len(list(folder.glob("study/trials/*/scores.json")))
        begun = len(list(folder.glob("study/trials/*/splits.csv")))
        if done >= ended and begun - done >= len(workers):
            return
        if told := [worker.communicate() for worker in workers if worker.poll() is not None]:
            pytest.fail(f"a worker ended too early: {told}")
        time.sleep(0.02)
    pytest.fail(f"{ended} trials did not end in time")


def finished(folder: Path) -> Mapping[int, tuple[dict[str, Any], float]]:
    trials = study_of(folder / "study", "colours").trials
    return {trial.number: (trial.params, trial.value) for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")}


@pytest.mark.slow
def test_twenty_trials_survive_kill_9_of_two_workers(colour_posters: Path, tmp_path: Path) -> None:
    first, second = (start(colour_posters, tmp_path, "trials=20") for _ in range(2))
    wait_for(tmp_path, [first, second], ended=5)
    first.kill()  # SIGKILL
    wait_for(tmp_path, [second], ended=9)
    second.kill()
    for worker in (first, second):
        worker.communicate()
        assert worker.returncode == -signal.SIGKILL
    before = finished(tmp_path)
    assert 5 <= len(before) < 20
    resumed = start(colour_posters, tmp_path, "trials=20")
    told, problems = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, told + problems
    after = finished(tmp_path)
    assert len(after) == 20
    assert {number: after[number] for number in before} == before  # nothing lost, nothing changed
    trials = study_of(tmp_path / "study", "colours").trials
    assert [trial.number for trial in trials] == list(range(len(trials)))
    lost = {trial.number for trial in trials} - set(after)
    repeats = {trial.user_attrs["repeats"]: trial for trial in trials if "repeats" in trial.user_attrs}
    assert len(lost) <= 2
    assert set(repeats) == lost
    assert all(trials[number].params == repeats[number].params for number in lost if trials[number].params)
    settings = [tuple(trial.params.values()) for trial in trials if trial.number not in lost]
    assert len(set(settings)) == 20  # two workers did not try the same
    rows = read_csv(tmp_path / "study" / "sweep.csv")
    assert sum(row["status"] in ("finished", "pruned") for row in rows) == 20
    assert f"the best again: python scripts/train.py data.root={colour_posters}" in told
    assert "study=colours" not in told.split("the best again: ")[1]


@pytest.mark.slow
def test_ctrl_c_gives_the_trial_back(colour_posters: Path, tmp_path: Path) -> None:
    worker = start(colour_posters, tmp_path, "trials=5", "trainer.max_epochs=500")
    wait_for(tmp_path, [worker], ended=0)
    time.sleep(1)
    worker.send_signal(signal.SIGINT)
    _, errors = worker.communicate(timeout=120)
    assert worker.returncode == 130
    assert errors.startswith("error: stopped; the trial is given back, and the same command goes on with the study in ")
    assert errors.count("\n") == 1
    trials = study_of(tmp_path / "study", "colours").trials
    assert [trial.state.name for trial in trials] == ["FAIL", "WAITING"]
    assert trials[1].user_attrs == {"repeats": 0, "attempt": 1}
    assert not list((tmp_path / "study" / "workers").iterdir())


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "nothing to search: sweep=NAME takes a space from conf/sweep/"),
        ({"optim": {"rate": {"low": 1, "high": 2}}}, "space.optim.rate: there is no such setting; known: optim.name"),
        ({"optimiser": {"lr": {"low": 1, "high": 2}}}, "space.optimiser.lr: there is no such setting"),
        ({"optim": {"lr": 1e-3}}, r"space.optim.lr takes \{low: …, high: …\} or \{choices: \[…\]\}, not 0.001"),
        ({"optim": {"lr": {"low": 1e-3}}}, "space.optim.lr takes low and high, or choices"),
        ({"optim": {"lr": {"low": 1, "high": 1}}}, "space.optim.lr.low must be below high, not 1.0 and 1.0"),
        ({"optim": {"lr": {"low": 0, "high": 1, "log": True}}}, "space.optim.lr.low must be above 0 with log"),
        ({"optim": {"lr": {"low": 1, "high": 2, "max": 3}}}, "space.optim.lr has no max; known: low, high, log"),
        ({"optim": {"lr": {"low": "a", "high": 2}}}, "space.optim.lr takes values of type float, not 'a'"),
        ({"optim": {"lr": {"low": 0.1, "high": 0.3, "step": 0.1}}}, "space.optim.lr.step is for whole numbers"),
        ({"optim": {"betas": {"choices": [1]}}}, "space.optim.betas: not a number, a name or yes and no"),
        ({"optim": {"name": {"low": 1, "high": 2}}}, "space.optim.name is no number: give it choices"),
        ({"optim": {"name": {"choices": ["adam", "sgd"]}}}, "space.optim.name=sgd: no optim.name 'sgd'; known: adam"),
        ({"model": {"dropout": {"low": 0, "high": 1}}}, "space.model.dropout=1.0: model.dropout must lie in 0 … 1"),
        ({"model": {"hidden": {"low": 8, "high": 32, "step": 5}}}, "space.model.hidden.step .* divides high - low"),
        ({"model": {"hidden": {"low": 0.5, "high": 4}}}, "space.model.hidden takes values of type int, not 0.5"),
        ({"model": {"hidden": {"choices": []}}}, "space.model.hidden.choices takes a list of values"),
        ({"model": {"hidden": {"choices": [1, 1]}}}, "space.model.hidden.choices names a value twice"),
        ({"loss": {"settings": {"gamma": {"low": 1, "high": 2}}}}, "space.loss.settings.gamma=1.0: loss 'bce' has no"),
        ({"data": {"fold": {"choices": [0, 1]}}}, "space.data.fold: trials that differ in it cannot be compared"),
    ],
)  # fmt: skip
def test_a_space_that_cannot_be_searched_is_told_before_anything_trains(
    space: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_space(space, small_config(tmp_path, tmp_path))


def test_settings_reach_into_every_part_of_the_config(tmp_path: Path) -> None:
    base = small_config(tmp_path, tmp_path)
    settings = {"loss.name": "focal", "loss.settings.gamma": 1.5, "optim.lr": 0.5, "seed": 3, "data.batch_size": 8}
    changed = with_settings(base, settings)
    assert (changed.loss.name, changed.loss.settings, changed.optim.lr) == ("focal", {"gamma": 1.5}, 0.5)
    assert (changed.seed, changed.data.batch_size, base.seed, base.optim.lr) == (3, 8, 0, 3e-3)
    space = {"optim": {"lr": {"low": 1, "high": 2}}, "model": {"hidden": {"low": 0, "high": 64, "step": 32},
             "standardize": {"choices": [True, False]}}, "seed": {"low": 0, "high": 9}}  # fmt: skip
    kinds = {dimension.key: dimension.kind for dimension in read_space(space, base)}
    assert kinds == {"model.hidden": int, "model.standardize": bool, "optim.lr": float, "seed": int}


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"study": "../x"}, "study names a folder"), ({"study": ".."}, "study names a folder"),
     ({"trials": 0}, "trials must be at least 1, not 0"), ({"keep": -1}, "keep must be at least 0"),
     ({"resume": "x"}, "resume belongs to one training")],
)  # fmt: skip
def test_what_makes_no_sense_for_a_sweep_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SweepConfig(**settings)


def test_ranks_are_no_workers(colour_posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="leave torchrun or srun out"):
        sweep(config(colour_posters, tmp_path, trials=1))
    assert not any(tmp_path.iterdir())


def test_the_table_is_whole_csv_whoever_writes_it(colour_posters: Path, tmp_path: Path) -> None:
    sweep(config(colour_posters, tmp_path, trials=1))
    with (tmp_path / "sweep.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert None not in row
    assert float(row["minutes"]) >= 0
    assert int(row["epochs"]) == 1
    assert not list(tmp_path.glob("sweep.csv.*"))
