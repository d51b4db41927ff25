"""Files of strangers are refused in a sentence: nothing in them runs, nothing beside them is read, little is taken."""

import ast
import os
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from conftest import ROOT, small_config
from hostile import CASES, Hostile, Scene
from postergenre import load
from postergenre.auditing.scores import read_predictions
from postergenre.auditing.subject import read_subject
from postergenre.classifier.contract import load_network, read_checkpoint
from postergenre.classifier.graph import load_graph
from postergenre.classifier.posters import Place, posters_of_training, settings_of_training
from postergenre.collecting.shelf import claimed
from postergenre.data.corrections import read_corrections
from postergenre.data.datamodule import DataConfig
from postergenre.data.manifest import SPLITS, read_manifest
from postergenre.data.sharded import build_data
from postergenre.data.shards import ShardFolder
from postergenre.errors import PosterGenreError
from postergenre.evaluation.elsewhere import _earlier
from postergenre.export import ExportConfig, export
from postergenre.export.formats import CPU
from postergenre.genres import Genres
from postergenre.inference import PredictConfig, predict
from postergenre.inference.shards import find_shards, pieces, read_rows
from postergenre.inference.sources import find_posters
from postergenre.networks import ModelConfig, build_network
from postergenre.preprocess import Preprocess
from postergenre.sharding import ShardConfig, shard
from postergenre.sweeping.study import Study
from postergenre.sweeping.workers import Worker
from postergenre.training import Trained, train

MEGABYTE = 2**20
MOST_MEMORY = 700 * MEGABYTE
"""What the refusal of a file may take; some of them are 200 MB large when they are unpacked."""
MOST_SECONDS = 20.0
"""Of computing."""
PATIENCE = 180
"""Seconds of waiting; a busy machine may take them."""
SUSPICIOUS = {
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn", "subprocess.Popen",
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "pickle.find_class",
}  # fmt: skip
watching: list[str] | None = None
"""What Python itself did that reading a file is no reason for, while somebody wants to know."""
secret = ""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if watching is not None and (event in SUSPICIOUS or (event == "open" and str(arguments[0]) == secret)):
        watching.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_hook)  # for good; it looks only while it is told to


@pytest.fixture(scope="module")
def graph(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graph")
    return export(ExportConfig(checkpoint=str(trained.best), format="onnx", output_dir=str(folder))).path


@pytest.fixture(scope="module")
def shards(colour_posters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    data = DataConfig(root=str(colour_posters), min_positives=5, cache=str(colour_posters / "cache"))
    shard(ShardConfig(data=data, output=str(folder)))
    return folder


@pytest.fixture
def scene(trained: Trained, graph: Path, shards: Path, colour_posters: Path, tmp_path: Path) -> Scene:
    made = Scene(folder=tmp_path / "files", best=trained.best, graph=graph, posters=colour_posters, shards=shards)
    made.folder.mkdir()
    made.secret.write_text("a secret of the machine")
    return made


def _network(path: Path, scene: Scene) -> None:
    read_checkpoint(path)
    load_network(path)


def _weights(path: Path, scene: Scene) -> None:
    build_network(ModelConfig(name="vgg11", weights=str(path)), num_outputs=3, input_size=(32, 24))


def _posters(path: Path, scene: Scene) -> None:
    posters_of_training(read_checkpoint(path)[1], Place())


def _resume(path: Path, scene: Scene) -> None:
    config = small_config(scene.posters, scene.folder / "run")
    config.resume = str(path)
    config.trainer.max_epochs = 7
    train(config)


def _manifest(path: Path, scene: Scene) -> None:
    read_manifest(path, images=scene.folder)


def _honest(scene: Scene) -> Any:
    return read_manifest(scene.posters / "train.csv", images=scene.posters / "Images")


def _predictions(path: Path, scene: Scene) -> None:
    data = DataConfig(root=str(scene.posters), min_positives=5, cache=str(scene.posters / "cache"))
    read_predictions(path, read_subject(data))


def _again(path: Path, scene: Scene, *, output: Path) -> None:
    """Go on with a table of answers."""
    predict(
        PredictConfig(
            checkpoint=str(scene.best),
            posters=str(scene.posters / "Images" / "c000.jpg"),
            gpus="0",
            output=str(output),
            output_dir=str(scene.folder / "answers"),
        )
    )


def _table(path: Path, scene: Scene) -> None:
    honest_ = scene.folder / "honest.csv"
    _again(path, scene, output=honest_)
    shutil.copy(honest_.with_name("honest.csv.run.json"), path.with_name(f"{path.name}.run.json"))
    _again(path, scene, output=path)


def _index(path: Path, scene: Scene) -> None:
    """Read all of the shards as an epoch of training does."""
    ShardFolder(str(path.parent))
    config = DataConfig(source="shards", root=str(path.parent), min_positives=5, workers=0)
    data = build_data(config, Preprocess(height=32, width=24))
    data.setup()
    for split in SPLITS:
        for _ in data.loader(split):
            pass


def _shards(path: Path, scene: Scene) -> None:
    """Look for what ``predict`` is to answer."""
    if found := find_shards(str(path)):
        for piece in pieces(found, 100):
            list(read_rows(piece["shard"], piece["first"], piece["stop"]))
    else:
        find_posters(str(path))


def _study(path: Path, scene: Scene) -> None:
    folder = scene.folder / "study"
    with Worker(folder / "workers") as worker:
        Study("x", folder, worker, storage=f"sqlite:///{path}", settings={}, seed=0)


def _asked(path: Path, scene: Scene) -> None:
    private = scene.folder / "set" / ".collect"
    private.mkdir(parents=True)
    path.rename(private / path.name)
    with claimed(private.parent, {"source": "csv"}):
        pass


DOORS: dict[str, Callable[[Path, Scene], object]] = {
    "checkpoint": _network,
    "safetensors": _network,
    "graph": lambda path, scene: load_graph(path, CPU),
    "weights": _weights,
    "weights of safetensors": _weights,
    "posters": _posters,
    "resume": _resume,
    "manifest": _manifest,
    "exclude": lambda path, scene: read_corrections(_honest(scene), exclude=path),
    "relabel": lambda path, scene: read_corrections(_honest(scene), relabel=path),
    "predictions": _predictions,
    "list": lambda path, scene: find_posters(str(path)),
    "shard": _shards,
    "note": lambda path, scene: _again(path, scene, output=path.with_name("x.csv")),
    "table": _table,
    "index": _index,
    "study": _study,
    "home": lambda path, scene: _earlier(path.parent),
    "asked": _asked,
}
"""Who reads files that may come from strangers."""


@contextmanager
def watched(scene: Scene) -> Iterator[None]:
    """See that whatever happens here runs nothing, reads nothing that is not its own, and takes little."""
    global watching, secret
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _status("VmSize") + 40 * 1024 * MEGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    before, since = _status("VmRSS"), time.process_time()
    watching, secret = [], str(scene.secret)
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        seen, watching = watching, None
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    taken, seconds = _status("VmHWM") - before, time.process_time() - since
    assert seen == []
    assert not scene.canary.exists()
    assert not Path("canary").exists()
    assert taken < MOST_MEMORY, f"{taken / MEGABYTE:.0f} MB"
    assert seconds < MOST_SECONDS


def _too_long(*_: object) -> None:
    raise TimeoutError("it waits for ever")


def _status(name: str) -> int:
    """Return a number of bytes that the system tells of this process."""
    (found,) = re.findall(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found) * 1024


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_in_one_sentence(case: Hostile, scene: Scene) -> None:
    path = case.make(scene)
    with watched(scene), pytest.raises(PosterGenreError) as caught:
        DOORS[case.door](path, scene)
    told = str(caught.value)
    assert re.search(case.says, told)
    assert 10 < len(told) < 3000
    assert "Traceback" not in told
    assert "a secret of the machine" not in told


@pytest.mark.slow
@pytest.mark.parametrize("door", ["checkpoint", "safetensors", "graph", "posters", "resume", "index"])
def test_the_honest_file_passes(door: str, scene: Scene) -> None:
    """Else nothing above would show anything."""
    names = {"graph": "x.onnx", "index": "shards/index.json", "safetensors": "x.safetensors"}
    path = scene.folder / names.get(door, "x.ckpt")
    if door == "index":
        shutil.copytree(scene.shards, path.parent)
    elif door == "safetensors":
        export(ExportConfig(checkpoint=str(scene.best), format=door, output_dir=str(scene.folder)))
        (scene.folder / "best.safetensors").rename(path)
    else:
        shutil.copy(scene.graph if door == "graph" else scene.best, path)
    with watched(scene):
        DOORS[door](path, scene)


def told(trained: Trained, **data: Any) -> Any:
    contract = read_checkpoint(trained.best)[1]
    return replace(contract, data=contract.data | data)


def test_a_checkpoint_decides_neither_where_is_written_nor_how_many_processes_start(
    trained: Trained, tmp_path: Path
) -> None:
    here = str(tmp_path / "cache")
    settings = settings_of_training(told(trained, cache=here, workers=10**6, batch_size=10**9), Place())
    assert "cache" not in settings
    for nowhere in ("~nobody-at-all/x", "x" * 5000):
        assert "cache" not in settings_of_training(told(trained, cache=nowhere), Place())
    assert settings["workers"] <= (os.cpu_count() or 1)
    assert settings["batch_size"] == 1024
    (tmp_path / "cache" / "scans").mkdir(parents=True)  # a cache of ours is used again
    assert settings_of_training(told(trained, cache=here), Place())["cache"] == here
    assert settings_of_training(told(trained), Place(cache="mine", workers=3)) | {"cache": "mine", "workers": 3} == (
        settings_of_training(told(trained), Place(cache="mine", workers=3))
    )
    posters = tmp_path / "elsewhere"
    with pytest.raises(PosterGenreError):
        posters_of_training(told(trained, source="demo", root=str(posters), num_demo_posters=10**6), Place())
    assert not posters.exists()


def test_an_address_in_a_checkpoint_is_not_asked(trained: Trained) -> None:
    for address in ("s3://bucket/x", "http://127.0.0.1:9/x", "simplecache::http://127.0.0.1:9/x", "ssh://x/y"):
        with pytest.raises(PosterGenreError, match=r"a checkpoint alone may not say what is asked: write data\.root="):
            settings_of_training(told(trained, source="shards", root=address), Place())
        assert settings_of_training(told(trained), Place(root=address))["root"] == address


def test_what_lies_beside_a_checkpoint_may_be_torn(trained: Trained, colour_posters: Path, tmp_path: Path) -> None:
    """An evaluation reads the tables of the run, where they are; what is torn is as if it were gone."""
    from postergenre.auditing.scores import _trained_on
    from postergenre.evaluation.elsewhere import seen_before
    from postergenre.evaluation.run import _history

    subject = read_subject(DataConfig(root=str(colour_posters), min_positives=5, cache=str(colour_posters / "cache")))
    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    shutil.copy(trained.best, checkpoint)
    torn = (b"", bytes(100), b"\xff\xfe" * 100, b"epoch\nx\n", b"epoch,a\n1e999,1\n", b"x" * 200_000, b'epoch\n"1')
    for content in torn:
        for name in ("metrics.csv", "splits.csv"):
            (tmp_path / "run" / name).write_bytes(content)
        assert seen_before(checkpoint, [Path("c000.jpg")]) == []
        assert isinstance(_history(checkpoint), list)
        assert _trained_on(checkpoint, subject) in (0, None)


def test_answers_that_are_no_numbers_are_not_told(trained: Trained, tmp_path: Path) -> None:
    checkpoint, _ = read_checkpoint(trained.best)
    state = dict(checkpoint["state_dict"])
    for name in ("network.head.hidden.weight", "network.head.output.weight"):
        state[name] = torch.full_like(state[name], 3e38)
    state["network.head.output.weight"][:, ::2] *= -1  # infinity less infinity
    torch.save(checkpoint | {"state_dict": state}, tmp_path / "x.ckpt")
    with pytest.raises(PosterGenreError, match="answers with what is no number: its weights are too large"):
        load(tmp_path / "x.ckpt", gpus=0, precision="32").predict(Image.new("RGB", (24, 32), "white"))


def test_a_hundred_thousand_genres_are_read_at_once() -> None:
    since = time.process_time()
    assert len(Genres(f"Genre {number}" for number in range(100_000))) == 100_000
    assert time.process_time() - since < 5


# --- what the source promises

CALLS = {
    "eval", "exec", "compile", "__import__", "breakpoint", "os.system", "os.popen", "os.execv", "os.execve",
    "os.execvp",
    "os.spawnv", "pty.spawn", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.jit.load", "torch.hub.load",
    "numpy.lib.format.open_memmap", "runpy.run_path", "runpy.run_module", "importlib.reload", "joblib.load",
    "torch.serialization.add_safe_globals", "hydra.utils.instantiate", "pandas.read_pickle", "shelve.open",
}  # fmt: skip
"""What runs what a file says, or a shell."""
MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "yaml", "jsonpickle", "code", "runpy"}
ALLOWED = {
    # ``weights_only`` tells of what it refuses by pickle's own error, which is all that is taken of it.
    ("networks/weights.py", "import pickle"),
    # Of what this very process has just written, to see whether it answers as its checkpoint; torch has no other way.
    ("export/formats.py", "torch.export.load"),
}
"""Exceptions, each with its reason."""


def _broken(path: Path) -> Iterator[str]:
    """Yield what a file of the source does against the promises of SECURITY.md."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                names[one.asname or one.name.partition(".")[0]] = one.name if one.asname else one.name.partition(".")[0]
                if one.name.partition(".")[0] in MODULES:
                    yield f"import {one.name}"
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                names[one.asname or one.name] = f"{node.module}.{one.name}"
                if f"{node.module}".partition(".")[0] in MODULES:
                    yield f"import {node.module}"
    for node in ast.walk(tree):
        read = isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load)
        name = _dotted(node, names)
        if read and name in CALLS:
            yield name
        if read and name.startswith("pickle.") and name != "pickle.UnpicklingError":
            yield name
        if not isinstance(node, ast.Call):
            continue
        name = _dotted(node.func, names)
        told = {word.arg: word.value for word in node.keywords}
        if name == "torch.load" and not _is(told.get("weights_only"), True):
            yield "torch.load without weights_only=True"
        if name == "torch.export.load":
            yield name
        if "shell" in told and not _is(told["shell"], False):
            yield f"{name} with a shell"
        if "allow_pickle" in told and not _is(told["allow_pickle"], False):
            yield f"{name} with allow_pickle"
        if name.rpartition(".")[2] == "Environment" and "jinja2" in name and not _is(told.get("autoescape"), True):
            yield f"{name} without autoescape"


def _dotted(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _is(node: ast.AST | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("folder", ["src/postergenre", "scripts", "docs"])
def test_the_source_runs_nothing_that_a_file_says(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {(str(path.relative_to(ROOT / folder)), what) for path in files for what in _broken(path)}
    assert found - ALLOWED == set()
    if folder == "src/postergenre":
        assert found == ALLOWED, "an exception that nobody needs any more"


@pytest.mark.parametrize(
    "code",
    ["eval('1')", "exec('1')", "import pickle", "from pickle import loads", "import torch as t\nt.load('x')",
     "import os\nos.system('x')",
     "from torch import load\nload('x', weights_only=False)", "import subprocess\nsubprocess.run('x', shell=True)",
     "from os import system as s\ns('x')", "import numpy as np\nnp.load('x', allow_pickle=True)", "import yaml",
     "f = eval",
     "from yaml import load", "import joblib", "import pandas as pd\npd.read_pickle('x')",
     "from hydra.utils import instantiate as i\ni({})",
     "from jinja2 import Environment\nEnvironment()", "import torch\ntorch.serialization.add_safe_globals([print])"],
)  # fmt: skip
def test_the_promise_can_be_broken(code: str, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(code)
    assert list(_broken(tmp_path / "x.py"))


def test_a_token_is_compared_in_constant_time() -> None:
    tree = ast.parse((ROOT / "src/postergenre/serving/guard.py").read_text())
    texts = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call | ast.Compare)]
    compared = [text for text in texts if "expected" in text]
    assert [text for text in compared if not text.startswith("hmac.compare_digest(")] == []
    assert compared
