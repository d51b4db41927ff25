"""A model card beside the report: what the checkpoint is for, what it is worth, and what not to trust it with."""

from pathlib import Path

from postergenre.evaluation.report.pages import fill
from postergenre.evaluation.report.tables import REPEATABLE, by_frequency, cell, facts, score_groups
from postergenre.evaluation.scored import Scored

FEW = 50
"""Posters below which the card calls a genre rare."""
COLUMNS = ("chance", "ap", "auroc", "threshold", "precision", "recall", "f1", "ece")


def write_card(scored: Scored, folder: Path) -> Path:
    """Return the path of ``MODEL_CARD.md``, written into ``folder``.

    Its sections are those of Mitchell et al., "Model cards for model reporting", 2019; its numbers all come from
    ``scored``.
    """
    rows = by_frequency(scored)
    per_poster = (scored.targets > 0).sum(dim=1)
    card = fill(
        "card.md",
        checkpoint=scored.checkpoint,
        split=scored.split,
        command=scored.command,
        contract=scored.contract,
        scores=scored.scores,
        genres=scored.contract.genres,
        provenance=facts(scored).get("Training", []),
        trained_by=scored.contract.provenance.get("command"),
        repeatable=REPEATABLE,
        groups=score_groups(scored),
        rows=rows,
        columns=COLUMNS,
        by=scored.groups,
        elsewhere=scored.elsewhere,
        notes=scored.notes,
        cell=cell,
        rare=[str(row["genre"]) for row in rows if 0 < int(row["support"]) < FEW],
        absent=[str(row["genre"]) for row in rows if not row["support"]],
        few=FEW,
        num_posters=len(scored.targets),
        number_of_labels=float(per_poster.float().mean()) if len(per_poster) else float("nan"),
        most_genres=int(per_poster.max()) if len(per_poster) else 0,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "MODEL_CARD.md"
    path.write_text(card, encoding="utf-8", newline="\n")
    return path
