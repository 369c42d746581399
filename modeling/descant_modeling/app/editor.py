"""Conversion between scores and the drawings of the browser's editor.

The editor has one voice on a grid of 16ths in one meter. Any other file is shown read-only, and goes to the model
unchanged.

Units: 16ths in drawings, ticks in scores.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError, printable
from descant_tokenizers.scores import Limits, bars_of
from descant_tokenizers.scores.validation import validated

__all__ = ["METERS", "Drawing", "blank_drawing", "drawing_of_score", "score_of_drawing", "with_distinct_names"]

Drawing: TypeAlias = dict[str, Any]
"""The editor's content, as JSON: `title, meter, pickup, tempo, key, tracks, lines, editable, edited`."""

METERS = ((2, 4), (3, 4), (4, 4), (3, 8), (6, 8), (9, 8), (12, 8), (2, 2), (3, 2))
LOWEST, HIGHEST = 48, 88
_TICKS_PER_16TH = 120
_PROGRAM, _VELOCITY = 52, 80
_TEMPOS = (20, 300)
_MAX_TITLE = 80
_MAX_SHOWN_TRACKS = 16


def blank_drawing() -> Drawing:
    """Return the content of an empty editor."""
    return {
        "title": "",
        "meter": [4, 4],
        "pickup": 0,
        "tempo": 90,
        "key": None,
        "tracks": [{"name": "Melody", "notes": []}],
        "lines": [],
        "editable": True,
        "edited": True,
    }


def drawing_of_score(score: ScoreTick, title: str) -> Drawing:
    """Return the drawing of a score; it is editable if the editor represents it exactly."""
    unit = Fraction(4, score.ticks_per_quarter)
    pitched = [track for track in score.tracks if track.notes and not track.is_drum]
    tracks: list[dict[str, Any]] = [
        {
            "name": printable(track.name, 30) or f"Track {number}",
            "notes": [[_plain(n.time * unit), _plain(n.duration * unit), n.pitch] for n in track.notes],
        }
        for number, track in enumerate(pitched[:_MAX_SHOWN_TRACKS], start=1)
    ]
    meter, pickup = _meter_of(score, unit)
    is_simple = meter in METERS and len(tracks) == 1 and len(score.tempos) <= 1
    return {
        "title": printable(title, _MAX_TITLE),
        "meter": list(meter or (4, 4)),
        "pickup": pickup,
        "tempo": round(score.tempos[0].qpm) if score.tempos else 120,
        "key": score.key_signatures[0].key if score.key_signatures else None,
        "tracks": tracks,
        "lines": [[bar.number, _plain(bar.start_ticks * unit)] for bar in bars_of(score)],
        "editable": is_simple and _fits(tracks[0]["notes"]),
        "edited": False,
    }


def score_of_drawing(drawing: Mapping[str, Any], limits: Limits) -> ScoreTick:
    """Convert a drawing, as an untrusted browser sent it, to a score.

    Raises:
        InputError: The drawing is damaged or empty, or exceeds a limit.
    """
    try:
        meter = tuple(int(number) for number in drawing["meter"])
        pickup, tempo, key = int(drawing["pickup"]), int(drawing["tempo"]), drawing["key"]
        notes = sorted({(int(s), int(d), int(p)) for s, d, p in drawing["tracks"][0]["notes"]})
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        raise InputError("The drawing is damaged. Reload the page and draw it again.") from None
    if not notes:
        raise InputError("There is no melody yet. Draw one, choose an example or upload a file.")
    if meter not in METERS or not 0 <= pickup < 16 * meter[0] // meter[1] or not _TEMPOS[0] <= tempo <= _TEMPOS[1]:
        raise InputError(
            f"The meter, pickup or tempo is out of range. Give a tempo of {_TEMPOS[0]} to {_TEMPOS[1]} bpm."
        )
    end = 16 * limits.max_bars * meter[0] // meter[1]
    if len(notes) > limits.max_notes or any(
        s < 0 or d < 1 or s + d > end or not LOWEST <= p <= HIGHEST for s, d, p in notes
    ):
        raise InputError(f"The drawing is too large. Draw at most {limits.max_bars} bars and {limits.max_notes} notes.")
    score = ScoreTick(4 * _TICKS_PER_16TH)
    score.tempos.append(TempoTick(0, qpm=tempo))
    if pickup:
        short = Fraction(pickup, 16)
        scale = max(short.denominator, 4) // short.denominator
        score.time_signatures.append(TimeSignatureTick(0, short.numerator * scale, short.denominator * scale))
    score.time_signatures.append(TimeSignatureTick(pickup * _TICKS_PER_16TH, *meter))
    if isinstance(key, int) and -7 <= key <= 7:
        score.key_signatures.append(KeySignatureTick(0, key, 0))
    track = TrackTick("Melody", _PROGRAM, False)
    for start, length, pitch in notes:
        track.notes.append(NoteTick(start * _TICKS_PER_16TH, length * _TICKS_PER_16TH, pitch, _VELOCITY))
    score.tracks.append(track)
    return validated(Path("the drawing"), score, limits)[0]


def _meter_of(score: ScoreTick, unit: Fraction) -> tuple[tuple[int, int] | None, float]:
    """Return a score's meter (None if it has several) and its pickup in 16ths."""
    bars = bars_of(score)
    full = [bar for bar in bars if bar.number > 0] or bars
    meters = {(bar.numerator, bar.denominator) for bar in full}
    pickup = bars[0].length_ticks * unit if bars[0].number == 0 else Fraction(0)
    return (meters.pop() if len(meters) == 1 else None), _plain(pickup)


def _fits(notes: Sequence[Sequence[float]]) -> bool:
    """Return True if notes are on 16ths, one at a time, within the editor's range."""
    on_grid = all(isinstance(s, int) and isinstance(d, int) and LOWEST <= p <= HIGHEST for s, d, p in notes)
    ordered = sorted(notes, key=lambda note: note[0])
    return on_grid and all(a[0] + a[1] <= b[0] for a, b in itertools.pairwise(ordered))


def _plain(number: Fraction) -> float:
    return int(number) if number.denominator == 1 else round(float(number), 4)


def with_distinct_names(score: ScoreTick) -> ScoreTick:
    """Return a copy whose tracks have distinct names."""
    named = score.copy()
    seen: set[str] = set()
    for number, track in enumerate(named.tracks, start=1):
        if not track.name.strip() or track.name in seen:
            track.name = f"{track.name.strip() or 'Track'} {number}"
        seen.add(track.name)
    return named
