"""A folder of the user's own files as a corpus: MIDI, MusicXML, ABC and Humdrum, mixed, of any number of tracks."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from descant_tokenizers.corpora.reading import Parts, Reading, read_piece
from descant_tokenizers.corpora.rows import Facts, Piece
from descant_tokenizers.corpora.splits import FOLDER_SPLITS, split_of_digest
from descant_tokenizers.corpora.tunes import load, naming_tune, path_of, score_keys, stem_of
from descant_tokenizers.scores import Limits

UNKNOWN = "unknown"
UNKNOWN_LICENCE = "unknown (user files)"


@dataclass(frozen=True)
class FileReader:
    """Reads the pieces in a folder's files, a `descant_tokenizers.corpora.rows.Reader`.

    Attributes:
        root: The folder.
        parts: Which tracks are taken; see `descant_tokenizers.corpora.reading.Parts`.
        limits: Bounds on what is read.
    """

    root: Path
    parts: Parts = "auto"
    limits: Limits = field(default_factory=Limits)

    @property
    def name(self) -> str:
        """Name of the way in which files are read."""
        return f"Files-{self.parts}"

    def load(self, key: str) -> bytes:
        """Read a piece's bytes; see `descant_tokenizers.corpora.tunes.load`."""
        return load(self.root, key, self.limits)

    def read(self, key: str, data: bytes) -> Reading:
        """Read a piece; see `read_piece`."""
        with naming_tune(self.root, key):
            return read_piece(path_of(self.root, key), data, self.parts, self.limits)


@dataclass(frozen=True)
class FolderCorpus:
    """A folder of score files, a `descant_tokenizers.corpora.rows.Corpus`.

    Attributes:
        root: The folder.
        keys: The pieces in its files, each once.
        licence: What the user says about the files' licence; None takes what each file says.
        parts: Which tracks are taken; see `descant_tokenizers.corpora.reading.Parts`.
    """

    root: Path
    keys: Sequence[str]
    licence: str | None = None
    parts: Parts = "auto"
    splits: tuple[str, ...] = FOLDER_SPLITS

    @classmethod
    def of(cls, root: Path, licence: str | None = None, parts: Parts = "auto") -> FolderCorpus:
        """Find the pieces in a folder; see `score_keys`."""
        return cls(root, tuple(score_keys(root)), licence, parts)

    def fingerprint(self) -> str:
        """Hash what tells this corpus from another: its place, what is read, its files' sizes and times of change."""
        digest = hashlib.sha256(f"{self.root.resolve()} {self.parts} {self.licence}".encode())
        for path in dict.fromkeys(path_of(self.root, key) for key in self.keys):
            try:
                status = path.stat()
                facts = f"{status.st_size} {status.st_mtime_ns}"
            except OSError:  # a dangling link, say: reading it will tell
                facts = "unreadable"
            digest.update(f"{path.relative_to(self.root)} {facts}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.root.resolve().name

    @property
    def reader(self) -> FileReader:
        """How a piece is read."""
        return FileReader(self.root, self.parts)

    def id_of(self, key: str) -> str:
        """Return the path inside the folder, without its suffix unless another file differs in nothing else."""
        stem = stem_of(key)
        return key if stem in self._shared_stems else stem

    def facts_of(self, key: str, piece: Piece) -> Facts:
        """Say of a piece what its file says, under the user's own word about the licence."""
        return Facts(
            id=self.id_of(key),
            composer=piece.composer or UNKNOWN,
            title=piece.title or PurePosixPath(stem_of(key)).name,
            licence=self.licence or piece.rights or UNKNOWN_LICENCE,
            split=split_of_digest(piece.incipit_digest),
            source=key,
        )

    @cached_property
    def _shared_stems(self) -> frozenset[str]:
        stems = Counter(map(stem_of, self.keys))
        return frozenset(stem for stem, count in stems.items() if count > 1)
