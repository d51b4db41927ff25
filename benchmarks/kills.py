"""Work that is killed (SIGKILL) at random moments and begun again: in the end it leaves what it leaves undisturbed.

Nothing is lost, nothing is done twice, no half a file is read, and no draft stays behind.
"""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from pyarrow import parquet

from processes import family
from report import ROOT, arguments, report

sys.path.append(str(ROOT / "tests"))
from tmdb_server import TOKEN, TmdbServer, make_title

POSTERS = ["data=demo", "data.num_demo_posters=60", "data.min_positives=3", "data.workers=0", "data.batch_size=8"]
SMALL = ["model=tiny", "preprocess.height=48", "preprocess.width=32", "trainer.gpus=0", "trainer.precision=32"]
PATIENCE = 900
"""Seconds after which a run that was not killed has failed."""
NUM_TITLES = 60


@dataclass(kw_only=True)
class Phase:
    """Something that takes a while, what it leaves, and what it must not leave."""

    name: str
    command: Callable[[Path], list[str]]
    """Script and settings, in a folder: the same each time, but for what the documentation says to add."""
    left: Callable[[Path], Any]
    """What must be equal, read as a user would read it; raises where a file is torn."""
    begun: Callable[[Path], bool]
    """Whether the first work has been done: killing it earlier would show little."""
    checked: Callable[[Path], None] = lambda folder: None
    """Looks between a kill and the next start: whatever is there is whole."""
    environment: dict[str, str] = field(default_factory=dict)
    status: int = 0
    """What its script exits with when it was not killed."""
    most: int = 4
    """Kills before it may come to its end."""


@dataclass
class Tally:
    """What came of a phase."""

    kills: int = 0
    starts: int = 0
    losses: int = 0
    torn: int = 0
    drafts: int = 0
    seconds: float = 0.0


def start(phase: Phase, folder: Path) -> subprocess.Popen[bytes]:
    """Start the phase's script in a group of processes of its own."""
    script, *settings = phase.command(folder)
    with (folder / "said.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *settings],
            cwd=folder, env=os.environ | phase.environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that descend from it, none of which can do anything about it."""
    for one in list(family(process.pid)):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def undisturbed(phase: Phase, folder: Path) -> tuple[float, float]:
    """Let the phase run, and return after how many seconds its first work was done and after how many all of it."""
    folder.mkdir(parents=True)
    began = time.monotonic()
    process, first = start(phase, folder), None
    while process.poll() is None:
        if first is None and phase.begun(folder):
            first = time.monotonic() - began
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.01)
    assert process.returncode == phase.status, (folder / "said.log").read_text()[-3000:]
    whole = time.monotonic() - began
    return min(first or 0.7 * whole, 0.9 * whole), whole


def disturbed(phase: Phase, folder: Path, kills: int, times: tuple[float, float], tally: Tally) -> tuple[float, float]:
    """Kill the phase so often, then let it end; each kill at a moment drawn between first work and end.

    Returns:
        The two times, corrected: a run that ends before its moment, as the machine had more time for it or it had less
        to do, is no kill, and shortens the span of the next.
    """
    folder.mkdir(parents=True)
    least, most = times
    for _ in range(kills):
        process = start(phase, folder)
        tally.starts += 1
        began = time.monotonic()
        until = began + random.uniform(least, most)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        if process.poll() is not None:
            assert process.returncode == phase.status, (folder / "said.log").read_text()[-3000:]
            whole = time.monotonic() - began
            return min(least, 0.8 * whole), max(0.9 * whole, min(least, 0.8 * whole))
        kill(process)
        tally.kills += 1
        try:
            phase.checked(folder)
        except Exception as error:
            print(f"{phase.name}, after a kill: {error!r}", file=sys.stderr, flush=True)
            tally.torn += 1
    process = start(phase, folder)
    tally.starts += 1
    process.wait(PATIENCE)
    assert process.returncode == phase.status, (folder / "said.log").read_text()[-3000:]
    return least, most


def soak(phase: Phase, scratch: Path, kills: int) -> Tally:
    """Return what came of as many kills, in rounds that each begin anew and end whole."""
    tally, began = Tally(), time.monotonic()
    times = undisturbed(phase, scratch / "whole")
    wanted = phase.left(scratch / "whole")
    print(f"{phase.name}: {times[1]:.1f} s undisturbed", file=sys.stderr, flush=True)
    number = 0
    while tally.kills < kills:
        number += 1
        folder = scratch / f"{number}"
        times = disturbed(phase, folder, min(phase.most, kills - tally.kills), times, tally)
        try:
            found = phase.left(folder)
            if found != wanted:
                tally.losses += 1
                print(f"{phase.name}, round {number}: {difference(found, wanted)}", file=sys.stderr, flush=True)
        except Exception as error:
            tally.torn += 1
            print(f"{phase.name}, round {number}: {error!r}", file=sys.stderr, flush=True)
        stay = list(drafts(folder))
        tally.drafts += len(stay)
        if stay:
            print(f"{phase.name}, round {number}, drafts: {stay}", file=sys.stderr, flush=True)
        print(f"{phase.name}, round {number}: {tally}", file=sys.stderr, flush=True)
        shutil.rmtree(folder)
    tally.seconds = time.monotonic() - began
    return tally


def difference(found: Any, wanted: Any) -> str:
    """Return in which part two results differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return ", ".join(str(key) for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    return f"{found!r:.500} instead of {wanted!r:.500}"


def drafts(folder: Path) -> Iterator[str]:
    """Yield the files that were meant to become others."""
    for path in folder.rglob("*"):
        if "draft" in path.name and path.name != "drafts":
            yield str(path.relative_to(folder))


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV, each as long as the header."""
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert all(None not in row and None not in row.values() for row in found), path
    return found


def state(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


def whole_checkpoints(folder: Path) -> None:
    """Read every checkpoint and store that is there."""
    for path in folder.glob("**/checkpoints/*.ckpt"):
        state(path)


def training(scratch: Path, extra: list[str]) -> Phase:
    """Six epochs with much that could go another way: dropout, augmentation, an average of weights, a schedule."""
    settings = [
        *POSTERS, *SMALL, "trainer.max_epochs=6", "trainer.save_steps=2", "model.dropout=0.5", "augment=light",
        "augment.mixup=0.4", "optim.schedule=cosine", "optim.warmup=0.2", "optim.ema=0.9", "trainer.patience=5",
        "data.balance=0.5", "hydra.run.dir=run", *extra,
    ]  # fmt: skip

    def command(folder: Path) -> list[str]:
        last = folder / "run" / "checkpoints" / "last.ckpt"
        resume = [f"resume={last}"] if last.is_file() else []  # as README.md says
        return ["train", *settings, f"data.root={scratch / 'demo'}", f"data.cache={scratch / 'cache'}", *resume]

    def left(folder: Path) -> dict[str, Any]:
        run = folder / "run"
        last, best = (state(run / "checkpoints" / name) for name in ("last.ckpt", "best.ckpt"))
        told = last["postergenre"]
        weights = {
            f"{which}: {name}": value.numpy().tobytes()
            for which, checkpoint in (("last", last), ("best", best))
            for name, value in checkpoint["state_dict"].items()
        }
        scores = json.loads((run / "scores.json").read_text())
        return weights | {
            "metrics.csv": (run / "metrics.csv").read_bytes(), "splits.csv": (run / "splits.csv").read_bytes(),
            "scores": scores, "thresholds": told["thresholds"], "epoch": (last["epoch"], best["epoch"]),
            "step": last["global_step"],
        }  # fmt: skip

    return Phase(
        name="train", command=command, left=left, checked=whole_checkpoints,
        begun=lambda folder: any(folder.glob("run/checkpoints/*")),
    )  # fmt: skip


def building(scratch: Path) -> Phase:
    """The demo posters drawn and looked at, their pixels and the features of frozen layers kept; one epoch on them."""
    settings = [*POSTERS, *SMALL, "model.freeze=stage2", "trainer.max_epochs=1", "hydra.run.dir=run"]

    def stores(folder: Path) -> Counter[str]:
        # Their names tell when the posters were drawn; what is in them is always the same.
        return Counter(digest(path) for path in folder.glob("cache/stores/*.rows"))

    wanted: Counter[str] = Counter()

    def checked(folder: Path) -> None:
        assert stores(folder) <= wanted, "a store that is not whole"

    def left(folder: Path) -> dict[str, Any]:
        found = stores(folder)
        if not wanted:
            wanted.update(found)
        looks = {
            Path(json.loads(line)["path"]).name
            for path in folder.glob("cache/scans/*.jsonl")
            for line in path.read_text().splitlines()
        }
        posters = {path.name: digest(path) for path in folder.glob("demo/60/**/*") if path.is_file()}
        weights = {n: v.numpy().tobytes() for n, v in state(folder / "run/checkpoints/last.ckpt")["state_dict"].items()}
        return {"stores": found, "looks": looks, "posters": posters} | weights

    return Phase(
        name="build stores", checked=checked, left=left, begun=lambda folder: any(folder.glob("cache/stores/*")),
        command=lambda folder: ["train", *settings, "data.root=demo", "data.cache=cache"],
    )  # fmt: skip


def sweeping(scratch: Path, trials: int) -> Phase:
    """Trials of one epoch; killed workers' trials are done again."""
    settings = [
        *POSTERS, *SMALL, "~sweep", "study=s", "+space.optim.lr={low: 1e-4, high: 1e-1, log: true}", "prune=false",
        f"trials={trials}", "trainer.max_epochs=1", "hydra.run.dir=study", f"data.root={scratch / 'demo'}",
        f"data.cache={scratch / 'cache'}",
    ]  # fmt: skip
    ended: dict[Path, dict[str, str]] = {}

    def checked(folder: Path) -> None:
        """See that a trial which ended with a score keeps it."""
        table = folder / "study" / "sweep.csv"
        if not table.is_file():
            return
        now = {row["trial"]: row["val/map"] for row in rows(table) if row["status"] == "finished"}
        before = ended.setdefault(folder, {})
        assert before.items() <= now.items(), f"lost {before.items() - now.items()}"
        ended[folder] = now

    def left(folder: Path) -> Any:
        checked(folder)
        table = rows(folder / "study" / "sweep.csv")
        finished = [row for row in table if row["status"] == "finished"]
        lost = [row for row in table if row["status"] != "finished"]
        assert all(row["status"] == "repeated" for row in lost), lost
        assert len({row["trial"] for row in table}) == len(table)
        assert len({row["optim.lr"] for row in finished}) == len(finished), "a trial was counted twice"
        best = json.loads((folder / "study" / "best.json").read_text())
        assert best["val/map"] == max(float(row["val/map"]) for row in finished)
        return len(finished), sorted(path.name for path in (folder / "study" / "workers").iterdir())

    return Phase(
        name="sweep", command=lambda folder: ["sweep", *settings], left=left, checked=checked,
        begun=lambda folder: any(folder.glob("study/trials/*")),
        most=2,  # settings that kill three workers are given up
    )  # fmt: skip


def predicting(scratch: Path, checkpoint: Path, name: str) -> Phase:
    """Each poster of a folder, some of which are no picture, in a table."""

    def read(table: Path) -> list[dict[str, Any]]:
        if table.suffix == ".parquet":
            parts = sorted(table.glob("part-*.parquet"))
            found = [row for part in parts for row in parquet.read_table(part).to_pylist()]
        elif table.suffix == ".jsonl":
            found = [json.loads(line) for line in table.read_text().splitlines()]
        else:
            found = rows(table)
        for row in found:  # batches of other sizes add up in another order, so that the last digit may differ
            for cell, value in row.items():
                with suppress(TypeError, ValueError):
                    row[cell] = round(float(value), 4)
        return found

    def checked(folder: Path) -> None:
        for part in folder.glob("answers.parquet/part-*.parquet"):
            parquet.read_table(part)

    settings = [
        f"checkpoint={checkpoint}", f"posters={scratch / 'posters'}", f"output={name}", "gpus=0", "precision=32",
        "batch_size=4", "hydra.run.dir=run",
    ]  # fmt: skip
    return Phase(
        name=f"predict {Path(name).suffix[1:]}", command=lambda folder: ["predict", *settings],
        left=lambda folder: dict(enumerate(read(folder / name))), checked=checked,
        begun=lambda folder: (folder / name).exists(), status=3,  # some posters have no answer
    )  # fmt: skip


def collecting(server: TmdbServer) -> Phase:
    """A set from a server that is slow now and then."""
    settings = [
        "source=tmdb", "output=set", "tmdb.kinds=[movie]", f"tmdb.number={NUM_TITLES}", "web.rate=60",
        "web.connections=4", "hydra.run.dir=run", *server.settings,
    ]  # fmt: skip

    def left(folder: Path) -> dict[str, Any]:
        files = {path.name: digest(path) for path in (folder / "set" / "Images").iterdir()}
        names = sorted(path.name for path in (folder / "set").iterdir())
        table = rows(folder / "set" / "train.csv")
        assert len(table) == len({row["id"] for row in table})
        return files | {"train.csv": digest(folder / "set" / "train.csv"), "names": names}

    def checked(folder: Path) -> None:
        for path in (folder / "set" / "Images").glob("*"):
            assert path.read_bytes()[-2:] == b"\xff\xd9", f"{path} is cut short"

    return Phase(
        name="collect", command=lambda folder: ["collect", *settings], left=left, checked=checked,
        begun=lambda folder: any(folder.glob("set/Images/*")), environment={"TMDB_TOKEN": TOKEN, "no_proxy": "*"},
    )  # fmt: skip


def main() -> None:
    parser = arguments((__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=60, help="in all, shared out among what is killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", help="part of the name of what is killed")
    options = parser.parse_args()
    random.seed(options.seed)
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        scratch = Path(place)
        stack.enter_context(server := TmdbServer(movies=[make_title(number) for number in range(NUM_TITLES)]))
        (scratch / "setup").mkdir()
        prepared = training(scratch, ["trainer.max_epochs=1"])
        undisturbed(prepared, scratch / "setup" / "run")
        checkpoint = scratch / "setup" / "run" / "run" / "checkpoints" / "best.ckpt"
        pictures(scratch / "posters", scratch / "demo" / "60" / "Images", 60 if options.smoke else 3000)
        phases = [
            building(scratch),
            training(scratch, []),
            sweeping(scratch, trials=5),
            collecting(server),
        ]
        phases += [predicting(scratch, checkpoint, f"answers.{kind}") for kind in ("csv", "jsonl", "parquet")]
        phases = [phase for phase in phases if (options.only or "") in phase.name]
        if options.smoke:  # the others are as slow to start, and have tests of their own
            phases = [phase for phase in phases if phase.name in ("train", "predict csv")]
        weights = {"train": 3, "build stores": 2, "sweep": 2, "collect": 2}
        shares = sum(weights.get(phase.name, 1) for phase in phases)
        for phase in phases:
            count = 1 if options.smoke else -(-options.kills * weights.get(phase.name, 1) // shares)
            tallies[phase.name] = soak(phase, scratch / phase.name.replace(" ", "-"), count)
    table = [
        [name, str(tally.kills), str(tally.starts), str(tally.losses), str(tally.torn), str(tally.drafts),
         f"{tally.seconds:,.0f}"]
        for name, tally in tallies.items()
    ]  # fmt: skip
    totals = [str(sum(getattr(tally, name) for tally in tallies.values())) for name in
              ("kills", "starts", "losses", "torn", "drafts")]  # fmt: skip
    table.append(["all", *totals, f"{sum(tally.seconds for tally in tallies.values()):,.0f}"])
    note = (
        "Demo posters, `tiny`. SIGKILL to the script and all its processes, at moments drawn uniformly between the "
        "first sign of work and the end of an undisturbed run, up to four before it may end. "
        "Losses: rounds whose result differs from the undisturbed run's (weights and metrics.csv of training: to the "
        "bit). Torn: half a file under a whole one's name. Drafts: left when all was done."
    )
    report(options, "Kills", ["what", "kills", "starts", "losses", "torn files", "drafts left", "seconds"], table, note)
    if any(int(total) for total in totals[2:]):
        raise SystemExit("error: something was lost; see above")


def pictures(folder: Path, source: Path, count: int) -> None:
    """Lay out posters to predict, under as many names, one in fifty of them no picture at all."""
    folder.mkdir()
    files = sorted(source.iterdir())
    for number in range(count):
        target = folder / f"{number:05}.jpg"
        if number % 50 == 7:
            target.write_bytes(b"no picture")
        else:
            target.hardlink_to(files[number % len(files)])


if __name__ == "__main__":
    main()
