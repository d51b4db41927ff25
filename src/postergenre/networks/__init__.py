"""Networks: ``uint8 (B,3,H,W)`` in, ``logits (B,G)`` out."""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from postergenre.errors import ConfigError
from postergenre.networks.network import IMAGENET_MEAN, IMAGENET_STD, PosterNetwork, build_head
from postergenre.networks.pools import build_pool, count_features
from postergenre.networks.tiny import tiny_stages
from postergenre.networks.vgg import empty_vgg_stages, is_vgg

__all__ = ["ModelConfig", "PosterNetwork", "build_network"]

LIBRARIES = ("torchvision", "timm", "tiny")
NORMALIZATIONS = ("auto", "unit")
WIDEST = 65_536
"""Of a hidden layer."""
POOLS = ("auto", "avg", "max", "avgmax", "statistics")


@dataclass(kw_only=True, slots=True)
class ModelConfig:
    """Which network, and what it starts from."""

    library: str = "torchvision"
    """Where the backbone comes from: ``torchvision``, ``timm``, or ``tiny``, our own small one."""
    name: str = "vgg19"
    """The network's name in its library."""
    weights: str = "imagenet"
    """``imagenet`` (the library's own, downloaded once), ``none`` (random) or a file."""
    freeze: str = "none"
    """``none``, ``backbone``, or the last stage that does not train."""
    frozen_norm: bool = False
    """Batch norms of the backbone keep the statistics they came with, as a head that was trained first knows them."""
    normalize: str = "auto"
    """``auto``: pixels as the weights expect them. ``unit``: only scaled to 0 … 1."""
    pool: str = "auto"
    """From maps to features: ``auto`` (as the network has it), ``avg``, ``max``, ``avgmax`` (both), or ``statistics``:
    mean, maximum and deviation of every stage's channels."""
    standardize: bool = False
    """Bring each feature to mean 0 and deviation 1 before the head (batch norm without weights)."""
    hidden: int = 128
    """Width of the hidden layer of the head; 0 makes the head linear."""
    feature_dropout: float = 0.0
    """Probability before the head: each poster is seen through a random part of its features."""
    dropout: float = 0.2
    """Probability before the last layer."""

    def __post_init__(self) -> None:
        if self.library not in LIBRARIES:
            raise ConfigError(f"no model.library {self.library!r}; known: {', '.join(LIBRARIES)}")
        if self.normalize not in NORMALIZATIONS:
            raise ConfigError(f"no model.normalize {self.normalize!r}; known: {', '.join(NORMALIZATIONS)}")
        if self.pool not in POOLS:
            raise ConfigError(f"no model.pool {self.pool!r}; known: {', '.join(POOLS)}")
        if not 0 <= self.hidden <= WIDEST:
            raise ConfigError(f"model.hidden must lie in 0 (no hidden layer) … {WIDEST}, not {self.hidden}")
        for name in ("feature_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must lie in 0 … 1 (1 excluded), not {getattr(self, name)}")
        if not self.name:
            raise ConfigError("model.name is not given; with model=timm it is any name timm knows")


def build_network(
    config: ModelConfig,
    *,
    num_outputs: int,
    input_size: tuple[int, int],
    empty: bool = False,
    num_features: int | None = None,
) -> PosterNetwork:
    """Return the network of ``config`` with a head for ``num_outputs`` genres, frozen as it says.

    Args:
        config: What to build.
        num_outputs: Number of genres G.
        input_size: Height and width of the images; only networks of fixed input care.
        empty: Build for weights that the caller loads next (``load_state_dict(..., assign=True)``): nothing is
            downloaded or drawn, and tensors may be on the meta device.
        num_features: Number of pooled features C, where it is known; counting them takes a second.

    Raises:
        ConfigError: The network or its weights cannot be had, or there is no such stage to freeze.
    """
    scaled = config.normalize == "unit"

    def head(num_features: int) -> nn.Sequential:
        with torch.device("meta") if empty else nullcontext():  # how wide it is, a stranger may have said
            return build_head(
                num_features,
                num_outputs=num_outputs,
                hidden=config.hidden,
                dropout=config.dropout,
                feature_dropout=config.feature_dropout,
                standardize=config.standardize,
            )

    if config.library == "timm":
        from postergenre.networks.timm import build_timm  # each library is only imported where it is used

        network: PosterNetwork = build_timm(
            config.name,
            "none" if empty else config.weights,
            input_size=input_size,
            scaled=scaled,
            pool=config.pool,
            head=head,
            num_features=num_features,
        )
    else:
        if config.library == "tiny":
            if config.weights != "none":
                raise ConfigError(f"the tiny network has no weights to load: model.weights=none, not {config.weights}")
            stages, pool = tiny_stages()
        elif empty and is_vgg(config.name):
            stages, pool = empty_vgg_stages(config.name)
        else:
            from postergenre.networks.vision import vision_stages

            stages, pool = vision_stages(config.name, config.weights, empty=empty)
        pool = build_pool(config.pool, pool)
        network = PosterNetwork(
            stages=stages,
            pool=pool,
            head=head(num_features or count_features(stages, pool)),
            mean=(0.0, 0.0, 0.0) if scaled else IMAGENET_MEAN,
            std=(1.0, 1.0, 1.0) if scaled else IMAGENET_STD,
        )
    network.freeze(config.freeze)
    network.frozen_norm = config.frozen_norm
    if empty:
        return network
    return network.to(memory_format=torch.channels_last)
