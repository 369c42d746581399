"""The grammar of a MidiTok tokenizer for `generate` of transformers.

Legend: B rows, L tokens so far, V ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import LogitsProcessor

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.miditok_grammar import MidiTokGrammar
from descant_tokenizers.tokens.miditok_stream import State

if TYPE_CHECKING:
    from miditok import MusicTokenizer


class GrammarLogitsProcessor(LogitsProcessor):
    """Forbids every token after which the stream could not be decoded without loss.

    Works with sampling, greedy and beam search, in batches, with prompts (padded on the left) or without. A prompt is
    not checked; what follows it is legal.

    Args:
        tokenizer: A REMI, TSD, MIDI-Like or Structured tokenizer of miditok, trained or not. With instruments, all
            tracks must be in one stream (`use_programs=True`).
        max_length: Number of tokens, the prompt included, in which the music ends: the last notes are finished, and
            `EOS` follows in time. Give `generate` the same number. By default the stream may be cut anywhere.

    Raises:
        InputError: The tokenizer is of another kind, or uses options that the grammar does not know.

    >>> import miditok
    >>> tokenizer = miditok.REMI(miditok.TokenizerConfig(use_programs=True))
    >>> processor = GrammarLogitsProcessor(tokenizer)
    >>> bos = torch.tensor([[tokenizer["BOS_None"]]])
    >>> scores = processor(bos, torch.zeros(1, len(tokenizer)))
    >>> [tokenizer[int(i)] for i in scores[0].isfinite().nonzero()]
    ['Bar_None']
    """

    def __init__(self, tokenizer: MusicTokenizer, max_length: int | None = None) -> None:
        self.grammar = MidiTokGrammar(tokenizer)
        self.max_length = max_length
        self._states: dict[bytes, State] = {}  # of the rows of the last call, by their tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores (B, V) that are minus infinity for illegal successors of the rows (B, L)."""
        ids_BL = input_ids.cpu().numpy()
        remaining = None if self.max_length is None else self.max_length - ids_BL.shape[1]
        states = [self._state(ids_L) for ids_L in ids_BL]
        self._states = {ids_L.tobytes(): state for ids_L, state in zip(ids_BL, states, strict=True)}
        allowed_BV = np.stack([self._allowed(state, scores.shape[1], remaining) for state in states])
        illegal_BV = torch.from_numpy(~allowed_BV).to(scores.device)
        return scores.masked_fill(illegal_BV, -torch.inf)

    def _state(self, ids_L: np.ndarray) -> State:
        """Return the state after a row: one token after a row of the last call, or from the beginning."""
        state = self._states.get(ids_L[:-1].tobytes())
        if state is not None:
            return self.grammar.follow(state, int(ids_L[-1]))
        state = self.grammar.start()
        for token_id in ids_L:
            state = self.grammar.follow(state, int(token_id))
        return state

    def _allowed(self, state: State, size: int, remaining: int | None) -> np.ndarray:
        """Return a mask (V,); a model may have more ids than its tokenizer."""
        mask = self.grammar.mask(state, remaining)
        if not mask.any():
            raise InputError(f"Nothing may follow {state.kind} at the end of the prompt. Shorten the prompt.")
        return np.pad(mask, (0, size - mask.size))
