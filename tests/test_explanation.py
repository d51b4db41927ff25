import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import ROOT
from postergenre.errors import ConfigError, DataError, PartialError
from postergenre.explanation import ExplainConfig, explain
from postergenre.explanation import run as explanation
from postergenre.explanation.picture import explained
from postergenre.hardware import choose_hardware
from postergenre.inference import Predictor
from postergenre.pictures import Answer
from postergenre.saliency import coloured
from postergenre.training import Trained


@pytest.fixture
def poster(colour_posters: Path) -> Path:
    return colour_posters / "Images" / "c000.jpg"  # a red one


def config(trained: Trained, poster: Path | list[Path], output: Path, **settings: object) -> ExplainConfig:
    posters = [str(path) for path in poster] if isinstance(poster, list) else str(poster)
    settings = {"checkpoint": str(trained.best), "poster": posters, "gpus": "0", "output_dir": str(output)} | settings
    return ExplainConfig(**settings)  # type: ignore[arg-type]


def test_a_poster_is_explained_as_prediction_answers_it(
    trained: Trained, poster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (written,) = explain(config(trained, poster, tmp_path, top=2))
    assert written == tmp_path / "c000.png"
    with Image.open(written) as picture:
        assert picture.width > 900
        assert picture.height > 1000
    prediction = Predictor.load(trained.best, choose_hardware("0", "32")).predict(poster)
    told = ", ".join(
        f"{genre} {probability:.1%}{'*' * (genre in prediction.genres)}" for genre, probability in prediction.top(2)
    )
    assert capsys.readouterr().out.startswith(f"c000.jpg: {told}; see ")


def test_heat_maps_are_those_of_the_genres_that_are_asked_for(
    trained: Trained, poster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain(config(trained, poster, tmp_path, genre=["Green", "Blue", "Green"]))
    line = capsys.readouterr().out
    assert line.index("Green") < line.index("Blue")
    assert "Red" not in line


def test_members_of_an_ensemble_are_asked_together(
    trained: Trained, poster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain(config(trained, poster, tmp_path / "one"))
    alone = capsys.readouterr().out
    explain(config(trained, poster, tmp_path / "two", checkpoint=[str(trained.best)] * 2))
    together = capsys.readouterr().out
    assert together == alone.replace("one", "two")
    pictures = [np.asarray(Image.open(tmp_path / name / "c000.png")).astype(int) for name in ("one", "two")]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_posters_of_one_name_become_two_pictures(trained: Trained, poster: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(poster.read_bytes())
    posters = [tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.jpg", tmp_path / "y" / "a.jpg"]
    names = [path.name for path in explain(config(trained, posters, tmp_path, top=1))]
    assert names == ["a.png", "a.jpg.png", "y_a.jpg.png"]


def test_a_picture_that_does_not_decode_is_told_and_the_others_are_explained(
    trained: Trained, poster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(PartialError, match="1 of 2 pictures did not decode; the others are explained"):
        explain(config(trained, [tmp_path / "bad.jpg", poster], tmp_path))
    assert "bad.jpg: left out, " in capsys.readouterr().out
    assert (tmp_path / "c000.png").is_file()
    with pytest.raises(DataError, match="1 of 1 pictures did not decode") as nothing:
        explain(config(trained, [tmp_path / "bad.jpg"], tmp_path))
    assert (nothing.value.status, PartialError.status) == (1, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top": 0}, "top must be at least 1, not 0"),
        ({"poster": []}, r"poster takes a picture file, or several as \[A,B\], not \[\]"),
        ({"poster": 7}, "poster takes a picture file, .* not 7"),
        ({"genre": ["Red", None]}, "genre takes the name of a genre, .* not"),
    ],
)
def test_settings_that_cannot_work_say_what_can(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExplainConfig(**({"checkpoint": "x", "poster": "y"} | settings))  # type: ignore[arg-type]


def test_a_genre_nobody_learnt_names_the_known_ones_before_anything_is_written(
    trained: Trained, poster: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no genre 'Pink'; the checkpoint knows: Red, Green, Blue"):
        explain(config(trained, poster, tmp_path / "out", genre="Pink"))
    assert not (tmp_path / "out").exists()


def test_heat_lies_on_the_upright_poster(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blue in the lower half, in a file that lies on its side: the blue genre is seen below."""
    picture = Image.new("RGB", (160, 240), (20, 20, 20))
    picture.paste((20, 20, 250), (0, 120, 160, 240))
    exif = Image.Exif()
    exif[0x0112] = 8  # to be turned left
    picture.rotate(-90, expand=True).save(tmp_path / "lying.jpg", exif=exif, quality=95)
    seen = []

    def look(
        poster: Image.Image, answers: object, heats: list[tuple[Answer, torch.Tensor]], *, title: str
    ) -> Image.Image:
        seen.append((poster, heats))
        return explained(poster, [], heats, title=title)

    monkeypatch.setattr(explanation, "explained", look)
    explain(config(trained, tmp_path / "lying.jpg", tmp_path, genre="Blue"))
    ((shown, [(answer, heat)]),) = seen
    assert shown.size == (160, 240)
    assert np.asarray(shown)[200, 80, 2] > 200
    assert answer.genre == "Blue"
    assert heat.shape == (240, 160)
    assert float(heat[120:].mean()) > 3 * float(heat[:120].mean())


def test_the_picture_shows_the_heat_and_what_its_colours_mean() -> None:
    poster = Image.new("RGB", (100, 150), (200, 0, 0))
    answers = [Answer(genre=f"Genre{i}", probability=0.1 * i) for i in range(4)]
    cold, hot = torch.zeros(150, 100), torch.ones(150, 100)
    pages = [
        explained(poster, answers, [(answers[0], heat)] * count) for heat, count in ((cold, 1), (hot, 1), (hot, 4))
    ]
    assert pages[0].size == pages[1].size
    assert pages[2].height > pages[1].height + 300  # a second line of cards
    hottest = (255 * coloured(np.array([1.0]))[0]).round()
    found = [int((np.abs(np.asarray(page).astype(int) - hottest).max(axis=2) <= 2).sum()) for page in pages]
    assert found[0] >= 14  # the end of the scale
    differ = np.abs(np.asarray(pages[0]).astype(int) - np.asarray(pages[1]).astype(int)).max(axis=2) > 50
    assert differ.sum() == pytest.approx(220 * 330, rel=0.05)  # the whole poster of the card


@pytest.mark.slow
def test_the_script_as_people_type_it(trained: Trained, poster: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "explain.py"), f"checkpoint={trained.best}", f"poster={poster}"]
    done = subprocess.run(
        [*command, "genre=[Red,Blue]", "hydra.run.dir=out"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "c000.jpg: Red" in done.stdout
    assert (tmp_path / "out" / "c000.png").is_file()
    done = subprocess.run([*command, "genre=Pink"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: no genre 'Pink'; the checkpoint knows: Red, Green, Blue\n"
