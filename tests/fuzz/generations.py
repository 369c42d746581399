"""Generate from random melodies with random options, and check what is promised of every result.

python tests/fuzz/generations.py --num 10000 --seed 1 --seconds 3600
python tests/fuzz/generations.py --seed 1 --show 47 > melody.mid       the prompt of one generation

Every result must be readable again. Unless the model writes the prompt again or has none, it must keep the notes of
the prompt tick for tick, and add none outside the bars asked for. A four-part Transformer must have at most one note of
a voice at a time, and no voice that moves in parallel fifths or octaves with another one. Each model (`--model songs`)
gets the tasks that it has; those without tokens get only the seed, the number of samples and options of their own. Exit
status 1 if a result is otherwise. A request that is refused is an `InputError` of two sentences.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_modeling.api import load_generator
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import TASKS, MusicGenerator, Request, Sample
from descant_modeling.generation.ensembles import EnsembleGenerator
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, bars_of
from descant_tokenizers.scores.reading import parse_score

_METERS = ((4, 4), (4, 4), (3, 4), (2, 2), (6, 8), (3, 2), (5, 4), (2, 4), (9, 8), (12, 8), (7, 8), (3, 8))
_RESOLUTIONS = (480, 480, 96, 24, 220, 960, 1)
_LENGTHS = {
    "plain": "1 1 1 1/2 1/2 2 3/2 4 1/4 3/4",
    "triplets": "1/3 1/3 1/3 2/3 1 1/6",
    "mixed": "1 1/2 1/3 2/3 1/4 3 5 7/2 1/5",
}
_PERFECT = (0, 7)
_LOWEST = {"Soprano": 58, "Alto": 52, "Tenor": 46, "Bass": 38, "Voice": 58, "Right hand": 58, "Left hand": 40}
_LOWEST |= {"Violin I": 64, "Violin II": 60, "Viola": 52, "Cello": 40}
_CHORDS = ("C", "F G", "Am", "Dm7", "G7", "C/E", "Bb", "F#m", "Ebmaj7", "Bdim", "N.C.")


class Case(NamedTuple):
    """A request with its options."""

    request: Request
    config: GenerationConfig


def make_case(seed: int, index: int, generator: MusicGenerator, max_bars: int = 4) -> Case:
    """Return one request: number `index` of a seed, a model and a length is always the same."""
    rng = random.Random(f"{seed} {index}")
    voices = generator.ensemble.tracks if isinstance(generator, EnsembleGenerator) else VOICES
    task = rng.choice(("harmonize", "harmonize", "harmonize", "continue", "infill"))
    task = task if task in generator.tasks else rng.choice(generator.tasks)
    is_melody = task == "harmonize" and rng.random() < 0.8
    chosen = voices[:1] if is_melody else rng.sample(voices, rng.choice((1, 2, len(voices))))
    given = [voice for voice in voices if voice in chosen]
    if task == "harmonize" and len(given) == len(voices):
        given = given[:-1]
    if generator.tasks == TASKS[:1]:  # the GAN takes a melody
        given = voices[:1]
    elif task not in TASKS:
        given = list(getattr(generator, "voices", voices))
    score = _score(rng, given, max_bars)
    bars = bars_of(score)
    request = Request(task, score, given=given if task == "harmonize" else None)
    if task == "continue":
        request = Request(task, score, num_bars=rng.randint(1, 2))
    elif task == "infill":
        first = rng.randrange(len(bars))
        last = min(first + rng.randint(0, 1), len(bars) - 1)
        request = Request(task, score, bars=(bars[first].number, bars[last].number))
    elif task == "morph":
        request = Request(task, score, morph=_score(rng, given, max_bars))
    elif task == "compose":
        request = Request(task)
    elif generator.has_hints and rng.random() < 0.3:
        request = Request(
            task,
            score,
            given=given,
            key=rng.choice((None, "G major", "D minor", "Eb major")),
            phrases=rng.choice((None, (), (bars[-1].number,))),
            harmonic_rhythm=rng.choice((None, "beat", "bar")),
        )
    config = GenerationConfig(
        num_samples=rng.choice((1, 1, 2)),
        seed=index,
        temperature=rng.choice((0.0, 0.95, 0.95, 1.5, 10.0)),
        top_p=rng.choice((0.98, 0.98, 0.5, 1.0)),
        allow_leaps=rng.random() < 0.1,
        best_of=rng.choice((None, 1, 1, 2)),
        style=rng.choice((None, *generator.styles)),
    )
    if not generator.draws_tokens:
        return Case(request, _own_options(rng, generator, task, config))
    is_harmony, is_ensemble = task == "harmonize", isinstance(generator, EnsembleGenerator)
    if is_harmony and (generator.has_hints or is_ensemble) and rng.random() < 0.2:
        request = replace(request, chords=[rng.choice(_CHORDS) for bar in bars if bar.number])
    if is_harmony and rng.random() < 0.2:
        config = replace(config, last_chord=rng.choice(("any", "tonic")))
    if generator.has_hints:
        config = replace(config, allow_rests=rng.random() < 0.1, allow_unresolved=rng.random() < 0.1)
    return Case(request, config)


def _own_options(
    rng: random.Random, generator: MusicGenerator, task: str, config: GenerationConfig
) -> GenerationConfig:
    """Return what a model without tokens may be asked for."""
    number = 1 if task == "morph" else config.num_samples
    own = GenerationConfig(num_samples=number, seed=config.seed)
    if "steps" in generator.own_options and task != "vary":
        own = replace(own, steps=rng.choice((None, 2, 3, 8)))
    if "amount" in generator.own_options and task == "vary":
        own = replace(own, amount=rng.choice((None, 0.0, 0.5, 1.0)))
    return own


def _score(rng: random.Random, voices: list[str], max_bars: int) -> ScoreTick:
    meter = rng.choice(_METERS)
    score = ScoreTick(rng.choice([unit for unit in _RESOLUTIONS if 4 * unit % meter[1] == 0]))  # readers refuse others
    beats = Fraction(4 * meter[0], meter[1])
    time = 0
    if rng.random() < 0.2:  # a pickup of a quarter
        score.time_signatures.append(TimeSignatureTick(0, 1, 4))
        time = score.ticks_per_quarter
    score.time_signatures.append(TimeSignatureTick(time, *meter))
    end = time + round(rng.randint(1, max_bars) * beats * score.ticks_per_quarter)
    for voice in voices:
        track = TrackTick(voice, 52, False)
        low = _LOWEST[voice] + rng.choice((0, 0, 0, -7, 7))
        lengths = [Fraction(text) for text in _LENGTHS[rng.choice(tuple(_LENGTHS))].split()]
        pitch, at, share_of_rests = low + 8, Fraction(0), rng.choice((0, 0, 0.2))
        while (onset := round(at * score.ticks_per_quarter)) < end:
            at += rng.choice(lengths)
            stop = min(round(at * score.ticks_per_quarter), end)
            pitch = min(max(pitch + rng.choice((-7, -4, -2, -2, -1, -1, 0, 1, 1, 2, 2, 4, 5, 12)), low), low + 19)
            if stop > onset and rng.random() >= share_of_rests:
                track.notes.append(NoteTick(onset, stop - onset, pitch, 80))
        if not track.notes:
            track.notes.append(NoteTick(0, score.ticks_per_quarter, low, 80))
        score.tracks.append(track)
    return score


def check(case: Case, sample: Sample, phrases: Sequence[int] = (), *, is_led: bool = True) -> Iterator[str]:
    """Yield what is wrong with a sample, given the bars in which phrases end.

    Parallels, and two notes of a voice at once, are wrong if `is_led`.
    """
    request, score = case.request, sample.score
    again = parse_score(Path("result.mid"), score.dumps_midi()).score
    if _notes(again) != _notes(score):
        yield "the file reads as other music"
    if request.task in TASKS:
        yield from _prompt_defects(request, sample)
    for track in score.tracks if is_led else ():
        notes = sorted(track.notes, key=lambda note: note.time)
        if any(before.end > note.time for before, note in itertools.pairwise(notes)):
            yield f"two notes of {track.name} sound at once"
    bars = bars_of(score)
    ending = [*(bar for bar in bars if bar.number in phrases), bars[-1]]
    if is_led:
        yield from _parallels(sample, [range(bar.start_ticks, bar.end_ticks) for bar in ending])


def _prompt_defects(request: Request, sample: Sample) -> Iterator[str]:
    """Yield what is wrong with the prompt's notes in a sample, or with the places of the new ones."""
    score = sample.score
    assert request.score is not None
    scale = Fraction(score.ticks_per_quarter, request.score.ticks_per_quarter)
    if scale.denominator > 1:
        yield "the resolution is not a multiple of the prompt's"
    own = {(time * scale, duration * scale, pitch) for _, time, duration, pitch in _notes(request.score)}
    kept = {note[1:] for note in _notes(score) if (note[0], note[1], note[3]) not in sample.added}
    inside = (0, 0)
    if request.task == "infill":
        wanted = [bar for bar in bars_of(request.score) if request.bars[0] <= bar.number <= request.bars[1]]
        inside = int(wanted[0].start_ticks * scale), int(wanted[-1].end_ticks * scale)
    lost = [note for note in own - kept if not inside[0] <= note[0] < inside[1]]
    # a note that sounds into the bars that are written again is cut or kept there
    lost = [note for note in lost if not note[0] < inside[0] < note[0] + note[1]]
    if lost:
        yield f"{len(lost)} notes of the prompt are not kept, first {min(lost)}"
    if request.task == "infill" and any(not inside[0] <= time < inside[1] for _, time, _ in sample.added):
        yield "notes are added outside the bars to write"


def _notes(score: ScoreTick) -> list[tuple[str, int, int, int]]:
    return sorted((t.name, n.time, n.duration, n.pitch) for t in score.tracks for n in t.notes)


def _parallels(sample: Sample, ends: Sequence[range]) -> Iterator[str]:
    """Yield each motion from a perfect fifth or octave to another one of two voices that move at once.

    Octaves in contrary motion count outside the last bar and those in which phrases end.
    """
    steps: dict[str, dict[int, tuple[int, int]]] = {}
    for track in sample.score.tracks:
        notes = sorted(track.notes, key=lambda note: note.time)
        steps[track.name] = {
            note.time: (before.pitch, note.pitch)
            for before, note in itertools.pairwise(notes)
            if before.end >= note.time and before.pitch != note.pitch
        }
    for (one, own), (other, theirs) in itertools.combinations(steps.items(), 2):
        for tick in sorted(own.keys() & theirs.keys()):
            (a, b), (c, d) = own[tick], theirs[tick]
            interval = abs(a - c) % 12
            is_alike = interval in _PERFECT and abs(b - d) % 12 == interval
            is_parallel = is_alike and ((b > a) == (d > c) or (interval == 0 and not any(tick in bar for bar in ends)))
            if is_parallel and {(one, tick, b), (other, tick, d)} & sample.added:
                yield f"parallel {'fifths' if interval else 'octaves'} of {one} and {other} at tick {tick}"


def run(generator: MusicGenerator, case: Case) -> tuple[str, list[str]]:
    """Return the outcome of one generation, and its defects."""
    is_led = isinstance(generator, FourPartGenerator)
    try:
        result = generator.generate(case.request, case.config)
    except InputError as error:
        return f"refused: {re.sub(r'[0-9]+', 'N', str(error))[:120]}", []
    except Exception:
        return "defect", [traceback.format_exc()]
    try:
        found = [each for sample in result.samples for each in check(case, sample, result.phrases, is_led=is_led)]
    except InputError as error:
        found = [f"the file is refused: {error}"]
    return f"{case.request.task}: written", found


def command(
    num: Annotated[int, typer.Option(help="Generations to run.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Same seed, same requests.")] = 1,
    first: Annotated[int, typer.Option(help="Number of the first generation.")] = 0,
    max_bars: Annotated[int, typer.Option(help="Longest melody, in bars.")] = 4,
    seconds: Annotated[float | None, typer.Option(help="Stop after this time.")] = None,
    model: Annotated[str, typer.Option(help="Model.")] = "chorales",
    engine: Annotated[str, typer.Option(help="Engine: onnx, torch or auto.")] = "onnx",
    show: Annotated[int | None, typer.Option(help="Write the prompt of this generation to stdout instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the report.")] = None,
) -> None:
    """Generate from random melodies with random options, and check every result."""
    generator = load_generator(model, engine=engine)  # type: ignore[arg-type]
    outcomes: Counter[str] = Counter()
    defects: dict[int, list[str]] = {}
    slowest, started = (0.0, -1), time.monotonic()
    indices = range(first, first + num) if show is None else [show]
    for index in indices:
        case = make_case(seed, index, generator, max_bars)
        if show is not None:
            assert case.request.score is not None
            sys.stdout.buffer.write(case.request.score.dumps_midi())
            print(replace(case.request, score=None, morph=None), case.config, file=sys.stderr)
            return
        if seconds is not None and time.monotonic() - started > seconds:
            break
        began = time.process_time()
        outcome, found = run(generator, case)
        outcomes[outcome] += 1
        slowest = max(slowest, (round(time.process_time() - began, 1), index))
        if found:
            defects[index] = found[:4]
    facts: dict[str, Any] = {
        "command": f"python tests/fuzz/generations.py --num {num} --seed {seed} --first {first} --max-bars {max_bars} "
        f"--model {model} --engine {engine}",
        "generations": sum(outcomes.values()),
        "outcomes": dict(outcomes.most_common()),
        "defects": defects,
        "slowest_cpu_seconds": slowest[0],
        "slowest_generation": slowest[1],
        "seconds": round(time.monotonic() - started, 1),
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    print(text)
    if defects:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(command)
