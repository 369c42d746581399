"""Which files are refused when they are read, or as a melody to harmonize, and with which sentence?

    python benchmarks/refusals.py music21 --files music21.jsonl --out music21.json
    python benchmarks/refusals.py lieder.zip --files lieder.jsonl --out lieder.json

The first reads every score that music21 ships, each tune of a tune book for itself; the second those of a zip file or
folder. The melody is the one that `generate.py` chooses without `--track`; where a piece has words, it is counted
whether the melody is sung. Every piece adds a line to `--files`; the same command reads only the pieces that have none
yet, and after `--minutes` it ends with what it has.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import examine_each, write_json
from descant_tokenizers.corpora.files import FileReader, keys_in, score_files
from descant_tokenizers.scores import SUFFIXES, Limits
from descant_tokenizers.scores.reading import parse_score
from descant_tokenizers.scores.voices import pick_voices

LIMITS = Limits(max_bytes=16 * 2**20)
_NAMED = 12  # pieces for each sentence
_VARIABLE = re.compile(r"[\w.]*\d[\w.,]*|'[^']*'")


def pieces_of(source: str) -> dict[str, Callable[[], bytes]]:
    """Return the pieces of music21, a folder or a zip file by name; each is read on call."""
    if source == "music21":
        from music21.common.pathTools import getCorpusFilePath

        source = str(getCorpusFilePath())
    folder = Path(source)
    if folder.is_file():
        archive = zipfile.ZipFile(folder)
        names = (name for name in archive.namelist() if name.endswith(tuple(SUFFIXES)))
        return {name: partial(archive.read, name) for name in names}
    reader = FileReader(folder)
    return {key: partial(reader.load, key) for file in score_files(folder) for key in keys_in(folder, file)}


def examine(name: str, data: bytes) -> dict[str, Any]:
    """Read a piece and choose its melody."""
    path = Path(name.partition("#")[0])
    try:
        result = parse_score(path, data, LIMITS, marks=True)
    except InputError as error:
        return {"unread": sentence(error, path)}
    try:
        choice = pick_voices(result.score)
    except InputError as error:
        return {"refused": sentence(error, path)}
    singing = {part for part, _, _ in result.marks.lyrics}
    parts = result.marks.parts_of(result.score.tracks, result.score.ticks_per_quarter) if singing else ()
    melody = next(iter(choice.indices.values()))
    return {"chosen": choice.reason} | (
        {"sung" if parts[melody] in singing else "unsung": choice.reason} if parts else {}
    )


def sentence(error: InputError, path: Path) -> str:
    """Return what is wrong, without the name of the file."""
    return str(error).replace(str(path), "FILE")


def kind_of(text: str) -> str:
    """Return the first sentence with `...` in place of names and numbers."""
    return _VARIABLE.sub("...", text.partition(". ")[0])


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the pieces, and those that each sentence refuses."""
    refusals: dict[str, list[str]] = {}
    for each in found:
        for key in ("unread", "refused"):
            if key in each:
                refusals.setdefault(f"{key}: {kind_of(each[key])}", []).append(f"{each['name']}: {each[key]}")
    counts = Counter(key for each in found for key in each)
    ordered = sorted(refusals.items(), key=lambda item: -len(item[1]))
    return {
        "pieces": len(found),
        **{key: counts[key] for key in ("chosen", "refused", "unread", "sung", "unsung")},
        "unsung_melodies": [f"{each['name']}: {each['unsung']}" for each in found if "unsung" in each][:_NAMED],
        "sentences": {kind: len(names) for kind, names in ordered},
        "examples": {kind: names[:_NAMED] for kind, names in ordered},
    }


def main() -> None:
    """Read pieces; print the counts and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="music21, a folder or a zip file")
    parser.add_argument("--minutes", type=float, default=1e9, help="end after this time")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order of the pieces")
    parser.add_argument("--files", type=Path, required=True, help="a file with one line of JSON for each piece")
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    pieces = pieces_of(options.source)
    order = sorted(pieces)
    random.Random(options.seed).shuffle(order)
    found = examine_each(order, lambda name: examine(name, pieces[name]()), options.files, options.minutes)
    about = {"source": Path(options.source).name, "seed": options.seed, "of": len(order), **summary(found)}
    sys.stdout.write(write_json(options.out, about))


if __name__ == "__main__":
    main()
