"""Guessed phrase ends: on small tunes, against all cuts of a line, and on the marked tunes."""

import itertools
import random
import time
from pathlib import Path

import pytest
from small_pieces import small_piece

from descant_modeling.evaluation.tunes import read_tunes
from descant_tokenizers.tokens import phrases
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.harmony import sounding_notes
from descant_tokenizers.tokens.phrases import guess_phrase_ends

QUARTER = 96

TUNES = Path(__file__).resolve().parents[1] / "data" / "tunes"

BAR = "C5 D5 E5:1/2 F5:1/2 G5 "

EIGHTHS = "C5:1/2 D5:1/2 E5:1/2 F5:1/2 G5:1/2 A5:1/2 "

LINES = {
    "long notes": ((4, 4), "G5 G5 F#5 E5 D5 E5 F#5:2 A5 B5:1/2 A5:1/2 G5 F#5 E5 F#5 G5:2", [6, 14]),
    "rests": ((4, 4), "C5 D5 E5 F5 G5 A5 B5 - C5 B5 A5 G5 F5 E5 D5 C5", [6, 15]),
    "short rests": ((4, 4), "C5 D5 E5 F5 G5 A5 B5 C5:1/2 -:1/2 C5 B5 A5 G5 F5 E5 D5 C5", [7, 15]),
    "one rhythm again": ((4, 4), "C5 D5 E5 C5 F5:1/2 E5:1/2 D5 C5:2 C5 D5 E5 C5 F5:1/2 E5:1/2 D5 C5:2", [6, 14]),
    "a jig": ((6, 8), EIGHTHS * 3 + "C5:1/2 D5:1/2 E5:1/2 F5:3/2 " + EIGHTHS * 3 + "G5:3", [10.5, 21]),
    "no sign but bars": ((4, 4), BAR * 12, [7, 15, 23, 31, 39, 47]),
}


@pytest.fixture(scope="module")
def make(hint_vocabulary):
    """A function that makes a piece of one meter from the lines of its voices."""

    def piece(meter, num_bars, **lines):
        return small_piece(hint_vocabulary, [meter] * num_bars, **lines)

    return piece


@pytest.mark.parametrize("name", LINES)
def test_phrases_end_where_a_singer_breathes(make, hint_vocabulary, name):
    meter, line, expected = LINES[name]
    piece = make(meter, 12, soprano=line)
    found = guess_phrase_ends(piece, 0)
    assert found == tuple(int(quarter * QUARTER) for quarter in expected)
    alto = make(meter, 12, alto=line, soprano="C5:4")
    assert guess_phrase_ends(alto, hint_vocabulary.voices.index("Alto")) == found


def test_the_last_note_ends_a_phrase_and_silence_has_none(make):
    assert guess_phrase_ends(make((4, 4), 1, soprano="C4"), 0) == (0,)
    assert guess_phrase_ends(make((4, 4), 1, alto="C4:4"), 0) == ()


def phrases_of(cut):
    """Return the first and last note of each phrase from the last ones."""
    return list(zip([0, *(end + 1 for end in cut[:-1])], cut, strict=True))


def test_no_other_cut_scores_higher(make):
    drawn = random.Random(3)
    for _ in range(5):
        line = " ".join(
            f"{drawn.choice(['C5', 'D5', 'E5', 'G5', '-'])}:{drawn.choice(['1', '1/2', '2', '3'])}" for _ in range(10)
        )
        piece = make((3, 4), 12, soprano="C5 " + line)
        notes = sounding_notes(piece)
        ends, spans = phrases.end_features(piece, notes), phrases.phrase_spans(piece, notes)

        def score(cut, ends=ends, spans=spans):
            lengths = sum(phrases.length_score(*spans[end][first]) for first, end in phrases_of(cut))
            return lengths + sum(phrases.END_WEIGHTS[name] * known for end in cut for name, known in ends[end].items())

        last = len(notes) - 1
        cuts = [(*cut, last) for size in range(last + 1) for cut in itertools.combinations(range(last), size)]
        cuts = [cut for cut in cuts if all(first in spans[end] for first, end in phrases_of(cut))]
        best = max(cuts, key=score)
        assert guess_phrase_ends(piece, 0) == tuple(notes[end].start_ticks for end in best)


def test_a_rest_longer_than_any_phrase_is_no_trouble(make):
    piece = make((4, 4), 40, soprano="C5 D5 E5 C5 -:120 C5 D5 E5 C5")
    assert guess_phrase_ends(piece, 0) == (3 * QUARTER, 127 * QUARTER)


def test_long_melodies_take_little_time(make):
    piece = make((4, 4), 500, soprano="C5:1/2 D5:1/2 E5:1/2 F5:1/2 G5 A5 " * 500)
    begin = time.process_time()
    assert len(guess_phrase_ends(piece, 0)) > 50
    assert time.process_time() - begin < 3


def test_most_marked_ends_of_the_tunes_are_found(hint_vocabulary):
    marked = guessed = both = 0
    for tune in read_tunes(TUNES):
        scale = hint_vocabulary.ticks_per_quarter / tune.melody.ticks_per_quarter
        true = {round(end * scale) for end in tune.phrase_ends}
        found = set(guess_phrase_ends(encode_score(hint_vocabulary, tune.melody).piece, 0))
        marked, guessed, both = marked + len(true), guessed + len(found), both + len(true & found)
    assert both >= 0.8 * marked
    assert both >= 0.65 * guessed
