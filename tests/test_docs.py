"""What the documentation says about the code is made from the code, or checked against it."""

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from conftest import ROOT


@pytest.fixture(scope="module")
def catalogue() -> ModuleType:
    spec = importlib.util.spec_from_file_location("troubleshooting", ROOT / "docs" / "troubleshooting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_error_lacks_an_entry(catalogue: ModuleType) -> None:
    assert (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8") == catalogue.page(), (
        "run python docs/troubleshooting.py"
    )


def test_every_raised_error_is_found_with_a_text(catalogue: ModuleType) -> None:
    """Counts ``raise`` statements in another way than the catalogue does."""
    found = {(room, text) for _, room, text in catalogue.messages()}
    assert len(found) > 200
    silent = []
    for path in sorted((ROOT / "src" / "postergenre").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                call = ast.unparse(node.exc.func)
                if call in catalogue.classes() and not any(map(catalogue.texts_of, node.exc.args)):
                    silent.append(f"{path.name}:{node.lineno} {ast.unparse(node.exc)}")
    assert [place for place in silent if "error" not in place] == []  # what says another error's sentence is fine


def test_each_class_has_an_example_which_is_one_of_its_messages(catalogue: ModuleType) -> None:
    texts: dict[str, list[str]] = {}
    for name, _, text in catalogue.messages():
        texts.setdefault(name, []).append(text)
    for name in catalogue.classes():
        if name == "PosterGenreError":
            continue
        example, remedy = catalogue.REMEDIES[name]
        told = example.removeprefix("error: ").removeprefix("note: features are not kept: ")
        patterns = [".*".join(map(re.escape, text.split("…"))) for text in texts[name]]
        assert any(re.fullmatch(pattern, told) for pattern in patterns), f"{name} says nothing like {told!r}"
        assert remedy


def _links(page: Path) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")) if "://" not in link]


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in _links(page) if not (page.parent / link).exists()] == []
