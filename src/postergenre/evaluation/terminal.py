"""The scores of a checkpoint as tables in a terminal, each within 80 columns."""

from rich import box
from rich.console import Console
from rich.table import Table

from postergenre.evaluation.comparison import Comparison
from postergenre.evaluation.elsewhere import Elsewhere
from postergenre.evaluation.groups import Group
from postergenre.evaluation.scored import Scored

HEADLINES = (
    ("mAP, headline genres", "map"),
    ("mAP, all genres", "map_all"),
    ("AUROC, macro", "auroc"),
    ("BCE", "bce"),
    ("ECE, headline genres", "ece_genres"),
    ("ECE, all answers", "ece"),
    ("binary accuracy", "accuracy"),
    ("precision at 3", "precision_at_3"),
    ("recall at 3", "recall_at_3"),
    ("F1 micro 0.5 | tuned", "f1_micro"),
    ("F1 macro 0.5 | tuned", "f1_macro"),
    ("F1 weighted 0.5 | tuned", "f1_weighted"),
    ("F1 samples 0.5 | tuned", "f1_samples"),
    ("exact match 0.5 | tuned", "exact_match"),
    ("Hamming loss 0.5 | tuned", "hamming"),
)


def print_scores(console: Console, found: Scored) -> None:
    """Print everything that a scoring found."""
    table = narrow_table(f"{found.split}: {len(found.targets)} posters, {found.hardware}")
    for name in ("score", "model", "95 % interval", "knowing nothing"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for label, name in HEADLINES:
        interval = "{:.4f} … {:.4f}".format(*found.intervals[name]) if name in found.intervals else ""
        table.add_row(label, _told(found.scores, name), interval, _told(found.baselines, name))
    counted = f"{found.scores['num_genres']:.0f} | {found.scores['num_genres_all']:.0f}"
    table.add_row("genres in mAP | all", counted, "", "")
    console.print(table)
    console.print(
        f"ECE of the headline genres before calibration: {found.scores['ece_genres_before']:.4f}", highlight=False
    )
    genres = narrow_table("by genre, at the checkpoint's thresholds")
    shown = [name for name in found.genres[0] if not name.startswith("ece")]  # as wide as a terminal is
    for name in shown:
        genres.add_column(name, justify="left" if name == "genre" else "right")
    for row in sorted(found.genres, key=lambda row: -int(row["support"])):
        cells = (row[name] for name in shown)
        genres.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells))
    console.print(genres)
    for column, groups in found.groups.items():
        _print_groups(console, column, groups)
    if found.elsewhere:
        _print_elsewhere(console, found.elsewhere)
    if found.against:
        _print_difference(console, found.against)


def _told(scores: dict[str, float], name: str) -> str:
    tuned = f" | {scores[f'{name}_tuned']:.4f}" if f"{name}_tuned" in scores else ""
    return f"{scores[name]:.4f}{tuned}"


def _print_groups(console: Console, column: str, groups: list[Group]) -> None:
    table = narrow_table(f"by {column}; random: what a random order of the same posters scores")
    for name in (column, "posters", "genres", "mAP", "95 %", "random", "AUROC", "BCE", "ECE"):
        table.add_column(name, justify="left" if name == column else "right")
    for group in groups:
        scores = group.scores
        table.add_row(
            group.name,
            str(group.num_posters),
            f"{scores['num_genres']:.0f}",
            f"{scores['map']:.3f}",
            "{:.2f}–{:.2f}".format(*group.interval),
            *(f"{scores[name]:.3f}" for name in ("map_random", "auroc", "bce", "ece_genres")),
        )
    console.print(table)


def _print_elsewhere(console: Console, elsewhere: Elsewhere) -> None:
    if not elsewhere.genres:
        console.print(
            "nothing to compare with: the checkpoint does not tell its scores at home by genre; evaluate it there and "
            "say home=FOLDER",
            highlight=False,
            soft_wrap=True,
        )
        return
    table = narrow_table(f"here and at home: {elsewhere.home}")
    shown = {
        "posters": "support", "chance": "chance", "ap": "ap", "home": "home_support", "chance ": "home_chance",
        "ap ": "home_ap", "ap ±": "ap_difference", "auroc ±": "auroc_difference",
    }  # fmt: skip
    for name in ("genre", *shown):
        table.add_column(name.strip(), justify="left" if name == "genre" else "right")
    for row in sorted(elsewhere.genres, key=lambda row: -row["support"]):
        values = {name: row[name] for name in shown.values()}
        table.add_row(
            row["genre"],
            *(
                str(value) if isinstance(value, int) else f"{value:+.3f}" if "difference" in name else f"{value:.3f}"
                for name, value in values.items()
            ),
        )
    console.print(table)
    console.print(
        f"mean of these {len(elsewhere.genres)}: AP {elsewhere.mean('ap'):.4f} here (chance "
        f"{elsewhere.mean('chance'):.4f}), {elsewhere.mean('home_ap'):.4f} at home (chance "
        f"{elsewhere.mean('home_chance'):.4f}); AUROC, which does not hang on chance, {elsewhere.mean('auroc'):.4f} "
        f"here, {elsewhere.mean('home_auroc'):.4f} at home",
        highlight=False,
        soft_wrap=True,
    )


def _print_difference(console: Console, against: Comparison) -> None:
    table = narrow_table(f"minus {against.other}, on the same posters")
    for name in ("score", "difference", "95 % interval", "p"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for name, difference in against.scores.items():
        interval = "{:+.4f} … {:+.4f}".format(*difference.interval)
        table.add_row(name, f"{difference.score:+.4f}", interval, f"{difference.p_value:.3f}")
    console.print(table)
    genres = narrow_table("average precision by genre, minus the other's")
    for name in ("genre", "support", "ap", "other", "difference", "95 % interval", "p"):
        genres.add_column(name, justify="left" if name == "genre" else "right")
    for row in sorted(against.genres, key=lambda row: -row["support"]):
        genres.add_row(
            row["genre"],
            str(row["support"]),
            f"{row['ap']:.3f}",
            f"{row['other_ap']:.3f}",
            f"{row['difference']:+.3f}",
            f"{row['low']:+.3f} … {row['high']:+.3f}",
            f"{row['p']:.3f}{'*' if row['holds'] else ' '}",
        )
    console.print(genres)
    console.print("* stands when all genres are looked at (Holm's correction, 5 %)", highlight=False)
    low, high = against.scores["map"].interval
    verdict = "is real: its interval leaves 0 out" if low > 0 or high < 0 else "may be chance: its interval holds 0"
    console.print(f"the difference in mAP {verdict}", highlight=False)


def narrow_table(title: str) -> Table:
    """Return an empty table narrow enough for 80 columns."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
