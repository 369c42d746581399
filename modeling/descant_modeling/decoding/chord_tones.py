"""Requested chords in songs and quartets: new notes are chord tones, and the lowest part brings the bass of each chord.

A note that began before ends at the beat of a chord that does not have it. The model itself reads no chords: it chooses
among the tones that are left. Given notes are as they are.

Units: grid ticks of the vocabulary from the beginning of the piece; pitches are MIDI numbers as the model sees them.
Shapes: V vocabulary.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping

from descant_modeling.decoding.masks import first_possible, no_longer
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES
from descant_tokenizers.tokens.grammar import NEVER, Mask, State
from descant_tokenizers.tokens.harmony import ChordLabel
from descant_tokenizers.tokens.hint_tokens import QUALITIES
from descant_tokenizers.tokens.vocabulary import Vocabulary


class ChordTones:
    """Narrows pitches and durations to the requested chords.

    Args:
        chords: The chord at each beat that has one; None for no chord, where all is free.
        vocabulary: The vocabulary.
        bass: Rank of the lowest part.
    """

    def __init__(self, chords: Mapping[int, ChordLabel | None], vocabulary: Vocabulary, bass: int) -> None:
        self._beats, self._chords = sorted(chords), [chords[beat] for beat in sorted(chords)]
        self._vocabulary, self._bass = vocabulary, bass

    def allows(self, pitch: int, ticks: int) -> bool:
        """Return True if a pitch is a tone of the chord at a time, or there is none."""
        _, chord = self._at(ticks)
        return chord is None or pitch % NUM_PITCH_CLASSES in chord.pitch_classes

    def pitches(self, legal: Mask, state: State, ticks: int, struck: int) -> Mask:
        """Return the legal tokens (V,) that are tones of the present chord; all if none is, or there is no chord.

        Args:
            legal: Mask of the tokens that may follow a part.
            state: State of the grammar.
            ticks: The onset.
            struck: Number of notes that the part strikes there so far.
        """
        place, chord = self._at(ticks)
        if chord is None:
            return legal
        tones = [pitch for pitch in self._vocabulary.pitch_id if pitch % NUM_PITCH_CLASSES in chord.pitch_classes]
        is_new = self._beats[place] == ticks and (place == 0 or self._chords[place - 1] != chord)
        if not (is_new and state.voice == self._bass and struck == 0):
            return first_possible(legal, self._vocabulary, [tones])
        low = (chord.root + QUALITIES[chord.quality][0][chord.inversion]) % NUM_PITCH_CLASSES
        return first_possible(legal, self._vocabulary, [[p for p in tones if p % NUM_PITCH_CLASSES == low], tones])

    def durations(self, legal: Mask, state: State, ticks: int) -> Mask:
        """Return the legal tokens (V,) without durations into a beat whose chord lacks the pitch of the note."""
        lacking = (
            beat
            for beat, chord in zip(self._beats, self._chords, strict=True)
            if beat > ticks and chord is not None and state.pitch % NUM_PITCH_CLASSES not in chord.pitch_classes
        )
        durations = self._vocabulary.duration_ticks[self._vocabulary.meter_of[state.meter_id].denominator]
        return no_longer(legal, durations, next(lacking, NEVER) - ticks)

    def _at(self, ticks: int) -> tuple[int, ChordLabel | None]:
        """Return the index of the beat at a time, -1 before the first one, and its chord."""
        place = bisect.bisect_right(self._beats, ticks) - 1
        return place, self._chords[place] if place >= 0 else None
