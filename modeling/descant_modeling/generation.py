"""Harmonize, continue and infill scores with a checkpoint.

What was given is never generated again: the result is a copy of the prompt, tick for tick, with notes added to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symusic import Note
from symusic.core import ScoreTick, TrackTick

from descant_modeling.checkpoints import EMBEDDED_DEFAULT, Checkpoint, load_checkpoint
from descant_modeling.decoding.forward import CachedModel
from descant_modeling.decoding.plan import Plan, plan_continue, plan_harmonize, plan_infill
from descant_modeling.decoding.sampler import Sample, SamplingConfig, sample_plan
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import VOICES, bars_of
from descant_tokenizers.scores.voices import VoiceChoice, pick_voices, voice_names
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.piece import GridBar, Piece

#: Largest resolution of a MIDI file, in ticks per quarter.
MAX_TICKS_PER_QUARTER = 0x7FFF
MAX_NEW_BARS = 256
MAX_SAMPLES = 64
#: General MIDI programs of the written voices.
SOUNDS = {"choir": 52, "organ": 19, "piano": 0, "strings": 48}

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Generated:
    """One result.

    Attributes:
        score: The prompt with what was written.
        added: The written notes as (track name, onset in the score's ticks, pitch).
        num_tokens: Tokens sampled.
        log_likelihood: Sum of ln p of those tokens under the model, in nats.
    """

    score: ScoreTick
    added: frozenset[tuple[str, int, int]]
    num_tokens: int
    log_likelihood: float


@dataclass(frozen=True)
class GenerationResult:
    """All samples of one request.

    Attributes:
        samples: The results.
        remarks: What was chosen and changed on the way, a sentence each.
        given: Names of the voices that the prompt gave.
        written: Names of the voices that were written.
    """

    samples: tuple[Generated, ...]
    remarks: tuple[str, ...]
    given: tuple[str, ...]
    written: tuple[str, ...]


@dataclass(frozen=True)
class _Prompt:
    """A prompt on the model's grid.

    Attributes:
        score: The prompt as it was read, at the output's resolution.
        choice: Which of its tracks are which voices.
        piece: Its voices on the grid, moved by ``shift`` semitones into the singable range.
    """

    score: ScoreTick
    choice: VoiceChoice
    piece: Piece
    shift: int
    remarks: tuple[str, ...]


class MusicModel:
    """A causal model ready to write music.

    Args:
        checkpoint: Model, tokenizer and layout.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.grammar = Grammar(checkpoint.table)

    def harmonize(
        self,
        score: ScoreTick,
        *,
        given: Sequence[str] = ("Soprano",),
        track: int | str | None = None,
        sampling: SamplingConfig | None = None,
        num_samples: int = 1,
        seed: int = 0,
        sound: str = "choir",
        progress: Progress | None = None,
    ) -> GenerationResult:
        """Write the missing voices of four to the given ones.

        Args:
            score: The prompt.
            given: Which voices the prompt's tracks are.
            track: The melody's track, number from 1 or name, where one voice is given.
            sampling: Temperature and nucleus.
            num_samples: How many results.
            seed: Same seed, same result.
            sound: One of :data:`SOUNDS`, for the written voices.
            progress: Called with the share done, 0-1.

        Returns:
            Scores of four tracks Soprano, Alto, Tenor, Bass that end with the given voices.

        Raises:
            InputError: The prompt does not fit.
        """
        names = voice_names(given)
        if len(names) == len(VOICES):
            raise InputError("all four voices are given, so there is nothing to write: leave one out of --given")
        prompt = self._prompt(score, names, track)
        ranks = [rank for rank, voice in enumerate(VOICES) if voice not in names]
        plan = plan_harmonize(self.checkpoint.layout, prompt.piece, ranks, self._pitches(prompt))
        samples = self._sample(plan, sampling, num_samples, seed, progress)
        results = [self._four_part(prompt, plan, sample, SOUNDS[sound]) for sample in samples]
        return GenerationResult(tuple(results), prompt.remarks, names, tuple(VOICES[rank] for rank in ranks))

    def continue_(
        self,
        score: ScoreTick,
        *,
        num_bars: int = 8,
        given: Sequence[str] | None = None,
        track: int | str | None = None,
        sampling: SamplingConfig | None = None,
        num_samples: int = 1,
        seed: int = 0,
        sound: str = "choir",
        progress: Progress | None = None,
    ) -> GenerationResult:
        """Write bars behind the prompt, in all its voices.

        Args:
            score: The prompt: a melody, or several voices.
            num_bars: Bars to write.
            given: Which voices the prompt's tracks are; the missing ones of four are then written too, from the
                first bar on. By default, the prompt goes on in just the voices it has.
            track: The melody's track where one voice is given.
            sampling: Temperature and nucleus.
            num_samples: How many results.
            seed: Same seed, same result.
            sound: One of :data:`SOUNDS`, for voices that the prompt does not have.
            progress: Called with the share done, 0-1.

        Returns:
            Copies of the prompt with notes added to its voices' tracks.

        Raises:
            InputError: The prompt does not fit.
        """
        if not 1 <= num_bars <= MAX_NEW_BARS:
            raise InputError(f"--bars is {num_bars}: give 1 to {MAX_NEW_BARS} bars to write")
        if given is not None and len(voice_names(given)) < len(VOICES):
            return self._harmonize_and_continue(
                self.harmonize(
                    score,
                    given=given,
                    track=track,
                    sampling=sampling,
                    num_samples=num_samples,
                    seed=seed,
                    sound=sound,
                    progress=progress,
                ),
                num_bars,
                sampling,
                seed,
            )
        prompt = self._prompt(score, given, track)
        plan = plan_continue(self.checkpoint.layout, prompt.piece, num_bars, self._pitches(prompt))
        samples = self._sample(plan, sampling, num_samples, seed, progress)
        results = [self._extended(prompt, plan, sample, frozenset()) for sample in samples]
        voices = tuple(prompt.choice.tracks)
        return GenerationResult(tuple(results), prompt.remarks, voices, voices)

    def _harmonize_and_continue(
        self, harmonized: GenerationResult, num_bars: int, sampling: SamplingConfig | None, seed: int
    ) -> GenerationResult:
        """Continue each harmonization in four voices."""
        whole = []
        for index, first in enumerate(harmonized.samples):
            (then,) = self.continue_(first.score, num_bars=num_bars, sampling=sampling, seed=seed + index).samples
            tokens, nats = first.num_tokens + then.num_tokens, first.log_likelihood + then.log_likelihood
            whole.append(Generated(then.score, first.added | then.added, tokens, nats))
        return GenerationResult(tuple(whole), harmonized.remarks, harmonized.given, VOICES)

    def infill(
        self,
        score: ScoreTick,
        *,
        bars: tuple[int, int],
        given: Sequence[str] = (),
        sampling: SamplingConfig | None = None,
        num_samples: int = 1,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> GenerationResult:
        """Write some bars anew; everything outside them stays.

        Args:
            score: The prompt: a melody, or several voices.
            bars: First and last bar, as counted in the score (a pickup is bar 0).
            given: Voices that stay inside the bars too.
            sampling: Temperature and nucleus.
            num_samples: How many results.
            seed: Same seed, same result.
            progress: Called with the share done, 0-1.

        Returns:
            Copies of the prompt in which the notes that begin in those bars are new.

        Raises:
            InputError: The prompt does not fit, or has no such bars.
        """
        prompt = self._prompt(score, None, None)
        hole = _bar_indices(prompt.score, bars)
        kept = voice_names(given) if given else ()
        written = tuple(voice for voice in prompt.choice.tracks if voice not in kept)
        if not written:
            raise InputError(
                "all voices of the prompt are given, so there is nothing to write: leave one out of --given"
            )
        ranks = [VOICES.index(voice) for voice in written]
        plan = plan_infill(self.checkpoint.layout, prompt.piece, ranks, hole, self._pitches(prompt))
        samples = self._sample(plan, sampling, num_samples, seed, progress)
        results = [self._extended(prompt, plan, sample, frozenset(written)) for sample in samples]
        return GenerationResult(tuple(results), prompt.remarks, tuple(prompt.choice.tracks), written)

    def _prompt(self, score: ScoreTick, given: Sequence[str] | None, track: int | str | None) -> _Prompt:
        """Choose the voices, put them on the grid, and move them to where the model has seen them."""
        table = self.checkpoint.table
        choice = pick_voices(score, given, track)
        grid_ticks = table.ticks_per_quarter
        factor = grid_ticks // math.gcd(grid_ticks, score.ticks_per_quarter)
        if score.ticks_per_quarter * factor > MAX_TICKS_PER_QUARTER:
            factor = 1
        shift = self._shift(choice)
        moved = score.copy()
        moved.tracks = [_named(choice.tracks[voice], voice, shift) for voice in choice.tracks]
        encoded = encode_score(table, moved)
        piece = _with_all_bars(encoded.piece, score, grid_ticks)
        remarks = [choice.reason, *encoded.changes]
        if shift:
            remarks.append(f"sung {abs(shift)} semitones {'higher' if shift > 0 else 'lower'} inside, and moved back")
        fine = score.resample(score.ticks_per_quarter * factor) if factor > 1 else score.copy()
        return _Prompt(fine, choice, piece, shift, tuple(remarks))

    def _shift(self, choice: VoiceChoice) -> int:
        """Semitones that bring the given voices inside the ranges of training, or as near as possible."""
        table, ranges = self.checkpoint.table, self.checkpoint.meta.voice_ranges
        spans = {
            voice: (min(n.pitch for n in t.notes), max(n.pitch for n in t.notes)) for voice, t in choice.tracks.items()
        }
        lowest, highest = min(table.pitch_id), max(table.pitch_id)
        legal = [
            s for s in range(-127, 128) if all(lowest <= lo + s and hi + s <= highest for lo, hi in spans.values())
        ]
        if not legal:
            raise InputError(
                f"the given notes span {min(lo for lo, _ in spans.values())}-{max(hi for _, hi in spans.values())} "
                f"(MIDI pitches), more than the {highest - lowest} semitones the model can hear: give a narrower melody"
            )

        def outside(shift: int) -> int:
            total = 0
            for voice, (low, high) in spans.items():
                bottom, top = ranges[VOICES.index(voice)]
                total += max(0, bottom - low - shift) + max(0, high + shift - top)
            return total

        return min(legal, key=lambda s: (outside(s), abs(s), s))

    def _pitches(self, prompt: _Prompt) -> list[tuple[int, int]]:
        """Pitch range of each voice to write in: that of training, widened to what the prompt does itself."""
        ranges = list(self.checkpoint.meta.voice_ranges)
        for bar in prompt.piece.bars:
            for note in bar.notes:
                low, high = ranges[note.voice]
                ranges[note.voice] = (min(low, note.pitch), max(high, note.pitch))
        return ranges

    def _sample(
        self, plan: Plan, sampling: SamplingConfig | None, num_samples: int, seed: int, progress: Progress | None
    ) -> list[Sample]:
        if not 1 <= num_samples <= MAX_SAMPLES:
            raise InputError(f"--num-samples is {num_samples}: give 1 to {MAX_SAMPLES}")
        room = sum(len(run) for run in plan.given) + 32 * len(plan.bars)
        engine = CachedModel(self.checkpoint.model, 1, room)
        config = sampling or SamplingConfig()
        try:
            return sample_plan(
                engine, self.grammar, plan, config, num_samples=num_samples, seed=seed, progress=progress
            )
        except ValueError as error:
            raise InputError(f"the piece is too long for this model ({error})") from None

    def _four_part(self, prompt: _Prompt, plan: Plan, sample: Sample, program: int) -> Generated:
        """Build the four tracks of a harmonization."""
        given = prompt.choice.indices
        velocity = _mean_velocity([prompt.score.tracks[index] for index in given.values()])
        added = self._notes(prompt, plan, sample, velocity)
        score = prompt.score.copy()
        tracks = []
        for voice in VOICES:
            track = TrackTick(voice, program, False)
            if voice in given:
                track = prompt.score.tracks[given[voice]].copy()
                track.name = voice
            track.notes.extend(added.get(voice, []))
            tracks.append(track)
        score.tracks = tracks
        return _generated(score, {voice: voice for voice in VOICES}, added, sample)

    def _extended(self, prompt: _Prompt, plan: Plan, sample: Sample, cleared: frozenset[str]) -> Generated:
        """Add notes to the prompt's own tracks; of ``cleared`` voices, the notes in the hole are taken out first."""
        score = prompt.score.copy()
        names = {}
        added: dict[str, list[Note]] = {}
        first, end = self._hole_ticks(prompt, plan)
        for voice, index in prompt.choice.indices.items():
            track = score.tracks[index]
            names[voice] = track.name
            if voice in cleared:
                track.notes = [note for note in track.notes if not first <= note.time < end]
            added |= self._notes(prompt, plan, sample, _mean_velocity([prompt.score.tracks[index]]), voice)
            track.notes.extend(added.get(voice, []))
            track.notes.sort(key=lambda note: (note.time, note.pitch))
        return _generated(score, names, added, sample)

    def _hole_ticks(self, prompt: _Prompt, plan: Plan) -> tuple[int, int]:
        """Begin and end of the written bars in the score's ticks."""
        meters = self.checkpoint.table.meter_of
        last = plan.bars[-1]
        scale = Fraction(prompt.score.ticks_per_quarter, self.checkpoint.table.ticks_per_quarter)
        end = last.start_ticks + meters[last.meter_id].bar_ticks
        return round(plan.bars[0].start_ticks * scale), round(end * scale)

    def _notes(
        self, prompt: _Prompt, plan: Plan, sample: Sample, velocity: int, only: str | None = None
    ) -> dict[str, list[Note]]:
        """Return a sample's notes by voice, in the score's ticks and at the prompt's pitch."""
        scale = Fraction(prompt.score.ticks_per_quarter, self.checkpoint.table.ticks_per_quarter)
        notes: dict[str, list[Note]] = {}
        for bar in plan.bars:
            for note in sample.notes[bar.index]:
                voice = VOICES[note.voice]
                if only is None or voice == only:
                    start = round((bar.start_ticks + note.offset_ticks) * scale)
                    end = round((bar.start_ticks + note.offset_ticks + note.duration_ticks) * scale)
                    notes.setdefault(voice, []).append(Note(start, end - start, note.pitch - prompt.shift, velocity))
        return notes


def load(model: str = EMBEDDED_DEFAULT, device: str = "cpu") -> MusicModel:
    """Load a model that can write music.

    Args:
        model: An embedded model's name, a checkpoint or run folder, or a Hub id, tried in this order.
        device: ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: There is no such model.
    """
    return MusicModel(load_checkpoint(model, device))


def _generated(score: ScoreTick, names: dict[str, str], added: dict[str, list[Note]], sample: Sample) -> Generated:
    keys = frozenset((names[voice], note.time, note.pitch) for voice, notes in added.items() for note in notes)
    return Generated(score, keys, sample.num_tokens, sample.log_likelihood)


def _named(track: TrackTick, voice: str, shift: int) -> TrackTick:
    copy = track.copy()
    copy.name = voice
    for note in copy.notes:
        note.pitch += shift
    return copy


def _with_all_bars(piece: Piece, score: ScoreTick, grid_ticks: int) -> Piece:
    """Add the bars behind the last onset in which notes still sound, and check that bars fall where the score has them."""
    bars = bars_of(score)
    scale = Fraction(grid_ticks, score.ticks_per_quarter)
    known = {(bar.meter.numerator, bar.meter.denominator): bar.meter for bar in piece.bars}
    whole = list(piece.bars)
    for bar in bars[len(whole) :]:
        meter = known.get((bar.numerator, bar.denominator), whole[-1].meter)
        whole.append(GridBar(meter))
    padded = Piece(tuple(whole))
    for index, (bar, start) in enumerate(zip(bars, padded.bar_starts_ticks(), strict=False)):
        if bar.start_ticks * scale != start:
            raise InputError(
                f"a time signature changes inside bar {bars[max(0, index - 1)].number}, so bars cannot be told: "
                "put the change on a bar line"
            )
    return padded


def _bar_indices(score: ScoreTick, bars: tuple[int, int]) -> list[int]:
    numbers = [bar.number for bar in bars_of(score)]
    first, last = bars
    if first > last or first not in numbers or last not in numbers:
        raise InputError(f"--bars is {first}-{last}: the prompt has bars {numbers[0]} to {numbers[-1]}")
    return list(range(numbers.index(first), numbers.index(last) + 1))


def _mean_velocity(tracks: Sequence[TrackTick]) -> int:
    velocities = [note.velocity for track in tracks for note in track.notes]
    return min(127, max(1, round(sum(velocities) / len(velocities)))) if velocities else 80
