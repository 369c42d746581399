"""Compare every tokenization scheme on four kinds of music: the tables of docs/schemes.md.

    python benchmarks/schemes.py --out records/2026-11-26_schemes --games game-music
    python benchmarks/schemes.py --out records/2026-11-26_schemes --only folk --schemes beat    # one row of a record
    python records/refresh.py                                           # then update the tables

`chorales` and `folk` are the corpora of these names, built when first needed. `midi` is a folder of MIDI files
that this script writes: instrumental and vocal pieces of music21's corpus, each with its instruments, and two MIDI
files that come with music21. None of them was recorded from a performance. `games` is a folder of General MIDI with
drums, velocities and tempos: the music of three free games, gathered by `benchmarks/game_music.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import music21
from music21.common.pathTools import getCorpusFilePath

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import write_json
from descant_tokenizers.comparison.compare import compare, kind_of_all, load_source
from descant_tokenizers.comparison.schemes import default_schemes, load_scheme, scheme_names
from descant_tokenizers.scores import read_score, write_midi

KINDS = ("chorales", "folk", "midi", "games")

PATTERNS = (
    "beach/*",
    "beethoven/opus18no1/movement[13]*",
    "chopin/*",
    "corelli/*/*",
    "handel/*/*",
    "haydn/*/movement[23]*",
    "johnson_j_r/*",
    "joplin/*",
    "liliuokalani/*",
    "mozart/k15[56]/movement[123]*",
    "schoenberg/*/*",
    "schubert/*",
    "schumann_clara/*",
    "schumann_robert/*.*",
    "verdi/*",
    "weber/*",
)
SHIPPED_MIDI = ("omr/k525MIDIMvt1.mid", "omr/k525short.mid")


def main() -> None:
    """Measure, and write one JSON file for each kind of music."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the records")
    parser.add_argument("--chorales", default="chorales", help="corpus, or folder of a built dataset")
    parser.add_argument("--midi", help="folder of MIDI files; default: written by this script")
    parser.add_argument("--games", help="folder written by benchmarks/game_music.py")
    parser.add_argument("--only", choices=KINDS, help="measure one kind of music only")
    parser.add_argument("--schemes", help="add rows of these to the records, comma-separated; default: measure all")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if options.midi is None and options.only in (None, "midi"):
            export_midi(Path(scratch))
        sources = {"chorales": options.chorales, "folk": "folk", "midi": options.midi or scratch}
        if options.games is not None:
            sources["games"] = options.games
        for name in sources if options.only is None else (options.only,):
            source = sources[name]
            path = options.out / f"{name}.json"
            if options.schemes is None:
                record = header(name) | measure(name, source)
            else:
                record = with_rows(json.loads(path.read_text(encoding="utf-8")), source, options.schemes.split(","))
            write_json(path, record)
            print(f"wrote {path}", flush=True)


def with_rows(record: dict[str, Any], source: str, names: Sequence[str]) -> dict[str, Any]:
    """Return a record with the rows of some schemes measured again, or added, in the order of the catalogue.

    Raises:
        InputError: The music is no longer that of the record.
    """
    figures = measure(record["source"], source, names)
    size = {key: record[key] for key in ("num_pieces", "num_notes", "num_bars")}
    if size != {key: figures[key] for key in size}:
        raise InputError(f"{source} is not the music of the record ({size}). Measure all schemes.")
    rows = {row["name"]: row for row in [*record["schemes"], *figures["schemes"]]}
    order = [name for name in scheme_names() if name in rows]
    revision, note = header("")["git"][:7], record.get("note", "the others are of `git`")
    note = f"measured later, at commit {revision}: {', '.join(names)}; {note}"
    return record | {"note": note, "schemes": [rows[name] for name in order]}


def measure(name: str, source: str, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Compare schemes on one source as `descant tokenizer compare --json` does; by default all that fit."""
    found = load_source([source], 0)
    kind = kind_of_all(found.scores)
    schemes = [load_scheme(scheme, kind) for scheme in names or default_schemes(kind)]
    for scheme in schemes:  # what is built at first use is not timed
        compare(dict([next(iter(found.scores.items()))]), [scheme], kind)
    figures = compare(found.scores, schemes, kind)
    return {"source": name, "num_found": found.num_found, "skipped": dict(found.skipped), **figures}


def export_midi(folder: Path) -> None:
    """Write the pieces of `PATTERNS` and `SHIPPED_MIDI` as MIDI files."""
    corpus = Path(getCorpusFilePath())
    found = [path for pattern in PATTERNS for path in corpus.glob(pattern) if path.suffix in (".mxl", ".xml", ".krn")]
    paths = {path.with_suffix(""): path for path in sorted(found)}.values()  # some exist in two formats
    for path in [*paths, *(Path(music21.__file__).parent / name for name in SHIPPED_MIDI)]:
        name = "-".join(path.with_suffix(".mid").parts[-3:])
        try:
            write_midi(read_score(path), folder / name)
        except InputError as error:
            print(f"left out {error}", file=sys.stderr)


def header(name: str) -> dict[str, Any]:
    """Return the provenance of a record."""
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "command": "python benchmarks/schemes.py",
        "table": name,
        "git": revision,
        "versions": {library: version(library) for library in ("miditok", "symusic", "music21")},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
    }


if __name__ == "__main__":
    main()
