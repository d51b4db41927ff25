"""Processes that train together: which one this is, how they meet, and what they agree on."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import distributed

from postergenre.errors import ConfigError
from postergenre.hardware import Hardware
from postergenre.training.config import TrainerConfig

T = TypeVar("T")
HOST = "127.0.0.1"
STEP_LIMIT = timedelta(minutes=30)
"""A step or a checkpoint in which a process waits longer than this for the others has failed."""
PREPARATION_LIMIT = timedelta(days=7)
"""The same while one process decodes posters or computes features: as long as they are many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """The place of this process among those that train together; by default it is alone."""

    rank: int = 0
    """Among all, from 0."""
    num_ranks: int = 1
    """All of them."""
    local_rank: int = 0
    """Among those on this machine, from 0."""
    num_local: int = 1
    """Those on this machine; as many on each."""
    environment: ClusterEnvironment | None = None
    """What started them, in Lightning's words."""
    group: distributed.ProcessGroup | None = None
    """In which they wait for one another during preparation, and agree."""
    port: int | None = None
    """On this machine, where those meet that this package started; others do as their launcher says."""

    @property
    def num_nodes(self) -> int:
        """How many machines take part."""
        return self.num_ranks // self.num_local

    def __str__(self) -> str:
        return f"{self.num_ranks} processes{f' on {self.num_nodes} machines' if self.num_nodes > 1 else ''}"

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks for all."""
        return self.rank == 0

    def agreed(self, value: T) -> T:
        """Return the first process's ``value``, in every process."""
        if self.group is None:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self.group)
        return values[0]

    @contextmanager
    def one_goes_ahead(self) -> Iterator[None]:
        """On each machine let one process do what is inside; the others follow, and find what it kept."""
        if self.group is not None and self.local_rank:
            distributed.barrier(self.group)
        yield
        if self.group is not None and not self.local_rank:
            distributed.barrier(self.group)


ALONE = Ranks()


def launched() -> Ranks | None:
    """Return the place of this process among those that torchrun or srun started, or None where neither did.

    Raises:
        ConfigError: srun was told too little.
    """
    if TorchElasticEnvironment.detect():
        environment: ClusterEnvironment = TorchElasticEnvironment()
        num_local = int(os.environ["LOCAL_WORLD_SIZE"])
    else:
        with warnings.catch_warnings():  # where there is an srun, Lightning would have everything use it
            warnings.simplefilter("ignore")
            if not SLURMEnvironment.detect() or os.environ["SLURM_NTASKS"] == "1":
                return None
        try:
            environment = SLURMEnvironment()
        except RuntimeError as error:
            raise ConfigError(str(error)) from None
        num_local = environment.world_size() // int(os.environ.get("SLURM_NNODES", "1"))
    return Ranks(
        rank=environment.global_rank(),
        num_ranks=environment.world_size(),
        local_rank=environment.local_rank(),
        num_local=num_local,
        environment=environment,
    )


def spawned(rank: int, num_ranks: int, *, port: int) -> Ranks:
    """Return the place of a process that this package started, all on this machine."""
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0"}  # where Lightning looks
    return Ranks(
        rank=rank,
        num_ranks=num_ranks,
        local_rank=rank,
        num_local=num_ranks,
        environment=LightningEnvironment(),
        port=port,
    )


def num_processes(config: TrainerConfig, hardware: Hardware, ranks: Ranks | None) -> int:
    """Return how many processes the settings want on this machine, in agreement with what is running.

    Raises:
        ConfigError: Settings, launcher and machine say different things.
    """
    gpu = hardware.device.type == "cuda"
    if gpu and config.processes != "auto":
        raise ConfigError(
            f"trainer.processes={config.processes} counts processes on the CPU, and a GPU has one each: write "
            "trainer.gpus=N alone, or trainer.gpus=0 with it"
        )
    setting, value = ("gpus", config.gpus) if gpu else ("processes", config.processes)
    wanted = None if value == "auto" else int(value)
    if ranks is None:
        if config.num_nodes > 1:
            raise ConfigError(
                f"trainer.num_nodes={config.num_nodes} needs a process on every machine: start it there with torchrun "
                f"(--nnodes {config.num_nodes}) or srun"
            )
        number = wanted or 1
    else:
        number = ranks.num_local
        if wanted not in (None, number):
            raise ConfigError(
                f"trainer.{setting}={wanted}, but {number} process(es) were started on this machine: write "
                f"trainer.{setting}={number} or auto"
            )
        if config.num_nodes != ranks.num_nodes:
            raise ConfigError(
                f"trainer.num_nodes={config.num_nodes}, but processes were started on {ranks.num_nodes} machine(s): "
                f"write trainer.num_nodes={ranks.num_nodes}"
            )
        if gpu and number > (found := torch.cuda.device_count()):
            raise ConfigError(f"{number} processes were started on this machine, which has {found} GPU(s)")
    if config.strategy == "fsdp" and number * config.num_nodes == 1:
        raise ConfigError("trainer.strategy=fsdp divides the weights among processes, and there is one: write ddp")
    if config.strategy == "fsdp" and hardware.precision == "16":
        raise ConfigError("trainer.strategy=fsdp computes in bf16 or 32 bits: write trainer.precision=32")
    return number


@contextmanager
def joined(ranks: Ranks, hardware: Hardware) -> Iterator[tuple[Ranks, Hardware]]:
    """Meet the others, and part at the end; a process that fails leaves at once, and whatever started it ends them all.

    Args:
        ranks: Which process this is.
        hardware: What to compute on: each process gets a GPU of its own.
    """
    assert ranks.environment is not None
    gpu = hardware.device.type == "cuda"
    if gpu:
        hardware = Hardware(device=torch.device("cuda", ranks.local_rank), precision=hardware.precision)
        torch.cuda.set_device(hardware.device)
    store = None
    if ranks.port is not None:
        store = distributed.TCPStore(HOST, ranks.port, is_master=False)  # type: ignore[attr-defined]
    else:
        os.environ["MASTER_ADDR"] = ranks.environment.main_address
        os.environ["MASTER_PORT"] = str(ranks.environment.main_port)
    distributed.init_process_group(
        "nccl" if gpu else "gloo",
        rank=ranks.rank,
        world_size=ranks.num_ranks,
        store=store,
        timeout=STEP_LIMIT,
        device_id=hardware.device if gpu else None,
    )
    group = distributed.new_group(backend="gloo", timeout=PREPARATION_LIMIT)
    assert isinstance(group, distributed.ProcessGroup)
    yield replace(ranks, group=group), hardware
    distributed.destroy_process_group()
