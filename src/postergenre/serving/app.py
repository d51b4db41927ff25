"""The routes: what can be asked, and who answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from postergenre import __version__
from postergenre.data.synthetic import draw_poster
from postergenre.serving import documents
from postergenre.serving.config import ServeConfig
from postergenre.serving.engine import Engine
from postergenre.serving.guard import NOWHERE, Guard
from postergenre.serving.heatmap import overlay
from postergenre.serving.identity import Identity
from postergenre.serving.line import Line
from postergenre.serving.metrics import Metrics
from postergenre.serving.refusal import Refusal
from postergenre.serving.uploads import check_picture, read_upload
from postergenre.serving.worker import Done, Work

PAGE = Path(__file__).parent / "page"
EXAMPLES = (("Western",), ("Sci-Fi", "Action"), ("Horror",), ("Romance", "Comedy"), ("Animation",), ("Crime", "Drama"))
"""Posters to try, drawn by code."""
CLOSED = ("/predict", "/explain", "/info", "/metrics")
"""What asks for the token, where there is one. The page is open; what it shows is not."""
SENTENCES = {404: NOWHERE}


def build_app(config: ServeConfig, identity: Identity, engine: Engine) -> FastAPI:
    """Return the application; it answers while ``engine`` runs."""
    line = Line(config.queue, patience=config.timeout)
    metrics = Metrics(waiting=lambda: line.length, replaced=lambda: engine.replaced)
    decoders = ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="decoder")  # bounds their memory too

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.listening():
            yield

    app = FastAPI(
        title="postergenre", version=__version__, description=documents.DESCRIPTION, lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False,  # redirections go where a client's Host header says
    )  # fmt: skip

    async def answered(data: bytes, *, genre: int | None = None) -> Done:
        loop = asyncio.get_running_loop()
        images = await loop.run_in_executor(decoders, lambda: identity.pixels(data, max_pixels=config.max_pixels))
        done = await engine.compute(Work(images=images, genre=genre))
        metrics.computed(done.batch)
        line.answered()
        return done

    @app.post("/predict", **documents.PREDICT)
    async def predict(request: Request) -> JSONResponse:
        since = time.perf_counter()
        with line.place() as hold:
            upload = await read_upload(request, max_posters=min(config.max_posters, config.queue))
            hold(len(upload.posters))
            async with _in_time(config.timeout, since):
                found = await asyncio.gather(*map(answered, upload.posters), return_exceptions=True)
        entries: list[dict[str, Any]] = []
        for name, done in zip(upload.names, found, strict=True):
            if isinstance(done, BaseException):
                # One broken poster among several is told in its place; a broken server is not its fault.
                if not (isinstance(done, Refusal) and upload.several and done.status < 500):
                    raise done
                entry: dict[str, Any] = {"error": str(done)}
            else:
                entry = {"genres": identity.genres(done.probabilities)}
            entries.append({"name": name} | entry if upload.several else entry)
        about = {"model": identity.name, "time_ms": round(1000 * (time.perf_counter() - since), 2)}
        return JSONResponse(({"posters": entries} if upload.several else entries[0]) | about)

    @app.post("/explain", **documents.EXPLAIN)
    async def explain(request: Request) -> Response:
        since = time.perf_counter()
        with line.place():
            if not identity.explains:
                raise Refusal(501, "an exported network gives no heat maps; serve the checkpoint it was made from")
            upload = await read_upload(request, max_posters=1)
            genre = identity.index(upload.genre)
            async with _in_time(config.timeout, since):
                done = await answered(upload.posters[0], genre=genre)
                if done.error:
                    raise Refusal(501, done.error)
                if not done.heats:
                    raise RuntimeError("a worker drew no heat map; its log says why")
                size = check_picture(upload.posters[0], max_pixels=config.max_pixels)
                heats = [(identity.preprocesses[number], heat) for number, heat in done.heats]
                picture = await asyncio.get_running_loop().run_in_executor(decoders, overlay, heats, size)
        return Response(picture, media_type="image/png")

    @app.get("/health", **documents.HEALTH)
    async def health() -> JSONResponse:
        if not engine.ready:
            raise Refusal(503, "a worker is being started", headers={"Retry-After": "5"})
        return JSONResponse({"status": "ok"})

    @app.get("/info", **documents.INFO)
    async def info() -> JSONResponse:
        return JSONResponse(identity.told(config))

    @app.get("/metrics", **documents.METRICS)
    async def read_metrics() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(documents.page(app.openapi()))

    @app.get("/examples/{number}.png", include_in_schema=False)
    async def example(number: int) -> Response:
        if not 0 <= number < len(EXAMPLES):
            raise HTTPException(404)
        return Response(await asyncio.to_thread(_example, number), media_type="image/png")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE))

    @app.exception_handler(HTTPException)
    async def told(_: Request, error: HTTPException) -> JSONResponse:
        sentence = SENTENCES.get(error.status_code, error.detail)
        return JSONResponse({"error": sentence}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def nowhere(request: Request, _: RequestValidationError) -> JSONResponse:
        return await told(request, HTTPException(404))

    @app.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"error": "the server failed; its log says why"}, 500)

    paths = [str(getattr(route, "path", "")) for route in app.routes]
    app.add_middleware(Guard, config=config, metrics=metrics, paths=paths, closed=CLOSED)
    return app


@asynccontextmanager
async def _in_time(timeout: float, since: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout - (time.perf_counter() - since)):
            yield
    except TimeoutError:
        raise Refusal(504, f"no answer within {timeout:g} seconds; try again, or with fewer posters") from None


@lru_cache(maxsize=len(EXAMPLES))
def _example(number: int) -> bytes:
    file = BytesIO()
    draw_poster(EXAMPLES[number], seed=number).picture.save(file, "PNG")
    return file.getvalue()
