"""Poster CSVs: whole ones in many dresses, ones with a single mistake at a known place, and damaged ones."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from corpus import Fate

T = TypeVar("T")
IDS = (
    *(f"p{number:02}" for number in range(30)), "a b", "Amélie", "千と千尋", "-x", "it's", 'say "x"', "a,b", "a;b",
    "line\nbreak",
    "007", "nan", "NULL", "1e5", "#1", "[1]", "~home", "%s",
)  # fmt: skip
GENRES = (
    "Drama", "Action", "Sci-Fi", "Film Noir", "Épopée", "時代劇", "N/A", "nan", "R&B", "it's", 'say "x"',
    "Reality-TV", "007",
    "[Short]", "True", "a\\d",
)  # fmt: skip
SPLITS = {"train": ("train", "Train", " TRAIN "), "val": ("val", "validation", "Val"), "test": ("test", "TEST")}
NOTES = (
    "",
    "plain",
    "3",
    "1e9",
    "NaN",
    "None",
    "a, b",
    'she said "x"',
    "one\ntwo",
    "one\r\ntwo\r\nthree",
    "\tx",
    "été",
    "x\0y",
)
NO_LISTS = (
    "Drama", "{'Drama'}", "('Drama',)", "['Drama'", "[1]", "[['Drama']]", "None", "1", "b'Drama'",
    "[b'Drama']", "f'{1}'",
    "['Drama', 2]", "{'Drama': 1}", "['Drama' 'War']", "[x for x in 'ab']", "__import__('os').getcwd()", "[" * 3000,
    "-" * 3000 + "1", "['']",
    "9" * 5000, "['Drama'] + ['War']", "\\",
)  # fmt: skip
"""Literals of Python, and others, that are no list of names."""


@dataclass(kw_only=True, slots=True)
class Row:
    """A poster of a CSV that is whole."""

    name: str
    """Its id."""
    genres: tuple[str, ...]
    split: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A CSV, and what must become of it."""

    number: int
    kind: str
    content: bytes
    fate: Fate
    rows: tuple[Row, ...] = ()
    """What it says, where it is whole: distinct posters, in order."""
    files: tuple[str, ...] = ()
    """The picture of each row, repeats among them, from the CSV's folder."""
    genres: tuple[str, ...] = ()
    """Its vocabulary."""
    splits: bool = False
    """Whether it has a column of splits."""
    told: tuple[str, ...] = ()
    """What a refusal must say."""


@dataclass(kw_only=True, slots=True)
class Draft:
    """A CSV before it is written."""

    header: list[str]
    rows: list[list[str]]
    plan: list[Row]
    original: bool
    columns: list[str]
    """Genres with a 0/1 column."""
    line_end: str = "\n"
    separator: str = ","
    quoting: int = csv.QUOTE_MINIMAL
    blanks: set[int] = field(default_factory=set)
    """Rows before which an empty line stands."""
    encoding: str = "utf-8"
    last_end: bool = True

    def content(self) -> bytes:
        file = io.StringIO()
        writer = csv.writer(file, delimiter=self.separator, lineterminator=self.line_end, quoting=self.quoting)
        writer.writerow(self.header)
        for number, row in enumerate(self.rows):
            if number in self.blanks:
                file.write(self.line_end)
            writer.writerow(row)
        text = file.getvalue()
        return (text if self.last_end else text.removesuffix(self.line_end)).encode(self.encoding, "replace")

    def line(self, number: int) -> int:
        """Return the line on which a row begins, as an editor counts."""
        before = [self.header, *self.rows[:number]]
        breaks = sum(cell.count("\n") for row in before for cell in row)
        return 1 + len(before) + breaks + sum(blank <= number for blank in self.blanks)

    def cell(self, number: int, column: str, text: str) -> None:
        self.rows[number][self.header.index(column)] = text


def make_posters(folder: Path) -> None:
    """Put an (empty) picture into the folder for each id that a CSV may name."""
    (folder / "Images").mkdir(parents=True, exist_ok=True)
    for name in IDS:
        (folder / "Images" / f"{name}.jpg").touch()


def tables(count: int, *, seed: int) -> Iterator[Table]:
    """Yield as many CSVs; each depends on the seed and its own number alone."""
    for number in range(count):
        random = np.random.default_rng([seed, number, 1])
        make = KINDS[number % len(KINDS)]
        yield replace(make(random), number=number)


def whole(random: np.random.Generator) -> Table:
    draft = _draft(random)
    _dress(draft, random)
    return _whole(draft, "whole")


def one_row(random: np.random.Generator) -> Table:
    return _whole(_draft(random, num_rows=1), "one row")


def one_genre(random: np.random.Generator) -> Table:
    return _whole(_draft(random, vocabulary=["Drama"]), "one genre")


def a_genre_everywhere(random: np.random.Generator) -> Table:
    draft = _draft(random, everywhere="Drama")
    _dress(draft, random)
    return _whole(draft, "a genre in every row")


def a_genre_nowhere(random: np.random.Generator) -> Table:
    draft = _draft(random, original=True, nowhere="Opera")
    _dress(draft, random)
    return _whole(draft, "a genre in none")


def repeats(random: np.random.Generator) -> Table:
    draft = _draft(random)
    for _ in range(int(random.integers(1, 4))):
        again = list(draft.rows[int(random.integers(len(draft.plan)))])
        draft.rows.append(again)
    _dress(draft, random)
    return _whole(draft, "repeats")


def long_field(random: np.random.Generator) -> Table:
    draft = _draft(random)
    if "note" not in draft.header:
        _column(draft, "note", [""] * len(draft.rows))
    draft.cell(int(random.integers(len(draft.rows))), "note", "very long " * int(random.integers(1_000, 13_000)))
    return _whole(draft, "a very long field")


def a_bad_row(random: np.random.Generator) -> Table:
    """One mistake in one row, which is told with its line and column."""
    draft = _draft(random, num_rows=int(random.integers(2, 10)))
    number = int(random.integers(1, len(draft.rows)))
    key, genres = draft.header[0], draft.header[1]
    choices = ["empty name", "no genre", "missing picture", "repeat", "control character"]
    choices += ["split"] if "split" in draft.header else []
    choices += ["no list", "no list"] if draft.original else []
    choices += ["no mark", "contradiction", "few cells"] if draft.columns else []
    what = _one(choices, random)
    told = [genres, "names no genre"]
    if what == "empty name":
        draft.cell(number, key, _one(["", "  "], random))
        told = [key, "is empty"]
    elif what == "no genre":
        draft.cell(number, genres, "[]" if draft.original else _one(["", " | ", ","], random))
        for genre in draft.columns:
            draft.cell(number, genre, "0")
    elif what == "missing picture":
        draft.cell(number, key, "gone" if draft.original else "Images/gone.jpg")
        told = []
    elif what == "repeat":
        first = draft.rows[0]
        draft.rows.append([first[0], *["" for _ in first[1:]]])
        number = len(draft.rows) - 1
        other = next(genre for genre in ("Musical", "Western") if genre not in draft.plan[0].genres)
        for name, cell in zip(draft.header, first, strict=True):
            draft.cell(number, name, cell)
        draft.cell(number, genres, str([other]) if draft.original else other)
        # Where there are marks, the text is against them, too.
        told = [genres, "against the 0/1 columns'"] if draft.columns else [key, "repeats row {} with other genres"]
    elif what == "control character":
        names = ["Dra\7ma", "Dra\x1b[2Jma", "D" * 101]
        name = _one([*names, "Dra\nma", "Dra\ud800ma"] if draft.original else names, random)
        draft.cell(number, genres, str([name]) if draft.original else name)
        told = [genres, "cannot be a genre"]
    elif what == "split":
        draft.cell(number, "split", _one(["training", "", "0", "dev"], random))
        told = ["split", "is none of train, val, test"]
    elif what == "no list":
        draft.cell(number, genres, _one([*NO_LISTS], random))
        told = [genres, "is not the text of a list of names"]
    else:
        genre = _one(draft.columns, random)
        if what == "contradiction":
            mark = draft.rows[number][draft.header.index(genre)]
            draft.cell(number, genre, "10"[int(mark)])
            told = [genres, "against the 0/1 columns'"]
        elif what == "few cells":
            genre = draft.header[-1]
            del draft.rows[number][-1]
            told = [genre, "'' is neither 0 nor 1"] if genre in draft.columns else []
            if not told:
                return _refused(draft, "few cells", fate="either")
        else:
            draft.cell(number, genre, _one(["2", "", "yes", "1.0", "-1", "NaN", "0 "], random))
            if genre not in {name for row in draft.plan for name in row.genres}:
                return _refused(draft, "a column that is no genre's", fate="either")
            told = [genre, "is neither 0 nor 1"]
    _dress(draft, random)
    place = f"row {draft.line(number)}, column {told[0]}: " if told else "gone.jpg"
    return _refused(draft, what, told=(place, *(part.replace("{}", str(draft.line(0))) for part in told[1:])))


def a_ragged_row(random: np.random.Generator) -> Table:
    draft = _draft(random, num_rows=int(random.integers(2, 10)))
    number = int(random.integers(len(draft.rows)))
    draft.rows[number].append(_one(["Action", "x, y", "0"], random))
    _dress(draft, random)
    return _refused(draft, "a row too long", told=(f"row {draft.line(number)} has more cells", "quote cells"))


def an_open_quote(random: np.random.Generator) -> Table:
    draft = _draft(random)
    _dress(draft, random)
    draft.last_end = True
    row = '"open' if draft.header[0] == "Id" else 'open.jpg,"Drama'
    content = draft.content() + f"{row},x{draft.line_end}1,2{draft.line_end}".encode()
    told = (f"a quote of row {draft.line(len(draft.rows))} is never", "close it")
    return _refused(draft, "an open quote", told=told, content=content)


def another_encoding(random: np.random.Generator) -> Table:
    draft = _draft(random)
    encoding, note = _one(
        [("latin-1", "été"), ("cp1252", "naïve…"), ("shift-jis", "映画ポスター"), ("utf-16", "été"),
         ("gb18030", "电影"), ("utf-32", "x"), ("cp1251", "кино")],
        random,
    )  # fmt: skip
    if "note" not in draft.header:
        _column(draft, "note", ["plain"] * len(draft.rows))
    number = int(random.integers(len(draft.rows)))
    for other in range(len(draft.rows)):  # nothing before it is beyond ASCII
        draft.rows[other] = [cell.encode("ascii", "replace").decode() for cell in draft.rows[other]]
    draft.header = [name.encode("ascii", "replace").decode() for name in draft.header]
    if len(set(draft.header)) < len(draft.header):
        return another_encoding(random)
    draft.cell(number, "note", note)
    draft.encoding = encoding
    within = sum(cell.count("\n") for cell in draft.rows[number][: draft.header.index("note")])
    line = 1 if encoding.startswith("utf") else draft.line(number) + within
    return _refused(draft, encoding, told=(f"row {line} has bytes that are none", "save it as UTF-8"))


def another_separator(random: np.random.Generator) -> Table:
    draft = _draft(random)
    draft.separator = _one([";", "\t", "|"], random)
    return _refused(draft, f"separated by {draft.separator!r}", told=())


def another_header(random: np.random.Generator) -> Table:
    draft = _draft(random)
    what = _one(["twice", "missing", "none", "only"], random)
    if what == "twice":
        column = _one(draft.header, random)
        place = draft.header.index(column)
        draft.header.append(f" {column}")
        for row in draft.rows:
            row.append(row[place])
        return _refused(draft, "a column twice", told=(f"more than one column {column.strip()!r}",))
    if what == "missing":
        column = draft.header[int(random.integers(2))]
        draft.header[draft.header.index(column)] = "other"
        return _refused(draft, "a column missing", told=("has no column ", "Known schemas:"))
    if what == "none":
        draft.header = draft.rows.pop(0) if len(draft.rows) > 1 else ["x" for _ in draft.header]
        if len({name.strip() for name in draft.header}) < len(draft.header):
            return _refused(draft, "no header", told=("more than one column",))
        return _refused(draft, "no header", told=("has no column ", "Known schemas:"))
    draft.rows.clear()
    return _refused(draft, "nothing but a header", told=("has a header and no rows",))


def no_table(random: np.random.Generator) -> Table:
    kinds = {
        "empty": b"", "a line end": b"\n", "a BOM": b"\xef\xbb\xbf", "zeros": bytes(300),
        "a picture": b"\x89PNG\r\n\x1a\n" + random.bytes(80),
        "HTML": b"<!doctype html>\n<title>404</title>\n", "JSON": b'{"image": ["a.jpg"], "genres": ["Drama"]}',
        "gzip": b"\x1f\x8b\x08" + random.bytes(60), "ZIP": b"PK\3\4\x14\0" + random.bytes(60),
    }  # fmt: skip
    kind = _one([*kinds], random)
    return Table(number=0, kind=kind, content=kinds[kind], fate="refused")


def damaged(random: np.random.Generator) -> Table:
    draft = _draft(random)
    _dress(draft, random)
    content = bytearray(draft.content())
    for _ in range(int(random.integers(1, 5))):
        place = int(random.integers(len(content) + 1))
        what = int(random.integers(4))
        if what == 0 and place < len(content):
            content[place] ^= 1 << int(random.integers(8))
        elif what == 1:
            content[place:place] = _one(
                [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"'", b"[", b"|", b"\\", b"1"], random
            )
        elif what == 2:
            del content[place : place + int(random.integers(1, 9))]
        else:
            piece = content[place : place + int(random.integers(1, 60))]
            content[place:place] = piece
    if random.integers(5) == 0:
        del content[int(random.integers(len(content) + 1)) :]
    return Table(number=0, kind="damaged", content=bytes(content), fate="either")


KINDS: tuple[Callable[[np.random.Generator], Table], ...] = (
    whole, whole, whole, one_row, one_genre, a_genre_everywhere, a_genre_nowhere, repeats, long_field,
    a_bad_row, a_bad_row,
    a_bad_row, a_bad_row, a_ragged_row, an_open_quote, another_encoding, another_separator, another_header,
    no_table, damaged,
    damaged, damaged, damaged,
)  # fmt: skip


def million(path: Path, *, num_rows: int) -> None:
    """Write a CSV of that many posters, each with a picture of its own name, none of which is there."""
    with path.open("w", encoding="utf-8") as file:
        file.write("image,genres,split\n")
        for start in range(0, num_rows, 1000):
            rows = range(start, min(start + 1000, num_rows))
            file.writelines(
                f"{n:07}.jpg,{GENRES[n % 3]}|{GENRES[3 + n % 2]},{'train' if n % 9 else 'val'}\n" for n in rows
            )


def _draft(
    random: np.random.Generator,
    *,
    num_rows: int | None = None,
    original: bool | None = None,
    vocabulary: Sequence[str] = (),
    everywhere: str = "",
    nowhere: str = "",
) -> Draft:
    original = bool(random.integers(2)) if original is None else original
    num_rows = num_rows or int(random.integers(1, 12))
    known = list(vocabulary) or [str(name) for name in random.choice(GENRES, int(random.integers(2, 7)), replace=False)]
    if set(known) == {"N/A"}:
        known = ["Drama"]
    if everywhere and everywhere not in known:
        known.append(everywhere)
    plan = []
    for name in random.choice(IDS, num_rows, replace=False):
        held = [str(genre) for genre in random.choice(known, int(random.integers(1, len(known) + 1)), replace=False)]
        held += [everywhere] if everywhere and everywhere not in held else []
        plan.append(
            Row(name=str(name), genres=tuple(held), split=_one([*SPLITS], random), note=str(_one([*NOTES], random)))
        )
    if all(set(row.genres) == {"N/A"} for row in plan):
        plan[0].genres = ("Drama",)
        known = list(dict.fromkeys([*known, "Drama"]))
    columns = [*known, *([nowhere] if nowhere else [])] if original and (nowhere or random.integers(3)) else []
    if columns:
        random.shuffle(columns)
        columns = [str(name) for name in columns]
    if original:
        header = ["Id", "Genre", *columns]
        rows = [[row.name, str(list(row.genres)), *(str(int(name in row.genres)) for name in columns)] for row in plan]
    else:
        header = ["image", "genres"]
        rows = [[f"Images/{row.name}.jpg", _one(["|", ",", " | "], random).join(row.genres)] for row in plan]
    draft = Draft(header=header, rows=rows, plan=plan, original=original, columns=columns)
    if random.integers(2):
        _column(draft, "split", [_one([*SPLITS[row.split]], random) for row in plan])
    if random.integers(2):
        _column(draft, "note", [row.note for row in plan])
    if random.integers(4) == 0:
        _column(draft, "year", [_one(["1999", "", "2001-03", "x", "-1"], random) for _ in plan[1:]] + ["2020"])
    return draft


def _column(draft: Draft, name: str, cells: Sequence[str]) -> None:
    draft.header.append(name)
    for row, cell in zip(draft.rows, cells, strict=True):
        row.append(cell)


def _dress(draft: Draft, random: np.random.Generator) -> None:
    """Write it as one program or another would."""
    draft.line_end = _one(["\n", "\n", "\r\n", "\r"], random)
    draft.encoding = _one(["utf-8", "utf-8-sig"], random)
    # Python's writer would not quote a line feed that is not the end of a line.
    draft.quoting = csv.QUOTE_ALL if draft.line_end == "\r" else _one([csv.QUOTE_MINIMAL, csv.QUOTE_ALL], random)
    draft.last_end = bool(random.integers(3))
    if random.integers(3) == 0:
        draft.blanks = {int(place) for place in random.integers(0, len(draft.rows), 2)}
    if random.integers(4) == 0:
        draft.header = [f" {name} " for name in draft.header]


def _whole(draft: Draft, kind: str) -> Table:
    known = draft.columns or sorted({genre for row in draft.plan for genre in row.genres})
    names = [name.strip() for name in draft.header]
    suffix = ".jpg" if draft.original else ""
    return Table(
        number=0,
        kind=kind,
        content=draft.content(),
        fate="works",
        rows=tuple(draft.plan),
        files=tuple(f"{'Images/' if draft.original else ''}{row[0]}{suffix}" for row in draft.rows),
        genres=tuple(genre for genre in known if genre != "N/A"),
        splits="split" in names,
    )


def _refused(
    draft: Draft, kind: str, *, told: Sequence[str] = (), fate: Fate = "refused", content: bytes | None = None
) -> Table:
    content = draft.content() if content is None else content
    return Table(number=0, kind=kind, content=content, fate=fate, told=tuple(told))


def _one(choices: Sequence[T], random: np.random.Generator) -> T:
    return choices[int(random.integers(len(choices)))]
