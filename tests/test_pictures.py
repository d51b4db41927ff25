import re

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageColor

from postergenre.errors import ConfigError
from postergenre.pictures import ABOVE, BELOW, CARD_ROWS, RIGHT, WELL, WRONG, Answer, annotate, contact_sheet

RED = (200, 0, 0)


def count(picture: Image.Image, colour: str | tuple[int, int, int], *, close: int = 3) -> int:
    """Return how many pixels have a colour."""
    wanted = ImageColor.getrgb(colour) if isinstance(colour, str) else colour
    return int((np.abs(np.asarray(picture).astype(int) - wanted) <= close).all(axis=2).sum())


def marks(picture: Image.Image, colour: str) -> int:
    """Return how many pixels belong to marks of a colour; the strokes of small marks are mostly smoothed edge."""
    return count(picture, colour, close=70)


def longest_run(picture: Image.Image, colour: str) -> int:
    """Return over how many columns a colour spreads."""
    pixels: npt.NDArray[np.int_] = np.asarray(picture).astype(int)
    columns = np.flatnonzero((np.abs(pixels - ImageColor.getrgb(colour)) <= 3).all(axis=2).any(axis=0))
    return int(columns.max() - columns.min() + 1) if len(columns) else 0


def poster(size: tuple[int, int] = (100, 150)) -> Image.Image:
    return Image.new("RGB", size, RED)


def answers(*probabilities: float, truth: bool | None = None) -> list[Answer]:
    return [Answer(genre=f"Genre{i}", probability=p, truth=truth) for i, p in enumerate(probabilities)]


@pytest.mark.parametrize(
    ("probability", "truth", "mark"),
    [
        (0.5, True, "found"), (0.5, False, "false alarm"), (0.49, True, "missed"),
        (0.49, False, None), (0.9, None, None), (float("nan"), True, "missed"),
    ],
)  # fmt: skip
def test_an_answer_knows_its_mark(probability: float, truth: bool | None, mark: str | None) -> None:
    assert Answer(genre="War", probability=probability, truth=truth).mark == mark


def test_a_genre_is_predicted_from_its_threshold_upwards() -> None:
    assert Answer(genre="War", probability=0.3, threshold=0.3).predicted
    assert not Answer(genre="War", probability=0.3, threshold=0.31).predicted


def test_an_annotated_poster_is_shown_whole_beside_its_bars() -> None:
    picture = annotate(poster(), answers(0.9, 0.2), height=300)
    assert picture.mode == "RGB"
    assert picture.height > 300
    assert picture.width > 200 + 300  # the poster and a column of bars
    assert count(picture, RED) == pytest.approx(200 * 300, rel=0.01)  # but for its round corners
    left = picture.crop((0, 0, picture.width // 2, picture.height))
    assert count(left, RED) > count(picture, RED) / 2


def test_a_bar_is_as_long_as_its_probability() -> None:
    low, high = (longest_run(annotate(poster(), answers(p)), BELOW) for p in (0.1, 0.4))
    assert low / high == pytest.approx(0.25, abs=0.03)
    full = longest_run(annotate(poster(), answers(1.0)), ABOVE)
    assert high / full == pytest.approx(0.4, abs=0.03)


def test_bars_at_their_threshold_have_another_colour_than_bars_below() -> None:
    above, below = annotate(poster(), answers(0.5)), annotate(poster(), answers(0.49))
    assert count(above, ABOVE) > 1000 > count(above, BELOW)
    assert count(below, BELOW) > 1000 > count(below, ABOVE)


def test_marks_appear_only_where_the_truth_is_known() -> None:
    unknown = annotate(poster(), answers(0.9, 0.2))
    assert count(unknown, RIGHT) == count(unknown, WRONG) == 0
    # The legend shows one mark of each kind.
    none = annotate(poster(), [Answer(genre="War", probability=0.1, truth=False)])
    found = annotate(poster(), [Answer(genre="War", probability=0.9, truth=True)])
    alarm = annotate(poster(), [Answer(genre="War", probability=0.9, truth=False)])
    assert marks(found, RIGHT) > marks(none, RIGHT) > 0
    assert marks(found, WRONG) == marks(none, WRONG)
    assert marks(alarm, WRONG) > marks(none, WRONG) > 0


def test_many_answers_make_the_picture_higher_and_few_do_not() -> None:
    few, many = (annotate(poster(), answers(*[0.5] * n), height=120) for n in (2, 25))
    assert many.height > 2 * few.height
    assert many.width == few.width


def test_a_wide_poster_is_padded_instead_of_widening_the_picture() -> None:
    narrow, square, wide = (annotate(poster((width, 100)), []) for width in (10, 100, 400))
    assert wide.width == square.width == narrow.width + 300
    assert count(wide, WELL) > 600 * 600 / 2
    assert count(wide, RED) == pytest.approx(600 * 150, rel=0.02)


def test_a_turned_poster_is_shown_upright() -> None:
    lying = Image.new("RGB", (150, 100), RED)
    lying.getexif()[0x0112] = 6
    assert annotate(lying, answers(0.5)).size == annotate(poster((100, 150)), answers(0.5)).size


@pytest.mark.parametrize(
    ("picture", "shown"),
    [
        (Image.new("RGBA", (40, 60), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("LA", (40, 60), (0, 0)), (255, 255, 255)),
        (Image.fromarray(np.full((60, 40), 0x4000, dtype=np.uint16)), (64, 64, 64)),
        (Image.fromarray(np.full((60, 40), 0x4000, dtype=np.int32)), (64, 64, 64)),
        (Image.new("CMYK", (40, 60), (0, 255, 255, 0)), (255, 0, 0)),
        (Image.new("L", (40, 60), 33), (33, 33, 33)),
    ],
    ids=["RGBA", "LA", "I;16", "I", "CMYK", "L"],
)
def test_a_poster_of_any_mode_has_its_own_colours(picture: Image.Image, shown: tuple[int, int, int]) -> None:
    page = annotate(picture, [], height=300)
    assert page.getpixel((36 + 100, 36 + 75)) == shown


def test_probabilities_that_are_not_finite_are_told_and_drawn_empty() -> None:
    page = annotate(poster(), answers(float("nan"), float("inf")))
    assert count(page, ABOVE) == count(page, BELOW) == 0


def test_long_and_foreign_names_stay_within_the_picture() -> None:
    plain = annotate(poster(), answers(0.5), title="a.jpg")
    odd = [Answer(genre="Kinder-, Jugend- und Familienfilm – überlang " * 20, probability=0.5)]
    page = annotate(poster(), odd, title="日本映画 🎬" * 500)
    assert page.size == plain.size
    assert count(page, ABOVE) > 500  # the bar keeps its place


def test_an_annotation_without_answers_is_the_poster_alone() -> None:
    page = annotate(poster(), [], height=150)
    assert count(page, RED) == pytest.approx(100 * 150, rel=0.02)
    assert count(page, ABOVE) == 0


def test_the_callers_poster_is_left_as_it_is() -> None:
    picture = Image.new("RGBA", (30, 40), (9, 9, 9, 99))
    annotate(picture, answers(0.5))
    assert (picture.mode, picture.size, picture.getpixel((0, 0))) == ("RGBA", (30, 40), (9, 9, 9, 99))


def test_a_contact_sheet_fills_lines_of_columns() -> None:
    cards = [(poster(), answers(0.9))] * 5
    sizes = {columns: contact_sheet(cards, columns=columns).size for columns in (1, 2, 3, 5, 9)}
    assert sizes[9] == sizes[5]  # no empty columns
    card, gap = 198, 18
    assert sizes[5][0] == 5 * (card + gap) + gap
    assert sizes[2][0] == 2 * (card + gap) + gap
    assert sizes[2][1] > 2 * sizes[5][1] > sizes[5][1]


def test_a_card_shows_its_most_telling_genres_and_never_hides_the_truth() -> None:
    improbable = Answer(genre="War", probability=0.01, truth=True)
    others = [Answer(genre=f"G{i}", probability=0.3 - 0.01 * i, truth=False) for i in range(10)]
    hidden = contact_sheet([(poster(), others[:CARD_ROWS])])
    shown = contact_sheet([(poster(), [*others, improbable])])
    assert shown.size == hidden.size  # still at most five rows
    assert marks(shown, RIGHT) > marks(hidden, RIGHT)


def test_a_sheet_without_answers_is_posters_alone() -> None:
    sheet = contact_sheet([(poster((90, 100)), [])] * 2)
    assert sheet.size == (2 * (198 + 18) + 18, 220 + 2 * 18)
    assert count(sheet, RED) == pytest.approx(2 * 198 * 220, rel=0.01)


def test_an_empty_sheet_is_still_a_picture() -> None:
    assert contact_sheet([]).mode == "RGB"


@pytest.mark.parametrize("height", [39, 4001, 0, -600])
def test_a_height_out_of_range_is_refused(height: int) -> None:
    message = re.escape(f"must lie in 40 … 4000, not {height}")
    with pytest.raises(ConfigError, match=message):
        annotate(poster(), [], height=height)
    with pytest.raises(ConfigError, match=message):
        contact_sheet([], poster_height=height)


def test_a_sheet_without_columns_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs at least 1 column, not 0"):
        contact_sheet([], columns=0)
