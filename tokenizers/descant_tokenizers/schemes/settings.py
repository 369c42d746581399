"""The settings that schemes share when they are compared: the same grid, pitches, instruments and time signatures.

Notes and bars are what is compared, so velocities, tempos, rests and chords are off in every scheme.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from miditok import TokenizerConfig
from symusic.core import ScoreTick

from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.presets import BEAT_RESOLUTION, PITCH_RANGE, TIME_SIGNATURES, VOICE_PROGRAMS

__all__ = ["Music", "label_voices", "music_of", "shared_config"]

ANY_PITCH = (0, 127)
ALL_PROGRAMS = list(range(-1, 128))  # -1: miditok's number for drums
BASIC_TOKENS = ("PAD", "BOS", "EOS", "MASK")


class Music(StrEnum):
    """What a vocabulary has to hold.

    `VOICES` is music whose tracks are all named after the four voices: four programs and the pitches of the preset
    `satb`. `ANY` is everything else: all programs, drums, all pitches.
    """

    VOICES = "voices"
    ANY = "any"


def music_of(score: ScoreTick) -> Music:
    """Tell which vocabulary a score needs."""
    names = [track.name for track in score.tracks]
    return Music.VOICES if set(names) <= set(VOICES) and len(set(names)) == len(names) else Music.ANY


def label_voices(score: ScoreTick) -> ScoreTick:
    """Return a copy of a score of named voices in which each voice has its program, as in the preset `satb`."""
    labelled = score.copy()
    for track in labelled.tracks:
        track.program, track.is_drum = VOICE_PROGRAMS[track.name], False
    return labelled


def shared_config(music: Music, **extra: Any) -> TokenizerConfig:
    """Return a miditok configuration on the grid of the preset `satb`.

    Args:
        music: What the vocabulary has to hold.
        extra: What one scheme needs besides.
    """
    is_voices = music is Music.VOICES
    return TokenizerConfig(
        pitch_range=PITCH_RANGE if is_voices else ANY_PITCH,
        beat_res=BEAT_RESOLUTION,
        special_tokens=list(BASIC_TOKENS),
        use_velocities=False,
        use_pitchdrum_tokens=False,
        use_programs=True,
        one_token_stream_for_programs=True,
        programs=list(VOICE_PROGRAMS.values()) if is_voices else ALL_PROGRAMS,
        use_time_signatures=True,
        time_signature_range=TIME_SIGNATURES,
        **extra,
    )
