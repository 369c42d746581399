"""The piano roll: what is drawn, how it wraps, and that it says nothing on the terminal."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import pianoroll as pictures
from descant_tokenizers.scores import VOICES, bars_of

TPQ = 480


def piano_roll(score: ScoreTick, path: Path, **options: Any) -> None:
    path.write_bytes(pictures.piano_roll(score, **options))


def four_voices(num_bars: int, *, pickup_beats: int = 0, voices: tuple[str, ...] = VOICES) -> ScoreTick:
    """A score in 3/4, one quarter note a beat and voice."""
    score = ScoreTick(TPQ)
    if pickup_beats:
        score.time_signatures.append(TimeSignatureTick(0, pickup_beats, 4))
    score.time_signatures.append(TimeSignatureTick(pickup_beats * TPQ, 3, 4))
    for rank, voice in enumerate(voices):
        track = TrackTick(voice, 0, False)
        for beat in range(pickup_beats + 3 * num_bars):
            track.notes.append(NoteTick(beat * TPQ, TPQ, 72 - 7 * rank, 80))
        score.tracks.append(track)
    return score


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that piano_roll makes."""
    figures: list[Figure] = []
    draw = pictures._draw

    def keep(*args: object, **options: object) -> Figure:
        figures.append(draw(*args, **options))  # type: ignore[arg-type]
        return figures[-1]

    monkeypatch.setattr(pictures, "_draw", keep)
    return figures


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def bar_labels(figure: Figure) -> list[list[str]]:
    return [[label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes]


def test_the_picture_is_a_png_and_the_same_for_the_same_score(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        piano_roll(four_voices(8), tmp_path / name, is_given=lambda voice, note: voice == "Soprano", title="Tune")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_the_rule_sees_each_note_once_and_the_legend_tells_given_from_added(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    seen: list[tuple[str, int]] = []

    def is_given(voice: str, note: NoteTick) -> bool:
        seen.append((voice, note.time))
        return voice == "Alto"

    piano_roll(four_voices(4), tmp_path / "roll.png", is_given=is_given)
    assert sorted(seen) == sorted((voice, beat * TPQ) for voice in VOICES for beat in range(12))
    assert legend(drawn[0]) == [*VOICES, "given", "added"]


@pytest.mark.parametrize(("given", "expected"), [(True, ["given"]), (False, ["added"]), (None, [])])
def test_the_legend_names_only_what_is_drawn(
    tmp_path: Path, drawn: list[Figure], given: bool | None, expected: list[str]
) -> None:
    rule = None if given is None else lambda voice, note: bool(given)
    piano_roll(four_voices(2, voices=("Soprano",)), tmp_path / "roll.png", is_given=rule)
    assert legend(drawn[0]) == ["Soprano", *expected]


def test_given_and_added_notes_differ_in_more_than_color() -> None:
    given, added = pictures._style("#0072b2", True), pictures._style("#0072b2", False)
    assert "hatch" in given
    assert "hatch" not in added
    assert given["edgecolor"] != added["edgecolor"]


def test_bars_are_numbered_from_one_and_a_pickup_is_bar_zero(tmp_path: Path, drawn: list[Figure]) -> None:
    piano_roll(four_voices(4, pickup_beats=1), tmp_path / "roll.png")
    piano_roll(four_voices(4), tmp_path / "roll.png")
    assert [bar_labels(figure) for figure in drawn] == [[["0", "1", "2", "3", "4"]], [["1", "2", "3", "4"]]]


@pytest.mark.parametrize(
    ("num_bars", "pickup_beats", "sizes"),
    [(1, 0, [1]), (16, 0, [16]), (16, 1, [17]), (17, 0, [12, 5]), (17, 1, [13, 5]), (64, 0, [16] * 4), (0, 1, [1])],
)
def test_long_pieces_wrap_into_even_systems(num_bars: int, pickup_beats: int, sizes: list[int]) -> None:
    systems = pictures._systems(bars_of(four_voices(num_bars, pickup_beats=pickup_beats)))
    assert [len(system) for system in systems] == sizes


def test_the_longest_score_that_is_read_still_has_a_bounded_number_of_systems() -> None:
    systems = pictures._systems(bars_of(four_voices(2000, voices=("Soprano",))))
    assert len(systems) <= 24
    assert sum(map(len, systems)) == 2000


def test_voices_in_unison_share_the_row_and_others_fill_it() -> None:
    score = four_voices(1, voices=("Soprano", "Alto"))
    score.tracks[1].notes[0].pitch = score.tracks[0].notes[0].pitch
    shared = [box for box in pictures._boxes(score, lambda voice, note: False) if box.start_ticks == 0]
    soprano, alto = sorted(shared, key=lambda box: box.track)
    assert (soprano.height, alto.height) == (0.5, 0.5)
    assert soprano.bottom == alto.bottom + 0.5
    assert all(box.height == 1 for box in pictures._boxes(score, lambda voice, note: False) if box.start_ticks > 0)


def test_a_note_held_over_the_end_of_a_system_is_drawn_in_both(tmp_path: Path, drawn: list[Figure]) -> None:
    score = four_voices(32, voices=("Soprano",))
    score.tracks[0].notes[47].duration = 2 * TPQ
    piano_roll(score, tmp_path / "roll.png")
    upper, lower = (axes.collections[-1].get_paths() for axes in drawn[0].axes)
    assert (len(upper), len(lower)) == (48, 49)


@pytest.mark.parametrize("name", ["$x_$", "_hidden", "日本", "\x1b[31mred\n", ""])
def test_any_track_name_and_title_can_be_drawn_quietly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder, name: str
) -> None:
    piano_roll(four_voices(1, voices=(name,)), tmp_path / "roll.png", title=name)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_the_font_cache_is_built_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with pictures._quiet_matplotlib():
        logging.getLogger("matplotlib.font_manager").warning("Matplotlib is building the font cache")
    assert not caplog.records


def test_a_score_without_notes_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pitched notes"):
        piano_roll(ScoreTick(TPQ), tmp_path / "roll.png")
    assert not list(tmp_path.iterdir())


def test_drums_are_left_out(tmp_path: Path, drawn: list[Figure]) -> None:
    score = four_voices(1, voices=("Soprano", "Kit"))
    score.tracks[1].is_drum = True
    piano_roll(score, tmp_path / "roll.png")
    assert legend(drawn[0]) == ["Soprano"]
