"""Ensembles with named parts: the song (voice and piano) and the string quartet.

This is the one place that says which parts they have, by which program tokens tell them apart, and how they sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from symusic.core import ScoreTick, TrackTick, TrackTickList

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.names import is_melody_name, plain_name, program_of_name
from descant_tokenizers.scores.tracks import program_of

_VOICE, _PIANO, _VIOLIN, _VIOLA, _CELLO = 52, 0, 40, 41, 42
_KEYBOARDS = range(8)
_HAND = 5, 16  # five fingers, a tenth
_DOUBLE_STOP = 2, 12  # an octave
_MAX_LISTED = 6


@dataclass(frozen=True)
class EnsemblePart:
    """A part.

    Attributes:
        name: Name of its track.
        label: MIDI program that stands for it in tokens, where each part needs its own.
        program: MIDI program by which it sounds.
        most: The most new notes that it strikes at once.
        reach: The most semitones between these.
        holds: True if it may hold notes while it strikes others, as a hand does.
    """

    name: str
    label: int
    program: int
    most: int = 1
    reach: int = 0
    holds: bool = False


@dataclass(frozen=True)
class Ensemble:
    """Music for the same parts in every piece.

    Attributes:
        key: Its name: that of its preset, and of the option that reads it from a folder.
        scoring: The parts in a few words, for messages.
        parts: The parts in the order of the token stream: the leading part, then the lowest one.
        tracks: Names of the parts in the order of the score.
        staves: Names of parts that one player reads on a braced pair of staves.
        player: Name that stands before these staves.
    """

    key: str
    scoring: str
    parts: tuple[EnsemblePart, ...]
    tracks: tuple[str, ...]
    staves: tuple[str, ...] = ()
    player: str = ""

    @property
    def labels(self) -> tuple[int, ...]:
        """The program of each part in tokens."""
        return tuple(part.label for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each part."""
        return tuple(part.name for part in self.parts)

    @property
    def lead(self) -> EnsemblePart:
        """The part that has the melody."""
        return self.parts[0]

    def part(self, name: str) -> EnsemblePart:
        """Return a part by name."""
        return self.parts[self.names.index(name)]


#: Labels ascend within a block of eight: miditok keeps programs in a set, see `presets.SBAT_PROGRAMS`.
SONG = Ensemble(
    "song",
    "a voice and a piano on two staves",
    (
        EnsemblePart("Voice", 0, _VOICE),
        EnsemblePart("Left hand", 1, _PIANO, *_HAND, holds=True),
        EnsemblePart("Right hand", 2, _PIANO, *_HAND, holds=True),
    ),
    ("Voice", "Right hand", "Left hand"),
    ("Right hand", "Left hand"),
    "Piano",
)
QUARTET = Ensemble(
    "quartet",
    "two violins, viola and cello",
    (
        EnsemblePart("Violin I", 48, _VIOLIN, *_DOUBLE_STOP),
        EnsemblePart("Cello", 49, _CELLO, *_DOUBLE_STOP),
        EnsemblePart("Violin II", 50, _VIOLIN, *_DOUBLE_STOP),
        EnsemblePart("Viola", 51, _VIOLA, *_DOUBLE_STOP),
    ),
    ("Violin I", "Violin II", "Viola", "Cello"),
)
ENSEMBLES = {ensemble.key: ensemble for ensemble in (SONG, QUARTET)}


def ensemble_of(labels: Sequence[int]) -> Ensemble | None:
    """Return the ensemble whose parts have these programs in tokens, if any."""
    return next((ensemble for ensemble in ENSEMBLES.values() if ensemble.labels == tuple(labels)), None)


def as_ensemble(path: Path, score: ScoreTick, ensemble: Ensemble) -> ScoreTick:
    """Return a score with the tracks of an ensemble, named after its parts, with their sounds.

    Args:
        path: The file, for messages.
        score: A score without empty tracks.
        ensemble: The ensemble.

    Raises:
        InputError: The score is for other parts.
    """
    names = parts_of_tracks(score.tracks, ensemble)
    if names is None:
        labels = [printable(" ".join(track.name.split()) or "unnamed", 24) for track in score.tracks]
        more = ", ..." if len(labels) > _MAX_LISTED else ""
        found = f"{', '.join(labels[:_MAX_LISTED])}{more}"
        raise InputError(f"{path} is not for {ensemble.scoring}, but for {found}. Leave it out.")
    named = score.copy()
    tracks = {}
    for name, track in zip(names, named.tracks, strict=True):
        tracks[name] = TrackTick(name, ensemble.part(name).program, False)
        tracks[name].notes = track.notes
    named.tracks = TrackTickList([tracks[name] for name in ensemble.tracks])
    return named


def parts_of_tracks(tracks: Sequence[TrackTick], ensemble: Ensemble) -> tuple[str, ...] | None:
    """Return the part that each track of a complete score plays; None if the tracks are not those of the ensemble.

    Tracks that are named after the parts are taken by name. Others must be in the order of the score: for a song, one
    that is no keyboard or has the name of a melody, then two keyboard tracks, the staves of a piano; for a quartet,
    two violins, a viola and a cello by their names or programs.
    """
    known = {plain_name(name): name for name in ensemble.tracks}
    named = tuple(known.get(plain_name(track.name), "") for track in tracks)
    if sorted(named) == sorted(ensemble.tracks):
        return named
    if len(tracks) != len(ensemble.tracks) or any(track.is_drum for track in tracks):
        return None
    if ensemble is SONG:
        voice, *hands = tracks
        is_piano = [program_of(hand) in _KEYBOARDS for hand in hands]
        is_voice = program_of(voice) not in _KEYBOARDS or is_melody_name(voice.name)
        return ensemble.tracks if all(is_piano) and is_voice else None
    sounds = [program_of_name(track.name) or program_of(track) for track in tracks]
    return ensemble.tracks if sounds == [ensemble.part(name).program for name in ensemble.tracks] else None
