"""The recurrent model as a generator: it harmonizes given voices and continues a piece.

Given notes are forced. Several particles of each sample are written side by side, each weighted by the likelihood of
the notes that were forced on it, and drawn again at every beat by weight (sequential Monte Carlo).

Shapes: P particles, V = 4 voices from high to low, T 16ths, K tokens of the vocabulary.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.families.generate import FREE, LOWEST_TEMPERATURE, GridGenerator
from descant_modeling.generation.base import TASKS
from descant_modeling.jsb_grid.data import BOS, REST
from descant_modeling.rnn.networks import CYCLE_16THS, LONGEST_16THS, RnnNetwork, States
from descant_tokenizers.pianoroll.frames import SILENT, Ints
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT
from descant_tokenizers.scores import NUM_VOICES

#: Particles of each sample.
NUM_PARTICLES = 8


class RnnMusicGenerator(GridGenerator[RnnNetwork]):
    """The recurrent model as a `MusicGenerator`: it writes the free voices of each 16th from the first on."""

    tasks: tuple[str, ...] = TASKS[:2]
    network_type = RnnNetwork
    sampling = ("temperature", "best_of")

    @torch.inference_mode()
    def write(self, pitches_VT: Ints, config: GenerationConfig, rng: torch.Generator) -> Ints:
        """See `GridGenerator`."""
        writer = _Writer(self.network, self.legal(), config, rng)
        for frame, column in enumerate(pitches_VT.T.tolist()):
            if frame % STEPS_PER_BEAT == 0:
                writer.resample()
            for voice, pitch in enumerate(column):
                writer.append(frame, voice, pitch)
        return writer.best()


class _Writer:
    """Particles that are written token by token."""

    def __init__(self, network: RnnNetwork, legal: Tensor, config: GenerationConfig, rng: torch.Generator) -> None:
        self.network, self.rng = network, rng
        self.temperature = max(config.temperature, LOWEST_TEMPERATURE)
        number, device = NUM_PARTICLES if config.best_of is None else config.best_of, network.device
        self.illegal_VK = F.pad(~legal, (REST, 0), value=True).to(device)
        self.previous_P = torch.full((number,), BOS, device=device)
        self.own_PV = torch.full((number, NUM_VOICES), BOS, device=device)
        self.lasted_PV = torch.zeros((number, NUM_VOICES), dtype=torch.long, device=device)
        self.weights_P = torch.zeros(number, device=device)
        self.states: States | None = None
        self.tokens_PN = torch.zeros((number, 0), dtype=torch.long, device=device)

    def append(self, frame: int, voice: int, pitch: int) -> None:
        """Append the token of a voice: drawn if its pitch is `FREE`, else forced."""
        place = (frame % CYCLE_16THS) * NUM_VOICES + voice
        features = [self.previous_P, self.own_PV[:, voice], self.lasted_PV[:, voice]]
        inputs_PF = torch.stack([*features, torch.full_like(self.previous_P, place)], dim=1)
        logits_P1K, self.states = self.network(inputs_PF[:, None], self.states)
        logits_PK = logits_P1K[:, 0]
        if pitch == FREE:
            drawn_PK = logits_PK.masked_fill(self.illegal_VK[voice], -torch.inf) / self.temperature
            tokens_P = torch.multinomial(drawn_PK.softmax(1), 1, generator=self.rng)[:, 0]
        else:
            token = REST if pitch == SILENT else pitch - self.network.vocabulary.lowest + REST + 1
            tokens_P = torch.full_like(self.previous_P, token)
            self.weights_P = self.weights_P + logits_PK.log_softmax(1)[:, token]
        is_held_P = tokens_P == self.own_PV[:, voice]
        self.lasted_PV[:, voice] = torch.where(is_held_P, (self.lasted_PV[:, voice] + 1).clamp(max=LONGEST_16THS), 1)
        self.own_PV[:, voice] = self.previous_P = tokens_P
        self.tokens_PN = torch.cat([self.tokens_PN, tokens_P[:, None]], dim=1)

    def resample(self) -> None:
        """Draw the particles again by weight, systematically."""
        shares = self.weights_P.double().softmax(0).cpu().numpy()
        if not np.ptp(shares):
            return
        number = len(shares)
        points = (float(torch.rand((), generator=self.rng)) + np.arange(number)) / number
        chosen = np.searchsorted(np.cumsum(shares), points).clip(max=number - 1)
        index = torch.from_numpy(chosen).to(self.weights_P.device)
        self.previous_P, self.own_PV, self.lasted_PV = self.previous_P[index], self.own_PV[index], self.lasted_PV[index]
        self.states = None if self.states is None else [state[:, index] for state in self.states]
        self.tokens_PN = self.tokens_PN[index]
        self.weights_P = torch.zeros_like(self.weights_P)

    def best(self) -> Ints:
        """Return the pitches of the particle with the largest weight, (V, T)."""
        return self.network.vocabulary.decode(self.tokens_PN[int(self.weights_P.argmax())].tolist())
