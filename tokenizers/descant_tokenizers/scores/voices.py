"""Which tracks of a score are which voices."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.errors import InputError, printable
from descant_tokenizers.scores.melody import pick_melody

__all__ = [
    "VOICES",
    "VoiceChoice",
    "pick_voices",
    "tracks_by_name",
    "tracks_by_pitch",
    "voice_names",
    "voice_of_name",
]

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
