"""Voice leading while sampling: pitches that would make parallels, or leaps that are hard to sing.

Two voices make parallels where both move in the same direction from a perfect fifth (octave, unison) to another one.
Bach writes them at about one in a thousand pitch changes, mostly across the end of a phrase; a small model writes
twenty times as many. Nor, but for phrase ends, does he move from octave to octave in contrary motion, or from beat to
beat with a note between; and rarely the outer voices in the same direction into a fifth or octave with a leap above (a
hidden one). All these are forbidden note by note, when a voice chooses its pitch: of two voices that move
together, the one that is written later gives way. The spelling of a leap in the key decides if it is augmented.

Units: ticks of the vocabulary's grid from the beginning of the piece; pitches are MIDI numbers.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Final, NamedTuple

from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_modeling.decoding.chord_rules import is_seventh, not_resolving, without_third
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.template import Template
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.key import estimate_key, tonic_and_mode
from descant_tokenizers.tokens.harmony import PieceKey, SoundingNote
from descant_tokenizers.tokens.hints import has_hints
from descant_tokenizers.tokens.kinds import has_plain_lines
from descant_tokenizers.tokens.piece import GridNote
from descant_tokenizers.tokens.tasks import Task
from descant_tokenizers.tokens.vocabulary import Vocabulary

STEP: Final = 2
"""Semitones of the widest step; what is wider is a leap."""
TRITONE_FIFTHS: Final = 6
"""Places on the line of fifths towards the sharps from which on a rising interval is augmented."""
_OCTAVE = 12
_NUM_PITCHES = 128
_PERFECT = (0, 7)
_REMEMBERED = 6  # notes of a voice: those of a beat in 16ths, and one on either side

# Line-of-fifths places of the twelve degrees above the tonic, as a note is usually spelled in a major and a minor key
# (the raised fourth and the lowered seventh in both; in minor also the lowered second, in major the raised first and
# fifth).
MAJOR_FIFTHS: Final = (0, 7, 2, -3, 4, -1, 6, 1, 8, 3, -2, 5)
MINOR_FIFTHS: Final = (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5)


def key_of_notes(notes: Iterable[tuple[int, int]]) -> PieceKey | None:
    """Estimate the key of notes, given as pitch and duration in any unit; None if there are none."""
    track = TrackTick("", 0, False)
    for pitch, duration in notes:
        track.notes.append(NoteTick(0, duration, pitch, 1))
    if not track.notes:
        return None
    score = ScoreTick(1)
    score.tracks.append(track)
    return PieceKey(*tonic_and_mode(estimate_key(score)))


def augmented_leaps(key: PieceKey, pitch: int) -> frozenset[int]:
    """Return the MIDI pitches, up to an octave away, that an augmented leap reaches from a pitch."""
    fifths = MAJOR_FIFTHS if key.is_major else MINOR_FIFTHS
    place = fifths[(pitch - key.tonic) % _OCTAVE]
    leaps = (leap for leap in range(-_OCTAVE, _OCTAVE + 1) if abs(leap) > STEP)
    return frozenset(
        pitch + leap
        for leap in leaps
        if (1 if leap > 0 else -1) * (fifths[(pitch + leap - key.tonic) % _OCTAVE] - place) >= TRITONE_FIFTHS
    )


@lru_cache(maxsize=1 << 12)
def _hard_leaps(key: PieceKey | None, pitch: int) -> frozenset[int]:
    """Return the MIDI pitches that leaps from a pitch must not reach."""
    wide = frozenset(other for other in range(_NUM_PITCHES) if abs(other - pitch) > _OCTAVE)
    return wide if key is None else wide | augmented_leaps(key, pitch)


@dataclass(frozen=True)
class LeadingRules:
    """Rules that voices keep.

    Attributes:
        parallels: No parallel or hidden fifths and octaves.
        leaps: No augmented leaps or leaps over an octave.
        chords: Sevenths that resolve, and thirds in chords (see `chord_rules`), where beats are known: with hints.
    """

    parallels: bool = True
    leaps: bool = True
    chords: bool = True


def leading_rules(config: GenerationConfig, vocabulary: Vocabulary) -> LeadingRules | None:
    """Return the rules that are kept in music of a vocabulary; None if there are none."""
    if not has_plain_lines(vocabulary):
        return None
    chords = not config.allow_unresolved and has_hints(vocabulary)
    rules = LeadingRules(parallels=not config.allow_parallels, leaps=not config.allow_leaps, chords=chords)
    return rules if rules.parallels or rules.leaps or rules.chords else None


class _LineNote(NamedTuple):
    onset_ticks: int
    end_ticks: int
    pitch: int


class VoiceLeading:
    """The last notes of each voice, and the pitches they forbid.

    Args:
        num_voices: Number of voices.
        held: Earlier notes, with their onsets, in any order.
        rules: The rules; all by default.
        key: The key; without one, no leap counts as augmented.
        outer: Ranks of soprano and bass, for hidden fifths and octaves; None if there are none.
        phrase_ends: Onsets of the last chords of phrases. Parallels alone are forbidden there: a bass that may not take
            the tonic spoils a cadence.
        beats: Onsets of all beats, ascending, for the rules of chords; none if they are not known.
        given: The notes of voices of which all are known beforehand, those to come as well; by voice, ascending.
        slack_ticks: A voice sounds up to an onset if its note ends less than this before it: off the grid, a note that
            reaches the onset may end earlier in tokens.
    """

    def __init__(
        self,
        num_voices: int,
        held: Iterable[tuple[int, GridNote]] = (),
        rules: LeadingRules | None = None,
        key: PieceKey | None = None,
        outer: tuple[int, int] | None = None,
        phrase_ends: Collection[int] = (),
        beats: Sequence[int] = (),
        given: Mapping[int, Sequence[SoundingNote]] | None = None,
        slack_ticks: int = 1,
    ) -> None:
        self.rules, self.key, self.outer = rules or LeadingRules(), key, outer
        self.beats, self._beats = frozenset(beats), list(beats)
        self.phrase_ends = frozenset(phrase_ends)
        self._given, self._slack_ticks = given or {}, slack_ticks
        self._lines: list[list[_LineNote]] = [[] for _ in range(num_voices)]
        for onset, note in sorted(held):
            self.add(note.voice, onset, onset + note.duration_ticks, note.pitch)

    def add(self, voice: int, onset_ticks: int, end_ticks: int, pitch: int) -> None:
        """Add a note; those of a voice come in order."""
        self._lines[voice] = [*self._lines[voice][1 - _REMEMBERED :], _LineNote(onset_ticks, end_ticks, pitch)]

    def resize_last(self, voice: int, end_ticks: int) -> None:
        """Move the end of a voice's last note."""
        *before, last = self._lines[voice]
        self._lines[voice] = [*before, last._replace(end_ticks=end_ticks)]

    def copy(self) -> VoiceLeading:
        """Return a copy with the same notes."""
        twin = copy(self)
        twin._lines = list(self._lines)  # a voice's own list is replaced, never changed
        return twin

    def forbidden(self, voice: int, onset_ticks: int, due: Iterable[GridNote] = ()) -> set[int]:
        """Return the pitches on which a voice may not begin a note, by any rule; see `prohibitions`."""
        return set().union(*self.prohibitions(voice, onset_ticks, due))

    def prohibitions(
        self, voice: int, onset_ticks: int, due: Iterable[GridNote] = (), last_beat_ticks: int | None = None
    ) -> Iterator[set[int]]:
        """Yield the pitches that each rule forbids a voice to begin a note on, the most important rule first.

        Arguments are those of `parallels`.
        """
        if self.rules.parallels:
            yield self.parallels(voice, onset_ticks, due, last_beat_ticks)
        if self.rules.leaps:
            yield self.leaps(voice, onset_ticks)
        if self.rules.chords:
            yield self.unresolved(voice, onset_ticks)
            yield self.missing_thirds(voice, onset_ticks)

    def unresolved(self, voice: int, onset_ticks: int) -> set[int]:
        """Return the pitches that leave a voice's seventh unresolved."""
        own = self._before(voice, onset_ticks)
        if own is None or not self._has_seventh(voice, own, onset_ticks):
            return set()
        return set(not_resolving(own))

    def missing_thirds(self, voice: int, onset_ticks: int) -> set[int]:
        """Return the pitches that complete a chord without its third, on a beat.

        Later beats count as long as the other voices are held into them: a third that only a given voice has, and
        leaves, is not enough.
        """
        found: set[int] = set()
        if onset_ticks not in self.beats:
            return found
        for beat in self._beats[bisect.bisect_left(self._beats, onset_ticks) :]:
            others = [self._at(other, beat) for other in range(len(self._lines)) if other != voice]
            sounding = tuple(sorted(pitch for pitch in others if pitch is not None))
            if len(sounding) < len(others):
                break
            found |= without_third(sounding)
        return found

    def _has_seventh(self, voice: int, pitch: int, onset_ticks: int) -> bool:
        """Return True if a voice's last pitch was the seventh of a chord, on a beat of the phrase that goes on."""
        start = onset_ticks
        for note in reversed(self._lines[voice]):
            if note.pitch != pitch or note.end_ticks < start:
                break
            start = note.onset_ticks
        for beat in self._beats[bisect.bisect_left(self._beats, start) : bisect.bisect_left(self._beats, onset_ticks)]:
            sounding = (self._at(other, beat) for other in range(len(self._lines)))
            if is_seventh(pitch, (each for each in sounding if each is not None)):
                return not any(beat <= end < onset_ticks for end in self.phrase_ends)
        return False

    def leaps(self, voice: int, onset_ticks: int) -> set[int]:
        """Return the pitches that a voice would reach by an augmented leap, or by one over an octave."""
        own = self._before(voice, onset_ticks)
        if own is None:
            return set()
        return set(_hard_leaps(self.key, own))

    def parallels(
        self, voice: int, onset_ticks: int, due: Iterable[GridNote] = (), last_beat_ticks: int | None = None
    ) -> set[int]:
        """Return the pitches by which a voice that begins a note would move in parallel with another one.

        The other voice begins a note at the same onset: it has already, or its note is `due`.

        Args:
            voice: The voice.
            onset_ticks: The onset.
            due: Notes that other voices will begin there.
            last_beat_ticks: The beat before, if the onset is on a beat: octaves on both are forbidden too.
        """
        own = self._before(voice, onset_ticks)
        if own is None:
            return set()
        now = {note.voice: note.pitch for note in due}
        for other, line in enumerate(self._lines):
            if line and line[-1].onset_ticks == onset_ticks:
                now[other] = line[-1].pitch
        found: set[int] = set()
        is_end = onset_ticks in self.phrase_ends
        for other, pitch in now.items():
            last = self._before(other, onset_ticks)
            if other != voice and last is not None and last != pitch:
                found.update(_parallel_pitches(own, last, pitch, contrary=not is_end))
                if self.outer in ((voice, other), (other, voice)) and not is_end:
                    found.update(_hidden_pitches(own, last, pitch, is_soprano=voice == self.outer[0]))
            if other != voice and last_beat_ticks is not None and not is_end:
                found.update(self._beat_octaves(voice, other, pitch, last_beat_ticks))
        return found

    def _beat_octaves(self, voice: int, other: int, pitch: int, beat_ticks: int) -> Iterator[int]:
        """Yield the pitches at an octave from another voice's new pitch, if both were an octave apart at a beat."""
        own, last = self._at(voice, beat_ticks), self._at(other, beat_ticks)
        if own is None or last is None or last == pitch or (own - last) % _OCTAVE:
            return
        yield from (target for target in range(pitch % _OCTAVE, _NUM_PITCHES, _OCTAVE) if target != own)

    def _at(self, voice: int, ticks: int) -> int | None:
        """Return the pitch that a voice sounds at a time, of its notes so far; of a given voice, of all its notes."""
        if voice in self._given:
            line = self._given[voice]
            place = bisect.bisect_right(line, ticks, key=attrgetter("start_ticks")) - 1
            return line[place].pitch if place >= 0 and ticks < line[place].end_ticks else None
        notes = (note for note in self._lines[voice] if note.onset_ticks <= ticks < note.end_ticks)
        return next((note.pitch for note in notes), None)

    def _before(self, voice: int, onset_ticks: int) -> int | None:
        """Return the pitch of a voice up to an onset, if it sounded."""
        for note in reversed(self._lines[voice]):
            if note.onset_ticks < onset_ticks:
                return note.pitch if note.end_ticks > onset_ticks - self._slack_ticks else None
        return None


@lru_cache(maxsize=1 << 12)
def _parallel_pitches(own: int, last: int, pitch: int, *, contrary: bool) -> frozenset[int]:
    """Return the pitches to which a voice at `own` would follow another one from `last` to `pitch` in parallel.

    With `contrary`, octaves count in contrary motion as well.
    """
    interval = abs(last - own) % _OCTAVE
    if interval not in _PERFECT:
        return frozenset()
    onward = range(own + 1, _NUM_PITCHES) if pitch > last else range(own)
    targets = range(_NUM_PITCHES) if contrary and interval == 0 else onward
    return frozenset(target for target in targets if target != own and abs(pitch - target) % _OCTAVE == interval)


@lru_cache(maxsize=1 << 12)
def _hidden_pitches(own: int, last: int, pitch: int, *, is_soprano: bool) -> frozenset[int]:
    """Return the pitches to which an outer voice at `own` would follow the other one into a fifth or octave.

    The soprano leaps: the voice at `own` if `is_soprano`, otherwise the other one, from `last` to `pitch`.
    """
    onward = range(own + 1, _NUM_PITCHES) if pitch > last else range(own)
    return frozenset(
        target
        for target in onward
        if abs(target - own if is_soprano else pitch - last) > STEP and abs(pitch - target) % _OCTAVE in _PERFECT
    )


def voice_leading_of(template: Template, vocabulary: Vocabulary, rules: LeadingRules) -> VoiceLeading:
    """Return the voice leading of the voices to write, with the context notes that are known beforehand."""
    context = [*(note for _, note in template.held), *(note for bar in template.inside for note in bar)]
    known = template.span.annotations
    key = known.key if known is not None else None
    if key is None and rules.leaps:
        key = key_of_notes((note.pitch, note.duration_ticks) for note in context)
    names = vocabulary.voices
    outer = (names.index(VOICES[0]), names.index(VOICES[-1])) if set(names) == set(VOICES) else None
    guide = None if template.span.task is Task.CONTINUE else template.guide
    ends = [] if guide is None else [close.beat_ticks for close in guide.phrase_closes]
    ends += [] if template.span.ending is None else [template.span.ending.start_ticks]
    beats = () if guide is None else sorted(guide.beats)
    given = {} if guide is None else guide.given_lines
    slack = vocabulary.ticks_per_quarter // 4
    return VoiceLeading(vocabulary.num_voices, template.held, rules, key, outer, ends, beats, given, slack)
