"""Single notes of a take on the page: kept, dragged, deleted and added."""

from __future__ import annotations

from typing import Any

ROW = 11


def _model(page: Any) -> list[list[Any]]:
    """The notes as edited: voice, onset and length in quarters, pitch, kept."""
    found: list[list[Any]] = page.evaluate(
        """() => {
          const player = document.querySelector("descant-player"), unit = player.facts.ticks_per_quarter;
          return player.notes.notes.map((n) => [player.facts.voices[n.voice].name, n.onset / unit, n.length / unit,
            n.pitch, n.locked]).sort((a, b) => a[1] - b[1]);
        }"""
    )
    return found


def _of(notes: list[list[Any]], voice: str) -> list[list[Any]]:
    return [note[1:] for note in notes if note[0] == voice]


def _place(page: Any, seconds: float, pitch: int) -> tuple[float, float]:
    """Where a time and a pitch are on the screen."""
    found = page.evaluate(
        """([seconds, pitch]) => {
          const player = document.querySelector("descant-player"), box = player.roll.getBoundingClientRect();
          return [box.left + seconds * player.scale, box.top + (player.high - pitch + 0.5) * player.row];
        }""",
        [seconds, pitch],
    )
    return found[0], found[1]


def _drag(page: Any, start: tuple[float, int], end: tuple[float, int]) -> None:
    page.mouse.move(*_place(page, *start))
    page.mouse.down()
    page.mouse.move(*_place(page, *end), steps=3)
    page.mouse.up()


def test_notes_are_edited_and_kept_while_the_rest_is_written_again(stage: Any) -> None:
    page = stage.open_page(viewport={"width": 1280, "height": 1400})
    stage.echo.may_go_on.set()
    page.type_tune("cccc")  # the alto has F4 four times, the tenor B flat 3, the bass E flat 3; a quarter has 2/3 s
    page.write()
    page.wait_for_take(1)
    page.get_by_role("button", name="Edit notes").click()
    page.locator("descant-player svg.roll").scroll_into_view_if_needed()
    before = _of(_model(page), "Alto")
    assert before == [[place, 1, 65, False] for place in range(4)]

    quarter = 60 / 90
    _drag(page, (0.3 * quarter, 65), (0.3 * quarter, 64))  # down a semitone
    _drag(page, (1.99 * quarter, 65), (2.99 * quarter, 65))  # its right edge: over the next note, which goes
    _drag(page, (3.5 * quarter, 65), (3.5 * quarter, 65))  # a click keeps
    assert _of(_model(page), "Alto") == [[0, 1, 64, True], [1, 2, 65, True], [3, 1, 65, True]]
    _drag(page, (0.5 * quarter, 72), (0.5 * quarter, 74))  # the melody is the user's own
    assert [note[2] for note in _of(_model(page), "Soprano")] == [72] * 4
    page.wait_for_timeout(500)  # or it would be the second click of a double one
    page.mouse.dblclick(*_place(page, 3.5 * quarter, 65))
    assert _of(_model(page), "Alto") == [[0, 1, 64, True], [1, 2, 65, True]]
    page.get_by_label("Voice of added notes").select_option("Alto")
    page.wait_for_timeout(500)
    _drag(page, (3.1 * quarter, 67), (3.1 * quarter, 67))
    assert _of(_model(page), "Alto")[2] == [3, 1, 67, True]
    page.get_by_text("Keeps 3 notes, and your own notes").wait_for()

    page.get_by_role("button", name="Use my edits").click()
    page.wait_for_take(2)
    facts = page.facts(2)
    assert facts["made"] == "Take 1, edited by hand"
    assert [note[3] for note in facts["notes"] if facts["voices"][note[0]]["name"] == "Alto"] == [64, 65, 67]

    roll = page.locator("descant-player .scroller").filter(has=page.locator("svg.roll.editing"))
    roll.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):  # soprano, alto
        roll.press(key)
    assert _of(_model(page), "Alto")[0] == [0, 1, 65, True]
    page.choose("Model", "Transformer with styles (two-styles)")
    page.get_by_role("button", name="Write another take").click()
    page.wait_for_take(3)
    facts = page.facts(3)
    alto = [note for note in facts["notes"] if facts["voices"][note[0]]["name"] == "Alto"]
    assert alto[0][1:4] == [0.0, 0.6667, 65]
    assert "1 note" in facts["made"]
    assert page.given(3) == page.given(1)
    stage.echo.may_go_on.clear()
    page.leave()
