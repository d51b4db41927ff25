"""The Movie Database, by its official API, version 3."""

import json
import os
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from postergenre.collecting.asking import Asker
from postergenre.collecting.config import TmdbConfig
from postergenre.collecting.shelf import Shelf
from postergenre.errors import ConfigError, DataError, PictureError
from postergenre.web import DownloadError

TOKEN, KEY = "TMDB_TOKEN", "TMDB_API_KEY"
"""Environment variables: the "API read access token", or the shorter "API key" of the account's settings."""
ATTRIBUTION = """This product uses the TMDB API but is not endorsed or certified by TMDB.

Titles, genres and posters: The Movie Database, https://www.themoviedb.org
Its terms: https://www.themoviedb.org/api-terms-of-use
They ask whoever trains or validates a machine-learning system on TMDB's content, or collects a data set for it, for an
agreement with TMDB, without profit as well. They also limit how long content may be kept. Read them before you use
this set.
Posters are works of third parties: do not publish them.
"""
JUSTWATCH = "\nWho streams what: JustWatch, https://www.justwatch.com\n"


class Tmdb:
    """Asks the API; no question is asked twice, and the key is in nothing that is kept or said."""

    def __init__(self, config: TmdbConfig, asker: Asker, shelf: Shelf) -> None:
        self.config = config
        self.asker = asker
        self.shelf = shelf
        self._headers = {"Accept": "application/json"}
        self._secret = os.environ.get(TOKEN, "").strip()
        self._query = ""
        if self._secret:
            self._headers["Authorization"] = f"Bearer {self._secret}"
        elif key := os.environ.get(KEY, "").strip():
            self._secret = key
            self._query = urlencode({"api_key": key})
        if not self._secret.isascii() or any(letter.isspace() for letter in self._secret):
            raise ConfigError(f"{TOKEN if not self._query else KEY} holds something that is no key of TMDB's")

    def ask(self, path: str, /, *needs: str, **parameters: Any) -> dict[str, Any]:
        """Return the API's answer, from the shelf where it is known.

        Args:
            path: Of the question.
            needs: What an answer has to hold.
            parameters: Of the question.

        Raises:
            DataError: There is none, or it is something else.
            ConfigError: There is no key, or it is refused.
        """
        question = f"{path}?{urlencode(sorted(parameters.items()))}"
        answer: dict[str, Any] = self.shelf.answer(question, partial(self._fetch, question, needs))
        return answer

    def _fetch(self, question: str, needs: Sequence[str]) -> dict[str, Any]:
        if not self._secret:
            raise ConfigError(
                f"TMDB asks for a key: export {TOKEN}=… (the API read access token) or {KEY}=…, from "
                "https://www.themoviedb.org/settings/api"
            )
        address = f"{self.config.api}/{question}"
        try:
            return self.asker.fetch(
                f"{address}&{self._query}" if self._query else address,
                partial(_read, needs),
                headers=self._headers,
                what="JSON",
            )
        except PictureError as error:
            code = error.code if isinstance(error, DownloadError) else None
            if code in (401, 403):
                named = KEY if self._query else TOKEN
                raise ConfigError(f"TMDB refuses the key in {named} (its answer is {code})") from None
            told = str(error).replace(self._secret, "…")  # a redirection may repeat the address
            raise AnswerError(f"TMDB, asked for {question}: {told}", code=code) from None


class AnswerError(DataError):
    """The API does not answer a question."""

    def __init__(self, told: str, *, code: int | None) -> None:
        super().__init__(told)
        self.code = code


def _read(needs: Sequence[str], content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        raise DownloadError("the answer is no whole JSON", passing=True) from None
    if not isinstance(answer, dict) or not {*needs} <= {*answer}:
        raise DownloadError("the answer is not as TMDB's are")
    return answer
