"""Padded batches of token streams, and likelihood in tokenizer-independent units: nats per voice-16th, bits per note.

L = (sum of -ln p over all tokens of the pieces, bar tokens and EOS included) / (4 x number of 16ths), pooled over
pieces. The stream is in the *continue* layout; BOS, the task token and the voices of the prefix are context. A piece's
16ths run from its first bar to the end of its last note, rests included. The unit is that of the JSB Chorales figures
in Huang et al. 2019, "Music Transformer", and does not depend on the vocabulary. Multitrack music has no fixed number
of voices: its unit is nats per 16th, without the 4. For `Task.HARMONIZE` only the tokens of the three lower voices
count, and the figure is per voice-16th of these voices.

A piece longer than the model's positions is scored in windows that overlap by half: every token counts once, and all
tokens but those of the first window are predicted from at least half a window of context.

Shapes: B sequences, T tokens, K tokens of the vocabulary, N target tokens, V = 4 voices from high to low.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import PreTrainedModel

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import Ints
from descant_tokenizers.scores import NUM_VOICES, VOICES
from descant_tokenizers.tokens.kinds import FOUR_PART, has_plain_lines, kind_of
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Encoded, Task, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

BITS_PER_NAT = 1 / math.log(2)
#: Share of a window, after the prefix, that the previous window also holds.
WINDOW_OVERLAP = 0.5
_SOPRANO = 0


class Unit(NamedTuple):
    """The unit of a likelihood.

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
    return VOICE_16TH if kind_of(vocabulary) is FOUR_PART else WHOLE_16TH


@dataclass(frozen=True, slots=True)
class Batch:
    """A padded batch.

    Attributes:
        ids_BT: Token ids, int64.
        loss_mask_BT: True for target tokens, which count in the loss; False for context and padding.
        rivals_BT: If styles are contrasted, the ids with another style token in each prefix that has one.
        contrast: Weight of the loss that distinguishes a sequence from its rival.
        positions_BT: Positions of the tokens in their sequences, if one row holds several; else None.
    """

    ids_BT: torch.Tensor
    loss_mask_BT: torch.Tensor
    rivals_BT: torch.Tensor | None = None
    contrast: float = 0.0
    positions_BT: torch.Tensor | None = None

    @property
    def num_targets(self) -> int:
        """Number of target tokens, which count in the loss."""
        return int(self.loss_mask_BT.sum())

    @property
    def rows(self) -> torch.Tensor:
        """Sequence of each target token."""
        return self.loss_mask_BT[:, 1:].nonzero()[:, 0]

    @property
    def has_rival(self) -> torch.Tensor:
        """True for each sequence whose rival differs from it."""
        assert self.rivals_BT is not None, "a batch without rivals"
        return (self.ids_BT != self.rivals_BT).any(dim=1)

    def only(self, rows_B: torch.Tensor) -> Batch:
        """Return some sequences."""
        rivals_BT = None if self.rivals_BT is None else self.rivals_BT[rows_B]
        return Batch(self.ids_BT[rows_B], self.loss_mask_BT[rows_B], rivals_BT, self.contrast)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        rivals_BT = None if self.rivals_BT is None else self.rivals_BT.to(device)
        positions_BT = None if self.positions_BT is None else self.positions_BT.to(device)
        return Batch(self.ids_BT.to(device), self.loss_mask_BT.to(device), rivals_BT, self.contrast, positions_BT)


class Example(NamedTuple):
    """A laid-out stream as arrays, a tenth of the size of an `Encoded`.

    Attributes:
        ids: All token ids, int32, (T,).
        loss_mask: True for target tokens, (T,).
    """

    ids: NDArray[np.int32]
    loss_mask: NDArray[np.bool_]

    @classmethod
    def of(cls, encoded: Encoded) -> Example:
        """Return an encoded stream as arrays."""
        return cls(np.array(encoded.ids, dtype=np.int32), np.array(encoded.loss_mask, dtype=np.bool_))


def bucket(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Group indices of similar length so that no group's padded size exceeds `batch_tokens`, unless it holds one."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= batch_tokens:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def collate(examples: Sequence[Encoded | Example], pad: int) -> Batch:
    """Pad examples on the right into one batch."""
    longest = max(len(e.ids) for e in examples)
    ids_BT = torch.full((len(examples), longest), pad, dtype=torch.long)
    loss_mask_BT = torch.zeros((len(examples), longest), dtype=torch.bool)
    for row, example in enumerate(examples):
        ids_BT[row, : len(example.ids)] = torch.as_tensor(example.ids)
        loss_mask_BT[row, : len(example.ids)] = torch.as_tensor(example.loss_mask)
    return Batch(ids_BT, loss_mask_BT)


def windows(stream: Encoded, limit: int) -> list[Encoded]:
    """Cut a stream into windows of at most `limit` tokens in which each token counts once.

    Every window begins with the stream's prefix, and all but the first count only the tokens that the previous one did
    not hold.
    """
    if len(stream.ids) <= limit:
        return [stream]
    prefix = min(stream.loss_mask.index(True) if any(stream.loss_mask) else 0, limit // 4)
    step = max(1, round((1 - WINDOW_OVERLAP) * (limit - prefix)))
    found = [Encoded(stream.ids[:limit], stream.loss_mask[:limit])]
    for seen in range(limit, len(stream.ids), step):
        end = min(len(stream.ids), seen + step)
        begin = end - (limit - prefix)
        ids = stream.ids[:prefix] + stream.ids[begin:end]
        found.append(Encoded(ids, [False] * (prefix + seen - begin) + stream.loss_mask[seen:end]))
    return found


def token_nll(logits_BTK: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return -ln p of every target token of a batch, shape (N,), float32.

    The first token of a sequence has no prediction and must not count (it is BOS).
    """
    loss_mask_BT = batch.loss_mask_BT[:, 1:]
    logits_NK = logits_BTK[:, :-1][loss_mask_BT].float()
    return functional.cross_entropy(logits_NK, batch.ids_BT[:, 1:][loss_mask_BT], reduction="none")


def style_contrast(nll_N: torch.Tensor, rival_nll_N: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return how poorly the likelihoods distinguish each sequence's own style from another one, a scalar in nats.

    This is the sum over sequences of -ln(p / (p + q)), where p is the likelihood of a sequence under its own style and
    q that under its rival: the discriminative loss of Krause et al. 2020, "GeDi: Generative Discriminator Guided
    Sequence Generation", with whole sequences and two classes. Without it a model hardly reads the style token, because
    the preceding music carries more information. A sequence without a style token adds nothing.

    Args:
        nll_N: -ln p of every target token, from `token_nll`.
        rival_nll_N: The same under the rivals.
        batch: The batch, with rivals.
    """
    loss_B = torch.zeros(len(batch.ids_BT), device=nll_N.device).index_add(0, batch.rows, nll_N - rival_nll_N)
    return functional.softplus(loss_B)[batch.has_rival].sum()


@dataclass(frozen=True)
class PieceScore:
    """The score of one piece.

    Attributes:
        name: Name of the piece.
        nats: Sum of -ln p over the target tokens.
        length: Length of the piece in 16ths, times the number of voices if the unit is per voice.
        num_notes: Notes of the target voices.
        num_windows: Windows the piece was scored in; 1 if it fits into the model's positions.
        pitches: For each voice, notes whose pitch was the likeliest token given all tokens before it, and all notes,
            (V, 2). Zeros for vocabularies with BPE merges, whose tokens hold several notes.
    """

    name: str
    nats: float
    length: float
    num_notes: int
    num_windows: int = 1
    pitches: Ints = field(default_factory=lambda: np.zeros((NUM_VOICES, 2), dtype=np.int64))


@dataclass(frozen=True)
class Likelihood:
    """Likelihood of one or more pieces.

    Attributes:
        unit: Unit of the headline.
        window_tokens: Longest stream that is scored whole.
        pieces: Score of each piece.
    """

    unit: Unit
    window_tokens: int
    pieces: list[PieceScore]

    @property
    def headline(self) -> float:
        """Nats per voice-16th, or per 16th for multitrack music, pooled over pieces."""
        return sum(piece.nats for piece in self.pieces) / sum(piece.length for piece in self.pieces)

    @property
    def bits_per_note(self) -> float:
        """The same sum in bits, divided by the number of notes."""
        return sum(piece.nats for piece in self.pieces) / math.log(2) / self.num_notes

    @property
    def num_notes(self) -> int:
        """Notes of the target voices."""
        return sum(piece.num_notes for piece in self.pieces)


#: Receives the index of a stream, and logits (T, K), ids (T,) and loss mask (T,) of one of its windows with padding.
WindowVisitor = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], None]


@torch.inference_mode()
def score_streams(
    model: PreTrainedModel,
    streams: Sequence[Encoded],
    *,
    pad: int,
    batch_tokens: int = 8192,
    progress: Callable[[float], None] | None = None,
    visit: WindowVisitor | None = None,
) -> list[float]:
    """Return the sum of -ln p over the target tokens of each stream, in nats.

    Args:
        model: Causal model; runs in eval mode and returns to the mode that it was in.
        streams: Whole streams; one longer than the model's positions is scored in windows.
        pad: Padding id.
        batch_tokens: Maximum number of padded tokens in a batch.
        progress: Called after each batch with the share done, 0-1.
        visit: Called for each window, for further figures.
    """
    was_training = model.training
    model.train(False)
    nats = [0.0] * len(streams)
    limit = model.config.max_position_embeddings
    parts = [(index, window) for index, stream in enumerate(streams) for window in windows(stream, limit)]
    done = 0
    for group in bucket([len(window.ids) for _, window in parts], batch_tokens):
        batch = collate([parts[i][1] for i in group], pad).to(model.device)
        logits_BTK = model(input_ids=batch.ids_BT, use_cache=False).logits
        nll_N = token_nll(logits_BTK, batch).double()
        sums_B = torch.zeros(len(group), dtype=torch.float64, device=nll_N.device).index_add_(0, batch.rows, nll_N)
        for row, (part, value) in enumerate(zip(group, sums_B.tolist(), strict=True)):
            index = parts[part][0]
            nats[index] += value
            if visit is not None:
                visit(index, logits_BTK[row], batch.ids_BT[row], batch.loss_mask_BT[row])
        done += len(group)
        if progress is not None:
            progress(done / len(parts))
    model.train(was_training)
    return nats


def piece_16ths(piece: Piece, ticks_per_quarter: int) -> float:
    """Return the length of a piece in 16ths, from its first bar to the end of its last note."""
    return piece.end_ticks() * 4 / ticks_per_quarter


def score_pieces(
    model: PreTrainedModel,
    layout: TaskLayout,
    pieces: Iterable[tuple[str, Piece]],
    task: Task = Task.CONTINUE,
    *,
    styles: Iterable[str | None] = (),
    batch_tokens: int = 8192,
    progress: Callable[[float], None] | None = None,
) -> Likelihood:
    """Score whole pieces.

    Args:
        model: Causal model; runs in eval mode and returns to the mode that it was in.
        layout: The layout it was trained with.
        pieces: Names and music; a piece without target voices is left out.
        task: `CONTINUE` (all notes) or `HARMONIZE` (all voices but the soprano, or an ensemble's leading part, which is
            context).
        styles: Style token of each piece, None for none; by default no piece has one.
        batch_tokens: Maximum number of padded tokens in a batch.
        progress: Called with the share done, 0-1.

    Raises:
        InputError: There is nothing to score.
    """
    vocabulary, limit, unit = layout.vocabulary, model.config.max_position_embeddings, unit_of(layout.vocabulary)
    if task is Task.HARMONIZE:
        if kind_of(vocabulary).num_voices is not None:
            unit = unit._replace(num_voices=unit.num_voices - 1)
        elif vocabulary.ensemble is None:
            raise InputError("This model has no soprano to harmonize. Score it with --task continue.")
    streams, sizes = [], []
    for (name, piece), style in zip(pieces, styles or repeat(None), strict=False):
        if voices := [voice for voice in piece.voices if task is Task.CONTINUE or voice != _SOPRANO]:
            streams.append(layout.encode(piece, task, voices, style=style))
            length = unit.num_voices * piece_16ths(piece, vocabulary.ticks_per_quarter)
            sizes.append((name, length, piece.keep_voices(voices).num_notes))
    if not streams:
        raise InputError("There is no piece to score. Name a corpus and a split that hold pieces for this model.")
    pitches = _PitchCounter(layout, len(streams), model.device)
    nats = score_streams(
        model,
        streams,
        pad=vocabulary.special("PAD"),
        batch_tokens=batch_tokens,
        progress=progress,
        visit=pitches.count if has_plain_lines(vocabulary) else None,
    )
    scores = [
        PieceScore(name, piece_nats, length, num_notes, len(windows(stream, limit)), counts_V2)
        for (name, length, num_notes), stream, piece_nats, counts_V2 in zip(
            sizes, streams, nats, pitches.counts, strict=True
        )
    ]
    return Likelihood(unit, limit, scores)


class _PitchCounter:
    """Counts for each piece and voice the pitches that were the likeliest token, and all pitches.

    Args:
        layout: A layout whose voices are single lines.
        num_pieces: Number of pieces.
        device: Device of the model.
    """

    def __init__(self, layout: TaskLayout, num_pieces: int, device: torch.device) -> None:
        self.counts = np.zeros((num_pieces, NUM_VOICES, 2), dtype=np.int64)
        self._vocabulary = layout.vocabulary
        self._pitch_ids = torch.tensor(list(layout.vocabulary.pitch_of), device=device)

    def count(self, index: int, logits_TK: torch.Tensor, ids_T: torch.Tensor, loss_mask_T: torch.Tensor) -> None:
        """Count the pitches of one window; the token before a pitch is its voice."""
        places = (loss_mask_T & torch.isin(ids_T, self._pitch_ids)).nonzero()[:, 0]
        hits = logits_TK[places - 1].argmax(dim=-1) == ids_T[places]
        for voice_id, hit in zip(ids_T[places - 1].tolist(), hits.tolist(), strict=True):
            voice = self._vocabulary.voice_name(self._vocabulary.voice_of[voice_id])
            self.counts[index, VOICES.index(voice)] += (hit, 1)
