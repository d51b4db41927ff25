"""From a config to a server that stops when it is told to."""

import logging
import os
import resource
import signal
import socket
from functools import partial
from types import FrameType
from typing import NoReturn

import torch
import uvicorn
from rich.console import Console

from postergenre.classifier.contract import find_checkpoints
from postergenre.errors import ConfigError
from postergenre.hardware import choose_hardware
from postergenre.serving.app import build_app
from postergenre.serving.config import ServeConfig
from postergenre.serving.engine import Engine
from postergenre.serving.identity import Identity
from postergenre.serving.protocol import KEEP_ALIVE, Connection
from postergenre.serving.worker import PosterAPI

MOST_CONNECTIONS = 1000
"""At a time, where the system lets a process have so many files."""


def serve(config: ServeConfig) -> None:
    """Answer until SIGINT or SIGTERM: then no more is accepted, what was accepted is answered, and nothing is left.

    Raises:
        CheckpointError: A file is missing, broken, unsafe, or was not made by postergenre.
        ConfigError: This machine has no such device, arithmetic or address.
        PosterGenreError: A worker could not start.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # uvicorn takes over while it runs, and calls this when it has finished
    hardware = choose_hardware(config.gpus, config.precision)
    paths = find_checkpoints(config.checkpoint)
    identity = Identity.read(paths)
    api = PosterAPI(
        checkpoints=paths, gpus=config.gpus, precision=config.precision, tta=config.tta,
        threads=config.threads or max(torch.get_num_threads() // config.workers, 1),
        batch_size=config.batch_size, batch_timeout=config.batch_timeout_ms / 1000,
    )  # fmt: skip
    engine = Engine(api, accelerator=hardware.device.type, workers=config.workers, timeout=config.timeout)
    app = build_app(config, identity, engine)
    with _listening(config.host, config.port) as place, engine.started(app):
        torch.set_num_threads(1)  # here posters are decoded, each in a thread of its own
        host, port = place.getsockname()[:2]
        Console().print(
            f"{identity.name} on {hardware}: http://{f'[{host}]' if ':' in host else host}:{port}   (Ctrl-C stops it)",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        settings = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=int(config.timeout) + 1, ws="none",
            http=partial(Connection, patience=config.timeout, most=_most_connections()),  # type: ignore[arg-type]
        )  # fmt: skip
        uvicorn.Server(settings).run(sockets=[place])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        place = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cannot listen on {host}, port {port}: {error}") from None
    os.register_at_fork(after_in_child=place.close)  # or clients would go on to connect to a server that is leaving
    return place


def _most_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files < 0 else min(MOST_CONNECTIONS, files // 2)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
