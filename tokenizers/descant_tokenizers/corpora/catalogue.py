"""Corpora from the scores that music21 installs: their files, composers and licences.

Licences come from the corpus's own files (`corpus/license.txt`, `essenFolksong/license.txt`, `!!!YEM` lines); a
statement in a piece's own file takes precedence over this table.
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
class FileGroup:
    """Files of music21's corpus with a common composer and licence.

    Attributes:
        pattern: The files, relative to the corpus's folder.
        composer: Their composer.
        licence: Licence of files that state none.
        title_of: Makes a title from the path, for files with poor titles of their own.
    """

    pattern: str
    composer: str
    licence: str
    title_of: Callable[[str], str] | None = None


def quartet_title(key: str) -> str:
    """Return the title of a quartet by its path: `haydn/opus74no1/movement2.mxl` is opus 74 no. 1, movement 2."""
    work = re.search(r"/(opus|k)(\d+)(?:no(\d+))?", key)
    movement = re.search(r"movement(\d+)", key)
    assert work is not None, key
    name = f"K. {work[2]}" if work[1] == "k" else f"opus {work[2]}" + (f" no. {work[3]}" if work[3] else "")
    return f"String quartet {name}" + (f", movement {movement[1]}" if movement else "")


def madrigal_title(key: str) -> str:
    """Return the title of a madrigal by its path: `monteverdi/madrigal.3.10.mxl` is number 10 of the third book."""
    book, number = key.split(".")[1:3]
    return f"Madrigals, book {book}, no. {number}"


@dataclass(frozen=True)
class CorpusEntry:
    """A corpus of the table.

    Attributes:
        groups: Its files.
        parts: Tracks to take.
        by_work: True if all movements of a work go into one split; otherwise pieces with the same incipit do.
    """

    groups: tuple[FileGroup, ...]
    parts: Parts = "all"
    by_work: bool = False


TABLE = {
    "palestrina": CorpusEntry(
        (FileGroup("palestrina/*.krn", "Giovanni Pierluigi da Palestrina", NO_STATEMENT),), parts="four", by_work=True
    ),
    "quartets": CorpusEntry(
        (
            FileGroup("haydn/op*/*.mxl", "Joseph Haydn", NO_STATEMENT, quartet_title),
            FileGroup("mozart/k[!5]*/*.mxl", "Wolfgang Amadeus Mozart", NO_STATEMENT, quartet_title),  # K. 545: sonata
            FileGroup("beethoven/op*.mxl", "Ludwig van Beethoven", NO_STATEMENT, quartet_title),
            FileGroup("beethoven/op*/*.mxl", "Ludwig van Beethoven", NO_STATEMENT, quartet_title),
        )
    ),
    "monteverdi": CorpusEntry(
        (FileGroup("monteverdi/madrigal.?.*[0-9].mxl", "Claudio Monteverdi", NO_STATEMENT, madrigal_title),)
    ),
    "folk": CorpusEntry(
        (
            FileGroup("ryansMammoth/*.abc", "traditional", CONTRIBUTED),
            FileGroup("airdsAirs/*.abc", "traditional", CONTRIBUTED),
        ),
    ),
    "essen": CorpusEntry((FileGroup("essenFolksong/*.abc", "traditional", NON_COMMERCIAL),)),
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
        """The pieces in the order of the table and of their names."""
        if self.chosen is not None:
            return self.chosen
        groups = TABLE[self.name].groups
        found = [sorted(path.relative_to(self._root).as_posix() for path in self._root.glob(g.pattern)) for g in groups]
        keys = tuple(key for files in found for file in files for key in keys_in(self._root, file))
        if not keys:
            raise InputError(
                f"{self._root} lacks the files of {self.name} ({groups[0].pattern}). Reinstall music21 from PyPI, "
                "which includes its corpus."
            )
        return keys

    @property
    def reader(self) -> FileReader:
        """Reader of the pieces."""
        return FileReader(self._root, TABLE[self.name].parts, LIMITS)

    def id_of(self, key: str) -> str:
        """Return the path in music21's corpus without its suffix, such as `palestrina/Agnus_00`."""
        return stem_of(key)

    def facts_of(self, key: str, piece: CorpusPiece) -> Facts:
        """Return the facts from the table and the piece's own file."""
        entry, about = TABLE[self.name], piece.metadata
        group = next(group for group in entry.groups if key.startswith(group.pattern.partition("/")[0] + "/"))
        work, _, movement = about.title.partition(": ")
        licence = about.rights or group.licence
        return Facts(
            id=self.id_of(key),
            composer=group.composer,
            title=group.title_of(key) if group.title_of else about.title or PurePosixPath(stem_of(key)).name,
            licence=f"{licence}; encoded by: {about.encoder}" if about.encoder else licence,
            split=split_of_text(work) if entry.by_work and movement else split_of_digest(piece.incipit_digest),
            source=f"music21 corpus, {key}",
        )

    @cached_property
    def _root(self) -> Path:
        from music21.common import getCorpusFilePath

        return Path(getCorpusFilePath())
