"""TensorBoard, further: where the network looks, and how posters lie to each other in what it makes of them."""

import time

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from postergenre.classifier.module import PosterClassifier
from postergenre.data.datamodule import PosterData
from postergenre.errors import ConfigError
from postergenre.pictures import Answer, contact_sheet
from postergenre.preprocess import open_picture, upright_rgb
from postergenre.training.callbacks import PACE, Pace

NUM_HEATED = 6
"""Validation posters with a heat map."""
SHARE = 0.05
"""Of the time of training that heat maps may take, but for those after the last epoch."""
NUM_EMBEDDED = 1000
"""Most posters in the projector."""
CHUNK = 32
"""Posters looked at at a time."""
THUMBNAIL = 48
"""Pixels of the longer side of a poster in the projector."""
NUM_COMPONENTS = 100
"""Most numbers of a poster in the projector, which itself draws no more than two or three of them."""


class HeatMaps(Callback):
    """A few validation posters over the epochs: where the network sees one of their true genres, the rarest."""

    def __init__(self, data: PosterData, console: Console) -> None:
        self.data = data
        self.console = console
        self.pace = Pace()
        self.refused = False

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.pace.last_yes = time.monotonic()  # a run of seconds gets one picture, at its end

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logger = _tensorboard(trainer)
        if logger is None or self.refused or not self.pace.due(trainer):
            return
        assert isinstance(pl_module, PosterClassifier)
        started = time.monotonic()
        try:
            cards = self._cards(pl_module)
        except ConfigError as error:
            self.console.print(f"note: TensorBoard gets {error}", highlight=False, soft_wrap=True)
            self.refused = True
            return
        sheet = contact_sheet(cards, columns=3, poster_height=300)
        logger.experiment.add_image("val/heat_maps", np.asarray(sheet), trainer.global_step, dataformats="HWC")
        self.pace.seconds = max(PACE, (time.monotonic() - started) / SHARE)

    def _cards(self, classifier: PosterClassifier) -> list[tuple[Image.Image, list[Answer]]]:
        from postergenre.saliency import heat_maps, heated  # plots and captum come with it: a second

        contract = classifier.contract
        logits, targets = (told.cpu() for told in classifier.val_scores.gathered())
        probabilities = contract.calibrate(logits).sigmoid()  # (N,G)
        with_genre = targets.any(dim=1).nonzero()[:, 0].tolist()
        cards = []
        for row in _spread(with_genre, NUM_HEATED):  # the same ones every time
            genre = min(targets[row].nonzero()[:, 0].tolist(), key=lambda i: contract.priors[i])
            picture = self.data.shown("val", [row])[0].picture
            poster = upright_rgb(open_picture(picture))
            heat = heat_maps(classifier.network, contract.preprocess.read(picture), [genre])
            answer = Answer(
                genre=contract.genres[genre],
                probability=float(probabilities[row, genre]),
                threshold=contract.thresholds[genre],
                truth=True,
            )
            cards.append(
                (heated(poster, contract.preprocess.laid_back(heat, poster.height, poster.width)[0]), [answer])
            )
        return cards


class Projector(Callback):
    """Validation posters in the embedding projector: what the last layer sees of each, after the last epoch."""

    def __init__(self, data: PosterData) -> None:
        self.data = data

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logger = _tensorboard(trainer)
        if logger is None:
            return
        assert isinstance(pl_module, PosterClassifier)
        chosen = _spread(list(range(self.data.sizes["val"])), NUM_EMBEDDED)
        told = principal_components(self._seen(trainer, pl_module, chosen), most=NUM_COMPONENTS)
        genres = [" ".join(genre.split()) for genre in pl_module.contract.genres]  # tabs would end a column
        metadata = []
        for start in range(0, len(chosen), CHUNK):
            for name, _, target in self.data.shown("val", chosen[start : start + CHUNK]):
                has = target.bool().tolist()
                names = ", ".join(genre for genre, true in zip(genres, has, strict=True) if true)
                metadata.append([" ".join(name.split()), names or "none", *("yes" if true else "no" for true in has)])
        logger.experiment.add_embedding(
            told,
            metadata=metadata,
            metadata_header=["poster", "genres", *genres],
            label_img=self._thumbnails(chosen),
            global_step=trainer.global_step,
            tag="val",
        )

    def _seen(self, trainer: Trainer, classifier: PosterClassifier, rows: list[int]) -> Tensor:
        """Return what the last layer sees of some validation posters, in their order, ``float32 (N,C)``."""
        seen: list[Tensor] = []
        wanted = torch.tensor(rows)
        network = classifier.network
        hook = network.output.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().cpu()))
        training = network.training
        network.eval()
        try:
            with torch.inference_mode(), trainer.precision_plugin.val_step_context():
                for images, _, passing in self.data.val_dataloader():
                    network.forward(images.to(classifier.device))  # not compiled: that would begin anew with the hook
                    seen[-1] = seen[-1][torch.isin(passing, wanted)]
        finally:
            hook.remove()
            network.train(training)
        return torch.cat(seen)

    def _thumbnails(self, rows: list[int]) -> Tensor:
        """Return ``float (N,3,h,h)`` in 0 … 1 of validation posters, on white: the projector takes squares only."""
        height, width = self.data.preprocess.height, self.data.preprocess.width
        scale = THUMBNAIL / max(height, width)
        size = max(round(scale * height), 1), max(round(scale * width), 1)
        tiles = torch.ones(len(rows), 3, THUMBNAIL, THUMBNAIL)
        top, left = (THUMBNAIL - size[0]) // 2, (THUMBNAIL - size[1]) // 2
        for some in (slice(start, start + CHUNK) for start in range(0, len(rows), CHUNK)):
            pixels = self.data.pixels("val", rows[some]).float() / 255  # (B,3,H,W)
            shrunk = functional.interpolate(pixels, size, mode="area")
            tiles[some, :, top : top + size[0], left : left + size[1]] = shrunk
        return tiles


def principal_components(features: Tensor, *, most: int) -> Tensor:
    """Return features ``(N,C)`` as their principal components ``(N, at most `most`)``, largest first.

    Distances between posters stay as they are, as far as so many components can tell them.
    """
    centred = features.double() - features.double().mean(dim=0)
    variances, directions = torch.linalg.eigh(centred @ centred.T)  # ascending; (N,N): posters are few, features many
    count = min(most, *features.shape)
    components: Tensor = directions * variances.clamp(min=0).sqrt()
    return components[:, -count:].flip(1).float()


def _spread(items: list[int], most: int) -> list[int]:
    """Return at most so many of the items, spread evenly, the first and the last among them."""
    return [items[i] for i in np.linspace(0, len(items) - 1, min(most, len(items))).astype(int)]


def _tensorboard(trainer: Trainer) -> TensorBoardLogger | None:
    return next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)
