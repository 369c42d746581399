"""The columns of a dataset row, and the way from a reading to a row and from a row to a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from symusic.core import ScoreTick

from descant_tokenizers.corpora.digests import incipit_digest, main_time_signature, notes_digest
from descant_tokenizers.corpora.reading import Reading
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.key import estimate_key
from descant_tokenizers.scores.tracks import notes_of


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
class CorpusPiece:
    """Everything about a piece that follows from its bytes alone, and so can be cached under their digest.

    Attributes:
        music: The score as a MIDI file.
        is_four_part: Whether it holds the four voices and nothing else, all that its source has.
        digest: `notes_digest`: equal for equal notes.
        incipit_digest: `incipit_digest`: equal for pieces that begin alike.
        remarks: What was changed while reading, one sentence each.
        title: What the file calls itself, empty where it says nothing; likewise composer, rights and encoder.
    """

    music: bytes
    num_parts: int
    is_four_part: bool
    num_notes: int
    key: str
    time_signature: str
    fermatas: tuple[int, ...]
    digest: str
    incipit_digest: str
    remarks: tuple[str, ...] = ()
    title: str = ""
    composer: str = ""
    rights: str = ""
    encoder: str = ""


@dataclass(frozen=True)
class Facts:
    """What a corpus knows about a piece: columns of its row (see `Row`)."""

    id: str
    composer: str
    title: str
    licence: str
    split: str
    source: str


class Reader(Protocol):
    """One way of reading pieces; small, because it is sent to worker processes with every few pieces."""

    @property
    def name(self) -> str:
        """Pieces are cached under it."""

    def load(self, key: str) -> bytes:
        """Read the bytes of a piece; raises `InputError` where that cannot be."""

    def read(self, key: str, data: bytes) -> Reading:
        """Read a piece; raises `InputError` where it cannot be used."""


class Corpus(Protocol):
    """Pieces that are read in one way."""

    @property
    def name(self) -> str:
        """What the column `corpus` says."""

    @property
    def keys(self) -> Sequence[str]:
        """The pieces in the order of their rows; of pieces with the same notes, the first one stays."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in order."""

    @property
    def reader(self) -> Reader:
        """How they are read."""

    def id_of(self, key: str) -> str:
        """Name the row."""

    def facts_of(self, key: str, piece: CorpusPiece) -> Facts:
        """Say what is known about a piece."""


def make_piece(reading: Reading) -> CorpusPiece:
    """Gather what a row says about a piece.

    Args:
        reading: What was read.

    Returns:
        The piece, its music written as MIDI.
    """
    score = reading.score
    assert all(track.notes for track in score.tracks), "MIDI does not keep an empty track"
    notes = notes_of(score.tracks)
    onsets = {note.time for track in score.tracks for note in track.notes} if reading.fermatas_ticks else set()
    return CorpusPiece(
        music=score.dumps_midi(),
        num_parts=reading.num_parts,
        is_four_part=reading.num_parts == len(VOICES) and tuple(track.name for track in score.tracks) == VOICES,
        num_notes=score.note_num(),
        key=estimate_key(score, notes),
        time_signature=main_time_signature(score),
        fermatas=tuple(tick for tick in reading.fermatas_ticks if tick in onsets),
        digest=notes_digest(score, notes),
        incipit_digest=incipit_digest(score, notes),
        remarks=reading.remarks,
        title=reading.title,
        composer=reading.composer,
        rights=reading.rights,
        encoder=reading.encoder,
    )


def make_row(corpus: Corpus, key: str, piece: CorpusPiece) -> Row:
    """Make the row of a piece.

    Args:
        corpus: Where the piece belongs.
        key: Which piece of the corpus it is.
        piece: What was read.

    Returns:
        All columns, in the order of `COLUMN_TYPES`.
    """
    facts = corpus.facts_of(key, piece)
    return Row(
        id=facts.id,
        composer=facts.composer,
        title=facts.title,
        corpus=corpus.name,
        licence=facts.licence,
        split=facts.split,
        key=piece.key,
        time_signature=piece.time_signature,
        num_notes=piece.num_notes,
        fermatas=list(piece.fermatas),
        music=piece.music,
        num_parts=piece.num_parts,
        source=facts.source,
    )


def row_to_score(row: Mapping[str, Any]) -> ScoreTick:
    """Read the music of a row.

    Args:
        row: A row of a dataset built here, or any mapping with MIDI bytes under `music`.

    Returns:
        A score; with tracks Soprano, Alto, Tenor and Bass where the piece is four-part.
    """
    return ScoreTick.from_midi(row["music"])
