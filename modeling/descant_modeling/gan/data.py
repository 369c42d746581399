"""Training and valid rolls as tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from numpy.typing import NDArray
from torch import Tensor

from descant_modeling.gan.networks import NUM_PITCHES, NUM_STEPS, NUM_TRACKS
from descant_modeling.gan.roll_networks import LONG_STEPS
from descant_tokenizers.corpora import reading_bar
from descant_tokenizers.corpora.harvest import Progress
from descant_tokenizers.errors import InputError
from descant_tokenizers.rolls import LONG_ROLLS_CORPUS, ROLLS_CORPUS, SPLITS, build_rolls, read_stored


@dataclass(frozen=True)
class RollData:
    """Rolls of both splits.

    Attributes:
        train: (N, 4, T, 128), values -1 and +1; T is 32, or 64 of long rolls.
        valid: The same of the valid split.
        corpora: Hash of the training rolls by corpus name.
        voice_ranges: (lowest, highest) MIDI pitch of each track in train.
    """

    train: Tensor
    valid: Tensor
    corpora: dict[str, str]
    voice_ranges: tuple[tuple[int, int], ...]


def load_rolls(corpus: str, *, quiet: bool = True, is_long: bool = False) -> RollData:
    """Load the rolls to train on.

    Args:
        corpus: `chorales-rolls` (of long rolls `chorales-rolls-64`), or the folder of a dataset with the same columns.
        quiet: No progress bar while the chorales are read for the first time.
        is_long: Whether rolls of 64 steps are wanted, not of 32.

    Raises:
        InputError: There is no such dataset, or it holds no such rolls.
    """
    wanted, num_steps = (LONG_ROLLS_CORPUS, LONG_STEPS) if is_long else (ROLLS_CORPUS, NUM_STEPS)
    found = built_or_stored(
        corpus,
        wanted,
        "roll",
        lambda progress: build_rolls(corpus=wanted, progress=progress)[0],
        "chorales",
        quiet=quiet,
    )
    train, valid = (_rolls(found[split], corpus, (num_steps, NUM_PITCHES, NUM_TRACKS)) for split in SPLITS)
    digest = hashlib.sha256(np.packbits(train > 0).tobytes()).hexdigest()
    return RollData(_tensor(train), _tensor(valid), {corpus: digest}, _ranges(train))


def built_or_stored(
    corpus: str, wanted: str, column: str, build: Callable[[Progress | None], DatasetDict], reads: str, *, quiet: bool
) -> DatasetDict:
    """Build a corpus that the package can build, or load one from a folder.

    Args:
        corpus: What the user asks for: `wanted`, or a folder.
        wanted: The corpus that serves here.
        column: A column that only its datasets have.
        build: Builds it, telling how far it is.
        reads: The corpora that it is built from, for the progress bar.
        quiet: No progress bar.

    Raises:
        InputError: There is no such corpus or folder, or it holds something else.
    """
    if corpus == wanted:
        with reading_bar(reads, quiet=quiet) as progress:
            return build(progress)
    if Path(corpus).is_dir():
        return read_stored(Path(corpus), wanted, column)
    raise InputError(f"unknown corpus {corpus!r}: give {wanted}, or a folder that it was built to")


def sounding(rolls: Tensor) -> NDArray[np.bool_]:
    """(N, C, T, P), values -1 to +1 -> (N, T, P, C): what sounds is above 0."""
    found: NDArray[np.bool_] = (rolls.float() > 0).permute(0, 2, 3, 1).cpu().numpy()
    return found


def _rolls(rows: Dataset, corpus: str, shape: tuple[int, ...]) -> NDArray[np.int8]:
    rolls = np.asarray(rows.with_format("numpy")["roll"][:], dtype=np.int8)
    if rolls.shape[1:] != shape or not np.isin(rolls, (-1, 1)).all():
        raise InputError(f"the rolls of {corpus} are not -1 and +1 in the shape {shape}: build them again")
    return rolls


def _tensor(rolls: NDArray[np.int8]) -> Tensor:
    """(N, T, P, C) -> (N, C, T, P), channels last in memory."""
    return torch.from_numpy(rolls).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)


def _ranges(rolls: NDArray[np.int8]) -> tuple[tuple[int, int], ...]:
    found = [np.flatnonzero((rolls[..., track] > 0).any((0, 1))) for track in range(NUM_TRACKS)]
    return tuple((int(pitches[0]), int(pitches[-1])) if len(pitches) else (0, 127) for pitches in found)
