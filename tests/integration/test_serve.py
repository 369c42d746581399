"""`descant serve` in front of a real HTTP client."""

from __future__ import annotations

import json
import re
import runpy
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import symusic
from serving import served

from descant_modeling.app.requests import AppLimits
from descant_modeling.app.service import Service
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import GenerationResult, Request
from descant_tokenizers.scores import VOICES

TUNE = {"name": "tune.abc", "text": "X:1\nT:A Tune\nM:4/4\nL:1/4\nK:G\nGABc|d2G2|\n"}
# Soprano and bass move from one fifth to another; the inner voices stay.
FIFTHS = "X:1\nM:4/4\nL:1/2\nK:C\nV:S\nV:A\nV:T\nV:B\n[V:S] G A|\n[V:A] E F|\n[V:T] C C|\n[V:B] C, D,|\n"
TOKEN = "a-token-of-the-tests"


class Slow:
    """A model that writes until it is told to go on, and then fails."""

    rewrites_melody = False
    tasks = ("harmonize",)
    draws_tokens = True
    styles: tuple[str, ...] = ()
    has_hints = False
    go_on = threading.Event()

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        while not self.go_on.wait(0.02):
            assert config.progress is not None
            config.progress(0.25)
        raise RuntimeError("as planned")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server with the embedded model, one that waits, and room for one job that waits."""
    service = Service(["chorales"], AppLimits(queue_length=1))
    service.generators["slow"] = Slow()
    with served(service) as found:
        yield found
    service.reader.close()


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{address}/v1", timeout=60) as found:
        yield found


def _events(client: httpx.Client, job: str) -> list[tuple[str, dict[str, Any]]]:
    with client.stream("GET", f"/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        blocks = "\n".join(answer.iter_lines()).split("\n\n")
    found = [dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")) for block in blocks]
    return [(event["event"], json.loads(event["data"])) for event in found if event]


def test_a_melody_in_json_is_harmonized_followed_and_fetched(client: httpx.Client) -> None:
    started = client.post("/harmonize", json={"file": TUNE, "seed": 1, "formats": ["midi", "musicxml"]})
    assert started.status_code == 202, started.text
    job = started.json()["id"]
    events = _events(client, job)
    assert [kind for kind, _ in events][-1] == "done"
    assert {kind for kind, _ in events} <= {"waiting", "running", "done"}
    shares = [facts["share"] for _, facts in events]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    facts = client.get(f"/jobs/{job}").json()
    assert facts == events[-1][1]
    (sample,) = facts["result"]["samples"]
    given = [(note["onset_ticks"], note["pitch"]) for note in sample["notes"] if not note["is_new"]]
    assert [pitch for _, pitch in sorted(given)] == [67, 69, 71, 72, 74, 67]
    (name,) = sample["files"]["midi"]
    assert name == "tune-harmonize.mid"
    file = client.get(f"/jobs/{job}/files/{name}")
    assert file.headers["content-type"] == "audio/midi"
    assert [track.name for track in symusic.Score.from_midi(file.content).tracks] == list(VOICES)
    assert client.get(f"/jobs/{job}/files/other.mid").status_code == 404
    assert client.delete(f"/jobs/{job}").status_code == 200
    assert client.get(f"/jobs/{job}").status_code == 404


def test_a_form_is_continued_and_infilled_while_the_client_waits(client: httpx.Client, repo_root: Path) -> None:
    tune = (repo_root / "examples" / "twinkle.mid").read_bytes()

    def wait(task: str, options: dict[str, Any]) -> dict[str, Any]:
        form = {"file": ("tune.mid", tune)}
        answer = client.post(f"/{task}?wait=true", files=form, data={"options": json.dumps(options)})
        assert answer.status_code == 200, answer.text
        assert answer.json()["state"] == "done"
        return answer.json()["result"]

    longer = wait("continue", {"num_bars": 1, "seed": 1, "formats": []})
    assert longer["files"] == {}
    assert longer["samples"][0]["notes"]
    options = {"bars": [2, 2], "seed": 1, "formats": []}
    (sample,) = wait("infill", options)["samples"]
    bar = 4 * sample["ticks_per_quarter"]
    assert {note["onset_ticks"] // bar for note in sample["notes"] if note["is_new"]} == {1}


def test_parallel_fifths_are_found_marked_and_mended(client: httpx.Client) -> None:
    body = {"file": {"name": "fifths.abc", "text": FIFTHS}, "rules": ["parallel-fifths"]}
    found = client.post("/check?wait=true", json=body | {"formats": ["musicxml"]}).json()["result"]
    (fault,) = found["faults"]
    assert (fault["bar"], fault["beat"], fault["voices"]) == (1, 3, ["Soprano", "Bass"])
    assert found["files"] == {"musicxml": ["fifths-check.musicxml"]}
    asked = body | {"repair": True, "voices": ["alto", "tenor", "bass"]}
    mended = client.post("/check?wait=true", json=asked).json()["result"]
    assert mended["repair"]["faults"] == []
    assert mended["repair"]["num_notes"] >= 1


def test_a_score_is_engraved(client: httpx.Client) -> None:
    result = client.post("/render?wait=true", json={"file": TUNE, "formats": ["svg"]}).json()
    (name,) = result["result"]["files"]["svg"]
    page = client.get(f"/jobs/{result['id']}/files/{name}")
    assert page.headers["content-type"] == "image/svg+xml"
    assert "A Tune" in page.text


def test_jobs_wait_are_refused_canceled_and_fail(client: httpx.Client) -> None:
    asked = {"file": TUNE, "model": "slow"}
    first, second = (client.post("/harmonize", json=asked).json()["id"] for _ in range(2))
    while client.get(f"/jobs/{first}").json()["share"] == 0:
        time.sleep(0.02)
    waiting = client.get(f"/jobs/{second}").json()
    assert (waiting["state"], waiting["ahead"]) == ("waiting", 1)
    refused = client.post("/harmonize", json=asked)
    assert refused.status_code == 503
    assert refused.json()["error"].startswith("The queue is full")
    assert client.post("/render?wait=true", json={"file": TUNE, "formats": ["midi"]}).status_code == 200
    assert client.delete(f"/jobs/{second}").status_code == 200
    with pytest.raises(httpx.ReadTimeout):  # a client that stops waiting
        client.post("/harmonize?wait=true", json=asked, timeout=0.5)
    client.delete(f"/jobs/{first}")
    while client.post("/harmonize", json=asked).status_code == 503:  # all three leave the queue
        time.sleep(0.02)
    third = client.post("/harmonize", json=asked).json()["id"]
    Slow.go_on.set()
    assert _events(client, third)[-1][0] == "failed"
    assert client.get(f"/jobs/{third}").json()["error"].startswith("An internal error occurred.")


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/harmonize", {}, 422, "The field file is missing. Give it."),
        ("/harmonize", {"file": TUNE, "barz": 1}, 422, "There is no field barz. See /v1/docs."),
        ("/harmonize", {"file": TUNE, "temperature": 99}, 422, "temperature is 99.0. Give 0 to 10."),
        ("/harmonize", {"file": TUNE, "model": "none"}, 422, "There is no model 'none' here. Choose chorales, slow."),
        ("/harmonize", {"file": TUNE, "num_samples": 9}, 422, "The number of samples is 9. Give 1 to 4."),
        ("/continue", {"file": TUNE, "num_bars": 99}, 422, "The number of bars is 99. Give 1 to 16."),
        ("/render", {"file": TUNE, "formats": ["gif"]}, 422, "Unknown format 'gif'. Give one or more of midi,"),
        ("/render", {"file": TUNE, "own_voice_db": 99}, 422, "own_voice_db is 99. Give 0 to 24."),
        ("/render", {"file": {"name": "x.mid"}}, 422, "The file needs either text or base64. Give one of the two."),
        ("/render?wait=true", {"file": {"name": "x.mid", "base64": "AAAA"}}, 422, "x.mid"),
        ("/render", {"file": {"name": "x.abc", "text": "X" * 2**22}}, 413, "A request has at most 4,194,304 bytes."),
        ("/render?wait=true", {"file": {"name": "x.abc", "text": "X" * 2**21}}, 422, "x.abc has more than 1,048,576"),
        ("/compose", {}, 404, "Not Found (POST /v1/compose). See /v1/docs."),
    ],
)
def test_errors_say_what_is_wrong_and_what_to_do(
    client: httpx.Client, path: str, body: dict[str, Any], status: int, message: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(message), answer.text


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000])
def test_what_is_not_json_is_refused(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/check", content=body)
    assert answer.json() == {"error": "The body is not an object in JSON. See /v1/docs."}


def test_other_names_and_pages_of_others_are_refused(client: httpx.Client) -> None:
    assert client.get("/info", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/info", headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.get("/info", headers={"Origin": "http://localhost:7860"}).status_code == 200


def test_the_token_is_asked_for_but_not_for_the_description() -> None:
    with served(Service([]), TOKEN) as address, httpx.Client(base_url=f"{address}/v1") as client:
        assert client.get("/info").json() == {
            "error": "The token is missing or wrong. Send Authorization: Bearer TOKEN."
        }
        assert client.get("/info", headers={"Authorization": f"Bearer {TOKEN[:-1]}"}).status_code == 401
        facts = client.get("/info", headers={"Authorization": f"Bearer {TOKEN}"})
        assert facts.status_code == 200
        assert '"max_file_notes":4000,' in facts.text
        assert client.get("/docs").status_code == 200


def test_the_api_is_described_and_the_description_loads_nothing_from_outside(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert {"/harmonize", "/continue", "/infill", "/check", "/render", "/jobs/{job}/events"} <= set(described["paths"])
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))
    assert references <= set(described["components"]["schemas"])
    body = described["paths"]["/infill"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    page = client.get("/docs").text
    assert not re.findall(r"(?:src|href)=\"https?://", page)
    for path in re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))"', page):
        assert client.get(f"{client.base_url.copy_with(path=path)}").status_code == 200


def test_the_client_of_the_documentation_works(
    address: str, repo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (repo_root / "docs" / "serve.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code.splitlines()) <= 20
    assert "http://127.0.0.1:7870" in code
    script = tmp_path / "client.py"
    script.write_text(code.replace("http://127.0.0.1:7870", address), encoding="utf-8")
    (tmp_path / "melody.abc").write_text(TUNE["text"], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["client.py", "melody.abc"])
    runpy.run_path(str(script))
    assert symusic.Score(tmp_path / "melody-harmonize.mid").tracks


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "Other machines can reach 0.0.0.0, and there is no --token. Give one, or leave"),
        (["--token", "short"], "The --token is too short or not ASCII. Give 16 letters or more."),
        (["--port", "70000"], "--port is 70000. Give 1 to 65,535."),
    ],
)
def test_what_the_command_refuses(descant: Callable[..., Any], arguments: list[str], words: str) -> None:
    outcome = descant("serve", *arguments)
    assert outcome.status == 2
    assert words in outcome.err
