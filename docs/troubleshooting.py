"""Write ``docs/troubleshooting.md``, the catalogue of every error message, from the source: nothing can be missing.

``python docs/troubleshooting.py`` rewrites the page; ``tests/test_docs.py`` fails while it is not up to date.
"""

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from postergenre import errors

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "postergenre"
PAGE = ROOT / "docs" / "troubleshooting.md"
REMEDIES = {
    "ConfigError": (
        "error: no data.split 'fixd'; known: fixed, original, column, all",
        """Change the setting that the message names: on the command line (`data.split=fixed`) or in `conf/`.
        `python scripts/<verb>.py --help` prints all settings with the values they have now. Nothing was begun, nothing
        is lost.""",
    ),
    "DataError": (
        "error: data/posters/train.csv has a header and no rows",
        """Mend the CSV or the pictures that the message names: rows are counted as an editor counts lines. All problems
        come in one message. `data.on_bad_image=skip` goes on without pictures that do not decode, and lists them.
        `python scripts/audit.py data.root=FOLDER` shows everything that is wrong with a set, and never stops at the
        first.""",
    ),
    "PictureError": (
        "error: poster.jpg is not a picture Pillow can read",
        """Open the file in a viewer: it is cut short, no picture, or too large to be a poster. Download it again. Among
        many posters it is a row with an `error`, and the others are answered.""",
    ),
    "PartialError": (
        "error: 2 of 40 posters could not be read, see the column error of predictions.csv; the others are answered",
        """Everything that could be done is written. Look into the column `error`, mend those, and start the same
        command again. The exit status is 3, so that a program can tell this from a failure.""",
    ),
    "CacheError": (
        "note: features are not kept: 31.2 GB would be more than data.cache_limit=20 GB",
        """Nothing is lost: what cannot be kept is computed anew. Free the disk, give another `data.cache=FOLDER`, or
        keep less with `data.cache_limit=GIGABYTES`; `make clean-cache` removes everything that is kept.""",
    ),
    "ProcessError": (
        "error: process 1 died (SIGKILL), and with it the run; the checkpoints of earlier epochs are unharmed "
        "(resume=outputs/train/a/checkpoints/last.ckpt)",
        """Look for the reason above the message (memory, mostly), then go on with `resume=…/last.ckpt`.""",
    ),
    "StoppedError": (
        "error: stopped in epoch 7, after step 1204; the same command with "
        "resume=outputs/train/a/checkpoints/last.ckpt goes on from there",
        """Nothing is lost: start the same command again, with what the message says to add. The exit status is 130
        after Ctrl-C and 143 after SIGTERM. A second signal ends a training at once, without another checkpoint.""",
    ),
    "CheckpointError": (
        "error: x.ckpt is not a checkpoint that can be used: it asks for os.system; nothing in it was run",
        """Take a checkpoint that `scripts/train.py` wrote (`outputs/train/<run>/checkpoints/best.ckpt`), or download it
        again. A file that asks for code was not made by this project: delete it.""",
    ),
    "ExportError": (
        "error: a.onnx is not written: its probabilities differ from the checkpoint's by up to 0.02, more than 0.0001",
        """Nothing was written. Try `format=torch_export`; networks whose operations have no ONNX form cannot be
        exported to it.""",
    ),
}
"""For each class an example, and what to do."""


def messages() -> Iterator[tuple[str, str, str]]:
    """Yield class, room and text of every error that the package raises; what varies in a text is an ellipsis."""
    known, said = set(classes()), constants()
    for path in sorted(SOURCE.rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        aliases = {"stops_told": "StoppedError"} | {
            node.name: base.id
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for base in node.bases
            if isinstance(base, ast.Name) and base.id in known
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                name = aliases.get(node.func.id, node.func.id)
                if name in known:
                    yield from ((name, room, text) for text in texts_of(node.args[0], said))


def classes() -> dict[str, type[errors.PosterGenreError]]:
    """Return the error classes by name, in the order in which they are written down."""
    found = inspect.getmembers(
        errors, lambda thing: inspect.isclass(thing) and issubclass(thing, errors.PosterGenreError)
    )
    return dict(sorted(found, key=lambda pair: inspect.getsourcelines(pair[1])[1]))


def constants() -> dict[str, str]:
    """Return the sentences that have a name of their own, each by it."""
    texts: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
                texts.setdefault(node.targets[0].id, set()).update(texts_of(node.value, {}))
    return {name: text for name, found in texts.items() for text in found if len(found) == 1 and " " in text}


def texts_of(node: ast.expr, said: Mapping[str, str]) -> list[str]:
    """Return what an expression may say, with an ellipsis for what varies; nothing where no text is in it."""
    if isinstance(node, ast.IfExp):
        return texts_of(node.body, said) + texts_of(node.orelse, said)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in texts_of(node.left, said) or ["…"] for b in texts_of(node.right, said) or ["…"]]
    text = "".join(_said(part, said) for part in (node.values if isinstance(node, ast.JoinedStr) else [node]))
    return [" ".join(text.split())] if re.search(r"\w", text) else []


def _said(part: ast.expr, said: Mapping[str, str]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name):
        return said.get(part.value.id, "…")
    return "…"


def page() -> str:
    """Return the page."""
    by_class: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, room, text in messages():
        by_class[name][room].add(text)
    lines = [
        "# Troubleshooting",
        "",
        "Every error message of the package, by its class; search the page for a piece of yours. `…` stands for what",
        "varies. Scripts print a message on one line and exit with 1, with 3 where part of the work is done, with 130",
        "or 143 where they were told to stop; anything else, a traceback, is a bug: please report it.",
        "`docs/troubleshooting.py` writes this page from the source.",
    ]
    for name, kind in classes().items():
        if name == "PosterGenreError":
            continue
        example, remedy = REMEDIES[name]
        lines += [
            "",
            f"## {name}",
            "",
            inspect.getdoc(kind) or "",
            "",
            "```",
            example,
            "```",
            "",
            f"**What to do.** {' '.join(remedy.split())}",
        ]
        for room, texts in sorted(by_class[name].items()):
            lines += ["", f"*{room}*", ""]
            lines += [f"- {_escaped(text)}" for text in sorted(texts, key=str.lower)]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"([*_<>|`\[\]])", r"\\\1", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
