"""A table that many processes fill, on one machine or many: what is to be done, what came of it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from postergenre.errors import DataError, PartialError, ProcessError
from postergenre.hardware import choose_hardware
from postergenre.inference.cluster import find_fleet, find_ray, joined, spread
from postergenre.inference.config import PredictConfig
from postergenre.inference.parquet import count_part, part_path, table_schema
from postergenre.inference.predictor import Predictor
from postergenre.inference.resume import digests
from postergenre.inference.tables import columns
from postergenre.inference.telling import Teller
from postergenre.inference.units import Unit, list_posters
from postergenre.inference.worker import Outcome, Work, Worker
from postergenre.stopping import stops_told, terminable


def prepare(config: PredictConfig, checkpoints: Sequence[Path]) -> Callable[[Path], tuple[int, int]]:
    """Return what fills the table at a path, and then tells how many posters there are and how many of them failed.

    Raises:
        ConfigError: There is no Ray, or no cluster at its address.
        CheckpointError: A file is missing, broken, unsafe, or was not made by postergenre.
        DataError: A genre has the name of another column.
    """
    address = find_ray(config.ray_address)
    # Each worker loads it again; here it is for telling mistakes before Ray is waited for.
    contract = Predictor.load(checkpoints, choose_hardware("0", "32")).contract
    names = columns(contract.genres)
    return lambda where: _fill(where, config, checkpoints, names, address)


def _fill(
    where: Path, config: PredictConfig, checkpoints: Sequence[Path], names: list[str], address: str
) -> tuple[int, int]:
    where.mkdir(parents=True, exist_ok=True)
    units = list_posters(where, config.posters, recursive=config.recursive, column=config.column, rows=config.part_rows)
    there = _parts(where, units, names)
    rest = [unit for unit in units if unit.number not in there]
    total, failed = sum(unit.rows for unit in units), sum(there.values())
    broken: dict[int, str] = {}
    with Teller(total, done=sum(units[number].rows for number in there), top=config.top, each=False) as teller:
        if there:
            teller.say(f"{teller.done:,} of {total:,} posters are in {where} already")
        if rest:
            kept = stops_told(
                f"stopped; the parts that were complete are in {where}, and the same command goes on with them"
            )
            with kept, joined(address), terminable():  # Ray has its own way with SIGTERM
                fleet = find_fleet(config.gpus)
                teller.say(f"Ray: {fleet}")
                work = Work(
                    config=config, checkpoints=[path.absolute() for path in checkpoints], sha256=digests(checkpoints),
                    where=where.absolute(), home=Path.cwd(), cores=fleet.cores, gpu=bool(fleet.gpus),
                )  # fmt: skip
                for told in spread([asdict(unit) for unit in rest], Worker, work, fleet):
                    outcome = Outcome(**told)
                    if outcome.refusal:
                        raise ProcessError(f"{outcome.refusal}; what is written stays")
                    if outcome.deaths:
                        teller.say(f"{part_path(where, outcome.number).name} took another try: a process died over it")
                    if outcome.error:
                        broken[outcome.number] = outcome.error
                        teller.say(f"{part_path(where, outcome.number).name} is not made: {outcome.error}")
                        continue
                    failed += outcome.failed
                    for poster, error in outcome.told:
                        teller.left_out(poster, error)
                    teller.advance(units[outcome.number].rows)
        teller.end(where)
    if broken:
        raise (PartialError if len(broken) < len(units) else DataError)(
            f"{len(broken):,} of {len(units):,} parts of {where} could not be made: {broken[min(broken)]}; the same "
            "command tries them again"
        )
    return total, failed


def _parts(where: Path, units: Sequence[Unit], names: list[str]) -> dict[int, int]:
    """Return for each part that is there, by its number, how many of its posters failed.

    Raises:
        DataError: A file in the folder is no part of the table.
    """
    for left in where.glob(".part-*"):  # by processes that died
        left.unlink(missing_ok=True)
    if others := {*where.glob("*.parquet")} - {part_path(where, unit.number) for unit in units}:
        raise DataError(f"{min(others)} is no part of this table; give another output")
    schema = table_schema(names)
    with ThreadPoolExecutor() as pool:
        counts = pool.map(lambda unit: count_part(part_path(where, unit.number), schema), units)
        return {
            unit.number: count[1]
            for unit, count in zip(units, counts, strict=True)
            if count is not None and count[0] == unit.rows  # the last one may have become longer
        }
