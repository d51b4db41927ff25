import json
import os
from contextlib import closing
from pathlib import Path

import pytest
from pyarrow import parquet as arrow

from conftest import read_csv
from postergenre.errors import DataError
from postergenre.inference import Prediction, parquet
from postergenre.inference.tables import Row, columns, open_table, row, spelled

GENRES = ["Drama", "Sci-Fi"]
NAMES = ["a.jpg", 'b "quoted",\nof two lines.jpg', "http://h/ü.jpg", "", "e.jpg", os.fsdecode(b"\xff.jpg")]
SUFFIXES = (".csv", ".jsonl", ".parquet")


def rows() -> list[Row]:
    answer = Prediction(probabilities={"Drama": 0.12345678, "Sci-Fi": 1.0}, genres=["Sci-Fi"])
    answers = [Prediction(error='no "picture", here') if place == 3 else answer for place in range(len(NAMES))]
    return [row(name, told, genres=GENRES, top=1) for name, told in zip(NAMES, answers, strict=True)]


def fill(path: Path, *, stop: int | None = None) -> None:
    with closing(open_table(path, columns(GENRES))) as table:
        for wanted in rows()[len(list(table.rows())) : stop]:
            table.write(wanted)


def test_a_csv_has_a_column_for_each_genre_and_one_for_what_went_wrong(tmp_path: Path) -> None:
    fill(tmp_path / "x.csv")
    read = read_csv(tmp_path / "x.csv")
    assert list(read[0]) == ["poster", "genres", "top", "Drama", "Sci-Fi", "error"]
    assert [line["poster"] for line in read] == [*NAMES[:5], "\\udcff.jpg"]
    assert list(read[0].values()) == ["a.jpg", "Sci-Fi", "Sci-Fi", "0.123457", "1.000000", ""]
    assert list(read[3].values()) == ["", "", "", "", "", 'no "picture", here']


def test_json_lines_have_lists_and_numbers(tmp_path: Path) -> None:
    fill(tmp_path / "x.jsonl")
    read = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["poster"] for line in read] == [*NAMES[:5], "\\udcff.jpg"]
    assert read[0] == {
        "poster": "a.jpg", "genres": ["Sci-Fi"], "top": ["Sci-Fi"], "Drama": 0.123457, "Sci-Fi": 1.0, "error": None,
    }  # fmt: skip
    assert read[3] == {
        "poster": "", "genres": [], "top": [], "Drama": None, "Sci-Fi": None, "error": 'no "picture", here',
    }  # fmt: skip


def test_parquet_is_a_folder_of_parts_that_reads_as_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "PART_ROWS", 4)
    fill(tmp_path / "x.parquet")
    (tmp_path / "x.parquet" / "_run.json").write_text("what predict notes there")
    assert [path.name for path in sorted((tmp_path / "x.parquet").glob("part*"))] == [
        "part-00000.parquet", "part-00001.parquet",
    ]  # fmt: skip
    table = arrow.read_table(tmp_path / "x.parquet")
    assert [f"{field.name} {field.type}" for field in table.schema] == [
        "poster string", "genres list<element: string>", "top list<element: string>", "Drama float", "Sci-Fi float",
        "error string",
    ]  # fmt: skip
    read = table.to_pylist()
    assert [line["poster"] for line in read] == [*NAMES[:5], "\\udcff.jpg"]
    assert read[0]["Drama"] == pytest.approx(0.12345678, abs=1e-7)
    assert (read[3]["genres"], read[3]["Drama"], read[3]["error"]) == ([], None, 'no "picture", here')


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_come_back_with_their_errors(tmp_path: Path, suffix: str) -> None:
    fill(tmp_path / f"x{suffix}")
    with closing(open_table(tmp_path / f"x{suffix}", columns(GENRES))) as table:
        told = list(table.rows())
    assert told == [(spelled(name), 'no "picture", here' if i == 3 else None) for i, name in enumerate(NAMES)]


@pytest.mark.parametrize("suffix", SUFFIXES[:2])
def test_a_table_cut_anywhere_goes_on_to_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    fill(path)
    whole = path.read_bytes()
    for length in (*range(0, len(whole) - 150, 9), *range(len(whole) - 150, len(whole))):
        path.write_bytes(whole[:length])
        fill(path)
        assert path.read_bytes() == whole, length


def test_a_part_that_was_not_finished_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "PART_ROWS", 2)
    folder = tmp_path / "x.parquet"
    fill(folder, stop=5)
    (folder / "part-00002.parquet").rename(folder / ".part-00002.parquet")
    fill(folder)
    assert [line["poster"] for line in arrow.read_table(folder).to_pylist()] == [spelled(name) for name in NAMES]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"poster,genres,top,Horror,error\r\n", "has other columns: poster,genres,top,Horror,error"),
        ("x.csv", b"poster,genres,top,Drama,Sci-Fi,error\r\na,b\r\n", "a row that predict did not write: b'a,b"),
        ("x.csv", b"poster,genres,top,Drama,Sci-Fi,error\r\n\xff,,,,,\r\n", "a row that predict did not write"),
        ("x.jsonl", b'{"poster": 1}\n', "a row that predict did not write"),
        ("x.jsonl", b"hello\n", "a row that predict did not write: b'hello"),
        ("x.parquet/part-00000.parquet", b"hello", "a row that predict did not write"),
    ],
)
def test_something_else_is_not_continued_and_left_as_it_is(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        fill(tmp_path / name.split("/")[0])
    assert (tmp_path / name).read_bytes() == content


def test_a_missing_part_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "PART_ROWS", 2)
    fill(tmp_path / "x.parquet")
    (tmp_path / "x.parquet" / "part-00001.parquet").unlink()
    with pytest.raises(DataError, match=r"part-00002.parquet is no part 1 of this table"):
        fill(tmp_path / "x.parquet")


def test_a_genre_cannot_have_the_name_of_another_column() -> None:
    with pytest.raises(DataError, match="a genre cannot be called top"):
        columns(["Drama", "top"])


def test_every_row_is_on_its_way_to_the_disk_before_the_next(tmp_path: Path) -> None:
    with closing(open_table(tmp_path / "x.csv", columns(GENRES))) as table:
        for count, wanted in enumerate(rows()[:3], 1):
            table.write(wanted)
            assert len(read_csv(tmp_path / "x.csv")) == count
