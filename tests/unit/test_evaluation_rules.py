"""Rules of voice leading on textbook examples written for these tests."""

import numpy as np
import pytest
from chorale_examples import example
from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick

from descant_modeling.evaluation.rules import RULES, count_rules
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, chorale_of_harmony, chorale_of_score

RANGES = [(60, 81), (52, 74), (46, 69), (36, 66)]


def score_of(tracks):
    """Return a score of 24 ticks per quarter with tracks of (onset, length, pitch)."""
    score = ScoreTick(24)
    for name, notes in tracks.items():
        track = TrackTick(name, 0, False)
        track.notes.extend(NoteTickList(NoteTick(*note, 80) for note in notes))
        score.tracks.append(track)
    return score


def broken(chorale, ranges=RANGES):
    return {rule: n for rule, n in count_rules(chorale, ranges).found.items() if n}


def test_a_full_cadence_breaks_nothing():
    assert broken(example("C5 C5 B4 C5", "E4 F4 D4 E4", "G3 A3 G3 G3", "C3 F3 G3 C3")) == {}


def test_parallel_fifths():
    assert broken(example("E5 F5", "G4 A4", "C4 C4", "C3 D3"))["parallel_fifths"] == 1  # alto and bass: G-C, A-D


def test_parallel_octaves():
    assert broken(example("C5 D5", "G4 F4", "E4 A3", "C3 D3"))["parallel_octaves"] == 1


def test_parallel_unisons_count_as_octaves():
    assert broken(example("G4 A4", "G4 A4", "E4 F4", "C3 F3"))["parallel_octaves"] == 1


def test_a_repeated_or_held_fifth_is_not_parallel():
    assert broken(example("G4 G4", "E4 F4", "G3 F3", "C3 C3")) == {}


def test_fifths_in_contrary_motion_are_not_parallel():
    assert "parallel_fifths" not in broken(example("G4 D5", "E4 F4", "C4 B3", "C4 G3"))


def test_parallel_fourths_of_crossed_voices_are_not_fifths():
    assert "parallel_fifths" not in broken(example("G4 A4", "C5 D5", "E4 F4", "C4 C4"))


def test_a_diminished_fifth_after_a_perfect_one_is_not_parallel():
    assert "parallel_fifths" not in broken(example("G4 F4", "E4 D4", "C4 B3", "C3 G3"))


def test_a_phrase_end_excuses_what_follows_it():
    voices = ("C5 D5", "G4 A4", "E4 A3", "C3 D3")
    assert broken(example(*voices))["parallel_octaves"] == 1
    assert broken(example(*voices, phrase_ends=[4])) == {}


def test_a_rest_between_also_excuses_it():
    assert "parallel_octaves" not in broken(example("C5 - D5", "G4 G4 F4", "E4 E4 A3", "C3 - D3"))


def test_hidden_octave_into_the_outer_voices():
    assert broken(example("E4 A4", "C4 C4", "G3 F3", "D2 A2")) == {"hidden_perfect": 1}


def test_a_hidden_octave_with_a_stepping_soprano_is_allowed():
    assert broken(example("B4 C5", "G4 G4", "D4 E4", "G3 C4")) == {}


def test_hidden_fifths_of_inner_voices_are_not_counted():
    assert "hidden_perfect" not in broken(example("C5 C5", "E4 A4", "C4 C4", "C3 D3"))


def test_overlap():
    # The alto rises above where the soprano just was.
    assert broken(example("E4 A4", "C4 F4", "G3 A3", "C3 D3"))["overlap"] == 1
    # The soprano falls below where the alto just was.
    assert broken(example("A4 E4", "F4 C4", "A3 G3", "D3 C3"))["overlap"] == 1


def test_crossing_is_counted_in_16ths():
    found = count_rules(example("C5 C5", "E4 E4", "G3 F4", "C3 C3"), RANGES)
    assert (found.found["crossing"], found.num_frames) == (4, 8)
    assert "overlap" not in broken(example("C5 C5", "E4 E4", "G3 F4", "C3 C3"))


def test_spacing_over_an_octave_but_not_above_the_bass():
    assert broken(example("E5", "D4", "G3", "C3")) == {"spacing": 4}
    assert broken(example("E5", "C5", "B3", "C3")) == {"spacing": 4}
    assert broken(example("C5", "G4", "E4", "C3")) == {}


def test_range():
    assert broken(example("C5", "G4", "E4", "B1"), RANGES)["range"] == 4


@pytest.mark.parametrize(
    ("line", "key", "augmented"),
    [
        ("F4 B4", "C major", True),  # augmented fourth
        ("B4 F4", "C major", True),  # the same, falling
        ("B4 F5", "C major", False),  # diminished fifth
        ("F5 B4", "C major", False),
        ("Ab4 B4", "C minor", True),  # augmented second
        ("B4 Ab4", "C minor", True),
        ("G4 Bb4", "C minor", False),  # minor third
        ("C5 Ab4", "C minor", False),  # major third
        ("Eb4 B4", "C minor", True),  # augmented fifth
        ("C5 C#5", "C major", False),  # a chromatic semitone is not a leap
        ("C5 D5", "C major", False),
    ],
)
def test_augmented_leaps(line, key, augmented):
    chorale = example("C6 C6", line, "C4 C4", "C3 C3", key=key)
    assert broken(chorale).get("augmented_leaps", 0) == augmented


def test_leaps_over_an_octave():
    assert broken(example("C5 C5", "G4 G4", "E4 E4", "E2 F3"))["wide_leaps"] == 1
    assert "wide_leaps" not in broken(example("C5 C5", "G4 G4", "E4 E4", "F2 F3"))


def test_changes_are_the_pitches_that_begin():
    counts = count_rules(example("C5 C5 D5", "G4 G4 G4", "E4 - E4", "C3 C3 B2"), RANGES)
    assert counts.num_changes == 2 + 1 + 2 + 2  # each voice's first pitch counts, and one after a rest
    assert {rule.key for rule in RULES} == counts.found.keys()


def test_a_score_becomes_a_grid():
    # Half a bar of quarters over a bass that begins with an upbeat rest; 24 ticks to the quarter.
    score = score_of(
        {"Soprano": [(0, 24, 72), (24, 24, 74)], "Alto": [(0, 48, 67)], "Tenor": [(0, 48, 64)], "Bass": [(24, 24, 48)]}
    )
    chorale = chorale_of_score(score, "x", [0])
    assert chorale.pitches_VT[0].tolist() == [72] * 4 + [74] * 4
    assert chorale.pitches_VT[3].tolist() == [SILENT] * 4 + [48] * 4
    assert np.flatnonzero(chorale.phrase_ends_T).tolist() == [4]
    assert not chorale.without_fermatas().phrase_ends_T.any()


def test_three_voices_are_refused():
    with pytest.raises(InputError, match=r"^x is not in four parts\. "):
        chorale_of_score(score_of({"Soprano": [(0, 24, 72)], "Alto": [(0, 24, 67)], "Bass": [(0, 24, 48)]}), "x")


def test_any_output_of_a_model_can_be_read():
    # Several notes at once, one that sounds into the next, a voice without notes and one without a track.
    score = score_of({"Soprano": [(0, 24, 72), (0, 24, 76)], "Alto": [(0, 48, 67), (24, 24, 69)], "Tenor": []})
    chorale = chorale_of_harmony(score, "x")
    assert chorale.pitches_VT[0].tolist() == [76] * 4 + [SILENT] * 4
    assert chorale.pitches_VT[1].tolist() == [67] * 4 + [69] * 4
    assert (chorale.pitches_VT[2:] == SILENT).all()
    assert count_rules(chorale, RANGES).num_frames == 8
    with pytest.raises(InputError, match="x has no notes"):
        chorale_of_harmony(score_of({"Soprano": []}), "x")
