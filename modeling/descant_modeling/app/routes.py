"""What the page fetches: its own assets, and each version as score, sound and files."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse

from descant_modeling.app.jobs import Check, within
from descant_modeling.app.limits import AppLimits
from descant_modeling.app.media import engraved, rendering_of, stems_of, zip_of
from descant_modeling.app.studio import Studio, for_page
from descant_modeling.app.versions import details
from descant_tokenizers.errors import InputError, printable

__all__ = ["ASSETS", "ROUTES_PREFIX", "answer_input_error", "make_router"]

ASSETS = Path(__file__).parent / "assets"
ROUTES_PREFIX = "/descant"
_ASSET_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_NUM_CACHED = 24

Made = TypeVar("Made")


class _Cache:
    """The last few things that took a while to make."""

    def __init__(self) -> None:
        self._items: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._lock = threading.Lock()  # what two ask for at once is made once

    def get(self, key: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        with self._lock:
            if key not in self._items:
                self._items[key] = make()
                if len(self._items) > _NUM_CACHED:
                    self._items.popitem(last=False)
            self._items.move_to_end(key)
            return cast(Made, self._items[key])


def answer_input_error(request: Request, error: Exception) -> JSONResponse:
    """Say in one sentence what was wrong with a request."""
    return JSONResponse({"error": for_page(error)}, status_code=422)


async def _body(request: Request, limits: AppLimits, name: str) -> bytes:
    """Read what was sent, no more and no longer than is allowed."""
    data, max_bytes = bytearray(), limits.upload.max_bytes
    try:
        async with asyncio.timeout(limits.request_seconds):
            async for chunk in request.stream():
                data += chunk
                if len(data) > max_bytes:
                    raise InputError(f"{printable(name, 60)} has more than {max_bytes:,} bytes; cut it shorter.")
    except TimeoutError:
        raise InputError(
            f"{printable(name, 60)} did not arrive in {limits.request_seconds:g} seconds; send it again."
        ) from None
    return bytes(data)


def make_router(studio: Studio) -> APIRouter:
    """Return the routes; an `InputError` in them is for `answer_input_error`."""
    router = APIRouter(prefix=ROUTES_PREFIX)
    notation, sounds = _Cache(), _Cache()

    def in_time(work: Callable[[Check], Made]) -> Made:
        return within(studio.limits.request_seconds, work)

    @router.get("/assets/{name}")
    def asset(name: str) -> FileResponse:
        path = ASSETS / name
        if path.parent != ASSETS or path.suffix not in _ASSET_TYPES or not path.is_file():
            raise InputError(f"there is no file '{name}'; reload the page.")
        return FileResponse(path, media_type=_ASSET_TYPES[path.suffix], headers={"Cache-Control": "no-cache"})

    @router.post("/music/{token}/melody")
    async def melody(token: str, name: str, request: Request) -> JSONResponse:
        visitor = studio.visitors.find(token)
        data = await _body(request, studio.limits, name)
        reading = partial(in_time, lambda check: studio.open_file(visitor, data, name))
        return JSONResponse(await run_in_threadpool(reading))

    @router.post("/music/{token}/example")
    def example(token: str, name: str) -> JSONResponse:
        return JSONResponse(studio.open_example(studio.visitors.find(token), name))

    @router.get("/music/{token}/all.zip")
    def everything(token: str) -> Response:
        versions = studio.visitors.find(token).versions
        if not versions:
            raise InputError("there is nothing to download yet; write something first.")
        title = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in versions[-1].title)
        named = {"Content-Disposition": f'attachment; filename="descant-{title.lower() or "music"}.zip"'}
        packed = in_time(lambda check: zip_of(versions, check))
        return Response(packed, media_type="application/zip", headers=named)

    @router.get("/music/{token}/{number}.json")
    def facts(token: str, number: int) -> JSONResponse:
        return JSONResponse(details(studio.visitors.find(token).version(number)))

    @router.get("/music/{token}/{number}/score.json")
    def score(token: str, number: int, width: int = 900, staves: str = "open") -> JSONResponse:
        version = studio.visitors.find(token).version(number)
        is_closed = staves == "closed"
        rendering = notation.get((token, number, is_closed), lambda: rendering_of(version, is_closed=is_closed))
        return JSONResponse(in_time(lambda check: engraved(rendering, width, check)))

    @router.get("/music/{token}/{number}/{voice}.flac")
    def sound(token: str, number: int, voice: str) -> Response:
        version = studio.visitors.find(token).version(number)
        stems = in_time(lambda check: sounds.get((token, number), lambda: stems_of(version, check)))
        if voice not in stems:
            raise InputError(f"there is no voice '{printable(voice, 60)}'; there are {', '.join(stems)}.")
        return Response(stems[voice], media_type="audio/flac")

    return router
