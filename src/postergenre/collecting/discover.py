"""Which titles TMDB has: its ``discover`` pages, in one order, each title once."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from heapq import merge
from itertools import chain, product
from typing import Any

from postergenre.collecting.config import TmdbConfig
from postergenre.collecting.titles import Listing, Skip, Title, tidy
from postergenre.collecting.tmdb import AnswerError, Tmdb

PAGES = 500
"""The API shows no more pages of a query, of 20 titles each."""
PAGE = 20
FIRST_FILM = date(1874, 1, 1)
DATES = {"movie": "primary_release_date", "tv": "first_air_date"}


class Discovery:
    """The titles that a configuration asks for."""

    def __init__(self, config: TmdbConfig, tmdb: Tmdb) -> None:
        self.config = config
        self.tmdb = tmdb

    def listing(self) -> Listing:
        """Return the titles that the configuration asks for."""
        parts: list[Iterator[Title | Skip]] = []
        notes: list[str] = []
        total = 0
        for kind in dict.fromkeys(self.config.kinds):
            queries, found = self._queries(kind, notes)
            total += min(found, self.config.number)
            parts.append(self._titles(kind, queries))
        return Listing(items=chain(*parts), total=total, notes=notes)

    def _queries(self, kind: str, notes: list[str]) -> tuple[list[dict[str, Any]], int]:
        """Return what to ask ``discover`` for, each with few enough pages, and how many titles there are."""
        config = self.config
        common: dict[str, Any] = {
            "sort_by": f"{config.sort}.desc",
            "language": config.language,
            "include_adult": "false",
        }
        if config.providers:
            common |= {"with_watch_providers": "|".join(map(str, config.providers)), "watch_region": config.region}
        common |= {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in config.filters.items()
        }
        last = config.last_year or int(self.tmdb.shelf.began[:4]) + 5  # the same, whenever the run goes on
        span = (date(config.first_year, 1, 1) if config.first_year else FIRST_FILM, date(last, 12, 31))
        dated = bool(config.first_year or config.last_year)
        queries, found = [], 0
        languages: Sequence[str] = config.languages or [""]
        countries: Sequence[str] = config.countries or [""]
        # One query each: the API promises `or` for providers, not for these.
        for language, country in product(languages, countries):
            query = common | {
                name: value
                for name, value in (("with_original_language", language), ("with_origin_country", country))
                if value
            }
            first = self._page(kind, query | _between(kind, *span) if dated else query, 1)
            found += first["total_results"]
            if config.number > PAGES * PAGE and first["total_pages"] > PAGES:
                queries += list(self._split(kind, query, *span))
                if not dated:
                    notes.append(f"TMDB shows {PAGES * PAGE:,} of {first['total_results']:,} {kind} titles at a time: "
                                 "asked for by date, so that those without one are not among them")  # fmt: skip
            else:
                queries.append(query | _between(kind, *span) if dated else query)
        return queries, found

    def _split(self, kind: str, query: dict[str, Any], first: date, last: date) -> Iterator[dict[str, Any]]:
        """Yield the query in spans of time, halved until the API shows all of each."""
        part = query | _between(kind, first, last)
        if self._page(kind, part, 1)["total_pages"] <= PAGES or first == last:
            yield part
            return
        middle = first + (last - first) // 2
        yield from self._split(kind, query, first, middle)
        yield from self._split(kind, query, date.fromordinal(middle.toordinal() + 1), last)

    def _page(self, kind: str, query: dict[str, Any], number: int) -> dict[str, Any]:
        return self.tmdb.ask(f"discover/{kind}", "results", "total_pages", "total_results", **query, page=number)

    def _titles(self, kind: str, queries: list[dict[str, Any]]) -> Iterator[Title | Skip]:
        """Yield the titles of several queries in one order, each once, until there are enough."""
        known = self.tmdb.ask(f"genre/{kind}/list", "genres", language=self.config.language)["genres"]
        genres = {genre["id"]: genre["name"] for genre in known}
        seen: set[int] = set()
        streams = [self._stream(kind, query) for query in queries]
        enough = self.config.number
        for found in merge(*streams, key=lambda title: -float(title.get(self.config.sort) or 0)):
            if found["id"] in seen:  # pages shift while they are asked for
                continue
            seen.add(found["id"])
            title = self._title(kind, found, genres)
            yield title
            enough -= isinstance(title, Title)
            if not enough:
                return

    def _stream(self, kind: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        number = 1
        while True:
            page = self._page(kind, query, number)
            yield from page["results"]
            if number >= min(page["total_pages"], PAGES):
                return
            number += 1

    def _title(self, kind: str, found: dict[str, Any], genres: dict[int, str]) -> Title | Skip:
        name = f"tmdb-{kind}-{found['id']}"
        path = found.get("poster_path") or ""
        picture = f"{self.config.pictures}/{self.config.size}{path}"
        names = tidy(genres[genre] for genre in found.get("genre_ids", []) if genre in genres)
        if not path or not names:
            return Skip(id=name, picture=picture if path else "", reason="has no genre" if path else "has no poster")
        year = str(found.get("release_date") or found.get("first_air_date") or "")[:4]
        asked = self.config.countries[0] if len(self.config.countries) == 1 else ""
        return Title(
            id=name,
            picture=picture,
            genres=names,
            columns={
                "title": found.get("title") or found.get("name") or "",
                "year": year,
                "decade": f"{year[:3]}0s" if year else "",
                "country": "|".join(found.get("origin_country") or []) or asked,
                "language": found.get("original_language") or "",
                "kind": kind,
                "popularity": str(found.get("popularity", "")),
            },
            more=partial(self._details, kind, found["id"]) if self.config.details else None,
        )

    def _details(self, kind: str, number: int) -> dict[str, str]:
        try:
            found = self.tmdb.ask(f"{kind}/{number}", "id", append_to_response="external_ids")
        except AnswerError as error:
            if error.code == 404:  # gone since it was listed
                return {}
            raise
        countries = "|".join(found.get("origin_country") or [])
        imdb = (found.get("external_ids") or {}).get("imdb_id") or found.get("imdb_id") or ""
        return {"imdb_id": imdb} | ({"country": countries} if countries else {})


def _between(kind: str, first: date, last: date) -> dict[str, Any]:
    return {f"{DATES[kind]}.gte": first.isoformat(), f"{DATES[kind]}.lte": last.isoformat()}
