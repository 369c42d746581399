"""Whoever can write three voices to a soprano, behind one Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from symusic.core import ScoreTick, TrackTickList

from descant_modeling.decoding.sampler import SamplingConfig
from descant_modeling.generation import MusicModel, load_writer
from descant_modeling.writing import GenerationConfig, Writer
from descant_tokenizers.scores import VOICES

__all__ = ["BASELINE", "Harmonizer", "ModelHarmonizer", "melody_of", "open_harmonizer", "soprano_is_kept"]

BASELINE = "baseline"


class Harmonizer(Protocol):
    """Writes three voices to a soprano."""

    @property
    def name(self) -> str:
        """What to call it in a table."""

    def harmonize(self, melody: ScoreTick, seed: int, num_samples: int) -> list[ScoreTick]:
        """Write four tracks named Soprano, Alto, Tenor and Bass.

        Args:
            melody: One track, Soprano, and the piece's time signatures.
            seed: Same seed, same music.
            num_samples: How many versions.
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

    def harmonize(self, melody: ScoreTick, seed: int, num_samples: int) -> list[ScoreTick]:
        """See `Harmonizer`."""
        result = self.writer.harmonize(melody, GenerationConfig(self.sampling, num_samples, seed))
        return [sample.score for sample in result.samples]


def open_harmonizer(name: str, device: str = "cpu", sampling: SamplingConfig | None = None) -> Harmonizer:
    """Find a harmonizer: `baseline`, or a model as everywhere (embedded, folder, Hub id).

    Raises:
        InputError: There is none of this name.
    """
    if name == BASELINE:
        from descant_modeling.evaluation.baseline import NearestSoprano

        return NearestSoprano.of_split("chorales:train")
    return ModelHarmonizer(Path(name).name, load_writer(name, device), sampling)


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
