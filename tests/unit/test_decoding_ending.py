"""Which pitches and chords may end a harmony that is held to the tonic."""

import numpy as np
import pytest

from descant_modeling.decoding.ending import Closing, tonic_ending
from descant_tokenizers.tokens.harmony import ChordLabel, PieceKey
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece
from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.vocabulary import Meter, Vocabulary

S, B, A, T = range(4)
QUARTER = 96
BAR = Meter(4, 4, QUARTER, QUARTER // 4)
MAJOR, MINOR = ChordLabel(0, "maj", 0), ChordLabel(0, "min", 0)
C_MAJOR, C_MINOR = PieceKey(0, True), PieceKey(0, False)


def one_bar(*notes: tuple[int, int, int, int]) -> Piece:
    """A bar of (quarter, voice, pitch, length in quarters)."""
    return Piece((GridBar(BAR, tuple(GridNote(q * QUARTER, v, p, n * QUARTER) for q, v, p, n in notes)),))


@pytest.mark.parametrize(
    ("last", "key", "chords"),
    [
        (72, C_MAJOR, (MAJOR,)),
        (76, C_MAJOR, (MAJOR,)),
        (72, C_MINOR, (MINOR, MAJOR)),
        (75, C_MINOR, (MINOR,)),
        (76, C_MINOR, (MAJOR,)),
        (74, C_MAJOR, None),
        (75, C_MAJOR, None),
    ],
)
def test_the_last_note_of_the_melody_chooses_the_third(last, key, chords):
    ending = tonic_ending(one_bar((0, S, 74, 2), (2, S, last, 2)), (B, A, T), B, key)
    assert (None if ending is None else ending.chords) == chords
    assert ending is None or (ending.start_ticks, ending.given) == (2 * QUARTER, {S: last})


def test_it_begins_with_the_last_note_of_all_given_voices_and_needs_the_root_in_a_given_bass():
    soprano, alto = (0, S, 72, 4), (3, A, 64, 1)
    ending = tonic_ending(one_bar(soprano, (0, A, 65, 3), alto), (B, T), B, C_MAJOR)
    assert ending is not None
    assert (ending.start_ticks, ending.given) == (3 * QUARTER, {S: 72, A: 64})
    assert tonic_ending(one_bar(soprano, (0, B, 48, 4)), (A, T), B, C_MAJOR) is not None
    assert tonic_ending(one_bar(soprano, (0, B, 52, 4)), (A, T), B, C_MAJOR) is None
    assert tonic_ending(one_bar(soprano), (S, B, A, T), B, C_MAJOR) is None  # nothing is given


@pytest.fixture
def closing():
    ending = tonic_ending(one_bar((0, S, 74, 2), (2, S, 72, 2)), (B, A, T), B, C_MINOR)
    assert ending is not None
    return Closing(ending)


def test_the_bass_has_the_root_below_all_others(closing):
    assert closing.best_pitches(B, is_last=False) == {12 * octave for octave in range(7)}
    closing.add(A, 4 * QUARTER, 55)
    assert max(closing.best_pitches(B, is_last=True)) == 48
    closing.add(B, 4 * QUARTER, 48)
    assert min(closing.best_pitches(T, is_last=False)) == 48


def test_one_third_is_chosen_and_the_last_voice_brings_it(closing):
    assert {63, 64} < closing.best_pitches(A, is_last=False)
    twin = closing.copy()
    assert {pitch % 12 for pitch in closing.best_pitches(T, is_last=True)} == {3, 4}
    closing.add(A, 4 * QUARTER, 63)
    assert closing.chords == (MINOR,)
    assert 64 not in closing.pitches(T)
    assert {pitch % 12 for pitch in closing.best_pitches(T, is_last=True)} == {0, 3, 7}
    assert 64 in twin.pitches(T)


def test_a_note_that_ends_before_does_not_count(closing):
    closing.add(A, 2 * QUARTER, 64)
    assert closing.chords == (MINOR, MAJOR)


def test_a_chord_that_was_written_is_kept(closing):
    closing.choose(MAJOR)
    assert 63 not in closing.pitches(A)
    assert 64 in closing.pitches(A)


def test_where_the_root_makes_parallels_the_bass_has_the_third(closing):
    vocabulary = Vocabulary(build_tokenizer("satb"))
    legal = np.zeros(vocabulary.size, dtype=bool)
    legal[[vocabulary.pitch_id[pitch] for pitch in (43, 47, 50, 51, 53)]] = True  # without 48, which `without` removed
    kept = closing.keep_pitches(legal, vocabulary, B, is_last=True)
    assert [pitch for pitch, token in vocabulary.pitch_id.items() if kept[token]] == [51]
