"""What a run says while it goes: a line a poster where they are few, else how far it is."""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from postergenre.errors import printable
from postergenre.inference.gallery import Pictures
from postergenre.inference.predictor import Prediction
from postergenre.web import is_address, without_secrets

NUM_LINES = 50
"""Posters up to which each has a line, and lines of those that failed among more."""
EVERY = 60.0
"""Seconds between two words on how far it is, where there is no terminal to draw a bar on."""


class Teller:
    """Prints answers, and on a terminal a bar with posters a second and the time left."""

    def __init__(self, total: int, *, done: int, top: int, each: bool = True) -> None:
        """Get ready to tell.

        Args:
            total: Posters.
            done: How many of them an earlier run has answered.
            top: Genres to tell of each.
            each: Whether there is a line for each poster where they are few.
        """
        self.console = Console()
        self.total, self.done, self.top = total, done, top
        self._each = each and total - done <= NUM_LINES
        self._lines_left = NUM_LINES
        self._began = self._spoke = time.monotonic()
        self._before = done
        self._progress = Progress(
            TextColumn("posters"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
            console=self.console, transient=True, disable=not self.console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task("posters", total=total, completed=done)

    def __enter__(self) -> "Teller":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def poster(self, poster: str, prediction: Prediction) -> None:
        """Tell the answer for the next poster."""
        if prediction.error:
            self.left_out(poster, prediction.error)
        elif self._each:
            self.say(f"{_name(poster)}: {_told(prediction, self.top)}")
        self.advance(1)

    def left_out(self, poster: str, error: str) -> None:
        """Tell why a poster has no answer, as long as there are not too many."""
        if not self._lines_left:
            return
        self._lines_left -= not self._each
        self.say(f"{_name(poster)}: left out, {error}")
        if not self._lines_left:
            self.say("what else is left out is in the table only")

    def advance(self, count: int) -> None:
        """Tell, now and then, how far it is when ``count`` further posters are done."""
        self.done += count
        self._progress.advance(self._task, count)
        now = time.monotonic()
        if not self.console.is_terminal and now - self._spoke >= EVERY:
            self._spoke = now
            rate = (self.done - self._before) / (now - self._began)
            left = timedelta(seconds=round((self.total - self.done) / rate))
            self.say(f"{self.done:,} of {self.total:,} posters, {rate:.3g} a second, {left} left")

    def end(self, table: Path, pictures: Pictures | None = None) -> None:
        """Tell where everything is."""
        if self._each and self.done > self._before:
            self.say("* reaches the threshold of its genre")
        told = f"written: {table}"
        if pictures and pictures.folder:
            told += f", {pictures.folder}"
        if pictures and pictures.num_cards:
            shown = "all" if pictures.num_cards == self.total else f"{pictures.num_cards} of {self.total:,}"
            told += f", {pictures.sheet} ({shown} posters)"
        self.say(told)

    def say(self, text: str) -> None:
        """Print one line, above the bar."""
        self.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


class _Rate(ProgressColumn):
    """Posters a second, of late."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.3g} a second" if task.speed else "", style="progress.data.speed")


def _told(prediction: Prediction, top: int) -> str:
    best, genres = prediction.top(top), prediction.genres
    told = ", ".join(f"{genre} {probability:.1%}{'*' if genre in genres else ''}" for genre, probability in best)
    further: Sequence[str] = [genre for genre in genres if genre not in dict(best)]
    return told + (f"; also {', '.join(f'{genre}*' for genre in further)}" if further else "")


def _name(poster: str) -> str:
    return without_secrets(poster) if is_address(poster) else Path(poster).name
