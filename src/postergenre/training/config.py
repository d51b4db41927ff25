"""What a training run can be told."""

from dataclasses import dataclass, field

from postergenre.augment import Augment
from postergenre.classifier.optim import OptimConfig
from postergenre.data.datamodule import DataConfig
from postergenre.errors import ConfigError
from postergenre.genres import GenreMapping
from postergenre.losses import LossConfig
from postergenre.networks import ModelConfig
from postergenre.preprocess import Preprocess

STRATEGIES = ("auto", "ddp", "fsdp")


@dataclass(kw_only=True, slots=True)
class TrainerConfig:
    """How long, and on what."""

    gpus: str = "auto"
    """``auto`` (a CUDA GPU where there is one), ``0`` (the CPU), or how many of this machine's; under torchrun or srun,
    ``auto`` is as many as processes were started here."""
    processes: str = "auto"
    """On a CPU, how many processes train together; ``auto`` is one, or as many as torchrun or srun started here."""
    num_nodes: int = 1
    """Machines that train together, each with as many GPUs or processes; torchrun or srun starts them."""
    strategy: str = "auto"
    """With several GPUs or processes: ``ddp`` (``auto``; each holds all weights) or ``fsdp`` (each holds its share)."""
    precision: str = "auto"
    """``auto``, ``32``, ``bf16`` or ``16``; see ``hardware.choose_hardware``."""
    max_epochs: int = 20
    """Passes over the training posters."""
    patience: int = 0
    """Stop after this many epochs without a better ``val/map``; 0 never stops early."""
    gradient_clip_val: float = 0.0
    """Largest norm of the gradient; 0 does not clip."""
    accumulate_grad_batches: int = 1
    """Batches per optimiser step."""
    limit_train_batches: int = 0
    """Batches per epoch, to try things out; 0 takes all."""
    limit_val_batches: int = 0
    """Batches per validation, to try things out; 0 takes all."""
    save_steps: int = 0
    """Write ``last.ckpt`` every so many optimiser steps within an epoch, too, for epochs that are long; resuming goes
    on with the very batch that comes next. 0 writes it when an epoch has ended."""
    compile: bool = False
    """Let ``torch.compile`` fuse the network; slow to start, and worth it on a GPU only. Checkpoints are the same."""
    deterministic: bool = False
    """Refuse operations that give other results when repeated."""

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ConfigError(f"no trainer.strategy {self.strategy!r}; known: {', '.join(STRATEGIES)}")
        if self.processes != "auto" and not (self.processes.isdecimal() and int(self.processes)):
            raise ConfigError(f"trainer.processes takes auto or a number from 1, not {self.processes!r}")
        for name, least in (
            ("max_epochs", 1),
            ("num_nodes", 1),
            ("patience", 0),
            ("accumulate_grad_batches", 1),
            ("limit_train_batches", 0),
            ("limit_val_batches", 0),
            ("save_steps", 0),
            ("gradient_clip_val", 0),
        ):
            if getattr(self, name) < least:
                raise ConfigError(f"trainer.{name} must be at least {least}, not {getattr(self, name)}")


@dataclass(kw_only=True, slots=True)
class TrainConfig:
    """Everything ``scripts/train.py`` can be told."""

    data: DataConfig = field(default_factory=DataConfig)
    genres: GenreMapping = field(default_factory=GenreMapping)
    preprocess: Preprocess = field(default_factory=Preprocess)
    augment: Augment = field(default_factory=Augment)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    head_epochs: int = 0
    """Train the head alone for so many epochs first, on what the frozen backbone makes of the plain posters, and then
    the rest: Kumar et al., "Fine-tuning can distort pretrained features", 2022."""
    start: str | None = None
    """A checkpoint whose network, head included, training starts from instead of from ``model.weights``."""
    prior_bias: bool = True
    """Start from the share of each genre instead of from one half."""
    seed: int = 0
    """Of the new weights, the order of posters, augmentation and dropout."""
    resume: str | None = None
    """A checkpoint to continue from: weights, optimiser, schedule, epoch and random state."""
    output_dir: str = "outputs/train"
    """Where everything is written."""

    def __post_init__(self) -> None:
        if self.data.split == "all":
            raise ConfigError("data.split=all leaves nothing to train on: it is for scoring what was trained elsewhere")
        if self.data.source == "shards" and self.data.balance:
            raise ConfigError(
                "data.balance draws posters from all over, and shards are read in a row: use loss=weighted"
            )
        if self.trainer.strategy == "fsdp":
            for name, given in (
                ("optim.ema", self.optim.ema),
                ("optim.output_l2", self.optim.output_l2),
                ("trainer.compile", self.trainer.compile),
            ):
                if given:
                    raise ConfigError(f"{name} needs the weights whole: leave it out, or write trainer.strategy=ddp")
        if self.head_epochs < 0:
            raise ConfigError(f"head_epochs must be 0 (no head first) or more, not {self.head_epochs}")
        if self.head_epochs and self.start:
            raise ConfigError("head_epochs trains a new head, start brings one: give one of the two")
        if self.head_epochs and self.model.freeze == "backbone":
            raise ConfigError("head_epochs is for what trains beyond the head; with model.freeze=backbone nothing does")
