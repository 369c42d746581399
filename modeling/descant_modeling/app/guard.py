"""Middleware of both servers: requests that they refuse before anything reads them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Collection, Mapping

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""Names by which a browser on this machine reaches a server that listens on the loopback address."""

_UNAUTHORIZED, _FORBIDDEN, _TOO_LARGE, _MISDIRECTED = 401, 403, 413, 421
_POLICY_VIOLATION = 1008  # code with which a websocket is closed


class Guard:
    """Refuses requests for another host's name, from another site's page or without the token, and too large bodies.

    A page of somebody else's can make its own name point to this machine (DNS rebinding) and then read what the server
    answers; the `Host` header still tells the name. Without that trick it can still send requests, though not read the
    answers; the `Origin` header tells where it is from.

    Args:
        app: The server.
        max_body_bytes: Largest body of a request.
        hosts: Names that the server answers to, and from which pages may send requests, without a port; None for any.
        token: What requests must carry as `Authorization: Bearer TOKEN`; None for nothing.
        open_paths: Beginnings of the paths that need no token.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int,
        hosts: Collection[str] | None = None,
        token: str | None = None,
        open_paths: Collection[str] = (),
    ) -> None:
        self._app, self._max_body_bytes, self._hosts = app, max_body_bytes, hosts
        self._token, self._open_paths = token, tuple(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refused(scope["path"], dict(scope["headers"]))
        if refusal is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        elif refusal is not None:
            await refusal(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._bounded(scope, receive, send)

    def _refused(self, path: str, headers: Mapping[bytes, bytes]) -> Response | None:
        """Return the answer to a request that is refused for its headers."""
        if self._hosts is not None:
            if _name_of(headers.get(b"host", b"")) not in self._hosts:
                return _refusal(_MISDIRECTED, "This server is for this machine only. Open it as localhost.")
            origin = headers.get(b"origin")
            if origin is not None and _name_of(origin.partition(b"://")[2]) not in self._hosts:
                return _refusal(_FORBIDDEN, "This server takes no requests from pages of others. Use its own page.")
        if self._token is not None and not path.startswith(self._open_paths):
            sent = headers.get(b"authorization", b"")
            if not secrets.compare_digest(sent, f"Bearer {self._token}".encode()):
                answer = _refusal(_UNAUTHORIZED, "The token is missing or wrong. Send Authorization: Bearer TOKEN.")
                answer.headers["WWW-Authenticate"] = "Bearer"
                return answer
        return None

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a bounded body."""
        headers = dict(scope["headers"])
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
