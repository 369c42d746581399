"""Sampling draws legal tokens only, as likely as it should, and each sample on its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.infilled import InfilledNotes
from descant_modeling.decoding.infilling import with_content
from descant_modeling.decoding.rhythm import NO_LEANING
from descant_modeling.decoding.sampler import draw as draw_tokens
from descant_modeling.decoding.sampler import sample_templates
from descant_modeling.decoding.template import Span, make_template
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.piece import GridBar, Piece
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout, cut
from descant_tokenizers.tokens.vocabulary import Vocabulary

PITCHES = ((60, 81), (52, 74), (46, 69), (36, 66))
BAR_TICKS = 384
NUM_BARS = 4


class StubEngine:
    """Logits that depend on a row's tokens alone: drawn anew for each prefix, or a constant."""

    def __init__(self, vocab_size: int, constant: torch.Tensor | None = None, longest: int = 1 << 20) -> None:
        self.vocab_size, self.constant, self.longest = vocab_size, constant, longest
        self.rows: list[list[int]] = [[]]
        self.num_calls = 0

    def select_rows(self, rows: Sequence[int]) -> None:
        self.rows = [list(self.rows[row]) for row in rows]

    def append(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        self.num_calls += 1
        for row, own in zip(self.rows, ids, strict=True):
            row += own
            if len(row) > self.longest:
                raise ValueError(f"{len(row)} tokens in a row")
        return torch.stack([self._logits(row) for row in self.rows]).numpy()

    def _logits(self, row: list[int]) -> torch.Tensor:
        if self.constant is not None:
            return self.constant
        return torch.randn(self.vocab_size, generator=torch.Generator().manual_seed(hash(tuple(row)) % 2**31)) * 2


@pytest.fixture(scope="module", params=[False, True], ids=["blocks", "onsets"])
def layout(request: pytest.FixtureRequest, vocabulary: Vocabulary) -> TaskLayout:
    return TaskLayout(vocabulary, LayoutConfig(1, given_at_onsets=request.param))


@pytest.fixture(scope="module")
def grammar(vocabulary: Vocabulary) -> Grammar:
    return Grammar(vocabulary)


@pytest.fixture(scope="module")
def piece(random_piece: Callable[..., Piece]) -> Piece:
    """Four bars in four voices that end with the last bar."""
    whole = random_piece(np.random.default_rng(2), num_bars=NUM_BARS)
    starts = whole.bar_starts_ticks()
    bars = []
    for start, bar in zip(starts, whole.bars, strict=False):
        bars.append(
            GridBar(bar.meter, tuple(n for n in bar.notes if start + n.offset_ticks + n.duration_ticks <= starts[-1]))
        )
    return Piece(tuple(bars))


def harmony(piece: Piece) -> tuple[Piece, Span]:
    span = Span(Task.HARMONIZE, (1, 2, 3), 0, NUM_BARS, (NUM_BARS * BAR_TICKS,) * 4, PITCHES, to_the_end=True)
    return piece.keep_voices((0,)), span


def infill(piece: Piece) -> tuple[Piece, Span]:
    span = Span(Task.INFILL, (1, 3), 1, 3, (3 * BAR_TICKS,) * 4, PITCHES)
    return cut(piece, span.voices, span.bars), span


def continuation(piece: Piece) -> tuple[Piece, Span]:
    longer = Piece((*piece.bars, *(GridBar(piece.bars[-1].meter),) * 3))
    return longer, Span(Task.CONTINUE, (0, 1, 2, 3), NUM_BARS, NUM_BARS + 3, ((NUM_BARS + 3) * BAR_TICKS,) * 4, PITCHES)


def middle_at_onsets(piece: Piece) -> tuple[Piece, Span]:
    """Alto and tenor between soprano and bass, from the second bar on."""
    ends = (NUM_BARS * BAR_TICKS,) * 4
    span = Span(Task.CONTINUE, (1, 2), 1, NUM_BARS, ends, PITCHES, to_the_end=True)
    return cut(piece, span.voices, span.bars), span


SPANS = (harmony, infill, continuation, middle_at_onsets)


def draw(
    layout: TaskLayout,
    grammar: Grammar,
    what: tuple[Piece, Span],
    seeds: Sequence[int],
    config: GenerationConfig | None = None,
    engine: StubEngine | None = None,
) -> list[InfilledNotes]:
    template = make_template(layout, *what)
    engine = engine or StubEngine(layout.vocabulary.size)
    randoms = [np.random.default_rng(seed) for seed in seeds]
    return sample_templates(
        engine, grammar, [template], config or GenerationConfig(temperature=1.0, top_p=1.0), randoms
    )


@pytest.mark.parametrize("make_span", SPANS)
def test_random_logits_fill_the_hole_with_legal_notes(
    layout: TaskLayout, grammar: Grammar, piece: Piece, make_span: Callable[[Piece], tuple[Piece, Span]]
) -> None:
    given, span = make_span(piece)
    starts = given.bar_starts_ticks()
    for sample in draw(layout, grammar, (given, span), range(8)):
        assert sorted(sample.notes) == list(span.bars)
        ends = dict.fromkeys(range(4), 0)
        for index, bar in enumerate(given.bars):
            for note in sorted((*bar.notes, *sample.notes.get(index, ()))):
                onset = starts[index] + note.offset_ticks
                assert ends[note.voice] <= onset < starts[index + 1]
                ends[note.voice] = onset + note.duration_ticks
        for index, notes in sample.notes.items():
            for note in notes:
                assert note.voice in span.voices
                assert PITCHES[note.voice][0] <= note.pitch <= PITCHES[note.voice][1]
                assert starts[index] + note.offset_ticks + note.duration_ticks <= span.end_ticks[0]


@pytest.mark.parametrize("make_span", SPANS)
def test_the_model_sees_the_stream_that_it_was_trained_on(
    layout: TaskLayout, grammar: Grammar, piece: Piece, make_span: Callable[[Piece], tuple[Piece, Span]]
) -> None:
    given, span = make_span(piece)
    voices = span.voices if span.task is not Task.CONTINUE else (0, 1, 2, 3)
    for seed in range(8):
        engine = StubEngine(layout.vocabulary.size)
        (sample,) = draw(layout, grammar, (given, span), [seed], engine=engine)
        whole = with_content(given, sample.notes, {})
        (seen,) = engine.rows
        assert seen == layout.encode(whole, span.task, voices, span.bars).ids[: len(seen)]


def test_every_voice_of_a_harmony_sounds_at_its_end(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    """Even where the model wants nothing but to close each bar."""
    wants_to_close = torch.zeros(layout.vocabulary.size)
    wants_to_close[[layout.sep, layout.eos, layout.vocabulary.bar_id]] = 20.0
    engine = StubEngine(layout.vocabulary.size, wants_to_close)
    for sample in draw(layout, grammar, harmony(piece), range(4), engine=engine):
        ends = {note.voice: note.offset_ticks + note.duration_ticks for note in sample.notes[NUM_BARS - 1]}
        assert set(ends) == {1, 2, 3}
        assert min(ends.values()) > BAR_TICKS - layout.vocabulary.ticks_per_quarter // 2


def test_every_continuation_sounds_in_its_last_bar(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    wants_to_close = torch.zeros(layout.vocabulary.size)
    wants_to_close[[layout.eos, layout.vocabulary.bar_id]] = 20.0
    engine = StubEngine(layout.vocabulary.size, wants_to_close)
    (sample,) = draw(layout, grammar, continuation(piece), [0], engine=engine)
    assert sample.notes[NUM_BARS + 2]


def test_a_piece_without_other_notes_is_not_left_empty(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    wants_to_close = torch.zeros(layout.vocabulary.size)
    wants_to_close[[layout.sep, layout.eos, layout.vocabulary.bar_id]] = 20.0
    span = Span(Task.INFILL, (0, 1, 2, 3), 0, NUM_BARS, (NUM_BARS * BAR_TICKS,) * 4, PITCHES)
    alone = cut(piece, span.voices, span.bars), span
    engine = StubEngine(layout.vocabulary.size, wants_to_close)
    (sample,) = draw(layout, grammar, alone, [0], engine=engine)
    assert sample.notes[NUM_BARS - 1]


def test_temperature_zero_takes_the_likeliest_legal_token(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    first, second = draw(layout, grammar, harmony(piece), [1, 2], GenerationConfig(temperature=0))
    assert first == second
    tiny = draw(layout, grammar, harmony(piece), [3], GenerationConfig(temperature=1e-30, top_p=1.0))
    assert tiny[0].notes == first.notes


def test_a_small_nucleus_is_the_likeliest_token(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    (greedy,) = draw(layout, grammar, harmony(piece), [1], GenerationConfig(temperature=0))
    (nucleus,) = draw(layout, grammar, harmony(piece), [1], GenerationConfig(top_p=1e-6))
    assert nucleus.notes == greedy.notes


def test_draws_follow_the_probabilities_of_the_nucleus(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    """Of a bar's first tokens, three are likely: 0.5, 0.3 and 0.15; a nucleus of 0.75 keeps the first two."""
    vocabulary = layout.vocabulary
    logits = torch.full((vocabulary.size,), -50.0)
    positions = [vocabulary.position_id[p] for p in (0, 24, 48)]
    logits[positions] = torch.tensor([0.5, 0.3, 0.15]).log()
    given = Piece((GridBar(piece.bars[0].meter),))
    span = Span(Task.INFILL, (0,), 0, 1, (BAR_TICKS,) * 4, PITCHES)
    engine = StubEngine(vocabulary.size, logits)
    samples = draw(layout, grammar, (given, span), range(400), GenerationConfig(temperature=1.0, top_p=0.75), engine)
    onsets = [sample.notes[0][0].offset_ticks // given.bars[0].meter.position_ticks for sample in samples]
    assert set(onsets) == {0, 24}
    assert onsets.count(0) / len(onsets) == pytest.approx(0.5 / 0.8, abs=0.08)


def test_the_end_of_a_bar_is_as_likely_as_all_its_endings(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    """A model that expects another bar, where the span ends, writes no notes in its place."""
    favorite = torch.full((layout.vocabulary.size,), -30.0)
    favorite[layout.vocabulary.bar_id] = 0.0
    span = replace(harmony(piece)[1], voices=(0, 1, 2, 3), to_the_end=False)
    engine = StubEngine(layout.vocabulary.size, favorite)
    (sample,) = draw(
        layout, grammar, (piece.keep_voices(()), span), [0], GenerationConfig(temperature=1.0, top_p=1.0), engine
    )
    assert len(sample.notes) == NUM_BARS
    assert not any(sample.notes.values())


def test_what_is_not_legal_of_moving_on_belongs_to_what_is() -> None:
    """Two ends of a bar, the first of which is not legal; two later onsets, likewise; and another note."""
    groups = np.array([0, 1]), np.array([0, 1, 2, 3])
    legal = np.array([False, True, False, True, True])
    row = SimpleNamespace(
        random=np.random.default_rng(0), kind=None, moving_on=groups, leaning=NO_LEANING, legal=lambda: legal
    )
    logits = np.log(np.array([[0.1, 0.1, 0.5, 0.2, 0.1]], np.float32))
    pooled = draw_tokens(logits, [row], GenerationConfig(temperature=1.0, top_p=1.0))
    assert np.exp(pooled.log_p_BV[0]) == pytest.approx([0, 0.45, 0, 0.45, 0.1], abs=1e-6)
    row.moving_on = ()
    alone = draw_tokens(logits, [row], GenerationConfig(temperature=1.0, top_p=1.0))
    assert np.exp(alone.log_p_BV[0]) == pytest.approx([0.1, 0.1, 0.5, 0.2, 0.1], abs=1e-6)


def test_a_sample_does_not_depend_on_those_beside_it(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    together = draw(layout, grammar, harmony(piece), [7, 8, 9])
    alone = [draw(layout, grammar, harmony(piece), [seed])[0] for seed in (7, 8, 9)]
    assert together == alone
    assert together[0].notes != together[1].notes


def test_a_random_stream_goes_on_where_its_sample_ended(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    """Rows that are done draw nothing, so what a sample writes next does not depend on the others' length."""
    template = make_template(layout, *harmony(piece))
    randoms = [np.random.default_rng(seed) for seed in (7, 8)]
    sample_templates(
        StubEngine(layout.vocabulary.size), grammar, [template], GenerationConfig(temperature=1.0, top_p=1.0), randoms
    )
    alone = np.random.default_rng(7)
    sample_templates(
        StubEngine(layout.vocabulary.size), grammar, [template], GenerationConfig(temperature=1.0, top_p=1.0), [alone]
    )
    assert randoms[0].random() == alone.random()


def test_different_plans_are_filled_side_by_side(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    templates = [make_template(layout, *make_span(piece)) for make_span in SPANS]
    randoms = [np.random.default_rng(seed) for seed in range(len(SPANS))]
    together = sample_templates(
        StubEngine(layout.vocabulary.size), grammar, templates, GenerationConfig(temperature=1.0, top_p=1.0), randoms
    )
    for seed, make_span in enumerate(SPANS):
        assert together[seed] == draw(layout, grammar, make_span(piece), [seed])[0]


def test_a_common_beginning_is_computed_once(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    engine = StubEngine(layout.vocabulary.size)
    samples = draw(layout, grammar, harmony(piece), range(3), engine=engine)
    longest = max(len(row) for row in engine.rows)
    prompt = len(make_template(layout, *harmony(piece)).context[0])
    assert max(sample.num_tokens for sample in samples) <= engine.num_calls <= longest - prompt + 1


def test_likelihood_is_that_of_the_model_without_mask_or_temperature(
    layout: TaskLayout, grammar: Grammar, piece: Piece
) -> None:
    engine = StubEngine(layout.vocabulary.size, torch.zeros(layout.vocabulary.size))
    (sample,) = draw(layout, grammar, infill(piece), [0], GenerationConfig(temperature=0.5, top_p=0.9), engine)
    assert sample.log_likelihood == pytest.approx(-sample.num_tokens * math.log(layout.vocabulary.size), rel=1e-5)


def test_progress_rises_to_one(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    shares: list[float] = []
    template = make_template(layout, *harmony(piece))
    randoms = [np.random.default_rng(seed) for seed in range(2)]
    sample_templates(
        StubEngine(layout.vocabulary.size), grammar, [template], GenerationConfig(), randoms, shares.append
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_stream_beyond_the_model_is_refused(layout: TaskLayout, grammar: Grammar, piece: Piece) -> None:
    with pytest.raises(InputError, match="too long for this model"):
        draw(layout, grammar, harmony(piece), [0], engine=StubEngine(layout.vocabulary.size, longest=60))


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", -0.1), ("temperature", 11), ("top_p", 0), ("top_p", 1.1), ("top_p", math.nan)]
)
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        GenerationConfig(**{name: value})
