"""Requested chords are spelled on their beats, whatever the model likes."""

import numpy as np
import pytest
from random_engine import RandomEngine
from small_pieces import small_piece

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.given_chords import GivenChords
from descant_modeling.decoding.sampler import sample_templates
from descant_modeling.decoding.template import Span, make_template
from descant_tokenizers.tokens.grammar import NEVER, Grammar
from descant_tokenizers.tokens.harmony import ChordLabel, beat_chords
from descant_tokenizers.tokens.hints import Annotations
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout

S, B, A, T = range(4)
PITCHES = ((60, 81), (36, 66), (52, 74), (46, 69))
QUARTER = 96
C, F_A, G7 = ChordLabel(0, "maj", 0), ChordLabel(5, "maj", 1), ChordLabel(7, "7", 0)


def harmony(hint_vocabulary, piece, chords, seed) -> Piece:
    """The piece with new voices at random under its soprano."""
    known = Annotations(chords=chords, writes_chords=True)
    span = Span(Task.HARMONIZE, (B, A, T), 0, len(piece.bars), (8 * QUARTER,) * 4, PITCHES, annotations=known)
    [found] = sample_templates(
        RandomEngine(hint_vocabulary.size),
        Grammar(hint_vocabulary),
        [make_template(TaskLayout(hint_vocabulary, LayoutConfig(hints=True)), piece, span)],
        GenerationConfig(allow_parallels=True, allow_leaps=True, top_p=1.0),
        [np.random.default_rng(seed)],
    )
    return Piece(
        tuple(
            bar.with_notes((*bar.notes, *found.notes[index])) if index in found.notes else bar
            for index, bar in enumerate(piece.bars)
        )
    )


def test_random_voices_spell_the_chords_that_were_requested(hint_vocabulary):
    piece = small_piece(hint_vocabulary, [(4, 4), (4, 4)], soprano="E5 F5 G5 F5 E5 A5 B4 C5")
    wanted = {0: C, 1: F_A, 3: G7, 4: C, 5: F_A, 6: G7, 7: C}  # the third beat is left open
    chords = {beat * QUARTER: chord for beat, chord in wanted.items()}

    def spelled(asked: dict[int, ChordLabel]) -> int:
        """Count the chords that are spelled in ten harmonies that were asked for some."""
        found = [beat_chords(harmony(hint_vocabulary, piece, asked, seed)) for seed in range(10)]
        return sum(each[beat] == chord for each in found for beat, chord in chords.items())

    # all but a few, where notes that are held leave too few voices to complete a chord
    assert spelled(chords) > 0.8 * 10 * len(chords)
    assert spelled({}) < 0.2 * 10 * len(chords)


def test_over_a_passing_note_the_other_voices_sing_the_chord(hint_vocabulary):
    piece = small_piece(hint_vocabulary, [(4, 4), (4, 4)], soprano="D5 C5:3 C5:4")
    for seed in range(5):
        notes = harmony(hint_vocabulary, piece, {0: C}, seed).bars[0].notes
        sung = {note.pitch % 12 for note in notes if note.offset_ticks == 0 and note.voice != S}
        assert {0, 4} <= sung <= {0, 4, 7}  # the fifth may be missing


def test_each_voice_leaves_the_next_what_is_missing():
    chords = GivenChords({0: G7}, bass=B)
    chords.add(S, QUARTER, 74)  # D
    assert {pitch % 12 for pitch in chords.choices(B, 0, 2)[0]} == {7}
    assert {pitch % 12 for pitch in chords.choices(B, 0, 2)[-1]} == {7, 11, 2, 5}  # where that makes parallels
    chords.add(B, QUARTER, 43)
    alto = chords.choices(A, 0, 1)[0]
    assert {pitch % 12 for pitch in alto} == {5, 11}  # the third and the seventh are missing, and one voice is left
    assert min(alto) >= 43
    chords.add(A, QUARTER, 65)
    assert {pitch % 12 for pitch in chords.choices(T, 0, 0)[0]} == {11}
    assert chords.choices(T, QUARTER, 0) == []


@pytest.mark.parametrize(
    ("voice", "pitch", "end"), [(A, 60, QUARTER), (A, 65, NEVER), (B, 43, NEVER), (B, 53, QUARTER)]
)
def test_a_note_ends_where_a_chord_does_not_have_it(voice, pitch, end):
    assert GivenChords({QUARTER: G7}, bass=B).latest_end(voice, pitch, 0) == end
