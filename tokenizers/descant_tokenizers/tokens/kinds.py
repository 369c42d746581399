"""Everything in which four-part and multitrack music differ: one class with two instances.

Code that treats them differently takes a field of `kind_of(vocabulary)`, or looks the kind up in a mapping of its own
(`{FOUR_PART: ..., MULTITRACK: ...}`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from symusic.core import ScoreTick

from descant_tokenizers.corpora.reading import Parts
from descant_tokenizers.scores import NUM_VOICES, VOICES
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.multitrack import choose_tracks, encode_multitrack
from descant_tokenizers.tokens.multitrack_grammar import MultitrackGrammar
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.satb import FastNotes, encode_satb, four_voices
from descant_tokenizers.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class MusicKind:
    """A kind of music that vocabularies are made for. There are two: `FOUR_PART` and `MULTITRACK`.

    Attributes:
        key: Name in reports: "voices", "any".
        label: The music in a few words, for model cards: "music in four voices", "any MIDI".
        noun: Name of the pieces in counts: "four-part pieces", "pieces".
        num_voices: Number of voices of every piece; None if pieces have any number of instruments.
        is_polyphonic: True if a voice may sound several notes at once, False if it is a single line.
        default_task: Task to try first; a multitrack model has no default instruments to harmonize with.
        parts: Tracks taken from a folder of score files: the four voices where there are four, or every track; see
            `parts_of`.
        encode: Puts a score on the token grid; returns the music and a phrase for each kind of change.
        make_grammar: Builds the grammar of a vocabulary.
        choose_tracks: Takes the tracks to encode from a score (all that fit, or the one given by number from 1 or by
            name); returns them as a score, and a sentence that names them.
        melody_voice: Returns the rank of the voice that has the melody of a piece.
    """

    key: str
    label: str
    noun: str
    num_voices: int | None
    is_polyphonic: bool
    default_task: str
    parts: Parts
    encode: Callable[[Vocabulary, ScoreTick], tuple[Piece | FastNotes, tuple[str, ...]]]
    make_grammar: Callable[[Vocabulary], Grammar]
    choose_tracks: Callable[[ScoreTick, int | str | None], tuple[ScoreTick, str]]
    melody_voice: Callable[[Vocabulary, Piece], int]


def _soprano(vocabulary: Vocabulary, piece: Piece) -> int:
    """Return the highest of the four voices that has notes."""
    return min(piece.voices, key=lambda rank: VOICES.index(vocabulary.voice_name(rank)))


def _highest_instrument(vocabulary: Vocabulary, piece: Piece) -> int:
    """Return the leading part of an ensemble, else the instrument with the highest mean pitch; drums only if alone."""
    if vocabulary.ensemble is not None:
        return min(piece.voices)
    pitched = [voice for voice in piece.voices if voice != vocabulary.drum_voice] or list(piece.voices)
    pitches: dict[int, list[int]] = {voice: [] for voice in piece.voices}
    for bar in piece.bars:
        for note in bar.notes:
            pitches[note.voice].append(note.pitch)
    return max(pitched, key=lambda voice: sum(pitches[voice]) / len(pitches[voice]))


FOUR_PART = MusicKind(
    key="voices",
    label="music in four voices",
    noun="four-part pieces",
    num_voices=NUM_VOICES,
    is_polyphonic=False,
    default_task="harmonize",
    parts="auto",
    encode=encode_satb,
    make_grammar=Grammar,
    choose_tracks=four_voices,
    melody_voice=_soprano,
)
MULTITRACK = MusicKind(
    key="any",
    label="any MIDI",
    noun="pieces",
    num_voices=None,
    is_polyphonic=True,
    default_task="continue",
    parts="all",
    encode=encode_multitrack,
    make_grammar=MultitrackGrammar,
    choose_tracks=choose_tracks,
    melody_voice=_highest_instrument,
)


def kind_of(vocabulary: Vocabulary) -> MusicKind:
    """Return the kind of music that a vocabulary is for."""
    return FOUR_PART if vocabulary.voices else MULTITRACK


def parts_of(vocabulary: Vocabulary) -> Parts:
    """Return the tracks that a vocabulary takes from a folder of score files: those of its ensemble, or of its kind."""
    parts = kind_of(vocabulary).parts if vocabulary.ensemble is None else vocabulary.ensemble.key
    return cast("Parts", parts)


def can_repeat_notes(vocabulary: Vocabulary) -> bool:
    """Return True if given notes can be repeated between written ones: no token is merged, no note has a velocity."""
    return not (vocabulary.has_merges or vocabulary.velocity_of)


def has_plain_lines(vocabulary: Vocabulary) -> bool:
    """Return True if voices are single lines and there are no merged tokens.

    Rules of voice leading and pitch accuracy need such a vocabulary.
    """
    return not (kind_of(vocabulary).is_polyphonic or vocabulary.has_merges)


def make_grammar(vocabulary: Vocabulary) -> Grammar:
    """Return the grammar of a vocabulary."""
    return kind_of(vocabulary).make_grammar(vocabulary)
