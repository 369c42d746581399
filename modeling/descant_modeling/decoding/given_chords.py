"""Requested chords, kept: on the beat of a requested chord, new voices sing its notes, and the bass its lowest one.

A model that reads a chord before it writes a beat spells it on four beats of five; whoever asks for a chord wants it on
all. The voice that completes a chord brings what is still missing. A note that began before ends at the beat of a chord
that does not have it. Given notes are as they are: over a passing note on the beat, the others sing the chord.

Units: grid ticks of the vocabulary from the beginning of the piece; pitches are MIDI numbers as the model sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

from descant_modeling.decoding.template import Template
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES
from descant_tokenizers.tokens.grammar import NEVER
from descant_tokenizers.tokens.harmony import ChordLabel, read_chord
from descant_tokenizers.tokens.hint_tokens import QUALITIES
from descant_tokenizers.tokens.vocabulary import Vocabulary

_PITCHES = range(128)


class GivenChords:
    """The requested chords, and what each voice sounds.

    Args:
        chords: The chord of each beat that has one.
        bass: Rank of the lowest voice.
    """

    def __init__(self, chords: Mapping[int, ChordLabel], bass: int) -> None:
        self._chords, self._bass = dict(sorted(chords.items())), bass
        self._last: dict[int, tuple[int, int]] = {}  # end and pitch of each voice's last note

    def copy(self) -> GivenChords:
        """Return a copy that goes its own way."""
        twin = copy(self)
        twin._last = dict(self._last)
        return twin

    def add(self, voice: int, end_ticks: int, pitch: int) -> None:
        """Add a note; those of a voice come in order."""
        self._last[voice] = end_ticks, pitch

    def choices(self, voice: int, ticks: int, num_left: int) -> list[frozenset[int]]:
        """Return the pitches that a voice should begin at an onset, the best first; empty if no chord is due there.

        Args:
            voice: The voice.
            ticks: The onset.
            num_left: Number of voices that are still to begin a note there, this one not counted.
        """
        chord = self._chords.get(ticks)
        if chord is None:
            return []
        others = [pitch for other, (end, pitch) in self._last.items() if other != voice and end > ticks]
        tones = frozenset(pitch for pitch in _PITCHES if self._has(chord, voice, pitch))
        low = max(
            (pitch for other, (end, pitch) in self._last.items() if other == self._bass and end > ticks), default=0
        )
        above = tones if voice == self._bass else frozenset(pitch for pitch in tones if pitch >= low)
        _, required = QUALITIES[chord.quality]
        missing = {(chord.root + step) % NUM_PITCH_CLASSES for step in required}
        missing -= {pitch % NUM_PITCH_CLASSES for pitch in others}
        helping = frozenset(pitch for pitch in above if len(missing - {pitch % NUM_PITCH_CLASSES}) <= num_left)
        found = [helping, above, tones, frozenset(p for p in _PITCHES if p % NUM_PITCH_CLASSES in chord.pitch_classes)]
        if not num_left:
            found.insert(0, frozenset(pitch for pitch in above if read_chord([*others, pitch]) == chord))
        return found

    def latest_end(self, voice: int, pitch: int, ticks: int) -> int:
        """Return the first beat after an onset whose chord does not have a voice's pitch; `NEVER` if all have it."""
        return next(
            (beat for beat, c in self._chords.items() if beat > ticks and not self._has(c, voice, pitch)), NEVER
        )

    def _has(self, chord: ChordLabel, voice: int, pitch: int) -> bool:
        if voice != self._bass:
            return pitch % NUM_PITCH_CLASSES in chord.pitch_classes
        return (pitch - chord.root) % NUM_PITCH_CLASSES == QUALITIES[chord.quality][0][chord.inversion]


def given_chords_of(template: Template, vocabulary: Vocabulary) -> GivenChords | None:
    """Return the requested chords of four-part music, in a layout with hints where no note is fixed; None if none."""
    span = template.span
    if template.guide is None or span.annotations is None or span.fixed or VOICES[-1] not in vocabulary.voices:
        return None
    chords = {beat: chord for beat, chord in (span.annotations.chords or {}).items() if chord is not None}
    if not chords:
        return None
    found = GivenChords(chords, vocabulary.voices.index(VOICES[-1]))
    for onset, note in template.held:
        found.add(note.voice, onset + note.duration_ticks, note.pitch)
    return found
