"""Read MusicXML files, write them, and read what was written: are notes, words and structure the same?

    python benchmarks/round_trip.py music21 --files music21.jsonl --out music21.json
    python benchmarks/round_trip.py lieder.zip --number 400 --files lieder.jsonl --out lieder.json

The first examines every MusicXML file that music21 ships, the second a random sample of a zip file or folder, which
`--seed` draws. Every file adds a line to `--files`; the same command examines only the files that have none yet, and
after `--minutes` it ends with what it has.

Each file is read, written as MusicXML (a staff for each part) and read again. Compared are the notes of every part as
played, the syllables, words and dynamics, the slurs and grace notes, articulations and hairpins, and the order in which
repeats, endings and jumps are played. Files with notes between writable beats are counted apart: their sheet music
shows such notes nearby. With `--second`, the notes are also compared with those that music21 reads, before repeats are
played (its ties are joined by pitch alone, so that they differ where two voices of a staff are in unison); with
`--schema`, what was written is validated (development packages `musicxml` and `xmlschema`).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import random
import re
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import examine_each, write_json
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import Limits, ReadResult
from descant_tokenizers.scores.marks import Marks
from descant_tokenizers.scores.musicxml.container import unpacked
from descant_tokenizers.scores.reading import parse_score
from descant_tokenizers.scores.validation import validated

LIMITS = Limits(max_bytes=16 * 2**20)
SUFFIXES = (".mxl", ".musicxml", ".xml")
NOTES = "notes_same"
_CUE_NOTE = re.compile(r"(<note\b[^>]*>\s*<cue\s*/>\s*)<pitch>.*?</pitch>", re.DOTALL)
_CUE_CHORD = re.compile(r"<note\b[^>]*>\s*<cue\s*/>\s*<chord\s*/>.*?</note>", re.DOTALL)
FIELDS = (NOTES, "words_same", "slurs_same", "symbols_same", "structure_same")


def files_of(source: str) -> dict[str, Callable[[], bytes]]:
    """Return the MusicXML files of music21, a folder or a zip file, in order of their names; each is read on call."""
    if source == "music21":
        from music21 import corpus

        paths = [Path(path) for path in corpus.getCorePaths()]
        folder = paths[0].parent.parent
    else:
        folder = Path(source)
        if folder.is_file():
            archive = zipfile.ZipFile(folder)
            names = sorted(name for name in archive.namelist() if name.endswith(SUFFIXES))
            return {name: partial(archive.read, name) for name in names}
        paths = [path for path in folder.rglob("*") if path.is_file()]
    found = {str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name: path for path in paths}
    return {name: found[name].read_bytes for name in sorted(found) if name.endswith(SUFFIXES)}


def contents(score: ScoreTick) -> list[list[tuple[int, int, int]]]:
    """Return onset, end and pitch of the notes of each track with notes."""
    tracks = ([(note.time, note.end, note.pitch) for note in track.notes] for track in score.tracks)
    return [sorted(notes) for notes in tracks if notes]


def words_of(marks: Marks) -> set[tuple[Any, ...]]:
    """Return the syllables of each part by onset (one under a chord belongs to all of its notes), and the words."""
    syllables: set[tuple[Any, ...]] = {
        (part, onset, lyric) for (part, onset, _), lyrics in marks.lyrics.items() for lyric in lyrics
    }
    return syllables | {(each.part, each.onset, each.text) for each in marks.words}


def slurs_of(marks: Marks) -> set[tuple[Any, ...]]:
    """Return the slurs and grace notes of each part by their onsets, likewise.

    Slurs between parts or notes of one chord are left out, and those over tied notes, which may be one note in print.
    """
    together = {*marks.pairs, *(pair[::-1] for pair in marks.pairs)}
    slurs: set[tuple[Any, ...]] = {
        (first[0], first[1], first[3:], last[0], last[1], last[3:])
        for first, last in marks.slurs
        if (first[0] == last[0] or (first[0], last[0]) in together)
        and first != last
        and first[1:2] + first[3:] != last[1:2] + last[3:]
    }
    return slurs | {
        (part, onset, len(graces) - index, grace.length, grace.has_fermata, pitch)
        for (part, onset, _), graces in marks.graces.items()
        for index, grace in enumerate(graces)
        for pitch in grace.pitches
    }


def symbols_of(marks: Marks) -> set[tuple[Any, ...]]:
    """Return the articulations of each part by onset, and its hairpins."""
    symbols: set[tuple[Any, ...]] = {
        (part, onset, name) for (part, onset, _), names in marks.symbols.items() for name in names
    }
    return symbols | {(each.part, each.onset, each.end, each.is_louder) for each in marks.hairpins}


def difference(before: Sequence[Any], after: Sequence[Any]) -> str:
    """Return a short description of the notes that differ: the kind and the first one."""
    if len(before) != len(after):
        return f"{len(before)} parts become {len(after)}"
    for part, (own, other) in enumerate(zip(before, after, strict=True)):
        missing, extra = sorted(set(own) - set(other)), sorted(set(other) - set(own))
        if not missing and not extra:
            continue
        places = {(onset, pitch) for onset, _, pitch in extra}
        lengths = all((onset, pitch) in places for onset, _, pitch in missing) and len(missing) == len(extra)
        kind = "other lengths" if lengths else f"{len(missing)} notes missing, {len(extra)} new"
        return f"part {part}: {kind}, as {[*missing, *extra][:2]}"
    return ""


def compare(result: ReadResult, again: ReadResult) -> dict[str, Any]:
    """Return what is the same in two readings: True, or what differs."""
    orders = [
        None if each.form is None else each.form.spans[:-1] for each in (result, again)
    ]  # the last bar may shrink
    found: dict[str, Any] = {NOTES: difference(contents(result.score), contents(again.score)) or True}
    for name, marks_of in (("words_same", words_of), ("slurs_same", slurs_of), ("symbols_same", symbols_of)):
        before, after = marks_of(result.marks), marks_of(again.marks)
        changes = sorted(map(str, before - after))[:2], sorted(map(str, after - before))[:2]
        found[name] = before == after or f"missing {changes[0]}, new {changes[1]}"
    return found | {"structure_same": orders[0] == orders[1] or f"{orders[0]} becomes {orders[1]}"[:200]}


def second_reading(path: Path, data: bytes) -> set[tuple[int, int, int]]:
    """Return the notes that music21 reads; its score does not tell cue notes, so they are rests for it."""
    from music21 import converter

    from descant_tokenizers.scores.music21_reader import from_music21

    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    text = _CUE_NOTE.sub(r"\1<rest/>", _CUE_CHORD.sub("", text))
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        score, _ = validated(path, from_music21(converter.parseData(text, format="musicxml")), LIMITS)
    return {note for notes in contents(score) for note in notes}


def load_schema() -> Any:
    """Load the schema of MusicXML 4.0 from the package musicxml."""
    import xmlschema

    found = importlib.util.find_spec("musicxml")
    assert found is not None, "the package musicxml holds the schema"
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "generate_classes"
    places = {
        "http://www.musicxml.org/xsd/xml.xsd": folder / "xml.xsd",
        "http://www.musicxml.org/xsd/xlink.xsd": Path(xmlschema.__file__).parent / "schemas/XLINK/xlink.xsd",
    }

    def place(uri: object) -> str:
        return places[str(uri)].as_uri() if str(uri) in places else str(uri)

    return xmlschema.XMLSchema(folder / "musicxml_4_0.xsd", uri_mapper=place, allow="local")


def examine(name: str, data: bytes, schema: Any, *, second: bool) -> dict[str, Any]:
    """Examine one file; the result names what differs."""
    path = Path(name)
    try:
        result = parse_score(path, data, LIMITS, marks=True)
        look = Rendering(result.score, marks=result.marks, form=result.form, arrangement="open")
        text = look.musicxml
    except InputError as error:
        return {"refused": str(error)}
    found: dict[str, Any] = {"between_beats": any("between writable" in remark for remark in look.remarks)}
    try:
        found |= compare(result, parse_score(path, text.encode(), LIMITS, marks=True))
    except InputError as error:
        found["refused_again"] = str(error)
    if schema is not None:
        found["valid"] = schema.is_valid(re.sub(r"<!DOCTYPE[^>]*>", "", text))
    if second:
        tracks = contents(parse_score(path, data, LIMITS, unfold=False).score)
        as_written = {note for notes in tracks for note in notes}
        try:
            other = second_reading(path, unpacked(path, data, 2**26))
            missing, new = sorted(as_written - other), sorted(other - as_written)
            found["same_in_music21"] = as_written == other or f"{len(missing)} only ours, {len(new)} only music21's"
        except Exception as error:  # music21 raises anything
            found["not_in_music21"] = type(error).__name__
    return found


def summary(files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Count what is the same in files, and list the others."""
    counts: Counter[str] = Counter(dict.fromkeys(("files", "between_beats", "refused", *FIELDS), 0))
    others: dict[str, list[str]] = {}
    for file in files:
        found = dict(file)
        name = found.pop("name")
        counts["files"] += 1
        is_shifted = bool(found.pop("between_beats", False))
        counts["between_beats"] += is_shifted
        for key, value in found.items():
            if key in FIELDS and is_shifted:
                continue
            is_good = value is True
            counts[key] += is_good or key not in (*FIELDS, "valid", "same_in_music21")
            if not is_good:
                others.setdefault(key, []).append(f"{name}: {value}" if value else name)
    counts["on_beat"] = counts["files"] - counts["between_beats"] - counts["refused"]
    return {"counts": dict(counts), "others": others}


def main() -> None:
    """Examine files; print the counts and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="music21, a folder or a zip file")
    parser.add_argument("--number", type=int, help="examine a random sample of this many files")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample, and of the order of the files")
    parser.add_argument("--minutes", type=float, default=1e9, help="end after this time")
    parser.add_argument("--files", type=Path, help="a file with one line of JSON for each file that was examined")
    parser.add_argument("--second", action="store_true", help="compare the notes with those that music21 reads")
    parser.add_argument("--schema", action="store_true", help="validate what was written")
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    schema = load_schema() if options.schema else None
    files = files_of(options.source)
    order = list(files)
    random.Random(options.seed).shuffle(order)
    examined = examine_each(
        order[: options.number],
        lambda name: examine(name, files[name](), schema, second=options.second),
        options.files,
        options.minutes,
    )
    about = {"source": Path(options.source).name, "seed": options.seed, "of": len(files)}
    sys.stdout.write(write_json(options.out, about | summary(examined)))


if __name__ == "__main__":
    main()
