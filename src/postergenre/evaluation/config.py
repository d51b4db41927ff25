"""What an evaluation can be told."""

from dataclasses import dataclass, field
from typing import Any

from postergenre.classifier.posters import Place
from postergenre.data.manifest import SPLITS
from postergenre.errors import ConfigError
from postergenre.genres import GenreMapping
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
    set; of its genres those that the checkpoint knows by name."""
    data: Place = field(default_factory=Place)
    genres: GenreMapping | None = None
    """With ``split=all``, what happens to the genres of that set; else, and where nothing is said, what happened in
    training."""
    home: str | None = None
    """With ``split=all``, the folder of an evaluation at home to compare with; the scores of validation at the end of
    training where nothing is said."""
    groups: list[str] = field(default_factory=list)
    """Columns of the CSV whose values are scored apart (``[country,decade]``); ``decade`` follows from ``year``."""
    min_group: int = 20
    """Posters that such a value needs; rarer ones are put together."""
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
        if self.min_group < 1:
            raise ConfigError(f"min_group must be at least 1, not {self.min_group}")
        if self.split != "all":
            for name in ("genres", "home"):
                if getattr(self, name) is not None:
                    raise ConfigError(
                        f"{name}=… is for another poster set: say split=all data.root=FOLDER; the posters of training "
                        "are read as training read them"
                    )
        if len(set(self.groups)) < len(self.groups):
            raise ConfigError(f"groups names a column twice: {', '.join(self.groups)}")
        check_views(self.tta)
