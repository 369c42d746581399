"""Read MusicXML files, write them, and read what was written: are notes, words and structure the same?

    python benchmarks/round_trip.py music21 --out round_trip.json          every MusicXML file that music21 ships
    python benchmarks/round_trip.py lieder.zip --every 20                  files of a folder or a zip file

Each file is read, written as MusicXML (a staff for each part) and read again. Compared are the notes of every part as
played, the syllables, the slurs and grace notes, and the order in which repeats, endings and jumps are played. Files
with notes between writable beats are counted apart: their sheet music shows such notes nearby. With `--second`, the
notes are also compared with those that music21 reads, before repeats are played; with `--schema`, what was written is
validated (development packages `musicxml` and `xmlschema`).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import re
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import atomic_write
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import Limits, ReadResult
from descant_tokenizers.scores.marks import Lyric, Marks
from descant_tokenizers.scores.musicxml.container import unpacked
from descant_tokenizers.scores.reading import parse_score
from descant_tokenizers.scores.validation import validated

LIMITS = Limits(max_bytes=16 * 2**20)
SUFFIXES = (".mxl", ".musicxml", ".xml")
NOTES = "notes_same"
FIELDS = (NOTES, "words_same", "slurs_same", "structure_same")


def files_of(source: str) -> Iterator[tuple[str, bytes]]:
    """Yield the names and bytes of the MusicXML files of music21, a folder or a zip file, in order of their names."""
    if source == "music21":
        from music21 import corpus

        paths = [Path(path) for path in corpus.getCorePaths()]
        folder = Path(corpus.getCorePaths()[0]).parent.parent
    else:
        folder = Path(source)
        paths = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    for path in sorted(path for path in paths if path.suffix in SUFFIXES):
        yield str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name, path.read_bytes()
    if folder.is_file():
        with zipfile.ZipFile(folder) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(SUFFIXES):
                    yield name, archive.read(name)


def contents(score: ScoreTick) -> list[list[tuple[int, int, int]]]:
    """Return onset, end and pitch of the notes of each track with notes."""
    tracks = ([(note.time, note.end, note.pitch) for note in track.notes] for track in score.tracks)
    return [sorted(notes) for notes in tracks if notes]


def words_of(marks: Marks) -> set[tuple[int, Fraction, Lyric]]:
    """Return the syllables of each part by onset: one under a chord belongs to all of its notes."""
    return {(part, onset, lyric) for (part, onset, _), lyrics in marks.lyrics.items() for lyric in lyrics}


def slurs_of(marks: Marks) -> set[tuple[int, Fraction, Fraction]]:
    """Return the slurs of each part by their onsets, likewise."""
    return {(first[0], first[1], last[1]) for first, last in marks.slurs}


def compare(result: ReadResult, again: ReadResult) -> dict[str, bool]:
    """Return what is the same in two readings."""
    orders = [
        None if each.form is None else each.form.spans[:-1] for each in (result, again)
    ]  # the last bar may shrink
    marks, other = result.marks, again.marks
    return {
        NOTES: contents(result.score) == contents(again.score),
        "words_same": words_of(marks) == words_of(other),
        "slurs_same": (slurs_of(marks), marks.graces) == (slurs_of(other), other.graces),
        "structure_same": orders[0] == orders[1],
    }


def second_reading(path: Path, data: bytes) -> set[tuple[int, int, int]]:
    """Return the notes that music21 reads."""
    from music21 import converter

    from descant_tokenizers.scores.music21_reader import from_music21

    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
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
            found["same_in_music21"] = as_written == second_reading(path, unpacked(path, data, 2**26))
        except Exception as error:  # music21 raises anything
            found["not_in_music21"] = type(error).__name__
    return found


def main() -> None:
    """Examine files; print the counts and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="music21, a folder or a zip file")
    parser.add_argument("--every", type=int, default=1, help="take every Nth file")
    parser.add_argument("--first", type=int, default=0, help="number of the first file, from 0")
    parser.add_argument("--second", action="store_true", help="compare the notes with those that music21 reads")
    parser.add_argument("--schema", action="store_true", help="validate what was written")
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    schema = load_schema() if options.schema else None
    counts: Counter[str] = Counter()
    others: dict[str, list[str]] = {}
    for index, (name, data) in enumerate(files_of(options.source)):
        if index % options.every != options.first % options.every:
            continue
        found = examine(name, data, schema, second=options.second)
        counts["files"] += 1
        is_shifted = bool(found.pop("between_beats", False))
        counts["between_beats"] += is_shifted
        for key, value in found.items():
            if key in FIELDS and is_shifted:
                continue
            counts[key] += bool(value)
            if value is not True:
                others.setdefault(key, []).append(f"{name}: {value}" if value else name)
    counts["on_beat"] = counts["files"] - counts["between_beats"] - counts["refused"]
    record = {
        "source": options.source,
        "every": options.every,
        "first": options.first,
        "counts": dict(counts),
        "others": others,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    sys.stdout.write(text)
    if options.out is not None:
        with atomic_write(options.out) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
