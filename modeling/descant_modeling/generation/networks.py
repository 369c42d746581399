"""What the generators of networks without tokens share: the GANs, and the families on the sixteenths grid."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import torch
from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick

from descant_modeling.decoding.config import TOKEN_OPTIONS, GenerationConfig
from descant_modeling.generation.base import Sample, check_style
from descant_modeling.models.networks import seeded_rng
from descant_tokenizers.common.errors import InputError


class NetworkGenerator:
    """Default attributes; see `MusicGenerator`."""

    tasks: tuple[str, ...] = ("compose",)
    rewrites_melody = False
    draws_tokens = False
    styles: tuple[str, ...] = ()
    has_hints = False
    own_options: tuple[str, ...] = ()


def add_voices(
    score: ScoreTick,
    names: Sequence[str],
    voices: Sequence[Sequence[NoteTick]],
    config: GenerationConfig,
    melody_kept: float | None = None,
) -> Sample:
    """Append a track for each generated voice to a score, and return the score as a sample."""
    added = set()
    for name, notes in zip(names, voices, strict=True):
        track = TrackTick(name, config.program_of(name), False)
        track.notes = NoteTickList(notes)
        score.tracks.append(track)
        added |= {(name, note.time, note.pitch) for note in notes}
    return Sample(score, frozenset(added), num_tokens=0, log_likelihood=None, melody_kept=melody_kept)


def rng_of_each_sample(config: GenerationConfig) -> Iterator[torch.Generator]:
    """Yield the random numbers of each sample, and report progress after each."""
    for index in range(config.num_samples):
        yield seeded_rng(config.seed, index)
        if config.progress is not None:
            config.progress((index + 1) / config.num_samples)


def refuse_token_options(config: GenerationConfig, allowed: Collection[str] = ()) -> None:
    """Raise `InputError` if a style is set, or an option of token sampling that is not allowed."""
    check_style(config.style)
    if config.last_chord == "any":  # all that these models have
        config = replace(config, last_chord=GenerationConfig.last_chord)
    refused = [
        f"--{name.replace('_', '-')}"
        for name in TOKEN_OPTIONS
        if name not in allowed and getattr(config, name) != getattr(GenerationConfig, name)
    ]
    if refused and not allowed:
        raise InputError("This model does not sample tokens. Leave --temperature, --top-p and --allow-parallels out.")
    if refused:
        raise InputError(f"This model has no use for {' and '.join(refused)}. Leave it out.")
