"""All posters of a set, before anyone is in a split: read, checked, looked at once, grouped. Folds can share them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from postergenre.data.corrections import Corrections, check_corrections, read_corrections
from postergenre.data.manifest import Manifest, read_manifest
from postergenre.data.pixels import identify
from postergenre.data.scan import Look, scan
from postergenre.data.splits import duplicate_groups
from postergenre.data.table import SHOWN
from postergenre.errors import DataError
from postergenre.genres import GenreMapping


@dataclass(kw_only=True, slots=True)
class Posters:
    """The N distinct posters of a CSV, and which of them can be used."""

    manifest: Manifest
    """What the CSV says, corrected."""
    targets: Tensor
    """``(N,G)``, 1 where a genre applies."""
    kept: list[int]
    """Places of the posters that decode, have a genre and are not left out by the user."""
    parted: list[int]
    """Places of the posters that are parted into splits: the kept ones, and those that the user leaves out, so that
    the others stay on their sides."""
    given: Tensor
    """``(N,G)``: the targets by which posters are parted, as they were before the user changed any."""
    groups: list[int]
    """N numbers: posters that show the same art share one; -1 for those that are not parted."""
    identity: str
    """What tells the kept pictures, as they are now, from any others."""
    bad: list[tuple[Path, str]]
    """Pictures that do not decode, and why."""
    notes: list[str]
    """What was left out and why, a sentence each."""
    corrections: Corrections
    """What the user left out and changed."""


def read_posters(
    table: Path,
    *,
    images: Path,
    ignore: Sequence[str],
    skip_bad: bool,
    cache: Path,
    mapping: GenreMapping | None = None,
    exclude: Path | None = None,
    relabel: Path | None = None,
    corrections: Corrections | None = None,
) -> Posters:
    """Return the posters of a CSV after every check, each picture looked at once.

    Args:
        table: The CSV.
        images: Folder of ``<Id>.jpg`` in the original schema.
        ignore: Names among the genres that are none; a poster with no other genre is not kept.
        skip_bad: Leave pictures out that do not decode.
        cache: Folder for what was learnt about pictures.
        mapping: What happens to the genres.
        exclude: A CSV of posters to leave out.
        relabel: A CSV of genres to give or take.
        corrections: What such files said in training, where it is known: they are not read again.

    Raises:
        DataError: The posters cannot be used as they are.
    """
    mapping = mapping or GenreMapping()
    manifest = read_manifest(table, images=images, ignore=ignore, mapping=mapping)
    if corrections is None:
        corrections = read_corrections(manifest, exclude=exclude, relabel=relabel)
    looks = scan(manifest.files, cache=cache)
    return gather(manifest, looks, ignore=ignore, mapped=mapping.active, skip_bad=skip_bad, corrections=corrections)


def gather(
    manifest: Manifest,
    looks: Sequence[Look],
    *,
    ignore: Sequence[str],
    skip_bad: bool,
    corrections: Corrections,
    mapped: bool = False,
) -> Posters:
    """Return the posters of a CSV that was read, after a look at each: corrected, grouped, some left out.

    Args:
        manifest: What the CSV says.
        looks: At each of its pictures.
        ignore: Names among the genres that are none; a poster with no other genre is not kept.
        skip_bad: Leave pictures out that do not decode.
        corrections: What the user leaves out and changes.
        mapped: Whether genres are others than the CSV's.

    Raises:
        DataError: Pictures do not decode, or the corrections are not about these posters.
    """
    check_corrections(corrections, manifest)
    excluded = set(corrections.excluded)
    notes = []
    if manifest.num_repeats:
        notes.append(f"{manifest.num_repeats} rows repeat an earlier row exactly: dropped")
    if manifest.outside:
        told = ", ".join(f"{genre} ({count})" for genre, count in manifest.outside.most_common())
        notes.append(f"genres outside genres.vocabulary, taken from their posters: {told}")
    bad = [
        (Path(look.path), look.error)
        for name, look in zip(manifest.ids, looks, strict=True)
        if look.error and name not in excluded
    ]
    if bad and not skip_bad:
        told = "; ".join(problem for _, problem in bad[:SHOWN])
        raise DataError(
            f"{len(bad)} picture(s) do not decode: {told}{' …' if len(bad) > SHOWN else ''}. "
            "Mend them, or leave them out with data.on_bad_image=skip"
        )
    if bad:
        notes.append(f"{len(bad)} picture(s) do not decode: left out, see bad_images.csv")
    labels = corrections.labels(manifest)
    given = targets = torch.stack([manifest.genres.encode(genres) for genres in manifest.labels])
    if labels is not manifest.labels:
        targets = torch.stack([manifest.genres.encode(genres) for genres in labels])
        given = torch.where(given.any(dim=1, keepdim=True), given, targets)  # who had no genre was not parted before
        notes.append(_relabelled(given, targets))
        manifest = replace(manifest, labels=labels)
    if unknown := sum(not genres for genres in labels):
        of = "none of the genres" if mapped else f"no genre but {', '.join(ignore)}"
        notes.append(f"{unknown} poster(s) have {of}: left out")
    parted = [i for i, look in enumerate(looks) if not look.error and given[i].any()]
    if excluded:
        notes.append(f"{len(excluded)} poster(s) left out by data.exclude")
    kept = [i for i in parted if labels[i] and manifest.ids[i] not in excluded]
    groups = np.full(len(looks), -1)
    groups[parted] = duplicate_groups([looks[i].hash for i in parted])
    return Posters(
        manifest=manifest,
        targets=targets,
        kept=kept,
        parted=parted,
        given=given,
        groups=groups.tolist(),
        identity=identify(looks[i] for i in kept),
        bad=bad,
        notes=notes,
        corrections=corrections,
    )


def _relabelled(before: Tensor, after: Tensor) -> str:
    num_posters = int((before != after).any(dim=1).sum())
    gained, lost = int((after > before).sum()), int((after < before).sum())
    return f"data.relabel changes {num_posters} poster(s): {gained} genre(s) given, {lost} taken"
