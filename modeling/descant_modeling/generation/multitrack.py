"""Multitrack music: the given tracks of a prompt, and the instruments or tracks to write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from symusic.core import ScoreTick, TrackTickList

from descant_modeling.generation.base import Request
from descant_modeling.generation.causal import CausalGenerator
from descant_modeling.generation.prompts import Prompt, make_prompt, refine_prompt
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import pick_melody
from descant_tokenizers.scores.tracks import find_program, program_name, track_indices, track_label
from descant_tokenizers.tokens.piece import note_ids

__all__ = ["MultitrackGenerator"]

_MIN_BAR_TOKENS = 96
_MAX_BAR_TOKENS = 640
_MAX_LISTED = 24


class MultitrackGenerator(CausalGenerator):
    """A causal multitrack model, ready to generate."""

    @property
    def programs(self) -> list[int]:
        """Programs that the model was trained on (-1 for drums), and so can write."""
        ranges = self.checkpoint.meta.voice_ranges
        return [self.vocabulary.programs[rank] for rank, (low, high) in enumerate(ranges) if low <= high]

    def _read(self, request: Request) -> Prompt:
        fine = refine_prompt(self.vocabulary, request.prompt)
        fine.tracks = TrackTickList([fine.tracks[index] for index in _given_tracks(request)])
        for index, track in enumerate(fine.tracks):
            if self.vocabulary.rank_of(track) is None:
                raise InputError(
                    f"The model does not know the instrument of track {track_label(fine, index)}. Give it another "
                    "program, or leave it out of --given."
                )
        prompt = make_prompt(self.vocabulary, fine, dict(enumerate(fine.tracks)), self.checkpoint.meta.voice_ranges)
        return replace(prompt, remarks=tuple(f"for the model: {change}" for change in prompt.remarks))

    def _new_ranks(self, request: Request, prompt: Prompt) -> tuple[int, ...]:
        if request.task == "continue" and not request.write:
            return ()
        score, kept = request.prompt, _given_tracks(request)
        others = [index for index in range(len(score.tracks)) if index not in kept and score.tracks[index].notes]
        ranks = self._ranks_of(score, others, request.write) - (set() if request.write else set(prompt.ranks.values()))
        if not ranks:
            names = ", ".join(f"{program_name(program)} ({program})" for program in self.programs[:_MAX_LISTED])
            raise InputError(f"The instruments to write are missing. Name some of {names} with --write.")
        for rank in sorted(ranks):
            if rank in prompt.ranks.values():
                raise InputError(
                    f"{self.vocabulary.voice_name(rank)} is given and written, which the model cannot tell apart. "
                    "Write another instrument, or give the given track another program."
                )
            if self.vocabulary.programs[rank] not in self.programs:
                name = self.vocabulary.voice_name(rank)
                raise InputError(f"The model saw no {name} in training. Write another instrument.")
        return tuple(sorted(ranks))

    def _ranks_of(self, score: ScoreTick, others: Sequence[int], write: Sequence[str]) -> set[int]:
        """Return the voices that are named; by default those of the tracks that are not given."""
        found = {index: self.vocabulary.rank_of(score.tracks[index]) for index in others}
        known = {index: rank for index, rank in found.items() if rank is not None}
        if not write:
            return {rank for rank in known.values() if self.vocabulary.programs[rank] in self.programs}
        ranks: set[int] = set()
        for name in write:
            plain = name.strip().lower()
            named = {known[i] for i in known if plain and score.tracks[i].name.strip().lower() == plain}
            ranks |= named or {self.vocabulary.programs.index(find_program(name, self.programs))}
        return ranks

    def _rewritten_tracks(self, request: Request, prompt: Prompt) -> tuple[int, ...]:
        """Return the indices of the tracks to infill: all tracks of an instrument, or none."""
        stay = {index for name in request.given or () for index in track_indices(prompt.score, name)}
        chosen = {index for name in request.write for index in track_indices(prompt.score, name)}
        written = chosen or {index for index in prompt.parts if index not in stay}
        if both := sorted(written & stay):
            label = track_label(prompt.score, both[0])
            raise InputError(f"Track {label} is given and written. Leave it out of --given or --write.")
        if not written:
            raise InputError("All tracks are given. Leave one out of --given.")
        ranks = {prompt.ranks[index]: index for index in sorted(written, reverse=True)}
        for index, rank in prompt.ranks.items():
            if rank in ranks and index not in written:
                labels = [track_label(prompt.score, each) for each in (index, ranks[rank])]
                raise InputError(
                    f"Tracks {' and '.join(labels)} share an instrument, and the model cannot tell them apart. Write "
                    "both again, or give one of them another program."
                )
        return tuple(sorted(written))

    def _max_bar_tokens(self, prompt: Prompt, ranks: Collection[int]) -> int:
        """Return twice the base tokens of the densest bar, so that no bar goes on forever.

        An instrument that the prompt does not have counts as the densest that it has.
        """
        present = set(prompt.ranks.values())
        known = [rank for rank in ranks if rank in present] or sorted(present)
        densest = max(len(note_ids(self.vocabulary, bar)) for bar in prompt.piece.keep_voices(known).bars)
        share = len(ranks) / len(known)
        most = min(_MAX_BAR_TOKENS, self.model.max_positions // 6)
        return int(min(max(2 * densest * share, _MIN_BAR_TOKENS), most))

    def _track_names(self, prompt: Prompt, indices: Iterable[int]) -> tuple[str, ...]:
        return tuple(track_label(prompt.score, index) for index in sorted(indices))


def _given_tracks(request: Request) -> list[int]:
    """Return the indices of the tracks that are kept."""
    score, given = request.prompt, request.given or ()
    if request.task == "infill" or (request.task == "continue" and request.given is None and request.track is None):
        return list(range(len(score.tracks)))
    if request.track is not None and given:
        raise InputError("--track names the one given track, and --given names more. Leave one of the two out.")
    names = given if request.track is None else [str(request.track)]
    if names:
        return sorted({index for name in names for index in track_indices(score, name)})
    if len(score.tracks) == 1:
        return [0]
    try:
        return [pick_melody(score).index]
    except InputError as error:
        raise InputError(f"{error.problem}. Name the given tracks with --given.") from None
