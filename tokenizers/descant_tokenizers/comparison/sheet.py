"""The token inspector: a score in the tokens of any scheme, bar by bar, and what comes back from them.

`make_token_sheet` builds the rows; `render_token_sheet` shows them in a terminal and `page.py` as HTML, with the same
descriptions and families of token types.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.comparison.catalogue import label_voices, music_of
from descant_tokenizers.comparison.compare import Fidelity, fidelity
from descant_tokenizers.comparison.schemes import CustomScheme, Scheme, Step, load_scheme
from descant_tokenizers.scores import Bar, bars_of, read_score_report
from descant_tokenizers.scores.tracks import program_name
from descant_tokenizers.tokens.presets import open_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary, beats_of

__all__ = [
    "FAMILIES",
    "TokenBlock",
    "TokenSheet",
    "describe_token",
    "family_of",
    "heading",
    "make_token_sheet",
    "render_token_sheet",
    "shown_parts",
    "type_of",
]

FAMILIES: Mapping[str, tuple[str, str]] = {
    "bar": ("bold", "Bar Beat Track"),
    "meter": ("magenta", "TimeSig Tempo KeySig"),
    "time": ("cyan", "Position TimeShift Rest MicroTiming BarPosEnc PositionPosEnc"),
    "instrument": ("yellow", "Program"),
    "pitch": ("green", "Pitch PitchDrum NoteOn DrumOn PitchIntervalTime PitchIntervalChord Chord"),
    "duration": ("blue", "Duration NoteOff DrumOff"),
    "loudness": ("red", "Velocity"),
    "other": ("", ""),
}
"""For each family of token types its style in a terminal, and the types; all others are of the family `other`.
The page also has a colour for each family."""

_FAMILY_OF = {kind: family for family, (_, kinds) in FAMILIES.items() for kind in kinds.split()}
_HIDDEN_TYPES = ("Ignore", "Family")  # they only fill or mark the places of a compound token
_ADVANCE_TYPES = ("Position", "TimeShift", "Rest", "Beat", "Track")
_LETTERS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def type_of(name: str) -> str:
    """Return the type of a token: `Pitch` of `Pitch_60`."""
    return name.split("_", 1)[0]


def family_of(name: str) -> str:
    """Return the family of a token."""
    return _FAMILY_OF.get(type_of(name), "other")


def shown_parts(step: Step) -> list[str]:
    """Return the names of a token's parts, without those that only fill places of a compound."""
    return [name for name in step.names if type_of(name) not in _HIDDEN_TYPES]


def describe_token(name: str, voices: Mapping[int, str]) -> str:
    """Describe a token, given by its name in miditok, in words; return the name itself if its type is not known.

    `voices` names the programs that are voices.
    """
    kind, _, value = name.partition("_")
    if kind == "Program" and int(value) in voices:
        return f"voice: {voices[int(value)]}"
    try:
        description = _DESCRIPTIONS.get(kind, name)
        return description if isinstance(description, str) else description(value)
    except (ValueError, IndexError):
        return name


def _bar(value: str) -> str:
    return "a bar begins" if value == "None" else f"in bar {int(value) + 1} of the stream"


def _beats(value: str) -> str:
    beats = beats_of(value)
    whole, rest = divmod(beats, 1)
    number = " ".join(str(part) for part in (whole, rest) if part) or "0"
    return f"{number} beat{'s' * (beats > 1)}"


def _shift(value: str) -> str:
    return f"{_beats(value)} pass" if beats_of(value) else "no time passes"


def _pitch(value: str) -> str:
    return f"{_LETTERS[int(value) % 12]}{int(value) // 12 - 1} (MIDI pitch {value})"


def _instrument(value: str) -> str:
    return "drums" if int(value) < 0 else f"instrument: {program_name(int(value))} (program {value})"


_DESCRIPTIONS: Mapping[str, str | Callable[[str], str]] = {
    "Bar": _bar,
    "Beat": "a beat begins",
    "Track": lambda value: f"a track {'begins' if value == 'Start' else 'ends'}",
    "TimeSig": "time signature {}".format,
    "Tempo": "tempo {} quarters per minute".format,
    "Position": "position {} of the bar's grid, counted from 0".format,
    "BarPosEnc": _bar,
    "PositionPosEnc": lambda value: (
        "no position: the bar as a whole" if value == "None" else f"at position {value} of the bar's grid"
    ),
    "TimeShift": _shift,
    "Rest": _shift,
    "MicroTiming": lambda value: f"moved by {int(value):+d} ticks",
    "Program": _instrument,
    "Pitch": _pitch,
    "NoteOn": lambda value: f"begin {_pitch(value)}",
    "PitchDrum": "drum {}".format,
    "DrumOn": "drum {}".format,
    "NoteOff": lambda value: f"end {_pitch(value)}",
    "DrumOff": lambda value: f"end {_pitch(value)}",
    "Duration": lambda value: f"lasts {_beats(value)}",
    "Velocity": "velocity {} of 127".format,
    "PAD": "filler",
    "BOS": "begin",
    "EOS": "end",
    "MASK": "bar to fill",
    "SEP": "target follows",
}
"""For each type of token a phrase, or what makes one of its value."""


@dataclass(frozen=True, slots=True)
class TokenBlock:
    """Consecutive tokens of one bar of the score, a line for each onset."""

    bar: Bar
    lines: tuple[tuple[Step, ...], ...]


@dataclass(frozen=True)
class TokenSheet:
    """A score and its tokens.

    Attributes:
        title: Name of the file.
        scheme: The scheme.
        remarks: One phrase each: which tracks were taken, what was repaired, what the grid could not hold.
        blocks: All tokens in order. A scheme that writes one track after the other comes back to bars.
        bars: Bars of the score, a pickup included.
        kept: How well the tokens keep the score.
    """

    title: str
    scheme: Scheme
    remarks: tuple[str, ...]
    blocks: tuple[TokenBlock, ...]
    bars: tuple[Bar, ...]
    kept: Fidelity

    @property
    def steps(self) -> list[Step]:
        """All tokens in order."""
        return [step for block in self.blocks for line in block.lines for step in line]

    def key(self) -> str:
        """Return the voices or instruments of the programs in the tokens: "Program_40 = Soprano, ..."."""
        programs = {int(name[8:]) for step in self.steps for name in step.names if type_of(name) == "Program"}
        names = self.scheme.voices
        order = sorted({*programs, *names}, key=lambda program: (program < 0, program))  # drums last
        return ", ".join(f"Program_{p} = {names.get(p) or program_name(p)}" for p in order)

    def totals(self) -> Iterator[str]:
        """Yield a line of counts, and one that says what the tokens do not keep."""
        steps, notes = self.steps, self.kept.num_notes
        num_base = sum(len(step.names) for step in steps)
        merged = f" (of {num_base:,} base tokens)" * (len(self.scheme.vocabulary_sizes) == 1 and num_base > len(steps))
        pickup = self.bars[0].number == 0
        full = len(self.bars) - pickup
        yield (
            f"{len(steps):,} tokens{merged}, {notes:,} notes, {len(steps) / notes:.2f} tokens per note, "
            f"{full:,} bar{'s' * (full != 1)}{' and a pickup' * pickup}"
        )
        if self.kept.is_exact:
            yield "decoded again, every note and time signature is the same"
            return
        moved, resized = notes - self.kept.num_in_place, self.kept.num_in_place - self.kept.num_exact
        more = self.kept.num_back - notes
        lost = []
        if moved or resized:
            how = f"{moved:,} in onset (or dropped), {resized:,} in duration alone"
            lost.append(f"{moved + resized:,} of {notes:,} notes change: {how}")
        lost += [f"{abs(more):,} notes {'too many' if more > 0 else 'are missing'}"] if more else []
        lost += [] if self.kept.same_signatures else ["the time signatures are not the same"]
        yield "decoded again: " + "; ".join(lost)


def make_token_sheet(
    path: Path, tokenizer: str = "satb", track: str | None = None, scheme_name: str | None = None
) -> TokenSheet:
    """Read a score file and write it in tokens.

    Four-part tokenizers take the voices by name, or by pitch where there are exactly four tracks, else the melody as
    the soprano (see `pick_voices`); all others take every track.

    Args:
        path: A file in any supported format.
        tokenizer: A preset, or the folder or Hub id of a tokenizer or checkpoint; see `open_tokenizer`.
        track: The one track to take: its number from 1, or its name.
        scheme_name: A scheme to use instead; see `load_scheme`.

    Raises:
        InputError: The file cannot be read, there is no such tokenizer or scheme, or it refuses the score.
    """
    scheme: Scheme
    if scheme_name is None:
        scheme = CustomScheme(tokenizer, Vocabulary(open_tokenizer(tokenizer)))
    read = read_score_report(path)
    if scheme_name is not None:
        scheme = load_scheme(scheme_name, music_of(read.score))
    try:
        score, reason = scheme.kind.choose_tracks(read.score, track)
        if scheme.voices:
            score = label_voices(score)
        tokens = scheme.encode(score)
        kept = fidelity(score, scheme.decode(tokens))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    bars = tuple(bars_of(score))
    blocks = tuple(_blocks(scheme.steps(tokens), bars, score.ticks_per_quarter, tokens.ticks_per_quarter))
    return TokenSheet(path.name, scheme, (reason, *read.repairs, *tokens.changes), blocks, bars, kept)


def _blocks(steps: Sequence[Step], bars: Sequence[Bar], score_tpq: int, tokens_tpq: int) -> Iterator[TokenBlock]:
    """Gather consecutive tokens of one bar; what follows the last bar belongs to it."""
    starts = [bar.start_ticks * tokens_tpq for bar in bars]
    gathered: list[Step] = []
    current = -1
    for step in steps:
        index = bisect_right(starts, step.time_ticks * score_tpq) - 1
        if gathered and (index != current or step.names[:1] == ("Track_Start",)):
            yield TokenBlock(bars[current], tuple(_lines(gathered)))
            gathered = []
        current = index
        gathered.append(step)
    if gathered:
        yield TokenBlock(bars[current], tuple(_lines(gathered)))


def _lines(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """Break tokens where time advances; tokens that only advance it begin a line."""
    line: list[Step] = []
    for step in steps:
        is_later = bool(line) and step.time_ticks != line[-1].time_ticks and not all(map(_advances, line))
        if line and (is_later or (_advances(step) and any(_first_type(done) != "Track" for done in line))):
            yield tuple(line)
            line = []
        line.append(step)
    if line:
        yield tuple(line)


def _first_type(step: Step) -> str:
    return next(map(type_of, shown_parts(step)), "")


def _advances(step: Step) -> bool:
    return _first_type(step) in _ADVANCE_TYPES


def heading(bar: Bar) -> str:
    """Return a bar's number and time signature."""
    return f"bar {bar.number}, {bar.numerator}/{bar.denominator}{', pickup' if bar.number == 0 else ''}"


def render_token_sheet(sheet: TokenSheet) -> Iterator[Text]:
    """Yield the lines to print: remarks, a key to the programs, a block for each bar, totals, limits.

    Tokens that open a bar are on the line of its heading; the parts of a compound or merged token are joined by `+`.
    """
    for remark in sheet.remarks:
        yield Text(remark, "dim")
    if key := sheet.key():
        yield Text(key, FAMILIES["instrument"][0])
    for block in sheet.blocks:
        yield Text()
        title = Text().append(f"{heading(block.bar):<20}", "bold reverse")
        opens_bar = _first_type(block.lines[0][0]) == "Bar"
        yield title.append_text(_line_text(block.lines[0])) if opens_bar else title
        for line in block.lines[opens_bar:]:
            yield Text("  ").append_text(_line_text(line))
    yield Text()
    counts, came_back = sheet.totals()
    yield Text(counts, "bold")
    yield Text(came_back, "dim" if sheet.kept.is_exact else "bold red")
    for limit in sheet.scheme.limits:
        yield Text(f"limit: {limit}", "dim")


def _line_text(line: Sequence[Step]) -> Text:
    text = Text()
    for step in line:
        for index, name in enumerate(shown_parts(step)):
            text.append("+" if index else " ").append(name, FAMILIES[family_of(name)][0])
    return text
