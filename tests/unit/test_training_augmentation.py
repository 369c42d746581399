"""Chorales in other meters and with ornaments: the same music, in notes that the vocabulary has."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_pieces import small_piece

from descant_modeling.training.augmentation import (
    METER_CHANGES,
    MeterChange,
    in_other_meter,
    ornament,
    other_meters,
    with_minor_ending,
)
from descant_tokenizers.tokens.harmony import ChordLabel, PieceKey, beat_chords, beats, sounding_notes
from descant_tokenizers.tokens.hints import Annotations
from descant_tokenizers.tokens.piece import Piece, parse_piece, piece_ids

QUARTER = 96
NAMES = ("bwv36.8-2", "bwv43.11", "bwv66.6", "bwv119.9", "bwv123.6", "bwv269")
SLOWER = MeterChange(1, 2, False, 0, "beat")


def line_of(piece, voice):
    return [note for note in sounding_notes(piece) if note.voice == voice]


def assert_encodable(vocabulary, piece):
    assert parse_piece(vocabulary, piece_ids(vocabulary, piece)) == piece
    for bar in piece.bars:
        assert all(note.offset_ticks < bar.meter.bar_ticks for note in bar.notes)
    for voice in piece.voices:
        for note, after in pairwise(line_of(piece, voice)):
            assert note.end_ticks <= after.start_ticks


@pytest.mark.parametrize("change", METER_CHANGES, ids=str)
def test_a_piece_in_another_meter_has_the_same_notes_in_order(hint_vocabulary, hinted_chorales, change):
    num_moved = 0
    for name, (piece, known) in hinted_chorales.items():
        moved = in_other_meter(hint_vocabulary, piece, replace(known, chords=beat_chords(piece)), change)
        if moved is None:
            continue
        num_moved += 1
        result, said = moved
        assert_encodable(hint_vocabulary, result)
        assert result.voices == piece.voices
        times = {}  # new by old, of onsets and ends
        for voice in piece.voices:
            before, after = line_of(piece, voice), line_of(result, voice)
            assert [note.pitch for note in after] == [note.pitch for note in before]
            for old, new in zip(before, after, strict=True):
                for key, value in ((old.start_ticks, new.start_ticks), (old.end_ticks, new.end_ticks)):
                    assert times.setdefault(key, value) == value, "what sounds together stays together"
        assert all(a < b for (_, a), (_, b) in pairwise(sorted(times.items())))
        quarter = change.units * QUARTER * 4 // change.denominator
        assert all(new == old // QUARTER * quarter for old, new in times.items() if old % QUARTER == 0)
        assert said.phrase_ends == tuple(times[end] for end in known.phrase_ends)
        assert {note.start_ticks for note in sounding_notes(result)}.issuperset(said.phrase_ends)
        assert (said.key, said.ends, said.chords) == (known.key, True, None)
        assert said.harmonic_rhythm == change.harmonic_rhythm
        assert result.bar_starts_ticks()[-1] == piece.bar_starts_ticks()[-1] // QUARTER * quarter, name
        assert len({bar.meter for bar in result.bars[1:]}) == len({bar.meter for bar in piece.bars[1:]}) == 1
        assert {bar.meter.denominator for bar in result.bars} == {change.denominator}
        if change.harmonic_rhythm == "beat":
            assert len(beats(result)) == len(beats(piece))
        elif change.harmonic_rhythm == "bar":
            assert len(result.bars) == len(beats(piece))
    assert num_moved >= 2


def test_a_picardy_third_at_the_end_is_lowered_and_nothing_else(hinted_chorales):
    num_lowered = 0
    for name, (piece, known) in hinted_chorales.items():
        before, after = sounding_notes(piece), sounding_notes(with_minor_ending(piece, known.key))
        end = max(note.end_ticks for note in before)
        changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
        for old, new in changed:
            assert new == replace(old, pitch=old.pitch - 1), name
            assert (old.end_ticks, (old.pitch - known.key.tonic) % 12) == (end, 4), name
        has_picardy = any(note.end_ticks == end and (note.pitch - known.key.tonic) % 12 == 4 for note in before)
        assert bool(changed) == (has_picardy and not known.key.is_major), name
        num_lowered += bool(changed)
    assert num_lowered >= 1


def test_pieces_are_moved_to_the_meters_that_are_named(hint_vocabulary, hinted_chorales):
    def meter_of(piece):
        meters = [f"{bar.meter.numerator}/{bar.meter.denominator}" for bar in piece.bars]
        return max(meters, key=meters.count)

    found = {}
    for piece, known in hinted_chorales.values():
        for change in METER_CHANGES:
            if (moved := in_other_meter(hint_vocabulary, piece, known, change)) is not None:
                found.setdefault(meter_of(piece), set()).add(meter_of(moved[0]))
    assert found["4/4"] == other_meters(hint_vocabulary, "4/4") == {"12/8", "6/8", "4/2", "4/4", "3/4"}
    assert found["3/4"] <= other_meters(hint_vocabulary, "3/4") == {"9/8", "3/2", "3/4", "6/8"}
    assert other_meters(hint_vocabulary, "6/8") == set()


def test_the_second_half_of_a_quarter_gets_a_third_in_compound_meters(hint_vocabulary):
    piece = small_piece(hint_vocabulary, [(2, 4)], soprano="C5:1/2 D5:1/2 E5:3/4 F5:1/4")
    expected = {
        METER_CHANGES[0]: ((6, 8), [1, 0.5, 1.25, 0.25]),
        METER_CHANGES[2]: ((2, 2), [1, 1, 1.5, 0.5]),
        METER_CHANGES[4]: ((3, 4), [2, 1, 2.5, 0.5]),
    }
    for change, (meter, lengths) in expected.items():
        moved, _ = in_other_meter(hint_vocabulary, piece, Annotations(), change)
        assert moved.bars[0].meter[:2] == meter
        durations = [(note.end_ticks - note.start_ticks) / QUARTER for note in line_of(moved, 0)]
        assert durations == lengths


@pytest.mark.parametrize(
    ("meters", "change"),
    [
        ([(3, 2)], METER_CHANGES[0]),  # not in quarters
        ([(4, 4), (6, 8)], METER_CHANGES[0]),
        ([(5, 4)], METER_CHANGES[0]),  # there is no 15/8
        ([(7, 4)], SLOWER),  # nor 7/2
        ([(3, 4), (3, 4)], METER_CHANGES[1]),  # bars of three in bars of two
    ],
)
def test_what_cannot_be_written_in_another_meter_stays(hint_vocabulary, meters, change):
    piece = small_piece(hint_vocabulary, meters, soprano="C5 D5")
    assert in_other_meter(hint_vocabulary, piece, Annotations(), change) is None


def test_a_rhythm_that_another_meter_does_not_have_stays(hint_vocabulary):
    piece = small_piece(hint_vocabulary, [(1, 4)], soprano="C5:1/3 D5:1/3 E5:1/3")
    assert in_other_meter(hint_vocabulary, piece, Annotations(), METER_CHANGES[0]) is None
    assert in_other_meter(hint_vocabulary, piece, Annotations(), SLOWER) is not None
    long = small_piece(hint_vocabulary, [(9, 4)], soprano="C5:9")
    assert in_other_meter(hint_vocabulary, long, Annotations(), METER_CHANGES[5]) is None


@settings(max_examples=200)
@given(st.sampled_from(NAMES), st.integers(0, 1 << 30), st.sampled_from([0.3, 0.6, 0.95, 1.0]), st.integers(-1, 5))
def test_an_ornamented_melody_keeps_its_harmony_and_its_frame(
    hint_vocabulary, hinted_chorales, name, seed, share, place
):
    piece, known = hinted_chorales[name]
    if place >= 0 and (moved := in_other_meter(hint_vocabulary, piece, known, METER_CHANGES[place])) is not None:
        piece, known = moved
    known = replace(known, chords=beat_chords(piece))
    result = ornament(hint_vocabulary, piece, 0, known, np.random.default_rng(seed), share)
    assert result == ornament(hint_vocabulary, piece, 0, known, np.random.default_rng(seed), share)
    assert [bar.meter for bar in result.bars] == [bar.meter for bar in piece.bars]
    assert result.keep_voices((1, 2, 3)) == piece.keep_voices((1, 2, 3))
    assert_encodable(hint_vocabulary, result)
    assert_same_frame(line_of(piece, 0), line_of(result, 0))


def assert_same_frame(before, after):
    """Every old note is there from its onset on, perhaps after a leaning note, and ends in time or with a rest."""
    for old in before:
        inside = [note for note in after if old.start_ticks <= note.start_ticks < old.end_ticks]
        first = inside[0]
        assert first.start_ticks == old.start_ticks
        if first.pitch != old.pitch:
            assert abs(first.pitch - old.pitch) <= 3, "a leaning note is a step away"
            assert {note.pitch for note in inside[1:]} == {old.pitch}
        assert all(note.end_ticks == following.start_ticks for note, following in pairwise(inside))
        assert inside[-1].end_ticks <= old.end_ticks
        if len(inside) == 1 and inside[0].end_ticks == old.end_ticks:
            assert inside[0].pitch == old.pitch
    assert len(after) >= len(before)


def test_the_share_of_divided_notes_is_as_asked(hint_vocabulary, hinted_chorales):
    piece, known = hinted_chorales["bwv269"]
    long = [note for note in line_of(piece, 0) if note.end_ticks - note.start_ticks >= QUARTER]
    shares = []
    for share in (0.0, 0.3, 0.9):
        divided = 0
        for seed in range(20):
            result = ornament(
                hint_vocabulary, piece, 0, replace(known, phrase_ends=None), np.random.default_rng(seed), share
            )
            kept = set(line_of(result, 0))
            divided += sum(note not in kept for note in long)
        shares.append(divided / (20 * len(long)))
    assert shares[0] == 0
    assert shares[1] == pytest.approx(0.3, abs=0.06)
    assert shares[2] == pytest.approx(0.9, abs=0.06)


def test_the_last_notes_of_phrases_move_least(hint_vocabulary, hinted_chorales):
    piece, known = hinted_chorales["bwv66.6"]
    divided = {True: [], False: []}
    for seed in range(40):
        kept = set(line_of(ornament(hint_vocabulary, piece, 0, known, np.random.default_rng(seed), 0.9), 0))
        for note in line_of(piece, 0):
            if note.end_ticks - note.start_ticks >= QUARTER:
                divided[note.start_ticks in known.phrase_ends].append(note not in kept)
    assert np.mean(divided[True]) < 0.3 < 0.7 < np.mean(divided[False])


def drawn_pitch_classes(hint_vocabulary, piece, known):
    """Return all pitch classes of many ornaments."""
    results = (ornament(hint_vocabulary, piece, 0, known, np.random.default_rng(seed), 1.0) for seed in range(200))
    return {note.pitch % 12 for result in results for note in line_of(result, 0)}


def test_added_notes_are_of_the_key_and_the_chord(hint_vocabulary):
    piece = small_piece(hint_vocabulary, [(4, 4)], soprano="G4:2 G4:2")
    major = Annotations(key=PieceKey(0, True))
    assert drawn_pitch_classes(hint_vocabulary, piece, major) == {5, 7, 9}
    flat = Annotations(key=PieceKey(3, True))
    assert drawn_pitch_classes(hint_vocabulary, piece, flat) == {5, 7, 8}
    chord = {0: ChordLabel(3, "maj", 0), 2 * QUARTER: None}
    assert drawn_pitch_classes(hint_vocabulary, piece, replace(flat, chords=chord)) == {3, 5, 7, 8, 10}


def test_the_chord_of_the_beat_before_counts_after_a_pickup_too(hint_vocabulary):
    piece = small_piece(hint_vocabulary, [(1, 8), (2, 4)], soprano="G4:1/2 G4:1/2 G4:1", bass="- C3")
    known = Annotations(key=PieceKey(0, True), chords={QUARTER // 2: None, 3 * QUARTER // 2: ChordLabel(10, "min", 0)})
    before = drawn_pitch_classes(hint_vocabulary, piece, known)
    known = replace(known, chords={QUARTER // 2: ChordLabel(10, "min", 0)})
    assert drawn_pitch_classes(hint_vocabulary, piece, known) - before == {10, 1}


def test_nothing_but_the_melody_is_needed(hint_vocabulary, hinted_chorales):
    piece, _ = hinted_chorales["bwv66.6"]
    melody = piece.keep_voices((0,))
    result = ornament(hint_vocabulary, melody, 0, Annotations(), np.random.default_rng(1), 1.0)
    assert result != melody
    assert_same_frame(line_of(melody, 0), line_of(result, 0))
    silent = Piece(tuple(replace(bar, notes=()) for bar in piece.bars))
    assert ornament(hint_vocabulary, silent, 0, Annotations(), np.random.default_rng(1), 1.0) == silent
