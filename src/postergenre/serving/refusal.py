"""Why a request is not answered."""

from postergenre.errors import PosterGenreError

CLOSE = {"Connection": "close"}
"""The rest of a body is not waited for."""


class Refusal(PosterGenreError):
    """A sentence for a client, and the HTTP status it comes with."""

    def __init__(self, status: int, sentence: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers or {}


def too_large(limit: float) -> Refusal:
    """Return the refusal of a request of more than ``limit`` MB."""
    sentence = f"the request is larger than {limit:g} MB; send smaller pictures, or fewer"
    return Refusal(413, sentence, headers=CLOSE)
