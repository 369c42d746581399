"""Targets of the campaigns of model folders and configurations."""

from __future__ import annotations

import json
from pathlib import Path

from odd_models import unpack
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_modeling.api import load_generator
from descant_modeling.common.config import build_config, load_values
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import Request
from descant_tokenizers.common.errors import InputError


def _tune() -> ScoreTick:
    score = ScoreTick(24)
    score.tracks.append(TrackTick("Soprano", 52, False))
    for time, pitch in enumerate((67, 69, 71, 72)):
        score.tracks[0].notes.append(NoteTick(24 * time, 24, pitch, 80))
    return score


class ModelTarget:
    """Loads a model folder for the ONNX engine, and harmonizes four notes."""

    names_file = True

    def feed(self, path: Path) -> str:
        """Load and generate.

        Raises:
            InputError: The folder is refused.
        """
        folder = path.with_suffix("")
        unpack(path.read_bytes(), folder)
        generator = load_generator(str(folder), engine="onnx")
        try:
            generator.generate(Request("harmonize", _tune()), GenerationConfig(seed=1, best_of=1))
        except InputError as error:
            return str(error)
        return ""


class ConfigTarget:
    """Builds the configuration of a run from a YAML file and overrides."""

    names_file = False  # an override is named instead

    def __init__(self) -> None:
        from descant_modeling.objectives import objective_of  # imports PyTorch

        self._objective_of = objective_of

    def feed(self, path: Path) -> str:
        """Build, and say what was built.

        Raises:
            InputError: The file or an override is refused.
        """
        plan = json.loads(path.read_bytes())
        file = path.with_suffix("")
        file.write_bytes(plan["yaml"].encode("utf-8", "surrogatepass"))
        values, where = load_values(file)
        config = build_config(self._objective_of(values, where).config, values, where, plan["overrides"])
        json.dumps(config.to_dict())
        return ""
