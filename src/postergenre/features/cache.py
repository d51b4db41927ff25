"""Compute a frozen prefix once per poster (and augmented view), and train on the results."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from postergenre.augment import Augment
from postergenre.data.datamodule import Features, PosterData
from postergenre.data.dataset import Batch, Draw, PosterDataset, as_it_is
from postergenre.data.pixels import pixel_store
from postergenre.data.store import RowStore
from postergenre.errors import CacheError
from postergenre.hardware import Hardware, out_of_memory
from postergenre.networks import PosterNetwork

FORMAT = 1
"""Of the stored features: to be raised when the same prefix gives other numbers."""
BATCH = 64
"""Posters that the prefix takes at once; its results do not depend on it beyond rounding."""


def keep_features(network: PosterNetwork, data: PosterData, hardware: Hardware, *, compute: bool = True) -> bool:
    """Let ``data`` yield what the frozen prefix of ``network`` makes of the posters, computing it where it is not kept.

    Nothing is done where no stage is frozen, where every epoch augments anew (``augment.views=0``), or where the
    features would not fit in ``data.cache_limit``; then the prefix runs in every step, with the same scores.

    Args:
        network: Whose first stages are frozen.
        data: Where the posters come from, set up.
        hardware: What computes.
        compute: Compute what is not kept yet; else only what was kept before is used.

    Returns:
        Whether ``data`` now yields features.
    """
    if not network.num_frozen or not data.config.cache_limit or (data.augment.active and not data.augment.views):
        return False
    if data.streamed:
        data.notes.append("posters from shards are too many to keep: the frozen layers run in every step")
        return False
    views = list(range(data.augment.views)) if data.augment.active else []
    shape, key = _shape(network, data), _key(network, data, hardware)
    stores = {
        view: RowStore(data.stores / _name(key, data, view), num_rows=len(data.kept), shape=shape, dtype=torch.float16)
        for view in [None, *views]
    }
    if not compute and not all(store.complete for store in stores.values()):
        return False
    try:
        needed = sum(store.num_bytes for store in stores.values()) / 1e9
        if needed > data.config.cache_limit:
            raise CacheError(f"{needed:.1f} GB would be more than data.cache_limit={data.config.cache_limit:g} GB")
        if not all(store.complete for store in stores.values()):
            data.images(write=True)  # before room is made for what is computed from them
        for view, store in stores.items():
            store.write(_computed(network, data, hardware, view=view), limit=data.config.cache_limit)
        if not all(store.open() for store in stores.values()):
            raise CacheError("another run needed the room")
    except CacheError as problem:
        data.notes.append(f"features are not kept, the frozen layers run in every step: {problem}")
        return False
    plain = stores[None]
    data.features = Features(plain=plain, train=[stores[view] for view in views] or [plain])
    return True


def _shape(network: PosterNetwork, data: PosterData) -> tuple[int, ...]:
    preprocess = data.preprocess
    with torch.inference_mode():
        image = torch.zeros(1, 3, preprocess.height, preprocess.width, dtype=torch.uint8)
        return tuple(network.eval().prefix(image).shape[1:])


def _key(network: PosterNetwork, data: PosterData, hardware: Hardware) -> str:
    """Return what the features depend on: the pictures and their pixels, the prefix and its weights, the arithmetic."""
    pixels = pixel_store(data.identity, len(data.kept), data.preprocess, data.stores)
    digest = sha256(json.dumps([FORMAT, pixels.path.name, str(hardware), repr(network.stages)]).encode())
    for name, value in network.frozen_state().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _name(key: str, data: PosterData, view: int | None) -> str:
    if view is not None:
        # The number of views is left out: the first two of four are the two of two.
        changes = asdict(data.augment) | {"views": 0, "mixup": 0, "cutmix": 0, "seed": data.seed, "view": view}
        key = sha256((key + json.dumps(changes)).encode()).hexdigest()
    return f"features-{key[:24]}.rows"


def _computed(network: PosterNetwork, data: PosterData, hardware: Hardware, *, view: int | None) -> Iterator[Tensor]:
    """Yield the features ``float16 (B, ...)`` of all kept posters, in order."""
    posters = range(len(data.kept))
    augment = data.augment if view is not None else Augment()
    images = PosterDataset([data.images()], posters, torch.zeros(len(posters), 0), augment=augment, seed=data.seed)
    loader: DataLoader[Batch] = DataLoader(
        images,
        batch_size=BATCH,
        sampler=[Draw(view or 0, poster) for poster in posters],
        collate_fn=as_it_is,
        num_workers=data.num_workers if augment.active else 0,
        generator=torch.Generator(),
    )
    name = "frozen layers" if view is None else f"frozen layers, view {view + 1} of {data.augment.views}"
    network = network.to(hardware.device).eval()
    try:
        for batch in track(loader, name, transient=True, disable=not Console().is_terminal):
            with torch.inference_mode(), hardware.autocast():
                features = network.prefix(batch.images.to(hardware.device))
            half = features.half().cpu()
            if not bool(torch.isfinite(half).all()):
                raise CacheError("they are too large for 16 bits")
            yield half
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise CacheError(f"the device has not enough memory for {BATCH} posters at once") from None
    finally:
        network.cpu()
