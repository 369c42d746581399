"""What the page fetches: its own assets, and each version as score, sound and files.

Versions as score, sound and files.
"""

from __future__ import annotations

import asyncio
import io
import json
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse

from descant_modeling.app.jobs import Check, no_check, within
from descant_modeling.app.requests import AppLimits
from descant_modeling.app.service import Service, for_page
from descant_modeling.app.sessions import Clock, Take, details
from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import file_of
from descant_tokenizers.rendering.audio import has_sound, render_stems
from descant_tokenizers.rendering.verovio import screen_page
from descant_tokenizers.rendering.write import Rendering

__all__ = [
    "ASSETS",
    "ROUTES_PREFIX",
    "answer_input_error",
    "engraved",
    "make_router",
    "rendering_of",
    "stems_of",
    "zip_of",
]

_MIN_WIDTH, _PHONE_WIDTH, _MAX_WIDTH = 280, 560, 1600
_FORMATS = ("midi", "musicxml", "svg", "png")
_one_at_a_time = threading.Lock()  # music21 keeps state of its own


def rendering_of(version: Take, *, is_closed: bool = False) -> Rendering:
    """Return a version as notation, picture and sound; a closed score has two staves, where there are four voices."""
    return Rendering(
        version.score,
        title=version.title,
        caption=f"{version.title}: {version.name.lower()}",
        is_given=version.is_given,
        arrangement="closed" if is_closed and version.is_four_part else "open",
    )


def engraved(rendering: Rendering, width_pixels: int, check: Check = no_check) -> dict[str, Any]:
    """Engrave a score for a page of some width.

    Args:
        rendering: The score.
        width_pixels: Room on the page; held within sensible bounds.
        check: Ends it once there is no time left.

    Returns:
        `svg`, and `notes`: for each note its id in the SVG, and when it is played (seconds).

    Raises:
        InputError: It cannot be engraved.
    """
    with _one_at_a_time:
        check()
        width = min(max(width_pixels, _MIN_WIDTH), _MAX_WIDTH)
        column = screen_page(rendering.musicxml, width, scale_percent=32 if width < _PHONE_WIDTH else 40)
    clock, unit = Clock(rendering.score), rendering.score.ticks_per_quarter
    notes = [
        (name, round(clock.seconds(start * unit), 4), round(clock.seconds(end * unit), 4))
        for name, start, end in column.notes
    ]
    return {"svg": column.svg, "notes": notes}


def stems_of(version: Take, check: Check = no_check) -> dict[str, bytes]:
    """Return each voice's sound as a FLAC file, all of one length and loud as they are together.

    Args:
        version: Whose.
        check: Ends it once there is no time left.

    Raises:
        InputError: The extra `sound` is not installed.
    """
    check()
    stems, rate = render_stems(version.score)
    import soundfile

    encoded = {}
    for name, samples in stems.items():
        check()
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
        encoded[name] = file.getvalue()
    return encoded


def zip_of(versions: Sequence[Take], check: Check = no_check) -> bytes:
    """Return all that there is of some versions: MIDI, MusicXML, SVG, piano roll, sound, and how they were made.

    Args:
        versions: Which.
        check: Ends it once there is no time left.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for version in versions:
            rendering = rendering_of(version)
            name = Path(f"version-{version.number}")
            for form in (*_FORMATS, *(["mp3"] if has_sound() else [])):
                check()
                _add(archive, rendering, name, form)
        facts = [_facts(version) for version in versions]
        archive.writestr("versions.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return packed.getvalue()


def _add(archive: zipfile.ZipFile, rendering: Rendering, name: Path, form: str) -> None:
    """Add the files of one format; what a score cannot be written in is left out, the other formats are there."""
    try:
        with _one_at_a_time:
            pages = rendering.data(form)
    except InputError:
        return
    suffix = file_of(name, form).suffix
    for number, data in enumerate(pages, start=1):
        archive.writestr(f"{name}{f'-page{number}' if number > 1 else ''}{suffix}", data)


def _facts(version: Take) -> dict[str, Any]:
    return {
        "file": f"version-{version.number}.mid",
        "title": version.title,
        "made": version.made,
        **version.settings,
        "remarks": list(version.remarks),
        "rules": details(version)["rules"],
    }


ASSETS = Path(__file__).parent / "assets"
ROUTES_PREFIX = "/descant"
_ASSET_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_NUM_CACHED = 24

RenderedFile = TypeVar("RenderedFile")


class _Cache:
    """The last few things that took a while to make."""

    def __init__(self) -> None:
        self._items: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._lock = threading.Lock()  # what two ask for at once is made once

    def get(self, key: tuple[Any, ...], make: Callable[[], RenderedFile]) -> RenderedFile:
        with self._lock:
            if key not in self._items:
                self._items[key] = make()
                if len(self._items) > _NUM_CACHED:
                    self._items.popitem(last=False)
            self._items.move_to_end(key)
            return cast(RenderedFile, self._items[key])


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


def make_router(studio: Service) -> APIRouter:
    """Return the routes; an `InputError` in them is for `answer_input_error`."""
    router = APIRouter(prefix=ROUTES_PREFIX)
    notation, sounds = _Cache(), _Cache()

    def in_time(work: Callable[[Check], RenderedFile]) -> RenderedFile:
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
