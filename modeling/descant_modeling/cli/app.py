"""`descant app`: the page, on this machine."""

from __future__ import annotations

import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from descant_modeling.cli.options import Device
from descant_tokenizers.common.errors import InputError

if TYPE_CHECKING:
    from descant_modeling.app.requests import AppLimits

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 7860


def app_command(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Embedded model, checkpoint or run folder, or Hub id; repeatable. All embedded ones by default."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(envvar="GRADIO_SERVER_NAME", help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = LOOPBACK,
    port: Annotated[
        int,
        typer.Option(envvar="GRADIO_SERVER_PORT", help="Port; if not given, the first free one from 7860 on."),
    ] = 0,
    device: Device = None,
    seconds: Annotated[float, typer.Option(help="Time that one request may take.")] = 300.0,
    queue: Annotated[int, typer.Option(help="Requests that may wait; one is written at a time.")] = 12,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Open the page: draw or upload a melody, have it harmonized, see it, hear it, ask for more."""
    if not 0 <= port <= 65_535:
        raise InputError(f"--port is {port}; give 1 to 65535.")
    if not 1 <= seconds <= 3600:
        raise InputError(f"--seconds is {seconds:g}; give 1 to 3600.")
    if not 0 <= queue <= 1000:
        raise InputError(f"--queue is {queue}; give 0 to 1000.")
    from descant_modeling.app.requests import AppLimits

    limits = AppLimits(request_seconds=seconds, queue_length=queue)
    listening = _listen(host, port)
    with listening:
        serve(listening, model, device, limits, browser=browser, quiet=quiet)


def serve(
    listening: socket.socket,
    models: list[str] | None = None,
    device: str | None = None,
    limits: AppLimits | None = None,
    *,
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
        if (error.name or "").partition(".")[0] not in ("fastapi", "gradio", "uvicorn"):
            raise
        raise InputError("the page needs Gradio; pip install 'descant[app]'.") from None
    from descant_modeling.app.service import Service

    app = make_app(Service(models, limits, device))
    host, port = listening.getsockname()[:2]
    address = f"http://{'localhost' if host in (LOOPBACK, '0.0.0.0') else host}:{port}"
    if not quiet:
        typer.echo(f"Descant is at {address} (Ctrl-C ends it).")
        if host not in (LOOPBACK, "::1"):
            typer.echo("Other machines can reach it, and nobody is asked for a password.", err=True)
    if browser and sys.stdout.isatty():
        threading.Timer(1.0, webbrowser.open, [address]).start()
    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; without a wish for a port, the first free one from the default on."""
    ports = [port] if port else range(DEFAULT_PORT, DEFAULT_PORT + 20)
    reason = ""
    for candidate in ports:
        try:
            return socket.create_server((host, candidate), backlog=128)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
    where = f"{host}:{port}" if port else f"{host}, ports {DEFAULT_PORT} to {DEFAULT_PORT + 19}"
    raise InputError(f"cannot listen on {where} ({reason}); choose another --host or --port.")
