"""Addresses, against a server of our own."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import Server
from postergenre import web
from postergenre.errors import PictureError
from postergenre.web import fetch, is_address


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        yield running


def refused(address: str) -> str:
    with pytest.raises(PictureError) as told:
        fetch(address)
    return str(told.value)


def test_what_lies_at_an_address_is_returned_and_the_server_is_told_who_asks(server: Server) -> None:
    server.pages["/a%20b.jpg?size=1&c=%C3%BC"] = b"content"
    assert fetch(f"{server.address}/a b.jpg?size=1&c=ü#part") == b"content"
    assert server.headers["User-Agent"].startswith("postergenre/")


def test_only_the_text_of_an_http_address_is_one() -> None:
    for address in ("http://a/b.jpg", "HTTPS://a/b.jpg"):
        assert is_address(address)
    for other in ("ftp://a/b.jpg", "file:///a", "a/http://b", "http:/a", b"http://a/b.jpg", "c:\\x.jpg", "http.jpg"):
        assert not is_address(other)


def test_a_redirection_is_followed_but_only_to_http(server: Server) -> None:
    server.pages["/end"] = b"there"
    server.answers["/start"] = (302, {"Location": "/end"}, b"")
    assert fetch(f"{server.address}/start") == b"there"
    for place in ("file:///etc/passwd", "ftp://h/x", "data:image/png;base64,AA"):
        server.answers["/away"] = (302, {"Location": place}, b"")
        assert re.search(
            "Redirection to url '.*' is not allowed|unknown url type: ftp", refused(f"{server.address}/away")
        )
    server.answers["/circle"] = (302, {"Location": "/circle"}, b"")
    assert "the server answers 302" in refused(f"{server.address}/circle")


def test_an_error_of_the_server_is_told_with_its_number(server: Server) -> None:
    assert refused(f"{server.address}/nowhere") == "the server answers 404 Not Found"
    server.answers["/down"] = (503, {}, b"")
    assert refused(f"{server.address}/down") == "the server answers 503 Service Unavailable"


def test_a_page_is_no_picture_but_a_wrong_type_does_not_matter(server: Server) -> None:
    server.answers["/a.webp"] = (200, {"Content-Type": "text/plain"}, b"content")
    assert fetch(f"{server.address}/a.webp") == b"content"
    server.answers["/page"] = (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>")
    assert refused(f"{server.address}/page") == "the server answers with a page, not with a picture"


def test_too_much_is_not_read_whether_announced_or_not(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAX_BYTES", 1000)
    server.pages["/just"] = bytes(1000)
    assert len(fetch(f"{server.address}/just")) == 1000
    server.pages["/large"] = bytes(1001)
    assert refused(f"{server.address}/large") == "has 1,001 bytes: too large to be a poster"
    server.answers["/endless"] = (200, {"Content-Length": None}, bytes(1001))
    assert refused(f"{server.address}/endless") == "has more than 1,000 bytes: too large to be a poster"


def test_what_is_cut_short_is_told(server: Server) -> None:
    server.answers["/half"] = (200, {"Content-Length": "1000"}, bytes(400))
    assert refused(f"{server.address}/half") == "was cut short: 400 of 1,000 bytes came"
    server.answers["/chunks"] = (200, {"Content-Length": None, "Transfer-Encoding": "chunked"}, b"9\r\nabc")
    assert refused(f"{server.address}/chunks").startswith("cannot be downloaded: IncompleteRead")


def test_silence_and_dripping_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SILENCE", 0.1)
    server.slow["/silent"] = 4
    started = time.monotonic()
    assert refused(f"{server.address}/silent") == "no answer within 0.1 s"
    assert time.monotonic() - started < 3
    monkeypatch.setattr(web, "SILENCE", 1)
    monkeypatch.setattr(web, "PATIENCE", 0.2)
    server.drip["/drip"] = 0.05
    server.pages["/drip"] = bytes(1000)
    started = time.monotonic()
    assert "bytes came in 0.2 s" in refused(f"{server.address}/drip")
    assert time.monotonic() - started < 3  # and not the fifty that it would drip


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://", "is no address: it names no server"),
        ("http://[::1/x", "is no address: Invalid IPv6 URL"),
        ("http://h:port/x", "is no address: Port could not be cast to integer value as 'port'"),
        ("http://" + "ü" * 70 + "/x", "is no address: "),
        ("http://a..b/x.jpg", "cannot be "),
        ("http://a b/x.jpg", "cannot be "),
    ],
)
def test_an_impossible_address_is_told(address: str, message: str) -> None:
    assert refused(address).startswith(message)


def test_a_server_that_is_not_there_or_speaks_otherwise_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert refused(f"http://127.0.0.1:{port}/x") == "cannot be reached: Connection refused"

    class Nonsense(BaseHTTPRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"hello\r\n\r\n")

    with ThreadingHTTPServer(("127.0.0.1", 0), Nonsense) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        assert refused(f"http://127.0.0.1:{other.server_port}/x") == "cannot be downloaded: hello"
        other.shutdown()
