"""In whose manner a piece is written: the style that a model is told, derived from what a corpus says of the piece.

Styles are those of `descant_tokenizers.tokens.presets.STYLES`, each with a token of its own in the vocabulary
`satb-style`. All of them are music in the four voices of that vocabulary: a quartet's violins, viola and cello are its
Soprano, Alto, Tenor and Bass, a folk tune its Soprano. Double stops keep their upper note.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from datasets import Dataset, DatasetDict
from symusic.core import ScoreTick

from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.presets import PITCH_RANGE

__all__ = ["as_voices", "corpus_of", "style_of", "with_styles"]

#: A word of the composer's name, and the corpus, by which a piece of each style is known.
_KNOWN_BY = {
    "bach": ("Bach", "chorales"),
    "palestrina": ("Palestrina", "palestrina"),
    "mozart": ("Mozart", "quartets"),
    "haydn": ("Haydn", "quartets"),
    "beethoven": ("Beethoven", "quartets"),
    "folk": ("traditional", "folk"),
}
#: Corpora whose parts are voices from high to low under other names.
_NAMED_OTHERWISE = ("quartets", "folk")


def style_of(row: Mapping[str, Any]) -> str | None:
    """Return the style of a dataset's row, by its composer and corpus; None if it has none."""
    for style, (word, corpus) in _KNOWN_BY.items():
        if word in row["composer"] and row["corpus"] == corpus:
            return style
    return None


def corpus_of(style: str) -> str:
    """Return the corpus whose pieces a style is learned from."""
    return _KNOWN_BY[style][1]


def with_styles(dataset: DatasetDict) -> DatasetDict:
    """Return a dataset with a column `style` (empty where a piece has none), its known pieces in the four voices."""
    return DatasetDict({name: _with_styles(split) for name, split in dataset.items()})


def as_voices(score: ScoreTick) -> ScoreTick:
    """Name the tracks of a tune or a quartet after the voices, and move it into the vocabulary's range if need be."""
    voiced = score.copy()
    if len(voiced.tracks) not in (1, len(VOICES)):
        return voiced  # the tokenizer says what it makes of its tracks
    for track, voice in zip(voiced.tracks, VOICES, strict=False):
        track.name = voice
    pitches = [note.pitch for track in voiced.tracks for note in track.notes]
    low, high = PITCH_RANGE
    shift = min(0, high - max(pitches)) or max(0, low - min(pitches))
    for track in voiced.tracks:
        track.shift_pitch(shift, inplace=True)
    return voiced


def _with_styles(split: Dataset) -> Dataset:
    styles = [style_of(row) or "" for row in split.select_columns(["composer", "corpus"])]
    if set(_NAMED_OTHERWISE) & set(split.unique("corpus")):
        # in memory: nothing is written beside the user's own data
        fingerprint = hashlib.sha256(f"{split._fingerprint}-voices".encode()).hexdigest()[:32]
        split = split.map(_voiced_row, keep_in_memory=True, new_fingerprint=fingerprint, desc="name the voices")
    return split.add_column("style", styles)


def _voiced_row(row: dict[str, Any]) -> dict[str, Any]:
    is_named_otherwise = row["corpus"] in _NAMED_OTHERWISE
    return {"music": as_voices(row_to_score(row)).dumps_midi() if is_named_otherwise else row["music"]}
