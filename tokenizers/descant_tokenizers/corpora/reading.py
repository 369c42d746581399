"""From a file to the score of a row: its four voices if it has exactly four, else every track unchanged."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from symusic.core import NoteTickList, ScoreTick, TrackTick

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores import NUM_VOICES, VOICES, Limits
from descant_tokenizers.scores.ensembles import ENSEMBLES, as_ensemble
from descant_tokenizers.scores.reading import parse_score
from descant_tokenizers.scores.tracks import notes_of
from descant_tokenizers.scores.validation import Metadata
from descant_tokenizers.scores.voices import tracks_by_name, tracks_by_pitch

Parts = Literal["auto", "four", "all", "song", "quartet"]
"""Tracks to take from a file.

- `auto`: the four voices if the file names them or has exactly four single lines; else every track.
- `four`: the four voices only from a file of exactly four single lines; else every track.
- `all`: every track of every file.
- `song`, `quartet`: the parts of that ensemble, from files for it; other files are refused.
"""

FIRST_VOICE_PROGRAM = 52  # choir aahs, for playback only: the name of a track identifies its voice

_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Reading:
    """One piece as read from a file.

    Attributes:
        score: Four-part music has exactly four monophonic tracks named Soprano, Alto, Tenor and Bass; other music has
            any tracks, none of them empty. The first bar may be a pickup.
        num_parts: Parts of the source that hold notes; four unless the voices were picked out of a larger score.
        fermatas_ticks: Onsets of the notes under a fermata in any track, ascending, in the score's ticks.
        remarks: Changes made while reading, one sentence each; empty for a clean file.
        metadata: Title, composer and rights that the file states.
    """

    score: ScoreTick
    num_parts: int
    fermatas_ticks: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)


def read_piece(
    path: Path, data: bytes, parts: Parts = "auto", limits: Limits = _DEFAULT_LIMITS, *, unfold: bool = True
) -> Reading:
    """Read one piece from the bytes of a file, or of one tune of a collection, with its repeats written out or not.

    Tracks become the voices that they are named after: Soprano, Alto, Tenor and Bass (or S, A, T, B; in any case).
    Unnamed single lines (no drums, one note at a time) become voices by median pitch from high to low.

    Raises:
        InputError: The bytes cannot be read, or the piece is not for the ensemble that `parts` names.
    """
    read = parse_score(path, data, limits, unfold=unfold)
    tracks = list(read.score.tracks)
    if parts in ENSEMBLES:
        named = as_ensemble(path, read.score, ENSEMBLES[parts])
        return Reading(named, len(tracks), read.fermatas_ticks, tuple(read.repairs), read.metadata)
    chosen = _named_tracks(tracks) if parts == "auto" or (parts == "four" and len(tracks) == NUM_VOICES) else []
    if not chosen and parts != "all":
        chosen = _single_lines(tracks)
    score, remarks = read.score, tuple(read.repairs)
    if chosen:
        score, thinned = make_four_part(score, [tracks[index] for index in chosen])
        left_out = (
            f"track {index + 1} '{printable(track.name, 40)}' left out beside the four voices"
            for index, track in enumerate(tracks)
            if index not in chosen
        )
        remarks += (*thinned, *left_out)
    return Reading(score, len(tracks), read.fermatas_ticks, remarks, read.metadata)


def make_four_part(source: ScoreTick, tracks: list[TrackTick]) -> tuple[ScoreTick, tuple[str, ...]]:
    """Make a score of four single lines, from high to low, with the meter, keys and tempos of `source`.

    Returns:
        The score, and a remark for each voice that had to be thinned to one line.
    """
    score = ScoreTick(source.tpq)
    score.time_signatures = source.time_signatures.copy()
    score.key_signatures = source.key_signatures.copy()
    score.tempos = source.tempos.copy()
    remarks = []
    are_lines = notes_of(tracks).are_lines  # usually True, and one check of all tracks is cheap
    for voice, track in zip(VOICES, tracks, strict=True):
        line, num_dropped, num_cut = single_line(track, voice, is_line=are_lines)
        score.tracks.append(line)
        if num_dropped or num_cut:
            kept = "lowest" if voice == "Bass" else "highest"
            remarks.append(f"{voice}: {num_dropped} simultaneous notes dropped ({kept} kept), {num_cut} overlaps cut")
    return score, tuple(remarks)


def single_line(track: TrackTick, voice: str, *, is_line: bool = False) -> tuple[TrackTick, int, int]:
    """Thin a track to one note at a time; `is_line` skips the check if it is known to be one line.

    Of notes that start together, the lowest is kept in the bass, otherwise the highest. A note that overlaps the next
    one is cut there.

    Returns:
        The new track named `voice`, the number of notes dropped, the number of notes cut.
    """
    thinned = TrackTick(voice, FIRST_VOICE_PROGRAM + VOICES.index(voice), False)
    if is_line or notes_of([track]).are_lines:
        thinned.notes = track.notes.copy()
        return thinned, 0, 0
    outward = -1 if voice == "Bass" else 1
    by_onset = {note.time: note for note in sorted(track.notes, key=lambda n: (n.time, outward * n.pitch, n.duration))}
    line = [note.copy() for note in by_onset.values()]
    num_cut = 0
    for note, following in itertools.pairwise(line):
        if note.end > following.time:
            note.duration = following.time - note.time
            num_cut += 1
    thinned.notes = NoteTickList(line)
    return thinned, len(track.notes) - len(line), num_cut


def _named_tracks(tracks: list[TrackTick]) -> list[int]:
    """Return the indices of the four named voices in order; none unless each name occurs exactly once."""
    pitched = [index for index, track in enumerate(tracks) if not track.is_drum]
    found = tracks_by_name([tracks[index] for index in pitched])
    return [pitched[place] for place in found.values()] if len(found) == NUM_VOICES else []


def _single_lines(tracks: list[TrackTick]) -> list[int]:
    """Return the indices from high to low of exactly four tracks that are pitched and one note at a time, else none."""
    if len(tracks) != NUM_VOICES or any(track.is_drum for track in tracks):
        return []
    has_chords = any(len({note.time for note in track.notes}) < len(track.notes) for track in tracks)
    return [] if has_chords else tracks_by_pitch(tracks)
