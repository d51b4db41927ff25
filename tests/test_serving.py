"""A server answers as its checkpoint does, refuses in sentences, and survives what happens to servers."""

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from conftest import COLOURS, ROOT, picture_modes
from postergenre import load
from postergenre.errors import ConfigError
from postergenre.export import ExportConfig, export
from postergenre.preprocess import Preprocess
from postergenre.serving import ServeConfig
from postergenre.serving.heatmap import overlay
from postergenre.serving.line import Line
from postergenre.serving.refusal import Refusal
from postergenre.serving.uploads import check_picture
from postergenre.training import Trained
from servers import PATIENCE, Server, alive, children, picture, served, wait_for

RED, GREEN = (220, 30, 30), (30, 220, 30)


@pytest.fixture(scope="module")
def server(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = ("max_body_mb=0.5", "max_pixels=250000", "max_posters=4", "batch_size=4")
    with served(trained.best, tmp_path_factory.mktemp("server"), *settings) as running:
        yield running


@pytest.fixture(scope="module")
def small(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that soon loses patience, with room for two and a token."""
    folder = tmp_path_factory.mktemp("small")
    with served(trained.best, folder, "queue=2", "timeout=2", token="let-me-in") as running:
        yield running


def told(answer: httpx.Response) -> str:
    """Return why a request was refused, having seen that this is one sentence and gives nothing away."""
    body = answer.json()
    assert set(body) == {"error"}
    assert "Traceback" not in body["error"]
    assert str(ROOT) not in body["error"]
    assert "\n" not in body["error"]
    return body["error"]


@pytest.mark.slow
def test_one_poster_is_answered_as_the_checkpoint_does(server: Server, trained: Trained) -> None:
    answer = server.post(picture(RED))
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"genres", "model", "time_ms"}
    assert (body["model"], body["time_ms"] > 0) == ("tiny", True)
    expected = load(trained.best, gpus=0, precision="32")
    probabilities = expected.predict(picture(RED)).probabilities
    assert [genre["name"] for genre in body["genres"]] == sorted(probabilities, key=lambda name: -probabilities[name])
    for genre in body["genres"]:
        assert genre["probability"] == pytest.approx(probabilities[genre["name"]], abs=1e-4)
        threshold = expected.contract.thresholds[list(expected.contract.genres).index(genre["name"])]
        assert genre["threshold"] == pytest.approx(threshold)
        assert genre["above_threshold"] == (genre["probability"] >= threshold)
    assert body["genres"][0] == body["genres"][0] | {"name": "Red", "above_threshold": True}


@pytest.mark.slow
def test_several_posters_are_answered_in_order_and_a_broken_one_in_its_place(server: Server) -> None:
    body = server.post(picture(RED), b"no picture", picture(GREEN)).json()
    assert [entry["name"] for entry in body["posters"]] == ["0.png", "1.png", "2.png"]
    assert [entry.get("genres", [{}])[0].get("name") for entry in body["posters"]] == ["Red", None, "Green"]
    assert "not a picture" in body["posters"][1]["error"]


@pytest.mark.slow
def test_base64_in_json_is_answered_like_a_file(server: Server) -> None:
    text = base64.b64encode(picture(RED)).decode()
    file = server.post(picture(RED)).json()["genres"]
    for poster in (text, f"data:image/png;base64,{text}"):
        assert httpx.post(f"{server.url}/predict", json={"poster": poster}).json()["genres"] == file
    (entry,) = httpx.post(f"{server.url}/predict", json={"posters": [text]}).json()["posters"]
    assert entry == {"name": "", "genres": file}


@pytest.mark.slow
def test_pictures_of_every_mode_are_answered_as_the_checkpoint_does(
    server: Server, trained: Trained, tmp_path: Path
) -> None:
    files = {mode: path.read_bytes() for mode, path in picture_modes(tmp_path).items()}
    with Image.open(tmp_path / "RGBA.png") as poster:
        rare = {"LAB": Image.frombytes("LAB", poster.size, poster.convert("RGB").tobytes())}
        rare |= {mode: poster.convert("RGB").convert(mode) for mode in ("RGBX", "HSV")}
        rare |= {mode: poster.convert(mode) for mode in ("RGBa", "La")}
        rare["I;16B"] = Image.frombytes("I;16B", poster.size, np.asarray(poster.convert("L"), ">u2").tobytes())
        for mode, shown in rare.items():
            file = io.BytesIO()
            try:
                shown.save(file, "TIFF")
            except OSError:
                assert mode in ("HSV", "RGBa", "La"), "modes that no file holds"
                continue
            files[mode] = file.getvalue()
    assert {"LAB", "RGBX", "I;16B", "CMYK", "float", "EXIF sideways"} <= set(files)
    expected = load(trained.best, gpus=0, precision="32")
    told = set()
    for mode, data in files.items():
        answer = server.post(data)
        assert answer.status_code == 200, (mode, answer.text)
        here = {genre["name"]: genre["probability"] for genre in answer.json()["genres"]}
        assert here == pytest.approx(expected.predict(data).probabilities, abs=1e-4), mode
        told.add(tuple(round(here[name], 2) for name in COLOURS))
    assert len(told) > 3, "the pictures differ, so that the test can fail"


@pytest.mark.slow
def test_an_exported_network_is_served_without_heat_maps(trained: Trained, tmp_path: Path) -> None:
    exported = export(ExportConfig(checkpoint=str(trained.best), format="onnx", output_dir=str(tmp_path / "export")))
    with served(exported.path, tmp_path) as server:
        assert httpx.get(f"{server.url}/info").json()["explains"] is False
        expected = load(trained.best, gpus=0, precision="32").predict(picture(GREEN)).probabilities
        genres = server.post(picture(GREEN)).json()["genres"]
        assert {genre["name"]: genre["probability"] for genre in genres} == pytest.approx(expected, abs=1e-4)
        answer = server.post(picture(GREEN), path="/explain", data={"genre": "Green"})
        assert (answer.status_code, "serve the checkpoint" in told(answer)) == (501, True)


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "request_", "sentence"),
    [
        (415, {"content": b"x"}, "multipart/form-data"),
        (415, {"content": b"x", "headers": {"Content-Type": "text/html"}}, "not text/html"),
        (400, {"files": [("genre", (None, "Red"))]}, "no poster"),
        (400, {"json": {}}, "no poster"),
        (400, {"json": {"posters": []}}, "no poster"),
        (400, {"content": b"{", "headers": {"Content-Type": "application/json"}}, "not JSON"),
        (400, {"content": b"[" * 100000, "headers": {"Content-Type": "application/json"}}, "not JSON"),
        (400, {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "boundary"),
        (422, {"json": {"url": "http://example.org/a.jpg"}}, "nothing else"),
        (422, {"json": {"poster": "http://example.org/a.jpg"}}, "not fetched"),
        (422, {"json": {"poster": "file:///etc/passwd"}}, "not fetched"),
        (422, {"json": {"poster": "/etc/hostname!"}}, "not base64"),
        (422, {"json": {"poster": 7}}, "base64"),
        (422, {"json": {"poster": "AAAA", "posters": []}}, "either"),
        (422, {"data": {"poster": "/etc/passwd"}, "files": {"other": b"x"}}, "no file"),
        (415, {"files": {"poster": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"}}, "JPEG, PNG"),
        (415, {"files": {"poster": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}}, "not a picture"),
        (422, {"files": {"poster": b""}}, "empty"),
        (422, {"files": {"poster": picture(RED, "BMP")[:-600]}}, "decode"),
        (422, {"files": {"poster": picture(RED, "JPEG")[:500]}}, "broken"),
        (413, {"files": [("poster", picture())] * 5}, "the most is 4"),
        (413, {"files": {"poster": b"x" * 600_000}}, "larger than 0.5 MB"),
        (413, {"content": iter([b"x" * 300_000] * 2), "headers": {"Content-Type": "application/json"}}, "0.5 MB"),
    ],
)
def test_what_cannot_be_answered_is_told(server: Server, status: int, request_: dict[str, Any], sentence: str) -> None:
    answer = httpx.post(f"{server.url}/predict", timeout=PATIENCE, **request_)
    assert (answer.status_code, sentence in told(answer)) == (status, True), answer.text
    assert server.post(picture(RED)).status_code == 200


@pytest.mark.slow
def test_a_bomb_is_refused_by_its_first_bytes(server: Server) -> None:
    for side in (600, 30_000):  # the second is beyond what Pillow itself opens
        file = io.BytesIO()
        Image.new("1", (side, side)).save(file, "PNG")
        answer = server.post(file.getvalue())
        assert (answer.status_code, "pixels" in told(answer)) == (413, True)


@pytest.mark.slow
def test_paths_and_methods_that_there_are_not_are_told(server: Server) -> None:
    for path in ("/nothing", "/examples/99.png", "/examples/x.png", "/page/../run.py", "/page/%2e%2e/run.py"):
        answer = httpx.get(server.url + path)
        assert (answer.status_code, "docs" in told(answer)) == (404, True), path
    assert httpx.get(f"{server.url}/predict").status_code == 405


@pytest.mark.slow
def test_the_server_says_who_answers(server: Server) -> None:
    info = httpx.get(f"{server.url}/info")
    body = info.json()
    assert [genre["name"] for genre in body["genres"]] == list(COLOURS)
    assert body["preprocess"] == [{"height": 32, "width": 24, "resize": "stretch"}]
    assert (body["explains"], body["limits"]["max_posters"], body["limits"]["queue"]) == (True, 4, 64)
    assert "pytest" not in info.text, "a path of the machine that trained"
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}


@pytest.mark.slow
def test_openapi_has_examples_that_are_answered(server: Server) -> None:
    schema = httpx.get(f"{server.url}/openapi.json").json()
    assert set(schema["paths"]) == {"/predict", "/explain", "/health", "/info", "/metrics"}
    predict = schema["paths"]["/predict"]["post"]
    assert {"200", "413", "415", "422", "503", "504"} <= set(predict["responses"])
    examples = predict["requestBody"]["content"]["application/json"]["examples"]
    shapes = predict["responses"]["200"]["content"]["application/json"]["examples"]
    for name, example in examples.items():
        answer = httpx.post(f"{server.url}/predict", json=example["value"])
        assert answer.status_code == 200
        assert set(answer.json()) == set(shapes[name]["value"])
    page = httpx.get(f"{server.url}/docs")
    assert all(path in page.text for path in schema["paths"])
    assert "http" not in re.sub(r"http://www.w3.org\S+", "", page.text).replace("HTTP", "")


@pytest.mark.slow
def test_metrics_count_what_happened(server: Server) -> None:
    ok = 'postergenre_requests_total{path="/predict",status="200"}'
    server.post(picture())
    before, batches = server.metric(ok), server.metric("postergenre_batch_posters_sum")
    server.post(picture(), picture(), picture())
    server.post(b"no picture")
    assert server.metric(ok) == before + 1
    assert server.metric('postergenre_requests_total{path="/predict",status="415"}') >= 1
    assert server.metric("postergenre_batch_posters_sum") == batches + 3
    assert server.metric("postergenre_waiting_posters") == 0
    assert server.metric('postergenre_request_seconds_count{path="/predict"}') > before


@pytest.mark.slow
def test_a_heat_map_is_a_picture_of_the_posters_shape(server: Server) -> None:
    def ask(data: bytes, genre: str) -> httpx.Response:
        return server.post(data, path="/explain", data={"genre": genre})

    answer = ask(picture(RED), "Red")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(answer.content)) as heat:
        assert (heat.mode, heat.size) == ("RGBA", (48, 72))
    with Image.open(io.BytesIO(ask(picture(RED, "JPEG", exif=_turned()), "Red").content)) as heat:
        assert heat.size == (72, 48)
    refused = ask(picture(RED), "Purple")
    assert (refused.status_code, "known: Red, Green, Blue" in told(refused)) == (422, True)
    assert ask(b"no picture", "Red").status_code == 415


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
def test_a_heat_map_lies_where_the_network_looked(resize: str) -> None:
    """A bright spot goes through a preprocessing as a poster, and comes back as heat to where it was."""
    preprocess = Preprocess(height=90, width=60, resize=resize)
    size = (400, 300)
    poster = np.zeros((300, 400, 3), np.uint8)
    poster[60:120, 180:240] = 255
    heat = preprocess(Image.fromarray(poster))[0].numpy().astype(np.float32) / 255
    with Image.open(io.BytesIO(overlay([(preprocess, heat)], size))) as shown:
        brightness = np.asarray(shown.convert("RGB").convert("L")).astype(float)
        assert shown.size == size
    rows, columns = np.nonzero(brightness > 0.7 * brightness.max())
    assert rows.mean() == pytest.approx(90, abs=4)
    assert columns.mean() == pytest.approx(210, abs=4)


@pytest.mark.slow
def test_the_token_is_asked_for(small: Server) -> None:
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": "let-me-in"}, {"Authorization": "Bearer é"}):
        encoded = {name: value.encode() for name, value in headers.items()}
        for path in ("/info", "/metrics"):
            assert httpx.get(small.url + path, headers=encoded).status_code == 401
        answer = small.post(picture(), headers=encoded)
        assert (answer.status_code, answer.headers["www-authenticate"], "token" in told(answer)) == (
            401,
            "Bearer",
            True,
        )
    assert small.post(picture(), headers={"Authorization": "Bearer let-me-in"}).status_code == 200
    for path in ("/", "/health", "/docs", "/page/page.css", "/examples/0.png"):
        assert httpx.get(small.url + path).status_code == 200
    assert "let-me-in" not in small.log.read_text()


def test_the_token_is_read_from_the_environment_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERGENRE_TOKEN", "secret")
    config = ServeConfig(checkpoint="a.ckpt")
    assert config.token == "secret"
    assert "secret" not in repr(config)


def begun(server: Server, *, length: int = 100, token: str = "") -> socket.socket:
    """Return a connection on which a request has begun and does not go on."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    lines = [
        "POST /predict HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {length}",
        *([f"Authorization: Bearer {token}"] if token else []), "", "{",
    ]  # fmt: skip
    connection.sendall("\r\n".join(lines).encode())
    return connection


@pytest.mark.slow
def test_beyond_its_bound_the_server_says_when_to_come_back(small: Server) -> None:
    token = {"Authorization": "Bearer let-me-in"}
    held = [begun(small, token="let-me-in") for _ in range(2)]
    wait_for(lambda: "waiting_posters 2.0" in httpx.get(f"{small.url}/metrics", headers=token).text)
    answer = small.post(picture(), headers=token)
    assert (answer.status_code, answer.headers["retry-after"], "busy" in told(answer)) == (503, "1", True)
    for connection in held:  # slower than two seconds
        with connection, connection.makefile("rb") as file:
            answered = file.read().decode()
        assert answered.startswith("HTTP/1.1 408")
        assert "did not arrive within 2 seconds" in answered
    assert small.post(picture(), headers=token).status_code == 200


@pytest.mark.slow
def test_an_answer_that_takes_too_long_is_given_up(small: Server) -> None:
    token = {"Authorization": "Bearer let-me-in"}
    os.kill(small.worker(), signal.SIGSTOP)
    try:
        answer = small.post(picture(), headers=token)
        assert (answer.status_code, "within 2 seconds" in told(answer)) == (504, True)
    finally:
        os.kill(small.worker(), signal.SIGCONT)
    assert small.post(picture(), headers=token).status_code == 200


def test_a_request_never_holds_more_places_than_there_are() -> None:
    line = Line(3, patience=30)
    with line.place() as hold:
        hold(3)
        with pytest.raises(Refusal, match="busy"), line.place():
            pass
        assert line.length == 3
    with pytest.raises(Refusal, match="busy"), line.place() as hold:
        hold(4)
    assert line.length == 0


def test_nobody_is_let_in_whose_turn_would_come_too_late() -> None:
    now = 100.0
    line = Line(64, patience=30, clock=lambda: now)
    with ExitStack() as held:
        for _ in range(20):
            held.enter_context(line.place())
        for _ in range(8):  # a poster takes two seconds
            now += 2
            line.answered()
        with pytest.raises(Refusal, match="busy") as refused, line.place():  # the 21st would wait for 42 seconds
            pass
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "12"})
    with line.place() as hold:  # nobody waits any more
        hold(64)
    assert line.length == 0


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_every_poster_answered(trained: Trained, tmp_path: Path) -> None:
    with served(trained.best, tmp_path, "batch_size=2", "timeout=110") as server:
        worker = server.worker()
        names = ["Red", "Green"] * 12
        os.kill(worker, signal.SIGSTOP)  # so that it dies with posters in its hands and in the queue
        with ThreadPoolExecutor(len(names)) as pool:
            asked = [pool.submit(server.post, picture(RED if name == "Red" else GREEN)) for name in names]
            wait_for(lambda: server.metric("postergenre_waiting_posters") == len(names))
            os.kill(worker, signal.SIGCONT)
            os.kill(worker, signal.SIGKILL)
            answers = [future.result() for future in asked]
        assert [answer.status_code for answer in answers] == [200] * len(names)
        assert [answer.json()["genres"][0]["name"] for answer in answers] == names
        assert server.metric("postergenre_replaced_workers") == 1
        assert server.worker() != worker
        assert httpx.get(f"{server.url}/health").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_answers_what_it_accepted_and_leaves_nothing(
    number: signal.Signals, trained: Trained, tmp_path: Path
) -> None:
    body = json.dumps({"poster": base64.b64encode(picture(RED)).decode()}).encode()
    with served(trained.best, tmp_path) as server:
        processes = [server.process.pid, *children(server.process.pid)]
        connection = begun(server, length=len(body))
        wait_for(lambda: server.metric("postergenre_waiting_posters") == 1)
        for pid in processes if number == signal.SIGINT else processes[:1]:  # Ctrl-C reaches all of them
            os.kill(pid, number)
        wait_for(lambda: not _listens(server))
        connection.sendall(body[1:])
        with connection.makefile("rb") as file:
            answer = file.read().decode()
        connection.close()
        assert answer.startswith("HTTP/1.1 200")
        assert '"Red"' in answer
        assert server.process.wait(PATIENCE) == 128 + number
        wait_for(lambda: not any(alive(pid) for pid in processes), seconds=20)
        assert "Traceback" not in server.log.read_text()


def _listens(server: Server) -> bool:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as attempt:
        return attempt.connect_ex((host, int(port))) == 0


@pytest.mark.slow
def test_a_killed_server_leaves_no_processes(trained: Trained, tmp_path: Path) -> None:
    with served(trained.best, tmp_path) as server:
        processes = children(server.process.pid)
        assert len(processes) >= 2
        server.process.kill()
        wait_for(lambda: not any(alive(pid) for pid in processes), seconds=30)


@pytest.mark.slow
def test_a_server_that_cannot_answer_any_more_ends(trained: Trained, tmp_path: Path) -> None:
    with served(trained.best, tmp_path) as server:
        processes = children(server.process.pid)
        (queues,) = [pid for pid in processes if b"serve.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(queues, signal.SIGKILL)
        assert server.process.wait(PATIENCE) == 1
        assert "the process that holds the queues has died" in server.log.read_text()
        wait_for(lambda: not any(alive(pid) for pid in processes), seconds=30)


@pytest.mark.slow
def test_a_server_that_cannot_start_says_so_in_one_line(trained: Trained, tmp_path: Path, server: Server) -> None:
    port = server.url.rpartition(":")[2]
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(b"no checkpoint")
    for settings, sentence in (
        ([f"checkpoint={trained.best}", f"port={port}"], "cannot listen on 127.0.0.1"),
        ([f"checkpoint={broken}"], "is not a checkpoint that can be used"),
    ):
        command = [sys.executable, str(ROOT / "scripts" / "serve.py"), *settings]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert sentence in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["broken.ckpt"], "a server leaves no folder"


@pytest.mark.parametrize(
    "settings",
    [{"queue": 0}, {"timeout": 0}, {"max_body_mb": float("nan")}, {"port": 70000}, {"token": "a b"}, {"tta": "x"},
     {"batch_timeout_ms": 40_000}, {"threads": -1}],
)  # fmt: skip
def test_settings_that_cannot_work_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        ServeConfig(checkpoint="a.ckpt", **settings)


@pytest.mark.slow
def test_the_readmes_client_lines_work_as_written(server: Server, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Serve")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(bash|python)\n(.*?)```", section, re.DOTALL)
    curls = [line for kind, text in blocks if kind == "bash" for line in text.splitlines() if line.startswith("curl")]
    programs = [text for kind, text in blocks if kind == "python"]
    assert len(curls) >= 2
    assert programs
    (tmp_path / "poster.jpg").write_bytes(picture(RED, "JPEG"))
    (tmp_path / "other.jpg").write_bytes(picture(GREEN, "JPEG"))
    assert shutil.which("curl"), "the README speaks of curl"
    for command in [["bash", "-c", line] for line in curls] + [[sys.executable, "-c", text] for text in programs]:
        local = [part.replace("http://127.0.0.1:8000", server.url) for part in command]
        done = subprocess.run(local, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        heat = "explain" in local[-1]
        assert heat or "Red" in done.stdout, done.stdout
        if heat:
            with Image.open(tmp_path / "heat.png") as picture_:
                assert picture_.format == "PNG"


@pytest.mark.slow
def test_many_clients_at_once_are_all_answered_rightly(server: Server) -> None:
    wrong: list[str] = []

    def client(name: str, data: bytes) -> None:
        with httpx.Client(timeout=PATIENCE) as session:
            for _ in range(10):
                answer = session.post(f"{server.url}/predict", files={"poster": data})
                if answer.status_code != 200 or answer.json()["genres"][0]["name"] != name:
                    wrong.append(answer.text)

    sorts = [("Red", picture(RED)), ("Green", picture(GREEN, "JPEG"))] * 8
    threads = [threading.Thread(target=client, args=sort) for sort in sorts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("format_", ["TIFF", "JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
def test_the_size_of_a_picture_is_the_upright_ones(format_: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.new("RGB", (30, 20)).save(file, format_, exif=exif)
    size = (20, 30) if orientation in (5, 6, 8) else (30, 20)
    assert check_picture(file.getvalue(), max_pixels=600) == size
