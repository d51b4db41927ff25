"""Who answers: the network of a checkpoint, or an exported graph. All a predictor asks of it is calibrated logits."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from postergenre.classifier.contract import Contract, load_network
from postergenre.hardware import Hardware
from postergenre.networks import PosterNetwork
from postergenre.views import averaged

if TYPE_CHECKING:
    from postergenre.classifier.graph import Graph

EPSILON = 2.0**-25
"""Closer to 0 or 1 than this, a probability in float32 says no more: its logit is taken to be that of this."""


class Member(Protocol):
    """Something trained that answers by itself, or together with others."""

    contract: Contract
    """What it says about itself: genres, preprocessing, thresholds."""

    def logits(self, images: Tensor, *, tta: str) -> Tensor:
        """Return calibrated logits ``float32 (B,G)`` on the CPU of ``uint8 (B,3,H,W)``, mean of ``tta``'s views."""
        ...


class NetworkMember:
    """The network of a checkpoint, on a device."""

    def __init__(self, network: PosterNetwork, contract: Contract, hardware: Hardware) -> None:
        self.network = network.to(hardware.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.contract = contract
        self.hardware = hardware

    def logits(self, images: Tensor, *, tta: str) -> Tensor:
        """Return calibrated logits ``float32 (B,G)``; see ``Member``."""
        with torch.inference_mode(), self.hardware.autocast():
            raw = averaged(self.network, images.to(self.hardware.device), tta)
            return self.contract.calibrate(raw).float().cpu()


class GraphMember:
    """An exported graph, which knows nothing of torch's networks."""

    def __init__(self, graph: "Graph") -> None:
        self.graph = graph
        self.contract = graph.contract

    def logits(self, images: Tensor, *, tta: str) -> Tensor:
        """Return calibrated logits ``float32 (B,G)``; see ``Member``.

        The graph tells probabilities. Their logits give them back to within 1e-7, and as calibration is linear, the
        mean over views is that of a checkpoint.
        """
        return averaged(
            lambda view: self.graph.probabilities(view).double().clamp(EPSILON, 1 - EPSILON).logit(), images, tta
        )


def load_member(path: str | Path, hardware: Hardware) -> Member:
    """Return what a file can answer.

    Raises:
        CheckpointError: The file is missing, broken, unsafe, or was not made by postergenre.
    """
    if Path(path).suffix == ".onnx":
        from postergenre.classifier.graph import load_graph  # onnxruntime is imported only where it answers

        return GraphMember(load_graph(path, hardware))
    return NetworkMember(*load_network(path), hardware)
