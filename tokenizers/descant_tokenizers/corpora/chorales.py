"""Bach's chorales from the corpus that music21 installs: 408 files, no download."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from statistics import median
from typing import Any

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.catalogue import NO_STATEMENT
from descant_tokenizers.corpora.reading import Reading, make_four_part
from descant_tokenizers.corpora.rows import CorpusPiece, Facts
from descant_tokenizers.corpora.splits import CHORALE_SPLITS, canonical_splits
from descant_tokenizers.scores import NUM_VOICES, VOICES, Limits
from descant_tokenizers.scores.reading import read_bytes

COMPOSER = "Johann Sebastian Bach"


def chorale_files() -> list[Path]:
    """List the 408 Bach files of the installed music21 corpus by catalogue number.

    Raises:
        InputError: The installed music21 lacks some of them (some distributions leave the corpus out).
    """
    from music21.common import getCorpusFilePath

    folder = Path(getCorpusFilePath()) / "bach"
    paths = [folder / name for name in sorted(canonical_splits(), key=_catalogue_order)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{folder} lacks {len(missing)} of the {len(paths)} Bach files (the first is {missing[0]}). "
            "Reinstall music21 from PyPI, which includes its corpus."
        )
    return paths


def read_chorale(path: Path) -> Reading:
    """Read the four voices of a Bach file of music21's corpus.

    A file of four parts holds them from top to bottom. From a file of more parts, those named Soprano, Alto, Tenor and
    Bass are taken ("Soprano Oboe 1" counts, "Soprano 2" does not: a part of a five-voice setting is not a chorale of
    four voices). Leading rests and interludes of the instruments remain as rests.

    Returns:
        The four voices; `num_parts` is four unless they were chosen from more parts.

    Raises:
        InputError: The file does not hold exactly one part for each of the four voices.
    """
    from music21 import converter, stream

    from descant_tokenizers.scores.music21_reader import fermatas_of, from_music21

    source = converter.parse(path, forceSource=True)  # forceSource: no pickle left in the temporary folder
    assert isinstance(source, stream.Score)  # music21 makes one of any MusicXML file
    score = from_music21(source)
    chosen = choose_parts([track.name for track in score.tracks], path.name)
    voices, remarks = make_four_part(score, [score.tracks[index] for index in chosen])
    fermatas = {tick for index in chosen for tick in fermatas_of(source.parts[index])}
    return Reading(voices, len(score.tracks), tuple(sorted(fermatas)), (*remarks, *_order_remarks(voices)))


def choose_parts(names: list[str], file_name: str) -> list[int]:
    """Return the indices of soprano, alto, tenor and bass among the parts of a file, from top to bottom.

    Raises:
        InputError: A voice is missing or occurs more than once.
    """
    if len(names) == NUM_VOICES:
        return list(range(NUM_VOICES))
    chosen = []
    for voice in VOICES:
        found = [index for index, name in enumerate(names) if name.lower().split()[:1] == [voice.lower()]]
        if len(found) != 1:
            raise InputError(
                f"{file_name} has {len(names)} parts, {len(found) or 'none'} of them named {voice}. Leave it out, or "
                "name exactly one part after each voice."
            )
        chosen += found
    return chosen


def chorale_title(file_name: str) -> str:
    """Return the title of a chorale: the German one in music21's list of chorales, else its catalogue number."""
    number = file_name.removeprefix("bwv").removesuffix(".mxl")
    known = _titles().get(number)
    return f"{known} (BWV {number})" if known else f"BWV {number}"


@dataclass(frozen=True)
class ChoraleReader:
    """Reader of Bach files, a `descant_tokenizers.corpora.rows.Reader`."""

    folder: Path
    name: str = "Chorale"

    def load(self, key: str) -> bytes:
        """Load the bytes of a file."""
        return read_bytes(self.folder / key, Limits().max_bytes)

    def read(self, key: str, data: bytes) -> Reading:
        """Read one file; see `read_chorale`."""
        return read_chorale(self.folder / key)


@dataclass(frozen=True)
class ChoraleCorpus:
    """The corpus `chorales`, a `descant_tokenizers.corpora.rows.Corpus`.

    Attributes:
        paths: The files; all of them by default.
    """

    paths: tuple[Path, ...] = field(default_factory=lambda: tuple(chorale_files()))
    name: str = "chorales"
    splits: tuple[str, ...] = CHORALE_SPLITS

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """File names by split: of files with the same notes, the one in the earliest split is kept."""
        splits = canonical_splits()
        return tuple(sorted((path.name for path in self.paths), key=lambda name: self.splits.index(splits[name])))

    @property
    def reader(self) -> ChoraleReader:
        """Reader of the files."""
        return ChoraleReader(self.paths[0].parent)

    def id_of(self, key: str) -> str:
        """Return the file's stem, such as `bwv269`."""
        return key.removesuffix(".mxl")

    def facts_of(self, key: str, piece: CorpusPiece) -> Facts:
        """Return the facts from the canonical split and music21's list of titles."""
        split = canonical_splits()[key]
        return Facts(self.id_of(key), COMPOSER, chorale_title(key), NO_STATEMENT, split, f"music21 corpus, bach/{key}")


def _catalogue_order(file_name: str) -> tuple[tuple[int, ...], str]:
    return tuple(int(number) for number in re.findall(r"\d+", file_name)), file_name


def _order_remarks(score: ScoreTick) -> list[str]:
    """Report voices whose median pitch lies below that of the next lower voice."""
    medians = [median([note.pitch for note in track.notes] or [0]) for track in score.tracks]
    pairs = zip(itertools.pairwise(VOICES), itertools.pairwise(medians), strict=True)
    return [f"{upper} lies below {lower} on the whole" for (upper, lower), (high, low) in pairs if high < low]


@cache
def _titles() -> dict[str, str]:
    """Return titles by catalogue number from music21's list of the chorales in Riemenschneider's edition."""
    from music21.corpus.chorales import ChoraleListRKBWV

    make_list: Callable[[], Any] = ChoraleListRKBWV  # untyped upstream
    return {number: entry["title"] for number, entry in make_list().byBWV.items()}
