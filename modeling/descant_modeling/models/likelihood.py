"""Likelihood in a unit that compares: nats per voice-16th (or per 16th), and bits per note.

L = (sum of -ln p over all tokens of the pieces, bar tokens and EOS included) / (4 x number of 16ths), pooled over
pieces. The stream is the *continue* layout; BOS, the task token and the voices of the header are given. A piece's
16ths run from its first bar to the end of its last note, rests included. The unit is that of the JSB Chorales figures
in Huang et al. 2019, "Music Transformer", and does not depend on the vocabulary. Music of any instruments has no fixed
number of voices: its unit is nats per 16th, without the 4.

A piece longer than the model's positions is scored in windows that overlap by half: every token counts once, and all
but those of the first window are predicted from at least half a window of what stands before them.

Shapes: B sequences, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from descant_modeling.models.batching import Batch, bucket, collate
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Encoded, Task, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

NUM_VOICES = 4


class Unit(NamedTuple):
    """What likelihood is counted in.

    Attributes:
        name: For people.
        key: For records.
        num_voices: Voices that share a 16th.
    """

    name: str
    key: str
    num_voices: int


VOICE_16TH = Unit("nats per voice-16th", "nats_per_voice_16th", NUM_VOICES)
WHOLE_16TH = Unit("nats per 16th", "nats_per_16th", 1)


def unit_of(vocabulary: Vocabulary) -> Unit:
    """Return the unit for the music of a vocabulary: per voice where there are four voices."""
    return VOICE_16TH if vocabulary.is_four_part else WHOLE_16TH


@dataclass(frozen=True)
class Likelihood:
    """Pooled likelihood of a set of pieces.

    Attributes:
        unit: The unit of the headline.
        num_notes: Notes of all pieces.
        piece_nats: Sum of -ln p of each piece.
        piece_16ths: Length of each piece in 16ths.
        num_windowed: Pieces longer than the model's positions.
    """

    unit: Unit
    num_notes: int
    piece_nats: list[float]
    piece_16ths: list[float]
    num_windowed: int = 0

    @property
    def headline(self) -> float:
        """Nats per 16th, or per voice-16th."""
        return sum(self.piece_nats) / (self.unit.num_voices * sum(self.piece_16ths))

    @property
    def nats_per_voice_16th(self) -> float:
        """The headline of music in four voices."""
        assert self.unit is VOICE_16TH, "these pieces have no fixed number of voices"
        return self.headline

    @property
    def bits_per_note(self) -> float:
        """The same sum in bits, over the number of notes."""
        return sum(self.piece_nats) / math.log(2) / self.num_notes

    @property
    def num_pieces(self) -> int:
        """Pieces scored."""
        return len(self.piece_nats)


def token_nll(logits_BTV: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return -ln p of every counted token of a batch, shape (number of counted tokens,), float32.

    The first token of a sequence has no prediction and must not be counted (it is BOS).
    """
    loss_mask_BT = batch.loss_mask_BT[:, 1:]
    logits_NV = logits_BTV[:, :-1][loss_mask_BT].float()
    return functional.cross_entropy(logits_NV, batch.ids_BT[:, 1:][loss_mask_BT], reduction="none")


def style_contrast(nll_N: torch.Tensor, rival_nll_N: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return how badly the likelihood of a batch's sequences tells their own style from another one, a scalar in nats.

    The sum over sequences of -ln(p / (p + q)), p being the likelihood of a sequence under its own style and q that
    under its rival: the discriminative loss of Krause et al. 2020, "GeDi: Generative Discriminator Guided Sequence
    Generation", with whole sequences for classes of two. Without it a model hardly reads the style: the music that it
    has seen says more. A sequence that is told no style has none to be told from and adds nothing.

    Args:
        nll_N: -ln p of every counted token, from `token_nll`.
        rival_nll_N: The same under the rivals.
        batch: The batch, with rivals.
    """
    assert batch.rivals_BT is not None, "a batch without rivals"
    row_N = batch.loss_mask_BT[:, 1:].nonzero()[:, 0]
    loss_B = torch.zeros(len(batch.ids_BT), device=nll_N.device).index_add(0, row_N, nll_N - rival_nll_N)
    return functional.softplus(loss_B)[(batch.ids_BT != batch.rivals_BT).any(dim=1)].sum()


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
        streams: Laid-out streams, whole; one longer than the model's positions is scored in windows.
        pad: Padding id.
        batch_tokens: Padded tokens in a batch.
        progress: Called after each batch with the number of streams that are done.
    """
    was_training = model.training
    model.train(False)
    nats = [0.0] * len(streams)
    limit = model.config.max_position_embeddings
    parts = [(index, window) for index, stream in enumerate(streams) for window in windows(stream, limit)]
    left = Counter(index for index, _ in parts)
    for group in bucket([len(window.ids) for _, window in parts], batch_tokens):
        batch = collate([parts[i][1] for i in group], pad)
        batch = batch.to(model.device)
        nll = token_nll(model(input_ids=batch.ids_BT, use_cache=False).logits, batch).double()
        rows = batch.loss_mask_BT[:, 1:].nonzero()[:, 0]
        sums = torch.zeros(len(group), dtype=torch.float64, device=nll.device).index_add_(0, rows, nll)
        owners = [parts[i][0] for i in group]
        for owner, value in zip(owners, sums.tolist(), strict=True):
            nats[owner] += value
        left.subtract(owners)
        if progress is not None:
            progress(sum(left[owner] == 0 for owner in set(owners)))
    model.train(was_training)
    return nats


WINDOW_OVERLAP = 0.5
"""What two neighbouring windows share, of what stands behind the header."""


def windows(stream: Encoded, limit: int) -> list[Encoded]:
    """Cut a stream into windows of at most `limit` tokens in which each token counts once.

    Every window begins with the stream's header, and all but the first count only what the one before did not see.
    """
    if len(stream.ids) <= limit:
        return [stream]
    header = min(stream.loss_mask.index(True) if any(stream.loss_mask) else 0, limit // 4)
    step = max(1, round((1 - WINDOW_OVERLAP) * (limit - header)))
    found = [Encoded(stream.ids[:limit], stream.loss_mask[:limit])]
    for seen in range(limit, len(stream.ids), step):
        end = min(len(stream.ids), seen + step)
        begin = end - (limit - header)
        ids = stream.ids[:header] + stream.ids[begin:end]
        found.append(Encoded(ids, [False] * (header + seen - begin) + stream.loss_mask[seen:end]))
    return found


def piece_16ths(piece: Piece, ticks_per_quarter: int) -> float:
    """Length of a piece in 16ths, from its first bar to the end of its last note."""
    return piece.end_ticks() * 4 / ticks_per_quarter


def corpus_likelihood(
    model: PreTrainedModel,
    layout: TaskLayout,
    pieces: Sequence[Piece],
    progress: Callable[[int], None] | None = None,
    styles: Sequence[str | None] = (),
) -> Likelihood:
    """Score whole pieces in the *continue* layout.

    Args:
        model: Causal model.
        layout: The layout it was trained with.
        pieces: The music.
        progress: Called after each batch with the number of pieces in it.
        styles: The style that the model is told of each piece, None for none; by default none at all.

    Raises:
        InputError: There is no piece with a note.
    """
    if not any(piece.num_notes for piece in pieces):
        raise InputError("there is no piece to score: name a corpus and a split that hold pieces for this model")
    streams = [
        layout.encode(piece, Task.CONTINUE, piece.voices, style=style)
        for piece, style in zip(pieces, styles or [None] * len(pieces), strict=True)
    ]
    nats = score_streams(model, streams, pad=layout.vocabulary.special("PAD"), progress=progress)
    lengths = [piece_16ths(piece, layout.vocabulary.ticks_per_quarter) for piece in pieces]
    limit = model.config.max_position_embeddings
    return Likelihood(
        unit=unit_of(layout.vocabulary),
        num_notes=sum(piece.num_notes for piece in pieces),
        piece_nats=nats,
        piece_16ths=lengths,
        num_windowed=sum(len(stream.ids) > limit for stream in streams),
    )
