"""How long, how many machines, how many bytes: tagging 10⁶ … 10⁹ posters, simulated, and checked against real runs.

``--check`` measures this machine (decode, network), predicts the time of real runs from these rates, makes the
runs and prints the ratio. Without it, ``LAYOUTS`` are simulated from the rates below, of which some are assumptions;
docs/scaling.md shows the tables and what follows from them.
"""

import argparse
import heapq
import random
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from postergenre.hardware import choose_hardware
from postergenre.inference import Predictor
from postergenre.inference.members import NetworkMember
from postergenre.networks import ModelConfig
from postergenre.preprocess import Preprocess
from report import arguments, poster_data, report
from scaling import draw
from training import classifier

HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine that takes shards from a common list."""

    name: str
    cores: int
    decode: float
    """Posters a second that one core decodes and resizes."""
    compute: float
    """Posters a second through the network, all devices of the node together; on a CPU, all its cores."""
    shares_cores: bool
    """Whether decoding and the network want the same cores."""
    network: float
    """Bytes a second from the object store."""
    price: float
    """Currency an hour."""
    start: float = 60.0
    """Seconds until a new or restarted worker takes its first shard."""
    mean_life: float = 200 * HOUR
    """Mean seconds between failures; spot machines and a worker's own crashes included."""

    def rates(self, poster_bytes: float) -> dict[str, float]:
        """Return posters a second of each part of the pipeline: the least is the node's own."""
        if self.shares_cores:  # a second of a core is spent once: on decoding or on the network
            both = 1 / (1 / (self.decode * self.cores) + 1 / self.compute)
            return {"cores": both, "network": self.network / poster_bytes}
        return {"decode": self.decode * self.cores, "GPU": self.compute, "network": self.network / poster_bytes}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be tagged."""

    posters: int
    poster_bytes: float = 45_000.0
    """Of a JPEG of about 300 x 442 pixels; an assumption."""
    shard: int = 50_000
    """Posters of a shard: what is read, retried and written at once."""
    answer_bytes: float = 60.0
    """Of a row of the answers, in compressed Parquet; an assumption."""
    overhead: float = 0.1
    """Seconds to open a shard and to close its answers, which nothing overlaps; an assumption."""
    spread: float = 0.05
    """Standard deviation of a shard's time, as a share of it: disks and neighbours."""
    store: float = 12.5e9
    """Bytes a second that the object store gives to all nodes together: 100 Gbit/s."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a simulated run took."""

    seconds: float
    node_hours: float
    failures: int
    wasted: float
    """Share of all node time that a failure made void, that waited for the last shard, or that opened and closed."""
    bottleneck: str


def simulate(job: Job, node: Node, *, nodes: int, seed: int = 0) -> Outcome:
    """Return what ``nodes`` machines need for a job, shard by shard.

    Lives are exponential. A shard whose node fails is done again by whoever is free first; the node comes back after
    ``node.start``.
    """
    chance = random.Random(seed)
    rates = node.rates(job.poster_bytes) | {"store": job.store / job.poster_bytes / nodes}
    bottleneck = min(rates, key=lambda name: rates[name])
    whole, rest = divmod(job.posters, job.shard)
    shards = [(0.0, job.shard)] * whole + [(0.0, rest)] * bool(rest)  # when it can be taken, posters
    free = [(node.start, number) for number in range(nodes)]
    dies = [chance.expovariate(1 / node.mean_life) for _ in range(nodes)]
    last = useful = 0.0
    failures = 0
    while shards:
        there, size = heapq.heappop(shards)
        now, number = heapq.heappop(free)
        begin = max(there, now)
        work = max(chance.gauss(1, job.spread), 0.5) * size / rates[bottleneck]
        end = begin + job.overhead + work
        if dies[number] < end:
            failures += 1
            lost = max(dies[number], begin)  # one that dies idle is missed when it is needed
            heapq.heappush(shards, (lost, size))
            dies[number] = lost + node.start + chance.expovariate(1 / node.mean_life)
            end = lost + node.start
        else:
            useful += work
            last = max(last, end)
        heapq.heappush(free, (end, number))
    return Outcome(
        seconds=last,
        node_hours=nodes * last / HOUR,
        failures=failures,
        wasted=1 - useful / (nodes * last),
        bottleneck=bottleneck,
    )


LAPTOP = Node(name="2 cores", cores=2, decode=1_100, compute=29, shares_cores=True, network=12.5e6, price=0.10)
"""Measured: VGG19 at 128 px, 29 posters a second from files (RESULTS.md). 100 Mbit/s is assumed."""
GPU = Node(name="16 cores, 1 GPU", cores=16, decode=1_150, compute=8_000, shares_cores=False, network=1.25e9, price=3.0)
"""Decoding from 300 to 224 px is measured, on one core. The GPU is an assumption: 39 GFLOP a poster (VGG19, 224 px) at
a third of 989 TFLOP/s. 10 Gbit/s and the price are assumed, too."""
LIGHT = replace(GPU, name="16 cores, 1 GPU, Lite2", compute=60_000)
"""EfficientNet-Lite2 at 336 x 224 px: a tenth of the arithmetic at a worse use of the GPU. Assumed."""
LAYOUTS = (
    (1_000_000, LAPTOP, 1), (1_000_000, GPU, 1), (100_000_000, GPU, 1), (100_000_000, GPU, 8), (100_000_000, LIGHT, 8),
    (1_000_000_000, GPU, 32), (1_000_000_000, LIGHT, 32), (1_000_000_000, LIGHT, 128),
)  # fmt: skip
SHARDS = (1_000, 10_000, 100_000, 1_000_000)
SPOT = replace(LIGHT, mean_life=4 * HOUR)
"""A machine that is taken away every four hours on average."""
TAGS = ["posters", "each machine", "machines", "time", "price", "read", "written", "failures", "wasted", "bound by"]
SIZES = ["posters of a shard", "read at once", "time", "wasted, steady machines", "wasted, machines lost every 4 h"]


def planned() -> list[list[str]]:
    """Return a row for each layout, medians of seeds."""
    rows = []
    for posters, node, nodes in LAYOUTS:
        job = Job(posters=posters, shard=min(50_000, posters // nodes // 20))
        runs = [simulate(job, node, nodes=nodes, seed=seed) for seed in range(5)]
        middle = sorted(runs, key=lambda run: run.seconds)[2]
        rows.append([
            f"{posters:.0e}".replace("e+0", "e"), node.name, str(nodes), f"{middle.seconds / HOUR:,.2f} h",
            f"{middle.node_hours * node.price:,.2f}", f"{posters * job.poster_bytes / 1e12:,.2f} TB",
            f"{posters * job.answer_bytes / 1e9:,.2f} GB", f"{statistics.fmean(run.failures for run in runs):.1f}",
            f"{middle.wasted:.1%}", middle.bottleneck,
        ])  # fmt: skip
    return rows


def sizes() -> list[list[str]]:
    """Return a row for each size of shards of 10⁸ posters on eight machines, on steady ones and on borrowed ones."""
    rows = []
    for shard in SHARDS:
        job = Job(posters=100_000_000, shard=shard)
        steady, spot = (
            sorted((simulate(job, node, nodes=8, seed=seed) for seed in range(5)), key=lambda run: run.wasted)[2]
            for node in (LIGHT, SPOT)
        )
        rows.append([
            f"{shard:,}", f"{shard * job.poster_bytes / 1e6:,.1f} MB", f"{steady.seconds / HOUR:,.2f} h",
            f"{steady.wasted:.1%}", f"{spot.wasted:.1%}",
        ])  # fmt: skip
    return rows


def checked(options: argparse.Namespace, counts: list[int]) -> list[list[str]]:
    """Measure this machine on few posters, foretell runs over many, make them, and return a row for each."""
    hardware = choose_hardware("0", "auto")
    cores = torch.get_num_threads()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "posters"
        draw(root, max(counts))
        files = sorted((root / "Images").iterdir())
        preprocess = Preprocess(height=64, width=48)
        data = poster_data(options, preprocess, cache=scratch)
        made = classifier(data, ModelConfig(library="tiny", weights="none"))
        made.network.eval()
        predictor = Predictor([NetworkMember(made.network, made.contract, hardware)])
        few = files[: min(256, len(files))]
        for _ in range(2):  # the first turn warms up
            start = time.perf_counter()
            with ThreadPoolExecutor() as pool:  # as the predictor does: small pictures wait for the interpreter lock
                images = torch.stack(list(pool.map(lambda path: predictor.pixels(path)[0], few)))
            decode = len(few) / (time.perf_counter() - start) / cores
            start = time.perf_counter()
            for first in range(0, len(few), 32):
                predictor.probabilities(images[first : first + 32])
            compute = len(few) / (time.perf_counter() - start)
        here = Node(
            name="here",
            cores=cores,
            decode=decode,
            compute=compute,
            shares_cores=True,
            network=1e12,
            price=0.0,
            start=0.0,
        )
        size = statistics.fmean(path.stat().st_size for path in few)
        for count in counts:
            foretold = simulate(Job(posters=count, poster_bytes=size, overhead=0.0), here, nodes=1).seconds
            start = time.perf_counter()
            answers = sum(not answer.error for answer in predictor.predict_many(files[:count]))
            took = time.perf_counter() - start
            assert answers == count
            rows.append([f"{count:,}", f"{foretold:.1f} s", f"{took:.1f} s", f"{took / foretold:.2f}"])
    return rows


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--check", action="store_true", help="compare the simulation with real runs on this machine")
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options = parser.parse_args()
    if options.check or options.smoke:
        report(
            options,
            "Capacity: foretold and real runs of the local engine",
            ["posters", "foretold", "took", "took ÷ foretold"],
            checked(options, [200] if options.smoke else options.counts),
            "`tiny` at 64 × 48 px on drawn posters of 48 × 72 pixels; rates measured on 256 of them, then a run each.",
        )
        return
    report(options, "Capacity, simulated", TAGS, planned(), "Medians of five seeds; rates and prices: see the file.")
    report(options, "Sizes of shards, simulated", SIZES, sizes(), "10⁸ posters, Lite2, eight machines; as above.")


if __name__ == "__main__":
    main()
