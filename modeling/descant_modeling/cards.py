"""Model cards: the README.md of a checkpoint folder."""

from __future__ import annotations

from transformers import PreTrainedModel

from descant_modeling.checkpoints import CheckpointMeta


def model_card(model: PreTrainedModel, meta: CheckpointMeta) -> str:
    """Return the card of a freshly trained checkpoint."""
    training = "\n".join(f"- {key}: {value}" for key, value in meta.training.items())
    return f"# {type(model).__name__}\n\n## Training\n\n{training}\n"
