from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import read_csv
from postergenre.classifier.contract import load_network, read_checkpoint
from postergenre.errors import ConfigError, DataError
from postergenre.hardware import choose_hardware
from postergenre.inference import PredictConfig, Predictor, predict
from postergenre.inference.run import find_posters
from postergenre.training import Trained


@pytest.fixture
def posters(tmp_path: Path) -> Path:
    folder = tmp_path / "new posters"
    folder.mkdir()
    for name, colour in (("a red.png", (220, 20, 20)), ("b yellow.jpg", (220, 220, 20)), ("c grey.webp", (30, 30, 30))):
        Image.new("RGB", (40, 60), colour).save(folder / name)
    (folder / "notes.txt").write_text("no poster")
    return folder


def config(trained: Trained, posters: Path, **settings: object) -> PredictConfig:
    output = posters.parent / "out"
    return PredictConfig(
        checkpoint=str(trained.best),
        posters=str(posters),
        gpus="0",
        precision="32",
        output_dir=str(output),
        **settings,  # type: ignore[arg-type]
    )


def test_the_top_genres_are_printed_and_everything_is_written(
    trained: Trained, posters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions = predict(config(trained, posters, top=2))
    assert [prediction.path.name for prediction in predictions] == ["a red.png", "b yellow.jpg", "c grey.webp"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a red.png: Red ")
    assert lines[1].startswith(("b yellow.jpg: Red ", "b yellow.jpg: Green "))
    rows = read_csv(posters.parent / "out" / "predictions.csv")
    assert list(rows[0]) == ["poster", "genres", "top", "Red", "Green", "Blue", "error"]
    assert set(rows[1]["top"].split("|")) == {"Red", "Green"}
    assert float(rows[0]["Red"]) == pytest.approx(predictions[0].probabilities["Red"], abs=1e-6)


def test_genres_over_their_threshold_are_marked_and_no_poster_goes_without(
    trained: Trained, posters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (answer, *_) = predict(config(trained, posters, top=3))
    contract = read_checkpoint(trained.best)[1]
    over = [p >= t for p, t in zip(answer.probabilities.values(), contract.thresholds, strict=True)]
    line = capsys.readouterr().out.splitlines()[0]
    for (genre, probability), marked in zip(answer.probabilities.items(), over, strict=True):
        assert f"{genre} {probability:.1%}{'*' if marked else ''}" in line.replace(",", "").split("; also")[0]
    rows = read_csv(posters.parent / "out" / "predictions.csv")
    assert rows[0]["genres"] == "|".join(g for g, marked in zip(contract.genres, over, strict=True) if marked)
    assert all(row["genres"] for row in rows)


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
    predictions = predict(asked)
    for row, answer in zip(read_csv(posters.parent / "out" / "predictions.csv"), predictions, strict=True):
        ((nearest, _),) = answer.top(1)
        assert row["genres"] == ("" if allow_empty else nearest)


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
    paths = find_posters(str(posters))
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
    paths = find_posters(str(posters))
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
    with pytest.raises(DataError, match="1 of 4 pictures did not decode; the others are answered"):
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


def test_posters_are_a_file_a_folder_or_a_glob(posters: Path) -> None:
    assert find_posters(str(posters / "a red.png")) == [posters / "a red.png"]
    assert [path.name for path in find_posters(str(posters))] == ["a red.png", "b yellow.jpg", "c grey.webp"]
    assert [path.name for path in find_posters(f"{posters}/[bc]*")] == ["b yellow.jpg", "c grey.webp"]


def test_posters_of_one_name_in_two_folders_are_two_pictures(trained: Trained, posters: Path) -> None:
    for folder in ("x", "y"):
        (posters / folder).mkdir()
        Image.new("RGB", (40, 60)).save(posters / folder / "1.jpg")
    asked = config(trained, posters, annotate=True)
    asked.posters = f"{posters}/*/1.jpg"
    predict(asked)
    written = sorted(path.name for path in (posters.parent / "out" / "annotated").iterdir())
    assert written == ["1.jpg.png", "y_1.jpg.png"]


def test_no_poster_at_all_says_what_posters_can_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file, folder or match for nowhere; posters takes a picture, a folder, or"):
        find_posters("nowhere")
    with pytest.raises(DataError, match="no picture in the folder"):
        find_posters(str(tmp_path))


def test_a_number_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="top must be at least 1, not 0"):
        PredictConfig(checkpoint="x", posters="y", top=0)


def test_bfloat16_answers_nearly_as_float32(trained: Trained) -> None:
    images = torch.randint(0, 256, (8, 3, 32, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    exact, mixed = (
        Predictor.load(trained.best, choose_hardware("0", precision)).probabilities(images)
        for precision in ("32", "bf16")
    )
    assert exact.dtype == mixed.dtype == torch.float32
    assert float((exact - mixed).abs().max()) < 0.05
