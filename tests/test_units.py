"""Posters without end, listed beside the answers and cut into units of work."""

import os
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from PIL import Image
from pyarrow import parquet

from postergenre.errors import ConfigError, DataError
from postergenre.inference.units import Unit, list_posters, read_unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven posters, one with a name that is no text."""
    root = tmp_path / "posters"
    (root / "below").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png", "d.png", "e.png", os.fsdecode(b"\xff.png"), "below/g.png"):
        Image.new("RGB", (4, 6)).save(root / name)
    return root


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    (tmp_path / "x.parquet").mkdir()
    return tmp_path / "x.parquet"


def write_shard(path: Path, ids: list[Any], *, group: int) -> str:
    """Write posters whose content is their name, ``group`` to a row group."""
    path.parent.mkdir(exist_ok=True)
    columns = {"image": [str(name).encode() if name else None for name in ids], "genres": ids, "id": ids}
    parquet.write_table(arrow.table(columns), path, row_group_size=group)
    return str(path)


def units(answers: Path, posters: Any, *, rows: int = 3, **settings: Any) -> list[Unit]:
    return list_posters(answers, posters, rows=rows, **{"recursive": False, "column": None} | settings)


def test_a_folder_is_cut_where_its_names_are_sorted(folder: Path, answers: Path) -> None:
    found = units(answers, str(folder))
    assert found == [Unit(number=0, rows=3), Unit(number=1, rows=3)]
    wanted = [str(folder / name) for name in ("a.png", "b.png", "c.png", "d.png", "e.png", os.fsdecode(b"\xff.png"))]
    read = [list(read_unit(unit, answers)) for unit in found]
    assert read == [[(name, name) for name in wanted[:3]], [(name, name) for name in wanted[3:]]]
    deep = units(answers, str(folder), recursive=True)
    assert [unit.rows for unit in deep] == [3, 3, 1]
    assert list(read_unit(deep[2], answers)) == [(str(folder / "below/g.png"),) * 2]


def test_what_a_csv_names_keeps_its_empty_cells(folder: Path, answers: Path) -> None:
    (folder / "x.csv").write_text("poster,title\na.png,A\n,B\nhttp://h/c.jpg,C\n")
    (unit,) = units(answers, str(folder / "x.csv"), column="poster")
    assert [name for name, _ in read_unit(unit, answers)] == [str(folder / "a.png"), "", "http://h/c.jpg"]


@pytest.mark.parametrize("spelling", ["folder", "files", "glob", "address", "list"])
def test_shards_are_cut_between_row_groups(tmp_path: Path, answers: Path, spelling: str) -> None:
    first = write_shard(tmp_path / "shards" / "a.parquet", [f"p{number}" for number in range(7)], group=2)
    second = write_shard(tmp_path / "shards" / "b.parquet", [7, 8, None], group=8)
    write_shard(tmp_path / "shards" / "_hidden.parquet", ["no poster"], group=8)
    root = str(tmp_path / "shards")
    posters = {"folder": root, "files": [first, second], "glob": f"{root}/*.parquet", "address": f"file://{root}",
               "list": [f"file://{first}", second]}[spelling]  # fmt: skip
    found = units(answers, posters)
    assert [(unit.number, unit.rows, unit.first, unit.stop) for unit in found] == [
        (0, 4, 0, 2), (1, 3, 2, 4), (2, 3, 0, 1),
    ]  # fmt: skip
    assert [Path(unit.shard).name for unit in found] == ["a.parquet", "a.parquet", "b.parquet"]
    read = [row for unit in found for row in read_unit(unit, answers)]
    assert read == [
        *((f"p{number}", f"p{number}".encode()) for number in range(7)),
        ("7", b"7"),
        ("8", b"8"),
        ("", b""),
    ]


def test_posters_that_come_after_the_others_are_welcome_and_others_are_not(folder: Path, answers: Path) -> None:
    units(answers, str(folder))
    Image.new("RGB", (4, 6)).save(folder / os.fsdecode(b"\xff\xff.png"), format="PNG")
    assert [unit.rows for unit in units(answers, str(folder))] == [3, 3, 1]
    (folder / "b.png").unlink()
    before = (answers / "_posters.arrow").read_bytes()
    with pytest.raises(
        DataError, match=r"x.parquet was begun with other posters: number 2 is .*b.png there and .*c.png"
    ):
        units(answers, str(folder))
    with pytest.raises(DataError, match=r"number 2 is .*b.png there and no poster now; give another output"):
        units(answers, str(folder / "a.png"))
    shard = write_shard(folder / "a.parquet", ["p"], group=1)
    with pytest.raises(DataError, match=r"number 1 is .*a.png there and .*a.parquet of .* bytes, row groups 0 … 0 now"):
        units(answers, shard)
    assert (answers / "_posters.arrow").read_bytes() == before


def test_a_shard_that_was_written_again_is_another(tmp_path: Path, answers: Path) -> None:
    shard = write_shard(tmp_path / "a.parquet", ["p", "q"], group=2)
    units(answers, shard)
    write_shard(tmp_path / "a.parquet", ["p", "q", "r"], group=3)
    with pytest.raises(DataError, match="was begun with other posters: number 1 is"):
        units(answers, shard)


def test_a_row_group_is_read_as_it_is_needed(tmp_path: Path, answers: Path) -> None:
    shard = tmp_path / "a.parquet"
    contents = [os.urandom(1 << 16) for _ in range(1000)]  # 64 MB in one row group
    table = arrow.table({"id": range(1000), "image": contents})
    parquet.write_table(table, shard, compression="none", use_dictionary=False, write_batch_size=16)  # 1 MB to a page
    del table
    (unit,) = units(answers, str(shard))
    before = arrow.total_allocated_bytes()
    most = 0
    for number, (name, content) in enumerate(read_unit(unit, answers)):
        assert (name, content) == (str(number), contents[number])
        most = max(most, arrow.total_allocated_bytes() - before)
    assert most < 24 << 20


def test_what_is_no_shard_is_told(tmp_path: Path, folder: Path, answers: Path) -> None:
    other = tmp_path / "other.parquet"
    parquet.write_table(arrow.table({"id": ["a"], "image": ["a.jpg"]}), other)
    with pytest.raises(DataError, match=r"needs the columns id .* and image \(the content .*; it has id, image"):
        units(answers, str(other))
    other.write_bytes(b"no Parquet")
    with pytest.raises(DataError, match=r"cannot read .*other.parquet: .*Parquet"):
        units(answers, str(other))
    empty = write_shard(tmp_path / "empty.parquet", [], group=1)
    with pytest.raises(DataError, match=r"it needs the columns|there is no row in .*empty.parquet"):
        units(answers, empty)
    shard = write_shard(tmp_path / "a.parquet", ["p"], group=1)
    with pytest.raises(ConfigError, match=r"posters names Parquet shards, and .*posters, where there is none"):
        units(answers, [shard, str(folder)])
    with pytest.raises(ConfigError, match=r"column=x is for posters=FILE.csv; shards have the columns id and image"):
        units(answers, shard, column="x")
    with pytest.raises(DataError, match="cannot look at nowhere://x/y: "):
        units(answers, "nowhere://x/y")
    assert [path.name for path in answers.iterdir() if not path.name.startswith(".")] == []
