"""How much a model reads of what its hints say is coming: the cost of hints that belong to another place.

A model that ignores a hint predicts the music just as well from a wrong one. So the hints of one kind are exchanged
between the places of a piece, and the loss of a voice's pitches is compared with that under the true ones.

Shapes: T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from descant_modeling.evaluation.bootstrap import Estimate, ratio_interval
from descant_modeling.models.likelihood import Batch, token_nll
from descant_tokenizers.corpora import load_corpus, row_to_score
from descant_tokenizers.scores import NUM_VOICES
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.harmony import beat_chords, closing_key, shift_to_common_tonic, sounding_notes
from descant_tokenizers.tokens.hint_tokens import BEATS_AHEAD, BEATS_AHEAD_OTHERS
from descant_tokenizers.tokens.hints import Annotations
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Encoded, Task, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

_INFILLED_BARS = 2


@dataclass(frozen=True)
class Swap:
    """A kind of hint to exchange.

    Attributes:
        name: Its name.
        task: The task whose examples show it.
        given: Ranks of the given voices.
        place: Which of the given voices it belongs to, from high to low; None for what follows an infilled gap.
    """

    name: str
    task: Task
    given: tuple[int, ...]
    place: int | None


def swaps(ranks: Mapping[str, int]) -> list[Swap]:
    """Return the exchanges to measure on the bass, given the rank of each voice."""
    soprano, alto, tenor = ranks["Soprano"], ranks["Alto"], ranks["Tenor"]
    three = (soprano, alto, tenor)
    return [
        Swap("soprano, given alone", Task.HARMONIZE, (soprano,), 0),
        *(
            Swap(f"{name}, of three given", Task.HARMONIZE, three, place)
            for place, name in enumerate(("soprano", "alto", "tenor"))
        ),
        Swap("after the gap", Task.INFILL, (), None),
    ]


def cost_of_swap(
    model: PreTrainedModel,
    layout: TaskLayout,
    pieces: Sequence[tuple[Piece, Annotations]],
    swap: Swap,
    voice: int,
    seed: int = 0,
) -> tuple[Estimate, Estimate]:
    """Return the loss of a voice's pitches, in nats a note, under true hints, and what exchanged ones add.

    Args:
        model: Causal model with hints, in eval mode.
        layout: Its layout.
        pieces: Whole pieces and what is known of them; chords are not shown.
        swap: What to exchange.
        voice: Rank of the voice.
        seed: Seed of the exchange.
    """
    rng = np.random.default_rng(seed)
    truth, added = [], []
    for piece, known in pieces:
        voices = tuple(rank for rank in piece.voices if rank not in swap.given)
        if voice not in voices or len(piece.bars) < 2 * _INFILLED_BARS:
            continue
        right = wrong = 0.0
        number = 0
        for bars in _spans(piece, swap.task):
            encoded = layout.encode(piece, swap.task, voices, bars, annotations=known)
            nats, count = _nats(model, layout, encoded, voice)
            right, number = right + nats, number + count
            wrong += _nats(model, layout, _exchanged(layout, encoded, swap, rng), voice)[0]
        truth.append((right, number))
        added.append((wrong - right, number))
    return _estimate(truth), _estimate(added)


def _spans(piece: Piece, task: Task) -> list[list[int] | None]:
    if task is not Task.INFILL:
        return [None]
    last = len(piece.bars) - _INFILLED_BARS
    return [list(range(first, first + _INFILLED_BARS)) for first in range(1, last, 2 * _INFILLED_BARS)]


def _estimate(shares: Sequence[tuple[float, int]]) -> Estimate:
    return ratio_interval([nats for nats, _ in shares], [number for _, number in shares])


def _nats(model: PreTrainedModel, layout: TaskLayout, encoded: Encoded, voice: int) -> tuple[float, int]:
    """Return the sum of -ln p of a voice's pitches, and their number."""
    vocabulary = layout.vocabulary
    ids_T = torch.tensor(encoded.ids)
    wanted_T = torch.tensor(encoded.loss_mask)
    wanted_T[1:] &= ids_T[:-1] == vocabulary.voice_id[voice]
    wanted_T &= torch.isin(ids_T, torch.tensor(list(vocabulary.pitch_of)))
    batch = Batch(ids_T[None], wanted_T[None])
    with torch.inference_mode():
        nll_N = token_nll(model(input_ids=batch.ids_BT, use_cache=False).logits, batch)
    return float(nll_N.sum()), len(nll_N)


def _exchanged(layout: TaskLayout, encoded: Encoded, swap: Swap, rng: np.random.Generator) -> Encoded:
    """Return a stream whose hints of one kind are those of other places (or, after a gap, other pitches)."""
    names = layout.vocabulary.names
    ids = list(encoded.ids)
    if swap.place is None:
        shift = int(rng.integers(1, 12))
        for index, token_id in enumerate(ids):
            if names[token_id].startswith("After_"):
                kind, pitch = names[token_id].rsplit("-", 1)
                ids[index] = names.index(f"{kind}-{(int(pitch) + shift) % 12}")
        return Encoded(ids, encoded.loss_mask)
    runs = _runs(ids, lambda token_id: names[token_id].startswith("Ahead_"))
    first = 0 if swap.place == 0 else BEATS_AHEAD + (swap.place - 1) * BEATS_AHEAD_OTHERS
    length = BEATS_AHEAD_OTHERS if swap.place else BEATS_AHEAD
    for (start, _), other in zip(runs, rng.permutation(len(runs)), strict=True):
        source = runs[int(other)][0]
        ids[start + first : start + first + length] = encoded.ids[source + first : source + first + length]
    return Encoded(ids, encoded.loss_mask)


def _runs(ids: Sequence[int], belongs: Callable[[int], bool]) -> list[tuple[int, int]]:
    """Return start and end of each run of tokens that belong together."""
    runs: list[tuple[int, int]] = []
    for index, token_id in enumerate(ids):
        if not belongs(token_id):
            continue
        if runs and runs[-1][1] == index:
            runs[-1] = runs[-1][0], index + 1
        else:
            runs.append((index, index + 1))
    return runs


def annotated_pieces(source: str, vocabulary: Vocabulary) -> list[tuple[Piece, Annotations]]:
    """Return the four-part pieces of a split (`corpus:split`) at the common tonic, with what is known of them."""
    corpus, _, split = source.partition(":")
    found = []
    for row in load_corpus(corpus)[split]:
        if row["num_parts"] != NUM_VOICES:
            continue
        score = row_to_score(row)
        piece = encode_score(vocabulary, score).piece
        ends = [round(tick * vocabulary.ticks_per_quarter / score.ticks_per_quarter) for tick in row["fermatas"]]
        known = Annotations(tuple(ends) or None, closing_key(sounding_notes(piece)), beat_chords(piece), "beat")
        shift = 0 if known.key is None else shift_to_common_tonic(known.key)
        found.append((piece.transpose(shift), known.transpose(shift)))
    return found
