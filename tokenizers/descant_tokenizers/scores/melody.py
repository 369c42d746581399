"""Which track of a score is the melody."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass

from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.errors import InputError

__all__ = ["MELODY_NAMES", "MelodyChoice", "pick_melody"]

MELODY_NAMES = ("melody", "soprano", "vocal", "voice", "lead", "tune", "cantus", "discant", "descant", "treble")
"""A track is named as the melody if its name holds one of these words, in any case."""

_MAX_LISTED = 10
_PITCH_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True, slots=True)
class MelodyChoice:
    """The melody of a score.

    Attributes:
        track: A copy of the chosen track with no two notes sounding at once.
        index: Position of the chosen track in `score.tracks`, from 0 (people see it counted from 1).
        reason: A sentence that says which track was taken and why.
    """

    track: TrackTick
    index: int
    reason: str


def pick_melody(score: ScoreTick, track: int | str | None = None) -> MelodyChoice:
    """Choose the track to take as melody.

    The rule: the track asked for; else the only pitched track; else the monophonic track whose name says melody,
    soprano, vocal or the like (see `MELODY_NAMES`); else the highest monophonic one. "Highest" is by median pitch; of
    equals the first one is taken. Notes that overlap the next one by less than a 16th are played legato and trimmed;
    anything more makes a track polyphonic. Percussion is never chosen.

    Args:
        score: A validated score.
        track: Number of a track from 1, or its name in any case; None leaves the choice to the rule.

    Returns:
        The choice, with its reason.

    Raises:
        InputError: There is no such track, or the track that is meant is polyphonic.
    """
    if track is not None:
        return _choice(score, _asked_index(score, track), "as asked for")
    pitched = [index for index, candidate in enumerate(score.tracks) if not candidate.is_drum and candidate.notes]
    if len(pitched) == 1:
        return _choice(score, pitched[0], "as the only one")
    named = [index for index in pitched if any(word in score.tracks[index].name.lower() for word in MELODY_NAMES)]
    monophonic = [index for index in named or pitched if _monophonic(score, index) is not None]
    if not monophonic:
        culprits = "the tracks named as melody play" if named else "all tracks play"
        raise InputError(f"{culprits} several notes at once, so none is a melody; {_remedy(score)}")
    best = max(monophonic, key=lambda index: (_median_pitch(score.tracks[index]), -index))
    return _choice(score, best, _why(score.tracks[best], bool(named), len(monophonic)))


def _why(track: TrackTick, is_named: bool, num_candidates: int) -> str:
    if is_named and num_candidates == 1:
        return "for its name"
    pitch = round(_median_pitch(track))
    kind = "so named" if is_named else "monophonic"
    return f"as the highest of {num_candidates} {kind} (median {_PITCH_NAMES[pitch % 12]}{pitch // 12 - 1})"


def _choice(score: ScoreTick, index: int, why: str) -> MelodyChoice:
    found = _monophonic(score, index)
    if found is None:
        raise InputError(f"{_label(score, index)} plays several notes at once; {_remedy(score)}")
    melody, num_trimmed = found
    trimmed = f"; {num_trimmed} slightly overlapping note{'s' * (num_trimmed > 1)} trimmed" if num_trimmed else ""
    return MelodyChoice(melody, index, f"melody: {_label(score, index)}, {why}{trimmed}")


def _asked_index(score: ScoreTick, track: int | str) -> int:
    names = [candidate.name.strip().lower() for candidate in score.tracks]
    if isinstance(track, str) and track.strip().lower() in names:
        index = names.index(track.strip().lower())
    elif isinstance(track, str) and not track.strip().isdecimal():
        raise InputError(f"there is no track named '{track}'; {_remedy(score)}")
    else:
        index = int(track) - 1
    if not 0 <= index < len(score.tracks):
        raise InputError(f"there is no track {track} (there are {len(score.tracks)}, from 1); {_remedy(score)}")
    if score.tracks[index].is_drum:
        raise InputError(f"{_label(score, index)} is percussion; {_remedy(score)}")
    return index


def _monophonic(score: ScoreTick, index: int) -> tuple[TrackTick, int] | None:
    """A trimmed copy of a track and how many notes were trimmed; None if the track is polyphonic."""
    track = score.tracks[index]
    notes = sorted((note.copy() for note in track.notes), key=lambda note: note.time)
    sixteenth_ticks = score.ticks_per_quarter / 4
    num_trimmed = 0
    for before, note in itertools.pairwise(notes):
        overlap = before.time + before.duration - note.time
        if overlap >= sixteenth_ticks or before.time == note.time:
            return None
        if overlap > 0:
            before.duration = note.time - before.time
            num_trimmed += 1
    melody = TrackTick(track.name, track.program, track.is_drum)
    for note in notes:
        melody.notes.append(note)
    return melody, num_trimmed


def _median_pitch(track: TrackTick) -> float:
    return statistics.median(note.pitch for note in track.notes)


def _label(score: ScoreTick, index: int) -> str:
    name = score.tracks[index].name
    return f"track {index + 1} '{name}'" if name else f"track {index + 1}"


def _remedy(score: ScoreTick) -> str:
    choices = [
        _label(score, index).removeprefix("track ")
        for index, track in enumerate(score.tracks)
        if not track.is_drum and track.notes and _monophonic(score, index) is not None
    ]
    if not choices:
        return "no track is monophonic: give the melody as a track of its own."
    more = f" and {len(choices) - _MAX_LISTED} more" if len(choices) > _MAX_LISTED else ""
    return f"choose with --track one of: {', '.join(choices[:_MAX_LISTED])}{more}."
