"""Training of the recurrent model, and the likelihood of whole pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from descant_modeling.families.checkpoints import family_card
from descant_modeling.families.data import FamilyData, Window, load_family_data, transposed
from descant_modeling.families.task import FamilyTask, check_one_process
from descant_modeling.jsb_grid.data import Grid
from descant_modeling.models.likelihood import VOICE_16TH, Likelihood, PieceScore, bucket
from descant_modeling.models.networks import NetworkMeta
from descant_modeling.rnn.config import RnnConfig
from descant_modeling.rnn.networks import RnnNetwork, Stream, stream_of
from descant_modeling.training.run import PreparedRun, RunContext
from descant_modeling.training.trainer import Figures
from descant_tokenizers.scores import NUM_VOICES

#: Tokens in a batch that is scored, padding included.
_BATCH_TOKENS = 32_768


class RnnTask(FamilyTask[RnnConfig, RnnNetwork]):
    """Training of the recurrent model on windows of pieces; a window that ends its piece ends with EOS."""

    headline = VOICE_16TH.key

    def losses(self, windows: list[Window], rng: torch.Generator) -> tuple[Tensor, Figures]:
        """Return the mean of -ln p over the tokens of all windows."""
        streams = [self._stream(window) for window in windows]
        nll_BN = self.network.losses(streams, rng)
        return nll_BN.sum() / sum(len(stream.targets_N) for stream in streams), {}

    def measure(self, network: RnnNetwork) -> Figures:
        """Score the pieces of valid."""
        score = score_pieces(network, self.data.valid)
        return {VOICE_16TH.key: score.headline, "bits_per_note": score.bits_per_note}

    def card(self, meta: NetworkMeta) -> str:
        """See `FamilyTask`."""
        return family_card(meta, self.published)

    def _stream(self, window: Window) -> Stream:
        """Cut a window out of its whole piece, so that its first step knows what came before."""
        whole = self.data.train[window.piece].pitches_VT
        shift = int((window.pitches_VT - whole[:, window.start : window.start + window.pitches_VT.shape[1]]).max())
        begin = NUM_VOICES * window.start
        end = begin + window.pitches_VT.size
        reaches_end = window.start + window.pitches_VT.shape[1] == whole.shape[1]
        stream = stream_of(self.network.vocabulary, transposed(whole, shift))
        return Stream(*(part[begin : end + reaches_end] for part in stream))


@torch.inference_mode()
def score_pieces(
    network: RnnNetwork, grids: Sequence[Grid], progress: Callable[[float], None] | None = None
) -> Likelihood:
    """Score whole pieces, BOS as context and EOS counted; `progress` is called with the share done, 0-1.

    Raises:
        InputError: A pitch is outside the vocabulary.
    """
    streams = [stream_of(network.vocabulary, grid.pitches_VT, grid.name) for grid in grids]
    lengths, done = [len(stream.targets_N) for stream in streams], 0
    nats = [0.0] * len(grids)
    for group in bucket(lengths, _BATCH_TOKENS):
        for index, value in zip(group, network.losses([streams[i] for i in group]).double().sum(1), strict=True):
            nats[index] = float(value)
        done += len(group)
        if progress is not None:
            progress(done / len(grids))
    scores = [
        PieceScore(grid.name, value, NUM_VOICES * grid.num_16ths, grid.num_notes)
        for grid, value in zip(grids, nats, strict=True)
    ]
    return Likelihood(VOICE_16TH, max(lengths), scores)


def prepare_rnn_run(context: RunContext[RnnConfig]) -> PreparedRun:
    """Load data and network of a run.

    Raises:
        InputError: A corpus does not exist, or the run has several processes.
    """
    check_one_process(context)
    data: FamilyData = load_family_data(context.config.data)
    torch.manual_seed(context.config.seed)
    return RnnTask(context, RnnNetwork(context.config.model, data.vocabulary()), data).prepared()
