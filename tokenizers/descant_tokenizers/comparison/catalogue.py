"""The schemes of miditok by name: settings and limits.

Every phrase under `limits` is asserted in the tests of the schemes, so that an upstream change shows. All schemes have
the grid, pitches, instruments and time signatures of the presets. Only notes and bars are compared, so velocities,
tempos, rests and chords are off in every scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from miditok import TokenizerConfig
from symusic.core import ScoreTick

from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.kinds import FOUR_PART, MULTITRACK, MusicKind
from descant_tokenizers.tokens.presets import PITCH_RANGE, VOICE_PROGRAMS, grid_config

MAX_BARS = 512
"""Number of bars that the schemes with a token for each bar number can count."""

_COMPOUND = "compound tokens: several vocabularies at once, so no BPE and no stock causal language model"
_NO_SIGNATURES = "time signatures are dropped"
_MAX_BARS = f"at most {MAX_BARS} bars: each has its own token"


@dataclass(frozen=True, slots=True)
class SchemeSpec:
    """One scheme of miditok."""

    title: str  # with its paper or maker
    cls: str  # name of the class in miditok
    extra: Mapping[str, object] = field(default_factory=dict)  # settings beside the shared ones
    limits: tuple[str, ...] = ()  # one phrase each
    needs_tempo: bool = False  # fails on a score without a tempo
    max_bars: int | None = None  # largest number of bars that it can count


CATALOGUE: Mapping[str, SchemeSpec] = {
    "remi": SchemeSpec("REMI (Huang and Yang 2020)", "REMI"),
    "tsd": SchemeSpec("TSD", "TSD", limits=("no bar lines: time is a chain of shifts",)),
    "structured": SchemeSpec(
        "Structured (Hadjeres and Crestel 2021)",
        "Structured",
        limits=(
            _NO_SIGNATURES,
            "the distance to the next onset is one token: rounded to a coarser grid beyond 2 beats, cut beyond 16, "
            "and everything that follows moves",
        ),
    ),
    "midilike": SchemeSpec(
        "MIDI-Like (Oore et al. 2018)",
        "MIDILike",
        limits=(
            "no bar lines and no durations: a note lasts until its NoteOff",
            "of two overlapping notes of one pitch and program, the wrong one may end first",
        ),
    ),
    "beat": SchemeSpec(
        "BEAT (Qian et al. 2026)",
        "BEAT",
        limits=(
            "a grid of four steps to the beat: triplets and shorter notes are moved",
            "an instrument sounds a pitch once at a time",
        ),
    ),
    "octuple": SchemeSpec(
        "Octuple (Zeng et al. 2021)",
        "Octuple",
        extra={"max_bar_embedding": MAX_BARS},
        limits=(
            _COMPOUND,
            _MAX_BARS,
            "only notes carry the time signature: a change in a bar without notes is lost, and what follows moves",
        ),
        max_bars=MAX_BARS,
    ),
    "cpword": SchemeSpec("Compound Word (Hsiao et al. 2021)", "CPWord", limits=(_COMPOUND,)),
    "pertok": SchemeSpec(
        "PerTok (Lemonaide)",
        "PerTok",
        # 96 ticks hold the grid; without microtiming the notes stay on it, as in all other schemes
        extra={
            "ticks_per_quarter": 96,
            "use_microtiming": False,
            "max_microtiming_shift": 0.0,
            "num_microtiming_bins": 1,
        },
        limits=(
            "its own way of counting bars: a change of time signature may come back at another place",
            "off the grid, the error of one shift adds to the next",
            "a note lasts 15.75 beats at most",
        ),
    ),
    "mumidi": SchemeSpec(
        "MuMIDI (Ren et al. 2020)",
        "MuMIDI",
        extra={"max_bar_embedding": MAX_BARS},
        limits=(_COMPOUND, _MAX_BARS, f"{_NO_SIGNATURES}: all bars are in 4/4"),
        needs_tempo=True,
        max_bars=MAX_BARS,
    ),
    "mmm": SchemeSpec(
        "MMM (Ens and Pasquier 2020)",
        "MMM",
        extra={"base_tokenizer": "REMI"},
        limits=("one track after the other: no point in the stream is a point in time",),
    ),
}

_ANY_PITCH = (0, 127)
_ALL_PROGRAMS = list(range(-1, 128))  # -1: miditok's number for drums
_SPECIAL_TOKENS = ("PAD", "BOS", "EOS", "MASK")


def music_of(score: ScoreTick) -> MusicKind:
    """Return the kind of music of a score: `FOUR_PART` if each track has the name of a different voice."""
    names = [track.name for track in score.tracks]
    return FOUR_PART if set(names) <= set(VOICES) and len(set(names)) == len(names) else MULTITRACK


def label_voices(score: ScoreTick) -> ScoreTick:
    """Return a copy of a score of named voices in which each voice has its program of the preset `satb`."""
    labelled = score.copy()
    for track in labelled.tracks:
        track.program, track.is_drum = VOICE_PROGRAMS[track.name], False
    return labelled


def shared_config(kind: MusicKind, **extra: Any) -> TokenizerConfig:
    """Return a miditok configuration with the grid of the presets and the programs and pitches of `satb`, or all."""
    return grid_config(
        pitch_range=PITCH_RANGE if kind is FOUR_PART else _ANY_PITCH,
        special_tokens=list(_SPECIAL_TOKENS),
        programs=list(VOICE_PROGRAMS.values()) if kind is FOUR_PART else _ALL_PROGRAMS,
        **extra,
    )
