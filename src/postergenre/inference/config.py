"""What a prediction can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postergenre.errors import ConfigError
from postergenre.views import check_views

FORMATS = ("csv", "jsonl", "parquet")


@dataclass(kw_only=True, slots=True)
class PredictConfig:
    """Everything ``scripts/predict.py`` can be told."""

    checkpoint: Any
    """The checkpoint that answers; several (``[A,B]``, or a quoted pattern with ``*``) answer together."""
    posters: Any
    """A picture, a folder, a quoted glob, an ``http(s)`` address, a list of those, or a CSV that names posters."""
    recursive: bool = False
    """Look into the folders of a folder, too."""
    column: str | None = None
    """The CSV's column that holds paths (relative to the CSV) or addresses; a poster CSV as for training needs none."""
    output: str | None = None
    """Where to write the table. A table that is there already, of the same command, is continued."""
    format: str = "auto"
    """``csv``, ``jsonl`` or ``parquet``; ``auto`` is what ``output`` ends in, else csv."""
    top: int = 3
    """Genres to print for each poster, and to name in the column ``top``."""
    allow_empty: bool = False
    """Let a poster have no genre where none reaches its threshold, instead of the one that comes nearest."""
    tta: str = "none"
    """Look at each poster several times: ``none``, ``flip`` (and its mirror image) or ``crops`` (twelve views)."""
    annotate: bool = False
    """Write each poster with its bars beside it, into ``annotated/``."""
    sheet: bool = False
    """Write the first posters and their genres as one picture, ``sheet.png``."""
    batch_size: int = 32
    """Posters the network takes at once."""
    gpus: str = "auto"
    """``auto`` (a CUDA GPU where there is one), ``0`` (the CPU) or ``1``."""
    precision: str = "auto"
    """``auto``, ``32``, ``bf16`` or ``16``."""
    output_dir: str = "outputs/predict"
    """Where the pictures are written, and the table where ``output`` does not say."""

    def __post_init__(self) -> None:
        for name in ("top", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        check_views(self.tta)
        if self.format not in ("auto", *FORMATS):
            raise ConfigError(f"no format {self.format!r}; known: auto, {', '.join(FORMATS)}")
        if self.output is not None:
            suffix = Path(self.output).suffix.lower().removeprefix(".")
            if suffix not in FORMATS:
                raise ConfigError(f"output must end in .{', .'.join(FORMATS[:-1])} or .{FORMATS[-1]}: {self.output!r}")
            if self.format not in ("auto", suffix):
                raise ConfigError(f"format={self.format}, but output={self.output} ends in .{suffix}; leave one out")

    @property
    def table(self) -> Path:
        """Where the table is written; its suffix is its format."""
        if self.output is not None:
            return Path(self.output).expanduser()
        return Path(self.output_dir) / f"predictions.{'csv' if self.format == 'auto' else self.format}"
