"""How the names of a poster CSV become genres: renamed, merged, split, dropped, derived, or held to a fixed list."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from postergenre.errors import ConfigError, DataError
from postergenre.genres.vocabulary import Genres

ON_UNKNOWN = ("error", "drop")
ON_UNUSED = ("error", "ignore")


@dataclass(kw_only=True, slots=True)
class GenreMapping:
    """What happens to each poster's genres when a CSV is read, in the order of these settings."""

    drop: list[str] = field(default_factory=list)
    """Names in the CSV that are to be no genres, like those of ``data.ignore_genres``."""
    rename: dict[str, Any] = field(default_factory=dict)
    """``{Musical: Music}``, or ``{Action & Adventure: [Action, Adventure]}`` where one becomes several. Two that become
    the same are merged. All at once: what a name became is not renamed again."""
    derive: dict[str, list[str]] = field(default_factory=dict)
    """``{Dark Comedy: [Comedy, Crime]}``: a poster that has all the parts has the whole, too."""
    replace: list[str] = field(default_factory=list)
    """Derived genres that take the place of their parts."""
    vocabulary: list[str] = field(default_factory=list)
    """The genres to have, in this order, whether a poster has them or not; empty: those that are there."""
    unknown: str = "error"
    """A genre outside the vocabulary is an ``error`` with its rows, or taken from its posters (``drop``)."""
    unused: str = "error"
    """A ``drop``, ``rename`` or part that no poster has is an ``error``, since it may be a typo; ``ignore`` is for maps
    that are made for many sets."""

    def __post_init__(self) -> None:
        for name, value, known in (("unknown", self.unknown, ON_UNKNOWN), ("unused", self.unused, ON_UNUSED)):
            if value not in known:
                raise ConfigError(f"no genres.{name} {value!r}; known: {', '.join(known)}")
        for name, became in self.rename.items():
            names = became if isinstance(became, list) else [became]
            if not names or not all(isinstance(one, str) and one.strip() for one in names):
                raise ConfigError(f"genres.rename.{name} takes a genre or a list of genres, not {became!r}")
        if both := sorted(set(self.drop) & set(self.rename)):
            raise ConfigError(f"genres.drop and genres.rename both name {', '.join(both)}: say one of the two")
        for whole, parts in self.derive.items():
            if len(set(parts)) < 2 or whole in parts:
                raise ConfigError(f"genres.derive.{whole} takes two or more other genres, not {parts}")
        if alone := [name for name in self.replace if name not in self.derive]:
            raise ConfigError(
                f"genres.replace names {', '.join(alone)}, which genres.derive does not make; it makes: "
                f"{', '.join(self.derive) or 'nothing'}"
            )
        if self.vocabulary:
            try:
                Genres(self.vocabulary)
            except DataError as error:
                raise ConfigError(f"genres.vocabulary: {error}") from None
            if outside := [whole for whole in self.derive if whole not in self.vocabulary]:
                raise ConfigError(f"genres.vocabulary lacks {', '.join(outside)}, which genres.derive makes")

    @property
    def active(self) -> bool:
        """Whether genres may be others than the CSV's."""
        return bool(self.drop or self.rename or self.derive or self.vocabulary)

    def became(self, name: str) -> list[str]:
        """Return the genres that one name of a CSV stands for: none, one or several."""
        if name in self.drop:
            return []
        became = self.rename.get(name, name)
        return list(became) if isinstance(became, list) else [became]

    def genres_of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the genres of a poster that a CSV gives ``names``, unknown ones included."""
        if not self.active:
            return tuple(names)
        genres = list(dict.fromkeys(genre for name in names for genre in self.became(name)))
        wholes = [whole for whole, parts in self.derive.items() if set(parts) <= set(genres)]
        replaced = {part for whole in wholes if whole in self.replace for part in self.derive[whole]}
        return tuple(dict.fromkeys([genre for genre in genres if genre not in replaced] + wholes))

    def vocabulary_of(self, names: Iterable[str]) -> list[str]:
        """Return all genres of a set whose CSV knows ``names``: the fixed vocabulary, or else derived ones last."""
        there = (genre for name in names for genre in self.became(name))
        return self.vocabulary or list(dict.fromkeys([*there, *self.derive]))

    def check(self, names: Sequence[str]) -> None:
        """See to it that everything spoken of is among the ``names`` of a CSV, unless that is not wanted.

        Raises:
            ConfigError: It is not: a typo, perhaps.
        """
        if self.unused == "ignore":
            return
        there = list(dict.fromkeys(genre for name in names for genre in self.became(name)))
        parts = [part for parts in self.derive.values() for part in parts]
        for setting, wanted, known in (
            ("drop", self.drop, names),
            ("rename", self.rename, names),
            ("derive", parts, there),
        ):
            if missing := [name for name in dict.fromkeys(wanted) if name not in known]:
                raise ConfigError(
                    f"genres.{setting} names {', '.join(missing)}, which is not among the genres here: "
                    f"{', '.join(known)}; if that is no typo, say genres.unused=ignore"
                )
