"""Hints: tokens that tell the model what is coming, next to the notes it writes.

A model that sees the given melody only up to the present cannot prepare a cadence. So the stream of a vocabulary with
hint tokens states, at the place where it matters:

* in the prefix: the **key** (`Key_0-major`), and the **harmonic rhythm** (`Harmony_beat`: a chord for each beat);
* after `Bar TimeSig`: the **bars left** until the end, this one included (`Left_8` for eight or more), and in a gap
  between given music (infill), the bars left of the gap and the **pitch class after it** in every voice to write; the
  latter again on each of the gap's last four beats, with the beats left (`Gap_1 After_3-7`);
* on a beat, after the given notes: the **pitch classes ahead**, which sound in the given voices at the next beats
  (`Ahead_1-7`, or `Ahead_1-hold` for a note that goes on), four of the highest given voice, two of each other one;
* then the **beats until the phrase ends** (`Phrase_0` at its last note; see `PhraseClose` for one off the beat);
* then, before the notes to write: the **chord**, given or written by the model: root (`Root_7`), then quality and
  inversion (`Quality_maj-0`).

Each kind but the pitch classes ahead can be left out. Given notes stand before written ones at every onset. Hints have
tokens of their own: a model that saw coming notes as pitches took them for notes that had sounded.

Units: grid ticks of the vocabulary from the beginning of the piece.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from descant_tokenizers.scores.key import NUM_PITCH_CLASSES
from descant_tokenizers.tokens.harmony import ChordLabel, PieceKey, SoundingNote, beats, sounding_notes
from descant_tokenizers.tokens.hint_tokens import (
    BEATS_AHEAD,
    BEATS_AHEAD_OTHERS,
    CADENCE_BEATS,
    HOLD,
    MAX_BARS_LEFT,
    MAX_BEATS_LEFT,
    NO_CHORD,
    QUALITIES,
    REST,
)
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece
from descant_tokenizers.tokens.vocabulary import Vocabulary


@dataclass(frozen=True)
class Annotations:
    """What is known about a piece besides its notes; what is None or empty is left to the model.

    Attributes:
        phrase_ends: Onsets of the last note of each phrase, ascending; None if phrases are not known.
        key: The key in which it ends.
        chords: Chord at beats, None for a beat without one.
        harmonic_rhythm: One of `HARMONIC_RHYTHMS`.
        ends: True if the last bar is the end of the music.
        writes_chords: True if chords are to be written at cadences (`cadence_beats`) where `chords` has none.
    """

    phrase_ends: tuple[int, ...] | None = None
    key: PieceKey | None = None
    chords: Mapping[int, ChordLabel | None] | None = None
    harmonic_rhythm: str | None = None
    ends: bool = True
    writes_chords: bool = False

    def shift(self, ticks: int) -> Annotations:
        """Return the annotations of the piece without its first ticks."""
        ends, chords = self.phrase_ends, self.chords
        if ends is not None:
            ends = tuple(end - ticks for end in ends if end >= ticks)
        if chords is not None:
            chords = {at - ticks: chord for at, chord in chords.items() if at >= ticks}
        return replace(self, phrase_ends=ends, chords=chords)

    def transpose(self, semitones: int) -> Annotations:
        """Return the annotations of the piece moved by semitones."""
        key = None if self.key is None else self.key.transpose(semitones)
        chords = self.chords
        if chords is not None:
            chords = {at: None if chord is None else chord.transpose(semitones) for at, chord in chords.items()}
        return replace(self, key=key, chords=chords)


class PhraseClose(NamedTuple):
    """Where a phrase ends, as hints tell it.

    Attributes:
        beat_ticks: The beat of its last note. Of a note off the beat, it is the next beat if the note still sounds
            there, otherwise the beat in which it begins.
        end_ticks: End of the last note.
        pitch: Its pitch, that of the highest if several voices have one; None if no note begins there.
    """

    beat_ticks: int
    end_ticks: int
    pitch: int | None


def phrase_closes(piece: Piece, phrase_ends: Sequence[int] | None) -> tuple[PhraseClose, ...]:
    """Return the ends of phrases, given the onsets of their last notes; none where phrases are not known."""
    onsets, last_notes = beats(piece), dict[int, list[SoundingNote]]()
    for note in sounding_notes(piece):
        last_notes.setdefault(note.start_ticks, []).append(note)
    found: dict[int, PhraseClose] = {}
    for onset in phrase_ends or ():
        notes = last_notes.get(onset, [])
        end = max((note.end_ticks for note in notes), default=onset)
        place = max(0, bisect.bisect_right(onsets, onset) - 1)
        if onsets[place] < onset and place + 1 < len(onsets) and onsets[place + 1] < end:
            place += 1
        pitch = max((note.pitch for note in notes), default=None)
        found[onsets[place]] = PhraseClose(onsets[place], max(end, onsets[place]), pitch)
    return tuple(found.values())


def cadence_beats(piece: Piece, phrase_ends: Sequence[int] | None) -> frozenset[int]:
    """Return the last `CADENCE_BEATS` beats of each phrase; none where phrases are not known."""
    onsets, found = beats(piece), set[int]()
    for close in phrase_closes(piece, phrase_ends):
        stop = onsets.index(close.beat_ticks) + 1
        found.update(onsets[max(0, stop - CADENCE_BEATS) : stop])
    return frozenset(found)


class HintIds:
    """The hint tokens of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        names = {name: i for i, name in enumerate(vocabulary.names)}
        self.root = [names[f"Root_{root}"] for root in range(NUM_PITCH_CLASSES)]
        self.no_chord = names[f"Quality_{NO_CHORD}"]
        self.chord_kind = {
            (quality, inversion): names[f"Quality_{quality}-{inversion}"]
            for quality, (steps, _) in QUALITIES.items()
            for inversion in range(len(steps))
        }
        self.kind_of = {i: kind for kind, i in self.chord_kind.items()}
        self._names = names

    def key(self, key: PieceKey) -> int:
        """Return the token of a key."""
        return self._names[f"Key_{key.tonic}-{'major' if key.is_major else 'minor'}"]

    def harmonic_rhythm(self, name: str) -> int:
        """Return the token of a harmonic rhythm."""
        return self._names[f"Harmony_{name}"]

    def ahead(self, beat: int, sound: int | str) -> int:
        """Return the token for what sounds some beats ahead: a pitch class, `HOLD` or `REST`."""
        return self._names[f"Ahead_{beat}-{sound}"]

    def after(self, voice: int, pitch: int) -> int:
        """Return the token for the pitch at which a voice to write goes on after a gap."""
        return self._names[f"After_{voice}-{pitch % NUM_PITCH_CLASSES}"]

    def bars_left(self, number: int) -> int:
        """Return the token for a number of bars until the end, 1 for the last bar."""
        return self._names[f"Left_{min(number, MAX_BARS_LEFT)}"]

    def gap_left(self, number: int) -> int:
        """Return the token for a number of bars (or, on a beat, of beats) until given music goes on, 1 for the last."""
        return self._names[f"Gap_{min(number, MAX_BARS_LEFT)}"]

    def beats_left(self, number: int) -> int:
        """Return the token for a number of beats until the last note of the phrase."""
        return self._names[f"Phrase_{min(number, MAX_BEATS_LEFT)}"]

    def chord(self, chord: ChordLabel | None) -> list[int]:
        """Return the tokens of a chord, one for none, otherwise two."""
        if chord is None:
            return [self.no_chord]
        return [self.root[chord.root], self.chord_kind[chord.quality, chord.inversion]]

    def chord_ids(self, root_id: int | None = None, pitch: int | None = None) -> list[int]:
        """Return the tokens with which a chord begins, or goes on after the token of its root.

        Args:
            root_id: Token of the root; None before it.
            pitch: A pitch that must be in the chord; None for any chord, and the token for none.
        """
        found = []
        for root, token_id in enumerate(self.root):
            kinds = [
                kind
                for (quality, inversion), kind in self.chord_kind.items()
                if pitch is None or pitch % NUM_PITCH_CLASSES in ChordLabel(root, quality, inversion).pitch_classes
            ]
            if root_id == token_id:
                return kinds
            if kinds:
                found.append(token_id)
        return found if pitch is not None else [*found, self.no_chord]


def has_hints(vocabulary: Vocabulary) -> bool:
    """Return True if a vocabulary has the hint tokens."""
    return f"Ahead_1-{HOLD}" in vocabulary.names


class Guide:
    """The hints of one piece and span.

    Args:
        ids: The vocabulary's hint tokens.
        vocabulary: The vocabulary.
        context: All bars with the given notes.
        voices: Ranks of the voices to write.
        bars: Bars to write, a run of indices.
        annotations: What is known.
    """

    def __init__(
        self,
        ids: HintIds,
        vocabulary: Vocabulary,
        context: Piece,
        voices: Sequence[int],
        bars: range,
        annotations: Annotations,
    ) -> None:
        self.ids, self.annotations = ids, annotations
        self._vocabulary, self._context, self._voices, self._bars = vocabulary, context, tuple(voices), bars
        self._starts = context.bar_starts_ticks()
        self._beats = beats(context)
        self.beats = frozenset(self._beats)
        self._lines: dict[int, list[SoundingNote]] = {}
        for note in sounding_notes(context):
            self._lines.setdefault(note.voice, []).append(note)
        self._onsets = {voice: [note.start_ticks for note in line] for voice, line in self._lines.items()}
        given = [voice for voice in self._lines if voice not in self._voices]
        self._given = sorted(given, key=lambda voice: -_mean_pitch(self._lines[voice]))

    @property
    def given_lines(self) -> dict[int, list[SoundingNote]]:
        """The notes of each given voice, by onset."""
        return {voice: self._lines[voice] for voice in self._given}

    @property
    def shows_chords(self) -> bool:
        """True if chords are in the stream."""
        return self.annotations.chords is not None or self.annotations.writes_chords

    def header(self) -> list[int]:
        """Return the hints of the prefix."""
        known = self.annotations
        key = [] if known.key is None else [self.ids.key(known.key)]
        rhythm = [] if known.harmonic_rhythm is None else [self.ids.harmonic_rhythm(known.harmonic_rhythm)]
        return [*key, *rhythm]

    def bar(self, index: int) -> list[int]:
        """Return the hints after the `Bar TimeSig` of a bar to write."""
        found, num_bars = [], len(self._context.bars)
        if self.annotations.ends:
            found.append(self.ids.bars_left(num_bars - index))
        if self._bars.stop < num_bars:
            found += [self.ids.gap_left(self._bars.stop - index), *self._after_gap]
        return found

    @cached_property
    def _after_gap(self) -> list[int]:
        """The tokens for the pitches at which the voices to write go on after the gap."""
        found = []
        for voice in self._voices:
            place = bisect.bisect_left(self._onsets.get(voice, ()), self._starts[self._bars.stop])
            if place < len(self._lines.get(voice, ())):
                found.append(self.ids.after(voice, self._lines[voice][place].pitch))
        return found

    def onset(self, bar: int, offset_ticks: int, given: Sequence[GridNote]) -> list[int]:
        """Return what follows the `Position` of an onset in a bar to write: the given notes, each with its hints."""
        vocabulary, meter = self._vocabulary, self._context.bars[bar].meter
        now, durations = self._starts[bar] + offset_ticks, vocabulary.duration_id[meter.denominator]
        found: list[int] = []
        for note in given:
            found += [
                vocabulary.voice_id[note.voice],
                vocabulary.pitch_id[note.pitch],
                durations[note.duration_ticks],
            ]
        if now not in self.beats:
            return found
        for place, voice in enumerate(self._given):
            found += self._ahead(voice, now, BEATS_AHEAD_OTHERS if place else BEATS_AHEAD)
        if self._bars.stop < len(self._context.bars):
            left = self._beats_until(self._starts[self._bars.stop], now)
            found += [self.ids.gap_left(left), *self._after_gap] if left <= BEATS_AHEAD else []
        ends = (close.beat_ticks for close in self.phrase_closes)
        if self._given and (end := next((end for end in ends if end >= now), None)) is not None:
            found.append(self.ids.beats_left(self._beats_until(end, now)))
        return found

    def _beats_until(self, end: int, now: int) -> int:
        return bisect.bisect_left(self._beats, end) - bisect.bisect_left(self._beats, now)

    def chord_at(self, bar: int, offset_ticks: int) -> ChordLabel | bool | None:
        """Return the chord at an onset: False if none is due there, True if the model writes it."""
        now = self._starts[bar] + offset_ticks
        if not self.shows_chords or now not in self.beats:
            return False
        chords = self.annotations.chords or {}
        if now in chords:
            return chords[now]
        return self.annotations.writes_chords and now in self._cadence_beats

    @cached_property
    def phrase_closes(self) -> tuple[PhraseClose, ...]:
        """The ends of phrases, ascending; none where phrases are not known."""
        return phrase_closes(self._context, self.annotations.phrase_ends)

    @cached_property
    def given_spans(self) -> tuple[tuple[int, int], ...]:
        """The times at which a given voice sounds: onset and end of each, ascending, none touching the next."""
        found: list[tuple[int, int]] = []
        for start, end in sorted((note.start_ticks, note.end_ticks) for v in self._given for note in self._lines[v]):
            if found and start <= found[-1][1]:
                found[-1] = found[-1][0], max(end, found[-1][1])
            else:
                found.append((start, end))
        return tuple(found)

    @cached_property
    def _cadence_beats(self) -> frozenset[int]:
        return cadence_beats(self._context, self.annotations.phrase_ends)

    def _ahead(self, voice: int, now: int, number: int) -> Iterator[int]:
        """Yield the tokens of what sounds in a given voice at the next beats."""
        first = bisect.bisect_right(self._beats, now)
        line, onsets, before = self._lines[voice], self._onsets[voice], now
        for slot in range(number):
            sound: int | str = REST
            if first + slot < len(self._beats):
                at = self._beats[first + slot]
                place = bisect.bisect_right(onsets, at) - 1
                if place >= 0 and line[place].end_ticks > at:
                    is_held = line[place].start_ticks <= before
                    sound = HOLD if is_held else line[place].pitch % NUM_PITCH_CLASSES
                before = at
            yield self.ids.ahead(slot + 1, sound)


def guided_bar(
    guide: Guide, vocabulary: Vocabulary, index: int, bar: GridBar, voices: Sequence[int]
) -> tuple[list[int], list[bool]]:
    """Return the ids of a bar to write, complete and with all hints, after its `Bar TimeSig`; and its loss mask."""
    ids = guide.bar(index)
    loss_mask = [False] * len(ids)
    durations = vocabulary.duration_id[bar.meter.denominator]
    by_onset: dict[int, list[GridNote]] = {}
    for note in bar.notes:
        by_onset.setdefault(note.offset_ticks, []).append(note)
    for offset, notes in sorted(by_onset.items()):
        ids.append(vocabulary.position_id[offset // bar.meter.position_ticks])
        loss_mask.append(True)
        given = guide.onset(index, offset, [note for note in notes if note.voice not in voices])
        ids += given
        loss_mask += [False] * len(given)
        chord = guide.chord_at(index, offset)
        if not isinstance(chord, bool):
            tokens = guide.ids.chord(chord)
            ids += tokens
            loss_mask += [guide.annotations.writes_chords] * len(tokens)
        for note in notes:
            if note.voice in voices:
                ids += [
                    vocabulary.voice_id[note.voice],
                    vocabulary.pitch_id[note.pitch],
                    durations[note.duration_ticks],
                ]
                loss_mask += [True] * 3
    return ids, loss_mask


def _mean_pitch(line: Sequence[SoundingNote]) -> float:
    return sum(note.pitch for note in line) / len(line)
