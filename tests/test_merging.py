"""Sets from CSVs and folders, and several sets made one."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Server, read_csv
from postergenre.collecting import CollectConfig, ColumnsConfig, WebConfig, collect
from postergenre.collecting.tables import read_table
from postergenre.collecting.titles import file_name, parse_genres
from postergenre.data.manifest import read_manifest
from postergenre.data.synthetic import draw_poster
from postergenre.errors import DataError


def art(path: Path, seed: int, *, quality: int = 90, width: int = 200) -> Path:
    """Draw a poster that looks like no other, but like itself at other sizes and qualities."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = draw_poster([["Horror"], ["Romance"], ["Comedy"]][seed % 3], seed=seed).picture
    picture.resize((width, width * 3 // 2)).convert("RGB").save(path, quality=quality)
    return path


def write(path: Path, rows: Sequence[Sequence[Any]], *, delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def collected(tmp_path: Path, **settings: Any) -> list[dict[str, str]]:
    settings = {"output": str(tmp_path / "set"), "cache": str(tmp_path / "cache")} | settings
    table = collect(CollectConfig(web=WebConfig(rate=1000, backoff=0.01, retries=1), **settings))
    manifest = read_manifest(table, images=table.parent / "Images")  # training takes it
    rows = read_csv(table)
    assert [row["image"] for row in rows] == manifest.ids
    return rows


@pytest.mark.parametrize(
    "text",
    [
        "Drama|Comedy", "Drama | Comedy", "Drama, Comedy", "Drama;Comedy", "['Drama', 'Comedy']", '["Drama", "Comedy"]',
        "('Drama', 'Comedy')", '[{"id": 18, "name": "Drama"}, {"id": 35, "name": "Comedy"}]',
        "[{'id': 18, 'name': 'Drama'}, {'id': 35, 'name': 'Comedy'}]", "Drama,,Comedy,Drama", '"Drama, Comedy"',
    ],
)  # fmt: skip
def test_genres_are_read_in_all_usual_spellings(text: str) -> None:
    assert parse_genres(text) == ["Drama", "Comedy"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []), ("[]", []), ("nan", []), ("None", []), ("Sci-Fi & Fantasy", ["Sci-Fi & Fantasy"]), ("N/A", ["N/A"]),
        ("[Drama", ["[Drama"]), ("{'Drama'}", ["Drama"]), ("Film-Noir", ["Film-Noir"]),
    ],
)  # fmt: skip
def test_genres_are_not_read_where_there_are_none_nor_torn_apart(text: str, names: list[str]) -> None:
    assert parse_genres(text) == names


def test_names_of_files_are_safe_and_of_no_two_ids_the_same() -> None:
    assert file_name("tt0086425") == "tt0086425"
    for other in ("../x", "a/b", "a b", ".x", "é", "x" * 300, "", "-"):
        assert "/" not in file_name(other)
        assert not file_name(other).startswith(".")
        assert 0 < len(file_name(other)) < 100
    assert len({file_name(name) for name in ("a/b", "a b", "a_b", "a\\b", "x" * 300, "x" * 301)}) == 6


def test_a_csv_of_addresses_and_paths_becomes_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    here = art(tmp_path / "pictures" / "b.png", 1)
    with Server() as server:
        server.pages["/a.jpg"] = art(tmp_path / "a.jpg", 2).read_bytes()
        table = write(
            tmp_path / "list.csv",
            [
                ["imdb_id", "Poster", "Genre", "title", "year"],
                ["tt1", f"{server.address}/a.jpg", "Drama, Comedy", "A", "1999"],
                ["tt2", "pictures/b.png", "['Horror']", "B", "2001"],
                ["tt3", f"{server.address}/none.jpg", "Drama", "C", ""],
                ["tt4", "", "Drama", "D", ""],
                ["tt5", str(here), "", "E", ""],
                ["tt6", "nowhere.jpg", "Drama", "F", ""],
                ["tt1", f"{server.address}/a.jpg", "Romance", "A", "1999"],
                ["tt2", "other.png", "Romance", "A", "1999"],
            ],
        )
        rows = collected(tmp_path, source="csv", path=str(table), name="mine")
        assert sorted(server.asked) == ["/a.jpg", "/none.jpg"]
    assert rows == [
        {"image": "Images/tt1.jpg", "genres": "Drama|Comedy|Romance", "id": "tt1", "title": "A", "year": "1999",
         "source": "mine"},
        {"image": "Images/tt2.png", "genres": "Horror", "id": "tt2", "title": "B", "year": "2001", "source": "mine"},
    ]  # fmt: skip
    skipped = read_csv(tmp_path / "set" / "skipped.csv")
    assert [(row["id"], row["reason"]) for row in skipped] == [
        ("tt3", "the server answers 404 Not Found"), ("tt4", "row 4 names no picture"), ("tt5", "row 5 names no genre"),
        ("tt6", "cannot be read: No such file or directory"),
        ("tt2", "has an id that another row has with another picture"),
    ]  # fmt: skip
    assert json.loads((tmp_path / "set" / "provenance.json").read_text())["skipped"]["row 5 names no genre"] == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_of_ones_are_genres(tmp_path: Path, delimiter: str) -> None:
    for number in range(3):
        art(tmp_path / f"{number}.jpg", number)
    table = write(
        tmp_path / "x.csv",
        [
            ["file", "Drama", "Sci-Fi", "votes", "adult"],
            ["0.jpg", 1, 0, 5, 1],
            ["1.jpg", "1.0", "1", 0, 0],
            ["2.jpg", 0, "", 1, 0],
        ],
        delimiter=delimiter,
    )
    rows = collected(tmp_path, source="csv", path=str(table), columns=ColumnsConfig(onehot=["Drama", "Sci-Fi"]))
    assert [(row["genres"], row["votes"], row["adult"]) for row in rows] == [
        ("Drama", "5", "1"),
        ("Drama|Sci-Fi", "0", "0"),
    ]
    guessed = collected(tmp_path, source="csv", path=str(table), output=str(tmp_path / "guessed"))
    assert [row["genres"] for row in guessed] == ["Drama|adult", "Drama|Sci-Fi"]
    notes = json.loads((tmp_path / "guessed" / "provenance.json").read_text())["notes"]
    assert notes == ["no column of genres: taken for one each are Drama, Sci-Fi, adult"]


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([["x", "genres"], [1, 2]], {}, "has no column image, poster, poster_url, poster_path; set columns"),
        ([["image", "x"], ["a", "b"]], {}, "has no column of genres; set columns.genres=NAME or columns.onehot"),
        ([["image", "x"], ["a", "b"]], {"genres": "y"}, "has no column y; set columns.genres=NAME, one of: image, x"),
        ([["image", "x"], ["a", "b"]], {"onehot": ["y"]}, "has no column y; it has: image, x"),
        ([["image", "genres"]], {}, "has no row below its header"),
        ([["image", "image"], ["a", "b"]], {}, "has a column twice"),
        ([["image", "genres"], ["a.jpg", "b"]], {}, "not one poster could be collected: csv-a.jpg cannot"),
    ],
)  # fmt: skip
def test_a_csv_that_cannot_be_used_is_told(
    tmp_path: Path, rows: list[list[Any]], settings: dict[str, Any], message: str
) -> None:
    table = write(tmp_path / "x.csv", rows)
    with pytest.raises(DataError, match=message):
        collected(tmp_path, source="csv", path=str(table), columns=ColumnsConfig(**settings))


def test_folders_are_genres_and_the_same_picture_in_two_has_both(tmp_path: Path) -> None:
    root = tmp_path / "sorted"
    art(root / "Comedy" / "1.jpg", 1)
    art(root / "Drama" / "1.jpg", 2)  # another picture of the same name
    art(root / "Comedy" / "tt0000005.jpg", 3)
    art(root / "Drama" / "deeper" / "tt0000005.jpg", 3, quality=70, width=170)  # the same, compressed again
    shutil.copy(root / "Comedy" / "1.jpg", root / "Drama" / "copy.jpg")
    (root / "Drama" / "broken.jpg").write_bytes(b"x")
    (root / "notes.txt").touch()
    rows = collected(tmp_path, source="folder", path=str(root))
    assert {row["id"]: row["genres"] for row in rows} == {
        "folder-1": "Comedy|Drama", file_name("folder-Drama/1.jpg"): "Drama", "tt0000005": "Comedy|Drama",
    }  # fmt: skip
    assert [row["id"] for row in read_csv(tmp_path / "set" / "skipped.csv")] == ["folder-broken"]


def test_folders_without_pictures_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder at"):
        collected(tmp_path, source="folder", path=str(tmp_path / "x"))
    (tmp_path / "x" / "Drama").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no picture in the folders of .*: each should be named by a genre"):
        collected(tmp_path, source="folder", path=str(tmp_path / "x"))


@pytest.fixture
def two_sets(tmp_path: Path) -> list[str]:
    """One in the original schema, one in the simple one, which share a title by id and another one by its art."""
    for number, name in enumerate(("tt0000001", "tt0000002", "tt0000003")):
        art(tmp_path / "old" / "Images" / f"{name}.jpg", number)
    old = write(
        tmp_path / "old" / "train.csv",
        [["Id", "Genre", "Comedy", "Drama"], ["tt0000001", "['Drama']", 0, 1], ["tt0000002", "['Comedy']", 1, 0],
         ["tt0000003", "['Comedy', 'Drama']", 1, 1]],
    )  # fmt: skip
    art(tmp_path / "new" / "Images" / "a.jpg", 50)
    art(tmp_path / "new" / "Images" / "b.jpg", 1, quality=70, width=170)
    art(tmp_path / "new" / "Images" / "c.jpg", 51)
    new = write(
        tmp_path / "new" / "train.csv",
        [["image", "genres", "id", "imdb_id", "title", "source", "country"],
         ["Images/a.jpg", "Drama|Horror", "tmdb-movie-1", "tt0000001", "A", "kdrama", "KR"],
         ["Images/b.jpg", "Comedy", "tmdb-movie-2", "", "B", "kdrama", "KR"],
         ["Images/c.jpg", "Horror", "tmdb-movie-3", "tt0000009", "C", "kdrama", "KR"]],
    )  # fmt: skip
    return [str(old), str(new)]


def test_merged_sets_drop_repeats_by_id_and_by_picture_and_keep_their_sources(
    tmp_path: Path, two_sets: list[str]
) -> None:
    rows = collected(tmp_path, merge=two_sets)
    assert [(row["id"], row["genres"], row["source"], row["title"]) for row in rows] == [
        ("tt0000001", "Drama|Horror", "old", "A"), ("tt0000002", "Comedy", "old", "B"),
        ("tt0000003", "Comedy|Drama", "old", ""), ("tmdb-movie-3", "Horror", "kdrama", "C"),
    ]  # fmt: skip
    repeats = read_csv(tmp_path / "set" / "repeats.csv")
    told = ("id", "kept", "same", "genres", "kept_genres", "genres_agree")
    assert [tuple(row[column] for column in told) for row in repeats] == [
        ("tmdb-movie-1", "tt0000001", "id", "Drama|Horror", "Drama", "no"),
        ("tmdb-movie-2", "tt0000002", "picture", "Comedy", "Comedy", "yes"),
    ]  # fmt: skip
    note = json.loads((tmp_path / "set" / "provenance.json").read_text())["notes"][0]
    assert note.startswith("2 repeats dropped, 1 of them with other genres (the kept ones have the genres of both)")


def test_the_first_set_may_have_the_last_word(tmp_path: Path, two_sets: list[str]) -> None:
    assert collected(tmp_path, merge=two_sets, repeats="first")[0]["genres"] == "Drama"
    swapped = collected(tmp_path, merge=two_sets[::-1], repeats="first", output=str(tmp_path / "swapped"))
    assert [(row["id"], row["source"]) for row in swapped][:2] == [
        ("tmdb-movie-1", "kdrama"),
        ("tmdb-movie-2", "kdrama"),
    ]
    assert (tmp_path / "swapped" / swapped[0]["image"]).read_bytes() == (
        tmp_path / "new" / "Images" / "a.jpg"
    ).read_bytes()


def test_names_that_mean_nothing_elsewhere_are_no_ids(tmp_path: Path) -> None:
    tables = []
    for number, name in enumerate(("a", "b")):
        art(tmp_path / name / "1.jpg", number)
        tables.append(str(write(tmp_path / name / "x.csv", [["image", "genres"], ["1.jpg", "Drama"]])))
    rows = collected(tmp_path, merge=tables)
    assert [(row["id"], row["source"]) for row in rows] == [("a-1.jpg", "a"), ("b-1.jpg", "b")]


def test_splits_are_kept_only_where_every_set_has_them(tmp_path: Path) -> None:
    tables = []
    for number, name in enumerate(("a", "b")):
        art(tmp_path / name / "1.jpg", number)
        tables.append(write(tmp_path / name / "x.csv", [["image", "genres", "split"], ["1.jpg", "Drama", "train"]]))
    assert [row["split"] for row in collected(tmp_path, merge=[str(table) for table in tables])] == ["train", "train"]
    write(tables[1], [["image", "genres"], ["1.jpg", "Drama"]])
    rows = collected(tmp_path, merge=[str(table) for table in tables], output=str(tmp_path / "other"))
    assert "split" not in rows[0]
    assert "the column split is left out" in (tmp_path / "other" / "provenance.json").read_text()


def test_a_set_that_cannot_be_merged_is_told(tmp_path: Path, two_sets: list[str]) -> None:
    with pytest.raises(DataError, match="no poster CSV at"):
        collected(tmp_path, merge=[*two_sets, str(tmp_path / "x.csv")])
    (tmp_path / "new" / "Images" / "c.jpg").write_bytes(b"broken")
    rows = collected(tmp_path, merge=two_sets, output=str(tmp_path / "whole"))
    assert len(rows) == 3
    assert "is not a picture" in read_csv(tmp_path / "whole" / "skipped.csv")[0]["reason"]


def test_long_plots_are_read_and_nobody_else_reads_cells_of_that_length(tmp_path: Path) -> None:
    before, plot, path = csv.field_size_limit(), "once " * 100_000, tmp_path / "films.csv"
    path.write_text(f"id,plot\n1,{plot}\n")
    assert read_table(path) == (["id", "plot"], [{"id": "1", "plot": plot.strip()}])
    path.write_text(f"id,plot\n1,{'x' * (1 << 25)}\n")
    with pytest.raises(DataError, match="field larger than field limit"):
        read_table(path)
    assert csv.field_size_limit() == before
