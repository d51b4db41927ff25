"""Tell the genres of picture files, of addresses, of what a CSV names: one row each, however many there are."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice, repeat
from pathlib import Path

from postergenre.classifier.contract import find_checkpoints
from postergenre.errors import DataError, PartialError
from postergenre.hardware import choose_hardware, memory_for
from postergenre.inference.config import PredictConfig
from postergenre.inference.gallery import Pictures, picture_names
from postergenre.inference.predictor import Predictor
from postergenre.inference.resume import claimed, count_done, made_with
from postergenre.inference.sources import find_posters
from postergenre.inference.tables import columns, open_table, row
from postergenre.inference.telling import Teller
from postergenre.stopping import stops_told


def predict(config: PredictConfig) -> Path:
    """Write a row for each poster, print the top genres, and return the table's path.

    A ``*`` marks the genres that reach their thresholds: the poster's genres, as the column ``genres`` has them. A
    poster that cannot be read is a row with an ``error``. With ``config.output``, a table of the same command that is
    there already is continued after its last row.

    Raises:
        DataError: No such posters, the table cannot be written or continued, or not one poster could be read.
        PartialError: Some posters could not be read; all others are answered and written before it is raised.
        ProcessError: ``engine=ray``, and Ray cannot go on.
        ConfigError: The device has not enough memory for a batch.
        StoppedError: Ctrl-C or SIGTERM; the rows that are written stay.
    """
    checkpoints = find_checkpoints(config.checkpoint)
    if config.engine == "ray":
        from postergenre.inference.fleet import prepare  # one poster must not wait for Parquet and more
    else:
        prepare = _prepare
    fill = prepare(config, checkpoints)
    where = config.table
    with _disk(where), ExitStack() as stack:
        Path(config.output_dir).mkdir(parents=True, exist_ok=True)
        if config.output is None:
            _remove(where)
        else:
            stack.enter_context(claimed(where, made_with(config, checkpoints)))
        total, failed = fill(where)
    if failed == total:
        raise DataError(f"not one poster could be read; the column error of {where} says why")
    if failed:
        raise PartialError(
            f"{failed:,} of {total:,} posters could not be read, see the column error of {where}; "
            "the others are answered"
        )
    return where


def _prepare(config: PredictConfig, checkpoints: Sequence[Path]) -> Callable[[Path], tuple[int, int]]:
    """Return what fills the table at a path, and then tells how many posters there are and how many of them failed."""
    posters = find_posters(config.posters, recursive=config.recursive, column=config.column)
    hardware = choose_hardware(config.gpus, config.precision)
    predictor = Predictor.load(checkpoints, hardware, tta=config.tta, allow_empty=config.allow_empty)
    return lambda where: (len(posters), _fill(where, posters, predictor, config))


def _fill(where: Path, posters: Sequence[str], predictor: Predictor, config: PredictConfig) -> int:
    """Write the rows that are not there yet, and return how many of all have an error."""
    contract = predictor.contract
    pictures = Pictures(Path(config.output_dir), contract, annotate=config.annotate, sheet=config.sheet, top=config.top)
    then = "the same command goes on with it" if config.output else "with output=FILE it could have gone on"
    with stops_told(f"stopped; what was answered is in {where}, {then}"), ExitStack() as stack:
        table = open_table(where, columns(contract.genres))
        stack.callback(table.close)
        stack.enter_context(memory_for("batch_size", config.batch_size))
        done, failed = count_done(table, posters, where=where)
        _catch_up(pictures, posters[:done], predictor)
        teller = stack.enter_context(Teller(len(posters), done=done, top=config.top))
        if done:
            teller.say(f"{done:,} of {len(posters):,} posters are in {where} already")
        rest = posters[done:]
        answers = predictor.predict_many(rest, batch_size=config.batch_size, fetch=pictures.fetch)
        names = islice(picture_names(posters), done, None) if config.annotate else repeat(None, len(rest))
        for poster, answer, name in zip(rest, answers, names, strict=True):
            pictures.add(poster, answer, name)  # before the row: a run that is killed here goes on here
            table.write(row(poster, answer, genres=contract.genres, top=config.top))
            failed += bool(answer.error)
            teller.poster(poster, answer)
    pictures.close(len(posters))
    teller.end(where, pictures)
    return failed


def _catch_up(pictures: Pictures, posters: Sequence[str], predictor: Predictor) -> None:
    """Put the posters that an earlier run answered on the sheet."""
    if pictures.has_room:
        for poster, answer in zip(posters, predictor.predict_many(posters, fetch=pictures.fetch), strict=True):
            pictures.add(poster, answer, None)
            if not pictures.has_room:
                break


def _remove(table: Path) -> None:
    if table.is_dir():
        shutil.rmtree(table)
    table.unlink(missing_ok=True)


@contextmanager
def _disk(table: Path) -> Iterator[None]:
    """Tell what the disk refuses in a sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot write {error.filename or table}: {error.strerror or error}") from None
