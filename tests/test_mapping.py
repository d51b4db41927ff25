"""How the names of a CSV become genres."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT, read_csv, small_config
from postergenre.classifier.contract import read_checkpoint
from postergenre.classifier.posters import Place, mapping_of_training, posters_of_training
from postergenre.data.manifest import Manifest, read_manifest
from postergenre.errors import CheckpointError, ConfigError, DataError
from postergenre.genres import GenreMapping
from postergenre.training import TrainConfig, train

ORIGINAL = (
    "Id,Genre,Crime,Comedy,Musical,Music,N/A\n"
    "a,\"['Comedy', 'Crime']\",1,1,0,0,0\n"
    "b,['Musical'],0,0,1,0,0\n"
    "c,\"['Comedy', 'Music', 'Musical']\",0,1,1,1,0\n"
    "d,['N/A'],0,0,0,0,1\n"
)
SIMPLE = "image,genres\na.jpg,Action & Adventure|Drama\nb.jpg,Talk\nc.jpg,Science Fiction|Talk\n"
TMDB_FILMS = [
    "Action", "Adventure", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Family", "Fantasy", "History",
    "Horror", "Music", "Mystery", "Romance", "Science Fiction", "TV Movie", "Thriller", "War", "Western",
]  # fmt: skip
TMDB_SERIES = [
    "Action & Adventure", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Family", "Kids", "Mystery",
    "News", "Reality", "Sci-Fi & Fantasy", "Soap", "Talk", "War & Politics", "Western",
]  # fmt: skip
"""The genres that TMDB's own lists name: developer.themoviedb.org, genre/movie/list and genre/tv/list."""
OF_ORIGINAL = [
    "Action", "Adventure", "Animation", "Biography", "Comedy", "Crime", "Documentary", "Drama", "Family", "Fantasy",
    "History", "Horror", "Music", "Musical", "Mystery", "N/A", "News", "Reality-TV", "Romance", "Sci-Fi", "Short",
    "Sport", "Thriller", "War", "Western",
]  # fmt: skip


def read(folder: Path, text: str, *, ignore: tuple[str, ...] = ("N/A",), **settings: Any) -> Manifest:
    (folder / "train.csv").write_text(text)
    (folder / "Images").mkdir(exist_ok=True)
    for name in "abcd":
        (folder / f"{name}.jpg").touch()
        (folder / "Images" / f"{name}.jpg").touch()
    return read_manifest(
        folder / "train.csv", images=folder / "Images", ignore=ignore, mapping=GenreMapping(**settings)
    )


def preset(name: str) -> GenreMapping:
    return GenreMapping(**yaml.safe_load((ROOT / "conf" / "genres" / f"{name}.yaml").read_text()))


def test_renaming_to_a_name_that_is_there_merges(tmp_path: Path) -> None:
    manifest = read(tmp_path, ORIGINAL, rename={"Musical": "Music"})
    assert manifest.genres == ("Crime", "Comedy", "Music")
    assert manifest.labels == [("Comedy", "Crime"), ("Music",), ("Comedy", "Music"), ()]


def test_renamings_happen_all_at_once(tmp_path: Path) -> None:
    manifest = read(tmp_path, ORIGINAL, rename={"Crime": "Comedy", "Comedy": "Crime"})
    assert manifest.genres == ("Comedy", "Crime", "Musical", "Music")
    assert manifest.labels[2] == ("Crime", "Music", "Musical")


def test_one_name_may_become_several(tmp_path: Path) -> None:
    manifest = read(tmp_path, SIMPLE, rename={"Action & Adventure": ["Adventure", "Action"]}, drop=["Talk"])
    assert manifest.genres == ("Action", "Adventure", "Drama", "Science Fiction")  # of the alphabet still
    assert manifest.labels == [("Adventure", "Action", "Drama"), (), ("Science Fiction",)]


def test_a_derived_genre_comes_beside_its_parts_or_in_their_place(tmp_path: Path) -> None:
    derive = {"Dark Comedy": ["Comedy", "Crime"]}
    manifest = read(tmp_path, ORIGINAL, derive=derive)
    assert manifest.genres == ("Crime", "Comedy", "Musical", "Music", "Dark Comedy")
    assert manifest.labels[0] == ("Comedy", "Crime", "Dark Comedy")
    assert manifest.labels[2] == ("Comedy", "Music", "Musical")
    manifest = read(tmp_path, ORIGINAL, derive=derive, replace=["Dark Comedy"])
    assert manifest.labels[0] == ("Dark Comedy",)
    assert manifest.labels[2] == ("Comedy", "Music", "Musical")


def test_two_derived_genres_that_replace_may_share_a_part() -> None:
    mapping = GenreMapping(derive={"X": ["A", "B"], "Y": ["A", "C"]}, replace=["X", "Y"])
    assert mapping.genres_of(["A", "B", "C", "D"]) == ("D", "X", "Y")
    assert mapping.genres_of(["A", "B", "D"]) == ("D", "X")


def test_what_is_renamed_can_be_a_part_and_what_is_derived_cannot() -> None:
    mapping = GenreMapping(rename={"Musical": "Music"}, derive={"Biopic": ["Music", "Biography"]})
    assert mapping.genres_of(["Musical", "Biography"]) == ("Music", "Biography", "Biopic")
    assert GenreMapping(derive={"X": ["A", "B"], "Y": ["X", "C"]}).genres_of(["A", "B", "C"]) == ("A", "B", "C", "X")


def test_ignored_names_are_dropped_names(tmp_path: Path) -> None:
    ignored, dropped = read(tmp_path, ORIGINAL), read(tmp_path, ORIGINAL, ignore=(), drop=["N/A"])
    both = read(tmp_path, ORIGINAL, drop=["N/A"])
    assert ignored == dropped == both
    assert read(tmp_path, ORIGINAL, rename={"N/A": "Comedy"}).labels[3] == ()  # ignored before all else


def test_a_fixed_vocabulary_gives_the_order_and_genres_that_nobody_has(tmp_path: Path) -> None:
    manifest = read(tmp_path, ORIGINAL, vocabulary=["Western", "Music", "Musical", "N/A", "Crime", "Comedy"])
    assert manifest.genres == ("Western", "Music", "Musical", "Crime", "Comedy")
    assert not manifest.outside


def test_a_genre_outside_the_vocabulary_is_an_error_with_its_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, SIMPLE, vocabulary=["Drama", "Action & Adventure"])
    assert str(caught.value) == (
        f"2 problem(s) in {tmp_path / 'train.csv'}: row 3, column genres: Talk is not in genres.vocabulary; "
        "row 4, column genres: Science Fiction, Talk is not in genres.vocabulary; "
        "map it with genres.rename or genres.drop, or say genres.unknown=drop"
    )


def test_a_genre_outside_the_vocabulary_can_be_dropped_and_is_counted(tmp_path: Path) -> None:
    manifest = read(tmp_path, SIMPLE, vocabulary=["Drama", "Action & Adventure"], unknown="drop")
    assert manifest.labels == [("Action & Adventure", "Drama"), (), ()]
    assert manifest.outside == {"Talk": 2, "Science Fiction": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rename": {"Muscial": "Music"}}, "genres.rename names Muscial, which is not among the genres here: Crime, "),
        ({"drop": ["Sport"]}, "genres.drop names Sport, which is not among"),
        (
            {"derive": {"X": ["Comedy", "Krime"]}},
            "genres.derive names Krime, which is not among the genres here: ",
        ),
    ],
)
def test_a_name_that_nobody_has_is_a_typo_unless_that_is_ignored(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, ORIGINAL, **settings)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("if that is no typo, say genres.unused=ignore")
    assert read(tmp_path, ORIGINAL, unused="ignore", **settings).labels == read(tmp_path, ORIGINAL).labels


def test_parts_may_be_what_a_name_became(tmp_path: Path) -> None:
    manifest = read(tmp_path, ORIGINAL, rename={"Music": "Song"}, derive={"X": ["Song", "Comedy"]})
    assert manifest.labels[2] == ("Comedy", "Song", "Musical", "X")
    with pytest.raises(ConfigError, match=r"genres\.derive names Music, .* here: Crime, Comedy, Musical, Song, N/A"):
        read(tmp_path, ORIGINAL, rename={"Music": "Song"}, derive={"X": ["Music", "Comedy"]})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unknown": "keep"}, "no genres.unknown 'keep'; known: error, drop"),
        ({"unused": "drop"}, "no genres.unused 'drop'; known: error, ignore"),
        ({"rename": {"A": 3}}, "genres.rename.A takes a genre or a list of genres, not 3"),
        ({"rename": {"A": []}}, r"genres.rename.A takes a genre or a list of genres, not \[\]"),
        ({"rename": {"A": "B"}, "drop": ["A"]}, "genres.drop and genres.rename both name A"),
        ({"derive": {"A": ["B"]}}, r"genres.derive.A takes two or more other genres, not \['B'\]"),
        ({"derive": {"A": ["A", "B"]}}, "genres.derive.A takes two or more other genres"),
        ({"replace": ["A"]}, "genres.replace names A, which genres.derive does not make; it makes: nothing"),
        ({"vocabulary": ["A", "B", "A"]}, r"genres.vocabulary: genre\(s\) named twice in the vocabulary: A"),
        (
            {"vocabulary": ["A", "B"], "derive": {"C": ["A", "B"]}},
            "genres.vocabulary lacks C, which genres.der",
        ),
    ],
)
def test_settings_that_contradict_themselves_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GenreMapping(**settings)


def test_everything_tmdb_says_has_its_place_among_the_original_genres() -> None:
    mapping = preset("tmdb_to_original")
    assert set(mapping.vocabulary) < set(OF_ORIGINAL)
    assert [name for name in OF_ORIGINAL if name in mapping.vocabulary] == mapping.vocabulary
    came = {name: mapping.became(name) for name in {*TMDB_FILMS, *TMDB_SERIES}}
    assert {genre for genres in came.values() for genre in genres} == set(mapping.vocabulary)
    assert [name for name, genres in sorted(came.items()) if not genres] == ["TV Movie", "Talk"]
    assert came["Action & Adventure"] == ["Action", "Adventure"]
    assert came["Sci-Fi & Fantasy"] == ["Sci-Fi", "Fantasy"]
    assert came["Science Fiction"] == ["Sci-Fi"]
    assert set(mapping.rename) | set(mapping.drop) <= {*TMDB_FILMS, *TMDB_SERIES}


def test_every_original_genre_has_its_place_among_those_of_tmdb() -> None:
    mapping = preset("original_to_tmdb")
    assert set(mapping.vocabulary) < {*TMDB_FILMS, *TMDB_SERIES}
    assert {genre for name in OF_ORIGINAL for genre in mapping.became(name)} == set(mapping.vocabulary)
    assert [name for name in OF_ORIGINAL if not mapping.became(name)] == ["Biography", "N/A", "Short", "Sport"]


def test_there_and_back_is_where_it_began_but_for_what_tmdb_lacks() -> None:
    there, back = preset("original_to_tmdb"), preset("tmdb_to_original")
    changed = {name: back.genres_of(there.genres_of([name])) for name in OF_ORIGINAL}
    assert {name: genres for name, genres in changed.items() if genres != (name,)} == {
        "Biography": (), "Musical": ("Music",), "N/A": (), "Short": (), "Sport": (),
    }  # fmt: skip


def test_the_original_vocabulary_changes_nothing_about_the_original_posters(tmp_path: Path) -> None:
    assert preset("original").vocabulary == OF_ORIGINAL
    text = f"Id,Genre,{','.join(OF_ORIGINAL)}\na,['Western'],{'0,' * 24}1\nb,['N/A'],{'0,' * 15}1{',0' * 9}\n"
    mapping = preset("original")
    fixed = read(tmp_path, text, vocabulary=mapping.vocabulary)
    assert fixed == read(tmp_path, text)
    assert len(fixed.genres) == 24


def colours(root: Path, output: Path, **settings: Any) -> TrainConfig:
    config = small_config(root, output)
    config.genres = GenreMapping(**settings)
    config.trainer.max_epochs = 1
    return config


def test_a_checkpoint_remembers_its_genres_and_how_they_came_about(colour_posters: Path, tmp_path: Path) -> None:
    settings = {"rename": {"Blue": "Azure"}, "derive": {"Yellow": ["Red", "Green"]}, "replace": ["Yellow"]}
    trained = train(colours(colour_posters, tmp_path / "run", **settings))
    contract = read_checkpoint(trained.best)[1]
    assert contract.genres == ("Red", "Green", "Azure", "Yellow")
    assert mapping_of_training(contract) == GenreMapping(**settings)
    data = posters_of_training(contract, Place())  # with the mapping, or their fingerprint would be another
    yellow = data.targets["test"][:, 3].bool()
    assert not data.targets["test"][yellow][:, :2].any()
    rows = {row["Id"]: row for row in read_csv(colour_posters / "train.csv")}
    assert [rows[path.stem]["Red"] == rows[path.stem]["Green"] == "1" for path in data.paths("test")] == yellow.tolist()
    contract.data["genres"] = {"renaming": {}}
    with pytest.raises(CheckpointError, match="its contract is broken: genres of the data"):
        mapping_of_training(contract)
    del contract.data["genres"]  # as checkpoints were before
    assert mapping_of_training(contract) == GenreMapping()
    with pytest.raises(CheckpointError, match="the posters have other genres"):
        posters_of_training(contract, Place())


def test_a_run_with_other_genres_is_not_resumed(colour_posters: Path, tmp_path: Path) -> None:
    last = train(colours(colour_posters, tmp_path / "one")).last
    merged = colours(colour_posters, tmp_path / "two", rename={"Blue": "Green"})
    merged.resume, merged.trainer.max_epochs = str(last), 2
    with pytest.raises(CheckpointError, match=r"its genres \(Red, Green, Blue\) is not that of this run"):
        train(merged)
    # The same names, and yet not the same: a label moved.
    moved = colours(colour_posters, tmp_path / "three", rename={"Blue": ["Blue", "Green"]})
    moved.resume, moved.trainer.max_epochs = str(last), 2
    with pytest.raises(CheckpointError, match="its posters or splits"):
        train(moved)


@pytest.mark.parametrize("loss", ["bce", "weighted", "focal", "asymmetric", "two_way", "distribution_balanced", "hill"])
def test_a_genre_of_the_vocabulary_that_no_poster_has_does_no_harm(
    loss: str, colour_posters: Path, tmp_path: Path
) -> None:
    config = colours(colour_posters, tmp_path, vocabulary=["Red", "Mauve", "Green", "Blue"])
    config.loss.name, config.data.balance = loss, 0.5
    trained = train(config)
    assert 0 < trained.score <= 1
    assert trained.scores["num_genres_all"] == 3
    contract = read_checkpoint(trained.best)[1]
    assert (contract.genres[1], contract.priors[1]) == ("Mauve", 0.0)
    assert "Mauve" not in contract.headline
