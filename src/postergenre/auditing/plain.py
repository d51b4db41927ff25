"""What an audit found as plain data, for programs."""

from dataclasses import asdict
from typing import Any

from postergenre.auditing.duplicates import Alike
from postergenre.auditing.findings import Findings
from postergenre.auditing.suspects import Suspects
from postergenre.classifier.contract import without_nan

FORMAT = 1


def to_plain(findings: Findings) -> dict[str, Any]:
    """Return everything that was found as dicts, lists, text and finite numbers; posters are told by their ids."""
    subject, labels, pictures, sides = findings.subject, findings.labels, findings.pictures, findings.sides
    manifest, posters = subject.manifest, subject.posters
    ids, files = manifest.ids, manifest.files

    def group(alike: Alike) -> dict[str, Any]:
        return {
            "ids": [ids[place] for place in alike.places],
            "genres": [list(manifest.labels[place]) for place in alike.places],
            "identical": alike.identical,
            "bits": alike.bits,
            "genres_agree": alike.agree,
            "splits": alike.sides,
        }

    plain = {
        "format": FORMAT,
        "table": {
            "path": str(subject.table),
            "rows": manifest.num_rows,
            "posters": len(ids),
            "usable": len(posters.kept),
            "repeated_rows": manifest.num_repeats,
            "repeats": [ids[place] for place, rows in enumerate(manifest.rows) if len(rows) > 1],
            "problems": [
                {"row": line, "column": column, "problem": what} for line, column, what in subject.defects.problems
            ],
            "corrections": posters.corrections.to_plain() if posters.corrections else None,
        },
        "issues": [asdict(issue) for issue in findings.issues()],
        "pictures": {
            "bytes": pictures.num_bytes,
            "formats": pictures.formats,
            "modes": pictures.modes,
            "sizes": pictures.sizes,
            "missing": [{"id": ids[place], "file": files[place]} for place in pictures.missing],
            "unreadable": [
                {"id": ids[place], "file": files[place], "problem": why} for place, why in pictures.unreadable
            ],
            "near_blank": [{"id": ids[place], "spread": spread} for place, spread in pictures.blank],
            "small": [ids[place] for place in pictures.small],
            "wide": [ids[place] for place in pictures.wide],
        },
        "duplicates": [group(alike) for alike in findings.groups],
        "splits": {
            "method": findings.config.split,
            "fold": findings.config.fold,
            "refusal": subject.refusal,
            "posters": sides.counts,
            "share_deviation": sides.deviations,
            "genres_absent": sides.absent,
            "leaks": [group(alike) for alike in sides.leaks],
            "original": {
                "posters_on_both_sides": [ids[place] for place in sides.straddling],
                "leaks": [group(alike) for alike in sides.original_leaks],
            },
        },
        "genres": {
            "posters": labels.counts,
            "by_split": sides.genres,
            "together": {
                genre: dict(zip(manifest.genres, row, strict=True))
                for genre, row in zip(manifest.genres, labels.together.tolist(), strict=True)
            },
            "per_poster": labels.cardinalities,
            "cardinality": labels.mean,
            "density": labels.mean / len(manifest.genres),
            "label_sets": labels.num_sets,
            "cap": asdict(labels.cap) if labels.cap else None,
            "without_genre": [ids[place] for place in labels.nameless],
            "spelt_alike": labels.alike,
        },
        "suspects": _suspects(findings.suspects, ids) if findings.suspects else None,
    }
    finite: dict[str, Any] = without_nan(plain)
    return finite


def _suspects(suspects: Suspects, ids: list[str]) -> dict[str, Any]:
    return {
        "source": suspects.scores.source,
        "caution": suspects.scores.caution,
        "notes": suspects.scores.notes,
        "posters": len(suspects.scores.places),
        "by_genre": {
            genre: {"likely_wrong": wrong, "likely_missing": missing}
            for genre, (wrong, missing) in suspects.counts.items()
        },
        "listed": [
            {
                "id": ids[suspect.place],
                "genre": suspect.genre,
                "given": suspect.given,
                "suggested": not suspect.given,
                "probability": suspect.probability,
                "score": suspect.score,
                "rank": suspect.rank,
            }
            for suspect in suspects.all
        ],
    }
