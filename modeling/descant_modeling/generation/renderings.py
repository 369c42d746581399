"""Samples, prepared for sheet music, pictures and sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symusic.core import NoteTick

from descant_modeling.generation.base import Sample
from descant_tokenizers.common.files import title_of
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores.marks import Marks


def renderings_of(samples: Sequence[Sample], name: str, task: str, marks: Marks, **options: Any) -> list[Rendering]:
    """Prepare each sample for its formats, with the marks of the prompt; `options` are fields of `Rendering`."""
    title, caption = marks.title or title_of(name), f"{name}: {task}"
    return [
        Rendering(sample.score, title, caption, is_given=_given_rule(sample), marks=marks, **options)
        for sample in samples
    ]


def _given_rule(sample: Sample) -> Callable[[str, NoteTick], bool]:
    return lambda name, note: (name, note.time, note.pitch) not in sample.added
