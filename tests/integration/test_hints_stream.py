"""A model with hints sees what it was trained on: its tokens are those of the training examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prompts import WILD, chorale, melody, scale

from descant_modeling.api import Model
from descant_modeling.decoding.engine import Engine, EngineModel
from descant_modeling.decoding.infilling import Infiller, with_bars, with_content
from descant_modeling.decoding.template import Span
from descant_modeling.generation.satb import read_four_part_prompt
from descant_tokenizers.tokens.harmony import beats, parse_chord_name
from descant_tokenizers.tokens.hints import Annotations, cadence_beats
from descant_tokenizers.tokens.kinds import make_grammar
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Task, cut
from descant_tokenizers.tokens.vocabulary import Vocabulary

RANGES = ((60, 81), (36, 66), (52, 74), (46, 69))
ONE = replace(WILD, best_of=1)


class _Recorder:
    """A model that remembers the tokens of its first row."""

    def __init__(self, model: EngineModel) -> None:
        self.model, self.ids = model, list[int]()
        self.max_positions, self.has_position_table = model.max_positions, model.has_position_table

    def start(self, max_tokens: int) -> Engine:
        engine = self.model.start(max_tokens)
        append = engine.append

        def recorded(ids: Sequence[Sequence[int]]) -> Any:
            self.ids += ids[0]
            return append(ids)

        engine.append = recorded  # type: ignore[method-assign]
        return engine


def _span(piece: Piece, task: Task, voices: tuple[int, ...], bars: range, known: Annotations) -> Span:
    end = piece.bar_starts_ticks()[bars.stop]
    return Span(
        task,
        voices,
        bars.start,
        bars.stop,
        (end,) * 4,
        RANGES,
        to_the_end=task is Task.HARMONIZE,
        annotations=known,
        hint_stop=bars.stop,
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["bwv66.6", "bwv119.9", "bwv123.6", "bwv269"])
@pytest.mark.parametrize(
    ("task", "voices", "bars"),
    [
        (Task.HARMONIZE, (1, 2, 3), None),
        (Task.HARMONIZE, (0, 2), None),
        (Task.INFILL, (1, 2, 3), range(2, 5)),
        (Task.INFILL, (0, 1, 2, 3), range(1, 3)),
        (Task.INFILL, (2,), range(-2, 0)),
        (Task.CONTINUE, (0, 1, 2, 3), None),
    ],
)
def test_the_stream_is_that_of_training(
    guided: Model,
    hinted_chorales: dict[str, tuple[Piece, Annotations]],
    name: str,
    task: Task,
    voices: tuple[int, ...],
    bars: range | None,
    seed: int,
) -> None:
    piece, known = hinted_chorales[name]
    num_bars = len(piece.bars)
    chords = {beats(piece)[place]: parse_chord_name("F#m7/E") for place in range(0, 20, 3)}
    known = replace(known, chords=chords, writes_chords=True)
    if task is Task.CONTINUE:
        known, piece = Annotations(key=known.key), with_bars(piece, 3)
        bars, context = range(num_bars, num_bars + 3), piece
    else:
        bars = range(num_bars) if bars is None else bars if bars.start >= 0 else range(num_bars - 2, num_bars)
        context = cut(piece, voices, bars)
    layout = guided.generator.checkpoint.layout
    recorder = _Recorder(guided.generator.model)
    infiller = Infiller(recorder, layout, make_grammar(layout.vocabulary), ONE)
    span = _span(context, task, voices, bars, known)
    (found,) = infiller.infill([context], span, [np.random.default_rng(seed)])
    written = with_content(context, found.notes, {})
    if known.chords is not None:
        known = replace(known, chords={**chords, **found.chords})
        assert not set(chords) & set(found.chords)
    span_bars = None if task is Task.CONTINUE else list(bars)
    trained = layout.encode(written, task, voices, span_bars, annotations=known)
    assert recorder.ids == trained.ids[:-1]
    assert all(found.notes[bar] == () or {n.voice for n in found.notes[bar]} <= {*voices} for bar in bars)


def test_an_estimate_of_the_stream_is_not_far_off(guided: Model) -> None:
    """Windows are made by it; long notes under many chords need most hints."""
    layout = guided.generator.checkpoint.layout
    for notes in (scale(32, 480), scale(8, 1920), scale(4, 3840), [(0, 1920 * 8, 70)]):
        piece = read_four_part_prompt(layout.vocabulary, RANGES, melody(notes)).piece
        span = _span(piece, Task.HARMONIZE, (1, 2, 3), range(8), Annotations(writes_chords=True))
        infiller = Infiller(guided.generator.model, layout, make_grammar(layout.vocabulary), ONE)
        lower = read_four_part_prompt(layout.vocabulary, RANGES, chorale(8)).piece.keep_voices((1, 2, 3))
        whole = piece.merge(lower)
        known = Annotations(
            chords=dict.fromkeys(beats(whole), parse_chord_name("C")), phrase_ends=(0,), writes_chords=True
        )
        exact = len(layout.encode(whole, Task.HARMONIZE, (1, 2, 3), annotations=known).ids)
        assert exact <= infiller._num_tokens([piece], span, 0, 8) <= 1.6 * exact


def test_discarded_bars_leave_no_chords(guided: Model, hint_vocabulary: Vocabulary) -> None:
    """Chords are there exactly where notes of the result begin on beats of cadences."""
    layout, grammar = guided.generator.checkpoint.layout, make_grammar(hint_vocabulary)
    piece = read_four_part_prompt(hint_vocabulary, RANGES, melody(scale(60, 1920))).piece
    ends = tuple(piece.bar_starts_ticks()[1:60:2])
    span = _span(piece, Task.HARMONIZE, (1, 2, 3), range(60), Annotations(ends, writes_chords=True))
    infiller = Infiller(guided.generator.model, layout, grammar, ONE)
    infiller._max_tokens = 600
    (found,) = infiller.infill([piece], span, [np.random.default_rng(1)])
    whole = with_content(piece, found.notes, {})
    onsets = {
        start + note.offset_ticks
        for start, bar in zip(whole.bar_starts_ticks(), whole.bars, strict=False)
        for note in bar.notes
    }
    assert set(found.chords) == onsets & cadence_beats(piece, ends)
    assert len(found.chords) >= len(ends)
