import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from postergenre.classifier.contract import Contract
from postergenre.evaluation.card import write_card
from postergenre.evaluation.comparison import compare
from postergenre.evaluation.elsewhere import Elsewhere, beside_home, told
from postergenre.evaluation.groups import group_scores
from postergenre.evaluation.report import write_report
from postergenre.evaluation.report.findings import co_occurrence, entropies, precision_recall, reliability
from postergenre.evaluation.report.gallery import (
    NUM_PER_GENRE,
    NUM_SHOWN,
    THUMBNAIL,
    false_alarms,
    misses,
    most_uncertain,
    thumbnail,
)
from postergenre.evaluation.report.labels import MARKER, TALL, WIDE, box_of, place_labels
from postergenre.evaluation.report.pages import fenced, number, plain
from postergenre.evaluation.scored import Scored
from postergenre.genres import Genres
from postergenre.metrics import (
    average_precision,
    bootstrap_intervals,
    calibration_errors,
    constant_scores,
    genre_table,
    score,
)
from postergenre.networks import ModelConfig
from postergenre.preprocess import Preprocess

NASTY = '<script>alert(1)</script> & "Co"'
ODD = ("$x^2$", "恐怖", "A genre that is called by far too many words", "id=\" x='", "[a](b) | `c`", NASTY)
SECTIONS = [
    "scores", "genres", "curves", "calibration", "together", "frequency", "mistakes", "training", "provenance",
]  # fmt: skip
VOID = {"meta", "img", "br", "link", "input"}
HISTORY = [
    {"epoch": 0.0, "train/loss_epoch": 0.7, "val/bce": 0.6, "val/map": 0.2},
    {"epoch": 1.0, "train/loss_epoch": 0.5, "val/bce": 0.55, "val/map": 0.31},
]


class Page(HTMLParser):
    """What stands in a page: elements with their attributes, headings, and the cells of tables by class."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: list[tuple[str, str]] = []
        """The innermost element of a text, and the text."""
        self.feed(self.source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._rows = self.tables[self.elements[-1][1]["class"]] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} closes something else"

    def handle_data(self, data: str) -> None:
        if not self.open:
            return
        self.texts.append((self.open[-1], " ".join(data.split())))
        if "tr" in self.open and ("td" in self.open or "th" in self.open):
            self._rows[-1][-1] = (self._rows[-1][-1] + " " + data.strip()).strip()

    @property
    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag != "style" and text)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def rows(self, table: str) -> dict[str, list[str]]:
        """Return the cells of each row by what stands in its first."""
        return {row[0]: row[1:] for row in self.tables[table]}


def make_scored(
    folder: Path, *, genres: tuple[str, ...], targets: Tensor, raw: Tensor, headline: list[str] | None = None
) -> Scored:
    """Return a scoring of drawn posters, its numbers made by the functions that make the real ones."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    paths = [folder / f"p{place:03}.jpg" for place in range(len(targets))]
    for path in paths:
        Image.fromarray(random.integers(0, 255, (36, 24, 3)).astype(np.uint8)).save(path)
    headline = list(genres) if headline is None else headline
    counted = torch.tensor([genre in headline for genre in genres])
    logits, thresholds = raw / 1.25 + 0.1, torch.linspace(0.3, 0.5, len(genres))
    priors = targets.mean(dim=0).clamp(0.01, 0.99)
    scores = score(logits, targets, priors=priors, headline=counted, thresholds=thresholds)
    before = score(raw, targets, priors=priors, headline=counted)
    scores |= {f"{name}_before": before[name] for name in ("ece", "ece_genres", "bce")}
    return Scored(
        checkpoint="outputs/train/x/checkpoints/best.ckpt",
        split="test",
        hardware="CPU, float32",
        command="python scripts/evaluate.py 'checkpoint=a & b'",
        contract=Contract(
            model=ModelConfig(library="tiny", name="tiny", weights="none"),
            preprocess=Preprocess(height=36, width=24),
            genres=Genres(genres),
            headline=headline,
            priors=priors.tolist(),
            thresholds=thresholds.tolist(),
            data={"source": "posters", "min_positives": 5, "fingerprint": "f1ngerpr1nt"},
            provenance={
                "torch": "9.8.7",
                "seed": 42,
                "epoch": 1,
                "command": "scripts/train.py a=b",
                "val": {"map": 0.1},
            },
        ),
        paths=paths,
        raw=raw,
        logits=logits,
        targets=targets,
        scores={name: float(value) for name, value in scores.items()},
        baselines=constant_scores(targets, priors=priors, headline=counted),
        intervals=bootstrap_intervals(logits, targets, headline=counted, num_resamples=100) if targets.any() else {},
        genres=genre_table(logits, targets, raw=raw, genres=genres, thresholds=thresholds),
        history=HISTORY,
    )


def random_answers(num_posters: int, num_genres: int) -> tuple[Tensor, Tensor]:
    """Return targets and logits that know something."""
    random = torch.Generator().manual_seed(1)
    targets = (torch.rand(num_posters, num_genres, generator=random) < torch.linspace(0.6, 0.1, num_genres)).float()
    return targets, 2 * targets - 1.5 + torch.randn(num_posters, num_genres, generator=random)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """Six genres, of which nobody has the fifth and everybody the last."""
    targets, raw = random_answers(80, 6)
    targets[:, 4], targets[:, 5] = 0, 1
    folder = tmp_path_factory.mktemp("posters")
    genres = ("Drama", "War", NASTY, "Sci-Fi", "Nobody’s", "Everybody’s")
    return make_scored(folder, genres=genres, targets=targets, raw=raw, headline=["Drama", "War", NASTY])


@pytest.fixture(scope="module")
def page(scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(write_report(scored, tmp_path_factory.mktemp("report")))


def test_the_table_of_scores_says_what_was_scored(scored: Scored, page: Page) -> None:
    rows = page.rows("scores")
    low, high = scored.intervals["map"]
    assert rows["mean average precision (mAP), headline genres"] == [
        f"{scored.scores['map']:.3f}", f"{scored.baselines['map']:.3f}", f"{low:.3f} – {high:.3f}", "higher",
    ]  # fmt: skip
    assert rows["AUROC, macro"][:3] == [f"{scored.scores['auroc']:.3f}", "0.500", ""]
    tuned = rows["F1, macro, at tuned thresholds"]
    assert tuned[:2] == [f"{scored.scores['f1_macro_tuned']:.3f}", f"{scored.baselines['f1_macro_tuned']:.3f}"]
    assert rows["F1, macro, at 0.5"][0] == f"{scored.scores['f1_macro']:.3f}"
    before = rows["calibration error (ECE), mean of headline genres, before calibration"]
    assert before == [f"{scored.scores['ece_genres_before']:.4f}", "–", "", "lower"]
    assert rows["calibration error (ECE), mean of headline genres"][0] == f"{scored.scores['ece_genres']:.4f}"
    told = {cells[0] for cells in rows.values() if cells}
    assert {
        f"{value:.{4 if name.startswith(('bce', 'ece')) else 3}f}"
        for name, value in scored.scores.items()
        if not name.startswith("num_") and not name.endswith("_prior")
    } <= told
    assert "3 headline genres counted in mAP" in page.text
    assert "5 of 6 in scores over all genres" in page.text


def test_a_score_that_nobody_has_heard_of_is_shown(scored: Scored, tmp_path: Path) -> None:
    odd = replace(scored, scores=scored.scores | {"novelty <7>": 0.12345}, history=[])
    assert Page(write_report(odd, tmp_path)).rows("scores")["novelty <7>"][0] == "0.123"


def test_the_headline_stands_beside_its_interval_and_baseline(scored: Scored, page: Page) -> None:
    low, high = scored.intervals["map"]
    assert f"{scored.scores['map']:.3f} (95 % interval {low:.3f} to {high:.3f})" in page.text
    assert f"without looking at a poster it would be {scored.baselines['map']:.3f}." in page.text
    assert f"no poster: {scored.baselines['bce']:.4f}" in page.text


def test_the_table_of_genres_says_what_was_scored(scored: Scored, page: Page) -> None:
    rows = page.rows("genres")
    assert [row[0].removesuffix(" †") for row in page.tables["genres"][2:]] == [
        str(row["genre"]) for row in sorted(scored.genres, key=lambda row: -int(row["support"]))
    ]
    for row in scored.genres:
        dagger = "" if row["genre"] in scored.contract.headline else " †"
        cells = rows[f"{row['genre']}{dagger}"]
        numbers = [
            float(row[name]) for name in ("auroc", "threshold", "precision", "recall", "f1", "ece_before", "ece")
        ]
        assert cells[:3] == [str(row["support"]), number(row["chance"]), number(row["ap"])]
        assert cells[4:] == [f"{value:.3f}" if math.isfinite(value) else "–" for value in numbers]
    assert rows["Nobody’s †"][2] == "–"
    assert rows["Everybody’s †"][4] == "–"  # there is no AUROC where every poster has the genre
    assert "No poster of this split has Nobody’s." in page.text


def test_the_bar_of_a_genre_is_as_long_as_its_average_precision(scored: Scored, page: Page) -> None:
    inside = page.source[page.source.index('<section id="genres">') : page.source.index('<section id="curves">')]
    widths = re.findall(r'<rect width="([\d.]+)" height="10" fill="#0b5394"/>', inside)
    ranked = sorted(scored.genres, key=lambda row: -int(row["support"]))
    assert [float(width) for width in widths] == [
        round(100 * float(row["ap"]), 1) for row in ranked if math.isfinite(float(row["ap"]))
    ]


def test_every_section_is_there_and_headings_are_in_order(page: Page) -> None:
    assert [attributes["id"] for attributes in page.all("section") if "id" in attributes] == SECTIONS
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert [f"#{section}" for section in SECTIONS] == [attributes["href"] for attributes in page.all("a")]


def test_the_page_loads_nothing(page: Page) -> None:
    assert "http" not in page.source
    assert not {tag for tag, _ in page.elements} & {"script", "link", "iframe", "object", "embed", "form"}
    for _, attributes in page.elements:
        assert attributes.get("src", "data:image/jpeg;").startswith("data:image/jpeg;")
        assert attributes.get("href", "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in page.source
    assert set(re.findall(r"url\((.)", page.source)) == {"#"}


def test_ids_are_unique_and_what_is_referred_to_exists(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:url\(|href=")#([^")]+)', page.source)
    assert len(used) > 50
    assert set(used) <= set(ids)


def test_who_cannot_see_the_page_can_read_it(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert all(attributes["alt"].startswith("Poster p") for attributes in page.all("img"))
    assert all(attributes.get("aria-label") or attributes.get("aria-hidden") for attributes in page.all("svg"))
    assert all(attributes.get("scope") for attributes in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 2
    assert len(page.all("figcaption")) == len(page.all("figure")) == 6


def test_names_are_shown_as_they_are_and_run_nowhere(page: Page) -> None:
    assert "<script" not in page.source
    assert NASTY in page.rows("genres")
    assert ("b", NASTY) in page.texts  # above its curve
    assert ("text", NASTY[:13] + "…") in page.texts  # beside a heat map
    assert any(
        attributes.get("aria-label", "").startswith(f"Precision against recall of {NASTY}")
        for attributes in page.all("svg")
    )
    assert ("code", "python scripts/evaluate.py 'checkpoint=a & b'") in page.texts


def test_genres_that_nobody_has_heard_of(tmp_path: Path) -> None:
    targets, raw = random_answers(20, len(ODD))
    odd = make_scored(tmp_path / "<posters>", genres=ODD, targets=targets, raw=raw)
    (tmp_path / "<posters>" / "p000.jpg").rename(tmp_path / "<posters>" / "<i>&.jpg")
    odd.paths[0] = tmp_path / "<posters>" / "<i>&.jpg"
    shown = Page(write_report(odd, tmp_path))
    assert "<script" not in shown.source
    assert "<i>&" not in shown.source
    for name in ("$x^2$", "恐怖", "id=\" x='"):
        assert ("text", name) in shown.texts, name  # as text, not as a formula
    assert set(ODD) == {row[0] for row in shown.tables["genres"][2:]}
    card = write_card(odd, tmp_path).read_text(encoding="utf-8")
    assert "\n| A genre that is called by far too many words | " in card
    assert "\n| \\[a\\](b) \\| \\`c\\` | " in card
    assert '\n| &lt;script&gt;alert(1)&lt;/script&gt; &amp; "Co" | ' in card


def test_three_genres_and_twenty_posters(tmp_path: Path) -> None:
    targets, raw = random_answers(20, 3)
    small = make_scored(tmp_path, genres=("A", "B", "C"), targets=targets, raw=raw)
    shown = Page(write_report(small, tmp_path))
    assert [row[0] for row in shown.tables["genres"][2:]] == ["A", "B", "C"]
    curves = [attributes for attributes in shown.all("svg") if "Precision against" in attributes.get("aria-label", "")]
    assert len(curves) == 3


def test_what_is_missing_is_left_out(scored: Scored, tmp_path: Path) -> None:
    bare = replace(
        scored,
        split="somewhere",
        contract=replace(scored.contract, headline=[], provenance={}, data={}),
        scores={"map": math.nan},
        baselines={},
        intervals={},
        genres=[{"genre": row["genre"], "support": row["support"]} for row in scored.genres],
        history=[],
    )
    shown = Page(write_report(bare, tmp_path))
    assert shown.tables["scores"][2] == ["mean average precision (mAP), headline genres", "–", "–", "", "higher"]
    assert shown.rows("genres")["War †"][1:] == ["–", "–", "", *7 * ["–"]]
    absent = [section for section in SECTIONS if section not in {a.get("id") for a in shown.all("section")}]
    assert absent == ["frequency", "training"]
    assert "undefined" not in shown.text.lower()
    card = write_card(bare, tmp_path).read_text(encoding="utf-8")
    assert "| mean average precision (mAP), headline genres | – |  | – |" in card


@pytest.fixture
def further(scored: Scored) -> Scored:
    """The same, of another set, in groups, and compared with answers that lack the scores of War."""
    others = scored.logits.clone()
    others[:, 1] = torch.randn(len(others), generator=torch.Generator().manual_seed(2))
    contract = scored.contract
    home = {"support": 9, "chance": 0.25, "ap": 0.9, "auroc": 0.75}
    provenance = {"val_genres": {"Drama": home, "War": home, "Nobody’s": home}}
    asked = replace(contract, provenance=contract.provenance | provenance)
    left_out = Elsewhere(strange={NASTY: 3}, absent=["Opera"], num_without=2)
    values = [("1990s",) if row < 60 else ("2000s", "2010s") for row in range(len(others))]
    return replace(
        scored,
        contract=asked,
        notes=told(left_out, asked),
        elsewhere=beside_home(left_out, scored.genres, asked, None, alone=True),
        groups={
            NASTY: group_scores(
                values, logits=scored.logits, targets=scored.targets, contract=contract, smallest=5, num_resamples=100
            )
        },
        against=compare(
            scored.logits, others, scored.targets, contract=contract, other=f"{NASTY}.ckpt", num_resamples=100
        ),
    )


def test_another_set_groups_and_differences_have_sections_of_their_own(further: Scored, tmp_path: Path) -> None:
    page = Page(write_report(further, tmp_path))
    sections = [attributes["id"] for attributes in page.all("section") if "id" in attributes]
    assert sections == [*SECTIONS[:2], "elsewhere", "groups", "against", *SECTIONS[2:]]
    assert [f"#{section}" for section in sections] == [attributes["href"] for attributes in page.all("a")]
    assert "<script" not in page.source
    ap, auroc = (float(further.genres[1][name]) for name in ("ap", "auroc"))
    row = page.rows("home")["War"]
    assert row[4:8] == ["9", "0.250", "0.900", "0.750"]
    assert (row[8], row[-1]) == (f"{ap - 0.9:+.3f}".replace("-", "−"), f"{auroc - 0.75:+.3f}".replace("-", "−"))
    assert "Nobody’s" not in page.rows("home")  # no poster here has it
    assert f"{NASTY} (3)" in page.text
    assert "genres that this set does not know, left out: Opera" in page.text
    assert {name: cells[0] for name, cells in page.rows("groups").items() if name[:1].isdigit()} == {
        "1990s": "60", "2000s": "20", "2010s": "20",
    }  # fmt: skip
    assert further.against is not None
    war = further.against.genres[1]
    assert war["holds"]
    assert page.rows("against")["War"][3] == f"{war['difference']:+.3f}"
    assert page.rows("against")["War"][-1].endswith("*")
    assert page.rows("against")["Drama"][3] == "+0.000"
    difference = further.against.scores["map"].score
    assert page.rows("differences")["mean average precision (mAP), headline genres"][0] == f"{difference:+.4f}"
    card = write_card(further, tmp_path).read_text(encoding="utf-8")
    assert "| 1990s | 60 |" in card
    assert "Here and at home (validation at the end of training):" in card


def test_no_poster_with_a_genre(tmp_path: Path) -> None:
    nobody = make_scored(tmp_path, genres=("A", "B"), targets=torch.zeros(5, 2), raw=torch.full((5, 2), -3.0))
    shown = Page(write_report(nobody, tmp_path))
    assert "No poster has a genre: there is nothing to rank." in shown.text
    assert "No genre was given wrongly." in shown.text
    assert "No genre was missed." in shown.text


def test_a_picture_that_is_gone_is_a_grey_box_with_its_name(scored: Scored, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no more")
    logits = scored.logits.clone()
    logits[:2] = 0.0  # as uncertain as can be: both are shown
    gone = replace(scored, paths=[tmp_path / "gone.jpg", broken, *scored.paths[2:]], logits=logits, history=[])
    shown = Page(write_report(gone, tmp_path))
    labels = {attributes.get("aria-label") for attributes in shown.all("span")}
    assert {f"The picture {name} cannot be read" for name in ("gone.jpg", "broken.jpg")} <= labels
    assert thumbnail(broken) is None


def test_a_thumbnail_is_small(tmp_path: Path) -> None:
    Image.new("RGB", (1000, 1500)).save(tmp_path / "large.png")
    address = thumbnail(tmp_path / "large.png")
    assert address is not None
    assert address.startswith("data:image/jpeg;base64,")
    assert THUMBNAIL[1] <= 200
    assert len(address) < 2000


def test_the_same_scoring_gives_the_same_page(scored: Scored, page: Page, tmp_path: Path) -> None:
    assert write_report(scored, tmp_path / "again").read_bytes() == page.source.encode()


def test_drawing_leaves_the_settings_of_others_alone(scored: Scored, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    write_report(replace(scored, history=[]), tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_the_most_confident_mistakes_come_first(tmp_path: Path) -> None:
    probabilities = np.array([[0.95, 0.1], [0.2, 0.9], [0.6, 0.3], [0.99, 0.01], [0.55, 0.45]])
    truth = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [1, 0]]) > 0
    thresholds = np.array([0.5, 0.4])
    assert [(m.row, m.genre) for m in false_alarms(probabilities, truth, thresholds)] == [
        (0, 0),
        (1, 1),
        (2, 0),
        (4, 1),
    ]
    assert [(m.row, m.genre) for m in misses(probabilities, truth, thresholds)] == [(3, 1), (1, 0), (2, 1)]
    assert [m.row for m in most_uncertain(probabilities)] == [4, 2, 1, 0, 3]

    case = make_scored(
        tmp_path,
        genres=("A", "B"),
        targets=torch.tensor(truth).float(),
        raw=torch.tensor(probabilities).logit().float(),
    )
    case = replace(
        case, logits=torch.tensor(probabilities).logit().float(), contract=replace(case.contract, thresholds=[0.5, 0.4])
    )
    text = Page(write_report(case, tmp_path)).text
    alarms = text[text.index("False alarms") : text.index("Misses:")]
    assert re.findall(r"p\d+\.jpg", alarms) == ["p000.jpg", "p001.jpg", "p002.jpg", "p004.jpg"]
    assert "A 0.95 true none predicted A 0.95 p000.jpg" in alarms
    missed = text[text.index("Misses:") : text.index("Doubts:")]
    assert "B 0.01 true A, B predicted A 0.99 p003.jpg A 0.20 true A predicted B 0.90 p001.jpg" in missed


def test_no_genre_and_no_poster_fills_a_grid() -> None:
    probabilities = np.linspace(0.99, 0.51, 100)[:, None].repeat(10, axis=1)
    probabilities[:, 0] += 0.005
    shown = false_alarms(probabilities, np.zeros((100, 10), dtype=bool), np.full(10, 0.5))
    assert len(shown) == NUM_SHOWN
    assert len({mistake.row for mistake in shown}) == NUM_SHOWN
    assert [mistake.genre for mistake in shown].count(0) == NUM_PER_GENRE
    assert [mistake.row for mistake in shown[:NUM_PER_GENRE]] == list(range(NUM_PER_GENRE))
    assert len(most_uncertain(probabilities)) == NUM_SHOWN


def test_two_even_chances_leave_two_bits_open() -> None:
    assert entropies(np.array([[0.5, 0.5, 1.0], [0.0, 1.0, 0.0]])) == pytest.approx([2, 0], abs=1e-6)


def test_genres_together_counted_by_hand() -> None:
    marks = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]) > 0
    expected = np.array([[1, 2 / 3, 0], [2 / 3, 1, 0], [np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(co_occurrence(marks), expected)
    marks[1] = False  # the row asks, the column answers
    assert co_occurrence(marks)[0, 1] == 1
    assert co_occurrence(marks)[1, 0] == pytest.approx(2 / 3)


def test_the_heat_maps_show_true_and_given_genres(tmp_path: Path) -> None:
    targets = torch.tensor([[1.0, 1], [1, 0], [1, 0], [0, 1]])
    raw = torch.tensor([[4.0, 4], [4, 4], [4, -4], [-4, -4]])
    case = make_scored(tmp_path, genres=("A", "B"), targets=targets, raw=raw)
    source = Page(write_report(case, tmp_path)).source
    together = source[source.index('<section id="together">') : source.index('<section id="frequency">')]
    true, predicted = together.split("<b>Predicted</b>")
    assert re.findall(r">(\d+|–)</text>", true) == ["33", "50"]
    assert re.findall(r">(\d+|–)</text>", predicted) == ["67", "100"]


def test_reliability_counted_by_hand() -> None:
    probabilities = np.array([0.1, 0.2, 0.3, 0.5, 0.9, 1.0])
    truth = np.array([0, 0, 1, 1, 1, 1]) > 0
    bins = reliability(probabilities, truth, num_bins=4)
    assert bins.counts.tolist() == [2, 1, 1, 2]
    np.testing.assert_allclose(bins.predicted, [0.15, 0.3, 0.5, 0.95])
    np.testing.assert_allclose(bins.observed, [0, 1, 1, 1])
    assert bins.error == pytest.approx((2 * 0.15 + 0.7 + 0.5 + 2 * 0.05) / 6)
    assert np.isnan(reliability(probabilities[:1], truth[:1], num_bins=4).observed[1:]).all()


def test_the_drawn_bins_have_the_error_of_the_tables(scored: Scored, page: Page) -> None:
    after = calibration_errors(scored.logits.sigmoid(), scored.targets)
    for genre in range(4):
        bins = reliability(scored.logits[:, genre].sigmoid().double().numpy(), (scored.targets[:, genre] > 0).numpy())
        assert bins.error == pytest.approx(float(after[genre]), abs=1e-6)
    row = scored.genres[0]
    assert f"Drama ECE {row['ece_before']:.3f} → {row['ece']:.3f}" in page.text


def test_answers_without_a_calibration_have_one_curve(scored: Scored, tmp_path: Path) -> None:
    ensemble = replace(scored, raw=scored.logits, history=[])
    shown = Page(write_report(ensemble, tmp_path))
    assert "were not changed by a calibration of their own" in shown.text
    assert "→" not in shown.text


def test_a_curve_holds_the_average_precision() -> None:
    targets, logits = random_answers(300, 4)
    logits[:, 1] = logits[:, 1].round()  # many ties
    expected = average_precision(logits, targets)
    for genre in range(4):
        recall, precision = precision_recall(logits[:, genre].double().numpy(), targets[:, genre].numpy() > 0)
        assert recall[-1] == 1
        assert (np.diff(recall, prepend=0) * precision).sum() == pytest.approx(float(expected[genre]))


def test_training_is_drawn_as_far_as_it_is_known(scored: Scored, page: Page) -> None:
    labels = [attributes.get("aria-label", "") for attributes in page.all("svg")]
    assert "Loss by epoch: train/loss, val/bce" in labels
    assert "Mean average precision by epoch: val/map" in labels
    assert ("text", "this checkpoint") in page.texts


def test_provenance_is_told(page: Page) -> None:
    for fact in ("9.8.7", "42", "f1ngerpr1nt", "CPU, float32", "outputs/train/x/checkpoints/best.ckpt", "36"):
        assert ("dd", fact) in page.texts, fact
    assert ("code", "scripts/train.py a=b") in page.texts


def test_scores_on_validation_posters_are_told_to_be(scored: Scored, tmp_path: Path) -> None:
    val = replace(scored, split="val", history=[])
    assert "which also chose the checkpoint" in Page(write_report(val, tmp_path)).text
    assert "better than those on new posters" in write_card(val, tmp_path).read_text(encoding="utf-8").replace(
        "\n  ", " "
    )


def test_the_card_has_its_sections_and_the_numbers(scored: Scored, tmp_path: Path) -> None:
    card = write_card(scored, tmp_path).read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == [
        "Model details", "Intended use", "Factors and limits", "Metrics", "Data", "Quantitative results",
        "Ethical considerations", "Caveats and recommendations",
    ]  # fmt: skip
    low, high = scored.intervals["map"]
    line = f"| {scored.scores['map']:.3f} | {low:.3f} – {high:.3f} | {scored.baselines['map']:.3f} |"
    assert f"| mean average precision (mAP), headline genres {line}\n" in card
    row = scored.genres[0]
    assert f"\n| Drama | {row['support']} | {row['chance']:.3f} | {row['ap']:.3f} | {row['auroc']:.3f} | " in card
    assert "\n| Nobody’s † | 0 | 0.000 | – | – | " in card
    assert "No poster of this split has Nobody’s" in card
    assert "<script" not in card
    assert f"No poster scored here has more than {int(scored.targets.sum(dim=1).max())} genres." in card
    for limit in ("marketing picture", "positives are", "decisions about people", "validation posters of the same set"):
        assert limit in card, limit
    tables = [line for line in card.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {5, 11}


def test_text_for_markdown_shows_as_it_is() -> None:
    assert plain("*a* _b_ [c](d)\n<e> & f|g") == r"\*a\* \_b\_ \[c\](d) &lt;e&gt; &amp; f\|g"
    assert fenced("a ``` b") == "````text\na ``` b\n````"


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (1234, "1,234"), (math.nan, "–"), (None, "–"), (math.inf, "–")]
)
def test_a_number_that_is_none_is_a_dash(value: float | None, text: str) -> None:
    assert number(value) == text


def test_names_of_close_points_do_not_hide_each_other() -> None:
    points = np.array([[100.0, 100], [101, 100], [100, 103], [199, 100]])
    texts = ["Drama", "Comedy", "War", "At the edge"]
    labels = place_labels(points, texts, size=6.0, within=(0, 0, 200, 200))
    assert labels[3].side == "right"  # there is no room right of the point
    boxes = [box_of(label, WIDE * 6 * len(text), TALL * 6) for label, text in zip(labels, texts, strict=True)]
    boxes += [(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in points[3:]]
    for place, one in enumerate(boxes):
        assert one[2] <= 202
        for other in boxes[:place]:
            assert min(one[2], other[2]) <= max(one[0], other[0]) or min(one[3], other[3]) <= max(one[1], other[1])


def test_inference_draws_nothing() -> None:
    code = "import sys, postergenre.inference; sys.exit(', '.join({'matplotlib', 'jinja2'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
