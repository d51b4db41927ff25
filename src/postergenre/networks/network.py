"""What every network is: normalise, stages in order, pool, head. Nothing here knows Lightning, Hydra or posters."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from postergenre.errors import ConfigError
from postergenre.networks.pools import Statistics

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """``uint8 (B,3,H,W)`` to ``float (B,3,H,W)``: ``(images / 255 - mean) / std``, in channels-last memory order."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.to(self.mean.dtype, memory_format=torch.channels_last)
        return (pixels / 255 - self.mean) / self.std


class Standardize(nn.BatchNorm1d):
    """Batch norm that takes a batch of one poster, which has no deviation, by what earlier batches taught."""

    def forward(self, features: Tensor) -> Tensor:
        if self.training and len(features) == 1:
            return functional.batch_norm(features, self.running_mean, self.running_var, eps=self.eps)
        return super().forward(features)


def build_head(
    num_features: int,
    num_outputs: int,
    *,
    hidden: int = 0,
    dropout: float = 0.0,
    feature_dropout: float = 0.0,
    standardize: bool = False,
) -> nn.Sequential:
    """Return the head: pooled features ``(B,C)`` to ``logits (B,G)``.

    Args:
        num_features: C.
        num_outputs: G.
        hidden: Width of the hidden layer, 0 for none.
        dropout: Probability before the last layer.
        feature_dropout: Probability before the first.
        standardize: Bring each feature to mean 0 and deviation 1 first.
    """
    layers: list[tuple[str, nn.Module]] = []
    if standardize:
        layers.append(("standardize", Standardize(num_features, affine=False)))
    if feature_dropout:
        layers.append(("feature_dropout", nn.Dropout(feature_dropout)))
    if hidden:
        layers += [("hidden", nn.Linear(num_features, hidden)), ("relu", nn.ReLU())]
    layers += [("dropout", nn.Dropout(dropout)), ("output", nn.Linear(hidden or num_features, num_outputs))]
    return nn.Sequential(OrderedDict(layers))


class PosterNetwork(nn.Module):
    """A classifier of ``uint8 (B,3,H,W)`` images into ``logits (B,G)``.

    The stages are named and ordered, so that freezing up to one of them, learning rates by depth and keeping what a
    frozen prefix computes are the same code for every network.
    """

    def __init__(
        self,
        *,
        stages: Mapping[str, nn.Module],
        pool: nn.Module,
        head: nn.Sequential,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.num_frozen = 0
        """Stages that do not train, counted from the first, where the network can be cut behind them."""
        self.frozen_norm = False
        """Whether batch norms of the stages keep their running statistics."""
        self.normalize = Normalize(mean, std)
        self.stages = nn.Sequential(
            OrderedDict(stages)
        )  # (B,3,H,W) -> (B,C,h,w), or (B,C) where a network pools itself
        self.pool = pool  # -> (B,C)
        self.head = head  # (B,C) -> (B,G)

    def features(self, images: Tensor) -> Tensor:
        """Return the pooled features ``(B,C)`` of ``uint8 (B,3,H,W)`` images."""
        return self.pooled(self.maps(images))

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return what is pooled of ``uint8 (B,3,H,W)`` images: the last maps ``(B,C,h,w)``, or those of every stage."""
        maps = [self.normalize(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:] if self.pools_every_stage else maps[-1:]

    def pooled(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the features ``(B,C)`` of what ``maps`` returned."""
        features: Tensor = self.pool(maps if self.pools_every_stage else maps[0])
        return features

    @property
    def pools_every_stage(self) -> bool:
        """Whether the head sees all stages, and not only the last."""
        return isinstance(self.pool, Statistics)

    def forward(self, images: Tensor) -> Tensor:
        """Return ``logits (B,G)`` of images, or of what ``prefix`` made of them (told by the floating-point type)."""
        if images.is_floating_point():
            return self.suffix(images)
        logits: Tensor = self.head(self.features(images))
        return logits

    def prefix(self, images: Tensor) -> Tensor:
        """Return what the frozen stages make of ``uint8 (B,3,H,W)``: maps ``(B,C,h,w)``, or all frozen, ``(B,C)``."""
        assert self.num_frozen
        if self.num_frozen == len(self.stages):
            return self.features(images)
        maps: Tensor = self.stages[: self.num_frozen](self.normalize(images))
        return maps

    def suffix(self, features: Tensor) -> Tensor:
        """Return ``logits (B,G)`` of what ``prefix`` returned, in any floating-point type."""
        features = features.to(self.output.weight.dtype)
        if self.num_frozen < len(self.stages):
            maps = features.contiguous(memory_format=torch.channels_last)
            features = self.pool(self.stages[self.num_frozen :](maps))
        logits: Tensor = self.head(features)
        return logits

    def frozen_state(self) -> dict[str, Tensor]:
        """Return the tensors that ``prefix`` computes with, by name."""
        parts = [self.normalize, self.stages[: self.num_frozen]]
        if self.num_frozen == len(self.stages):
            parts.append(self.pool)
        return {f"{i}.{name}": value for i, part in enumerate(parts) for name, value in part.state_dict().items()}

    @property
    def output(self) -> nn.Linear:
        """The last layer."""
        layer = self.head.output
        assert isinstance(layer, nn.Linear)
        return layer

    def stage_parameters(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of each stage of the backbone, in order; those of the pool belong to the last one."""
        stages = {name: list(stage.parameters()) for name, stage in self.stages.named_children()}
        stages[next(reversed(stages))] += list(self.pool.parameters())
        return stages

    def freeze(self, upto: str) -> None:
        """Stop training the stages up to and including ``upto``; ``none`` and ``backbone`` (all of them) work too.

        Raises:
            ConfigError: There is no such stage.
        """
        stages = self.stage_parameters()
        if upto not in ("none", "backbone", *stages):
            raise ConfigError(f"no stage {upto!r} to freeze; known: none, backbone, {', '.join(stages)}")
        if upto == "none":
            return
        for name, parameters in stages.items():
            for parameter in parameters:
                parameter.requires_grad_(False)
            if name == upto:
                break
        frozen = [not any(p.requires_grad for p in stage.parameters()) for stage in self.stages]
        self.num_frozen = frozen.index(False) if False in frozen else len(frozen)
        if self.pools_every_stage and False in frozen:
            self.num_frozen = 0  # the head looks behind the cut

    def train(self, mode: bool = True) -> "PosterNetwork":
        """Set the mode; a module whose parameters are all frozen stays in evaluation mode.

        Otherwise the running statistics of frozen batch norms would drift, and frozen dropout would make noise. With
        ``frozen_norm`` the batch norms of the backbone stay in it, too, while their scales and offsets may train.
        """
        super().train(mode)
        if mode:
            for module in self.stages.modules():
                parameters = list(module.parameters())
                frozen = bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
                if frozen or (self.frozen_norm and isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)):
                    module.eval()
        return self
