"""Coverage-guided fuzzing of what reads strangers' files; whatever is no sentence of ours is a finding.

``python tests/fuzz/fuzz.py picture|csv|checkpoint|request FOLDER -max_total_time=900`` keeps its corpus in the folder.
Needs atheris, which is no dependency (``pip install atheris``). What it finds becomes a test of the room it is in.
"""

import asyncio
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["postergenre", "PIL", "python_multipart", "starlette"]):
    import torch
    from PIL import Image
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.types import Message

    from postergenre.classifier.contract import KEY, Contract, load_network, read_checkpoint
    from postergenre.data.manifest import read_manifest
    from postergenre.errors import CheckpointError, ConfigError, DataError, PictureError
    from postergenre.genres import Genres
    from postergenre.networks import ModelConfig, build_network
    from postergenre.preprocess import Preprocess
    from postergenre.serving.refusal import Refusal
    from postergenre.serving.uploads import check_picture, read_upload

SEEDS = [
    ("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("GIF", "P"), ("WEBP", "RGB"),
    ("TIFF", "RGB"), ("BMP", "RGB"), ("PPM", "L"), ("ICO", "RGBA"),
]  # fmt: skip
SCRATCH = Path(tempfile.mkdtemp(prefix="fuzz", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
PREPROCESS = Preprocess(height=24, width=16)
Image.MAX_IMAGE_PIXELS = 1_000_000  # a fuzzer's time is better spent than on decoding large pictures


def picture(data: bytes) -> None:
    """A file of any content is pixels of the right shape, or a sentence."""
    try:
        pixels = PREPROCESS.read(data)
    except PictureError:
        return
    assert pixels.shape == (3, 24, 16)
    assert pixels.dtype is torch.uint8


def table(data: bytes) -> None:
    """A CSV of any content is posters, or a sentence; no poster of it exists."""
    path = SCRATCH / "train.csv"
    path.write_bytes(data)
    try:
        read_manifest(path, images=SCRATCH)
    except DataError:
        return


def checkpoint(data: bytes) -> None:
    """A checkpoint of any content loads, or is refused with a sentence.

    By its first byte the input is the file, the pickle in a whole archive, or the contract in JSON.
    """
    path = SCRATCH / "x.ckpt"
    kind, data = (data[0] % 3, data[1:]) if data else (0, data)
    if kind == 0:
        path.write_bytes(data)
    elif kind == 1:
        with zipfile.ZipFile(io.BytesIO(WHOLE)) as whole, zipfile.ZipFile(path, "w") as made:
            for name in whole.namelist():
                made.writestr(name, data if name.endswith("data.pkl") else whole.read(name))
    else:
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            return
        torch.save({"state_dict": {}, KEY: told}, path)
    try:
        read_checkpoint(path)
        load_network(path)
    except (CheckpointError, ConfigError):
        return


def request(data: bytes) -> None:
    """A body of any content is posters, or a refusal."""
    kind, data = (data[0] % 2, data[1:]) if data else (0, data)
    header = b"multipart/form-data; boundary=b" if kind else b"application/json"
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", header)], "app": None}

    async def receive() -> Message:
        return {"type": "http.request", "body": data, "more_body": False}

    try:
        upload = asyncio.run(read_upload(Request(scope, receive), max_posters=4))
        for poster in upload.posters:
            check_picture(poster, max_pixels=1_000_000)
    except Refusal as refusal:
        status = refusal.status
    except HTTPException as refusal:
        status = refusal.status_code
    else:
        return
    assert 400 <= status < 500


def _whole() -> bytes:
    model = ModelConfig(library="tiny", name="tiny", weights="none", hidden=4)
    network = build_network(model, num_outputs=2, input_size=(24, 16))
    contract = Contract(
        model=model, preprocess=PREPROCESS, genres=Genres(["A", "B"]), headline=["A"], priors=[0.5, 0.5],
        thresholds=[0.5, 0.5], data={"fingerprint": "x"},
    )  # fmt: skip
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    file = io.BytesIO()
    torch.save({"state_dict": state, KEY: contract.to_plain()}, file)
    return file.getvalue()


def _seeds(target: str) -> list[bytes]:
    if target == "csv":
        return [
            b"Id,Genre,A,B\n1,\"['A', 'B']\",1,1\n2,['B'],0,1\n",
            b"image,genres,split\na.jpg,A|B,train\nb.jpg,\"A,B\",val\n",
            b"\xef\xbb\xbfimage,genres\r\n\"a\nb.jpg\",A\r\n",
        ]  # fmt: skip
    if target == "checkpoint":
        with zipfile.ZipFile(io.BytesIO(WHOLE)) as whole:
            (name,) = (name for name in whole.namelist() if name.endswith("data.pkl"))
            told = torch.load(io.BytesIO(WHOLE), weights_only=True)[KEY]
            return [b"\0" + WHOLE, b"\1" + whole.read(name), b"\2" + json.dumps(told).encode()]
    pictures = []
    for format_, mode in SEEDS:
        file = io.BytesIO()
        Image.new(mode, (20, 30), 90 if len(mode) == 1 else 0).save(file, format_)
        pictures.append(file.getvalue())
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (60, 90)).save(file, "JPEG", exif=exif, progressive=True)
    pictures.append(file.getvalue())
    if target == "picture":
        return pictures
    form = (
        b'--b\r\nContent-Disposition: form-data; name="poster"; filename="p.jpg"\r\n\r\n'
        + pictures[0]
        + b"\r\n--b--\r\n"
    )
    return [b"\1" + form, b'\0{"poster": "/9j/"}', b'\0{"posters": ["/9j/", ""], "genre": "A"}']


WHOLE = _whole()
TARGETS: dict[str, Callable[[bytes], None]] = {
    "picture": picture, "csv": table, "checkpoint": checkpoint, "request": request,
}  # fmt: skip

if __name__ == "__main__":
    target, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(_seeds(target)):
        (folder / f"seed{number:02}").write_bytes(seed)
    atheris.Setup([sys.argv[0], str(folder), *sys.argv[3:]], TARGETS[target])
    atheris.Fuzz()
