"""Plain posters whose colour is their genre, so that learning itself can be asserted with no download."""

import csv
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings as profiles
from PIL import Image, features

from postergenre.classifier.optim import OptimConfig
from postergenre.data.datamodule import DataConfig
from postergenre.data.synthetic import draw_poster
from postergenre.evaluation import EvaluateConfig
from postergenre.networks import ModelConfig
from postergenre.preprocess import Preprocess
from postergenre.training import TrainConfig, Trained, TrainerConfig, train

# Small tensors are slower on several threads, and pytest -n brings processes of its own. Scripts under test inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)
# The same examples in every run, and however slow the machine is: what fails here fails everywhere.
profiles.register_profile("postergenre", derandomize=True, max_examples=50, deadline=None, database=None)
profiles.load_profile("postergenre")

ROOT = Path(__file__).parents[1]
COLOURS = ("Red", "Green", "Blue")
"""A channel of the poster is bright where its genre applies."""
NUM_POSTERS = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture(scope="session")
def colour_posters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A poster set in the original schema: ``train.csv`` and ``Images/``."""
    root = tmp_path_factory.mktemp("colours")
    (root / "Images").mkdir()
    random = np.random.default_rng(0)
    with (root / "train.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Id", "Genre", *COLOURS])
        for number in range(NUM_POSTERS):
            marks = [(number % 7 + 1) >> channel & 1 for channel in range(3)]  # 1 … 7: never none
            name = f"c{number:03}"
            table.writerow([name, str([c for c, mark in zip(COLOURS, marks, strict=True) if mark]), *marks])
            pixels = random.integers(0, 60, (36, 24, 3)) + 190 * np.array(marks)
            Image.fromarray(pixels.astype(np.uint8)).save(root / "Images" / f"{name}.jpg", quality=95)
    return root


@pytest.fixture
def colour_config(colour_posters: Path, tmp_path: Path) -> Callable[[], TrainConfig]:
    """Return a maker of small training configs on the colour posters, each with the same settings."""

    def make() -> TrainConfig:
        return small_config(colour_posters, tmp_path / "run")

    return make


@contextmanager
def no_room_for_files_beyond(num_bytes: int) -> Iterator[None]:
    """Let the kernel cut longer writes short and then refuse them, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def small_config(root: Path, output: Path) -> TrainConfig:
    return TrainConfig(
        data=DataConfig(
            root=str(root), batch_size=16, workers=0, min_positives=5, cache=str(root / "cache"), num_demo_posters=60
        ),
        preprocess=Preprocess(height=32, width=24),
        model=ModelConfig(library="tiny", name="tiny", weights="none", hidden=16),
        optim=OptimConfig(lr=3e-3),
        trainer=TrainerConfig(gpus="0", precision="32", max_epochs=6),
        output_dir=str(output),
    )


def evaluate_config(checkpoint: Path, output: Path, /, **settings: Any) -> EvaluateConfig:
    settings = {"checkpoint": str(checkpoint), "report": False} | settings
    return EvaluateConfig(gpus="0", precision="32", num_resamples=100, output_dir=str(output), **settings)


@pytest.fixture(scope="session")
def trained(colour_posters: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A classifier that has learnt the colours, and what its training left."""
    return train(small_config(colour_posters, tmp_path_factory.mktemp("trained")))


def picture_modes(folder: Path) -> dict[str, Path]:
    """Write one poster in every mode that Pillow keeps a picture in, and in the formats posters come in."""
    poster = draw_poster(["Horror", "Romance"], seed=1).picture
    clear = poster.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(poster.size))
    deep = Image.fromarray(np.asarray(poster.convert("L"), dtype=np.uint16) * 257)
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    sideways = Image.Exif()
    sideways[0x0112] = 6
    frames = {"save_all": True, "append_images": [Image.new("RGB", poster.size, "blue")], "duration": 100}
    made: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "RGB": (poster, "jpg", {"quality": 90}),
        "RGB progressive": (poster, "jpg", {"progressive": True}),
        "RGB PNG": (poster, "png", {}),
        "RGB BMP": (poster, "bmp", {}),
        "RGBA": (clear, "png", {}),
        "RGBA TIFF": (clear, "tiff", {}),
        "P": (poster.quantize(64), "png", {}),
        "P transparent": (poster.quantize(64), "gif", {"transparency": 3}),
        "L": (poster.convert("L"), "png", {}),
        "L JPEG": (poster.convert("L"), "jpg", {}),
        "LA": (clear.convert("LA"), "png", {}),
        "1": (poster.convert("1"), "png", {}),
        "CMYK": (poster.convert("CMYK"), "jpg", {}),
        "CMYK TIFF": (poster.convert("CMYK"), "tiff", {}),
        "YCbCr": (poster.convert("YCbCr"), "tiff", {}),
        "16 bit": (deep, "png", {}),
        "16 bit TIFF": (deep, "tiff", {}),
        "32 bit": (Image.fromarray(np.asarray(deep, dtype=np.int32)), "tiff", {}),
        "float": (poster.convert("F"), "tiff", {}),
        "EXIF upside down": (poster.rotate(180), "jpg", {"exif": upside_down}),
        "EXIF sideways": (poster.rotate(90, expand=True), "jpg", {"exif": sideways}),
        "animated GIF": (poster, "gif", frames),
        "animated PNG": (poster, "png", frames),
        "WebP": (poster, "webp", {}),
        "WebP transparent": (clear, "webp", {"lossless": True}),
        "animated WebP": (poster, "webp", frames),
    }
    if features.check("avif"):
        made["AVIF"] = (poster, "avif", {})
    paths = {}
    for mode, (picture, suffix, settings) in made.items():
        paths[mode] = folder / f"{mode}.{suffix}"
        picture.save(paths[mode], **settings)
    return paths


class Server:
    """A web server of a test's own, on this machine; what is not among its pages is not found."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        """What lies at each path."""
        self.answers: dict[str, tuple[int, dict[str, str | None], bytes]] = {}
        """Status, headers (None leaves one out that is given by default) and content, for the same."""
        self.slow: dict[str, float] = {}
        """Seconds before the answer."""
        self.drip: dict[str, float] = {}
        """Seconds before each byte of it."""
        self.held: dict[str, threading.Event] = {}
        """Answered when it is set."""
        self.asked: list[str] = []
        """Paths, in the order they were asked for."""
        self.headers: Mapping[str, str] = {}
        """Of the last request."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.headers = self.headers
                time.sleep(outer.slow.get(self.path, 0))
                if self.path in outer.held:
                    outer.held[self.path].wait(60)
                default = (200, {}, outer.pages[self.path]) if self.path in outer.pages else (404, {}, b"")
                status, headers, content = outer.answers.get(self.path, default)
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):
                    if pause := outer.drip.get(self.path):
                        for byte in content:
                            self.wfile.write(bytes([byte]))
                            time.sleep(pause)
                    else:
                        self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Server":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
