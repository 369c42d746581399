"""`descant app`: serve the page on this machine."""

from __future__ import annotations

import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from descant_modeling.cli.options import Device, Engine
from descant_modeling.decoding.config import EngineName, check_engine
from descant_tokenizers.common.errors import InputError, missing_extra

if TYPE_CHECKING:
    from descant_modeling.app.requests import AppLimits

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 7860


def app_command(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Embedded model, checkpoint folder, run folder or Hub id; repeatable. Default: all embedded models."
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(envvar="GRADIO_SERVER_NAME", help="Address to listen on; 0.0.0.0 lets other machines connect."),
    ] = LOOPBACK,
    port: Annotated[
        int,
        typer.Option(
            envvar="GRADIO_SERVER_PORT", help=f"Port. Default (0): the first free one from {DEFAULT_PORT} on."
        ),
    ] = 0,
    device: Device = None,
    engine: Engine = "auto",
    seconds: Annotated[float, typer.Option(help="Time limit of a request.")] = 300.0,
    queue: Annotated[int, typer.Option(help="Number of requests that can wait while one is written.")] = 12,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Open the page: draw or upload a melody, and see and hear its harmony."""
    for option, value, low, high in (
        ("--port", port, 0, 65_535),
        ("--seconds", seconds, 1, 3600),
        ("--queue", queue, 0, 1000),
    ):
        if not low <= value <= high:
            raise InputError(f"{option} is {value:g}. Give {max(low, 1) if option == '--port' else low} to {high}.")
    check_engine(engine, device)
    from descant_modeling.app.requests import AppLimits

    limits = AppLimits(request_seconds=seconds, queue_length=queue)
    with _listen(host, port) as listening:
        serve(listening, model, device, limits, engine=engine, browser=browser, quiet=quiet)


def serve(
    listening: socket.socket,
    models: list[str] | None = None,
    device: str | None = None,
    limits: AppLimits | None = None,
    *,
    engine: EngineName = "auto",
    browser: bool = False,
    quiet: bool = False,
) -> None:
    """Serve the page on a socket until Ctrl-C.

    Raises:
        InputError: The extra `app` is not installed, or there is no such model.
    """
    try:
        import uvicorn

        from descant_modeling.app.page import make_app
    except ModuleNotFoundError as error:
        raise missing_extra(error) from None
    from descant_modeling.app.guard import LOCAL_NAMES, Guard
    from descant_modeling.app.service import Service

    service = Service(models, limits, device, engine)
    host, port = listening.getsockname()[:2]
    is_local = host in (LOOPBACK, "::1")
    app = Guard(make_app(service), service.limits.max_request_bytes, LOCAL_NAMES if is_local else None)
    address = f"http://{'localhost' if host in (LOOPBACK, '0.0.0.0') else host}:{port}"
    if not quiet:
        typer.echo(f"Descant is at {address} (Ctrl-C stops it).")
        if not is_local:
            typer.echo("Other machines can reach it, without a password.", err=True)
    if browser and sys.stdout.isatty():
        threading.Timer(1.0, webbrowser.open, [address]).start()
    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 selects the first free port from the default on."""
    ports = [port] if port else range(DEFAULT_PORT, DEFAULT_PORT + 20)
    reason = ""
    for candidate in ports:
        try:
            return socket.create_server((host, candidate), backlog=128)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
    where = f"{host}:{port}" if port else f"{host}, ports {DEFAULT_PORT} to {DEFAULT_PORT + 19}"
    raise InputError(f"Cannot listen on {where} ({reason}). Choose another --host or --port.")
