"""Prompts with repeats: played out for the model, with the same new notes in all passes; bars count as written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property

from symusic.core import NoteTickList, ScoreTick, TimeSignatureTick, TimeSignatureTickList

from descant_modeling.generation.base import GenerationResult, Request
from descant_modeling.generation.prompts import Prompt
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import ReadResult, bars_of
from descant_tokenizers.scores.form import Form


class PlayedPrompt:
    """A prompt as it is played, and the numbers of its bars as written.

    Args:
        music: What was read, with its form.
        form: The form.
    """

    def __init__(self, music: ReadResult, form: Form) -> None:
        self._music, self._form = music, form

    def request(self, request: Request) -> Request:
        """Return a request for the prompt as played; its phrases and chords count bars as written.

        Raises:
            InputError: There is no such bar.
        """
        unit = self._music.score.ticks_per_quarter
        return replace(
            request,
            score=self._music.score,
            phrase_ends=request.phrase_ends or self._music.fermatas_ticks,
            phrases=None if request.phrases is None else self._played_bars(request.phrases),
            chords=self._played_chords(request.chords),
            copies=self._form.copies(unit),
        )

    def result(self, result: GenerationResult) -> GenerationResult:
        """Return a result in which each stretch has the notes of its first pass, and bars count as written."""
        phrases = tuple(dict.fromkeys(self._written[number] for number in result.phrases if number in self._written))
        samples = []
        for sample in unfolded_result(result, self._form, self._music.score, is_folded=False).samples:
            chords = tuple(
                sample.chords[played - 1] if 0 < played <= len(sample.chords) else ""
                for number, played in sorted(self._first_played.items())
                if number
            )
            samples.append(replace(sample, chords=chords if any(chords) else ()))
        return replace(result, samples=tuple(samples), phrases=phrases)

    @cached_property
    def _written(self) -> dict[int, int]:
        """The numbers of the bars as written, by their numbers as played."""
        score, form = self._music.score, self._form
        bars = bars_of(form.fold(score).score)
        found = {}
        for bar in bars_of(score):
            time = form.written_time(bar.start_ticks, score.ticks_per_quarter)
            found[bar.number] = next((own.number for own in reversed(bars) if own.start_ticks <= time), bar.number)
        return found

    @cached_property
    def _first_played(self) -> dict[int, int]:
        """The number at which each written bar is played first."""
        return {written: played for played, written in reversed(self._written.items())}

    def _played_bars(self, numbers: Sequence[int]) -> tuple[int, ...]:
        for number in numbers:
            if number not in self._first_played:
                raise InputError(f"No note of the melody begins in bar {number}. Give bars in which phrases end.")
        return tuple(played for played, written in self._written.items() if written in numbers)

    def _played_chords(self, chords: Sequence[str]) -> Sequence[str]:
        last = max(self._first_played)
        if len(chords) > last:
            raise InputError(f"There are chords for {len(chords)} bars, but the prompt has {last}. Give fewer chords.")
        if not chords:
            return chords
        return tuple(
            chords[written - 1] if 0 < written <= len(chords) else ""
            for played, written in self._written.items()
            if played
        )


def copied_bars(prompt: Prompt, request: Request) -> dict[int, int]:
    """Return the bars of a prompt that get the notes of earlier ones, by index: whole bars of equal length."""
    scale = prompt.score.ticks_per_quarter // request.prompt.ticks_per_quarter
    by_start = {bar.start_ticks: index for index, bar in enumerate(prompt.bars)}
    found = {}
    for begin, end, source in ((begin * scale, end * scale, own * scale) for begin, end, own in request.copies):
        for index, bar in enumerate(prompt.bars):
            original = by_start.get(bar.start_ticks - begin + source)
            is_whole = begin <= bar.start_ticks and min(bar.end_ticks, prompt.end_ticks) <= end
            if is_whole and original is not None and prompt.bars[original].length_ticks == bar.length_ticks:
                found[index] = original
    return found


def unfolded_result(
    result: GenerationResult, form: Form, prompt: ScoreTick, *, is_folded: bool = True
) -> GenerationResult:
    """Return a result that was generated for a text with repeat signs as it is played, all passes alike.

    Args:
        result: The result.
        form: The form of the prompt.
        prompt: The prompt as played, which has the time signatures.
        is_folded: The scores of the result are folded; otherwise the first pass of each stretch counts.
    """

    def unfold(score: ScoreTick) -> ScoreTick:
        return form.unfold(score if is_folded else form.fold(score).score)

    samples = []
    for sample in result.samples:
        score = unfold(sample.score)
        factor = Fraction(score.ticks_per_quarter, prompt.ticks_per_quarter)
        score.time_signatures = TimeSignatureTickList(
            [TimeSignatureTick(round(e.time * factor), e.numerator, e.denominator) for e in prompt.time_signatures]
        )
        given = sample.score.copy()
        for track in given.tracks:
            own = (note for note in track.notes if (track.name, note.time, note.pitch) not in sample.added)
            track.notes = NoteTickList(own)
        added = _places(score) - _places(unfold(given))
        samples.append(replace(sample, score=score, added=frozenset(added)))
    return replace(result, samples=tuple(samples))


def _places(score: ScoreTick) -> set[tuple[str, int, int]]:
    return {(track.name, note.time, note.pitch) for track in score.tracks for note in track.notes}
