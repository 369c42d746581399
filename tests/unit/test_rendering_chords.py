"""Keys and chords: what is found is what a musician would write."""

from __future__ import annotations

import pytest
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.chords import chord_lines, chords_of
from descant_tokenizers.rendering.spelling import Key, find_key, parse_key

TPQ = 480


def beats(*chords: list[int]) -> ScoreTick:
    """A chord a beat, in 4/4."""
    score = ScoreTick(TPQ)
    track = TrackTick("Piano", 0, False)
    for index, pitches in enumerate(chords):
        for pitch in pitches:
            track.notes.append(NoteTick(index * TPQ, TPQ, pitch, 80))
    score.tracks.append(track)
    return score


@pytest.mark.parametrize(
    ("key", "pitches", "symbol", "numeral"),
    [
        ("C", [48, 64, 67, 72], "C", "I"),
        ("C", [52, 60, 67, 72], "C/E", "I6"),
        ("C", [43, 60, 64, 72], "C/G", "I64"),
        ("C", [53, 57, 62, 72], "Dm7/F", "ii65"),
        ("C", [47, 55, 62, 65], "G7/B", "V65"),
        ("C", [53, 59, 62, 67], "G7/F", "V42"),
        ("C", [47, 62, 65, 74], "Bdim", "viio"),
        ("C", [54, 60, 62, 69], "D7/F#", "V65/V"),
        ("C", [58, 60, 64, 67], "C7/Bb", "V42/IV"),
        ("G", [54, 62, 69, 74], "D/F#", "V6"),
        ("Am", [45, 60, 64, 69], "Am", "i"),
        ("Am", [56, 59, 64, 71], "E/G#", "V6"),
        ("Am", [53, 60, 65, 69], "F", "VI"),
        ("Am", [56, 59, 62, 65], "G#dim7", "viio7"),
        ("Am", [45, 61, 64, 69], "A", "I"),  # a Picardy third
        ("Eb", [56, 60, 63, 68], "Ab", "IV"),
    ],
)
def test_a_chord_has_its_symbol_and_numeral(key: str, pitches: list[int], symbol: str, numeral: str) -> None:
    (chord,) = chords_of(beats(pitches), parse_key(key))
    assert (chord.symbol, chord.numeral) == (symbol, numeral)


def test_chords_are_named_where_they_change_and_at_each_bar() -> None:
    tonic, dominant = [48, 64, 67, 72], [43, 62, 67, 71]
    chords = chords_of(beats(tonic, tonic, dominant, dominant, dominant, tonic, [60], tonic), Key(0))
    assert [(chord.bar, chord.time_ticks // TPQ, chord.symbol) for chord in chords] == [
        (1, 0, "C"),
        (1, 2, "G"),
        (2, 4, "G"),
        (2, 5, "C"),
    ]
    assert chord_lines(chords) == ["1: C (I), G (V)", "2: G (V), C (I)"]


def test_a_passing_seventh_does_not_make_a_seventh_chord() -> None:
    score = beats([43, 62, 67, 71])
    notes = score.tracks[0].notes
    notes[2].duration = TPQ // 2
    notes.append(NoteTick(TPQ // 2, TPQ // 2, 65, 80))
    assert [chord.symbol for chord in chords_of(score, Key(0))] == ["G"]


def test_what_is_no_chord_has_no_name() -> None:
    assert chords_of(beats([60, 61, 62, 63]), Key(0)) == []
    assert chords_of(beats([60]), Key(0)) == []


@pytest.mark.parametrize(
    ("text", "sharps", "mode", "name"),
    [
        ("G", 1, "major", "G major"),
        ("f# minor", 3, "minor", "F# minor"),
        ("Bbm", -5, "minor", "Bb minor"),
        ("E-flat major", -3, "major", "Eb major"),
        ("c sharp min", 4, "minor", "C# minor"),
    ],
)
def test_keys_are_read_as_people_write_them(text: str, sharps: int, mode: str, name: str) -> None:
    assert parse_key(text) == Key(sharps, mode)
    assert str(parse_key(text)) == name


@pytest.mark.parametrize("text", ["", "H", "G dorian", "B# major", "Fb"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"is not a key. Give one such as|Give a key with at most 7"):
        parse_key(text)


@pytest.mark.parametrize(("last", "name"), [(55, "G major"), (52, "E minor"), (62, "E minor")])
def test_the_last_note_tells_a_major_key_from_its_relative(last: int, name: str) -> None:
    score = beats(*([pitch] for pitch in (64, 66, 67, 71, 69, 67, 66, 64, 71, last)))
    score.key_signatures.append(KeySignatureTick(0, 1, 0))
    assert str(find_key(score).key) == name
    score.key_signatures[0].tonality = 1
    assert str(find_key(score).key) == "E minor"


def test_it_is_said_how_the_key_is_known() -> None:
    score = beats(*([pitch] for pitch in (67, 69, 71, 72, 74, 76, 78, 79, 78, 74, 71, 67)))
    assert str(find_key(score)) == "G major (found in the notes)"
    score.key_signatures.append(KeySignatureTick(0, 1, 0))
    assert str(find_key(score)) == "G major (from the file)"
    score.key_signatures[0].key = -4
    assert str(find_key(score)) == "Ab major (from the file; the notes suggest G major)"
