"""Conversion from the editor to a score and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from descant_modeling.app.editor import blank_drawing, drawing_of_score, score_of_drawing
from descant_modeling.app.requests import AppLimits
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, Limits, bars_of, read_score

LIMITS = AppLimits().upload


def _drawn(*notes: tuple[int, int, int], **others: object) -> dict[str, object]:
    return blank_drawing() | {"tracks": [{"name": "Melody", "notes": [list(note) for note in notes]}]} | others


@pytest.mark.parametrize("name", ["ode-to-joy.mid", "old-hundredth.mid", "greensleeves.mid", "row-your-boat.abc"])
def test_an_example_is_the_same_after_the_editor(repo_root: Path, name: str) -> None:
    score = read_score(repo_root / "examples" / name)
    drawing = drawing_of_score(score, "x")
    assert drawing["editable"]
    again = score_of_drawing(drawing, LIMITS)
    unit, own = score.ticks_per_quarter, again.ticks_per_quarter
    notes = [
        [(n.time / t, n.duration / t, n.pitch) for n in s.tracks[0].notes] for s, t in ((score, unit), (again, own))
    ]
    assert notes[0] == notes[1]
    bars = [
        [(b.number, b.start_ticks / t, b.numerator, b.denominator) for b in bars_of(s) if b.number]
        for s, t in ((score, unit), (again, own))
    ]
    assert bars[0] == bars[1]
    assert again.tempos[0].qpm == pytest.approx(score.tempos[0].qpm if score.tempos else 120, abs=0.5)


def test_a_pickup_of_three_sixteenths_is_a_short_bar() -> None:
    score = score_of_drawing(_drawn((0, 3, 67), (3, 16, 72), pickup=3), LIMITS)
    assert [(bar.number, bar.length_ticks) for bar in bars_of(score)] == [(0, 360), (1, 1920)]


def test_several_voices_are_shown_but_not_edited(tmp_path: Path) -> None:
    score = score_of_drawing(_drawn((0, 4, 60)), LIMITS)
    for voice, pitch in zip(VOICES, (72, 67, 60, 48), strict=True):
        track = score.tracks[0].copy()
        track.name = voice
        track.notes[0].pitch = pitch
        score.tracks.append(track)
    drawing = drawing_of_score(score, "four")
    assert not drawing["editable"]
    assert [track["name"] for track in drawing["tracks"]][1:] == list(VOICES)


def test_a_rhythm_finer_than_16ths_is_not_edited(repo_root: Path) -> None:
    score = read_score(repo_root / "examples" / "ode-to-joy.mid")
    score.tracks[0].notes[3].duration -= 7
    assert not drawing_of_score(score, "x")["editable"]


@pytest.mark.parametrize(
    ("drawing", "sentence"),
    [
        (_drawn(), "There is no melody yet"),
        ({}, "The drawing is damaged"),
        (_drawn(pickup="x"), "The drawing is damaged"),
        (_drawn((0, 4, 60), meter=[4, 0]), "out of range"),
        (_drawn((0, 4, 60), meter=[7, 32]), "out of range"),
        (_drawn((0, 4, 60), pickup=16), "out of range"),
        (_drawn((0, 4, 60), tempo=9000), "out of range"),
        (_drawn((0, 4, 127)), "too large"),
        (_drawn((-4, 4, 60)), "too large"),
        (_drawn((0, 0, 60)), "too large"),
        (_drawn((10**9, 4, 60)), "too large"),
        (_drawn((0, 1e400, 60)), "The drawing is damaged"),  # type: ignore[arg-type]
    ],
)
def test_nothing_that_a_browser_sends_is_taken_for_granted(drawing: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        score_of_drawing(drawing, LIMITS)


def test_more_notes_than_allowed_are_refused() -> None:
    drawing = _drawn(*((place, 1, 60) for place in range(11)))
    assert score_of_drawing(drawing, Limits(max_notes=11)).tracks[0].notes
    with pytest.raises(InputError, match=r"at most 2,?000 bars and 10 notes"):
        score_of_drawing(drawing, Limits(max_notes=10))
