"""Show a score as the model sees it: the tokens of each bar, coloured by type, and what the grid changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text
from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import bars_of, read_score_report
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.kinds import kind_of
from descant_tokenizers.tokens.piece import GridBar, Piece, bar_ids, note_ids, piece_ids
from descant_tokenizers.tokens.vocabulary import Vocabulary

__all__ = ["GridLoss", "Inspection", "grid_loss", "inspect_file", "render"]

TOKEN_STYLES: Mapping[str, str] = {
    "Bar": "bold",
    "TimeSig": "magenta",
    "Position": "cyan",
    "Program": "yellow",
    "Pitch": "green",
    "PitchDrum": "green",
    "Velocity": "red",
    "Tempo": "magenta",
    "Duration": "blue",
}
"""A rich style for each token type of a score."""


@dataclass(frozen=True, slots=True)
class GridLoss:
    """How many notes a grid does not hold as they are.

    Attributes:
        num_notes: Notes of the score.
        num_moved: Notes whose onset changed, or that were dropped.
        num_resized: Notes at their onset whose duration changed.
    """

    num_notes: int
    num_moved: int
    num_resized: int

    @property
    def num_changed(self) -> int:
        """Notes that are not exactly as they were."""
        return self.num_moved + self.num_resized


@dataclass(frozen=True)
class Inspection:
    """A score and its tokens.

    Attributes:
        vocabulary: The vocabulary.
        piece: The music on the grid.
        first_bar: Number of the first bar, 0 for a pickup, else 1.
        loss: What the grid changed.
        remarks: One sentence or phrase each: which tracks were taken, what was repaired, what the grid could not hold.
    """

    vocabulary: Vocabulary
    piece: Piece
    first_bar: int
    loss: GridLoss
    remarks: tuple[str, ...]

    @property
    def num_base_tokens(self) -> int:
        """Number of base tokens; BOS, task and EOS are not counted."""
        return len(piece_ids(self.vocabulary, self.piece))

    @property
    def num_tokens(self) -> int:
        """Number of tokens that a model would see, learned ones among them."""
        return len(self.vocabulary.merge(piece_ids(self.vocabulary, self.piece)))


def inspect_file(vocabulary: Vocabulary, path: Path, track: int | str | None = None) -> Inspection:
    """Read a score file and put it on the token grid.

    For `satb`, four voices are taken by name, or by pitch where there are exactly four tracks; of anything else the
    melody is taken as the soprano (see `pick_voices`). For `gm` every track is taken.

    Args:
        vocabulary: A vocabulary of a preset.
        path: A file in any supported format.
        track: The one track to take (for `satb`, as the soprano): its number from 1, or its name.

    Raises:
        InputError: The file cannot be read, no voices or melody can be told, or the vocabulary cannot hold it.
    """
    read = read_score_report(path)
    try:
        score, reason = kind_of(vocabulary).choose_tracks(read.score, track)
        encoded = encode_score(vocabulary, score)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    loss = grid_loss(vocabulary, score, encoded.piece)
    first_bar = bars_of(score)[0].number
    return Inspection(vocabulary, encoded.piece, first_bar, loss, (reason, *read.repairs, *encoded.changes))


def grid_loss(vocabulary: Vocabulary, score: ScoreTick, piece: Piece) -> GridLoss:
    """Compare a score with itself on the grid, exactly.

    Args:
        vocabulary: The vocabulary of `piece`.
        score: A score with tracks named after the voices, or of any instruments.
        piece: The same music, from `encode_score`.
    """
    kept = _durations(piece, score.ticks_per_quarter)
    num_notes = num_moved = num_resized = 0
    for track in score.tracks:
        rank = vocabulary.rank_of(track)
        for note in track.notes:
            onset = note.time * vocabulary.ticks_per_quarter
            durations = None if rank is None else kept.get((rank, onset, note.pitch))
            num_notes += 1
            num_moved += durations is None
            num_resized += durations is not None and note.duration * vocabulary.ticks_per_quarter not in durations
    return GridLoss(num_notes, num_moved, num_resized)


def _durations(piece: Piece, factor: int) -> dict[tuple[int, int, int], set[int]]:
    """The durations of a piece by voice, onset and pitch, all times multiplied to compare whole numbers."""
    found: dict[tuple[int, int, int], set[int]] = {}
    for start, bar in zip(piece.bar_starts_ticks(), piece.bars, strict=False):
        for note in bar.notes:
            place = (note.voice, (start + note.offset_ticks) * factor, note.pitch)
            found.setdefault(place, set()).add(note.duration_ticks * factor)
    return found


def render(inspection: Inspection) -> Iterator[Text]:
    """Yield the lines to print: remarks, a key, a block for each bar, totals.

    A bar's block is its `Bar TimeSig` tokens, then a line for each onset.
    """
    vocabulary, piece = inspection.vocabulary, inspection.piece
    for remark in inspection.remarks:
        yield Text(remark, "dim")
    yield _key(inspection)
    for number, bar in enumerate(piece.bars, start=inspection.first_bar):
        yield Text()
        yield _heading(vocabulary, bar, number)
        yield from _onsets(vocabulary, bar)
    yield Text()
    yield from _totals(inspection)


def _key(inspection: Inspection) -> Text:
    vocabulary = inspection.vocabulary
    ranks = range(len(vocabulary.voices)) or inspection.piece.voices
    voices = (f"{vocabulary.names[vocabulary.voice_id[rank]]} = {vocabulary.voice_name(rank)}" for rank in ranks)
    return Text(", ".join(voices), TOKEN_STYLES["Program"])


def _heading(vocabulary: Vocabulary, bar: GridBar, number: int) -> Text:
    meter = f"{bar.meter.numerator}/{bar.meter.denominator}"
    title = f"bar {number}, {meter}{', pickup' if number == 0 else ''}"
    return Text().append(f"{title:<20}", "bold reverse").append_text(_tokens(vocabulary, bar_ids(vocabulary, bar)))


def _onsets(vocabulary: Vocabulary, bar: GridBar) -> Iterator[Text]:
    """One line for each onset of a bar."""
    line: list[int] = []
    for token_id in note_ids(vocabulary, bar):
        if vocabulary.types[token_id] == "Position" and line:
            yield Text("  ").append_text(_tokens(vocabulary, line))
            line = []
        line.append(token_id)
    if line:
        yield Text("  ").append_text(_tokens(vocabulary, line))


def _tokens(vocabulary: Vocabulary, base_ids: list[int]) -> Text:
    """The tokens that a model would see; the parts of a learned one are joined by `+`."""
    text = Text()
    for token_id in vocabulary.merge(base_ids):
        joint = " "
        for base_id in vocabulary.base_ids(token_id):
            text.append(joint).append(vocabulary.names[base_id], TOKEN_STYLES[vocabulary.types[base_id]])
            joint = "+"
    return text


def _totals(inspection: Inspection) -> Iterator[Text]:
    piece, loss = inspection.piece, inspection.loss
    num_tokens, num_base = inspection.num_tokens, inspection.num_base_tokens
    merged = f" (of {num_base:,} base tokens)" if inspection.vocabulary.tokenizer.is_trained else ""
    yield Text(
        f"{num_tokens:,} tokens{merged}, {piece.num_notes:,} notes, {num_tokens / piece.num_notes:.2f} tokens per note,"
        f" {_bars(inspection)}",
        "bold",
    )
    if loss.num_changed:
        yield Text(
            f"the grid changes {loss.num_changed:,} of {loss.num_notes:,} notes: {loss.num_moved:,} in onset (or "
            f"dropped), {loss.num_resized:,} in duration alone",
            "bold red",
        )
    else:
        yield Text("the grid holds every note exactly", "dim")


def _bars(inspection: Inspection) -> str:
    num_bars = len(inspection.piece.bars)
    pickup = inspection.first_bar == 0
    num_full = num_bars - pickup
    return f"{num_full:,} bar{'s' * (num_full != 1)}{' and a pickup' * pickup}"
