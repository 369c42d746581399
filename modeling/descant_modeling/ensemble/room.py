"""Which tracks are written anew, where new notes may sound, and how many a bar may get.

Units: ticks of the prompt's score, unless a name says grid.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from descant_modeling.ensemble.prompts import EnsemblePrompt
from descant_modeling.gaps import Gap
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import last_note_end
from descant_tokenizers.scores.tracks import track_indices
from descant_tokenizers.tokens.piece import Piece, note_ids

_MIN_BAR_TOKENS = 96
_MAX_BAR_TOKENS = 640


def rewritten_tracks(prompt: EnsemblePrompt, given: Sequence[str], write: Sequence[str]) -> tuple[int, ...]:
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


def gap_in_voice(prompt: EnsemblePrompt, rank: int, start: int, end: int) -> Gap:
    """Return the room for new notes of a voice whose notes that begin in a stretch are taken out."""
    notes = [note for index in prompt.players(rank) for note in prompt.score.tracks[index].notes]
    replaced = [note.end for note in notes if start <= note.time < end]
    return Gap(start, max([min(end, last_note_end(prompt.score)), *replaced]))


def bar_budget(prompt: EnsemblePrompt, piece: Piece, ranks: Collection[int], max_tokens: int) -> int:
    """Return how many base tokens a bar may get: twice those of the densest one, so that no bar goes on for ever.

    An instrument that the prompt does not have counts as the densest that it has.
    """
    known = [rank for rank in ranks if rank in prompt.ranks] or sorted(set(prompt.ranks))
    own = piece.keep_voices(known)
    densest = max(len(note_ids(prompt.table, bar)) for bar in own.bars)
    share = len(ranks) / len(known)
    return int(min(max(2 * densest * share, _MIN_BAR_TOKENS), _MAX_BAR_TOKENS, max_tokens // 6))
