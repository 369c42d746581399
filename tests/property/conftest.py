"""Random walks through a grammar."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from descant_tokenizers.tokens.grammar import Grammar

Walk = Callable[..., list[int]]
MAX_TOKENS = 40


@pytest.fixture(scope="session")
def walk() -> Walk:
    """A function that draws legal tokens, all alike; after `max_tokens` it ends as soon as that is legal."""

    def follow(grammar: Grammar, rng: np.random.Generator, max_tokens: int = MAX_TOKENS) -> list[int]:
        state, ids = grammar.start(), []
        while not grammar.is_final(state):
            mask = grammar.mask(state)
            legal = np.flatnonzero(mask)
            assert legal.size, "a dead end"
            if len(ids) >= max_tokens and mask[grammar.eos]:
                token = grammar.eos
            else:
                token = int(legal[rng.integers(legal.size)])
            ids.append(token)
            state = grammar.advance(state, token)
            assert len(ids) < 20 * MAX_TOKENS
        return ids

    return follow
