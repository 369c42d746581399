"""Models of songs and string quartets that have learned nothing."""

from __future__ import annotations

from pathlib import Path

from untrained import save_untrained

from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.tasks import LayoutConfig
from descant_tokenizers.tokens.vocabulary import Vocabulary

_RANGES = {
    "song": ((57, 81), (30, 64), (48, 84)),
    "quartet": ((55, 96), (36, 72), (55, 88), (48, 80)),
}


def save_ensemble(preset: str, folder: Path) -> str:
    """Save a model of a preset, quartets with two styles; return its folder."""
    styles = ("mozart", "haydn") if preset == "quartet" else ()
    layout = LayoutConfig(2, given_at_onsets=True, styles=styles)
    vocabulary = Vocabulary(build_tokenizer(preset))
    return str(save_untrained(vocabulary, _RANGES[preset], folder, layout, max_tokens=600))
