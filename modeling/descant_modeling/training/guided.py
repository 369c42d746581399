"""Training examples of a layout with hints: the task, what the hints show, and augmentations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from descant_modeling.training.augmentation import METER_CHANGES, in_other_meter, ornament, with_minor_ending
from descant_modeling.training.config import DataConfig, TaskShares
from descant_modeling.training.examples import ExampleSource
from descant_tokenizers.tokens.dataset import StoredPieces
from descant_tokenizers.tokens.harmony import beat_chords, closing_key, shift_to_common_tonic, sounding_notes
from descant_tokenizers.tokens.hints import Annotations, cadence_beats
from descant_tokenizers.tokens.piece import Piece, survey_pitches
from descant_tokenizers.tokens.tasks import Encoded, Task, TaskLayout

_MAX_CONTEXT_BARS = 8  # before the bars to infill
_KEY_SHARE = 0.75  # of the examples, in which the key is known and the piece is moved to the common tonic
_MAX_STRETCHED_QUARTERS = 120  # of a piece in a slower meter, in quarters of the result


class GuidedSource(ExampleSource):
    """Draws one example per piece and epoch for a layout with hints.

    Arguments are those of `ExampleSource`, with the configuration of the data for the shares of augmented examples. The
    voices' ranges are those of the first style alone, if pieces have one: hymns let a tenor sing lower than Bach does.
    """

    def __init__(
        self,
        pieces: StoredPieces,
        layout: TaskLayout,
        shares: TaskShares,
        data: DataConfig,
        *,
        seed: int,
        max_tokens: int,
        styles: Sequence[str | None] = (),
    ) -> None:
        super().__init__(
            pieces,
            layout,
            shares,
            seed=seed,
            transpose=data.transpose,
            max_tokens=max_tokens,
            styles=styles,
            unlabelled_share=data.unlabelled_share,
            style_contrast=data.style_contrast,
        )
        self._stored, self._data = pieces, data
        first = layout.config.styles[0] if layout.config.styles else None  # the default when generating
        is_own = np.array([style is not None and style == first for style in styles], dtype=bool)
        if is_own.any():
            table = pieces.pitch_table()
            kept = is_own[table.piece_K]
            own = table._replace(
                piece_K=table.piece_K[kept], voice_K=table.voice_K[kept], range_K2=table.range_K2[kept]
            )
            self.voice_ranges, _ = survey_pitches(own, layout.vocabulary)

    def example(self, index: int, epoch: int) -> Encoded:
        """Return the example of piece `index` in an epoch."""
        rng = np.random.default_rng((self.seed, epoch, index))
        piece, ends = self.pieces[index], self._stored.phrase_ends(index)
        key = closing_key(sounding_notes(piece)) if rng.random() < _KEY_SHARE else None
        shift = self._draw_shift(index, rng) if key is None else shift_to_common_tonic(key)
        known = Annotations(phrase_ends=ends or None, key=key, harmonic_rhythm="beat").transpose(shift)
        piece = piece.transpose(shift)
        if known.key is not None and rng.random() < self._data.minor_endings:
            piece = with_minor_ending(piece, known.key)
        task, voices, span = self._draw_task(piece, rng)
        style = self._draw_style(index, rng)
        if task is Task.CONTINUE:
            shown = None if key is None else Annotations(key=known.key, ends=rng.random() < 0.7)
            return self._encode(piece, task, voices, None, style, shown)
        if task is Task.HARMONIZE:
            piece, known = self._moved(piece, known, rng)
        else:
            assert span is not None, "bars to infill"
            low = max(0, span[0] - int(rng.integers(0, _MAX_CONTEXT_BARS + 1)))
            piece, known = _excerpt(piece, known, low, len(piece.bars))
            span = [bar - low for bar in span]
        known = replace(known, chords=beat_chords(piece))
        if min(voices) > 0 and 0 in piece.voices and rng.random() < self._data.ornaments:
            share = float(rng.choice([0.3, 0.6, 0.95]))
            piece = ornament(self.layout.vocabulary, piece, 0, known, rng, share)
        return self._encode(piece, task, voices, span, style, _shown(known, piece, rng))

    def _encode(
        self,
        piece: Piece,
        task: Task,
        voices: Sequence[int],
        span: Sequence[int] | None,
        style: str | None,
        known: Annotations | None,
    ) -> Encoded:
        """Lay out an example; one that is too long loses its last bars."""
        voices = [voice for voice in voices if voice in piece.voices] or list(piece.voices or voices)
        encoded = self.layout.encode(piece, task, voices, span, style, known)
        while len(encoded.ids) > self.max_tokens and len(piece.bars) > 1:
            piece = Piece(piece.bars[: max(1, int(len(piece.bars) * self.max_tokens / len(encoded.ids) * 0.95))])
            known = None if known is None else replace(known, ends=False)
            span = [bar for bar in span if bar < len(piece.bars)] or [0] if span else None
            encoded = self.layout.encode(piece, task, voices, span, style, known)
        return Encoded(encoded.ids[: self.max_tokens], encoded.loss_mask[: self.max_tokens])

    def _moved(self, piece: Piece, known: Annotations, rng: np.random.Generator) -> tuple[Piece, Annotations]:
        """Move some pieces to another meter; only an excerpt to a slower one."""
        if rng.random() >= self._data.other_meters:
            return piece, known
        change = METER_CHANGES[int(rng.integers(len(METER_CHANGES)))]
        quarters = change.units * 4 / change.denominator
        num_bars = max(2, int(_MAX_STRETCHED_QUARTERS / quarters * len(piece.bars) / max(1.0, _quarters(piece, self))))
        first = int(rng.integers(0, max(1, len(piece.bars) - num_bars + 1))) if len(piece.bars) > num_bars else 0
        if len(piece.bars) > num_bars and rng.random() < 0.4:
            first = len(piece.bars) - num_bars
        excerpt = _excerpt(piece, known, first, min(len(piece.bars), first + num_bars))
        return in_other_meter(self.layout.vocabulary, *excerpt, change) or (piece, known)


def _shown(known: Annotations, piece: Piece, rng: np.random.Generator) -> Annotations:
    """Draw which hints an example has."""
    mode = str(rng.choice(["none", "given", "some given", "cadences"], p=[0.25, 0.15, 0.1, 0.5]))
    shown = Annotations(
        phrase_ends=known.phrase_ends if rng.random() < 0.8 else None,
        key=known.key,
        chords=None if mode == "none" else known.chords,
        harmonic_rhythm=known.harmonic_rhythm if rng.random() < 0.6 else None,
        ends=known.ends and rng.random() < 0.85,
        writes_chords=mode == "cadences",
    )
    low, high = sorted(rng.integers(0, piece.bar_starts_ticks()[-1] + 1, 2))
    kept = {"cadences": cadence_beats(piece, shown.phrase_ends), "some given": range(low, high)}.get(mode)
    if kept is not None and known.chords is not None:
        shown = replace(shown, chords={at: chord for at, chord in known.chords.items() if at in kept})
    return shown


def _excerpt(piece: Piece, known: Annotations, first: int, stop: int) -> tuple[Piece, Annotations]:
    """Return some bars of a piece and their annotations."""
    start = piece.bar_starts_ticks()[first]
    known = known.shift(start) if start else known
    return Piece(piece.bars[first:stop]), replace(known, ends=known.ends and stop == len(piece.bars))


def _quarters(piece: Piece, source: GuidedSource) -> float:
    return piece.bar_starts_ticks()[-1] / source.layout.vocabulary.ticks_per_quarter
