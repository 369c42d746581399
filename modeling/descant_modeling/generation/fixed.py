"""Notes that the voices to write must have: from a request to the grid, and back into the result.

Units: ticks of the result's score, unless a name says grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick

from descant_modeling.decoding.template import FixedNote
from descant_modeling.generation.base import FixedPlace, Request
from descant_modeling.generation.planning import grid_ticks
from descant_modeling.generation.prompts import Prompt, TickSpan
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.voices import tracks_by_name
from descant_tokenizers.tokens.kinds import has_plain_lines


@dataclass(frozen=True)
class Fixed:
    """The fixed notes of a request.

    Attributes:
        notes: On the grid, as the model sees them.
        free: Grid ticks between which other notes may begin; None for no limit.
        kept: Notes that go to the result as they are, each with the rank of its voice.
        kept_places: Rank and grid onset of each of them.
    """

    notes: tuple[FixedNote, ...] = ()
    free: tuple[int, int] | None = None
    kept: tuple[tuple[int, NoteTick], ...] = ()
    kept_places: frozenset[tuple[int, int]] = frozenset()

    def put_into(self, score: ScoreTick, players: Mapping[int, Sequence[int]]) -> ScoreTick:
        """Return a copy of a score with the kept notes in the first track of each voice."""
        if not self.kept:
            return score
        copy = score.copy()
        for rank, note in self.kept:
            copy.tracks[players[rank][0]].notes.append(note)
        for track in copy.tracks:
            track.notes.sort(key=lambda note: (note.time, note.pitch))
        return copy


def fixed_of(request: Request, prompt: Prompt, spans: Mapping[int, TickSpan]) -> Fixed:
    """Put the fixed notes of a request on the grid of its prompt.

    Args:
        request: The request; its notes outside the spans are left out.
        prompt: Its prompt.
        spans: Where new notes of each voice to write may sound, by rank.

    Raises:
        InputError: The model cannot keep single notes, none lies where it writes, or the grid cannot hold one.
    """
    if not request.fixed and request.free is None:
        return Fixed()
    if not has_plain_lines(prompt.vocabulary) or request.task == "continue":
        what = "to continue" if request.task == "continue" else "with this model"
        raise InputError(f"Single notes cannot be kept {what}. Leave --keep out.")
    scale = prompt.score.ticks_per_quarter // request.prompt.ticks_per_quarter
    ranks = {prompt.vocabulary.voice_name(rank): rank for rank in spans}
    inside = [
        place
        for place in request.fixed
        if place.voice in ranks and _fits(place.onset_ticks * scale, spans[ranks[place.voice]])
    ]
    if request.fixed and not inside:
        raise InputError("None of the notes to keep lies in the voices and bars to write. Choose others.")
    notes: list[FixedNote] = []
    kept: list[tuple[int, NoteTick]] = []
    kept_places = set()
    for voice, rank in ranks.items():
        own = sorted((place for place in inside if place.voice == voice), key=lambda place: place.onset_ticks)
        for place, (onset, duration) in zip(own, _grid_times(prompt, voice, own, scale), strict=True):
            pitches = frozenset(pitch + prompt.shift for pitch in place.pitches)
            notes.append(FixedNote(onset, rank, duration, pitches))
            if place.is_kept:
                time, length = place.onset_ticks * scale, place.duration_ticks * scale
                kept.append((rank, NoteTick(time, length, place.pitches[0], place.velocity)))
                kept_places.add((rank, onset))
    free = None if request.free is None else tuple(grid_ticks(prompt, ticks * scale) for ticks in request.free)
    return Fixed(
        tuple(sorted(notes, key=lambda note: note[:2])),
        None if free is None else (free[0], free[1]),
        tuple(kept),
        frozenset(kept_places),
    )


def _fits(onset: int, span: TickSpan) -> bool:
    return span.begin <= onset < span.end


def _grid_times(prompt: Prompt, voice: str, places: Sequence[FixedPlace], scale: int) -> list[tuple[int, int]]:
    """Return onset and length of notes of a voice on the grid.

    Raises:
        InputError: Two of them are one note there, or they overlap.
    """
    if not places:
        return []
    part = TrackTick(voice, 0, False)
    part.notes = NoteTickList(
        [
            NoteTick(p.onset_ticks * scale, p.duration_ticks * scale, p.pitches[0] + prompt.shift, p.velocity)
            for p in places
        ]
    )
    piece = prompt.on_grid([part])
    starts = piece.bar_starts_ticks()
    found = [
        (start + note.offset_ticks, note.duration_ticks)
        for start, bar in zip(starts, piece.bars, strict=False)
        for note in bar.notes
    ]
    if len(found) != len(places):
        raise InputError(f"The notes to keep in {voice} overlap or are too short for the model. Keep fewer of them.")
    return found


def places_of(score: ScoreTick, name: str, ticks_per_quarter: int) -> tuple[FixedPlace, ...]:
    """Return the notes of the tracks that are named after voices as notes to keep, in the ticks of a prompt.

    Args:
        score: The score they are from.
        name: Its name in errors.
        ticks_per_quarter: Resolution of the prompt.

    Raises:
        InputError: No track is named after a voice.
    """
    indices = tracks_by_name(list(score.tracks))
    if not indices:
        raise InputError(f"{name} has no track named after a voice. Name its tracks {', '.join(VOICES)}.")

    def moved(ticks: int) -> int:
        return round(ticks * ticks_per_quarter / score.ticks_per_quarter)

    return tuple(
        FixedPlace(voice, moved(n.time), max(moved(n.end) - moved(n.time), 1), (n.pitch,), True, n.velocity)
        for voice, index in indices.items()
        for n in score.tracks[index].notes
    )
