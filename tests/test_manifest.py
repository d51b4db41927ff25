import codecs
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from postergenre.data.manifest import Manifest, read_manifest
from postergenre.errors import DataError

REAL = Path(__file__).parents[2] / "shared" / "posters"

ORIGINAL = """\
Id,Genre,Action,Drama,N/A
a,"['Drama', 'Action']",1,1,0
b,['Drama'],0,1,0
c,['N/A'],0,0,1
"""
SIMPLE = """\
image,genres
a.jpg,Drama|Action
sub/b.png,Drama
"""


def read(folder: Path, text: str | bytes, *, without: Sequence[str] = (), **options: Sequence[str]) -> Manifest:
    """Write a CSV with an (empty) file for each of its pictures and read it."""
    csv = folder / "train.csv"
    csv.write_bytes(text if isinstance(text, bytes) else text.encode())
    for name in ("Images/a.jpg", "Images/b.jpg", "Images/c.jpg", "Images/007.jpg", "a.jpg", "b.jpg", "sub/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        if name not in without:
            (folder / name).touch()
    return read_manifest(csv, images=folder / "Images", **options)


def refusal(folder: Path, text: str | bytes, **options: Sequence[str]) -> str:
    """Return what the user is told about a CSV."""
    with pytest.raises(DataError) as caught:
        read(folder, text, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_original_schema_gives_ids_paths_and_genres_in_the_order_of_the_columns(tmp_path: Path) -> None:
    manifest = read(
        tmp_path, "Id,Genre,Drama,Action\na,\"['Action', 'Drama']\",1,1\nb,['Action'],0,1\nc,['Drama'],1,0\n"
    )
    assert manifest.ids == ["a", "b", "c"]
    assert manifest.paths[1] == tmp_path / "Images" / "b.jpg"
    assert manifest.labels == [("Action", "Drama"), ("Action",), ("Drama",)]
    assert manifest.genres == ("Drama", "Action")
    assert manifest.rows == [[0], [1], [2]]
    assert manifest.splits is None


def test_the_genre_na_stays_a_name_and_is_no_target(tmp_path: Path) -> None:
    manifest = read(tmp_path, ORIGINAL)
    assert manifest.genres == ("Action", "Drama")
    assert manifest.labels[2] == ()
    assert read(tmp_path, ORIGINAL, ignore=()).labels[2] == ("N/A",)
    assert read(tmp_path, ORIGINAL, ignore=()).genres == ("Action", "Drama", "N/A")


def test_a_poster_with_na_beside_a_genre_keeps_the_genre(tmp_path: Path) -> None:
    text = ORIGINAL.replace("c,['N/A'],0,0,1", "c,\"['N/A', 'Drama']\",0,1,1")
    assert read(tmp_path, text).labels[2] == ("Drama",)


def test_nothing_is_read_as_a_number_or_as_missing(tmp_path: Path) -> None:
    text = "Id,Genre,nan,NULL\n007,\"['nan', 'NULL']\",1,1\n"
    manifest = read(tmp_path, text)
    assert manifest.ids == ["007"]
    assert manifest.genres == ("nan", "NULL")


@pytest.mark.parametrize("text", [ORIGINAL, SIMPLE])
def test_byte_order_mark_and_windows_line_ends_change_nothing(text: str, tmp_path: Path) -> None:
    plain = read(tmp_path, text)
    windows = text.replace("\n", "\r\n").encode()
    assert read(tmp_path, codecs.BOM_UTF8 + text.encode()) == plain
    assert read(tmp_path, windows) == plain
    assert read(tmp_path, codecs.BOM_UTF8 + windows.rstrip()) == plain


def test_spaces_around_column_names_change_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, ORIGINAL.replace("Id,Genre,Action", "Id , Genre, Action")) == read(tmp_path, ORIGINAL)


def test_one_hot_columns_are_not_needed(tmp_path: Path) -> None:
    manifest = read(tmp_path, "Id,Genre\na,\"['War', 'Drama']\"\nb,['Action']\n")
    assert manifest.genres == ("Action", "Drama", "War")
    assert manifest.labels == [("War", "Drama"), ("Action",)]


@pytest.mark.parametrize("cell", ["Drama|Action", "Drama | Action|", '"Drama,Action"', '" Drama, Action,"'])
def test_the_simple_schema_separates_genres_by_bar_or_comma(cell: str, tmp_path: Path) -> None:
    manifest = read(tmp_path, f"image,genres\na.jpg,{cell}\nsub/b.png,N/A|War\n")
    assert manifest.labels == [("Drama", "Action"), ("War",)]
    assert manifest.genres == ("Action", "Drama", "War")
    assert manifest.paths == [tmp_path / "a.jpg", tmp_path / "sub" / "b.png"]


def test_the_split_column_is_read_in_both_schemas(tmp_path: Path) -> None:
    text = "image,genres,split\na.jpg,War, Train\nb.jpg,War,validation\nsub/b.png,War,TEST\n"
    assert read(tmp_path, text).splits == ["train", "val", "test"]
    text = "Id,Genre,split,War\na,['War'],val,1\nb,['War'],train,1\n"
    manifest = read(tmp_path, text)
    assert manifest.splits == ["val", "train"]
    assert manifest.genres == ("War",)


def test_an_unknown_split_is_named_with_its_row(tmp_path: Path) -> None:
    told = refusal(tmp_path, "image,genres,split\na.jpg,War,train\nb.jpg,War,dev\n")
    assert "row 3, column split: 'dev' is none of train, val, test" in told


def test_exact_repeats_are_dropped_and_counted(tmp_path: Path) -> None:
    repeats = "a,\"['Action', 'Drama']\",1,1,0\nb,['Drama'],0,1,0\na,\"['Drama', 'Action']\",1,1,0\n"
    manifest = read(tmp_path, ORIGINAL + repeats)
    assert manifest.ids == ["a", "b", "c"]
    assert manifest.rows == [[0, 3, 5], [1, 4], [2]]
    assert (manifest.num_rows, manifest.num_repeats) == (6, 3)
    assert read(tmp_path, ORIGINAL).num_repeats == 0


def test_a_repeated_id_with_other_genres_is_told_with_both(tmp_path: Path) -> None:
    told = refusal(tmp_path, ORIGINAL + "a,['Drama'],0,1,0\n")
    assert told.startswith(f"1 problem(s) in {tmp_path / 'train.csv'}: ")
    assert "row 5, column Id: a repeats row 2 with other genres (Drama against Drama, Action)" in told


def test_a_repeated_id_with_another_split_is_told(tmp_path: Path) -> None:
    told = refusal(tmp_path, "image,genres,split\na.jpg,War,train\na.jpg,War,test\n")
    assert "row 3, column image: a.jpg repeats row 2 with other split (test against train)" in told


@pytest.mark.parametrize("cell", ["2", "", "NaN", "1.0", "yes", "-1"])
def test_a_one_hot_value_other_than_0_or_1_is_named_with_row_and_column(cell: str, tmp_path: Path) -> None:
    told = refusal(tmp_path, ORIGINAL.replace("b,['Drama'],0,1,0", f"b,['Drama'],0,{cell},0"))
    assert told == f"1 problem(s) in {tmp_path / 'train.csv'}: row 3, column Drama: {cell!r} is neither 0 nor 1"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b,['Drama'],1,0,0", "Drama against the 0/1 columns' Action"),
        ("b,['Drama'],1,1,0", "Drama against the 0/1 columns' Action, Drama"),
        ("b,['Opera'],0,1,0", "Opera against the 0/1 columns' Drama"),
        ("b,['Drama'],0,0,0", "Drama against the 0/1 columns' nothing"),
        ("b,[],0,1,0", "nothing against the 0/1 columns' Drama"),
    ],
)
def test_genre_text_that_contradicts_its_one_hot_columns_is_told(row: str, message: str, tmp_path: Path) -> None:
    told = refusal(tmp_path, ORIGINAL.replace("b,['Drama'],0,1,0", row))
    assert told == f"1 problem(s) in {tmp_path / 'train.csv'}: row 3, column Genre: {message}"


@pytest.mark.parametrize("text", ["Drama", "['Drama'", "('Drama',)", "[1]", "", "__import__('os').getcwd()"])
def test_genre_text_that_is_no_list_of_names_is_told(text: str, tmp_path: Path) -> None:
    told = refusal(tmp_path, ORIGINAL.replace("b,['Drama'],0,1,0", f'b,"{text}",0,1,0'))
    assert f"row 3, column Genre: {text!r} is not the text of a list of names" in told


def test_a_row_without_a_genre_is_named_with_the_column_of_its_schema(tmp_path: Path) -> None:
    told = refusal(tmp_path, SIMPLE + 'b.jpg," | ,"\n')
    assert told == f"1 problem(s) in {tmp_path / 'train.csv'}: row 4, column genres: names no genre"
    told = refusal(tmp_path, ORIGINAL.replace("b,['Drama'],0,1,0", "b,[],0,0,0"))
    assert told == f"1 problem(s) in {tmp_path / 'train.csv'}: row 3, column Genre: names no genre"


def test_an_empty_id_is_named(tmp_path: Path) -> None:
    assert "row 3, column Id: is empty" in refusal(tmp_path, ORIGINAL.replace("\nb,", "\n ,"))
    assert "row 2, column image: is empty" in refusal(tmp_path, SIMPLE.replace("a.jpg", ""))


def test_all_problems_stand_in_one_error_in_the_order_of_the_rows(tmp_path: Path) -> None:
    text = "Id,Genre,Action,Drama\na,['Action'],1,0\nb,['Drama'],7,1\na,['Drama'],0,1\nc,Drama,0,1\nd,['Action'],0,1\n"
    told = refusal(tmp_path, text)
    assert told.startswith(f"4 problem(s) in {tmp_path / 'train.csv'}: ")
    places = re.findall(r"row (\d+), column (\w+):", told)
    assert places == [("3", "Action"), ("4", "Id"), ("5", "Genre"), ("6", "Genre")]


def test_of_many_problems_ten_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    told = refusal(tmp_path, "Id,Genre,War\n" + "".join(f"x{i},['War'],5\n" for i in range(25)))
    assert told.startswith("25 problem(s)")
    assert told.count("is neither 0 nor 1") == 10
    assert "row 11, column War" in told
    assert "row 12," not in told
    assert told.endswith("; and 15 more")


def test_rows_are_counted_as_an_editor_counts_lines(tmp_path: Path) -> None:
    # The second record spreads over three lines.
    text = 'image,genres,note\na.jpg,War,"one\ntwo\nthree"\nb.jpg,,plain\n'
    assert "row 5, column genres: names no genre" in refusal(tmp_path, text)
    assert "row 5, column genres: names no genre" in refusal(tmp_path, text.replace("\n", "\r\n"))


def test_empty_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    text = "image,genres\na.jpg,War\n\n\nb.jpg,\n"
    assert "row 5, column genres: names no genre" in refusal(tmp_path, text)


def test_a_missing_column_is_told_with_those_there_are(tmp_path: Path) -> None:
    told = refusal(tmp_path, "Id,Genres,War\na,['War'],1\n")
    assert f"{tmp_path / 'train.csv'} has no column Genre; it has: Id, Genres, War." in told
    assert "Known schemas: 'Id, Genre, one 0/1 column per genre' and 'image, genres[, split]'" in told
    assert "has no column image, genres; it has: file, label" in refusal(tmp_path, "file,label\na.jpg,War\n")
    assert "has no column image;" in refusal(tmp_path, "picture,genres\na.jpg,War\n")


@pytest.mark.parametrize("first", ["a.jpg,Drama,Action", "a.jpg,Drama"])
def test_a_comma_between_genres_without_quotes_loses_no_genre_silently(first: str, tmp_path: Path) -> None:
    assert "train.csv" in refusal(tmp_path, f"image,genres\n{first}\nb.jpg,War,Action\n")


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    assert "Action" in refusal(tmp_path, "Id,Genre,Action, Action\na,['Action'],1,1\n")


def test_a_row_with_too_few_cells_is_told(tmp_path: Path) -> None:
    told = refusal(tmp_path, ORIGINAL.replace("b,['Drama'],0,1,0", "b,['Drama'],0,1"))
    assert "row 3, column N/A: '' is neither 0 nor 1" in told


def test_a_missing_csv_is_told_with_those_beside_it(tmp_path: Path) -> None:
    (tmp_path / "posters.csv").touch()
    with pytest.raises(DataError) as caught:
        read_manifest(tmp_path / "train.csv", images=tmp_path)
    assert str(caught.value) == (
        f"no poster CSV at {tmp_path / 'train.csv'} (posters.csv); set data.manifest=NAME within data.root"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot read"),
        (b"Id,Genre,War\n", "has a header and no rows"),
        (ORIGINAL.encode("utf-16"), "as a UTF-8 CSV"),
        ("Id,Genre,Épopée\na,['Épopée'],1\n".encode("latin-1"), "as a UTF-8 CSV"),
        (b"Id,Genre,War\na,\"['War'],1\n", "as a UTF-8 CSV"),
    ],
    ids=["empty", "header", "utf-16", "latin-1", "open quote"],
)
def test_a_file_that_is_no_csv_is_told(content: bytes, message: str, tmp_path: Path) -> None:
    told = refusal(tmp_path, content)
    assert message in told
    assert str(tmp_path / "train.csv") in told


def test_genres_beyond_ascii_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path, "image,genres\na.jpg,Épopée|時代劇\n").genres == ("Épopée", "時代劇")


def test_missing_pictures_are_counted_and_the_first_ten_named(tmp_path: Path) -> None:
    text = "image,genres\na.jpg,War\n" + "".join(f"gone{i:02}.jpg,War\n" for i in range(12)) + "gone00.jpg,War\n"
    told = refusal(tmp_path, text)
    assert told.startswith(f"12 of 13 posters of {tmp_path / 'train.csv'} are missing: {tmp_path / 'gone00.jpg'}, ")
    assert re.findall(r"gone\d\d", told) == [f"gone{i:02}" for i in range(10)]
    assert told.endswith(" …")


def test_one_missing_picture_is_named_alone(tmp_path: Path) -> None:
    told = refusal(tmp_path, ORIGINAL, without=["Images/b.jpg"])
    assert told == (f"1 of 3 posters of {tmp_path / 'train.csv'} are missing: {tmp_path / 'Images' / 'b.jpg'}")


def test_a_set_of_nothing_but_ignored_names_is_refused(tmp_path: Path) -> None:
    assert "no genre to learn" in refusal(tmp_path, "image,genres\na.jpg,N/A\n")


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the original posters")
def test_the_original_posters_are_7242_in_7254_rows() -> None:
    manifest = read_manifest(REAL / "train.csv", images=REAL / "Images")
    assert (manifest.num_rows, len(manifest.ids), manifest.num_repeats) == (7254, 7242, 12)
    assert len(manifest.genres) == 24
    assert "N/A" not in manifest.genres
    counts = {genre: sum(genre in labels for labels in manifest.labels) for genre in ("Western", "News", "Reality-TV")}
    assert counts == {"Western": 50, "News": 21, "Reality-TV": 2}
    assert manifest.labels.count(()) == 9  # ten rows


def test_a_comma_without_quotes_is_told_with_its_row(tmp_path: Path) -> None:
    told = refusal(tmp_path, 'image,genres,note\na.jpg,Drama,"one\ntwo"\n\nb.jpg,War,x,Action\n')
    assert told == (
        f"cannot read {tmp_path / 'train.csv'} as a UTF-8 CSV: row 5 has more cells than the header; quote cells that "
        "hold commas"
    )


def test_a_quote_that_is_never_closed_is_told_with_its_row(tmp_path: Path) -> None:
    told = refusal(tmp_path, 'image,genres,note\na.jpg,Drama,"one\ntwo"\nb.jpg,"War,x\na.jpg,War,\n')
    assert told.endswith("as a UTF-8 CSV: a quote of row 4 is never closed; close it, or write it twice")
    assert "a quote of row 1 is never closed" in refusal(tmp_path, '"image,genres\na.jpg,War\n')


def test_another_encoding_is_told_with_its_row_and_what_to_do(tmp_path: Path) -> None:
    told = refusal(tmp_path, "image,genres\na.jpg,Drame\nb.jpg,Épopée\n".encode("latin-1"))
    assert told.endswith("as a UTF-8 CSV: row 3 has bytes that are none; save it as UTF-8")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_told_with_what_to_do(separator: str, tmp_path: Path) -> None:
    told = refusal(tmp_path, "image,genres,note\na.jpg,Drama,\n".replace(",", separator))
    assert "; write commas between its cells. Known schemas:" in told
    assert "write commas" not in refusal(tmp_path, "file,label\na.jpg,War\n")


def test_names_without_commas_are_not_one_long_name(tmp_path: Path) -> None:
    """So NumPy prints an array of names."""
    told = refusal(tmp_path, "Id,Genre\na,\"['Drama' 'War']\"\n")
    assert "row 2, column Genre: \"['Drama' 'War']\" is not the text of a list of names" in told
    assert read(tmp_path, "Id,Genre\na,\"[ 'Drama', r'War' ]\"\n").labels == [("Drama", "War")]


@pytest.mark.parametrize("text", ["['']", "[' ']", r"['\ud800']", r"['Dra\nma']", "['Dra\7ma']"])
def test_what_cannot_be_a_genres_name_is_told(text: str, tmp_path: Path) -> None:
    assert "row 2, column Genre: " in refusal(tmp_path, f"Id,Genre\na,{text}\n")
    if "\7" in text:
        told = refusal(tmp_path, "image,genres\na.jpg,Dra\7ma\n")
        assert told.endswith(
            r"row 2, column genres: 'Dra\x07ma' cannot be a genre: "
            "names have 1 … 100 letters, and no line breaks or control characters"
        )


def test_genres_may_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    assert read(tmp_path, 'image,genres\na.jpg,"Drama,\n\tWar"\n').labels == [("Drama", "War")]


def test_a_backslash_in_a_genre_is_a_character_like_others(tmp_path: Path) -> None:
    assert read(tmp_path, r"Id,Genre" + "\n" + r"a,['Sci\Fi']" + "\n").genres == (r"Sci\Fi",)


def test_a_very_long_cell_is_told_without_its_middle(tmp_path: Path) -> None:
    told = refusal(tmp_path, ORIGINAL.replace("b,['Drama'],0,1,0", f"b,{'x' * 50_000}yz,0,1,0"))
    assert "row 3, column Genre: 'xxx" in told
    assert "x … x" in told
    assert "xyz' is not the text of a list of names" in told
    assert len(told) < 500


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zip", "zst", "tar"])
def test_a_file_that_is_named_as_packed_is_not_unpacked(suffix: str, tmp_path: Path) -> None:
    read(tmp_path, SIMPLE)
    path = (tmp_path / "train.csv").rename(tmp_path / f"train.csv.{suffix}")
    assert read_manifest(path, images=tmp_path).ids == ["a.jpg", "sub/b.png"]
    path.write_bytes(b"\x1f\x8b\x08\0\xff")
    with pytest.raises(DataError, match=r"as a UTF-8 CSV: row 1 has bytes that are none"):
        read_manifest(path, images=tmp_path)


def test_a_csv_with_a_name_too_long_for_any_file_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^no poster CSV at "):
        read_manifest(tmp_path / ("x" * 300), images=tmp_path)


def test_a_csv_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    read(tmp_path, SIMPLE)
    monkeypatch.setattr(pd, "read_csv", refuse)
    with pytest.raises(DataError, match=r"^cannot read .*train\.csv: Permission denied$"):
        read_manifest(tmp_path / "train.csv", images=tmp_path)


def test_pictures_and_a_csv_with_names_of_two_lines_are_told_on_one(tmp_path: Path) -> None:
    folder = tmp_path / "two\nlines"
    folder.mkdir()
    told = refusal(folder, 'image,genres\n"gone\n.jpg",War\n')
    assert told == (
        f"1 of 1 posters of {tmp_path}/two\\nlines/train.csv are missing: {tmp_path}/two\\nlines/gone\\n.jpg"
    )
