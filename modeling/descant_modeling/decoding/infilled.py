"""What one sample adds to a piece: new notes, tempos and chords."""

from __future__ import annotations

from dataclasses import dataclass, field

from descant_tokenizers.tokens.harmony import ChordLabel
from descant_tokenizers.tokens.piece import GridNote, GridTempo


@dataclass
class InfilledNotes:
    """New notes of one sample.

    Attributes:
        notes: Notes of each bar, by bar index.
        tempos: Tempos of each bar, by bar index, where the vocabulary has them.
        chords: Chords that the model wrote, by their onset in grid ticks; None for a beat without one.
        num_tokens: Number of sampled tokens.
        log_likelihood: Sum of ln p of the sampled tokens under the model itself (no mask, temperature 1), in nats.
    """

    notes: dict[int, tuple[GridNote, ...]] = field(default_factory=dict)
    tempos: dict[int, tuple[GridTempo, ...]] = field(default_factory=dict)
    chords: dict[int, ChordLabel | None] = field(default_factory=dict)
    num_tokens: int = 0
    log_likelihood: float = 0.0

    def discard_from(self, bar: int, start_ticks: int) -> None:
        """Discard what was written in a bar, which begins at `start_ticks`, and in those after it."""
        self.notes = {index: notes for index, notes in self.notes.items() if index < bar}
        self.tempos = {index: tempos for index, tempos in self.tempos.items() if index < bar}
        self.chords = {onset: chord for onset, chord in self.chords.items() if onset < start_ticks}

    def add(self, other: InfilledNotes) -> None:
        """Add the notes of other bars."""
        self.notes |= other.notes
        self.tempos |= other.tempos
        self.chords |= other.chords
        self.num_tokens += other.num_tokens
        self.log_likelihood += other.log_likelihood
