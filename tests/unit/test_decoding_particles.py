"""Several versions side by side: which of them go on, and that the sample is one of them, legal and reproducible."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.infilled import InfilledNotes
from descant_modeling.decoding.infilling import with_content
from descant_modeling.decoding.sampler import Drawn, Engine, log_masses
from descant_modeling.decoding.smc import _Population, num_particles, resample, sample_particles
from descant_modeling.decoding.template import Span, make_template
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

PITCHES = ((60, 81), (52, 74), (46, 69), (36, 66))
BAR_TICKS = 384


class PrefixEngine:
    """Logits drawn anew for each prefix; some pitches get a bonus."""

    def __init__(self, vocab_size: int, bonus: dict[int, float] | None = None) -> None:
        self.vocab_size, self.bonus = vocab_size, bonus or {}
        self.rows: list[list[int]] = [[]]
        self.num_rows: list[int] = []

    @property
    def lengths(self) -> list[int]:
        return list(map(len, self.rows))

    def select_rows(self, rows: Sequence[int]) -> None:
        self.rows = [list(self.rows[row]) for row in rows]

    def append(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        assert len(self.rows) == len(ids)
        self.num_rows.append(len(ids))
        for row, own in zip(self.rows, ids, strict=True):
            row += own
        return torch.stack([self._logits(row) for row in self.rows]).numpy()

    def _logits(self, row: list[int]) -> torch.Tensor:
        random = torch.Generator().manual_seed(hash(tuple(row)) % 2**31)
        logits = torch.randn(self.vocab_size, generator=random) * 2
        for token_id, more in self.bonus.items():
            logits[token_id] += more
        return logits


@pytest.fixture(scope="module", params=[False, True], ids=["blocks", "onsets"])
def layout(request: pytest.FixtureRequest, vocabulary: Vocabulary) -> TaskLayout:
    return TaskLayout(vocabulary, LayoutConfig(1, given_at_onsets=request.param))


@pytest.fixture(scope="module")
def grammar(vocabulary: Vocabulary) -> Grammar:
    return Grammar(vocabulary)


def draw(
    layout: TaskLayout,
    grammar: Grammar,
    pieces: Sequence[Piece],
    seeds: Sequence[int],
    num_particles: int = 3,
    engine: Engine | None = None,
) -> list[InfilledNotes]:
    num_bars = len(pieces[0].bars)
    ends = (num_bars * BAR_TICKS,) * 4
    span = Span(Task.HARMONIZE, (1, 2, 3), 0, num_bars, ends, PITCHES, to_the_end=True)
    templates = [make_template(layout, piece.keep_voices((0,)), span) for piece in pieces]
    randoms = [np.random.default_rng(seed) for seed in seeds]
    engine = engine or PrefixEngine(layout.vocabulary.size)
    return sample_particles(
        engine, grammar, templates, GenerationConfig(temperature=0.9, top_p=0.95), randoms, num_particles
    )


def test_indices_are_drawn_as_often_as_their_weights_say() -> None:
    assert resample(np.array([1.0, 1.0, 1.0, 1.0]), 0.3) == [0, 1, 2, 3]
    assert resample(np.array([0.0, 0.0, 1.0, 0.0]), 0.99) == [2, 2, 2, 2]
    assert resample(np.array([3.0, 0.0, 0.0, 1.0]), 0.5) == [0, 0, 0, 3]
    assert resample(np.array([0.5, 0.0]), 0.0) == [0, 0]
    weights = np.random.default_rng(1).random(16)
    counts = np.bincount(resample(weights, 0.7), minlength=16)
    assert np.abs(counts - 16 * weights / weights.sum()).max() < 1


def test_the_best_version_is_a_whole_and_legal_harmony(
    layout: TaskLayout, grammar: Grammar, tiny_pieces: list[Piece]
) -> None:
    piece = tiny_pieces[0]
    (sample,) = draw(layout, grammar, [piece], [1])
    assert sorted(sample.notes) == list(range(len(piece.bars)))
    whole = with_content(piece.keep_voices((0,)), sample.notes, sample.tempos)
    stream = layout.encode(whole, Task.CONTINUE, whole.voices)
    assert grammar.accepts(stream.ids[stream.loss_mask.index(True) :])
    assert whole.keep_voices((0,)) == piece.keep_voices((0,))
    assert all({note.voice for note in bar} <= {1, 2, 3} for bar in sample.notes.values())
    assert sample.log_likelihood < 0 < sample.num_tokens


def test_particles_share_a_row_until_they_differ(
    layout: TaskLayout, grammar: Grammar, vocabulary: Vocabulary, tiny_pieces: list[Piece]
) -> None:
    engine = PrefixEngine(vocabulary.size)
    samples = draw(layout, grammar, tiny_pieces[:1], [5, 5], 3, engine)
    assert samples[0] == samples[1]
    assert engine.num_rows[0] == 1, "the prefix of all"
    assert max(engine.num_rows) <= 3, "the particles of both samples are the same"
    rows = list(map(tuple, engine.rows))
    assert len(set(rows)) == len(rows)


def test_a_sample_does_not_depend_on_those_beside_it(
    layout: TaskLayout, grammar: Grammar, tiny_pieces: list[Piece]
) -> None:
    shortest = min(len(piece.bars) for piece in tiny_pieces[:2])
    cut = [Piece(piece.bars[:shortest]) for piece in tiny_pieces[:2]]
    alone = [draw(layout, grammar, [piece], [seed])[0] for piece, seed in zip(cut, (5, 6), strict=True)]
    assert draw(layout, grammar, cut, [5, 6]) == alone


def test_versions_that_rules_cornered_die_out(
    layout: TaskLayout, grammar: Grammar, vocabulary: Vocabulary, tiny_pieces: list[Piece]
) -> None:
    """Every note costs, because the model wants pitches that no voice may sing: the versions of fewer notes go on."""
    bonus = {vocabulary.pitch_id[pitch]: 3.0 for pitch in range(84, 91)}
    pieces, seeds = [tiny_pieces[0]], range(6)
    few, many = (
        [draw(layout, grammar, pieces, [seed], number, PrefixEngine(vocabulary.size, bonus))[0] for seed in seeds]
        for number in (2, 12)
    )
    assert np.mean([s.num_tokens for s in many]) < np.mean([s.num_tokens for s in few])


def test_masses_are_sums_of_tempered_probabilities() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]])
    legal = np.array([[True, False, True], [True, True, True]])
    with np.errstate(divide="ignore"):
        drawn = Drawn([0, 0], [0.0, 0.0], np.log(p), legal, np.array([1.0, 0.5]))
    of_legal, of_all = log_masses(drawn)
    assert np.exp(of_legal) == pytest.approx([0.7, 0.82])
    assert np.exp(of_all) == pytest.approx([1.0, 0.82])


class Row:
    """A state that draws pitches, chords or other tokens, one a quarter."""

    grammar = SimpleNamespace(vocabulary=SimpleNamespace(ticks_per_quarter=1))
    random = np.random.default_rng(0)
    done = False

    def __init__(self, name: str) -> None:
        self.name, self.now_ticks, self.bar = name, 0, 0
        self.kind: str | None = "pitch"

    def copy(self) -> Row:
        return copy(self)

    def accept(self, token_id: int, log_p: float) -> None:
        self.now_ticks += 1


def test_surer_particles_win_and_fewer_notes_do_not() -> None:
    population = _Population(Row("a"), 2)  # type: ignore[arg-type]
    population.rows = [Row("a"), Row("b")]  # type: ignore[list-item]
    for _ in range(50):
        population.accept(0, 0, 0.0, -1.0, -1.0)  # many pitches, each as sure as the mean
    assert population._log_weights.tolist() == pytest.approx([0, 0])
    population.accept(1, 0, 0.0, -0.2, -0.2)
    assert population.best().name == "b", "surer than the mean"
    population.accept(1, 0, 0.0, -3.5, -1.0)
    assert population.best().name == "a", "cornered by its mask"
    population.rows[1].kind = None
    before = population._log_weights.tolist()
    population.accept(1, 0, 0.0, -9.0, -9.0)
    assert population._log_weights.tolist() == pytest.approx(before), "rhythm is weighed by its mask alone"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (GenerationConfig(), 8),
        (GenerationConfig(allow_parallels=True), 8),
        (GenerationConfig(allow_parallels=True, allow_leaps=True), 1),
        (GenerationConfig(temperature=0), 1),
        (GenerationConfig(best_of=3), 3),
    ],
)
def test_versions_are_written_where_rules_are_kept(
    vocabulary: Vocabulary, config: GenerationConfig, expected: int
) -> None:
    assert num_particles(config, vocabulary) == expected


def test_rules_of_chords_stand_alone_where_there_are_hints(hint_vocabulary: Vocabulary) -> None:
    config = GenerationConfig(allow_parallels=True, allow_leaps=True)
    assert num_particles(config, hint_vocabulary) == 8
    assert num_particles(replace(config, allow_unresolved=True), hint_vocabulary) == 1


def test_instruments_keep_no_rules_of_voices(gm_vocabulary: Vocabulary) -> None:
    assert num_particles(GenerationConfig(), gm_vocabulary) == 1
