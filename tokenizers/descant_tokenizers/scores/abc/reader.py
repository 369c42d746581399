"""Tunes of ABC files as scores, with their marks, metadata and a report of what was left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeVar

from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TrackTick

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores.abc.authors import authors_of
from descant_tokenizers.scores.abc.parser import Parsed, TuneParser
from descant_tokenizers.scores.abc.text import Report, Tune, decode, tunes_of
from descant_tokenizers.scores.abc.voices import Note, SlurNote, Voice, most_detailed
from descant_tokenizers.scores.jumps import sorted_signs
from descant_tokenizers.scores.marks import Grace, Hairpin, Lyric, Marks, PartPlace, Place, RepeatSign, SlurEnd
from descant_tokenizers.scores.measures import DEFAULT_VELOCITY, TICKS_PER_QUARTER
from descant_tokenizers.scores.names import VOICES
from descant_tokenizers.scores.repeats import Notation
from descant_tokenizers.scores.staves import find_staves
from descant_tokenizers.scores.validation import Limits, Metadata

_MAX_TITLE = 120
_MAX_FIELD = 500
_NUM_NAMED = 8

_T = TypeVar("_T")


def read_abc(path: Path, data: bytes, limits: Limits, tune: int | None = None) -> tuple[Notation, Metadata, list[str]]:
    """Read a tune from the bytes of an ABC file.

    Args:
        path: The file, for messages.
        data: Its bytes.
        limits: Bounds on what is read.
        tune: Number of the tune: that of its `X:` field, else its place in the file from 1. None reads the only one.

    Returns:
        The score as written, its metadata, and what was left out, one phrase for each kind.

    Raises:
        InputError: The file has no tune, several and `tune` is None, or no such tune; or it is beyond a limit.
    """
    chosen = _chosen(path, tunes_of(decode(data)), tune)
    parsed = TuneParser(path, chosen, limits).parse()
    voices = _in_staff_order(parsed)
    parts = _in_four_voices(list(_parts(voices)))
    score = ScoreTick(TICKS_PER_QUARTER)
    for part in parts:
        score.tracks.append(_track(part))
    for time, (sharps, tonality) in _changes(parsed.keys):
        score.key_signatures.append(KeySignatureTick(_ticks(time), sharps, tonality))
    for time, rate in _changes({mark.onset: mark.unit * Fraction(mark.per_minute) for mark in parsed.tempos.values()}):
        score.tempos.append(TempoTick(_ticks(time), qpm=float(rate)))
    leader = most_detailed(voices) if voices else None
    fermatas = {_ticks(note.onset) for part in parts for note in part.notes if note.has_fermata}
    notation = Notation(
        score,
        leader.measures if leader else (),
        _signs(voices, leader) if leader else (),
        _marks(parsed, voices, parts),
        tuple(sorted(fermatas)),
        parsed.part_order,
    )
    return notation, _metadata(parsed), parsed.report.sentences()


def _chosen(path: Path, tunes: Sequence[Tune], number: int | None) -> Tune:
    if not tunes:
        raise InputError(f"{path} cannot be read as ABC (no line X: or K: begins a tune). Export it again.")
    if number is None and len(tunes) == 1:
        return tunes[0]
    named = [
        " ".join((tune.number or str(place), f"'{tune.title}'" if tune.title else "")).strip()
        for place, tune in enumerate(tunes[:_NUM_NAMED], start=1)
    ]
    more = f" and {len(tunes) - len(named):,} more" if len(tunes) > len(named) else ""
    choices = ", ".join(printable(name, 60) for name in named) + more
    if number is None:
        raise InputError(f"{path} holds {len(tunes):,} tunes: {choices}. Choose one with --tune.")
    found = next((tune for tune in tunes if re.fullmatch(rf"0*{number}", tune.number)), None)
    if found is None and 1 <= number <= len(tunes):
        found = tunes[number - 1]
    if found is None:
        raise InputError(f"{path} holds no tune {number}. Choose from {choices}.")
    return found


def _in_staff_order(parsed: Parsed) -> list[Voice]:
    """Return the voices with music, in the order of the staves; others follow in the order of the file."""
    place = {name: index for index, name in enumerate(dict.fromkeys(parsed.staves))}
    voices = sorted(parsed.voices.values(), key=lambda voice: place.get(voice.id, len(place)))
    return [voice for voice in voices if voice.measures or any(voice.layers)]


def _ticks(quarters: Fraction) -> int:
    return round(quarters * TICKS_PER_QUARTER)


def _quarters(time: Fraction) -> Fraction:
    """Return a time as the tick that stands for it."""
    return Fraction(_ticks(time), TICKS_PER_QUARTER)


class _Part(NamedTuple):
    """A voice, or one of the voices that overlay it."""

    name: str
    voice: Voice
    notes: list[Note]


def _parts(voices: Sequence[Voice]) -> Iterator[_Part]:
    for number, voice in enumerate(voices, start=1):
        named = printable(voice.settings.name or "", _MAX_TITLE)
        name = named or printable(voice.id if not voice.id.isdigit() else f"Part {number}", _MAX_TITLE)
        for layer, notes in enumerate(voice.layers, start=1):
            yield _Part(name if layer == 1 else f"{name} {layer}", voice, notes)


def _in_four_voices(parts: list[_Part]) -> list[_Part]:
    """Divide the chords of a closed score, which has a part for each of its two staves."""
    sounding = [part for part in parts if part.notes]
    places = [[(note.onset, note.end, note.pitch) for note in part.notes] for part in sounding]
    are_drums = [bool(part.voice.settings.is_percussion) for part in sounding]
    staves = find_staves([part.name for part in sounding], places, are_drums)
    if staves is None:
        return parts
    found = []
    for (index, high, low), names in zip(staves, (VOICES[:2], VOICES[2:]), strict=True):
        _, voice, notes = sounding[index]
        unisons = set(high) & set(low)
        lower = [replace(notes[place], graces=()) if place in unisons else notes[place] for place in low]
        upper = {notes[place].onset: notes[place] for place in high}
        for note in lower:  # the words of a chord stand at the note that is written first
            if id(note) in voice.lyrics and note.onset in upper:
                voice.lyrics.setdefault(id(upper[note.onset]), voice.lyrics.pop(id(note)))
        found += [_Part(names[0], voice, [notes[place] for place in high]), _Part(names[1], voice, lower)]
    chosen = [sounding[index] for index, *_ in staves]
    return [*found, *(part for part in parts if all(part is not staff for staff in chosen))]


def _track(part: _Part) -> TrackTick:
    track = TrackTick(part.name, 0, bool(part.voice.settings.is_percussion))
    for note in part.notes:
        time = _ticks(note.onset)
        track.notes.append(NoteTick(time, _ticks(note.end) - time, note.pitch, DEFAULT_VELOCITY))
    return track


def _changes(events: Mapping[Fraction, _T]) -> list[tuple[Fraction, _T]]:
    """Return events in order of time, without repetitions."""
    found: list[tuple[Fraction, _T]] = []
    for time in sorted(events):
        if not found or found[-1][1] != events[time]:
            found.append((time, events[time]))
    return found


def _signs(voices: Sequence[Voice], leader: Voice) -> list[RepeatSign]:
    """Return the signs of the leading voice, with the jumps and parts that stand in any other."""
    signs = list(leader.signs)
    kinds = ("start", "end", "double", "ending")
    known = set(signs)
    for voice in voices:
        for sign in voice.signs:
            if sign.kind not in kinds and sign not in known:
                signs.append(sign)
                known.add(sign)
    return sorted_signs(signs)


def _marks(parsed: Parsed, voices: Sequence[Voice], parts: Sequence[_Part]) -> Marks:
    places: dict[int, PartPlace] = {}
    lyrics: dict[PartPlace, tuple[Lyric, ...]] = {}
    graces: dict[PartPlace, tuple[Grace, ...]] = {}
    symbols: dict[PartPlace, tuple[str, ...]] = {}
    spellings: dict[PartPlace, tuple[str, int]] = {}
    fermatas: dict[Place, Fraction] = {}
    for index, part in enumerate(parts):
        for note in part.notes:
            place = places[id(note)] = (index, _quarters(note.onset), note.pitch)
            if own := part.voice.lyrics.get(id(note)):
                lyrics[place] = tuple(own[verse] for verse in sorted(own))
            if note.graces:
                graces[place] = note.graces
            if note.symbols:
                symbols[place] = tuple(dict.fromkeys(note.symbols))
            if note.spelling is not None:
                spellings[place] = note.spelling
            if note.has_fermata:
                fermatas.setdefault(place[1:], _quarters(note.end))
    homes = {id(part.voice): index for index, part in reversed(list(enumerate(parts)))}
    words = {}
    for voice in reversed(voices):
        for each in reversed(voice.words):
            home = homes.get(id(voice)) if each.kind == "dynamic" else None
            words[each.onset, each.text, home] = replace(each, onset=_quarters(each.onset), part=home)
    moved = sorted(words.values(), key=lambda each: each.onset)
    hairpins = [
        Hairpin(homes[id(voice)], _quarters(onset), _quarters(end), is_louder)
        for voice in voices
        for onset, end, is_louder in voice.hairpins
        if id(voice) in homes and onset < end
    ]
    about = _metadata(parsed)
    return Marks(
        lyrics,
        tuple(part.name for part in parts),
        fermatas,
        tuple(each for each in moved if each.kind != "chord"),
        tuple(each for each in moved if each.kind == "chord"),
        title=printable(about.title, _MAX_TITLE),
        composer=printable(about.composer, _MAX_TITLE),
        lyricist=printable("; ".join(authors_of(parsed.info.get("C", [])).words), _MAX_TITLE),
        graces=graces,
        slurs=tuple(_slurs(voices, places, parsed.report)),
        symbols=symbols,
        hairpins=tuple(sorted(hairpins, key=lambda each: (each.onset, each.part))),
        metronomes=tuple(replace(mark, onset=_quarters(time)) for time, mark in sorted(parsed.tempos.items())),
        mode=parsed.mode,
        spellings=spellings,
    )


def _slurs(
    voices: Sequence[Voice], places: Mapping[int, PartPlace], report: Report
) -> Iterator[tuple[SlurEnd, SlurEnd]]:
    """Yield the slurs between notes that sound; the count of the others goes to the report."""

    def place_of(note: SlurNote) -> SlurEnd | None:
        if isinstance(note, Note):
            return places[id(note)]
        return None if note.note is None else (*places[id(note.note)], note.index)

    for first, last in (slur for voice in voices for slur in voice.slurs):
        start, end = place_of(first), place_of(last)
        if start is None or end is None:
            report.dropped["slur{s} of grace notes without a note"] += 1
        elif start == end and not (isinstance(first, Note) and first.is_tied):
            report.dropped["slur{s} over one note"] += 1
        else:
            yield start, end


def _metadata(parsed: Parsed) -> Metadata:
    info = parsed.info
    authors = authors_of(info.get("C", []))
    rights = [*info.get("copyright", []), *authors.rights]
    return Metadata(
        title=printable(next(iter(info.get("T", [])), ""), _MAX_FIELD),
        composer=printable("; ".join(authors.music), _MAX_FIELD),
        rights=printable("; ".join(rights), _MAX_FIELD),
        encoder=printable(" ".join(info.get("Z", [])), _MAX_FIELD),
    )
