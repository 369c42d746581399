"""Voice leading while sampling: which pitches would make parallels, or leaps that are hard to sing.

Two voices make them where both move, in the same direction, from a perfect fifth (octave, unison) to another one. Bach
writes about one in a thousand pitch changes, most of them across the end of a phrase; a small model writes twenty times
as many. Forbidding them is decided note by note, when a voice chooses its pitch: of two voices that move together the
one that is written later gives way.

Units: ticks of the vocabulary's grid from the beginning of the piece; pitches are MIDI numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

from descant_modeling.intervals import Key, augmented_leaps
from descant_tokenizers.tokens.piece import GridNote

_OCTAVE = 12
_NUM_PITCHES = 128
_PERFECT = (0, 7)


@dataclass(frozen=True)
class LeadingRules:
    """What voices may not do.

    Attributes:
        parallels: Whether parallel fifths, octaves and unisons are forbidden.
        leaps: Whether augmented leaps and those over an octave are.
    """

    parallels: bool = True
    leaps: bool = True


class _Sung(NamedTuple):
    onset_ticks: int
    end_ticks: int
    pitch: int


class VoiceLeading:
    """What each voice sang last.

    Args:
        num_voices: How many voices there are.
        held: Notes from before, with their onsets, in any order.
        rules: What is forbidden.
        key: The key, if it is known: without one no leap is augmented.
    """

    def __init__(
        self,
        num_voices: int,
        held: Iterable[tuple[int, GridNote]] = (),
        rules: LeadingRules | None = None,
        key: Key | None = None,
    ) -> None:
        self.rules, self.key = rules or LeadingRules(), key
        self._sung: list[list[_Sung]] = [[] for _ in range(num_voices)]
        for onset, note in sorted(held):
            self.sing(note.voice, onset, onset + note.duration_ticks, note.pitch)

    def sing(self, voice: int, onset_ticks: int, end_ticks: int, pitch: int) -> None:
        """Remember a note; those of a voice come in order."""
        self._sung[voice] = [*self._sung[voice][-1:], _Sung(onset_ticks, end_ticks, pitch)]

    def copy(self) -> VoiceLeading:
        """Return another one of the same memory."""
        twin = copy(self)
        twin._sung = list(self._sung)  # a voice's own list is replaced, never changed
        return twin

    def forbidden(self, voice: int, onset_ticks: int, due: Iterable[GridNote] = ()) -> set[int]:
        """Return the pitches with which a voice may not begin a note; see `parallels` and `leaps`."""
        found = self.parallels(voice, onset_ticks, due) if self.rules.parallels else set()
        return found | self.leaps(voice, onset_ticks) if self.rules.leaps else found

    def leaps(self, voice: int, onset_ticks: int) -> set[int]:
        """Return the pitches that a voice would reach by an augmented leap, or by one over an octave."""
        own = self._before(voice, onset_ticks)
        if own is None:
            return set()
        wide = {pitch for pitch in range(_NUM_PITCHES) if abs(pitch - own) > _OCTAVE}
        return wide if self.key is None else wide | augmented_leaps(self.key, own)

    def parallels(self, voice: int, onset_ticks: int, due: Iterable[GridNote] = ()) -> set[int]:
        """Return the pitches by which a voice that begins a note would move in parallel with one that began before it.

        Args:
            voice: Who begins a note.
            onset_ticks: When.
            due: Notes of voices that stand behind it at this onset and are known.
        """
        own = self._before(voice, onset_ticks)
        if own is None:
            return set()
        now = {note.voice: note.pitch for note in due}
        for other, sung in enumerate(self._sung):
            if sung and sung[-1].onset_ticks == onset_ticks:
                now[other] = sung[-1].pitch
        found: set[int] = set()
        for other, pitch in now.items():
            last = self._before(other, onset_ticks)
            if other != voice and last is not None and last != pitch:
                found.update(_parallel_pitches(own, last, pitch))
        return found

    def _before(self, voice: int, onset_ticks: int) -> int | None:
        """The pitch of a voice up to an onset, if it sounded."""
        for sung in reversed(self._sung[voice]):
            if sung.onset_ticks < onset_ticks:
                return sung.pitch if sung.end_ticks >= onset_ticks else None
        return None


def _parallel_pitches(own: int, last: int, pitch: int) -> Iterator[int]:
    """Pitches to which a voice at `own` would follow another one from `last` to `pitch` in parallel."""
    interval = abs(last - own) % _OCTAVE
    if interval not in _PERFECT:
        return
    for target in range(_NUM_PITCHES):
        is_same_way = (target > own) == (pitch > last) and target != own
        if is_same_way and abs(pitch - target) % _OCTAVE == interval:
            yield target
