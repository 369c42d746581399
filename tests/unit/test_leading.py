"""Which pitches make parallels, on textbook progressions."""

from descant_modeling.decoding.leading import VoiceLeading
from descant_tokenizers.tokens.piece import GridNote

QUARTER = 96


def two_chords(*first: int) -> VoiceLeading:
    """Four voices that hold a chord up to the second quarter."""
    held = [(0, GridNote(0, voice, pitch, QUARTER)) for voice, pitch in enumerate(first)]
    return VoiceLeading(4, held)


def test_fifths_are_not_followed_by_fifths():
    leading = two_chords(67, 64, 55, 48)  # G over C
    leading.sing(0, QUARTER, 2 * QUARTER, 69)
    found = leading.parallels(3, QUARTER)
    assert {50, 62} <= found
    assert all(pitch > 48 and abs(69 - pitch) % 12 == 7 for pitch in found)


def test_a_voice_that_stays_makes_no_parallels():
    leading = two_chords(67, 64, 55, 48)
    leading.sing(0, QUARTER, 2 * QUARTER, 67)
    assert leading.parallels(3, QUARTER) == set()


def test_octaves_and_unisons_are_not_followed_by_octaves():
    leading = two_chords(72, 67, 64, 48)
    leading.sing(0, QUARTER, 2 * QUARTER, 74)
    assert {50, 62, 74} <= leading.parallels(3, QUARTER)
    assert leading.parallels(1, QUARTER) == set()  # a fourth below the soprano is no perfect fifth


def test_contrary_motion_is_free():
    leading = two_chords(72, 67, 64, 48)
    leading.sing(0, QUARTER, 2 * QUARTER, 74)
    assert 38 not in leading.parallels(3, QUARTER)


def test_a_note_that_is_known_to_come_counts_as_sung():
    leading = two_chords(67, 64, 60, 48)
    due = [GridNote(QUARTER, 3, 50, QUARTER)]
    assert 69 in leading.parallels(0, QUARTER, due)
    assert leading.parallels(0, QUARTER) == set()


def test_a_rest_between_is_no_motion():
    leading = two_chords(67, 64, 60, 48)
    leading.sing(0, 2 * QUARTER, 3 * QUARTER, 69)
    assert leading.parallels(3, 2 * QUARTER) == set()


def test_what_goes_on_sounding_does_not_move():
    leading = VoiceLeading(4, [(0, GridNote(0, 0, 67, 4 * QUARTER)), (0, GridNote(0, 3, 48, QUARTER))])
    assert leading.parallels(3, QUARTER) == set()
