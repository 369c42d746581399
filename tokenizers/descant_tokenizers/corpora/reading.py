"""What a corpus reader hands back, and how a track becomes a single line."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from symusic.core import NoteTickList, ScoreTick, TrackTick

from descant_tokenizers.scores import VOICES

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
    """

    score: ScoreTick
    num_parts: int
    fermatas_ticks: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()


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
    for voice, track in zip(VOICES, tracks, strict=True):
        line, num_dropped, num_cut = single_line(track, voice)
        score.tracks.append(line)
        if num_dropped or num_cut:
            kept = "lowest" if voice == "Bass" else "highest"
            remarks.append(f"{voice}: {num_dropped} simultaneous notes dropped ({kept} kept), {num_cut} overlaps cut")
    return score, tuple(remarks)


def single_line(track: TrackTick, voice: str) -> tuple[TrackTick, int, int]:
    """Thin a track to one note at a time.

    Of notes that start together the outer one stays: the lowest in the bass, else the highest. A note that is still
    sounding when the next one starts is cut there.

    Args:
        track: Any track.
        voice: Name of the new track.

    Returns:
        The new track, the number of notes dropped, the number of notes cut.
    """
    outward = -1 if voice == "Bass" else 1
    by_onset = {note.time: note for note in sorted(track.notes, key=lambda n: (n.time, outward * n.pitch, n.duration))}
    line = [note.copy() for note in by_onset.values()]
    num_cut = 0
    for note, following in itertools.pairwise(line):
        if note.end > following.time:
            note.duration = following.time - note.time
            num_cut += 1
    thinned = TrackTick(voice, FIRST_VOICE_PROGRAM + VOICES.index(voice), False)
    thinned.notes = NoteTickList(line)
    return thinned, len(track.notes) - len(line), num_cut
