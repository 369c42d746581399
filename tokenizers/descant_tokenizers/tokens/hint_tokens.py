"""Names of the hint tokens (see hints.py), and the chords they can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from descant_tokenizers.scores import chords
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES

#: Steps of each quality above the root, and those of them that must sound, by its code.
QUALITIES: Final[Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    quality.code: (quality.steps, quality.required) for quality in chords.QUALITIES
}

MAX_BARS_LEFT = 8
MAX_BEATS_LEFT = 15
#: Beats to come that are shown of the highest given voice, and of other ones.
BEATS_AHEAD, BEATS_AHEAD_OTHERS = 4, 2
#: Last beats of a phrase, the one of its last note included, whose chords are written even where no others are.
CADENCE_BEATS = 3
HOLD, REST = "hold", "rest"

#: Harmonic rhythms that can be requested: a new chord at most with each note of the melody, each beat, and so on.
HARMONIC_RHYTHMS = ("note", "beat", "half-bar", "bar")
NO_CHORD = "none"

HINT_TOKENS = (
    *(
        f"Ahead_{beat}-{sound}"
        for beat in range(1, BEATS_AHEAD + 1)
        for sound in (*range(NUM_PITCH_CLASSES), HOLD, REST)
    ),
    *(f"After_{voice}-{pitch}" for voice in range(4) for pitch in range(NUM_PITCH_CLASSES)),
    *(f"Key_{tonic}-{mode}" for mode in ("major", "minor") for tonic in range(NUM_PITCH_CLASSES)),
    *(f"Harmony_{rhythm}" for rhythm in HARMONIC_RHYTHMS),
    *(f"Left_{bars}" for bars in range(1, MAX_BARS_LEFT + 1)),
    *(f"Gap_{bars}" for bars in range(1, MAX_BARS_LEFT + 1)),
    *(f"Phrase_{number}" for number in range(MAX_BEATS_LEFT + 1)),
    *(f"Root_{root}" for root in range(NUM_PITCH_CLASSES)),
    *(f"Quality_{quality}-{inversion}" for quality, (steps, _) in QUALITIES.items() for inversion in range(len(steps))),
    f"Quality_{NO_CHORD}",
)
"""Special tokens of a vocabulary with hints."""


def pitches_of_hint(name: str) -> range:
    """Return the MIDI pitches of the pitch class that a hint token names; empty for other tokens."""
    kind, _, value = name.partition("_")
    pitch_class = value if kind == "Root" else value.partition("-")[2] if kind in ("Ahead", "After") else ""
    return range(int(pitch_class), 128, NUM_PITCH_CLASSES) if pitch_class.isdecimal() else range(0)
