"""The poster set as it is, sound or not: what training would refuse is kept and told."""

from dataclasses import dataclass
from pathlib import Path

from postergenre.data.corrections import read_corrections
from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.manifest import Defects, Manifest, read_manifest
from postergenre.data.posters import Posters, gather
from postergenre.data.scan import Look, scan
from postergenre.errors import DataError
from postergenre.genres import GenreMapping
from postergenre.paths import expanded
from postergenre.preprocess import Preprocess


@dataclass(kw_only=True, slots=True)
class Subject:
    """N posters of a CSV, a look at each, and what is wrong with them."""

    table: Path
    """The CSV."""
    posters: Posters
    """The posters; its ``kept`` are those that can be trained on."""
    looks: list[Look]
    """N, in the order of the manifest."""
    defects: Defects
    """What is wrong with rows and files."""
    splits: list[str]
    """N: the split that training would put each poster in; empty where it could not."""
    refusal: str
    """Why posters could not be parted into splits to train on, as a sentence; empty where they could."""

    @property
    def manifest(self) -> Manifest:
        """What the CSV says, corrected."""
        return self.posters.manifest


def read_subject(config: DataConfig, mapping: GenreMapping | None = None) -> Subject:
    """Return a poster set for an audit: every problem is collected.

    Args:
        config: Which posters.
        mapping: What happens to the genres that the CSV names.

    Raises:
        ConfigError: The mapping names what is not there.
        DataError: There is no CSV that can be read, no genre in it, or ``data.exclude`` or ``data.relabel`` is not
            about these posters.
    """
    mapping = mapping or GenreMapping()
    asked = PosterData(config, Preprocess())
    asked.prepare_data()
    folder = asked.folder()
    table, defects = folder / config.manifest, Defects()
    manifest = read_manifest(
        table, images=folder / config.images, ignore=config.ignore_genres, mapping=mapping, defects=defects
    )
    corrections = read_corrections(
        manifest,
        exclude=expanded(config.exclude) if config.exclude else None,
        relabel=expanded(config.relabel) if config.relabel else None,
    )
    looks = scan(manifest.files, cache=expanded(config.cache))
    posters = gather(
        manifest,
        looks,
        ignore=config.ignore_genres,
        mapped=mapping.active,
        skip_bad=True,
        corrections=corrections,
    )
    data, refusal = PosterData(config, Preprocess(), mapping=mapping, posters=posters), ""
    try:
        if not posters.kept:
            raise DataError("not one poster can be used")
        data.setup()
    except DataError as error:
        refusal = str(error)
    return Subject(table=table, posters=posters, looks=looks, defects=defects, splits=data.splits, refusal=refusal)
