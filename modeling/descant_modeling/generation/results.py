"""From new notes on the grid back to a score: the prompt's own tracks with notes added.

Units: ticks of the score, unless a name says grid.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor

import numpy as np
from symusic.core import (
    ControlChangeTick,
    ControlChangeTickList,
    NoteTick,
    NoteTickList,
    PitchBendTick,
    PitchBendTickList,
    ScoreTick,
    TempoTick,
    TrackTick,
)

from descant_modeling.decoding.infilled import InfilledNotes
from descant_modeling.decoding.infilling import with_content
from descant_modeling.decoding.sampler import one_for_each
from descant_modeling.generation.base import GenerationResult, Sample, check_not_silent
from descant_modeling.generation.fixed import Fixed
from descant_modeling.generation.planning import Plan
from descant_modeling.generation.prompts import Prompt, TickSpan
from descant_tokenizers.scores.tracks import DRUMS, program_name, track_label
from descant_tokenizers.tokens.harmony import ChordLabel
from descant_tokenizers.tokens.piece import GridNote, Piece

#: Controllers that hold notes: sustain, sostenuto and soft pedal.
PEDALS = (64, 66, 67)

Players = Mapping[int, Sequence[int]]
"""For each voice, by rank, the indices of its tracks in a score."""


@dataclass
class PartialSample:
    """A sample in progress.

    Attributes:
        random: Its random stream.
        notes: New notes by rank of their voice, at the prompt's pitch.
        tempos: New tempos.
        chords: Chords that the model wrote, by onset in grid ticks, at the pitch that the model sees.
        num_tokens: Number of sampled tokens.
        log_likelihood: Sum of ln p of those tokens under the model, in nats.
    """

    random: np.random.Generator
    notes: dict[int, list[NoteTick]] = field(default_factory=dict)
    tempos: list[TempoTick] = field(default_factory=list)
    chords: dict[int, ChordLabel | None] = field(default_factory=dict)
    num_tokens: int = 0
    log_likelihood: float = 0.0

    def add(
        self,
        prompt: Prompt,
        infilled: InfilledNotes,
        spans: Mapping[int, TickSpan],
        kept_places: Collection[tuple[int, int]] = (),
    ) -> None:
        """Add new notes of some voices, but for those at the rank and grid onset of a note that is kept.

        The grid has the prompt's rhythm up to rounding only, so a note is cut to its voice's span, and left out if
        nothing of it remains.
        """
        scale = prompt.ticks_per_grid_tick
        velocities, grid_starts = {rank: prompt.velocity(rank) for rank in spans}, prompt.piece.bar_starts_ticks()
        self.num_tokens += infilled.num_tokens
        self.chords |= infilled.chords
        self.log_likelihood += infilled.log_likelihood
        for index, bar in sorted(infilled.notes.items()):
            start = prompt.bar_start(index)
            for note in bar:
                if kept_places and (note.voice, grid_starts[index] + note.offset_ticks) in kept_places:
                    continue
                span = spans[note.voice]
                begin = max(span.begin, start + floor(note.offset_ticks * scale))
                end = min(span.end, start + floor((note.offset_ticks + note.duration_ticks) * scale))
                if begin < end:
                    velocity = note.velocity or velocities[note.voice]
                    new = NoteTick(begin, end - begin, note.pitch - prompt.shift, velocity)
                    self.notes.setdefault(note.voice, []).append(new)
        for index, tempos in sorted(infilled.tempos.items()):
            for tempo in tempos:
                time = prompt.bar_start(index) + floor(tempo.offset_ticks * scale)
                self.tempos.append(TempoTick(time, qpm=tempo.quarters_per_minute))


@dataclass
class PartialResult:
    """All samples of a request in progress.

    Attributes:
        prompt: The prompt.
        pieces: The music so far, as the model sees it: one piece that all samples share, or one for each.
        samples: The samples.
        plan: What hints say of the prompt, for a model with hints.
        fixed: Notes that the voices to write must have.
    """

    prompt: Prompt
    pieces: list[Piece]
    samples: list[PartialSample]
    plan: Plan | None = None
    fixed: Fixed = field(default_factory=Fixed)

    def add(self, infilled: Sequence[InfilledNotes], spans: Mapping[int, TickSpan]) -> None:
        """Add the new notes of each sample, within the spans of some voices."""
        self.pieces = [
            with_content(piece, new.notes, new.tempos)
            for piece, new in zip(one_for_each(self.pieces, len(infilled)), infilled, strict=True)
        ]
        for sample, new in zip(self.samples, infilled, strict=True):
            sample.add(self.prompt, new, spans, self.fixed.kept_places)

    def copy_bars(self, copies: Mapping[int, int], ranks: Collection[int]) -> None:
        """Copy the notes of some voices from bars to later ones, given by index: the copy, and its original.

        A note ends with its bar where the bar after it is not copied as well.
        """
        bars, go_on = self.prompt.bars, {bar for bar, own in copies.items() if copies.get(bar + 1) == own + 1}
        for index, piece in enumerate(self.pieces):
            copied = {}
            for bar, own in copies.items():
                left = None if bar in go_on else piece.bars[bar].meter.bar_ticks
                copied[bar] = tuple(_cut(note, left) for note in piece.bars[own].notes if note.voice in ranks)
            self.pieces[index] = with_content(piece, copied, {})
        for sample in self.samples:
            for rank in ranks:
                notes = list(sample.notes.get(rank, ()))
                for bar, own in copies.items():
                    shift = bars[bar].start_ticks - bars[own].start_ticks
                    last = bars[-1 if bar in go_on else bar].end_ticks
                    for note in notes:
                        if bars[own].start_ticks <= note.time < bars[own].end_ticks:
                            begin, end = note.time + shift, min(note.end + shift, last)
                            sample.notes[rank].append(NoteTick(begin, end - begin, note.pitch, note.velocity))

    def result(
        self, base: ScoreTick, players: Players, *, given: tuple[str, ...], written: tuple[str, ...]
    ) -> GenerationResult:
        """Add the new notes of each sample to a copy of a score.

        A voice's notes go to the one of its tracks whose pitches are nearest, or to a new track if it has none. Where a
        track already sounds a pitch, a new note of that pitch gives way.

        Args:
            base: The score, which begins with the prompt's tracks in order where a voice has several tracks.
            players: Its tracks that may get notes.
            given: Names of the prompt's voices.
            written: Names of the voices that were written.

        Raises:
            InputError: A sample has no pitched notes.
        """
        base = self.fixed.put_into(base, players)
        samples = tuple(_finish(self.prompt, sample, base, players) for sample in self.samples)
        check_not_silent(samples)
        remarks, plan = self.prompt.remarks, self.plan
        if plan is None:
            return GenerationResult(samples, remarks, given, written)
        remarks = (*remarks, *plan.remarks)
        planned = tuple(
            replace(sample, chords=plan.symbols(partial.chords, piece))
            for sample, partial, piece in zip(
                samples, self.samples, one_for_each(self.pieces, len(self.samples)), strict=True
            )
        )
        return GenerationResult(planned, remarks, given, written, plan.phrases, plan.phrase_source)


def _cut(note: GridNote, left: int | None) -> GridNote:
    """Return a note that ends within a number of grid ticks from the beginning of its bar."""
    if left is None or note.offset_ticks + note.duration_ticks <= left:
        return note
    return note._replace(duration_ticks=left - note.offset_ticks)


def _finish(prompt: Prompt, sample: PartialSample, base: ScoreTick, players: Players) -> Sample:
    score = base.copy()
    added: set[tuple[str, int, int]] = set()
    heard: set[str] = set()
    for rank, notes in sorted(sample.notes.items()):
        tracks = players.get(rank, ())
        if not tracks:
            program = prompt.vocabulary.programs[rank]
            tracks = [len(score.tracks)]
            score.tracks.append(TrackTick(program_name(program), max(program, 0), program == DRUMS))
        for index, own in _share_out(prompt, tracks, notes).items():
            track = score.tracks[index]
            new = _giving_way(track.notes, own)
            track.notes.extend(NoteTickList(new))
            track.notes.sort(key=lambda note: (note.time, note.pitch))
            added |= {(track.name, note.time, note.pitch) for note in new}
            if new:
                heard |= {prompt.vocabulary.voice_name(rank), track_label(score, index)}
    _add_tempos(prompt, score, sample.tempos)
    return Sample(score, frozenset(added), sample.num_tokens, sample.log_likelihood, heard=frozenset(heard))


def without_notes(score: ScoreTick, indices: Collection[int], start: int, end: int) -> ScoreTick:
    """Return a copy without the notes of some tracks that begin in a stretch.

    Bends and pedals in the stretch go with them: both are neutral there, and afterwards as they were.
    """
    copy = score.copy()
    for index in indices:
        track = copy.tracks[index]
        track.notes = NoteTickList([note for note in track.notes if not start <= note.time < end])
        _release(track, start, end)
    return copy


def released(score: ScoreTick, time: int) -> ScoreTick:
    """Return a copy in which no bend or pedal reaches beyond a time."""
    copy = score.copy()
    for track in copy.tracks:
        _release(track, time, None)
    return copy


def _release(track: TrackTick, start: int, end: int | None) -> None:
    """Remove bends and pedals from a stretch (to the end if `end` is None) of a track."""

    def inside(time: int) -> bool:
        return start <= time and (end is None or time < end)

    bends = [bend for bend in track.pitch_bends if not inside(bend.time)]
    before, after = _value(track.pitch_bends, start), _value(track.pitch_bends, end)
    if before:
        bends.append(PitchBendTick(start, 0))
    if end is not None and after:
        bends.append(PitchBendTick(end, after))
    controls = [c for c in track.controls if c.number not in PEDALS or not inside(c.time)]
    for number in PEDALS:
        own = [control for control in track.controls if control.number == number]
        if _value(own, start):
            controls.append(ControlChangeTick(start, number, 0))
        if end is not None and (held := _value(own, end)):
            controls.append(ControlChangeTick(end, number, held))
    track.pitch_bends = PitchBendTickList(sorted(bends, key=lambda event: event.time))
    track.controls = ControlChangeTickList(sorted(controls, key=lambda event: event.time))


def _value(events: Iterable[PitchBendTick | ControlChangeTick], time: int | None) -> int:
    """Return the value in force just before a time; 0 at the beginning."""
    past = [event for event in events if time is None or event.time < time]
    return int(max(past, key=lambda event: event.time).value) if past else 0


def _share_out(prompt: Prompt, tracks: Sequence[int], notes: Iterable[NoteTick]) -> dict[int, list[NoteTick]]:
    """Give each note to the track whose median pitch is nearest, the first one of equals."""
    if len(tracks) == 1:
        return {tracks[0]: list(notes)}
    middles = {i: statistics.median(note.pitch for note in prompt.score.tracks[i].notes) for i in tracks}
    shares: dict[int, list[NoteTick]] = defaultdict(list)
    for note in notes:
        shares[min(tracks, key=lambda index: abs(middles[index] - note.pitch))].append(note)
    return shares


def _giving_way(kept: Iterable[NoteTick], notes: Iterable[NoteTick]) -> list[NoteTick]:
    """Cut notes where kept ones of the same pitch sound; leave out those of which nothing remains."""
    sounding: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for note in kept:
        sounding[note.pitch].append((note.time, note.end))
    result = []
    for note in sorted(notes, key=lambda note: note.time):
        begin, end = note.time, note.end
        for first, last in sorted(sounding[note.pitch]):
            if first <= begin < last:
                begin = last
            elif begin < first < end:
                end = first
        if begin < end:
            result.append(NoteTick(begin, end - begin, note.pitch, note.velocity))
            sounding[note.pitch].append((begin, end))
    return result


def _add_tempos(prompt: Prompt, score: ScoreTick, tempos: Iterable[TempoTick]) -> None:
    """Add tempos, except for those that change nothing as far as the vocabulary can tell."""
    known = list(prompt.vocabulary.tempo_id)

    def nearest(qpm: float) -> float:
        return min(known, key=lambda tempo: abs(tempo - qpm))

    for tempo in sorted(tempos, key=lambda tempo: tempo.time):
        past = [own for own in score.tempos if own.time <= tempo.time]
        present = max(past, key=lambda own: own.time).qpm if past else 120.0
        if nearest(present) != nearest(tempo.qpm):
            score.tempos.append(tempo)
