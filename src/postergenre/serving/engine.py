"""The workers as the server sees them: LitServe's queue, batches and replacement, and a second try."""

import asyncio
import os
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing import Process
from multiprocessing.managers import SyncManager
from queue import Empty
from typing import Any

from fastapi import FastAPI
from litserve import LitAPI, LitServer
from litserve.utils import LitAPIStatus, WorkerSetupStatus, wrap_litserve_start

from postergenre.errors import PosterGenreError
from postergenre.serving.refusal import Refusal
from postergenre.serving.worker import NAP, Done, PosterAPI, Work

TRIES = 2
"""How many workers may die of a poster before it is refused."""


@dataclass(kw_only=True, slots=True)
class _Asked:
    work: Work
    since: float
    answer: "asyncio.Future[Done]"
    worker: int | None = None
    """Who has begun with it."""
    tries: int = 1


class Engine(LitServer):  # type: ignore[misc]
    """Processes that compute, on one device. LitServe starts them, feeds them in batches and replaces the dead.

    Its HTTP side is left aside, as it has no bound, no time-out and forgets what a dead worker was computing: this
    class puts posters into its queue, and takes the answers, itself.
    """

    def __init__(self, api: PosterAPI, *, accelerator: str, workers: int, timeout: float) -> None:
        super().__init__(
            api, accelerator=accelerator, devices=1, workers_per_device=workers, timeout=timeout, restart_workers=True
        )
        self.monitor_internal = 0.5  # seconds between its looks at the workers
        self.replaced = 0
        """Workers that died and were started again."""
        self._asked: dict[str, _Asked] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def started(self, app: FastAPI) -> Iterator[None]:
        """Run the workers; ready when the block begins.

        Raises:
            PosterGenreError: A worker could not start.
        """
        self.app = app
        with wrap_litserve_start(self):
            while not self.ready:
                if not all(worker.is_alive() for worker in self.inference_workers) or self._failed:
                    raise PosterGenreError("the server's worker could not start; what it said is above")
                time.sleep(0.05)
            self._start_worker_monitoring(self.manager, {})
            try:
                yield
            finally:  # or it would put new workers in place of those that are stopped next
                self._shutdown_event.set()
                for thread in threading.enumerate():
                    if thread.name == "litserve-monitoring":
                        thread.join()

    @property
    def ready(self) -> bool:
        """Whether every worker lives and has its network."""
        states = self.workers_setup_status.values()
        return all(state == WorkerSetupStatus.READY for state in states) and all(
            worker.is_alive() for worker in self.inference_workers
        )

    @property
    def _failed(self) -> bool:
        return WorkerSetupStatus.ERROR in self.workers_setup_status.values()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Take the workers' answers."""
        self._loop = asyncio.get_running_loop()
        task = self._loop.create_task(self._receive())
        try:
            yield
        finally:
            task.cancel()

    async def compute(self, work: Work) -> Done:
        """Return a worker's answer; a poster whose worker dies goes to another.

        Raises:
            Refusal: Its turn did not come in time, or its workers died.
        """
        assert self._loop is not None
        uid = uuid.uuid4().hex
        asked = self._asked[uid] = _Asked(work=work, since=time.monotonic(), answer=self._loop.create_future())
        try:
            self._put(uid, asked)
            return await asked.answer
        finally:
            del self._asked[uid]

    def launch_single_inference_worker(self, lit_api: LitAPI, worker_id: int) -> Process:
        """Start a worker in place of a dead one. LitServe calls this, in a thread of its own."""
        self.replaced += 1
        time.sleep(2 * NAP)  # what was handed to the dead one is lost by now
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._again, worker_id)
        worker: Process = super().launch_single_inference_worker(lit_api, worker_id)
        return worker

    def _init_manager(self, num_api_servers: int) -> SyncManager:
        manager: SyncManager = super()._init_manager(num_api_servers)
        self.lit_api.queue_process = manager._process.pid  # type: ignore[attr-defined]
        return manager

    @property
    def _queue(self) -> Any:
        return self._get_request_queue(self.lit_api.api_path)

    def _put(self, uid: str, asked: _Asked) -> None:
        asked.worker = None
        self._queue.put((0, uid, asked.since, asked.work))

    def _again(self, dead: int) -> None:
        """Ask again what a dead worker had begun, and what nobody has: some of that may be lost with it."""
        while True:  # what is still there would be computed twice
            try:
                self._queue.get_nowait()
            except Empty:
                break
        for uid, asked in self._asked.items():
            if asked.worker not in (None, dead) or asked.answer.done():
                continue
            if asked.worker == dead:
                asked.tries += 1
            if asked.tries > TRIES:
                asked.answer.set_exception(Refusal(503, "the server failed twice on this poster; it is left out"))
            else:
                self._put(uid, asked)

    async def _receive(self) -> None:
        while True:
            message = await self._transport.areceive(0)
            if message is None:  # nothing for a second
                if not self.manager._process.is_alive():
                    print("error: the process that holds the queues has died", file=sys.stderr, flush=True)
                    os._exit(1)  # nothing can be answered any more, and LitServe cannot even stop; workers follow
                continue
            uid, (data, status, _, worker) = message
            asked = self._asked.get(uid)
            if asked is None or asked.answer.done():  # who asked has left, or has the answer from another
                continue
            if status == LitAPIStatus.START:
                asked.worker = worker
            elif status == LitAPIStatus.OK:
                asked.answer.set_result(data)
            elif getattr(data, "status_code", 500) == 504:
                asked.answer.set_exception(Refusal(504, "the answer did not come in time; try again"))
            else:
                asked.answer.set_exception(RuntimeError("a worker failed; its log says why"))
