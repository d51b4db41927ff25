"""A server that answers as The Movie Database and its picture host do, with their moods."""

import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

TOKEN = "planted-5f1e0c9a7d"
GENRES = {
    "movie": {28: "Action", 35: "Comedy", 18: "Drama"},
    "tv": {10765: "Sci-Fi & Fantasy", 35: "Comedy", 18: "Drama"},
}
PAGE, PAGES = 20, 500
Title = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and content."""


def make_title(number: int, kind: str = "movie", **changes: Any) -> Title:
    """Return a title as ``discover`` tells of it; colours of its poster are its genres."""
    genres = list(GENRES[kind])
    title = {
        "id": number, "popularity": round(9999 / (number + 1), 4), "vote_count": number,
        "genre_ids": [genre for place, genre in enumerate(genres) if (number % 7 + 1) >> place & 1],
        "poster_path": f"/p{kind}{number}.jpg", "original_language": "ko" if number % 2 else "hi",
        "title" if kind == "movie" else "name": f"Title, {number} \N{HANGUL SYLLABLE GA}",
        "release_date" if kind == "movie" else "first_air_date": f"{1990 + number % 30}-{number % 12 + 1:02}-15",
    }  # fmt: skip
    if kind == "tv":
        title["origin_country"] = ["KR"] if number % 2 else ["IN"]
    return title | changes


def poster(number: int) -> bytes:
    marks = [(number % 7 + 1) >> channel & 1 for channel in range(3)]
    random = np.random.default_rng(number)
    pixels = random.integers(0, 60, (36, 24, 3)) + 190 * np.array(marks)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "jpeg", quality=80)
    return file.getvalue()


class TmdbServer:
    """Answers ``/3/…`` to who has the key, and ``/t/p/<size>/…`` to anyone."""

    def __init__(self, *, movies: list[Title] | None = None, series: list[Title] | None = None) -> None:
        self.titles = {"movie": movies or [], "tv": series or []}
        self.arrivals: list[float] = []
        """When each request came, in seconds."""
        self.asked: Counter[str] = Counter()
        """How often each path came, with its query."""
        self.served: Counter[str] = Counter()
        """How often it was answered as it should be."""
        self.queries: list[dict[str, str]] = []
        """Of ``discover``."""
        self.mood: Callable[[str, int], Answer | None] = lambda path, times: None
        """What is answered instead, to a path that comes for the n-th time."""
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with outer.lock:
                    outer.arrivals.append(time.monotonic())
                    outer.asked[self.path] += 1
                    times = outer.asked[self.path]
                moody = outer.mood(self.path, times)
                status, headers, content = moody or outer.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):
                    self.wfile.write(content)
                    if not moody:
                        with outer.lock:
                            outer.served[self.path] += 1

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Backlog(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True
            block_on_close = False

        self._server = Backlog(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def settings(self) -> list[str]:
        """What a script must be told to ask here."""
        return [f"tmdb.api={self.address}/3", f"tmdb.pictures={self.address}/t/p"]

    def answer(self, path: str, authorization: str) -> Answer:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        what = parts.path.strip("/").split("/")
        if what[:2] == ["t", "p"]:
            number = int("".join(letter for letter in what[3] if letter.isdecimal()))
            return 200, {"Content-Type": "image/jpeg"}, poster(number)
        if authorization != f"Bearer {TOKEN}" and query.get("api_key") != TOKEN:
            return 401, {}, b'{"status_code": 7, "status_message": "Invalid API key"}'
        if what[1] == "genre":
            return told({"genres": [{"id": number, "name": name} for number, name in GENRES[what[2]].items()]})
        if what[1] == "discover":
            self.queries.append(query)
            return self.page(what[2], query)
        found = [title for title in self.titles[what[1]] if str(title["id"]) == what[2]]
        if not found:
            return 404, {}, b'{"status_code": 34}'
        number = found[0]["id"]
        return told({"id": number, "origin_country": ["KR", "US"], "external_ids": {"imdb_id": f"tt{number:07}"}})

    def page(self, kind: str, query: dict[str, str]) -> Answer:
        number, dated = int(query["page"]), "primary_release_date" if kind == "movie" else "first_air_date"
        if not 1 <= number <= PAGES:
            return 400, {}, b'{"status_code": 22}'
        date = "release_date" if kind == "movie" else "first_air_date"
        key = query["sort_by"].removesuffix(".desc")
        found = [
            title
            for title in self.titles[kind]
            if query.get("with_original_language", title["original_language"]) == title["original_language"]
            and query.get("with_origin_country", "") in ("", *title.get("origin_country", ["KR", "IN"]))
            and query.get(f"{dated}.gte", "") <= title[date]
            and title[date] <= query.get(f"{dated}.lte", "9999")
        ]
        found.sort(key=lambda title: -title[key])
        pages = (len(found) + PAGE - 1) // PAGE
        shown = found[(number - 1) * PAGE : number * PAGE]
        return told({"page": number, "results": shown, "total_pages": pages, "total_results": len(found)})

    def most_in_a_second(self) -> int:
        """Return how many requests came within the busiest second."""
        times = sorted(self.arrivals)
        begin = most = 0
        for end, now in enumerate(times):
            while times[begin] <= now - 1:
                begin += 1
            most = max(most, end - begin + 1)
        return most

    def __enter__(self) -> "TmdbServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def told(answer: Any) -> Answer:
    return 200, {"Content-Type": "application/json;charset=utf-8"}, json.dumps(answer).encode()
