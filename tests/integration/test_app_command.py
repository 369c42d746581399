"""`descant app` and `app.py`: where they listen, and what they refuse."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from descant_modeling.app.requests import AppLimits


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, AppLimits]]:
    """What the page would be served on, and within which limits; it is not served."""
    found: list[tuple[str, int, AppLimits]] = []

    def serve(listening: socket.socket, models: Any, device: Any, limits: AppLimits, **_: Any) -> None:
        found.append((*listening.getsockname(), limits))

    monkeypatch.setattr("descant_modeling.cli.app.serve", serve)
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_it_listens_on_this_machine_only_unless_told_otherwise(
    descant: Callable[..., Any], served: list[tuple[str, int, AppLimits]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert descant("app", "--no-browser").status == 0
    assert descant("app", "--host", "0.0.0.0").status == 0
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert descant("app").status == 0
    assert [host for host, _, _ in served] == ["127.0.0.1", "0.0.0.0", "0.0.0.0"]
    assert all(7860 <= port < 7880 for _, port, _ in served)


def test_limits_arrive(descant: Callable[..., Any], served: list[tuple[str, int, AppLimits]]) -> None:
    assert descant("app", "--seconds", 20, "--queue", 3).status == 0
    limits = served[0][2]
    assert (limits.request_seconds, limits.queue_length) == (20, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "--port is 70000. Give 1 to 65,535"),
        (["--seconds", "0"], "--seconds is 0.0. Give 1 to 3,600"),
        (["--queue", "-1"], "--queue is -1. Give 0 to 1,000"),
        (["--host", "203.0.113.1", "--port", "7860"], "Cannot listen on 203.0.113.1:7860"),
        (["--engine", "onnx", "--device", "cuda"], "The engine onnx runs on the CPU, not on cuda."),
    ],
)
def test_what_cannot_be_is_one_sentence(
    descant: Callable[..., Any], served: list[tuple[str, int, AppLimits]], arguments: list[str], words: str
) -> None:
    ended = descant("app", *arguments)
    assert ended.status == 2
    (line,) = ended.err.strip().splitlines()
    assert line.startswith(f"error: {words}")
    assert served == []


def test_a_port_that_is_taken_is_one_sentence(
    descant: Callable[..., Any], served: list[tuple[str, int, AppLimits]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = descant("app", "--port", taken.getsockname()[1])
    assert ended.status == 2
    assert "Choose another --host or --port" in ended.err


def test_the_spaces_script_is_the_same_command(repo_root: Path) -> None:
    environment = os.environ | {"GRADIO_SERVER_PORT": "abc"}
    command = [sys.executable, str(repo_root / "app.py")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert "GRADIO_SERVER_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr
