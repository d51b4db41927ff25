"""Posters that lie in folders named by their genres."""

import os
from collections import defaultdict
from hashlib import sha256
from pathlib import Path

from PIL import Image

from postergenre.collecting.titles import Listing, Title, file_name, tidy
from postergenre.data.scan import scan
from postergenre.data.splits import duplicate_groups
from postergenre.errors import DataError


def listing(root: Path, *, name: str, cache: Path) -> Listing:
    """Return the pictures of folders named by genre; one that lies in several folders has several genres.

    It is the same one where its bytes are the same, or where its file has the same name and it shows the same art: in
    many sets ``1.jpg`` is another poster in each folder.

    Args:
        root: Folder of the folders.
        name: Of the set.
        cache: Folder for what was learnt about pictures.

    Raises:
        DataError: There is no such folder, or no picture in its folders.
    """
    if not root.is_dir():
        raise DataError(f"no folder at {root}")
    readable = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    files = [
        (folder.name, path)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in readable and not path.name.startswith(".") and path.is_file()
    ]
    if not files:
        raise DataError(f"no picture in the folders of {root}: each should be named by a genre and hold its posters")
    looks = scan([str(path) for _, path in files], cache=cache)
    art = duplicate_groups([look.hash or f"{0:064x}" for look in looks])
    same: dict[object, list[int]] = defaultdict(list)
    by_bytes: dict[str, int] = {}
    for place, ((_, path), look) in enumerate(zip(files, looks, strict=True)):
        digest = _digest(path) if not look.error else f"broken {place}"
        first = by_bytes.setdefault(digest, place)
        stem = files[first][1].stem
        same[(stem, int(art[first])) if not look.error else place].append(place)
    titles: dict[str, Title] = {}
    for places in same.values():
        path = files[places[0]][1]
        own = path.stem if path.stem.startswith("tt") and path.stem[2:].isdecimal() else f"{name}-{path.stem}"
        own = own if own not in titles else f"{name}-{os.path.relpath(path, root)}"
        title = file_name(own)
        titles[title] = Title(id=title, picture=str(path), genres=tidy(files[place][0] for place in places))
    return Listing(items=iter(titles.values()), total=len(titles))


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
