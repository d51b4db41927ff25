import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet as arrow
from rich.console import Console

from conftest import Server, read_csv
from postergenre import load
from postergenre.classifier.contract import load_network, read_checkpoint
from postergenre.errors import ConfigError, DataError, PartialError, PictureError
from postergenre.hardware import choose_hardware
from postergenre.inference import PredictConfig, Prediction, Predictor, gallery, predict, telling
from postergenre.inference.sources import find_posters
from postergenre.pictures import contact_sheet
from postergenre.training import Trained


@pytest.fixture
def posters(tmp_path: Path) -> Path:
    folder = tmp_path / "new posters"
    folder.mkdir()
    for name, colour in (("a red.png", (220, 20, 20)), ("b yellow.jpg", (220, 220, 20)), ("c grey.webp", (30, 30, 30))):
        Image.new("RGB", (40, 60), colour).save(folder / name)
    (folder / "notes.txt").write_text("no poster")
    return folder


def config(trained: Trained, posters: Path, /, **settings: Any) -> PredictConfig:
    settings = {"posters": str(posters), "output_dir": str(posters.parent / "out")} | settings
    return PredictConfig(checkpoint=str(trained.best), gpus="0", precision="32", **settings)


def test_the_top_genres_are_printed_and_everything_is_written(
    trained: Trained, posters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = predict(config(trained, posters, top=2))
    assert table == posters.parent / "out" / "predictions.csv"
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a red.png: Red ")
    assert lines[1].startswith(("b yellow.jpg: Red ", "b yellow.jpg: Green "))
    assert lines[3:] == ["* reaches the threshold of its genre", f"written: {table}"]
    rows = read_csv(table)
    assert list(rows[0]) == ["poster", "genres", "top", "Red", "Green", "Blue", "error"]
    assert [row["poster"] for row in rows] == [
        str(posters / name) for name in ("a red.png", "b yellow.jpg", "c grey.webp")
    ]
    assert set(rows[1]["top"].split("|")) == {"Red", "Green"}
    answer = predictor(trained).predict(posters / "a red.png")
    assert float(rows[0]["Red"]) == pytest.approx(answer.probabilities["Red"], abs=1e-6)


def test_genres_over_their_threshold_are_marked_and_no_poster_goes_without(
    trained: Trained, posters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_csv(predict(config(trained, posters, top=3)))
    answer = predictor(trained).predict(posters / "a red.png")
    contract = read_checkpoint(trained.best)[1]
    over = [p >= t for p, t in zip(answer.probabilities.values(), contract.thresholds, strict=True)]
    line = capsys.readouterr().out.splitlines()[0]
    for (genre, probability), marked in zip(answer.probabilities.items(), over, strict=True):
        assert f"{genre} {probability:.1%}{'*' if marked else ''}" in line.replace(",", "").split("; also")[0]
    assert rows[0]["genres"] == "|".join(g for g, marked in zip(contract.genres, over, strict=True) if marked)
    assert all(row["genres"] for row in rows)


def predictor(trained: Trained, **settings: Any) -> Predictor:
    return load(trained.best, gpus=0, precision="32", **settings)


def unsure(trained: Trained, folder: Path) -> Path:
    """Return a checkpoint whose thresholds no poster reaches."""
    checkpoint, contract = read_checkpoint(trained.best)
    plain = contract.to_plain() | {"thresholds": [1.0, 1.0, 1.0]}
    torch.save(checkpoint | {"postergenre": plain}, folder / "unsure.ckpt")
    return folder / "unsure.ckpt"


@pytest.mark.parametrize("allow_empty", [False, True])
def test_a_poster_below_all_thresholds_has_the_nearest_genre_unless_none_is_asked_for(
    trained: Trained, posters: Path, tmp_path: Path, allow_empty: bool
) -> None:
    asked = config(trained, posters, allow_empty=allow_empty)
    asked.checkpoint = str(unsure(trained, tmp_path))
    for row in read_csv(predict(asked)):
        assert row["genres"] == ("" if allow_empty else row["top"].split("|")[0])


def test_genres_beyond_the_printed_ones_are_told_too(
    trained: Trained, posters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(config(trained, posters, top=1))
    yellow = capsys.readouterr().out.splitlines()[1]
    assert "; also " in yellow
    assert yellow.count("*") == 2


def test_two_checkpoints_answer_together_with_the_mean_of_their_logits(
    trained: Trained, posters: Path, tmp_path: Path
) -> None:
    checkpoint, contract = read_checkpoint(trained.best)
    state = {name: -value if "output" in name else value for name, value in checkpoint["state_dict"].items()}
    plain = contract.to_plain()
    plain["preprocess"] = plain["preprocess"] | {"height": 48}  # other pixels, too
    torch.save(checkpoint | {"state_dict": state, "postergenre": plain}, tmp_path / "other.ckpt")
    paths = [Path(path) for path in find_posters(str(posters))]
    hardware = choose_hardware("0", "32")
    one, other, both = (
        torch.tensor([list(p.probabilities.values()) for p in Predictor.load(files, hardware).predict_many(paths)])
        for files in (trained.best, tmp_path / "other.ckpt", [trained.best, tmp_path / "other.ckpt"])
    )
    assert not torch.allclose(one, other, atol=0.1)
    assert torch.allclose(both, ((one.logit() + other.logit()) / 2).sigmoid(), atol=1e-5)


def test_looking_at_the_mirror_image_too_makes_left_and_right_the_same(trained: Trained, tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (32, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[:, ::-1]).save(tmp_path / "b.png")
    hardware = choose_hardware("0", "32")
    for tta, same in (("none", False), ("flip", True), ("crops", True)):
        predictor = Predictor.load(trained.best, hardware, tta=tta)
        left, right = (predictor.predict(tmp_path / name).probabilities for name in ("a.png", "b.png"))
        assert (left == pytest.approx(right, abs=1e-6)) is same
    with pytest.raises(ConfigError, match="no tta 'mirror'"):
        PredictConfig(checkpoint="x", posters="y", tta="mirror")


def test_small_batches_answer_as_one_large_one(trained: Trained, posters: Path) -> None:
    predictor = Predictor.load(trained.best, choose_hardware("0", "32"))
    paths = [Path(path) for path in find_posters(str(posters))]
    together, one_by_one = (list(predictor.predict_many(paths, batch_size=size)) for size in (32, 1))
    assert [p.path for p in together] == [p.path for p in one_by_one] == paths
    for left, right in zip(together, one_by_one, strict=True):
        assert left.probabilities == pytest.approx(right.probabilities, abs=1e-6)


def test_prediction_equals_the_checkpoints_own_network(trained: Trained, posters: Path) -> None:
    network, contract = load_network(trained.best)
    random = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    Image.fromarray(random).save(posters / "large.jpg")  # decoded at reduced scale
    logits = network(contract.preprocess.read(posters / "large.jpg")[None])
    expected = contract.calibrate(logits).sigmoid()[0].tolist()
    predictor = Predictor.load(trained.best, choose_hardware("0", "32"))
    answer = predictor.predict(posters / "large.jpg")
    assert list(answer.probabilities.values()) == pytest.approx(expected, abs=1e-6)


def test_a_bad_picture_among_many_is_told_and_passed_over(
    trained: Trained, posters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (posters / "b broken.jpg").write_bytes((posters / "b yellow.jpg").read_bytes()[:200])
    with pytest.raises(PartialError, match=r"1 of 4 posters could not be read, .*csv; the others are answered"):
        predict(config(trained, posters))
    printed = capsys.readouterr().out
    assert "b broken.jpg: left out, cannot decode" in printed
    rows = read_csv(posters.parent / "out" / "predictions.csv")
    assert [bool(row["error"]) for row in rows] == [False, True, False, False]
    assert all(row["Red"] for row in rows if not row["error"])


def test_a_batch_of_bad_pictures_alone_is_survived(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"")
    predictor = Predictor.load(trained.best, choose_hardware("0", "32"))
    (answer,) = predictor.predict_many([tmp_path / "x.jpg"])
    assert not answer.probabilities
    assert "x.jpg is not a picture" in answer.error


def test_annotate_writes_each_poster_with_its_bars(trained: Trained, posters: Path) -> None:
    predict(config(trained, posters, annotate=True))
    written = sorted((posters.parent / "out" / "annotated").iterdir())
    assert [path.name for path in written] == ["a red.png.png", "b yellow.jpg.png", "c grey.webp.png"]
    with Image.open(written[0]) as picture:
        assert picture.width > picture.height > 300


def test_posters_of_one_name_in_two_folders_are_two_pictures(trained: Trained, posters: Path) -> None:
    for folder in ("x", "y"):
        (posters / folder).mkdir()
        Image.new("RGB", (40, 60)).save(posters / folder / "1.jpg")
    asked = config(trained, posters, annotate=True)
    asked.posters = f"{posters}/*/1.jpg"
    predict(asked)
    written = sorted(path.name for path in (posters.parent / "out" / "annotated").iterdir())
    assert written == ["1.jpg.png", "y_1.jpg.png"]


def test_bfloat16_answers_nearly_as_float32(trained: Trained) -> None:
    images = torch.randint(0, 256, (8, 3, 32, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    exact, mixed = (
        Predictor.load(trained.best, choose_hardware("0", precision)).probabilities(images)
        for precision in ("32", "bf16")
    )
    assert exact.dtype == mixed.dtype == torch.float32
    assert float((exact - mixed).abs().max()) < 0.05


def test_a_path_its_content_and_its_picture_have_one_answer(trained: Trained, posters: Path) -> None:
    path = posters / "b yellow.jpg"
    with Image.open(path) as picture:
        asked = [path, str(path), path.read_bytes(), picture, picture.convert("RGBA")]
        one_by_one = [predictor(trained).predict(poster) for poster in asked]
        together = list(predictor(trained).predict_many(asked))
    for answers in (one_by_one, together):
        assert [answer.path for answer in answers] == [path, path, None, None, None]
        for answer in answers:
            assert answer.probabilities == pytest.approx(answers[0].probabilities, abs=0.02)  # decoders differ a little
            assert set(answer.genres) == {"Red", "Green"}
            assert answer.error == ""


def test_posters_that_cannot_be_read_are_explained(trained: Trained, posters: Path) -> None:
    half = (posters / "b yellow.jpg").read_bytes()[:300]
    for poster, message in (
        (posters / "gone.jpg", "no picture at .*gone.jpg"),
        (str(posters / "notes.txt"), "notes.txt is not a picture Pillow can read"),
        (posters, "cannot decode .*new posters: .*Is a directory"),
        (b"no picture", "the picture is not a picture Pillow can read"),
        (b"", "the picture is empty"),
        ("", "no poster is named here"),
        (half, "cannot decode the picture"),
        ("http://", "is no address: it names no server"),
        ("a\0b.jpg", "cannot decode"),
    ):
        with pytest.raises(PictureError, match=message):
            predictor(trained).predict(poster)
        (answer,) = predictor(trained).predict_many([poster])
        assert (answer.probabilities, answer.genres, answer.top()) == ({}, [], [])
        with pytest.raises(PictureError) as told:
            predictor(trained).predict(poster)
        assert answer.error == str(told.value)


def test_what_is_no_poster_at_all_is_a_bug_of_the_caller(trained: Trained, posters: Path) -> None:
    for wrong in (np.zeros((4, 4, 3)), None, 7):
        with pytest.raises(TypeError, match="a poster is a path, an address, bytes or a PIL image, not "):
            predictor(trained).predict(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a poster is a path, an address, bytes or a PIL image, not "):
            list(predictor(trained).predict_many([wrong]))  # type: ignore[list-item]
    with pytest.raises(TypeError, match="predict_many takes several posters; predict takes one"):
        next(predictor(trained).predict_many(str(posters / "a red.png")))


def test_posters_are_taken_two_batches_ahead_and_no_more(trained: Trained, posters: Path) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield posters / "a red.png"

    answers = predictor(trained).predict_many(endless(), batch_size=4)
    for count in range(1, 21):
        assert next(answers).genres == ["Red"]
        assert taken == 4 * ((count - 1) // 4 + 2)
    answers.close()  # type: ignore[attr-defined]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        yield running


def test_an_address_is_a_poster_too(trained: Trained, posters: Path, server: Server) -> None:
    server.pages["/a.png"] = (posters / "a red.png").read_bytes()
    answer = predictor(trained).predict(f"{server.address}/a.png")
    assert answer.genres == ["Red"]
    assert answer.path is None
    with pytest.raises(PictureError, match="the server answers 404 Not Found"):
        predictor(trained).predict(f"{server.address}/b.png")


def test_addresses_are_downloaded_once_for_table_and_pictures(
    trained: Trained, posters: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages["/a.png?id=1"] = server.pages["/a.png?id=2"] = (posters / "a red.png").read_bytes()
    server.answers["/html"] = (200, {"Content-Type": "text/html"}, b"<html>")
    server.pages["/text"] = b"hello"
    names = ["a.png?id=1", "a.png?id=2", "html", "text", "gone"]
    addresses = [f"{server.address}/{name}" for name in names]
    with pytest.raises(PartialError, match="3 of 5 posters could not be read"):
        predict(config(trained, posters, posters=addresses, annotate=True, sheet=True))
    assert sorted(server.asked) == sorted(f"/{name}" for name in names)
    rows = read_csv(posters.parent / "out" / "predictions.csv")
    assert [row["poster"] for row in rows] == addresses
    assert [row["error"] for row in rows] == [
        "", "", "the server answers with a page, not with a picture", "the picture is not a picture Pillow can read",
        "the server answers 404 Not Found",
    ]  # fmt: skip
    written = sorted(path.name for path in (posters.parent / "out" / "annotated").iterdir())
    assert written == ["a.png_id=1.png", "a.png_id=2.png"]
    assert "sheet.png (2 of 5 posters)" in capsys.readouterr().out


def test_rows_of_a_csv_are_rows_of_the_table(trained: Trained, posters: Path) -> None:
    (posters / "films.csv").write_text("title,file\nA,b yellow.jpg\nB,\nC,gone.jpg\nD,a red.png\n")
    asked = config(trained, posters / "films.csv", column="file", output_dir=str(posters / "out"))
    with pytest.raises(PartialError, match="2 of 4 posters could not be read"):
        predict(asked)
    rows = read_csv(posters / "out" / "predictions.csv")
    assert [row["top"][:3] for row in rows] in (["Red", "", "", "Red"], ["Gre", "", "", "Red"])
    assert [row["error"] for row in rows] == [
        "", "no poster is named here", f"no picture at {posters / 'gone.jpg'}", "",
    ]  # fmt: skip


def test_where_not_one_poster_can_be_read_nothing_was_done(trained: Trained, posters: Path) -> None:
    with pytest.raises(DataError, match=r"not one poster could be read; the column error of .*csv says why") as told:
        predict(config(trained, posters / "notes.txt"))
    assert told.value.status == 1
    assert PartialError.status == 3


def test_a_name_that_is_no_text_is_a_row_like_others(
    trained: Trained, posters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = posters / os.fsdecode(b"z\xff.png")
    name.write_bytes((posters / "a red.png").read_bytes())
    (*_, row) = read_csv(predict(config(trained, posters, annotate=True)))
    assert row["poster"] == str(posters / "z\\udcff.png")
    assert "z\\udcff.png: Red" in capsys.readouterr().out


def test_few_posters_have_a_line_each_and_many_only_where_they_fail(
    trained: Trained, posters: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "NUM_LINES", 2)
    predict(config(trained, posters, posters=[str(posters / "a red.png")] * 2))
    assert capsys.readouterr().out.count("a red.png: Red") == 2
    many = [str(posters / name) for name in ("a red.png", "x", "y", "z", "a red.png")]
    for name in "xyz":
        (posters / name).touch()
    with pytest.raises(PartialError):
        predict(config(trained, posters, posters=many))
    *lines, _ = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "x: left out", "y: left out", "what else is left out is in the table only",
    ]  # fmt: skip


def test_a_long_run_tells_how_far_it_is_where_no_bar_can_be_drawn(
    trained: Trained, posters: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "EVERY", 0.0)
    predict(config(trained, posters))
    lines = [line for line in capsys.readouterr().out.splitlines() if " of 3 posters, " in line]
    assert [line.split(",")[0] for line in lines] == ["1 of 3 posters", "2 of 3 posters", "3 of 3 posters"]
    assert " a second, 0:00:" in lines[0]
    assert lines[2].endswith("0:00:00 left")


def test_a_terminal_shows_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        telling, "Console", lambda: Console(file=screen, force_terminal=True, width=100, legacy_windows=False)
    )
    clock = iter(range(1000))
    with telling.Teller(100, done=40, top=3) as teller:
        teller._progress.get_time = lambda: float(next(clock))
        for _ in range(20):
            teller.poster("x.jpg", Prediction(probabilities={"Red": 1.0}, genres=["Red"]))
    last = screen.getvalue().rsplit("posters", 1)[1]
    assert " 60/100" in last
    assert " a second" in last
    assert re.search(r"0:00:\d\d", last)
    assert "x.jpg" not in screen.getvalue()  # sixty are no few


@pytest.mark.parametrize("count", [2, 5])
def test_the_sheet_shows_the_first_posters_and_says_how_many_there_are(
    trained: Trained, posters: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    monkeypatch.setattr(gallery, "NUM_CARDS", count)
    drawn: dict[str, Any] = {}

    def sheet(cards: list[Any], **settings: Any) -> Image.Image:
        drawn.update(settings, cards=cards)
        return contact_sheet(cards, **settings)

    monkeypatch.setattr(gallery, "contact_sheet", sheet)
    (posters / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(PartialError):
        predict(config(trained, posters, sheet=True, top=1))
    shown = min(count, 3)
    assert drawn["note"] == f"{shown} of 4 posters"
    assert f"sheet.png ({shown} of 4 posters)" in capsys.readouterr().out
    assert [[answer.genre for answer in answers] for _, answers in drawn["cards"][:2]] in (
        [["Red"], ["Red", "Green"]], [["Red"], ["Green", "Red"]],
    )  # fmt: skip
    with Image.open(posters.parent / "out" / "sheet.png") as picture:
        assert picture.width > 216 * shown
        assert picture.height > gallery.POSTER_HEIGHT


def test_a_sheet_is_about_as_wide_as_a_slide_and_its_pictures_are_small(trained: Trained, tmp_path: Path) -> None:
    pictures = gallery.Pictures(tmp_path, predictor(trained).contract, annotate=False, sheet=True, top=3)
    content = io.BytesIO()
    Image.new("RGB", (800, 1200)).save(content, "JPEG")
    (tmp_path / "a.jpg").write_bytes(content.getvalue())
    answer = predictor(trained).predict(tmp_path / "a.jpg")
    while pictures.has_room:
        pictures.add(str(tmp_path / "a.jpg"), answer, None)
    assert pictures._cards[0][0].size == (400, 600)
    pictures.close(gallery.NUM_CARDS)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert 1.4 < sheet.width / sheet.height < 1.8


def test_a_poster_that_is_gone_when_it_is_drawn_does_not_stop_the_run(trained: Trained, posters: Path) -> None:
    pictures = gallery.Pictures(posters, predictor(trained).contract, annotate=True, sheet=True, top=3)
    answer = predictor(trained).predict(posters / "a red.png")
    pictures.add(str(posters / "gone.jpg"), answer, "gone.jpg.png")
    pictures.close(1)
    assert pictures.num_cards == 0
    assert not (posters / "sheet.png").exists()


def test_names_of_pictures_are_different_and_the_same_in_every_run() -> None:
    posters = ["a/1.jpg", "b/1.jpg", "b/1.jpg", "http://h/x/p.jpg", "http://g/p.jpg?w=1&h=../2", "http://h/", "x" * 300]
    names = list(gallery.picture_names(posters))
    assert names[:6] == ["1.jpg.png", "b_1.jpg.png", "b_b_1.jpg.png", "p.jpg.png", "p.jpg_w=1_h=.._2.png", "h.png"]
    assert len(names[6]) < 130


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top": 0}, "top must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"format": "xlsx"}, "no format 'xlsx'; known: auto, csv, jsonl, parquet"),
        ({"output": "x.txt"}, r"output must end in \.csv, \.jsonl or \.parquet: 'x.txt'"),
        ({"output": "x.csv", "format": "jsonl"}, r"format=jsonl, but output=x\.csv ends in \.csv; leave one out"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PredictConfig(checkpoint="x", posters="y", **settings)


@pytest.mark.parametrize(
    ("settings", "place"),
    [({}, "o/predictions.csv"), ({"format": "jsonl"}, "o/predictions.jsonl"),
     ({"output": "d/x.Parquet"}, "d/x.Parquet"), ({"format": "parquet"}, "o/predictions.parquet"),
     ({"output": "x.jsonl", "format": "jsonl"}, "x.jsonl")],
)  # fmt: skip
def test_the_table_lies_where_it_is_said(settings: dict[str, Any], place: str) -> None:
    assert PredictConfig(checkpoint="x", posters="y", output_dir="o", **settings).table == Path(place)


@pytest.mark.parametrize("name", ["predictions.csv", "predictions.parquet"])
def test_without_output_a_run_begins_anew(trained: Trained, posters: Path, name: str) -> None:
    asked = config(trained, posters, format=name.split(".")[1])
    predict(asked)
    asked.posters = str(posters / "c grey.webp")
    table = predict(asked)
    assert table.name == name
    assert len(arrow.read_table(table) if table.is_dir() else read_csv(table)) == 1


@pytest.mark.parametrize("output", ["a red.png/x.csv", "folder/x.csv", "x.parquet"])
def test_a_table_that_cannot_be_written_is_told(trained: Trained, posters: Path, output: str) -> None:
    (posters / "folder" / "x.csv").mkdir(parents=True)
    (posters / "x.parquet").touch()
    with pytest.raises(
        DataError, match=r"cannot write .*: (File exists|Not a directory|Is a directory)|did not write it"
    ):
        predict(config(trained, posters, output=str(posters / output)))
