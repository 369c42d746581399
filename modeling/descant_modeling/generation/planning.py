"""What the hints of a prompt say: its phrases, key, chords and end, as requested or as the prompt shows them.

Units: grid ticks of the vocabulary, except in requests.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence

from symusic.core import TrackTick

from descant_modeling.generation.base import Request
from descant_modeling.generation.prompts import Prompt
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.spelling import parse_key
from descant_tokenizers.tokens.harmony import (
    ChordLabel,
    PieceKey,
    SoundingNote,
    beats,
    closing_key,
    guess_phrase_ends,
    melody_key,
    parse_chord_name,
    sounding_notes,
)
from descant_tokenizers.tokens.hint_tokens import HARMONIC_RHYTHMS, NUM_PITCH_CLASSES
from descant_tokenizers.tokens.hints import Annotations

_RELATIVE_MINOR = 9  # semitones above the tonic of a major key


def annotations_of(request: Request, prompt: Prompt, *, writes_chords: bool = True) -> Annotations:
    """Return the annotations of a prompt, at the pitch at which the model sees it.

    Args:
        request: The request; what it leaves open is read from the prompt.
        prompt: The prompt on the grid.
        writes_chords: True if the model is to choose chords where none are given.

    Raises:
        InputError: A key, chord or harmonic rhythm that does not exist.
    """
    rhythm = request.harmonic_rhythm
    if rhythm is not None and rhythm not in HARMONIC_RHYTHMS:
        raise InputError(f"The harmonic rhythm is '{rhythm}'. Choose from auto, {', '.join(HARMONIC_RHYTHMS)}.")
    piece = prompt.piece
    notes = sounding_notes(piece)
    ranks = sorted(set(piece.voices), key=lambda rank: -max((n.pitch for n in notes if n.voice == rank), default=0))
    lead = 0 if 0 in ranks or not ranks else ranks[0]
    chords = _chords(request.chords, prompt)
    return Annotations(
        phrase_ends=_phrase_ends(request, prompt, lead),
        key=prompt.key,
        chords=chords or None,
        harmonic_rhythm=rhythm,
        ends=True,
        writes_chords=writes_chords,
    )


def prompt_key(request: Request, lines: Iterable[TrackTick]) -> PieceKey | None:
    """Return the key in which a prompt ends: as requested, that of its harmony, or that of its melody if it is alone.

    Raises:
        InputError: The request names no key.
    """
    if request.key is None:
        notes = [SoundingNote(n.time, n.end, rank, n.pitch) for rank, line in enumerate(lines) for n in line.notes]
        return melody_key(notes) if len({note.voice for note in notes}) == 1 else closing_key(notes)
    key = parse_key(request.key)
    is_major = key.mode == "major"
    return PieceKey((key.sharps * 7 + (0 if is_major else _RELATIVE_MINOR)) % NUM_PITCH_CLASSES, is_major)


def _phrase_ends(request: Request, prompt: Prompt, lead: int) -> tuple[int, ...] | None:
    """Return the onsets of the last notes of phrases, as requested, as marked or as guessed; None for no phrases."""
    if request.phrases is not None:
        return _ends_in_bars(request.phrases, prompt, lead) or None
    if not request.phrase_ends:
        return guess_phrase_ends(prompt.piece, lead) or None
    found = {grid_ticks(prompt, tick) for tick in request.phrase_ends}
    last = [note.start_ticks for note in sounding_notes(prompt.piece) if note.voice == lead]
    return tuple(sorted({*found, *last[-1:]}))


def _ends_in_bars(numbers: Sequence[int], prompt: Prompt, lead: int) -> tuple[int, ...]:
    """Return the onset of the last note of the melody in each of some bars.

    Raises:
        InputError: The prompt has no such bar, or no note in it.
    """
    onsets = {}
    starts = prompt.piece.bar_starts_ticks()
    for note in sounding_notes(prompt.piece):
        if note.voice == lead:
            onsets[prompt.bars[bisect.bisect_right(starts, note.start_ticks) - 1].number] = note.start_ticks
    for number in numbers:
        if number not in onsets:
            raise InputError(f"No note of the melody begins in bar {number}. Give bars in which phrases end.")
    return tuple(sorted(onsets[number] for number in set(numbers)))


def grid_ticks(prompt: Prompt, tick: int) -> int:
    """Return a time of the prompt's score, in its ticks, on the grid."""
    starts = [bar.start_ticks for bar in prompt.bars]
    index = max(bisect.bisect_right(starts, tick) - 1, 0)
    before = sum(meter.bar_ticks for meter in prompt.meters[:index])
    return before + round((tick - starts[index]) / prompt.ticks_per_grid_tick)


def _chords(names: Sequence[str], prompt: Prompt) -> dict[int, ChordLabel | None]:
    """Return the chord at each beat, given the chords of each bar as text; those of a bar share its beats.

    Raises:
        InputError: A chord that does not exist, or more chords than beats or bars.
    """
    if not names:
        return {}
    bars = [index for index, bar in enumerate(prompt.bars) if bar.number > 0]
    if len(names) > len(bars):
        raise InputError(f"There are chords for {len(names)} bars, but the prompt has {len(bars)}. Give fewer chords.")
    starts, onsets = prompt.piece.bar_starts_ticks(), beats(prompt.piece)
    chords: dict[int, ChordLabel | None] = {}
    for index, text in zip(bars, names, strict=False):
        own = [onset for onset in onsets if starts[index] <= onset < starts[index + 1]]
        symbols = text.split()
        if len(symbols) > len(own):
            raise InputError(
                f"Bar {prompt.bars[index].number} has {len(symbols)} chords, but {len(own)} beats. Give fewer chords."
            )
        for place, symbol in enumerate(symbols):
            first, stop = place * len(own) // len(symbols), (place + 1) * len(own) // len(symbols)
            chord = parse_chord_name(symbol).transpose(prompt.shift)
            chords |= dict.fromkeys(own[first:stop], chord)
    return chords
