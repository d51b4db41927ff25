"""A server in the hands of strangers: whatever they send is refused or answered, and the next client is answered too.

Requests are bytes on a socket, as no client library would send them. Each is a case of ``ABUSES``; after each, a good
request is answered, no answer names a file or shows a stack, nothing is read for it and nobody is called.
"""

import base64
import gzip
import io
import json
import os
import re
import resource
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from conftest import COLOURS, ROOT
from postergenre.training import Trained
from servers import PATIENCE, Server, alive, children, picture, served, wait_for

pytestmark = pytest.mark.slow
BOUNDED = 3.0
"""Seconds that the server gives a request."""
BODY_MB = 2.0
GIVEAWAYS = (
    "Traceback",
    'File "',
    "site-packages",
    "dist-packages",
    str(ROOT),
    "/serving/",
    "uvicorn",
    "starlette",
    "0x7",
)
"""What would tell a stranger of the machine."""
MARK = "the-canary-sings-7c1e"
REFUSED = {400, 404, 405, 408, 411, 413, 415, 417, 422, 431, 501, 503, 505}
CRLF = b"\r\n"
POSTER = picture()


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The server, and what it must neither read nor call."""

    server: Server
    canary: Path
    """A file that nobody asks for in earnest."""
    listener: str
    """An address where somebody notes who calls."""
    calls: list[bytes]

    @property
    def place(self) -> tuple[str, int]:
        host, _, port = self.server.url.removeprefix("http://").partition(":")
        return host, int(port)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.place, timeout=PATIENCE)

    def answer(self, request: bytes) -> bytes:
        """Return everything that the server says to some bytes, until it hangs up."""
        with self.connect() as connection:
            with suppress(ConnectionError):  # it may have heard enough before the end
                connection.sendall(request)
            return hangs_up(connection, PATIENCE)

    def check(self, said: bytes, asked: bytes = b"") -> None:
        """See that an answer gives away nothing but what was asked, and that all is well."""
        text = said.decode("latin-1")
        for giveaway in (*GIVEAWAYS, MARK, str(self.server.log.parent), "root:x:0"):
            assert giveaway not in text or giveaway.encode() in asked, text[:2000]
        assert self.calls == []
        good = self.server.post(POSTER)
        assert (good.status_code, good.json()["genres"][0]["name"]) == (200, "Red")


@pytest.fixture(scope="module")
def target(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("abused")
    canary = folder / "canary.png"
    canary.write_bytes(MARK.encode())
    os.utime(canary, (1, 2))  # read later than it was written: the system then notes when it is read
    calls: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_note, args=(listening, calls), daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/a.png"
        settings = (f"max_body_mb={BODY_MB}", "max_pixels=1000000", "max_posters=4", f"timeout={BOUNDED}")
        with served(trained.best, folder, *settings) as server:
            made = Target(server=server, canary=canary, listener=address, calls=calls)
            server.post(POSTER)
            before = memory(server)
            yield made
            assert memory(server) - before < 300 * 2**20
            assert "Traceback" not in server.log.read_text()
    assert canary.stat().st_atime == 1, "the canary was read"


def _note(listening: socket.socket, calls: list[bytes]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            calls.append(connection.recv(100))
            connection.close()


def memory(server: Server) -> int:
    """Return the bytes that the server and its processes hold."""
    total = 0
    for pid in [server.process.pid, *children(server.process.pid)]:
        if alive(pid):
            status = Path(f"/proc/{pid}/status").read_text()
            total += 1024 * int(re.findall(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)[0])
    return total


def statuses(said: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"HTTP/1\.1 (\d{3}) ", said)]


# --- requests


def request(
    method: str = "GET", path: str | bytes = "/health", *, headers: bytes = b"", body: bytes = b"", host: bytes = b"x",
    version: bytes = b"HTTP/1.1",
) -> bytes:  # fmt: skip
    where = path if isinstance(path, bytes) else path.encode()
    lines = [method.encode() + b" " + where + b" " + version, b"Host: " + host, b"Connection: close"]
    return CRLF.join(lines) + CRLF + headers + CRLF + body


def sent(kind: bytes, body: bytes, *, path: str = "/predict", headers: bytes = b"") -> bytes:
    told = b"Content-Type: " + kind + CRLF + b"Content-Length: %d" % len(body) + CRLF
    return request("POST", path, headers=told + headers, body=body)


def part(headers: bytes, content: bytes = POSTER, *, mark: bytes = b"b") -> bytes:
    return b"--" + mark + CRLF + headers + CRLF + CRLF + content + CRLF


DATA = b"Content-Disposition: form-data; "
MIXED = b"\r\nContent-Type: multipart/mixed; boundary=c"
FILE = b'Content-Disposition: form-data; name="poster"; filename="a.png"'


def form(*parts: bytes, end: bytes = b"--b--\r\n", kind: bytes = b"multipart/form-data; boundary=b") -> bytes:
    return sent(kind, b"".join(parts) + end)


def named(disposition: bytes, *, kind: bytes = b"multipart/form-data; boundary=b") -> bytes:
    return form(part(b"Content-Disposition: form-data; " + disposition), kind=kind)


def spoken(
    text: str | bytes, *, path: str = "/predict", headers: bytes = b"", kind: bytes = b"application/json"
) -> bytes:
    return sent(kind, text if isinstance(text, bytes) else text.encode(), path=path, headers=headers)


def _png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (8, 8)) -> bytes:
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        made += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return made


def _frames() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("P", (16, 16), number % 250) for number in range(500)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


OK = {200}
ANY = REFUSED | OK
Made = Callable[[Target], bytes]
BASE64 = base64.b64encode(POSTER).decode()


def _headers() -> Iterator[tuple[str, Made, set[int]]]:
    """Yield requests whose first lines are not as they should be."""
    many = b"".join(b"X-%d: a\r\n" % number for number in range(20_000))
    for name, headers, wanted in (
        ("20,000 of them", many, {400}), ("one of a megabyte", b"X: " + b"a" * 10**6 + CRLF, {400}),
        ("a name of 100 KB", b"a" * 10**5 + b": x\r\n", ANY), ("no colon", b"nothing\r\n", {400}),
        ("an empty name", b": x\r\n", {400}), ("NUL", b"X: a\x00b\r\n", {400}), ("a bare CR", b"X: a\rY: b\r\n", {400}),
        ("a folded line", b"X: a\r\n b\r\n", ANY), ("letters of Latin 1", b"X: \xff\xfe\r\n", ANY),
        ("a name of Latin 1", b"\xe9: x\r\n", {400}), ("a blank before the colon", b"X : a\r\n", {400}),
        ("cookies", b"Cookie: " + b"a=b; " * 2000 + CRLF, ANY), ("a second host", b"Host: evil.example\r\n", {400}),
        ("Accept that is a path", b"Accept: ../../../etc/passwd\r\n", OK),
        ("Accept of nonsense", b"Accept: \xff;q=9\r\n", OK),
        ("languages", b"Accept-Language: " + b"en;q=0.1," * 500 + CRLF, OK), ("Expect nonsense", b"Expect: x\r\n", ANY),
        ("a forwarded host",
         b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: gopher\r\nForwarded: host=evil\r\n", OK),
        ("another address", b"X-Original-URL: /metrics\r\nX-Rewrite-URL: /metrics\r\n", OK),
        ("another method", b"X-HTTP-Method-Override: DELETE\r\n", OK), ("dates", b"If-Modified-Since: never\r\n", OK),
        ("another origin", b"Origin: http://evil.example\r\n", OK),
        ("a user of a proxy", b"X-Remote-User: root\r\n", OK),
    ):  # fmt: skip
        yield f"headers: {name}", (lambda t, h=headers: request(headers=h)), wanted
    for name, headers in (
        ("h2c", b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"),
        ("a websocket", b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        ("TLS", b"Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n"),
    ):  # fmt: skip
        yield f"upgrade: {name}", (lambda t, h=headers: request(headers=h)), ANY
    for count in (2, 500, 5000):
        many = b"Range: bytes=" + b",".join(b"%d-" % n for n in range(count)) + CRLF
        yield f"{count} ranges", (lambda t, h=many: request(path="/page/page.js", headers=h)), ANY | {206, 416}
    for name, first in (
        ("an unknown method", b"BREW /health HTTP/1.1"), ("a method of 20 KB", b"G" * 20_000 + b" / HTTP/1.1"),
        ("a small method", b"get /health HTTP/1.1"), ("no method", b" /health HTTP/1.1"), ("no path", b"GET  HTTP/1.1"),
        ("no version", b"GET /health"), ("a version of the future", b"GET /health HTTP/9.9"),
        ("TRACE", b"TRACE / HTTP/1.1"),
        ("two blanks", b"GET  /health  HTTP/1.1"), ("a path of 100 KB", b"GET /" + b"a" * 10**5 + b" HTTP/1.1"),
        ("a blank in the path", b"GET /a b HTTP/1.1"), ("a line in the path", b"GET /a\nX: b HTTP/1.1"),
        ("the address of another", b"GET http://evil.example/metrics HTTP/1.1"),
        ("a proxy's", b"CONNECT 127.0.0.1:9 HTTP/1.1"),
        ("of everything", b"OPTIONS * HTTP/1.1"), ("a fragment", b"GET /health#x HTTP/1.1"),
        ("DELETE", b"DELETE /page/page.js HTTP/1.1"),
        ("PUT", b"PUT /page/evil.html HTTP/1.1"), ("a query of 10 KB", b"GET /health?" + b"a=b&" * 2500 + b" HTTP/1.1"),
    ):  # fmt: skip
        yield f"line: {name}", (lambda t, f=first: f + b"\r\nHost: x\r\nConnection: close\r\n\r\n"), ANY
    for name, data in (
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n"),
        ("HTTP 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), ("zeros", bytes(100_000)), ("empty lines", CRLF * 50_000),
        ("SMTP", b"EHLO x\r\n\r\n"), ("noise", bytes(range(256)) * 300 + b"\r\n\r\n"),
        ("no Host", b"GET /health HTTP/1.1\r\n\r\n"),
        ("Redis", b"*1\r\n$4\r\nPING\r\n\r\n"),
    ):  # fmt: skip
        yield f"speaks {name}", (lambda t, d=data: d), ANY | {0}


def _smuggled() -> Iterator[tuple[str, Made, set[int]]]:
    """Yield requests that two readers would divide in different ways; the second one in them is never answered."""
    inner = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    chunked = b"0\r\n\r\n" + inner
    for name, headers, body in (
        ("two lengths", b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(inner), inner),
        ("two lengths in one", b"Content-Length: 0, %d\r\n" % len(inner), inner),
        ("a length and chunks", b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % len(chunked), chunked),
        ("chunks and a length", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked),
        ("chunks by another name", b"Transfer-Encoding: xchunked\r\n", chunked),
        ("chunks and nothing", b"Transfer-Encoding: chunked, identity\r\n", chunked),
        ("chunks twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked),
        ("chunks after a tab", b"Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n", chunked),
        ("chunks of large letters", b"Transfer-Encoding: CHUNKED\r\nContent-Length: 5\r\n", chunked),
        ("a negative length", b"Content-Length: -1\r\n", inner),
        ("a length with a sign", b"Content-Length: +5\r\n", inner),
        ("a hexadecimal length", b"Content-Length: 0x10\r\n", inner),
        ("a length of 5_0", b"Content-Length: 5_0\r\n", inner),
        ("a length of 30 digits", b"Content-Length: " + b"9" * 30 + CRLF, inner),
        ("a length of 5,000 digits", b"Content-Length: " + b"9" * 5000 + CRLF, inner),
        ("a length of zeros", b"Content-Length: 0000000000000000000000000000005\r\n", b"{}   "),
    ):  # fmt: skip
        start = [b"POST /predict HTTP/1.1", b"Host: x", b"Connection: close", b"Content-Type: application/json", b""]
        made = CRLF.join(start) + headers
        yield f"smuggled: {name}", (lambda t, m=made, b=body: m + CRLF + b), REFUSED
    chunks = CRLF.join([
        b"POST /predict HTTP/1.1", b"Host: x", b"Connection: close", b"Content-Type: application/json",
        b"Transfer-Encoding: chunked", b"", b"",
    ])  # fmt: skip
    for name, body in (
        ("a negative chunk", b"-5\r\nhello\r\n0\r\n\r\n"), ("a chunk of exabytes", b"FFFFFFFFFFFFFFFF\r\nx"),
        ("a chunk of 100 digits", b"F" * 100 + b"\r\nx"), ("a chunk of no size", b"\r\nhello\r\n"),
        ("a chunk of words", b"zz\r\nhello\r\n"),
        ("a chunk without its end", b"5\r\nhelloX\r\n0\r\n\r\n"),
        ("an extension of 100 KB", b"5;" + b"a" * 10**5 + b"\r\nhello\r\n0\r\n\r\n"),
        ("trailers of 100 KB", b"2\r\n{}\r\n0\r\n" + b"X: a\r\n" * 20_000 + b"\r\n"),
        ("chunks of one byte", b"1\r\n[\r\n" * 10_000 + b"0\r\n\r\n"),
        ("more than is allowed",
         b"100000\r\n" + bytes(0x100000) + CRLF + b"100000\r\n" + bytes(0x100000) + b"\r\n0\r\n\r\n"),
    ):  # fmt: skip
        yield f"chunked: {name}", (lambda t, b=body: chunks + b), REFUSED


THERE = ("/?/../x/y", "/page/page.js/")


def _paths() -> Iterator[tuple[str, Made, set[int]]]:
    """Yield paths that lead to other files, or to none."""
    for path in (
        "/..%2f..%2f..%2fetc%2fpasswd", "/../../../../etc/passwd", "//etc/passwd", "/page/../run.py",
        "/page/..%2frun.py",
        "/page/%2e%2e/run.py", "/page/%2e%2e%2frun.py", "/page/..%252frun.py", "/page/..%5crun.py", "/page/..\\run.py",
        "/page//etc/passwd", "/page/%2fetc%2fpasswd", "/page/....//....//run.py", "/page/page.js/../../run.py",
        "/page/page.js%00.css", "/page/%00", "/page/%0d%0aX-Evil:%20yes", "/page/%ff%fe", "/page/%c0%ae%c0%ae/run.py",
        "/page/" + "a" * 5000, "/page/" + "a/" * 3000, "/page/~root", "/page/.", "/page/", "/page", "/page/..",
        "/page/-",
        "/page/page.js/", "/page/PAGE.JS", "/page/CON", "/page/page.js::$DATA", "/examples/../run.py",
        "/examples/99.png",
        "/examples/-1.png", "/examples/1e5.png", "/examples/" + "9" * 5000 + ".png", "/examples/%00.png",
        "/examples/0x1.png",
        "/examples/..%2f..%2frun.py.png", "/predict/", "/predict/../metrics/x", "/INFO/x", "/docs/x", "/.git/config",
        "/.env",
        "/proc/self/environ", "/openapi.json/x", "/metrics%00", "/%00", "/%", "/%zz", "/;/", "/*", "/~", "/?/../x/y",
        "/redoc",
        "/server-status", "/wp-login.php", "/console", "/debug", "/__debug__", "/static/x", "/favicon.ico/../../run.py",
        "file:///etc/passwd", "/file:/etc/passwd", "/page/file:/etc/passwd", "/\u00a0", "/\u202e", "/page/\ud7ff",
    ):  # fmt: skip
        yield (
            f"path: {path[:60]}",
            (lambda t, p=path: request(path=p.encode())),
            {400, 404} | ({200} if path in THERE else set()),
        )
    yield "path: the canary", (lambda t: request(path=f"/page/{'../' * 12}{t.canary}")), {400, 404}
    yield "path: the canary, hidden", (lambda t: request(path=f"/page/{'..%2f' * 12}{t.canary}".encode())), {400, 404}
    yield "path: the canary, absolute", (lambda t: request(path=f"/page/{t.canary}")), {400, 404}
    yield "path: the listener", (lambda t: request(path=t.listener)), {400, 404}


def _forms() -> Iterator[tuple[str, Made, set[int]]]:
    """Yield forms that are none."""
    kind = b"multipart/form-data; boundary="
    for name, data, wanted in (
        ("an empty boundary", form(part(FILE), kind=kind), {400, 422}),
        ("a boundary of 10 KB", form(kind=kind + b"b" * 10_000), {400}),
        ("two boundaries", form(part(FILE), kind=kind + b"b; boundary=c"), ANY),
        ("a boundary of blanks", form(kind=kind + b'"   "'), {400}),
        ("a boundary of NUL", form(part(FILE), kind=kind + b'"\\0"'), {400}),
        ("no end", form(part(FILE), end=b""), ANY),
        ("half an end", form(part(FILE), end=b"--b-"), ANY), ("nothing", form(end=b""), {400}),
        ("the end alone", form(), {400}),
        ("10,000 files", form(part(FILE, b"x") * 10_000), {400, 413}),
        ("10,000 fields", form(part(b'Content-Disposition: form-data; name="a"', b"x") * 10_000), {400}),
        ("5 files", form(part(FILE) * 5), {413}),
        ("a header of a megabyte", form(part(FILE + b"\r\nX: " + b"a" * 10**6)), {400}),
        ("10,000 headers", form(part(FILE + b"\r\nX: a" * 10_000)), {400}),
        ("a header without a colon", form(part(FILE + b"\r\nnothing")), {400}),
        ("no headers", form(part(b"")), {400}), ("no name", named(b'filename="a.png"'), {400}),
        ("an empty name", named(b'name=""; filename="a"'), ANY),
        ("a name that is no UTF-8", named(b'name="\xff\xfe"; filename="\xff.png"'), ANY),
        ("a part within a part", form(part(FILE + MIXED, part(FILE, mark=b"c") + b"--c--")), {415}),
        ("base64 within", form(part(FILE + b"\r\nContent-Transfer-Encoding: base64", BASE64.encode())), {415}),
        ("lines of LF", sent(kind + b"b", (part(FILE, b"x") + b"--b--\r\n").replace(CRLF, b"\n")), {400, 415}),
        ("a preamble of a megabyte", sent(kind + b"b", b"x" * 10**6 + CRLF + part(FILE) + b"--b--\r\n"), ANY),
        ("an epilogue of a megabyte", form(part(FILE), end=b"--b--\r\n" + b"x" * 10**6), ANY),
        ("noise", sent(kind + b"b", os.urandom(10_000)), {400}),
        ("a disposition of nonsense", form(part(b"Content-Disposition: \xff; ;;=;=\"")), {400}),
        ("a field of 2 MB", form(part(b'Content-Disposition: form-data; name="genre"', b"x" * 1_900_000)), {400}),
        ("a boundary in the picture", form(part(FILE, b"\r\n--b\r\n" * 1000)), {400}),
        ("too large", form(part(FILE, bytes(2_500_000))), {413}),
        ("a text in its place", form(part(b'Content-Disposition: form-data; name="poster"', b"/etc/passwd")), {422}),
        ("the length of another", sent(kind + b"b", part(FILE) + b"--b--\r\n").replace(b"Content-Length: ",
         b"Content-Length: 9"), {408, 413}),
    ):  # fmt: skip
        yield f"form: {name}", (lambda t, d=data: d), wanted
    for name in (
        b"../../../../etc/passwd", b"/etc/passwd", b"C:\\\\evil.png", b"a\x00b.png", b"a\r\n b.png",
        b"<script>alert(1)</script>", b"a" * 50_000,
        b"\xe2\x80\xaegnp.exe", b"\xed\xa0\x80", b"a%00b", b"${jndi:ldap://127.0.0.1}", b"{{7*7}}",
        b"'; DROP TABLE posters;--", b"-rf", b"|id",
        b"\x1b[2J",
    ):  # fmt: skip
        yield f"file name: {name[:30]!r}", (lambda t, n=name: named(b'name="poster"; filename="' + n + b'"')), ANY
        yield f"file names: {name[:30]!r}", (
            lambda t, n=name: form(*[part(b'Content-Disposition: form-data; name="poster"; filename="' + n + b'"')] * 2)
        ), ANY  # fmt: skip
    for charset in (
        b"utf-7", b"utf-16", b"idna", b"punycode", b"undefined", b"rot13", b"zlib", b"hex", b"unicode_escape", b"os",
        b"../../x",
        b"raw_unicode_escape", b"mbcs", b"a" * 5000, b"\xff", b'"\\0"', b"utf-8-sig", b"utf-32", b"oem", b"bz2",
    ):  # fmt: skip
        told = kind + b"b; charset=" + charset
        yield f"charset: {charset[:20]!r}", (
            lambda t, k=told: form(*[part(FILE.replace(b"a.png", b"+2AA-\\ud800.png"))] * 2, kind=k)
        ), ANY  # fmt: skip
        yield f"charset of a field: {charset[:20]!r}", (
            lambda t, k=told: form(part(DATA + b'name="+2AA-\\ud800"', b"+2AA-\\ud800\xff"), kind=k)
        ), REFUSED  # fmt: skip


def _texts() -> Iterator[tuple[str, Made, set[int]]]:
    """Yield bodies of JSON that are none, or that name what is elsewhere."""
    deep = '{"poster":' * 5000 + "1" + "}" * 5000
    for name, body, wanted in (
        ("deep tables", deep, {400}), ("a million lists", '{"posters":[' + "[]," * 600_000 + "[]]}", {400}),
        ("a number without end", '{"poster":' + "1" * 10**6 + "}", {400, 422}),
        ("an infinite number", '{"poster":1e999}', {422}),
        ("NaN", '{"poster":NaN}', {422}),
        ("a million keys", "{" + ",".join(f'"{n}":1' for n in range(150_000)) + "}", {422}),
        ("the same key twice", '{"poster":"AAAA","poster":"BBBB"}', REFUSED),
        ("a surrogate", '{"poster":"\\ud800"}', {422}),
        ("a surrogate for a key", '{"\\ud800":1}', {422}), ("a key of JavaScript", '{"__proto__":{"a":1}}', {422}),
        ("UTF-16", '{"poster":"x"}'.encode("utf-16"), {422}), ("UTF-32", '{"poster":"x"}'.encode("utf-32"), {422}),
        ("no UTF-8", b'{"poster":"\xff"}', {400, 422}), ("nothing", "", {400}), ("null", "null", {422}),
        ("a list", "[1]", {422}),
        ("a text", '"x"', {422}), ("two", "{}{}", {400}), ("a comment", '{"poster":"" /* x */}', {400}),
        ("NUL", b"{\x00}", {400}),
        ("posters that are none", '{"posters":5}', {422}),
        ("posters of all kinds", '{"posters":[null,1,true,{}]}', {422}),
        ("a hundred thousand posters", '{"posters":[' + '"",' * 100_000 + '""]}', {413}),
        ("an empty poster", '{"poster":""}', {422}),
        ("base64 with blanks", json.dumps({"poster": " ".join(BASE64)}), {422}),
        ("half of base64", json.dumps({"poster": BASE64[:-1]}), {422}),
        ("base64 of nothing", '{"poster":"===="}', {422}), ("a data address of nothing", '{"poster":"data:"}', {422}),
        ("a data address of HTML", '{"poster":"data:text/html,<script>"}', {415, 422}),
        ("XML", "<?xml version='1.0'?><!DOCTYPE x>", {400}),
        ("a pickle", b"\x80\x04N.", {400}), ("YAML", "!!python/object/apply:os.system [id]", {400}),
    ):  # fmt: skip
        yield f"JSON: {name}", (lambda t, b=body: spoken(b)), wanted
    for name, kind in (
        ("utf-7", b"application/json; charset=utf-7"), ("two kinds", b"application/json, multipart/form-data"),
        ("a form", b"application/x-www-form-urlencoded"),
        ("XML", b"application/xml"), ("nothing", b""), ("a pickle", b"application/python-pickle"),
        ("text", b"text/plain"), ("nonsense", b"\xff/\xfe;;;"),
        ("a kind of 10 KB", b"a" * 10_000), ("a picture", b"image/png"),
        ("JSON by another name", b"application/vnd.evil+json"),
    ):  # fmt: skip
        yield f"kind: {name}", (lambda t, k=kind: spoken('{"poster":"AAAA"}', kind=k)), REFUSED
    packed = gzip.compress(bytes(20_000_000))
    yield "a gzip bomb", lambda t: spoken(packed, headers=b"Content-Encoding: gzip\r\n"), {400}
    for place in (
        "LISTENER", "file://CANARY", "CANARY", "FILE://CANARY", " LISTENER", "data:image/png;base64,LISTENER",
        "\\\\127.0.0.1\\x\\a.png",
        "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "http:/127.0.0.1/x", "//127.0.0.1/x", "url(LISTENER)",
        "jar:LISTENER!/x",
        "http://169.254.169.254/latest/meta-data/", "http://[::1]:9/x", "dict://127.0.0.1:11211/stat",
        "unix:/var/run/docker.sock",
    ):  # fmt: skip
        for key in ("poster", "url"):
            yield f"address in {key}: {place}", (lambda t, p=place, k=key: spoken(json.dumps({k: _at(p, t)}))), {422}
        yield f"address in posters: {place}", (lambda t, p=place: spoken(json.dumps({"posters": [_at(p, t)]}))), {422}
        yield f"address in a field: {place}", (
            lambda t, p=place: form(part(b'Content-Disposition: form-data; name="poster"', _at(p, t).encode()))
        ), {422}  # fmt: skip
        yield f"address in a file: {place}", (lambda t, p=place: form(part(FILE, _at(p, t).encode()))), {415}
        yield (
            f"address in the query: {place}",
            (
                lambda t, p=place: spoken("{}").replace(
                    b"/predict", f"/predict?poster={_at(p, t)}&url={_at(p, t)}".replace(" ", "").encode(), 1
                )
            ),
            {400},
        )
        yield (
            f"address for a genre: {place}",
            (lambda t, p=place: spoken(json.dumps({"poster": BASE64, "genre": _at(p, t)}), path="/explain")),
            {422},
        )
    for genre in (
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "\ud800",
        "x" * 10**6,
        "\x00",
        "\x1b[2J",
        "",
        "red",
        "Red\n",
        "{{7*7}}",
    ):
        yield (
            f"genre: {genre[:30]!r}",
            (lambda t, g=genre: spoken(json.dumps({"poster": BASE64, "genre": g}), path="/explain")),
            {422},
        )


def _at(place: str, target: Target) -> str:
    return place.replace("LISTENER", target.listener).replace("CANARY", str(target.canary))


def _pictures() -> Iterator[tuple[str, Made, set[int]]]:
    """Yield pictures that are none, or more than one."""
    bomb = zlib.compress(bytes(100_000_000))
    for name, data in (
        ("a PNG of gigapixels", _png(size=(60_000, 60_000))), ("a PNG of no pixels", _png(size=(0, 0))),
        ("a PNG of 2³¹", _png(size=(2**31 - 1, 1))),
        ("a text that grows", _png((b"zTXt", b"a\0\0" + bomb), (b"IDAT", zlib.compress(bytes(200))))),
        ("a profile that grows", _png((b"iCCP", b"a\0\0" + bomb), (b"IDAT", zlib.compress(bytes(200))))),
        ("pixels that grow", _png((b"IDAT", bomb))), ("10,000 chunks", _png(*[(b"tEXt", b"a\0b")] * 10_000)),
        ("a chunk of 4 GB", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR"),
        ("a GIF of 500 frames", _frames()),
        ("a JPEG of gigapixels",
         b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01" + bytes(100)),
        ("a JPEG of markers", b"\xff\xd8" + b"\xff\xe1\x00\x02" * 100_000),
        ("a TIFF that points at itself", b"II*\x00\x08\x00\x00\x00" + b"\x00\x00" + b"\x08\x00\x00\x00"),
        ("a TIFF of a terabyte",
         b"II*\x00\x08\x00\x00\x00\x03\x00"
         + struct.pack("<" + "HHII" * 3, 256, 4, 1, 10**6, 257, 4, 1, 10**6, 273, 4, 1, 8) + bytes(4)),
        ("a BMP of exabytes",
         b"BM" + struct.pack("<IHHIIiiHHI", 60, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0) + bytes(30)),
        ("an SVG that reads",
         b"<?xml version='1.0'?><!DOCTYPE s [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg xmlns='http://www.w3.org/2000/svg'>&x;</svg>"),
        ("an EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n"),
        ("a PDF", b"%PDF-1.7\n"), ("a PSD", b"8BPS\x00\x01" + bytes(100)),
        ("a Windows metafile", b"\xd7\xcd\xc6\x9a" + bytes(100)),
        ("an icon", b"\x00\x00\x01\x00\x01\x00" + bytes(100)),
        ("FITS", b"SIMPLE  =                    T" + bytes(2880)),
        ("a picture and a page", POSTER + b"<script>alert(1)</script>"),
        ("a WebP of nothing", b"RIFF\x00\x00\x00\x00WEBPVP8 "), ("a zip", b"PK\x05\x06" + bytes(18)),
        ("a program", b"\x7fELF" + bytes(200)), ("a pickle", b"\x80\x04\x95" + bytes(50)),
    ):  # fmt: skip
        yield (
            f"picture: {name}",
            (lambda t, d=data: form(part(FILE, d))),
            {413, 415, 422} | ({200} if name in GOOD else set()),
        )
        yield f"picture to explain: {name}", (
            lambda t, d=data: spoken(f'{{"poster":"{base64.b64encode(d).decode()}","genre":"Red"}}', path="/explain")
        ), {413, 415, 422} | ({200} if name in GOOD else set())  # fmt: skip


GOOD = ("a GIF of 500 frames", "a picture and a page", "a text that grows", "a profile that grows", "pixels that grow")
"""Are pictures, whatever else they are: Pillow leaves alone what it need not unpack."""
ABUSES = [*_headers(), *_smuggled(), *_paths(), *_forms(), *_texts(), *_pictures()]
"""Everything that is tried in one piece; what takes its time is below."""


@pytest.mark.parametrize(("name", "make", "wanted"), ABUSES, ids=[name for name, _, _ in ABUSES])
def test_it_is_refused_or_answered_and_the_next_is_answered(
    name: str, make: Made, wanted: set[int], target: Target
) -> None:
    since = time.monotonic()
    asked = make(target)
    said = target.answer(asked)
    assert time.monotonic() - since < 10 * BOUNDED, "it took its time"
    found = statuses(said)
    assert len(found) <= 1 + name.startswith("speaks"), "what was within a request was answered"
    assert set(found or [0]) <= wanted, said[:1000]
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"evil" not in head.lower()
    assert b"access-control" not in head.lower()
    if found and found[0] not in (200, 206) and b"application/json" in head and len(found) == 1:
        told = json.loads(body)
        assert set(told) == {"error"}
        assert 5 < len(told["error"]) < 1000
    target.check(said, asked)


# --- what takes its time


def hangs_up(connection: socket.socket, within: float) -> bytes:
    """Return what a connection brings until the server ends it, which it has to do in time."""
    connection.settimeout(within)
    said = b""
    with suppress(ConnectionError):
        while some := connection.recv(65536):
            said += some
    return said


def test_who_says_nothing_is_cut_off(target: Target) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(target.connect()) for _ in range(200)]
        target.check(b"")  # others are answered meanwhile
        assert {hangs_up(connection, 20 * BOUNDED) for connection in silent} == {b""}
    target.check(b"")


@pytest.mark.parametrize(
    ("begins", "drips"),
    [
        (b"", b"GET /health HTTP/1.1"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n", b"X-Slow: a\r\n"),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\nContent-Type: application/json\r\n\r\n", b"["),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n",
         b"1\r\n[\r\n"),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
         b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n", b"X: a\r\n"),
    ],
    ids=["a slow line", "slow headers", "a slow body", "slow chunks", "slow parts"],
)  # fmt: skip
def test_who_sends_too_slowly_is_cut_off(begins: bytes, drips: bytes, target: Target) -> None:
    since, said = time.monotonic(), b""
    with target.connect() as connection, suppress(ConnectionError):
        connection.sendall(begins)
        connection.settimeout(0.3)
        for place in range(10_000):
            connection.sendall(drips[place % len(drips) : place % len(drips) + 1] if not begins else drips)
            with suppress(TimeoutError):
                some = connection.recv(65536)
                said += some
                if not some:
                    break
    assert time.monotonic() - since < 30 * BOUNDED
    assert statuses(said) in ([], [408], [400])
    target.check(said)


def test_a_body_without_end_is_refused_while_it_comes(target: Target) -> None:
    sent_ = 0
    with target.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                           b"Content-Type: application/json\r\n\r\n")  # fmt: skip
        with suppress(ConnectionError):
            while sent_ < 500_000_000:
                connection.sendall(b"10000\r\n" + bytes(0x10000) + CRLF)
                sent_ += 0x10000
        with suppress(ConnectionError):
            assert statuses(hangs_up(connection, PATIENCE)) in ([413], [])
    assert sent_ < 50_000_000, "it listened for too long"
    target.check(b"")


def test_who_does_not_take_the_answer_is_cut_off(target: Target) -> None:
    asked = b"GET /page/page.js HTTP/1.1\r\nHost: x\r\n\r\n"
    with target.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(1)
        with suppress(TimeoutError, ConnectionError):
            for _ in range(3000):  # megabytes of answers
                connection.sendall(asked)
        port = connection.getsockname()[1]
        wait_for(lambda: not _holds(target, port), seconds=200)
    target.check(b"")


def _holds(target: Target, port: int) -> bool:
    """Return whether the system still has the server's side of a connection."""
    here, there = (f"0100007F:{number:04X}" for number in (target.place[1], port))
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(line[1] == here and line[2] == there and line[3] == "01" for line in lines)


def test_more_connections_than_there_is_room_for_are_told_so(trained: Trained, tmp_path: Path) -> None:
    with few_files(256), served(trained.best, tmp_path, "timeout=5") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with ExitStack() as stack:
            held = [
                stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE)) for _ in range(150)
            ]
            told = [hangs_up(connection, PATIENCE) for connection in held[-10:]]
            assert {statuses(said)[0] for said in told} == {503}
            assert b"too many connections" in told[0]
            for connection in held[:100]:
                assert hangs_up(connection, PATIENCE) == b""
        assert server.post(POSTER).status_code == 200
        assert "Too many open files" not in server.log.read_text()


@contextmanager
def few_files(count: int) -> Iterator[None]:
    """Let processes that are started here have so many files open at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_nothing_gets_past_the_token(trained: Trained, tmp_path: Path) -> None:
    with served(trained.best, tmp_path, token="open-sesame") as server:
        wrong: list[dict[str, str]] = [
            {}, {"Authorization": "open-sesame"}, {"Authorization": "bearer open-sesame"},
            {"Authorization": "Bearer  open-sesame"},
            {"Authorization": "Basic b3Blbi1zZXNhbWU="}, {"Authorization": "Bearer open-sesam"},
            {"Authorization": "Bearer open-sesame2"},
            {"Authorization": "Bearer OPEN-SESAME"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer null"},
            {"Authorization": ""},
            {"Cookie": "token=open-sesame"}, {"X-Authorization": "Bearer open-sesame"},
            {"Proxy-Authorization": "Bearer open-sesame"},
            {"X-Forwarded-For": "127.0.0.1"}, {"X-Original-URL": "/health"},
            {"Authorization": "Bearer " + "a" * 10_000},
        ]  # fmt: skip
        for headers in wrong:
            for path in ("/info", "/metrics", "/info?token=open-sesame", "/%69nfo"):
                assert httpx.get(server.url + path, headers=headers, timeout=PATIENCE).status_code == 401, (
                    path,
                    headers,
                )
            for path in ("/predict", "/explain"):
                assert server.post(POSTER, path=path, headers=headers).status_code == 401
        for path in (
            "/info/",
            "//info",
            "/INFO",
            "/info%00",
            "/info;x",
            "/./info/x",
            "/page/../info",
            "/page/..%2finfo",
        ):
            with socket.create_connection(
                (server.url.split("/")[2].split(":")[0], int(server.url.rpartition(":")[2]))
            ) as raw:
                raw.sendall(request(path=path))
                assert statuses(hangs_up(raw, PATIENCE))[0] in (400, 401, 404), path
        for method in ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
            assert httpx.request(method, f"{server.url}/info", timeout=PATIENCE).status_code in (401, 405)
        assert httpx.get(f"{server.url}/info", headers={"Authorization": "Bearer open-sesame"}).status_code == 200
        assert "open-sesame" not in server.log.read_text()


def test_another_sites_page_may_not_read_an_answer(target: Target) -> None:
    origin = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        httpx.options(f"{target.server.url}/predict", headers=origin),
        httpx.get(f"{target.server.url}/info", headers=origin),
        target.server.post(POSTER, headers=origin),
    ):  # fmt: skip
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_name_of_a_host_comes_back(target: Target) -> None:
    for path in ("/page", "/predict/", "/docs/", "/", "/docs", "/openapi.json", "/page/page.js"):
        said = target.answer(request(path=path, host=b"evil.example"))
        assert b"evil.example" not in said
        assert not set(statuses(said)) & {301, 302, 307, 308}


def test_a_client_that_leaves_in_the_middle_costs_nothing(target: Target) -> None:
    body = json.dumps({"poster": BASE64}).encode()
    asked = sent(b"application/json", body)
    for cut in (10, 100, len(asked) - 20, len(asked)):
        for _ in range(20):
            with target.connect() as connection:
                connection.sendall(asked[:cut])
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )  # a reset, no goodbye
    wait_for(lambda: target.server.metric("postergenre_waiting_posters") == 0, seconds=60)
    target.check(b"")
    assert len(COLOURS) == len(target.server.post(POSTER).json()["genres"])
