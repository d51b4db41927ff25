"""Keys and passwords are used, and stand in nothing that is left behind: no table, log, config, checkpoint or page."""

import io
import os
import re
import sqlite3
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conftest import ROOT, Server, read_csv
from postergenre.web import without_secrets
from servers import PATIENCE, picture, served
from tmdb_server import TOKEN, TmdbServer, make_title

PASSWORD, KEY, SERVER_TOKEN = "planted-4c2a7f", "planted-9b1d3e", "planted-e0f6a8"
PLANTED = (TOKEN, PASSWORD, KEY, SERVER_TOKEN)
SMALL = [
    "model=tiny", "data.workers=0", "data.min_positives=5", "data.batch_size=16", "preprocess.height=32",
    "preprocess.width=24", "trainer.max_epochs=2", "trainer.gpus=0",
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://me:secret@host/a.jpg", "http://***@host/a.jpg"),
        ("http://secret@host/a.jpg", "http://***@host/a.jpg"),
        ("postgresql+psycopg://u:p%40ss@db:5432/x", "postgresql+psycopg://***@db:5432/x"),
        ("https://h/a?id=7&api_key=s&x=1", "https://h/a?id=7&api_key=***&x=1"),
        (
            "https://h/a?X-Amz-Credential=s/20&X-Amz-Signature=s#x",
            "https://h/a?X-Amz-Credential=***&X-Amz-Signature=***#x",
        ),
        ("https://h/a?access_token=s;SIG=t", "https://h/a?access_token=***;SIG=***"),
        ("posters='http://a:b@h/x?key=s' top=3", "posters='http://***@h/x?key=***' top=3"),
        ("[http://a:b@h/x,http://c:d@h/y]", "[http://***@h/x,http://***@h/y]"),
        ("https://h/a?keyword=cat&monkey=1&author=x", "https://h/a?keyword=cat&monkey=1&author=x"),
        ("https://h/me@home.jpg", "https://h/me@home.jpg"),
        ("a@b.jpg?key=1", "a@b.jpg?key=1"),
        ("/data/key=x/y", "/data/key=x/y"),
    ],
)
def test_what_is_secret_in_an_address_is_hidden_and_nothing_else(given: str, kept: str) -> None:
    assert without_secrets(given) == kept
    assert without_secrets(kept) == kept


def layers(content: bytes) -> Iterator[bytes]:
    """Yield a file's content, and what is in it where it is an archive or a picture with packed text."""
    yield content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from layers(archive.read(name))
    if content.startswith(b"\x89PNG"):
        for packed in re.findall(rb"(?:zTXt|iTXt|IDAT)(.+?)(?=....[A-Za-z]{4}|$)", content, re.DOTALL)[:4]:
            for start in range(40):
                try:
                    yield zlib.decompressobj().decompress(packed[start:], 100_000)
                except zlib.error:
                    continue
    if content.startswith(b"SQLite format 3"):
        with sqlite3.connect(":memory:") as database:
            database.deserialize(content[:18] + b"\1\1" + content[20:])  # as one without a journal beside it
            yield "\n".join(database.iterdump()).encode()


def holds(content: bytes) -> list[str]:
    """Return the planted values in some bytes, in any of the ways that text is written."""
    told = []
    for value in PLANTED:
        spellings = [value.encode(kind) for kind in ("utf-8", "utf-16-le", "utf-32-le")] + [value[::-1].encode()]
        if any(spelling in layer for layer in layers(content) for spelling in spellings):
            told.append(value)
    return told


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.pkl", f"xx{KEY}xx" * 10)
    database = tmp_path / "a.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table t (x)")
        connection.execute("insert into t values (?)", [PASSWORD])
    assert holds(packed.getvalue()) == [KEY]
    assert holds(database.read_bytes()) == [PASSWORD]
    assert holds(f"…{TOKEN}…".encode("utf-16")) == [TOKEN]
    assert holds(b"nothing") == []


@pytest.mark.slow
def test_a_whole_run_leaves_no_secret_anywhere(tmp_path: Path) -> None:
    """Collect, train, evaluate, predict, export, serve, sweep, each as people start it, and look into every file."""
    said = b""
    environment = os.environ | {
        "TMDB_TOKEN": TOKEN, "POSTERGENRE_TOKEN": SERVER_TOKEN, "no_proxy": "*", "HOME": str(tmp_path / "home"),
        "HYDRA_FULL_ERROR": "1",
    }  # fmt: skip
    environment.pop("TMDB_API_KEY", None)

    def run(script: str, *arguments: str, status: int = 0) -> None:
        nonlocal said
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments], cwd=tmp_path, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False,
        )  # fmt: skip
        said += done.stdout
        assert done.returncode == status, done.stdout.decode()

    with TmdbServer(movies=[make_title(n) for n in range(60)], series=[make_title(n, "tv") for n in range(40)]) as tmdb:
        run("collect", "source=tmdb", "output=set", "tmdb.number=40", "web.rate=1000", *tmdb.settings)
        assert [headers for headers in tmdb.asked if TOKEN in headers] == []  # it travels in a header
    best = "checkpoint=run/checkpoints/best.ckpt"
    run("train", "data.root=set", *SMALL, "hydra.run.dir=run")
    run("evaluate", best, "split=val", "gpus=0", "num_resamples=100", "hydra.run.dir=scores")
    run("export", best, "hydra.run.dir=exported")
    with Server() as web:
        host = web.address.removeprefix("http://")
        address = f"http://me:{PASSWORD}@{host}/a.png?id=7&api_key={KEY}"
        gone = f"http://me:{PASSWORD}@{host}/gone.png?token={KEY}"
        web.pages[f"/a.png?id=7&api_key={KEY}"] = picture()
        (tmp_path / "list.csv").write_text(f"image,genres\n{address},x\n{gone},x\n")
        for output in ("a.csv", "a.jsonl", "a.parquet"):
            run("predict", best, "posters=list.csv", "gpus=0", f"output={output}", "annotate=true", "sheet=true",
                f"hydra.run.dir=answers/{output}", status=3)  # fmt: skip
        run("predict", best, "posters=list.csv", "gpus=0", "output=a.csv", "hydra.run.dir=answers/again", status=3)
        run("predict", best, f'posters="{address}"', "gpus=0", "hydra.run.dir=answers/one")
        assert web.headers["Authorization"].startswith("Basic ")
        assert f"/a.png?id=7&api_key={KEY}" in web.asked
        run("predict", best, f'posters="http://me:{PASSWORD}@[::1/x"', "gpus=0", "hydra.run.dir=answers/none", status=1)
        run("predict", best, f'posters="http://me:{PASSWORD}@127.0.0.1:9/x?key={KEY}"', "gpus=0",
            "hydra.run.dir=answers/nobody", status=1)  # fmt: skip
    (tmp_path / "list.csv").unlink()
    rows = read_csv(tmp_path / "a.csv")
    assert [row["poster"] for row in rows] == [without_secrets(address), without_secrets(gone)]
    assert (bool(rows[0]["genres"]), "404" in rows[1]["error"]) == (True, True)
    search = ["data.root=set", *SMALL, "~sweep", "study=colours", "+space.optim.lr={low: 1e-4, high: 1e-1, log: true}"]
    run("sweep", *search, "trials=2", "hydra.run.dir=sweep")
    run("sweep", *search, f"storage=postgresql://me:{PASSWORD}@127.0.0.1:9/x", "hydra.run.dir=elsewhere", status=1)
    with served(tmp_path / "run/checkpoints/best.ckpt", tmp_path / "served", token=SERVER_TOKEN) as server:
        headers = {"Authorization": f"Bearer {SERVER_TOKEN}"}
        assert server.post(picture(), headers=headers).status_code == 200
        assert server.post(picture(), headers={"Authorization": "Bearer no"}).status_code == 401
        assert server.post(b"no picture", headers=headers).status_code == 415
        for path in ("/info", "/metrics", "/docs", "/openapi.json", "/", "/page/page.js"):
            said += httpx.get(server.url + path, headers=headers, timeout=PATIENCE).content
    assert holds(said) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.suffix for path in files} | {path.name for path in files}
    assert {".ckpt", ".onnx", ".csv", ".jsonl", ".parquet", ".yaml", ".log", ".html", ".png", ".json", ".db"} <= names
    assert any("tfevents" in name for name in names)
    assert [path for path in files if holds(path.read_bytes())] == []
    assert [path for path in tmp_path.rglob("*") if holds(str(path).encode())] == []
