"""A MIDI keyboard on the page: notes are recorded as they are played, and answered with other voices."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest

KEYBOARD = """
() => {
  const input = { name: "Scripted keyboard", onmidimessage: null };
  navigator.requestMIDIAccess = async () => ({ inputs: new Map([["1", input]]), onstatechange: null });
  window.midi = async (status, pitch, place) => { // a message at a time in 16ths from the first bar line
    const live = document.querySelector("descant-editor").played;
    const { audioContext } = await import(new URL("descant/assets/audio.js", document.baseURI));
    const ahead = live.began + place * live.unit - audioContext().currentTime;
    input.onmidimessage({ data: [status, pitch, 80], timeStamp: performance.now() + 1000 * ahead });
  };
}
"""
ON, OFF = 0x90, 0x80


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Iterator[Any]:
    page = open_page()
    page.evaluate(KEYBOARD)
    page.get_by_text("Play it: MIDI keyboard").click()
    page.get_by_role("button", name="Connect a MIDI keyboard").click()
    page.get_by_text("Connected: Scripted keyboard.").wait_for()
    yield page
    page.leave()


def _play(page: Any, *messages: tuple[int, int, float]) -> None:
    for status, pitch, place in messages:
        page.evaluate("([status, pitch, place]) => midi(status, pitch, place)", [status, pitch, place])


def _live(page: Any, what: str) -> Any:
    return page.evaluate(f"() => document.querySelector('descant-editor').{what}")


def test_a_tune_is_recorded_with_its_pickup(page: Any) -> None:
    page.type_tune("gg")
    before = page.notes
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("button", name="Stop recording").wait_for()
    # A pickup of a beat, a note held into the next, one released early, and none quite in time.
    _play(page, (ON, 62, -3.8), (ON, 67, 0.3), (OFF, 62, 0.4), (ON, 69, 3.7), (OFF, 67, 3.9), (OFF, 69, 6.2))
    _play(page, (ON, 71, 7.6), (OFF, 71, 15.8))
    page.get_by_role("button", name="Stop recording").click()
    assert page.notes == [[0, 4, 62], [4, 4, 67], [8, 2, 69], [12, 8, 71]]
    assert _live(page, "value.pickup") == 4
    page.get_by_role("button", name="Undo").click()
    assert page.notes == before
    assert _live(page, "value.pickup") == 0


@pytest.mark.skipif(importlib.util.find_spec("wsproto") is None, reason="needs wsproto, of the extra `app`")
def test_every_note_is_answered_while_it_sounds(page: Any) -> None:
    page.get_by_label("Key of what you play").select_option("G major")
    page.get_by_role("button", name="Play along").click()
    page.get_by_role("button", name="Stop playing").wait_for()
    for place, pitch in enumerate((67, 71, 74)):
        _play(page, (ON, pitch, 4 * place))
        page.wait_for_function(
            f"() => document.querySelector('descant-editor').played.latencies.length === {place + 1}"
        )
    _play(page, (OFF, 74, 15.9))
    page.locator("descant-editor .keyboard [data-pitch='79']").click()  # so the keys on the screen play, early
    page.wait_for_function("() => document.querySelector('descant-editor').played.latencies.length === 4")
    page.get_by_role("button", name="Stop playing").click()
    page.get_by_text("4 notes were answered.").wait_for()
    answers = _live(page, "played.answers")
    assert [name for *_, name in answers] == ["Bass", "Alto", "Tenor"] * 4
    assert [answer[0] for answer in answers[:9:3]] == [0, 4, 8]
    assert [note[:2] for note in page.notes[:3]] == [answer[:2] for answer in answers[:9:3]] == [[0, 4], [4, 4], [8, 1]]
    assert page.locator("descant-editor .answer").count() == 12
    page.get_by_role("button", name="Clear").click()
    assert page.locator("descant-editor .answer").count() == 0


def test_a_browser_without_midi_is_told_so(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.evaluate("() => { navigator.requestMIDIAccess = undefined; }")
    page.get_by_text("Play it: MIDI keyboard").click()
    page.get_by_role("button", name="Connect a MIDI keyboard").click()
    page.get_by_text("This browser has no MIDI.").wait_for()
    page.leave()
