"""The story of one generation, as ``generate.py`` and ``descant generate`` tell it.

What can be checked without the model is checked before it is loaded.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from descant_tokenizers.errors import InputError

if TYPE_CHECKING:
    from symusic import Note

    from descant_modeling.generation import Generated, GenerationResult, MusicModel
    from descant_tokenizers.scores import ReadResult

OUT_FOLDER = Path("out")
DEFAULT_BARS = 8

TaskName = Literal["harmonize", "continue", "infill"]
SoundName = Literal["choir", "organ", "piano", "strings"]


@dataclass(frozen=True)
class Request:
    """What the options ask for, in order.

    Attributes:
        task: The task.
        bars: Number of bars to continue, or first and last bar to infill; None where the task has no use for it.
        given: Voices that the prompt's tracks are; None if nothing was said.
        track: Number from 1 or name of the melody's track.
        num_samples: Results wanted.
        seed: Seed of all of them.
        sound: Sound of the written voices.
    """

    task: TaskName
    bars: tuple[int, int] | None
    given: tuple[str, ...] | None
    track: str | None
    num_samples: int
    seed: int
    sound: SoundName


def generate_command(
    prompt: Annotated[Path, typer.Option(help="MIDI, MusicXML, ABC or Humdrum file to start from.")],
    task: Annotated[TaskName, typer.Option(help="What to write.")] = "harmonize",
    model: Annotated[str, typer.Option(help="Embedded model, checkpoint or run folder, or Hub id.")] = "chorales",
    out: Annotated[Path | None, typer.Option(help="MIDI file to write; out/<prompt>-<task>.mid if not given.")] = None,
    given: Annotated[str | None, typer.Option(help="Voices of the prompt's tracks: soprano[,alto,tenor,bass].")] = None,
    track: Annotated[str | None, typer.Option(help="The melody's track: its number from 1, or its name.")] = None,
    bars: Annotated[str | None, typer.Option(help="continue: how many (8). infill: A-B, a pickup is bar 0.")] = None,
    num_samples: Annotated[int, typer.Option(help="Versions to write.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Same seed, same music; drawn and printed if not given.")] = None,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 bolder; 0 takes the likeliest.")] = 0.9,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest tokens of this total probability.")] = 0.95,
    sound: Annotated[SoundName, typer.Option(help="Sound of the written voices.")] = "choir",
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; chosen by itself if not given.")] = None,
    picture: Annotated[bool, typer.Option("--picture/--no-picture", help="Draw a piano roll beside the MIDI.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace the file at --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of the summary.")] = False,
) -> None:
    """Harmonize, continue or infill a prompt; the prompt's own notes are kept note for note."""
    started = time.monotonic()
    request = Request(
        task=task,
        bars=_parse_bars(task, bars),
        given=None if given is None else tuple(name.strip() for name in given.split(",")),
        track=track,
        num_samples=num_samples,
        seed=random.SystemRandom().randrange(2**31) if seed is None else seed,
        sound=sound,
    )
    _check_range("--temperature", temperature, 0, 10)
    _check_range("--top-p", top_p, 1e-6, 1)
    _check_range("--num-samples", num_samples, 1, 64)
    _check_range("--seed", request.seed, 0, 2**63 - 1)
    read = _read_prompt(prompt)
    paths = _output_paths(prompt, task, out, num_samples, force=force)

    from descant_modeling.decoding.sampler import SamplingConfig
    from descant_modeling.devices import pick_device
    from descant_modeling.generation import load

    writer = load(model, pick_device(device))
    began = time.monotonic()
    with _progress_bar(f"{task} {prompt.name}", quiet=quiet or as_json) as progress:
        result = _generate(writer, read, request, SamplingConfig(temperature, top_p), progress)
    writing = time.monotonic() - began
    pictures = _write(result.samples, paths, picture=picture, title=f"{prompt.stem}: {task}", force=force)
    num_tokens = sum(sample.num_tokens for sample in result.samples)
    if as_json:
        facts = {
            "outputs": [str(path) for path in paths],
            "pictures": [str(path) for path in pictures],
            "task": task,
            "model": model,
            "seed": request.seed,
            "given": list(result.given),
            "written": list(result.written),
            "num_notes_written": [len(sample.added) for sample in result.samples],
            "num_tokens": num_tokens,
            "log_likelihoods": [round(sample.log_likelihood, 3) for sample in result.samples],
            "remarks": [*read.repairs, *result.remarks],
            "seconds": round(time.monotonic() - started, 3),
            "tokens_per_second": round(num_tokens / max(writing, 1e-9), 1),
        }
        typer.echo(json.dumps(facts, ensure_ascii=False))
    elif not quiet:
        typer.echo(_summary(prompt, request, read, result, [*paths, *pictures], time.monotonic() - started))


def _parse_bars(task: TaskName, text: str | None) -> tuple[int, int] | None:
    """Read ``N`` (continue) or ``A-B`` or ``A`` (infill)."""
    if task == "harmonize":
        if text is not None:
            raise InputError("--bars goes with --task continue (how many) or --task infill (A-B); leave it out")
        return None
    first, dash, last = (text or "").partition("-")
    if text is None and task == "continue":
        return DEFAULT_BARS, DEFAULT_BARS
    well_formed = first.isdecimal() and (last.isdecimal() if dash else True)
    if not well_formed or (dash and task == "continue"):
        what = "a number of bars such as 8" if task == "continue" else "the bars to write anew, such as 5-8"
        raise InputError(f"--bars is {text or 'missing'}: give {what}")
    return int(first), int(last or first)


def _check_range(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{option} is {value}: give {'a number above 0' if low == 1e-6 else low} to {high}")


def _read_prompt(path: Path) -> ReadResult:
    from descant_tokenizers.scores import read_score_report

    return read_score_report(path)


def _output_paths(prompt: Path, task: TaskName, out: Path | None, num_samples: int, *, force: bool) -> list[Path]:
    """Choose one path a sample and refuse bad ones before any work is done.

    Raises:
        InputError: A named file is there already, or cannot be written.
    """
    from descant_tokenizers.files import atomic_write, free_path

    if out is not None and out.suffix.lower() not in (".mid", ".midi"):
        raise InputError(f"--out is {out}: give a file name that ends in .mid")
    wished = out or OUT_FOLDER / f"{prompt.stem}-{task}.mid"
    paths: list[Path] = []
    for number in range(1, num_samples + 1):
        path = wished if number == 1 else wished.with_name(f"{wished.stem}-{number}{wished.suffix}")
        if out is None:
            path = free_path(wished) if not paths else _next_free(paths[-1], wished)
        elif path.exists() and not force:
            raise InputError(f"{path} already exists; add --force to replace it, or name another --out")
        paths.append(path)
    with contextlib.suppress(_Probed), atomic_write(paths[0]):
        raise _Probed
    return paths


def _next_free(taken: Path, wished: Path) -> Path:
    """The first free numbered name behind one that is about to be used."""
    number = int(taken.stem.removeprefix(wished.stem).lstrip("-") or 1) + 1
    while (path := wished.with_name(f"{wished.stem}-{number}{wished.suffix}")).exists():
        number += 1
    return path


class _Probed(Exception):
    """Ends a trial write."""


def _generate(
    writer: MusicModel,
    read: ReadResult,
    request: Request,
    sampling: object,
    progress: Callable[[float], None],
) -> GenerationResult:
    common = {
        "sampling": sampling,
        "num_samples": request.num_samples,
        "seed": request.seed,
        "progress": progress,
    }
    if request.task == "continue":
        assert request.bars is not None
        return writer.continue_(
            read.score,
            num_bars=request.bars[0],
            given=request.given,
            track=request.track,
            sound=request.sound,
            **common,  # type: ignore[arg-type]
        )
    if request.task == "infill":
        assert request.bars is not None
        return writer.infill(read.score, bars=request.bars, given=request.given or (), **common)  # type: ignore[arg-type]
    return writer.harmonize(
        read.score,
        given=request.given or ("Soprano",),
        track=request.track,
        sound=request.sound,
        **common,  # type: ignore[arg-type]
    )


@contextlib.contextmanager
def _progress_bar(label: str, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Yield a function that takes the share done, 0-1, and shows it on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
        line = bar.add_task(label, total=1.0)
        yield lambda share: bar.update(line, completed=share)


def _write(samples: tuple[Generated, ...], paths: list[Path], *, picture: bool, title: str, force: bool) -> list[Path]:
    """Write each sample's MIDI and, if wanted, its piano roll; return the pictures' paths."""
    from descant_modeling.pictures import piano_roll
    from descant_tokenizers.files import free_path
    from descant_tokenizers.scores import write_midi

    pictures = []
    for sample, path in zip(samples, paths, strict=True):
        write_midi(sample.score, path, force=force)
        if picture:
            drawn = path.with_suffix(".png")
            drawn = drawn if force else free_path(drawn)
            piano_roll(sample.score, drawn, is_given=_given_rule(sample), title=title)
            pictures.append(drawn)
    return pictures


def _given_rule(sample: Generated) -> Callable[[str, Note], bool]:
    return lambda name, note: (name, note.time, note.pitch) not in sample.added


def _summary(
    prompt: Path, request: Request, read: ReadResult, result: GenerationResult, files: list[Path], seconds: float
) -> str:
    """Say what was given, what was written and where."""
    counts = ", ".join(str(len(sample.added)) for sample in result.samples)
    given = ", ".join(result.given)
    lines = [
        f"given    {given} of {prompt} ({'; '.join(result.remarks)})",
        f"written  {', '.join(result.written)}: {counts} notes in {seconds:.1f} s",
        f"files    {chr(10).join(f'         {path}' for path in files).strip()}",
        f"again    --seed {request.seed}",
    ]
    if read.repairs:
        lines.insert(1, f"repaired {'; '.join(read.repairs)}")
    return "\n".join(lines)
