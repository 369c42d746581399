"""Training data of the GANs as tensors: piano rolls, or bars of melody in all their training keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import datasets
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from descant_modeling.gan.networks import NUM_TRACKS
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import reading_bar
from descant_tokenizers.pianoroll.chords import Chord, parse_chord
from descant_tokenizers.pianoroll.melodies import MELODY_CORPUS
from descant_tokenizers.pianoroll.rolls import BAR_STEPS, NUM_PITCHES, Rolls
from descant_tokenizers.pianoroll.stored import SOURCES, build_corpus, read_corpus
from descant_tokenizers.pianoroll.windows import LONG_ROLLS_CORPUS, ROLL_CORPORA, ROLLS_CORPUS, SPLITS
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES

#: Pitch of every step of the bar before a first bar.
NO_PITCH = -1

SamplesT = TypeVar("SamplesT")


@dataclass(frozen=True)
class GanData(Generic[SamplesT]):
    """Training and validation samples.

    Attributes:
        train: Training samples: rolls (N, 4, T, 128), values -1 and +1, or bars of melody in all their keys.
        valid: Samples of the valid split; bars only in their original key.
        corpora: Hash of the training samples by corpus name, and the corpora that they come from.
        voice_ranges: (lowest, highest) MIDI pitch of each track in train, before any transposition.
    """

    train: SamplesT
    valid: SamplesT
    corpora: dict[str, str]
    voice_ranges: tuple[tuple[int, int], ...]


def load_rolls(corpus: str, *, quiet: bool = True, is_long: bool = False) -> GanData[Tensor]:
    """Load piano rolls.

    Args:
        corpus: `chorales-rolls` (for long rolls `chorales-rolls-64`), or the folder of a dataset with the same columns.
        quiet: True for no progress bar while the chorales are read for the first time.
        is_long: True for rolls of 64 steps, False for rolls of 32.

    Raises:
        InputError: The dataset does not exist, or does not hold such rolls.
    """
    expected = LONG_ROLLS_CORPUS if is_long else ROLLS_CORPUS
    shape = (ROLL_CORPORA[expected] * BAR_STEPS, NUM_PITCHES, NUM_TRACKS)
    found = _build_or_read(corpus, expected, quiet=quiet)
    rolls = [np.asarray(found[split].with_format("numpy")["roll"][:], dtype=np.int8) for split in SPLITS]
    if any(part.shape[1:] != shape or not np.isin(part, (-1, 1)).all() for part in rolls):
        raise InputError(f"The rolls of {corpus} are not -1 and +1 in the shape {shape}. Build them again.")
    sounds = rolls[0] > 0
    played = [np.flatnonzero(sounds[..., track].any((0, 1))) for track in range(NUM_TRACKS)]
    ranges = tuple((int(pitches[0]), int(pitches[-1])) if len(pitches) else (0, 127) for pitches in played)
    digest = hashlib.sha256(np.packbits(sounds).tobytes()).hexdigest()
    # Still channels last in memory, which convolutions prefer.
    train, valid = (torch.from_numpy(part).permute(0, 3, 1, 2).float() for part in rolls)
    return GanData(train, valid, {corpus: digest}, ranges)


def _build_or_read(corpus: str, expected: str, *, quiet: bool) -> datasets.DatasetDict:
    """Build the expected corpus if `corpus` is its name, else read it from a folder."""
    if corpus == expected:
        with reading_bar(", ".join(SOURCES[expected]), quiet=quiet) as progress:
            return build_corpus(expected, progress=progress)[0]
    if Path(corpus).is_dir():
        return read_corpus(Path(corpus), expected)
    raise InputError(f"There is no corpus {corpus!r}. Give {expected}, or the folder of such a dataset.")


def sounding(rolls: Tensor) -> Rolls:
    """(N, C, T, P), values -1 to +1 -> (N, T, P, C): True where a pitch sounds (values above 0)."""
    found: Rolls = (rolls.float() > 0).permute(0, 2, 3, 1).cpu().numpy()
    return found


@dataclass(frozen=True)
class MelodyData:
    """Bars of one split. Sample `index + N * key` is bar `index` of N in its key number `key`.

    Attributes:
        pitches: (N, 16), MIDI pitches.
        previous: (N, 16), pitches of the bar before; -1 if there is none.
        roots: (N,), pitch class of each bar's chord.
        minors: (N,), 1 if the chord is minor, else 0.
        shifts: Semitones from the original key to each key; (0,) for no transposition.
    """

    pitches: Tensor
    previous: Tensor
    roots: Tensor
    minors: Tensor
    shifts: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        """Number of bars in all their keys."""
        return len(self.pitches) * len(self.shifts)

    def at(self, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return bars (B, 1, 16, 128), chords (B, 13) and previous bars (B, 1, 16, 128), all fp32.

        Args:
            places: (B,), 0 to `len(self) - 1`.
        """
        index = places % len(self.pitches)
        shift = torch.tensor(self.shifts)[places // len(self.pitches)]
        before = self.previous[index]
        moved = torch.where(before == NO_PITCH, NO_PITCH, before + shift[:, None])
        chords = chord_vectors((self.roots[index] + shift) % NUM_PITCH_CLASSES, self.minors[index])
        return bar_rolls(self.pitches[index] + shift[:, None]), chords, bar_rolls(moved)


def bar_rolls(pitches: Tensor) -> Tensor:
    """(B, 16) -> (B, 1, 16, 128): 1 where the pitch sounds; a pitch outside 0-127 is silent."""
    inside = (pitches >= 0) & (pitches < NUM_PITCHES)
    rolls = F.one_hot(pitches.clamp(0, NUM_PITCHES - 1).long(), NUM_PITCHES) * inside[..., None]
    return rolls.unsqueeze(1).float()


def chord_vectors(roots: Tensor, minors: Tensor) -> Tensor:
    """(B,), (B,) -> (B, 13): the root one-hot, then 1 for minor."""
    return torch.cat([F.one_hot(roots.long(), NUM_PITCH_CLASSES), minors[:, None].long()], dim=1).float()


def vectors_of(chords: Sequence[Chord]) -> Tensor:
    """Return chords as the vectors that the networks take: (number, 13)."""
    return chord_vectors(*_roots_and_minors(chords))


def _roots_and_minors(chords: Sequence[Chord]) -> tuple[Tensor, Tensor]:
    return torch.tensor([chord.root for chord in chords]), torch.tensor([int(chord.is_minor) for chord in chords])


def load_melodies(corpus: str, shifts: tuple[int, ...], *, quiet: bool = True) -> GanData[MelodyData]:
    """Load bars of melody.

    Args:
        corpus: `melody-bars`, or the folder of a dataset with the same columns.
        shifts: Semitones by which each training bar is transposed up, one for each of its keys.
        quiet: True for no progress bar while the scores are read for the first time.

    Raises:
        InputError: The dataset does not exist, or does not hold bars of melody.
    """
    found = _build_or_read(corpus, MELODY_CORPUS, quiet=quiet)
    train, valid = _bars(found["train"], corpus, shifts), _bars(found["valid"], corpus, (0,))
    digest = hashlib.sha256()
    for tensor in (train.pitches, train.previous, train.roots, train.minors):
        digest.update(tensor.numpy().astype("<i2").tobytes())
    sources = dict.fromkeys(sorted(set(found["train"]["corpus"])), "in " + corpus)
    pitch_range = int(train.pitches.min()), int(train.pitches.max())
    return GanData(train, valid, {corpus: digest.hexdigest(), **sources}, (pitch_range,))


def _bars(rows: datasets.Dataset, corpus: str, shifts: tuple[int, ...]) -> MelodyData:
    previous = [list(before) or [NO_PITCH] * BAR_STEPS for before in rows["previous"]]
    try:
        pitches = np.array(list(rows["pitches"]), dtype=np.int64)
        before = np.array(previous, dtype=np.int64)
        is_sound = pitches.shape == before.shape == (len(rows), BAR_STEPS) and bool(len(rows))
    except ValueError:
        is_sound = False
    if not is_sound or pitches.min() < 0 or max(pitches.max(), before.max()) >= NUM_PITCHES:
        raise InputError(f"The bars of {corpus} are not {BAR_STEPS} MIDI pitches each. Build them again.")
    chords = _roots_and_minors([parse_chord(name) for name in rows["chord"]])
    return MelodyData(torch.from_numpy(pitches), torch.from_numpy(before), *chords, shifts)
