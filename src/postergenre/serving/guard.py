"""What every request passes: the token, the size of its body, its time; what every answer carries and counts."""

import asyncio
import hmac
import time
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postergenre.serving.config import ServeConfig
from postergenre.serving.metrics import Metrics
from postergenre.serving.refusal import CLOSE, Refusal, too_large

SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The page loads nothing from elsewhere, and is shown in no other page."""
NOWHERE = "there is nothing at this path; /docs lists what there is"


def refused(refusal: Refusal) -> JSONResponse:
    """Return a refusal as an answer."""
    return JSONResponse({"error": str(refusal)}, refusal.status, headers=refusal.headers)


class Guard:
    """ASGI middleware around the application."""

    def __init__(
        self, app: ASGIApp, *, config: ServeConfig, metrics: Metrics, paths: Iterable[str], closed: Iterable[str]
    ) -> None:
        """Stand in front of an application.

        Args:
            app: What is guarded.
            config: Token and limits.
            metrics: Where requests are counted.
            paths: The application's own; all others are counted as one.
            closed: Those that ask for the token, where there is one.
        """
        self.app, self.config, self.metrics = app, config, metrics
        self.paths, self.closed = frozenset(paths), frozenset(closed)
        self.expected = f"Bearer {config.token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        since, path, status = time.perf_counter(), scope["path"], 500

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers[name] = value
            await send(message)

        try:
            headers = Headers(scope=scope)
            if "content-length" in headers and "transfer-encoding" in headers:
                raise Refusal(400, "a request tells its length or comes in chunks, not both", headers=CLOSE)
            if not path.isprintable():
                raise Refusal(404, NOWHERE)
            self._check_token(path, headers)
            await self.app(scope, self._measured(headers, receive, since), marked)
        except Refusal as refusal:
            await refused(refusal)(scope, receive, marked)
        finally:
            self.metrics.answered(path if path in self.paths else "other", status, time.perf_counter() - since)

    def _check_token(self, path: str, headers: Headers) -> None:
        if not self.config.token or path not in self.closed:
            return
        if not hmac.compare_digest(headers.get("authorization", "").encode(), self.expected):
            raise Refusal(
                401, "this server asks for a token: send it as Authorization: Bearer …",
                headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip

    def _measured(self, headers: Headers, receive: Receive, since: float) -> Receive:
        """Return ``receive`` with a bound on bytes and on time."""
        told = headers.get("content-length", "0")
        if told.isdecimal() and (len(told) > 18 or int(told) > self.config.max_body):
            raise too_large(self.config.max_body_mb)
        size, complete = 0, False

        async def bounded() -> Message:
            nonlocal size, complete
            if complete:  # from here on it waits for the client to leave
                return await receive()
            try:
                async with asyncio.timeout(since + self.config.timeout - time.perf_counter()):
                    message = await receive()
            except TimeoutError:
                sentence = f"the request did not arrive within {self.config.timeout:g} seconds"
                raise Refusal(408, sentence, headers=CLOSE) from None
            size += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if size > self.config.max_body:
                raise too_large(self.config.max_body_mb)
            return message

        return bounded
