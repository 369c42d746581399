"""What `generate.py` shows of its results: files in every format, a summary in words, or JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from symusic.core import NoteTick

    from descant_modeling.generation.base import GenerationResult, Sample
    from descant_tokenizers.rendering.spelling import Key
    from descant_tokenizers.rendering.write import Rendering, WrittenFiles

__all__ = ["Outcome", "RenderOptions", "facts_of", "left_out", "renderings_of", "summary"]


@dataclass(frozen=True)
class RenderOptions:
    """How results are to be seen and heard."""

    prompt: Path | None
    name: str
    task: str
    layout: Literal["open", "closed"] | None
    key: Key | None
    with_chords: bool
    sound: str | None


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        look: How results are seen and heard.
        model: The model as it was named.
        seed: Of the draw.
        repairs: What was repaired in the prompt, a sentence each.
        result: The music.
        results: Name and rendering of each sample.
        written: The files of each sample.
        writing_seconds: Time that the model took.
        seconds: Time of everything.
    """

    look: RenderOptions
    model: str
    seed: int
    repairs: Sequence[str]
    result: GenerationResult
    results: list[tuple[Path, Rendering]]
    written: list[WrittenFiles]
    writing_seconds: float
    seconds: float


def renderings_of(samples: tuple[Sample, ...], how: RenderOptions) -> list[Rendering]:
    """Prepare each sample for its formats."""
    from descant_tokenizers.rendering.marks import Marks, read_marks
    from descant_tokenizers.rendering.write import Rendering

    marks = Marks() if how.prompt is None else read_marks(how.prompt)
    return [
        Rendering(
            sample.score,
            title=marks.title or how.name,
            caption=f"{how.name}: {how.task}",
            is_given=_given_rule(sample),
            arrangement=how.layout,
            chosen_key=how.key,
            with_chords=how.with_chords,
            marks=marks,
            sound=how.sound,
        )
        for sample in samples
    ]


def facts_of(made: Outcome) -> dict[str, Any]:
    """Say in JSON what `summary` says in words."""
    result = made.result
    return {
        "task": made.look.task,
        "model": made.model,
        "seed": made.seed,
        "given": list(result.given),
        "written": list(result.written),
        "num_notes_written": [len(sample.added) for sample in result.samples],
        "log_likelihoods": [_rounded(sample.log_likelihood) for sample in result.samples],
        "melody_kept": [_rounded(sample.melody_kept) for sample in result.samples],
        "remarks": [*made.repairs, *result.remarks, *result.silences, *_remarks(made.written)],
        **_files_facts(made.results, made.written),
        "seconds": round(made.seconds, 3),
        **_speed_facts(result, made.writing_seconds),
    }


def _files_facts(results: list[tuple[Path, Rendering]], written: list[WrittenFiles]) -> dict[str, Any]:
    """Say in JSON what was written where: `outputs` has one name for each result."""
    shown = [rendering for _, rendering in results]
    return {
        "outputs": [str(next(iter(each.paths))) for each in written],
        "pictures": [str(path) for each in written for path in each.files.get("png", ())],
        "files": [{kind: [str(path) for path in paths] for kind, paths in each.files.items()} for each in written],
        "left_out": left_out(written),
        "keys": [str(rendering.key) for rendering in shown],
        "chords": [
            [
                {"bar": chord.bar, "time_ticks": chord.time_ticks, "symbol": chord.symbol, "numeral": chord.numeral}
                for chord in rendering.chords
            ]
            for rendering in shown
            if rendering.with_chords
        ],
    }


def left_out(written: list[WrittenFiles]) -> list[str]:
    """Why formats were not written, each sentence once."""
    return list(dict.fromkeys(sentence for each in written for sentence in each.left_out.values()))


def _remarks(written: list[WrittenFiles]) -> list[str]:
    """What the sheet music could not say as it is, each sentence once."""
    return list(dict.fromkeys(remark for each in written for remark in each.remarks))


def _speed_facts(result: GenerationResult, seconds: float) -> dict[str, float]:
    """Say in JSON how fast the model wrote."""
    num_tokens = sum(sample.num_tokens for sample in result.samples)
    return {"num_tokens": num_tokens, "tokens_per_second": round(num_tokens / max(seconds, 1e-9), 1)}


def _given_rule(sample: Sample) -> Callable[[str, NoteTick], bool]:
    return lambda name, note: (name, note.time, note.pitch) not in sample.added


def summary(made: Outcome) -> str:
    """Say what was given, what was written and where."""
    prompt, result, results, written = made.look.prompt, made.result, made.results, made.written
    counts = ", ".join(str(len(sample.added)) for sample in result.samples)
    given = f"{', '.join(result.given) or 'the bars around'} of {prompt}" if prompt is not None else "nothing but noise"
    lines = [f"given    {given}"]
    lines += [f"         {remark}" for remark in (*made.repairs, *result.remarks)]
    lines += [f"written  {', '.join(result.written)}: {counts} notes in {made.seconds:.1f} s"]
    lines += [f"{'key' if index == 0 else '':<8} {key}" for index, key in enumerate(_keys(results))]
    for _, rendering in results:
        if rendering.with_chords:
            lines += _chord_lines(rendering)
    paths = [path for each in written for path in each.paths]
    lines += [f"{'files' if index == 0 else '':<8} {path}" for index, path in enumerate(paths)]
    lines += [
        f"{'note' if index == 0 else '':<8} {line}"
        for index, line in enumerate((*result.silences, *_remarks(written), *left_out(written)))
    ]
    lines += [f"again    --seed {made.seed}"]
    return "\n".join(lines)


def _keys(results: list[tuple[Path, Rendering]]) -> list[str]:
    """The keys of all results, each once."""
    return list(dict.fromkeys(str(rendering.key_found) for _, rendering in results))


def _chord_lines(rendering: Rendering) -> list[str]:
    from descant_tokenizers.rendering.chords import chord_lines

    return [f"{'chords' if index == 0 else '':<8} {line}" for index, line in enumerate(chord_lines(rendering.chords))]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
