"""What making shards can be told."""

from dataclasses import dataclass, field

from postergenre.data.datamodule import DataConfig
from postergenre.errors import ConfigError
from postergenre.genres import GenreMapping


@dataclass(kw_only=True, slots=True)
class ShardConfig:
    """Everything ``scripts/shard.py`` can be told."""

    output: str
    """Where the shards are written: a folder, or any path that fsspec knows (``s3://bucket/posters``)."""
    data: DataConfig = field(default_factory=DataConfig)
    """The posters, and how they are divided: shards keep the splits that are made here."""
    genres: GenreMapping = field(default_factory=GenreMapping)
    """What happens to the genres that the CSV names: shards hold what they became."""
    size: float = 64.0
    """Megabytes of a shard, about, at most."""
    longest: int = 0
    """Pixels of a picture's longer side beyond which it is made smaller, and a JPEG; 0 stores every file as it is."""
    quality: int = 90
    """Of the JPEGs that are made, 1 … 95."""
    shuffle: bool = True
    """Store the posters of a split in a new order; else in that of the CSV."""
    seed: int = 0
    """Of that order."""

    def __post_init__(self) -> None:
        if not self.output:
            raise ConfigError("output is empty; say where the shards are to be written")
        if self.data.source == "shards":
            raise ConfigError("shards are made of a poster CSV: give data.source=posters or data=demo")
        if self.data.split == "all":
            raise ConfigError("data.split=all leaves nothing to train on; shards of any split can be scored as a whole")
        if not self.size > 0:
            raise ConfigError(f"size must be above 0 megabytes, not {self.size:g}")
        if self.longest and self.longest < 16:
            raise ConfigError(f"longest must be 0 (as they are) or at least 16 pixels, not {self.longest}")
        if not 1 <= self.quality <= 95:
            raise ConfigError(f"quality must lie in 1 … 95, not {self.quality}")
