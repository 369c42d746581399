"""Whoever can write three voices to a soprano, behind one Protocol."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from symusic.core import ScoreTick, TrackTickList

from descant_modeling.checkpoints import writes_from_nothing
from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.ensemble.writer import EnsembleWriter
from descant_modeling.generation import MusicModel, load_writer
from descant_modeling.writing import GenerationConfig, Writer
from descant_tokenizers.errors import InputError
from descant_tokenizers.scores import VOICES

__all__ = [
    "BASELINE",
    "BASELINES",
    "Harmonizer",
    "ModelHarmonizer",
    "melody_of",
    "named_harmonizers",
    "open_harmonizer",
    "soprano_is_kept",
]

NEAREST = "nearest"
BASELINES = (NEAREST, "markov")
BASELINE = "baseline"
"""Both of them."""


class Harmonizer(Protocol):
    """Writes three voices to a soprano."""

    @property
    def name(self) -> str:
        """What to call it in a table."""

    def harmonize(self, melody: ScoreTick, seed: int) -> ScoreTick:
        """Write four tracks named Soprano, Alto, Tenor and Bass.

        Args:
            melody: One track, Soprano, and the piece's time signatures.
            seed: Same seed, same music.
        """


class ModelHarmonizer:
    """A causal model or a GAN, through the very code behind `generate.py`.

    Args:
        name: What to call it.
        writer: The model.
        sampling: Temperature and nucleus.
    """

    def __init__(self, name: str, writer: Writer, sampling: SamplingConfig | None = None) -> None:
        self.name, self.writer = name, writer
        self.sampling = sampling or SamplingConfig()

    @property
    def is_causal(self) -> bool:
        """Whether it has a likelihood."""
        return isinstance(self.writer, MusicModel)

    def harmonize(self, melody: ScoreTick, seed: int) -> ScoreTick:
        """See `Harmonizer`."""
        return self.writer.harmonize(melody, GenerationConfig(self.sampling, seed=seed)).samples[0].score


def open_harmonizer(name: str, device: str = "cpu", sampling: SamplingConfig | None = None) -> Harmonizer:
    """Find a harmonizer: `nearest` or `markov`, or a model as everywhere (embedded, folder, Hub id).

    Raises:
        InputError: There is none of this name, it is the name of both baselines, or it does not harmonize melodies.
    """
    if name in BASELINES:
        from descant_modeling.evaluation.baseline import MarkovVoices, NearestSoprano, training_chorales

        chorales = training_chorales()
        return NearestSoprano(chorales) if name == NEAREST else MarkovVoices(chorales)
    if name == BASELINE:
        raise InputError(f"{BASELINE} is two models, {' and '.join(BASELINES)}: give one of them.")
    if writes_from_nothing(name):
        raise InputError(f"{name} writes without a melody; give a model that harmonizes, such as chorales or gan.")
    writer = load_writer(name, device)
    if isinstance(writer, EnsembleWriter):
        raise InputError(
            f"{name} writes any instruments, not four voices; give a model of four voices, such as chorales."
        )
    return ModelHarmonizer(Path(name).name, writer, sampling)


def named_harmonizers(names: Iterable[str]) -> list[str]:
    """Return the names of models without repetition; `baseline` stands for both baselines."""
    known = (BASELINES if name == BASELINE else (name,) for name in names)
    return list(dict.fromkeys(name for several in known for name in several))


def melody_of(score: ScoreTick) -> ScoreTick:
    """Return a copy of a four-part score with nothing but its soprano."""
    melody = score.copy()
    melody.tracks = TrackTickList([track for track in melody.tracks if track.name == VOICES[0]])
    return melody


def soprano_is_kept(melody: ScoreTick, harmony: ScoreTick) -> bool:
    """Whether a harmony has the melody's notes, tick for tick (at its own, maybe finer, resolution)."""
    factor = harmony.ticks_per_quarter / melody.ticks_per_quarter
    given = [(n.time * factor, n.duration * factor, n.pitch) for n in melody.tracks[0].notes]
    found = [(n.time, n.duration, n.pitch) for track in harmony.tracks if track.name == VOICES[0] for n in track.notes]
    return sorted(given) == sorted(found)
