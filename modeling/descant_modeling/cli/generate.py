"""The `generate` command: check the options, read the prompt, generate, render and report.

Options that do not depend on the model are checked before it is loaded.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from descant_modeling.cli import options as opt
from descant_modeling.cli.generate_report import Outcome, facts_of, left_out, summary
from descant_modeling.cli.options import (
    AllowLeaps,
    AllowParallels,
    AllowRests,
    AllowUnresolved,
    BestOf,
    Device,
    Temperature,
    TopP,
    check_options,
)
from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.decoding.config import DEFAULT_SOUND, EngineName, GenerationConfig, check_engine
from descant_tokenizers.cli.render import CountIn, OwnVoiceDb, PracticeTempo
from descant_tokenizers.common.errors import InputError, shown
from descant_tokenizers.common.files import (
    DEFAULT_FORMATS,
    FORMATS,
    NOTATION_FORMATS,
    OUT_FOLDER,
    check_outputs,
    free_outputs,
    numbered,
    parse_formats,
)
from descant_tokenizers.rendering import PracticeOptions, engraving, parse_sounds

if TYPE_CHECKING:
    from descant_modeling.generation.base import FixedPlace, GenerationResult, Request
    from descant_modeling.models.checkpoints import FoundCheckpoint, ModelSource
    from descant_tokenizers.scores import ReadResult


def generate_command(
    file: opt.PromptFile = None,
    prompt: opt.Prompt = None,
    task: opt.Task = None,
    model: opt.ModelName = EMBEDDED_DEFAULT,
    out: opt.Out = None,
    formats: opt.Formats = None,
    layout: opt.Layout = None,
    colors: opt.Colors = True,
    key: opt.KeyName = None,
    chords: opt.Chords = None,
    phrases: opt.Phrases = "auto",
    harmonic_rhythm: opt.HarmonicRhythm = "auto",
    given: opt.Given = None,
    write: opt.Write = None,
    keep: opt.Keep = None,
    track: opt.Track = None,
    tune: opt.Tune = None,
    pickup: opt.Pickup = None,
    no_repeats: opt.NoRepeats = False,
    quantize: opt.Quantize = None,
    bars: opt.Bars = None,
    num_samples: opt.NumSamples = GenerationConfig.num_samples,
    seed: opt.Seed = None,
    temperature: Temperature = GenerationConfig.temperature,
    top_p: TopP = GenerationConfig.top_p,
    allow_parallels: AllowParallels = GenerationConfig.allow_parallels,
    allow_leaps: AllowLeaps = GenerationConfig.allow_leaps,
    allow_unresolved: AllowUnresolved = GenerationConfig.allow_unresolved,
    allow_rests: AllowRests = GenerationConfig.allow_rests,
    best_of: BestOf = GenerationConfig.best_of,
    last_chord: opt.LastChordName = GenerationConfig.last_chord,
    steps: opt.Steps = GenerationConfig.steps,
    morph: opt.Morph = None,
    amount: opt.Amount = GenerationConfig.amount,
    sound: opt.Sound = None,
    own_voice_db: OwnVoiceDb = PracticeOptions.own_voice_db,
    practice_tempo: PracticeTempo = PracticeOptions.tempo_percent,
    count_in: CountIn = PracticeOptions.counts_in,
    paste_melody: opt.PasteMelody = GenerationConfig.paste_melody,
    style: opt.Style = GenerationConfig.style,
    device: Device = None,
    engine: opt.Engine = "auto",
    picture: opt.Picture = True,
    force: opt.Force = False,
    quiet: opt.Silent = False,
    as_json: opt.JsonInstead = False,
) -> None:
    """Harmonize, continue or rewrite a tune, or compose without one. The notes you keep are never changed."""
    from descant_modeling.generation.base import parse_phrases
    from descant_tokenizers.rendering.spelling import parse_key

    started = time.monotonic()
    if file is not None and prompt is not None:
        raise InputError(f"The prompt is {file} and {prompt}. Give one of them.")
    prompt = prompt or file
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    check_engine(engine, device)
    sounds = None if sound is None else parse_sounds(sound)
    practice = PracticeOptions(own_voice_db, practice_tempo, count_in)
    check_options(num_samples=num_samples, seed=seed, temperature=temperature, top_p=top_p, best_of=best_of)
    check_options(steps=steps, amount=amount)
    task = _task_of(task, has_prompt=prompt is not None, has_morph=morph is not None)
    request = _request(task, bars, given, write, track, chords)
    request = replace(
        request,
        key=key,
        quantize=quantize,
        phrases=parse_phrases(phrases),
        harmonic_rhythm=None if harmonic_rhythm == "auto" else harmonic_rhythm,
    )
    config = GenerationConfig(
        num_samples=num_samples,
        seed=seed,
        temperature=temperature,
        top_p=top_p,
        allow_parallels=allow_parallels,
        allow_leaps=allow_leaps,
        allow_unresolved=allow_unresolved,
        allow_rests=allow_rests,
        best_of=best_of,
        last_chord=last_chord,
        steps=steps,
        amount=amount,
        sound=DEFAULT_SOUND if sounds is None else sounds,
        paste_melody=paste_melody,
        style=style,
    )
    source = _find_unconditional(request, model) if prompt is None else model
    as_it_is = request if keep is None else replace(request, quantize=False)
    read = None if prompt is None else _read_prompt(as_it_is, prompt, tune, pickup, unfold=not no_repeats)
    if morph is not None:
        request = replace(request, morph=_read_prompt(request, morph, None, None, unfold=False).score)
    if keep is not None:
        request = replace(request, fixed=_read_kept(keep, read))
    name = Path(model).name if prompt is None else shown(prompt.stem)
    spelled = None if key is None else parse_key(key)
    forms = _formats(formats, picture)
    path = out or OUT_FOLDER / f"{name}-{request.task}{FORMATS[forms[0]]}"
    check_outputs(path, num_samples, forms, force=force or out is None)

    if not set(forms).isdisjoint(NOTATION_FORMATS):
        engraving.start()
    label = f"{request.task} {name}"
    opened, quiet_run = (source, device, engine), quiet or as_json
    result, generation_seconds = _generate(opened, read, request, config, label, quiet=quiet_run)
    from descant_modeling.generation.renderings import renderings_of
    from descant_tokenizers.rendering.write import write_renderings
    from descant_tokenizers.scores.marks import Marks

    paths = (free_outputs if out is None else numbered)(path, num_samples)
    marks = read.marks if read else Marks()
    look = {"arrangement": layout, "chosen_key": spelled, "sound": sounds, "practice": practice}
    form = read.form if read and request.task != "continue" else None
    shape = {"with_chords": chords == "", "is_colored": colors}
    renderings = renderings_of(result.samples, name, request.task, marks, form=form, **shape, **look)
    files = write_renderings(dict(zip(paths, renderings, strict=True)), forms, force=force)
    seconds = time.monotonic() - started
    outcome = Outcome(prompt, model, request, seed, result, renderings, files, generation_seconds, seconds)
    _report(outcome, quiet=quiet, as_json=as_json)


def _generate(
    model: tuple[ModelSource, str | None, EngineName],
    read: ReadResult | None,
    request: Request,
    config: GenerationConfig,
    label: str,
    *,
    quiet: bool,
) -> tuple[GenerationResult, float]:
    """Load a model, with device and engine, and carry out the request; return also the seconds of generation alone."""
    from descant_modeling.api import load
    from descant_modeling.common.console import progress_bar, quiet_libraries

    with quiet_libraries(), progress_bar(label, quiet=quiet) as progress:
        generator = load(*model)
        start = time.monotonic()
        return generator.generate(read, request, config, progress=progress), time.monotonic() - start


def _report(outcome: Outcome, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts_of(outcome), ensure_ascii=False))
    elif not quiet:
        typer.echo(summary(outcome))
    else:
        for sentence in left_out(outcome.files):
            typer.echo(f"note: {sentence}", err=True)


def _request(
    task: opt.TaskName, bars: str | None, given: str | None, write: str | None, track: str | None, chords: str | None
) -> Request:
    """Read the options that say what to generate, without reading the prompt."""
    from descant_modeling.generation.base import Request, parse_chords

    if task == "infill" and track is not None:
        raise InputError("--track is for harmonize and continue. Leave it out.")
    if task in ("vary", "morph") and given is not None:
        raise InputError("--given is for harmonize, continue and infill. Leave it out.")
    for option, value in (("--given", given), ("--write", write), ("--track", track)):
        if task == "compose" and value is not None:
            raise InputError(f"{option} selects tracks of a prompt. Leave it out, or give a --prompt.")
    first, last = _parse_bars(task, bars)
    return Request(
        task,
        given=None if given is None else _names(given),
        write=() if write is None else _names(write),
        track=track,
        bars=None if first is None or last is None else (first, last),
        num_bars=first if last is None else None,
        chords=parse_chords(chords or "", one_a_bar=task == "compose"),
    )


def _task_of(task: opt.TaskName | None, *, has_prompt: bool, has_morph: bool) -> opt.TaskName:
    """Return the task: the one that was chosen, or the one that follows from what is given."""
    if has_morph != (task == "morph") and (task is not None or not has_prompt):
        raise InputError("--morph turns a --prompt into another file. Give both files, and leave --task out.")
    if task is not None:
        return task
    return "morph" if has_morph else "harmonize" if has_prompt else "compose"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _parse_bars(task: opt.TaskName, text: str | None) -> tuple[int | None, int | None]:
    """Read ``N`` (continue, compose) as a number, or ``A-B`` or ``A`` (infill) as first and last bar."""
    if task in ("harmonize", "vary", "morph") and text is not None:
        raise InputError("--bars is for continue (a number) and infill (A-B). Leave it out.")
    if text is None and task != "infill":
        return None, None
    first, dash, last = ("" if text is None else text.replace(" ", "")).partition("-")
    numbers = (first, last) if dash else (first,)
    is_number = all(number.isascii() and number.isdecimal() and len(number) < 10 for number in numbers)
    if not is_number or (dash and task != "infill"):
        what = "the bars to write again, such as 5-8" if task == "infill" else "a number of bars, such as 8"
        raise InputError(f"--bars is {'missing' if text is None else repr(text)}. Give {what}.")
    return int(first), int(last or first) if task == "infill" else None


def _find_unconditional(request: Request, model: str) -> FoundCheckpoint:
    """Find a model that needs no prompt; refuse any other."""
    from descant_modeling.models.checkpoints import find_checkpoint

    if request.task == "compose" and (found := find_checkpoint(model)).is_unconditional:
        return found
    raise InputError(
        "--prompt is missing. Give a MIDI, MusicXML, ABC or Humdrum file, or a --model that needs none, such as "
        "midinet or roll-gan."
    )


def _read_prompt(request: Request, prompt: Path, tune: int | None, pickup: str | None, *, unfold: bool) -> ReadResult:
    from descant_tokenizers.scores import read_score_report, with_pickup
    from descant_tokenizers.scores.beats import with_beats

    if request.task == "compose":
        raise InputError("--task compose takes no --prompt. Leave one of the two out.")
    read = read_score_report(prompt, controls=True, marks=True, unfold=unfold, tune=tune)
    read = read if request.quantize is False else with_beats(read)
    return read if pickup is None else replace(read, score=with_pickup(read.score, pickup), form=None)


def _read_kept(keep: Path, read: ReadResult | None) -> tuple[FixedPlace, ...]:
    """Read the notes to keep, in the ticks of the prompt."""
    from descant_modeling.generation.fixed import places_of
    from descant_tokenizers.scores import read_score

    if read is None:
        raise InputError("--keep keeps notes beside those of a prompt. Give a --prompt, or leave it out.")
    return places_of(read_score(keep), str(keep), read.score.ticks_per_quarter)


def _formats(formats: str | None, picture: bool) -> tuple[str, ...]:
    chosen = DEFAULT_FORMATS if formats is None else parse_formats(formats)
    chosen = chosen if picture else tuple(form for form in chosen if form != "png")
    if not chosen:
        raise InputError("--no-picture and --formats png contradict each other. Leave one of the two out.")
    return chosen
