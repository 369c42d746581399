"""`descant serve`: the HTTP API for other programs."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Annotated

import typer

from descant_modeling.cli.options import Device, Engine
from descant_modeling.cli.serving import (
    LOOPBACK,
    Models,
    Queue,
    Seconds,
    address_of,
    is_loopback,
    limits_of,
    listen,
    run_server,
)
from descant_modeling.decoding.config import EngineName, check_engine
from descant_tokenizers.common.errors import InputError, missing_extra

if TYPE_CHECKING:
    from descant_modeling.app.requests import AppLimits

DEFAULT_PORT = 7870
_MIN_TOKEN = 16


def serve_command(
    model: Models = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but this machine's loopback needs a --token.")
    ] = LOOPBACK,
    port: Annotated[int, typer.Option(help=f"Port. Default (0): the first free one from {DEFAULT_PORT} on.")] = 0,
    token: Annotated[
        str | None,
        typer.Option(envvar="DESCANT_TOKEN", help="Secret that requests must carry as Authorization: Bearer TOKEN."),
    ] = None,
    device: Device = None,
    engine: Engine = "auto",
    seconds: Seconds = 300.0,
    queue: Queue = 12,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Serve the HTTP API for other programs: harmonize, continue, infill, check and render."""
    limits = limits_of(port, seconds, queue)
    check_engine(engine, device)
    if token is None and not is_loopback(host):
        raise InputError(f"Other machines can reach {host}, and there is no --token. Give one, or leave --host out.")
    if token is not None and not (len(token) >= _MIN_TOKEN and token.isascii() and token.isprintable()):
        raise InputError(f"The --token is too short or not ASCII. Give {_MIN_TOKEN} letters or more.")
    with listen(host, port, DEFAULT_PORT) as listening:
        serve_api(listening, model, device, limits, engine=engine, token=token, quiet=quiet)


def serve_api(
    listening: socket.socket,
    models: list[str] | None = None,
    device: str | None = None,
    limits: AppLimits | None = None,
    *,
    engine: EngineName = "auto",
    token: str | None = None,
    quiet: bool = False,
) -> None:
    """Serve the API on a socket until Ctrl-C.

    Raises:
        InputError: The extra `app` is not installed, or there is no such model.
    """
    try:
        import uvicorn  # noqa: F401

        from descant_modeling.app.http_api import API_PREFIX, OPEN_PATHS
        from descant_modeling.app.server import make_server
    except ModuleNotFoundError as error:
        raise missing_extra(error) from None
    from descant_modeling.app.guard import LOCAL_NAMES, Guard
    from descant_modeling.app.service import Service

    service = Service(models, limits, device, engine)
    hosts = LOCAL_NAMES if is_loopback(listening.getsockname()[0]) else None
    app = Guard(make_server(service), service.limits.max_request_bytes, hosts, token, OPEN_PATHS)
    if not quiet:
        address = f"{address_of(listening)}{API_PREFIX}"
        typer.echo(f"Descant's API is at {address}, described at {address}/docs (Ctrl-C stops it).")
    run_server(app, listening)
    service.queue.stop()
