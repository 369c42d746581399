"""Convert music21 streams (MusicXML, ABC, Humdrum, its corpus) to scores in ticks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from music21 import chord, expressions, harmony, instrument, key, meter, note, stream, tempo
from music21.humdrum import spineParser
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.bars import DEFAULT_SIGNATURE
from descant_tokenizers.scores.measures import (
    DEFAULT_VELOCITY,
    TICKS_PER_QUARTER,
    Measure,
    SignatureChange,
    signature_changes,
)

_MAX_TICKS = 2**31 - 1  # symusic keeps ticks in 32 bits
_HUMDRUM_LABEL = '"'  # of `*I"Soprano`; music21 keeps the text after `*I`

AnyStream: TypeAlias = "stream.Stream[Any]"


@dataclass(slots=True)
class _Sounding:
    """A note as it sounds, tied notes joined. Times in quarter notes."""

    onset: Fraction
    end: Fraction
    pitch: int
    velocity: int
    has_fermata: bool


def from_music21(source: AnyStream) -> ScoreTick:
    """Convert a music21 stream to a score with a track for each part.

    Ties are merged; grace notes, chord symbols and unpitched notes are dropped; chords stay simultaneous notes;
    repeats are not expanded; transposing instruments sound at pitch; quarter tones are rounded. Onsets and ends are
    exact fractions of a quarter, rounded to ticks. Key signatures and tempos are taken from all parts, bars from the
    part with the most measures (see `signature_changes`). A tempo that is only a word ("Adagio") is left out.

    Args:
        source: A score or a part.

    Returns:
        A score of 480 ticks per quarter. Tracks have the parts' names, or their ids where a part has no name.

    Raises:
        InputError: `source` is a collection of several pieces, is longer than ticks can count, or has a pitch beyond
            the range of MIDI.
    """
    parts = _parts(source)
    if source.highestTime * TICKS_PER_QUARTER > _MAX_TICKS:
        raise InputError(f"The file lasts {source.highestTime:,.0f} quarter notes. Cut it shorter.")
    score = ScoreTick(TICKS_PER_QUARTER)
    for index, part in enumerate(parts, start=1):
        score.tracks.append(_track(part, index))
    for change in _part_signature_changes(parts):
        time = _ticks(change.onset)
        score.time_signatures.append(TimeSignatureTick(time, change.numerator, change.denominator))
    for time, (sharps, tonality) in sorted(_key_signatures(parts).items()):
        score.key_signatures.append(KeySignatureTick(time, sharps, tonality))
    for time, quarters_per_minute in sorted(_tempos(source).items()):
        score.tempos.append(TempoTick(time, qpm=quarters_per_minute))
    return score


def fermatas_of(source: AnyStream) -> list[int]:
    """List the onsets of all notes under a fermata in a score or part: ticks (480 per quarter), ascending, each once.

    A fermata on any of several tied notes counts at the onset of the first one.
    """
    soundings = (sounding for part in _parts(source) for sounding in _soundings(part))
    return sorted({_ticks(sounding.onset) for sounding in soundings if sounding.has_fermata})


def _ticks(quarters: Fraction) -> int:
    return round(quarters * TICKS_PER_QUARTER)


def _parts(source: AnyStream) -> list[AnyStream]:
    if isinstance(source, stream.Opus):
        raise InputError(f"The file holds {len(source.scores)} pieces. Split it into files of one piece each.")
    parts: list[AnyStream] = list(source.parts) if isinstance(source, stream.Score) else []
    return [_measured(_at_sounding_pitch(part)) for part in parts or [source]]


def _at_sounding_pitch(part: AnyStream) -> AnyStream:
    instruments = part.recurse().getElementsByClass(instrument.Instrument)
    if all(found.transposition is None for found in instruments):
        return part
    sounding: AnyStream = part.toSoundingPitch()
    return sounding


def _measured(part: AnyStream) -> AnyStream:
    has_measures: bool = bool(part.getElementsByClass(stream.Measure))
    return part if has_measures else part.makeMeasures()  # type: ignore[no-untyped-call]


def _track(part: AnyStream, number: int) -> TrackTick:
    played_by = part.recurse().getElementsByClass(instrument.Instrument).first()
    program = played_by.midiProgram if played_by is not None else None
    is_drum = isinstance(played_by, instrument.UnpitchedPercussion)
    track = TrackTick(_name(part, played_by, number), program or 0, is_drum)
    for sounding in _soundings(part):
        time, end = _ticks(sounding.onset), _ticks(sounding.end)
        if end > time:
            track.notes.append(NoteTick(time, end - time, sounding.pitch, sounding.velocity))
    return track


def _name(part: AnyStream, played_by: instrument.Instrument | None, number: int) -> str:
    labels = [tandem.tandem for tandem in part.getElementsByClass(spineParser.MiscTandem)]
    candidates = [
        getattr(part, "partName", None),
        *(label[len(_HUMDRUM_LABEL) :] for label in labels if label.startswith(_HUMDRUM_LABEL)),
        played_by.instrumentName if played_by is not None else None,
        part.id if isinstance(part.id, str) and not part.id.startswith("spine_") else None,  # else an address
    ]
    return next((name.strip() for name in candidates if name and name.strip()), f"Part {number}")


def _soundings(part: AnyStream) -> list[_Sounding]:
    """List notes by onset with ties merged: a note that continues a tie lengthens the open one of its pitch."""
    soundings: list[_Sounding] = []
    open_ties: dict[int, _Sounding] = {}
    for element in part.flatten().notes:
        for member in _members(element):
            sounding = _sounding(element, member)
            if sounding.end == sounding.onset:
                continue
            tie = member.tie  # the `tie` of a chord is that of any of its notes
            before = open_ties.get(sounding.pitch)
            if before is not None and tie is not None and tie.type != "start" and before.end == sounding.onset:
                before.end = sounding.end
                before.has_fermata |= sounding.has_fermata
                sounding = before
            else:
                soundings.append(sounding)
            open_ties.pop(sounding.pitch, None)
            if tie is not None and tie.type in ("start", "continue"):
                open_ties[sounding.pitch] = sounding
    return soundings


def _members(element: note.NotRest) -> Iterator[note.Note]:
    """Yield the pitched notes of a note or chord; none for grace notes, chord symbols and percussion."""
    if isinstance(element, harmony.Harmony) or element.duration.isGrace:
        return
    if isinstance(element, note.Note):
        yield element
    elif isinstance(element, chord.Chord):
        yield from element.notes


def _sounding(element: note.NotRest, member: note.Note) -> _Sounding:
    onset = Fraction(element.offset)  # exact: music21 keeps binary fractions as floats and all others as Fraction
    velocity = member.volume.velocity or element.volume.velocity or DEFAULT_VELOCITY
    has_fermata = any(isinstance(mark, expressions.Fermata) for mark in element.expressions)
    pitch = round(member.pitch.ps)  # not `.midi`, which moves pitches outside 0-127 by octaves
    if not 0 <= pitch <= 127:
        raise InputError(
            f"The file holds the pitch {member.pitch.nameWithOctave}, beyond the range of MIDI. Transpose it."
        )
    return _Sounding(onset, onset + Fraction(element.quarterLength), pitch, velocity, has_fermata)


def _part_signature_changes(parts: list[AnyStream]) -> list[SignatureChange]:
    most = max(parts, key=lambda part: len(part.getElementsByClass(stream.Measure)))
    measures = list(most.getElementsByClass(stream.Measure))
    if not measures:
        return []
    onsets = [Fraction(measure.offset) for measure in measures]
    onsets.append(onsets[-1] + Fraction(measures[-1].highestTime))
    signature = DEFAULT_SIGNATURE
    found: list[Measure] = []
    for measure, (onset, end) in zip(measures, itertools.pairwise(onsets), strict=True):
        notated = measure.getElementsByClass(meter.TimeSignature).first()
        if notated is not None:
            signature = (notated.numerator, notated.denominator)
        found.append(Measure(onset, end - onset, *signature))
    return signature_changes(found)


def _key_signatures(parts: list[AnyStream]) -> dict[int, tuple[int, int]]:
    """Return sharps (-7 to 7) and tonality (0 major, 1 minor) by tick; a signature with a mode beats one without."""
    found: dict[int, key.KeySignature] = {}
    for part in parts:
        for signature in part.flatten().getElementsByClass(key.KeySignature):
            time = _ticks(Fraction(signature.offset))
            is_better = isinstance(signature, key.Key) and not isinstance(found.get(time), key.Key)
            if signature.sharps is not None and (time not in found or is_better):
                found[time] = signature
    keys = {time: (found[time].sharps, int(getattr(found[time], "mode", "") == "minor")) for time in sorted(found)}
    repeated = {time for before, time in itertools.pairwise(keys) if keys[time] == keys[before]}
    return {time: keys[time] for time in keys if time not in repeated}


def _tempos(source: AnyStream) -> dict[int, float]:
    found: dict[int, float] = {}
    for mark in source.flatten().getElementsByClass(tempo.MetronomeMark):
        quarters_per_minute = mark.getQuarterBPM()
        if quarters_per_minute and not mark.numberImplicit:
            found.setdefault(_ticks(Fraction(mark.offset)), float(quarters_per_minute))
    return found
