"""Several processes on this machine that train together: started, watched, and ended as one."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

import torch
from torch import distributed

from postergenre.errors import PosterGenreError, ProcessError, StoppedError
from postergenre.stopping import status, terminable
from postergenre.training.ranks import HOST, Ranks, spawned

C = TypeVar("C")
R = TypeVar("R")
AFTERMATH = 1.0
"""Seconds in which processes that failed together are found, so that the one that began is named."""
PATIENCE = 5.0
"""Seconds that a process is given to end when told to."""


@dataclass(kw_only=True, slots=True)
class _Failure:
    """What a process says before it ends."""

    moment: float
    told: str
    """Its traceback; empty for a user's mistake."""
    mistake: PosterGenreError | None = None


def together(function: Callable[[C, Ranks], R], config: C, *, num_ranks: int) -> R:
    """Return what the first of ``num_ranks`` processes returns, each of which calls ``function(config, ranks)``.

    Unlike Lightning's launcher, which runs the script again, this gives every process the config that was composed
    once; it works in a sweep, in a notebook and in a test, and when a process dies, it says so.

    Args:
        function: Found by name in the new processes.
        config: Pickled.
        num_ranks: How many processes.

    Raises:
        ProcessError: A process died.
        PosterGenreError: A process found a user's mistake.
        StoppedError: Ctrl-C or SIGTERM.
    """
    store = distributed.TCPStore(HOST, 0, wait_for_workers=False, is_master=True)  # type: ignore[attr-defined]
    context = multiprocessing.get_context("spawn")
    processes: list[SpawnProcess] = []
    reports: list[Connection] = []
    for rank in range(num_ranks):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(function, config, rank, num_ranks, store.port, theirs))
        process.start()
        theirs.close()
        processes.append(process)
        reports.append(ours)
    told: dict[int, Any] = {}
    try:
        try:
            results = _watch(processes, reports, told)
        except KeyboardInterrupt as stop:
            for process in processes:  # which together keep a checkpoint, and say so
                process.terminate()
            try:
                results = _watch(processes, reports, told)
            except StoppedError as error:
                raise StoppedError(str(error), status=status(stop)) from None
    finally:
        _end(processes)
    result: R = results[0]
    return result


def _run(
    function: Callable[[Any, Ranks], Any], config: Any, rank: int, num_ranks: int, port: int, report: Connection
) -> None:
    """Be one of the processes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // num_ranks))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the first process says when to stop
    try:
        with terminable():
            result = function(config, spawned(rank, num_ranks, port=port))
    except KeyboardInterrupt:
        mistake = StoppedError("stopped before it was done; the same command begins again")
        report.send(_Failure(moment=time.time(), told="", mistake=mistake))
        sys.exit(1)
    except PosterGenreError as error:
        report.send(_Failure(moment=time.time(), told="", mistake=error))
        sys.exit(1)
    except BaseException:  # an interrupt, too: whatever it is, it ends the others
        report.send(_Failure(moment=time.time(), told=traceback.format_exc()))
        sys.exit(1)
    report.send(result if rank == 0 else None)


def _end_with_parent() -> None:
    """A process whose parent is gone has nobody to tell."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _watch(processes: Sequence[SpawnProcess], reports: Sequence[Connection], told: dict[int, Any]) -> list[Any]:
    """Return what each process reports, or raise what the first to fail says; ``told`` is what was reported before."""
    failed: set[int] = set()
    running = set(range(len(processes)))
    until = None
    while running and (until is None or time.monotonic() < until):
        pending = [reports[rank] for rank in running if rank not in told]
        wait(
            [*pending, *(processes[rank].sentinel for rank in running)],
            timeout=None if until is None else max(0.0, until - time.monotonic()),
        )
        for rank in sorted(running):
            ended = not processes[rank].is_alive()  # asked first: what an ended one had to say is then there to read
            if rank not in told and reports[rank].poll():
                try:
                    told[rank] = reports[rank].recv()
                except EOFError:  # it died without a word
                    told[rank] = None
            if ended:
                running.remove(rank)
                if processes[rank].exitcode:
                    failed.add(rank)
                    until = until or time.monotonic() + AFTERMATH
    if failed:
        raise _explained(failed, told, processes)
    return [told[rank] for rank in range(len(processes))]


def _explained(failed: set[int], told: dict[int, Any], processes: Sequence[SpawnProcess]) -> Exception:
    """Return what happened first: a process that was killed, else the earliest that reports a failure."""
    silent = {rank for rank in failed if not isinstance(told.get(rank), _Failure)}
    rank = min(silent) if silent else min(failed, key=lambda rank: told[rank].moment)
    who = f"process {rank + 1} of {len(processes)}"
    if rank in silent:
        code = processes[rank].exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return ProcessError(
            f"{who} {how}, and with it the run; the checkpoints of earlier epochs are unharmed (resume=…/last.ckpt)"
        )
    failure: _Failure = told[rank]
    return failure.mistake or RuntimeError(f"{who} failed:\n\n{failure.told}")


def _end(processes: Sequence[SpawnProcess]) -> None:
    """Leave none running. Those that wait for a dead one in a collective do not hear a polite word."""
    for process in processes:
        if process.is_alive():
            process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
