"""Repair faults of voice leading: a model rewrites the fewest notes of some voices, and all others stay.

A fault is mended by the first of these that leaves no new fault of the level: another pitch for one of its notes, of
those on which no rule is broken, as the model chooses it; new notes in its own voices for a beat on either side, then
in all voices that may be rewritten, for two beats and for whole bars.

Units: frames are 16ths, ticks are those of the score.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from symusic.core import NoteTick, ScoreTick

from descant_modeling.api import Model
from descant_modeling.decoding.config import GenerationConfig, OnProgress
from descant_modeling.evaluation.check import CheckedScore, FaultPlace, level_of
from descant_modeling.evaluation.rules import RULES, find_faults, reference_rates
from descant_modeling.generation.base import FixedPlace, Request, Sample
from descant_tokenizers.pianoroll.frames import Chorale, chorale_of_harmony
from descant_tokenizers.scores import VOICES, Bar, bars_of

INNER_VOICES = VOICES[1:3]
_NUM_SAMPLES = 3
_WIDEST = 12  # semitones between a note and its substitute
_AROUND = 32  # frames on either side that a new pitch can affect
_BEAT, _TWO_BEATS = 4, 8  # frames

Breach = tuple[str, tuple[int, ...], int]
"""Rule, voices and frame."""


@dataclass(frozen=True)
class Repair:
    """A repaired score.

    Attributes:
        checked: The score, and the faults that it has now.
        mended: The faults that are gone.
        left: Those that no attempt mended, or that lie in other voices only.
        rewritten: New notes, as in `Sample.added`.
    """

    checked: CheckedScore
    mended: tuple[FaultPlace, ...]
    left: tuple[FaultPlace, ...]
    rewritten: frozenset[tuple[str, int, int]]

    def facts(self) -> dict[str, Any]:
        """Return the repair for JSON."""
        return {
            "mended": [place.facts() for place in self.mended],
            "left": [place.facts() for place in self.left],
            "num_notes": len(self.rewritten),
        }

    def summary(self) -> str:
        """Return what was mended, and what was not, in words."""
        number, total = len(self.rewritten), len(self.mended) + len(self.left)
        if not total:
            return "There is nothing to mend."
        lines = [f"Mended {len(self.mended)} of {total} with {number} new note{'s' * (number != 1)}."]
        for place in self.left:
            voices = " and ".join(voice.lower() for voice in place.voices)
            lines.append(
                f"Left: bar {place.start.bar}, beat {float(place.start.beat):.4g}, {place.rule.name} in {voices}."
            )
        return "\n".join(lines)


def repair_score(
    model: Model,
    checked: CheckedScore,
    faults: Sequence[FaultPlace],
    voices: Sequence[str] = INNER_VOICES,
    config: GenerationConfig | None = None,
    progress: OnProgress | None = None,
) -> Repair:
    """Mend the faults of a score.

    Args:
        model: A four-part model that infills and keeps single notes.
        checked: The score and its faults.
        faults: Those to mend. If all are errors, mending one may make a new warning, else no new fault at all.
        voices: Voices that may be rewritten.
        config: Options of sampling.
        progress: Called with the share done, 0-1.

    Raises:
        InputError: The model cannot infill, or the score does not fit it.
    """
    grave = {rule.key for rule in RULES if level_of(rule) == "error" or any(f.level == "warning" for f in faults)}
    repairer = _Repairer(model, checked, voices, grave, config or GenerationConfig())
    for index, place in enumerate(faults):
        repairer.mend(place)
        if progress is not None:
            progress((index + 1) / len(faults))
    return repairer.result(faults)


class _Repairer:
    """A score while it is mended."""

    def __init__(
        self,
        model: Model,
        checked: CheckedScore,
        voices: Sequence[str],
        grave: Collection[str],
        config: GenerationConfig,
    ) -> None:
        self._model, self._checked, self._voices, self._config = model, checked, tuple(voices), config
        self._grave = grave
        self._ranges = reference_rates().ranges
        self._score, self._chorale = checked.score, checked.chorale
        self._rewritten: set[tuple[str, int, int]] = set()

    def result(self, wanted: Sequence[FaultPlace]) -> Repair:
        checked = replace(self._checked, score=self._score, chorale=self._chorale)
        found = self._breaches(self._chorale)
        left = tuple(place for place in wanted if found & _breaches_of(place))
        here = {(track.name, note.time, note.pitch) for track in self._score.tracks for note in track.notes}
        mended = tuple(place for place in wanted if place not in left)
        return Repair(checked, mended, left, frozenset(self._rewritten & here))

    def mend(self, place: FaultPlace) -> None:
        """Mend a fault, if it is still there and one of its voices may be rewritten."""
        own = [voice for voice in place.voices if voice in self._voices]
        target = _breaches_of(place)
        if not own or not target & self._breaches(self._chorale) or self._change_pitch(place, target, own):
            return
        for voices, around in ((own, _BEAT), (self._voices, _TWO_BEATS), (self._voices, None)):
            if self._rewrite(place, target, voices, around):
                return

    def _change_pitch(self, place: FaultPlace, target: set[Breach], voices: Sequence[str]) -> bool:
        """Give one of the fault's notes another pitch; return False if none is left that breaks no rule."""
        options: list[tuple[str, NoteTick, list[int]]] = []
        for is_strict in (True, False):
            for voice in voices:
                for note in self._notes(voice, place):
                    pitches = self._better_pitches(voice, note, target, is_strict=is_strict)
                    if pitches:
                        options.append((voice, note, pitches))
            if options:
                break
        if not options:
            return False
        bars = self._bars(min(note.time for _, note, _ in options), max(note.time for _, note, _ in options) + 1)
        best: tuple[float, str, NoteTick, int] | None = None
        for voice, note, pitches in options:
            choice = FixedPlace(voice, note.time, note.duration, tuple(pitches), is_kept=False)
            others = [place for place in self._kept(voices, bars) if place[:2] != choice[:2]]
            (sample,) = self._infill(voices, bars, (*others, choice), (0, 0), 1)
            pitch = next((pitch for name, _, pitch in sample.added if name == voice), None)
            if pitch in pitches and (best is None or (sample.log_likelihood or 0.0) > best[0]):
                best = (sample.log_likelihood or 0.0, voice, note, pitch)
        if best is None:
            return False
        _, voice, note, pitch = best
        score = self._score.copy()
        track = next(track for track in score.tracks if track.name == voice)
        for own in track.notes:
            if own.time == note.time:
                own.pitch = pitch
        self._take(score, {(voice, note.time, pitch)})
        return True

    def _rewrite(self, place: FaultPlace, target: set[Breach], voices: Sequence[str], around: int | None) -> bool:
        """Write new notes around a fault; of several samples that mend it, take the one with the fewest changes."""
        unit = self._score.ticks_per_quarter
        first, last = (frame * unit // 4 for frame in (place.fault.begin - 1, place.fault.end))
        if around is None:
            bars = self._bars(first - unit, last + unit)
            start, end = bars[0].start_ticks, bars[-1].end_ticks
        else:
            start, end = max(first - around * unit // 4, 0), last + around * unit // 4
            bars = self._bars(start, end)
        kept = [note for note in self._kept(voices, bars) if not start <= note.onset_ticks < end]
        before, found = self._breaches(self._chorale), []
        for sample in self._infill(voices, bars, kept, (start, end), _NUM_SAMPLES):
            after = self._breaches(self._chorale_of(sample.score))
            if not after & target and not any(rule in self._grave for rule, _, _ in after - before):
                found.append((len(sample.added), -(sample.log_likelihood or 0.0), sample))
        if not found:
            return False
        sample = min(found, key=lambda each: each[:2])[2]
        self._take(sample.score, set(sample.added))
        return True

    def _infill(
        self,
        voices: Sequence[str],
        bars: Sequence[Bar],
        fixed: Sequence[FixedPlace],
        free: tuple[int, int],
        number: int,
    ) -> tuple[Sample, ...]:
        scale = self._score.ticks_per_quarter // self._checked.score.ticks_per_quarter
        request = Request(
            "infill",
            given=[voice for voice in VOICES if voice not in voices],
            bars=(bars[0].number, bars[-1].number),
            phrase_ends=tuple(tick * scale for tick in self._checked.fermatas_ticks),
            fixed=tuple(fixed),
            free=free,
        )
        return self._model.generate(self._score, request, replace(self._config, num_samples=number)).samples

    def _take(self, score: ScoreTick, added: set[tuple[str, int, int]]) -> None:
        """Continue with a score, whose resolution may be higher, and its new notes."""
        scale = score.ticks_per_quarter // self._score.ticks_per_quarter
        self._rewritten = {(voice, time * scale, pitch) for voice, time, pitch in self._rewritten} | added
        self._score, self._chorale = score, self._chorale_of(score)

    def _chorale_of(self, score: ScoreTick) -> Chorale:
        """Read a mended score on the 16th grid, in the key and with the phrases of the first one."""
        first, found = self._checked.chorale, chorale_of_harmony(score, self._checked.chorale.name)
        num_frames = found.num_frames
        ends_T = np.zeros(num_frames, dtype=bool)
        ends_T[: first.num_frames] = first.phrase_ends_T[:num_frames]
        return replace(found, phrase_ends_T=ends_T, tonic=first.tonic, is_major=first.is_major)

    def _breaches(self, chorale: Chorale) -> set[Breach]:
        faults = find_faults(chorale, self._ranges, self._checked.rules)
        return {(f.rule, f.voices, frame) for f in faults for frame in range(f.begin, f.end)}

    def _better_pitches(self, voice: str, note: NoteTick, target: set[Breach], *, is_strict: bool) -> list[int]:
        """Return other pitches for a note that mend a fault and make no new one (of the level, if not strict)."""
        index, unit = VOICES.index(voice), self._score.ticks_per_quarter / 4
        begin, end = int(np.ceil(note.time / unit)), int(np.ceil(note.end / unit))
        low, high = max(begin - _AROUND, 0), end + _AROUND
        pitches, ends = self._chorale.pitches_VT[:, low:high], self._chorale.phrase_ends_T[low:high]
        nearby = replace(self._chorale, pitches_VT=pitches, phrase_ends_T=ends)
        before, own = self._breaches(nearby), {(rule, voices, frame - low) for rule, voices, frame in target}
        found = []
        for pitch in range(max(note.pitch - _WIDEST, 0), min(note.pitch + _WIDEST, 127) + 1):
            changed = pitches.copy()
            changed[index, begin - low : end - low] = pitch
            after = self._breaches(replace(nearby, pitches_VT=changed))
            new = after - before
            if (
                pitch != note.pitch
                and not after & own
                and not any(is_strict or rule in self._grave for rule, *_ in new)
            ):
                found.append(pitch)
        return found

    def _notes(self, voice: str, place: FaultPlace) -> Iterator[NoteTick]:
        """Yield the notes of a voice that sound in a fault, and before it in a motion."""
        unit = self._score.ticks_per_quarter / 4
        first = place.fault.begin - bool(place.fault.before)
        for track in self._score.tracks:
            if track.name == voice:
                yield from (n for n in track.notes if n.time / unit < place.fault.end and n.end / unit > first)

    def _kept(self, voices: Sequence[str], bars: Sequence[Bar]) -> list[FixedPlace]:
        """Return the notes of some voices in some bars, as notes to keep."""
        start, end = bars[0].start_ticks, bars[-1].end_ticks
        return [
            FixedPlace(track.name, note.time, note.duration, (note.pitch,), True, note.velocity)
            for track in self._score.tracks
            for note in track.notes
            if track.name in voices and start <= note.time < end
        ]

    def _bars(self, start: int, end: int) -> list[Bar]:
        """Return the bars of a stretch."""
        return [bar for bar in bars_of(self._score) if bar.start_ticks < end and bar.end_ticks > start]


def _breaches_of(place: FaultPlace) -> set[Breach]:
    return {(place.fault.rule, place.fault.voices, frame) for frame in range(place.fault.begin, place.fault.end)}
