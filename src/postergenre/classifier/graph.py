"""An exported graph: the whole way from pixels to probabilities in one ONNX file, with the contract in its metadata."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import onnxruntime
import torch
from google.protobuf.message import DecodeError, Message
from torch import Tensor

from postergenre.classifier.contract import KEY, Contract
from postergenre.errors import CheckpointError
from postergenre.hardware import Hardware
from postergenre.paths import expanded

INPUT = "images"
"""``uint8 (B,3,H,W)``, of any B."""
OUTPUT = "probabilities"
"""``float32 (B,G)``, calibrated."""
LARGEST = 2**31
"""Bytes of a file; the format itself has no room for more."""
REPEATING = ("Loop", "Scan")
"""Operations that compute as often as a graph says."""


class Graph:
    """What an exported graph answers, on the CPU or a GPU; needs none of the libraries that networks come from."""

    def __init__(self, session: onnxruntime.InferenceSession, contract: Contract) -> None:
        self.session = session
        self.contract = contract

    def probabilities(self, images: Tensor) -> Tensor:
        """Return calibrated probabilities ``float32 (B,G)`` on the CPU of ``uint8 (B,3,H,W)``."""
        (answers,) = self.session.run([OUTPUT], {INPUT: images.cpu().contiguous().numpy()})
        return torch.from_numpy(answers)


def load_graph(path: str | Path, hardware: Hardware) -> Graph:
    """Return the graph of an ``.onnx`` file, ready to answer. It computes as precisely as it was exported.

    Raises:
        CheckpointError: The file is missing, broken, reaches for other files, or was not made by postergenre.
    """
    path = expanded(path)
    if not path.is_file():
        raise CheckpointError(f"no exported graph at {path}; scripts/export.py writes them to outputs/export/*/")
    if path.stat().st_size > LARGEST:
        raise CheckpointError(f"{path} is no ONNX file: none has more than {LARGEST:,} bytes")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        raise CheckpointError(f"{path} is not an ONNX file, or is cut short") from None
    told = {entry.key: entry.value for entry in model.metadata_props}
    if KEY not in told:
        raise CheckpointError(f"{path} was not made by postergenre: it has no '{KEY}' contract")
    try:
        contract = Contract.from_json(told[KEY])
        _check_interface(model.graph, contract)
    except CheckpointError as error:
        raise CheckpointError(f"cannot use {path}: {error}") from None
    if any(isinstance(part, onnx.TensorProto) and part.external_data for part in _parts(model)):
        raise CheckpointError(f"{path} keeps numbers in other files; postergenre writes, and reads, one file")
    if repeats := {part.op_type for part in _parts(model) if isinstance(part, onnx.NodeProto)} & set(REPEATING):
        raise CheckpointError(f"{path} has a {min(repeats)} in its graph, which may never end; postergenre writes none")
    try:  # from the path: from bytes, onnxruntime takes half as long again
        return Graph(onnxruntime.InferenceSession(path, _options(), providers=_providers(hardware)), contract)
    except Exception as error:  # onnxruntime's errors share no other class
        raise CheckpointError(f"onnxruntime cannot run {path}: {str(error).splitlines()[0]}") from None


def _check_interface(graph: onnx.GraphProto, contract: Contract) -> None:
    """Refuse a graph that does not take and give what its contract says.

    Raises:
        CheckpointError: It takes or gives something else.
    """
    height, width, num_genres = contract.preprocess.height, contract.preprocess.width, len(contract.genres)
    if [_port(port) for port in graph.input] != [(INPUT, onnx.TensorProto.UINT8, [0, 3, height, width])]:
        raise CheckpointError(f"its graph does not take {INPUT} uint8 (B,3,{height},{width}), as its contract says")
    if [_port(port) for port in graph.output] != [(OUTPUT, onnx.TensorProto.FLOAT, [0, num_genres])]:
        raise CheckpointError(f"its graph does not give {OUTPUT} float (B,{num_genres}), as its contract says")


def _port(port: onnx.ValueInfoProto) -> tuple[str, int, list[int]]:
    """Return name, type and shape of an input or output; a dimension of any size is 0."""
    tensor = port.type.tensor_type
    return port.name, tensor.elem_type, [dimension.dim_value for dimension in tensor.shape.dim]


def _parts(message: Message) -> Iterator[Message]:
    """Yield a message and all messages in it: weights also lie in attributes, subgraphs and functions."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            inner: Iterable[Message] = [value] if isinstance(value, Message) else value
            for part in inner:
                yield from _parts(part)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; those are raised, too
    return options


def _providers(hardware: Hardware) -> list[str]:
    wanted = ["CUDAExecutionProvider"] if hardware.device.type == "cuda" else []
    return [name for name in [*wanted, "CPUExecutionProvider"] if name in onnxruntime.get_available_providers()]
