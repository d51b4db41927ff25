"""All posters of a set, before anyone is in a split: read, checked, looked at once, grouped. Folds can share them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from postergenre.data.manifest import SHOWN, Manifest, read_manifest
from postergenre.data.pixels import identify
from postergenre.data.scan import scan
from postergenre.data.splits import duplicate_groups
from postergenre.errors import DataError
from postergenre.genres import GenreMapping


@dataclass(kw_only=True, slots=True)
class Posters:
    """The N distinct posters of a CSV, and which of them can be used."""

    manifest: Manifest
    """What the CSV says."""
    targets: Tensor
    """``(N,G)``, 1 where a genre applies."""
    kept: list[int]
    """Places of the posters that decode and have a genre."""
    groups: list[int]
    """N numbers: posters that show the same art share one; -1 for those that are not kept."""
    identity: str
    """What tells the kept pictures, as they are now, from any others."""
    bad: list[tuple[Path, str]]
    """Pictures that do not decode, and why."""
    notes: list[str]
    """What was left out and why, a sentence each."""


def read_posters(
    table: Path,
    *,
    images: Path,
    ignore: Sequence[str],
    skip_bad: bool,
    cache: Path,
    mapping: GenreMapping | None = None,
) -> Posters:
    """Return the posters of a CSV after every check, each picture looked at once.

    Args:
        table: The CSV.
        images: Folder of ``<Id>.jpg`` in the original schema.
        ignore: Names among the genres that are none; a poster with no other genre is not kept.
        skip_bad: Leave pictures out that do not decode.
        cache: Folder for what was learnt about pictures.
        mapping: What happens to the genres.

    Raises:
        DataError: The posters cannot be used as they are.
    """
    manifest = read_manifest(table, images=images, ignore=ignore, mapping=mapping)
    notes = []
    if manifest.num_repeats:
        notes.append(f"{manifest.num_repeats} rows repeat an earlier row exactly: dropped")
    if manifest.outside:
        told = ", ".join(f"{genre} ({count})" for genre, count in manifest.outside.most_common())
        notes.append(f"genres outside genres.vocabulary, taken from their posters: {told}")
    looks = scan(manifest.files, cache=cache)
    bad = [(Path(look.path), look.error) for look in looks if look.error]
    if bad and not skip_bad:
        told = "; ".join(problem for _, problem in bad[:SHOWN])
        raise DataError(
            f"{len(bad)} picture(s) do not decode: {told}{' …' if len(bad) > SHOWN else ''}. "
            "Mend them, or leave them out with data.on_bad_image=skip"
        )
    if bad:
        notes.append(f"{len(bad)} picture(s) do not decode: left out, see bad_images.csv")
    known = [bool(labels) for labels in manifest.labels]
    if unknown := known.count(False):
        of = f"no genre but {', '.join(ignore)}" if not (mapping and mapping.active) else "none of the genres"
        notes.append(f"{unknown} poster(s) have {of}: left out")
    kept = [i for i, look in enumerate(looks) if known[i] and not look.error]
    groups = np.full(len(looks), -1)
    groups[kept] = duplicate_groups([looks[i].hash for i in kept])
    return Posters(
        manifest=manifest,
        targets=torch.stack([manifest.genres.encode(labels) for labels in manifest.labels]),
        kept=kept,
        groups=groups.tolist(),
        identity=identify(looks[i] for i in kept),
        bad=bad,
        notes=notes,
    )
