"""The token inspector: a score in the tokens of any scheme, bar by bar, and what comes back from them.

`make_token_sheet` builds a sheet; `render_token_sheet` shows it in a terminal, and `page` as one HTML file that fetches
nothing and runs no script.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rich.text import Text

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.common.files import atomic_write
from descant_tokenizers.comparison.catalogue import label_voices, music_of
from descant_tokenizers.comparison.compare import Fidelity, fidelity
from descant_tokenizers.comparison.schemes import CustomScheme, Scheme, Step, load_scheme
from descant_tokenizers.scores import Bar, bars_of, read_score_report
from descant_tokenizers.scores.key import pitch_name
from descant_tokenizers.scores.tracks import program_name
from descant_tokenizers.tokens.presets import open_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary, beats_of

FAMILIES: Mapping[str, tuple[str, str]] = {
    "bar": ("bold", "Bar Beat Track"),
    "meter": ("magenta", "TimeSig Tempo KeySig"),
    "time": ("cyan", "Position TimeShift Rest MicroTiming BarPosEnc PositionPosEnc"),
    "instrument": ("yellow", "Program"),
    "pitch": ("green", "Pitch PitchDrum NoteOn DrumOn PitchInterval PitchIntervalTime PitchIntervalChord Chord"),
    "duration": ("blue", "Duration NoteOff DrumOff Pattern"),
    "loudness": ("red", "Velocity"),
    "other": ("", ""),
}
"""Style in a terminal and token types of each family; all other types are in the family `other`. `_STYLE` has a color
for each family."""

MAX_TOKENS = 60_000
"""Most tokens on a page: about ten megabytes, which browsers can still scroll through."""

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --rule: #d7dce1; --wash: #f4f6f8;
  --bar: #e4e7eb; --meter: #f7dcf2; --time: #d3eef5; --instrument: #fbeac0; --pitch: #d4f0d6; --duration: #d9e4fd;
  --loudness: #fbd9d5; --other: #ececec; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e8ebee; --soft: #a3acb6; --rule: #363d45;
  --wash: #1d2126; --bar: #3a4149; --meter: #572a4d; --time: #14485a; --instrument: #54430f; --pitch: #1c4d27;
  --duration: #223f7a; --loudness: #662a24; --other: #33383d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1.5rem 1rem 6rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: .95rem; margin: 0 0 .3rem; }
p, ul { margin: .4rem 0; } .soft { color: var(--soft); } .lost { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .4rem; position: sticky; top: 0; z-index: 1; padding: .6rem 0;
  background: var(--paper); border-bottom: 1px solid var(--rule); }
section { padding: .7rem 0; border-bottom: 1px solid var(--rule); }
.line { display: flex; flex-wrap: wrap; gap: .25rem; padding: .15rem 0; }
b, .legend span { position: relative; padding: .05rem .4rem; border-radius: .3rem;
  font: .82rem/1.5 ui-monospace, monospace; color: var(--ink); background: var(--other); white-space: nowrap; }
.step { display: inline-flex; flex-wrap: wrap; gap: .15rem; padding: .12rem; border: 1px solid var(--soft);
  border-radius: .45rem; }
b:hover { outline: 2px solid var(--ink); }
b:hover::after { content: attr(data-says); position: absolute; left: 0; top: 1.7rem; z-index: 2; padding: .25rem .6rem;
  font: .85rem/1.4 system-ui, sans-serif; color: var(--paper); background: var(--ink); border-radius: .3rem; }
"""

_FAMILY_OF = {kind: family for family, (_, kinds) in FAMILIES.items() for kind in kinds.split()}
_HIDDEN_TYPES = ("Ignore", "Family")  # fillers and marks of places in a compound token
_ADVANCE_TYPES = ("Position", "TimeShift", "Rest", "Beat", "Track")


def type_of(name: str) -> str:
    """Return the type of a token: `Pitch` of `Pitch_60`."""
    return name.split("_", 1)[0]


def family_of(name: str) -> str:
    """Return the family of a token."""
    return _FAMILY_OF.get(type_of(name), "other")


def shown_parts(step: Step) -> list[str]:
    """Return the names of a token's parts, without fillers of compound tokens."""
    return [name for name in step.names if type_of(name) not in _HIDDEN_TYPES]


def describe_token(name: str, voices: Mapping[int, str]) -> str:
    """Describe a token in words, or return its name if its type is unknown; `voices` names programs that are voices."""
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
    return f"{_beats(value)} {'pass' if beats_of(value) > 1 else 'passes'}" if beats_of(value) else "no time passes"


def _pitch(value: str) -> str:
    return f"{pitch_name(int(value))} (MIDI pitch {value})"


def _pattern(value: str) -> str:
    """Describe the four steps of a beat in BEAT, whose digits to base 3 are silence, onset and sustain."""
    steps = ("-xo"[int(value) // digit % 3] for digit in (27, 9, 3, 1))
    return f"steps of the beat: {' '.join(steps)} (x begins, o goes on)"


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
    "Rest": lambda value: "silence" if value == "None" else _shift(value),
    "MicroTiming": lambda value: f"moved by {int(value):+d} ticks",
    "Program": _instrument,
    "Pitch": _pitch,
    "PitchInterval": "{} semitones below the pitch before".format,
    "Pattern": _pattern,
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
    "MASK": "bar to infill",
    "SEP": "target follows",
}
"""For each type of token a phrase, or a function that makes one of its value."""


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
        remarks: A phrase for each choice of tracks, each repair, and everything that the grid could not hold.
        blocks: All tokens in order. A scheme that writes one track after the other returns to earlier bars.
        bars: Bars of the score, a pickup included.
        kept: Agreement of the score with the decoded tokens.
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
        """Yield a line of counts, and one about what the tokens do not keep."""
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
    path: Path,
    tokenizer: str = "satb",
    track: str | None = None,
    scheme_name: str | None = None,
    tune: int | None = None,
    *,
    unfold: bool = True,
) -> TokenSheet:
    """Read a score file and encode it.

    Four-part tokenizers take the voices by name, or by pitch if there are exactly four tracks, else the melody as
    the soprano (see `pick_voices`); all others take every track.

    Args:
        path: A file in any supported format.
        tokenizer: A preset, or the folder or Hub id of a tokenizer or checkpoint; see `open_tokenizer`.
        track: The one track to take: its number from 1, or its name.
        scheme_name: A scheme to use instead; see `load_scheme`.
        tune: Tune of an ABC file; see `read_score_report`.
        unfold: Write repeats out; likewise.

    Raises:
        InputError: The file cannot be read, the tokenizer or scheme does not exist, or it refuses the score.
    """
    scheme: Scheme
    if scheme_name is None:
        scheme = CustomScheme(tokenizer, Vocabulary(open_tokenizer(tokenizer)))
    read = read_score_report(path, tune=tune, unfold=unfold)
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
    """Group consecutive tokens of one bar; tokens after the last bar belong to it."""
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

    Tokens that open a bar follow its heading on one line; the parts of a compound or merged token are joined by `+`.
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


def page(sheet: TokenSheet) -> str:
    """Return a whole HTML page; a sheet of more than `MAX_TOKENS` tokens is cut there, and the page says so."""
    return "\n".join(_page(sheet)) + "\n"


def write_page(sheet: TokenSheet, path: Path) -> None:
    """Write a page to a file; an existing one is replaced.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(page(sheet), encoding="utf-8")


def _page(sheet: TokenSheet) -> Iterator[str]:
    colors = "".join(f"b.{family}, .legend .{family} {{ background: var(--{family}); }}\n" for family in FAMILIES)
    title = escape(printable(sheet.title, 120))
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}: {escape(sheet.scheme.title)} tokens</title>"
    yield f"<style>{_STYLE}{colors}</style></head><body>"
    yield f"<h1>{title}</h1>"
    yield from _summary(sheet)
    shown = 0
    for index, block in enumerate(sheet.blocks):
        if shown >= MAX_TOKENS:
            left = len(sheet.blocks) - index
            yield f'<p class="lost">{left:,} more bars are not shown: the page would be too long.</p>'
            break
        yield from _block(block, sheet.scheme.voices)
        shown += sum(len(line) for line in block.lines)
    yield "</body></html>"


def _summary(sheet: TokenSheet) -> Iterator[str]:
    """Yield the part above the tokens: counts, losses, remarks and the legend."""
    counts, came_back = sheet.totals()
    vocabulary = " + ".join(f"{size:,}" for size in sheet.scheme.vocabulary_sizes)
    yield f"<p>{escape(sheet.scheme.title)}: {escape(counts)}; vocabulary {vocabulary}</p>"
    yield f'<p class="{"soft" if sheet.kept.is_exact else "lost"}">{escape(came_back)}</p>'
    remarks = [*sheet.remarks, *(f"limit: {limit}" for limit in sheet.scheme.limits)]
    yield '<ul class="soft">' + "".join(f"<li>{escape(line)}</li>" for line in remarks) + "</ul>"
    if any(len(step.names) > 1 for step in sheet.steps):
        yield '<p class="soft">The parts in a frame are one token to a model.</p>'
    used = {family_of(name) for step in sheet.steps for name in shown_parts(step)}
    legend = "".join(f'<span class="{family}">{family}</span>' for family in FAMILIES if family in used)
    yield f'<div class="legend" role="note" aria-label="colors by type of token">{legend}</div>'


def _block(block: TokenBlock, voices: Mapping[int, str]) -> Iterator[str]:
    yield f"<section><h2>{escape(heading(block.bar))}</h2>"
    for line in block.lines:
        yield '<div class="line">' + "".join(_step(step, voices) for step in line) + "</div>"
    yield "</section>"


def _step(step: Step, voices: Mapping[int, str]) -> str:
    parts = "".join(
        f'<b class="{family_of(name)}" data-says="{escape(describe_token(name, voices))}">{escape(name)}</b>'
        for name in shown_parts(step)
    )
    return f'<span class="step">{parts}</span>' if len(step.names) > 1 else parts
