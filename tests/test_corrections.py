"""What a user leaves out and changes: read, checked, applied, remembered by checkpoints and folds."""

import re
from pathlib import Path
from typing import Any

import pytest

from conftest import evaluate_config, read_csv, small_config
from postergenre.crossvalidation import CrossvalidateConfig, crossvalidate
from postergenre.data.corrections import Corrections, read_corrections
from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.manifest import Manifest
from postergenre.errors import ConfigError, DataError
from postergenre.evaluation import evaluate
from postergenre.genres import Genres
from postergenre.preprocess import Preprocess
from postergenre.training import TrainConfig, train

MANIFEST = Manifest(
    ids=["a", "b", "c"],
    files=["a.jpg", "b.jpg", "c.jpg"],
    labels=[("War", "Drama"), ("War",), ()],
    genres=Genres(["Drama", "War"]),
    rows=[[0], [1], [2]],
    splits=None,
)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("column", ["id", "Id", "image"])
def test_posters_to_leave_out_are_named_by_a_column_of_ids(column: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", f"note,{column}\nblank,b\ntwice,b\nold,a\n")
    assert read_corrections(MANIFEST, exclude=path).excluded == ("b", "a")


def test_genres_are_given_and_taken_and_the_rest_stays(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "id,genre,given,suggested,rank\na,War,1,0,1\nc,Drama,0,1,2\nb,War,1,1,3\n")
    corrections = read_corrections(MANIFEST, relabel=path)
    assert corrections.relabelled == (("a", "War", False), ("c", "Drama", True))  # what changes nothing is no change
    assert corrections.labels(MANIFEST) == [("Drama",), ("War",), ("Drama",)]
    assert MANIFEST.labels == [("War", "Drama"), ("War",), ()]
    assert Corrections.from_plain(corrections.to_plain()) == corrections
    assert corrections.sources == {"relabel": str(path)}


def test_without_files_nothing_is_corrected() -> None:
    none = read_corrections(MANIFEST)
    assert not none
    assert none.digest == ""
    assert none.labels(MANIFEST) is MANIFEST.labels


@pytest.mark.parametrize(
    ("setting", "text", "message"),
    [("exclude", "id\na\nx\nb\ny\n",
      "2 problem(s) in {}: row 3, column id: no poster 'x'; row 5, column id: no poster 'y'"),
     ("exclude", "name\na\n", "{} of data.exclude has no column id or Id or image; it has: name"),
     ("relabel", "id,genre\na,War\n", "{} of data.relabel has no column suggested; it takes id, genre"),
     ("relabel", "id,genre,suggested\nx,War,1\na,Opera,yes\n", "3 problem(s) in {}: row 2, column id: no poster 'x'; "
      "row 3, column genre: no genre 'Opera'; known: Drama, War; row 3, column suggested: 'yes' is neither 0 nor 1"),
     ("relabel", "id,genre,given,suggested\nb,War,0,1\n",
      "row 2, column given: 0, but b has War: made for other labels"),
     ("relabel", "id,genre,suggested\na,War,0\na,War,1\n",
      "row 3, column suggested: 1 for War of a, which an earlier row")],
)  # fmt: skip
def test_mistakes_in_a_file_are_told_with_their_rows(setting: str, text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", text)
    with pytest.raises(DataError, match=re.escape(message.format(path))):
        read_corrections(MANIFEST, **{setting: path})


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file at .*gone\.csv; data\.exclude takes a CSV"):
        read_corrections(MANIFEST, exclude=tmp_path / "gone.csv")


def poster_data(root: Path, **settings: Any) -> PosterData:
    data = PosterData(
        DataConfig(root=str(root), min_positives=5, workers=0, cache=str(root / "cache"), **settings),
        Preprocess(height=32, width=24),
    )
    data.setup()
    return data


def sides(data: PosterData) -> dict[str, str]:
    assert data.manifest is not None
    return {data.manifest.ids[i]: split for split, rows in data.rows.items() for i in rows}


def test_who_stays_stays_on_his_side(colour_posters: Path, tmp_path: Path) -> None:
    plain = poster_data(colour_posters)
    exclude = written(tmp_path / "exclude.csv", "id\nc003\nc050\n")
    relabel = written(tmp_path / "relabel.csv", "id,genre,suggested\nc000,Blue,1\nc000,Red,0\nc001,Red,1\n")
    data = poster_data(colour_posters, exclude=str(exclude), relabel=str(relabel))
    assert sides(data) == {name: side for name, side in sides(plain).items() if name not in ("c003", "c050")}
    assert data.manifest is not None
    assert data.manifest.labels[:2] == [("Blue",), ("Green", "Red")]
    assert data.notes == [
        "data.relabel changes 2 poster(s): 2 genre(s) given, 1 taken", "2 poster(s) left out by data.exclude",
    ]  # fmt: skip
    assert data.identity != plain.identity
    assert (
        len({data.fingerprint, plain.fingerprint, poster_data(colour_posters, relabel=str(relabel)).fingerprint}) == 3
    )


def test_a_poster_that_loses_its_only_genre_is_left_out(colour_posters: Path, tmp_path: Path) -> None:
    relabel = written(tmp_path / "relabel.csv", "id,genre,suggested\nc000,Red,0\n")
    data = poster_data(colour_posters, relabel=str(relabel))
    assert "c000" not in sides(data)
    assert len(sides(data)) == 119


def test_a_broken_picture_that_is_left_out_stops_nothing(colour_posters: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    (root / "Images").mkdir(parents=True)
    (root / "train.csv").write_bytes((colour_posters / "train.csv").read_bytes())
    for file in (colour_posters / "Images").iterdir():
        (root / "Images" / file.name).write_bytes(b"broken" if file.stem == "c007" else file.read_bytes())
    with pytest.raises(DataError, match=r"1 picture\(s\) do not decode"):
        poster_data(root)
    exclude = written(tmp_path / "exclude.csv", "id\nc007\n")
    assert len(sides(poster_data(root, exclude=str(exclude)))) == 119


def test_a_checkpoint_remembers_what_was_corrected(colour_posters: Path, tmp_path: Path) -> None:
    asked = small_config(colour_posters, tmp_path / "run")
    asked.trainer.max_epochs = 1
    asked.data.exclude = str(written(tmp_path / "exclude.csv", "id\nc003\n"))
    asked.data.relabel = str(written(tmp_path / "relabel.csv", "id,genre,suggested\nc000,Blue,1\n"))
    trained = train(asked)
    Path(asked.data.exclude).unlink()
    Path(asked.data.relabel).unlink()
    scores = evaluate(evaluate_config(trained.best, tmp_path / "scores", split="val"))
    assert scores["map"] == pytest.approx(trained.scores["map"], abs=1e-6)


def test_folds_of_other_corrections_are_not_taken_for_these(colour_posters: Path, tmp_path: Path) -> None:
    def config(exclude: Path) -> CrossvalidateConfig:
        base = small_config(colour_posters, tmp_path / "folds")
        base.trainer.max_epochs = 1
        base.data.exclude = str(exclude)
        given = {name: getattr(base, name) for name in TrainConfig.__dataclass_fields__}
        return CrossvalidateConfig(**given, folds=[0])

    first = crossvalidate(config(written(tmp_path / "a.csv", "id\nc003\n")))
    moved = crossvalidate(config(written(tmp_path / "b.csv", "id\nc003\n")))
    assert moved.folds == first.folds
    assert "c003.jpg" not in {Path(row["poster"]).name for row in read_csv(tmp_path / "folds" / "predictions.csv")}
    with pytest.raises(ConfigError, match="fold0 was trained with other settings"):
        crossvalidate(config(written(tmp_path / "b.csv", "id\nc004\n")))
