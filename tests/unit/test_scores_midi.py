from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits, read_score, read_score_report, write_midi
from descant_tokenizers.scores.midi import parse_midi
from descant_tokenizers.scores.validation import validated

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)
#: The scores below can have more short bars than a file may have by default.
LIMITS = Limits(max_bars=1_000_000)
SIGNATURES = st.tuples(st.integers(1, 32), st.sampled_from([1, 2, 4, 8, 16, 32]))


@st.composite
def scores(draw: st.DrawFn) -> ScoreTick:
    """Scores with every kind of event that is kept from a MIDI file."""
    score = ScoreTick(draw(st.sampled_from([24, 96, 480, 960, 32_000])))
    for number in range(draw(st.integers(1, 3))):
        track = TrackTick(draw(NAMES), draw(st.integers(0, 127)), number > 0 and draw(st.booleans()))
        time = 0
        for gap, duration, pitch, velocity in draw(
            st.lists(
                st.tuples(st.integers(0, 5_000), st.integers(1, 5_000), st.integers(0, 127), st.integers(1, 127)),
                min_size=1,
                max_size=6,
            )
        ):
            track.notes.append(NoteTick(time + gap, duration, pitch, velocity))
            time += gap + draw(st.integers(0, duration))
        score.tracks.append(track)
    for time, signature in draw(st.dictionaries(st.integers(0, 9_000), SIGNATURES, max_size=4)).items():
        if 4 * score.ticks_per_quarter * signature[0] % signature[1] == 0:
            score.time_signatures.append(TimeSignatureTick(time, *signature))
    for time in draw(st.sets(st.integers(0, 9_000), max_size=4)):
        score.key_signatures.append(KeySignatureTick(time, draw(st.integers(-7, 7)), draw(st.integers(0, 1))))
        score.tempos.append(TempoTick(time, mspq=draw(st.integers(1, 2**24 - 1))))
    return score


def contents(score: ScoreTick) -> list[object]:
    """The full contents of a validated score."""
    return [
        score.ticks_per_quarter,
        [(track.name, track.program, track.is_drum, sorted_notes(track)) for track in score.tracks],
        [(event.time, event.numerator, event.denominator) for event in score.time_signatures],
        [(event.time, event.key, event.tonality) for event in score.key_signatures],
        [(event.time, event.mspq) for event in score.tempos],
    ]


def sorted_notes(track: TrackTick) -> list[tuple[int, int, int, int]]:
    return sorted((note.time, note.pitch, note.duration, note.velocity) for note in track.notes)


@settings(max_examples=50)
@given(scores())
def test_all_that_is_kept_survives_a_round_trip_exactly(score: ScoreTick) -> None:
    path = Path("generated")
    read, _ = parse_midi(path, score.dumps_midi())  # moves time signatures onto bar lines
    clean, _ = validated(path, read, LIMITS)
    read, changes = parse_midi(path, clean.dumps_midi())
    again, repairs = validated(path, read, LIMITS)
    assert changes == repairs == []
    assert contents(again) == contents(clean)


@settings(max_examples=50)
@given(scores())
def test_validation_leaves_no_overlap_and_loses_no_onset(score: ScoreTick) -> None:
    clean, _ = validated(Path("generated"), score, LIMITS)
    for before, after in zip(score.tracks, clean.tracks, strict=True):
        assert {(note.time, note.pitch) for note in before.notes} == {(note.time, note.pitch) for note in after.notes}
        by_pitch: dict[int, int] = {}
        for note in after.notes:
            assert note.time >= by_pitch.get(note.pitch, 0)
            by_pitch[note.pitch] = note.time + note.duration


def test_more_tracks_than_channels_survive() -> None:
    score = ScoreTick(480)
    for number in range(40):
        track = TrackTick(f"Part {number}", number, number == 9)
        track.notes.append(NoteTick(number, 480, 40 + number, 1 + number))
        score.tracks.append(track)
    again, _ = parse_midi(Path("generated"), score.dumps_midi())
    assert contents(again) == contents(score)


def melody() -> ScoreTick:
    score = ScoreTick(480)
    track = TrackTick("Melody", 52, False)
    track.notes.append(NoteTick(0, 480, 67, 80))
    score.tracks.append(track)
    return score


def test_writing_creates_the_folder_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "out" / "tune.mid"
    write_midi(melody(), path)
    assert contents(read_score(path)) == contents(melody())


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "tune.mid"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"tune\.mid already exists. Add --force"):
        write_midi(melody(), path)
    assert path.read_bytes() == b"mine"
    write_midi(melody(), path, force=True)
    assert contents(read_score(path)) == contents(melody())
    assert os.listdir(tmp_path) == ["tune.mid"]


def test_a_folder_cannot_be_written_over(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        write_midi(melody(), tmp_path, force=True)


def test_the_same_score_gives_the_same_bytes(tmp_path: Path) -> None:
    write_midi(melody(), tmp_path / "a.mid")
    write_midi(melody(), tmp_path / "b.mid")
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_repairs_are_told(tmp_path: Path) -> None:
    score = melody()
    for note in [(240, 480, 67), (240, 240, 67), (1000, 0, 70)]:
        score.tracks[0].notes.append(NoteTick(*note, 80))
    clean, repairs = validated(tmp_path, score, Limits())
    assert [(note.time, note.duration) for note in clean.tracks[0].notes] == [(0, 240), (240, 480)]
    assert repairs == [
        "track 1 'Melody': 1 note of no length dropped",
        "track 1 'Melody': 1 note struck twice at once dropped",
        "track 1 'Melody': 1 note still sounding when the same pitch was struck again cut short",
    ]


def test_events_after_the_last_note_and_of_impossible_value_are_dropped(tmp_path: Path) -> None:
    score = melody()
    score.time_signatures = [TimeSignatureTick(0, 3, 4), TimeSignatureTick(2**20, 4, 4)]
    score.key_signatures = [KeySignatureTick(0, 9, 0), KeySignatureTick(10, -2, 1)]
    score.tempos = [TempoTick(0, mspq=500_000), TempoTick(0, mspq=600_000), TempoTick(5, mspq=0)]
    clean, repairs = validated(tmp_path, score, Limits())
    assert contents(clean)[2:] == [[(0, 3, 4)], [(10, -2, 1)], [(0, 600_000)]]
    assert repairs == [
        "1 key signature of more than 7 sharps or flats dropped",
        "1 tempo of 0 or fewer than 4 quarters per minute dropped",
    ]


def test_names_become_printable(tmp_path: Path) -> None:
    score = melody()
    score.tracks[0].name = "\x1b[2JSoprano\0\n " + "x" * 200
    write_midi(score, tmp_path / "tune.mid")
    name = read_score_report(tmp_path / "tune.mid").score.tracks[0].name
    assert name.startswith("[2JSoprano xxx")
    assert len(name) == 80
