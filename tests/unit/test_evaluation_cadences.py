"""Cadences and harmony on textbook progressions whose answer is known."""

import numpy as np
import pytest
from chorale_examples import example, midi
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling.evaluation.cadences import (
    FIGURES,
    KINDS,
    cadence_facts,
    cadence_figures,
    cadence_rates,
    count_cadences,
    phrase_ends,
)
from descant_tokenizers.pianoroll.frames import chorale_of_frames, chorale_of_harmony
from descant_tokenizers.pianoroll.harmony import chords_of_frames
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.harmony import PieceKey

C, G7 = ("C5", "E4", "G3", "C3"), ("D5", "F4", "B3", "G3")


def progression(*chords, frames=4, **options):
    """Return chords, each given as soprano, alto, tenor and bass in one string."""
    return example(
        *(" ".join(line) for line in zip(*(c.split() for c in chords), strict=True)), frames=frames, **options
    )


def share(chorale, figure, key=None):
    return tuple(count_cadences(chorale, key)[figure])


def last_end(chorale, key=None):
    return phrase_ends(chorale, key)[-1]


@pytest.mark.parametrize(
    ("notes", "root", "quality", "inversion"),
    [
        ("C5 G4 E4 C3", "C", "major", 0),
        ("C5 G4 C4 E3", "C", "major", 1),
        ("C5 G4 E4 G3", "C", "major", 2),
        ("A4 E4 C4 A2", "A", "minor", 0),
        ("D5 B4 F4 D3", "B", "diminished", 1),
        ("E5 G#4 C4 C3", "C", "augmented", 0),
        ("D5 B4 F4 G3", "G", "dominant seventh", 0),
        ("D5 B4 G4 F3", "G", "dominant seventh", 3),
        ("G4 B4 F4 G3", "G", "dominant seventh", 0),  # without its fifth
        ("C5 A4 F4 D3", "D", "minor seventh", 0),
        ("D5 A4 C4 F3", "D", "minor seventh", 1),  # not F with a sixth
        ("B4 G4 E4 C3", "C", "major seventh", 0),
        ("A4 F4 D4 B2", "B", "half-diminished seventh", 0),
        ("Ab4 F4 D4 B2", "B", "diminished seventh", 0),
        ("C5 E4 C4 C3", "C", "major", 0),  # without its fifth
        ("C5 G4 C4 C3", "C", "bare", 0),
        ("C5 C5 C4 C3", "C", "bare", 0),
        ("C5 C5 - C3", "C", "bare", 0),
    ],
)
def test_chords_are_read_from_their_notes(notes, root, quality, inversion):
    (chord,) = chords_of_frames(np.array([[midi(name)] for name in notes.split()]))
    assert (chord.root, chord.quality.name, chord.inversion) == (midi(f"{root}4") % 12, quality, inversion)
    assert chord.is_triad == ("seventh" not in quality)


@pytest.mark.parametrize("notes", ["C5 F4 G3 C3", "C5 D5 E4 C3", "- - - -"])
def test_a_suspension_a_cluster_and_silence_are_no_chord(notes):
    assert chords_of_frames(np.array([[midi(name)] for name in notes.split()])) == [None]


def test_a_full_cadence():
    piece = progression("C5 E4 G3 C3", "A4 F4 C4 F3", "B4 D4 G3 G3", "C5 E4 G3 C3")
    end = last_end(piece)
    assert (end.is_root_triad, end.is_authentic, end.kind) == (True, True, "authentic")
    figures = cadence_figures([piece])
    assert [figures[key] for key in ("last_triad", "last_tonic", "last_authentic")] == [100, 100, 100]
    assert "phrase_triad" not in figures  # nobody said where phrases end
    assert figures["leading_resolved"] == 100
    assert figures["strong_dissonance"] == figures["six_fours"] == figures["lower_silent"] == 0


def test_a_passing_seventh_and_a_suspension_do_not_hide_the_cadence():
    # V with a suspended fourth that resolves, a passing seventh, and a tonic whose third is suspended.
    piece = example(
        "D5 D5 D5 D5 C5 C5 C5 C5",
        "C5 C5 B4 B4 C5 C5 C5 C5",
        "G4 G4 G4 F4 F4 E4 E4 E4",
        "G3 G3 G3 G3 C3 C3 C3 C3",
        frames=2,
    )
    assert last_end(piece).is_authentic


@pytest.mark.parametrize(
    ("before", "last", "kind", "is_v_i"),
    [
        ("B4 D4 G3 G3", "C5 E4 G3 C3", "authentic", True),
        ("D5 F4 B3 G3", "C5 E4 C4 C3", "authentic", True),
        ("D5 F4 G3 B2", "C5 E4 G3 C3", "authentic", False),  # V65 - I
        ("B4 F4 D4 D3", "C5 E4 C4 C3", "authentic", False),  # vii6 - I
        ("D5 Ab4 F4 B2", "C5 G4 E4 C3", "authentic", False),  # vii7 - I
        ("B4 D4 G3 G3", "C5 E4 C4 A2", "deceptive", False),
        ("B4 D4 G3 G3", "C5 Eb4 C4 Ab2", "deceptive", False),
        ("A4 F4 C4 F3", "B4 D4 G3 G3", "half", False),
        ("C5 E4 G3 C3", "B4 D4 G3 G3", "half", False),
        ("A4 F4 D4 F3", "B4 E4 G#3 E3", "half", False),  # in the relative minor
        ("A4 F4 C4 F3", "G4 E4 C4 C3", "plagal", False),
        ("A4 D4 F3 D3", "C5 E4 A3 A2", "plagal", False),  # in the relative minor
        ("A4 F4 C4 F3", "C5 E4 A3 A2", "other", False),  # IV - vi
        ("A4 F4 C4 F3", "G4 D4 Bb3 G2", "deceptive", False),  # V - vi in F major
        ("D5 F4 B3 G3", "C5 E4 G3 E3", "other", False),  # I6
        ("G4 D4 Bb3 G3", "C5 E4 G3 C3", "other", False),  # a minor v
    ],
)
def test_kinds_of_cadence(before, last, kind, is_v_i):
    end = last_end(progression("C5 E4 G3 C3", before, last))
    assert (end.kind, end.is_authentic) == (kind, is_v_i)


def test_a_cadence_in_another_key_is_authentic_but_not_the_tonics():
    piece = progression("C5 E4 G3 C3", "A4 F#4 C4 D3", "B4 G4 B3 G2")
    assert last_end(piece).is_authentic
    assert share(piece, "last_tonic") == (0, 1)
    assert share(piece, "last_tonic", PieceKey(7, True)) == (1, 1)


def test_an_inversion_a_seventh_and_a_dissonance_do_not_close():
    for last in ("C5 E4 G3 E3", "Bb4 E4 G3 C3", "C5 F4 G3 C3"):
        assert share(progression("B4 D4 G3 G3", last), "last_triad") == (0, 1)
    for last in ("C5 E4 C4 C3", "C5 G4 C4 C3", "C5 C5 C4 C3"):  # without fifth, without third, octaves
        assert share(progression("B4 D4 G3 G3", last), "last_triad") == (1, 1)


def test_every_fermata_is_a_phrase_end_and_so_is_the_end():
    piece = progression(
        "B4 D4 G3 G3", "C5 E4 G3 C3", "A4 F4 C4 F3", "B4 D4 G3 G3", "D5 F4 B3 G3", "C5 E4 G3 C3", phrase_ends=[8, 16]
    )
    assert [end.kind for end in phrase_ends(piece)] == ["authentic", "half", "authentic"]
    assert [end.is_last for end in phrase_ends(piece)] == [False, False, True]
    assert share(piece, "phrase_authentic") == (2, 3)
    assert sum(share(piece, kind)[0] for kind in KINDS) == share(piece, "phrase_triad")[1] == 3


def test_the_chord_before_a_phrase_is_not_its_dominant():
    piece = progression("B4 D4 G3 G3", "C5 E4 G3 C3", "D5 F4 B3 G3", phrase_ends=[4])
    assert not phrase_ends(progression("B4 D4 G3 G3", "C5 E4 G3 C3", phrase_ends=[4]))[-1].is_authentic
    assert phrase_ends(piece)[0].kind == "half"


def test_sevenths_resolve_down_by_step():
    assert share(progression("D5 F4 B3 G3", "C5 E4 C4 C3"), "sevenths_resolved") == (1, 1)
    assert share(progression("D5 F4 B3 G3", "D5 G4 C4 E3"), "sevenths_resolved") == (0, 1)  # rises
    assert share(progression("B4 F4 B3 G3", "C5 C4 C4 C3"), "sevenths_resolved") == (0, 1)  # leaps
    # Held into the next chord, and resolved there.
    assert share(progression("C5 A4 F4 D3", "B4 G4 F4 G2", "C5 G4 E4 C3"), "sevenths_resolved") == (2, 2)
    assert share(progression("D5 F4 B3 G3", "C5 E4 C4 C3", phrase_ends=[4]), "sevenths_resolved") == (0, 0)
    assert share(progression("D5 F4 B3 G3", "C5 - C4 C3"), "sevenths_resolved") == (0, 0)
    assert share(progression("D5 Ab4 F4 B2", "C5 G4 E4 C3"), "sevenths_resolved") == (0, 0)  # which one is it?


def test_leading_tones_rise_and_are_not_doubled():
    assert share(progression("B4 D4 G3 G3", "C5 E4 G3 C3"), "leading_resolved") == (1, 1)
    assert share(progression("D5 B4 G3 G3", "C5 G4 E4 C3"), "leading_resolved") == (0, 1)
    assert share(progression("B4 D4 B3 G3", "C5 E4 G3 C3"), "leading_resolved") == (1, 2)
    assert share(progression("B4 D4 B3 G3", "C5 E4 G3 C3"), "leading_doubled") == (1, 1)
    assert share(progression("B4 D4 G3 G3", "C5 E4 G3 C3"), "leading_doubled") == (0, 1)
    assert share(progression("B4 F4 D4 D3", "C5 E4 C4 C3"), "leading_doubled") == (0, 1)
    # In A minor the same notes hold no leading tone.
    assert share(progression("B4 D4 G3 G3", "C5 E4 G3 C3"), "leading_doubled", PieceKey(9, False)) == (0, 0)


def test_strong_beats():
    """Beats one and three of 4/4: a suspension, then a triad; the other two do not count."""
    piece = progression("C5 F4 G3 C3", "C5 D4 G3 C3", "C5 E4 G3 C3", "C5 D4 G3 C3")
    assert share(piece, "strong_dissonance") == (1, 2)
    assert share(progression("C5 E4 G3 G2"), "strong_dissonance") == (1, 1)  # a fourth above the bass
    assert share(progression("C5 G4 E4 C3"), "strong_dissonance") == (0, 1)  # a fourth between upper voices
    assert share(progression("D5 B4 F4 D3"), "strong_dissonance") == (1, 1)  # a tritone
    assert share(progression("C5 F4 G3 C3", "C5 F4 G3 C3", "C5 F4 G3 C3", bar_16ths=12), "strong_dissonance") == (1, 1)


def test_thirds_and_six_fours():
    piece = progression("C5 E4 G3 C3", "C5 G4 C4 C3", "C5 E4 G3 G2", "C5 E4 - G2")
    assert share(piece, "missing_thirds") == (1, 3)  # a chord of three voices does not count
    assert share(piece, "six_fours") == (1, 3)


def test_windows_in_a_foreign_key():
    home = ["C5 E4 G3 C3", "D5 F4 B3 G3", "C5 E4 G3 C3", "A4 F4 C4 F3"] * 2
    related = [" ".join(f"{n[0]}#{n[1]}" if n[0] == "F" else n for n in chord.split()) for chord in home]
    distant = ["C#5 E#4 G#3 C#3", "D#5 F#4 B#3 G#3", "C#5 E#4 G#3 C#3", "A#4 F#4 C#4 F#3"] * 2
    key = PieceKey(0, True)
    assert share(progression(*home), "foreign_windows", key) == (0, 1)
    assert share(progression(*related), "foreign_windows", key) == (0, 1)
    assert share(progression(*distant), "foreign_windows", key) == (1, 1)
    part, whole = share(progression(*home, *distant), "foreign_windows", key)
    assert whole == 3
    assert 1 <= part <= 2


def score_of(meter, tracks):
    score = ScoreTick(24)
    score.time_signatures.append(TimeSignatureTick(0, *meter))
    for voice, notes in zip(VOICES, tracks, strict=True):
        track = TrackTick(voice, 0, False)
        for note in notes:
            track.notes.append(NoteTick(*note, 80))
        score.tracks.append(track)
    return score


@pytest.mark.parametrize(("meter", "onsets"), [((6, 8), 3), ((4, 4), 2)])
def test_notes_a_beat_and_silence(meter, onsets):
    """A jig with a new chord on every eighth for one voice, one on every beat for another, and a silent bass."""
    beat = 36 if meter == (6, 8) else 24
    melody = [(0, 72, 72), (72, 72, 74)]
    eighths = [(12 * i, 12, 67) for i in range(12)]
    beats = [(beat * i, beat, 64) for i in range(144 // beat)]
    piece = chorale_of_harmony(score_of(meter, (melody, eighths, beats, [])), "jig")
    part, whole = share(piece, "lower_onsets")
    assert whole == 3 * 144 // beat
    assert part == 12 + 144 // beat
    assert onsets == 12 / (144 // beat)
    silent, sounding = share(piece, "lower_silent")
    assert (silent, sounding) == (24, 72)


def test_the_beats_of_a_pickup_are_counted_from_the_bar_line():
    score = score_of((4, 4), [[(0, 24, 72), (24, 96, 74)]] * 4)
    score.time_signatures.clear()
    for time, numerator in ((0, 1), (24, 4)):
        score.time_signatures.append(TimeSignatureTick(time, numerator, 4))
    beats = chorale_of_harmony(score, "pickup").beats
    assert beats.onsets_16ths.tolist() == [0, 4, 8, 12, 16]
    assert beats.is_strong.tolist() == [True, True, False, True, False]


def test_figures_have_intervals_over_pieces_and_say_what_they_cannot_tell():
    good = progression("B4 D4 G3 G3", "C5 E4 G3 C3")
    bad = progression("B4 D4 G3 G3", "C5 E4 G3 E3")
    pieces = [good, good, bad, bad]
    rates = cadence_rates(["a", "b", "c", "d"], [count_cadences(piece) for piece in pieces])
    assert rates["last_triad"].value == 50
    assert rates["last_triad"].low < 50 < rates["last_triad"].high
    facts = cadence_facts(rates)
    assert list(facts) == [figure.key for figure in FIGURES]
    assert facts["phrase_triad"] is None
    assert facts["lower_onsets"]["unit"] == "a beat"
    assert cadence_figures(pieces)["last_triad"] == 50


def test_repeated_notes_of_a_melody_are_notes():
    """Two quarters of the same pitch: the last chord is that of the second."""
    soprano = [(0, 24, 72), (24, 24, 72)]
    lower = ([(0, 24, 65), (24, 24, 64)], [(0, 24, 57), (24, 24, 55)], [(0, 24, 53), (24, 24, 48)])
    (end,) = phrase_ends(chorale_of_harmony(score_of((4, 4), (soprano, *lower)), "x"), PieceKey(0, True))
    assert (end.chord.root, end.kind) == (0, "plagal")


def test_a_piece_without_a_melody_has_no_ends():
    piece = chorale_of_frames(np.array([[-1] * 8, [67] * 8, [64] * 8, [48] * 8]))
    assert phrase_ends(piece) == []
    assert share(piece, "last_triad") == (0, 0)
