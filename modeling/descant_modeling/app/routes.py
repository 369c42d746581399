"""HTTP routes of the page: its assets, and each take as score, sound and files."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from descant_modeling.app.jobs import Check, within
from descant_modeling.app.language import Language
from descant_modeling.app.live import add_live
from descant_modeling.app.media import engraved, files_of, practice_zip, print_page, stems_of, zip_of
from descant_modeling.app.requests import AppLimits
from descant_modeling.app.service import Service
from descant_modeling.app.sessions import RecentTakes, details
from descant_modeling.app.words import for_page
from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import FORMATS
from descant_tokenizers.rendering import PracticeOptions, check_sounds, parse_sounds
from descant_tokenizers.rendering.write import Rendering

ASSETS = Path(__file__).parent / "assets"
ROUTES_PREFIX = "/descant"
_ASSET_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_SINGLE_FILES = ("midi", "musicxml", "pdf", "mp3")
_NUM_RECENT = 4  # takes whose sheet music and sound stay in memory: up to 30 MB each

Value = TypeVar("Value")


def make_routes(service: Service, say: Language) -> FastAPI:
    """Return the routes of the page in one language; an `InputError` is answered as a message."""
    router = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_live(router, service, "/live", lambda error: say.filled(for_page(error)))
    sessions, recent = service.sessions, RecentTakes(_NUM_RECENT)

    def in_time(work: Callable[[Check], Value]) -> Value:
        """Run work within the time of a request."""
        return within(service.limits.request_seconds, work)

    @router.exception_handler(InputError)
    def answer(request: Request, error: InputError) -> JSONResponse:
        """Answer an error with its message."""
        return JSONResponse({"error": say.filled(for_page(error))}, status_code=422)

    @router.get("/texts.json")
    def texts() -> JSONResponse:
        """Return the texts of the language by the English ones."""
        return JSONResponse(dict(say.texts), headers={"Cache-Control": "no-cache"})

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

    @router.post("/music/{token}/staff")
    def staff(token: str, drawing: dict[str, Any], width: int = 900) -> JSONResponse:
        """Engrave the melody in the editor."""
        rendering = Rendering(service.music_of(sessions.find(token), drawing).score)
        return JSONResponse(in_time(lambda check: engraved(rendering, width, say, check)))

    @router.get("/music/{token}/all.zip")
    def everything(token: str) -> Response:
        takes = sessions.find(token).takes
        if not takes:
            raise InputError("There is nothing to download yet. Write something first.")
        data = in_time(lambda check: zip_of(takes, check))
        return _attached(data, f"descant-{_stem(takes[-1].title)}.zip")

    @router.get("/music/{token}/{number}.json")
    def facts(token: str, number: int) -> JSONResponse:
        return JSONResponse(details(sessions.find(token).take(number), say))

    @router.get("/music/{token}/{number}/score.json")
    def score(token: str, number: int, width: int = 900, staves: str = "open", marks: bool = False) -> JSONResponse:
        take = recent.use(sessions.find(token).take(number))
        renderings = take.marked_renderings if marks else take.renderings
        rendering = renderings.get(staves, renderings["open"])
        return JSONResponse(in_time(lambda check: engraved(rendering, width, say, check)))

    @router.get("/music/{token}/{number}/practice.zip")
    def practice(
        token: str,
        number: int,
        louder: float = PracticeOptions.own_voice_db,
        tempo: float = PracticeOptions.tempo_percent,
        count_in: bool = PracticeOptions.counts_in,
        sound: str = "",
    ) -> Response:
        """Return practice tracks, one MP3 a voice, in a zip."""
        take, options = sessions.find(token).take(number), PracticeOptions(louder, tempo, count_in)
        sounds = parse_sounds(sound) if sound else None
        check_sounds(sounds, [track.name for track in take.score.tracks])
        data = in_time(lambda check: practice_zip(take, options, sounds, check))
        return _attached(data, f"take-{number}-practice.zip")

    @router.get("/music/{token}/{number}/files/{form}")
    def file(token: str, number: int, form: str, staves: str = "open") -> Response:
        """Return a take as one file."""
        if form not in _SINGLE_FILES:
            raise InputError(f"There is no file '{printable(form, 60)}'. Choose {', '.join(_SINGLE_FILES)}.")
        take = recent.use(sessions.find(token).take(number))
        rendering = take.renderings.get(staves, take.renderings["open"])
        name = Path(f"{_stem(take.title)}-take-{number}{FORMATS[form]}")
        files, left_out = in_time(lambda check: files_of(rendering, name, [form], check))
        if left_out:
            raise InputError(left_out[form])
        return _attached(files[form][name.name], name.name)

    @router.get("/music/{token}/{number}/print.html")
    def sheets(token: str, number: int, staves: str = "open") -> HTMLResponse:
        """Return a page to print a take from."""
        take = recent.use(sessions.find(token).take(number))
        return HTMLResponse(in_time(lambda check: print_page(take, staves, say, check)))

    @router.get("/music/{token}/{number}/{voice}.flac")
    def sound(token: str, number: int, voice: str, tempo: float = 100.0) -> Response:
        take = recent.use(sessions.find(token).take(number))
        stems = in_time(lambda check: stems_of(take, tempo, check))
        if voice not in stems:
            raise InputError(f"There is no voice '{printable(voice, 60)}'. Choose {', '.join(stems)}.")
        return Response(stems[voice], media_type="audio/flac")

    return router


def _stem(title: str) -> str:
    """Return a title as the beginning of a file's name."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in title).lower() or "music"


def _attached(data: bytes, name: str) -> Response:
    """Return a file to download."""
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(data, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


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
