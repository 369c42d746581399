"""Runs of causal models over scores in the tokens of a miditok tokenizer: data, model, checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch.nn import Embedding
from transformers import PreTrainedModel

from descant_modeling.models.checkpoints import Checkpoint, CheckpointMeta, load_checkpoint, save_checkpoint
from descant_modeling.models.likelihood import Likelihood, Unit, score_pieces, unit_of
from descant_modeling.models.publishing import model_card, try_generating
from descant_modeling.models.transformer import build_model
from descant_modeling.training.causal import begin_causal_run, prepare_causal_run
from descant_modeling.training.config import RunConfig
from descant_modeling.training.data import RunData, load_data
from descant_modeling.training.examples import ExampleSource
from descant_modeling.training.guided import GuidedSource
from descant_modeling.training.log import git_revision
from descant_modeling.training.run import PreparedRun, RunContext
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.hint_tokens import pitches_of_hint
from descant_tokenizers.tokens.kinds import kind_of
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.presets import open_tokenizer
from descant_tokenizers.tokens.tasks import TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary


@dataclass(frozen=True)
class ScoreRepresentation:
    """Scores in the tokens of a miditok tokenizer.

    Attributes:
        layout: Task layout, with the tokenizer's vocabulary.
        valid: Pieces to validate on.
        meta: Contents of `descant.json`.
        valid_styles: Style token of each of these pieces; by default none has one.
    """

    layout: TaskLayout
    valid: Sequence[Piece]
    meta: CheckpointMeta
    valid_styles: tuple[str | None, ...] = ()

    @property
    def unit(self) -> Unit:
        """The unit of its likelihood: per voice where there are four voices."""
        return unit_of(self.layout.vocabulary)

    def score_valid(self, model: PreTrainedModel) -> Likelihood | None:
        """Score the validation pieces; return None if there are none."""
        if not self.valid:
            return None
        named = ((str(index), piece) for index, piece in enumerate(self.valid))
        return score_pieces(model, self.layout, named, styles=self.valid_styles)

    def write_checkpoint(self, folder: Path, model: PreTrainedModel, training: dict[str, Any]) -> None:
        """Write a complete checkpoint into an existing empty folder."""
        meta = replace(self.meta, training={**self.meta.training, **training})
        card = model_card(model, meta, self.layout.vocabulary)
        save_checkpoint(folder, model, self.layout.vocabulary.tokenizer, meta, card)

    def first_command(self, folder: Path) -> str:
        """Return a command that tries the trained model."""
        task = kind_of(self.layout.vocabulary).default_task
        return try_generating(folder) + ("" if task == "harmonize" else f" --task {task}")


def prepare_score_run(context: RunContext[RunConfig]) -> PreparedRun:
    """Load data and model of a run over scores.

    Raises:
        InputError: A wrong corpus, tokenizer or checkpoint to start from.
    """
    begin_causal_run(context)
    config, resume = context.config, context.options.resume
    # A resumed run keeps its own tokenizer: the folder that it came from may hold another one by now.
    tokenizer = open_tokenizer(config.data.tokenizer if resume is None else str(resume / "last"))
    layout = TaskLayout(Vocabulary(tokenizer), config.layout)
    with context.accelerator.main_process_first():
        data = load_data(config, layout, quiet=context.is_quiet)
    torch.manual_seed(config.seed)
    model = initial_model(config, layout)
    source = _source(config, layout, data)
    meta = CheckpointMeta(
        layout=config.layout,
        tokenizer_sha256="",
        corpora=data.corpora,
        voice_ranges=tuple(source.voice_ranges),
        meters=data.meters,
        training={
            "seed": config.seed,
            "splits": list(config.data.splits),
            "git": git_revision(),
            **({"licences": data.licences} if data.licences else {}),
        },
    )
    return prepare_causal_run(
        context,
        model,
        source,
        ScoreRepresentation(layout, data.valid, meta, data.valid_styles),
        *data.remarks,
        num_pieces={"train": len(data.train), "valid": len(data.valid)},
        corpora=data.corpora,
        vocabulary_sha256=layout.vocabulary.sha256(),
    )


def _source(config: RunConfig, layout: TaskLayout, data: RunData) -> ExampleSource:
    """Return the source of training examples for a layout."""
    if layout.config.hints:
        return GuidedSource(
            data.train,
            layout,
            config.tasks,
            config.data,
            seed=config.seed,
            max_tokens=config.model.max_tokens,
            styles=data.train_styles,
        )
    return ExampleSource(
        data.train,
        layout,
        config.tasks,
        seed=config.seed,
        transpose=config.data.transpose,
        max_tokens=config.model.max_tokens,
        styles=data.train_styles,
        unlabelled_share=config.data.unlabelled_share,
        style_contrast=config.data.style_contrast,
    )


def initial_model(config: RunConfig, layout: TaskLayout) -> PreTrainedModel:
    """Return the model that a run starts with: a new one, or that of `init_from`.

    Size and dropout are those of `model` in the configuration. The run's vocabulary may have style tokens that the
    checkpoint's does not have, and may name the voices in another order.

    Raises:
        InputError: The checkpoint has another vocabulary or size.
    """
    vocabulary = layout.vocabulary
    model = build_model(config.model, vocabulary.size, bos=layout.bos, eos=layout.eos, pad=vocabulary.special("PAD"))
    if config.init_from is None:
        return model
    checkpoint = load_checkpoint(config.init_from)
    is_same = checkpoint.vocabulary.sha256() == vocabulary.sha256()
    if not is_same and not _differ_in_specials_or_order(checkpoint.vocabulary, vocabulary):
        raise InputError(
            f"The model of init_from, {config.init_from}, has another tokenizer. Set data.tokenizer to that checkpoint."
        )
    found, expected = _size(checkpoint.model), _size(model)
    if found != expected:
        raise InputError(
            f"The model of init_from, {config.init_from}, is {found}, but the run's is {expected}. "
            "Set model to the size of the checkpoint's."
        )
    if not is_same:
        _move_to_vocabulary(checkpoint, vocabulary)
    model.load_state_dict(checkpoint.model.state_dict())
    return model


def _size(model: PreTrainedModel) -> str:
    config = model.config
    return f"{config.model_type}, {config.num_hidden_layers} x {config.hidden_size}, heads {config.num_attention_heads}"


def _differ_in_specials_or_order(old: Vocabulary, new: Vocabulary) -> bool:
    """Return True if vocabularies differ at most in added special tokens and in the order of the four voices."""
    has_merges = old.has_merges or new.has_merges
    added = {name for name in _descriptions(new) if name in new.tokenizer.special_tokens}
    return not has_merges and set(_descriptions(new)) - added <= set(_descriptions(old)) <= set(_descriptions(new))


def _descriptions(vocabulary: Vocabulary) -> list[str]:
    """Return the names of a vocabulary's tokens, with a voice's name for its program."""
    voices = {vocabulary.voice_id[rank]: vocabulary.voice_name(rank) for rank in range(vocabulary.num_voices)}
    return [voices.get(i, name) for i, name in enumerate(vocabulary.names)]


def _move_to_vocabulary(checkpoint: Checkpoint, vocabulary: Vocabulary) -> None:
    """Give a checkpoint's model the tokens of a vocabulary, with every token's embedding at its new id.

    A new token starts at the mean of all tokens, halfway to those that it resembles, away from there by a random vector
    of the usual length: tokens that all start at one point are not told apart for a long time.
    """
    model = checkpoint.model
    old_VC = cast("Embedding", model.get_input_embeddings()).weight.detach().clone()
    old_id = {name: i for i, name in enumerate(_descriptions(checkpoint.vocabulary))}
    mean_C = old_VC.mean(dim=0)
    spread_C = old_VC.std(dim=0)
    model.resize_token_embeddings(vocabulary.size, mean_resizing=False)
    with torch.no_grad():
        new_VC = cast("Embedding", model.get_input_embeddings()).weight
        for i, name in enumerate(_descriptions(vocabulary)):
            if name in old_id:
                new_VC[i] = old_VC[old_id[name]]
                continue
            similar = [old_id[f"Pitch_{pitch}"] for pitch in pitches_of_hint(name) if f"Pitch_{pitch}" in old_id]
            base_C = mean_C.lerp(old_VC[similar].mean(dim=0), 0.5) if similar else mean_C
            new_VC[i] = base_C + torch.randn_like(base_C) * spread_C
    assert model.config.tie_word_embeddings, "the output embeddings are not tied to these"
