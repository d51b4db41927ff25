"""Exports answer as their checkpoint, or are not written."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from conftest import ROOT, picture_modes
from postergenre import load
from postergenre.classifier.contract import KEY, Contract, load_network, read_checkpoint
from postergenre.errors import CheckpointError, ConfigError, DataError, ExportError
from postergenre.export import ExportConfig, Exported, export
from postergenre.export.formats import FORMATS, Calibrated
from postergenre.export.run import write_checked
from postergenre.networks import ModelConfig, build_network
from postergenre.preprocess import Preprocess
from postergenre.training import Trained, train
from postergenre.training.config import TrainConfig

pytestmark = pytest.mark.slow  # a graph takes seconds to trace
FEW = torch.randint(0, 256, (7, 3, 32, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """The trained classifier in every format."""
    folder = tmp_path_factory.mktemp("exported")
    return {
        kind: export(ExportConfig(checkpoint=str(trained.best), format=kind, output_dir=str(folder / kind)))
        for kind in FORMATS
    }


@pytest.fixture(scope="module")
def graph(exported: dict[str, Exported]) -> Path:
    return exported["onnx"].path


def checkpoints_own(path: Path, images: torch.Tensor) -> torch.Tensor:
    """Return what a checkpoint says, by nothing but its network and its contract."""
    network, contract = load_network(path)
    with torch.inference_mode():
        return contract.calibrate(network(images)).sigmoid()


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_answers_as_its_checkpoint_for_any_number_of_posters(
    trained: Trained, exported: dict[str, Exported], kind: str
) -> None:
    expected = checkpoints_own(trained.best, FEW)
    answer = FORMATS[kind].read(exported[kind].path)
    with torch.inference_mode():
        for size in (1, 2, 7):
            assert torch.allclose(answer(FEW[:size]), expected[:size], atol=1e-6)
    assert exported[kind].max_difference <= 1e-6
    assert exported[kind].posters == "16 validation posters"


def test_nothing_but_the_file_and_its_facts_is_left(exported: dict[str, Exported]) -> None:
    for kind, export_ in exported.items():
        assert {path.name for path in export_.path.parent.iterdir()} == {f"best{FORMATS[kind].suffix}", "export.json"}
        facts = json.loads((export_.path.parent / "export.json").read_text())
        assert facts["path"] == export_.path.name
        assert facts["max_difference"] == export_.max_difference
        assert export_.path.stat().st_mode & 0o044  # others may read it


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_every_kind_of_picture_gets_the_same_answer_from_checkpoint_graph_and_library(
    trained: Trained, exported: dict[str, Exported], tmp_path: Path, tta: str
) -> None:
    reference, by_graph, by_weights = (
        load(path, gpus="0", precision="32", tta=tta)
        for path in (trained.best, exported["onnx"].path, exported["safetensors"].path)
    )
    (tmp_path / "modes").mkdir()
    told = {}
    for mode, path in picture_modes(tmp_path / "modes").items():
        told[mode] = expected = reference.predict(path)
        if tta == "none":
            pixels = reference.contract.preprocess.read(path)[None]
            own = checkpoints_own(trained.best, pixels)[0].tolist()
            assert list(expected.probabilities.values()) == pytest.approx(own, abs=1e-6), mode
        for predictor in (by_graph, by_weights):
            for poster in (path, path.read_bytes()):
                answer = predictor.predict(poster)
                assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-4), mode
                assert answer.genres == expected.genres, mode
        with Image.open(path) as picture:
            assert by_graph.predict(picture).probabilities == pytest.approx(
                reference.predict(picture).probabilities, abs=1e-4
            ), mode
    answers = {tuple(round(p, 2) for p in answer.probabilities.values()) for answer in told.values()}
    assert len(answers) > 3  # the pictures differ, so that the test can fail


def test_the_contract_travels_whole(trained: Trained, exported: dict[str, Exported]) -> None:
    contract = read_checkpoint(trained.best)[1]
    assert load(exported["onnx"].path).contract == load(exported["safetensors"].path).contract == contract
    extra = {KEY: ""}
    torch.export.load(exported["torch_export"].path, extra_files=extra)
    assert Contract.from_json(extra[KEY]) == contract


def test_a_score_that_is_no_number_becomes_null_where_json_has_none(trained: Trained) -> None:
    contract = read_checkpoint(trained.best)[1]
    contract.provenance["val"]["auroc"] = float("nan")
    plain = json.loads(contract.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert plain["provenance"]["val"]["auroc"] is None


def test_a_graph_says_in_words_what_it_takes_and_gives(graph: Path) -> None:
    session = onnxruntime.InferenceSession(graph)
    ((images,), (probabilities,)) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape[1:]) == ("images", "tensor(uint8)", [3, 32, 24])
    assert (probabilities.name, probabilities.type, probabilities.shape[1:]) == (
        "probabilities", "tensor(float)", [3],
    )  # fmt: skip
    assert isinstance(images.shape[0], str)
    assert "uint8 (B,3,32,24), RGB" in session.get_modelmeta().description
    assert "Red, Green, Blue" in session.get_modelmeta().description


def test_weights_are_the_same_to_the_last_bit(trained: Trained, exported: dict[str, Exported]) -> None:
    ours, theirs = load_network(trained.best)[0].state_dict(), load_file(exported["safetensors"].path)
    assert list(ours) != []
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_answers_otherwise_is_not_written(trained: Trained, tmp_path: Path, kind: str) -> None:
    expected = checkpoints_own(trained.best, FEW)
    network, contract = load_network(trained.best)
    with torch.no_grad():
        network.output.bias[1] += 2e-3
    target = tmp_path / f"other{FORMATS[kind].suffix}"
    with pytest.raises(ExportError, match=r"other.* is not written: its probabilities differ from the checkpoint's by"):
        write_checked(FORMATS[kind], Calibrated(network, contract), target, images=FEW, expected=expected)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_answers_that_are_no_numbers_are_not_written_either(trained: Trained, tmp_path: Path, broken: float) -> None:
    network, contract = load_network(trained.best)
    with torch.no_grad():
        network.output.weight.fill_(broken)
    calibrated = Calibrated(network, contract)
    with torch.inference_mode():
        expected = calibrated(FEW)
    with pytest.raises(ExportError, match="not written"):
        write_checked(FORMATS["safetensors"], calibrated, tmp_path / "x.safetensors", images=FEW, expected=expected)
    assert not list(tmp_path.iterdir())


def tampered(graph: Path, folder: Path, change: Callable[[onnx.ModelProto], Any]) -> Path:
    model = onnx.load(graph)
    change(model)
    onnx.save(model, folder / "tampered.onnx")
    return folder / "tampered.onnx"


def say(text: str) -> Callable[[onnx.ModelProto], None]:
    """Return a change of the contract's text."""

    def change(model: onnx.ModelProto) -> None:
        (entry,) = [entry for entry in model.metadata_props if entry.key == KEY]
        entry.value = text

    return change


def contradict(**told: Any) -> Callable[[onnx.ModelProto], None]:
    """Return a change of single entries of the contract."""

    def change(model: onnx.ModelProto) -> None:
        (entry,) = [entry for entry in model.metadata_props if entry.key == KEY]
        entry.value = json.dumps(json.loads(entry.value) | told)

    return change


def rename_input(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.input[:] = ["pixels" if name == "images" else name for name in node.input]
    model.graph.input[0].name = "pixels"


def fix_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2


def reach_outside(model: onnx.ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    weight.ClearField("raw_data")


def reach_outside_from_a_constant(model: onnx.ModelProto) -> None:
    tensor = onnx.helper.make_tensor("t", onnx.TensorProto.FLOAT, [1], [0.0])
    node = onnx.helper.make_node("Constant", [], ["unused"], value=tensor)
    node.attribute[0].t.external_data.add(key="location", value="../secret")
    model.graph.node.insert(0, node)


def invent_an_operator(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "Frobnicate"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.metadata_props.clear(), "was not made by postergenre: it has no 'postergenre' contract"),
        (say("{"), "its contract is not JSON"),
        (say("[" * 100_000), "its contract is not JSON"),
        (say("[]"), "its contract is not a JSON object"),
        (contradict(format=9), "contract format 9 is not 1"),
        (contradict(genres=["Red", "Green"]), "its contract disagrees with itself"),
        (contradict(genres=[1, 2, 3]), "its contract is broken: genres is not a list of names"),
        (contradict(thresholds=["a", "b", "c"]), "its contract is broken: thresholds is not a list of numbers"),
        (contradict(temperatures={"Red": 1}), "its contract is broken: temperatures is not a list of numbers"),
        (contradict(offsets=[0.0, 0.0, float("nan")]), "its contract is broken: offsets is not a list of numbers"),
        (contradict(provenance=[]), "its contract is broken: provenance is not a table"),
        (contradict(preprocess={"height": 64, "width": 24}), r"does not take images uint8 \(B,3,64,24\)"),
        (rename_input, r"does not take images uint8 \(B,3,32,24\)"),
        (fix_batch, r"does not take images uint8 \(B,3,32,24\)"),
        (reach_outside, "keeps numbers in other files"),
        (reach_outside_from_a_constant, "keeps numbers in other files"),
        (invent_an_operator, "onnxruntime cannot run"),
    ],
)
def test_a_foreign_or_tampered_graph_is_refused_in_a_sentence(
    graph: Path, tmp_path: Path, change: Callable[[onnx.ModelProto], Any], message: str
) -> None:
    path = tampered(graph, tmp_path, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(path, gpus="0")
    assert "tampered.onnx" in str(caught.value)


def test_a_graph_that_is_missing_cut_short_or_no_graph_is_refused(graph: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no exported graph at"):
        load(tmp_path / "none.onnx", gpus="0")
    (tmp_path / "cut.onnx").write_bytes(graph.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="is not an ONNX file, or is cut short"):
        load(tmp_path / "cut.onnx", gpus="0")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(CheckpointError, match=r"text\.onnx"):
        load(tmp_path / "text.onnx", gpus="0")


def test_what_needs_a_checkpoint_says_so_when_given_a_graph(exported: dict[str, Exported]) -> None:
    for kind in ("onnx", "torch_export"):
        with pytest.raises(CheckpointError, match=r"best\.\w+ is an exported graph: predicting takes \.onnx"):
            read_checkpoint(exported[kind].path)


@pytest.mark.parametrize(
    ("metadata", "message"), [(None, "was not made by postergenre"), ({KEY: "{"}, "its contract is not JSON")]
)
def test_foreign_safetensors_are_refused(
    exported: dict[str, Exported], tmp_path: Path, metadata: dict[str, str] | None, message: str
) -> None:
    from safetensors.torch import save_file

    save_file(load_file(exported["safetensors"].path), tmp_path / "x.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "x.safetensors", gpus="0")
    (tmp_path / "cut.safetensors").write_bytes(exported["safetensors"].path.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="is not a checkpoint that can be used"):
        load(tmp_path / "cut.safetensors", gpus="0")


def test_weights_alone_are_no_run_to_go_on_with(
    colour_config: Callable[[], TrainConfig], exported: dict[str, Exported]
) -> None:
    config = colour_config()
    config.resume = str(exported["safetensors"].path)
    with pytest.raises(CheckpointError, match="holds weights and no training run: begin with it, start=FILE"):
        train(config)


def test_a_graph_and_a_checkpoint_answer_together_with_the_mean_of_their_logits(
    trained: Trained, graph: Path, tmp_path: Path
) -> None:
    checkpoint, _ = read_checkpoint(trained.best)
    state = {name: -value if "output" in name else value for name, value in checkpoint["state_dict"].items()}
    torch.save(checkpoint | {"state_dict": state}, tmp_path / "other.ckpt")
    mixed, pure = (
        load([path, tmp_path / "other.ckpt"], gpus="0", precision="32").probabilities(FEW)
        for path in (graph, trained.best)
    )
    assert torch.allclose(mixed, pure, atol=1e-4)


def test_very_sure_answers_stay_finite(graph: Path, trained: Trained, tmp_path: Path) -> None:
    contract = read_checkpoint(trained.best)[1]
    network, _ = load_network(trained.best)
    with torch.no_grad():
        network.output.weight.mul_(1e4)
    write = FORMATS["onnx"].write
    write(Calibrated(network, contract), tmp_path / "sure.onnx")
    predictor = load(tmp_path / "sure.onnx", gpus="0")
    probabilities = predictor.probabilities(FEW)
    assert bool(probabilities.isfinite().all())
    assert float(probabilities.max()) > 1 - 1e-6
    assert float(probabilities.min()) < 1e-6
    assert bool(predictor.members[0].logits(FEW, tta="none").isfinite().all())


def test_posters_that_are_not_here_are_replaced_by_drawn_ones_unless_they_are_needed(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, contract = read_checkpoint(trained.best)
    plain = contract.to_plain()
    plain["data"] = plain["data"] | {"root": str(tmp_path / "gone")}
    torch.save(checkpoint | {KEY: plain}, tmp_path / "moved.ckpt")
    settings = {"checkpoint": str(tmp_path / "moved.ckpt"), "output_dir": str(tmp_path / "out")}
    done = export(ExportConfig(**settings, format="safetensors"))
    assert done.posters == "16 drawn posters"
    assert "note: the posters of training are not at" in capsys.readouterr().out
    config = ExportConfig(**settings, format="safetensors")
    config.data.root = str(tmp_path / "nowhere")
    with pytest.raises(DataError, match="nowhere"):
        export(config)
    with pytest.raises(DataError, match="gone"):
        export(ExportConfig(**settings, quantize=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "tflite"}, "no format 'tflite'; known: onnx, torch_export, safetensors"),
        ({"format": "safetensors", "quantize": True}, "quantize=true writes ONNX"),
        ({"num_calibration": 0}, "num_calibration must be at least 1"),
        ({"max_map_loss": -0.1}, "max_map_loss must be 0 or more"),
    ],
)
def test_what_cannot_be_asked_for_is_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExportConfig(checkpoint="x", **settings)


def test_several_checkpoints_are_exported_one_at_a_time(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="checkpoint names 2 files: export one at a time"):
        export(ExportConfig(checkpoint=[str(trained.best)] * 2, output_dir=str(tmp_path)))


def test_eight_bits_lose_little_and_say_how_much(trained: Trained, tmp_path: Path) -> None:
    done = export(ExportConfig(checkpoint=str(trained.best), quantize=True, output_dir=str(tmp_path)))
    found = done.quantized
    assert found is not None
    assert done.int8 is not None
    assert {path.name for path in tmp_path.iterdir()} == {"best.onnx", "best.int8.onnx", "export.json"}
    assert done.int8.stat().st_size < 0.5 * done.path.stat().st_size
    assert 0 < found.max_difference < 0.1
    assert abs(found.map_loss) <= 0.01
    facts = json.loads((tmp_path / "export.json").read_text())
    assert facts["quantized"]["speed"] == found.speed > 0
    exact, rough = (load(path, gpus="0").probabilities(FEW) for path in (done.path, done.int8))
    assert 0 < float((exact - rough).abs().max()) < 0.1
    assert load(done.int8, gpus="0").contract == load(done.path, gpus="0").contract


def test_eight_bits_that_lose_too_much_are_not_written(trained: Trained, tmp_path: Path) -> None:
    """Two features fit in 8 bits of one tensor only if they are alike: a huge one drowns those that matter."""
    checkpoint, _ = read_checkpoint(trained.best)
    state = dict(checkpoint["state_dict"])
    large, back = state["network.stages.stage3.1.weight"].clone(), state["network.stages.stage4.0.weight"].clone()
    bias = state["network.stages.stage3.1.bias"].clone()
    large[::2] *= 1e4  # what one layer makes large, the next makes small again: exactly the same answers
    bias[::2] *= 1e4
    back[:, ::2] /= 1e4
    state |= {
        "network.stages.stage3.1.weight": large,
        "network.stages.stage3.1.bias": bias,
        "network.stages.stage4.0.weight": back,
    }
    torch.save(checkpoint | {"state_dict": state}, tmp_path / "uneven.ckpt")
    asked = ExportConfig(
        checkpoint=str(tmp_path / "uneven.ckpt"), quantize=True, output_dir=str(tmp_path / "out"), max_map_loss=0.0
    )
    with pytest.raises(ExportError, match=r"uneven.int8.onnx is not written: 8 bits lower the mAP on 16 validation"):
        export(asked)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"uneven.onnx", "export.json"}


@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(name="vgg11", weights="none"),
        ModelConfig(name="resnet18", weights="none", pool="avgmax"),
        ModelConfig(name="convnext_tiny", weights="none", hidden=0),
        ModelConfig(library="timm", name="tf_efficientnet_lite0", weights="none", pool="statistics", standardize=True),
        ModelConfig(library="timm", name="test_vit", weights="none"),
    ],
    ids=lambda model: model.name,
)
def test_every_kind_of_network_becomes_a_graph(model: ModelConfig, trained: Trained, tmp_path: Path) -> None:
    contract = read_checkpoint(trained.best)[1]
    contract.model, contract.preprocess = model, Preprocess(height=64, width=48)
    torch.manual_seed(0)
    calibrated = Calibrated(build_network(model, num_outputs=3, input_size=(64, 48)), contract)
    images = torch.randint(0, 256, (6, 3, 64, 48), dtype=torch.uint8)
    with torch.inference_mode():
        expected = calibrated(images)
    assert float(expected.std(dim=0).max()) > 1e-5  # the answers depend on the poster
    target = tmp_path / "best.onnx"
    assert write_checked(FORMATS["onnx"], calibrated, target, images=images, expected=expected) <= 1e-4


def test_a_graph_answers_without_the_libraries_it_came_from(graph: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 60), "red").save(tmp_path / "red.png")
    command = [sys.executable, "-X", "importtime", str(ROOT / "scripts" / "predict.py"), f"checkpoint={graph}"]
    command += [f"posters={tmp_path / 'red.png'}", "hydra.run.dir=out"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("red.png: Red ")
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert {"torch", "onnxruntime", "postergenre.inference"} <= imported
    assert not imported & {
        "pytorch_lightning", "torchvision", "torchmetrics", "pandas", "timm", "sklearn", "matplotlib", "torch._dynamo",
        "onnxscript", "postergenre.networks.timm", "postergenre.networks.vision", "postergenre.data.datamodule",
    }  # fmt: skip


def test_the_command_exports_and_explains_itself(trained: Trained, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "export.py"), f"checkpoint={trained.best}", "hydra.run.dir=out"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "out/best.onnx" in done.stdout
    assert "by at most" in done.stdout
    wrong = subprocess.run([*command, "format=tflite"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert wrong.stderr == "error: no format 'tflite'; known: onnx, torch_export, safetensors\n"
