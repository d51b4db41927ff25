"""Everything a server can be told."""

import os
from dataclasses import dataclass, field
from typing import Any

from postergenre.errors import ConfigError
from postergenre.views import check_views

TOKEN = "POSTERGENRE_TOKEN"  # noqa: S105
"""The environment variable that holds the token, so that no command line shows it."""


@dataclass(kw_only=True, slots=True)
class ServeConfig:
    """Everything ``scripts/serve.py`` can be told."""

    checkpoint: Any
    """The checkpoint that answers; several (``[A,B]``, or a quoted pattern with ``*``) answer together."""
    host: str = "127.0.0.1"
    """The address to listen on; ``0.0.0.0`` lets other machines in, then a token is wise."""
    port: int = 8000
    """The port to listen on; 0 takes a free one and says which."""
    token: str = field(default="", repr=False)
    """What clients must send as ``Authorization: Bearer …``; the variable ``POSTERGENRE_TOKEN`` is read where it is
    empty, and shows on no command line. Without either, whoever reaches the port is answered."""
    max_body_mb: float = 20.0
    """Largest request, in MB."""
    max_posters: int = 32
    """Most posters in one request."""
    max_pixels: int = 50_000_000
    """Largest poster, width times height."""
    queue: int = 64
    """Posters accepted and not yet answered; whoever brings more is told to come back (503). Fewer where so
    many cannot be answered within the timeout."""
    timeout: float = 30.0
    """Seconds until a request must be answered, its upload included."""
    batch_size: int = 16
    """Posters the network takes at once, at most."""
    batch_timeout_ms: float = 5.0
    """How long a poster waits for others to share its batch."""
    workers: int = 1
    """Processes that compute, each with a copy of the network; on a CPU they share the cores."""
    threads: int = 0
    """Threads of each worker on a CPU; 0 divides the cores among the workers."""
    gpus: str = "auto"
    """``auto`` (a CUDA GPU where there is one), ``0`` (the CPU) or ``1``."""
    precision: str = "auto"
    """``auto``, ``32``, ``bf16`` or ``16``."""
    tta: str = "none"
    """Look at each poster several times: ``none``, ``flip`` (and its mirror image) or ``crops`` (twelve views)."""

    def __post_init__(self) -> None:
        for name in ("max_posters", "max_pixels", "queue", "batch_size", "workers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("max_body_mb", "timeout"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.batch_timeout_ms < 1000 * self.timeout:
            raise ConfigError(f"batch_timeout_ms must lie between 0 and the timeout, not {self.batch_timeout_ms}")
        if self.threads < 0:
            raise ConfigError(f"threads must be 0 (divide the cores) or more, not {self.threads}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port must lie in 0 … 65535, not {self.port}")
        self.token = self.token or os.environ.get(TOKEN, "")
        if self.token and not (self.token.isascii() and self.token.isprintable() and " " not in self.token):
            raise ConfigError("the token must be printable ASCII without spaces: it travels in a header")
        check_views(self.tta)

    @property
    def max_body(self) -> int:
        """Largest request, in bytes."""
        return int(self.max_body_mb * 1e6)
