"""The numbers of a scoring in the order in which they are read, for the report and the card."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from postergenre.evaluation.scored import Scored

RANKING = "Ranking"
DECISIONS = "Decisions: a genre is given, or not"
PROBABILITIES = "Probabilities"
OTHERS = "Further scores"
LABELS = {
    "map": (RANKING, "mean average precision (mAP), headline genres"),
    "map_all": (RANKING, "mean average precision, all genres with a poster"),
    "auroc": (RANKING, "AUROC, macro"),
    "precision_at_3": (RANKING, "precision of the three most probable"),
    "recall_at_3": (RANKING, "recall of the three most probable"),
    "f1_micro": (DECISIONS, "F1, micro"),
    "f1_macro": (DECISIONS, "F1, macro"),
    "f1_weighted": (DECISIONS, "F1, weighted by support"),
    "f1_samples": (DECISIONS, "F1, mean over posters"),
    "exact_match": (DECISIONS, "exact match of all genres"),
    "hamming": (DECISIONS, "Hamming loss"),
    "accuracy": (DECISIONS, "binary accuracy"),
    "bce": (PROBABILITIES, "binary cross-entropy (BCE)"),
    "ece_genres": (PROBABILITIES, "calibration error (ECE), mean of headline genres"),
    "ece": (PROBABILITIES, "calibration error, all answers together"),
}
LOWER_IS_BETTER = ("hamming", "bce", "ece")
"""How the names of such scores begin."""
VARIANTS = {
    DECISIONS: (("", "at 0.5"), ("_tuned", "at tuned thresholds")),
    PROBABILITIES: (("_before", "before calibration"), ("", "")),
}
PRECISE = ("bce", "ece")
REPEATABLE = (
    "The same commands give the same weights and numbers again on one machine, with the same versions, seed and number "
    "of threads, processes and GPUs; the number of loader processes does not matter. Not covered: other machines or "
    "versions, and another number of threads, processes or GPUs, all of which add up in another order; on a GPU also "
    "operations whose results vary when repeated: trainer.deterministic=true leaves these out or refuses them."
)
"""What a seed promises, and what it does not."""
CONSTANT = {"auroc": 0.5}
"""What knowing nothing scores, where no data is needed to say it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One score."""

    name: str
    label: str
    value: float
    baseline: float | None
    """What the best answer that looks at no poster scores; None where nobody said."""
    interval: tuple[float, float] | None
    """95 %."""

    @property
    def digits(self) -> int:
        """Decimals worth printing."""
        return 4 if self.name.startswith(PRECISE) else 3

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller number is the better one."""
        return self.name.startswith(LOWER_IS_BETTER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Scores of one kind."""

    title: str
    lines: list[Line] = field(default_factory=list)


def line(scored: Scored, name: str, label: str = "") -> Line:
    """Return a score under its label; NaN where it was not measured."""
    baseline = scored.baselines.get(name, scored.scores.get(f"{name}_prior", CONSTANT.get(name)))
    return Line(
        name=name,
        label=label or LABELS.get(name, ("", name))[1],
        value=scored.scores.get(name, math.nan),
        baseline=baseline,
        interval=scored.intervals.get(name),
    )


def score_groups(scored: Scored) -> list[Group]:
    """Return every score there is: those of the protocol in its order, then whatever else was measured."""
    groups = {title: Group(title=title) for title in (RANKING, DECISIONS, PROBABILITIES, OTHERS)}
    told = set()
    for name, (title, label) in LABELS.items():
        for suffix, word in VARIANTS.get(title, (("", ""),)):
            full = name + suffix
            if full in scored.scores:
                told.add(full)
                groups[title].lines.append(line(scored, full, f"{label}, {word}" if word else label))
    for name in scored.scores:
        if name not in told and not name.endswith("_prior") and not name.startswith("num_"):
            groups[OTHERS].lines.append(line(scored, name))
    return [group for group in groups.values() if group.lines]


def cell(row: Mapping[str, str | float], name: str) -> float:
    """Return a number of a genre's row; NaN where it is not there."""
    value = row.get(name, math.nan)
    return value if isinstance(value, int | float) else math.nan


def by_frequency(scored: Scored) -> list[dict[str, str | float]]:
    """Return the rows of the genres, the most frequent first; those of equal support as they stand."""
    return sorted(scored.genres, key=lambda row: -int(row["support"]))


def facts(scored: Scored) -> dict[str, list[tuple[str, str]]]:
    """Return what is known about the making of the checkpoint and of its scores: titles, names and values as text."""
    contract, provenance = scored.contract, scored.contract.provenance
    of_run = {name: value for name, value in provenance.items() if name not in ("val", "val_genres", "command")}
    if isinstance(of_run.get("epoch"), int):
        of_run["epoch"] += 1  # as training counts them for its reader
    of_data = {"fingerprint": contract.data.get("fingerprint", ""), **contract.data}
    if corrections := of_data.pop("corrections", None):  # perhaps hundreds of posters
        of_data |= {"posters left out": len(corrections["exclude"]), "genres changed": len(corrections["relabel"])}
    found = {
        "This scoring": [
            ("checkpoint", scored.checkpoint),
            ("split", scored.split),
            ("posters", f"{len(scored.targets):,}"),
            ("hardware", scored.hardware),
        ],
        "Training": list(_flat(of_run)),
        "Network": list(_flat(asdict(contract.model))),
        "Pixels": list(_flat(asdict(contract.preprocess))),
        "Data": list(_flat(of_data)),
    }
    return {title: rows for title, rows in found.items() if rows}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield prefix + str(name), ", ".join(map(str, value)) or "none"
        elif value is not None and value != "":
            yield prefix + str(name), str(value)
