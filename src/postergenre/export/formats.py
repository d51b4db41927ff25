"""The formats: each is written, and read again to see what it answers."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from postergenre.calibration import calibrate
from postergenre.classifier.contract import KEY, Contract, load_network
from postergenre.classifier.graph import INPUT, OUTPUT, load_graph
from postergenre.errors import ExportError
from postergenre.hardware import Hardware
from postergenre.networks import PosterNetwork

OPSET = 18
"""What torch's exporter writes without converting, and onnxruntime runs since 1.14."""
CPU = Hardware(device=torch.device("cpu"), precision="32")
Answer = Callable[[Tensor], Tensor]
"""``uint8 (B,3,H,W)`` to calibrated probabilities ``float32 (B,G)``."""


class Calibrated(nn.Module):
    """``uint8 (B,3,H,W)`` to calibrated probabilities ``float32 (B,G)``: all that an export computes."""

    temperatures: Tensor
    offsets: Tensor

    def __init__(self, network: PosterNetwork, contract: Contract) -> None:
        super().__init__()
        self.network = network
        self.contract = contract
        self.register_buffer("temperatures", torch.tensor(contract.temperatures))
        self.register_buffer("offsets", torch.tensor(contract.offsets))
        self.eval()
        self.to(memory_format=torch.contiguous_format)  # training leaves weights in another order of memory

    def forward(self, images: Tensor) -> Tensor:
        return calibrate(self.network(images), self.temperatures, self.offsets).sigmoid()

    def example(self) -> Tensor:
        """Return a batch to trace with: of two posters, as one would be taken for a fixed size."""
        size = self.contract.preprocess
        return torch.zeros(2, 3, size.height, size.width, dtype=torch.uint8)


@dataclass(frozen=True, slots=True)
class Format:
    """How a checkpoint becomes a file, and the file answers again."""

    suffix: str
    write: Callable[[Calibrated, Path], None]
    read: Callable[[Path], Answer]


def write_onnx(calibrated: Calibrated, path: Path) -> None:
    """Write one ONNX file: graph, weights, and the contract in its metadata.

    Raises:
        ExportError: The network does something that ONNX has no word for.
    """
    for talkative in ("onnx_ir", "onnxscript"):  # a line for each node they look at
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        program = torch.onnx.export(
            calibrated,
            (calibrated.example(),),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}},
        )
    except torch.onnx.OnnxExporterError as error:
        name = calibrated.contract.model.name
        raise ExportError(f"torch cannot write {name} as ONNX: {str(error).strip().splitlines()[0]}") from None
    assert program is not None
    program.model.metadata_props[KEY] = calibrated.contract.to_json()
    program.model.doc_string = describe(calibrated.contract)
    program.save(path, external_data=False)


def describe(contract: Contract) -> str:
    """Return in words what a graph takes and gives, for programs that do not know postergenre."""
    size = contract.preprocess
    return (
        f"Genres of film posters. {INPUT}: uint8 (B,3,{size.height},{size.width}), RGB 0 ... 255, the poster upright, "
        f"transparency on white, resized ({size.resize}) by an antialiasing bilinear filter. {OUTPUT}: float32 "
        f"(B,{len(contract.genres)}), calibrated: {', '.join(contract.genres)}. Metadata '{KEY}': thresholds and all "
        "else, as JSON."
    )


def _write_torch_export(calibrated: Calibrated, path: Path) -> None:
    """Write a program of ``torch.export``; its contract is the extra file ``postergenre``, as JSON."""
    program = torch.export.export(
        calibrated, (calibrated.example(),), dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}}
    )
    torch.export.save(program, path, extra_files={KEY: calibrated.contract.to_json()})


def _write_safetensors(calibrated: Calibrated, path: Path) -> None:
    """Write the network's weights, with the contract in the metadata."""
    # `save_file` would leave a file that only its owner may read.
    path.write_bytes(save(calibrated.network.state_dict(), metadata={KEY: calibrated.contract.to_json()}))


def _read_onnx(path: Path) -> Answer:
    return load_graph(path, CPU).probabilities


def _read_torch_export(path: Path) -> Answer:
    answer: Answer = torch.export.load(path).module()
    return answer


def _read_safetensors(path: Path) -> Answer:
    return Calibrated(*load_network(path))


FORMATS = {
    "onnx": Format(".onnx", write_onnx, _read_onnx),
    "torch_export": Format(".pt2", _write_torch_export, _read_torch_export),
    "safetensors": Format(".safetensors", _write_safetensors, _read_safetensors),
}
