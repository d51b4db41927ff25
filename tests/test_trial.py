"""Ten thousand inputs at every door, a few of them in the quick suite; and whole doors, which go on past bad ones."""

import asyncio
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from starlette.requests import Request

import trial as trials
from conftest import read_csv
from corpus.pictures import pictures
from corpus.tables import million, tables
from postergenre.data.manifest import Defects, read_manifest
from postergenre.errors import DataError, PartialError
from postergenre.hardware import choose_hardware
from postergenre.inference import PredictConfig, Predictor, predict
from postergenre.inference.sources import find_posters
from postergenre.serving.uploads import read_upload
from postergenre.training import Trained
from trial import MAX_PIXELS, Trial, printed, try_pictures, try_tables


def tried(num_pictures: int, num_tables: int, *, seed: int, folder: Path) -> Trial:
    trial = Trial()
    for name, run, count in (("pictures", try_pictures, num_pictures), ("tables", try_tables, num_tables)):
        (folder / name).mkdir()
        run(trial, count, seed=seed, folder=folder / name)
    return trial


def test_a_few_inputs_of_every_kind_are_answered_rightly_or_refused_with_a_sentence(tmp_path: Path) -> None:
    trial = tried(69, 23, seed=1, folder=tmp_path)
    assert trial.failures == []
    assert trial.inputs == 92
    for name in ("decoding a file", "decoding bytes", "one look at each", "training's CSV", "prediction's CSV"):
        door = trial.doors[name]
        assert min(door.answered, door.refused) > 0, name
        assert door.answered + door.refused == door.tried


@pytest.mark.slow
def test_ten_thousand_inputs_are_answered_rightly_or_refused_with_a_sentence(tmp_path: Path) -> None:
    trial = tried(8_000, 2_000, seed=0, folder=tmp_path)
    Console().print(printed(trial))
    assert trial.failures == []
    assert trial.inputs == 10_000


def test_inputs_depend_on_seed_and_number_alone() -> None:
    assert [picture.content for picture in pictures(46, seed=3)] == [p.content for p in list(pictures(60, seed=3))[:46]]
    assert [table.content for table in tables(46, seed=3)] == [t.content for t in list(tables(60, seed=3))[:46]]
    assert [table.content for table in tables(46, seed=3)] != [table.content for table in tables(46, seed=4)]


@pytest.mark.parametrize(
    ("raised", "fate", "told"),
    [
        (None, "refused", "is answered"),
        (DataError("x.csv is empty"), "works", "is refused: x.csv is empty"),
        (DataError("it is empty"), "refused", "is refused without ['x.csv']: it is empty"),
        (DataError("x.csv has KeyError('a')"), "refused", "is refused with \"x.csv has KeyError('a')\""),
        (ValueError("bad"), "either", "ValueError: bad"),
        (UserWarning("odd"), "works", "UserWarning: odd"),
    ],
)
def test_a_trial_tells_what_failed(raised: Exception | None, fate: trials.Fate, told: str) -> None:
    def ask() -> str:
        if raised:
            raise raised
        return "answer"

    trial = Trial()
    trial.ask("a door", "an input", ask, fate=fate, names="x.csv")
    (failure,) = trial.failures
    assert told in failure
    assert failure.startswith("an input ")


def test_wrong_pixels_are_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = trials.Preprocess.read
    monkeypatch.setattr(trials.Preprocess, "read", lambda self, source: read(self, source).flip(2))
    trial = Trial()
    try_pictures(trial, 9, seed=0, folder=tmp_path)
    assert len([failure for failure in trial.doors["decoding a file"].failures if "differs" in failure]) >= 8


@pytest.mark.slow
def test_predicting_a_folder_of_strangers_files_answers_every_whole_one(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", MAX_PIXELS)
    folder = tmp_path / "downloads"
    folder.mkdir()
    fates = {}
    for picture in pictures(300, seed=11):
        path = folder / picture.name
        path.write_bytes(picture.content)
        fates[str(path)] = picture.fate
    with pytest.raises(PartialError, match=r"^\d+ of \d+ posters could not be read"):
        predict(
            PredictConfig(
                checkpoint=str(trained.best),
                posters=str(folder),
                gpus="0",
                precision="32",
                output_dir=str(tmp_path / "out"),
            )
        )
    rows = read_csv(tmp_path / "out" / "predictions.csv")
    assert [row["poster"] for row in rows] == find_posters(folder)
    assert len(rows) > 250
    for row in rows:
        answered = bool(row["genres"]) and not row["error"]
        assert answered or (row["error"] and "\n" not in row["error"] and not row["genres"])
        if fates[row["poster"]] != "either":
            assert answered == (fates[row["poster"]] == "works"), row
    broken = [row["poster"] for row in rows if row["error"]]
    whole = Predictor.load(trained.best, choose_hardware("0", "32")).predict_many(
        [row["poster"] for row in rows if not row["error"]]
    )
    told = (row for row in rows if not row["error"])
    for answer, row in zip(whole, told, strict=True):
        for genre, probability in answer.probabilities.items():
            assert math.isclose(float(row[genre]), probability, abs_tol=1e-6)
    assert broken


@pytest.mark.slow
def test_a_million_rows_are_read_and_the_wrong_one_among_them_is_named(tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    million(table, num_rows=1_000_000)
    with table.open("a", encoding="utf-8") as file:
        file.write("last.jpg,Drama,dev\n")
    defects = Defects()
    manifest = read_manifest(table, images=tmp_path, defects=defects)
    assert (len(manifest.ids), manifest.num_repeats, len(defects.missing)) == (1_000_001, 0, 1_000_001)
    assert defects.problems == [(1_000_002, "split", "'dev' is none of train, val, test")]
    assert manifest.genres == ("Action", "Drama", "Film Noir", "Sci-Fi", "Épopée")
    assert manifest.labels[999_999] == ("Drama", "Épopée")


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=60)), min_size=1, max_size=4))
def test_a_form_with_files_of_any_name_and_content_arrives_as_it_was_sent(files: list[tuple[str, bytes]]) -> None:
    boundary = b"b0undary"
    body = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="poster"; filename="%s"\r\n\r\n%s\r\n'
        % (boundary, browsers_name(name), content)
        for name, content in files
    )
    header = (b"content-type", b"multipart/form-data; boundary=" + boundary)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body + b"--%s--\r\n" % boundary, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [header], "app": None}
    upload = asyncio.run(read_upload(Request(scope, receive), max_posters=4))
    assert upload.posters == [content for _, content in files]
    assert upload.several == (len(files) > 1)


def browsers_name(name: str) -> bytes:
    """Return a file's name in a form, as the HTML standard has browsers write it."""
    for letter, code in (("\n", "%0A"), ("\r", "%0D"), ('"', "%22")):
        name = name.replace(letter, code)
    return (name or "blob").encode("utf-8", "replace")
