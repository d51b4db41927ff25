"""One of many processes that answer: takes a unit of posters, and writes its part of the table."""

import json
import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from postergenre.errors import CheckpointError, DataError, PosterGenreError
from postergenre.hardware import choose_hardware
from postergenre.inference.config import PredictConfig
from postergenre.inference.parquet import count_part, part_path, table_schema, write_part
from postergenre.inference.predictor import Predictor
from postergenre.inference.resume import digests
from postergenre.inference.tables import Row, columns, row
from postergenre.inference.telling import NUM_LINES
from postergenre.inference.units import Unit, read_unit

DEATHS = 4
"""How often a process may die over one unit; then the unit is left out, and the others go on."""
TRIES = 3
"""How often a unit is tried where a disk or a server refuses."""
PAUSE = 2.0
"""Seconds before the second of them; twice as many before the third."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What all workers are told."""

    config: PredictConfig
    checkpoints: list[Path]
    sha256: list[str]
    """Of the checkpoints, as the table is made with them."""
    where: Path
    """The table's folder."""
    home: Path
    """The folder from which paths of posters go."""
    cores: int
    gpu: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a unit."""

    number: int
    """Of the unit."""
    failed: int = 0
    """Posters that have an error."""
    told: list[list[str]] = field(default_factory=list)
    """Some of them, with their errors."""
    deaths: int = 0
    """Processes that died over it before."""
    error: str = ""
    """Why the unit has no part."""
    refusal: str = ""
    """Why this worker can make no part at all."""


class Worker:
    """Answers units of posters; what ``Dataset.map_batches`` makes one of in each process."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._refusal = ""
        try:
            self._predictor = self._load()
        except (PosterGenreError, OSError) as error:
            self._refusal = f"the process on {socket.gethostname()} cannot begin: {error}"
        else:
            self._names = list(self._predictor.contract.genres)
            self._schema = table_schema(columns(self._names))

    def __call__(self, columns: dict[str, np.ndarray[Any, Any]]) -> Iterator[dict[str, list[str]]]:
        """Yield the outcome of each task in ``columns["task"]``, a unit; see ``cluster.spread``."""
        for task in columns["task"]:
            outcome = self._outcome(Unit(**json.loads(task)))
            yield {"outcome": [json.dumps(asdict(outcome))]}

    def _outcome(self, unit: Unit) -> Outcome:
        if self._refusal:
            return Outcome(number=unit.number, refusal=self._refusal)
        try:
            return self._answer(unit)
        except DataError as error:
            return Outcome(number=unit.number, error=str(error))
        except OSError as error:
            refusal = f"cannot read or write {error.filename or self._work.where}: {error.strerror or error}"
            return Outcome(number=unit.number, refusal=refusal)

    def _load(self) -> Predictor:
        work = self._work
        os.chdir(work.home)  # paths of posters are told as the user gave them
        torch.set_num_threads(work.cores)
        hardware = choose_hardware("1" if work.gpu else "0", work.config.precision)
        predictor = Predictor.load(work.checkpoints, hardware, tta=work.config.tta, allow_empty=work.config.allow_empty)
        if digests(work.checkpoints) != work.sha256:
            told = ", ".join(map(str, work.checkpoints))
            raise CheckpointError(f"{told} has changed since the run began")
        return predictor

    def _answer(self, unit: Unit) -> Outcome:
        """Write the part of a unit."""
        part = part_path(self._work.where, unit.number)
        there = count_part(part, self._schema)
        if there and there[0] == unit.rows:  # a worker that wrote it died before it could tell
            return Outcome(number=unit.number, failed=there[1])
        with self._tried(part) as deaths:
            failures = self._write(part, unit)
        return Outcome(number=unit.number, failed=len(failures), told=failures[:NUM_LINES], deaths=deaths)

    @contextmanager
    def _tried(self, part: Path) -> Iterator[int]:
        """Yield how many began this part before and could not even fail, and count this one among them till it ends."""
        tries = part.with_name(f".{part.stem}.tries")
        with tries.open("ab") as file:
            begun = file.tell()
            file.write(b".")
        if begun >= DEATHS:
            raise DataError(f"the processes that worked on it died, {begun} of them")
        try:
            yield begun
        finally:
            tries.unlink(missing_ok=True)

    def _write(self, part: Path, unit: Unit) -> list[list[str]]:
        """Write the part of a unit, and return the posters that failed with their errors."""
        for attempt in range(1, TRIES + 1):
            failures: list[list[str]] = []
            try:
                write_part(part, self._rows(unit, failures), self._schema)
                return failures
            except (DataError, OSError):
                if attempt == TRIES:
                    raise
                time.sleep(PAUSE * 2 ** (attempt - 1))
        raise AssertionError

    def _rows(self, unit: Unit, failures: list[list[str]]) -> Iterator[Row]:
        names: deque[str] = deque()

        def contents() -> Iterator[str | bytes]:
            for name, content in read_unit(unit, self._work.where):
                names.append(name)
                yield content

        config = self._work.config
        count = 0
        for answer in self._predictor.predict_many(contents(), batch_size=config.batch_size):
            made = row(names.popleft(), answer, genres=self._names, top=config.top)
            if answer.error:
                failures.append([made["poster"], made["error"]])
            yield made
            count += 1
        if count != unit.rows:
            raise DataError(f"{unit.shard} has changed since the run began: {count:,} rows, not {unit.rows:,}")
