"""Ray, the only room that knows it: started on this machine or joined, kept quiet, and ended."""

import json
import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from postergenre.errors import ConfigError, ProcessError

OBJECT_STORE = 100 << 20
"""Bytes of shared memory; what travels is where the posters are, not the posters. Ray takes no less than 75 MB."""
BLOCK = 64 << 10
"""Bytes of an outcome that Ray Data reckons with: by its own guess the object store would hold one alone."""
STARTS = 3
"""How often Ray is started: it gives itself 30 seconds, which a busy machine exceeds."""
PATIENCE = 5.0
"""Seconds in which the address of a cluster must answer."""
LONGEST_FOLDER = 40
"""Letters of a temporary folder below which Ray's sockets have names that the kernel takes (107)."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns that it will hide GPUs from who asks for none
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else a process that dies is told in a thousand letters
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """Processes that answer, and what each has."""

    actors: int
    cores: int
    """Of each."""
    gpus: int
    """Of each: 1 or 0."""

    def __str__(self) -> str:
        kind = f"a GPU and {self.cores} of the cores" if self.gpus else "a core"
        return f"{self.actors:,} process{'es' if self.actors > 1 else ''}, {'each ' * (self.actors > 1)}on {kind}"


def find_ray(address: str | None) -> str:
    """Return the address of the cluster to join, or ``local``.

    Raises:
        ConfigError: Ray is not installed, or nothing answers there.
    """
    if find_spec("ray") is None:
        raise ConfigError("engine=ray needs Ray Data: pip install postergenre[scale]")
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address in ("local", "auto"):
        return address
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"ray_address takes host:port or auto, not {address}")
    try:  # Ray itself would try for minutes, and then abort
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"no Ray cluster answers at {address}: {error}; is it running, and reachable?") from None
    return address


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Be connected to Ray, as ``find_ray`` tells; what was started here is ended. Who is connected stays so.

    Raises:
        ProcessError: Ray does not start here, or the cluster does not take us, such as for its version.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    folder = _short_folder() if address == "local" else None
    own: dict[str, Any] = (
        {"include_dashboard": False, "object_store_memory": OBJECT_STORE, "_temp_dir": folder} if folder else {}
    )
    try:
        for start in range(1, STARTS + 1):
            try:
                with _hushed():
                    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
                break
            except Exception as error:  # Ray raises that very class, too
                ray.shutdown()
                if folder and start < STARTS:
                    continue
                place = "start on this machine" if folder else f"connect to {address}"
                asks = "AuthenticationError" in str(error.__cause__)
                hint = "; it asks for a token: see RAY_AUTH_MODE in Ray's documentation" if asks else ""
                raise ProcessError(f"Ray does not {place}: {_first_line(error)}{hint}") from None
        yield
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def find_fleet(gpus: str) -> Fleet:
    """Return a process for each GPU of the cluster, else for each core.

    On two idle cores, a process a core answered small posters 1.1 to 1.5 times as fast as one process with both.

    Args:
        gpus: ``auto`` (all there are), ``0`` (the CPUs) or how many.

    Raises:
        ConfigError: It is none of these, or the cluster has fewer.
    """
    import ray

    if gpus != "auto" and not gpus.isdecimal():
        raise ConfigError(f"gpus takes auto, 0 or a number of GPUs, not {gpus!r}")
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    found = int(sum(machine.get("GPU", 0) for machine in machines))
    wanted = found if gpus == "auto" else int(gpus)
    if wanted > found:
        raise ConfigError(f"gpus={gpus}, but the Ray cluster has {found or 'none'}; write gpus=auto")
    if not wanted:
        return Fleet(actors=max(int(sum(machine.get("CPU", 0) for machine in machines)), 1), cores=1, gpus=0)
    with_gpus = [machine for machine in machines if machine.get("GPU", 0) >= 1]
    cores = min(int(machine.get("CPU", 1) // machine["GPU"]) for machine in with_gpus)
    return Fleet(actors=wanted, cores=max(cores, 1), gpus=1)


def spread(tasks: Sequence[dict[str, Any]], worker: type, told: object, fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each task, in the order in which they are done.

    A process that dies is started again, and its tasks are tried again, however often it dies.

    Args:
        tasks: Plain data, as JSON has it.
        worker: A class whose objects take a column ``task`` of JSON, and yield a column ``outcome`` of JSON.
        told: What each is made with.
        fleet: Where they live.

    Raises:
        ProcessError: No process can be started, or the cluster is gone.
    """
    import ray
    from ray import data

    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    context = data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.log_internal_stack_trace_to_stdout = False
    context.target_max_block_size = BLOCK
    rows = data.from_items([{"task": json.dumps(task)} for task in tasks], override_num_blocks=len(tasks))
    outcomes = rows.map_batches(
        worker,
        batch_size=None,
        compute=data.ActorPoolStrategy(size=min(fleet.actors, len(tasks))),
        fn_constructor_args=(told,),
        num_cpus=fleet.cores,
        num_gpus=fleet.gpus,
    )
    try:
        for row in outcomes.iter_rows():
            yield json.loads(row["outcome"])
    except ray.exceptions.RayTaskError:
        raise  # a bug of ours, with its traceback
    except ray.exceptions.RayError as error:
        raise ProcessError(
            f"Ray gave up: {_first_line(error)}; what is written stays, and the same command goes on from there"
        ) from None


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep from the terminal what Ray's own library says, past Python: that it is told to say nothing."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _short_folder() -> str:
    """Return a new temporary folder in which Ray's sockets have names that the kernel takes.

    Raises:
        ProcessError: There is none that can be written to.
    """
    tried = [place for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", str(Path.home()))]  # noqa: S108
    for place in tried:
        if len(place) <= LONGEST_FOLDER - len("/pg-xxxxxxxx") and os.access(place, os.W_OK):
            return tempfile.mkdtemp(prefix="pg-", dir=place)
    raise ProcessError(f"Ray needs a writable temporary folder with a short name; none of these is: {', '.join(tried)}")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
