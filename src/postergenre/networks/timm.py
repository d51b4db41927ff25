"""Any network of timm, through the same door."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import Tensor, nn

from postergenre.errors import ConfigError
from postergenre.networks.network import PosterNetwork
from postergenre.networks.pools import Statistics
from postergenre.networks.weights import load_weights
from postergenre.paths import expanded


class TimmFeatures(nn.Module):
    """``(B,3,H,W)`` to pooled features ``(B,C)``, as the timm model itself pools them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.pooled(self.maps(images))

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return what is pooled: maps ``(B,C,h,w)`` or ``(B,h,w,C)``, or tokens ``(B,N,C)``, as the model has it."""
        return [self.model.forward_features(images)]

    def pooled(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the features ``(B,C)`` of what ``maps`` returned."""
        features: Tensor = self.model.forward_head(maps[0], pre_logits=True)
        return features


class TimmStatistics(TimmFeatures):
    """``(B,3,H,W)`` to the statistics ``(B,C)`` of the maps of every level that timm tells; see ``Statistics``."""

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps ``(B,C,h,w)`` of every level."""
        maps: list[Tensor] = self.model.forward_intermediates(images, intermediates_only=True)
        return maps

    def pooled(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the features ``(B,C)`` of what ``maps`` returned."""
        features: Tensor = Statistics()(maps)
        return features


class TimmNetwork(PosterNetwork):
    """A timm model; its stages are the groups timm itself names for learning rates by depth."""

    @property
    def backbone(self) -> TimmFeatures:
        """The timm model with its pool."""
        (features,) = self.stages
        assert isinstance(features, TimmFeatures)
        return features

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return what the model itself pools; see ``TimmFeatures`` and ``TimmStatistics``."""
        return self.backbone.maps(self.normalize(images))

    def pooled(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the features ``(B,C)`` of what ``maps`` returned."""
        return self.backbone.pooled(maps)

    def stage_parameters(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of ``stage0``, ``stage1``, … in timm's coarse grouping."""
        model = self.backbone.model
        group_of = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
        stages: dict[str, list[nn.Parameter]] = {}
        for group in sorted(set(group_of.values())):
            stages[f"stage{group}"] = [p for name, p in model.named_parameters() if group_of.get(name) == group]
        return stages


def build_timm(
    name: str,
    weights: str,
    *,
    input_size: Sequence[int],
    scaled: bool,
    pool: str,
    head: Callable[[int], nn.Sequential],
    num_features: int | None = None,
) -> TimmNetwork:
    """Return a timm network with our head.

    Args:
        name: As ``timm.create_model`` takes it, a pretrained tag included (``vit_base_patch16_clip_224.openai``).
        weights: ``imagenet`` (whatever the name's tag means), ``none`` or a file.
        input_size: Height and width.
        scaled: Leave pixels in 0 … 1 instead of normalising them as the weights expect.
        pool: ``auto`` (as the model itself pools) or ``statistics``.
        head: Makes the head for a number of features C.
        num_features: C, where it is known.

    Raises:
        ConfigError: No such model, or its weights cannot be had.
    """
    if pool not in ("auto", "statistics"):
        raise ConfigError(f"timm networks pool as they do: model.pool=auto, or statistics, not {pool}")
    if not timm.is_model(name):
        close = ", ".join(get_close_matches(name, timm.list_models(), n=5))
        raise ConfigError(f"no timm model {name!r}" + (f"; close: {close}" if close else ""))
    settings: dict[str, Any] = {"pretrained": weights == "imagenet", "num_classes": 0}
    try:
        entry = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise ConfigError(f"no timm model {name!r}: {error}") from None
    if entry is not None and entry.fixed_input_size:
        settings["img_size"] = tuple(input_size)
    model: Any
    try:
        model = timm.create_model(name, **settings)
    except Exception as error:  # hub, HTTP and file errors share no base class
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if weights != "imagenet":
            raise ConfigError(
                f"timm cannot build {name} for {input_size[0]} x {input_size[1]} pixels: {reason}"
            ) from None
        raise ConfigError(
            f"cannot get the pretrained weights of {name} ({reason}): download them where there is "
            "a connection and give the file with model.weights=FILE"
        ) from None
    if weights not in ("imagenet", "none"):
        known = model.state_dict()
        state = load_weights(expanded(weights))
        if missing := [key for key in known if key not in state]:
            raise ConfigError(f"{weights} does not fit {name}: {len(missing)} tensor(s) missing, first {missing[0]}")
        if wrong := [key for key in known if known[key].shape != state[key].shape]:
            raise ConfigError(
                f"{weights} does not fit {name}: {wrong[0]} is {tuple(state[wrong[0]].shape)}, not "
                f"{tuple(known[wrong[0]].shape)}"
            )
        model.load_state_dict({key: state[key] for key in known})
    mean, std = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)) if scaled or entry is None else (entry.mean, entry.std)
    if pool == "statistics" and not hasattr(model, "forward_intermediates"):
        raise ConfigError(f"timm tells no maps of {name}'s stages: model.pool=auto")
    backbone = TimmStatistics(model) if pool == "statistics" else TimmFeatures(model)
    if num_features is None:
        model.eval()
        with torch.inference_mode():
            num_features = int(backbone(torch.zeros(1, 3, *input_size)).shape[1])
    return TimmNetwork(
        stages={"backbone": backbone},
        pool=nn.Identity(),
        head=head(num_features),
        mean=mean,
        std=std,
    )
