"""Measure the page of `descant app`: its memory over many requests, and the CPU time it takes with an idle tab.

    python benchmarks/page.py --requests 1000
    python benchmarks/page.py --requests 0 --idle 60     (needs Chromium and playwright)

A request is what a visitor does: open the page, upload a tune, press Write, look at the score, and listen to each
voice; each visitor is new and presses Write once. The model is replaced by one that doubles the melody in octaves, so
that the server's own memory shows. The resident memory of the server and that of the processes in which it reads and
engraves are printed every 100 requests, and at the end the largest growth after the first 200.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_tokenizers.common.files import write_json

MEGABYTE = 2**20
WARM_UP = 200
TUNE = (67, 69, 71, 72, 74, 72, 71, 69, 67, 71, 74, 71, 67, 64, 62, 67)


class Octaves:
    """A model that writes the melody again, lower for each voice."""

    rewrites_melody, draws_tokens, has_hints = False, True, False
    own_options: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ("harmonize",)
    styles: tuple[str, ...] = ()

    def generate(self, request: Any, config: Any) -> Any:
        """Return the sample."""
        from descant_modeling.generation.base import GenerationResult, Sample
        from descant_tokenizers.scores import VOICES

        made, added = request.prompt.copy(), set()
        (melody,) = made.tracks
        made.tracks = type(made.tracks)()
        for rank, voice in enumerate(VOICES):
            made.tracks.append(TrackTick(voice, 52, False))
            for note in melody.notes:
                made.tracks[-1].notes.append(NoteTick(note.time, note.duration, note.pitch - 7 * rank, 80))
            added |= {(voice, note.time, note.pitch) for note in made.tracks[-1].notes if rank}
        return GenerationResult((Sample(made, frozenset(added), 1, -1.0),), (), VOICES[:1], VOICES[1:])


def serve(descriptor: int) -> None:
    """Serve the page on a socket with the stub model."""
    import uvicorn

    from descant_modeling.app.page import make_app
    from descant_modeling.app.service import Service

    service = Service([])
    service.generators["octaves"] = Octaves()
    listening = socket.socket(fileno=descriptor)
    uvicorn.Server(uvicorn.Config(make_app(service), log_level="error", access_log=False)).run(sockets=[listening])


@contextlib.contextmanager
def server() -> Iterator[tuple[str, psutil.Process]]:
    """Yield the address and the process of a server."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        port = listening.getsockname()[1]
        command = [sys.executable, __file__, "--serve", str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])
    address = f"http://127.0.0.1:{port}/en"
    try:
        urllib.request.urlopen(address, timeout=600).read()  # waits until it is answered
        yield address, psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def tune(num_notes: int) -> bytes:
    """Return a MIDI file of some quarter notes."""
    score = ScoreTick(4)
    score.tracks.append(TrackTick("Melody", 0, False))
    for index, pitch in enumerate(TUNE[:num_notes]):
        score.tracks[0].notes.append(NoteTick(4 * index, 4, pitch, 80))
    data: bytes = score.dumps_midi()
    return data


class Visitor:
    """One open page."""

    def __init__(self, address: str, config: dict[str, Any], name: str) -> None:
        self._address, self._config, self._name = address, config, name
        opened = self._event("load", [])
        self.token = opened[0]["token"]

    def _fetch(self, path: str, data: bytes | None = None, kind: str = "application/octet-stream") -> bytes:
        request = urllib.request.Request(self._address + path, data, {"Content-Type": kind} if data else {})
        with urllib.request.urlopen(request, timeout=600) as answer:
            body: bytes = answer.read()
        return body

    def _event(self, trigger: str, values: list[Any], target: str = "") -> list[Any]:
        """Run an event of Gradio as its browser code does; return the last outputs."""
        dependency = next(
            each
            for each in self._config["dependencies"]
            if any(event == trigger and (not target or self._is(block, target)) for block, event in each["targets"])
        )
        inputs = values or [self._value(block) for block in dependency["inputs"]]
        body = {"data": inputs, "fn_index": dependency["id"], "session_hash": self._name}
        self._fetch("/gradio_api/queue/join?", json.dumps(body).encode(), "application/json")
        stream = self._fetch(f"/gradio_api/queue/data?session_hash={self._name}").decode()
        messages = [json.loads(line[5:]) for line in stream.splitlines() if line.startswith("data:")]
        done = next(each for each in messages if each["msg"] == "process_completed")
        assert done["success"], done
        found: list[Any] = done["output"].get("data", [])
        return found

    def _is(self, block: int, value: str) -> bool:
        return any(each["id"] == block and each["props"].get("value") == value for each in self._config["components"])

    def _value(self, block: int) -> Any:
        return next(each["props"].get("value") for each in self._config["components"] if each["id"] == block)

    def write(self, data: bytes) -> int:
        """Upload a tune, press Write, and look at and listen to the result; return the number of bytes received."""
        path = f"/descant/music/{self.token}"
        drawing = json.loads(self._fetch(f"{path}/melody?name=tune.mid", data))
        write = next(d for d in self._config["dependencies"] if any(e == "click" for _, e in d["targets"]))
        editor = next(
            each["id"]
            for each in self._config["components"]
            if "descant-editor" in str(each["props"].get("html_template"))
        )
        values = [drawing | {"edited": False} if block == editor else self._value(block) for block in write["inputs"]]
        self._event("click", values, "Write")
        facts = json.loads(self._fetch(f"{path}/1.json"))
        size = len(self._fetch(f"{path}/1/score.json?width=900&staves=closed"))
        return size + sum(len(self._fetch(f"{path}/1/{voice['name']}.flac")) for voice in facts["voices"])


def memory(process: psutil.Process) -> dict[str, float]:
    """Return the resident memory of the server and of its children together, in megabytes."""
    children = [child.memory_info().rss for child in process.children(recursive=True)]
    return {
        "server": round(process.memory_info().rss / MEGABYTE, 1),
        "children": round(sum(children) / MEGABYTE, 1),
    }


def many_requests(count: int, seconds: float, num_notes: int) -> dict[str, Any]:
    """Run `count` requests, or as many as fit in a time; return the memory after every 100."""
    data, found = tune(num_notes), {}
    with server() as (address, process):
        config = json.loads(urllib.request.urlopen(f"{address}/config").read())
        deadline = time.monotonic() + seconds
        for number in range(1, count + 1):
            Visitor(address, config, f"visitor{number}").write(data)
            is_last = number == count or time.monotonic() > deadline
            if number % 100 == 0 or is_last:
                found[number] = memory(process)
                print(f"{number} requests: {found[number]}", flush=True)
            if is_last:
                break
        used = process.cpu_times()
    after = [each["server"] for number, each in found.items() if number >= WARM_UP]
    grown = max((later - first for first, later in itertools.combinations(after, 2)), default=0.0)
    return {
        "requests": number,
        "notes": num_notes,
        "megabytes": found,
        "growth_after_200_requests": round(grown, 1),
        "cpu_seconds_of_the_server": round(used.user + used.system, 1),
    }


def idle(seconds: float) -> dict[str, Any]:
    """Open the page in Chromium and leave it; return the share of a core that the server takes."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with server() as (address, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.goto(address)
        page.get_by_label("Examples").locator("option", has_text="Ode").wait_for(state="attached")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        time.sleep(5)
        before, began = process.cpu_times(), time.monotonic()
        time.sleep(seconds)
        after, passed = process.cpu_times(), time.monotonic() - began
        browser.close()
    used = after.user + after.system - before.user - before.system
    return {"idle_seconds": round(passed), "percent_of_a_core": round(100 * used / passed, 2), "requests": len(asked)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000, help="requests to run")
    parser.add_argument(
        "--notes", type=int, default=len(TUNE), help="quarter notes of the tune; the sound takes longest"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time after which no request is begun")
    parser.add_argument("--idle", type=float, default=0.0, help="seconds to leave a tab open")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve is not None:
        serve(options.serve)
        return
    found = idle(options.idle) if options.idle else {}
    found |= many_requests(options.requests, options.seconds, options.notes) if options.requests else {}
    sys.stdout.write(write_json(options.out, found))


if __name__ == "__main__":
    main()
