"""Further columns of the CSV, in both schemas."""

from pathlib import Path

import pytest

from postergenre.data.columns import UNKNOWN, read_columns
from postergenre.data.manifest import read_manifest
from postergenre.errors import ConfigError, DataError

SIMPLE = """\
image,genres,country,year
a.jpg,War,US,1999
b.jpg,War,US | FR |US,2003-05-01

a.jpg,War,KR,1950
c.jpg,Drama,,20001
d.jpg,Drama,KR,1987.0
"""
ORIGINAL = "Id,Genre,War,year,Drama,country\na,['War'],1,1999,0,US\nb,['Drama'],0,0,1,KR\nc,['War'],1,1,0,\n"


def columns(folder: Path, text: str, *names: str) -> dict[str, list[tuple[str, ...]]]:
    (folder / "train.csv").write_text(text)
    (folder / "Images").mkdir(exist_ok=True)
    for name in "abcd":
        (folder / f"{name}.jpg").touch()
        (folder / "Images" / f"{name}.jpg").touch()
    manifest = read_manifest(folder / "train.csv", images=folder / "Images")
    return read_columns(folder / "train.csv", manifest, names)


def test_each_poster_has_the_values_of_its_first_row(tmp_path: Path) -> None:
    assert columns(tmp_path, SIMPLE, "country") == {"country": [("US",), ("US", "FR"), (UNKNOWN,), ("KR",)]}


def test_decades_follow_from_years(tmp_path: Path) -> None:
    found = columns(tmp_path, SIMPLE, "decade", "year")
    assert found["decade"] == [("1990s",), ("2000s",), (UNKNOWN,), ("1980s",)]
    assert found["year"] == [("1999",), ("2003-05-01",), ("20001",), ("1987.0",)]


def test_a_column_named_decade_is_taken_as_it_is(tmp_path: Path) -> None:
    text = "image,genres,year,decade\na.jpg,War,1999,nineties\n"
    assert columns(tmp_path, text, "decade") == {"decade": [("nineties",)]}


def test_the_original_schema_may_have_further_columns_that_are_no_genres(tmp_path: Path) -> None:
    found = columns(tmp_path, ORIGINAL, "country", "year")
    assert found == {"country": [("US",), ("KR",), (UNKNOWN,)], "year": [("1999",), ("0",), ("1",)]}
    manifest = read_manifest(tmp_path / "train.csv", images=tmp_path / "Images")
    assert manifest.genres == ("War", "Drama")


def test_a_column_of_nothing_but_0_and_1_is_a_genre_and_has_to_agree(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 3, column Genre: Drama against the 0/1 columns' Drama, adult"):
        columns(tmp_path, "Id,Genre,War,Drama,adult\na,['War'],1,0,0\nb,['Drama'],0,1,1\n", "adult")


@pytest.mark.parametrize(("name", "told"), [("land", "'land' to"), ("decade", r"'decade' \(nor 'year'\) to")])
def test_a_column_that_is_not_there_is_told_with_those_that_are(name: str, told: str, tmp_path: Path) -> None:
    text = "image,genres,country\na.jpg,War,US\n"
    with pytest.raises(ConfigError, match=rf"has no column {told} group by; it has: image, genres, country$"):
        columns(tmp_path, text, name)
