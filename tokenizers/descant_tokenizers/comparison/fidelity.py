"""Compare a score with what comes back from its tokens.

Scores are compared by what sounds: for each instrument (MIDI program, or drums) and pitch, when notes begin and how
long they last. Tracks of one program count as one instrument, because a single stream of tokens cannot tell them
apart. Times are compared exactly, whatever the two resolutions are: both are brought to their product.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from symusic.core import ScoreTick

from descant_tokenizers.scores.bars import DEFAULT_SIGNATURE

__all__ = ["TOLERANCE_QUARTERS", "Fidelity", "fidelity"]

TOLERANCE_QUARTERS = (1, 48)
"""Half a step of a grid of 24 to the quarter, as a fraction: rounding to that grid is no error, anything worse is."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The agreement of a score and its copy.

    Attributes:
        num_notes: Notes of the score.
        num_back: Notes of the copy.
        num_exact: Notes with the same instrument, pitch, onset and duration, to the tick.
        num_in_place: Notes with the same instrument, pitch and onset, to the tick.
        num_matched: Pairs of notes of one instrument and pitch whose onsets lie within `TOLERANCE_QUARTERS`.
        same_signatures: True if the same time signatures begin at the same ticks.
    """

    num_notes: int
    num_back: int
    num_exact: int
    num_in_place: int
    num_matched: int
    same_signatures: bool

    @property
    def same_notes(self) -> bool:
        """True if every note came back to the tick, and no other."""
        return self.num_exact == self.num_notes == self.num_back

    @property
    def is_exact(self) -> bool:
        """True if all notes and time signatures came back."""
        return self.same_notes and self.same_signatures


def fidelity(score: ScoreTick, copy: ScoreTick) -> Fidelity:
    """Compare a score with its copy after a round trip."""
    unit, copy_unit = copy.ticks_per_quarter, score.ticks_per_quarter  # brings both to the product of the resolutions
    before, after = _notes(score, unit), _notes(copy, copy_unit)
    numerator, denominator = TOLERANCE_QUARTERS
    tolerance = unit * copy_unit * numerator // denominator
    onsets_before, onsets_after = _onsets(before), _onsets(after)
    matched = sum(_num_pairs(onsets, onsets_after.get(key, []), tolerance) for key, onsets in onsets_before.items())
    return Fidelity(
        num_notes=before.total(),
        num_back=after.total(),
        num_exact=(before & after).total(),
        num_in_place=(_places(before) & _places(after)).total(),
        num_matched=matched,
        same_signatures=_signatures(score, unit) == _signatures(copy, copy_unit),
    )


_Key = tuple[int, int]
_Note = tuple[_Key, int, int]


def _notes(score: ScoreTick, unit: int) -> Counter[_Note]:
    """Count notes by instrument (-1 for drums) and pitch, onset and duration."""
    return Counter(
        ((-1 if track.is_drum else track.program, note.pitch), note.time * unit, note.duration * unit)
        for track in score.tracks
        for note in track.notes
    )


def _places(notes: Counter[_Note]) -> Counter[tuple[_Key, int]]:
    return Counter((key, onset) for key, onset, _ in notes.elements())


def _onsets(notes: Counter[_Note]) -> dict[_Key, list[int]]:
    found: dict[_Key, list[int]] = defaultdict(list)
    for key, onset, _ in sorted(notes.elements()):
        found[key].append(onset)
    return found


def _num_pairs(before: Sequence[int], after: Sequence[int], tolerance: int) -> int:
    """Pair rising onsets from the left, which gives as many pairs as possible."""
    pairs = i = j = 0
    while i < len(before) and j < len(after):
        if abs(before[i] - after[j]) <= tolerance:
            pairs, i, j = pairs + 1, i + 1, j + 1
        elif before[i] < after[j]:
            i += 1
        else:
            j += 1
    return pairs


def _signatures(score: ScoreTick, unit: int) -> list[tuple[int, int, int]]:
    """List the changes of time signature; repetitions are left out, and the default is 4/4."""
    by_time = {0: DEFAULT_SIGNATURE}
    for event in sorted(score.time_signatures, key=lambda event: event.time):
        by_time[event.time * unit] = (event.numerator, event.denominator)
    changes: list[tuple[int, int, int]] = []
    for time, signature in by_time.items():
        if not changes or changes[-1][1:] != signature:
            changes.append((time, *signature))
    return changes
