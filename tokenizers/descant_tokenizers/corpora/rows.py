"""The columns of a dataset row, and the way from a reading to a row and from a row to a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict

from symusic.core import ScoreTick

from descant_tokenizers.corpora.analysis import estimate_key, main_time_signature, notes_digest
from descant_tokenizers.corpora.reading import Reading
from descant_tokenizers.scores import VOICES


class Row(TypedDict):
    """One piece.

    `fermatas` are onsets in ticks of the score in `music`; `music` is a MIDI file, with tracks Soprano, Alto, Tenor,
    Bass where the piece is four-part, else with the tracks of the source; `num_notes` counts the notes in it;
    `num_parts` those of the source's parts that hold notes; `source` says where the file was found.
    """

    id: str
    composer: str
    title: str
    corpus: str
    licence: str
    split: str
    key: str
    time_signature: str
    num_notes: int
    fermatas: list[int]
    music: bytes
    num_parts: int
    source: str


COLUMN_TYPES: dict[str, str] = {
    "id": "string",
    "composer": "string",
    "title": "string",
    "corpus": "string",
    "licence": "string",
    "split": "string",
    "key": "string",
    "time_signature": "string",
    "num_notes": "int32",
    "fermatas": "int64[]",
    "music": "binary",
    "num_parts": "int32",
    "source": "string",
}


@dataclass(frozen=True)
class Piece:
    """Everything about a file that follows from its bytes alone, and so can be cached under their digest.

    Attributes:
        music: The score as a MIDI file.
        is_four_part: Whether it holds the four voices and nothing else, all that its source has.
        digest: `notes_digest`: equal for equal notes.
        tune_digest: Equal for equal notes up to transposition.
        remarks: What was changed while reading, one sentence each.
    """

    music: bytes
    num_parts: int
    is_four_part: bool
    num_notes: int
    key: str
    time_signature: str
    fermatas: tuple[int, ...]
    digest: str
    tune_digest: str
    remarks: tuple[str, ...]


class Corpus(Protocol):
    """A set of files that are read in one way."""

    @property
    def name(self) -> str:
        """What the column `corpus` says."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in the order of their rows."""

    @property
    def composer(self) -> str:
        """What the column `composer` says."""

    @property
    def licence(self) -> str:
        """What the column `licence` says."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in order: of files with the same notes, the one in the earliest split stays."""

    @property
    def reader(self) -> str:
        """Name of the way of reading; pieces are cached under it."""

    def read(self, path: Path) -> Reading:
        """Read one file; raises `InputError` where it cannot be used. Called in worker processes."""

    def id_of(self, path: Path) -> str:
        """Name the row."""

    def source_of(self, path: Path) -> str:
        """Say where the file was found, the same on every machine."""

    def title_of(self, path: Path) -> str:
        """Name the piece."""

    def split_of(self, path: Path, tune_digest: str) -> str:
        """Choose the split."""


def make_piece(reading: Reading) -> Piece:
    """Gather what a row says about a piece.

    Args:
        reading: What was read.

    Returns:
        The piece, its music written as MIDI.
    """
    score = reading.score
    assert all(len(track.notes) for track in score.tracks), "MIDI does not keep an empty track"
    return Piece(
        music=score.dumps_midi(),
        num_parts=reading.num_parts,
        is_four_part=reading.num_parts == len(VOICES) and tuple(track.name for track in score.tracks) == VOICES,
        num_notes=score.note_num(),
        key=estimate_key(score),
        time_signature=main_time_signature(score),
        fermatas=reading.fermatas_ticks,
        digest=notes_digest(score),
        tune_digest=notes_digest(score, transposable=True),
        remarks=reading.remarks,
    )


def make_row(corpus: Corpus, path: Path, piece: Piece) -> Row:
    """Make the row of a piece.

    Args:
        corpus: Where the piece belongs.
        path: The file it was read from.
        piece: What was read.

    Returns:
        All columns, in the order of `COLUMN_TYPES`.
    """
    return Row(
        id=corpus.id_of(path),
        composer=corpus.composer,
        title=corpus.title_of(path),
        corpus=corpus.name,
        licence=corpus.licence,
        split=corpus.split_of(path, piece.tune_digest),
        key=piece.key,
        time_signature=piece.time_signature,
        num_notes=piece.num_notes,
        fermatas=list(piece.fermatas),
        music=piece.music,
        num_parts=piece.num_parts,
        source=corpus.source_of(path),
    )


def row_to_score(row: Mapping[str, Any]) -> ScoreTick:
    """Read the music of a row.

    Args:
        row: A row of a dataset built here, or any mapping with MIDI bytes under `music`.

    Returns:
        A score; with tracks Soprano, Alto, Tenor and Bass where the piece is four-part.
    """
    return ScoreTick.from_midi(row["music"])
