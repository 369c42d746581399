"""Conversion of scores to pieces on the token grid and back, for every vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from symusic.core import ScoreTick

from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.tracks import program_of
from descant_tokenizers.tokens.kinds import kind_of
from descant_tokenizers.tokens.piece import Piece, piece_ids
from descant_tokenizers.tokens.satb import FastNotes
from descant_tokenizers.tokens.vocabulary import Vocabulary


@dataclass(frozen=True)
class EncodedScore:
    """A score on the token grid.

    Attributes:
        vocabulary: The vocabulary.
        music: The music; arrays where the fast encoder applies.
        changes: A phrase for everything that the grid could not hold; empty if the conversion was exact.
    """

    vocabulary: Vocabulary
    music: Piece | FastNotes
    changes: tuple[str, ...] = ()

    @cached_property
    def piece(self) -> Piece:
        """The music as a piece."""
        return self.music if isinstance(self.music, Piece) else self.music.piece()

    @property
    def ids(self) -> list[int]:
        """The REMI stream in base tokens, without special tokens; equal to `piece_ids` of the piece."""
        if isinstance(self.music, Piece):
            return piece_ids(self.vocabulary, self.music)
        return self.music.ids(self.vocabulary)


def encode_score(vocabulary: Vocabulary, score: ScoreTick) -> EncodedScore:
    """Put a score on the token grid.

    Args:
        vocabulary: The vocabulary of a preset's tokenizer.
        score: For four voices, a score whose tracks are named Soprano, Alto, Tenor, Bass (some may be missing; others
            are an error); for instruments, any score (see `encode_multitrack`).

    Raises:
        InputError: The score has no notes, or the vocabulary cannot hold a track, time signature or pitch.
    """
    return EncodedScore(vocabulary, *kind_of(vocabulary).encode(vocabulary, score))


def decode_piece(vocabulary: Vocabulary, piece: Piece, velocity: int = 80) -> ScoreTick:
    """Turn a piece into a score with one track for each voice, through miditok's decoder.

    Args:
        vocabulary: The vocabulary.
        piece: The music.
        velocity: MIDI velocity of all notes, 1-127, where the vocabulary has none.
    """
    score: ScoreTick = vocabulary.tokenizer.decode(piece_ids(vocabulary, piece))
    if not vocabulary.velocity_id:
        for track in score.tracks:
            for note in track.notes:
                note.velocity = velocity
    if (ensemble := vocabulary.ensemble) is not None:
        parts = {part.label: part for part in ensemble.parts}
        for track in score.tracks:
            part = parts[track.program]
            track.name, track.program = part.name, part.program
        score.tracks.sort(key=lambda track: ensemble.tracks.index(track.name))
        return score
    names = {program: name for name, program in vocabulary.program_of.items()}
    for track in score.tracks:
        track.name = names.get(track.program, track.name)
    programs = [vocabulary.program_of[voice] for voice in VOICES] if names else vocabulary.programs
    score.tracks.sort(key=lambda track: programs.index(program_of(track)))
    return score
