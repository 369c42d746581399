"""MusicXML files as scores, with their marks, metadata and a report of what was left out.

Units: quarter notes, as exact fractions; ticks where a name says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TrackTick

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.bars import DEFAULT_SIGNATURE
from descant_tokenizers.scores.marks import Grace, Lyric, Marks, PartPlace, Place, RepeatSign, Words
from descant_tokenizers.scores.measures import DEFAULT_VELOCITY, TICKS_PER_QUARTER, Measure
from descant_tokenizers.scores.musicxml.closed import four_voices
from descant_tokenizers.scores.musicxml.elements import (
    Report,
    WrittenMeasure,
    WrittenNote,
    WrittenPart,
    number_of,
    text_of,
)
from descant_tokenizers.scores.musicxml.parser import PartParser, measures_of_parts
from descant_tokenizers.scores.names import VOICES
from descant_tokenizers.scores.preflight import check_musicxml
from descant_tokenizers.scores.repeats import Notation
from descant_tokenizers.scores.validation import Limits, Metadata

_MAX_TICKS = 2**31 - 1  # symusic keeps ticks in 32 bits
_MAX_TITLE = 200
_MAX_RIGHTS = 500
_ROUNDING = Fraction(1, 8)
_SIGN_ORDER = ("end", "double", "to coda", "fine", "da capo", "dal segno", "part", "segno", "coda", "start", "ending")
_MODES = ("dorian", "phrygian", "lydian", "mixolydian", "locrian")
_PLACEHOLDERS = ("music21", "music21 fragment", "untitled", "title", "composer", "unknown")
_SUFFIXES = (".musicxml", ".mscz", ".mscx", ".mxl", ".xml", ".mid", ".midi", ".abc", ".krn", ".sib", ".mus", ".musx")

_T = TypeVar("_T")


def read_musicxml(path: Path, data: bytes, limits: Limits) -> tuple[Notation, Metadata, list[str]]:
    """Read a MusicXML file.

    Args:
        path: The file, for messages.
        data: Its text, uncompressed.
        limits: Bounds on what is read.

    Returns:
        The score as written, its metadata, and what was left out, one phrase for all kinds.

    Raises:
        InputError: The file is damaged, declares XML entities, or exceeds a bound.
    """
    preflight = check_musicxml(path, data, limits)
    is_utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        root = ElementTree.fromstring(data.decode("utf-16" if is_utf16 else preflight.encoding or "utf-8-sig"))
        report = Report()
        parts, measures = _read_parts(root, report)
        return _notation(root, parts, measures, report), _metadata(root), report.sentences()
    except InputError as error:
        raise InputError(str(error).replace("The file", str(path), 1)) from error
    except (ArithmeticError, LookupError, ValueError, ElementTree.ParseError) as error:
        reason = printable(str(error), 120)
        raise InputError(f"{path} cannot be read as MusicXML ({reason}). Export it again.") from error


def _read_parts(root: Element, report: Report) -> tuple[list[WrittenPart], list[Measure]]:
    """Read the parts measure by measure; all parts begin each measure together (see `_length_of`)."""
    listed = {part.get("id", ""): part for part in root.iter("score-part")}
    contents = measures_of_parts(root)
    parsers = [
        PartParser(_described(listed.get(name), name, number), report) for number, name in enumerate(contents, start=1)
    ]
    measures: list[Measure] = []
    start = Fraction(0)
    meter = DEFAULT_SIGNATURE
    for index in range(max((len(own) for own in contents.values()), default=0)):
        found = [
            parser.parse(own[index], start)
            for parser, own in zip(parsers, contents.values(), strict=True)
            if index < len(own)
        ]
        meter = next((each.meter for each in found if each.meter is not None), meter)
        length = _length_of(found, Fraction(4 * meter[0], meter[1]))
        measures.append(Measure(start, length, *meter))
        start += length
        if start * TICKS_PER_QUARTER > _MAX_TICKS:
            raise InputError(f"The file lasts {float(start):,.0f} quarter notes. Cut it shorter.")
    for parser in parsers:
        parser.finish()
    return [parser.part for parser in parsers], measures


def _length_of(measure: Sequence[WrittenMeasure], nominal: Fraction) -> Fraction:
    """Return the length of a measure, given its content in each part.

    It is that of the time signature if the content of a part says so; else, as in a pickup, that of most parts, the
    longest of equals. A content that misses the time signature by less than a 32nd comes of rounded tuplets.
    """
    lengths = [nominal if abs(each.length - nominal) < _ROUNDING else each.length for each in measure if each.length]
    if not lengths or (nominal in lengths and not any(each.is_implicit for each in measure)):
        return nominal
    return max(lengths, key=lambda length: (lengths.count(length), length))


def _described(listed: Element | None, name: str, number: int) -> WrittenPart:
    """Return a part without notes, with the name and program that the part list states."""
    if listed is None:
        return WrittenPart(name or f"Part {number}")
    names = (text_of(listed, tag) for tag in ("part-name", "part-abbreviation", "score-instrument/instrument-name"))
    program = text_of(listed, "midi-instrument/midi-program")
    return WrittenPart(
        next((own for own in names if own), name or f"Part {number}"),
        min(max(int(number_of(program)) - 1, 0), 127) if program else None,
    )


def _notation(root: Element, parts: Sequence[WrittenPart], measures: Sequence[Measure], report: Report) -> Notation:
    sounding = [part for part in parts if part.notes]
    voices, others = four_voices(sounding) or ([], list(parts))
    program = next((part.program for part in sounding if part not in others and part.program is not None), 0)
    names, programs = list(VOICES[: len(voices)]), [program] * len(voices)
    for part in others:
        for staff in sorted({note.staff for note in part.notes}) or [1]:
            voices.append([note for note in part.notes if note.staff == staff])
            names.append(printable(part.name, _MAX_TITLE))
            programs.append(part.program or 0)
    score = ScoreTick(TICKS_PER_QUARTER)
    for name, program, notes in zip(names, programs, voices, strict=True):
        score.tracks.append(_track(name, program, notes))
    for time, (sharps, mode) in _changes(_keys(parts)):
        score.key_signatures.append(KeySignatureTick(_ticks(time), sharps, int(mode == "minor")))
    for time, rate in _changes({time: rate for part in reversed(parts) for time, rate in part.tempos.items()}):
        score.tempos.append(TempoTick(_ticks(time), qpm=rate))
    heads = [note.head or note for notes in voices for note in notes if note.has_fermata]
    fermatas = tuple(sorted({_ticks(head.onset) for head in heads}))
    return Notation(score, measures, _signs(parts), _marks(root, parts, voices, names, report), fermatas)


def _ticks(quarters: Fraction) -> int:
    return round(float(quarters * TICKS_PER_QUARTER))


def _at(quarters: Fraction) -> Fraction:
    """Return a time as the tick that stands for it."""
    return Fraction(_ticks(quarters), TICKS_PER_QUARTER)


def _track(name: str, program: int, notes: Sequence[WrittenNote]) -> TrackTick:
    """Make a track of the notes that sound: a note that continues a tie lengthens the open one of its pitch."""
    track = TrackTick(name, program, False)
    open_ties: dict[int, WrittenNote] = {}
    ends: dict[WrittenNote, Fraction] = {}
    for note in sorted(notes, key=lambda note: note.onset):
        if note.end == note.onset:
            continue
        before = open_ties.pop(note.pitch, None)
        head = note
        if before is not None and "stop" in note.ties and ends[before] == note.onset:
            head = note.head = before
        ends[head] = note.end
        if "start" in note.ties:
            open_ties[note.pitch] = head
    for head, end in ends.items():
        time = _ticks(head.onset)
        if (length := _ticks(end) - time) > 0:
            track.notes.append(NoteTick(time, length, head.pitch, head.velocity or DEFAULT_VELOCITY))
    return track


def _keys(parts: Iterable[WrittenPart]) -> dict[Fraction, tuple[int, str]]:
    """Return sharps and mode by onset from all parts; a signature with a mode beats one without."""
    found: dict[Fraction, tuple[int, str]] = {}
    for part in parts:
        for time, (sharps, mode) in part.keys.items():
            if time not in found or (mode and not found[time][1]):
                found[time] = sharps, mode
    return found


def _changes(events: dict[Fraction, _T]) -> Iterator[tuple[Fraction, _T]]:
    """Yield events in order of time, without repetitions."""
    before: _T | None = None
    for time in sorted(events):
        if events[time] != before:
            yield time, events[time]
        before = events[time]


def _signs(parts: Iterable[WrittenPart]) -> list[RepeatSign]:
    """Return the signs of all parts, each once; of several codas without a sign to leave, the first is that sign."""
    found = {(sign.time, sign.kind): sign for part in parts for sign in reversed(part.signs)}
    codas = sorted(sign.time for sign in found.values() if sign.kind == "coda")
    if len(codas) > 1 and not any(kind == "to coda" for _, kind in found):
        found[codas[0], "coda"] = RepeatSign(codas[0], "to coda")
    return sorted(found.values(), key=lambda sign: (sign.time, _SIGN_ORDER.index(sign.kind)))


def _marks(
    root: Element,
    parts: Sequence[WrittenPart],
    voices: Sequence[Sequence[WrittenNote]],
    names: Sequence[str],
    report: Report,
) -> Marks:
    lyrics: dict[PartPlace, tuple[Lyric, ...]] = {}
    graces: dict[PartPlace, tuple[Grace, ...]] = {}
    spellings: dict[PartPlace, tuple[str, int]] = {}
    fermatas: dict[Place, Fraction] = {}
    places: dict[WrittenNote, PartPlace] = {}
    for index, notes in enumerate(voices):
        for note in notes:
            head = note.head or note
            place = places[note] = (index, _at(head.onset), head.pitch)
            if note.lyrics:
                lyrics.setdefault(place, note.lyrics)
            if note.graces:
                own = tuple(Grace(tuple(sorted(pitches)), length, slash) for pitches, length, slash in note.graces)
                graces[place] = graces.get(place, ()) + own
            if note.spelling is not None:
                spellings.setdefault(place, note.spelling)
            if note.has_fermata:
                fermatas.setdefault((_at(note.onset), note.pitch), _at(note.end))
    slurs = []
    for first, last in (slur for part in parts for slur in part.slurs):
        start, end = places.get(first), places.get(last)
        if start is None or end is None or start[0] != end[0]:
            report.dropped["slur between voices"] += 1
        elif start[1] < end[1]:
            slurs.append((start, end))
    modes = [mode for _, (_, mode) in sorted(_keys(parts).items())]
    about = _metadata(root)
    return Marks(
        lyrics,
        tuple(names),
        fermatas,
        _each_once(part.words for part in parts),
        _each_once(part.chords for part in parts),
        title=about.title,
        composer=about.composer,
        lyricist=_creator(root, ("lyricist", "poet")),
        graces=graces,
        slurs=tuple(slurs),
        metronomes=tuple({mark.onset: mark for part in reversed(parts) for mark in part.metronomes}.values()),
        mode=modes[0] if modes and modes[0] in _MODES else "",
        spellings=spellings,
    )


def _each_once(groups: Iterable[Iterable[Words]]) -> tuple[Words, ...]:
    """Return what stands at one time in several parts once, in order of time."""
    found = {(each.onset, each.text): each for group in groups for each in group if each.text}
    return tuple(sorted(found.values(), key=lambda each: each.onset))


def _metadata(root: Element) -> Metadata:
    work, movement = text_of(root, "work/work-title"), text_of(root, "movement-title")
    title = _stated(work) or _stated(movement) or _credit(root, "title")
    rights = [(element.text or "").strip() for element in root.findall("identification/rights")]
    return Metadata(
        title=printable(title, _MAX_TITLE),
        composer=printable(_creator(root, ("composer",)), _MAX_TITLE),
        rights=printable("; ".join(line for line in rights if line), _MAX_RIGHTS),
    )


def _creator(root: Element, kinds: Sequence[str]) -> str:
    for kind in kinds:
        for element in root.findall("identification/creator"):
            if element.get("type", "").lower() == kind and (name := _stated((element.text or "").strip())):
                return printable(name, _MAX_TITLE)
    return next((found for kind in kinds if (found := _credit(root, kind))), "")


def _credit(root: Element, kind: str) -> str:
    """Return what stands on the page as a title or an author."""
    for credit in root.findall("credit"):
        if text_of(credit, "credit-type") == kind:
            return _stated("".join(words.text or "" for words in credit.findall("credit-words")).strip())
    return ""


def _stated(text: str) -> str:
    """Return a title or name without the suffix of a file; empty if a program filled it in."""
    plain = " ".join(text.split())
    if plain.lower() in _PLACEHOLDERS:
        return ""
    suffix = next((suffix for suffix in _SUFFIXES if plain.lower().endswith(suffix)), "")
    return plain[: len(plain) - len(suffix)] if suffix else plain
