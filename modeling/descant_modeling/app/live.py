"""Play along over a websocket: every note of a soprano is answered with the other three voices; see docs/serve.md."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from fastapi import FastAPI, WebSocket
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocketDisconnect

from descant_modeling.app.service import Service
from descant_modeling.app.words import first_fault, for_api
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.live import MAX_BARS, Accompanist
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.common.errors import InputError, printable

__all__ = ["add_live"]

MAX_SESSIONS = 4
"""Sessions at a time."""

_IDLE_SECONDS = 600.0
_MAX_LETTERS = 1000  # of a message
_REFUSED = 1008


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


Message = TypeVar("Message", bound=_Message)


class LiveStart(_Message):
    """The first message of a session."""

    model: str | None = None  # the first one that can play along
    meter: tuple[int, int] = (4, 4)
    key: str | None = None
    style: str | None = GenerationConfig.style
    temperature: float = GenerationConfig.temperature
    top_p: float = GenerationConfig.top_p
    seed: int | None = Field(None, ge=0)


class LiveNote(_Message):
    """A note that begins, or with `end` where the last one ended; in 16ths from the first bar line."""

    onset: int | None = Field(None, ge=0, le=MAX_BARS * 64)
    pitch: int | None = Field(None, ge=0, le=127)
    end: int | None = Field(None, ge=0, le=MAX_BARS * 64)


def add_live(server: FastAPI, service: Service, path: str, worded: Callable[[Exception], str] = for_api) -> None:
    """Add the websocket of a service to a server; `worded` gives the words for an error."""
    sessions = 0

    @server.websocket(path)
    async def live(socket: WebSocket) -> None:
        """Answer each soprano note that a client plays."""
        nonlocal sessions
        await socket.accept()
        sessions += 1
        try:
            if sessions > MAX_SESSIONS:
                raise InputError(f"{MAX_SESSIONS} sessions are open. Close one.")
            await _play(socket, service)
        except InputError as error:
            await socket.send_json({"error": worded(error)})
            await socket.close(_REFUSED)
        except WebSocketDisconnect:
            pass
        finally:
            sessions -= 1


async def _play(socket: WebSocket, service: Service) -> None:
    """Answer notes until the client leaves.

    Raises:
        InputError: A message cannot be read, or none comes.
        WebSocketDisconnect: The client left.
    """
    start = await _message(socket, LiveStart)
    name, generator = _playing(service, start.model)
    accompanist = await run_in_threadpool(_accompanist, generator, start)
    await socket.send_json({"ready": True, "model": name})
    while True:
        note = await _message(socket, LiveNote)
        if note.end is not None:
            accompanist.release(note.end)
        if note.onset is None or note.pitch is None:
            if note.end is None:
                raise InputError("A message has neither a note nor an end. Send onset and pitch, or end.")
            continue
        began = time.perf_counter()
        voices = await run_in_threadpool(accompanist.answer, note.onset, note.pitch)
        milliseconds = round(1000 * (time.perf_counter() - began), 2)
        answer = {"onset": note.onset, "pitch": note.pitch, "voices": voices, "milliseconds": milliseconds}
        await socket.send_json(answer)
        await run_in_threadpool(accompanist.prepare)


async def _message(socket: WebSocket, kind: type[Message]) -> Message:
    """Read a message.

    Raises:
        InputError: It is not of this kind, or none comes.
        WebSocketDisconnect: The client left.
    """
    try:
        async with asyncio.timeout(_IDLE_SECONDS):
            text = await socket.receive_text()
    except TimeoutError:
        raise InputError(f"Nothing came for {_IDLE_SECONDS / 60:g} minutes. Start again.") from None
    except KeyError:
        raise InputError("A message is not a text. Send JSON.") from None
    if len(text) > _MAX_LETTERS:
        raise InputError(f"A message has more than {_MAX_LETTERS:,} letters. Send one note.")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


def _playing(service: Service, name: str | None) -> tuple[str, FourPartGenerator]:
    """Return a model that can play along, the first one by default.

    Raises:
        InputError: It cannot, or none can.
    """
    able = {each: found for each, found in service.generators.items() if isinstance(found, FourPartGenerator)}
    if not able or (name is not None and name not in able):
        shown = "None of the models here can" if name is None else f"{printable(name, 60)} cannot"
        raise InputError(f"{shown} play along. Choose {', '.join(able) or 'another --model for the server'}.")
    name = next(iter(able)) if name is None else name
    return name, able[name]


def _accompanist(generator: FourPartGenerator, start: LiveStart) -> Accompanist:
    seed = secrets.randbelow(2**31) if start.seed is None else start.seed
    config = GenerationConfig(seed=seed, temperature=start.temperature, top_p=start.top_p, style=start.style)
    return generator.accompanist(start.meter, start.key, config)
