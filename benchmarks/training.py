"""Training end to end ÷ the same network on a batch that is already there; the source's Keras step beside it."""

import statistics
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console

from postergenre.classifier.contract import Contract
from postergenre.classifier.module import PosterClassifier
from postergenre.classifier.optim import OptimConfig, build_optimizer
from postergenre.data.datamodule import PosterData
from postergenre.hardware import Hardware, choose_hardware
from postergenre.networks import ModelConfig, build_network
from postergenre.preprocess import Preprocess
from postergenre.training import TrainerConfig
from postergenre.training.run import build_trainer, quiet_lightning
from report import alternated, arguments, keras, poster_data, report, spread

VGG19_MACS = {128: 6.41e9, 224: 19.63e9}
"""Multiply-accumulates of the convolutions for one picture; a training step takes about three times as many."""


class Between(Callback):
    """Times Trainer's steps and, between any two of them, a bare step: what slows the machine slows both alike."""

    def __init__(self, bare: Callable[[], None]) -> None:
        self.bare = bare
        self.within: list[float] = []
        self.alone: list[float] = []
        self.mark = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        start = time.perf_counter()
        if self.mark:
            self.within.append(start - self.mark)  # the step before, and the fetching of this batch
        self.bare()
        self.mark = time.perf_counter()
        self.alone.append(self.mark - start)


class Stamps(Callback):
    """When each batch began."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())


def classifier(data: PosterData, model: ModelConfig) -> PosterClassifier:
    size = (data.preprocess.height, data.preprocess.width)
    count = len(data.genres)
    contract = Contract(
        model=model, preprocess=data.preprocess, genres=data.genres, headline=data.headline, priors=data.priors,
        thresholds=[0.5] * count, data={},
    )  # fmt: skip
    network = build_network(model, num_outputs=count, input_size=size)
    return PosterClassifier(network, contract, optim=OptimConfig())


def bare_step(made: PosterClassifier, hardware: Hardware, batch_size: int) -> Callable[[], None]:
    """Return a training step of a network of its own on one resident batch, and nothing else."""
    preprocess, device = made.contract.preprocess, hardware.device
    images = torch.randint(0, 256, (batch_size, 3, preprocess.height, preprocess.width), dtype=torch.uint8).to(device)
    targets = torch.randint(0, 2, (batch_size, len(made.contract.genres))).float().to(device)
    network = deepcopy(made.network).to(device).train()
    optimizer = build_optimizer(network, made.optim, fused=hardware.precision != "16")  # as Trainer has it

    def step() -> None:
        with hardware.autocast():
            logits = network(images)
        torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def ceiling(step: Callable[[], None], hardware: Hardware, batch_size: int, steps: int) -> Callable[[], float]:
    """Return a measure of pictures per second of bare training steps."""
    torch.backends.cudnn.benchmark = hardware.device.type == "cuda"  # as Trainer has it

    def measure() -> float:
        for number in range(steps + 2):
            if number == 2:
                start = _now(hardware.device)
            step()
        return steps * batch_size / (_now(hardware.device) - start)

    return measure


def fit(
    made: PosterClassifier, data: PosterData, hardware: Hardware, steps: int, folder: Path, watch: Callback
) -> None:
    """Train for some steps within Trainer, fed with posters."""
    config = TrainerConfig(max_epochs=1, limit_train_batches=steps, limit_val_batches=1)
    with quiet_lightning():
        trainer = build_trainer(config, hardware, folder, [watch], Console(quiet=True))
        trainer.limit_val_batches = 0
        trainer.callbacks = [c for c in trainer.callbacks if type(c).__name__ != "EpochLine"]
        trainer.fit(made, train_dataloaders=data.train_dataloader())


def end_to_end(
    made: PosterClassifier, data: PosterData, hardware: Hardware, batch_size: int, steps: int, folder: Path
) -> Callable[[], float]:
    """Return a measure of pictures per second of the same steps within Trainer, fed with posters."""

    def measure() -> float:
        stamps = Stamps()
        fit(made, data, hardware, steps + 3, folder, stamps)
        return steps * batch_size / (stamps.times[-1] - stamps.times[2])

    return measure


def loader_alone(data: PosterData) -> Callable[[], float]:
    """Return a measure of pictures per second of a warm epoch's batches, with no network behind them."""

    def measure() -> float:
        start = time.perf_counter()
        seen = sum(len(batch.rows) for batch in data.train_dataloader())
        return seen / (time.perf_counter() - start)

    return measure


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 224])
    options = parser.parse_args()
    hardware = choose_hardware("auto", "auto")
    cuda = hardware.device.type == "cuda"
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in [32] if options.smoke else options.sizes:
            model = ModelConfig(weights="none") if not options.smoke else ModelConfig(library="tiny", weights="none")
            batch_size, rounds = (4, 1) if options.smoke else (32, options.rounds)
            steps = 2 if options.smoke else 100 if cuda else 6 if size < 200 else 3
            data = poster_data(options, Preprocess(height=size, width=size), cache=scratch, batch_size=batch_size)
            data.images(write=True)
            made = classifier(data, model)
            step = bare_step(made, hardware, batch_size)
            sides: dict[str, Callable[[], float]] = {"loader alone": loader_alone(data)}
            figures: dict[str, list[float]] = {}
            if cuda:  # steps overlap: whole runs take turns
                sides["ceiling"] = ceiling(step, hardware, batch_size, steps)
                sides["end to end"] = end_to_end(made, data, hardware, batch_size, steps, Path(scratch))
            else:
                between = Between(step)
                fit(made, data, hardware, rounds * steps + 3, Path(scratch), between)
                figures["ceiling"] = [batch_size / seconds for seconds in between.alone[3:]]
                figures["end to end"] = [batch_size / seconds for seconds in between.within[2:]]
            if options.keras and not options.smoke:
                sides["Keras train_on_batch"] = lambda size=size: keras(options, "train", str(size))  # type: ignore[misc]
            figures |= alternated(sides, rounds)
            base = statistics.median(figures["ceiling"])
            for name, values in figures.items():
                rate = statistics.median(values)
                counts = size in VGG19_MACS and name != "loader alone"
                flops = f"{rate * 6 * VGG19_MACS[size] / 1e12:.2f}" if counts else ""
                rows.append([f"{size} px", name, spread(values), f"{rate / base:.3f}", flops])
    turns = "whole runs" if cuda else "single steps"
    note = f"VGG19, batch {batch_size}, {hardware}; {turns} of both sides in turn, after warm-up; {rounds} rounds."
    report(
        options, "Training, pictures per second", ["size", "", "median (min … max)", "÷ ceiling", "TFLOP/s"], rows, note
    )


if __name__ == "__main__":
    main()
