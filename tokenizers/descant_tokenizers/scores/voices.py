"""Which tracks of a score are which voices.

Which track of a score is the melody.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError, printable

__all__ = [
    "MELODY_NAMES",
    "VOICES",
    "MelodyChoice",
    "VoiceChoice",
    "pick_melody",
    "pick_voices",
    "tracks_by_name",
    "tracks_by_pitch",
    "voice_names",
    "voice_of_name",
]

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


VOICES = ("Soprano", "Alto", "Tenor", "Bass")
"""Names of the four tracks of a four-part score, from high to low."""

_INITIALS = {"s": "Soprano", "a": "Alto", "t": "Tenor", "b": "Bass"}


@dataclass(frozen=True, slots=True)
class VoiceChoice:
    """The voices that a score holds.

    Attributes:
        tracks: For each voice, a copy of its track with no two notes sounding at once, from high to low.
        indices: For each voice, the position of its track in `score.tracks`.
        reason: A sentence that says which tracks were taken and why.
    """

    tracks: dict[str, TrackTick]
    indices: dict[str, int]
    reason: str


def voice_of_name(name: str) -> str | None:
    """Return the voice that a track name says (Soprano or S, in any case), None if it says none."""
    plain = name.strip().lower()
    voice = _INITIALS.get(plain, plain.capitalize())
    return voice if voice in VOICES else None


def voice_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return voices given by name or initial, from high to low, each once.

    Raises:
        InputError: A name is no voice, or there is none.
    """
    found = {voice_of_name(name): name for name in names}
    if None in found or not found:
        wrong = printable(found.get(None, ""), 40)
        raise InputError(f"unknown voice '{wrong}'; give one or more of {', '.join(VOICES).lower()}.")
    return tuple(voice for voice in VOICES if voice in found)


def tracks_by_name(tracks: Sequence[TrackTick]) -> dict[str, int]:
    """Return the index of the track that is named after each voice, from high to low; two of one name count as none."""
    spoken = [voice_of_name(track.name) for track in tracks]
    return {voice: spoken.index(voice) for voice in VOICES if spoken.count(voice) == 1}


def tracks_by_pitch(tracks: Sequence[TrackTick]) -> list[int]:
    """Return the indices of tracks with notes by median pitch, from high to low; of equals the first comes first."""
    return sorted(range(len(tracks)), key=lambda index: -statistics.median(note.pitch for note in tracks[index].notes))


def pick_voices(score: ScoreTick, given: Sequence[str] | None = None, track: int | str | None = None) -> VoiceChoice:
    """Choose the tracks that are the given voices.

    One voice is the track of its name, else the melody (see `pick_melody`). Several are the tracks of those names;
    without such names, the score must have just as many pitched tracks; they go by median pitch from high to low.

    Args:
        score: A validated score.
        given: Voices that the score holds, such as `("Soprano", "Bass")`. By default all four if tracks are named
            after them or there are four tracks, else the voices that all tracks are named after, else the melody as
            Soprano.
        track: The track to take where one voice is given: its number from 1, or its name.

    Returns:
        The choice, with its reason.

    Raises:
        InputError: The tracks do not fit the voices.
    """
    pitched = [index for index, candidate in enumerate(score.tracks) if candidate.notes and not candidate.is_drum]
    tracks = [score.tracks[index] for index in pitched]
    named = {voice: pitched[place] for voice, place in tracks_by_name(tracks).items()}
    voices = voice_names(given) if given is not None else _voices_of(named, len(pitched), is_melody=track is not None)
    if len(voices) == 1:
        return _melody(score, voices[0], named, track)
    if track is not None:
        raise InputError(f"--track chooses one melody, but {len(voices)} voices are given; leave --track out.")
    if all(voice in named for voice in voices):
        indices, why = {voice: named[voice] for voice in voices}, "by name"
    elif len(pitched) == len(voices):
        high_to_low = [pitched[place] for place in tracks_by_pitch(tracks)]
        indices, why = dict(zip(voices, high_to_low, strict=True)), "by pitch from high to low"
    else:
        raise InputError(
            f"{len(voices)} voices are given ({', '.join(voices)}), but the score has {len(pitched)} "
            f"track{'s' * (len(pitched) != 1)}; name its tracks after the voices, or give as many voices as tracks."
        )
    found = {voice: _line(score, index, voice) for voice, index in indices.items()}
    where = ", ".join(f"{voice} track {index + 1}" for voice, index in indices.items())
    return VoiceChoice(found, indices, f"voices: {where}, {why}")


def _melody(score: ScoreTick, voice: str, named: Mapping[str, int], track: int | str | None) -> VoiceChoice:
    if track is None and voice in named:
        found = pick_melody(score, named[voice] + 1)
        reason = found.reason.replace("as asked for", "for its name")
    else:
        found = pick_melody(score, track)
        reason = found.reason
    return VoiceChoice({voice: found.track}, {voice: found.index}, f"{reason}, as {voice}")


def _line(score: ScoreTick, index: int, voice: str) -> TrackTick:
    try:
        return pick_melody(score, index + 1).track
    except InputError:
        label = f"track {index + 1} '{score.tracks[index].name}'"
        raise InputError(
            f"{label} plays several notes at once, so it is not one voice ({voice}); give each voice its own track."
        ) from None


def _voices_of(named: Mapping[str, int], num_pitched: int, *, is_melody: bool) -> tuple[str, ...]:
    """The voices of a score about which nothing is said."""
    if is_melody:
        return VOICES[:1]
    if len(named) == len(VOICES) or num_pitched == len(VOICES):
        return VOICES
    return tuple(named) if named and len(named) == num_pitched else VOICES[:1]
