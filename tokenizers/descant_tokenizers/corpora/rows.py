"""The columns of a dataset row; from a read piece to a row, and from a row to a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict, cast, get_type_hints

from symusic.core import ScoreTick

from descant_tokenizers.corpora.reading import Reading
from descant_tokenizers.corpora.splits import incipit_digest, main_time_signature, notes_digest
from descant_tokenizers.scores import NUM_VOICES, VOICES
from descant_tokenizers.scores.key import estimate_key
from descant_tokenizers.scores.tracks import notes_of
from descant_tokenizers.scores.validation import Metadata


class Row(TypedDict):
    """One piece.

    `fermatas` are onsets in ticks of the score in `music`; `music` is a MIDI file, with tracks Soprano, Alto, Tenor
    and Bass if the piece is four-part, else with the tracks of its source; `num_notes` counts the notes in it;
    `num_parts` counts the parts of the source that hold notes; `source` is the file it came from.
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


_ARROW_TYPES = {str: "string", int: "int32", bytes: "binary", list[int]: "int64[]"}
COLUMN_TYPES: dict[str, str] = {name: _ARROW_TYPES[kind] for name, kind in get_type_hints(Row).items()}


@dataclass(frozen=True)
class CorpusPiece:
    """Everything about a piece that depends only on its bytes, and so can be cached under their digest.

    Attributes:
        music: The score as a MIDI file.
        is_four_part: True if it holds the four voices only, and its source held no other part.
        digest: `notes_digest`: equal for the same notes.
        incipit_digest: `incipit_digest`: equal for pieces with the same incipit.
        remarks: Changes made while reading, one sentence each.
        metadata: Title, composer and rights that the file states.
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
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True)
class Facts:
    """Columns of a piece's row that its corpus knows (see `Row`)."""

    id: str
    composer: str
    title: str
    licence: str
    split: str
    source: str


class Reader(Protocol):
    """Reader of pieces; small, because it is pickled for worker processes."""

    @property
    def name(self) -> str:
        """Name under which its pieces are cached."""

    def load(self, key: str) -> bytes:
        """Load the bytes of a piece; raises `InputError` if it cannot."""

    def read(self, key: str, data: bytes) -> Reading:
        """Read a piece; raises `InputError` if it cannot be used."""


class Corpus(Protocol):
    """Pieces with a common reader."""

    @property
    def name(self) -> str:
        """Value of the column `corpus`."""

    @property
    def keys(self) -> Sequence[str]:
        """The pieces in the order of their rows; of pieces with the same notes, the first one is kept."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in order."""

    @property
    def reader(self) -> Reader:
        """Reader of the pieces."""

    def id_of(self, key: str) -> str:
        """Return the id of the row."""

    def facts_of(self, key: str, piece: CorpusPiece) -> Facts:
        """Return the columns that the corpus knows."""


def make_piece(reading: Reading) -> CorpusPiece:
    """Derive the columns of a row from a piece, and write its music as MIDI."""
    score = reading.score
    assert all(track.notes for track in score.tracks), "MIDI does not keep an empty track"
    notes = notes_of(score.tracks)
    onsets = {note.time for track in score.tracks for note in track.notes} if reading.fermatas_ticks else set()
    return CorpusPiece(
        music=score.dumps_midi(),
        num_parts=reading.num_parts,
        is_four_part=reading.num_parts == NUM_VOICES and tuple(track.name for track in score.tracks) == VOICES,
        num_notes=score.note_num(),
        key=estimate_key(score, notes),
        time_signature=main_time_signature(score),
        fermatas=tuple(tick for tick in reading.fermatas_ticks if tick in onsets),
        digest=notes_digest(score, notes),
        incipit_digest=incipit_digest(score, notes),
        remarks=reading.remarks,
        metadata=reading.metadata,
    )


def make_row(corpus: Corpus, key: str, piece: CorpusPiece) -> Row:
    """Make the row of a piece of a corpus, its columns in the order of `COLUMN_TYPES`."""
    facts = vars(corpus.facts_of(key, piece))
    columns = {**vars(piece), **facts, "corpus": corpus.name, "fermatas": list(piece.fermatas)}
    return cast("Row", {name: columns[name] for name in COLUMN_TYPES})


def row_to_score(row: Mapping[str, Any]) -> ScoreTick:
    """Parse the MIDI bytes under `music` in a row; a four-part piece has tracks Soprano, Alto, Tenor and Bass."""
    return ScoreTick.from_midi(row["music"])
