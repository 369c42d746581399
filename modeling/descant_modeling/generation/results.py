"""From what a model wrote on the grid back to a score: the prompt's own tracks with notes added.

Units: ticks of the score, unless a name says grid.

From what a model wrote for instruments back to a score: the prompt's own tracks with notes added.

Units: ticks of the score, unless a name says grid.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    TrackTickList,
)

from descant_modeling.decoding.infilling import with_content
from descant_modeling.decoding.sequences import InfilledNotes
from descant_modeling.generation.base import Sample
from descant_modeling.generation.prompts import MultitrackPrompt, Prompt
from descant_modeling.generation.spans import TickSpan
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.tracks import DRUMS, program_name, track_label
from descant_tokenizers.tokens.piece import Piece


@dataclass
class PartialResult:
    """A result in the making.

    Attributes:
        piece: The music so far on the grid, as the model sees it; samples that are still alike share one object.
        random: The sample's random numbers.
        added: Written notes by voice, in the prompt's ticks and at its pitch.
        num_tokens: Tokens sampled.
        log_likelihood: Sum of ln p of those tokens under the model, in nats.
    """

    piece: Piece
    random: np.random.Generator
    added: dict[str, list[NoteTick]] = field(default_factory=dict)
    num_tokens: int = 0
    log_likelihood: float = 0.0

    def take(self, prompt: Prompt, sample: InfilledNotes, gaps: Mapping[str, TickSpan]) -> None:
        """Add what a sample wrote into the gaps of some voices.

        The grid knows the prompt's rhythm up to rounding only, so a note is cut to the gap, and left out if nothing of
        it remains.
        """
        starts = self.piece.bar_starts_ticks()
        velocities = {voice: _velocity(prompt, voice) for voice in gaps}
        self.piece = with_content(self.piece, sample.notes, sample.tempos)
        self.num_tokens += sample.num_tokens
        self.log_likelihood += sample.log_likelihood
        for index, bar in sorted(sample.notes.items()):
            for note in bar:
                voice = prompt.vocabulary.voices[note.voice]
                onset = starts[index] + note.offset_ticks
                begin = max(gaps[voice].begin, floor(onset * prompt.ticks_per_grid_tick))
                end = min(gaps[voice].end, floor((onset + note.duration_ticks) * prompt.ticks_per_grid_tick))
                if begin < end:
                    new = NoteTick(begin, end - begin, note.pitch - prompt.shift, velocities[voice])
                    self.added.setdefault(voice, []).append(new)


def four_part(prompt: Prompt, draft: PartialResult, program: int) -> Sample:
    """Return four tracks named after the voices, those of the prompt with all their notes.

    Args:
        prompt: The prompt.
        draft: What was written.
        program: General MIDI program, 0-127, of voices that the prompt does not have.
    """
    score = prompt.score.copy()
    tracks = TrackTickList()
    for voice in VOICES:
        track = TrackTick(voice, program, False)
        if voice in prompt.voices:
            track = prompt.track(voice).copy()
            track.name = voice
        tracks.append(_with_added(track, draft.added.get(voice, ())))
    score.tracks = tracks
    return _generated(score, draft, dict(zip(VOICES, VOICES, strict=True)))


def extended(
    prompt: Prompt, draft: PartialResult, cleared: Collection[str] = (), start: int = 0, end: int = 0
) -> Sample:
    """Return all tracks of the prompt, with notes added.

    Args:
        prompt: The prompt.
        draft: What was written.
        cleared: Voices whose own notes are taken out where they begin in a stretch.
        start: Where that stretch begins.
        end: Where it ends.
    """
    score = prompt.score.copy()
    for voice, index in prompt.choice.indices.items():
        track = score.tracks[index]
        if voice in cleared:
            track.notes = NoteTickList([note for note in track.notes if not start <= note.time < end])
        score.tracks[index] = _with_added(track, draft.added.get(voice, ()))
    return _generated(score, draft, {voice: prompt.track(voice).name for voice in prompt.voices})


def _generated(score: ScoreTick, draft: PartialResult, track_names: Mapping[str, str]) -> Sample:
    added = frozenset((track_names[voice], n.time, n.pitch) for voice, notes in draft.added.items() for n in notes)
    return Sample(score, added, draft.num_tokens, draft.log_likelihood, heard=frozenset(draft.added))


def _with_added(track: TrackTick, notes: Iterable[NoteTick]) -> TrackTick:
    whole = track.copy()
    whole.notes.extend(NoteTickList(notes))
    whole.notes.sort(key=lambda note: (note.time, note.pitch))
    return whole


def _velocity(prompt: Prompt, voice: str) -> int:
    """Mean velocity of a voice, or of all given voices for one that the prompt does not have."""
    own = [voice] if voice in prompt.voices else prompt.voices
    return round(statistics.fmean(note.velocity for name in own for note in prompt.track(name).notes))


#: Controllers that hold on to notes: sustain, sostenuto and soft pedal.
PEDALS = (64, 66, 67)


@dataclass
class MultitrackPartialResult:
    """A result in the making.

    Attributes:
        piece: The music so far on the grid; samples that are still alike share one object.
        random: The sample's random numbers.
        notes: Written notes by voice.
        tempos: Written tempos.
        num_tokens: Tokens sampled.
        log_likelihood: Sum of ln p of those tokens under the model, in nats.
    """

    piece: Piece
    random: np.random.Generator
    notes: dict[int, list[NoteTick]] = field(default_factory=dict)
    tempos: list[TempoTick] = field(default_factory=list)
    num_tokens: int = 0
    log_likelihood: float = 0.0

    def take(self, prompt: MultitrackPrompt, sample: InfilledNotes, gaps: Mapping[int, TickSpan]) -> None:
        """Add what a sample wrote into the gaps of some voices.

        The grid knows the prompt's rhythm up to rounding only, so a note is cut to the gap, and left out if nothing of
        it remains.
        """
        scale = prompt.ticks_per_grid_tick
        self.piece = with_content(self.piece, sample.notes, sample.tempos)
        self.num_tokens += sample.num_tokens
        self.log_likelihood += sample.log_likelihood
        for index, bar in sorted(sample.notes.items()):
            for note in bar:
                start, gap = prompt.bar_start(index), gaps[note.voice]
                begin = max(gap.begin, start + floor(note.offset_ticks * scale))
                end = min(gap.end, start + floor((note.offset_ticks + note.duration_ticks) * scale))
                if begin < end:
                    new = NoteTick(begin, end - begin, note.pitch, note.velocity)
                    self.notes.setdefault(note.voice, []).append(new)
        for index, tempos in sorted(sample.tempos.items()):
            for tempo in tempos:
                place = prompt.bar_start(index) + floor(tempo.offset_ticks * scale)
                self.tempos.append(TempoTick(place, qpm=tempo.quarters_per_minute))


def finished(
    prompt: MultitrackPrompt, base: ScoreTick, draft: MultitrackPartialResult, writable: Sequence[int] = ()
) -> Sample:
    """Return a score with the notes of a draft.

    A voice's notes go to the one of its tracks whose pitches lie nearest, or to a new track. Where a track sounds a
    pitch already, a new note of that pitch gives way.

    Args:
        prompt: The prompt.
        base: What is kept of it, with the prompt's tracks in their order.
        draft: What was written.
        writable: Indices of the tracks that may get notes; by default all.
    """
    score = base.copy()
    added: set[tuple[str, int, int]] = set()
    heard: set[str] = set()
    for rank, notes in sorted(draft.notes.items()):
        players = [index for index in prompt.players(rank) if not writable or index in writable]
        if not players:
            program = prompt.vocabulary.programs[rank]
            players = [len(score.tracks)]
            score.tracks.append(TrackTick(program_name(program), max(program, 0), program == DRUMS))
        for index, own in _shared_out(prompt, players, notes).items():
            track = score.tracks[index]
            new = _giving_way(track.notes, own)
            track.notes.extend(NoteTickList(new))
            track.notes.sort(key=lambda note: (note.time, note.pitch))
            added |= {(track.name, note.time, note.pitch) for note in new}
            if new:
                heard |= {prompt.vocabulary.voice_name(rank), track_label(score, index)}
    _add_tempos(prompt, score, draft.tempos)
    return Sample(score, frozenset(added), draft.num_tokens, draft.log_likelihood, heard=frozenset(heard))


def without_notes(prompt: MultitrackPrompt, indices: Sequence[int], start: int, end: int) -> ScoreTick:
    """Return the prompt's score without the notes of some tracks that begin in a stretch.

    Their bends and pedals in it go with them; both rest there, and stand behind it as they did.
    """
    score = prompt.score.copy()
    for index in indices:
        track = score.tracks[index]
        track.notes = NoteTickList([note for note in track.notes if not start <= note.time < end])
        _quiet(track, start, end)
    return score


def released(score: ScoreTick, time: int) -> ScoreTick:
    """Return a copy in which no bend or pedal reaches beyond a time."""
    copy = score.copy()
    for track in copy.tracks:
        _quiet(track, time, None)
    return copy


def _quiet(track: TrackTick, start: int, end: int | None) -> None:
    """Take bends and pedals out of a stretch (to the end if `end` is None) of a track."""

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
    """Value in force just before a time; 0 at the beginning."""
    past = [event for event in events if time is None or event.time < time]
    return int(max(past, key=lambda event: event.time).value) if past else 0


def _shared_out(
    prompt: MultitrackPrompt, players: Sequence[int], notes: Iterable[NoteTick]
) -> dict[int, list[NoteTick]]:
    """Give each note to the track whose median pitch is nearest; of equals to the first."""
    if len(players) == 1:
        return {players[0]: list(notes)}
    middles = {i: statistics.median(note.pitch for note in prompt.score.tracks[i].notes) for i in players}
    shares: dict[int, list[NoteTick]] = defaultdict(list)
    for note in notes:
        shares[min(players, key=lambda index: abs(middles[index] - note.pitch))].append(note)
    return shares


def _giving_way(kept: Iterable[NoteTick], notes: Iterable[NoteTick]) -> list[NoteTick]:
    """Cut notes where kept ones of the same pitch sound; leave out what nothing remains of."""
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


def _add_tempos(prompt: MultitrackPrompt, score: ScoreTick, tempos: Iterable[TempoTick]) -> None:
    """Add tempos, but for those that change nothing as far as the vocabulary can tell."""
    known = list(prompt.vocabulary.tempo_id)

    def nearest(qpm: float) -> float:
        return min(known, key=lambda tempo: abs(tempo - qpm))

    for tempo in sorted(tempos, key=lambda tempo: tempo.time):
        past = [own for own in score.tempos if own.time <= tempo.time]
        present = max(past, key=lambda own: own.time).qpm if past else 120.0
        if nearest(present) != nearest(tempo.qpm):
            score.tempos.append(tempo)
