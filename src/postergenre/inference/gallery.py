"""Pictures of what was predicted: a poster with its bars, and one sheet of many posters."""

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

from postergenre.classifier.contract import Contract
from postergenre.errors import PictureError
from postergenre.inference.predictor import Prediction
from postergenre.pictures import Answer, annotate, contact_sheet
from postergenre.preprocess import open_picture, upright_rgb
from postergenre.web import fetch, is_address, without_secrets

NUM_BARS = 8
"""Genres beside an annotated poster."""
NUM_CARDS = 30
"""Posters on a sheet: as many as can be read on a screen."""
POSTER_HEIGHT = 300
"""On a card, in pixels."""
CARD_WIDTH = 0.72
"""As a share of that: a poster of two to three, and a little air."""
PER_LINE = 3.4
"""Cards in a line for each line of cards: about the shape of a slide."""
LONGEST = 120
"""Letters of a picture's file name."""


def short_name(poster: str) -> str:
    """Return the name of a poster without its folder or server."""
    if not is_address(poster):
        return Path(poster).name
    parts = urlsplit(without_secrets(poster))
    last = "_".join(part for part in (parts.path.rstrip("/").rpartition("/")[2], parts.query) if part)
    return last or parts.netloc


def picture_names(posters: Iterable[str]) -> Iterator[str]:
    """Yield a file name for the picture of each poster; no two are the same, and a later run gives the same ones."""
    taken: set[str] = set()
    for poster in posters:
        # The whole name: a.jpg and a.png are two posters.
        name = f"{_safe(short_name(poster))}.png"
        while name in taken:
            name = f"{_safe(Path(poster).parent.name) or 'again'}_{name}"  # and so are a/1.jpg and b/1.jpg
        taken.add(name)
        yield name


class Pictures:
    """What is drawn of a run: ``annotated/`` and ``sheet.png``, as far as they are asked for."""

    def __init__(self, folder: Path, contract: Contract, *, annotate: bool, sheet: bool, top: int) -> None:
        self.folder = folder / "annotated" if annotate else None
        self.sheet = folder / "sheet.png" if sheet else None
        self._contract = contract
        self._top = top
        self._cards: list[tuple[Image.Image, list[Answer]]] = []
        self._downloads: dict[str, bytes] = {}

    @property
    def num_cards(self) -> int:
        """How many posters are on the sheet."""
        return len(self._cards)

    @property
    def has_room(self) -> bool:
        """Whether a sheet is wanted that has a place for another poster."""
        return self.sheet is not None and self.num_cards < NUM_CARDS

    def fetch(self, address: str) -> bytes:
        """Return what lies at an address, and keep it for its picture: it is not downloaded twice."""
        data = fetch(address)
        if self.folder or self.has_room:
            self._downloads[address] = data
        return data

    def add(self, poster: str, prediction: Prediction, name: str | None) -> None:
        """Draw a poster that was answered; ``name`` is that of its annotated picture, None if it has one already."""
        downloaded = self._downloads.pop(poster, None)
        if prediction.error or not (self.has_room or (self.folder and name)):
            return
        answers = _answers(prediction, self._contract)
        with suppress(PictureError):  # the file was there a moment ago; the table matters more
            if downloaded is None and is_address(poster):
                downloaded = fetch(poster)
            picture = upright_rgb(open_picture(downloaded or poster))
            if self.folder and name:
                self.folder.mkdir(exist_ok=True)
                annotate(picture, answers[:NUM_BARS], title=Path(short_name(poster)).stem).save(self.folder / name)
            if self.has_room:
                picture.thumbnail((2 * POSTER_HEIGHT, 2 * POSTER_HEIGHT), Image.Resampling.LANCZOS)
                telling = max(self._top, sum(answer.predicted for answer in answers))
                self._cards.append((picture, answers[:telling]))

    def close(self, num_posters: int) -> None:
        """Write the sheet, and on it how many of all posters it shows, where it is not all."""
        if not (self.sheet and self._cards):
            return
        lines = max(round(math.sqrt(self.num_cards / PER_LINE)), 1)
        contact_sheet(
            self._cards,
            columns=math.ceil(self.num_cards / lines),
            poster_height=POSTER_HEIGHT,
            card_width=CARD_WIDTH,
            note="" if self.num_cards == num_posters else f"{self.num_cards} of {num_posters:,} posters",
        ).save(self.sheet)


def _safe(name: str) -> str:
    return re.sub(r"[^\w .()+=~-]", "_", name)[-LONGEST:]


def _answers(prediction: Prediction, contract: Contract) -> list[Answer]:
    """Return all genres, most probable first."""
    threshold = dict(zip(contract.genres, contract.thresholds, strict=True))
    ranked = prediction.top(len(threshold))
    return [Answer(genre=genre, probability=p, threshold=threshold[genre]) for genre, p in ranked]
