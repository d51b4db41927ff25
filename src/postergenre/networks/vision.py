"""torchvision's classification networks, cut into stages."""

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import torch
import torchvision
from torch import Tensor, nn

from postergenre.errors import ConfigError
from postergenre.networks.weights import load_weights
from postergenre.paths import expanded


def vision_stages(name: str, weights: str, *, empty: bool) -> tuple[OrderedDict[str, nn.Module], nn.Module]:
    """Return the stages and the pool of a torchvision network without its classifier.

    Args:
        name: A classification model of torchvision.
        weights: ``imagenet``, ``none`` or a file.
        empty: Only the shapes, on the meta device: the caller brings the weights.

    Raises:
        ConfigError: No such network, or its weights cannot be had.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ConfigError(f"no network {name!r}; torchvision knows: {', '.join(known)}; others come with model=timm")
    with torch.device("meta"):  # shapes first: VGG's unused classifier alone would be 0.5 GB
        network = (
            torchvision.models.get_model(name, weights=None, init_weights=False)
            if name.startswith(("vgg", "inception", "googlenet"))
            else torchvision.models.get_model(name, weights=None)
        )
    stages, pool = _cut(name, network)
    if empty:
        return stages, pool
    backbone = nn.ModuleList([*stages.values(), pool])
    backbone.to_empty(device="cpu")
    if weights == "none":
        _initialise(backbone)
        return stages, pool
    state = _imagenet(name) if weights == "imagenet" else load_weights(expanded(weights))
    own = {key: value for key, value in network.state_dict().items() if not value.is_meta}  # the classifier is not cut
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in network.state_dict()]
    if missing or unknown:
        raise ConfigError(
            f"{weights} does not fit {name}: {len(missing)} tensor(s) missing ({', '.join(missing[:3])}), "
            f"{len(unknown)} unknown ({', '.join(unknown[:3])})"
        )
    with torch.no_grad():
        for key, value in own.items():
            if key not in state:
                value.zero_()  # num_batches_tracked, which older files lack
            elif value.shape != state[key].shape:
                raise ConfigError(
                    f"{weights} does not fit {name}: {key} is {tuple(state[key].shape)}, not {tuple(value.shape)}"
                )
            else:
                value.copy_(state[key])
    return stages, pool


def _cut(name: str, network: nn.Module) -> tuple[OrderedDict[str, nn.Module], nn.Module]:
    average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    children = dict(network.named_children())
    if name.startswith("vgg"):
        layers = list(children["features"])  # type: ignore[call-overload]
        ends = [i + 1 for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        return OrderedDict(
            (f"stage{i}", nn.Sequential(*layers[start:end])) for i, (start, end) in enumerate(pairwise([0, *ends]), 1)
        ), average
    if name.startswith("convnext"):
        layers = list(children["features"])  # type: ignore[call-overload]
        norm = children["classifier"][0]  # type: ignore[index]
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), norm, nn.Flatten())
        return OrderedDict((f"stage{i // 2 + 1}", nn.Sequential(*layers[i : i + 2])) for i in range(0, 8, 2)), pool
    if name.startswith("efficientnet"):
        layers = list(children["features"])  # type: ignore[call-overload]
        return OrderedDict((f"stage{i}", layer) for i, layer in enumerate(layers)), average
    if {"conv1", "bn1", "layer1", "layer4"} <= set(children):
        stem = nn.Sequential(children["conv1"], children["bn1"], children["relu"], children["maxpool"])
        return OrderedDict(stem=stem, **{f"layer{i}": children[f"layer{i}"] for i in range(1, 5)}), average
    raise ConfigError(
        f"{name} is not cut into stages here (vgg*, resnet*-like, convnext*, efficientnet* are); "
        "use model=timm model.name=…, which has nearly every network"
    )


def _initialise(backbone: nn.Module) -> None:
    """He initialisation ("Delving deep into rectifiers", 2015), fan out, as torchvision's own VGG and ResNet."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(layer_scale := getattr(module, "layer_scale", None), nn.Parameter):
            nn.init.constant_(layer_scale, 1e-6)  # ConvNeXt's
        elif callable(reset := getattr(module, "reset_parameters", None)):
            reset()


def _imagenet(name: str) -> dict[str, Tensor]:
    entry = torchvision.models.get_model_weights(name)["DEFAULT"]
    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(entry.url).path).name
    try:
        state: dict[str, Tensor] = dict(entry.get_state_dict(progress=True, check_hash=True))
    except (URLError, OSError) as error:
        raise ConfigError(
            f"cannot download the ImageNet weights of {name} ({error}): put {place.name} into {place.parent}, or give "
            "a file with model.weights=FILE, or start from random numbers with model.weights=none"
        ) from None
    except RuntimeError as error:  # the hash does not match
        raise ConfigError(f"the download of {place.name} is broken ({error}); delete {place} and try again") from None
    return state
