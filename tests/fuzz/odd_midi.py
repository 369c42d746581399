"""Valid MIDI files with unusual contents: resolutions, meters, changes inside bars and notes, and note lengths.

File number `index` of a seed is always the same bytes.
"""

from __future__ import annotations

import random
from fractions import Fraction

from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.scores import VOICES

_RESOLUTIONS = (24, 48, 96, 120, 192, 220, 240, 256, 384, 480, 960, 7, 25, 31, 50, 97, 100, 331, 1000, 1, 5040)
_MAX_NUMERATOR = 15
_DENOMINATORS = (1, 2, 4, 4, 4, 8, 8, 8, 16, 16, 32)


def _fractions(text: str) -> tuple[Fraction, ...]:
    return tuple(map(Fraction, text.split()))


_PLAIN = _fractions("1 1 1 1/2 1/2 2 3/2 3 4 1/4 3/4")
_TUPLETS = _fractions("1/3 1/3 1/3 2/3 1/6 4/3 1/5 2/5 3/5 1/7 2/7 4/7 1/9 2/9 1/11 1/13")
_ODD = _fractions("1/48 61/12 5/3 1/12 7/12 11/12 5/8 7/8 5/4 9/4 13/5 1/64 1/128 31/16 9 16")
_LENGTHS = (_PLAIN, _PLAIN + _TUPLETS, _TUPLETS, _ODD, _PLAIN + _ODD, _PLAIN + _TUPLETS + _ODD)


def odd_midi(seed: int, index: int) -> bytes:
    """Return a MIDI file."""
    return odd_score(random.Random(f"odd {seed} {index}")).dumps_midi()


def odd_score(rng: random.Random) -> ScoreTick:
    """Return a score of one to six tracks, up to about 40 beats long."""
    score = ScoreTick(rng.choice(_RESOLUTIONS))
    beats = rng.choice((1, 4, 12, 40))
    num_tracks = rng.choice((1, 1, 1, 2, 4, 6))
    names = VOICES if num_tracks == len(VOICES) else ("Melody", "", "Violin", "Drums", "Left", "Right")
    for name in names[:num_tracks]:
        score.tracks.append(_track(rng, name, score.ticks_per_quarter, beats))
    _put_meters(rng, score, beats)
    for _ in range(rng.choice((0, 1, 1, 3, 12))):
        score.tempos.append(TempoTick(_time(rng, score, beats), rng.choice((20, 60, 87.3, 120, 240, 999))))
    for _ in range(rng.choice((0, 1, 1, 2))):
        score.key_signatures.append(KeySignatureTick(_time(rng, score, beats), rng.randint(-7, 7), rng.randint(0, 1)))
    return score


def _track(rng: random.Random, name: str, ticks_per_quarter: int, beats: int) -> TrackTick:
    track = TrackTick(name, rng.choice((0, 0, 40, 52)), name == "Drums")
    lengths = rng.choice(_LENGTHS)
    overlap, rests, chords, jitter = (rng.choice((0.0, 0.0, high)) for high in (0.3, 0.3, 0.2, 0.04))
    at = rng.choice((Fraction(0), Fraction(0), rng.choice(lengths)))
    while at < beats:
        length = rng.choice(lengths)
        onset = round(at * ticks_per_quarter + rng.uniform(0, jitter) * ticks_per_quarter)
        sounding = length * rng.choice((1, 1, 1, Fraction(9, 10), Fraction(1, 2)))
        for _ in range(1 + (rng.random() < chords) + (rng.random() < chords)):
            pitch = rng.choice((rng.randint(55, 79), rng.randint(0, 127)))
            track.notes.append(NoteTick(onset, max(round(sounding * ticks_per_quarter), 1), pitch, 80))
        at += rng.choice(lengths) if rng.random() < overlap else length
        at += rng.choice(lengths) if rng.random() < rests else 0
    return track


def _put_meters(rng: random.Random, score: ScoreTick, beats: int) -> None:
    """Write time signatures, at bar lines or anywhere."""
    at, is_regular = Fraction(0), rng.random() < 0.6
    fitting = [unit for unit in _DENOMINATORS if 4 * score.ticks_per_quarter % unit == 0]
    units = fitting if rng.random() < 0.95 else _DENOMINATORS  # others are refused
    for _ in range(rng.choice((0, 1, 1, 2, 3, 6))):
        meter = rng.randint(1, _MAX_NUMERATOR), rng.choice(units)
        score.time_signatures.append(TimeSignatureTick(round(at * score.ticks_per_quarter), *meter))
        bars = rng.randint(1, 3) * Fraction(4 * meter[0], meter[1])
        at = at + bars if is_regular else Fraction(_time(rng, score, beats), score.ticks_per_quarter)


def _time(rng: random.Random, score: ScoreTick, beats: int) -> int:
    """Return a time in ticks, often on a beat."""
    steps = rng.choice((1, 2, 3, 4, score.ticks_per_quarter))
    return score.ticks_per_quarter * rng.randint(0, beats * steps) // steps
