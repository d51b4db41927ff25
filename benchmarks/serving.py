"""A server under 32 clients ÷ its network alone; its memory; what it does beyond its bound, and afterwards."""

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import torch

from postergenre.hardware import choose_hardware
from postergenre.inference import Predictor, load
from postergenre.networks import ModelConfig
from postergenre.preprocess import Preprocess
from processes import family, memory
from report import ROOT, alternated, arguments, poster_data, report, spread
from training import classifier

BATCH = 32
QUEUE = 64


@dataclass
class Load:
    """What clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """Of answers with status 200."""
    elapsed: float = 0.0

    def percentile(self, share: float) -> float:
        """Return milliseconds."""
        return 1000 * sorted(self.seconds)[min(int(share * len(self.seconds)), len(self.seconds) - 1)]


@contextmanager
def serving(checkpoint: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """Yield process and address of a server with the defaults."""
    log = folder / "server.log"
    command = [sys.executable, str(ROOT / "scripts" / "serve.py"), f"checkpoint={checkpoint}", "port=0"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, f"queue={QUEUE}"], stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        while not (found := re.search(r"http://(\S+)", log.read_text())):
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        yield process.pid, found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def save_classifier(size: int, folder: Path, *, tiny: bool, posters: str | None) -> tuple[Path, list[Path]]:
    """Return a checkpoint with random weights, which are as fast as any, and posters to send."""
    options = arguments("").parse_args(["--posters", posters] if posters else [])
    model = ModelConfig(library="tiny", weights="none") if tiny else ModelConfig(weights="none")
    data = poster_data(options, Preprocess(height=size, width=size), cache=str(folder))
    made = classifier(data, model)
    checkpoint = {"state_dict": made.state_dict()}
    made.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "random.ckpt")
    return folder / "random.ckpt", data.paths("train")[:200]


def clients(address: str, bodies: Sequence[bytes], *, count: int, seconds: float, pause: float = 0) -> Load:
    """Let clients ask one request after the other, each on its own connection, and return what they saw."""
    seen, lock, begun = Load(), threading.Lock(), time.perf_counter()

    def client(number: int) -> None:
        connection = HTTPConnection(address, timeout=120)
        turn = number
        while time.perf_counter() < begun + seconds:
            body = bodies[turn % len(bodies)]
            turn += count
            start = time.perf_counter()
            try:
                connection.request("POST", "/predict", body, {"Content-Type": "multipart/form-data; boundary=b"})
                answer = connection.getresponse()
                answer.read()
                status = str(answer.status)
            except (OSError, HTTPException) as error:
                connection.close()
                status = type(error).__name__
            with lock:
                seen.statuses[status] += 1
                if status == "200":
                    seen.seconds.append(time.perf_counter() - start)
            if status != "200":
                time.sleep(pause)
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen.elapsed = time.perf_counter() - begun
    return seen


def form(*files: bytes) -> bytes:
    """Return a multipart body."""
    head = b'--b\r\nContent-Disposition: form-data; name="poster"; filename="p.jpg"\r\n\r\n'
    return b"".join(head + file + b"\r\n" for file in files) + b"--b--\r\n"


def network_alone(predictor: Predictor, seconds: float) -> float:
    """Return posters per second of batches that are already there."""
    preprocess = predictor.contract.preprocess
    images = torch.randint(0, 256, (BATCH, 3, preprocess.height, preprocess.width), dtype=torch.uint8)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        predictor.probabilities(images)
        done += BATCH
    return done / (time.perf_counter() - start)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--size", type=int, default=128, help="height and width of the pixels")
    parser.add_argument("--seconds", type=float, default=120, help="of load, in all rounds together")
    parser.add_argument("--clients", type=int, default=32)
    options = parser.parse_args()
    rounds, size = (1, 32) if options.smoke else (options.rounds, options.size)
    seconds = 1.0 if options.smoke else options.seconds / rounds
    hardware = choose_hardware("auto", "auto")
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint, paths = save_classifier(size, Path(scratch), tiny=options.smoke, posters=options.posters)
        files = [path.read_bytes() for path in paths]
        predictor = load(checkpoint)
        predictor.probabilities(torch.zeros(BATCH, 3, size, size, dtype=torch.uint8))
        with serving(checkpoint, Path(scratch)) as (server, address):
            total, kept, bodies = Load(), [memory(*family(server))], [form(file) for file in files]

            def served() -> float:
                seen = clients(address, bodies, count=options.clients, seconds=seconds)
                total.statuses.update(seen.statuses)
                total.seconds.extend(seen.seconds)
                kept.append(memory(*family(server)))
                return seen.statuses["200"] / seen.elapsed

            figures = alternated(
                {"network alone": lambda: network_alone(predictor, min(seconds, 12)), "served": served}, rounds
            )
            eight = [form(*files[first : first + 8]) for first in range(0, min(len(files), 64), 8)]
            beyond = clients(address, eight, count=options.clients, seconds=min(seconds, 10), pause=0.1)
            after = clients(address, bodies, count=options.clients, seconds=min(seconds, 5))
            kept.append(memory(*family(server)))
    ratios = [ours / alone for ours, alone in zip(figures["served"], figures["network alone"], strict=True)]
    told = {
        "network alone, posters per second": spread(figures["network alone"]),
        f"served to {options.clients} clients, posters per second": spread(figures["served"]),
        "÷ network alone, round by round": f"{statistics.median(ratios):.3f} ({min(ratios):.3f} … {max(ratios):.3f})",
        "p50, p95, p99 in ms": ", ".join(f"{total.percentile(share):,.0f}" for share in (0.5, 0.95, 0.99)),
        "answers, by status": _counted(total),
        "memory of all processes in MB: at first, after each round, at last": ", ".join(f"{mb:,.0f}" for mb in kept),
        f"{options.clients} clients with 8 posters each, more than the bound of {QUEUE}": _counted(beyond),
        "afterwards": _counted(after),
    }
    note = (
        f"{'tiny' if options.smoke else 'VGG19'}, {size} px, {hardware}, {os.cpu_count()} cores, which server and "
        f"clients share; {rounds} rounds of {seconds:g} s of load, each after the network alone (batch {BATCH})."
    )
    report(options, "Serving", ["", "median (min … max)"], [list(row) for row in told.items()], note)


def _counted(seen: Load) -> str:
    return ", ".join(f"{count:,} × {status}" for status, count in sorted(seen.statuses.items()))


if __name__ == "__main__":
    main()
