"""What can be asked of an export."""

from dataclasses import dataclass, field
from typing import Any

from postergenre.classifier.posters import Place
from postergenre.errors import ConfigError
from postergenre.export.formats import FORMATS


@dataclass(kw_only=True, slots=True)
class ExportConfig:
    """Everything ``scripts/export.py`` can be told."""

    checkpoint: Any
    """The checkpoint to export, one at a time; what predicts takes several exports together, as it does checkpoints."""
    format: str = "onnx"
    """``onnx``, ``torch_export`` (``.pt2``) or ``safetensors`` (weights and contract, without a graph)."""
    quantize: bool = False
    """Write a second ONNX file that computes in 8 bits, and measure what it loses and gains."""
    max_map_loss: float = 0.01
    """Mean average precision on validation that the 8-bit graph may lose; one that loses more is not written."""
    num_calibration: int = 256
    """Training posters from which the 8-bit graph learns its ranges."""
    data: Place = field(default_factory=Place)
    output_dir: str = "outputs/export"
    """Where everything is written."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"no format {self.format!r}; known: {', '.join(FORMATS)}")
        if self.quantize and self.format != "onnx":
            raise ConfigError(f"quantize=true writes ONNX: format=onnx, not {self.format}")
        if self.num_calibration < 1:
            raise ConfigError(f"num_calibration must be at least 1, not {self.num_calibration}")
        if self.max_map_loss < 0:
            raise ConfigError(f"max_map_loss must be 0 or more, not {self.max_map_loss:g}")
