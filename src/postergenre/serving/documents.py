"""What the server says about its routes: OpenAPI with examples, and a page of it that loads nothing from elsewhere."""

import json
from pathlib import Path
from typing import Any

from fastapi import Response
from jinja2 import Environment
from pydantic import BaseModel, Field

DESCRIPTION = "Tells the genres of films from their posters."
TEMPLATE = Path(__file__).with_name("docs.html")
BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
"""A picture of one pixel."""


class Genre(BaseModel):
    """One genre of one poster."""

    name: str
    probability: float = Field(description="calibrated, 0 … 1")
    threshold: float = Field(description="tuned on validation posters")
    above_threshold: bool = Field(description="whether the poster is said to have this genre")


class Answer(BaseModel):
    """The answer to one poster."""

    genres: list[Genre] = Field(description="all genres, most probable first")
    model: str
    time_ms: float = Field(description="from the request's arrival to its answer, in the server")


class Entry(BaseModel):
    """One of several posters."""

    name: str = Field(description="the file name that came with it")
    genres: list[Genre] | None = None
    error: str | None = Field(None, description="in place of genres: why there is no answer for this one")


class Answers(BaseModel):
    """The answer to several posters, in their order."""

    posters: list[Entry]
    model: str
    time_ms: float


class Error(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="a sentence")


_GENRES = [
    {"name": "Western", "probability": 0.91, "threshold": 0.42, "above_threshold": True},
    {"name": "Drama", "probability": 0.23, "threshold": 0.38, "above_threshold": False},
]
_ABOUT = {"model": "vgg19", "time_ms": 41.7}
_ONE = {"genres": _GENRES, **_ABOUT}
_SEVERAL = {
    "posters": [{"name": "a.jpg", "genres": _GENRES}, {"name": "b.jpg", "error": "the picture is broken"}], **_ABOUT
}  # fmt: skip
_STATUS = {
    400: ("Bad request", "there is no poster in the request"),
    401: ("No token", "this server asks for a token: send it as Authorization: Bearer …"),
    408: ("The upload took too long", "the request did not arrive within 30 seconds"),
    413: ("Too large", "the request is larger than 20 MB; send smaller pictures, or fewer"),
    415: ("Another format", "this is not a picture the server reads"),
    422: ("Broken or unknown", "cannot decode the picture: image file is truncated"),
    501: ("Cannot explain", "an exported network gives no heat maps; serve the checkpoint it was made from"),
    503: ("Busy; come back after Retry-After seconds", "the server is busy; try again a little later"),
    504: ("No answer in time", "no answer within 30 seconds; try again, or with fewer posters"),
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "model": Error,
            "description": _STATUS[status][0],
            "content": {"application/json": {"example": {"error": _STATUS[status][1]}}},
        }
        for status in statuses
    }


def _body(*, genre: bool) -> dict[str, Any]:
    """Return the two ways to send posters, with examples."""
    file = {"type": "string", "format": "binary"}
    named = {"genre": {"type": "string", "description": "the genre to explain"}} if genre else {}
    form = {"poster": file if genre else {"type": "array", "items": file}, **named}
    texts = {"type": "string", "format": "byte", "description": "the picture file as base64"}
    json_body = {"poster": texts, **({} if genre else {"posters": {"type": "array", "items": texts}}), **named}
    extra = {"genre": "Western"} if genre else {}
    examples = {"one": {"summary": "One poster", "value": {"poster": BASE64, **extra}}}
    if not genre:
        examples["several"] = {"summary": "Several posters", "value": {"posters": [BASE64, BASE64]}}
    required = ["poster", "genre"] if genre else ["poster"]
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"type": "object", "properties": form, "required": required}},
                "application/json": {"schema": {"type": "object", "properties": json_body}, "examples": examples},
            },
        }
    }


PREDICT: dict[str, Any] = {
    "summary": "The genres of one poster, or of several",
    "description": "Send files as multipart/form-data (poster, once or more), or base64 in JSON. Several posters are "
    "answered in their order; one that does not decode has an error in place of its genres.",
    "response_model": Answer | Answers,
    "openapi_extra": _body(genre=False),
    "responses": {
        200: {
            "description": "The answer",
            "content": {
                "application/json": {
                    "examples": {
                        "one": {"summary": "One poster", "value": _ONE},
                        "several": {"summary": "Several posters", "value": _SEVERAL},
                    }
                }
            },
        },
        **_errors(400, 401, 408, 413, 415, 422, 503, 504),
    },
}
EXPLAIN: dict[str, Any] = {
    "summary": "Where in a poster a genre is seen",
    "description": "A picture to lay over the poster, upright and of its shape: the stronger the colour, the more the "
    "place speaks for the genre.",
    "response_class": Response,
    "openapi_extra": _body(genre=True),
    "responses": {
        200: {"description": "The heat map", "content": {"image/png": {}}},
        **_errors(400, 401, 408, 413, 415, 422, 501, 503, 504),
    },
}
HEALTH: dict[str, Any] = {
    "summary": "Whether every worker is ready",
    "responses": {
        200: {"description": "Ready", "content": {"application/json": {"example": {"status": "ok"}}}},
        **_errors(503),
    },
}
INFO: dict[str, Any] = {
    "summary": "What answers: genres, thresholds, preprocessing, limits",
    "responses": {
        200: {
            "description": "The checkpoint's contract, and the server's limits",
            "content": {
                "application/json": {
                    "example": {
                        "model": "vgg19",
                        "genres": [{"name": "Western", "threshold": 0.42, "prior": 0.03, "headline": True}],
                        "preprocess": [{"height": 224, "width": 224, "resize": "stretch"}],
                        "explains": True,
                        "limits": {"max_body_mb": 20.0, "max_posters": 32},
                    }
                }
            },
        },
        **_errors(401),
    },
}
METRICS: dict[str, Any] = {
    "summary": "Counters for Prometheus",
    "responses": {
        200: {
            "description": "Prometheus' text format",
            "content": {"text/plain": {"example": "postergenre_waiting_posters 3.0"}},
        },
        **_errors(401),
    },
}


def page(schema: dict[str, Any]) -> str:
    """Return an OpenAPI document as a page that needs no script."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(schema=schema)
