"""Connections: how many there may be, and how long one may stay without a request or an answer."""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

KEEP_ALIVE = 65
"""Seconds an idle connection stays open after an answer: longer than the proxies that may stand in front."""
_SENTENCE = json.dumps({"error": "the server has too many connections; try again a little later"}).encode()
FULL = b"\r\n".join([
    b"HTTP/1.1 503 Service Unavailable", b"Content-Type: application/json", b"Connection: close", b"Retry-After: 1",
    b"Content-Length: %d" % len(_SENTENCE), b"", _SENTENCE,
])  # fmt: skip


class Connection(H11Protocol):
    """Uvicorn's connection, with an end: its own waits for ever for a first request, and for who reads no answer.

    h11, not httptools, which is faster and takes headers without end.
    """

    def __init__(self, *settings: Any, patience: float, most: int, **more: Any) -> None:
        """Get ready for a client.

        Args:
            settings: Uvicorn's.
            patience: Seconds for a request to arrive, and to be answered, and for the answer to be taken.
            most: Connections at a time.
            more: Uvicorn's.
        """
        super().__init__(*settings, **more)
        self.patience = patience
        self.most = most
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let a client in, or tell that there is no room."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.write(FULL)
            transport.close()
            return
        self._until = self.loop.time() + self.patience
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._until = self.loop.time() + KEEP_ALIVE
        super().on_response_complete()

    def _look(self) -> None:
        """Cut off who has neither sent a request nor taken an answer for too long."""
        under_way = self.cycle is not None and not self.cycle.response_complete
        until = self._until + (2 * self.patience if under_way else 0)
        if self.loop.time() >= until:
            self.transport.abort()  # not `close`, which waits for the client to take what was written
            return
        self._timer = self.loop.call_at(until, self._look)
