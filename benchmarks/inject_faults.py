"""Inject single faults of voice leading into chorales, find each with `descant check`, and repair it.

    python benchmarks/inject_faults.py --count 1000 --repairs 1000 --out records/2026-11-30_check/faults.json
    python benchmarks/inject_faults.py ... --repairs-to repairs.jsonl --minutes 10    repair on, for 10 minutes at most

Clean chorales are those on 16ths without an error. A fault is one note of a lower voice at another pitch, chosen so
that exactly one new fault appears, by a definition of the rules written here for single notes, which shares nothing
with the checker. Each faulty piece is written as MIDI, read back, and checked: its new faults must be the injected one.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from descant_modeling.evaluation.check import CheckedScore, FaultPlace, check_score
from descant_modeling.evaluation.rules import RULES, reference_rates
from descant_tokenizers.common.files import write_json
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.scores import VOICES, bars_of, read_score_report, write_midi
from descant_tokenizers.scores.key import estimate_key, tonic_and_mode

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    from descant_modeling.api import Model

_LASTING = ("crossing", "spacing", "range")
_NAMES_MAJOR = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"]
_NAMES_MINOR = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
_SIZES = (0, 2, 4, 5, 7, 9, 11)  # semitones of perfect and major intervals, from the unison
_NEW_PITCHES = range(-14, 15)


class Note(NamedTuple):
    """A note in 16ths."""

    onset: int
    end: int
    pitch: int


class Breach(NamedTuple):
    """A broken rule: its key, the voices and the 16th."""

    rule: str
    voices: tuple[int, ...]
    time: int


@dataclass(frozen=True)
class Piece:
    """A clean chorale."""

    name: str
    score: ScoreTick
    voices: list[list[Note]]
    tonic: int
    is_major: bool


@dataclass(frozen=True)
class Injection:
    """A faulty score, and the place of its fault."""

    piece: Piece
    score: ScoreTick
    rule: str
    voices: tuple[int, ...]
    bar: int
    beat: Fraction


def breaches(piece: Piece, voices: Sequence[Sequence[Note]], times: range) -> set[Breach]:
    """Find broken rules at some 16ths, note by note."""
    found = set()
    for time_ in times:
        before = [next((n.pitch for n in line if n.onset < time_ <= n.end), None) for line in voices]
        now = [next((n.pitch for n in line if n.onset <= time_ < n.end), None) for line in voices]
        found |= {Breach(rule, own, time_) for rule, own in _motions(piece, before, now)}
        found |= {Breach(rule, own, time_) for rule, own in _sonorities(now)}
    return found


def _motions(
    piece: Piece, before: Sequence[int | None], now: Sequence[int | None]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    for upper in range(4):
        old, new = before[upper], now[upper]
        if old is None or new is None:
            continue
        if abs(new - old) > 12:
            yield "wide_leaps", (upper,)
        if abs(new - old) > 2 and _is_augmented(piece, old, new):
            yield "augmented_leaps", (upper,)
        for lower in range(upper + 1, 4):
            old_low, new_low = before[lower], now[lower]
            if old_low is None or new_low is None:
                continue
            is_beyond = (new_low != old_low and new_low > old) or (new != old and new < old_low)
            if lower == upper + 1 and new >= new_low and is_beyond:
                yield "overlap", (upper, lower)
            if (new - old) * (new_low - old_low) <= 0:
                continue
            sizes = abs(old - old_low) % 12, abs(new - new_low) % 12
            if sizes == (7, 7):
                yield "parallel_fifths", (upper, lower)
            elif sizes == (0, 0):
                yield "parallel_octaves", (upper, lower)
            elif (upper, lower) == (0, 3) and sizes[1] in (0, 7) and abs(new - old) > 2:
                yield "hidden_perfect", (0, 3)


def _sonorities(now: Sequence[int | None]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for voice, pitch in enumerate(now):
        low, high = reference_rates().ranges[voice]
        if pitch is not None and not low <= pitch <= high:
            yield "range", (voice,)
        below = now[voice + 1] if voice < 3 else None
        if pitch is not None and below is not None and pitch < below:
            yield "crossing", (voice, voice + 1)
        if pitch is not None and below is not None and voice < 2 and pitch - below > 12:
            yield "spacing", (voice, voice + 1)


def _is_augmented(piece: Piece, old: int, new: int) -> bool:
    names = _NAMES_MAJOR if piece.is_major else _NAMES_MINOR
    low, high = min(old, new), max(old, new)
    letters = ["CDEFGAB".index(names[(pitch - piece.tonic) % 12][0]) for pitch in (low, high)]
    number = (letters[1] - letters[0]) % 7
    return (high - low) % 12 - _SIZES[number] in (1, 2, -10, -11)


def read_piece(name: str, score: ScoreTick) -> Piece | None:
    """Read a chorale; None if its notes are not on 16ths or it has an error already."""
    unit = score.ticks_per_quarter // 4
    tracks = {track.name: track for track in score.tracks}
    if set(tracks) != set(VOICES) or any(n.time % unit or n.end % unit for t in score.tracks for n in t.notes):
        return None
    voices = [[Note(n.time // unit, n.end // unit, n.pitch) for n in tracks[voice].notes] for voice in VOICES]
    piece = Piece(name, score, voices, *tonic_and_mode(estimate_key(score)))
    end = max(line[-1].end for line in voices)
    rare = ("parallel_fifths", "parallel_octaves", "augmented_leaps", "wide_leaps", "range")
    return None if any(breach.rule in rare for breach in breaches(piece, voices, range(end))) else piece


def injections(pieces: Sequence[Piece], count: int, rng: random.Random) -> list[Injection]:
    """Inject faults, as many of each rule as of the others, spread over the pieces."""
    quota = Counter({rule.key: count // len(RULES) + (i < count % len(RULES)) for i, rule in enumerate(RULES)})
    found: list[Injection] = []
    while sum(quota.values()):
        before = len(found)
        for piece in rng.sample(list(pieces), len(pieces)):
            for injection in _some_of(piece, quota, rng):
                quota[injection.rule] -= 1
                found.append(injection)
        if len(found) == before:
            raise SystemExit(f"No more faults can be injected: {dict(quota)} are missing. Give a smaller --count.")
    return found


def _some_of(piece: Piece, quota: Mapping[str, int], rng: random.Random, most: int = 300) -> Iterator[Injection]:
    """Yield at most one injection of each rule that is still wanted, of some random changes."""
    done: set[str] = set()
    for _ in range(most):
        voice = rng.randrange(1, 4)
        index = rng.randrange(len(piece.voices[voice]))
        old = piece.voices[voice][index]
        changed = [list(line) for line in piece.voices]
        changed[voice][index] = old._replace(pitch=old.pitch + rng.choice(_NEW_PITCHES))
        times = range(old.onset - 1, old.end + 2)
        was, now = (breaches(piece, voices, times) for voices in (piece.voices, changed))
        new = sorted(now - was, key=lambda breach: breach.time)
        if not new or was - now or len({breach[:2] for breach in new}) > 1:
            continue
        rule, voices, first = new[0]
        edges = {Breach(rule, voices, first - 1), Breach(rule, voices, new[-1].time + 1)}
        is_one = len(new) == 1 or (rule in _LASTING and new[-1].time - first + 1 == len(new))
        if not is_one or (rule in _LASTING and edges & now) or rule in done or quota[rule] <= 0:
            continue
        score = piece.score.copy()
        track = next(track for track in score.tracks if track.name == VOICES[voice])
        track.notes[index].pitch = changed[voice][index].pitch
        if tonic_and_mode(estimate_key(score)) == (piece.tonic, piece.is_major):
            done.add(rule)
            yield Injection(piece, score, rule, voices, *_place(score, first))


def _place(score: ScoreTick, time_16ths: int) -> tuple[int, Fraction]:
    """Return the number of a bar and a beat."""
    ticks = time_16ths * score.ticks_per_quarter // 4
    bars = bars_of(score)
    bar = next(bar for bar in bars if bar.start_ticks <= ticks < bar.end_ticks)
    whole = bars[1] if bar.number == 0 and len(bars) > 1 else bar
    beat_ticks = Fraction(4 * score.ticks_per_quarter, max(whole.denominator, 4))
    if whole.denominator >= 8 and whole.numerator % 3 == 0:
        beat_ticks *= 3
    full = Fraction(4 * score.ticks_per_quarter * whole.numerator, whole.denominator)
    missing = full - bar.length_ticks if bar.number == 0 else 0
    return bar.number, 1 + (ticks - bar.start_ticks + max(missing, 0)) / beat_ticks


def check_file(score: ScoreTick, name: str) -> tuple[CheckedScore, float]:
    """Write a score as MIDI, read and check it; return also the seconds of reading and checking."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "piece.mid")
        write_midi(score, path)
        started = time.perf_counter()
        checked = check_score(read_score_report(path, marks=True, unfold=False), name)
        assert checked.faults is not None
        return checked, time.perf_counter() - started


def _key(place: FaultPlace) -> tuple[str, tuple[int, ...], int, Fraction]:
    return place.fault.rule, place.fault.voices, place.start.bar, place.start.beat


def find(injection: Injection, known: Mapping[str, CheckedScore]) -> tuple[FaultPlace | None, int, CheckedScore, float]:
    """Check a faulty piece; return the injected fault if it was found, the number of other differences, and seconds."""
    checked, seconds = check_file(injection.score, injection.piece.name)
    before = {_key(place) for place in known[injection.piece.name].faults}
    after = {_key(place): place for place in checked.faults}
    wanted = (injection.rule, injection.voices, injection.bar, injection.beat)
    others = (set(after) ^ before) - {wanted}
    return after.get(wanted), len(others), checked, seconds


def repair(model: Model, checked: CheckedScore, place: FaultPlace, *, with_bass: bool) -> dict[str, Any]:
    """Repair one fault; return what came of it."""
    from descant_modeling.evaluation.repair import INNER_VOICES, repair_score

    voices = (*INNER_VOICES, VOICES[3]) if with_bass else INNER_VOICES
    started = time.perf_counter()
    result = repair_score(model, checked, [place], voices)
    melodies = [[(n.time, n.end, n.pitch) for n in s.tracks[0].notes] for s in (checked.score, result.checked.score)]
    scale = result.checked.score.ticks_per_quarter // checked.score.ticks_per_quarter
    return {
        "mended": bool(result.mended),
        "notes": len(result.rewritten),
        "melody_kept": [(a * scale, b * scale, p) for a, b, p in melodies[0]] == melodies[1],
        "new_errors": len(result.checked.worst("error")) - len(checked.worst("error")) + (place.level == "error"),
        "seconds": time.perf_counter() - started,
    }


def measure(
    split: str, count: int, num_repairs: int, seed: int, lines: Path | None = None, minutes: float = math.inf
) -> dict[str, Any]:
    """Inject, find and repair; return the figures."""
    rng = random.Random(seed)
    pieces = [piece for row in split_rows(split) if (piece := read_piece(row["id"], row_to_score(row))) is not None]
    injected = injections(pieces, count, rng)
    rng.shuffle(injected)
    known = {piece.name: check_file(piece.score, piece.name)[0] for piece in pieces}
    results = [find(injection, known) for injection in injected]
    seconds = [found[3] for found in results]
    facts: dict[str, Any] = {
        "split": split,
        "seed": seed,
        "num_chorales": len(pieces),
        "num_faults": len(injected),
        "by_rule": dict(Counter(injection.rule for injection in injected)),
        "found": sum(found[0] is not None for found in results),
        "reported_elsewhere": sum(found[1] for found in results),
        "check_seconds": {"median": round(statistics.median(seconds), 3), "largest": round(max(seconds), 3)},
    }
    if num_repairs:
        facts["repair"] = _repairs(injected, results, num_repairs, lines, time.monotonic() + 60 * minutes)
    return facts


def _repairs(
    injected: Sequence[Injection], results: Sequence[Any], number: int, lines: Path | None, end: float
) -> dict[str, Any]:
    """Repair the faults that were found, after those that a file of lines has, until a time; return the figures."""
    from descant_modeling.api import load

    found = [(injection, *result) for injection, result in zip(injected, results, strict=True) if result[0] is not None]
    known = [] if lines is None or not lines.exists() else lines.read_text(encoding="utf-8").splitlines()
    model, made = load(), [json.loads(line) for line in known]
    for injection, place, _, checked, _ in found[len(made) : number]:
        if time.monotonic() > end:
            break
        is_inner = bool({1, 2} & set(injection.voices))
        outcome = repair(model, checked, place, with_bass=not is_inner)
        made.append({"piece": injection.piece.name, "rule": injection.rule, "inner": is_inner, **outcome})
        print(len(made), made[-1], flush=True)
        if lines is not None:
            with lines.open("a", encoding="utf-8") as file:
                file.write(json.dumps(made[-1]) + "\n")
    groups = {"inner_voices": [m for m in made if m["inner"]], "bass_named": [m for m in made if not m["inner"]]}
    return {
        name: {
            "num_faults": len(own),
            "mended": sum(each["mended"] for each in own),
            "unmended_by_rule": dict(Counter(each["rule"] for each in own if not each["mended"])),
            "notes": dict(sorted(Counter(each["notes"] for each in own if each["mended"]).items())),
            "melody_kept": sum(each["melody_kept"] for each in own),
            "new_errors": sum(max(each["new_errors"], 0) for each in own if each["mended"]),
            "median_seconds": round(statistics.median(each["seconds"] for each in own), 2),
        }
        for name, own in groups.items()
        if own
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--split", default="chorales:train")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--repairs", type=int, default=0, help="number of faults to repair, of the injected ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repairs-to", type=Path, help="file of one line a repair; those it has are not made again")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no other repair after these")
    asked = parser.parse_args()
    facts = measure(asked.split, asked.count, asked.repairs, asked.seed, asked.repairs_to, asked.minutes)
    sys.stdout.write(write_json(asked.out, facts))


if __name__ == "__main__":
    main()
