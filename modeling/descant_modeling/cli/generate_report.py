"""Results of the `generate` command, reported in words or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant_tokenizers.common.errors import shown

if TYPE_CHECKING:
    from descant_modeling.generation.base import GenerationResult, Request
    from descant_tokenizers.rendering.write import Rendering, WrittenFiles

__all__ = ["Outcome", "facts_of", "left_out", "summary"]


@dataclass(frozen=True)
class Outcome:
    """Contents of a report.

    Attributes:
        prompt: The prompt's file, if there is one.
        model: The model, as given.
        request: The request.
        seed: The seed.
        result: The music.
        renderings: The rendering of each sample.
        files: The files of each sample.
        generation_seconds: Time of generation.
        seconds: Time of the whole command.
    """

    prompt: Path | None
    model: str
    request: Request
    seed: int
    result: GenerationResult
    renderings: Sequence[Rendering]
    files: Sequence[WrittenFiles]
    generation_seconds: float
    seconds: float

    @property
    def notes(self) -> list[str]:
        """Shortcomings of the files and of the music, a sentence each."""
        return [*self.result.silences, *_unique(remark for each in self.files for remark in each.remarks)]


def _given(outcome: Outcome) -> str:
    if outcome.prompt is None:
        return "only noise"
    name = shown(str(outcome.prompt))
    if outcome.request.morph is not None:
        return f"two bars of {name} and two of the file to morph into"
    if outcome.request.bars is None:
        return f"{', '.join(outcome.result.given)} of {name}"
    first, last = outcome.request.bars
    return f"{name}, all but bar{f's {first}-{last}' if first < last else f' {first}'}"


def _phrases(result: GenerationResult) -> list[str]:
    """Return the bars in which phrases end, and their source; empty if there are none."""
    bars = ", ".join(map(str, result.phrases))
    return [f"bar{'s' * (len(result.phrases) > 1)} {bars} ({result.phrase_source})"] if bars else []


def _to_listen(files: WrittenFiles) -> Sequence[Path]:
    """Return the sound file of a sample, if there is one."""
    return next((files.files[form] for form in ("mp3", "flac", "wav") if form in files.files), ())


def facts_of(outcome: Outcome) -> dict[str, Any]:
    """Return the report as values for JSON; lists of `outputs`, `files`, `keys`, `plans`, `chords` go by sample."""
    result, files, renderings = outcome.result, outcome.files, outcome.renderings
    num_tokens = sum(sample.num_tokens for sample in result.samples)
    return {
        "task": outcome.request.task,
        "model": outcome.model,
        "seed": outcome.seed,
        "given": list(result.given),
        "written": list(result.written),
        "num_notes_written": [len(sample.added) for sample in result.samples],
        "log_likelihoods": [_rounded(sample.log_likelihood) for sample in result.samples],
        "melody_kept": [_rounded(sample.melody_kept) for sample in result.samples],
        "remarks": [*result.remarks, *outcome.notes],
        "outputs": [str(next(iter(each.paths))) for each in files],
        "pictures": [str(path) for each in files for path in each.files.get("png", ())],
        "files": [{form: [str(path) for path in paths] for form, paths in each.files.items()} for each in files],
        "left_out": left_out(files),
        "keys": [str(rendering.key) for rendering in renderings],
        "phrases": list(result.phrases),
        "phrase_source": result.phrase_source,
        "plans": [list(sample.chords) for sample in result.samples if sample.chords],
        "chords": [
            [
                {"bar": chord.bar, "time_ticks": chord.time_ticks, "symbol": chord.symbol, "numeral": chord.numeral}
                for chord in rendering.chords
            ]
            for rendering in renderings
            if rendering.with_chords
        ],
        "seconds": round(outcome.seconds, 3),
        "num_tokens": num_tokens,
        "tokens_per_second": round(num_tokens / max(outcome.generation_seconds, 1e-9), 1),
    }


def summary(outcome: Outcome) -> str:
    """Return the report in words."""
    from descant_tokenizers.rendering.chords import chord_lines

    result, renderings = outcome.result, outcome.renderings
    counts = ", ".join(str(len(sample.added)) for sample in result.samples)
    lines = [
        *_labelled("given", [_given(outcome), *result.remarks]),
        *_labelled("written", [f"{', '.join(result.written)}: {counts} notes in {outcome.seconds:.1f} s"]),
        *_labelled("key", _unique(str(rendering.key_found) for rendering in renderings)),
        *_labelled("phrases", _phrases(result)),
        *_labelled("plan", [f"| {' | '.join(sample.chords)} |" for sample in result.samples if sample.chords]),
    ]
    for rendering in renderings:
        if rendering.with_chords:
            lines += _labelled("chords", chord_lines(rendering.chords))
    lines += _labelled("files", [str(path) for each in outcome.files for path in each.paths])
    lines += _labelled("listen", [str(path) for each in outcome.files for path in _to_listen(each)])
    lines += _labelled("note", [*outcome.notes, *left_out(outcome.files)])
    return "\n".join([*lines, *_labelled("again", [f"--seed {outcome.seed}"])])


def left_out(files: Sequence[WrittenFiles]) -> list[str]:
    """Return why formats were left out, each sentence once."""
    return _unique(sentence for each in files for sentence in each.left_out.values())


def _labelled(label: str, lines: Sequence[str]) -> list[str]:
    return [f"{'' if index else label:<8} {line}" for index, line in enumerate(lines)]


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
