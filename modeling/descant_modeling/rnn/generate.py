"""The recurrent model as a generator: it harmonizes given voices and continues a piece.

Given notes are forced. Several particles of each sample are written side by side, each weighted by the likelihood of
the notes that were forced on it, and drawn again at every beat by weight (sequential Monte Carlo).

Shapes: P particles, N tokens written, V = 4 voices from high to low, T 16ths, K tokens of the vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.smc import NUM_PARTICLES, resample
from descant_modeling.families.generate import LOWEST_TEMPERATURE, GridGenerator
from descant_modeling.generation.base import TASKS
from descant_modeling.generation.grid import FREE
from descant_modeling.jsb_grid.data import REST
from descant_modeling.rnn.networks import RnnNetwork, States, features_of
from descant_tokenizers.pianoroll.frames import SILENT, Ints
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT
from descant_tokenizers.scores import NUM_VOICES


class RnnMusicGenerator(GridGenerator[RnnNetwork]):
    """The recurrent model as a `MusicGenerator`: it writes the free voices of each 16th from the first on."""

    tasks: tuple[str, ...] = TASKS[:2]
    network_type = RnnNetwork
    sampling = ("temperature", "best_of")

    @torch.inference_mode()
    def write(self, pitches_VT: Ints, config: GenerationConfig, rng: torch.Generator) -> Ints:
        """See `GridGenerator`."""
        network, vocabulary, device = self.network, self.network.vocabulary, self.network.device
        number = NUM_PARTICLES if config.best_of is None else config.best_of
        temperature = max(config.temperature, LOWEST_TEMPERATURE)
        illegal_VK = F.pad(self.illegal(), (REST, 0), value=True)
        tokens_PN = torch.zeros(number, 0, dtype=torch.long, device=device)
        states: States | None = None
        weights_P = torch.zeros(number, dtype=torch.double)
        for step, pitch in enumerate(pitches_VT.T.ravel().tolist()):
            if step % (STEPS_PER_BEAT * NUM_VOICES) == 0 and weights_P.min() < weights_P.max():
                kept = resample(weights_P.softmax(0).numpy(), float(torch.rand((), generator=rng)))
                tokens_PN, states = tokens_PN[kept], [state[:, kept] for state in states or []]
                weights_P.zero_()
            logits_P1K, states = network(features_of(tokens_PN)[:, -1:], states)
            logits_PK = logits_P1K[:, 0]
            if pitch == FREE:
                drawn_PK = logits_PK.masked_fill(illegal_VK[step % NUM_VOICES], -torch.inf) / temperature
                tokens_P1 = torch.multinomial(drawn_PK.softmax(1), 1, generator=rng)
            else:
                token = REST if pitch == SILENT else pitch - vocabulary.lowest + REST + 1
                tokens_P1 = torch.full((number, 1), token, device=device)
                weights_P += logits_PK.log_softmax(1)[:, token].cpu()
            tokens_PN = torch.cat([tokens_PN, tokens_P1], dim=1)
        return vocabulary.decode(tokens_PN[int(weights_P.argmax())].tolist())
