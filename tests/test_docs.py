"""What the documentation says about the code is made from the code, or checked against it."""

import ast
import importlib.util
import itertools
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import ROOT


def _writer(name: str) -> ModuleType:
    """The program that writes a page of the documentation."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def catalogue() -> ModuleType:
    return _writer("troubleshooting")


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
                if call in catalogue.classes() and not any(catalogue.texts_of(part, {}) for part in node.exc.args):
                    silent.append(f"{path.name}:{node.lineno} {ast.unparse(node.exc)}")
    # What says another error's sentence is fine; ``stops_told`` says its callers', which are in the catalogue.
    assert [place for place in silent if "error" not in place and not place.startswith("stopping.py")] == []
    assert sum(name == "StoppedError" for name, _, _ in catalogue.messages()) >= 9


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


LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_package_is_locked_by_version_and_hash_and_no_index_is_named(lock: Path) -> None:
    packages: dict[str, int] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if pinned := re.fullmatch(r"([\w.-]+)==[\w.+]+( ; [^\\]+)? \\", line):
            name = pinned[1]
            packages[name] = 0
        else:
            assert re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line), line
            packages[name] += 1
    assert packages
    assert [name for name, hashes in packages.items() if not hashes] == []


def test_what_pyproject_asks_for_is_locked_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = {name: needs for name, needs in project["project"]["optional-dependencies"].items() if name != "dev"}
    everything = [*project["project"]["dependencies"], *itertools.chain(*extras.values())]
    everything += project["project"]["optional-dependencies"]["dev"][1:]  # the first names the extras
    wanted = {
        "base": project["project"]["dependencies"],
        "dev": everything,
        "security": project["dependency-groups"]["security"],
    }
    assert set(wanted) == {path.stem for path in LOCKS}
    for name, requirements in wanted.items():
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        versions = dict(re.findall(r"^([\w.-]+)==([\w.+]+)", text, re.MULTILINE))
        for requirement in map(Requirement, requirements):
            assert versions[canonicalize_name(requirement.name)] in requirement.specifier, f"{requirement} in {name}"


def test_every_locked_package_is_on_the_page_of_licences() -> None:
    licences = _writer("licences")
    named = set(re.findall(r"[a-z0-9-]+", licences.PAGE.read_text(encoding="utf-8")))
    here = {name for name in licences.locked("base") | licences.locked("dev") if licences.licence(name) is not None}
    assert len(here) > 100
    assert here - named == set()
