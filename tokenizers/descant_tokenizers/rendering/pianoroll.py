"""A piano roll of a score as a PNG, with a color for each voice; given notes differ from added ones.

Colors follow Okabe & Ito 2008, "Color Universal Design"; given notes also have a dark outline and hatching, so that the
picture is readable without color vision and in gray print.

Units: x in ticks of the score, from the beginning of the system (a row of bars); y in semitones (MIDI pitch).
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from itertools import cycle, groupby
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.collections import PatchCollection
from matplotlib.patches import Patch, Rectangle
from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.rendering.layers import GivenRule
from descant_tokenizers.scores import VOICES, Bar, bars_of
from descant_tokenizers.scores.ensembles import QUARTET, SONG

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = ("#d55e00", "#e69f00", "#009e73", "#0072b2")
VOICE_COLORS = {
    **dict(zip(VOICES, _COLORS, strict=True)),
    **dict(zip(QUARTET.tracks, _COLORS, strict=True)),
    **dict(zip(SONG.tracks, (_COLORS[0], *_COLORS[2:]), strict=True)),
}
_OTHER_COLORS = ("#cc79a7", "#56b4e9", "#7f7f7f", "#b3a800")
_INK = "#1a1a1a"
_BLACK_KEYS = (1, 3, 6, 8, 10)
_BARS_PER_SYSTEM = 16
_MAX_SYSTEMS = 24  # limits the largest score that is read (2,000 bars) to about 1,500 x 8,000 pixels
_DOTS_PER_INCH = 120
_WIDTH_INCHES = 13.0
_INCHES_PER_SEMITONE = 0.08
_MIN_ROLL_INCHES = 1.4
_MARGIN_INCHES = 0.4
_HEADING_INCHES = 0.75
_SPARE_SEMITONES = 2
_OCTAVE = 12
_MAX_LEGEND = 12


class _Box(NamedTuple):
    """A note, or its part in one system."""

    start_ticks: int
    end_ticks: int
    track: int
    given: bool
    bottom: float
    height: float


def piano_roll(score: ScoreTick, *, is_given: GivenRule | None = None, title: str = "") -> bytes:
    """Draw a score.

    Bars are numbered as in `bars_of` (a pickup is bar 0), up to 16 to a system. Voices that sound the same pitch at
    once share its row. Percussion is left out.

    Args:
        score: Any score with notes; tracks without a name are called "track 1", "track 2", ...
        is_given: Rule for the notes that were given, for example `lambda voice, note: voice == "Soprano"`, or
            `lambda voice, note: note.time < end_of_prompt_ticks`. By default all notes look the same.
        title: One line above the picture.

    Returns:
        A PNG file.

    Raises:
        InputError: The score has no pitched notes.
    """
    boxes = _boxes(score, is_given or (lambda voice, note: False))
    if not boxes:
        raise InputError("The score has no pitched notes to draw. Give one that has.")
    data = io.BytesIO()
    with _quiet_matplotlib():
        figure = _draw(score, boxes, title, marks_given=is_given is not None)
        figure.savefig(data, format="png", dpi=_DOTS_PER_INCH)
    return data.getvalue()


@contextlib.contextmanager
def _quiet_matplotlib() -> Iterator[None]:
    """Suppress matplotlib's messages about its font cache and missing glyphs."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph|Matplotlib")
            yield
    finally:
        logger.setLevel(level)


def _boxes(score: ScoreTick, is_given: GivenRule) -> list[_Box]:
    shortest_ticks = max(score.ticks_per_quarter // 8, 1)  # a narrower box would be invisible
    rows: dict[int, list[_Box]] = {}
    for index, track in enumerate(score.tracks):
        for note in () if track.is_drum else track.notes:
            end = note.time + max(note.duration, shortest_ticks)
            box = _Box(note.time, end, index, is_given(track.name, note), note.pitch - 0.5, 1)
            rows.setdefault(note.pitch, []).append(box)
    return [box for row in rows.values() for run in _runs(row) for box in _shared(run)]


def _runs(row: list[_Box]) -> list[list[_Box]]:
    """Split the boxes of one pitch into runs that overlap in time."""
    runs: list[list[_Box]] = []
    end = -1
    for box in sorted(row):
        if box.start_ticks >= end:
            runs.append([])
            end = box.end_ticks
        runs[-1].append(box)
        end = max(end, box.end_ticks)
    return runs


def _shared(run: list[_Box]) -> Iterator[_Box]:
    """Divide the height of a row among the tracks of a run, the first track on top."""
    tracks = sorted({box.track for box in run}, reverse=True)
    height = 1 / len(tracks)
    for box in run:
        yield box._replace(bottom=box.bottom + tracks.index(box.track) * height, height=height)


def _systems(bars: Sequence[Bar]) -> list[list[Bar]]:
    """Split bars into evenly filled systems of a multiple of four; a pickup precedes the first system's bars."""
    num_bars = max(bars[-1].number, 1)
    num_systems = min(ceil(num_bars / _BARS_PER_SYSTEM), _MAX_SYSTEMS)
    per_system = 4 * ceil(num_bars / num_systems / 4) if num_systems > 1 else num_bars
    return [list(system) for _, system in groupby(bars, key=lambda bar: max(bar.number - 1, 0) // per_system)]


def _draw(score: ScoreTick, boxes: list[_Box], title: str, *, marks_given: bool) -> Figure:
    from matplotlib.figure import Figure  # reads the fonts, with messages that are suppressed here

    systems = _systems(bars_of(score))
    low = min(round(box.bottom) for box in boxes) - _SPARE_SEMITONES
    high = max(round(box.bottom) for box in boxes) + _SPARE_SEMITONES
    row_inches = max((high - low) * _INCHES_PER_SEMITONE, _MIN_ROLL_INCHES) + _MARGIN_INCHES
    size = (_WIDTH_INCHES, len(systems) * row_inches + _HEADING_INCHES)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")  # Agg: no window, no pyplot
    width_ticks = max(system[-1].end_ticks - system[0].start_ticks for system in systems)
    names = [printable(track.name, 28) or f"track {number}" for number, track in enumerate(score.tracks, start=1)]
    spare = cycle(_OTHER_COLORS)
    colors = [VOICE_COLORS.get(name) or next(spare) for name in names]
    for axes, system in zip(figure.subplots(len(systems), squeeze=False)[:, 0], systems, strict=True):
        axes.set(xlim=(0, width_ticks), ylim=(low - 0.5, high + 0.5))
        _draw_keys(axes, low, high, system[-1].end_ticks - system[0].start_ticks)
        _draw_bars(axes, system, score.ticks_per_quarter)
        _draw_notes(axes, boxes, system, colors)
    _write_signatures(figure.axes, systems)
    figure.axes[-1].set_xlabel("bar", fontsize=9)
    figure.suptitle(printable(title, 110), fontsize=13, parse_math=False)
    _draw_legend(figure, boxes, names, colors, marks_given=marks_given)
    return figure


def _draw_keys(axes: Axes, low: int, high: int, end_ticks: int) -> None:
    """Shade the rows like piano keys, and label every C and G."""
    for pitch in range(low, high + 1):
        if pitch % _OCTAVE in _BLACK_KEYS:
            axes.add_patch(Rectangle((0, pitch - 0.5), end_ticks, 1, facecolor="#eff1f4", zorder=0))
    octaves, fifths = ([pitch for pitch in range(low, high + 1) if pitch % _OCTAVE == key] for key in (0, 7))
    axes.hlines([pitch - 0.5 for pitch in octaves], 0, end_ticks, color="#b9c0c9", linewidth=0.9, zorder=1)
    axes.set_yticks(octaves, [f"C{pitch // _OCTAVE - 1}" for pitch in octaves], fontsize=9)
    axes.set_yticks(fifths, [f"G{pitch // _OCTAVE - 1}" for pitch in fifths], fontsize=7, color="#6b7280", minor=True)
    axes.tick_params(axis="y", which="both", length=0)


def _draw_bars(axes: Axes, system: Sequence[Bar], ticks_per_quarter: int) -> None:
    """Rule bars and beats, and number the bars."""
    origin, (low, high) = system[0].start_ticks, axes.get_ylim()
    lines = [bar.start_ticks - origin for bar in system]
    end = system[-1].end_ticks - origin
    axes.vlines([*lines, end], low, high, color="#7d8590", linewidth=0.8, zorder=1.5)
    if len(system) <= _BARS_PER_SYSTEM + 1:
        beats = [beat - origin for bar in system for beat in _inner_beats(bar, ticks_per_quarter)]
        axes.vlines(beats, low, high, color="#d9dde3", linewidth=0.5, zorder=1)
    step = ceil(len(system) / 20)
    numbered = [bar for bar in system if bar.number % step == 0]
    axes.set_xticks([bar.start_ticks - origin for bar in numbered], [str(bar.number) for bar in numbered], fontsize=9)
    axes.tick_params(axis="x", length=3, color="#7d8590")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _inner_beats(bar: Bar, ticks_per_quarter: int) -> range:
    beat_ticks = max(4 * ticks_per_quarter // bar.denominator, 1)
    return range(bar.start_ticks + beat_ticks, bar.end_ticks, beat_ticks)


def _draw_notes(axes: Axes, boxes: Sequence[_Box], system: Sequence[Bar], colors: Sequence[str]) -> None:
    """Draw the notes of a system, given ones on top; a note held over its edges is cut there."""
    start, end = system[0].start_ticks, system[-1].end_ticks
    drawn: dict[tuple[bool, int], list[Rectangle]] = {}
    for box in boxes:
        left, right = max(box.start_ticks, start), min(box.end_ticks, end)
        if left < right:
            rectangle = Rectangle((left - start, box.bottom), right - left, box.height)
            drawn.setdefault((box.given, box.track), []).append(rectangle)
    for (given, track), rectangles in sorted(drawn.items(), key=lambda item: item[0]):
        axes.add_collection(PatchCollection(rectangles, zorder=3 if given else 2, **_style(colors[track], given)))


def _style(color: str, given: bool) -> dict[str, Any]:
    if given:
        return {"facecolor": color, "edgecolor": _INK, "linewidth": 1.1, "hatch": "////", "hatch_linewidth": 0.7}
    return {"facecolor": color, "edgecolor": "white", "linewidth": 0.5}


def _write_signatures(all_axes: Sequence[Axes], systems: Sequence[Sequence[Bar]]) -> None:
    """Write each new time signature above its first bar, except for a pickup, where it is only a length."""
    before = None
    for axes, system in zip(all_axes, systems, strict=True):
        for bar in system:
            signature = f"{bar.numerator}/{bar.denominator}"
            if bar.number > 0 and signature != before:
                place = (bar.start_ticks - system[0].start_ticks, axes.get_ylim()[1])
                axes.annotate(signature, place, (0, 2), textcoords="offset points", fontsize=8, color="#6b7280")
                before = signature


def _draw_legend(
    figure: Figure, boxes: Sequence[_Box], names: Sequence[str], colors: Sequence[str], *, marks_given: bool
) -> None:
    sounding = sorted({box.track for box in boxes})
    entries = [(names[track], Patch(facecolor=colors[track])) for track in sounding[:_MAX_LEGEND]]
    if marks_given:
        kinds = {box.given for box in boxes}
        words = {True: "given", False: "added"}
        entries += [(word, Patch(**_style("#b5bac2", given))) for given, word in words.items() if given in kinds]
    labels, patches = zip(*entries, strict=True)
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": len(entries)}
    legend = figure.legend(patches, labels, frameon=False, fontsize=9, **place)
    for text in legend.get_texts():
        text.set_parse_math(False)
