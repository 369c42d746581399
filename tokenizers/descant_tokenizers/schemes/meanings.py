"""What a token says, in words, and to which family of tokens it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from miditok.constants import MIDI_INSTRUMENTS

__all__ = ["FAMILIES", "HIDDEN_TYPES", "family_of", "meaning"]

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "bar": ("Bar", "Beat", "Track"),
    "meter": ("TimeSig", "Tempo", "KeySig"),
    "time": ("Position", "TimeShift", "Rest", "MicroTiming", "BarPosEnc", "PositionPosEnc"),
    "instrument": ("Program",),
    "pitch": ("Pitch", "PitchDrum", "NoteOn", "DrumOn", "PitchIntervalTime", "PitchIntervalChord", "Chord"),
    "duration": ("Duration", "NoteOff", "DrumOff"),
    "loudness": ("Velocity",),
}
"""Types of tokens by what they tell about; all others are of the family `other`."""

HIDDEN_TYPES = ("Ignore", "Family")
"""Types that only fill or mark the places of a compound token."""

_FAMILY_OF = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}
_LETTERS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def family_of(name: str) -> str:
    """Return the family of a token."""
    return _FAMILY_OF.get(name.split("_", 1)[0], "other")


def meaning(name: str, voices: Mapping[int, str]) -> str:
    """Say what a token means.

    Args:
        name: Its name in miditok's vocabulary, such as `Duration_1.12.24`.
        voices: Names of the programs that stand for voices.

    Returns:
        A phrase; the name itself for a type of token that is not known here.
    """
    kind, _, value = name.partition("_")
    try:
        return _meaning(kind, value, voices) or name
    except (ValueError, IndexError):
        return name


def _meaning(kind: str, value: str, voices: Mapping[int, str]) -> str:
    match kind:
        case "Bar":
            return "a bar begins" if value == "None" else f"in bar {int(value) + 1} of the stream"
        case "Beat":
            return "a beat begins"
        case "Track":
            return f"a track {'begins' if value == 'Start' else 'ends'}"
        case "TimeSig":
            return f"time signature {value}"
        case "Tempo":
            return f"tempo {value} quarters per minute"
        case "Position":
            return f"position {value} of the bar's grid, counted from 0"
        case "BarPosEnc":
            return f"in bar {int(value) + 1} of the stream"
        case "PositionPosEnc":
            return "no position: the bar as a whole" if value == "None" else f"at position {value} of the bar's grid"
        case "TimeShift" | "Rest":
            return "no time passes" if _beats(value) == 0 else f"{_beats_text(value)} pass"
        case "MicroTiming":
            return f"moved by {int(value):+d} ticks"
        case "Program":
            return _program(int(value), voices)
        case "Pitch" | "NoteOn":
            return f"{'begin ' * (kind == 'NoteOn')}{_pitch(int(value))}"
        case "PitchDrum" | "DrumOn":
            return f"drum {value}"
        case "NoteOff" | "DrumOff":
            return f"end {_pitch(int(value))}"
        case "Duration":
            return f"lasts {_beats_text(value)}"
        case "Velocity":
            return f"velocity {value} of 127"
        case "Family":
            return "a compound of a note" if value == "Note" else "a compound of time"
        case "Ignore":
            return "place not used"
        case "PAD" | "BOS" | "EOS" | "MASK" | "SEP":
            return {"PAD": "filler", "BOS": "begin", "EOS": "end", "MASK": "hole", "SEP": "written part"}[kind]
    return ""


def _beats(value: str) -> Fraction:
    whole, part, parts = map(int, value.split("."))
    return whole + Fraction(part, parts)


def _beats_text(value: str) -> str:
    beats = _beats(value)
    whole, rest = divmod(beats, 1)
    number = " ".join(str(part) for part in (whole, rest) if part) or "0"
    return f"{number} beat{'s' * (beats > 1)}"


def _pitch(pitch: int) -> str:
    return f"{_LETTERS[pitch % 12]}{pitch // 12 - 1} (MIDI pitch {pitch})"


def _program(program: int, voices: Mapping[int, str]) -> str:
    if program in voices:
        return f"voice: {voices[program]}"
    return "drums" if program < 0 else f"instrument: {MIDI_INSTRUMENTS[program]['name']} (program {program})"
