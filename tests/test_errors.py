import pytest

from postergenre.errors import MANY, DataError, PosterGenreError, brief_list, printable


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Amélie 千と千尋 🎬.jpg", "Amélie 千と千尋 🎬.jpg"),
        ("two\nlines\r\n", "two\\nlines\\r\\n"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
        ("caf\udce9.jpg", "caf\\udce9.jpg"),
        (r"C:\\posters\new", r"C:\\posters\new"),
    ],
)
def test_a_name_is_told_on_one_line_and_moves_no_terminal(text: str, told: str) -> None:
    assert printable(text) == told
    assert str(DataError(f"no poster at {text}")) == f"no poster at {told}"


def test_every_error_of_ours_is_one_line() -> None:
    assert PosterGenreError.__subclasses__()
    for kind in PosterGenreError.__subclasses__():
        assert kind.__str__ is PosterGenreError.__str__


def test_names_are_told_whole_where_a_sentence_can_hold_them() -> None:
    few = [f"column {i}" for i in range(MANY)]
    assert brief_list(few) == ", ".join(few)
    assert brief_list([*few, "one more"]) == ", ".join(few)


def test_names_of_any_length_stay_a_sentence() -> None:
    told = brief_list(["a" * 10**6, "b" * 10**6, "end"])
    assert told.startswith("aaa")
    assert told.endswith("b, end")
    assert len(told) < 1000
