"""Checkpoint folders of the grid model, their model cards, and the likelihood of grids.

A folder has `config.json, generation_config.json, model.safetensors` (stock transformers), `descant.json` (objective,
vocabulary, corpora, ranges, facts about the run) and `README.md` (model card). No miditok tokenizer has these tokens:
the `vocabulary` of `descant.json` (lowest and highest pitch, cycle of beats) replaces it.

Likelihood is in the unit of the published figures: nats per voice-16th, with BOS as context and EOS counted. Pieces are
never truncated, and the 16ths of a piece are the frames of its grid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from descant_modeling.jsb_grid.data import PAD, Grid, GridVocabulary
from descant_modeling.models.checkpoints import (
    FORMAT_VERSION,
    META_FILE,
    ModelSource,
    find_checkpoint,
    load_model,
    read_ranges,
    save_model,
)
from descant_modeling.models.likelihood import VOICE_16TH, Likelihood, PieceScore, Unit, score_streams, windows
from descant_modeling.models.publishing import PLACEHOLDER, MeasuredFigure, render_card
from descant_tokenizers.common.errors import InputError

OBJECTIVE = "grid"
TITLE = "Descant grid model"

WHAT = """\
A causal Transformer ({architecture}, {millions:.2f} M parameters) over the sounding-pitch grid of four-part chorales:
soprano, alto, tenor and bass of each 16th in turn. Made with Descant."""

USE = """\
```
descant evaluate likelihood --model {place} --corpus chorales
```

It is a stock transformers model. No stock tokenizer holds its {size} tokens: `vocabulary` in `descant.json` describes
them (pitches {lowest}-{highest}).

```python
import transformers

model = transformers.AutoModelForCausalLM.from_pretrained("{place}")
```"""

INTENDED = """\
For comparison with published likelihoods of the JSB Chorales. It is not meant for generation: held and repeated notes
look alike to it."""

DATA = """\
The file given as `data.grid_json`: the JSB Chorales on a grid of 16ths, research data that is not part of Descant.
Splits trained on: {splits}. No piece of valid or test was trained on."""

LIMITS = "Four voices, sixteenths, no onsets, no text, no form beyond its training data."

COMMAND = "accelerate launch train.py --config configs/grid.yaml data.grid_json=FILE"


def grid_card(
    model: PreTrainedModel, vocabulary: GridVocabulary, corpora: dict[str, str], training: dict[str, Any]
) -> str:
    """Return the card of a checkpoint, with `PLACEHOLDER` for its folder; `training` holds facts about the run."""
    value = training.get(f"valid_{VOICE_16TH.key}")
    likelihood = [MeasuredFigure(VOICE_16TH.key, VOICE_16TH.name, value, None, COMMAND)] if value is not None else []
    return render_card(
        TITLE,
        list(corpora),
        likelihood,
        training,
        tags=("music", "symbolic-music", "bach"),
        what=WHAT.format(architecture=type(model).__name__, millions=sum(p.numel() for p in model.parameters()) / 1e6),
        use=USE.format(place=PLACEHOLDER, size=vocabulary.size, lowest=vocabulary.lowest, highest=vocabulary.highest),
        intended=INTENDED,
        data=DATA.format(splits=", ".join(training.get("splits", []))),
        quality="Not measured."
        if value is None
        else f"{value:.4f} {VOICE_16TH.name} on the valid split of that file, by\n`{COMMAND}`.",
        limits=LIMITS,
    )


def score_grids(
    model: PreTrainedModel,
    vocabulary: GridVocabulary,
    grids: Sequence[Grid],
    progress: Callable[[float], None] | None = None,
) -> Likelihood:
    """Score whole pieces, which have at least one note; `progress` is called with the share done, 0-1.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    streams = [vocabulary.encode(grid.pitches_VT, grid.name) for grid in grids]
    limit = model.config.max_position_embeddings
    nats = score_streams(model, streams, pad=PAD, progress=progress)
    return grid_likelihood(grids, nats, limit, [len(windows(stream, limit)) for stream in streams])


def grid_likelihood(
    grids: Sequence[Grid], nats: Sequence[float], limit: int, num_windows: Sequence[int] = ()
) -> Likelihood:
    """Return the likelihood of whole pieces.

    Args:
        grids: The pieces.
        nats: The sum of -ln p of each.
        limit: Longest context of a token.
        num_windows: Windows in which each was scored; one by default.
    """
    counts = num_windows or [1] * len(grids)
    scores = [
        PieceScore(grid.name, value, VOICE_16TH.num_voices * grid.num_16ths, grid.num_notes, count)
        for grid, value, count in zip(grids, nats, counts, strict=True)
    ]
    return Likelihood(VOICE_16TH, limit, scores)


@dataclass(frozen=True)
class GridMeta:
    """Contents of `descant.json`.

    Attributes:
        vocabulary: Meanings of the token ids.
        vocabulary_sha256: Its hash.
        corpora: Names and hashes of the training data.
        voice_ranges: (lowest, highest) MIDI pitch of each voice in training.
        training: Facts about the run: steps, seed, valid likelihood, git revision.
        objective: `grid`.
        format_version: Version of this file's format.
    """

    vocabulary: GridVocabulary
    vocabulary_sha256: str
    corpora: dict[str, str] = field(default_factory=dict)
    voice_ranges: tuple[tuple[int, int], ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    objective: str = OBJECTIVE
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class GridRepresentation:
    """Chorales on the grid, a `Representation`.

    Attributes:
        valid: Pieces to validate on.
        meta: Contents of `descant.json`.
    """

    valid: list[Grid]
    meta: GridMeta

    @property
    def unit(self) -> Unit:
        """The unit of its likelihood."""
        return VOICE_16TH

    def score_valid(self, model: PreTrainedModel) -> Likelihood | None:
        """Score the validation pieces; return None if there are none."""
        return score_grids(model, self.meta.vocabulary, self.valid) if self.valid else None

    def write_checkpoint(self, folder: Path, model: PreTrainedModel, training: dict[str, Any]) -> None:
        """Write a complete checkpoint into an existing empty folder."""
        meta = replace(self.meta, training={**self.meta.training, **training})
        save_model(folder, model)
        (folder / META_FILE).write_text(json.dumps(asdict(meta), indent=1) + "\n", encoding="utf-8")
        card = grid_card(model, meta.vocabulary, meta.corpora, meta.training)
        (folder / "README.md").write_text(card, encoding="utf-8")

    def first_command(self, folder: Path) -> str:
        """Return a command that scores the trained model."""
        return f"descant evaluate likelihood --model {folder} --corpus chorales"


@dataclass(frozen=True)
class GridCheckpoint:
    """A loaded checkpoint."""

    model: PreTrainedModel
    meta: GridMeta
    folder: Path


def load_grid(model: ModelSource, device: str = "cpu") -> GridCheckpoint:
    """Load a grid model.

    Raises:
        InputError: The model does not exist, or its folder is incomplete, damaged, of a newer format or of another
            objective.
    """
    found = find_checkpoint(model)
    folder, values = found.folder, dict(found.meta)
    if found.objective != OBJECTIVE:
        raise InputError(f"{folder} is not a grid model. Give a run of configs/grid.yaml.")
    try:
        values["vocabulary"] = GridVocabulary(**values["vocabulary"])
        values["voice_ranges"] = read_ranges(values)
        meta = GridMeta(**values)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / META_FILE} cannot be read ({error!r}). Restore the file saved with the model."
        ) from None
    network = load_model(folder)
    if meta.vocabulary.sha256() != meta.vocabulary_sha256 or meta.vocabulary.size != network.config.vocab_size:
        raise InputError(f"{folder / META_FILE} describes other tokens than the model has. Restore the saved file.")
    network.to(torch.device(device))  # type: ignore[arg-type]
    return GridCheckpoint(network.train(False), meta, folder)
