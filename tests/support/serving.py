"""The HTTP API in front of real clients."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from descant_modeling.app.guard import LOCAL_NAMES, Guard
from descant_modeling.app.http_api import OPEN_PATHS
from descant_modeling.app.server import make_server
from descant_modeling.app.service import Service


@contextmanager
def served(service: Service, token: str | None = None) -> Iterator[str]:
    """Serve in a thread; give the address."""
    app = Guard(make_server(service), service.limits.max_request_bytes, LOCAL_NAMES, token, OPEN_PATHS)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        runner = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not runner.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        runner.should_exit = True
        thread.join(20)
