"""New voices under a given one: no rests, and phrases that end together, whatever the model likes."""

from __future__ import annotations

import numpy as np
import pytest
from random_engine import RandomEngine
from small_pieces import small_piece

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.sampler import sample_templates
from descant_modeling.decoding.template import Span, make_template
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.hints import Annotations, phrase_closes
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout

SIXTEENTH = 24
BEAT = 4 * SIXTEENTH
PITCHES = ((60, 81), (52, 74), (46, 69), (36, 66))


@pytest.fixture(scope="module")
def jig(hint_vocabulary) -> Piece:
    """In 6/8: a phrase that ends off the beat, a rest, and a phrase whose last note fills a bar."""
    line = "C5:3/2 D5:1/2 C5:1/2 B4:1/2 -:3/2 C5:3/2 D5:1 C5:2 C5:3"
    return small_piece(hint_vocabulary, [(6, 8)] * 4, soprano=line)


JIG_ENDS = (10 * SIXTEENTH, 36 * SIXTEENTH)
CLOSES = [(6 * SIXTEENTH, 12 * SIXTEENTH, 71), (36 * SIXTEENTH, 48 * SIXTEENTH, 72)]


@pytest.fixture(scope="module")
def five(hint_vocabulary) -> Piece:
    """Two bars of 5/4."""
    return small_piece(hint_vocabulary, [(5, 4), (5, 4)], soprano="C5:3 D5:2 C5:5")


def sample(hint_vocabulary, piece: Piece, ends: tuple[int, ...], seed: int, **options: bool):
    """Notes of the lower voices, as onset, end, voice and pitch in ticks of the piece."""
    layout = TaskLayout(hint_vocabulary, LayoutConfig(hints=True))
    starts = piece.bar_starts_ticks()
    total = starts[-1] + piece.bars[-1].meter.bar_ticks
    known = Annotations(phrase_ends=ends, writes_chords=True)
    span = Span(Task.HARMONIZE, (1, 2, 3), 0, len(piece.bars), (total,) * 4, PITCHES, annotations=known)
    config = GenerationConfig(allow_parallels=True, allow_leaps=True, top_p=1.0, **options)
    [found] = sample_templates(
        RandomEngine(hint_vocabulary.size),
        Grammar(hint_vocabulary),
        [make_template(layout, piece, span)],
        config,
        [np.random.default_rng(seed)],
    )
    notes = [
        (starts[bar] + note.offset_ticks, starts[bar] + note.offset_ticks + note.duration_ticks, note.voice, note.pitch)
        for bar, own in found.notes.items()
        for note in own
    ]
    return notes, found.chords


def silent_ticks(piece: Piece, notes) -> int:
    """Ticks, over the lower voices, at which the melody sounds and they do not, but for less than a 16th at its end."""
    silent = 0
    for start, bar in zip(piece.bar_starts_ticks(), piece.bars, strict=False):
        for given in bar.notes:
            for tick in range(start + given.offset_ticks, start + given.offset_ticks + given.duration_ticks):
                sounding = {voice for on, end, voice, _ in notes if on <= tick < end}
                silent += 3 - len(sounding)
    return silent


@pytest.mark.parametrize("name", ["jig", "five"])
def test_no_voice_rests_under_the_melody(hint_vocabulary, name, request):
    piece = request.getfixturevalue(name)
    kept = [silent_ticks(piece, sample(hint_vocabulary, piece, (), seed)[0]) for seed in range(4)]
    free = [silent_ticks(piece, sample(hint_vocabulary, piece, (), seed, allow_rests=True)[0]) for seed in range(4)]
    assert max(kept) < 3 * SIXTEENTH  # less than a 16th in each voice, where the melody is about to rest
    assert min(free) > 3 * SIXTEENTH


def test_phrases_end_together(hint_vocabulary, jig):
    assert list(phrase_closes(jig, JIG_ENDS)) == CLOSES

    def faults(notes) -> int:
        """Count the notes that are held into the end of a phrase, and those that begin in it."""
        inside = sum(beat < on < end for beat, end, _ in CLOSES for on, *_ in notes)
        held = sum(on < beat < stop for beat, *_ in CLOSES for on, stop, *_ in notes)
        return inside + held

    assert [faults(sample(hint_vocabulary, jig, JIG_ENDS, seed)[0]) for seed in range(4)] == [0] * 4
    assert sum(faults(sample(hint_vocabulary, jig, JIG_ENDS, seed, allow_rests=True)[0]) for seed in range(4)) > 4


def test_the_chord_of_a_phrase_end_has_its_last_note(hint_vocabulary, jig):
    for seed in range(4):
        _, chords = sample(hint_vocabulary, jig, JIG_ENDS, seed)
        assert all(pitch % 12 in chords[beat].pitch_classes for beat, _, pitch in CLOSES)


def test_a_last_note_that_sounds_at_the_next_beat_ends_its_phrase_there(hint_vocabulary):
    piece = small_piece(hint_vocabulary, [(4, 4)], soprano="C5:3/2 D5:5/2")
    assert list(phrase_closes(piece, (6 * SIXTEENTH,))) == [(2 * BEAT, 4 * BEAT, 74)]
    assert phrase_closes(piece, None) == ()
