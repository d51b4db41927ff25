"""A small network that learns the demo posters on a CPU in a minute; the tests' real network."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn


def tiny_stages() -> tuple[OrderedDict[str, nn.Module], nn.Module]:
    """Return the stages and the pool; 0.1 million parameters."""
    widths = (3, 16, 32, 64, 128)
    stages = OrderedDict(
        (
            f"stage{i}",
            nn.Sequential(
                nn.Conv2d(wide_in, wide_out, kernel_size=3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(wide_out),
                nn.ReLU(),
            ),
        )
        for i, (wide_in, wide_out) in enumerate(pairwise(widths), 1)
    )
    # A motif is one spot of the poster: its strongest response says more than the average.
    return OrderedDict[str, nn.Module](stages), nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
