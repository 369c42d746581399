"""Middleware of the page's server: requests that it refuses before anything reads them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""Names by which a browser on this machine reaches a server that listens on the loopback address."""

_MISDIRECTED, _TOO_LARGE = 421, 413


class Guard:
    """Refuses requests for another host's name, and bodies beyond a size.

    A page of somebody else's can make its own name point to this machine (DNS rebinding) and then read what the server
    answers; the `Host` header still tells the name.

    Args:
        app: The server.
        max_body_bytes: Largest body of a request.
        hosts: Names that the server answers to, without a port; None for any.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, hosts: Collection[str] | None = None) -> None:
        self._app, self._max_body_bytes, self._hosts = app, max_body_bytes, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if self._hosts is not None and _name_of(headers.get(b"host", b"")) not in self._hosts:
            answer = _refusal(_MISDIRECTED, "This server is for this machine only. Open it as localhost.")
            await answer(scope, receive, send)
            return
        too_large = _refusal(_TOO_LARGE, f"A request has at most {self._max_body_bytes:,} bytes. Send less.")
        if int(headers.get(b"content-length", b"0")[:18]) > self._max_body_bytes:
            await too_large(scope, receive, send)
            return
        num_bytes, has_begun = 0, False

        async def bounded() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > self._max_body_bytes:
                raise _TooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal has_begun
            if num_bytes <= self._max_body_bytes:  # else the server reports the error as its own
                has_begun = True
                await send(message)

        with contextlib.suppress(_TooLargeError):
            await self._app(scope, bounded, watched)
        if num_bytes > self._max_body_bytes and not has_begun:
            await too_large(scope, receive, send)


class _TooLargeError(Exception):
    """A body without a stated length is too large."""


def _name_of(host: bytes) -> str:
    """Return the name in a `Host` header without its port; an IPv6 address keeps its brackets."""
    text = host.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    return name if colon and port.isdigit() else text


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status)
