"""What collecting can be told. A key is not among it: keys come from the environment and are kept nowhere."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from postergenre.errors import ConfigError

SOURCES = ("tmdb", "archive", "csv", "folder")
KINDS = ("movie", "tv")
SIZES = ("w92", "w154", "w185", "w342", "w500", "w780", "original")
SORTS = ("popularity", "vote_count", "vote_average")
REPEATS = ("union", "first")
SECRETS = ("api_key", "session_id", "guest_session_id", "access_token")
"""Parameters of the API that may stand in no file."""


@dataclass(kw_only=True, slots=True)
class TmdbConfig:
    """Which films and series to ask The Movie Database for (``source=tmdb``)."""

    kinds: list[str] = field(default_factory=lambda: list(KINDS))
    """``movie`` and ``tv``."""
    number: int = 1000
    """Titles of each kind, the first in the order of ``sort``. Those without a poster or a genre do not count."""
    languages: list[str] = field(default_factory=list)
    """Original languages (ISO 639-1: ``ko``), any of them; none: all."""
    countries: list[str] = field(default_factory=list)
    """Countries of origin (ISO 3166-1: ``KR``), any of them; none: all."""
    providers: list[int] = field(default_factory=list)
    """Who streams it, in ``region``, any of them: TMDB's numbers (8 is Netflix). TMDB has this from JustWatch."""
    region: str = "US"
    """Where ``providers`` stream it (ISO 3166-1)."""
    first_year: int | None = None
    """Of release, or of the first episode."""
    last_year: int | None = None
    """Of release, or of the first episode."""
    sort: str = "popularity"
    """``popularity``, ``vote_count`` or ``vote_average``: the highest first."""
    filters: dict[str, Any] = field(default_factory=dict)
    """Any other parameter of TMDB's ``discover``: ``{vote_count.gte: 10}``."""
    size: str = "w342"
    """Of the posters: pixels of width, or ``original``."""
    language: str = "en-US"
    """Of titles and genres; also of the posters, where TMDB has one in it."""
    details: bool = False
    """Ask for each title's IMDb id and, for films, its countries, too: one more request a title."""
    api: str = "https://api.themoviedb.org/3"
    """Address of the API."""
    pictures: str = "https://image.tmdb.org/t/p"
    """Address of its pictures."""

    def __post_init__(self) -> None:
        for name, values, known in (
            ("kinds", self.kinds, KINDS), ("size", [self.size], SIZES), ("sort", [self.sort], SORTS),
        ):  # fmt: skip
            if not values or (wrong := [value for value in values if value not in known]):
                told = ", ".join(wrong) if values else "nothing"
                raise ConfigError(f"tmdb.{name} takes {', '.join(known)}, not {told}")
        for name, codes, form in (
            ("languages", self.languages, "[a-z]{2}"), ("countries", [*self.countries, self.region], "[A-Z]{2}"),
        ):  # fmt: skip
            if wrong := [code for code in codes if not isinstance(code, str) or not re.fullmatch(form, code)]:
                # YAML reads the code of Norway as `false`.
                raise ConfigError(f"tmdb.{name}: {wrong[0]!r} is no code of two letters such as ko, KR or 'NO'")
        if self.number < 1:
            raise ConfigError(f"tmdb.number must be at least 1, not {self.number}")
        if None not in (self.first_year, self.last_year) and self.first_year > self.last_year:  # type: ignore[operator]
            raise ConfigError(f"tmdb.first_year={self.first_year} is after tmdb.last_year={self.last_year}")
        if secret := [name for name in self.filters if name in SECRETS]:
            raise ConfigError(f"tmdb.filters.{secret[0]} would be written into files; export TMDB_TOKEN instead")
        self.api, self.pictures = self.api.rstrip("/"), self.pictures.rstrip("/")
        if urlsplit(self.api).scheme != "https" and not _here(self.api):
            raise ConfigError(f"tmdb.api={self.api} would have the key sent in the open; it must be https")


@dataclass(kw_only=True, slots=True)
class ColumnsConfig:
    """Which columns of a CSV say what (``source=csv``); what is not said is guessed from usual names."""

    image: str | None = None
    """Paths, from the CSV's folder, or http(s) addresses."""
    genres: str | None = None
    """Genres, separated by ``|``, ``;`` or ``,``, or the text of a JSON or Python list."""
    onehot: list[str] = field(default_factory=list)
    """Instead of ``genres``, columns that hold 1 where the genre of their name applies."""
    id: str | None = None
    """What names a title, in other sets as well."""


@dataclass(kw_only=True, slots=True)
class WebConfig:
    """How servers are asked."""

    rate: float = 20.0
    """Requests a second at most, of all threads together."""
    connections: int = 8
    """Requests under way at a time."""
    retries: int = 5
    """How often to ask again after a passing failure: no answer, a broken one, an error of the server."""
    backoff: float = 0.5
    """Seconds before the first time, give or take a half; twice as long each further time, up to half a minute."""

    def __post_init__(self) -> None:
        for name, given, least in (("connections", self.connections, 1), ("retries", self.retries, 0)):
            if given < least:
                raise ConfigError(f"web.{name} must be at least {least}, not {given}")
        for name, number in (("rate", self.rate), ("backoff", self.backoff)):
            if not number > 0:
                raise ConfigError(f"web.{name} must be more than 0, not {number:g}")


@dataclass(kw_only=True, slots=True)
class CollectConfig:
    """Everything ``scripts/collect.py`` can be told."""

    source: str = ""
    """``tmdb``, ``archive``, ``csv`` or ``folder``."""
    output: str = "data/collected"
    """Folder of the set: ``train.csv`` and ``Images/``. The same command goes on with what is there."""
    name: str = ""
    """What the column ``source`` calls this set; the source, where nothing is said."""
    url: str | None = None
    """The archive: an http(s) address, ``file://``, or a path (``source=archive``)."""
    sha256: str | None = None
    """Its checksum. Archives that GitHub makes on request have no lasting one."""
    path: str | None = None
    """The CSV or the folder (``source=csv``, ``source=folder``)."""
    merge: list[str] = field(default_factory=list)
    """Instead of a source: poster CSVs to make one set of."""
    repeats: str = "union"
    """Genres of a title that comes twice: ``union`` of all that are said of it, or those that are said ``first``."""
    retry_skipped: bool = False
    """Ask again also for what a server has refused for good."""
    max_bytes: int = 20_000_000_000
    """Of an archive, and of what comes out of it."""
    tmdb: TmdbConfig = field(default_factory=TmdbConfig)
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    web: WebConfig = field(default_factory=WebConfig)
    cache: str = "~/.cache/postergenre"
    """What was learnt about pictures is kept here (``merge``, ``source=folder``); it can be deleted at any time."""

    def __post_init__(self) -> None:
        if bool(self.source) == bool(self.merge):
            raise ConfigError(
                f"collect takes a preset (collect=kdrama), source={'|'.join(SOURCES)}, or merge=[A.csv,B.csv]; "
                f"{'not two of them' if self.source else 'none is given'}"
            )
        if self.source and self.source not in SOURCES:
            raise ConfigError(f"no source {self.source!r}; known: {', '.join(SOURCES)}")
        if self.repeats not in REPEATS:
            raise ConfigError(f"no repeats {self.repeats!r}; known: {', '.join(REPEATS)}")
        needed = {"archive": "url", "csv": "path", "folder": "path"}.get(self.source)
        if needed and not getattr(self, needed):
            raise ConfigError(f"source={self.source} needs {needed}=…")
        if self.sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", self.sha256):
            raise ConfigError("sha256 takes the 64 hexadecimal digits of a checksum")


def _here(address: str) -> bool:
    """Return whether an address names this machine."""
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
