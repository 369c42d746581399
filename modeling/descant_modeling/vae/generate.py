"""The autoencoder as a generator: it varies a prompt, and morphs one prompt into another.

A prompt is read in windows of two bars of 4/4, 32 sixteenths, from bar 1 on. The likeliest cells are written, so only
the latent vector decides, and neighboring vectors give similar music.

Shapes: see `networks`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from symusic.core import ScoreTick, TimeSignatureTick
from torch import Tensor

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.families.data import cells_of, pitches_of
from descant_modeling.families.generate import FREE, GridPrompt, check_request, read_grid_prompt
from descant_modeling.generation.base import GenerationResult, Request
from descant_modeling.generation.networks import NetworkGenerator, rng_of_each_sample
from descant_modeling.generation.results import without_notes
from descant_modeling.models.checkpoints import FoundCheckpoint
from descant_modeling.models.networks import LoadedNetwork, load_network
from descant_modeling.vae.networks import VaeNetwork, between, build_vae
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, Ints
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT, WINDOW_STEPS, even_edges
from descant_tokenizers.scores import NUM_VOICES, VOICES, bars_of

#: Pieces of a morph, ends included, and how far a prompt is varied, by default.
NUM_STEPS, AMOUNT = 7, 0.3
_TICKS_PER_QUARTER = 480


class VaeMusicGenerator(NetworkGenerator):
    """The autoencoder as a `MusicGenerator`."""

    tasks: tuple[str, ...] = ("vary", "morph")
    own_options: tuple[str, ...] = ("steps", "amount")

    def __init__(self, checkpoint: LoadedNetwork[VaeNetwork]) -> None:
        self.checkpoint, self.network = checkpoint, checkpoint.network
        self.voices = VOICES[: self.network.sizes.num_voices]

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Write the prompt again from nearby latent vectors, or pieces between two prompts; see `MusicGenerator`."""
        check_request(request, config)
        if request.task == "morph":
            if config.amount is not None or config.num_samples > 1:
                raise InputError("A morph has one sample and no amount. Leave --amount and --num-samples out.")
            return self._morph(request, config)
        if config.steps is not None:
            raise InputError("--steps is for --morph. Leave it out, or give --morph.")
        return self._vary(request, config)

    @torch.inference_mode()
    def _vary(self, request: Request, config: GenerationConfig) -> GenerationResult:
        prompt = self._read(request)
        begin = _first_16th(prompt)
        means_BZ = self.network.encode(self._windows(prompt, begin)).mean_BZ
        amount = AMOUNT if config.amount is None else config.amount
        samples = []
        for rng in rng_of_each_sample(config):
            noise_BZ = torch.randn(means_BZ.shape, generator=rng).to(means_BZ.device)
            # The variance of a vector drawn from the prior stays 1.
            varied_BZ = (1 - amount**2) ** 0.5 * means_BZ + amount * noise_BZ
            samples.append(self._decoded(varied_BZ, prompt.pitches_VT, begin))
        free_VT = np.full_like(prompt.pitches_VT, SILENT)
        free_VT[: len(self.voices), begin:] = FREE
        whole = range(len(prompt.score.tracks))
        emptied = without_notes(prompt.score, whole, prompt.edges_ticks[begin], prompt.edges_ticks[-1])
        return replace(prompt, score=emptied, pitches_VT=free_VT, written=self.voices).result(samples, config)

    @torch.inference_mode()
    def _morph(self, request: Request, config: GenerationConfig) -> GenerationResult:
        assert request.morph is not None, "a morph has a second prompt"
        prompts = [self._read(request), self._read(replace(request, score=request.morph))]
        means = []
        for prompt in prompts:
            windows_BVT = self._windows(prompt, _first_16th(prompt))
            means.append(self.network.encode(windows_BVT[:1]).mean_BZ[0])
        steps = NUM_STEPS if config.steps is None else config.steps
        written_VT = self._decoded(
            between(means[0], means[1], steps), np.full((NUM_VOICES, steps * WINDOW_STEPS), FREE), 0
        )
        score = ScoreTick(_TICKS_PER_QUARTER)
        score.time_signatures.append(TimeSignatureTick(0, 4, 4))
        num_16ths = written_VT.shape[1]
        edges = even_edges(num_16ths, _TICKS_PER_QUARTER // STEPS_PER_BEAT)
        struck_T = np.arange(num_16ths) % WINDOW_STEPS == 0
        pitches_VT = np.full_like(written_VT, FREE)
        remarks = (f"{steps} pieces of two bars, the first and the last as the model hears the prompts",)
        made = GridPrompt(score, pitches_VT, edges, struck_T, 0, (), self.voices, remarks)
        return made.result([written_VT], config)

    def _read(self, request: Request) -> GridPrompt:
        """Read a prompt with the voices of the network."""
        given = self.voices[:1] if len(self.voices) == 1 else None
        plain = replace(request, task="continue", given=given, num_bars=1)
        prompt = read_grid_prompt(plain, self.checkpoint.meta.voice_ranges)
        if prompt.given != self.voices:
            raise InputError(
                f"This model writes {len(self.voices)} voices, and the prompt has {len(prompt.given)}. Harmonize it "
                "first, or choose --model vae-melody."
            )
        ends = [note.end for track in prompt.score.tracks for note in track.notes]
        length = int(np.searchsorted(prompt.edges_ticks, max(ends)))
        return replace(
            prompt,
            pitches_VT=prompt.pitches_VT[:, :length],
            edges_ticks=prompt.edges_ticks[: length + 1],
            struck_T=prompt.struck_T[:length],
        )

    def _windows(self, prompt: GridPrompt, begin: int) -> Tensor:
        """Return the cells of a prompt from a 16th on in windows, the last one filled up with rests, (B, V, T)."""
        pitches_VT = prompt.pitches_VT[: len(self.voices), begin:]
        missing = -pitches_VT.shape[1] % WINDOW_STEPS
        padded_VT = np.full((NUM_VOICES, pitches_VT.shape[1] + missing), SILENT)
        padded_VT[: len(self.voices), : pitches_VT.shape[1]] = pitches_VT
        cells_VT = cells_of(self.network.vocabulary, padded_VT)[: len(self.voices)]
        windows_BVT = cells_VT.reshape(len(self.voices), -1, WINDOW_STEPS).swapaxes(0, 1)
        return torch.from_numpy(windows_BVT.copy()).to(self.network.from_latent.weight.device)

    def _decoded(self, latents_BZ: Tensor, pitches_VT: Ints, begin: int) -> Ints:
        """Return pitches whose 16ths from `begin` on are those of latent vectors, one window after the other."""
        cells_BVT = self.network.decode(latents_BZ, WINDOW_STEPS).cpu().numpy()
        written_VT = pitches_of(self.network.vocabulary, np.concatenate(list(cells_BVT), axis=1))
        found_VT = pitches_VT.copy()
        found_VT[: len(self.voices), begin:] = written_VT[:, : found_VT.shape[1] - begin]
        return found_VT


def _first_16th(prompt: GridPrompt) -> int:
    """Return the first 16th after a pickup."""
    bars = bars_of(prompt.score)
    first = bars[1 if bars[0].number == 0 and len(bars) > 1 else 0].start_ticks
    return int(np.searchsorted(prompt.edges_ticks, first))


def load_vae_generator(found: FoundCheckpoint, device: str = "cpu") -> VaeMusicGenerator:
    """Load an autoencoder, ready to generate music.

    Raises:
        InputError: Its folder is incomplete or damaged.
    """
    return VaeMusicGenerator(load_network(found, build_vae, device))
