"""The page, in a real browser. Its pictures are kept in ``outputs/page``."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page, expect, sync_playwright

from conftest import ROOT
from postergenre.training import Trained
from servers import PATIENCE, Server, picture, served

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
SCREENS = ROOT / "outputs" / "page"
RED, GREEN = (220, 30, 30), (30, 220, 30)
POSTER = {"name": "red.png", "mimeType": "image/png", "buffer": picture(RED)}
OTHER = {"name": "green.jpg", "mimeType": "image/jpeg", "buffer": picture(GREEN, "JPEG")}
BROKEN = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": picture(RED, "JPEG")[:500]}

pytestmark = pytest.mark.slow
Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.is_file():
        assert os.environ.get("POSTERGENRE_BROWSER_TESTS") != "required", f"there is no browser at {CHROMIUM}"
        pytest.skip(f"no browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def server(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(trained.best, tmp_path_factory.mktemp("server"), "max_body_mb=0.5") as running:
        yield running


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[Opened]:
    """Return what opens the page; at the end it has asked nobody but its server, and nothing failed in it."""
    pages: list[Page] = []
    failures: list[str] = []
    asked: list[str] = []

    def open_page(url: str = server.url, **settings: Any) -> Page:
        context = browser.new_context(viewport={"width": 1200, "height": 900}, **settings)
        context.set_default_timeout(1000 * PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda message: message.type == "error" and failures.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        expect(page.locator("#examples button")).to_have_count(6)
        pages.append(page)
        return page

    expect.set_options(timeout=1000 * PATIENCE)
    yield open_page
    for page in pages:
        page.context.close()
    # Chromium itself tells of every refusal that the server gives.
    assert [failure for failure in failures if "Failed to load resource" not in failure] == []
    assert {re.split(r"(?<=\d)/", url)[0] for url in asked if not url.startswith(("blob:", "data:"))} <= {server.url}


def bring(page: Page, *posters: dict[str, Any]) -> None:
    page.set_input_files("#files", list(posters))  # type: ignore[arg-type]


def bars(page: Page) -> dict[str, int]:
    """Return what the page says about the poster, once it does."""
    expect(page.locator("#genres .percent")).to_have_count(3)
    names, percents = (
        page.locator("#genres .label").all_inner_texts(),
        page.locator("#genres .percent").all_inner_texts(),
    )
    return {name: int(percent.split()[0]) for name, percent in zip(names, percents, strict=True)}


def keep(page: Page, name: str) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(600)  # the bars grow
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_poster_becomes_bars_and_a_genre_a_heat_map(opened: Opened, server: Server, scheme: str) -> None:
    page = opened(color_scheme=scheme)
    bring(page, POSTER)
    told = bars(page)
    expected = server.post(picture(RED)).json()["genres"]
    assert told == {genre["name"]: pytest.approx(100 * genre["probability"], abs=0.51) for genre in expected}
    assert next(iter(told)) == "Red"
    expect(page.locator("#status")).to_contain_text("Red.")
    page.wait_for_timeout(600)
    for row, genre in zip(page.locator("#genres .bar").all(), expected, strict=True):
        bar, tick = row.bounding_box(), row.locator(".tick").bounding_box()
        assert bar is not None
        assert tick is not None
        assert (tick["x"] + 1 - bar["x"]) / bar["width"] == pytest.approx(genre["threshold"], abs=0.02)
    red = page.get_by_role("button", name="Red")
    red.click()
    heat = page.locator("#heat")
    expect(heat).to_be_visible()
    expect(red).to_have_attribute("aria-pressed", "true")
    assert heat.evaluate("image => image.decode().then(() => image.naturalWidth)") == 48
    assert heat.bounding_box() == page.locator("#poster").bounding_box()
    keep(page, f"heat_{scheme}")
    page.keyboard.press("Escape")
    expect(heat).to_be_hidden()
    expect(red).to_have_attribute("aria-pressed", "false")
    paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", paper)[0]) > 127) == (scheme == "light")


def test_a_broken_file_is_told_and_the_next_poster_answered(opened: Opened) -> None:
    page = opened()
    bring(page, BROKEN)
    error = page.get_by_role("alert")
    expect(error).to_be_visible()
    expect(error).to_contain_text(re.compile(r"broken\.jpg: (Cannot decode the picture|The picture is broken).*\.$"))
    expect(page.locator("#answer")).to_be_hidden()
    keep(page, "broken")
    bring(page, {"name": "huge.png", "mimeType": "image/png", "buffer": b"x" * 600_000})
    expect(error).to_contain_text("The picture is larger than 0.5 MB.")
    bring(page, POSTER)
    assert next(iter(bars(page))) == "Red"
    expect(error).to_be_hidden()


def test_of_two_uploads_in_a_row_the_second_is_shown(opened: Opened) -> None:
    page = opened()
    bring(page, POSTER)
    bring(page, OTHER)
    expect(page.locator("#name")).to_have_text("green.jpg")
    expect(page.locator("#status")).to_contain_text("Green.")
    assert next(iter(bars(page))) == "Green"
    bring(page, POSTER)
    expect(page.locator("#status")).to_contain_text("Red.")
    assert next(iter(bars(page))) == "Red"
    expect(page.locator("#cards li")).to_have_count(0)


def test_the_page_fits_a_telephone(opened: Opened) -> None:
    page = opened(device_scale_factor=2, has_touch=True)
    page.set_viewport_size({"width": 360, "height": 740})
    keep(page, "telephone_start")
    bring(page, POSTER, OTHER, BROKEN)
    bars(page)
    expect(page.locator(".card .wrong")).to_have_count(1)
    page.get_by_role("button", name="Red, ").or_(page.locator("button.genre", has_text="Red")).first.tap()
    expect(page.locator("#heat")).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    for button in page.locator("button.genre, button.plain:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 40, "too small for a finger"
    keep(page, "telephone")


def test_several_posters_become_a_sheet(opened: Opened) -> None:
    page = opened()
    bring(page, POSTER, BROKEN, OTHER)
    expect(page.locator("#status")).to_have_text("2 of 3 posters answered.")
    cards = page.locator(".card")
    expect(cards).to_have_count(3)
    expect(cards.nth(1)).to_contain_text("picture")
    expect(cards.nth(0)).to_have_attribute("aria-current", "true")
    cards.nth(2).click()
    expect(page.locator("#name")).to_have_text("green.jpg")
    assert next(iter(bars(page))) == "Green"
    keep(page, "sheet")


def test_the_keyboard_is_enough(opened: Opened) -> None:
    page = opened()
    page.keyboard.press("Tab")
    expect(page.locator("#files")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#examples button").first).to_be_focused()
    page.keyboard.press("Enter")
    bars(page)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.classList.contains('genre')"):
            break
    page.keyboard.press("Space")
    expect(page.locator("#heat")).to_be_visible()
    keep(page, "keyboard")


def test_a_poster_can_be_dropped_or_pasted(opened: Opened) -> None:
    page = opened()
    give = """(kind, data) => {
        const transfer = new DataTransfer();
        const bytes = Uint8Array.from(data);
        transfer.items.add(new File([bytes], "given.png", { type: "image/png" }));
        const event = kind === "drop"
            ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    for kind, colour, name in (("drop", RED, "Red"), ("paste", GREEN, "Green")):
        page.evaluate(f"([kind, data]) => ({give})(kind, data)", [kind, list(picture(colour))])
        expect(page.locator("#status")).to_contain_text(f"{name}.")


def test_the_answer_can_be_copied(opened: Opened, server: Server) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    bring(page, POSTER)
    bars(page)
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("() => navigator.clipboard.readText()"))
    assert copied["genres"] == server.post(picture(RED)).json()["genres"]


def test_names_that_are_code_stay_text(browser: Browser, trained: Trained, tmp_path: Path) -> None:
    """Genres of a stranger's checkpoint and names of a stranger's files are shown letter by letter."""
    names = ["<img src=x onerror=alert(1)>", "</span><script>alert(2)</script>", "javascript:alert(3)\"'"]
    checkpoint = torch.load(trained.best, weights_only=True)
    checkpoint["postergenre"] |= {"genres": names, "headline": names}
    torch.save(checkpoint, tmp_path / "x.ckpt")
    file = POSTER | {"name": "<img src=x onerror=alert(4)>.png"}
    failures: list[str] = []
    with served(tmp_path / "x.ckpt", tmp_path) as running:
        page = browser.new_page()
        page.on("dialog", lambda dialog: failures.append(dialog.message))
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(running.url)
        bring(page, file, OTHER | {"name": "<b>bold</b>.jpg"})
        assert sorted(bars(page)) == sorted(names)
        expect(page.locator("#name")).to_have_text(file["name"])
        page.locator("button.genre").first.click()
        expect(page.locator("#heat")).to_be_visible()
        assert page.locator("img[onerror], b, script:not([src])").count() == 0
        keep(page, "code")
        assert page.evaluate("() => document.scripts.length") == 1
        page.goto(f"{running.url}/docs")
        assert page.locator("script").count() == 0
        page.close()
    assert failures == []


def test_the_page_asks_for_the_token(browser: Browser, trained: Trained, tmp_path: Path) -> None:
    with served(trained.best, tmp_path, token="open-sesame") as closed:
        page = browser.new_page()
        page.goto(closed.url)
        expect(page.locator("#door")).to_be_visible()
        page.get_by_label("This server asks for a token.").fill("wrong")
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#door")).to_be_visible()
        page.get_by_label("This server asks for a token.").fill("open-sesame")
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#door")).to_be_hidden()
        bring(page, POSTER)
        assert next(iter(bars(page))) == "Red"
        page.close()
