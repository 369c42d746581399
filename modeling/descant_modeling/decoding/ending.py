"""The last chord held to the tonic (`GenerationConfig.last_chord`).

From the onset of the last given note on, the model chooses from the notes of a tonic triad with its root in the bass. A
note that began before and is not one of them ends there, and some voice has the third.

Units: grid ticks of the vocabulary from the beginning of the piece; pitches are MIDI numbers as the model sees them.
Shapes: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from descant_modeling.decoding.masks import first_possible
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES
from descant_tokenizers.tokens.grammar import Mask
from descant_tokenizers.tokens.harmony import ChordLabel, PieceKey, sounding_notes
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.vocabulary import Vocabulary

_NUM_PITCHES = 128


@dataclass(frozen=True)
class Ending:
    """The end of a piece that is held to a chord.

    Attributes:
        start_ticks: Onset of the last given note.
        chords: The chords to choose from: one, or in minor two, with the minor and the major third.
        bass: Rank of the lowest voice.
        given: Pitch that each given voice sounds at the end, by rank.
    """

    start_ticks: int
    chords: tuple[ChordLabel, ...]
    bass: int
    given: Mapping[int, int]


def tonic_ending(piece: Piece, voices: Collection[int], bass: int, key: PieceKey) -> Ending | None:
    """Return the ending of a piece on its tonic; None if its given notes do not allow one, or there are none.

    Args:
        piece: The piece on the grid, with the given notes.
        voices: Ranks of the voices to write.
        bass: Rank of the lowest voice.
        key: The key at the end.
    """
    given = [note for note in sounding_notes(piece) if note.voice not in voices]
    if not given:
        return None
    start = max(note.start_ticks for note in given)
    last = [note for note in given if note.end_ticks > start]
    chords = [ChordLabel(key.tonic, quality, 0) for quality in (("maj",) if key.is_major else ("min", "maj"))]
    fitting = tuple(
        chord
        for chord in chords
        if {note.pitch % NUM_PITCH_CLASSES for note in last} <= chord.pitch_classes
        and all(note.pitch % NUM_PITCH_CLASSES == chord.root for note in last if note.voice == bass)
    )
    return Ending(start, fitting, bass, {note.voice: note.pitch for note in last}) if fitting else None


class Closing:
    """An ending while it is written: the chords that are left, and the pitch that each voice sounds at the end."""

    def __init__(self, ending: Ending) -> None:
        self.ending, self.chords, self._pitches = ending, ending.chords, dict(ending.given)

    def copy(self) -> Closing:
        """Return a copy that goes its own way."""
        twin = Closing(self.ending)
        twin.chords, twin._pitches = self.chords, dict(self._pitches)
        return twin

    def choose(self, chord: ChordLabel | None) -> None:
        """Keep the chord that was written."""
        self.chords = tuple(each for each in self.chords if each == chord) or self.chords

    def add(self, voice: int, end_ticks: int, pitch: int) -> None:
        """Add a note; the chords that do not have it are no longer possible."""
        if end_ticks > self.ending.start_ticks:
            self._pitches[voice] = pitch
            step = pitch % NUM_PITCH_CLASSES
            self.chords = tuple(chord for chord in self.chords if step in chord.pitch_classes) or self.chords

    def pitches(self, voice: int) -> frozenset[int]:
        """Return the pitches that a voice may sound at the end."""
        if voice != self.ending.bass:
            return self._chord_pitches()
        return _pitches_of(chord.root for chord in self.chords)

    def _chord_pitches(self) -> frozenset[int]:
        return _pitches_of(step for chord in self.chords for step in chord.pitch_classes)

    def best_pitches(self, voice: int, *, is_last: bool) -> frozenset[int]:
        """Return those of `pitches` that leave the bass the lowest, and give the chord its third.

        Args:
            voice: The voice.
            is_last: True if no other upper voice is still to reach the end.
        """
        others = {other: pitch for other, pitch in self._pitches.items() if other != voice}
        if voice == self.ending.bass:
            return frozenset(pitch for pitch in self.pitches(voice) if all(pitch <= other for other in others.values()))
        low = others.get(self.ending.bass, 0)
        found = frozenset(pitch for pitch in self.pitches(voice) if pitch >= low)
        thirds = self._thirds()
        return found if not is_last or thirds & frozenset(others.values()) else found & thirds

    def _thirds(self) -> frozenset[int]:
        return _pitches_of(chord.root + (4 if chord.quality == "maj" else 3) for chord in self.chords)

    def keep_pitches(self, legal: Mask, vocabulary: Vocabulary, voice: int, *, is_last: bool) -> Mask:
        """Return a mask of legal tokens, (V,): of `best_pitches`, else `pitches`, thirds, the chord; or else all."""
        wanted = self.best_pitches(voice, is_last=is_last), self.pitches(voice), self._thirds(), self._chord_pitches()
        return first_possible(legal, vocabulary, wanted)


def _pitches_of(steps: Iterable[int]) -> frozenset[int]:
    """Return the pitches of pitch classes."""
    wanted = {step % NUM_PITCH_CLASSES for step in steps}
    return frozenset(pitch for pitch in range(_NUM_PITCHES) if pitch % NUM_PITCH_CLASSES in wanted)
