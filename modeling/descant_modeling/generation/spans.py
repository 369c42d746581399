"""Which bars and voices are written, and where new notes may sound: exactly, and on the model's grid.

Units: ticks of the prompt's score, unless a name says grid.

Which tracks are written anew, where new notes may sound, and how many a bar may get.

Units: ticks of the prompt's score, unless a name says grid.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from descant_modeling.decoding.template import Span
from descant_modeling.generation.prompts import MultitrackPrompt, Prompt
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Bar, last_note_end
from descant_tokenizers.scores.tracks import track_indices
from descant_tokenizers.scores.voices import voice_names
from descant_tokenizers.tokens.piece import Piece, note_ids
from descant_tokenizers.tokens.tasks import Task


class TickSpan(NamedTuple):
    """From when, and until when, new notes of a voice may sound."""

    begin: int
    end: int


def voice_span(prompt: Prompt, voice: str, start: int, end: int) -> TickSpan:
    """Return the room for new notes of a given voice whose notes that begin in a stretch are taken out.

    New notes end with the stretch (with the music, if it ends earlier), or where the replaced ones did, and never
    reach into a note that stays.

    Args:
        prompt: The prompt.
        voice: One of its voices.
        start: Where the stretch begins.
        end: Where it ends.
    """
    notes = prompt.track(voice).notes
    begin = max((note.end for note in notes if note.time < start), default=0)
    latest = max((note.end for note in notes if start <= note.time < end), default=0)
    latest = max(latest, min(end, last_note_end(prompt.score)))
    return TickSpan(begin, min([latest, *(note.time for note in notes if note.time >= end)]))


def span_on_grid(prompt: Prompt, task: Task, gaps: Mapping[str, TickSpan], first: int, stop: int) -> Span:
    """Say on the grid what is to be written.

    An end is rounded up to a 16th: music that stops a little early would get crooked last notes otherwise.

    Args:
        prompt: The prompt.
        task: How the model is asked.
        gaps: The voices to be written, and where they may sound.
        first: Index of the first bar to be written.
        stop: Index of the bar behind the last one.

    Raises:
        InputError: The model never heard one of these voices, or not at a pitch that can be moved back.
    """
    grid_16th = prompt.vocabulary.ticks_per_quarter // 4
    ends = [0] * prompt.vocabulary.num_voices
    for voice, gap in gaps.items():
        rank = prompt.vocabulary.voices.index(voice)
        low, high = prompt.pitches[rank]
        if low > high:
            raise InputError(f"the model has never heard a {voice} that would fit this prompt; take another model.")
        ends[rank] = ceil(gap.end / (prompt.ticks_per_grid_tick * grid_16th)) * grid_16th
    voices = tuple(sorted(prompt.vocabulary.voices.index(voice) for voice in gaps))
    return Span(task, voices, first, stop, tuple(ends), prompt.pitches, to_the_end=task is Task.HARMONIZE)


def bar_indices(bars: Sequence[Bar], wanted: tuple[int, int]) -> tuple[int, int]:
    """Return the indices of two of a prompt's bars given by number, from 0.

    Raises:
        InputError: The prompt has no such bars.
    """
    numbers = [bar.number for bar in bars]
    first, last = wanted
    if not numbers[0] <= first <= last <= numbers[-1]:
        raise InputError(f"the bars to write are {first}-{last}; the prompt has bars {numbers[0]} to {numbers[-1]}.")
    return numbers.index(first), numbers.index(last)


def voices_to_rewrite(prompt: Prompt, given: Sequence[str]) -> tuple[str, ...]:
    """Return the prompt's voices but those that stay.

    Raises:
        InputError: One that stays is not there, or all stay.
    """
    kept = voice_names(given) if given else ()
    strangers = [voice for voice in kept if voice not in prompt.voices]
    if strangers:
        raise InputError(
            f"{strangers[0]} is given, but the prompt has {', '.join(prompt.voices)}; leave it out of --given."
        )
    written = tuple(voice for voice in prompt.voices if voice not in kept)
    if not written:
        raise InputError("all voices of the prompt are given, so there is nothing to write; leave one out of --given.")
    return written


_MIN_BAR_TOKENS = 96
_MAX_BAR_TOKENS = 640


def rewritten_tracks(prompt: MultitrackPrompt, given: Sequence[str], write: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of the tracks to be written anew, all tracks of a program or none."""
    stay = {index for name in given for index in track_indices(prompt.score, name)}
    chosen = {index for name in write for index in track_indices(prompt.score, name)}
    written = chosen or {index for index in range(len(prompt.ranks)) if index not in stay}
    if both := sorted(written & stay):
        raise InputError(f"track {prompt.labels(both)[0]} is given and written; leave it out of --given or --write.")
    if not written:
        raise InputError("all tracks are given, so there is nothing to write; leave one out of --given.")
    ranks = {prompt.ranks[index] for index in written}
    apart = [index for index in range(len(prompt.ranks)) if prompt.ranks[index] in ranks and index not in written]
    if apart:
        alike = next(index for index in sorted(written) if prompt.ranks[index] == prompt.ranks[apart[0]])
        raise InputError(
            f"tracks {prompt.labels([apart[0]])[0]} and {prompt.labels([alike])[0]} share an instrument, and the model "
            "cannot tell them apart; write both anew, or give one of them another program."
        )
    return tuple(sorted(written))


def track_span(prompt: MultitrackPrompt, rank: int, start: int, end: int) -> TickSpan:
    """Return the room for new notes of a voice whose notes that begin in a stretch are taken out."""
    notes = [note for index in prompt.players(rank) for note in prompt.score.tracks[index].notes]
    replaced = [note.end for note in notes if start <= note.time < end]
    return TickSpan(start, max([min(end, last_note_end(prompt.score)), *replaced]))


def bar_budget(prompt: MultitrackPrompt, piece: Piece, ranks: Collection[int], max_tokens: int) -> int:
    """Return how many base tokens a bar may get: twice those of the densest one, so that no bar goes on for ever.

    An instrument that the prompt does not have counts as the densest that it has.
    """
    known = [rank for rank in ranks if rank in prompt.ranks] or sorted(set(prompt.ranks))
    own = piece.keep_voices(known)
    densest = max(len(note_ids(prompt.vocabulary, bar)) for bar in own.bars)
    share = len(ranks) / len(known)
    return int(min(max(2 * densest * share, _MIN_BAR_TOKENS), _MAX_BAR_TOKENS, max_tokens // 6))
