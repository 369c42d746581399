"""Training and valid rolls as tensors.

Bars of melody as tensors, each in all keys that it is trained in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from datasets import Dataset, DatasetDict
from numpy.typing import NDArray
from torch import Tensor

from descant_modeling.gan.networks import LONG_STEPS, NUM_STEPS, NUM_TRACKS
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import reading_bar
from descant_tokenizers.corpora.workers import OnPieces
from descant_tokenizers.pianoroll import (
    BAR_STEPS,
    LONG_ROLLS_CORPUS,
    MELODY_CORPUS,
    NUM_PITCHES,
    ROLLS_CORPUS,
    SPLITS,
    Chord,
    build_melody_bars,
    build_rolls,
    parse_chord,
    read_stored,
)


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
    corpus: str, wanted: str, column: str, build: Callable[[OnPieces | None], DatasetDict], reads: str, *, quiet: bool
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


#: Stands for each sixteenth of the bar before a first bar.
NOTHING = -1
PITCH_CLASSES = 12


@dataclass(frozen=True)
class MelodyData:
    """Bars of one split. Number `index + N * key` is bar `index` of N in its key `key`.

    Attributes:
        pitches: (N, 16), MIDI pitches.
        previous: (N, 16), the same of the bar before; -1 where there is none.
        roots: (N,), pitch class of each bar's chord.
        minors: (N,), 1 where the chord is minor, else 0.
        shifts: Semitones that each key lies above the original one; (0,) for the bars as they are.
    """

    pitches: Tensor
    previous: Tensor
    roots: Tensor
    minors: Tensor
    shifts: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        """Bars in all their keys."""
        return len(self.pitches) * len(self.shifts)

    def at(self, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return bars (B, 1, 16, 128), chords (B, 13) and previous bars (B, 1, 16, 128), all fp32.

        Args:
            places: (B,), 0 to `len(self) - 1`.
        """
        index = places % len(self.pitches)
        shift = torch.tensor(self.shifts)[places // len(self.pitches)]
        before = self.previous[index]
        moved = torch.where(before == NOTHING, NOTHING, before + shift[:, None])
        chords = chord_vectors((self.roots[index] + shift) % PITCH_CLASSES, self.minors[index])
        return bar_rolls(self.pitches[index] + shift[:, None]), chords, bar_rolls(moved)


@dataclass(frozen=True)
class MelodyCorpus:
    """Both splits.

    Attributes:
        train: In all keys that were asked for.
        valid: As it is.
        corpora: Hash of the training bars by corpus name, and the corpora that they come from.
        pitch_range: Lowest and highest MIDI pitch of train, as it is.
    """

    train: MelodyData
    valid: MelodyData
    corpora: dict[str, str]
    pitch_range: tuple[int, int]


def bar_rolls(pitches: Tensor) -> Tensor:
    """(B, 16) -> (B, 1, 16, 128): 1 where the pitch sounds; nothing sounds where it is outside 0-127."""
    inside = (pitches >= 0) & (pitches < NUM_PITCHES)
    rolls = F.one_hot(pitches.clamp(0, NUM_PITCHES - 1).long(), NUM_PITCHES) * inside[..., None]
    return rolls.unsqueeze(1).float()


def chord_vectors(roots: Tensor, minors: Tensor) -> Tensor:
    """(B,), (B,) -> (B, 13): the root one-hot, then 1 for minor."""
    return torch.cat([F.one_hot(roots.long(), PITCH_CLASSES), minors[:, None].long()], dim=1).float()


def vectors_of(chords: list[Chord]) -> Tensor:
    """Chords as what the networks take: (number, 13)."""
    return chord_vectors(
        torch.tensor([chord.root for chord in chords]), torch.tensor([int(chord.is_minor) for chord in chords])
    )


def load_melodies(corpus: str, shifts: tuple[int, ...], *, quiet: bool = True) -> MelodyCorpus:
    """Load the bars to train on.

    Args:
        corpus: `melody-bars`, or the folder of a dataset with the same columns.
        shifts: Semitones up at which each training bar is heard, too.
        quiet: No progress bar while the scores are read for the first time.

    Raises:
        InputError: There is no such dataset, or it holds no bars of melody.
    """
    found = built_or_stored(
        corpus,
        MELODY_CORPUS,
        "pitches",
        lambda progress: build_melody_bars(progress=progress)[0],
        "chorales, folk",
        quiet=quiet,
    )
    train, valid = _bars(found["train"], corpus, shifts), _bars(found["valid"], corpus, (0,))
    digest = hashlib.sha256()
    for tensor in (train.pitches, train.previous, train.roots, train.minors):
        digest.update(tensor.numpy().astype("<i2").tobytes())
    sources = dict.fromkeys(sorted(set(found["train"]["corpus"])), "in " + corpus)
    pitch_range = int(train.pitches.min()), int(train.pitches.max())
    return MelodyCorpus(train, valid, {corpus: digest.hexdigest(), **sources}, pitch_range)


def _bars(rows: datasets.Dataset, corpus: str, shifts: tuple[int, ...]) -> MelodyData:
    chords = [parse_chord(name) for name in rows["chord"]]
    previous = [list(before) or [NOTHING] * BAR_STEPS for before in rows["previous"]]
    try:
        pitches = np.array(list(rows["pitches"]), dtype=np.int64)
        before = np.array(previous, dtype=np.int64)
        sound = pitches.shape == before.shape == (len(rows), BAR_STEPS) and bool(len(rows))
    except ValueError:
        sound = False
    if not sound or pitches.min() < 0 or max(pitches.max(), before.max()) >= NUM_PITCHES:
        raise InputError(f"the bars of {corpus} are not {BAR_STEPS} MIDI pitches each: build them again")
    roots = torch.tensor([chord.root for chord in chords])
    minors = torch.tensor([int(chord.is_minor) for chord in chords])
    return MelodyData(torch.from_numpy(pitches), torch.from_numpy(before), roots, minors, shifts)
