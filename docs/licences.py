"""Write ``docs/licences.md``, whose terms the packages under us have, from what is installed.

``python docs/licences.py`` rewrites the page; ``tests/test_docs.py`` fails when a locked package is missing.
"""

import re
from collections import defaultdict
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
SPDX = {  # what packages without an SPDX expression write
    "mit": "MIT",
    "mit license": "MIT",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0 license": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd 3": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "nvidia proprietary software": "NVIDIA, proprietary",
    "licenseref-nvidia-proprietary": "NVIDIA, proprietary",
    "other/proprietary license": "NVIDIA, proprietary",
}
TEXT = """# Licences

postergenre is under the MIT licence. It installs packages of others, under theirs, as those packages declare them;
every one is in [requirements](../requirements) with its version and hashes. Written by `python docs/licences.py`.

| licence | with `pip install postergenre` | with its extras, or for development |
| --- | --- | --- |
{rows}

NVIDIA's packages come with PyTorch's default build for Linux; its CPU build has none of them. Weights and posters have
terms of their own: ImageNet weights those of torchvision and timm, posters those of whoever made them (see the README).
"""


def locked(name: str) -> set[str]:
    """Returns the packages of a file in ``requirements/``, by their normalised names."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines if re.match(r"\w", line)}


def licence(package: str) -> str | None:
    """Returns what a package declares, as SPDX where that can be told; None for one that is not installed here."""
    try:
        told = metadata.metadata(package)
    except metadata.PackageNotFoundError:  # another system's
        return None
    if expression := told.get("License-Expression"):
        return SPDX.get(expression.lower(), expression)
    classes = [name.split(" :: ")[-1] for name in told.get_all("Classifier", []) if name.startswith("License :: ")]
    classes = [name for name in classes if name != "OSI Approved"]
    names = classes or [next(iter((told.get("License") or "").strip().splitlines()), "not declared").strip()]
    return " AND ".join(sorted({SPDX.get(name.lower(), name) for name in names}))


def page() -> str:
    """Returns the page."""
    base, everything = locked("base"), locked("dev")
    table: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for package in sorted(base | everything):
        if (name := licence(package)) is not None:
            table[name][package not in base].append(package)
    order = sorted(table.items(), key=lambda row: (-len(row[1][0]) - len(row[1][1]), row[0]))
    return TEXT.format(rows="\n".join(f"| {name} | {', '.join(a)} | {', '.join(b)} |" for name, (a, b) in order))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
