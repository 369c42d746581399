"""From a file to the score of a row: four voices where there are four, else every track as it is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from symusic.core import NoteTickList, ScoreTick, TrackTick

from descant_tokenizers.common.errors import printable
from descant_tokenizers.scores import VOICES, Limits
from descant_tokenizers.scores.reading import parse_score
from descant_tokenizers.scores.tracks import notes_of
from descant_tokenizers.scores.voices import tracks_by_name, tracks_by_pitch

Parts = Literal["auto", "four", "all"]
"""Which tracks are taken.

- `auto`: the four voices where a file names them, or has just four single lines; else every track as it is.
- `four`: four voices only of a file of just four single lines.
- `all`: every track of every file, as it is.
"""

_DEFAULT_LIMITS = Limits()
FIRST_VOICE_PROGRAM = 52  # choir aahs: a sound for players only, the voice is the track's name


@dataclass(frozen=True)
class Reading:
    """One piece as read from a file.

    Attributes:
        score: Four-part music has exactly four tracks named Soprano, Alto, Tenor, Bass, each monophonic; other music
            any tracks, none of them empty. The first bar may be a pickup.
        num_parts: Parts of the source that hold notes; four unless the voices were picked out of a larger score.
        fermatas_ticks: Onsets of the notes under a fermata in any track, rising, in the score's ticks.
        remarks: What was changed on the way in, one sentence each; empty for a clean file.
        title: What the file calls itself; empty where it says nothing.
        composer: The composer that it names.
        rights: Its copyright and licence statements.
        encoder: Who transcribed it.
    """

    score: ScoreTick
    num_parts: int
    fermatas_ticks: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    title: str = ""
    composer: str = ""
    rights: str = ""
    encoder: str = ""


def read_piece(path: Path, data: bytes, parts: Parts = "auto", limits: Limits = _DEFAULT_LIMITS) -> Reading:
    """Read one piece of any format.

    Tracks are named after the voices if they are called Soprano, Alto, Tenor and Bass (or S, A, T, B; case does not
    count). Unnamed single lines (no drums, one note at a time) go by median pitch from high to low.

    Args:
        path: Where the bytes came from.
        data: A MIDI, MusicXML, ABC or Humdrum file, or one tune of a collection.
        parts: Which tracks are taken.
        limits: Bounds on what is read.

    Returns:
        The score, with what the file says about itself.

    Raises:
        InputError: The bytes cannot be read.
    """
    read = parse_score(path, data, limits)
    tracks = list(read.score.tracks)
    chosen = _named_tracks(tracks) if parts == "auto" or (parts == "four" and len(tracks) == len(VOICES)) else []
    if not chosen and parts != "all":
        chosen = _single_lines(tracks)
    score, remarks = read.score, tuple(read.repairs)
    if chosen:
        score, thinned = four_voices(score, [tracks[index] for index in chosen])
        remarks += (*thinned, *_left_out(tracks, chosen))
    return Reading(
        score, len(tracks), read.fermatas_ticks, remarks, read.title, read.composer, read.rights, read.encoder
    )


def four_voices(source: ScoreTick, tracks: list[TrackTick]) -> tuple[ScoreTick, tuple[str, ...]]:
    """Make a score of four single lines, keeping the meter, keys and tempi of `source`.

    Args:
        source: The score the tracks come from.
        tracks: Soprano, alto, tenor and bass, in this order.

    Returns:
        The score, and a remark for each voice that had to be thinned to one line.
    """
    assert len(tracks) == len(VOICES)
    score = ScoreTick(source.tpq)
    score.time_signatures, score.key_signatures, score.tempos = (
        source.time_signatures.copy(),
        source.key_signatures.copy(),
        source.tempos.copy(),
    )
    remarks = []
    are_lines = notes_of(tracks).are_lines  # mostly, and a look at all of them at once costs little
    for voice, track in zip(VOICES, tracks, strict=True):
        line, num_dropped, num_cut = single_line(track, voice, is_line=are_lines)
        score.tracks.append(line)
        if num_dropped or num_cut:
            kept = "lowest" if voice == "Bass" else "highest"
            remarks.append(f"{voice}: {num_dropped} simultaneous notes dropped ({kept} kept), {num_cut} overlaps cut")
    return score, tuple(remarks)


def single_line(track: TrackTick, voice: str, *, is_line: bool = False) -> tuple[TrackTick, int, int]:
    """Thin a track to one note at a time.

    Of notes that start together the outer one stays: the lowest in the bass, else the highest. A note that is still
    sounding when the next one starts is cut there.

    Args:
        track: Any track.
        voice: Name of the new track.
        is_line: Whether it is known to be one note at a time.

    Returns:
        The new track, the number of notes dropped, the number of notes cut.
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
    """Indices of the four named voices in order, none if they are not all there exactly once."""
    pitched = [index for index, track in enumerate(tracks) if not track.is_drum]
    found = tracks_by_name([tracks[index] for index in pitched])
    return [pitched[place] for place in found.values()] if len(found) == len(VOICES) else []


def _single_lines(tracks: list[TrackTick]) -> list[int]:
    """Indices from high to low if there are just four tracks, all of them pitched and one note at a time."""
    if len(tracks) != len(VOICES) or any(track.is_drum for track in tracks):
        return []
    has_chords = any(len({note.time for note in track.notes}) < len(track.notes) for track in tracks)
    return [] if has_chords else tracks_by_pitch(tracks)


def _left_out(tracks: list[TrackTick], chosen: list[int]) -> list[str]:
    """Say which tracks are no voice."""
    return [
        f"track {index + 1} '{printable(track.name, 40)}' left out beside the four voices"
        for index, track in enumerate(tracks)
        if index not in chosen
    ]
