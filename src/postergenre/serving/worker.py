"""The process that computes: pixels in, probabilities and heat maps out."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from litserve import LitAPI
from litserve.loops.simple_loops import BatchedLoop
from litserve.transport.base import MessageTransport
from litserve.utils import LitAPIStatus, LoopResponseType

from postergenre.errors import PosterGenreError
from postergenre.hardware import choose_hardware
from postergenre.inference import Predictor
from postergenre.inference.members import NetworkMember
from postergenre.saliency import heat_maps

LOG = logging.getLogger(__name__)
NAP = 0.05
"""Seconds an idle worker sleeps in the queue. A poster given to a worker that was killed there is lost for as long."""


@dataclass(kw_only=True, slots=True)
class Work:
    """What is asked about one poster."""

    images: list[npt.NDArray[np.uint8]]
    """``(3,H,W)`` by each of the predictor's preprocesses."""
    genre: int | None = None
    """Which output to explain; None asks for the probabilities."""


@dataclass(kw_only=True, slots=True)
class Done:
    """The answer."""

    probabilities: list[float] = field(default_factory=list)
    """``(G,)``, calibrated."""
    heats: list[tuple[int, npt.NDArray[np.float32]]] = field(default_factory=list)
    """Where the genre is seen by each network: which of the preprocesses it sees through, and ``(H,W)`` in 0 … 1."""
    error: str = ""
    """Why there is no heat, as a sentence."""
    batch: int = 0
    """How many posters were computed together; told by the first of them alone."""


class PosterAPI(LitAPI):  # type: ignore[misc]
    """What LitServe runs in each worker."""

    def __init__(
        self, *, checkpoints: Sequence[Path], gpus: str, precision: str, tta: str, threads: int,
        batch_size: int, batch_timeout: float,
    ) -> None:  # fmt: skip
        super().__init__(max_batch_size=batch_size, batch_timeout=batch_timeout, loop=PatientLoop())
        self.checkpoints = list(checkpoints)
        self.gpus, self.precision, self.tta, self.threads = gpus, precision, tta, threads
        self.queue_process = 0
        """The process that holds LitServe's queues."""

    def setup(self, device: str) -> None:
        """Load the network and let it compute once, so that the first poster does not wait for what is done once."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the server says when to stop
        threading.Thread(target=self._end_with_the_server, daemon=True).start()
        torch.set_num_threads(self.threads)
        try:
            hardware = choose_hardware(self.gpus, self.precision)
            self.predictor = Predictor.load(self.checkpoints, hardware, tta=self.tta)
        except PosterGenreError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            raise SystemExit(1) from None
        for count in (1, self.max_batch_size):
            sizes = [(preprocess.height, preprocess.width) for preprocess in self.predictor.preprocesses]
            self.predictor.probabilities(*(torch.zeros(count, 3, *size, dtype=torch.uint8) for size in sizes))

    def batch(self, inputs: list[Work]) -> list[Work]:
        """Return the posters as they came: they ask for different things."""
        return inputs

    def predict(self, x: list[Work], **kwargs: Any) -> list[Done]:
        """Return the answer to each."""
        asked = [work for work in x if work.genre is None]
        answers: list[Done] = []
        if asked:
            stacks = zip(*(work.images for work in asked), strict=True)
            rows = self.predictor.probabilities(*(torch.from_numpy(np.stack(stack)) for stack in stacks))
            answers = [Done(probabilities=row) for row in rows.tolist()]
            answers[0].batch = len(answers)
        told = iter(answers)
        return [next(told) if work.genre is None else self._explained(work, work.genre) for work in x]

    def _explained(self, work: Work, genre: int) -> Done:
        heats = []
        try:
            for member in self.predictor.members:
                assert isinstance(member, NetworkMember), "an exported graph was asked to explain itself"
                number = self.predictor.preprocesses.index(member.contract.preprocess)
                (heat,) = heat_maps(member.network, torch.from_numpy(work.images[number]), [genre])
                heats.append((number, heat.numpy()))
        except PosterGenreError as error:  # a network that does not tell where its features come from
            return Done(error=str(error))
        except Exception:  # no concern of the posters it shares the batch with
            LOG.exception("no heat map")
            return Done()
        return Done(heats=heats)

    def _end_with_the_server(self) -> None:
        """Leave nothing behind where the server was killed: neither this process nor the one with the queues."""
        server = multiprocessing.parent_process()
        assert server is not None
        wait([server.sentinel])
        if self.queue_process:
            os.kill(self.queue_process, signal.SIGKILL)
        os._exit(1)


class PatientLoop(BatchedLoop):  # type: ignore[misc]
    """LitServe's batches, begun asleep: its own loop asks for posters a thousand times a second, day and night."""

    def get_batch_requests(
        self, lit_api: LitAPI, request_queue: "Queue[Any]", transport: MessageTransport
    ) -> tuple[list[tuple[int, str, Work]], list[tuple[int, str]]]:
        """Return a batch, and the requests whose time was up before their turn came."""
        batch: list[tuple[int, str, Work]] = []
        late: list[tuple[int, str]] = []
        until = time.monotonic() + NAP
        while len(batch) < lit_api.max_batch_size:
            try:
                consumer, uid, asked, work = request_queue.get(timeout=max(until - time.monotonic(), 0))
            except Empty:
                break
            if time.monotonic() - asked > lit_api.request_timeout:
                late.append((consumer, uid))
                continue
            self.put_response(transport, consumer, uid, (), LitAPIStatus.START, LoopResponseType.REGULAR)
            if not batch:
                until = time.monotonic() + lit_api.batch_timeout
            batch.append((consumer, uid, work))
        return batch, late
