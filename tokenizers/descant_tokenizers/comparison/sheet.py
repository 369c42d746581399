"""A score in the tokens of any scheme, bar by bar, ready to be shown.

What a token says, in words, and to which family of tokens it belongs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from miditok.constants import MIDI_INSTRUMENTS
from rich.text import Text

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.comparison.catalogue import label_voices, music_of
from descant_tokenizers.comparison.fidelity import Fidelity, fidelity
from descant_tokenizers.comparison.schemes import CustomScheme, Scheme, Step, load_scheme
from descant_tokenizers.scores import Bar, bars_of, read_score_report
from descant_tokenizers.tokens.kinds import MULTITRACK

__all__ = [
    "FAMILIES",
    "HIDDEN_TYPES",
    "TokenBlock",
    "TokenSheet",
    "describe_token",
    "family_of",
    "make_token_sheet",
    "render_token_sheet",
]

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "bar": ("Bar", "Beat", "Track"),
    "meter": ("TimeSig", "Tempo", "KeySig"),
    "time": ("Position", "TimeShift", "Rest", "MicroTiming", "BarPosEnc", "PositionPosEnc"),
    "instrument": ("Program",),
    "pitch": ("Pitch", "PitchDrum", "NoteOn", "DrumOn", "PitchIntervalTime", "PitchIntervalChord", "Chord"),
    "duration": ("Duration", "NoteOff", "DrumOff"),
    "loudness": ("Velocity",),
}
"""Types of tokens by what they tell about; all others are of the family `other`."""

HIDDEN_TYPES = ("Ignore", "Family")
"""Types that only fill or mark the places of a compound token."""

_FAMILY_OF = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}
_LETTERS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def family_of(name: str) -> str:
    """Return the family of a token."""
    return _FAMILY_OF.get(name.split("_", 1)[0], "other")


def describe_token(name: str, voices: Mapping[int, str]) -> str:
    """Say what a token means.

    Args:
        name: Its name in miditok's vocabulary, such as `Duration_1.12.24`.
        voices: Names of the programs that stand for voices.

    Returns:
        A phrase; the name itself for a type of token that is not known here.
    """
    kind, _, value = name.partition("_")
    try:
        return _meaning(kind, value, voices) or name
    except (ValueError, IndexError):
        return name


def _meaning(kind: str, value: str, voices: Mapping[int, str]) -> str:
    match kind:
        case "Bar":
            return "a bar begins" if value == "None" else f"in bar {int(value) + 1} of the stream"
        case "Beat":
            return "a beat begins"
        case "Track":
            return f"a track {'begins' if value == 'Start' else 'ends'}"
        case "TimeSig":
            return f"time signature {value}"
        case "Tempo":
            return f"tempo {value} quarters per minute"
        case "Position":
            return f"position {value} of the bar's grid, counted from 0"
        case "BarPosEnc":
            return f"in bar {int(value) + 1} of the stream"
        case "PositionPosEnc":
            return "no position: the bar as a whole" if value == "None" else f"at position {value} of the bar's grid"
        case "TimeShift" | "Rest":
            return "no time passes" if _beats(value) == 0 else f"{_beats_text(value)} pass"
        case "MicroTiming":
            return f"moved by {int(value):+d} ticks"
        case "Program":
            return _program(int(value), voices)
        case "Pitch" | "NoteOn":
            return f"{'begin ' * (kind == 'NoteOn')}{_pitch(int(value))}"
        case "PitchDrum" | "DrumOn":
            return f"drum {value}"
        case "NoteOff" | "DrumOff":
            return f"end {_pitch(int(value))}"
        case "Duration":
            return f"lasts {_beats_text(value)}"
        case "Velocity":
            return f"velocity {value} of 127"
        case "Family":
            return "a compound of a note" if value == "Note" else "a compound of time"
        case "Ignore":
            return "place not used"
        case "PAD" | "BOS" | "EOS" | "MASK" | "SEP":
            return {"PAD": "filler", "BOS": "begin", "EOS": "end", "MASK": "hole", "SEP": "written part"}[kind]
    return ""


def _beats(value: str) -> Fraction:
    whole, part, parts = map(int, value.split("."))
    return whole + Fraction(part, parts)


def _beats_text(value: str) -> str:
    beats = _beats(value)
    whole, rest = divmod(beats, 1)
    number = " ".join(str(part) for part in (whole, rest) if part) or "0"
    return f"{number} beat{'s' * (beats > 1)}"


def _pitch(pitch: int) -> str:
    return f"{_LETTERS[pitch % 12]}{pitch // 12 - 1} (MIDI pitch {pitch})"


def _program(program: int, voices: Mapping[int, str]) -> str:
    if program in voices:
        return f"voice: {voices[program]}"
    return "drums" if program < 0 else f"instrument: {MIDI_INSTRUMENTS[program]['name']} (program {program})"


FAMILY_STYLES = {
    "bar": "bold",
    "meter": "magenta",
    "time": "cyan",
    "instrument": "yellow",
    "pitch": "green",
    "duration": "blue",
    "loudness": "red",
    "other": "",
}
"""A rich style for each family of tokens."""

_OPENERS = ("Position", "TimeShift", "Rest", "Beat", "Track")


@dataclass(frozen=True, slots=True)
class TokenBlock:
    """The tokens of one bar that stand together in the stream.

    Attributes:
        bar: The bar, as the score counts it.
        lines: Tokens, a line for each onset.
    """

    bar: Bar
    lines: tuple[tuple[Step, ...], ...]


@dataclass(frozen=True)
class TokenSheet:
    """A score and its tokens.

    Attributes:
        title: Name of the file.
        scheme: The scheme.
        remarks: What was chosen or repaired while reading.
        blocks: All tokens in order. A scheme that writes one track after the other comes back to bars.
        num_tokens: Tokens.
        kept: What comes back from the tokens.
        num_bars: Bars of the score, a pickup included.
    """

    title: str
    scheme: Scheme
    remarks: tuple[str, ...]
    blocks: tuple[TokenBlock, ...]
    num_tokens: int
    kept: Fidelity
    num_bars: int

    def totals(self) -> Iterator[str]:
        """Yield a line of counts and one that says what the tokens do not keep."""
        notes = self.kept.num_notes
        yield (
            f"{self.scheme.title}: {self.num_tokens:,} tokens, {notes:,} notes, "
            f"{self.num_tokens / notes:.2f} tokens per note, {self.num_bars:,} bars"
        )
        if self.kept.is_exact:
            yield "decoded again, every note and time signature is the same"
            return
        changed = notes - self.kept.num_exact
        more = self.kept.num_back - notes
        lost = [f"{changed:,} of {notes:,} notes are other ones"] if changed else []
        lost += [f"{abs(more):,} notes {'too many' if more > 0 else 'are gone'}"] if more else []
        lost += [] if self.kept.same_signatures else ["the time signatures are not the same"]
        yield "decoded again: " + ", ".join(lost)


def make_token_sheet(path: Path, scheme_name: str, track: str | None = None) -> TokenSheet:
    """Read a score file and write it in the tokens of a scheme.

    Args:
        path: A file in any supported format.
        scheme_name: See `load_scheme`.
        track: The one track to take: its number from 1, or its name.

    Raises:
        InputError: The file cannot be read, there is no such scheme, or the scheme refuses the score.
    """
    read = read_score_report(path)
    score = read.score
    scheme = load_scheme(scheme_name, music_of(score))
    try:
        kind = scheme.kind if isinstance(scheme, CustomScheme) else MULTITRACK
        score, reason = kind.choose_tracks(score, track)
        ready = label_voices(score) if scheme.voices else score
        tokens = scheme.encode(ready)
        kept = fidelity(ready, scheme.decode(tokens))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    bars = bars_of(ready)
    blocks = tuple(_blocks(scheme.steps(tokens), bars, score.ticks_per_quarter, tokens.ticks_per_quarter))
    return TokenSheet(path.name, scheme, (reason, *read.repairs), blocks, tokens.num_tokens, kept, len(bars))


def _blocks(steps: Sequence[Step], bars: Sequence[Bar], score_tpq: int, tokens_tpq: int) -> Iterator[TokenBlock]:
    """Gather consecutive tokens of one bar; what stands after the last bar belongs to it."""
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
    """Break tokens where time goes on; tokens that only say so begin a line."""
    line: list[Step] = []
    for step in steps:
        moves = kind_of(step) in _OPENERS
        went_on = bool(line) and step.time_ticks != line[-1].time_ticks and any(_is_music(done) for done in line)
        if line and (went_on or (moves and not all(kind_of(done) == "Track" for done in line))):
            yield tuple(line)
            line = []
        line.append(step)
    if line:
        yield tuple(line)


def kind_of(step: Step) -> str:
    """Return the type of the token, of a compound one that of its first part that says something."""
    kinds = [name.split("_", 1)[0] for name in step.names]
    return next((kind for kind in kinds if kind not in HIDDEN_TYPES), "")


def _is_music(step: Step) -> bool:
    return kind_of(step) not in _OPENERS


def heading(bar: Bar) -> str:
    """Return a bar's number and time signature."""
    return f"bar {bar.number}, {bar.numerator}/{bar.denominator}{', pickup' if bar.number == 0 else ''}"


def render_token_sheet(sheet: TokenSheet) -> Iterator[Text]:
    """Yield the lines to print: remarks, a block for each bar, totals."""
    for remark in sheet.remarks:
        yield Text(remark, "dim")
    for block in sheet.blocks:
        yield Text()
        yield Text(f"{heading(block.bar):<20}", "bold reverse")
        for line in block.lines:
            text = Text(" ")
            for step in line:
                text.append(" ").append_text(_step_text(step))
            yield text
    yield Text()
    counts, came_back = sheet.totals()
    yield Text(counts, "bold")
    yield Text(came_back, "dim" if sheet.kept.is_exact else "bold red")
    for limit in sheet.scheme.limits:
        yield Text(f"limit: {limit}", "dim")


def _step_text(step: Step) -> Text:
    """Return the names of a token, those of a compound or merged one in brackets."""
    names = [name for name in step.names if name.split("_", 1)[0] not in HIDDEN_TYPES]
    text = Text("[" if len(step.names) > 1 else "")
    for index, name in enumerate(names):
        text.append(" " * bool(index)).append(name, FAMILY_STYLES[family_of(name)])
    return text.append("]" if len(step.names) > 1 else "")
