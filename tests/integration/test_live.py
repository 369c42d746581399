"""Playing along: notes answered one by one, over a websocket and by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from serving import served
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from descant_modeling.api import load
from descant_modeling.app import live
from descant_modeling.app.guard import LOCAL_NAMES, Guard
from descant_modeling.app.http_api import OPEN_PATHS
from descant_modeling.app.server import make_server
from descant_modeling.app.service import Service
from descant_modeling.decoding import live as decoding
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.live import Accompanist
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.piece import parse_piece

TUNE = (67, 69, 71, 72, 74, 72, 71, 69, 67, 66, 64, 62, 67, 71, 69, 67)  # in G major


@pytest.fixture(scope="module")
def generator() -> FourPartGenerator:
    found = load("chorales", "cpu").generator
    assert isinstance(found, FourPartGenerator)
    return found


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    found = Service(["chorales"])
    yield found
    found.reader.close()


def _accompanist(generator: FourPartGenerator, *, key: str | None = "G major", seed: int = 0) -> Accompanist:
    return generator.accompanist((4, 4), key, GenerationConfig(seed=seed))


def test_every_note_gets_three_below_it(generator: FourPartGenerator) -> None:
    accompanist = _accompanist(generator)
    for index, pitch in enumerate(TUNE * 3):
        voices = accompanist.answer(4 * index, pitch)
        assert set(voices) == {"Alto", "Tenor", "Bass"}
        assert pitch >= voices["Alto"] >= voices["Tenor"] >= voices["Bass"]
        accompanist.prepare()


def test_the_cache_holds_what_a_new_reading_gives(generator: FourPartGenerator) -> None:
    # The guessed length of a note is put right in the cache: short, long and released notes in turn.
    accompanist = _accompanist(generator)
    for onset, end in ((0, None), (4, None), (5, None), (6, 8), (16, None), (23, None), (24, None)):
        accompanist.answer(onset, TUNE[onset % 16])
        if end is not None:
            accompanist.release(end)
    (window,) = accompanist._windows
    assert window.engine.lengths == [len(window.ids)]
    fresh = generator.model.start(len(window.ids))
    fresh.append([window.ids])
    probe = [generator.vocabulary.bar_id]
    np.testing.assert_allclose(window.engine.append([probe]), fresh.append([probe]), atol=1e-3)
    start = window.ids.index(generator.vocabulary.bar_id)
    settled = parse_piece(generator.vocabulary, window.ids[start : window.num_settled])
    starts = settled.bar_starts_ticks()
    soprano = [(s + n.offset_ticks, n.duration_ticks) for s, b in zip(starts, settled.bars, strict=False)
               for n in b.notes if n.voice == 0]  # fmt: skip
    unit = generator.vocabulary.ticks_per_quarter // 4
    assert soprano == [(unit * at, unit * length) for at, length in ((0, 4), (4, 1), (5, 1), (6, 2), (16, 7), (23, 1))]


def test_a_long_session_stays_short(generator: FourPartGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_WINDOW_TOKENS", 200)
    accompanist = _accompanist(generator)
    for index in range(120):
        assert len(accompanist.answer(4 * index, TUNE[index % len(TUNE)])) == 3
        accompanist.prepare()
        assert len(accompanist._windows) <= 2
        for window in accompanist._windows:
            assert len(window.ids) < 200 + 40
            assert window.engine.lengths[0] <= len(window.ids)
    assert accompanist._windows[0].first_bar > 0


def test_the_same_seed_gives_the_same_voices(generator: FourPartGenerator) -> None:
    def played(seed: int) -> list[dict[str, int]]:
        accompanist = _accompanist(generator, seed=seed)
        return [accompanist.answer(4 * index, pitch) for index, pitch in enumerate(TUNE)]

    assert played(1) == played(1)
    assert played(1) != played(2)


def test_the_voices_move_as_the_rules_say(generator: FourPartGenerator) -> None:
    accompanist = _accompanist(generator)
    chords = [[pitch, *accompanist.answer(4 * index, pitch).values()] for index, pitch in enumerate(TUNE * 4)]
    parallels = 0
    for before, after in pairwise(chords):
        for upper in range(4):
            for lower in range(upper + 1, 4):
                size, moves = abs(before[upper] - before[lower]) % 12, after[upper] - before[upper]
                same = size in (0, 7) and abs(after[upper] - after[lower]) % 12 == size
                parallels += same and moves * (after[lower] - before[lower]) > 0
    assert parallels <= 1


def test_odd_notes_do_no_harm(generator: FourPartGenerator) -> None:
    accompanist = _accompanist(generator, key=None)
    for onset, pitch in ((0, 0), (0, 127), (3, 60), (2, 60), (500, 36), (501, 21)):
        assert set(accompanist.answer(onset, pitch)) == {"Alto", "Tenor", "Bass"}
    accompanist.release(0)
    with pytest.raises(InputError, match="2,048 bars"):
        accompanist.answer(16 * 2048, 60)
    with pytest.raises(InputError, match="time signature 13/8"):
        generator.accompanist((13, 8), None, GenerationConfig())


# ------------------------------------------------------------------------------------------------- the websocket


def test_notes_are_answered_over_a_websocket(service: Service) -> None:
    client = TestClient(make_server(service))
    with client.websocket_connect("/v1/live") as socket:
        socket.send_json({"key": "G major", "seed": 1})
        assert socket.receive_json() == {"ready": True, "model": "chorales"}
        for index, pitch in enumerate(TUNE[:8]):
            socket.send_json({"onset": 4 * index, "pitch": pitch})
            answer = socket.receive_json()
            assert (answer["onset"], answer["pitch"]) == (4 * index, pitch)
            assert set(answer["voices"]) == {"Alto", "Tenor", "Bass"}
        socket.send_json({"end": 31})
        socket.send_json({"onset": 40, "pitch": 67, "end": 32})
        assert socket.receive_json()["onset"] == 40


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        (["x"], "cannot be read"),
        (['{"colour": 1}'], "no field colour"),
        (['{"model": "gan"}'], "gan cannot play along. Choose chorales."),
        (['{"meter": [13, 8]}'], "13/8"),
        (['{"key": "H major"}'], "H major"),
        (["{}", "{}"], "Send onset and pitch, or end."),
        (["{}", '{"onset": 1, "pitch": 200}'], "pitch cannot be read"),
        (["{}", " " * 1001], "1,000 letters"),
    ],
)
def test_what_is_wrong_is_said_before_the_socket_closes(service: Service, messages: list[str], error: str) -> None:
    client = TestClient(make_server(service))
    with client.websocket_connect("/v1/live") as socket:
        for place, message in enumerate(messages):
            if place:
                assert socket.receive_json()["ready"]
            socket.send_text(message)
        assert error in socket.receive_json()["error"]
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1008


def test_sessions_are_bounded_and_idle_ones_end(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_SESSIONS", 1)
    client = TestClient(make_server(service))
    with client.websocket_connect("/v1/live") as first, client.websocket_connect("/v1/live") as second:
        assert "Close one." in second.receive_json()["error"]
        first.send_json({})
        assert first.receive_json()["ready"]
    monkeypatch.setattr(live, "_IDLE_SECONDS", 0.05)
    with client.websocket_connect("/v1/live") as socket:
        assert "Start again." in socket.receive_json()["error"]


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"host": "evil.example"}, None),
        ({"host": "localhost", "origin": "http://evil.example"}, None),
        ({"host": "localhost"}, "a-token-of-the-tests"),
    ],
)
def test_strangers_are_refused(service: Service, headers: dict[str, str], token: str | None) -> None:
    app = Guard(make_server(service), 1 << 20, LOCAL_NAMES, token, OPEN_PATHS)
    with pytest.raises(WebSocketDisconnect), TestClient(app).websocket_connect("/v1/live", headers=headers):
        pass
    if token:
        allowed = headers | {"authorization": f"Bearer {token}"}
        with TestClient(app).websocket_connect("/v1/live", headers=allowed) as socket:
            socket.send_json({})
            assert socket.receive_json()["ready"]


def test_a_real_server_speaks_websocket(service: Service) -> None:
    wsproto = pytest.importorskip("wsproto", reason="the extra app has wsproto")
    import socket as sockets

    connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    with served(service) as address:
        host, port = address.removeprefix("http://").split(":")
        with sockets.create_connection((host, int(port)), timeout=20) as raw:
            raw.sendall(connection.send(wsproto.events.Request(host=f"{host}:{port}", target="/v1/live")))
            texts: list[str] = []
            sent, deadline = False, time.monotonic() + 20
            while not texts and time.monotonic() < deadline:
                connection.receive_data(raw.recv(4096))
                for event in connection.events():
                    if isinstance(event, wsproto.events.AcceptConnection) and not sent:
                        raw.sendall(connection.send(wsproto.events.TextMessage(data="{}")))
                        sent = True
                    if isinstance(event, wsproto.events.TextMessage):
                        texts.append(event.data)
    assert texts == ['{"ready":true,"model":"chorales"}']
