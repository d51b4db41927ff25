"""Posters that lie at an http(s) address."""

import re
import time
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
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

from postergenre import __version__
from postergenre.errors import PictureError

MAX_BYTES = 32_000_000
"""Of one download; a poster of 20 megapixels has a quarter of it."""
SILENCE = 10.0
"""Seconds for which a server may say nothing."""
PATIENCE = 60.0
"""Seconds after which a download is given up, however steadily it drips."""
CHUNK = 1 << 16
SCHEMES = ("http", "https")


def scheme(poster: str) -> str | None:
    """Return the scheme of an address, in small letters; None for a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", poster)
    return found[1].lower() if found else None


def is_address(poster: object) -> bool:
    """Return whether it is the text of an http(s) address."""
    return isinstance(poster, str) and scheme(poster) in SCHEMES


def fetch(address: str) -> bytes:
    """Return what lies at an http(s) address.

    Redirections are followed to http(s) only; proxies are those of the environment.

    Raises:
        PictureError: There is no answer in time, or it is an error, too large, cut short, or a page.
    """
    headers = {"User-Agent": f"postergenre/{__version__}", "Accept": "image/*,*/*"}
    request = Request(_encoded(address), headers=headers)  # noqa: S310  # the opener knows http and https only
    started = time.monotonic()
    try:
        with _OPENER.open(request, timeout=SILENCE) as response:
            return _content(response, started)
    except HTTPError as error:
        error.close()
        raise PictureError(f"the server answers {error.code} {error.reason}") from None
    except TimeoutError:
        raise PictureError(f"no answer within {SILENCE:g} s") from None
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise PictureError(f"no answer within {SILENCE:g} s") from None
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise PictureError(f"cannot be reached: {reason}") from None
    except (HTTPException, OSError, ValueError) as error:  # a broken answer, a lost connection, an impossible address
        raise PictureError(f"cannot be downloaded: {error or type(error).__name__}") from None


def _content(response: HTTPResponse, started: float) -> bytes:
    if response.headers.get_content_type() == "text/html":  # other types are often wrong
        raise PictureError("the server answers with a page, not with a picture")
    announced = response.length
    if announced is not None and announced > MAX_BYTES:
        raise PictureError(f"has {announced:,} bytes: too large to be a poster")
    data = bytearray()
    while chunk := response.read1(CHUNK):
        data += chunk
        if len(data) > MAX_BYTES:
            raise PictureError(f"has more than {MAX_BYTES:,} bytes: too large to be a poster")
        if time.monotonic() - started > PATIENCE:
            raise PictureError(f"only {len(data):,} bytes came in {PATIENCE:g} s")
    if announced is not None and len(data) < announced:
        raise PictureError(f"was cut short: {len(data):,} of {announced:,} bytes came")
    return bytes(data)


def _encoded(address: str) -> str:
    """Return the address with blanks and foreign letters of its path and query as servers expect them."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  # raises where it is no number
        host = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
    except ValueError as error:
        raise PictureError(f"is no address: {error}") from None
    if not parts.hostname:
        raise PictureError("is no address: it names no server")
    kept = "/%:=&?~#+!$,;'@()*[]"
    path, query = quote(parts.path, safe=kept), quote(parts.query, safe=kept)
    return parts._replace(scheme=parts.scheme.lower(), netloc=host, path=path, query=query, fragment="").geturl()


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
