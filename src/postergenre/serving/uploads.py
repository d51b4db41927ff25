"""What clients send: bodies become posters, posters become pixels, and whatever is wrong becomes a sentence."""

import base64
import binascii
import json
import warnings
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from fastapi import Request
from PIL import ExifTags, Image, UnidentifiedImageError
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from postergenre.preprocess import BROKEN
from postergenre.serving.refusal import CLOSE, Refusal

Image.init()
FORMATS = tuple(name for name in ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF") if name in Image.OPEN)
"""What a poster may come as. Pillow reads dozens more, among them some that run other programs."""
TOLD_FORMATS = ", ".join(name for name in FORMATS if name != "MPO")  # a JPEG from a telephone
WAYS = "multipart/form-data with files, or application/json with base64"

# Whoever sets the limit on pixels means it: Pillow's own, half-way, warning has nothing to add.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
MOST_BRACKETS = 100
"""Opening ones in a JSON body; two are needed, base64 has none, and the name of a genre a few."""
MOST_NAME = 300
"""Letters of a name that are told again."""


@dataclass(kw_only=True, slots=True)
class Upload:
    """The posters of a request."""

    posters: list[bytes] = field(default_factory=list)
    """Files as they came."""
    names: list[str] = field(default_factory=list)
    """What the client calls them."""
    several: bool = False
    """Whether the answer is a list, as the question was."""
    genre: str = ""
    """The genre to explain, where one is named."""


async def read_upload(request: Request, *, max_posters: int) -> Upload:
    """Return what a request brings; nothing is fetched and no file is opened for it.

    Raises:
        Refusal: 400, 413, 415 or 422: there is no poster in it, or too many.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            upload = await _from_form(request, max_posters)
        elif kind == "application/json":
            upload = _from_json(await request.body())
        else:
            raise Refusal(415, f"send {WAYS}, not {told(kind) or 'a body without a content type'}")
    except ClientDisconnect:  # nobody hears this; a log full of such tracebacks would hide the others
        raise Refusal(400, "the request ended before its end", headers=CLOSE) from None
    if not upload.posters:
        raise Refusal(400, f"there is no poster in the request; send {WAYS}")
    if len(upload.posters) > max_posters:
        raise Refusal(413, f"{len(upload.posters)} posters in one request; the most is {max_posters}")
    return upload


def check_picture(data: bytes, *, max_pixels: int) -> tuple[int, int]:
    """Look at a picture's first bytes only, and return its width and height, upright.

    Raises:
        Refusal: 413, 415 or 422: it is too large, of another format, or broken.
    """
    if not data:
        raise Refusal(422, "the picture is empty")
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            # Of a TIFF file, Pillow tells the size that it has upright.
            turned = picture.format != "TIFF" and _orientation(picture) in (5, 6, 7, 8)
    except UnidentifiedImageError:
        raise Refusal(415, f"this is not a picture the server reads; it reads {TOLD_FORMATS}") from None
    except Image.DecompressionBombError:
        raise Refusal(413, f"the picture has more than {max_pixels:,} pixels; send a smaller one") from None
    except (*BROKEN, MemoryError):
        raise Refusal(422, "the picture is broken") from None
    if width * height > max_pixels:
        raise Refusal(413, f"the picture has {width} x {height} pixels; the most is {max_pixels:,}: send a smaller one")

    return (height, width) if turned else (width, height)


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except BROKEN:  # as `preprocess` has it: damaged metadata says nothing
        return 1


async def _from_form(request: Request, max_posters: int) -> Upload:
    upload = Upload()
    try:
        form = await request.form(max_files=max_posters + 1, max_fields=8)
    except ValueError:  # a charset that Python knows, and that decodes to no text
        raise Refusal(400, "the form names what is no text in the charset that it claims") from None
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                upload.posters.append(await value.read())
                upload.names.append(told(value.filename or ""))
            elif name == "genre":
                upload.genre = value
            else:
                raise Refusal(422, f"the form's field {told(name)!r} is not known, or is no file; files go in poster")
    finally:
        await form.close()
    upload.several = len(upload.posters) > 1
    return upload


def told(name: str) -> str:
    """Return the beginning of a client's word as JSON can hold it: some charsets make letters that are none."""
    return name[:MOST_NAME].encode("utf-8", "replace").decode("utf-8")


def _from_json(body: bytes) -> Upload:
    if body.count(b"[") + body.count(b"{") > MOST_BRACKETS:  # a list of lists takes a hundred times its bytes
        raise Refusal(400, "the body is not JSON of posters: it has lists within lists")
    try:
        asked: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(asked, dict) or not set(asked) <= {"poster", "posters", "genre"}:
        raise Refusal(422, 'the JSON body is {"poster": "<base64>"} or {"posters": ["<base64>", …]}, and nothing else')
    if "poster" in asked and "posters" in asked:
        raise Refusal(422, "send either poster or posters")
    texts = asked.get("posters", [asked["poster"]] if "poster" in asked else [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal(422, "a poster in JSON is text, the picture's bytes as base64; several are a list of such texts")
    genre = asked.get("genre", "")
    if not isinstance(genre, str):
        raise Refusal(422, "the genre is a text")
    posters = [_decoded(text) for text in texts]
    return Upload(posters=posters, names=[""] * len(posters), several="posters" in asked, genre=genre)


def _decoded(text: str) -> bytes:
    if "://" in text[:16]:
        raise Refusal(422, "addresses are not fetched; send the picture itself, as base64")
    if text.startswith("data:"):  # how browsers write a picture down
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(422, "a poster in the JSON body is not base64") from None
