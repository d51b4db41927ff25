"""Where tokens lie in the picture. Only timm's networks have any."""

import math
from typing import Any

from torch import Tensor

from postergenre.errors import ConfigError
from postergenre.networks import PosterNetwork

TOLERANCE = 1.5
"""How much longer or wider than the picture's shape a grid of tokens may be."""


def timm_model(network: PosterNetwork) -> Any | None:
    """Return the timm model within a network, if there is one."""
    backbone = getattr(network, "backbone", None)  # by name: importing timm takes a second
    return None if backbone is None else backbone.model


def as_maps(network: PosterNetwork, values: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the values of maps or tokens, of either memory order, as ``(K,C,h,w)``.

    Args:
        network: Whose values they are.
        values: ``(K,C,h,w)``, ``(K,h,w,C)`` or ``(K,N,C)``, as ``network.maps`` has them.
        size: Height and width of the images.

    Raises:
        ConfigError: The head sees none of the tokens but the first, or they fill no grid.
    """
    model = timm_model(network)
    if values.ndim == 4:
        return values.permute(0, 3, 1, 2) if getattr(model, "output_fmt", "NCHW") == "NHWC" else values
    if getattr(model, "global_pool", None) == "token":
        raise ConfigError(
            f"no heat maps of {type(model).__name__}: its head sees one token, and its attention, which could tell "
            "where that one looked, is not accessible"
        )
    return to_grid(network, values.transpose(1, 2), size)


def to_grid(network: PosterNetwork, values: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return values of tokens ``(K,C,N)`` as ``(K,C,h,w)``; tokens that are no patches are dropped.

    The grid is the one of N patches whose shape is nearest to that of the images.

    Raises:
        ConfigError: They fill no grid.
    """
    model = timm_model(network)
    values = values[..., getattr(model, "num_prefix_tokens", None) or 0 :]
    count = values.shape[-1]

    def stretch(height: int) -> float:
        return abs(math.log(height * height / count / (size[0] / size[1])))

    height = min((h for h in range(1, count + 1) if count % h == 0), key=stretch)
    if stretch(height) > math.log(TOLERANCE):
        raise ConfigError(
            f"no heat maps of {type(model).__name__}: its {count} tokens fill no grid of {size[0]} x {size[1]}"
        )
    return values.reshape(*values.shape[:-1], height, count // height)
