"""A page that shows what a scoring found, to be kept, printed or sent."""

from pathlib import Path

from markupsafe import Markup

from postergenre.evaluation.report import panels
from postergenre.evaluation.report.curves import FEW
from postergenre.evaluation.report.findings import Findings
from postergenre.evaluation.report.gallery import NUM_PER_GENRE, grids
from postergenre.evaluation.report.pages import fill, read
from postergenre.evaluation.report.svg import drawing
from postergenre.evaluation.report.tables import LABELS, REPEATABLE, by_frequency, cell, facts, line, score_groups
from postergenre.evaluation.scored import Scored
from postergenre.metrics import NUM_BINS

KEY_SCORES = (
    ("map", "mAP, headline genres"),
    ("auroc", "AUROC, macro"),
    ("f1_weighted_tuned", "F1, weighted, tuned"),
    ("bce", "BCE"),
)
SPLITS = {
    "test": "test posters, which nothing was fitted to",
    "val": "validation posters, which also chose the checkpoint, its calibration and its thresholds",
    "train": "training posters, which the weights were fitted to",
    "all": "posters of another set than that of training",
}


def write_report(scored: Scored, folder: Path) -> Path:
    """Return the path of ``report.html``, written into ``folder``: one file that loads nothing else."""
    rows = by_frequency(scored)
    findings = Findings.of(scored, [str(row["genre"]) for row in rows])
    with drawing():
        figures = {
            "curves": panels.precision_recall_curves(findings, rows),
            "pooled": panels.pooled_reliability(findings),
            "reliable": panels.reliability_curves(findings),
            "together": panels.genres_together(findings),
            "frequency": panels.scores_by_frequency(rows, len(findings.truth)),
            "training": panels.training_curves(scored),
        }
    page = fill(
        "report.html",
        css=Markup(read("report.css")),  # noqa: S704 - a file of ours
        scored=scored,
        about=SPLITS.get(scored.split, f"posters of the split {scored.split}"),
        key_scores=[line(scored, name, label) for name, label in KEY_SCORES if name in scored.scores],
        groups=score_groups(scored),
        rows=rows,
        cell=cell,
        headline=set(scored.contract.headline),
        missing=[str(row["genre"]) for row in rows if not row["support"]],
        grids=grids(findings),
        facts=facts(scored),
        calibrated=findings.calibrated,
        limits={"bins": NUM_BINS, "few": FEW, "per_genre": NUM_PER_GENRE},
        labels={name: label for name, (_, label) in LABELS.items()},
        trained_by=scored.contract.provenance.get("command"),
        repeatable=REPEATABLE,
        **figures,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    return path
