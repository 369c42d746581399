"""Which pitches make parallels, on textbook progressions."""

import numpy as np
import pytest

from descant_modeling.decoding.voice_leading import LeadingRules, VoiceLeading, augmented_leaps, key_of_notes
from descant_modeling.evaluation.rules import count_rules
from descant_tokenizers.pianoroll.frames import chorale_of_frames
from descant_tokenizers.tokens.harmony import PieceKey, SoundingNote
from descant_tokenizers.tokens.piece import GridNote

QUARTER = 96


def two_chords(*first: int) -> VoiceLeading:
    """Four voices that hold a chord up to the second quarter."""
    held = [(0, GridNote(0, voice, pitch, QUARTER)) for voice, pitch in enumerate(first)]
    return VoiceLeading(4, held)


def test_fifths_are_not_followed_by_fifths():
    leading = two_chords(67, 64, 55, 48)  # G over C
    leading.add(0, QUARTER, 2 * QUARTER, 69)
    found = leading.parallels(3, QUARTER)
    assert {50, 62} <= found
    assert all(pitch > 48 and abs(69 - pitch) % 12 == 7 for pitch in found)


def test_a_voice_that_stays_makes_no_parallels():
    leading = two_chords(67, 64, 55, 48)
    leading.add(0, QUARTER, 2 * QUARTER, 67)
    assert leading.parallels(3, QUARTER) == set()


def test_octaves_and_unisons_are_not_followed_by_octaves():
    leading = two_chords(72, 67, 64, 48)
    leading.add(0, QUARTER, 2 * QUARTER, 74)
    assert {50, 62, 74} <= leading.parallels(3, QUARTER)
    assert leading.parallels(1, QUARTER) == set()  # a fourth below the soprano is no perfect fifth


def test_fifths_in_contrary_motion_are_free_and_octaves_are_not():
    leading = two_chords(67, 64, 60, 48)
    leading.add(0, QUARTER, 2 * QUARTER, 69)
    assert 38 not in leading.parallels(3, QUARTER)
    leading = two_chords(72, 67, 64, 48)
    leading.add(0, QUARTER, 2 * QUARTER, 74)
    assert 38 in leading.parallels(3, QUARTER)


@pytest.mark.parametrize(
    ("soprano", "bass", "is_hidden"),
    [
        ((67, 72), (50, 53), True),  # into a fifth, both up, with a leap above
        ((67, 72), (45, 48), True),  # into an octave
        ((67, 69), (45, 50), False),  # a step above
        ((67, 72), (57, 53), False),  # contrary motion
        ((67, 72), (53, 53), False),  # the bass stays
        ((67, 72), (48, 52), False),  # into a sixth
        ((72, 67), (50, 48), True),  # both down
    ],
)
def test_hidden_fifths_and_octaves_between_soprano_and_bass(soprano, bass, is_hidden):
    outer = (0, 1)  # the bass is written second
    for writer, other, ranks in ((bass, soprano, (1, 0)), (soprano, bass, (0, 1))):
        held = [(0, GridNote(0, rank, notes[0], QUARTER)) for rank, notes in zip(outer, (soprano, bass), strict=True)]
        leading = VoiceLeading(4, held, outer=outer)
        leading.add(ranks[1], QUARTER, 2 * QUARTER, other[1])
        assert (writer[1] in leading.parallels(ranks[0], QUARTER)) == is_hidden
    inner = VoiceLeading(4, [(0, GridNote(0, 0, 67, QUARTER)), (0, GridNote(0, 2, 52, QUARTER))], outer=outer)
    inner.add(0, QUARTER, 2 * QUARTER, 72)
    assert 60 not in inner.parallels(2, QUARTER)


def test_at_a_phrase_end_only_parallels_are_forbidden():
    """The soprano rises from the fifth to the tonic, and so does the bass below it, or falls."""
    held = [(0, GridNote(0, 0, 60, QUARTER)), (0, GridNote(0, 1, 48, QUARTER))]
    for phrase_ends, expected in (((), {41, 53, 65}), ((QUARTER,), {53, 65})):
        leading = VoiceLeading(4, held, outer=(0, 1), phrase_ends=phrase_ends)
        leading.add(0, QUARTER, 2 * QUARTER, 65)
        assert expected <= leading.parallels(1, QUARTER, last_beat_ticks=0)
        assert (41 in leading.parallels(1, QUARTER, last_beat_ticks=0)) == (not phrase_ends)
    held = [(0, GridNote(0, 0, 67, QUARTER)), (0, GridNote(0, 1, 50, QUARTER))]
    for phrase_ends in ((), (QUARTER,)):
        leading = VoiceLeading(4, held, outer=(0, 1), phrase_ends=phrase_ends)
        leading.add(0, QUARTER, 2 * QUARTER, 72)
        assert (53 in leading.parallels(1, QUARTER)) == (not phrase_ends)


def test_a_note_that_ends_less_than_a_16th_before_counts_as_sung():
    """So does one that reaches the next onset in a file, and ends earlier in tokens."""
    slack = QUARTER // 4
    for gap, is_forbidden in ((0, True), (slack - 1, True), (slack, False)):
        held = [(0, GridNote(0, 0, 67, QUARTER)), (0, GridNote(0, 3, 48, QUARTER - gap))]
        leading = VoiceLeading(4, held, slack_ticks=slack)
        leading.add(0, QUARTER, 2 * QUARTER, 69)
        assert (50 in leading.parallels(3, QUARTER)) == is_forbidden


def test_octaves_from_beat_to_beat_are_found_behind_a_passing_note():
    leading = VoiceLeading(4, [(0, GridNote(0, 0, 72, QUARTER)), (0, GridNote(0, 3, 48, QUARTER // 2))])
    leading.add(3, QUARTER // 2, QUARTER, 47)
    leading.add(0, QUARTER, 2 * QUARTER, 74)
    assert 50 not in leading.parallels(3, QUARTER)
    assert 50 in leading.parallels(3, QUARTER, last_beat_ticks=0)
    assert 48 not in leading.parallels(3, QUARTER, last_beat_ticks=0)


def test_a_note_that_is_known_to_come_counts_as_sung():
    leading = two_chords(67, 64, 60, 48)
    due = [GridNote(QUARTER, 3, 50, QUARTER)]
    assert 69 in leading.parallels(0, QUARTER, due)
    assert leading.parallels(0, QUARTER) == set()


def test_a_rest_between_is_no_motion():
    leading = two_chords(67, 64, 60, 48)
    leading.add(0, 2 * QUARTER, 3 * QUARTER, 69)
    assert leading.parallels(3, 2 * QUARTER) == set()


def test_what_goes_on_sounding_does_not_move():
    leading = VoiceLeading(4, [(0, GridNote(0, 0, 67, 4 * QUARTER)), (0, GridNote(0, 3, 48, QUARTER))])
    assert leading.parallels(3, QUARTER) == set()


A_MINOR, C_MAJOR = PieceKey(9, is_major=False), PieceKey(0, is_major=True)


@pytest.mark.parametrize(
    ("key", "before", "now", "is_augmented"),
    [
        (A_MINOR, 65, 68, True),  # F to G sharp, the augmented second of the minor scale
        (A_MINOR, 68, 65, True),
        (A_MINOR, 64, 68, False),  # E to G sharp
        (C_MAJOR, 65, 71, True),  # F up to B, an augmented fourth
        (C_MAJOR, 65, 59, False),  # F down to B, a diminished fifth
        (C_MAJOR, 60, 62, False),
        (C_MAJOR, 60, 72, False),
    ],
)
def test_leaps_are_augmented_as_they_are_written(key, before, now, is_augmented):
    assert (now in augmented_leaps(key, before)) is is_augmented


def test_a_voice_leaps_neither_by_augmented_intervals_nor_over_an_octave():
    leading = VoiceLeading(1, [(0, GridNote(0, 0, 65, QUARTER))], key=A_MINOR)
    assert {68, 78, 52} <= leading.forbidden(0, QUARTER)
    assert not {77, 53, 67, 69} & leading.forbidden(0, QUARTER)
    assert leading.forbidden(0, 2 * QUARTER) == set()  # behind a rest
    free = VoiceLeading(1, [(0, GridNote(0, 0, 65, QUARTER))], LeadingRules(leaps=False), A_MINOR)
    assert free.forbidden(0, QUARTER) == set()


def test_what_is_forbidden_is_what_the_evaluation_counts():
    for key, name in ((A_MINOR, "A minor"), (C_MAJOR, "C major")):
        for before in range(60, 72):
            leading = VoiceLeading(1, [(0, GridNote(0, 0, before, QUARTER))], key=key)
            for now in range(40, 90):
                line = np.array([[before, now]] * 4)
                found = count_rules(chorale_of_frames(line, key=name), [(0, 127)] * 4).found
                counted = found["augmented_leaps"] + found["wide_leaps"] > 0
                # beyond the octave an augmented leap is a wide one already
                assert counted == (now in leading.forbidden(0, QUARTER)), (name, before, now)


def test_the_key_is_that_of_the_given_notes():
    scale = [(pitch, QUARTER) for pitch in (60, 62, 64, 65, 67, 69, 71, 60, 64, 67)]
    assert key_of_notes(scale) == C_MAJOR
    assert key_of_notes([]) is None


def test_a_copy_goes_its_own_way():
    leading = two_chords(67, 64, 55, 48)
    twin = leading.copy()
    twin.add(0, QUARTER, 2 * QUARTER, 69)
    assert 50 in twin.forbidden(3, QUARTER)
    assert leading.parallels(3, QUARTER) == set()


def dominant_seventh(**options) -> VoiceLeading:
    """G7 on the first beat, the seventh in the alto."""
    held = [(0, GridNote(0, voice, pitch, QUARTER)) for voice, pitch in enumerate((71, 65, 62, 43))]
    return VoiceLeading(4, held, LeadingRules(False, False), beats=(0, QUARTER), **options)


def test_a_seventh_stays_or_falls_by_a_step():
    allowed = set(range(128)) - dominant_seventh().forbidden(1, QUARTER)
    assert allowed == {63, 64, 65}
    for voice in (0, 2, 3):
        assert dominant_seventh().forbidden(voice, QUARTER) == set()


def test_a_seventh_that_was_repeated_is_still_one_and_none_is_at_the_end_of_a_phrase():
    leading = dominant_seventh()
    leading.add(1, QUARTER, 2 * QUARTER, 65)
    leading.add(0, QUARTER, 2 * QUARTER, 72)
    assert set(range(128)) - leading.forbidden(1, 2 * QUARTER) == {63, 64, 65}
    assert dominant_seventh(phrase_ends=(0,)).forbidden(1, QUARTER) == set()


def test_the_seventh_of_a_diminished_chord_is_free():
    held = [(0, GridNote(0, voice, pitch, QUARTER)) for voice, pitch in enumerate((71, 68, 62, 53))]
    assert VoiceLeading(4, held, LeadingRules(False, False), beats=(0, QUARTER)).forbidden(1, QUARTER) == set()


def test_the_last_voice_brings_the_third():
    leading = VoiceLeading(4, (), LeadingRules(False, False), beats=(0,))
    for voice, pitch in ((0, 72), (1, 67), (3, 48)):
        leading.add(voice, 0, QUARTER, pitch)
    without = {pitch % 12 for pitch in leading.forbidden(2, 0)}
    assert without == {0, 7, 10}  # octaves, the fifth, and a bare seventh
    assert VoiceLeading(4, (), LeadingRules(False, False)).forbidden(2, 0) == set()


def test_a_third_that_the_melody_leaves_is_not_enough():
    melody = [SoundingNote(0, QUARTER, 0, 76), SoundingNote(QUARTER, 2 * QUARTER, 0, 72)]
    for alto_ticks, is_enough in ((2 * QUARTER, False), (QUARTER, True)):
        leading = VoiceLeading(4, (), LeadingRules(False, False), beats=(0, QUARTER), given={0: melody})
        for voice, pitch, ticks in ((0, 76, QUARTER), (1, 67, alto_ticks), (3, 48, 2 * QUARTER)):
            leading.add(voice, 0, ticks, pitch)
        assert (60 not in leading.forbidden(2, 0)) == is_enough
        assert 64 not in leading.forbidden(2, 0)
