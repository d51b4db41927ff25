"""From titles to pictures on the shelf: several at a time, each looked at, none fetched twice."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from postergenre import web
from postergenre.collecting.asking import Asker
from postergenre.collecting.shelf import Shelf
from postergenre.collecting.titles import Listing, Skip, Title
from postergenre.errors import DataError, PictureError
from postergenre.preprocess import open_picture
from postergenre.web import DownloadError, is_address

SMALLEST = 16
"""Pixels of a side; what is smaller marks a place and is no poster."""
HOPELESS = 25
"""After so many failures in a row that may pass, the connection is at fault, not the pictures."""
EVERY = 60.0
"""Seconds between two words on how far it is, where there is no terminal to draw a bar on."""
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg"}
Row = tuple[Title, str]
"""A title, and its picture from the set's folder."""


def gather(listing: Listing, shelf: Shelf, asker: Asker) -> tuple[list[Row], list[Skip]]:
    """Return the titles whose pictures are on the shelf at the end, and the others, both in the order of the listing.

    Raises:
        DataError: The source does not answer, or one picture after another fails; what came stays.
    """
    rows: list[Row] = []
    skips: list[Skip] = []
    waiting: deque[Future[Row | Skip]] = deque()
    failed, spoke = 0, time.monotonic()
    pool = ThreadPoolExecutor(asker.config.connections)
    console = Console()
    progress = Progress(
        TextColumn("posters"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console,
        transient=True, disable=not console.is_terminal,
    )  # fmt: skip

    def settle(future: Future[Row | Skip]) -> None:
        nonlocal failed, spoke
        outcome = future.result()
        if isinstance(outcome, Skip):
            skips.append(outcome)
            failed = failed + 1 if outcome.passing else failed
        else:
            rows.append(outcome)
            failed = 0
        progress.update(task, completed=len(rows) + len(skips))
        if not console.is_terminal and time.monotonic() - spoke >= EVERY:
            spoke = time.monotonic()
            of = f" of {listing.total:,}" if listing.total else ""
            console.print(f"{len(rows):,}{of} posters", highlight=False)
        if failed >= HOPELESS:
            raise DataError(
                f"{failed} pictures in a row could not be had; of the last one, {skips[-1].reason}. The "
                f"{len(rows):,} that came are kept, and the same command goes on with them"
            )

    with progress:
        task = progress.add_task("posters", total=listing.total)
        try:
            for item in listing.items:
                waiting.append(pool.submit(_obtained, item, shelf, asker))
                while len(waiting) > 4 * asker.config.connections or (waiting and waiting[0].done()):
                    settle(waiting.popleft())
            while waiting:
                settle(waiting.popleft())
        except BaseException:
            asker.pace.stop()  # what is under way ends, what waits does not begin
            raise
        finally:
            pool.shutdown(cancel_futures=True)
    return rows, skips


def _obtained(item: Title | Skip, shelf: Shelf, asker: Asker) -> Row | Skip:
    if isinstance(item, Skip):
        return item
    try:
        if item.more:
            item.columns |= item.more()
        if there := shelf.picture(item.id):
            return item, there
        if reason := shelf.refused.get(item.picture):
            return Skip(id=item.id, picture=item.picture, reason=reason)
        if is_address(item.picture):
            content, suffix = asker.fetch(item.picture, _checked)
        else:
            content, suffix = _checked(_read(Path(item.picture)))
        return item, shelf.put(item.id, suffix, content)
    except PictureError as error:
        passing = isinstance(error, DownloadError) and error.passing
        if not passing and is_address(item.picture):
            shelf.refuse(item.picture, str(error))
        return Skip(id=item.id, picture=item.picture, reason=str(error), passing=passing)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > web.MAX_BYTES:
            raise PictureError(f"has more than {web.MAX_BYTES:,} bytes: too large to be a poster")
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror}") from None


def _checked(content: bytes) -> tuple[bytes, str]:
    """Return the content of a picture file and the suffix it should have.

    Raises:
        PictureError: It does not decode, or is no poster.
    """
    picture: Image.Image = open_picture(content)
    if min(picture.size) < SMALLEST:
        raise PictureError(f"has {picture.width} x {picture.height} pixels: no poster")
    kind = picture.format or Image.open(BytesIO(content)).format or ""
    return content, SUFFIXES.get(kind, f".{kind.lower()}")
