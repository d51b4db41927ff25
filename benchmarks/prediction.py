"""Prediction from files end to end ÷ the network alone; plain float32 torchvision and the source's Keras beside."""

import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import v2

from postergenre.hardware import choose_hardware
from postergenre.inference import Predictor
from postergenre.inference.members import NetworkMember
from postergenre.networks import ModelConfig
from postergenre.preprocess import Preprocess
from report import alternated, arguments, keras, poster_data, report, spread
from training import classifier

BATCH = 32


def from_files(predictor: Predictor, paths: list[Path]) -> Callable[[], float]:
    def measure() -> float:
        start = time.perf_counter()
        answers = list(predictor.predict_many(paths, batch_size=BATCH))
        assert len(answers) == len(paths)
        return len(paths) / (time.perf_counter() - start)

    return measure


def network_alone(predictor: Predictor, count: int) -> Callable[[], float]:
    preprocess = predictor.contract.preprocess
    images = torch.randint(0, 256, (BATCH, 3, preprocess.height, preprocess.width), dtype=torch.uint8)

    def measure() -> float:
        start = time.perf_counter()
        for _ in range(count // BATCH):
            predictor.probabilities(images)
        return count // BATCH * BATCH / (time.perf_counter() - start)

    return measure


def plain_torchvision(predictor: Predictor, paths: list[Path], size: int) -> Callable[[], float]:
    """What a tutorial would write: Pillow, torchvision's transforms, float32, one batch after the other."""
    transform = v2.Compose([
        v2.Resize((size, size)), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])  # fmt: skip
    (member,) = predictor.members
    assert isinstance(member, NetworkMember)
    network = deepcopy(member.network)  # left as its author would have it: not channels last
    layers = torch.nn.Sequential(network.stages, network.pool, network.head).to(memory_format=torch.contiguous_format)

    def measure() -> float:
        start = time.perf_counter()
        with torch.no_grad():
            for first in range(0, len(paths), BATCH):
                pictures = [Image.open(path).convert("RGB") for path in paths[first : first + BATCH]]
                layers(torch.stack([transform(picture) for picture in pictures])).sigmoid()
        return len(paths) / (time.perf_counter() - start)

    return measure


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 224])
    options = parser.parse_args()
    hardware = choose_hardware("auto", "auto")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in [32] if options.smoke else options.sizes:
            model = ModelConfig(library="tiny", weights="none") if options.smoke else ModelConfig(weights="none")
            data = poster_data(options, Preprocess(height=size, width=size), cache=scratch)
            count, rounds = (32, 1) if options.smoke else (160 if size < 200 else 64, options.rounds)
            paths = data.paths("train")[:count]
            made = classifier(data, model)
            made.network.eval()
            predictor = Predictor([NetworkMember(made.network, made.contract, hardware)])
            predictor.probabilities(torch.zeros(BATCH, 3, size, size, dtype=torch.uint8))
            sides = {
                "network alone": network_alone(predictor, count),
                "from files": from_files(predictor, paths),
                "plain torchvision, float32": plain_torchvision(predictor, paths, size),
            }
            if options.keras and not options.smoke:
                folder = str(paths[0].parent)
                sides["Keras load_img + predict"] = lambda f=folder, s=size: keras(options, "predict", f, str(s))  # type: ignore[misc]
            figures = alternated(sides, rounds)
            base = sorted(figures["network alone"])[rounds // 2]
            rows += [
                [f"{size} px", name, spread(values), f"{sorted(values)[rounds // 2] / base:.3f}"]
                for name, values in figures.items()
            ]
    note = f"VGG19, batch {BATCH}, {hardware}; {rounds} rounds in turn, after warm-up; files in the page cache."
    report(
        options, "Prediction, pictures per second", ["size", "", "median (min … max)", "÷ network alone"], rows, note
    )


if __name__ == "__main__":
    main()
