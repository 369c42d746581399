"""Everything a causal model's run needs before its first step: tokenizer, pieces, model.

What a causal model is trained on, as its trainer sees it: how it is scored, and what a checkpoint of it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from torch.nn import Embedding
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from descant_modeling.models.checkpoints import Checkpoint, CheckpointMeta, load_checkpoint, save_checkpoint
from descant_modeling.models.likelihood import Likelihood, Unit, corpus_likelihood, unit_of
from descant_modeling.models.publishing import model_card, try_generating
from descant_modeling.models.transformer import build_model, count_parameters
from descant_modeling.training.config import CausalConfig, RunConfig
from descant_modeling.training.data import load_data
from descant_modeling.training.examples import BatchSource, ExampleSource
from descant_modeling.training.run import Run, RunContext, RunOptions, open_run
from descant_modeling.training.trainer import Trainer
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.piece import Piece, voice_ranges
from descant_tokenizers.tokens.presets import open_tokenizer
from descant_tokenizers.tokens.tasks import TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary


@dataclass(frozen=True)
class CausalTask:
    """Scores in the tokens of a miditok tokenizer.

    Attributes:
        layout: Task layout, with the tokenizer's vocabulary.
        valid: Pieces to evaluate on.
        meta: What goes into `descant.json`.
        valid_styles: The style that the model is told of each piece to evaluate on; by default none.
    """

    layout: TaskLayout
    valid: list[Piece]
    meta: CheckpointMeta
    valid_styles: tuple[str | None, ...] = ()

    @property
    def unit(self) -> Unit:
        """Per voice where there are four voices."""
        return unit_of(self.layout.vocabulary)

    @property
    def has_valid(self) -> bool:
        """Whether there are pieces to evaluate on."""
        return bool(self.valid)

    def score_valid(self, model: PreTrainedModel) -> Likelihood:
        """Score the pieces to evaluate on."""
        return corpus_likelihood(model, self.layout, self.valid, styles=self.valid_styles)

    def write_checkpoint(self, folder: Path, model: PreTrainedModel, training: dict[str, Any]) -> None:
        """Write a complete checkpoint folder into an existing empty one."""
        meta = replace(self.meta, training={**self.meta.training, **training})
        card = model_card(model, meta, self.layout.vocabulary)
        save_checkpoint(folder, model, self.layout.vocabulary.tokenizer, meta, card)

    def first_command(self, folder: Path) -> str:
        """Return what to try a trained model with; of any instruments, it is the user who says what to write."""
        return try_generating(folder) + ("" if self.layout.vocabulary.is_four_part else " --task continue")


Kind = TypeVar("Kind", bound=CausalConfig)


def prepare_run(values: dict[str, Any], where: str, options: RunOptions) -> Run:
    """Read configuration and data of a causal model, build or restore model and trainer; see `objectives.prepare_run`.

    The run folder is made last, so that a mistake leaves none behind.
    """
    opening = open_causal_run(RunConfig, values, where, options)
    config, accelerator = opening.config, opening.accelerator
    # A resumed run goes on with its own tokenizer: the folder that it was taken from may hold another one by now.
    tokenizer = open_tokenizer(config.data.tokenizer if options.resume is None else str(options.resume / "last"))
    layout = TaskLayout(Vocabulary(tokenizer), config.layout)
    with accelerator.main_process_first():
        data = load_data(config, layout, quiet=opening.is_quiet)
    torch.manual_seed(config.seed)
    model = initial_model(config, layout)
    source = ExampleSource(
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
    folder, log = opening.open_folder()
    padding = round(padding_share(source, config.data.batch_tokens), 4)
    header = opening.header(
        num_parameters=count_parameters(model),
        num_pieces={"train": len(data.train), "valid": len(data.valid)},
        padding_share=padding,
        corpora=data.corpora,
        vocabulary_sha256=layout.vocabulary.sha256(),
    )
    meta = CheckpointMeta(
        layout=config.layout,
        tokenizer_sha256="",
        corpora=data.corpora,
        voice_ranges=tuple(voice_ranges(data.train, layout.vocabulary.num_voices)),
        training={"seed": config.seed, "splits": list(config.data.splits), "git": header["git"]},
    )
    subject = CausalTask(layout, data.valid, meta, data.valid_styles)
    trainer = Trainer(config, accelerator, model, source, subject, folder, log)
    size = f"{header['num_parameters'] / 1e6:.2f} M parameters, {len(data.train)} pieces"
    return opening.finish(trainer, header, *data.remarks, f"{size}, padding {padding:.1%}")


def open_causal_run(kind: type[Kind], values: dict[str, Any], where: str, options: RunOptions) -> RunContext[Kind]:
    """Open a run of `training.Trainer`; see `runs.open_run`.

    Raises:
        InputError: A wrong configuration or device, or micro-batches that cannot be dealt out evenly.
    """
    opening = open_run(kind, values, where, options)
    check_micro_batches(opening.config, opening.accelerator)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # GPT-2 misses an attention mask wherever it sees padding. Ours stands at the end, where a causal model has no use
    # for one, and a mask would leave the fused kernel.
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    return opening


def check_micro_batches(config: CausalConfig, accelerator: Accelerator) -> None:
    """Refuse micro-batches that cannot be dealt out evenly.

    Raises:
        InputError: Their number is not a multiple of the processes.
    """
    number, processes = config.data.micro_batches, accelerator.num_processes
    if number % processes:
        raise InputError(f"data.micro_batches is {number} for {processes} processes: set a multiple of {processes}")


def padding_share(source: BatchSource, batch_tokens: int) -> float:
    """Share of padding in the batches of the first pool of epoch 0."""
    total = padded = 0
    for batch in source.batches(0, batch_tokens):
        total += batch.ids_BT.numel()
        padded += int((batch.ids_BT == source.pad).sum())
        if total > 1_000_000:
            break
    return padded / total


def initial_model(config: RunConfig, layout: TaskLayout) -> PreTrainedModel:
    """Return the model that a run begins with: a new one, or that of `init_from`.

    The run's vocabulary may have style tokens that the checkpoint's does not, and may name the voices in another order.

    Size and dropout are those of `model` in the configuration.

    Raises:
        InputError: The checkpoint has another vocabulary or size.
    """
    vocabulary = layout.vocabulary
    model = build_model(config.model, vocabulary.size, bos=layout.bos, eos=layout.eos, pad=vocabulary.special("PAD"))
    if config.init_from is None:
        return model
    checkpoint = load_checkpoint(config.init_from)
    is_same = checkpoint.vocabulary.sha256() == vocabulary.sha256()
    if not is_same and not _differ_in_styles_or_order(checkpoint.vocabulary, vocabulary):
        raise InputError(f"init_from {config.init_from} has another tokenizer: use data.tokenizer of that checkpoint")
    found, wanted = _size(checkpoint.model), _size(model)
    if found != wanted:
        raise InputError(f"init_from {config.init_from} is {found}, and model says {wanted}: set model to what it is")
    if not is_same:
        _with_vocabulary(checkpoint, vocabulary)
    model.load_state_dict(checkpoint.model.state_dict())
    return model


def _size(model: PreTrainedModel) -> str:
    config = model.config
    return f"{config.model_type}, {config.num_hidden_layers} x {config.hidden_size}, heads {config.num_attention_heads}"


def _differ_in_styles_or_order(old: Vocabulary, new: Vocabulary) -> bool:
    """Whether a vocabulary is another one but for added style tokens and for the order of its four voices."""
    styles = {new.names[i] for i in new.style_id.values()}
    is_learned = old.has_merges or new.has_merges
    return not is_learned and set(_meanings(old)) == set(_meanings(new)) - styles


def _meanings(vocabulary: Vocabulary) -> list[str]:
    """Names of a vocabulary's tokens, programs by the voice that they stand for."""
    voices = {vocabulary.voice_id[rank]: vocabulary.voice_name(rank) for rank in range(vocabulary.num_voices)}
    return [voices.get(i, name) for i, name in enumerate(vocabulary.names)]


def _with_vocabulary(checkpoint: Checkpoint, vocabulary: Vocabulary) -> None:
    """Put a checkpoint's model over a vocabulary with more special tokens, every token's vector where its id now is.

    A new token begins with the mean of all vectors, at which the model expects it no more than any other.
    """
    model = checkpoint.model
    old_VC = cast("Embedding", model.get_input_embeddings()).weight.detach().clone()
    old_id = {name: i for i, name in enumerate(_meanings(checkpoint.vocabulary))}
    model.resize_token_embeddings(vocabulary.size, mean_resizing=False)
    with torch.no_grad():
        new_VC = cast("Embedding", model.get_input_embeddings()).weight
        for i, name in enumerate(_meanings(vocabulary)):
            new_VC[i] = old_VC[old_id[name]] if name in old_id else old_VC.mean(dim=0)
    assert model.config.tie_word_embeddings, "the output's vectors are others"
