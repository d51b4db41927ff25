import glob
import os
from pathlib import Path

import pytest
from PIL import Image

from postergenre.errors import ConfigError, DataError
from postergenre.inference.sources import find_posters


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two posters, one in a folder below, and what is to be passed over."""
    root = tmp_path / "some posters"
    (root / "sub" / ".trash").mkdir(parents=True)
    for name in ("b.JPG", "a.png", "sub/c.webp", "sub/.trash/d.jpg", "._a.png"):
        Image.new("RGB", (4, 6)).save(root / name, format="PNG")
    (root / "notes.txt").write_text("no poster")
    (root / "folder.jpg").mkdir()
    return root


def below(folder: Path, *names: str) -> list[str]:
    return [str(folder / name) for name in names]


def test_a_file_and_a_glob_are_what_they_name_sorted(folder: Path) -> None:
    assert find_posters(str(folder / "a.png")) == below(folder, "a.png")
    assert find_posters(folder / "notes.txt") == below(folder, "notes.txt")  # who names a file means it
    assert find_posters(f"{folder}/[ab].*") == below(folder, "a.png", "b.JPG")
    assert find_posters(f"{folder}/**/*.webp") == below(folder, "sub/c.webp")


def test_a_folder_is_its_pictures_and_those_of_its_folders_where_asked(folder: Path) -> None:
    assert find_posters(str(folder)) == below(folder, "a.png", "b.JPG")
    assert find_posters(str(folder), recursive=True) == below(folder, "a.png", "b.JPG", "sub/c.webp")


def test_a_list_keeps_its_order_and_its_repeats(folder: Path) -> None:
    address = "https://example.org/x.jpg?size=2"
    asked = [f"{folder}/sub", address, str(folder / "b.JPG"), f"{folder}/*.JPG"]
    assert find_posters(asked) == [
        str(folder / "sub/c.webp"), address, str(folder / "b.JPG"), str(folder / "b.JPG"),
    ]  # fmt: skip


def test_a_csv_names_paths_from_its_own_folder_and_addresses(folder: Path) -> None:
    table = folder / "films.csv"
    table.write_text('\ufefftitle,poster\n"A, B", a.png\nC,HTTP://h/c.jpg\n\nD,/far/d.jpg\nE,\nF\n', encoding="utf-8")
    assert find_posters(str(table), column="poster") == [
        str(folder / "a.png"), "HTTP://h/c.jpg", "/far/d.jpg", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize("column", [None, "Id"])
def test_a_poster_csv_of_the_original_schema_needs_no_column(folder: Path, column: str | None) -> None:
    (folder / "train.csv").write_text("Id,Genre,Drama\ntt1,\"['Drama']\",1\ntt2,\"['Drama']\",1\n")
    assert find_posters(str(folder / "train.csv"), column=column) == below(folder, "Images/tt1.jpg", "Images/tt2.jpg")


def test_a_poster_csv_of_the_simple_schema_needs_no_column(folder: Path) -> None:
    (folder / "x.csv").write_text("image,genres\nsub/c.webp,Drama|War\n")
    assert find_posters(str(folder / "x.csv")) == below(folder, "sub/c.webp")


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        (b"title,poster\nA,a.png\n", None, "no columns 'Id, Genre' or 'image, genres' as a poster CSV has; "
         "write column=NAME, one of: title, poster"),
        (b"title,poster\nA,a.png\n", "picture", "no column picture; write column=NAME, one of: title, poster"),
        (b"poster\n", "poster", "has no row below its header"),
        (b"", "poster", "has no column poster"),
        (b"poster\na,b.png\n", "poster", "has more cells than its header: a, b.png; quote its commas"),
        (b"poster\n\xff.png\n", "poster", "as a UTF-8 CSV"),
        (b'poster\n"a.png\n', "poster", "as a UTF-8 CSV: unexpected end of data"),
    ],
)  # fmt: skip
def test_a_csv_that_cannot_be_used_says_why(folder: Path, content: bytes, column: str | None, message: str) -> None:
    (folder / "x.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as told:
        find_posters(str(folder / "x.csv"), column=column)
    assert str(folder / "x.csv") in str(told.value)


@pytest.mark.parametrize(
    ("posters", "message"),
    [
        ("nowhere", "no file, folder or match for nowhere; posters takes a picture, a folder, a quoted glob such as"),
        ("{folder}/sub/.trash/..", "no picture in the folder .*, and recursive=true looks into its folders"),
        ("file:///etc/passwd", "cannot read file:///etc/passwd: posters takes http and https addresses"),
        (["{folder}", "nowhere"], "no file, folder or match for nowhere"),
    ],
)
def test_what_names_no_poster_is_told(folder: Path, posters: str | list[str], message: str) -> None:
    os.remove(folder / "sub" / "c.webp")
    place = str(folder)
    asked = [p.format(folder=place) for p in posters] if isinstance(posters, list) else posters.format(folder=place)
    with pytest.raises(DataError, match=message):
        find_posters(asked)


@pytest.mark.parametrize("posters", [7, None, [], [""], "", {"a": 1}, ["a", 7]])
def test_what_is_no_name_at_all_is_told_with_what_posters_takes(posters: object) -> None:
    with pytest.raises(ConfigError, match=r"posters takes a picture, .* or a list \[A,B\] of those, not "):
        find_posters(posters)


def test_a_column_without_a_csv_is_a_mistake(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"column=poster is for posters=FILE\.csv, and none of .*some posters is one"):
        find_posters(str(folder), column="poster")


def test_the_order_is_that_of_the_names_not_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:02}.jpg" for number in range(20)]
    for name in names:
        (tmp_path / name).touch()
    matches = glob.glob(f"{tmp_path}/*")
    unordered = sorted(matches, key=lambda match: match[::-1].replace("1", "z"))
    monkeypatch.setattr(glob, "glob", lambda *_, **__: unordered)
    monkeypatch.setattr(os, "walk", lambda *_, **__: [(str(tmp_path), [], [Path(match).name for match in unordered])])
    assert unordered != sorted(unordered)
    assert find_posters(f"{tmp_path}/*") == find_posters(str(tmp_path)) == below(tmp_path, *names)


@pytest.mark.parametrize("header", ["image , genres", " Id,Genre ,War"])
def test_spaces_around_column_names_change_nothing(folder: Path, header: str) -> None:
    original = "Id" in header
    (folder / "some.csv").write_text(f"{header}\n{'b' if original else 'a.png'},['War']\n")
    assert find_posters(str(folder / "some.csv")) == below(folder, "Images/b.jpg" if original else "a.png")


def test_a_name_that_begins_with_a_tilde_need_not_be_a_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "a.png").rename("~$poster.png")
    assert find_posters("~$poster.png") == ["~$poster.png"]
    with pytest.raises(DataError, match=r"^no file, folder or match for ~nobody-at-all/a\.jpg;"):
        find_posters("~nobody-at-all/a.jpg")


def test_a_name_too_long_for_any_file_is_told(folder: Path) -> None:
    with pytest.raises(DataError, match=r"^no file, folder or match for x+;"):
        find_posters("x" * 300)
