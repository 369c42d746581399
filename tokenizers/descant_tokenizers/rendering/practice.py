"""Practice tracks: the whole score as sound once for each voice, with that voice louder, after a bar of clicks.

Units: seconds and samples. Shapes: L samples.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick, TempoTick, TempoTickList

from descant_tokenizers.rendering import PracticeOptions, Sounds
from descant_tokenizers.rendering.audio import PEAK, encoded, render_stems
from descant_tokenizers.rendering.rhythm import TimeSignature
from descant_tokenizers.scores import bars_of

_DEFAULT_TEMPO = 120.0  # quarters a minute, of a score without tempos
_CLICK_SECONDS, _CLICK_LEVEL = 0.04, 0.35
_CLICK_HERTZ, _FIRST_CLICK_HERTZ = 1000.0, 1500.0


def practice_tracks(
    score: ScoreTick, options: PracticeOptions | None = None, *, sound: Sounds = None
) -> dict[str, bytes]:
    """Return an MP3 file for each voice, by the name of its track; unnamed tracks and second ones are numbered.

    Args:
        score: Any score with notes.
        options: Loudness of the own voice, tempo and count-in.
        sound: As for `render_samples`, also for single voices.

    Raises:
        InputError: As for `render_samples`.
    """
    chosen = options or PracticeOptions()
    timed = at_tempo(score, chosen.tempo_percent)
    _name_tracks(timed)
    stems, rate = render_stems(timed, sound=sound)
    everything = np.sum([stem.astype(np.float64) for stem in stems.values()], axis=0)
    clicks = count_in(timed, rate) if chosen.counts_in else np.zeros(0)
    more = 10 ** (chosen.own_voice_db / 20) - 1
    pitched = [track.name for track in timed.tracks if track.notes and not track.is_drum]
    tracks = {}
    for name in pitched:
        mixed = everything + more * stems[name]
        mixed *= PEAK / max(float(np.abs(mixed).max()), 1.0)
        samples = np.round(np.concatenate([clicks, mixed])).astype(np.int16)
        tracks[name] = encoded(samples[:, None], rate, "mp3")
    return tracks


def count_in(score: ScoreTick, rate: int) -> NDArray[np.float64]:
    """Return the clicks of a full bar in the first meter, and of the beats that are missing before a pickup, (L,).

    Args:
        score: A score.
        rate: Sample rate in Hz.
    """
    bars = bars_of(score)
    is_pickup = bars[0].number == 0 and len(bars) > 1
    shown = bars[1] if is_pickup else bars[0]
    meter = TimeSignature(shown.numerator, shown.denominator)
    length = meter.length
    if is_pickup:
        length += max(meter.length - Fraction(bars[0].length_ticks, score.ticks_per_quarter), Fraction(0))
    first = min(score.tempos, key=lambda tempo: tempo.time, default=None)
    seconds = 60 / (_DEFAULT_TEMPO if first is None else first.qpm)
    samples = np.zeros(round(float(length) * seconds * rate))
    at = Fraction(0)
    while at < length:
        hertz = _FIRST_CLICK_HERTZ if at % meter.length == 0 else _CLICK_HERTZ
        time = np.arange(round(_CLICK_SECONDS * rate)) / rate
        click = _CLICK_LEVEL * PEAK * np.sin(2 * np.pi * hertz * time) * np.exp(-5 * time / _CLICK_SECONDS)
        begin = round(float(at) * seconds * rate)
        samples[begin : begin + len(click)] += click[: len(samples) - begin]
        at += meter.beat
    return samples


def at_tempo(score: ScoreTick, percent: float) -> ScoreTick:
    """Return a copy of a score in percent of its tempo."""
    timed = score.copy()
    tempos = [TempoTick(tempo.time, qpm=tempo.qpm * percent / 100) for tempo in score.tempos]
    if not any(tempo.time == 0 for tempo in tempos):
        tempos.insert(0, TempoTick(0, qpm=_DEFAULT_TEMPO * percent / 100))
    timed.tempos = TempoTickList(tempos)
    return timed


def _name_tracks(score: ScoreTick) -> None:
    """Give tracks distinct names."""
    seen: set[str] = set()
    for number, track in enumerate(score.tracks, start=1):
        name = track.name.strip()
        track.name = name if name and name not in seen else f"{name or 'Track'} {number}"
        seen.add(track.name)
