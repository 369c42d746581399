"""Which tracks of a score are which voices."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from symusic.core import ScoreTick, TrackTick

from descant_tokenizers.errors import InputError, printable
from descant_tokenizers.scores.melody import pick_melody

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
"""Names of the four tracks of a four-part score, from high to low."""

SHORT_NAMES = {"s": "Soprano", "a": "Alto", "t": "Tenor", "b": "Bass"}


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
    voice = SHORT_NAMES.get(plain, plain.capitalize())
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


def pick_voices(score: ScoreTick, given: Sequence[str] | None = None, track: int | str | None = None) -> VoiceChoice:
    """Choose the tracks that are the given voices.

    One voice is the melody (see `pick_melody`). Several are the tracks of those names; without such names, the
    score must have just as many pitched tracks, each one note at a time, which are taken by median pitch from high to low.

    Args:
        score: A validated score.
        given: Voices that the score holds, such as `("Soprano", "Bass")`. By default those that its tracks are named
            after, else four for four tracks, else the melody as Soprano.
        track: The track to take where one voice is given: its number from 1, or its name.

    Returns:
        The choice, with its reason.

    Raises:
        InputError: The tracks do not fit the voices.
    """
    pitched = [index for index, candidate in enumerate(score.tracks) if candidate.notes and not candidate.is_drum]
    named = {voice_of_name(score.tracks[index].name): index for index in pitched}
    named.pop(None, None)
    voices = voice_names(given) if given is not None else _voices_of(named, pitched)
    if len(voices) == 1:
        if track is None and voices[0] in named:
            track = named[voices[0]] + 1
        melody = pick_melody(score, track)
        return VoiceChoice({voices[0]: melody.track}, {voices[0]: melody.index}, f"{melody.reason}, as {voices[0]}")
    if track is not None:
        raise InputError(f"--track chooses one melody, but {len(voices)} voices are given; leave --track out.")
    if all(voice in named for voice in voices):
        indices, why = {voice: named[voice] for voice in voices}, "by their names"
    elif len(pitched) == len(voices):
        high_to_low = sorted(pitched, key=lambda index: -statistics.median(n.pitch for n in score.tracks[index].notes))
        indices, why = dict(zip(voices, high_to_low, strict=True)), "by pitch from high to low"
    else:
        raise InputError(
            f"{len(voices)} voices are given ({', '.join(voices)}), but the score has {len(pitched)} tracks; "
            "name its tracks after the voices, or give as many voices as tracks."
        )
    tracks = {voice: pick_melody(score, index + 1).track for voice, index in indices.items()}
    return VoiceChoice(tracks, indices, f"voices: {', '.join(voices)}, {why}")


def _voices_of(named: dict[str | None, int], pitched: Sequence[int]) -> tuple[str, ...]:
    """The voices of a score about which nothing is said."""
    if named and len(named) == len(pitched):
        return tuple(voice for voice in VOICES if voice in named)
    return VOICES if len(pitched) == len(VOICES) else VOICES[:1]
