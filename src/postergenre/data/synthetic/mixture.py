"""Which genres stand together on a poster, and how often."""

from itertools import accumulate
from random import Random

GENRES: tuple[str, ...] = (
    "Action",
    "Animation",
    "Comedy",
    "Crime",
    "Drama",
    "Horror",
    "Romance",
    "Sci-Fi",
    "War",
    "Western",
)
"""Every genre that can be drawn, in the order of the alphabet."""

# Parts per thousand. Sorted so that the sets of a rare genre are neighbours: see `mix_genres`.
_PARTS: dict[tuple[str, ...], int] = {
    ("Western",): 16,
    ("Action", "Western"): 12,
    ("Drama", "Western"): 9,
    ("Comedy", "Western"): 4,
    ("Romance", "Western"): 3,
    ("War",): 16,
    ("Drama", "War"): 27,
    ("Action", "War"): 16,
    ("Action", "Drama", "War"): 8,
    ("Drama", "Romance", "War"): 8,
    ("Animation",): 26,
    ("Animation", "Comedy"): 48,
    ("Animation", "Sci-Fi"): 8,
    ("Animation", "Comedy", "Romance"): 8,
    ("Sci-Fi",): 24,
    ("Action", "Sci-Fi"): 36,
    ("Horror", "Sci-Fi"): 20,
    ("Drama", "Sci-Fi"): 12,
    ("Action", "Horror", "Sci-Fi"): 10,
    ("Comedy", "Sci-Fi"): 10,
    ("Horror",): 44,
    ("Comedy", "Horror"): 18,
    ("Drama", "Horror"): 18,
    ("Crime", "Horror"): 12,
    ("Crime",): 16,
    ("Crime", "Drama"): 62,
    ("Action", "Crime"): 44,
    ("Comedy", "Crime"): 18,
    ("Action", "Crime", "Drama"): 34,
    ("Romance",): 20,
    ("Comedy", "Romance"): 76,
    ("Drama", "Romance"): 62,
    ("Comedy", "Drama", "Romance"): 34,
    ("Action",): 42,
    ("Action", "Comedy"): 28,
    ("Comedy",): 50,
    ("Comedy", "Drama"): 44,
    ("Drama",): 46,
}


def mix_genres(num_posters: int, rng: Random) -> list[tuple[str, ...]]:
    """Return the genres of each poster, shuffled.

    Systematic sampling: one random offset, then equal steps through the cumulated parts. Even a small set has every
    genre in close to its share, which independent draws would not give.

    Args:
        num_posters: How many posters.
        rng: Where the offset and the shuffle come from.
    """
    steps = list(accumulate(_PARTS.values()))
    sets = list(_PARTS)
    offset, mixed, at = rng.random(), [], 0
    for poster in range(num_posters):
        while (poster + offset) / num_posters * steps[-1] >= steps[at]:
            at += 1
        mixed.append(sets[at])
    rng.shuffle(mixed)
    return mixed
