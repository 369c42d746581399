"""Training of the recurrent model, and the likelihood of whole pieces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from descant_modeling.decoding.config import OnProgress
from descant_modeling.families.data import Window
from descant_modeling.families.task import FamilyTask
from descant_modeling.jsb_grid.checkpoints import grid_likelihood
from descant_modeling.jsb_grid.data import Grid, transposed
from descant_modeling.models.likelihood import VOICE_16TH, Likelihood, bucket
from descant_modeling.rnn.config import RnnConfig
from descant_modeling.rnn.networks import RnnNetwork, stream_of
from descant_modeling.training.trainer import Figures
from descant_tokenizers.scores import NUM_VOICES

#: Tokens in a batch that is scored, padding included.
_BATCH_TOKENS = 32_768


class RnnTask(FamilyTask[RnnConfig, RnnNetwork]):
    """Training of the recurrent model on windows of pieces; a window that ends its piece ends with EOS."""

    network_type = RnnNetwork
    headline = VOICE_16TH.key

    def losses(self, windows: list[Window], rng: torch.Generator) -> tuple[Tensor, Figures]:
        """Return the mean of -ln p over the tokens of all windows."""
        streams = [self._stream(window) for window in windows]
        return self.model.losses(streams, rng).sum() / sum(map(len, streams)), {}

    def measure(self, network: RnnNetwork) -> Figures:
        """Score the pieces of valid."""
        score = score_pieces(network, self.data.valid)
        return {VOICE_16TH.key: score.headline, "bits_per_note": score.bits_per_note}

    def _stream(self, window: Window) -> Tensor:
        """Cut a window out of its whole piece, so that its first step knows what came before."""
        whole_VT = self.data.train[window.piece].pitches_VT
        begin, end = window.start, window.start + window.pitches_VT.shape[1]
        stream = stream_of(self.model.vocabulary, transposed(whole_VT, window.shift))
        return stream[NUM_VOICES * begin : None if end == whole_VT.shape[1] else NUM_VOICES * end]


@torch.inference_mode()
def score_pieces(network: RnnNetwork, grids: Sequence[Grid], progress: OnProgress | None = None) -> Likelihood:
    """Score whole pieces, BOS as context and EOS counted.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    streams = [stream_of(network.vocabulary, grid.pitches_VT, grid.name) for grid in grids]
    lengths, done = [len(stream) for stream in streams], 0
    nats = [0.0] * len(grids)
    for group in bucket(lengths, _BATCH_TOKENS):
        losses_BN = network.losses([streams[index] for index in group])
        for index, value in zip(group, losses_BN.double().sum(1).tolist(), strict=True):
            nats[index] = value
        done += len(group)
        if progress is not None:
            progress(done / len(grids))
    return grid_likelihood(grids, nats, max(lengths))
