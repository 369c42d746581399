"""From what a model wrote on the grid back to a score: the prompt's own tracks with notes added.

Units: ticks of the score, unless a name says grid.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import floor

import numpy as np
from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick, TrackTickList

from descant_modeling.decoding.fill import with_content
from descant_modeling.decoding.rows import Sample
from descant_modeling.gaps import Gap
from descant_modeling.prompts import Prompt
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.piece import Piece


@dataclass(frozen=True)
class Generated:
    """One result.

    Attributes:
        score: The prompt with what was written.
        added: The written notes as (track name, onset in the score's ticks, pitch).
        num_tokens: Tokens sampled.
        log_likelihood: Sum of ln p of those tokens under the model, in nats; None for a model without tokens.
        melody_kept: Share of the melody that a model which writes all voices had written again, 0-1.
        heard: Names of the voices or instruments that got a note, as `GenerationResult.written` names them; None where
            these are the names of their tracks.
    """

    score: ScoreTick
    added: frozenset[tuple[str, int, int]]
    num_tokens: int
    log_likelihood: float | None
    melody_kept: float | None = None
    heard: frozenset[str] | None = None

    @property
    def given(self) -> frozenset[tuple[str, int, int]]:
        """The notes that were given, as `added` has the others."""
        return frozenset((t.name, n.time, n.pitch) for t in self.score.tracks for n in t.notes) - self.added


@dataclass
class Draft:
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

    def take(self, prompt: Prompt, sample: Sample, gaps: Mapping[str, Gap]) -> None:
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
                voice = prompt.table.voices[note.voice]
                onset = starts[index] + note.offset_ticks
                begin = max(gaps[voice].begin, floor(onset * prompt.ticks_per_grid_tick))
                end = min(gaps[voice].end, floor((onset + note.duration_ticks) * prompt.ticks_per_grid_tick))
                if begin < end:
                    new = NoteTick(begin, end - begin, note.pitch - prompt.shift, velocities[voice])
                    self.added.setdefault(voice, []).append(new)


def four_part(prompt: Prompt, draft: Draft, program: int) -> Generated:
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


def extended(prompt: Prompt, draft: Draft, cleared: Collection[str] = (), start: int = 0, end: int = 0) -> Generated:
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


def _generated(score: ScoreTick, draft: Draft, track_names: Mapping[str, str]) -> Generated:
    added = frozenset((track_names[voice], n.time, n.pitch) for voice, notes in draft.added.items() for n in notes)
    return Generated(score, added, draft.num_tokens, draft.log_likelihood, heard=frozenset(draft.added))


def _with_added(track: TrackTick, notes: Iterable[NoteTick]) -> TrackTick:
    whole = track.copy()
    whole.notes.extend(NoteTickList(notes))
    whole.notes.sort(key=lambda note: (note.time, note.pitch))
    return whole


def _velocity(prompt: Prompt, voice: str) -> int:
    """Mean velocity of a voice, or of all given voices for one that the prompt does not have."""
    own = [voice] if voice in prompt.voices else prompt.voices
    return round(statistics.fmean(note.velocity for name in own for note in prompt.track(name).notes))
