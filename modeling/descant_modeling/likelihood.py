"""Likelihood in a unit that compares: nats per voice-16th, and bits per note.

L = (sum of -ln p over all tokens of the pieces, bar tokens and EOS included) / (4 x number of 16ths), pooled over
pieces. The stream is the *continue* layout; BOS, the task token and the voices of the header are given. A piece's
16ths run from its first bar to the end of its last note, rests included. The unit is that of the JSB Chorales figures
in Huang et al. 2019, "Music Transformer", and does not depend on the vocabulary.

Shapes: B sequences, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from descant_modeling.examples import Batch, bucket, collate
from descant_tokenizers.errors import InputError
from descant_tokenizers.tokens.layout import Encoded, Task, TaskLayout
from descant_tokenizers.tokens.piece import Piece

NUM_VOICES = 4


@dataclass(frozen=True)
class Likelihood:
    """Pooled likelihood of a set of pieces.

    Attributes:
        nats_per_voice_16th: The headline.
        bits_per_note: The same sum in bits, over the number of notes.
        num_pieces: Pieces scored.
        num_notes: Their notes.
        piece_nats: Sum of -ln p of each piece.
        piece_16ths: Length of each piece in 16ths.
    """

    nats_per_voice_16th: float
    bits_per_note: float
    num_pieces: int
    num_notes: int
    piece_nats: list[float]
    piece_16ths: list[float]


def token_nll(logits_BTV: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return -ln p of every counted token of a batch, shape (number of counted tokens,), float32.

    The first token of a sequence has no prediction and must not be counted (it is BOS).
    """
    counted_BT = batch.counted_BT[:, 1:]
    logits_NV = logits_BTV[:, :-1][counted_BT].float()
    return functional.cross_entropy(logits_NV, batch.ids_BT[:, 1:][counted_BT], reduction="none")


@torch.inference_mode()
def score_streams(
    model: PreTrainedModel,
    streams: Sequence[Encoded],
    *,
    pad: int,
    batch_tokens: int = 8192,
    progress: Callable[[int], None] | None = None,
) -> list[float]:
    """Return the sum of -ln p over the counted tokens of each stream, in nats.

    Args:
        model: Causal model; put into eval mode, and back as it was.
        streams: Laid-out streams, whole.
        pad: Padding id.
        batch_tokens: Padded tokens in a batch.
        progress: Called after each batch with the number of streams in it.
    """
    was_training = model.training
    model.train(False)
    nats = [0.0] * len(streams)
    for group in bucket([len(s.ids) for s in streams], batch_tokens):
        batch = collate([streams[i] for i in group], pad)
        batch = Batch(batch.ids_BT.to(model.device), batch.counted_BT.to(model.device))
        nll = token_nll(model(input_ids=batch.ids_BT, use_cache=False).logits, batch).double()
        rows = batch.counted_BT[:, 1:].nonzero()[:, 0]
        sums = torch.zeros(len(group), dtype=torch.float64, device=nll.device).index_add_(0, rows, nll)
        for index, value in zip(group, sums.tolist(), strict=True):
            nats[index] = value
        if progress is not None:
            progress(len(group))
    model.train(was_training)
    return nats


def piece_16ths(piece: Piece, ticks_per_quarter: int) -> float:
    """Length of a piece in 16ths, from its first bar to the end of its last note."""
    return piece.end_ticks() * 4 / ticks_per_quarter


def corpus_likelihood(
    model: PreTrainedModel,
    layout: TaskLayout,
    pieces: Sequence[Piece],
    progress: Callable[[int], None] | None = None,
) -> Likelihood:
    """Score whole pieces in the *continue* layout.

    Args:
        model: Causal model.
        layout: The layout it was trained with.
        pieces: The music.
        progress: Called after each batch with the number of pieces in it.

    Raises:
        InputError: There is no piece with a note.
    """
    if not any(piece.num_notes for piece in pieces):
        raise InputError("there is no piece to score: name a corpus and a split that hold four-part pieces")
    streams = [layout.encode(piece, Task.CONTINUE, piece.voices) for piece in pieces]
    nats = score_streams(model, streams, pad=layout.table.special("PAD"), progress=progress)
    lengths = [piece_16ths(piece, layout.table.ticks_per_quarter) for piece in pieces]
    num_notes = sum(piece.num_notes for piece in pieces)
    return Likelihood(
        nats_per_voice_16th=sum(nats) / (NUM_VOICES * sum(lengths)),
        bits_per_note=sum(nats) / math.log(2) / num_notes,
        num_pieces=len(pieces),
        num_notes=num_notes,
        piece_nats=nats,
        piece_16ths=lengths,
    )
