"""Corpora out of the scores that music21 installs: a table of what is where, by whom, and under what licence.

Licences are those of the corpus's own files (`corpus/license.txt`, `essenFolksong/license.txt`, `!!!YEM` lines): the
statement of a piece's own file comes before the one in this table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.files import FileReader, keys_in, stem_of
from descant_tokenizers.corpora.reading import Parts
from descant_tokenizers.corpora.rows import CorpusPiece, Facts
from descant_tokenizers.corpora.splits import FOLDER_SPLITS, split_of_digest, split_of_text
from descant_tokenizers.scores import Limits

NO_STATEMENT = "no rights statement (music21 corpus)"
CONTRIBUTED = "freely contributed to the music21 corpus"
NON_COMMERCIAL = "non-commercial use only (music21 corpus, essenFolksong/license.txt)"
LIMITS = Limits(max_bytes=12 * 2**20)  # a Beethoven quartet in one MusicXML file has 10.4 MiB


@dataclass(frozen=True)
class Source:
    """A part of music21's corpus.

    Attributes:
        pattern: Its files, from the corpus's folder.
        composer: Who composed them.
        licence: What holds where a file says nothing of its own.
        title_of: Names a piece by its path where files name themselves badly; None takes the file's title.
    """

    pattern: str
    composer: str
    licence: str
    title_of: Callable[[str], str] | None = None


def quartet_title(key: str) -> str:
    """Name a quartet by its path: `haydn/opus74no1/movement2.mxl` is opus 74 no. 1, movement 2."""
    work = re.search(r"/(opus|k)(\d+)(?:no(\d+))?", key)
    movement = re.search(r"movement(\d+)", key)
    assert work is not None, key
    name = f"K. {work[2]}" if work[1] == "k" else f"opus {work[2]}" + (f" no. {work[3]}" if work[3] else "")
    return f"String quartet {name}" + (f", movement {movement[1]}" if movement else "")


def madrigal_title(key: str) -> str:
    """Name a madrigal by its path: `monteverdi/madrigal.3.10.mxl` is number 10 of the third book."""
    book, number = key.split(".")[1:3]
    return f"Madrigals, book {book}, no. {number}"


@dataclass(frozen=True)
class CorpusEntry:
    """A corpus of the table.

    Attributes:
        sources: Where its pieces are.
        parts: Which tracks are taken.
        is_free: Whether everything in it may go into weights that are shipped.
        by_work: Whether all parts of a work go into one split; else pieces that begin alike do.
    """

    sources: tuple[Source, ...]
    parts: Parts = "all"
    is_free: bool = False
    by_work: bool = False


TABLE = {
    "palestrina": CorpusEntry(
        (Source("palestrina/*.krn", "Giovanni Pierluigi da Palestrina", NO_STATEMENT),), parts="four", by_work=True
    ),
    "quartets": CorpusEntry(
        (
            Source("haydn/op*/*.mxl", "Joseph Haydn", NO_STATEMENT, quartet_title),
            Source("mozart/k[!5]*/*.mxl", "Wolfgang Amadeus Mozart", NO_STATEMENT, quartet_title),  # K. 545 is a sonata
            Source("beethoven/op*.mxl", "Ludwig van Beethoven", NO_STATEMENT, quartet_title),
            Source("beethoven/op*/*.mxl", "Ludwig van Beethoven", NO_STATEMENT, quartet_title),
        )
    ),
    "monteverdi": CorpusEntry(
        (Source("monteverdi/madrigal.?.*[0-9].mxl", "Claudio Monteverdi", NO_STATEMENT, madrigal_title),)
    ),
    "folk": CorpusEntry(
        (
            Source("ryansMammoth/*.abc", "traditional", CONTRIBUTED),
            Source("airdsAirs/*.abc", "traditional", CONTRIBUTED),
        ),
        is_free=True,
    ),
    "essen": CorpusEntry((Source("essenFolksong/*.abc", "traditional", NON_COMMERCIAL),)),
}


@dataclass(frozen=True)
class Music21Corpus:
    """One corpus of the table, a `descant_tokenizers.corpora.rows.Corpus`.

    Attributes:
        name: Its name in the table.
        chosen: The pieces to take; None takes all of them.
    """

    name: str
    chosen: tuple[str, ...] | None = None
    splits: tuple[str, ...] = FOLDER_SPLITS

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The pieces, in the order of the table and of their names."""
        if self.chosen is not None:
            return self.chosen
        keys = tuple(key for source in self._entry.sources for key in _keys(self._root, source.pattern))
        if not keys:
            raise InputError(
                f"{self._root} lacks the files of {self.name} ({self._entry.sources[0].pattern}); "
                "reinstall music21 from PyPI, which brings its corpus."
            )
        return keys

    @property
    def reader(self) -> FileReader:
        """How a piece is read."""
        return FileReader(self._root, self._entry.parts, LIMITS)

    def id_of(self, key: str) -> str:
        """Return the path in music21's corpus without its suffix, such as `palestrina/Agnus_00`."""
        return stem_of(key)

    def facts_of(self, key: str, piece: CorpusPiece) -> Facts:
        """Say what the table and the piece's own file say."""
        source = next(source for source in self._entry.sources if _is_in(key, source.pattern))
        title = source.title_of(key) if source.title_of else piece.title or PurePosixPath(stem_of(key)).name
        work, _, movement = piece.title.partition(": ")
        by_work = self._entry.by_work and movement
        licence = piece.rights or source.licence
        return Facts(
            id=self.id_of(key),
            composer=source.composer,
            title=title,
            licence=f"{licence}; encoded by: {piece.encoder}" if piece.encoder else licence,
            split=split_of_text(work) if by_work else split_of_digest(piece.incipit_digest),
            source=f"music21 corpus, {key}",
        )

    @property
    def _entry(self) -> CorpusEntry:
        return TABLE[self.name]

    @cached_property
    def _root(self) -> Path:
        from music21.common import getCorpusFilePath

        return Path(getCorpusFilePath())


def _keys(root: Path, pattern: str) -> list[str]:
    files = sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))
    return [key for file in files for key in keys_in(root, file)]


def _is_in(key: str, pattern: str) -> bool:
    folder = pattern.partition("/")[0]
    return key.startswith(f"{folder}/")
