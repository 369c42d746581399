"""Melodies drawn with the mouse or uploaded from notation, and their way to the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from descant_tokenizers.scores import read_score

ROW, RULER, CELL, HIGHEST = 13, 20, 12, 81  # of the empty editor, in pixels; the highest row's pitch


@pytest.fixture(scope="module")
def page(stage: Any) -> Iterator[Any]:
    stage.echo.may_go_on.set()
    page = stage.open_page(viewport={"width": 1100, "height": 1000})
    yield page
    page.leave()


def _drag(page: Any, start: tuple[float, int], end: tuple[float, int]) -> None:
    """Press, move and let go; places are 16ths and pitches."""
    box = page.locator("descant-editor svg.roll").bounding_box()
    (x, y), (to_x, to_y) = (
        (box["x"] + place * CELL, box["y"] + RULER + (HIGHEST - pitch + 0.5) * ROW) for place, pitch in (start, end)
    )
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move((x + to_x) / 2, (y + to_y) / 2)
    page.mouse.move(to_x, to_y)
    page.mouse.up()


def test_notes_are_drawn_moved_and_stretched_with_the_mouse(page: Any) -> None:
    _drag(page, (0.5, 67), (7.5, 67))  # drawn as long as the pointer goes
    _drag(page, (8.5, 69), (8.5, 69))  # a click: a quarter
    assert page.notes == [[0, 8, 67], [8, 4, 69]]
    _drag(page, (9, 69), (13, 72))  # moved
    assert page.notes == [[0, 8, 67], [12, 4, 72]]
    _drag(page, (7.8, 67), (11.9, 67))  # its edge pulled
    assert page.notes == [[0, 12, 67], [12, 4, 72]]
    page.get_by_role("button", name="Undo").click()
    assert page.notes == [[0, 8, 67], [12, 4, 72]]
    page.write()
    page.wait_for_take(1)
    assert page.given(1) == [67, 72]


def test_a_melody_stands_on_a_staff_too_where_its_notes_are_chosen(page: Any) -> None:
    page.get_by_role("button", name="Clear").click()
    page.type_tune("gabg")
    heads = page.locator("descant-editor .staff g.note")
    heads.nth(3).wait_for()
    assert heads.count() == 4
    assert page.locator("descant-editor .staff g.keySig").count() == 1  # one sharp
    heads.nth(1).click(force=True)
    page.locator("descant-editor .paper .scroller").press("ArrowUp")
    assert page.notes[1] == [4, 4, 70]


def test_one_voice_has_one_note_at_a_time(page: Any) -> None:
    page.get_by_role("button", name="Clear").click()
    _drag(page, (0.5, 67), (15.5, 67))
    _drag(page, (4.5, 72), (4.5, 72))
    assert page.notes == [[0, 4, 67], [4, 4, 72]]


@pytest.mark.parametrize(
    ("name", "meter"), [("au-clair-de-la-lune.musicxml", "4/4"), ("row-your-boat.abc", "6/8"), ("twinkle.mid", "4/4")]
)
def test_notation_is_uploaded_and_goes_to_the_model_note_for_note(
    page: Any, repo_root: Path, name: str, meter: str
) -> None:
    file = repo_root / "examples" / name
    before = page.locator("descant-player").get_by_role("tab").count()
    page.upload(file)
    title = file.stem.replace("-", " ").capitalize()
    page.wait_for_function("t => document.querySelector('descant-editor').value.title === t", arg=title)
    expected = [note.pitch for note in read_score(file).tracks[0].notes]
    assert [note[2] for note in page.notes] == expected
    assert page.get_by_label("Meter").input_value() == meter
    page.write()
    page.wait_for_take(before + 1)
    assert page.given(before + 1) == expected
    assert page.facts(before + 1)["title"] == title


def test_undo_brings_back_what_a_file_replaced_and_a_reload_keeps_everything(stage: Any, repo_root: Path) -> None:
    stage.echo.may_go_on.set()
    page = stage.open_page()
    page.type_tune("gec")
    for name in ("twinkle.mid", "ode-to-joy.mid"):
        page.upload(repo_root / "examples" / name)
        page.get_by_text("“Undo” brings back what was here.").wait_for()
        title = Path(name).stem.replace("-", " ").capitalize()
        page.wait_for_function("t => document.querySelector('descant-editor').value.title === t", arg=title)
    page.get_by_role("button", name="Undo").click()
    page.write()  # the file, note for note
    page.wait_for_take(1)
    expected = [note.pitch for note in read_score(repo_root / "examples/twinkle.mid").tracks[0].notes]
    assert page.given(1) == expected
    page.reload()
    page.wait_for_take(1)
    assert [note[2] for note in page.notes] == expected
    page.write()
    page.wait_for_take(2)
    assert page.given(2) == expected
    page.locator("descant-editor .paper .scroller").press("a")
    assert not page.get_by_text("“Undo” brings back").is_visible()
    page.leave()
