"""Scores as notation (MusicXML, SVG, PDF), as pictures and as sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from descant_tokenizers.common.errors import InputError

Layout = Literal["open", "closed"]
"""A staff for each track, or two voices to a staff."""

SoundName = Literal["choir", "organ", "piano", "strings"]

SOUNDS: dict[str, int] = dict(zip(get_args(SoundName), (52, 19, 0, 48), strict=True))
"""General MIDI programs of the sounds that can be chosen."""

Sounds: TypeAlias = str | Mapping[str, str] | None
"""One of `SOUNDS` for every track, one for each of some tracks by name, or None for the nearest to each program."""


_MAX_VOICE_DB = 24.0
_TEMPO_PERCENT = (25.0, 400.0)


def parse_sounds(text: str) -> str | dict[str, str]:
    """Parse a sound, or sounds of single voices such as `soprano=piano,bass=organ`.

    Raises:
        InputError: There is no such sound.
    """
    found = {}
    for part in text.split(","):
        voice, is_single, sound = part.rpartition("=")
        if sound.strip() not in SOUNDS or bool(is_single) != ("=" in text) or (is_single and not voice.strip()):
            raise InputError(
                f"The sound is '{text}'. Give one of {', '.join(SOUNDS)}, or one for a voice, such as soprano=piano."
            )
        found[voice.strip()] = sound.strip()
    return found if "=" in text else found[""]


def sound_of(sounds: Sounds, name: str) -> str | None:
    """Return the sound of a track by its name, in any case; None where none is chosen."""
    if sounds is None or isinstance(sounds, str):
        return sounds
    return next((sound for voice, sound in sounds.items() if voice.lower() == name.strip().lower()), None)


def check_sounds(sounds: Sounds, tracks: Sequence[str] | None = None) -> None:
    """Raise an `InputError` if a sound, or a track that has one, does not exist; None for tracks that are not known."""
    singles = sounds if isinstance(sounds, Mapping) else {}
    known = None if tracks is None else [name.strip().lower() for name in tracks]
    for voice in singles:
        if known is not None and voice.lower() not in known:
            raise InputError(f"There is no voice '{voice}' for a sound. The voices are {', '.join(tracks or ())}.")
    for sound in [sounds] if isinstance(sounds, str) else singles.values():
        if sound not in SOUNDS:
            raise InputError(f"The sound is '{sound}'. Give one of {', '.join(SOUNDS)}.")


@dataclass(frozen=True)
class PracticeOptions:
    """How practice tracks are made.

    Attributes:
        own_voice_db: How much louder than in the whole score a voice is in its own track, 0-24 dB.
        tempo_percent: Tempo in percent of the score's, 25-400.
        counts_in: Begin with a bar of clicks, and those of the beats before a pickup.

    Raises:
        InputError: A value is out of range.
    """

    own_voice_db: float = 9.0
    tempo_percent: float = 100.0
    counts_in: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.own_voice_db <= _MAX_VOICE_DB:
            raise InputError(f"--own-voice-db is {self.own_voice_db:g}. Give 0 to {_MAX_VOICE_DB:g}.")
        slowest, fastest = _TEMPO_PERCENT
        if not slowest <= self.tempo_percent <= fastest:
            raise InputError(f"--practice-tempo is {self.tempo_percent:g}. Give {slowest:g} to {fastest:g}.")
