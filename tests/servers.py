"""Real servers, as people start them."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from conftest import ROOT

PATIENCE = 120
"""Seconds that a busy machine may take."""


@dataclass
class Server:
    """A server in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def post(self, *posters: bytes, path: str = "/predict", **settings: Any) -> httpx.Response:
        files = [("poster", (f"{number}.png", data)) for number, data in enumerate(posters)]
        return httpx.post(self.url + path, files=files, timeout=PATIENCE, **settings)

    def metric(self, name: str) -> float:
        text = httpx.get(f"{self.url}/metrics", timeout=PATIENCE).text
        (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(value)

    def worker(self) -> int:
        """Return the process that computes."""
        (worker,) = [pid for pid in children(self.process.pid) if b"spawn_main" in _command(pid)]
        return worker


@contextmanager
def served(checkpoint: Path, folder: Path, *settings: str, token: str = "") -> Iterator[Server]:
    """Serve a checkpoint on a free port; the server is stopped at the end, and killed where it does not stop."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    command = [
        sys.executable, str(ROOT / "scripts" / "serve.py"), f"checkpoint={checkpoint}", "port=0", "gpus=0",
        "precision=32", *settings,
    ]  # fmt: skip
    environment = os.environ | ({"POSTERGENRE_TOKEN": token} if token else {})
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_for(lambda: "http://" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        (url,) = re.findall(r"http://\S+", log.read_text())
        yield Server(url=url, process=process, log=log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def wait_for(happened: Callable[[], Any], seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Return all processes below one."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [grandchild for child in found for grandchild in children(child)]


def alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def picture(colour: tuple[int, int, int] = (220, 30, 30), kind: str = "PNG", **settings: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (48, 72), colour).save(file, kind, **settings)
    return file.getvalue()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
