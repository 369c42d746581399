"""The story of one generation, as ``generate.py`` and ``descant generate`` tell it.

What can be checked without the model is checked before it is loaded.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from descant_modeling.checks import check_range
from descant_modeling.generate_results import Look, facts_of, files_of, left_out, renderings_of, speed_of, summary
from descant_tokenizers.errors import InputError
from descant_tokenizers.outputs import FORMATS, check_outputs, free_outputs, numbered, parse_formats

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    from descant_modeling.api import Model, Options
    from descant_modeling.writing import GenerationResult

OUT_FOLDER = Path("out")
DEFAULT_BARS = 8

TaskName = Literal["harmonize", "continue", "infill", "compose"]
SoundName = Literal["choir", "organ", "piano", "strings"]


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

    task: TaskName
    bars: tuple[int, int] | None
    given: tuple[str, ...] | None
    write: tuple[str, ...]
    track: str | None
    chords: tuple[str, ...]


def generate_command(
    prompt: Annotated[
        Path | None,
        typer.Option(help="MIDI, MusicXML, ABC or Humdrum file to start from; midinet and roll-gan need none."),
    ] = None,
    task: Annotated[
        TaskName | None, typer.Option(help="What to write: harmonize if not given, without a prompt compose.")
    ] = None,
    model: Annotated[str, typer.Option(help="Embedded model, checkpoint or run folder, or Hub id.")] = "chorales",
    out: Annotated[
        Path | None,
        typer.Option(help="MIDI file to write, the others beside it; out/<prompt>-<task>.mid if not given."),
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option(help=f"Comma-separated: {', '.join(FORMATS)}; midi,musicxml,svg,png,flac if not given."),
    ] = None,
    layout: Annotated[
        Literal["open", "closed"] | None,
        typer.Option(help="Sheet music with a staff for each track, or two voices to a staff (the default for four)."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Key of the sheet music, such as 'F# minor'; found by itself if not given.")
    ] = None,
    chords: Annotated[
        str | None,
        typer.Option(
            metavar="[CHORDS]",
            help="Alone: print the chords of what was written, and put them into the sheet music. With chords such as "
            "'C G Am F': write to them, a bar each (midinet).",
        ),
    ] = None,
    given: Annotated[
        str | None, typer.Option(help="Voices of the prompt's tracks: soprano[,alto,tenor,bass]; or its given tracks.")
    ] = None,
    write: Annotated[
        str | None, typer.Option(help="Instruments to write, such as piano,bass (a model of any instruments).")
    ] = None,
    track: Annotated[str | None, typer.Option(help="The melody's track: its number from 1, or its name.")] = None,
    bars: Annotated[
        str | None, typer.Option(help="continue, compose: how many (8). infill: A-B, a pickup is bar 0.")
    ] = None,
    num_samples: Annotated[int, typer.Option(help="Versions to write.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Same seed, same music; drawn and printed if not given.")] = None,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 bolder; 0 takes the likeliest.")] = 0.9,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest tokens of this total probability.")] = 0.95,
    allow_parallels: Annotated[
        bool, typer.Option("--allow-parallels", help="Voices may move in parallel fifths, octaves and unisons.")
    ] = False,
    allow_leaps: Annotated[
        bool, typer.Option("--allow-leaps", help="Voices may leap by augmented intervals and over an octave.")
    ] = False,
    best_of: Annotated[
        int | None, typer.Option(help="Write so many versions of each and keep the likelier ones; 1 is fastest.")
    ] = None,
    sound: Annotated[
        SoundName | None,
        typer.Option(help="Instrument of the written voices (choir if not given), and of all in sound files."),
    ] = None,
    paste_melody: Annotated[
        bool,
        typer.Option("--paste-melody/--own-melody", help="gan: keep the prompt's melody, or let the model write it."),
    ] = True,
    style: Annotated[
        str | None, typer.Option(help="In whose manner (a model of styles): bach, palestrina, mozart, haydn, ... folk.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; chosen by itself if not given.")] = None,
    picture: Annotated[
        bool, typer.Option("--picture/--no-picture", help="Draw a piano roll (png), or leave it.")
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace the files at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of the summary.")] = False,
) -> None:
    """Harmonize, continue or infill a prompt, whose notes are kept note for note; or compose without one."""
    from descant_tokenizers.engraving.rendering import default_formats
    from descant_tokenizers.engraving.spelling import parse_key
    from descant_tokenizers.scores import read_score_report

    started = time.monotonic()
    request = _request(task or ("compose" if prompt is None else "harmonize"), bars, given, write, track, chords)
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    check_range("--num-samples", num_samples, 1, 64)
    check_range("--seed", seed, 0, 2**63 - 1)
    check_range("--temperature", temperature, 0, 10)
    check_range("--top-p", top_p, 1e-6, 1)
    check_range("--best-of", best_of, 1, 64)
    _check_prompt(request.task, prompt, model)
    read = None if prompt is None else read_score_report(prompt, controls=True)
    name = Path(model).name if prompt is None else prompt.stem
    if chords and prompt is not None:
        raise InputError("this model takes no chords; leave what follows --chords out, and it prints those it wrote.")
    chosen_key = None if key is None else parse_key(key)
    kinds = default_formats() if formats is None else parse_formats(formats)
    kinds = kinds if picture else tuple(kind for kind in kinds if kind != "png")
    if not kinds:
        raise InputError("--no-picture leaves nothing of --formats png; leave one of the two out.")
    wished = out or OUT_FOLDER / f"{name}-{request.task}{FORMATS[kinds[0]]}"
    check_outputs(wished, num_samples, kinds, force=force or out is None)

    from descant_modeling.api import load
    from descant_modeling.progress import progress_bar
    from descant_modeling.quiet import quiet_libraries
    from descant_tokenizers.engraving.rendering import write_renderings

    with quiet_libraries(), progress_bar(f"{request.task} {name}", quiet=quiet or as_json) as progress:
        writer = load(model, device)
        began = time.monotonic()
        options: Options = {
            "seed": seed,
            "num_samples": num_samples,
            "temperature": temperature,
            "top_p": top_p,
            "allow_parallels": allow_parallels,
            "allow_leaps": allow_leaps,
            "best_of": best_of,
            "sound": sound or "choir",
            "progress": progress,
            "paste_melody": paste_melody,
            "style": style,
        }
        result = _generate(writer, None if read is None else read.score, request, options)
    writing_seconds = time.monotonic() - began
    names = (numbered if out else free_outputs)(wished, num_samples)
    how = Look(prompt, name, request.task, layout, chosen_key, chords == "", sound)
    results = list(zip(names, renderings_of(result.samples, how), strict=True))
    written = write_renderings(dict(results), kinds, force=force)
    seconds = time.monotonic() - started
    if as_json:
        facts = {
            "task": request.task,
            "model": model,
            "seed": seed,
            **facts_of(result, () if read is None else read.repairs, written),
            **files_of(results, written),
            "seconds": round(seconds, 3),
            **speed_of(result, writing_seconds),
        }
        typer.echo(json.dumps(facts, ensure_ascii=False))
    elif not quiet:
        repairs = () if read is None else read.repairs
        typer.echo(summary(prompt, repairs, result, results, written, seed, seconds))
    else:
        for sentence in left_out(written):
            typer.echo(f"note: {sentence}", err=True)


def _request(
    task: TaskName, bars: str | None, given: str | None, write: str | None, track: str | None, chords: str | None
) -> Request:
    if task == "infill" and track is not None:
        raise InputError("--track goes with harmonize and continue; leave it out.")
    for option, value in (("--given", given), ("--write", write), ("--track", track)):
        if task == "compose" and value is not None:
            raise InputError(f"{option} is about the tracks of a prompt; leave it out, or give a --prompt.")
    names = None if given is None else _names(given)
    triads = tuple((chords or "").replace(",", " ").replace("|", " ").split())
    return Request(task, _parse_bars(task, bars), names, () if write is None else _names(write), track, triads)


def _check_prompt(task: TaskName, prompt: Path | None, model: str) -> None:
    """Refuse a prompt that is missing, or that a task has no use for; what a model has no use for, it says itself."""
    if prompt is not None:
        if task == "compose":
            raise InputError("--task compose takes no --prompt; leave one of the two out.")
        return
    from descant_modeling.checkpoints import writes_from_nothing

    if task != "compose" or not writes_from_nothing(model):
        raise InputError(
            "--prompt is missing; give a MIDI, MusicXML, ABC or Humdrum file, or a --model that writes without one, "
            "such as midinet or roll-gan."
        )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _parse_bars(task: TaskName, text: str | None) -> tuple[int, int] | None:
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
