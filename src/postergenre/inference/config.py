"""What a prediction can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postergenre.errors import ConfigError
from postergenre.paths import expanded
from postergenre.views import check_views

FORMATS = ("csv", "jsonl", "parquet")
ENGINES = ("local", "ray")


@dataclass(kw_only=True, slots=True)
class PredictConfig:
    """Everything ``scripts/predict.py`` can be told."""

    checkpoint: Any
    """The checkpoint that answers; several (``[A,B]``, or a quoted pattern with ``*``) answer together."""
    posters: Any
    """A picture, a folder, a quoted glob, an ``http(s)`` address, a list of those, or a CSV that names posters.

    For ``engine=ray`` also Parquet shards with columns ``id`` and ``image`` (bytes): files, folders, globs, addresses.
    """
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
    engine: str = "local"
    """``local`` (this process), or ``ray`` (extra ``scale``): many processes and machines, Parquet in and out."""
    ray_address: str | None = None
    """``host:port`` of a Ray cluster, or ``auto`` on one of its machines; without it, Ray is started on this machine.

    The variable ``RAY_ADDRESS`` says the same. All machines must see checkpoint, posters and output at the same paths.
    """
    part_rows: int = 1024
    """``engine=ray``: posters of a part of the output, which is what is retried when a process dies."""
    output_dir: str = "outputs/predict"
    """Where the pictures are written, and the table where ``output`` does not say."""

    def __post_init__(self) -> None:
        for name in ("top", "batch_size", "part_rows"):
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
        if self.engine not in ENGINES:
            raise ConfigError(f"no engine {self.engine!r}; known: {', '.join(ENGINES)}")
        if self.engine == "ray":
            if self.table.suffix.lower() != ".parquet":
                raise ConfigError(f"engine=ray writes Parquet: output must end in .parquet, not as {self.table} does")
            if self.annotate or self.sheet:
                raise ConfigError("annotate and sheet are drawn by engine=local only")
        elif self.ray_address is not None:
            raise ConfigError(f"ray_address={self.ray_address} is for engine=ray")

    @property
    def table(self) -> Path:
        """Where the table is written; its suffix is its format."""
        if self.output is not None:
            return expanded(self.output)
        usual = "parquet" if self.engine == "ray" else "csv"
        return Path(self.output_dir) / f"predictions.{usual if self.format == 'auto' else self.format}"
