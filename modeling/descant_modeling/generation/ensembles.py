"""Songs and string quartets: the parts of a prompt's tracks, and the parts to write beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from symusic.core import ScoreTick, TrackTick, TrackTickList

from descant_modeling.common.console import part_of
from descant_modeling.decoding.config import GenerationConfig, OnProgress
from descant_modeling.generation.base import GenerationResult, Request, refuse_hints
from descant_modeling.generation.multitrack import MultitrackGenerator
from descant_modeling.generation.planning import Plan, plan_of_chords, plan_of_last_chord
from descant_modeling.generation.prompts import Prompt, TickSpan, make_prompt, refine_prompt
from descant_modeling.generation.results import PartialResult, Players
from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores import pick_melody
from descant_tokenizers.scores.ensembles import Ensemble, EnsemblePart, parts_of_tracks
from descant_tokenizers.scores.names import plain_name
from descant_tokenizers.scores.tracks import listed, track_indices, track_label
from descant_tokenizers.tokens.tasks import Task

__all__ = ["EnsembleGenerator"]

_BAR_TOKENS = 192
_LATE_BARS = 2  # an entrance after fewer bars is in view
_SHARE = 0.75
"""Share of the temperature at which parts are drawn, chosen on valid songs (records/LOG.md)."""


class EnsembleGenerator(MultitrackGenerator):
    """A causal model of an ensemble with named parts, ready to generate."""

    @property
    def ensemble(self) -> Ensemble:
        """The ensemble."""
        ensemble = self.vocabulary.ensemble
        assert ensemble is not None, "a vocabulary of an ensemble"
        return ensemble

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Generate music at a share of the temperature; see `MusicGenerator`."""
        return super().generate(request, replace(config, temperature=config.temperature * _SHARE))

    def _plan(self, request: Request, prompt: Prompt, new: Collection[int], config: GenerationConfig) -> Plan | None:
        """Plan the requested chords, or the last one, to whose tones new notes are held; see `decoding.chord_tones`."""
        if request.task != "harmonize" or request.chords or config.last_chord == "any":
            refuse_hints(request, config, but_chords=True)
            return plan_of_chords(request, prompt)
        refuse_hints(request, replace(config, last_chord="any"))
        bass = self.ensemble.names.index(self.ensemble.tracks[-1])
        return plan_of_last_chord(request, prompt, new, bass, config.last_chord)

    def _harmonize(
        self,
        partial: PartialResult,
        ranks: Iterable[int],
        copies: Mapping[int, int],
        config: GenerationConfig,
        progress: OnProgress | None,
    ) -> None:
        """Write parts up to the end of the prompt; those of an introduction last, when its key is known.

        Before the given parts enter, a model sees nothing of them beyond the bars of its lookahead.
        """
        prompt, ranks = partial.prompt, tuple(ranks)
        last, first = len(prompt.bars), next((i for i, bar in enumerate(prompt.piece.bars) if bar.notes), 0)
        if copies or first < _LATE_BARS:
            super()._harmonize(partial, ranks, copies, config, progress)
            return
        share = first / last
        body = {rank: TickSpan(0, prompt.end_ticks) for rank in ranks}
        report = part_of(progress, 0.0, 1 - share)
        self._write(partial, Task.HARMONIZE, body, range(first, last), config, report, since=first)
        introduction = {rank: TickSpan(0, prompt.bars[first].start_ticks) for rank in ranks}
        self._write(partial, Task.INFILL, introduction, range(first), config, part_of(progress, 1 - share, share))

    def _read(self, request: Request) -> Prompt:
        score = request.prompt
        parts = self._parts(request)
        if not parts:
            raise InputError(f"The prompt has none of {', '.join(self.ensemble.tracks)}. Name its tracks after these.")
        fine = refine_prompt(self.vocabulary, score)
        kept = sorted(parts)
        fine.tracks = TrackTickList([fine.tracks[index] for index in kept])
        seen = {place: _named(fine.tracks[place], parts[index]) for place, index in enumerate(kept)}
        prompt = make_prompt(self.vocabulary, fine, seen, self.checkpoint.meta.voice_ranges)
        labels = [f"{parts[index]}: track {track_label(score, index)}" for index in kept]
        if others := [track_label(score, index) for index in range(len(score.tracks)) if index not in parts]:
            labels.append(f"left out: track{'s' * (len(others) > 1)} {listed(others)}")
        changes = [f"for the model: {change}" for change in prompt.remarks]
        return replace(prompt, remarks=(*labels, *changes))

    def _parts(self, request: Request) -> dict[int, str]:
        """Return the part that each given track plays, by its index.

        Tracks are known by their names, or as the tracks of a complete score; of others, one is the leading part.

        Raises:
            InputError: A given track is no part, or two are the same one.
        """
        score, names = request.prompt, _part_names(request.prompt, self.ensemble)
        if request.task == "infill" or (request.task == "continue" and request.given is None and request.track is None):
            return names or {self._melody(score, None): self.ensemble.lead.name}
        if request.track is not None and request.given:
            raise InputError("--track names the one given track, and --given names more. Leave one of the two out.")
        if request.track is not None or not request.given:
            lead = next((index for index, name in names.items() if name == self.ensemble.lead.name), None)
            index = lead if lead is not None and request.track is None else self._melody(score, request.track)
            return {index: names.get(index, self.ensemble.lead.name)}
        chosen = sorted({index for name in request.given for index in track_indices(score, name)})
        if len(chosen) == 1:
            return {chosen[0]: names.get(chosen[0], self.ensemble.lead.name)}
        for index in chosen:
            if index not in names:
                raise InputError(
                    f"Track {track_label(score, index)} is no part of the model. Name it one of "
                    f"{', '.join(self.ensemble.tracks)}."
                )
        return {index: names[index] for index in chosen}

    def _melody(self, score: ScoreTick, track: int | str | None) -> int:
        if track is None:
            return pick_melody(score).index
        return track_indices(score, str(track))[0]

    def _new_ranks(self, request: Request, prompt: Prompt) -> tuple[int, ...]:
        if request.task == "continue" and not request.write:
            return ()
        given = {*prompt.ranks.values()}
        ranks = {self._rank_named(name) for name in request.write} or {*range(self.vocabulary.num_voices)} - given
        if not ranks:
            raise InputError("All parts are given. Name the given ones with --given.")
        if both := ranks & given:
            raise InputError(f"{self.vocabulary.voice_name(min(both))} is given and written. Choose one of the two.")
        return tuple(sorted(ranks))

    def _rank_named(self, wanted: str) -> int:
        plain, names = plain_name(wanted), self.ensemble.names
        found = [rank for rank, name in enumerate(names) if plain == plain_name(name)]
        found = found or [rank for rank, name in enumerate(names) if plain and plain in plain_name(name)]
        if len(found) == 1:
            return found[0]
        raise InputError(
            f"The model has no part '{printable(wanted, 40)}'. Choose from {listed(self.ensemble.tracks)}."
        )

    def _tracks(self, prompt: Prompt, new: Collection[int], config: GenerationConfig) -> tuple[ScoreTick, Players]:
        """Return the parts in the order of the score, those to write without notes, and the place of each part."""
        score, players = prompt.score.copy(), {}
        tracks = TrackTickList()
        for name in self.ensemble.tracks:
            rank = self.ensemble.names.index(name)
            own = prompt.players(rank)
            if own or rank in new:
                players[rank] = [len(tracks)]
                tracks.append(_part_track(self.ensemble.part(name), [prompt.score.tracks[index] for index in own]))
        score.tracks = tracks
        return score, players

    def _max_bar_tokens(self, prompt: Prompt, ranks: Collection[int]) -> int:
        return min(_BAR_TOKENS, self.model.max_positions // 6)


def _named(track: TrackTick, name: str) -> TrackTick:
    part = TrackTick(name, track.program, track.is_drum)
    part.notes = track.notes
    return part


def _part_track(part: EnsemblePart, own: Sequence[TrackTick]) -> TrackTick:
    """Return the prompt's track of a part under the name of the part, or an empty track."""
    track = own[0].copy() if own else TrackTick(part.name, part.program, False)
    track.name = part.name
    return track


def _part_names(score: ScoreTick, ensemble: Ensemble) -> dict[int, str]:
    """Return the part that each track with notes plays, by its index, where its name or the complete score says so."""
    sounding = [index for index, track in enumerate(score.tracks) if track.notes]
    complete = parts_of_tracks([score.tracks[index] for index in sounding], ensemble)
    if complete is not None:
        return dict(zip(sounding, complete, strict=True))
    known = {plain_name(name): name for name in ensemble.tracks}
    named = {index: known.get(plain_name(score.tracks[index].name)) for index in sounding}
    found = {index: name for index, name in named.items() if name is not None}
    return {index: name for index, name in found.items() if list(found.values()).count(name) == 1}
