"""HTTP routes of the page: its assets, and each take as score, sound and files."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse

from descant_modeling.app.jobs import Check, no_check, within
from descant_modeling.app.requests import AppLimits
from descant_modeling.app.service import Service, for_page
from descant_modeling.app.sessions import Clock, Take, details
from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import DEFAULT_FORMATS, file_of
from descant_tokenizers.rendering import engraving
from descant_tokenizers.rendering.audio import render_stems
from descant_tokenizers.rendering.write import Rendering

ASSETS = Path(__file__).parent / "assets"
ROUTES_PREFIX = "/descant"
_ASSET_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_MIN_WIDTH, _PHONE_WIDTH, _MAX_WIDTH = 280, 560, 1600

_one_engraving = threading.Lock()  # the wait for it counts, and one process engraves
_one_synthesis = threading.Lock()

Value = TypeVar("Value")


def make_router(service: Service) -> APIRouter:
    """Return the routes; they raise an `InputError` for `answer_input_error`."""
    router = APIRouter(prefix=ROUTES_PREFIX)
    sessions = service.sessions

    def in_time(work: Callable[[Check], Value]) -> Value:
        return within(service.limits.request_seconds, work)

    @router.get("/assets/{name}")
    def asset(name: str) -> FileResponse:
        path = ASSETS / name
        if path.parent != ASSETS or path.suffix not in _ASSET_TYPES or not path.is_file():
            raise InputError(f"There is no file '{name}'. Reload the page.")
        return FileResponse(path, media_type=_ASSET_TYPES[path.suffix], headers={"Cache-Control": "no-cache"})

    @router.post("/music/{token}/melody")
    async def melody(token: str, name: str, request: Request) -> JSONResponse:
        session = sessions.find(token)
        data = await _body(request, service.limits, name)
        reading = partial(in_time, lambda check: service.open_file(session, data, name))
        return JSONResponse(await run_in_threadpool(reading))

    @router.post("/music/{token}/example")
    def example(token: str, name: str) -> JSONResponse:
        return JSONResponse(service.open_example(sessions.find(token), name))

    @router.get("/music/{token}/all.zip")
    def everything(token: str) -> Response:
        takes = sessions.find(token).takes
        if not takes:
            raise InputError("There is nothing to download yet. Write something first.")
        title = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in takes[-1].title)
        disposition = f'attachment; filename="descant-{title.lower() or "music"}.zip"'
        data = in_time(lambda check: zip_of(takes, check))
        return Response(data, media_type="application/zip", headers={"Content-Disposition": disposition})

    @router.get("/music/{token}/{number}.json")
    def facts(token: str, number: int) -> JSONResponse:
        return JSONResponse(details(sessions.find(token).take(number)))

    @router.get("/music/{token}/{number}/score.json")
    def score(token: str, number: int, width: int = 900, staves: str = "open") -> JSONResponse:
        take = sessions.find(token).take(number)
        rendering = take.renderings.get(staves, take.renderings["open"])
        return JSONResponse(in_time(lambda check: engraved(rendering, width, check)))

    @router.get("/music/{token}/{number}/{voice}.flac")
    def sound(token: str, number: int, voice: str) -> Response:
        take = sessions.find(token).take(number)
        stems = in_time(lambda check: stems_of(take, check))
        if voice not in stems:
            raise InputError(f"There is no voice '{printable(voice, 60)}'. Choose {', '.join(stems)}.")
        return Response(stems[voice], media_type="audio/flac")

    return router


async def _body(request: Request, limits: AppLimits, name: str) -> bytes:
    """Read a request's body within the limits of size and time."""
    data, max_bytes = bytearray(), limits.upload.max_bytes
    try:
        async with asyncio.timeout(limits.request_seconds):
            async for chunk in request.stream():
                data += chunk
                if len(data) > max_bytes:
                    raise InputError(f"{printable(name, 60)} has more than {max_bytes:,} bytes. Cut it shorter.")
    except TimeoutError:
        raise InputError(
            f"{printable(name, 60)} did not arrive within {limits.request_seconds:g} seconds. Send it again."
        ) from None
    return bytes(data)


def answer_input_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a request with an error message."""
    return JSONResponse({"error": for_page(error)}, status_code=422)


def engraved(rendering: Rendering, width_pixels: int, check: Check = no_check) -> dict[str, Any]:
    """Engrave a score for a page of some width.

    Returns:
        `svg`, and `notes`: the id in the SVG, the onset and the end (seconds) of each note head.
    """
    with _one_engraving:
        check()
        width = min(max(width_pixels, _MIN_WIDTH), _MAX_WIDTH)
        page = engraving.screen(rendering.musicxml, width, scale_percent=32 if width < _PHONE_WIDTH else 40)
    seconds, unit = Clock(rendering.score).seconds, rendering.score.ticks_per_quarter
    return {
        "svg": page.svg,
        "notes": [(name, seconds(start * unit), seconds(end * unit)) for name, start, end in page.notes],
    }


def stems_of(take: Take, check: Check = no_check) -> dict[str, bytes]:
    """Return the sound of each voice as FLAC, all of the same length, at their loudness in the mix."""
    with _one_synthesis:  # the page requests all voices of a take at the same time
        check()
        if not take.stems:
            stems, rate = render_stems(take.score)
            import soundfile

            encoded = {}
            for name, samples in stems.items():
                check()
                file = io.BytesIO()
                soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
                encoded[name] = file.getvalue()
            take.stems.update(encoded)
    return take.stems


def zip_of(takes: Sequence[Take], check: Check = no_check) -> bytes:
    """Return takes in every format in which they can be written, and how they were made."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for take in takes:
            rendering, name = take.renderings["open"], Path(f"take-{take.number}")
            for form in DEFAULT_FORMATS:
                check()
                try:
                    with _one_engraving:
                        pages = rendering.data(form)
                except InputError:
                    continue
                for number, page in enumerate(pages, start=1):
                    suffix = f"{f'-page{number}' if number > 1 else ''}{file_of(name, form).suffix}"
                    archive.writestr(f"{name}{suffix}", page)
        facts = [
            {"file": f"take-{take.number}.mid", "title": take.title, "made": take.made}
            | take.settings
            | {"remarks": list(take.remarks), "rules": details(take)["rules"]}
            for take in takes
        ]
        archive.writestr("takes.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return data.getvalue()
