"""Look at a poster set from every side, and tell what is wrong with it."""

import json
from pathlib import Path

from rich.console import Console

from postergenre.auditing.config import AuditConfig
from postergenre.auditing.duplicates import find_duplicates
from postergenre.auditing.findings import Findings
from postergenre.auditing.labels import count_labels
from postergenre.auditing.looks import look_over
from postergenre.auditing.plain import to_plain
from postergenre.auditing.scores import ask_checkpoint, read_predictions
from postergenre.auditing.sides import look_at_splits
from postergenre.auditing.subject import Subject, read_subject
from postergenre.auditing.suspects import Suspects, find_suspects, write_suspects
from postergenre.auditing.telling import tell
from postergenre.paths import expanded
from postergenre.web import command_line


def audit(config: AuditConfig) -> Findings:
    """Return what is wrong with a poster set; print it, and write ``audit.json``, ``audit.html`` and suspects.

    ``suspects.csv`` is written where there are predictions or a checkpoint to find them with. A set that training would
    refuse is audited all the same.

    Raises:
        PosterGenreError: There is no CSV that can be read, or the predictions, the checkpoint or the corrections cannot
            be used.
    """
    subject = read_subject(config.data, config.genres)
    groups = find_duplicates(subject)
    findings = Findings(
        subject=subject,
        config=config.data,
        pictures=look_over(subject),
        groups=groups,
        labels=count_labels(subject),
        sides=look_at_splits(subject, groups, min_positives=config.data.min_positives),
        suspects=_suspects(config, subject),
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    written = ["audit.html", "audit.json"]
    command = command_line("python")
    plain = to_plain(findings) | {"command": command}
    (output / "audit.json").write_text(json.dumps(plain, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if findings.suspects:
        write_suspects(findings.suspects, subject, output / "suspects.csv")
        written.append("suspects.csv")
    from postergenre.auditing.page import write_page  # plotting is slow to import, and what went wrong comes first

    write_page(findings, output, command=command)
    tell(findings, Console(), output=output, written=written)
    return findings


def _suspects(config: AuditConfig, subject: Subject) -> Suspects | None:
    if config.predictions:
        scores = read_predictions(expanded(config.predictions), subject)
    elif config.checkpoint is not None:
        scores = ask_checkpoint(config.checkpoint, subject, gpus=config.gpus)
    else:
        return None
    return find_suspects(scores, subject, most=config.suspects)
