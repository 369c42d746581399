"""A GRU that reads four voices at every 16th, soprano, alto, tenor, bass, and predicts the next pitch.

The recipe is that of TonicNet (Peracha 2019, "Improving Polyphonic Music Models with Feature-Rich Encoding") without
its chord token: stacked GRUs, variational dropout, and for each pitch the number of 16ths that it has lasted. Each
step is told what the models on the grid are told: the place in a cycle of 12 beats, and which voice comes next.

Shapes: B sequences, N steps (4 for each 16th, then EOS), D width, K tokens of the vocabulary, V = 4 voices, T 16ths,
F = 4 features of a step: previous token, last token of the voice to predict, 16ths that it has lasted, place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from descant_modeling.families.networks import GridNetwork
from descant_modeling.jsb_grid.data import BOS, PAD, GridVocabulary
from descant_modeling.rnn.config import RnnModelConfig
from descant_tokenizers.pianoroll.frames import Ints
from descant_tokenizers.scores import NUM_VOICES

#: 16ths in the cycle that a step is told its place in: 12 beats, which suits bars of 2, 3, 4 and 6 beats.
CYCLE_16THS = 48
#: A pitch that has lasted longer counts as lasting so many 16ths.
LONGEST_16THS = 16

States = list[Tensor]
"""Hidden state of each layer, (1, B, D)."""


def features_of(tokens_BN: Tensor) -> Tensor:
    """Return the features of the step before each token and of the one after the last, (B, N + 1, F)."""
    batch, number = tokens_BN.shape
    tokens_BTV = F.pad(tokens_BN, (0, NUM_VOICES - number % NUM_VOICES)).view(batch, -1, NUM_VOICES)
    times_T1 = torch.arange(tokens_BTV.shape[1], device=tokens_BN.device)[:, None]
    is_new_BTV = F.pad(tokens_BTV.diff(dim=1) != 0, (0, 0, 1, 0))
    begun_BTV = (is_new_BTV * times_T1).cummax(dim=1).values
    lasted_BN = (times_T1 - begun_BTV + 1).clamp(max=LONGEST_16THS).flatten(1)
    places_N = torch.arange(number + 1, device=tokens_BN.device) % (CYCLE_16THS * NUM_VOICES)
    columns = (
        F.pad(tokens_BN, (1, 0), value=BOS),
        F.pad(tokens_BN, (NUM_VOICES, 0), value=BOS)[:, : number + 1],
        F.pad(lasted_BN, (NUM_VOICES, 0))[:, : number + 1],
        places_N.expand(batch, -1),
    )
    return torch.stack(columns, dim=-1)


def stream_of(vocabulary: GridVocabulary, pitches_VT: Ints, name: str = "the piece") -> Tensor:
    """Lay a whole piece out, from BOS to EOS: features of each step and its target, (N, F + 1); errors show `name`.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    ids = torch.tensor(vocabulary.encode(pitches_VT, name).ids)
    return torch.cat([features_of(ids[None, 1:-1])[0], ids[1:, None]], dim=1)


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

    def losses(self, streams: Sequence[Tensor], rng: torch.Generator | None = None) -> Tensor:
        """Return -ln p of every target of some streams, (B, N), 0 for padding."""
        streams_BNF = nn.utils.rnn.pad_sequence(list(streams), batch_first=True, padding_value=PAD).to(self.device)
        logits_BNK, _ = self(streams_BNF[..., :-1], rng=rng)
        return F.cross_entropy(logits_BNK.transpose(1, 2), streams_BNF[..., -1], reduction="none", ignore_index=PAD)

    def _dropped(self, x_BND: Tensor, rng: torch.Generator | None) -> Tensor:
        """Remove the same features at all steps (Gal and Ghahramani 2016), and scale up the others."""
        if not self.training or not self.sizes.dropout:
            return x_BND
        kept_B1D = torch.rand(len(x_BND), 1, x_BND.shape[-1], generator=rng) >= self.sizes.dropout
        return x_BND * (kept_B1D / (1 - self.sizes.dropout)).to(x_BND.device)
