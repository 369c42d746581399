"""Marks of given notes in sheet music: syllables, grace notes, fermatas, articulations and slurs.

Units: quarter notes, as exact fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from music21 import articulations, chord, duration, expressions, note, pitch, spanner

from descant_tokenizers.rendering.layers import NoteGroup, Voice
from descant_tokenizers.rendering.signs import EXTENDED, LINE_END, AnyStream
from descant_tokenizers.scores.marks import Grace, GracePlace, Lyric, Marks, PartPlace, SlurEnd

_ARTICULATIONS: dict[str, Callable[[], articulations.Articulation]] = {
    "accent": articulations.Accent,
    "strong-accent": articulations.StrongAccent,
    "staccato": articulations.Staccato,
    "staccatissimo": articulations.Staccatissimo,
    "tenuto": articulations.Tenuto,
    "detached-legato": articulations.DetachedLegato,
    "spiccato": articulations.Spiccato,
    "stress": articulations.Stress,
    "unstress": articulations.Unstress,
    "breath-mark": articulations.BreathMark,
    "caesura": articulations.Caesura,
    "up-bow": articulations.UpBow,
    "down-bow": articulations.DownBow,
    "open-string": articulations.OpenString,
    "thumb-position": articulations.StringThumbPosition,
    "stopped": articulations.Stopped,
}
_ORNAMENTS: dict[str, Callable[[], expressions.Expression]] = {
    "trill-mark": expressions.Trill,
    "mordent": expressions.Mordent,
    "inverted-mordent": expressions.InvertedMordent,
    "turn": expressions.Turn,
    "inverted-turn": expressions.InvertedTurn,
    "arpeggiate": expressions.ArpeggioMark,
}
_AT_END = ("breath-mark", "caesura")


class NoteMarks:
    """Attaches the marks of given notes to the music21 elements that show them.

    Args:
        marks: The marks.
        spell: Spells a pitch at an onset, as written (step and alteration) if that is given.
    """

    def __init__(self, marks: Marks, spell: Callable[[int, Fraction, tuple[str, int] | None], pitch.Pitch]) -> None:
        self._marks, self._spell = marks, spell
        self._fermatas: dict[int, list[Fraction]] = {}  # onsets by pitch
        for onset, number in marks.fermatas:
            self._fermatas.setdefault(number, []).append(onset)
        self._homes: dict[int, AnyStream] = {}  # the music21 part of each part of the marks
        self._elements: dict[SlurEnd, list[note.NotRest]] = {}  # of each given note, and grace note

    def home(self, part: int | None) -> AnyStream | None:
        """Return the music21 part that shows a part of the marks, None if it is not shown."""
        return None if part is None else self._homes.get(part)

    def settle(self, voice: Voice, part: AnyStream) -> None:
        """Say which music21 part shows a voice."""
        if voice.part is not None:
            self._homes[voice.part] = part

    def attach(
        self,
        element: note.NotRest,
        voice: Voice,
        group: NoteGroup,
        *,
        is_first: bool,
        is_last: bool,
        is_upper: bool | None,
    ) -> None:
        """Attach the marks of a group to one of its elements: the first has the syllables, the last the fermata."""
        if is_first:
            self._put_lyrics(element, voice, group)
        symbols = [name for place in _given_places(voice, group) for name in self._marks.symbols.get(place, ())]
        for name in dict.fromkeys(symbols):
            if is_last if name in _AT_END else is_first:
                _put_symbol(element, name)
        for place in _given_places(voice, group):
            self._elements.setdefault(place, []).append(element)
        if is_last and self._has_fermata(group):
            mark = expressions.Fermata()
            mark.type = "inverted" if is_upper is False else "upright"
            element.expressions.append(mark)

    def graces(self, voice: Voice, group: NoteGroup) -> Iterator[note.GeneralNote]:
        """Yield the grace notes before a group: those of several notes together, the last ones of each together."""
        together: dict[int, list[tuple[GracePlace, Grace]]] = {}
        for place in _given_places(voice, group):
            graces = self._marks.graces.get(place, ())
            for number, own in enumerate(graces):
                together.setdefault(len(graces) - number, []).append(((*place, number), own))
        for _, members in sorted(together.items(), reverse=True):
            grace = self._grace([own for _, own in members], group.onset)
            self._elements |= {place: [grace] for place, _ in members}
            yield grace

    def _grace(self, members: Sequence[Grace], onset: Fraction) -> note.NotRest:
        """Return a grace note, or a chord of all of them."""
        spellings: dict[int, tuple[str, int] | None] = {}
        for own in members:
            spellings |= zip(own.pitches, own.spellings or (None,) * len(own.pitches), strict=True)
        heads = [note.Note(self._spell(number, onset, spellings[number])) for number in sorted(spellings)]
        element: note.NotRest = heads[0] if len(heads) == 1 else chord.Chord(heads)
        element.duration = duration.Duration(quarterLength=members[0].length)
        grace = element.getGrace()
        grace.duration.slash = members[0].has_slash
        for name in dict.fromkeys(name for own in members for name in own.symbols):
            _put_symbol(grace, name)
        if any(own.has_fermata for own in members):
            grace.expressions.append(expressions.Fermata())
        found: note.NotRest = grace
        return found

    def write_slurs(self, parts: Sequence[Sequence[AnyStream]]) -> int:
        """Write the slurs between given notes; return the number of those between parts or notes of one chord.

        Args:
            parts: The staves of each part.
        """
        num_lost = 0
        numbers = {id(staff): number for number, staves in enumerate(parts) for staff in staves}
        for first, last in self._marks.slurs:
            home, other = self.home(first[0]), self.home(last[0])
            if home is None or other is None or first not in self._elements or last not in self._elements:
                continue
            begin, end = self._elements[first][0], self._elements[last][-1]
            if numbers[id(home)] != numbers[id(other)] or (
                begin is end and first[1] == last[1] and first[2] != last[2]
            ):
                num_lost += 1
            elif begin is not end:  # tied notes in the file may be one in print
                home.insert(0, spanner.Slur(begin, end))
        return num_lost

    def _put_lyrics(self, element: note.NotRest, voice: Voice, group: NoteGroup) -> None:
        """Put syllables under a note; those of a verse stand at one note of a chord."""
        lyrics: list[Lyric] = []
        for place in _given_places(voice, group):
            known = {each.verse for each in lyrics}
            lyrics += [each for each in self._marks.lyrics.get(place, ()) if each.verse not in known]
        for each in sorted(lyrics, key=lambda lyric: lyric.verse):
            text = (each.text or LINE_END) + EXTENDED * each.is_extended
            element.lyrics.append(note.Lyric(text, number=each.verse, syllabic=each.syllabic, applyRaw=True))

    def _has_fermata(self, group: NoteGroup) -> bool:
        """Return True if a note has a fermata, or ends together with another voice's note that has one."""
        if group.end in self._marks.fermata_ends:
            return True
        return any(
            group.onset <= onset < group.end
            for number, given in group.pitches
            if given
            for onset in self._fermatas.get(number, ())
        )


def _given_places(voice: Voice, group: NoteGroup) -> Iterator[PartPlace]:
    """Yield the places of given notes of a part in the file."""
    if voice.part is not None:
        for number, given in group.pitches:
            if given:
                yield voice.part, group.time, number


def _put_symbol(element: note.NotRest, name: str) -> None:
    """Put an articulation, ornament or technique on a note."""
    if name in _ARTICULATIONS:
        element.articulations.append(_ARTICULATIONS[name]())
    elif name in _ORNAMENTS:
        element.expressions.append(_ORNAMENTS[name]())
    else:
        tremolo = expressions.Tremolo()
        tremolo.numberOfMarks = int(name.rpartition("-")[2])
        element.expressions.append(tremolo)
