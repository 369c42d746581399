"""What the hints of a prompt say: its phrases, key, chords and end, as requested or as the prompt shows them.

Units: grid ticks of the vocabulary, except in requests.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from symusic.core import TrackTick

from descant_modeling.decoding.ending import Ending, tonic_ending
from descant_modeling.generation.base import Request
from descant_modeling.generation.prompts import Prompt
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.spelling import fifths_of, name_of_fifths, note_name, parse_key
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES, PITCH_NAMES
from descant_tokenizers.tokens.harmony import (
    ChordLabel,
    PieceKey,
    SoundingNote,
    beat_chords,
    beats,
    chord_name,
    closing_key,
    melody_key,
    parse_chord_name,
    sounding_notes,
)
from descant_tokenizers.tokens.hint_tokens import HARMONIC_RHYTHMS
from descant_tokenizers.tokens.hints import Annotations
from descant_tokenizers.tokens.phrases import guess_phrase_ends
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.tasks import Task

_RELATIVE_MINOR = 9  # semitones above the tonic of a major key
_FREE_END = "the last chord is free, because the given notes do not end in the tonic triad"
_MOST_FLATS = 5  # of a key signature; a key with more is spelled with sharps


@dataclass(frozen=True)
class Plan:
    """What the hints of a prompt say.

    Attributes:
        prompt: The prompt on the grid.
        annotations: Contents of the hints, at the pitch at which the model sees the prompt.
        phrase_source: Where the phrases are from: `as requested`, `fermatas` or `guessed`.
        ending: The chord to which the end is held, if it is.
        remarks: What could not be done, a phrase each.
        is_shown: True if the result names its chords.
    """

    prompt: Prompt
    annotations: Annotations
    phrase_source: str
    ending: Ending | None = None
    remarks: tuple[str, ...] = ()
    is_shown: bool = True

    @property
    def phrases(self) -> tuple[int, ...]:
        """Numbers of the bars in which phrases end."""
        ends = self.annotations.phrase_ends or ()
        return tuple(dict.fromkeys(_bar_number(self.prompt, end) for end in ends))

    def for_task(self, task: Task) -> Annotations:
        """Return what the hints say in a task: of a continuation, only the key and the end are known."""
        if task is not Task.CONTINUE:
            return self.annotations
        return Annotations(key=self.annotations.key)

    @property
    def names(self) -> Sequence[str]:
        """Names of the pitch classes as they are spelled in the key, at the prompt's own pitch."""
        return _names_in(self.annotations.key, -self.prompt.shift)

    def symbols(self, written: Mapping[int, ChordLabel | None], harmony: Piece | None = None) -> tuple[str, ...]:
        """Return the chords of each bar, a pickup left out, at the prompt's own pitch, as `Request.chords` has them.

        A beat without a chord keeps the one before; a bar without chords is empty.

        Args:
            written: Chords that the model wrote, by onset; those requested are added.
            harmony: The result, from which the chords that were not written as such are read.
        """
        chords: dict[int, ChordLabel | None] = {}
        if not self.is_shown:
            return ()
        if harmony is not None and self.annotations.writes_chords:
            chords.update((onset, chord) for onset, chord in beat_chords(harmony).items() if chord is not None)
        chords |= {**(self.annotations.chords or {}), **written}
        names = self.names
        bars: list[str] = []
        present = ""
        for number, onsets in _beats_of_bars(self.prompt):
            symbols = []
            for onset in onsets:
                if onset in chords:
                    chord = chords[onset]
                    present = chord_name(None if chord is None else chord.transpose(-self.prompt.shift), names)
                symbols.append(present)
            if number:
                first = next(filter(None, symbols), "")
                is_open = chords.keys().isdisjoint(onsets)
                bars.append("" if is_open else " ".join(_shortened([symbol or first for symbol in symbols])))
        return tuple(bars) if any(bars) else ()


def plan_of(request: Request, prompt: Prompt, new: Collection[int]) -> Plan:
    """Plan the hints of a prompt; what the request leaves open is read from it.

    Args:
        request: The request.
        prompt: The prompt on the grid.
        new: Ranks of the voices to write to it; empty if it is only continued.

    Raises:
        InputError: A chord, bar or harmonic rhythm that does not exist, or one that has no use here.
    """
    rhythm = request.harmonic_rhythm
    if rhythm is not None and rhythm not in HARMONIC_RHYTHMS:
        raise InputError(f"The harmonic rhythm is '{rhythm}'. Choose from auto, {', '.join(HARMONIC_RHYTHMS)}.")
    if request.task == "continue" and (request.phrases or request.chords or rhythm):
        raise InputError("--phrases, --chords and --harmonic-rhythm are for harmonize and infill. Leave them out.")
    lines = _lines(prompt)
    given = [rank for rank in lines if rank not in new]
    if request.phrases and not given:
        raise InputError("Phrases belong to a given voice. Leave --phrases out, or choose a voice with --given.")
    lead = min(lines, key=lambda rank: (rank > 0, -max(note.pitch for note in lines[rank])), default=0)
    phrase_ends, source = _phrase_ends(request, prompt, lines.get(lead, ()), lead) if new and given else ((), "")
    annotations = Annotations(
        phrase_ends=phrase_ends or None,
        key=prompt.key,
        chords=_chords(request, prompt) or None,
        harmonic_rhythm=rhythm,
        ends=request.task != "continue",
        writes_chords=bool(new),
    )
    return Plan(prompt, annotations, source if phrase_ends else "")


def plan_of_chords(request: Request, prompt: Prompt) -> Plan | None:
    """Return a plan of the requested chords alone, for a model without hints; None if there are none.

    Raises:
        InputError: A chord that does not exist, or one that has no use here.
    """
    if request.chords and request.task == "continue":
        raise InputError("--chords is for harmonize and infill. Leave it out.")
    chords = _chords(request, prompt)
    return Plan(prompt, Annotations(key=prompt.key, chords=chords), "") if chords else None


def plan_of_last_chord(request: Request, prompt: Prompt, new: Collection[int], bass: int, choice: str) -> Plan | None:
    """Return a plan of the tonic triad over the last given note, for a model without hints; None for a free end.

    Args:
        request: The request.
        prompt: The prompt on the grid.
        new: Ranks of the voices to write.
        bass: Rank of the lowest voice.
        choice: `auto` to end on it if the melody does, `tonic` if the melody allows it.
    """
    key = prompt_key(request, [prompt.score.tracks[index] for index in prompt.parts])
    key = None if key is None else key.transpose(prompt.shift)
    ending = None if key is None else tonic_ending(prompt.piece, new, bass, key)
    if key is None or ending is None:
        remarks = (_FREE_END,) if choice == "tonic" else ()
        return Plan(prompt, Annotations(), "", remarks=remarks, is_shown=False) if remarks else None
    if choice == "auto" and key.tonic not in {pitch % NUM_PITCH_CLASSES for pitch in ending.given.values()}:
        return None
    return Plan(prompt, Annotations(key=key, chords={ending.start_ticks: ending.chords[0]}), "", is_shown=False)


def with_tonic_ending(plan: Plan, request: Request, new: Collection[int]) -> Plan:
    """Return a plan whose last chord is held to the tonic, or one that says why it is not.

    Args:
        plan: The plan.
        request: Its request.
        new: Ranks of the voices to write.

    Raises:
        InputError: The end is not written, or another last chord is requested.
    """
    prompt, annotations = plan.prompt, plan.annotations
    if request.task == "continue":
        raise InputError("--last-chord is for harmonize and infill. Leave it out.")
    if request.bars is not None and request.bars[1] < prompt.bars[-1].number:
        raise InputError("--last-chord tonic needs the last bar among those to write. Add it to --bars.")
    bass = prompt.vocabulary.voices.index(VOICES[-1])
    key = annotations.key
    ending = None if key is None else tonic_ending(prompt.piece, new, bass, key)
    if ending is None:
        return replace(plan, remarks=(_FREE_END,))
    given = {chord for onset, chord in (annotations.chords or {}).items() if onset >= ending.start_ticks}
    chords = tuple(chord for chord in ending.chords if given <= {chord})
    if not chords:
        tonic = chord_name(ending.chords[0].transpose(-prompt.shift), plan.names)
        raise InputError(
            f"The chords from the last given note on are not all {tonic}. Leave --last-chord out, or give that chord."
        )
    return replace(plan, ending=replace(ending, chords=chords))


def with_melodys_ending(plan: Plan, request: Request, new: Collection[int]) -> Plan:
    """Return a plan whose last chord is held to the tonic if a melody to harmonize ends on it; other plans unchanged.

    Arguments are those of `with_tonic_ending`. A chord that is requested for the end stays.
    """
    prompt, key = plan.prompt, plan.annotations.key
    if request.task != "harmonize" or key is None:
        return plan
    ending = tonic_ending(prompt.piece, new, prompt.vocabulary.voices.index(VOICES[-1]), key)
    if ending is None or key.tonic not in {pitch % NUM_PITCH_CLASSES for pitch in ending.given.values()}:
        return plan
    is_requested = any(onset >= ending.start_ticks for onset in plan.annotations.chords or ())
    return plan if is_requested else replace(plan, ending=ending)


def prompt_key(request: Request, lines: Iterable[TrackTick]) -> PieceKey | None:
    """Return the key in which a prompt ends: as requested, that of its harmony, or that of its melody if it is alone.

    Raises:
        InputError: The request names no key.
    """
    if request.key is None:
        notes = [SoundingNote(n.time, n.end, rank, n.pitch) for rank, line in enumerate(lines) for n in line.notes]
        signatures = request.prompt.key_signatures
        sharps = signatures[-1].key if len(signatures) else None
        return melody_key(notes, sharps) if len({note.voice for note in notes}) == 1 else closing_key(notes)
    return named_key(request.key)


def named_key(name: str) -> PieceKey:
    """Return the key of a name such as `G major`.

    Raises:
        InputError: There is no such key.
    """
    key = parse_key(name)
    is_major = key.mode == "major"
    return PieceKey((key.sharps * 7 + (0 if is_major else _RELATIVE_MINOR)) % NUM_PITCH_CLASSES, is_major)


def grid_ticks(prompt: Prompt, tick: int) -> int:
    """Return a time of the prompt's score, in its ticks, on the grid."""
    starts = [bar.start_ticks for bar in prompt.bars]
    index = max(bisect.bisect_right(starts, tick) - 1, 0)
    before = sum(meter.bar_ticks for meter in prompt.meters[:index])
    return before + round((tick - starts[index]) / prompt.ticks_per_grid_tick)


def _names_in(key: PieceKey | None, shift: int) -> Sequence[str]:
    """Return the names of the pitch classes as they are spelled in a key that is moved by semitones."""
    if key is None:
        return PITCH_NAMES
    tonic = key.tonic + shift - (0 if key.is_major else _RELATIVE_MINOR)
    sharps = (tonic * 7 + _MOST_FLATS) % NUM_PITCH_CLASSES - _MOST_FLATS
    mode = "major" if key.is_major else "minor"
    spelled = [name_of_fifths(fifths_of(pitch, sharps, mode)) for pitch in range(NUM_PITCH_CLASSES)]
    return [
        note_name(step, alter) if abs(alter) < 2 else usual
        for (step, alter), usual in zip(spelled, PITCH_NAMES, strict=True)
    ]


def _lines(prompt: Prompt) -> dict[int, list[SoundingNote]]:
    """Return the notes of each voice of a prompt, by rank."""
    lines: dict[int, list[SoundingNote]] = {}
    for note in sounding_notes(prompt.piece):
        lines.setdefault(note.voice, []).append(note)
    return lines


def _bar_number(prompt: Prompt, ticks: int) -> int:
    """Return the number of the bar in which a time lies."""
    starts = prompt.piece.bar_starts_ticks()[:-1]
    return prompt.bars[bisect.bisect_right(starts, ticks) - 1].number


def _beats_of_bars(prompt: Prompt) -> Iterator[tuple[int, list[int]]]:
    """Yield the number of each bar and the onsets of its beats."""
    starts, onsets = prompt.piece.bar_starts_ticks(), beats(prompt.piece)
    for bar, (start, end) in zip(prompt.bars, pairwise(starts), strict=True):
        yield bar.number, [onset for onset in onsets if start <= onset < end]


def _phrase_ends(
    request: Request, prompt: Prompt, melody: Sequence[SoundingNote], lead: int
) -> tuple[tuple[int, ...], str]:
    """Return the onsets of the last notes of phrases, and their source."""
    if request.phrases is not None:
        return _ends_in_bars(request.phrases, prompt, melody), "as requested"
    scale = prompt.score.ticks_per_quarter // request.prompt.ticks_per_quarter
    marked = [tick * scale for tick in request.phrase_ends if tick * scale < prompt.bars[-1].end_ticks]
    if not marked:
        return guess_phrase_ends(prompt.piece, lead), "guessed"
    last = [note.start_ticks for note in melody[-1:]]
    return tuple(sorted({*(grid_ticks(prompt, tick) for tick in marked), *last})), "fermatas"


def _ends_in_bars(numbers: Sequence[int], prompt: Prompt, melody: Sequence[SoundingNote]) -> tuple[int, ...]:
    """Return the onset of the last note of the melody in each of some bars.

    Raises:
        InputError: The prompt has no such bar, or no note in it.
    """
    onsets = {_bar_number(prompt, note.start_ticks): note.start_ticks for note in melody}
    for number in numbers:
        if number not in onsets:
            raise InputError(f"No note of the melody begins in bar {number}. Give bars in which phrases end.")
    return tuple(sorted(onsets[number] for number in set(numbers)))


def _chords(request: Request, prompt: Prompt) -> dict[int, ChordLabel | None]:
    """Return the chord at each beat of the bars to write, as requested; those of a bar share its beats.

    Raises:
        InputError: A chord that does not exist, or more chords than beats or bars.
    """
    names, written = request.chords, request.bars
    bars = [(number, onsets) for number, onsets in _beats_of_bars(prompt) if number]
    if len(names) > len(bars):
        raise InputError(f"There are chords for {len(names)} bars, but the prompt has {len(bars)}. Give fewer chords.")
    chords: dict[int, ChordLabel | None] = {}
    for (number, onsets), text in zip(bars, names, strict=False):
        symbols = text.split()
        if len(symbols) > len(onsets):
            found = f"{len(onsets)} beat{'s' * (len(onsets) > 1)}"
            raise InputError(f"Bar {number} has {len(symbols)} chords, but {found}. Give fewer chords.")
        for onset, symbol in zip(onsets, _shared_out(symbols, len(onsets)), strict=False):
            chord = parse_chord_name(symbol)
            if written is None or written[0] <= number <= written[1]:
                chords[onset] = None if chord is None else chord.transpose(prompt.shift)
    return chords


def _shared_out(symbols: Sequence[str], number: int) -> list[str]:
    """Return the symbol of each of a number of beats; the symbols, if any, share them as evenly as possible."""
    shares = [place * number // len(symbols) for place in range(len(symbols) + 1)] if symbols else []
    return [symbol for symbol, (first, stop) in zip(symbols, pairwise(shares), strict=True) for _ in range(first, stop)]


def _shortened(symbols: Sequence[str]) -> Sequence[str]:
    """Return the fewest symbols of equal length that `_shared_out` turns into these."""
    for length in range(len(symbols), 1, -1):
        fewer = symbols[::length]
        if len(symbols) % length == 0 and _shared_out(fewer, len(symbols)) == list(symbols):
            return fewer
    return symbols
