"""Prepare the hymns of the Open Hymnal as a corpus for training: four voices, bars, and the ends of their phrases.

    python benchmarks/hymns.py OpenHymnal.abc open_hymnal_midi.zip hymns
    accelerate launch train.py --config configs/chorales.yaml 'data.corpora=[chorales,hymns]'

The pitches come from the MIDI files (a zip of one file a hymn, such as hymn022.mid). Bars, rhythm and phrase ends come
from the ABC file: MIDI cannot hold the first and the last, and a fermata has changed the rhythm of some voices there. A
phrase ends with a fermata, or with a line of verse: where the meter of the text ("8 7 8 7") puts it, else where every
verse goes on with a capital letter. The onset of its last note goes into the column `fermatas`, as in the chorales.

These hymns are left out: those without a time signature, with repeat signs, with passages in unison, or not in four
single lines; those whose notes differ between the files; settings that are not in the public domain; settings close to
a chorale of valid, test or held_out, or to an earlier hymn, in any key. All others go into the split `train`. The
counts are printed; `hymns.json` in the folder holds them with the reason for each hymn.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.build import load_corpus, write_rows
from descant_tokenizers.corpora.reading import Reading, make_four_part
from descant_tokenizers.corpora.rows import CorpusPiece, Facts, Reader, make_piece, row_to_score
from descant_tokenizers.corpora.store import check_out, fresh_folder
from descant_tokenizers.corpora.workers import ReadOutcome
from descant_tokenizers.pianoroll.frames import chorale_of_score
from descant_tokenizers.scores.measures import Measure, signature_changes
from descant_tokenizers.scores.reading import read_bytes
from descant_tokenizers.scores.validation import Metadata

NUM_VOICES = 4
NEAR_COPY = 0.6
"""Similarity from which a setting counts as close to a chorale, see `similarity`."""
NEAR_DUPLICATE = 0.85
MAX_CHORD_NOTES = 0.03
MAX_UNISON = 0.12
MIN_CAPITALS = 0.4
MIN_SYLLABLES = 4
MAX_BYTES = 2**24
HELD_OUT = ("valid", "test", "held_out")
LICENCE = "public domain (Open Hymnal Project)"

_TOKEN = re.compile(
    r"!(?P<decoration>[^!]*)!|\"[^\"]*\"|\{[^}]*\}"
    r"|\[(?P<field>[A-Za-z]):(?P<value>[^\]]*)\]"
    r"|\((?P<tuplet>\d(?::\d?){0,2})"
    r"|(?P<note>\[(?:[_^=]*[A-Ga-g][,']*[\d/]*-?)+\]|[_^=]*[A-Ga-g][,']*|[zx])(?P<length>\d*/*\d*)(?P<tie>\.?-)?"
    r"|(?P<bar>:?\|+[]:]?|::|\[\|)"
    r"|(?P<broken>[<>])"
    r"|(?P<overlay>&[^|]*)|(?P<volta>\[?\d)"
    r"|."
)
_LYRIC = re.compile(r"[^\s*_|-]+-?|[*_|-]")
_TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2}
_BROKEN = (Fraction(3, 2), Fraction(1, 2))


class UnusableError(Exception):
    """A hymn is left out; the message is the reason."""


class Syllable(NamedTuple):
    """A syllable of one verse."""

    text: str
    begins_word: bool


@dataclass
class SungNote:
    """A note as notated; times in quarter notes.

    Attributes:
        name: Its pitch as written; empty for a rest.
        syllables: By verse; verses that hold the last syllable here are missing.
    """

    name: str
    onset: Fraction
    length: Fraction
    is_tied: bool = False
    has_fermata: bool = False
    syllables: dict[int, Syllable] = field(default_factory=dict)


@dataclass
class Hymn:
    """A hymn of the ABC file: its header, and the lines of each voice, each with its lines of text."""

    number: int
    about: dict[str, str] = field(default_factory=dict)
    voices: dict[str, list[tuple[str, list[str]]]] = field(default_factory=dict)


class Voice(NamedTuple):
    """One voice of a hymn."""

    notes: list[SungNote]
    measures: list[Measure]


def read_hymnal(text: str) -> dict[int, Hymn]:
    """Return the hymns of the ABC file by number."""
    hymns: dict[int, Hymn] = {}
    comments: dict[str, str] = {}
    hymn, lines = Hymn(-1), None
    for line in text.splitlines():
        if line.startswith("%OH"):
            name, _, value = line[3:].partition(" ")
            comments[name] = value.strip()
        elif line.startswith("X:"):
            hymn, lines, comments = Hymn(int(line[2:]), comments), None, {}
            hymns[hymn.number] = hymn
        elif match := re.match(r"\[V: *(\w+)\](.*)", line):
            lines = hymn.voices.setdefault(match[1], [])
            lines.append((match[2].partition("%")[0], []))
        elif line.startswith("w:") and lines:
            lines[-1][1].append(line[2:])
        elif re.match(r"[TCMLK]:", line) and not hymn.voices:
            value = re.sub(r"\s%.*", "", line[2:]).strip()
            if line[0] == "C":
                value = f"{hymn.about.get('C', '')}\n{value}"
            if line[0] == "C" or line[0] not in hymn.about:
                hymn.about[line[0]] = value
    return hymns


def _multiple(text: str) -> Fraction:
    """Return the multiple of the unit length that an ABC length stands for: `3/2`, `/`, `//`, or nothing."""
    numerator, slash, _ = text.partition("/")
    factor = Fraction(int(numerator or 1))
    if slash:
        denominator = text.lstrip("0123456789").lstrip("/")
        factor /= int(denominator) if denominator else 2 ** text.count("/")
    return factor


def _signature(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if match is None:
        raise UnusableError("no time signature")
    return int(match[1]), int(match[2])


class _VoiceReader:
    """Reads the lines of a voice one after the other."""

    def __init__(self, about: dict[str, str]) -> None:
        self.notes: list[SungNote] = []
        self.measures: list[Measure] = []
        self._signature = _signature(about.get("M", ""))
        self._unit = Fraction(about.get("L", "1/8")) * 4
        self._now = self._bar_start = Fraction(0)
        self._tuplet, self._num_in_tuplet = Fraction(1), 0
        self._broken = Fraction(1)
        self._has_fermata = False
        self._last: SungNote | None = None
        self._in_word: dict[int, bool] = {}

    def read(self, line: str, verses: Sequence[str]) -> None:
        """Read a line of music with its lines of text."""
        first = len(self.notes)
        for token in _TOKEN.finditer(line):
            if token["note"]:
                self._note(token)
            elif token["bar"]:
                if ":" in token["bar"]:
                    raise UnusableError("repeat signs")
                self.end_bar()
            elif token["decoration"]:
                self._has_fermata |= token["decoration"] in ("fermata", "invertedfermata")
            elif token["field"] == "M":
                self._signature = _signature(token["value"])
            elif token["tuplet"]:
                p, q, r = (int(part) if part else 0 for part in (*token["tuplet"].split(":"), "", "")[:3])
                self._tuplet, self._num_in_tuplet = Fraction(q or _TUPLETS.get(p, 2), p), r or p
            elif token["broken"] and self._last is not None:
                before, self._broken = _BROKEN if token["broken"] == ">" else _BROKEN[::-1]
                self._now += self._last.length * (before - 1)
                self._last.length *= before
        for verse, text in enumerate(verses):
            self._sing(verse, text, self.notes[first:])

    def end_bar(self) -> None:
        """End the measure, if it holds anything."""
        if self._now > self._bar_start:
            self.measures.append(Measure(self._bar_start, self._now - self._bar_start, *self._signature))
        self._bar_start = self._now

    def _note(self, token: re.Match[str]) -> None:
        inner = re.search(r"[\d/]+", token["note"])
        length = self._unit * _multiple(token["length"]) * (_multiple(inner[0]) if inner else 1) * self._broken
        if self._num_in_tuplet:
            length *= self._tuplet
            self._num_in_tuplet -= 1
        is_rest = token["note"] in ("z", "x")
        name = "" if is_rest else re.sub(r"[_^=\d/-]", "", token["note"])
        self._last = SungNote(name, self._now, length, bool(token["tie"]), self._has_fermata)
        self._broken, self._has_fermata = Fraction(1), False
        self._now += length
        if not is_rest:
            self.notes.append(self._last)

    def _sing(self, verse: int, text: str, notes: Sequence[SungNote]) -> None:
        for note, syllable in zip(notes, _LYRIC.findall(text), strict=False):
            if syllable not in ("*", "_"):
                note.syllables[verse] = Syllable(syllable.rstrip("-"), not self._in_word.get(verse, False))
                self._in_word[verse] = syllable.endswith("-")


def read_voices(hymn: Hymn) -> list[Voice]:
    """Read the four voices of a hymn from high to low, ties merged.

    Raises:
        UnusableError: There are not four, they differ in length, or there is no time signature.
    """
    if len(hymn.voices) != NUM_VOICES:
        raise UnusableError("not in four voices")
    voices = []
    for name in sorted(hymn.voices):  # S1V1, S1V2, S2V1, S2V2
        reader = _VoiceReader(hymn.about)
        for line, verses in hymn.voices[name]:
            reader.read(line, verses)
        reader.end_bar()
        notes: list[SungNote] = []
        for note in reader.notes:
            if notes and notes[-1].is_tied and notes[-1].name == note.name:
                notes[-1].length += note.length
                notes[-1].has_fermata |= note.has_fermata
                notes[-1].is_tied = note.is_tied
            else:
                notes.append(note)
        voices.append(Voice(notes, reader.measures))
    if not all(voice.notes for voice in voices):
        raise UnusableError("not in four voices")
    if len({sum(measure.length for measure in voice.measures) for voice in voices}) > 1:
        raise UnusableError("voices of different lengths")
    return voices


def make_reading(hymn: Hymn, midi: bytes) -> Reading:
    """Join the pitches of the MIDI file with the rhythm and the phrase ends of the ABC file.

    The MIDI file holds a note under a fermata longer than it is written, in some of the voices only.

    Raises:
        UnusableError: The hymn cannot be used, or the files differ in more than that.
    """
    source = ScoreTick.from_midi(midi)
    tracks = [track for track in source.tracks if track.notes]
    if len(tracks) != NUM_VOICES:
        raise UnusableError("not in four voices")
    voices = read_voices(hymn)
    ticks = source.ticks_per_quarter
    score = ScoreTick(ticks)
    for voice, track in zip(voices, tracks, strict=True):
        written = TrackTick("", 0, False)
        for note, pitches in zip(voice.notes, _matched(voice, track, ticks), strict=True):
            for pitch in pitches:
                written.notes.append(NoteTick(round(note.onset * ticks), round(note.length * ticks), pitch, 64))
        score.tracks.append(written)
    for change in signature_changes(voices[0].measures):
        score.time_signatures.append(
            TimeSignatureTick(round(change.onset * ticks), change.numerator, change.denominator)
        )
    for key in source.key_signatures[:1]:
        score.key_signatures.append(KeySignatureTick(0, key.key, key.tonality))
    for tempo in list(source.tempos)[-1:]:
        score.tempos.append(TempoTick(0, qpm=round(tempo.qpm)))
    num_notes = score.note_num()
    score, remarks = make_four_part(score, list(score.tracks))
    if num_notes - score.note_num() > MAX_CHORD_NOTES * num_notes:
        raise UnusableError("chords within a voice")
    ends = phrase_ends(voices[0].notes, hymn.about.get("METRICAL", ""))
    fermatas = tuple(round(voices[0].notes[index].onset * ticks) for index in ends)
    about = hymn.about
    return Reading(score, NUM_VOICES, fermatas, remarks, Metadata(about.get("T", ""), about.get("COMPOSER", "")))


def _matched(voice: Voice, track: TrackTick, ticks: int) -> list[list[int]]:
    """Return the pitches of each written note; the notes of a chord may begin a moment after each other."""
    onsets: list[int] = []
    pitches: list[list[int]] = []
    for note in sorted(track.notes, key=lambda note: note.time):
        if onsets and note.time - onsets[-1] < ticks // 16:
            pitches[-1].append(note.pitch)
        else:
            onsets.append(note.time)
            pitches.append([note.pitch])
    written = [round(note.onset * ticks) for note in voice.notes]
    steps = zip(voice.notes, pairwise(onsets), pairwise(written), strict=False)
    if len(onsets) != len(written) or any(
        heard[1] - heard[0] != wanted[1] - wanted[0] for note, heard, wanted in steps if not note.has_fermata
    ):
        raise UnusableError("the notes of the two files differ")
    return pitches


def phrase_ends(notes: Sequence[SungNote], metrical: str) -> list[int]:
    """Return the indices of the last notes of phrases; fermatas and the last note end one in any case."""
    found = ends_by_meter(notes, metrical) or ends_by_capitals(notes)
    fermatas = {index for index, note in enumerate(notes) if note.has_fermata}
    return sorted({*found, *fermatas, len(notes) - 1})


def ends_by_meter(notes: Sequence[SungNote], metrical: str) -> list[int]:
    """Count the syllables of the first verse; nothing if they do not fit the meter, once or more often."""
    pattern = [int(count) for count in metrical.split()] if re.fullmatch(r"[\d ]+", metrical) else []
    sung = [index for index, note in enumerate(notes) if 0 in note.syllables]
    times, left = divmod(len(sung), sum(pattern) or len(sung) + 1)
    if not times or left:
        return []
    starts, count = [], 0
    for syllables in (pattern * times)[:-1]:
        count += syllables
        starts.append(sung[count])
    fits = all(notes[start].syllables[0].begins_word for start in starts)
    capitals = [_share_of_capitals(notes[start]) for start in starts]
    return [start - 1 for start in starts] if fits and sum(capitals) >= MIN_CAPITALS * len(capitals) else []


def ends_by_capitals(notes: Sequence[SungNote]) -> list[int]:
    """Find the notes before those where every verse begins a word with a capital letter.

    A single verse, such as a refrain, must also have a punctuation mark before it.
    """
    ends: list[int] = []
    num_syllables = 0
    last_texts: dict[int, str] = {}
    for index, note in enumerate(notes):
        begins_words = all(syllable.begins_word for syllable in note.syllables.values())
        if note.syllables and begins_words and _share_of_capitals(note) == 1:
            marks = [last_texts.get(verse, "")[-1:] in tuple(",;:.!?") for verse in note.syllables]
            if num_syllables >= MIN_SYLLABLES and (len(marks) > 1 or all(marks)):
                ends.append(index - 1)
                num_syllables = 0
        num_syllables += bool(note.syllables)
        last_texts.update({verse: syllable.text.rstrip("\"')") for verse, syllable in note.syllables.items()})
    return ends


def _share_of_capitals(note: SungNote) -> float:
    letters = [re.sub(r"^(\d+\.~)?[^A-Za-z]*", "", syllable.text)[:1] for syllable in note.syllables.values()]
    return sum(letter.isupper() for letter in letters) / len(letters) if letters else 0.0


def outer_steps(score: ScoreTick) -> tuple[list[int], list[int]]:
    """Return the intervals of soprano and bass, repeated pitches left out."""
    lines = ([note.pitch for note in score.tracks[index].notes] for index in (0, -1))
    soprano, bass = ([step for before, step in pairwise(line) if step != before] for line in lines)
    return [b - a for a, b in pairwise(soprano)], [b - a for a, b in pairwise(bass)]


def similarity(one: tuple[list[int], list[int]], other: tuple[list[int], list[int]], least: float) -> float:
    """Return how alike two settings are, 0-1: the mean of the ratios in which their sopranos and basses agree.

    Ratios are those of `difflib.SequenceMatcher`; 0 stands for any similarity below `least`.
    """
    ratios: list[float] = []
    for ours, theirs in zip(one, other, strict=True):
        matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
        rest = 2 * least - sum(ratios)  # what the bass must reach if the soprano is known, or with a perfect bass
        needed = rest if ratios else rest - 1
        if matcher.real_quick_ratio() < needed or matcher.quick_ratio() < needed:
            return 0.0
        ratios.append(matcher.ratio())
    mean = sum(ratios) / len(ratios)
    return mean if mean >= least else 0.0


def unison_share(score: ScoreTick) -> float:
    """Return the share of time in which all voices have one pitch class (10.7 % at most in a chorale)."""
    pitches_VT = chorale_of_score(score, "the hymn").pitches_VT
    return float((pitches_VT % 12 == pitches_VT[0] % 12).all(axis=0).mean())


@dataclass(frozen=True)
class HymnCorpus:
    """The hymns that are kept, a `descant_tokenizers.corpora.rows.Corpus` whose pieces are read already."""

    keys: tuple[str, ...]
    name: str = "hymns"
    splits: tuple[str, ...] = ("train",)

    @property
    def reader(self) -> Reader:
        """No reader: see `write_rows`."""
        raise NotImplementedError

    def id_of(self, key: str) -> str:
        """Return the name of the MIDI file without its suffix, such as `hymn022`."""
        return key

    def facts_of(self, key: str, piece: CorpusPiece) -> Facts:
        """Return the facts from the header of the ABC file."""
        about = piece.metadata
        return Facts(key, about.composer or "unknown", about.title, LICENCE, "train", f"Open Hymnal, {key}.mid")


def usable_readings(hymns: dict[int, Hymn], midi: zipfile.ZipFile, left_out: dict[str, str]) -> dict[str, Reading]:
    """Read the hymns by the names of their MIDI files; the reasons for leaving the others out go to `left_out`."""
    readings: dict[str, Reading] = {}
    for number, hymn in sorted(hymns.items()):
        key = f"hymn{number:03d}"
        try:
            if f"{key}.mid" not in midi.namelist():
                raise UnusableError("no MIDI file")
            if not _is_free(hymn.about.get("C", "")):
                raise UnusableError("setting not in the public domain")
            reading = make_reading(hymn, midi.read(f"{key}.mid"))
            if unison_share(reading.score) > MAX_UNISON:
                raise UnusableError("passages in unison")
            readings[key] = reading
        except UnusableError as error:
            left_out[key] = str(error)
    return readings


def _is_free(notices: str) -> bool:
    """Return True if the music is in the public domain; words, which are not used, may be protected."""
    statement = notices.lower().partition("copyright: ")[2]
    is_protected = re.search(r"^copyright|settings?( copyright)?: c|\(lyrics, music, and setting\)", statement)
    return "public domain" in statement and not is_protected


def drop_copies(readings: dict[str, Reading], left_out: dict[str, str]) -> None:
    """Remove settings that are close to a chorale to evaluate on, or to an earlier hymn."""
    chorales = load_corpus("chorales")
    rows = [row for split in HELD_OUT for row in chorales[split] if row["num_parts"] == NUM_VOICES]
    known = {f"a chorale: {row['id']}": (outer_steps(row_to_score(row)), NEAR_COPY) for row in rows}
    for key, reading in list(readings.items()):
        steps = outer_steps(reading.score)
        found = ((similarity(steps, other, least), name) for name, (other, least) in known.items())
        closest, name = max(found, default=(0.0, ""))
        if closest:
            left_out[key] = f"close to {name} ({closest:.2f})"
            del readings[key]
        else:
            known[f"an earlier hymn: {key}"] = (steps, NEAR_DUPLICATE)


def write(readings: dict[str, Reading], left_out: dict[str, str], out: Path) -> dict[str, object]:
    """Write the dataset with its record, and return the record."""
    corpus = HymnCorpus(tuple(readings))
    pieces = {key: make_piece(reading) for key, reading in readings.items()}
    reasons = Counter(reason.partition(":")[0] for reason in left_out.values())
    facts = {
        "hymns": len(pieces),
        "phrases": sum(len(piece.fermatas) for piece in pieces.values()),
        "meters": dict(Counter(piece.time_signature for piece in pieces.values()).most_common()),
        "left_out": dict(reasons.most_common()),
        "left_out_hymns": left_out,
    }
    with fresh_folder(out) as folder:
        report = write_rows(corpus, (ReadOutcome(key, piece) for key, piece in pieces.items()), folder)
        (folder / "hymns.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    assert report.num_rows == len(pieces), report.duplicates
    return facts


def main() -> None:
    """Read the two files, drop copies, write the dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("abc", type=Path, help="OpenHymnal.abc")
    parser.add_argument("midi", type=Path, help="zip of one MIDI file a hymn: hymn022.mid")
    parser.add_argument("out", type=Path, help="new folder for the dataset")
    parser.add_argument("--force", action="store_true", help="replace the dataset at OUT")
    options = parser.parse_args()
    try:
        check_out(options.out, force=options.force)
        text = read_bytes(options.abc, MAX_BYTES).decode("utf-8", "replace")
        with zipfile.ZipFile(io.BytesIO(read_bytes(options.midi, MAX_BYTES))) as midi:
            left_out: dict[str, str] = {}
            readings = usable_readings(read_hymnal(text), midi, left_out)
        drop_copies(readings, left_out)
        facts = write(readings, left_out, options.out)
    except (InputError, zipfile.BadZipFile) as error:
        sys.exit(f"error: {error}")
    del facts["left_out_hymns"]
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
