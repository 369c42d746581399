"""Models that have learned nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from descant_modeling.models.checkpoints import CheckpointMeta, save_checkpoint
from descant_modeling.models.transformer import ModelConfig, build_model
from descant_tokenizers.tokens.tasks import LayoutConfig, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary


def save_untrained(
    vocabulary: Vocabulary,
    ranges: Sequence[tuple[int, int]],
    folder: Path,
    layout_config: LayoutConfig | None = None,
    **values: object,
) -> Path:
    """Save a tiny untrained model: what it writes is legal, but no music."""
    layout = TaskLayout(vocabulary, layout_config or LayoutConfig())
    torch.manual_seed(0)
    config = ModelConfig(**{"width": 16, "num_layers": 1, "num_heads": 2, **values})
    model = build_model(config, vocabulary.size, bos=layout.bos, eos=layout.eos, pad=vocabulary.special("PAD"))
    meta = CheckpointMeta(layout.config, "", voice_ranges=tuple(ranges))
    save_checkpoint(folder, model, vocabulary.tokenizer, meta, "tiny\n")
    return folder
