"""Streams of learned tokens, in the canonical segmentation and in any other, say what their base tokens say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descant_modeling.training.config import TaskShares
from descant_modeling.training.examples import ExampleSource
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.piece import piece_ids
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout

METERS = ((4, 4), (3, 4), (6, 8), (3, 2), (1, 4))
VOICES = st.sets(st.integers(0, 3), min_size=1).map(lambda voices: tuple(sorted(voices)))


@given(
    seed=st.integers(0, 2**32),
    num_bars=st.integers(1, 9),
    has=VOICES,
    writes=VOICES,
    lookahead=st.one_of(st.none(), st.integers(0, 4)),
    task=st.sampled_from(Task),
    data=st.data(),
)
def test_tasks_say_what_they_say_in_base_tokens(
    vocabulary, merged_vocabulary, random_piece, seed, num_bars, has, writes, lookahead, task, data
):
    piece = random_piece(np.random.default_rng(seed), num_bars=num_bars, voices=has, meters=METERS)
    bars = None
    if task is Task.INFILL:
        bars = sorted(data.draw(st.sets(st.integers(0, num_bars - 1), min_size=1)))
    base, learned = (TaskLayout(t, LayoutConfig(lookahead)) for t in (vocabulary, merged_vocabulary))
    plain, encoded = (layout.encode(piece, task, writes, bars) for layout in (base, learned))
    assert merged_vocabulary.expand(encoded.ids) == plain.ids
    assert learned.decode(encoded.ids) == base.decode(plain.ids)
    # A learned token is given or written as a whole, and what it stands for is so, too.
    spread = [
        written
        for token_id, written in zip(encoded.ids, encoded.loss_mask, strict=True)
        for _ in merged_vocabulary.base_ids(token_id)
    ]
    assert spread == plain.loss_mask


@pytest.fixture(scope="module")
def token_of(merged_vocabulary):
    """Run of base tokens to the token that stands for it."""
    return {merged_vocabulary.base_ids(token_id): token_id for token_id in range(merged_vocabulary.size)}


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), num_bars=st.integers(1, 3), has=VOICES)
def test_every_segmentation_is_legal_and_decodes(merged_vocabulary, token_of, random_piece, seed, num_bars, has):
    rng = np.random.default_rng(seed)
    piece = random_piece(rng, num_bars=num_bars, voices=has, meters=METERS)
    layout, grammar = TaskLayout(merged_vocabulary), Grammar(merged_vocabulary)
    base = piece_ids(merged_vocabulary, piece)
    canonical, other = merged_vocabulary.merge(base), any_segmentation(token_of, base, rng)
    for ids in (base, canonical, other):
        assert merged_vocabulary.expand(ids) == base
        assert grammar.accepts([*ids, grammar.eos]) == (piece.num_notes > 0)
        assert layout.decode([*layout.prefix(Task.CONTINUE, has), *ids, grammar.eos]).piece == piece
    # Whatever was written is seen again as training showed it.
    assert merged_vocabulary.merge(merged_vocabulary.expand(other)) == canonical


def any_segmentation(token_of, base, rng):
    """Cut a stream into tokens at random."""
    longest = max(map(len, token_of))
    ids, i = [], 0
    while i < len(base):
        fitting = [n for n in range(1, longest + 1) if tuple(base[i : i + n]) in token_of]
        n = int(rng.choice(fitting))
        ids.append(token_of[tuple(base[i : i + n])])
        i += n
    return ids


@given(seed=st.integers(0, 2**16), max_tokens=st.integers(60, 400))
def test_training_examples_fit_and_decode(merged_vocabulary, tiny_pieces, seed, max_tokens):
    layout = TaskLayout(merged_vocabulary)
    source = ExampleSource(tiny_pieces, layout, TaskShares(), seed=seed, transpose=True, max_tokens=max_tokens)
    example = source.example(seed % len(tiny_pieces), 0)
    assert len(example.ids) <= max_tokens or len(layout.decode(example.ids).piece.bars) == 1
    assert len(example.loss_mask) == len(example.ids)
