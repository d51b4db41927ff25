"""What processes of this machine hold and use, all that descend from one together."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def family(process: int) -> Iterator[int]:
    """Yield a process and all that descend from it."""
    yield process
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield from family(int(child))


def memory(*processes: int) -> float:
    """Return MB of some processes together; what they share counts once (PSS)."""
    total = 0
    for pid in processes:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def cpu_seconds(process: int) -> dict[int, float]:
    """Return what a process and all that descend from it have computed so far, each."""
    seconds = {}
    for pid in family(process):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds
