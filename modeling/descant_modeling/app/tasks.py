"""The tasks of the HTTP API: a file in, facts and files out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from descant_modeling.api import Model
from descant_modeling.app.media import files_of
from descant_modeling.app.requests import PageRequest
from descant_modeling.app.schemas import (
    CheckRequest,
    FileRequest,
    GenerationRequest,
    Note,
    RenderRequest,
    SampleFacts,
)
from descant_modeling.app.service import Service
from descant_modeling.common.console import part_of
from descant_modeling.decoding.config import GenerationConfig, OnProgress, OnSketch
from descant_modeling.evaluation.check import check_facts, check_score, rules_named
from descant_modeling.evaluation.repair import repair_score
from descant_modeling.generation.base import GenerationResult, Sample
from descant_modeling.generation.renderings import renderings_of
from descant_tokenizers.common.files import numbered, title_of
from descant_tokenizers.rendering.spelling import parse_key
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import ReadResult
from descant_tokenizers.scores.beats import with_beats
from descant_tokenizers.scores.names import voice_names

__all__ = ["TaskResult", "Work", "check_task", "generation_task", "render_task"]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")
_MAX_STEM = 40
_GENERATION_SHARE = 0.9  # of the time; the rest is for the files


@dataclass(frozen=True)
class TaskResult:
    """The result of a task.

    Attributes:
        facts: What it says, for JSON.
        files: Its files by name.
    """

    facts: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)


Work = Callable[[OnProgress, OnSketch], TaskResult]
"""A task that waits for its turn; it takes the observers of its progress."""


def generation_task(service: Service, asked: GenerationRequest) -> Work:
    """Return the task of generating music to a file.

    Raises:
        InputError: An option is out of range, or the model is not here or cannot do it.
    """
    wanted = asked.request()
    service.check(wanted)
    make = _Renderer(asked)

    def work(progress: OnProgress, on_bar: OnSketch) -> TaskResult:
        read = _read(service, asked, controls=True)
        read = read if wanted.quantize is False else with_beats(read)
        config = replace(wanted.config, progress=part_of(progress, 0, _GENERATION_SHARE), on_bar=on_bar)
        result = Model(service.generators[wanted.model]).generate(read, wanted, config)
        form = None if wanted.task == "continue" else read.form
        renderings = renderings_of(result.samples, make.stem, wanted.task, read.marks, form=form, **make.look)
        made = make.files(renderings, wanted.task, progress)
        return TaskResult(_generation_facts(wanted, result, renderings, made.of_each) | made.facts, made.contents)

    return work


def check_task(service: Service, asked: CheckRequest) -> Work:
    """Return the task of finding the faults of a file, and of mending them.

    Raises:
        InputError: An option is out of range, or no model can mend.
    """
    keys, voices = rules_named(asked.rules), voice_names(asked.voices)
    config = GenerationConfig(seed=asked.seed)
    make = _Renderer(asked)
    name = service.infilling_model(asked.model) if asked.repair else ""

    def work(progress: OnProgress, on_bar: OnSketch) -> TaskResult:
        read = _read(service, asked, unfold=False)
        checked = check_score(read, asked.file.name, keys)
        facts, look = check_facts(checked), make.look
        if asked.repair:
            model = Model(service.generators[name])
            progressed = part_of(progress, 0, _GENERATION_SHARE)
            mended = repair_score(model, checked, checked.worst(asked.level), voices, config, progressed)
            checked = mended.checked
            facts["repair"] = mended.facts() | {"faults": check_facts(checked)["faults"]}
            look |= {"is_given": lambda track, note: (track, note.time, note.pitch) not in mended.rewritten}
        made = make.files([checked.rendering(make.title, **look)], "check", progress)
        return TaskResult(facts | made.facts, made.contents)

    return work


def render_task(service: Service, asked: RenderRequest) -> Work:
    """Return the task of showing and playing a file.

    Raises:
        InputError: An option is out of range.
    """
    make = _Renderer(asked)

    def work(progress: OnProgress, on_bar: OnSketch) -> TaskResult:
        read = _read(service, asked)
        title = read.marks.title or make.title
        rendering = Rendering(read.score, title, marks=read.marks, form=read.form, **make.look)
        made = make.files([rendering], "", progress)
        return TaskResult({"key": str(rendering.key), "remarks": read.repairs} | made.facts, made.contents)

    return work


def _read(service: Service, asked: FileRequest, *, unfold: bool = True, controls: bool = False) -> ReadResult:
    file = asked.file
    unfold = unfold and not asked.no_repeats
    return service.read(file.data, file.name, controls=controls, marks=True, unfold=unfold, tune=asked.tune)


def _generation_facts(
    wanted: PageRequest,
    result: GenerationResult,
    renderings: Sequence[Rendering],
    files: Sequence[dict[str, list[str]]],
) -> dict[str, Any]:
    samples = [
        SampleFacts(
            ticks_per_quarter=sample.score.ticks_per_quarter,
            notes=_notes(sample),
            key=str(rendering.key),
            chords=list(sample.chords),
            files=own,
        )
        for sample, rendering, own in zip(result.samples, renderings, files, strict=True)
    ]
    return {
        "model": wanted.model,
        "seed": wanted.config.seed,
        "given": list(result.given),
        "written": list(result.written),
        "remarks": [*result.remarks, *result.silences],
        "phrases": list(result.phrases),
        "samples": [sample.model_dump() for sample in samples],
    }


def _notes(sample: Sample) -> list[Note]:
    return [
        Note(
            voice=track.name,
            onset_ticks=note.time,
            duration_ticks=note.duration,
            pitch=note.pitch,
            is_new=(track.name, note.time, note.pitch) in sample.added,
        )
        for track in sample.score.tracks
        if not track.is_drum
        for note in track.notes
    ]


@dataclass(frozen=True)
class _Made:
    """Files of all renderings: their names by format for each, their contents, and the formats left out."""

    of_each: list[dict[str, list[str]]]
    contents: dict[str, bytes]
    left_out: dict[str, str]

    @property
    def facts(self) -> dict[str, Any]:
        files: dict[str, list[str]] = {}
        for own in self.of_each:
            for form, names in own.items():
                files.setdefault(form, []).extend(names)
        return {"files": files, "left_out": self.left_out}


class _Renderer:
    """Makes the files that a request asks for.

    Raises:
        InputError: A key, a format or an option of practice tracks does not exist.
    """

    def __init__(self, asked: FileRequest) -> None:
        self.stem = _NOT_IN_NAMES.sub("-", Path(asked.file.name).stem).strip("-")[:_MAX_STEM] or "music"
        self.title = title_of(self.stem)
        self._formats = asked.chosen_formats
        self._look: dict[str, Any] = {
            "arrangement": asked.layout,
            "chosen_key": None if asked.key is None else parse_key(asked.key),
            "is_colored": asked.colors,
            "with_chords": asked.chord_symbols,
            "sound": asked.sound,
            "practice": asked.practice,
        }

    @property
    def look(self) -> dict[str, Any]:
        """Fields of `Rendering`."""
        return dict(self._look)

    def files(self, renderings: Sequence[Rendering], task: str, progress: OnProgress) -> _Made:
        """Make the files of renderings, and stop where the job is stopped."""
        made = _Made([], {}, {})
        names = numbered(Path(f"{self.stem}-{task}.mid" if task else f"{self.stem}.mid"), len(renderings))
        for name, rendering in zip(names, renderings, strict=True):
            found, left_out = files_of(rendering, name, self._formats, lambda: progress(_GENERATION_SHARE))
            made.of_each.append({form: list(own) for form, own in found.items()})
            for own in found.values():
                made.contents.update(own)
            made.left_out.update(left_out)
        return made
