"""A folder of score files as a corpus: MIDI, MusicXML, ABC and Humdrum, mixed, with any number of tracks.

A piece's key is the path of its file inside the folder; the key of a tune in an ABC tune book adds `#` and the tune's
number in the book. If the music is read for an ensemble, each movement of a MusicXML file of several has such a key.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import overload

from descant_tokenizers.common.errors import InputError, shown
from descant_tokenizers.corpora.reading import Parts, Reading, read_piece
from descant_tokenizers.corpora.rows import CorpusPiece, Facts
from descant_tokenizers.corpora.splits import FOLDER_SPLITS, split_of_digest, split_of_text
from descant_tokenizers.scores import SUFFIXES, Limits
from descant_tokenizers.scores.abc.text import tunes_of
from descant_tokenizers.scores.ensembles import ENSEMBLES
from descant_tokenizers.scores.musicxml.movements import movement_starts, split_movements
from descant_tokenizers.scores.reading import read_bytes

UNKNOWN = "unknown"
UNKNOWN_LICENCE = "unknown (user files)"

_MUSICXML = (".mxl", ".musicxml", ".xml")
_BYTE = re.compile(r"\\x([89a-f][0-9a-f])")
_BOOK_KEY = re.compile(r"(?P<file>.*\.(abc|mxl|musicxml|xml))#(?P<tune>\d+)", re.IGNORECASE | re.DOTALL)
# A quartet in one file has up to 10 MiB and 2,500 bars, and a movement of it up to 5 MiB.
_WHOLE_WORK = Limits(max_bytes=32 * 2**20, max_notes=200_000, max_bars=8_000)
_MOVEMENT = Limits(max_bytes=12 * 2**20)


def score_keys(folder: Path, parts: Parts = "auto") -> list[str]:
    """List the pieces in the score files under a folder, sorted by relative path; see `score_files` and `keys_in`.

    Raises:
        InputError: There is no such folder, or no score file in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder. Give a folder of score files.")
    found = score_files(folder)
    if not found:
        raise InputError(f"{folder} holds no score file ({', '.join(SUFFIXES)}). Give a folder that does.")
    return [key for file in found for key in keys_in(folder, file, parts)]


def score_files(folder: Path) -> list[str]:
    """List the score files under a folder by relative path, sorted.

    Hidden files and folders are left out; links are followed, and a folder that several lead to is visited once. In a
    path that is not UTF-8, its bytes are written as hexadecimal escapes (see `file_path`).
    """
    found = []
    visited = {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, followlinks=True):
        inside = {name: os.path.realpath(os.path.join(root, name)) for name in sorted(folders) if name[0] != "."}
        folders[:] = [name for name, real in inside.items() if not (real in visited or visited.add(real))]  # type: ignore[func-returns-value]
        for name in names:
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith("."):
                path = os.path.relpath(os.path.join(root, name), folder).replace(os.sep, "/")
                found.append(os.fsencode(path).decode("utf-8", "backslashreplace"))
    return sorted(found)


def file_path(folder: Path, file: str) -> Path:
    """Return the path of a file from `score_files`."""
    path = folder / file
    if "\\x" not in file or path.exists():
        return path
    name = _BYTE.sub(lambda byte: bytes([int(byte[1], 16)]).decode("utf-8", "surrogateescape"), file)
    return folder / name


def keys_in(folder: Path, file: str, parts: Parts = "auto") -> list[str]:
    """List the pieces in one file: one per tune of an ABC file that holds several, or per movement for an ensemble."""
    path = file_path(folder, file)
    try:
        if file.lower().endswith(".abc"):
            num_tunes = len(_tunes(path))
        elif parts in ENSEMBLES and file.lower().endswith(_MUSICXML):
            num_tunes = len(movement_starts(path, read_bytes(path, _WHOLE_WORK.max_bytes), _WHOLE_WORK))
        else:
            return [file]
    except InputError:  # reading the whole file fails too, and is reported there
        return [file]
    return [file] if num_tunes < 2 else [f"{file}#{number}" for number in range(1, num_tunes + 1)]


def source_file(key: str) -> str:
    """Return the path, inside the folder of the key, of the file that holds a piece."""
    book = _BOOK_KEY.fullmatch(key)
    return book["file"] if book else key


def stem_of(key: str) -> str:
    """Return a key without the suffix of its file, such as `airs/book1#12`."""
    book = _BOOK_KEY.fullmatch(key)
    return f"{os.path.splitext(book['file'])[0]}#{book['tune']}" if book else os.path.splitext(key)[0]


@lru_cache(maxsize=1)
def _movements(path: Path) -> tuple[bytes, ...]:
    return split_movements(path, read_bytes(path, _WHOLE_WORK.max_bytes), _WHOLE_WORK)


def _tunes(path: Path) -> tuple[bytes, ...]:
    return _split(read_bytes(path, Limits().max_bytes))


@lru_cache(maxsize=2)
def _split(data: bytes) -> tuple[bytes, ...]:
    """Split a tune book; the fields before the first tune apply to all tunes."""
    text = data.decode("latin-1")  # undone below, whatever the encoding is
    tunes = tunes_of(text.replace("\r\n", "\n").replace("\r", "\n"))
    return tuple("\n".join(line for _, line in tune.lines).encode("latin-1") for tune in tunes)


class PackedKeys(Sequence[str]):
    """Keys in one block of memory, about their own length each; in a tuple, each takes some 60 bytes more.

    Attributes:
        packed: The keys as an Arrow array.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        import pyarrow

        self.packed = pyarrow.array(keys, pyarrow.string())

    def __len__(self) -> int:
        return len(self.packed)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return self.packed[index].to_pylist()  # type: ignore[no-any-return]
        return self.packed[index].as_py()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class FileReader:
    """Reader of the pieces in a folder's files, a `descant_tokenizers.corpora.rows.Reader`.

    Attributes:
        root: The folder.
        parts: Tracks to take; see `descant_tokenizers.corpora.reading.Parts`.
        limits: Bounds on what is read.
        unfold: Write repeats out.
    """

    root: Path
    parts: Parts = "auto"
    limits: Limits = field(default_factory=Limits)
    unfold: bool = True

    @property
    def name(self) -> str:
        """Name under which its pieces are cached."""
        return f"Files-{self.parts}{'' if self.unfold else '-as-written'}"

    def load(self, key: str) -> bytes:
        """Load the bytes of one piece: its file or movement, or the tune with the fields that its book states for all.

        Raises:
            InputError: The file cannot be read.
        """
        book = _BOOK_KEY.fullmatch(key)
        if book is None:
            return read_bytes(file_path(self.root, key), self.limits.max_bytes)
        path = file_path(self.root, book["file"])
        tunes = _movements(path) if path.suffix.lower() in _MUSICXML else _tunes(path)
        if int(book["tune"]) > len(tunes):
            raise InputError(f"{self.root / book['file']} changed while it was being read. Start again.")
        return tunes[int(book["tune"]) - 1]

    def read(self, key: str, data: bytes) -> Reading:
        """Read a piece; see `read_piece`. Errors name the tune of a tune book."""
        path, book = self.root / source_file(key), _BOOK_KEY.fullmatch(key)
        try:
            return read_piece(path, data, self.parts, self.limits, unfold=self.unfold)
        except InputError as error:
            if book is None:
                raise
            kind = "Movement" if path.suffix.lower() in _MUSICXML else "Tune"
            raise InputError(str(error).replace(str(path), f"{kind} {book['tune']} of {path}", 1)) from error


@dataclass(frozen=True)
class FolderCorpus:
    """A folder of score files, a `descant_tokenizers.corpora.rows.Corpus`.

    Attributes:
        root: The folder.
        keys: The pieces in its files, each once.
        licence: Licence of the files as stated by the user; None takes the statement of each file.
        parts: Tracks to take; see `descant_tokenizers.corpora.reading.Parts`.
        unfold: Write repeats out.
    """

    root: Path
    keys: Sequence[str]
    licence: str | None = None
    parts: Parts = "auto"
    unfold: bool = True
    splits: tuple[str, ...] = FOLDER_SPLITS

    @classmethod
    def of(cls, root: Path, licence: str | None = None, parts: Parts = "auto", *, unfold: bool = True) -> FolderCorpus:
        """Find the pieces in a folder; see `score_keys`.

        Raises:
            InputError: The name of the folder is not UTF-8.
        """
        if shown(str(root)) != str(root):
            raise InputError(f"The name of the folder {root} is not UTF-8. Rename it.")
        return cls(root, PackedKeys(score_keys(root, parts)), licence, parts, unfold)

    def fingerprint(self) -> str:
        """Hash the corpus: its path and options, and the sizes and modification times of its files."""
        digest = hashlib.sha256(f"{self.root.resolve()} {self.reader.name} {self.licence}".encode())
        for file, _ in groupby(self.keys, key=source_file):  # the tunes of a book follow each other
            try:
                status = file_path(self.root, file).stat()
                facts = f"{status.st_size} {status.st_mtime_ns}"
            except OSError:  # for example a dangling link; reading it will report that
                facts = "unreadable"
            digest.update(f"{file} {facts}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.root.resolve().name

    @property
    def reader(self) -> FileReader:
        """Reader of the pieces."""
        limits = _MOVEMENT if self.parts in ENSEMBLES else Limits()
        return FileReader(self.root, self.parts, limits, unfold=self.unfold)

    def id_of(self, key: str) -> str:
        """Return the path inside the folder, without its suffix unless two files differ only in that."""
        stem = stem_of(key)
        return key if stem in self._shared_stems else stem

    def facts_of(self, key: str, piece: CorpusPiece) -> Facts:
        """Return the facts from the piece's own file; a licence stated by the user takes precedence.

        If the music is read for an ensemble, all pieces of a work, by its composer and title, go into one split.
        """
        about = piece.metadata
        title = about.title or PurePosixPath(stem_of(key)).name
        split = split_of_digest(piece.incipit_digest)
        if self.parts in ENSEMBLES and about.title:
            work, _, _ = title.partition(": ")
            split = split_of_text(f"{about.composer}: {work}")
            if movement := _BOOK_KEY.fullmatch(key):
                title += f", movement {movement['tune']}"
        return Facts(
            id=self.id_of(key),
            composer=about.composer or UNKNOWN,
            title=title,
            licence=self.licence or about.rights or UNKNOWN_LICENCE,
            split=split,
            source=key,
        )

    @cached_property
    def _shared_stems(self) -> frozenset[str]:
        import pyarrow.compute

        stems = pyarrow.compute.value_counts(PackedKeys(map(stem_of, self.keys)).packed)
        return frozenset(stems.field("values").filter(pyarrow.compute.greater(stems.field("counts"), 1)).to_pylist())
