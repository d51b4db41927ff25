"""Sets from The Movie Database, against a server that behaves as it does."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

import tmdb_server
from conftest import ROOT, read_csv, small_config
from postergenre.collecting import CollectConfig, TmdbConfig, WebConfig, asking, collect, discover, pictures
from postergenre.collecting.asking import Pace
from postergenre.config import parse, register
from postergenre.errors import ConfigError, DataError, PartialError, StoppedError
from postergenre.training import train
from tmdb_server import GENRES, TOKEN, Answer, TmdbServer, make_title, poster

CONF = ROOT / "conf"
NOT_THERE: Answer = (404, {}, b"")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("TMDB_API_KEY", raising=False)
    monkeypatch.setenv("TMDB_TOKEN", TOKEN)


@pytest.fixture
def server() -> Iterator[TmdbServer]:
    with TmdbServer(
        movies=[make_title(n) for n in range(50)], series=[make_title(n, "tv") for n in range(30)]
    ) as running:
        yield running


def config(server: TmdbServer, output: Path, *, web: dict[str, Any] | None = None, **tmdb: Any) -> CollectConfig:
    return CollectConfig(
        source="tmdb", output=str(output),
        tmdb=TmdbConfig(api=f"{server.address}/3", pictures=f"{server.address}/t/p", **tmdb),
        web=WebConfig(**({"rate": 1000, "backoff": 0.01} | (web or {}))),
    )  # fmt: skip


def texts(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes().decode("utf-8", "replace")


def test_films_and_series_become_a_poster_csv(server: TmdbServer, tmp_path: Path) -> None:
    table = collect(config(server, tmp_path / "set", number=25))
    rows = read_csv(table)
    assert [row["id"] for row in rows] == [f"tmdb-{kind}-{n}" for kind in ("movie", "tv") for n in range(25)]
    assert rows[3] == {
        "image": "Images/tmdb-movie-3.jpg", "genres": "Drama", "id": "tmdb-movie-3",
        "title": "Title, 3 \N{HANGUL SYLLABLE GA}", "year": "1993", "decade": "1990s", "country": "", "language": "ko",
        "kind": "movie", "popularity": "2499.75", "source": "tmdb",
    }  # fmt: skip
    assert (rows[26]["genres"], rows[26]["country"]) == ("Comedy", "KR")
    assert rows[25]["genres"] == "Sci-Fi & Fantasy"
    assert (tmp_path / "set" / rows[3]["image"]).read_bytes() == poster(3)
    assert sorted(os.listdir(tmp_path / "set" / "Images")) == sorted(f"{row['id']}.jpg" for row in rows)
    assert "/t/p/w342/pmovie3.jpg" in server.asked
    provenance = json.loads((tmp_path / "set" / "provenance.json").read_text())
    assert provenance["num_posters"] == 50
    assert provenance["settings"]["tmdb.kinds"] == ["movie", "tv"]
    notice = "This product uses the TMDB API but is not endorsed or certified by TMDB."
    assert notice in provenance["attribution"]
    attribution = (tmp_path / "set" / "ATTRIBUTION.txt").read_text()
    assert attribution.startswith(notice)
    assert "JustWatch" not in attribution
    assert not (tmp_path / "set" / "skipped.csv").exists()


def test_what_is_asked_for_reaches_the_api(server: TmdbServer, tmp_path: Path) -> None:
    collect(
        config(
            server, tmp_path, kinds=["tv"], languages=["ko"], countries=["KR"], providers=[8, 1796],
            region="KR", first_year=2000, last_year=2010, sort="vote_count",
            filters={"with_type": "2|4", "x": True}, size="original",
        )
    )  # fmt: skip
    assert server.queries[0] == {
        "sort_by": "vote_count.desc", "language": "en-US", "include_adult": "false", "with_watch_providers": "8|1796",
        "watch_region": "KR", "with_type": "2|4", "x": "true", "with_original_language": "ko",
        "with_origin_country": "KR", "page": "1",
        "first_air_date.gte": "2000-01-01", "first_air_date.lte": "2010-12-31",
    }  # fmt: skip
    rows = read_csv(tmp_path / "train.csv")
    assert [row["id"] for row in rows] == [f"tmdb-tv-{n}" for n in (19, 17, 15, 13, 11)]
    assert any(path.startswith("/t/p/original/") for path in server.asked)
    assert "JustWatch" in (tmp_path / "ATTRIBUTION.txt").read_text()


def test_several_languages_and_countries_are_one_order_without_repeats(server: TmdbServer, tmp_path: Path) -> None:
    collect(config(server, tmp_path, kinds=["tv"], languages=["ko", "hi"], countries=["KR", "IN"], number=12))
    assert [row["id"] for row in read_csv(tmp_path / "train.csv")] == [f"tmdb-tv-{n}" for n in range(12)]
    assert len({json.dumps(query) for query in server.queries}) == 4


def test_details_bring_ids_and_countries(server: TmdbServer, tmp_path: Path) -> None:
    server.mood = lambda path, times: NOT_THERE if path.startswith("/3/movie/2?") else None
    collect(config(server, tmp_path, kinds=["movie"], number=4, details=True))
    assert [(row["imdb_id"], row["country"]) for row in read_csv(tmp_path / "train.csv")] == [
        ("tt0000000", "KR|US"), ("tt0000001", "KR|US"), ("", ""), ("tt0000003", "KR|US"),
    ]  # fmt: skip


def test_a_query_with_more_pages_than_the_api_shows_is_split_by_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tmdb_server, discover):
        monkeypatch.setattr(module, "PAGES", 3)  # 60 titles a query
    with TmdbServer(movies=[make_title(n) for n in range(250)]) as running:
        collect(config(running, tmp_path, kinds=["movie"], number=200))
        assert [row["id"] for row in read_csv(tmp_path / "train.csv")] == [f"tmdb-movie-{n}" for n in range(200)]
        assert len({query.get("primary_release_date.gte") for query in running.queries}) > 4
        assert "asked for by date" in json.loads((tmp_path / "provenance.json").read_text())["notes"][0]


def test_titles_without_a_poster_or_a_genre_do_not_count_and_are_told(tmp_path: Path) -> None:
    movies = [make_title(0, poster_path=None), make_title(1, genre_ids=[]), *(make_title(n) for n in range(2, 9))]
    with TmdbServer(movies=movies) as running:
        collect(config(running, tmp_path, kinds=["movie"], number=5))
    assert [row["id"] for row in read_csv(tmp_path / "train.csv")] == [f"tmdb-movie-{n}" for n in range(2, 7)]
    assert [(row["id"], row["reason"]) for row in read_csv(tmp_path / "skipped.csv")] == [
        ("tmdb-movie-0", "has no poster"), ("tmdb-movie-1", "has no genre"),
    ]  # fmt: skip


def picture(number: int) -> str:
    return f"/t/p/w342/pmovie{number}.jpg"


def test_bad_pictures_are_left_out_with_a_reason_and_not_asked_for_again(server: TmdbServer, tmp_path: Path) -> None:
    dot = io.BytesIO()
    Image.new("1", (1, 1)).save(dot, "gif")
    bad: dict[str, Answer] = {
        picture(1): NOT_THERE,
        picture(2): (200, {"Content-Type": "text/html"}, b"<html>"),
        picture(3): (200, {"Content-Type": "image/jpeg"}, b"no picture"),
        picture(4): (200, {"Content-Type": "image/gif"}, dot.getvalue()),
    }
    server.mood = lambda path, times: bad.get(path)
    asked = config(server, tmp_path, kinds=["movie"], number=6)
    collect(asked)
    assert [row["id"] for row in read_csv(tmp_path / "train.csv")] == ["tmdb-movie-0", "tmdb-movie-5"]
    reasons = {
        row["id"].rpartition("-")[2]: (row["reason"], row["again"]) for row in read_csv(tmp_path / "skipped.csv")
    }
    assert reasons == {
        "1": ("the server answers 404 Not Found", "no"),
        "2": ("the server answers with a page, not with a picture", "no"),
        "3": ("the picture is not a picture Pillow can read", "no"),
        "4": ("has 1 x 1 pixels: no poster", "no"),
    }
    assert server.asked[picture(1)] == 1
    before = sum(server.asked.values())
    collect(asked)
    assert sum(server.asked.values()) == before
    assert len(read_csv(tmp_path / "skipped.csv")) == 4
    bad.clear()
    asked.retry_skipped = True
    collect(asked)
    assert sum(server.asked.values()) == before + 4
    assert len(read_csv(tmp_path / "train.csv")) == 6
    assert not (tmp_path / "skipped.csv").exists()


def test_passing_failures_are_tried_again(server: TmdbServer, tmp_path: Path) -> None:
    whole = poster(3)
    passing: dict[str, Answer] = {
        picture(1): (503, {}, b""),
        picture(2): (200, {"Content-Length": "99999"}, b"cut"),
        picture(3): (200, {}, whole[: len(whole) // 2]),
        picture(4): (200, {"Transfer-Encoding": "chunked"}, b"9\r\nabc"),
    }
    passing["/3/genre/movie/list?language=en-US"] = (500, {}, b"")
    server.mood = lambda path, times: passing.get(path) if times == 1 else None
    collect(config(server, tmp_path, kinds=["movie"], number=6))
    assert len(read_csv(tmp_path / "train.csv")) == 6
    assert (tmp_path / "Images" / "tmdb-movie-3.jpg").read_bytes() == whole
    assert [server.asked[picture(n)] for n in range(6)] == [1, 2, 2, 2, 2, 1]


def test_what_fails_for_long_is_asked_for_again_by_the_same_command(server: TmdbServer, tmp_path: Path) -> None:
    server.mood = lambda path, times: (502, {}, b"") if path == picture(1) else None
    asked = config(server, tmp_path, kinds=["movie"], number=3, web={"retries": 2})
    with pytest.raises(PartialError, match=r"1 of 3 pictures did not come; the same command asks for them again"):
        collect(asked)
    assert server.asked[picture(1)] == 3
    assert len(read_csv(tmp_path / "train.csv")) == 2
    assert read_csv(tmp_path / "skipped.csv")[0]["again"] == "yes"
    server.mood = lambda path, times: None
    collect(asked)
    assert len(read_csv(tmp_path / "train.csv")) == 3


def test_when_nothing_comes_any_more_the_run_stops_early(
    server: TmdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "HOPELESS", 3)
    server.mood = lambda path, times: (502, {}, b"") if "/t/p/" in path else None
    with pytest.raises(
        DataError, match="3 pictures in a row could not be had; of the last one, the server answers 502"
    ):
        collect(config(server, tmp_path, web={"retries": 0, "connections": 2}))
    assert sum(count for path, count in server.asked.items() if "/t/p/" in path) < 20


@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_holds_all_requests(server: TmdbServer, tmp_path: Path, dated: bool) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True) if dated else "1"
    refused = picture(2)
    server.mood = lambda path, times: (429, {"Retry-After": when}, b"") if path == refused and times == 1 else None
    collect(config(server, tmp_path, kinds=["movie"], number=50, web={"connections": 4}))
    assert len(read_csv(tmp_path / "train.csv")) == 50
    gaps = [after - before for before, after in zip(server.arrivals, server.arrivals[1:], strict=False)]
    assert max(gaps) >= 0.95


def test_a_server_that_wants_to_be_left_alone_for_long_is(server: TmdbServer, tmp_path: Path) -> None:
    server.mood = lambda path, times: (429, {"Retry-After": "86400"}, b"") if path == picture(2) else None
    with pytest.raises(DataError, match="asks to be asked again after 86,400 s; start the same command again then"):
        collect(config(server, tmp_path))


def test_no_more_requests_arrive_than_allowed(server: TmdbServer, tmp_path: Path) -> None:
    collect(config(server, tmp_path, kinds=["movie"], number=50, web={"rate": 30, "connections": 16}))
    assert server.most_in_a_second() <= 30
    assert len(server.arrivals) == 50 + 3 + 1


def test_a_pace_below_one_a_second_stretches_the_second() -> None:
    assert (Pace(0.5).places, Pace(0.5).window) == (1, 2.0)
    assert (Pace(2.5).places, Pace(2.5).window) == (2, 1.0)


def test_a_key_that_is_missing_or_refused_is_told_by_its_name(
    server: TmdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMDB_TOKEN")
    with pytest.raises(ConfigError, match="TMDB asks for a key: export TMDB_TOKEN=…"):
        collect(config(server, tmp_path))
    for name in ("TMDB_API_KEY", "TMDB_TOKEN"):
        monkeypatch.setenv(name, "wrong")
        with pytest.raises(ConfigError, match=rf"TMDB refuses the key in {name} \(its answer is 401\)"):
            collect(config(server, tmp_path))
    monkeypatch.setenv("TMDB_TOKEN", "two words")
    with pytest.raises(ConfigError, match="TMDB_TOKEN holds something that is no key"):
        collect(config(server, tmp_path))


@pytest.mark.parametrize("name", ["TMDB_TOKEN", "TMDB_API_KEY"])
def test_a_key_is_in_nothing_that_is_kept_or_said(
    server: TmdbServer, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TMDB_TOKEN")
    monkeypatch.setenv(name, TOKEN)
    asked = config(server, tmp_path / "set", kinds=["movie"], number=5, web={"retries": 0})
    collect(asked)
    for status, answer in (
        (500, {}), (302, {"Location": f"ftp://elsewhere/?api_key={TOKEN}"}),
        (302, {"Location": f"{server.address}/3/x?api_key={TOKEN}"}), (200, {"Content-Length": "9999"}),
    ):  # fmt: skip
        server.mood = lambda path, times, status=status, answer=answer: (status, answer, b"")  # type: ignore[misc]
        with pytest.raises(DataError) as told:
            collect(config(server, tmp_path / "other", web={"retries": 0}))
        assert TOKEN not in repr(told.value)
        assert TOKEN not in "".join(map(str, told.value.__dict__.values()))
    printed = capfd.readouterr()
    assert TOKEN not in printed.out + printed.err
    found = list(texts(tmp_path))
    assert len(found) > 10
    assert not [path for path, text in found if TOKEN in text]


def test_a_token_does_not_follow_a_redirection(server: TmdbServer, tmp_path: Path) -> None:
    with TmdbServer() as other:
        server.mood = lambda path, times: (302, {"Location": f"{other.address}{path}"}, b"") if "/3/" in path else None
        with pytest.raises(ConfigError, match="TMDB refuses the key"):  # the other one was not told
            collect(config(server, tmp_path))
        assert sum(other.asked.values()) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"api": "http://api.themoviedb.org/3"}, "would have the key sent in the open; it must be https"),
        ({"filters": {"api_key": "x"}}, "would be written into files; export TMDB_TOKEN instead"),
        ({"kinds": ["film"]}, "tmdb.kinds takes movie, tv, not film"),
        ({"kinds": []}, "tmdb.kinds takes movie, tv, not nothing"),
        ({"size": "w300"}, "tmdb.size takes w92, .* not w300"),
        ({"languages": ["korean"]}, "'korean' is no code of two letters"),
        ({"countries": [False]}, "False is no code of two letters such as ko, KR or 'NO'"),
        ({"number": 0}, "tmdb.number must be at least 1"),
        ({"first_year": 2010, "last_year": 2000}, "tmdb.first_year=2010 is after"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TmdbConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "takes a preset .* none is given"),
        ({"source": "tmdb", "merge": ["a"]}, "not two of them"),
        ({"source": "imdb"}, "no source 'imdb'; known: tmdb, archive, csv, folder"),
        ({"source": "archive"}, "source=archive needs url=…"),
        ({"source": "folder"}, "source=folder needs path=…"),
        ({"source": "archive", "url": "x", "sha256": "12"}, "64 hexadecimal digits"),
        ({"source": "csv", "path": "x", "repeats": "last"}, "no repeats 'last'; known: union, first"),
    ],
)
def test_sources_that_cannot_work_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CollectConfig(**settings)


@pytest.mark.parametrize("preset", sorted(path.stem for path in (CONF / "collect").glob("*.yaml")))
def test_every_preset_composes(preset: str) -> None:
    register("collect", CollectConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = parse(compose("collect", overrides=[f"collect={preset}"]), CollectConfig)
        assert parse(compose("collect", overrides=["source=csv", "path=x"]), CollectConfig).output == "data/collected"
    expected = {
        "kdrama": ("tmdb", "data/kdrama"), "netflix": ("tmdb", "data/netflix"), "india": ("tmdb", "data/india"),
        "original": ("archive", "data/posters"),
    }  # fmt: skip
    assert (composed.source, composed.output) == expected[preset]


def test_a_folder_of_something_else_or_of_another_set_is_left_alone(server: TmdbServer, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").touch()
    with pytest.raises(DataError, match="mine holds something else; give another output=FOLDER"):
        collect(config(server, tmp_path / "mine"))
    collect(config(server, tmp_path / "set", kinds=["movie"], number=2))
    with pytest.raises(DataError, match=r"set was begun with tmdb.kinds=\['movie'\], not \['tv'\]; give another"):
        collect(config(server, tmp_path / "set", kinds=["tv"], number=2))
    collect(config(server, tmp_path / "set", kinds=["movie"], number=4, web={"rate": 999}))  # more of the same
    assert len(read_csv(tmp_path / "set" / "train.csv")) == 4
    assert server.asked[picture(0)] == 1


def test_an_answer_that_is_not_tmdbs_is_told(server: TmdbServer, tmp_path: Path) -> None:
    for content, message in ((b"{}", "the answer is not as TMDB's are"), (b"[1", "the answer is no whole JSON")):
        server.mood = lambda path, times, content=content: (200, {}, content)  # type: ignore[misc]
        with pytest.raises(DataError, match=message):
            collect(config(server, tmp_path, web={"retries": 1}))


def test_ctrl_c_keeps_what_came(server: TmdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    told = r"stopped; what came is kept in .*, and the same command goes on with it"
    with monkeypatch.context() as patched:
        patched.setattr(asking.Asker, "fetch", interrupt)
        with pytest.raises(StoppedError, match=told):
            collect(config(server, tmp_path))
    collect(config(server, tmp_path, number=3))


def start(server: TmdbServer, folder: Path, *settings: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "scripts" / "collect.py"), *server.settings, *settings]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip


def until(server: TmdbServer, requests: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(server.arrivals) < requests:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_three_thousand_titles_survive_two_kills_at_the_allowed_rate(tmp_path: Path) -> None:
    rate, total = 400, 3000
    whole = poster(9)
    moods: dict[int, Answer] = {
        100: (429, {"Retry-After": "1"}, b""), 101: (503, {}, b""), 102: (200, {"Content-Length": "99999"}, whole),
        1500: (429, {"Retry-After": "1"}, b""), 2500: (200, {}, whole[:300]),
    }  # fmt: skip
    lost: dict[int, Answer] = {77: NOT_THERE, 1077: (200, {"Content-Type": "text/html"}, b"<html>not here")}
    unpostered, genreless = 5, 6

    def mood(path: str, times: int) -> Answer | None:
        if "/t/p/" in path:
            number = int("".join(letter for letter in path.rpartition("/")[2] if letter.isdecimal()))
            if number % 97 == 0:
                time.sleep(0.2)
            return lost.get(number) or (moods.get(number) if times == 1 else None)
        return (500, {}, b"") if "page=7" in path and times == 1 else None

    movies = [make_title(n) for n in range(total + 2)]
    movies[unpostered]["poster_path"] = None
    movies[genreless]["genre_ids"] = [1]
    settings = [
        "source=tmdb", "output=set", "tmdb.kinds=[movie]", f"tmdb.number={total}", f"web.rate={rate}", 
        "web.backoff=0.05", "web.connections=16", "hydra.run.dir=log",
    ]  # fmt: skip
    with TmdbServer(movies=movies) as running:
        running.mood = mood
        said = ""
        for requests in (700, 1900):
            process = start(running, tmp_path, *settings)
            until(running, requests, process)
            process.kill()
            said += process.communicate()[0]
            assert process.returncode == -signal.SIGKILL
            assert not (tmp_path / "set" / "train.csv").exists()
        process = start(running, tmp_path, *settings)
        said += process.communicate(timeout=300)[0]
        assert process.returncode == 0, said
        assert running.most_in_a_second() <= rate
        again = sum(count - 1 for count in running.served.values())
        assert again <= 2 * 16  # what was under way when it was killed
        finished = sum(running.asked.values())
        process = start(running, tmp_path, *settings)
        said += process.communicate(timeout=300)[0]
        assert process.returncode == 0, said
        assert sum(running.asked.values()) == finished
    expected = [
        {
            "image": f"Images/tmdb-movie-{n}.jpg", "id": f"tmdb-movie-{n}", "title": title["title"],
            "genres": "|".join(GENRES["movie"][genre] for genre in title["genre_ids"]),
            "year": title["release_date"][:4], "decade": f"{title['release_date'][:3]}0s", "country": "",
            "language": title["original_language"], "kind": "movie",
            "popularity": str(title["popularity"]), "source": "tmdb",
        }
        for n, title in enumerate(movies)
        if n not in (*lost, unpostered, genreless)
    ]  # fmt: skip
    assert len(expected) == total - 2
    assert read_csv(tmp_path / "set" / "train.csv") == expected
    assert {path.name for path in (tmp_path / "set" / "Images").iterdir()} == {f"{row['id']}.jpg" for row in expected}
    for row in expected:
        number = int(row["id"].rpartition("-")[2])
        assert (tmp_path / "set" / row["image"]).read_bytes() == poster(number)
    assert {row["id"] for row in read_csv(tmp_path / "set" / "skipped.csv")} == {
        f"tmdb-movie-{n}" for n in (*lost, unpostered, genreless)
    }
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
        ".collect", "ATTRIBUTION.txt", "Images", "provenance.json", "skipped.csv", "train.csv",
    ]  # fmt: skip
    assert not list((tmp_path / "set" / ".collect" / "drafts").iterdir())
    assert TOKEN not in said
    assert "2,998 posters of 3 genres" in said
    kept = list(texts(tmp_path))
    assert {"config.yaml", "overrides.yaml", "collect.log"} <= {path.name for path, _ in kept}
    assert not [path for path, text in kept if TOKEN in text]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_says_so_in_words_and_in_the_exit_status(number: signal.Signals, tmp_path: Path) -> None:
    with TmdbServer(movies=[make_title(n) for n in range(400)]) as running:
        process = start(running, tmp_path, "source=tmdb", "tmdb.kinds=[movie]", "web.rate=20")
        until(running, 10, process)
        process.send_signal(number)
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 128 + number, said
    assert "stopped; what came is kept in data/collected, and the same command goes on with it" in said
    assert "Traceback" not in said


def test_what_is_collected_trains(server: TmdbServer, tmp_path: Path) -> None:
    collect(config(server, tmp_path / "set", number=50))
    training = small_config(tmp_path / "set", tmp_path / "run")
    training.trainer.max_epochs = 2
    trained = train(training)
    assert trained.scores["num_posters"] == 10
    assert 0 < trained.score <= 1
