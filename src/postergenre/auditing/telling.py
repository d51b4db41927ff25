"""What an audit found, on a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from postergenre.auditing.findings import Findings, Severity

LOOKS = {Severity.STOPS: "bold red", Severity.HARMS: "red", Severity.LOOK: "yellow", Severity.KNOW: "dim"}
HINT = (
    "no suspects: labels are held against what networks say about posters they never saw. "
    "python scripts/crossvalidate.py data.root={root} … writes predictions.csv; give it as predictions=FILE"
)


def tell(findings: Findings, console: Console, *, output: Path, written: Sequence[str]) -> None:
    """Print a summary of what was found, the gravest first, and what was written where."""
    subject, labels = findings.subject, findings.labels
    manifest = subject.manifest

    def line(text: str, style: str = "") -> None:
        console.print(text, style=style or None, highlight=False, markup=False, soft_wrap=True)

    line(
        f"{subject.table}: {manifest.num_rows:,} rows, {len(manifest.ids):,} posters "
        f"({len(subject.posters.kept):,} to train on), {len(manifest.genres)} genres, {labels.mean:.2f} a poster"
    )
    for note in (*subject.posters.notes, *(findings.suspects.scores.notes if findings.suspects else ())):
        line(f"note: {note}")
    pictures = findings.pictures
    kinds, formats = (", ".join(f"{k} {n:,}" for k, n in of.items()) for of in (pictures.modes, pictures.formats))
    if (width := pictures.sizes["width"]) and (height := pictures.sizes["height"]):
        line(
            f"pictures: {formats}; {kinds}; median {width['median']:.0f} x {height['median']:.0f} pixels "
            f"(from {width['least']:.0f} x {height['least']:.0f} to {width['most']:.0f} x {height['most']:.0f}), "
            f"{pictures.num_bytes / 1e6:,.0f} MB"
        )
    if findings.sides.counts:
        off = ", ".join(f"{name} {share:.1%}" for name, share in findings.sides.deviations.items())
        told = ", ".join(f"{count:,} {name}" for name, count in findings.sides.counts.items())
        line(f"data.split={findings.config.split}: {told}; genres' shares are off by, on average: {off}")
    issues = findings.issues()
    for severity in Severity:
        for issue in issues:
            if issue.severity is severity:
                console.print(f"{severity.value:>14}  ", style=LOOKS[severity], end="")
                line(issue.title)
                for more in (issue.detail, issue.advice and f"→ {issue.advice}"):
                    if more:
                        line(f"{'':16}{more}", "dim")
    if not issues:
        line("nothing is wrong that can be seen from here")
    if findings.suspects is None:
        line(HINT.format(root=subject.table.parent))
    line(f"written to {output}: {', '.join(written)}")
