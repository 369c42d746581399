"""The story of one generation, as ``generate.py`` and ``descant generate`` tell it.

What can be checked without the model is checked before it is loaded.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from descant_modeling.cli import options as opt
from descant_modeling.cli.generate_report import Outcome, RenderOptions, facts_of, left_out, renderings_of, summary
from descant_modeling.cli.options import (
    AllowLeaps,
    AllowParallels,
    BestOf,
    Device,
    Temperature,
    TopP,
    check_drawing,
    check_range,
)
from descant_modeling.decoding.config import TEMPERATURE, TOP_P
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import FORMATS, check_outputs, free_outputs, numbered, parse_formats

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    from descant_modeling.api import Model, Options
    from descant_modeling.generation.base import GenerationResult, Sample
    from descant_modeling.models.checkpoints import FoundCheckpoint, ModelSource
    from descant_tokenizers.rendering import SoundName
    from descant_tokenizers.rendering.write import Rendering, WrittenFiles
    from descant_tokenizers.scores.reading import ReadResult

OUT_FOLDER = Path("out")
DEFAULT_BARS = 8


@dataclass(frozen=True)
class Request:
    """What is asked for, checked as far as that goes without the model.

    Attributes:
        task: The task.
        bars: Number of bars to continue or compose (twice), or first and last bar to infill; None to harmonize, and
            where the model may choose.
        given: Voices that the prompt's tracks are, or its given tracks; None if nothing was said.
        write: Instruments to write; empty if nothing was said.
        track: Number from 1 or name of the melody's track.
        chords: Chords to write to; empty if nothing was said.
    """

    task: opt.TaskName
    bars: tuple[int, int] | None
    given: tuple[str, ...] | None
    write: tuple[str, ...]
    track: str | None
    chords: tuple[str, ...]


def generate_command(
    prompt: opt.Prompt = None,
    task: opt.Task = None,
    model: opt.ModelName = "chorales",
    out: opt.Out = None,
    formats: opt.Formats = None,
    layout: opt.Layout = None,
    key: opt.KeyName = None,
    chords: opt.Chords = None,
    given: opt.Given = None,
    write: opt.Write = None,
    track: opt.Track = None,
    bars: opt.Bars = None,
    num_samples: opt.NumSamples = 1,
    seed: opt.Seed = None,
    temperature: Temperature = TEMPERATURE,
    top_p: TopP = TOP_P,
    allow_parallels: AllowParallels = False,
    allow_leaps: AllowLeaps = False,
    best_of: BestOf = None,
    sound: opt.Sound = None,
    paste_melody: opt.PasteMelody = True,
    style: opt.Style = None,
    device: Device = None,
    picture: opt.Picture = True,
    force: opt.Force = False,
    quiet: opt.Silent = False,
    as_json: opt.JsonInstead = False,
) -> None:
    """Harmonize, continue or infill a prompt, whose notes are kept note for note; or compose without one."""
    started = time.monotonic()
    request = _request(task or ("compose" if prompt is None else "harmonize"), bars, given, write, track, chords)
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    check_range("--num-samples", num_samples, 1, 64)
    check_drawing(seed, temperature, top_p, best_of)
    source = _find_unconditional(request.task, model) if prompt is None else model
    read = None if prompt is None else _read_prompt(request, prompt)
    look = _look(prompt, model, request.task, layout, key, chords == "", sound)
    files = _files(out, look, formats, picture, num_samples, force)
    drawing: Options = {
        "seed": seed,
        "num_samples": num_samples,
        "temperature": temperature,
        "top_p": top_p,
        "allow_parallels": allow_parallels,
        "allow_leaps": allow_leaps,
        "best_of": best_of,
        "sound": sound or "choir",
        "paste_melody": paste_melody,
        "style": style,
    }
    label = None if quiet or as_json else f"{request.task} {look.name}"
    result, writing_seconds = _write_music(source, device, request, read.score if read else None, drawing, label)
    results, written = _write_files(result.samples, look, files)
    seconds = time.monotonic() - started
    repairs = read.repairs if read else ()
    _tell(Outcome(look, model, seed, repairs, result, results, written, writing_seconds, seconds), quiet, as_json)


def _tell(made: Outcome, quiet: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts_of(made), ensure_ascii=False))
    elif not quiet:
        typer.echo(summary(made))
    else:
        for sentence in left_out(made.written):
            typer.echo(f"note: {sentence}", err=True)


def _read_prompt(request: Request, prompt: Path) -> ReadResult:
    from descant_tokenizers.scores import read_score_report

    if request.task == "compose":
        raise InputError("--task compose takes no --prompt; leave one of the two out.")
    read = read_score_report(prompt, controls=True)
    if request.chords:
        raise InputError("this model takes no chords; leave what follows --chords out, and it prints those it wrote.")
    return read


def _look(
    prompt: Path | None,
    model: str,
    task: opt.TaskName,
    layout: opt.LayoutName | None,
    key: str | None,
    with_chords: bool,
    sound: SoundName | None,
) -> RenderOptions:
    from descant_tokenizers.rendering.spelling import parse_key

    name = Path(model).name if prompt is None else prompt.stem
    return RenderOptions(prompt, name, task, layout, None if key is None else parse_key(key), with_chords, sound)


class _Files(NamedTuple):
    """Where results go.

    Attributes:
        wished: The first format's file of a single result.
        kinds: Formats.
        is_named: Whether the name was chosen; otherwise it makes room for files that are there.
        force: Whether files may be replaced.
    """

    wished: Path
    kinds: tuple[str, ...]
    is_named: bool
    force: bool


def _files(
    out: Path | None, look: RenderOptions, formats: str | None, picture: bool, num_samples: int, force: bool
) -> _Files:
    from descant_tokenizers.rendering.write import default_formats

    kinds = default_formats() if formats is None else parse_formats(formats)
    kinds = kinds if picture else tuple(kind for kind in kinds if kind != "png")
    if not kinds:
        raise InputError("--no-picture leaves nothing of --formats png; leave one of the two out.")
    wished = out or OUT_FOLDER / f"{look.name}-{look.task}{FORMATS[kinds[0]]}"
    check_outputs(wished, num_samples, kinds, force=force or out is None)
    return _Files(wished, kinds, out is not None, force)


def _write_files(
    samples: tuple[Sample, ...], look: RenderOptions, files: _Files
) -> tuple[list[tuple[Path, Rendering]], list[WrittenFiles]]:
    """Write every sample in every format; return each one's name and rendering, and what was written of each."""
    from descant_tokenizers.rendering.write import write_renderings

    names = (numbered if files.is_named else free_outputs)(files.wished, len(samples))
    results = list(zip(names, renderings_of(samples, look), strict=True))
    return results, write_renderings(dict(results), files.kinds, force=files.force)


def _write_music(
    model: ModelSource,
    device: str | None,
    request: Request,
    score: ScoreTick | None,
    drawing: Options,
    label: str | None,
) -> tuple[GenerationResult, float]:
    """Load the model and let it write, under a label if progress is to be seen; return the seconds of writing, too."""
    from descant_modeling.api import load
    from descant_modeling.common.console import progress_bar, quiet_libraries

    with quiet_libraries(), progress_bar(label or "", quiet=label is None) as progress:
        writer = load(model, device)
        began = time.monotonic()
        result = _generate(writer, score, request, {**drawing, "progress": progress})
    return result, time.monotonic() - began


def _request(
    task: opt.TaskName, bars: str | None, given: str | None, write: str | None, track: str | None, chords: str | None
) -> Request:
    if task == "infill" and track is not None:
        raise InputError("--track goes with harmonize and continue; leave it out.")
    for option, value in (("--given", given), ("--write", write), ("--track", track)):
        if task == "compose" and value is not None:
            raise InputError(f"{option} is about the tracks of a prompt; leave it out, or give a --prompt.")
    names = None if given is None else _names(given)
    triads = tuple((chords or "").replace(",", " ").replace("|", " ").split())
    return Request(task, _parse_bars(task, bars), names, () if write is None else _names(write), track, triads)


def _find_unconditional(task: opt.TaskName, model: str) -> FoundCheckpoint:
    """Find a model that needs no prompt; refuse any other."""
    from descant_modeling.models.checkpoints import find_checkpoint

    if task == "compose" and (found := find_checkpoint(model)).is_unconditional:
        return found
    raise InputError(
        "--prompt is missing; give a MIDI, MusicXML, ABC or Humdrum file, or a --model that writes without one, "
        "such as midinet or roll-gan."
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _parse_bars(task: opt.TaskName, text: str | None) -> tuple[int, int] | None:
    """Read ``N`` (continue), or ``A-B`` or ``A`` (infill)."""
    if task == "harmonize":
        if text is not None:
            raise InputError("--bars goes with continue (how many) and infill (A-B); leave it out.")
        return None
    first, dash, last = ("" if text is None else text.replace(" ", "")).partition("-")
    if text is None and task == "continue":
        return DEFAULT_BARS, DEFAULT_BARS
    if text is None and task == "compose":
        return None
    numbers = (first, last) if dash else (first,)
    if not all(number.isascii() and number.isdecimal() and len(number) < 10 for number in numbers) or (
        dash and task != "infill"
    ):
        what = "a number of bars such as 8" if task != "infill" else "the bars to write anew, such as 5-8"
        raise InputError(f"--bars is {'missing' if text is None else repr(text)}; give {what}.")
    return int(first), int(last or first)


def _generate(model: Model, score: ScoreTick | None, request: Request, options: Options) -> GenerationResult:
    if score is None:
        return model.compose(bars=request.bars and request.bars[0], chords=request.chords, **options)
    given, write, track = request.given, request.write, request.track
    if request.task == "harmonize":
        return model.harmonize(score, given=given, write=write, track=track, **options)
    assert request.bars is not None
    if request.task == "infill":
        return model.infill(score, bars=request.bars, given=given, write=write, **options)
    return model.continue_(score, bars=request.bars[0], given=given, write=write, track=track, **options)
