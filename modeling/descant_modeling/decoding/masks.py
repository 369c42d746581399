"""Masks of tokens, narrowed as long as a token is left. Shapes: V vocabulary."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from descant_tokenizers.tokens.grammar import Mask
from descant_tokenizers.tokens.vocabulary import Vocabulary


def first_possible(legal: Mask, vocabulary: Vocabulary, choices: Iterable[Collection[int]]) -> Mask:
    """Return the legal tokens (V,) of the first collection of MIDI pitches that has any; all if none has."""
    for pitches in choices:
        kept = np.zeros_like(legal)
        kept[[vocabulary.pitch_id[pitch] for pitch in pitches if pitch in vocabulary.pitch_id]] = True
        kept &= legal
        if kept.any():
            return kept
    return legal


def no_longer(legal: Mask, durations: Mapping[int, int], most_ticks: int) -> Mask:
    """Return the legal tokens (V,) without durations over a length, given in ticks for each duration token.

    All are kept if none is short enough.
    """
    return without(legal, [i for i, ticks in durations.items() if ticks > most_ticks])


def without(legal: Mask, token_ids: Sequence[int]) -> Mask:
    """Return the legal tokens (V,) without some; all if no other is left."""
    kept = legal.copy()
    kept[list(token_ids)] = False
    return kept if kept.any() else legal
