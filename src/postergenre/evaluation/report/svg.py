"""A matplotlib figure as a piece of a page: no file of its own, no fixed size, names that clash with nothing."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

MODEL, OTHER, CHANCE, INK = "#0b5394", "#d06000", "#8a8a8a", "#222222"
"""Blue and orange are told apart by colour-blind readers; in grey print by their dashes and markers."""
DASHED = (0, (4, 2))
DPI = 72
"""A pixel of matplotlib is then a point of the SVG."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the fonts of the page
    "font.family": "DejaVu Sans",  # comes with matplotlib, and is wide: what the page shows instead fits too
    "font.size": 7.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#777777",
    "axes.labelcolor": "#333333",
    "axes.labelsize": 7.5,
    "axes.labelpad": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": "#777777",
    "ytick.color": "#777777",
    "xtick.labelcolor": "#333333",
    "ytick.labelcolor": "#333333",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.fontsize": 7.0,
}
LONG = re.compile(r"-?\d+\.\d{3,}")
REFERENCE = re.compile(r"#(\w+)")


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib with the look of the report, for as long as figures are drawn."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Its own font is only measured with; the fonts of the reader may well have the letter.
        warnings.filterwarnings("ignore", ".*[Gg]lyph .* missing from .*")
        yield


def to_svg(figure: Figure, name: str, label: str) -> Markup:
    """Return an ``<svg>`` element to stand in an HTML page; the same text for the same figure.

    Args:
        figure: What to show.
        name: Begins the ids within; no two figures of a page share one.
        label: What is to be seen, for readers who cannot see it.
    """
    file = io.BytesIO()
    figure.savefig(file, format="svg", transparent=True)
    root = ElementTree.fromstring(file.getvalue())  # noqa: S314 - matplotlib wrote it a moment ago
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib |= {"viewBox": view, "role": "img", "aria-label": label}
    _trim(root)
    _rename(root, name)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - serialising escapes


def _trim(element: ElementTree.Element) -> None:
    """Leave out what an HTML page does not need: namespaces, metadata, space, parts of a point below a hundredth."""
    for child in list(element):
        if child.tag.endswith(("metadata", "style")):
            element.remove(child)
            continue
        child.attrib = {
            name.rpartition("}")[2]: value if name in ("id", "style") else " ".join(LONG.sub(_short, value).split())
            for name, value in child.attrib.items()
        }
        if "style" in child.attrib:
            child.attrib["style"] = re.sub(r"font-family:[^;]+;?\s*", "", child.attrib["style"])
        if child.attrib.get("transform", "").startswith("rotate(-0 "):
            del child.attrib["transform"]
        _trim(child)
    element.tag = element.tag.rpartition("}")[2]
    element.tail = None
    if element.tag not in ("text", "tspan"):
        element.text = None


def _short(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def _rename(root: ElementTree.Element, name: str) -> None:
    """Number the ids that something refers to, which are random until then, and take the others away."""
    references = [
        (element, attribute, found[1])
        for element in root.iter()
        for attribute, value in element.attrib.items()
        if attribute in ("href", "clip-path") and (found := REFERENCE.search(value))
    ]
    names = {old: f"{name}-{number}" for number, old in enumerate(dict.fromkeys(old for _, _, old in references))}
    for element, attribute, old in references:
        element.attrib[attribute] = element.attrib[attribute].replace(f"#{old}", f"#{names[old]}")
    for element in root.iter():
        if (old_id := element.attrib.pop("id", None)) in names:
            element.attrib["id"] = names[old_id]
