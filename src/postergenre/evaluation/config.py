"""What an evaluation can be told."""

from dataclasses import dataclass, field
from typing import Any

from postergenre.classifier.posters import Place
from postergenre.data.manifest import SPLITS
from postergenre.errors import ConfigError
from postergenre.views import check_views


@dataclass(kw_only=True, slots=True)
class EvaluateConfig:
    """Everything ``scripts/evaluate.py`` can be told."""

    checkpoint: Any
    """The checkpoint to score; several (``[A,B]``, or a quoted pattern with ``*``) answer together as an ensemble."""
    against: Any = None
    """A checkpoint, or several, to compare with on the same posters."""
    split: str = "auto"
    """``test``, ``val`` or ``train``; ``auto`` is test where there is one, else val. ``all``: every poster of another
    set, its genres matched by name."""
    data: Place = field(default_factory=Place)
    tta: str = "none"
    """Look at each poster several times: ``none``, ``flip`` (and its mirror image) or ``crops`` (twelve views)."""
    report: bool = True
    """Write ``report.html`` and ``MODEL_CARD.md``."""
    gpus: str = "auto"
    """``auto`` (a CUDA GPU where there is one), ``0`` (the CPU) or ``1``."""
    precision: str = "auto"
    """``32``, ``bf16`` or ``16``; ``auto`` is that of training, where this machine has it."""
    num_resamples: int = 1000
    """Bootstrap resamples behind each interval."""
    output_dir: str = "outputs/evaluate"
    """Where everything is written."""

    def __post_init__(self) -> None:
        if self.split not in ("auto", "all", *SPLITS):
            raise ConfigError(f"no split {self.split!r}; known: auto, all, {', '.join(SPLITS)}")
        if self.num_resamples < 100:
            raise ConfigError(f"num_resamples must be at least 100 for a 95 % interval, not {self.num_resamples}")
        check_views(self.tta)
