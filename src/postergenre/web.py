"""What lies at an http(s) address: posters, and what tells of them."""

import base64
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse, InvalidURL
from importlib.metadata import version
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from postergenre.errors import PictureError

MAX_BYTES = 32_000_000
"""Of one download; a poster of 20 megapixels has a quarter of it."""
SILENCE = 10.0
"""Seconds for which a server may say nothing."""
PATIENCE = 60.0
"""Seconds after which a download is given up, however steadily it drips."""
CHUNK = 1 << 16
SCHEMES = ("http", "https")
AGENT = f"postergenre/{version('postergenre')}"
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s'\"]*@")
_PARAMETER = re.compile(
    r"([?&;][^=&;#\s'\"]*?(?<![A-Za-z])(?:api_?key|key|(?:[a-z]+_)?token|auth|authorization|secret|pass|password|passwd|pwd"
    r"|sig|signature|credential|session_?id)=)[^&;#\s'\"]+",
    re.IGNORECASE,
)
HIDDEN = "***"
"""What stands in a secret's place."""


def without_secrets(text: str) -> str:
    """Return a text as it may be kept: of addresses in it, users, passwords and what a query calls a key are hidden.

    >>> without_secrets("http://me:secret@host/a.jpg?id=7&api_key=secret")
    'http://***@host/a.jpg?id=7&api_key=***'
    """
    if "://" not in text:
        return text
    return _PARAMETER.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def command_line(*before: str) -> str:
    """Return the command that was given, as it may be kept.

    Args:
        before: What stands before the script.
    """
    return without_secrets(shlex.join([*before, *sys.argv]))


def scheme(poster: str) -> str | None:
    """Return the scheme of an address, in small letters; None for a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", poster)
    return found[1].lower() if found else None


def is_address(poster: object) -> bool:
    """Return whether it is the text of an http(s) address."""
    return isinstance(poster, str) and scheme(poster) in SCHEMES


class DownloadError(PictureError):
    """What lies at an address cannot be had."""

    def __init__(self, told: str, *, passing: bool = False, code: int | None = None, wait: float | None = None) -> None:
        """Say what happened.

        Args:
            told: The sentence.
            passing: Whether asking again may help.
            code: The number of the server's answer, if there was one.
            wait: Seconds after which the server asks to be asked again.
        """
        super().__init__(told)
        self.passing = passing
        self.code = code
        self.wait = wait


def fetch(address: str, *, headers: Mapping[str, str] | None = None, what: str = "a picture") -> bytes:
    """Return what lies at an http(s) address.

    Redirections are followed to http(s) only; proxies are those of the environment.

    Args:
        address: Where it lies.
        headers: Sent along; see ``opened``.
        what: What it should be, for the message where it is a page.

    Raises:
        DownloadError: There is no answer in time, or it is an error, too large, cut short, or a page.
    """
    started = time.monotonic()
    with opened(address, headers=headers) as response:
        return _content(response, started, what)


@contextmanager
def opened(address: str, *, headers: Mapping[str, str] | None = None) -> Iterator[HTTPResponse]:
    """Let an answer be read, and tell in a sentence what goes wrong, also while it is read.

    Args:
        address: Where it lies.
        headers: Sent along; ``Authorization`` does not follow a redirection.

    Raises:
        DownloadError: There is no answer in time, it is an error, or the connection breaks.
    """
    place, user = _encoded(address)
    request = Request(place)  # noqa: S310  # the opener knows http and https only
    for name, value in {"User-Agent": AGENT, "Accept": "image/*,*/*", **user, **(headers or {})}.items():
        add = request.add_unredirected_header if name == "Authorization" else request.add_header
        add(name, value)
    try:
        with _OPENER.open(request, timeout=SILENCE) as response:
            yield response
    except HTTPError as error:
        error.close()
        told = f"the server answers {error.code} {error.reason}"
        passing = error.code >= 500 or error.code in (408, 425, 429)
        raise DownloadError(told, passing=passing, code=error.code, wait=_wait(error.headers)) from None
    except TimeoutError:
        raise DownloadError(f"no answer within {SILENCE:g} s", passing=True) from None
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise DownloadError(f"no answer within {SILENCE:g} s", passing=True) from None
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise DownloadError(f"cannot be reached: {reason}", passing=isinstance(error.reason, OSError)) from None
    except (HTTPException, OSError) as error:  # a broken answer, a lost connection
        passing = not isinstance(error, InvalidURL)
        told = str(error).strip() or type(error).__name__
        raise DownloadError(f"cannot be downloaded: {told}", passing=passing) from None
    except ValueError as error:  # an impossible address
        raise DownloadError(f"cannot be downloaded: {error}") from None


def _content(response: HTTPResponse, started: float, what: str) -> bytes:
    if response.headers.get_content_type() == "text/html":  # other types are often wrong
        raise DownloadError(f"the server answers with a page, not with {what}")
    announced = response.length
    if announced is not None and announced > MAX_BYTES:
        raise DownloadError(f"has {announced:,} bytes: too large to be a poster")
    data = bytearray()
    while chunk := response.read1(CHUNK):
        data += chunk
        if len(data) > MAX_BYTES:
            raise DownloadError(f"has more than {MAX_BYTES:,} bytes: too large to be a poster")
        if time.monotonic() - started > PATIENCE:
            raise DownloadError(f"only {len(data):,} bytes came in {PATIENCE:g} s", passing=True)
    if announced is not None and len(data) < announced:
        raise DownloadError(f"was cut short: {len(data):,} of {announced:,} bytes came", passing=True)
    return bytes(data)


def _wait(headers: Message) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, as a number or as a date."""
    text = str(headers.get("Retry-After", "")).strip()
    if text.isdecimal():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):  # none, or no date; one without a time zone cannot be compared
        return None


def _encoded(address: str) -> tuple[str, dict[str, str]]:
    """Return the address with blanks and foreign letters of its path and query as servers expect them.

    A user and password in it become a header, as browsers have it; a redirection is not told them.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  # raises where it is no number
        user, _, netloc = parts.netloc.rpartition("@")
        host = netloc.encode("idna").decode() if not netloc.isascii() else netloc
    except ValueError as error:
        raise DownloadError("is no address" if "@" in address else f"is no address: {error}") from None
    if not parts.hostname:
        raise DownloadError("is no address: it names no server")
    kept = "/%:=&?~#+!$,;'@()*[]"
    path, query = quote(parts.path, safe=kept), quote(parts.query, safe=kept)
    place = parts._replace(scheme=parts.scheme.lower(), netloc=host, path=path, query=query, fragment="").geturl()
    if not user:
        return place, {}
    return place, {"Authorization": f"Basic {base64.b64encode(unquote(user).encode()).decode()}"}


def _opener() -> OpenerDirector:
    """Return what opens http and https, and nothing else: no file, no ftp."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(), HTTPHandler(), HTTPSHandler(), HTTPDefaultErrorHandler(), HTTPRedirectHandler(),
        HTTPErrorProcessor(), UnknownHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


_OPENER = _opener()
