"""Files as a stranger might send them: what each is, who is to read it, and the sentence it has to be refused with.

``CASES`` is the list; its length is the figure in ``benchmarks/RELIABILITY.md``. Nothing here does harm where it is not
refused, but for a file that shows it (``Scene.canary``).
"""

import importlib
import io
import json
import os
import pickle
import re
import runpy
import shutil
import socket
import struct
import subprocess
import tarfile
import types
import warnings
import webbrowser
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as arrow
import torch
from PIL import Image
from pyarrow import parquet
from safetensors.torch import save, save_file
from torch import Tensor

from postergenre.classifier.contract import KEY
from postergenre.data.shards import SCHEMA

GIGANTIC = 10**9
Plain = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Where a file is made, and the honest files that it is made from."""

    folder: Path
    best: Path
    """A checkpoint."""
    graph: Path
    """Its export."""
    posters: Path
    """What it was trained on."""
    shards: Path
    """The same, as shards."""

    @property
    def canary(self) -> Path:
        """Is there if something was run."""
        return self.folder / "canary"

    @property
    def secret(self) -> Path:
        """A file that nobody has a reason to read."""
        return self.folder / "secret"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One file."""

    name: str
    door: str
    """Who is to read it; see ``DOORS`` in ``test_hostile.py``."""
    make: Callable[[Scene], Path]
    says: str
    """A pattern of the sentence."""


# --- pickles with code


class Gadget:
    """Becomes a call when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.parts = (call, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


class Stateful:
    """Becomes a call when its state is brought back."""

    def __getstate__(self) -> dict[str, Any]:
        return {"path": "canary"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Path(state["path"]).touch()


def gadgets(canary: Path) -> dict[str, Any]:
    """Return objects that would leave the canary, or do worse, by what they call."""
    touch = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w').close()"
    return {
        "os.system": Gadget(os.system, touch),
        "eval": Gadget(eval, code),
        "exec": Gadget(exec, code),
        "__import__": Gadget(__import__, "antigravity"),
        "open": Gadget(open, str(canary), "w"),
        "getattr": Gadget(getattr, "x", "upper"),
        "subprocess.Popen": Gadget(subprocess.Popen, ["touch", str(canary)]),
        "subprocess.check_output": Gadget(subprocess.check_output, ["touch", str(canary)]),
        "os.mkdir": Gadget(os.mkdir, str(canary)),
        "os.execv": Gadget(os.execv, "/bin/true", ["true"]),
        "os.fork": Gadget(os.fork),
        "importlib.import_module": Gadget(importlib.import_module, "antigravity"),
        "runpy.run_path": Gadget(runpy.run_path, str(canary)),
        "pickle.loads": Gadget(pickle.loads, pickle.dumps(Gadget(os.system, touch))),
        "torch.load": Gadget(torch.load, str(canary)),
        "torch.hub.load": Gadget(torch.hub.load, "a/b", "c"),
        "torch.serialization.add_safe_globals": Gadget(torch.serialization.add_safe_globals, [os.system]),
        "torch.jit.load": Gadget(torch.jit.load, str(canary)),
        "numpy.load": Gadget(np.load, str(canary)),
        "Path.touch": Gadget(Path.touch, canary),
        "shutil.copy": Gadget(shutil.copy, "/etc/hostname", str(canary)),
        "socket.create_connection": Gadget(socket.create_connection, ("127.0.0.1", 9)),
        "webbrowser.open": Gadget(webbrowser.open, "http://127.0.0.1:9"),
        "functools.partial": Gadget(partial, os.system, touch),
        "types.SimpleNamespace": Gadget(types.SimpleNamespace),
        "a network": torch.nn.Linear(1, 1),
        "a path": canary,
        "a class with a state": Stateful(),
        "numpy's own": np.arange(3),
    }


def saved(told: Any, path: Path, *, form: str = "zip") -> Path:
    """Write an object in one of the forms that torch reads."""
    if form == "zip":
        torch.save(told, path)
    elif form == "legacy":
        torch.save(told, path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(pickle.dumps(told, protocol=int(form)))
    return path


def honest(scene: Scene) -> Plain:
    """Return everything that the honest checkpoint holds."""
    checkpoint: Plain = torch.load(scene.best, weights_only=True)
    return checkpoint


def placed(checkpoint: Plain, place: str, thing: Any) -> Plain:
    """Return a checkpoint with a thing somewhere in it."""
    match place:
        case "top":
            return thing
        case "key":
            return checkpoint | {thing: 1}
        case "new":
            return checkpoint | {"hyper_parameters": {"x": [thing]}}
        case _:
            *path, last = place.split("/")
            inner = checkpoint
            for name in path:
                inner = inner[int(name)] if isinstance(inner, list) else inner[name]
            inner[last] = thing
            return checkpoint


PLACES = (
    "top", "key", "new", "state_dict", "state_dict/network.head.output.bias", "postergenre", "postergenre/provenance",
    "postergenre/provenance/val", "postergenre/genres", "postergenre/data/root", "callbacks", "callbacks/Best",
    "optimizer_states", "optimizer_states/0/state", "lr_schedulers/0/base_lrs", "rng/cpu", "loops/fit_loop", "order",
)  # fmt: skip
RUN = r"that can be used: it (asks for \S+|holds more than tensors and plain data); nothing in it was run"


def with_code(gadget: str, *, place: str, form: str, scene: Scene) -> Path:
    thing = gadgets(scene.canary)[gadget]
    return saved(placed(honest(scene), place, thing), scene.folder / "x.ckpt", form=form)


def codes() -> Iterator[Hostile]:
    for gadget in gadgets(Path("canary")):
        for form in ("zip", "legacy"):
            place = "postergenre/provenance"
            made = partial(_call, with_code, gadget=gadget, place=place, form=form)
            yield Hostile(f"{gadget} in {place}, {form}", "checkpoint", made, RUN)
    for place in PLACES:
        for form in ("zip", "legacy"):
            made = partial(_call, with_code, gadget="pickle.loads", place=place, form=form)
            yield Hostile(f"code in {place}, {form}", "checkpoint", made, RUN)
    for form in "012345":
        made = partial(_call, with_code, gadget="eval", place="top", form=form)
        yield Hostile(f"eval as a bare pickle, protocol {form}", "checkpoint", made, "is not a checkpoint that can be")
    for name, text in opcodes("PLACE").items():
        for wrap in ("archive", "bare"):
            yield Hostile(
                f"opcodes: {name}, {wrap}",
                "checkpoint",
                partial(_opcodes, name, wrap),
                "cannot use|be used|not made by",
            )
        assert text


def _call(make: Callable[..., Path], scene: Scene, **settings: Any) -> Path:
    return make(scene=scene, **settings)


def opcodes(canary: str) -> dict[str, bytes]:
    """Return pickles by hand, each of which calls something in a way of its own."""
    touch = f"touch {canary}".encode()
    short = bytes([len(touch)]) + touch
    return {
        "GLOBAL REDUCE": b"cos\nsystem\n(S'" + touch + b"'\ntR.",
        "posix": b"cposix\nsystem\n(S'" + touch + b"'\ntR.",
        "INST": b"(S'" + touch + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + touch + b"'\no.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + short + b"\x85R.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\nU" + short + b"\x85\x81.",
        "NEWOBJ of an allowed class": b"\x80\x02ctorch\nSize\ncos\nsystem\n\x85\x81.",
        "EXT1": b"\x80\x02\x82\x01.",
        "BUILD": b"\x80\x02ccollections\nOrderedDict\n)R}U\x08__init__cos\nsystem\nsb.",
        "BUILD of an instance": b"\x80\x02cpostergenre.errors\nDataError\n)\x81}U\x04argsU" + short + b"sb.",
        "a blocked module": b"\x80\x02csys\nmodules\n.",
        "builtins by another name": b"\x80\x02c__builtin__\neval\nU" + short + b"\x85R.",
        "attribute of an allowed one": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
        "an allowed function on nonsense": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        "a persistent id": b"\x80\x02U" + short + b"Q.",
        "a memo that is not there": b"\x80\x02h\x07.",
        "an empty stack": b"\x80\x02R.",
        "no end": b"\x80\x02}",
        "a bytearray of a terabyte": b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.",
        "a set that holds itself": b"\x80\x02]q\x00h\x00a.",
        "a protocol of the future": b"\x80\xff.",
        "deep lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    }  # fmt: skip


def _opcodes(name: str, wrap: str, scene: Scene) -> Path:
    text = opcodes(str(scene.canary))[name]
    path = scene.folder / "x.ckpt"
    if wrap == "bare":
        path.write_bytes(text)
        return path
    return rewritten(scene, path, {"data.pkl": text})


def rewritten(
    scene: Scene, path: Path, parts: Mapping[str, bytes | None], *, compressed: bool = False, more: Plain | None = None
) -> Path:
    """Write the honest checkpoint's archive with other contents of some parts; None leaves one out."""
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(scene.best) as whole, zipfile.ZipFile(path, "w", method) as made:
        for name in whole.namelist():
            part = name.partition("/")[2]
            content = parts.get(part, whole.read(name))
            if content is not None:
                made.writestr(name, content)
        for name, content in (more or {}).items():
            made.writestr(name, content)
    return path


# --- contracts


class Far:
    """A place in nested plain data, to be set or, where ``value`` is Ellipsis, deleted."""

    def __init__(self, place: str, value: Any) -> None:
        self.place, self.value = place, value

    def __call__(self, scene: Scene) -> Path:
        checkpoint = honest(scene)
        *path, last = self.place.split("/")
        inner = checkpoint[KEY]
        for name in path:
            inner = inner.setdefault(name, {})
        if self.value is ...:
            del inner[last]
        else:
            inner[last] = self.value
        return saved(checkpoint, scene.folder / "x.ckpt")


def endless() -> list[Any]:
    """Return a list that holds a billion lists and takes a kilobyte."""
    inner: list[Any] = ["x"] * 10
    for _ in range(30):
        inner = [inner] * 10
    return inner


def itself() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


def contracts() -> Iterator[Hostile]:
    broken = "cannot use .*contract"
    many = [f"Genre {n}" for n in range(100_000)]
    changes: list[tuple[str, Any, str]] = [
        ("format", 0, "contract format 0 is not 1"), ("format", 2, "contract format 2 is not 1: made by another"),
        ("format", "1", "contract format '1' is not 1"), ("format", [[1]] * 50, "contract format"),
        ("format", ..., "contract format None"), ("format", True, "format is broken|contract"),
        *((name, ..., broken) for name in (
            "model", "preprocess", "genres", "headline", "priors", "thresholds", "data", "provenance",
        )),
        *((name, value, broken) for name in ("model", "preprocess", "data", "provenance")
          for value in (None, 5, "x", [], ["name"])),
        *((name, value, broken) for name in ("genres", "headline", "priors", "thresholds", "temperatures", "offsets")
          for value in (None, 5, "War", {"Red": 1}, [None], [["Red"]], [b"Red"])),
        *((name, value, broken) for name in ("priors", "thresholds", "temperatures", "offsets") for value in (
            [float("nan")] * 3, [float("inf")] * 3, [0.5] * 2, [0.5] * 4, ["0.5"] * 3, [True] * 3,
        )),
        *((name, [value] * 3, broken) for name in ("priors", "thresholds") for value in (-0.1, 1.1, -5, 1e308)),
        ("temperatures", [0.0] * 3, "temperature that is not above 0"),
        ("temperatures", [-1.0] * 3, "temperature that is not above 0"),
        ("temperatures", [10**400] * 3, "number in it is too large"),
        ("genres", [], broken), ("genres", ["Red", "Red", "Blue"], "named twice"),
        ("genres", ["Red", "", "Blue"], "cannot be a genre"), ("genres", ["Red", "  ", "Blue"], "cannot be a genre"),
        ("genres", ["Red", "\x1b]0;owned\x07", "Blue"], "cannot be a genre"),
        ("genres", ["Red", "Gre\nen", "Blue"], "cannot be a genre"),
        ("genres", ["Red", "Green\x00", "Blue"], "cannot be a genre"),
        ("genres", ["Red", "\u2028", "Blue"], "cannot be a genre"),
        ("genres", ["Red", "\ud800", "Blue"], "cannot be a genre"),
        ("genres", ["Red", "G" * 10**6, "Blue"], "cannot be a genre"),
        ("genres", ["Red", "G" * 10**7, "Blue"], "has 10,000,000 letters"),
        ("genres", many, "disagrees with itself: 100000 genres, 3 priors"),
        ("genres", ["Red", "Green"], "disagrees with itself"), ("genres", ["Drama", "War", "Crime"], "disagrees"),
        ("headline", ["Western"], "disagrees with itself"), ("headline", [["Red"]], broken),
        ("model/library", "os", "no model.library 'os'"), ("model/library", ["timm"], "model.library cannot be"),
        ("model/name", "", "model.name is not given"), ("model/name", 5, "model.name cannot be 5"),
        ("model/name", "x" * 10**7, "letters"),
        ("model/hidden", GIGANTIC, "model.hidden must lie in"), ("model/hidden", -1, "model.hidden must lie in"),
        ("model/hidden", 2**70, "number in it is too large"), ("model/hidden", 16.5, "model.hidden cannot be 16.5"),
        ("model/hidden", "16", "model.hidden cannot be '16'"), ("model/hidden", True, "model.hidden cannot be True"),
        ("model/hidden", 17, "do not fit its tiny"), ("model/hidden", 0, "do not fit its tiny"),
        ("model/dropout", float("nan"), "model.dropout must lie in"), ("model/dropout", 1.0, "model.dropout must"),
        ("model/pool", "../x", "no model.pool"), ("model/freeze", "stage99", "no stage 'stage99'"),
        ("model/freeze", endless(), "more than a contract says"), ("model/standardize", "yes", "cannot be 'yes'"),
        ("model/weights", "/etc/passwd", "tiny network has no weights to load"), ("model/colour", "red", broken),
        ("preprocess/height", GIGANTIC, "must lie in 8 … 4096"), ("preprocess/height", -32, "must lie in 8 … 4096"),
        ("preprocess/height", 32.5, "preprocess.height cannot be"), ("preprocess/height", "32", "cannot be '32'"),
        ("preprocess/height", True, "preprocess.height cannot be"), ("preprocess/width", float("nan"), "cannot be nan"),
        ("preprocess/resize", "eval", "no resize 'eval'"), ("preprocess/resize", ["crop"], "preprocess.resize cannot"),
        ("preprocess/depth", 3, broken),
        ("provenance/x", endless(), "more than a contract says"), ("provenance/x", itself(), "more than a contract"),
        ("provenance/x", torch.zeros(3), "it holds a Tensor"), ("provenance/x", b"bytes", "it holds a bytes"),
        ("provenance/x", {1: 2}, "a name in it is no text"), ("provenance/x", {"a": {(1, 2): 3}}, "is no text"),
        ("provenance/x", 3 + 4j, "it holds a complex"), ("provenance/x", {1, 2}, "it holds a set"),
        ("provenance/x", bytearray(9), "it holds a bytearray"), ("provenance/x", torch.float32, "it holds a dtype"),
        ("provenance/x", torch.device("cpu"), "it holds a device"), ("provenance/x", 2**63, "too large"),
        ("provenance/x", [0] * 3_000_000, "more than a contract says"),
        ("provenance/command", ["rm"], "command in its provenance"), ("provenance/epoch", "1", "epoch in its"),
        ("provenance/step", 1.5, "step in its"), ("provenance/val", [1], "val in its"),
        ("provenance/val", {"map": "0.9"}, "val in its"), ("provenance/val_genres", {"Red": 1}, "val_genres in its"),
        ("provenance/precision", 16, "precision in its"),
    ]  # fmt: skip
    for number, (place, value, says) in enumerate(changes):
        shown = "nothing" if value is ... else type(value).__name__ if len(_short(value)) > 30 else _short(value)
        yield Hostile(f"contract {number}: {place} is {shown}", "checkpoint", Far(place, value), says)
    for name in ("../../etc/passwd", "/etc/passwd", "os.system", "postergenre.errors.DataError", "hf-hub:a/b",
                 "local-dir:/etc", "resnet50; rm", "vgg19_bn\n", "__init__", "get_model",
                 "vgg19.tv_in1k:x"):  # fmt: skip
        for library in ("torchvision", "timm"):
            yield Hostile(
                f"a network called {name!r} of {library}", "checkpoint", partial(_called, library, name),
                "cannot use .* no (network|timm model)",
            )  # fmt: skip
    for number, (name, value) in enumerate([
        ("root", 5), ("root", ["data"]), ("manifest", None), ("images", {}), ("batch_size", -1), ("batch_size", 0.5),
        ("batch_size", "32"), ("workers", -2), ("workers", "x"), ("cache", 7), ("cache_limit", -1.0), ("split", "eval"),
        ("split", ["fixed"]), ("fold", 5), ("fold", 1.0), ("balance", 2.0), ("balance", float("nan")), ("window", 0),
        ("ignore_genres", 5), ("ignore_genres", "N/A"), ("ignore_genres", [1]), ("source", "os"), ("source", 1),
        ("num_demo_posters", 1), ("min_positives", 0), ("on_bad_image", "ignore"), ("root", "http://127.0.0.1:9/x"),
        ("root", "s3://bucket/x"), ("root", "file:///etc"), ("root", "simplecache::http://127.0.0.1:9/x"),
        ("root", "/nowhere/at/all"), ("root", "~nobody-at-all/x"), ("root", "x" * 5000),
        ("manifest", "../../etc/passwd"), ("fingerprint", "other"), ("fingerprint", None),
        ("genres", 5), ("genres", ["x"]), ("genres", {"drop": 5}), ("genres", {"rename": ["x"]}),
        ("genres", {"rename": {"Red": 5}}), ("genres", {"derive": {"x": 5}}), ("genres", {"vocabulary": [["Red"]]}),
        ("genres", {"vocabulary": ["Red", "Red"]}), ("genres", {"eval": 1}), ("genres", {"unknown": "run"}),
        ("genres", {"derive": {"Pink": ["Red", "Blue"]}}),
        ("corrections", 5), ("corrections", ["x"]), ("corrections", {"exclude": 5}), ("corrections", {"exclude": []}),
        ("corrections", {"exclude": [], "relabel": [1], "sources": {}}),
        ("corrections", {"exclude": [], "relabel": [["a", "b"]], "sources": {}}),
        ("corrections", {"exclude": [], "relabel": [], "sources": 5}),
        ("corrections", {"exclude": ["nobody"], "relabel": [], "sources": {}}),
        ("corrections", {"exclude": [], "relabel": [["c000", "Western", 1]], "sources": {}}),
    ]):  # fmt: skip
        yield Hostile(f"data {number}: {name} is {_short(value)}", "posters", Far(f"data/{name}", value), "")


def _short(value: Any) -> str:
    if isinstance(value, str | list | dict) and len(value) > (99 if isinstance(value, str) else 3):
        return f"{type(value).__name__} of {len(value)}"
    return repr(value)


def _called(library: str, name: str, scene: Scene) -> Path:
    checkpoint = honest(scene)
    checkpoint[KEY]["model"] |= {"library": library, "name": name}
    return saved(checkpoint, scene.folder / "x.ckpt")


# --- weights within a checkpoint


def _state(change: Callable[[dict[str, Any]], Any], scene: Scene) -> Path:
    checkpoint = honest(scene)
    changed = change(checkpoint["state_dict"])
    if changed is not None:
        checkpoint["state_dict"] = changed
    return saved(checkpoint, scene.folder / "x.ckpt")


OUTPUT = "network.head.output.weight"


def _set(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        state[name] = value(state[name]) if callable(value) else value

    return change


def _popped(state: dict[str, Any], name: str) -> None:
    del state[name]


def _vast(_: Tensor) -> Tensor:
    with torch.sparse.check_sparse_tensor_invariants():
        return torch.sparse_coo_tensor(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0), size=(10**6, 10**6))


def _spoiled(value: float) -> Callable[[Tensor], Tensor]:
    def spoil(weight: Tensor) -> Tensor:
        weight = weight.clone(memory_format=torch.contiguous_format)
        weight.view(-1)[0] = value
        return weight

    return spoil


def weights() -> Iterator[Hostile]:
    fit, plain = "do not fit its tiny", "cannot use .*"
    one = torch.zeros(1)
    changes: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
        ("no weights at all", lambda state: state.clear(), plain),
        ("a list of weights", lambda state: list(state.values()), plain + "more than named tensors"),
        ("weights that are none", lambda state: 5, plain),
        ("names that are numbers", lambda state: dict(enumerate(state.values())), plain),
        ("a text for a weight", _set(OUTPUT, "x"), plain + "more than named tensors"),
        ("a table for a weight", _set(OUTPUT, {"a": one}), plain),
        ("a missing weight", lambda state: _popped(state, OUTPUT), fit + ": 1 missing, first head.output.weight"),
        ("a weight too many", lambda s: s.update({"network.evil": one}), fit + ": 1 unknown, first evil"),
        ("a name of a million letters", lambda s: s.update({"network." + "x" * 10**6: one}), fit),
        ("a head for other genres", _set(OUTPUT, torch.zeros(7, 16)), fit),
        ("a head of one dimension", _set(OUTPUT, torch.zeros(48)), fit),
        ("a head without entries", _set(OUTPUT, torch.zeros(0)), fit),
        ("a scalar", _set(OUTPUT, torch.tensor(1.0)), fit),
        ("half precision", _set(OUTPUT, Tensor.half), fit + ".*float16"),
        ("double precision", _set(OUTPUT, Tensor.double), fit + ".*float64"),
        ("whole numbers", _set(OUTPUT, Tensor.int), fit + ".*int32"),
        ("truths", _set(OUTPUT, Tensor.bool), fit + ".*bool"),
        ("complex numbers", _set(OUTPUT, lambda w: w.to(torch.complex64)), plain + "no plain tensor"),
        ("NaN", _set(OUTPUT, _spoiled(float("nan"))), fit + ".*NaN or infinity"),
        ("infinity", _set("network.stages.stage1.0.weight", _spoiled(float("inf"))), fit + ".*NaN or infinity"),
        ("a variance that is NaN", _set("network.stages.stage1.1.running_var", _spoiled(float("nan"))), fit),
        ("a sparse weight", _set(OUTPUT, Tensor.to_sparse), plain + "no plain tensor"),
        ("a sparse weight of terabytes", _set(OUTPUT, _vast), plain),
        ("a weight that is nowhere", _set(OUTPUT, torch.empty(10**6, 10**6, device="meta")), plain + "no plain tensor"),
        ("terabytes by strides of 0", _set(OUTPUT, one.expand(10**6, 10**6)), plain + "claims to be larger"),
        ("a stage of terabytes", _set("network.stages.stage1.0.weight", one.expand(10**6, 10**6)), plain + "claims"),
        ("a hidden layer of terabytes", _set("network.head.hidden.weight", one.expand(16, 10**12)), plain + "claims"),
        ("a thousand names for one weight",
         lambda s: s.update({f"network.{n}": s[OUTPUT] for n in range(1000)}), fit + ": 1000 unknown"),
    ]  # fmt: skip
    for name, change, says in changes:
        yield Hostile(f"weights: {name}", "checkpoint", partial(_state, change), says)
    yield Hostile("a quantized weight", "checkpoint", _quantized, "cannot use .*|can be used")


def _quantized(scene: Scene) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch gives them up
        quantized = torch.quantize_per_tensor(torch.zeros(3, 16), 0.1, 0, torch.qint8)
        return _state(_set(OUTPUT, quantized), scene)


# --- archives


def _part(scene: Scene, name: str) -> bytes:
    with zipfile.ZipFile(scene.best) as whole:
        (found,) = [entry for entry in whole.namelist() if entry.partition("/")[2] == name]
        return whole.read(found)


def _archive(scene: Scene, kind: str) -> Path:
    path = scene.folder / "x.ckpt"
    whole = scene.best.read_bytes()
    root = zipfile.ZipFile(scene.best).namelist()[0].partition("/")[0]
    zeros = bytes(50_000_000)
    match kind:
        case "deflated":
            return rewritten(scene, path, {}, compressed=True)
        case "a bomb for a pickle":
            return rewritten(
                scene, path, {"data.pkl": b"\x80\x02X\x00\xe1\xf5\x05" + zeros * 2 + b"."}, compressed=True
            )
        case "a bomb for a weight":
            return rewritten(scene, path, {"data/0": zeros * 4}, compressed=True)
        case "a bomb beside":
            return rewritten(scene, path, {}, compressed=True, more={f"{root}/data/999": zeros * 4})
        case "two of a name":
            with zipfile.ZipFile(path, "w") as made, zipfile.ZipFile(scene.best) as source, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for name in [*source.namelist(), *source.namelist()]:
                    made.writestr(name, source.read(name))
            return path
        case "names that lead out":
            return rewritten(scene, path, {"data.pkl": None}, more={f"../{root}/data.pkl": _part(scene, "data.pkl")})
        case "an absolute name":
            return rewritten(scene, path, {"data.pkl": None}, more={"/etc/passwd": b"x"})
        case "no pickle":
            return rewritten(scene, path, {"data.pkl": None})
        case "a weight that is not there":
            return rewritten(scene, path, {"data/0": None})
        case "a weight cut short":
            return rewritten(scene, path, {"data/0": b""})
        case "an order of bytes that there is not":
            return rewritten(scene, path, {"byteorder": b"middle"})
        case "a version of the future":
            return rewritten(scene, path, {"version": b"999999\n"})
        case "a size that is a lie":
            # The size of every part in the archive's table becomes 2 GB.
            at = whole.find(b"PK\x01\x02")
            table = bytearray(whole)
            while at >= 0:
                table[at + 20 : at + 28] = struct.pack("<II", 2**31, 2**31)
                at = whole.find(b"PK\x01\x02", at + 4)
            path.write_bytes(table)
            return path
        case "an offset behind the end":
            at = whole.find(b"PK\x01\x02")
            table = bytearray(whole)
            table[at + 42 : at + 46] = struct.pack("<I", 2**31)
            path.write_bytes(table)
            return path
        case "a thousand parts more":
            return rewritten(scene, path, {"data.pkl": None}, more={f"{root}/{n}": b"" for n in range(1000)})
        case "encrypted":
            table = bytearray(whole)
            for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
                at = whole.find(mark)
                while at >= 0:
                    table[at + place] |= 1
                    at = whole.find(mark, at + 4)
            path.write_bytes(table)
            return path
        case "a compiled program":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.jit.save(_scripted(), path)
            return path
        case "an exported program":
            torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.zeros(1),)), path.with_suffix(".pt2"))
            path.with_suffix(".pt2").rename(path)
            return path
        case "a storage larger than its part":
            # ('storage', FloatStorage, '0', 'cpu', 432): the number at the end becomes 16,777,215
            pickled = _part(scene, "data.pkl")
            claim = rb"(X\x03\0\0\0cpuq.)(?:K.|M..|J....)"
            longer = re.sub(claim, lambda found: found[1] + b"J\xff\xff\xff\x00", pickled, flags=re.DOTALL)
            assert longer != pickled
            return rewritten(scene, path, {"data.pkl": longer})
    raise AssertionError(kind)


def _scripted() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(torch.nn.ReLU(), torch.zeros(1))


ARCHIVES = (
    "deflated", "a bomb for a pickle", "a bomb for a weight", "a bomb beside", "two of a name", "names that lead out",
    "an absolute name", "no pickle", "a weight that is not there", "a weight cut short",
    "an order of bytes that there is not", "a version of the future", "a size that is a lie",
    "a storage larger than its part", "an offset behind the end", "a thousand parts more", "encrypted",
    "a compiled program", "an exported program",
)  # fmt: skip


def archives() -> Iterator[Hostile]:
    for kind in ARCHIVES:
        yield Hostile(f"archive: {kind}", "checkpoint", partial(_call, _archive, kind=kind), "can(not)? (use|be used)")


# --- files that are something else


def _file(scene: Scene, name: str, kind: str) -> Path:
    path = scene.folder / name
    match kind:
        case "empty":
            path.touch()
        case "a zero":
            path.write_bytes(b"\0")
        case "zeros":
            path.write_bytes(bytes(10_000_000))
        case "noise":
            path.write_bytes(np.random.default_rng(0).bytes(1_000_000))
        case "a picture":
            Image.new("RGB", (64, 64)).save(path, "PNG")
        case "a page":
            path.write_text("<html><script>alert(1)</script></html>")
        case "a program":
            path.write_bytes(Path("/bin/true").read_bytes())
        case "a script":
            path.write_text(f"import os\nos.system('touch {scene.canary}')\n")
        case "JSON":
            path.write_text(json.dumps({KEY: {"format": 1}}))
        case "YAML with code":
            path.write_text(f"!!python/object/apply:os.system ['touch {scene.canary}']\n")
        case "a tar":
            with tarfile.open(path, "w") as made:
                made.add(scene.best, "../../x.ckpt")
        case "an old tar of torch":
            with tarfile.open(path, "w") as made:
                for part in ("sys_info", "pickle", "storages", "tensors"):
                    content = pickle.dumps(Gadget(os.system, f"touch {scene.canary}"), protocol=2)
                    entry = tarfile.TarInfo(part)
                    entry.size = len(content)
                    made.addfile(entry, io.BytesIO(content))
        case "an empty zip":
            zipfile.ZipFile(path, "w").close()
        case "a zip of something else":
            with zipfile.ZipFile(path, "w") as made:
                made.writestr("a.txt", "a")
        case "a graph":
            shutil.copy(scene.graph, path)
        case "a checkpoint":
            shutil.copy(scene.best, path)
        case "cut at half":
            whole = scene.best.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
        case "cut by a byte":
            path.write_bytes(scene.best.read_bytes()[:-1])
        case "without its head":
            path.write_bytes(scene.best.read_bytes()[100:])
        case "with a head of zeros":
            path.write_bytes(bytes(4096) + scene.best.read_bytes()[4096:])
        case "a terabyte of nothing":
            with path.open("wb") as file:
                file.truncate(2**40)
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "endless zeros":
            path.symlink_to("/dev/zero")
        case "noise without end":
            path.symlink_to("/dev/urandom")
        case "a link to itself":
            path.symlink_to(path)
        case "a link to nowhere":
            path.symlink_to("nowhere")
        case "a secret":
            path.symlink_to(scene.secret)
        case "nothing":
            pass
        case _:
            raise AssertionError(kind)
    return path


FILES = (
    "empty", "a zero", "zeros", "noise", "a picture", "a page", "a program", "a script", "JSON", "YAML with code",
    "a tar",
    "an old tar of torch", "an empty zip", "a zip of something else", "a folder", "a pipe", "endless zeros",
    "noise without end", "a link to itself", "a link to nowhere", "nothing", "a terabyte of nothing",
)  # fmt: skip
OF_CHECKPOINTS = ("cut at half", "cut by a byte", "without its head", "with a head of zeros")


def files() -> Iterator[Hostile]:
    doors = {
        "checkpoint": ("x.ckpt", FILES + OF_CHECKPOINTS + ("a graph", "a secret")),
        "safetensors": ("x.safetensors", FILES + OF_CHECKPOINTS + ("a graph", "a checkpoint", "a secret")),
        "graph": ("x.onnx", FILES + OF_CHECKPOINTS + ("a checkpoint", "a secret")),
        "weights": ("x.pth", FILES + OF_CHECKPOINTS + ("a graph", "a secret")),
        "weights of safetensors": ("x.safetensors", FILES + OF_CHECKPOINTS + ("a graph", "a checkpoint", "a secret")),
        "manifest": ("x.csv", tuple(kind for kind in FILES if kind != "a terabyte of nothing")),
        "exclude": ("x.csv", tuple(kind for kind in FILES if kind != "a terabyte of nothing")),
        "predictions": ("x.csv", tuple(kind for kind in FILES if kind != "a terabyte of nothing")),
        "list": ("x.csv", ("zeros", "noise", "a picture", "a program", "a tar", "empty")),
        "shard": ("x.parquet", tuple(kind for kind in FILES if kind not in ("a folder", "nothing"))),
        "note": ("x.csv.run.json", ("empty", "a zero", "zeros", "noise", "a picture", "a page", "JSON", "a tar")),
        "table": ("x.csv", ("noise", "a picture", "a tar", "a program")),
        "index": (
            "index.json",
            ("empty", "zeros", "noise", "a picture", "a page", "JSON", "YAML with code", "a folder"),
        ),
        "study": ("x.db", ("zeros", "noise", "a picture", "a page", "a tar", "a folder", "a program", "endless zeros")),
        "home": ("per_genre.csv", ("empty", "zeros", "noise", "a picture", "JSON", "a program", "a folder", "a pipe")),
        "asked": ("asked.json", ("empty", "zeros", "noise", "JSON", "YAML with code", "a picture")),
    }
    for door, (name, kinds) in doors.items():
        for kind in kinds:
            yield Hostile(f"{door}: {kind}", door, partial(_call, _file, name=name, kind=kind), "")


# --- weight files


def _header(scene: Scene, name: str, told: Any, body: bytes = b"", length: int | None = None) -> Path:
    text = told if isinstance(told, bytes) else json.dumps(told).encode()
    path = scene.folder / name
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def safetensors() -> Iterator[Hostile]:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    lies: list[tuple[str, Any, bytes, int | None]] = [
        ("a header of exabytes", b"{}", b"", 2**63), ("a header longer than the file", b"{}", b"", 10**9),
        ("a header of nothing", b"", b"", 0), ("a header that is a list", [1], b"", None),
        ("a header that is no text", b"\xff" * 100, b"", None), ("a header of deep lists", b"[" * 100_000, b"", None),
        ("a header with two of a name", b'{"a":' + json.dumps(entry).encode() + b',"a":' + json.dumps(entry).encode()
         + b"}", bytes(16), None),
        ("overlapping tensors", {"a": entry, "b": entry}, bytes(8), None),
        ("a hole", {"a": entry | {"data_offsets": [8, 16]}}, bytes(16), None),
        ("offsets that go back", {"a": entry | {"data_offsets": [8, 0]}}, bytes(8), None),
        ("offsets behind the end", {"a": entry | {"data_offsets": [0, 10**12], "shape": [25 * 10**10]}},
         bytes(8), None),
        ("a shape of exabytes", {"a": entry | {"shape": [2**40, 2**40]}}, bytes(8), None),
        ("a shape that overflows", {"a": entry | {"shape": [2**63, 2]}}, bytes(8), None),
        ("a negative shape", {"a": entry | {"shape": [-2]}}, bytes(8), None),
        ("a type that there is not", {"a": entry | {"dtype": "PICKLE"}}, bytes(8), None),
        ("bytes behind the end", {"a": entry}, bytes(800), None),
        ("a million tensors of nothing",
         {str(n): entry | {"shape": [0], "data_offsets": [0, 0]} for n in range(50_000)},
         b"", None),
    ]  # fmt: skip
    for name, told, body, length in lies:
        for door in ("safetensors", "weights of safetensors"):
            made = partial(_header, name="x.safetensors", told=told, body=body, length=length)
            yield Hostile(f"{door}: {name}", door, partial(_called_with, made), "")
    for name, metadata in (
        ("no contract", None), ("a contract that is no JSON", {KEY: "{"}), ("a contract that is a list", {KEY: "[]"}),
        ("a contract of deep lists", {KEY: "[" * 100_000}), ("a number of a million digits", {KEY: "1" * 1_000_000}),
        ("a contract of NaN", {KEY: '{"format": NaN}'}),
        ("a contract of tables", {KEY: '{"a":' * 500 + "1" + "}" * 500}),
        ("a contract of text", {KEY: '"x"'}),
    ):  # fmt: skip
        yield Hostile(f"safetensors: {name}", "safetensors", partial(_metadata, metadata), "cannot use|was not made by")


def _called_with(make: Callable[..., Path], scene: Scene) -> Path:
    return make(scene)


def _metadata(metadata: dict[str, str] | None, scene: Scene) -> Path:
    state = {name.removeprefix("network."): value.contiguous() for name, value in honest(scene)["state_dict"].items()}
    save_file(state, scene.folder / "x.safetensors", metadata=metadata)
    return scene.folder / "x.safetensors"


def _vgg(change: Callable[[dict[str, Any]], Any], name: str, scene: Scene) -> Path:
    """Write weights of torchvision's smallest VGG, changed."""
    import torchvision

    with torch.device("meta"):
        shapes = torchvision.models.vgg11().features.state_dict()
    state: dict[str, Any] = {f"features.{key}": torch.zeros(value.shape) for key, value in shapes.items()}
    changed = change(state)
    state = state if changed is None else changed
    path = scene.folder / name
    if name.endswith(".safetensors"):
        path.write_bytes(save(state))
    else:
        torch.save(state, path)
    return path


def _coded(gadget: str, form: str, place: str, scene: Scene) -> Path:
    thing = gadgets(scene.canary)[gadget]
    told = {"top": thing, "weight": {"features.0.weight": thing}, "nested": {"state_dict": {"x": thing}}}[place]
    return saved(told, scene.folder / "x.pth", form=form)


def weight_files() -> Iterator[Hostile]:
    for gadget in ("os.system", "eval", "torch.load", "subprocess.Popen", "a network", "a class with a state"):
        for form in ("zip", "legacy", "2", "5"):
            yield Hostile(f"weights: {gadget}, {form}", "weights", partial(_coded, gadget, form, "top"),
                          "is not a file of weights")  # fmt: skip
    for place in ("weight", "nested"):
        yield Hostile(f"weights: os.system in {place}", "weights", partial(_coded, "os.system", "zip", place),
                      "it asks for posix.system; nothing in it was run")  # fmt: skip
    first, one = "features.0.weight", torch.zeros(1)
    changes: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
        ("of another network", lambda s: {"x": one}, "does not fit vgg11"),
        ("none", lambda s: {}, "not a file of weights"),
        ("one missing", lambda s: _popped(s, first), "does not fit vgg11: 1 tensor"),
        ("of another shape", lambda s: s.update({first: one}), r"does not fit vgg11: features.0.weight is \(1,\)"),
        ("a list", lambda s: list(s.values()), "not a file of weights"), ("a tensor", lambda s: one, "not a file of"),
        ("NaN", lambda s: s.update({first: _spoiled(float("nan"))(s[first])}), "has NaN or infinity"),
        ("terabytes by strides of 0", lambda s: s.update({first: one.expand(10**6, 10**6)}), "claims to be larger"),
        ("terabytes of halves", lambda s: s.update({first: one.half().expand(10**6, 10**6)}), "claims to be larger"),
        ("nowhere", lambda s: s.update({first: torch.empty(9, device="meta")}), "no plain tensor"),
        ("sparse", lambda s: s.update({first: s[first].to_sparse()}), "no plain tensor"),
        ("text", lambda s: s.update({first: "x"}), "more than named tensors"),
        ("names that are numbers", lambda s: {0: one}, "more than named tensors"),
        ("complex", lambda s: s.update({first: s[first].to(torch.complex64)}), "no plain tensor|does not fit"),
    ]  # fmt: skip
    for name, change, says in changes:
        yield Hostile(f"weight file: {name}", "weights", partial(_vgg, change, "x.pth"), says)


# --- exported graphs


def _graph(change: Callable[[onnx.ModelProto, Scene], Any], scene: Scene) -> Path:
    model = onnx.load(scene.graph)
    change(model, scene)
    path = scene.folder / "x.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _entry(model: onnx.ModelProto) -> Any:
    (entry,) = [entry for entry in model.metadata_props if entry.key == KEY]
    return entry


def _told(**changes: Any) -> Callable[[onnx.ModelProto, Scene], None]:
    def change(model: onnx.ModelProto, _: Scene) -> None:
        entry = _entry(model)
        entry.value = json.dumps(json.loads(entry.value) | changes)

    return change


def _text(text: str) -> Callable[[onnx.ModelProto, Scene], None]:
    def change(model: onnx.ModelProto, _: Scene) -> None:
        _entry(model).value = text

    return change


def _outside(place: str, key: str = "location") -> Callable[[onnx.ModelProto, Scene], None]:
    def change(model: onnx.ModelProto, scene: Scene) -> None:
        weight = model.graph.initializer[0]
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key=key, value=place.replace("SECRET", str(scene.secret)))
        weight.ClearField("raw_data")

    return change


def _outside_within(model: onnx.ModelProto, scene: Scene) -> None:
    """Hide external data in a subgraph of a condition."""
    tensor = onnx.helper.make_tensor("t", onnx.TensorProto.FLOAT, [1], [0.0])
    tensor.external_data.add(key="location", value=str(scene.secret))
    inner = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["t"], ["o"])], "inner", [],
        [onnx.helper.make_tensor_value_info("o", onnx.TensorProto.FLOAT, [1])], [tensor],
    )  # fmt: skip
    model.graph.node.append(onnx.helper.make_node("If", ["c"], ["unused"], then_branch=inner, else_branch=inner))


def _outside_sparse(model: onnx.ModelProto, scene: Scene) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.name = "s"
    sparse.values.external_data.add(key="location", value=str(scene.secret))


def _outside_function(model: onnx.ModelProto, scene: Scene) -> None:
    tensor = onnx.helper.make_tensor("t", onnx.TensorProto.FLOAT, [1], [0.0])
    tensor.external_data.add(key="location", value=str(scene.secret))
    function = model.functions.add()
    function.name, function.domain = "f", "evil"
    function.node.append(onnx.helper.make_node("Constant", [], ["o"], value=tensor))


def _endless(model: onnx.ModelProto, _: Scene) -> None:
    """Put a loop before the output that counts to 2⁶³."""
    helper = onnx.helper
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_in"], ["go"]), helper.make_node("Identity", ["x_in"], ["x"])], "body",
        [helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
         helper.make_tensor_value_info("go_in", onnx.TensorProto.BOOL, []),
         helper.make_tensor_value_info("x_in", onnx.TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
         helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, None)],
    )  # fmt: skip
    (last,) = [node for node in model.graph.node if "probabilities" in node.output]
    last.output[:] = ["before"]
    model.graph.initializer.append(helper.make_tensor("most", onnx.TensorProto.INT64, [], [2**63 - 1]))
    model.graph.initializer.append(helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True]))
    model.graph.node.append(helper.make_node("Loop", ["most", "yes", "before"], ["probabilities"], body=body))


def _endless_within(model: onnx.ModelProto, scene: Scene) -> None:
    """Hide the loop in a function."""
    _endless(model, scene)
    function = model.functions.add()
    function.name, function.domain = "f", "evil"
    function.node.append(model.graph.node[-1])
    del model.graph.node[-1]


def _operator(name: str, domain: str) -> Callable[[onnx.ModelProto, Scene], None]:
    def change(model: onnx.ModelProto, _: Scene) -> None:
        model.graph.node[-1].op_type, model.graph.node[-1].domain = name, domain
        model.opset_import.add(domain=domain, version=1)

    return change


def _port(which: str, name: str, kind: int, shape: list[int | str]) -> Callable[[onnx.ModelProto, Scene], None]:
    def change(model: onnx.ModelProto, _: Scene) -> None:
        ports = getattr(model.graph, which)
        ports[0].CopyFrom(onnx.helper.make_tensor_value_info(name, kind, shape))

    return change


def _larger(dims: list[int]) -> Callable[[onnx.ModelProto, Scene], None]:
    def change(model: onnx.ModelProto, _: Scene) -> None:
        model.graph.initializer[0].dims[:] = dims

    return change


def _circle(model: onnx.ModelProto, _: Scene) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def graphs() -> Iterator[Hostile]:
    uint8, float_ = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT
    apart = "keeps numbers in other files"
    changes: list[tuple[str, Callable[[onnx.ModelProto, Scene], Any], str]] = [
        ("no metadata", lambda m, s: m.metadata_props.clear(), "has no 'postergenre' contract"),
        ("a contract of nothing", _text(""), "is not JSON"), ("a contract of HTML", _text("<b>"), "is not JSON"),
        ("a contract of deep lists", _text("[" * 100_000), "is not JSON"),
        ("a contract of deep tables", _text('{"format":' * 900 + "1" + "}" * 900), "contract"),
        ("a contract that is a number", _text("1" * 10_000), "is not JSON|not a JSON object"),
        ("a contract of ten million letters", _told(headline=["x" * 10**7]), "letters"),
        ("another format", _told(format=99), "contract format 99"),
        ("genres that are no names", _told(genres=[1, 2, 3]), "not a list of names"),
        ("genres that move the cursor", _told(genres=["\x1b[2J", "b", "c"]), "cannot be a genre"),
        ("another number of genres", _told(genres=["a", "b"]), "disagrees with itself"),
        ("genres of another graph", _told(
            genres=["a", "b"], headline=["a"], priors=[0.1] * 2, thresholds=[0.1] * 2, temperatures=[1.0] * 2,
            offsets=[0.0] * 2), r"does not give probabilities float \(B,2\)"),
        ("thresholds that are NaN", _told(thresholds=[float("nan")] * 3), "not a list of numbers"),
        ("another size", _told(preprocess={"height": 64, "width": 24}), r"does not take images uint8 \(B,3,64,24\)"),
        ("a size of a billion", _told(preprocess={"height": GIGANTIC, "width": 24}), "must lie in 8 … 4096"),
        ("an absolute path", _outside("SECRET"), apart), ("a path up", _outside("../secret"), apart),
        ("a path beside", _outside("weights.bin"), apart), ("an address", _outside("http://127.0.0.1:9/x"), apart),
        ("a device", _outside("/dev/zero"), apart), ("no place", _outside("x", key="offset"), apart),
        ("an empty place", _outside(""), apart), ("memory of the process", _outside("/proc/self/mem"), apart),
        ("a place in memory", _outside("*/_ORT_MEM_ADDR_/*"), apart),
        ("a path within a condition", _outside_within, apart), ("a path in a sparse weight", _outside_sparse, apart),
        ("a path in a function", _outside_function, apart),
        ("a loop without end", _endless, "has a Loop in its graph"),
        ("a loop without end in a function", _endless_within, "has a Loop in its graph"),
        ("an operator that there is not", _operator("Frobnicate", ""), "onnxruntime cannot run"),
        ("an operator of a stranger", _operator("System", "com.evil"), "onnxruntime cannot run"),
        ("Python in the graph", _operator("PyOp", "pyopmulti_1"), "onnxruntime cannot run"),
        ("a context of another engine", _operator("EPContext", "com.microsoft"), "onnxruntime cannot run"),
        ("another input", _port("input", "pixels", uint8, ["b", 3, 32, 24]), "does not take images"),
        ("an input of text", _port("input", "images", onnx.TensorProto.STRING, ["b", 3, 32, 24]), "does not take"),
        ("an input of a billion", _port("input", "images", uint8, ["b", 3, GIGANTIC, 24]), "does not take images"),
        ("an input of one poster", _port("input", "images", uint8, [1, 3, 32, 24]), "does not take images"),
        ("an input without a shape", lambda m, s: m.graph.input[0].ClearField("type"), "does not take images"),
        ("two inputs", lambda m, s: m.graph.input.append(m.graph.input[0]), "does not take images"),
        ("no input", lambda m, s: m.graph.ClearField("input"), "does not take images"),
        ("another output", _port("output", "x", float_, ["b", 3]), "does not give probabilities"),
        ("an output of another width", _port("output", "probabilities", float_, ["b", 4]), "does not give"),
        ("two outputs", lambda m, s: m.graph.output.append(m.graph.output[0]), "does not give probabilities"),
        ("no nodes", lambda m, s: m.graph.ClearField("node"), "onnxruntime cannot run"),
        ("no graph", lambda m, s: m.ClearField("graph"), "does not take images"),
        ("a circle", _circle, "onnxruntime cannot run"),
        ("weights of terabytes", _larger([10**6, 10**6]), "onnxruntime cannot run"),
        ("weights of a size that overflows", _larger([2**62, 2**62]), "onnxruntime cannot run"),
        ("weights of a negative size", _larger([-1, 3]), "onnxruntime cannot run"),
        ("a version of the future", lambda m, s: setattr(m, "ir_version", 999), "onnxruntime cannot run"),
        ("operators of the future", lambda m, s: setattr(m.opset_import[0], "version", 9999), "onnxruntime cannot run"),
        ("no operators' version", lambda m, s: m.ClearField("opset_import"), "onnxruntime cannot run"),
    ]  # fmt: skip
    for name, change, says in changes:
        yield Hostile(f"graph: {name}", "graph", partial(_graph, change), says)


# --- runs to go on with


def _run(place: str, value: Any, scene: Scene) -> Path:
    checkpoint = honest(scene)
    *path, last = place.split("/")
    inner: Any = checkpoint
    for name in path:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return saved(checkpoint, scene.folder / "x.ckpt")


def runs() -> Iterator[Hostile]:
    for place, value in (
        ("epoch", "x"), ("epoch", -1), ("epoch", 1.5), ("epoch", None), ("global_step", -1), ("global_step", "x"),
        ("global_step", ...), ("loops", ...), ("loops", 5), ("loops", {}), ("loops", {"fit_loop": {}}),
        ("loops/fit_loop", {"state_dict": 5}), ("optimizer_states", ...), ("optimizer_states", []),
        ("optimizer_states", [5]), ("optimizer_states", [{}]), ("optimizer_states/0/state", {99: {}}),
        ("optimizer_states/0/state", {0: 5}), ("optimizer_states/0/state", {0: {"exp_avg": torch.zeros(2)}}),
        ("optimizer_states/0/param_groups", []), ("lr_schedulers", ...), ("lr_schedulers", 5), ("lr_schedulers", [5]),
        ("batches", -1), ("batches", "x"), ("order", 5), ("rng", 5), ("rng", {}), ("rng", {"cpu": 5, "cuda": None}),
        ("rng", {"cpu": torch.zeros(3, dtype=torch.uint8), "cuda": None}),
        ("pytorch-lightning_version", ...), ("pytorch-lightning_version", "1.0.0"), ("callbacks", 5),
        ("pytorch-lightning_version", "x"), ("state_dict", ...), ("state_dict", {}), ("state_dict", [1]),
        ("state_dict", {"network.x": torch.zeros(1)}),
        (f"state_dict/{OUTPUT}", torch.zeros(7, 7)), (f"state_dict/{OUTPUT}", torch.zeros(1).expand(10**6, 10**6)),
        (f"{KEY}/model/hidden", 8), (f"{KEY}/genres", ["a", "b", "c"]), (f"{KEY}/data/fingerprint", "other"),
    ):  # fmt: skip
        shown = "nothing" if value is ... else _short(value)[:40]
        yield Hostile(f"run: {place} is {shown}", "resume", partial(_run, place, value), "")
    for gadget, place in (("os.system", "callbacks"), ("eval", "optimizer_states/0/state"), ("torch.load", "rng/cpu")):
        made = partial(_call, with_code, gadget=gadget, place=place, form="zip")
        yield Hostile(f"run: {gadget} in {place}", "resume", made, RUN)


# --- tables, indices, shards


def _csv(scene: Scene, name: str, text: str | bytes) -> Path:
    path = scene.folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _index(place: str, value: Any, scene: Scene) -> Path:
    folder = scene.folder / "shards"
    shutil.copytree(scene.shards, folder)
    told = json.loads((folder / "index.json").read_text())
    *path, last = place.split("/")
    inner: Any = told
    for name in path:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    if value is ...:
        del inner[last]
    elif isinstance(inner, list):
        inner[int(last)] = value
    else:
        inner[last] = deepcopy(value)
    (folder / "index.json").write_text(json.dumps(told))
    return folder / "index.json"


def _shard(change: Callable[[arrow.Table], arrow.Table], scene: Scene) -> Path:
    """Rewrite a shard, and let the index tell its size."""
    folder = scene.folder / "shards"
    shutil.copytree(scene.shards, folder)
    told = json.loads((folder / "index.json").read_text())
    shard = told["shards"]["train"][0]
    parquet.write_table(change(parquet.read_table(folder / shard["name"])), folder / shard["name"], row_group_size=1000)
    shard["num_bytes"] = (folder / shard["name"]).stat().st_size
    (folder / "index.json").write_text(json.dumps(told))
    return folder / "index.json"


def _column(name: str, values: Callable[[arrow.Table], Any]) -> Callable[[arrow.Table], arrow.Table]:
    def change(table: arrow.Table) -> arrow.Table:
        place = table.column_names.index(name)
        return table.set_column(place, name, values(table)).replace_schema_metadata(table.schema.metadata)

    return change


def tables() -> Iterator[Hostile]:
    for name, text, says in (
        ("a list that is code", "Id,Genre\n1,\"__import__('os').system('touch canary')\"\n",
         "is not the text of a list"),
        ("a list that computes", "Id,Genre\n1,\"[chr(65)]\"\n", "is not the text of a list"),
        ("a list of deep lists", "Id,Genre\n1," + "[" * 90_000 + "\n", "is not the text of a list"),
        ("a list of powers", "Id,Genre\n1,9**9**9**9\n", "is not the text of a list"),
        ("an address for a picture", "image,genres\nhttp://127.0.0.1:9/x.jpg,Red\n", "no picture|missing|not there"),
        ("a genre that moves the cursor", "image,genres\na.jpg,\x1b[2J\n", "cannot be a genre"),
        ("a genre of a megabyte", "image,genres\na.jpg," + "x" * 10**6 + "\n", "cannot be a genre"),
        ("a cell of NUL", "image,genres\na\x00.jpg,Red\n", ""),
        ("a formula", "=cmd|' /C calc'!A0,b\n1,2\n", "no column"),
        ("a name of a device", "image,genres\n/dev/zero,Red\n", ""),
        ("UTF-16", "image,genres\na,Red\n".encode("utf-16"), ""),
        ("a header of a million columns", "image,genres" + ",x" * 10**5 + "\n", "more than one column"),
    ):  # fmt: skip
        yield Hostile(f"manifest: {name}", "manifest", partial(_call, _csv, name="x.csv", text=text), says)
    for name, text, says in (
        ("somebody else", "id,genre,suggested\n../../etc/passwd,Red,1\n", "no poster"),
        ("no column", "x\n1\n", "has no column"),
        ("too many cells", "id\nc000,c001,c002\n", "cannot read"),
        ("a genre that is none", "id,genre,suggested\nc000,eval,1\n",
         "no genre|no column"),
         ("a suggestion that is none", "id,genre,suggested\nc000,Red,maybe\n", "neither 0 nor 1"),
        ("NaN", "id,genre,suggested\nc000,Red,nan\n", "neither 0 nor 1"),
    ):  # fmt: skip
        yield Hostile(f"relabel: {name}", "relabel", partial(_call, _csv, name="x.csv", text=text), says)
    for name, text, says in (
        ("cut within a row", "poster,Red,Green,Blue\nc000.jpg", ""), ("no genre of ours", "poster,x\nc000.jpg,1\n", ""),
        ("NaN", "poster,Red,Green,Blue\nc000.jpg,nan,0,0\n", "is no probability"),
        ("infinity", "poster,Red,Green,Blue\nc000.jpg,inf,0,0\n", "is no probability"),
        ("code", "poster,Red,Green,Blue\nc000.jpg,__import__('os'),0,0\n", "is no probability"),
        ("a field of megabytes", "poster,Red,Green,Blue\n" + "x" * 10**6 + ",0,0,0\n", ""),
        ("the same twice", "poster,Red,Green,Blue\nc000.jpg,0,0,0\nc000.jpg,0,0,0\n", "answered 2 times"),
        ("others", "poster,Red,Green,Blue\n/etc/passwd,0,0,0\n", "answers about none"),
    ):  # fmt: skip
        yield Hostile(f"predictions: {name}", "predictions", partial(_call, _csv, name="x.csv", text=text), says)
    for name, text in (
        ("a list", "[]"), ("nothing of ours", "{}"), ("deep lists", "[" * 100_000), ("numbers for names",
         '{"checkpoint": 5, "sha256": [], "tta": "none", "allow_empty": false, "top": 3}'),
        ("no checkpoint", '{"sha256": [], "tta": "none", "allow_empty": false, "top": 3}'),
        ("another checkpoint", '{"checkpoint": ["a"], "sha256": ["b"], "tta": "none", "allow_empty": false, "top": 3}'),
        ("other settings", '{"checkpoint": ["a"], "sha256": [], "tta": {"a": 1}, "allow_empty": [], "top": "x"}'),
    ):  # fmt: skip
        yield Hostile(f"note: {name}", "note", partial(_call, _csv, name="x.csv.run.json", text=text), "x.csv")
    for name, text in (
        ("other posters", "poster,genres,top,Red,Green,Blue,error\n/etc/passwd,,,0,0,0,\n"),
        ("other columns", "poster,error\na,b\n"), ("too few cells", "poster,genres,top,Red,Green,Blue,error\na\n"),
        ("a quote without end", 'poster,genres,top,Red,Green,Blue,error\n"' + "x\n" * 1000),
        ("bytes that are no text", b"poster,genres,top,Red,Green,Blue,error\n\xff,,,0,0,0,\n"),
        ("NUL", b"poster,genres,top,Red,Green,Blue,error\n\x00,,,0,0,0,\n"),
    ):  # fmt: skip
        yield Hostile(f"table: {name}", "table", partial(_call, _csv, name="x.csv", text=text), "")
    for name, text in (
        ("no columns", "x,y\n1,2\n"),
        ("an open quote", 'image,genres\n"a,Red\n'),
        ("bytes that are no text", b"image,genres\n\xff\xfe,Red\n"), ("a header and nothing", "image,genres\n"),
    ):  # fmt: skip
        yield Hostile(f"list: {name}", "list", partial(_call, _csv, name="x.csv", text=text), "")
    for name, text in (
        ("numbers that are none", "genre,support,chance,ap,auroc\nRed,x,0,0,0\n"), ("cut", "genre,support\nRed,1\n"),
        ("a field of megabytes", "genre,support,chance,ap,auroc\n" + "x" * 200_000 + ",1,0,0,0\n"),
    ):  # fmt: skip
        yield Hostile(f"home: {name}", "home", partial(_call, _csv, name="per_genre.csv", text=text), "")
    for name, text in (
        ("a list", "[]"), ("numbers", '{"asked": 5, "began": 5}'), ("deep lists", "[" * 100_000),
        ("another question", '{"asked": {"source": "evil"}, "began": "2020"}'),
    ):  # fmt: skip
        yield Hostile(f"asked: {name}", "asked", partial(_call, _csv, name="asked.json", text=text), "")
    for place, value in (
        ("format", 2), ("format", ...), ("identity", 5), ("fingerprint", ...), ("genres", []),
        ("genres", ["a", "a", "b"]),
        ("genres", ["\x1b[2J", "b", "c"]), ("genres", 5), ("genres", ["Red"]), ("split", 5), ("fold", "0"),
        ("fold", -1),
        ("ignore_genres", [5]), ("group_rows", 0), ("group_rows", -1), ("group_rows", "8"), ("group_rows", 10**30),
        ("counts", {}), ("counts/train", []), ("counts/train", [1.5, 1, 1]), ("counts/train", ["1", 1, 1]),
        ("counts/train", [-1, 1, 1]), ("shards", {}), ("shards", []), ("shards/train", 5), ("shards/train/0", 5),
        ("shards/train/0/name", f"../{'../' * 9}etc/passwd"), ("shards/train/0/name", "/etc/passwd"),
        ("shards/train/0/name", "http://127.0.0.1:9/x"), ("shards/train/0/name", 5),
        ("shards/train/0/num_posters", 10**12),
        ("shards/train/0/num_posters", -1), ("shards/train/0/num_posters", 1.5), ("shards/train/0/num_bytes", 10**12),
        ("shards/train/0/num_posters", 1000), ("shards/train/0/evil", 1), ("evil", 1), ("num_posters", ...),
        ("identity", "other"),
    ):  # fmt: skip
        yield Hostile(f"index: {place} is {'nothing' if value is ... else _short(value)}", "index",
                      partial(_index, place, value), "")  # fmt: skip
    paths, names = ["/etc/passwd"], SCHEMA.field("genres").type
    for name, change in (
        ("pictures that are paths", _column("image", lambda t: arrow.array(paths * len(t), arrow.string()))),
        ("no pictures", _column("image", lambda t: arrow.array([None] * len(t), arrow.binary()))),
        ("pictures that are none", _column("image", lambda t: arrow.array([b"no picture"] * len(t), arrow.binary()))),
        ("genres that nobody knows", _column("genres", lambda t: arrow.array([["Evil"]] * len(t), names))),
        ("genres that are none", _column("genres", lambda t: arrow.array([None] * len(t), names))),
        ("genres that are text", _column("genres", lambda t: arrow.array(["Red"] * len(t), arrow.string()))),
        ("names that are numbers", _column("id", lambda t: arrow.array(range(len(t))))),
        ("fewer rows", lambda t: t.slice(0, 3)), ("no column of pictures", lambda t: t.drop_columns("image")),
        ("another set", lambda t: t.replace_schema_metadata({"postergenre": "other"})),
        ("no set", lambda t: t.replace_schema_metadata(None)),
    ):  # fmt: skip
        yield Hostile(f"index: {name}", "index", partial(_shard, change), "")


def cases() -> list[Hostile]:
    made = [
        *codes(), *contracts(), *weights(), *archives(), *files(), *safetensors(), *weight_files(), *graphs(), *runs(),
        *tables(),
    ]  # fmt: skip
    repeated = [name for name, count in Counter(case.name for case in made).items() if count > 1]
    assert not repeated, repeated
    return made


CASES = cases()
"""Everything that is tried."""
