"""The shape of torchvision's VGGs, without torchvision: whose import brings the compiler along."""

from collections import OrderedDict

import torch
from torch import nn

CONVOLUTIONS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
"""In each stage; Simonyan and Zisserman, "Very deep convolutional networks", 2015, table 1 (A, B, D, E)."""
WIDTHS = (64, 128, 256, 512, 512)


def empty_vgg_stages(name: str) -> tuple[OrderedDict[str, nn.Module], nn.Module]:
    """Return stages and pool as ``vision_stages`` does, on the meta device, for weights that are loaded next."""
    norm = name.endswith("_bn")
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    width_in = 3
    with torch.device("meta"):
        for i, (count, width) in enumerate(zip(CONVOLUTIONS[name.removesuffix("_bn")], WIDTHS, strict=True), 1):
            layers: list[nn.Module] = []
            for _ in range(count):
                layers.append(nn.Conv2d(width_in, width, kernel_size=3, padding=1))
                layers += [nn.BatchNorm2d(width)] if norm else []
                layers.append(nn.ReLU(inplace=True))
                width_in = width
            stages[f"stage{i}"] = nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))
    return stages, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def is_vgg(name: str) -> bool:
    """Return whether ``empty_vgg_stages`` knows a network."""
    return name.removesuffix("_bn") in CONVOLUTIONS
