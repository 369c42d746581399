"""`descant app`: serve the page on this machine."""

from __future__ import annotations

import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from descant_modeling.app.language import check_language
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
from descant_tokenizers.common.errors import missing_extra

if TYPE_CHECKING:
    from descant_modeling.app.requests import AppLimits

DEFAULT_PORT = 7860


def app_command(
    model: Models = None,
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
    seconds: Seconds = 300.0,
    queue: Queue = 12,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    language: Annotated[
        str | None, typer.Option(help="Language of the page: en or es. Default: the browser's; the page has a switch.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Open the page: draw or upload a melody, and see and hear its harmony."""
    limits = limits_of(port, seconds, queue)
    check_engine(engine, device)
    check_language(language)
    with listen(host, port, DEFAULT_PORT) as listening:
        serve(listening, model, device, limits, engine=engine, language=language, browser=browser, quiet=quiet)


def serve(
    listening: socket.socket,
    models: list[str] | None = None,
    device: str | None = None,
    limits: AppLimits | None = None,
    *,
    engine: EngineName = "auto",
    language: str | None = None,
    browser: bool = False,
    quiet: bool = False,
) -> None:
    """Serve the page on a socket until Ctrl-C.

    Raises:
        InputError: The extra `app` is not installed, or there is no such model.
    """
    try:
        import uvicorn  # noqa: F401

        from descant_modeling.app.page import make_app
    except ModuleNotFoundError as error:
        raise missing_extra(error) from None
    from descant_modeling.app.guard import LOCAL_NAMES, Guard
    from descant_modeling.app.service import Service

    service = Service(models, limits, device, engine)
    is_local = is_loopback(listening.getsockname()[0])
    app = Guard(
        make_app(service, language=language, with_api=is_local),
        service.limits.max_request_bytes,
        LOCAL_NAMES if is_local else None,
    )
    address = address_of(listening)
    if not quiet:
        typer.echo(f"Descant is at {address} (Ctrl-C stops it).")
        if not is_local:
            typer.echo("Other machines can reach it, without a password.", err=True)
    if browser and sys.stdout.isatty():
        threading.Timer(1.0, webbrowser.open, [address]).start()
    run_server(app, listening)
    service.queue.stop()
