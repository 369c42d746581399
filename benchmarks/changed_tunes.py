"""Count the tunes of a corpus in ABC that Descant's reader and music21's read differently.

    python benchmarks/changed_tunes.py folk --files folk.jsonl --out folk.json

Every tune adds a line to `--files`; the same command goes on where it stopped, and after `--minutes` it ends with what
it has. Compared are onset, end and pitch of all notes: as music21 reads them, without repeats; as written; and as
played.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import warnings
from collections import Counter
from pathlib import Path

from music21 import converter
from music21.common.pathTools import getCorpusFilePath
from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import examine_each, write_json
from descant_tokenizers.corpora.catalogue import TABLE, Music21Corpus
from descant_tokenizers.scores import Limits
from descant_tokenizers.scores.abc.text import decode, tunes_of
from descant_tokenizers.scores.music21_reader import from_music21
from descant_tokenizers.scores.reading import parse_score
from descant_tokenizers.scores.validation import validated

LIMITS = Limits()
Notes = list[tuple[int, int, int]]


def tunes(corpus: str) -> dict[str, str]:
    """Return the text of each tune, by its key."""
    found: dict[str, str] = {}
    for file in dict.fromkeys(key.partition("#")[0] for key in Music21Corpus(corpus).keys):
        books = tunes_of(decode((Path(getCorpusFilePath()) / file).read_bytes()))
        for place, tune in enumerate(books, start=1):
            found[f"{file}#{place}" if len(books) > 1 else file] = "\n".join(line for _, line in tune.lines)
    return found


def notes(score: ScoreTick) -> Notes:
    """Return onset, end and pitch of all notes."""
    return sorted((note.time, note.end, note.pitch) for track in score.tracks for note in track.notes)


def by_music21(text: str) -> Notes | None:
    """Return the notes that music21 reads; None if it reads none."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return notes(validated(Path("tune.abc"), from_music21(converter.parseData(text, format="abc")), LIMITS)[0])
        except Exception:  # music21 raises anything
            return None


def examine(text: str) -> dict[str, bool]:
    """Say in what respects the readings of a tune differ."""
    data, path = text.encode(), Path("tune.abc")
    try:
        written, played = (notes(parse_score(path, data, LIMITS, unfold=unfold).score) for unfold in (False, True))
    except InputError:
        return {"refused": True}
    other = by_music21(text)
    found = {"not_read_by_music21": other is None, "changed": played != other, "with_repeats": played != written}
    if other is None or written == other:
        return found
    ours, theirs = ([pitch for *_, pitch in reading] for reading in (written, other))
    return found | {"other_notes_as_written": True, "other_pitches": ours != theirs, "other_times_only": ours == theirs}


def main() -> None:
    """Compare the readings; print the counts and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=[name for name in TABLE if name in ("folk", "essen")])
    parser.add_argument("--minutes", type=float, default=1e9, help="end after this time")
    parser.add_argument("--files", type=Path, required=True, help="a file with one line of JSON for each tune")
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    all_tunes = tunes(options.corpus)
    found = examine_each(all_tunes, lambda name: examine(all_tunes[name]), options.files, options.minutes)
    counts = Counter(name for each in found for name, is_true in each.items() if is_true is True)
    about = {"corpus": options.corpus, "of": len(all_tunes), "tunes": len(found), **dict(sorted(counts.items()))}
    sys.stdout.write(write_json(options.out, about))


if __name__ == "__main__":
    main()
