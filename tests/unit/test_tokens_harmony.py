"""Chords, keys, beats and phrases of a piece, on textbook examples."""

import pytest
from chorale_examples import midi
from small_pieces import small_piece

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.harmony import (
    ChordLabel,
    PieceKey,
    beat_chords,
    beats,
    chord_name,
    closing_key,
    melody_key,
    parse_chord_name,
    read_chord,
    shift_to_common_tonic,
    sounding_notes,
)
from descant_tokenizers.tokens.hint_tokens import QUALITIES

SYMMETRIC = ("aug", "dim7")
QUARTER = 96


@pytest.fixture(scope="module")
def make(hint_vocabulary):
    """A function that makes a piece from its meters and lines."""
    return lambda meters, **lines: small_piece(hint_vocabulary, meters, **lines)


def pitches(text):
    return [midi(name) for name in text.split()]


@pytest.mark.parametrize(
    ("sounding", "name"),
    [
        ("C3 G4 E4 C5", "C"),
        ("E3 G4 C4 C5", "C/E"),
        ("G3 E4 C4 C5", "C/G"),
        ("D3 A3 F4 D5", "Dm"),
        ("B2 F4 D4 B4", "Bdim"),
        ("D3 F4 B4 D5", "Bdim/D"),
        ("C3 E4 G#4 C5", "Caug"),
        ("G2 D4 B4 F5", "G7"),
        ("F3 D4 B4 G5", "G7/F"),
        ("D3 A3 F4 C5", "Dm7"),
        ("C3 E4 G4 B4", "Cmaj7"),
        ("B2 A4 F4 D5", "Bm7b5"),
        ("B2 Ab4 F4 D5", "Bdim7"),
        ("C3 C4 E4 C5", "C"),  # without its fifth
        ("D3 D4 F4 D5", "Dm"),
        ("G2 B3 F4 G4", "G7"),
        ("C3 E4 B4 C5", "Cmaj7"),
        ("A2 C4 G4 C5", "Am7"),
        ("C3 E4", "C"),
        ("C3 E4 G4 A4", "Am7/C"),  # not a sixth chord
        ("F3 D4 A4 C5", "Dm7/F"),
    ],
)
def test_a_chord_is_named_by_its_notes_and_bass(sounding, name):
    assert chord_name(read_chord(pitches(sounding))) == name


@pytest.mark.parametrize("sounding", ["", "C4", "C3 C4", "C3 G4", "C3 F4 G4", "C3 D4 E4 G4", "C4 C#4 D4", "B2 F4"])
def test_what_is_no_chord_is_not_named(sounding):
    assert read_chord(pitches(sounding)) is None


def chords_of(quality):
    """Return the chords of a quality, on every root in every inversion."""
    inversions = range(len(QUALITIES[quality][0]))
    return [ChordLabel(root, quality, inversion) for root in range(12) for inversion in inversions]


@pytest.mark.parametrize("quality", QUALITIES)
def test_every_chord_is_read_in_every_inversion(quality):
    steps = sorted(QUALITIES[quality][0])
    for chord in chords_of(quality):
        bass = 36 + (chord.root + steps[chord.inversion]) % 12
        sounding = [bass, *(60 + (chord.root + step) % 12 for step in steps)]
        expected = ChordLabel(bass % 12, quality, 0) if quality in SYMMETRIC else chord
        assert read_chord(sounding) == expected
        assert {pitch % 12 for pitch in sounding} == chord.pitch_classes
        assert read_chord([pitch + 5 for pitch in sounding]) == expected.transpose(5)


@pytest.mark.parametrize("quality", QUALITIES)
def test_a_symbol_names_its_chord(quality):
    sharps = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
    for chord in chords_of(quality):
        assert parse_chord_name(chord_name(chord)) == chord == parse_chord_name(chord_name(chord, sharps))
    assert parse_chord_name(chord_name(None)) is None


@pytest.mark.parametrize(
    ("symbol", "same"),
    [("CM", "C"), ("Cmin", "Cm"), ("C-", "Cm"), ("Co", "Cdim"), ("C°7", "Cdim7"), ("C+", "Caug"), ("CM7", "Cmaj7"),
     ("C-7", "Cm7"), ("Cø", "Cm7b5"), ("Cdom7", "C7"), ("Fb", "E"), ("B#m", "Cm"), ("Db/Ab", "C#/G#")],
)  # fmt: skip
def test_other_spellings_are_the_same_chord(symbol, same):
    assert parse_chord_name(symbol) == parse_chord_name(same)


@pytest.mark.parametrize("symbol", ["", "H", "c", "Csus4", "C6", "C##", "C/", "C/H", "NC", "C E", "7"])
def test_what_is_no_symbol_is_refused(symbol):
    with pytest.raises(InputError, match=rf"^'{symbol}' is not a chord\. Write it as in C, F#m, Bb7, Gm7, Cmaj7,"):
        parse_chord_name(symbol)


@pytest.mark.parametrize("symbol", ["C/D", "C7/B", "Am/G"])
def test_a_bass_outside_the_chord_is_refused(symbol):
    with pytest.raises(InputError, match=f"^The bass of '{symbol}' is not in the chord. Name its third, fifth or"):
        parse_chord_name(symbol)


@pytest.mark.parametrize(
    ("meters", "expected"),
    [
        ([(4, 4), (3, 4)], [0, 1, 2, 3, 4, 5, 6]),
        ([(1, 4), (4, 4)], [0, 1, 2, 3, 4]),
        ([(3, 2)], [0, 2, 4]),
        ([(6, 8), (9, 8)], [0, 1.5, 3, 4.5, 6]),
        ([(12, 16)], [0, 0.75, 1.5, 2.25]),
        ([(5, 8), (5, 8)], [0, 1, 2, 2.5, 3.5, 4.5]),
        ([(1, 8), (6, 8)], [0.5, 2]),  # the pickup has no beat of 6/8
        ([(4, 8), (6, 8)], [0.5, 2, 3.5]),
        ([(5, 8), (6, 8)], [1, 2.5, 4]),
        ([(3, 8), (4, 4)], [0.5, 1.5, 2.5, 3.5, 4.5]),
        ([(3, 4), (1, 8), (3, 4)], [0, 1, 2, 3, 3.5, 4.5, 5.5]),
    ],
)
def test_beats_are_felt_and_those_of_a_pickup_are_counted_back(make, meters, expected):
    assert beats(make(meters)) == [int(quarter * QUARTER) for quarter in expected]


def names(chords):
    return {onset / QUARTER: None if chord is None else chord_name(chord) for onset, chord in chords.items()}


def test_a_suspension_is_read_at_its_resolution(make):
    piece = make([(3, 4)], soprano="G5 G5 -", alto="C5:1/2 B4:1/2 E5 -", tenor="D4 G4 -", bass="G3 C4:2")
    assert names(beat_chords(piece)) == {0: "G", 1: "C", 2: None}


def test_chords_are_read_on_the_beats_of_a_pickup_and_of_compound_meters(make):
    piece = make(
        [(1, 8), (6, 8)],
        soprano="G4:1/2 C5:1 D5:1/2 B4:3/2",
        alto="G4:1/2 E4:3/2 D4:3/2",
        bass="G3:1/2 C3:3/2 G3:3/2",
    )
    assert names(beat_chords(piece)) == {0.5: "C", 2: "G"}
    piece = make([(1, 4), (2, 4)], soprano="D5 C5 C5", alto="B4 G4 A4", bass="G3 E3 F3")
    assert names(beat_chords(piece)) == {0: "G", 1: "C/E", 2: "F"}


def test_a_note_that_goes_on_counts_and_one_that_has_ended_does_not(make):
    piece = make([(4, 4)], soprano="E5 - E5 -", alto="G4:4", bass="C3:3 -")
    assert names(beat_chords(piece)) == {0: "C", 1: None, 2: "C", 3: None}


def test_the_key_is_that_of_the_last_chord_and_a_picardy_third_does_not_count(make):
    lines = {"soprano": "C5 B4 C5 B4 {}", "alto": "E4 E4 E4 E4 E4", "bass": "A3 G#3 A3 E3 A2"}
    meters = [(4, 4), (1, 4)]
    for last in ("A4", "C5", "C#5"):
        piece = make(meters, **{name: line.format(last) for name, line in lines.items()})
        assert closing_key(sounding_notes(piece)) == PieceKey(9, False)
        assert closing_key(sounding_notes(piece.transpose(-4))) == PieceKey(5, False)
    major = make(meters, soprano="C#5 B4 C#5 B4 C#5", alto="E4 E4 E4 E4 E4", bass="A3 G#3 A3 E3 A2")
    assert closing_key(sounding_notes(major)) == PieceKey(9, True)


def test_the_key_of_one_chord_and_of_nothing(make):
    assert closing_key(sounding_notes(make([(1, 4)], soprano="C5", bass="F3"))) == PieceKey(5, True)
    assert closing_key([]) is None


@pytest.mark.parametrize(
    ("line", "tonic", "is_major"),
    [
        ("C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2", 0, True),
        ("G4 F4 E4:2 G4 F4 E4:2 G4 A4 G4 F4 D4 C4:2", 0, True),
        ("A4 B4 C5 D5 E5 D5 C5 B4 A4 G#4 A4:2", 9, False),
        ("D4 E4 F4 G4 A4 Bb4 A4 G4 F4 E4 D4:2", 2, False),
        ("E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 E4 D4 C4:2", 0, True),
    ],
)
@pytest.mark.parametrize("shift", [0, 1, -5])
def test_the_key_of_a_melody(make, line, tonic, is_major, shift):
    notes = sounding_notes(make([(12, 4), (12, 4)], soprano=line).transpose(shift))
    assert melody_key(notes) == PieceKey((tonic + shift) % 12, is_major)


@pytest.mark.parametrize("is_major", [True, False])
def test_every_key_moves_to_the_common_tonic_by_at_most_half_an_octave(is_major):
    shifts = [shift_to_common_tonic(PieceKey(tonic, is_major)) for tonic in range(12)]
    assert all(PieceKey(tonic, is_major).transpose(shift).tonic == 0 for tonic, shift in enumerate(shifts))
    assert sorted(shifts) == list(range(-6, 6))


def test_the_key_signature_helps_where_a_melody_ends_on_another_degree(make):
    notes = sounding_notes(
        make(
            [(12, 4)] * 4,
            soprano="C4 C4 E4 E4 G4 G4 E4:2 F4 F4 D4 D4 B3 B3 G3:2 C4 C4 E4 E4 G4 G4 E4:2 C5 C5 F#4 F#4 G4:2",
        )
    )
    assert melody_key(notes) == PieceKey(7, True)
    assert melody_key(notes, sharps=0) == PieceKey(0, True)
    assert melody_key(notes, sharps=1) == PieceKey(7, True)


def test_a_wrong_key_signature_does_not_decide(make):
    notes = sounding_notes(make([(12, 4)] * 2, soprano="C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2"))
    assert {melody_key(notes, sharps) for sharps in range(-7, 8)} == {PieceKey(0, True)}


def test_silence_has_no_key():
    assert melody_key([]) is None
