"""Prepare the hymns of the Open Hymnal as a corpus for training: four voices, bars, and the ends of their phrases.

    python benchmarks/hymns.py OpenHymnal.abc hymns
    accelerate launch train.py --config configs/chorales.yaml 'data.corpora=[chorales,hymns]'

A phrase ends with a fermata, or with a line of verse: where the meter of the text ("8 7 8 7") puts it, else where every
verse goes on with a capital letter. The onset of its last note goes into the column `fermatas`, as in the chorales.

These hymns are left out: those without a time signature, with repeat signs, with passages in unison, or not in four
single lines; settings that are not in the public domain; settings close to a chorale of valid, test or held_out, or to
an earlier hymn, in any key. All others go into the split `train`. The counts are printed; `hymns.json` in the folder
holds them with the reason for each hymn.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import write_json
from descant_tokenizers.corpora.build import load_corpus, write_rows
from descant_tokenizers.corpora.reading import Reading, make_four_part
from descant_tokenizers.corpora.rows import CorpusPiece, Facts, Reader, make_piece, row_to_score
from descant_tokenizers.corpora.store import check_out, fresh_folder
from descant_tokenizers.corpora.workers import ReadOutcome
from descant_tokenizers.pianoroll.frames import chorale_of_score
from descant_tokenizers.scores.marks import Lyric, Marks
from descant_tokenizers.scores.reading import parse_score, read_bytes
from descant_tokenizers.scores.validation import Metadata

NUM_VOICES = 4
NEAR_COPY = 0.6
"""Similarity from which a setting counts as close to a chorale, see `similarity`."""
NEAR_DUPLICATE = 0.85
MAX_CHORD_NOTES = 0.03
MAX_UNISON = 0.12
"""Share of time in which all voices have one pitch class; 10.7 % at most in a chorale."""
MIN_CAPITALS = 0.4
MIN_SYLLABLES = 4
MAX_BYTES = 2**24
HELD_OUT = ("valid", "test", "held_out")
LICENCE = "public domain (Open Hymnal Project)"


class UnusableError(Exception):
    """A hymn is left out; the message is the reason."""


class SungNote(NamedTuple):
    """A note of the melody: its onset in ticks, True if it has a fermata, and its syllables by verse, from 1."""

    onset_ticks: int
    has_fermata: bool
    syllables: dict[int, Lyric]


class Hymn(NamedTuple):
    """A hymn: its ABC code, and the comments before it (`%OHMETRICAL 8 7 8 7`) by name."""

    abc: bytes
    comments: dict[str, str]


def hymns_of(book: bytes) -> dict[str, Hymn]:
    """Return the hymns of the ABC file by name, such as `hymn022`; of several with one number, the last."""
    hymns: dict[str, Hymn] = {}
    for before, abc in pairwise(re.split(rb"(?m)^(?=X:)", book)):
        comments = re.findall(r"(?m)^%OH(\S+) (.*)", before.decode("utf-8", "replace"))
        number = re.match(rb"X:\s*(\d+)", abc)
        if number is not None:
            hymns[f"hymn{int(number[1]):03d}"] = Hymn(abc, {name: value.strip() for name, value in comments})
    return hymns


def make_reading(name: str, hymn: Hymn) -> Reading:
    """Read a hymn.

    Raises:
        UnusableError: It cannot be used.
    """
    if not _is_free(hymn.abc.decode("utf-8", "replace")):
        raise UnusableError("setting not in the public domain")
    if not re.search(rb"(?m)^M:\s*\d+/\d+", hymn.abc):
        raise UnusableError("no time signature")
    try:
        found = parse_score(Path(f"{name}.abc"), hymn.abc, marks=True, unfold=False)
    except InputError as error:
        raise UnusableError(f"unreadable: {error}") from None
    if any(sign.kind != "double" for sign in found.marks.repeats):
        raise UnusableError("repeat signs")
    if len(found.score.tracks) != NUM_VOICES:
        raise UnusableError("not in four voices")
    score, remarks = make_four_part(found.score, list(found.score.tracks))
    num_notes = found.score.note_num()
    if num_notes - score.note_num() > MAX_CHORD_NOTES * num_notes:
        raise UnusableError("chords within a voice")
    pitches_VT = chorale_of_score(score, name).pitches_VT
    if (pitches_VT % 12 == pitches_VT[0] % 12).all(axis=0).mean() > MAX_UNISON:
        raise UnusableError("passages in unison")
    notes = melody_of(score, found.marks)
    ends = tuple(notes[index].onset_ticks for index in phrase_ends(notes, hymn.comments.get("METRICAL", "")))
    about = Metadata(found.metadata.title, hymn.comments.get("COMPOSER", ""))
    return Reading(score, NUM_VOICES, ends, remarks, about)


def _is_free(abc: str) -> bool:
    """Return True if the music is in the public domain; words, which are not used, may be protected."""
    statement = "\n".join(re.findall(r"(?m)^C: *(.*)", abc)).lower().partition("copyright: ")[2]
    is_protected = re.search(r"^copyright|settings?( copyright)?: c|\(lyrics, music, and setting\)", statement)
    return "public domain" in statement and not is_protected


def melody_of(score: ScoreTick, marks: Marks) -> list[SungNote]:
    """Return the notes of the soprano with their fermatas and syllables."""
    lyrics = {onset: own for (part, onset, _), own in marks.lyrics.items() if part == 0}
    notes = []
    for note in score.tracks[0].notes:
        onset = Fraction(note.time, score.ticks_per_quarter)
        syllables = {each.verse: each for each in lyrics.get(onset, ()) if each.text}
        notes.append(SungNote(note.time, (onset, note.pitch) in marks.fermatas, syllables))
    return notes


def phrase_ends(notes: Sequence[SungNote], metrical: str) -> list[int]:
    """Return the indices of the last notes of phrases; fermatas and the last note end one in any case."""
    found = ends_by_meter(notes, metrical) or ends_by_capitals(notes)
    fermatas = {index for index, note in enumerate(notes) if note.has_fermata}
    return sorted({*found, *fermatas, len(notes) - 1})


def ends_by_meter(notes: Sequence[SungNote], metrical: str) -> list[int]:
    """Count the syllables of the first verse; nothing if they do not fit the meter, once or more often."""
    pattern = [int(count) for count in metrical.split()] if re.fullmatch(r"[\d ]+", metrical) else []
    sung = [index for index, note in enumerate(notes) if 1 in note.syllables]
    times, left = divmod(len(sung), sum(pattern) or len(sung) + 1)
    if not times or left:
        return []
    starts, count = [], 0
    for syllables in (pattern * times)[:-1]:
        count += syllables
        starts.append(sung[count])
    fits = all(_begins_word(notes[start].syllables[1]) for start in starts)
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
        begins_words = all(_begins_word(syllable) for syllable in note.syllables.values())
        if note.syllables and begins_words and _share_of_capitals(note) == 1:
            marks = [last_texts.get(verse, "")[-1:] in tuple(",;:.!?") for verse in note.syllables]
            if num_syllables >= MIN_SYLLABLES and (len(marks) > 1 or all(marks)):
                ends.append(index - 1)
                num_syllables = 0
        num_syllables += bool(note.syllables)
        last_texts.update({verse: syllable.text.rstrip("\"')") for verse, syllable in note.syllables.items()})
    return ends


def _begins_word(syllable: Lyric) -> bool:
    return syllable.syllabic in ("single", "begin")


def _share_of_capitals(note: SungNote) -> float:
    letters = [re.sub(r"^[^A-Za-z]*", "", syllable.text)[:1] for syllable in note.syllables.values()]
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
    matchers = [difflib.SequenceMatcher(None, *lines, autojunk=False) for lines in zip(one, other, strict=True)]
    if sum(matcher.quick_ratio() for matcher in matchers) < 2 * least:
        return 0.0
    mean = sum(matcher.ratio() for matcher in matchers) / 2
    return mean if mean >= least else 0.0


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
        """Return the name of a hymn, such as `hymn022`."""
        return key

    def facts_of(self, key: str, piece: CorpusPiece) -> Facts:
        """Return the facts from the header of a hymn."""
        about = piece.metadata
        return Facts(key, about.composer or "unknown", about.title, LICENCE, "train", f"Open Hymnal, {key}")


def usable_readings(hymns: dict[str, Hymn], left_out: dict[str, str]) -> dict[str, Reading]:
    """Read the hymns; the reasons for leaving the others out go to `left_out`."""
    readings: dict[str, Reading] = {}
    for name, hymn in sorted(hymns.items()):
        try:
            readings[name] = make_reading(name, hymn)
        except UnusableError as error:
            left_out[name] = str(error)
    return readings


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
        write_json(folder / "hymns.json", facts)
    assert report.num_rows == len(pieces), report.duplicates
    return facts


def main() -> None:
    """Read the file, drop copies, write the dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("abc", type=Path, help="OpenHymnal.abc")
    parser.add_argument("out", type=Path, help="new folder for the dataset")
    parser.add_argument("--force", action="store_true", help="replace the dataset at OUT")
    options = parser.parse_args()
    try:
        check_out(options.out, force=options.force)
        left_out: dict[str, str] = {}
        readings = usable_readings(hymns_of(read_bytes(options.abc, MAX_BYTES)), left_out)
        drop_copies(readings, left_out)
        facts = write(readings, left_out, options.out)
    except InputError as error:
        sys.exit(f"error: {error}")
    del facts["left_out_hymns"]
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
