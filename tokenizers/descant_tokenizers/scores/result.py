"""What reading a score file returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from symusic.core import ScoreTick

from descant_tokenizers.scores.form import Form
from descant_tokenizers.scores.marks import Marks
from descant_tokenizers.scores.validation import Metadata


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A score read from a file, and the repairs that it needed.

    Attributes:
        score: The validated score.
        repairs: One sentence per kind of repair; empty for a clean file.
        fermatas_ticks: Onsets of notes under a fermata, ascending; MIDI has none.
        metadata: Title, composer and rights.
        marks: Lyrics, fermatas and words, if requested.
        form: How the score is written with repeat signs, if it was written out and its marks were requested.
        has_found_beats: Its bars are in beats that were found; see `descant_tokenizers.scores.beats`.
    """

    score: ScoreTick
    repairs: list[str] = field(default_factory=list)
    fermatas_ticks: tuple[int, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)
    marks: Marks = field(default_factory=Marks)
    form: Form | None = None
    has_found_beats: bool = False
