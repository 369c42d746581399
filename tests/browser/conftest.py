"""The page in headless Chromium, in front of `descant app` or of a server inside the test's own process."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from ensemble_models import save_ensemble
from symusic.core import NoteTick, TrackTick

from descant_modeling.decoding.config import GenerationConfig, Sketch, SketchNote
from descant_modeling.generation.base import TASKS, GenerationResult, Request, Sample
from descant_tokenizers.scores import VOICES

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
MISSING = next(
    (
        reason
        for is_there, reason in (
            (importlib.util.find_spec("gradio"), "needs the extra `app`"),
            (importlib.util.find_spec("playwright"), "needs playwright"),
            (CHROMIUM, "needs Chromium (Debian's package is `chromium`)"),
        )
        if not is_there
    ),
    None,
)
# It would look up its maker's hosts at every start.
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_SECONDS = 240  # a busy machine is no failure
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            if MISSING is not None:
                item.add_marker(pytest.mark.skip(reason=MISSING))


class Guest:
    """A page, and what hands do on it."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    @property
    def notes(self) -> list[list[int]]:
        """Notes in the editor: [onset, length, pitch] in 16ths."""
        notes: list[list[int]] = self.page.evaluate("() => document.querySelector('descant-editor').notes")
        return notes

    def type_tune(self, tune: str) -> None:
        """Type quarter notes."""
        for key in "5" + tune:
            self.page.locator("descant-editor .paper .scroller").press(key)

    def upload(self, file: Path) -> None:
        """Choose a file."""
        self.page.locator("descant-editor input[type=file]").set_input_files(file)

    def write(self) -> None:
        """Press the button."""
        self.page.get_by_role("button", name="Write", exact=True).click()

    def choose(self, label: str, option: str) -> None:
        """Choose from one of Gradio's lists."""
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option).and_(self.page.locator("li")).click()

    def wait_for_take(self, number: int) -> None:
        """Wait until a take is shown."""
        self.page.get_by_role("tab", name=f"Take {number}").and_(self.page.locator("[aria-selected=true]")).wait_for()
        self.page.locator("descant-player .sheet > svg").wait_for()

    def wait_for_words(self, words: str, role: str = "status") -> None:
        """Wait until the page says something."""
        self.page.get_by_role(role).filter(has_text=words).wait_for()

    def facts(self, number: int) -> dict[str, Any]:
        """Details of a take of this page, from the server."""
        found: dict[str, Any] = self.page.evaluate(
            "n => fetch(document.querySelector('descant-player').address(`${n}.json`)).then(answer => answer.json())",
            number,
        )
        return found

    def given(self, number: int) -> list[int]:
        """Pitches of the given notes of a take."""
        return [note[3] for note in self.facts(number)["notes"] if note[4]]

    def leave(self) -> None:
        """Close the page."""
        self.page.context.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def asked() -> list[str]:
    """Every address that any page of `descant app` asked for."""
    return []


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, psutil.Process]]:
    """The address and the process of `descant app`, offline."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "descant_modeling.cli.main", "app", "--no-browser", "--port", str(port)]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = f"http://127.0.0.1:{port}"
        assert f"localhost:{port}" in line
        try:
            yield address, psutil.Process(process.pid)
        finally:
            process.terminate()


def _opened(browser: Any, address: str, requests: list[str], options: dict[str, Any]) -> Guest:
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(1000 * PATIENCE_SECONDS)
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: pytest.fail(f"the page's code failed: {error}"))
    page.goto(address)
    page.locator("descant-editor option[value='Ode to joy']").wait_for(state="attached")
    return Guest(page)


@pytest.fixture(scope="session")
def open_page(chromium: Any, server: tuple[str, psutil.Process], asked: list[str]) -> Callable[..., Guest]:
    """A function that opens the page of `descant app` as somebody new."""
    return lambda **options: _opened(chromium, server[0], asked, options)


class Echo:
    """Writes the melody an octave lower for each voice, bar by bar, and waits in bar 2 while it is held."""

    rewrites_melody = False
    tasks = TASKS[:1]
    draws_tokens = True
    styles: tuple[str, ...] = ()
    has_hints = False

    def __init__(self) -> None:
        self.may_go_on = threading.Event()

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        score = request.prompt
        unit, made, added = score.ticks_per_quarter, score.copy(), set()
        made.tracks = type(made.tracks)()
        notes = [SketchNote("Soprano", n.time / unit, n.duration / unit, n.pitch, True) for n in score.tracks[0].notes]
        for rank, voice in enumerate(VOICES):
            track = TrackTick(voice, 52, False)
            for note in score.tracks[0].notes:
                track.notes.append(NoteTick(note.time, note.duration, note.pitch - 7 * rank, 80))
                if rank:
                    added.add((voice, note.time, note.pitch - 7 * rank))
            made.tracks.append(track)
        notes += [n._replace(voice="Bass", pitch=n.pitch - 21, is_given=False) for n in notes[:4]]
        config.on_bar(Sketch(1, 2, 8.0, tuple(notes)))
        while not self.may_go_on.wait(0.02):
            config.progress(0.5)
        return GenerationResult((Sample(made, frozenset(added), 1, -1.0),), (), VOICES[:1], VOICES[1:])


@dataclass
class Stage:
    """A server in this process: what stands behind it can be held and changed."""

    service: Any
    echo: Echo
    open_page: Callable[..., Guest]


@pytest.fixture(scope="session")
def stage(chromium: Any, style_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A page with a model that echoes and untrained ones with styles and of songs, and room for one who waits."""
    import uvicorn

    from descant_modeling.app.page import make_app
    from descant_modeling.app.requests import AppLimits
    from descant_modeling.app.service import Service

    echo = Echo()
    service = Service([], AppLimits(queue_length=1))
    service.generators["echo"] = echo
    song_checkpoint = save_ensemble("song", tmp_path_factory.mktemp("songs"))
    service.generators |= Service([str(style_checkpoint), song_checkpoint]).generators
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        runner = uvicorn.Server(uvicorn.Config(make_app(service), log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not runner.started:
            time.sleep(0.05)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield Stage(service, echo, lambda **options: _opened(chromium, address, [], options))
        runner.should_exit = True
        thread.join(20)
