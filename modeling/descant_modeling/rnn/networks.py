"""A GRU that reads four voices at every 16th, soprano, alto, tenor, bass, and predicts the next pitch.

The recipe is that of TonicNet (Peracha 2019, "Improving Polyphonic Music Models with Feature-Rich Encoding") without
its chord token: stacked GRUs, variational dropout, and for each pitch the number of 16ths that it has lasted. Each
step is told what the models on the grid are told: the place in a cycle of 12 beats, and which voice comes next.

Shapes: B sequences, N tokens (4 for each 16th, then EOS), D width, K tokens of the vocabulary, V = 4 voices, T 16ths,
F = 4 features of an input: previous token, last token of the voice to predict, 16ths that it has lasted, place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from descant_modeling.families.networks import GridNetwork
from descant_modeling.jsb_grid.data import BOS, GridVocabulary
from descant_modeling.rnn.config import RnnModelConfig
from descant_tokenizers.pianoroll.frames import Ints
from descant_tokenizers.scores import NUM_VOICES

#: 16ths in the cycle that a step is told its place in: 12 beats, which suits bars of 2, 3, 4 and 6 beats.
CYCLE_16THS = 48
#: A pitch that has lasted longer counts as lasting so many 16ths.
LONGEST_16THS = 16
#: Target of padding.
IGNORED = -100

States = list[Tensor]
"""Hidden state of each layer, (1, B, D)."""


class Stream(NamedTuple):
    """A piece, or a part of one, as the network reads it.

    Attributes:
        inputs_NF: Features of each step.
        targets_N: Token that follows.
    """

    inputs_NF: Ints
    targets_N: Ints


def stream_of(vocabulary: GridVocabulary, pitches_VT: Ints, name: str = "the piece") -> Stream:
    """Lay a whole piece out, from BOS to EOS; errors show `name`.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    ids = np.array(vocabulary.encode(pitches_VT, name).ids)
    tokens_TV = ids[1:-1].reshape(-1, NUM_VOICES)
    lasted_TV = np.ones_like(tokens_TV)
    for frame in range(1, len(tokens_TV)):
        is_held = tokens_TV[frame] == tokens_TV[frame - 1]
        lasted_TV[frame] = np.where(is_held, np.minimum(lasted_TV[frame - 1] + 1, LONGEST_16THS), 1)
    own, lasted = (
        np.concatenate([np.full(NUM_VOICES, first), values_TV.ravel()])[: len(ids) - 1]
        for first, values_TV in ((BOS, tokens_TV), (0, lasted_TV))
    )
    places = np.arange(len(ids) - 1) % (CYCLE_16THS * NUM_VOICES)
    return Stream(np.stack([ids[:-1], own, lasted, places], axis=1), ids[1:])


def pad_streams(streams: Sequence[Stream]) -> tuple[Tensor, Tensor]:
    """Return inputs (B, N, F) and targets (B, N); padded targets are `IGNORED`."""
    inputs = nn.utils.rnn.pad_sequence([torch.from_numpy(stream.inputs_NF) for stream in streams], batch_first=True)
    targets = [torch.from_numpy(stream.targets_N) for stream in streams]
    return inputs, nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=IGNORED)


class RnnNetwork(GridNetwork[RnnModelConfig]):
    """Embeddings of four features, added up; GRU layers, each added to its input; a linear layer."""

    objective = "rnn"
    sizes_type = RnnModelConfig

    def __init__(self, sizes: RnnModelConfig, vocabulary: GridVocabulary) -> None:
        super().__init__(sizes, vocabulary)
        width, num_tokens = sizes.width, vocabulary.size
        counts = (num_tokens, num_tokens, LONGEST_16THS + 1, CYCLE_16THS * NUM_VOICES)
        self.features = nn.ModuleList(nn.Embedding(count, width) for count in counts)
        self.layers = nn.ModuleList(nn.GRU(width, width, batch_first=True) for _ in range(sizes.num_layers))
        self.out = nn.Linear(width, num_tokens)

    def forward(
        self, inputs_BNF: Tensor, states: States | None = None, rng: torch.Generator | None = None
    ) -> tuple[Tensor, States]:
        """Predict the next tokens.

        Args:
            inputs_BNF: Features of each step.
            states: Hidden states before the first step; zero by default.
            rng: Draws the dropout, in training mode.

        Returns:
            Logits (B, N, K), and the hidden states after the last step.
        """
        x_BND = sum(table(inputs_BNF[..., index]) for index, table in enumerate(self.features))
        found = []
        for index, layer in enumerate(self.layers):
            out_BND, state = layer(self._dropped(x_BND, rng), None if states is None else states[index])
            x_BND = x_BND + out_BND
            found.append(state)
        return self.out(self._dropped(x_BND, rng)), found

    def losses(self, streams: Sequence[Stream], rng: torch.Generator | None = None) -> Tensor:
        """Return -ln p of every target, (B, N), 0 for padding."""
        inputs_BNF, targets_BN = (tensor.to(self.device) for tensor in pad_streams(streams))
        logits_BNK, _ = self(inputs_BNF, rng=rng)
        return F.cross_entropy(logits_BNK.transpose(1, 2), targets_BN, reduction="none", ignore_index=IGNORED)

    def _dropped(self, x_BND: Tensor, rng: torch.Generator | None) -> Tensor:
        """Remove the same features at all steps (Gal and Ghahramani 2016), and scale up the others."""
        if not self.training or not self.sizes.dropout:
            return x_BND
        kept_B1D = torch.rand(len(x_BND), 1, x_BND.shape[-1], generator=rng) >= self.sizes.dropout
        return x_BND * (kept_B1D / (1 - self.sizes.dropout)).to(x_BND.device)
