"""Each benchmark runs, in its smallest size, on demo posters; what it measures is nobody's business here."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

SCRIPTS = [
    "decode",
    "training",
    "prediction",
    "cold_start",
    "memory",
    "scaling",
    "capacity",
    "serving",
    "soak",
    "ray_prediction",
    "kills",
]


def test_every_benchmark_is_run_here() -> None:
    tools = {"report", "processes", "keras_source"}
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - tools == set(SCRIPTS)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_benchmark_prints_a_table(script: str, tmp_path: Path) -> None:
    before = (ROOT / "benchmarks" / "RESULTS.md").read_bytes()
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), "--smoke", "--record"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("## ")
    assert lines[3].startswith("| ---")
    assert len([line for line in lines if line.startswith("| ")]) >= 3
    assert (ROOT / "benchmarks" / "RESULTS.md").read_bytes() == before  # the smallest size is never recorded


@pytest.mark.slow
def test_the_page_on_scaling_shows_what_the_simulator_gives() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "capacity.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8").splitlines()
    assert len(rows) > 10
    assert [row for row in rows if row not in page] == []
