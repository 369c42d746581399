"""What `descant app` and `descant serve` share: options, the socket, and the loop of the server."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descant_modeling.decoding.config import check_range
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from descant_modeling.app.requests import AppLimits

LOOPBACK = "127.0.0.1"
_NUM_PORTS = 20
MAX_MESSAGE = 1 << 16
"""Bytes of a message of a websocket."""

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Embedded model, checkpoint folder, run folder or Hub id; repeatable. Default: all embedded models.",
    ),
]
Seconds = Annotated[float, typer.Option(help="Time limit of a request.")]
Queue = Annotated[int, typer.Option(help="Number of requests that can wait while one is written.")]


def limits_of(port: int, seconds: float, queue: int) -> AppLimits:
    """Return the limits that options ask for.

    Raises:
        InputError: An option is out of range.
    """
    from descant_modeling.app.requests import AppLimits

    if port:
        check_range("--port", port, 1, 65_535)
    check_range("--seconds", seconds, 1, 3600)
    check_range("--queue", queue, 0, 1000)
    return AppLimits(request_seconds=seconds, queue_length=queue)


def is_loopback(host: str) -> bool:
    """Return True if only this machine reaches an address."""
    return host in (LOOPBACK, "::1", "localhost")


def listen(host: str, port: int, default_port: int) -> socket.socket:
    """Return a listening socket; port 0 selects the first free port from the default on.

    Raises:
        InputError: The address or the port cannot be used.
    """
    ports = [port] if port else range(default_port, default_port + _NUM_PORTS)
    reason = ""
    for candidate in ports:
        try:
            return socket.create_server((host, candidate), backlog=128)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
    where = f"{host}:{port}" if port else f"{host}, ports {default_port} to {default_port + _NUM_PORTS - 1}"
    raise InputError(f"Cannot listen on {where} ({reason}). Choose another --host or --port.")


def address_of(listening: socket.socket) -> str:
    """Return the address under which a browser on this machine opens a server."""
    host, port = listening.getsockname()[:2]
    return f"http://{'localhost' if host in (LOOPBACK, '0.0.0.0') else host}:{port}"


def run_server(app: Any, listening: socket.socket) -> None:
    """Serve an ASGI application on a socket until Ctrl-C."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="error", access_log=False, timeout_graceful_shutdown=2, ws_max_size=MAX_MESSAGE
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    uvicorn.Server(config).run(sockets=[listening])


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Leave out of the log that Ctrl-C cancels the requests that open pages keep."""
    is_canceled = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not is_canceled and "timeout graceful shutdown" not in record.getMessage()
