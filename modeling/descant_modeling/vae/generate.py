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
from descant_modeling.families.generate import GridGenerator
from descant_modeling.generation.base import GenerationResult, Request
from descant_modeling.generation.grid import FREE, VARIED, GridPrompt, free_from, read_grid_prompt
from descant_modeling.generation.networks import rng_of_each_sample
from descant_modeling.generation.results import without_notes
from descant_modeling.vae.networks import VaeNetwork, between
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.pianoroll.frames import SILENT, Ints
from descant_tokenizers.pianoroll.rolls import STEPS_PER_BEAT, WINDOW_STEPS, even_edges
from descant_tokenizers.scores import NUM_VOICES, VOICES, bars_of

#: Pieces of a morph, ends included, and how far a prompt is varied, by default.
NUM_STEPS, AMOUNT = 7, 0.3
_TICKS_PER_QUARTER = 480


class VaeMusicGenerator(GridGenerator[VaeNetwork]):
    """The autoencoder as a `MusicGenerator`."""

    tasks: tuple[str, ...] = VARIED
    own_options: tuple[str, ...] = ("steps", "amount")
    network_type = VaeNetwork
    sampling = ()

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices that it reads and writes."""
        return VOICES[: self.network.sizes.num_voices]

    @torch.inference_mode()
    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Write the prompt again from nearby latent vectors, or pieces between two prompts; see `MusicGenerator`."""
        self.check(request, config)
        if request.task == "morph":
            if config.amount is not None or config.num_samples > 1:
                raise InputError("A morph has one sample and no amount. Leave --amount and --num-samples out.")
            return self._morph(request, config)
        if config.steps is not None:
            raise InputError("--steps is for --morph. Leave it out, or give --morph.")
        prompt, begin = self._read(request)
        free_VT = np.full_like(prompt.pitches_VT, SILENT)
        times = prompt.edges_ticks[begin], prompt.edges_ticks[-1]
        for free_T, track in zip(free_VT, prompt.score.tracks, strict=False):
            free_T[np.searchsorted(prompt.edges_ticks[:-1], free_from(track, times[0])) :] = FREE
        samples = (self.write(prompt.pitches_VT[:, begin:], config, rng) for rng in rng_of_each_sample(config))
        whole = [np.concatenate([prompt.pitches_VT[:, :begin], sample_VT], axis=1) for sample_VT in samples]
        emptied = without_notes(prompt.score, range(len(prompt.score.tracks)), *times)
        return replace(prompt, score=emptied, pitches_VT=free_VT, written=self.voices).result(whole, config)

    def write(self, pitches_VT: Ints, config: GenerationConfig, rng: torch.Generator) -> Ints:
        """Return pitches as they come from latent vectors near their own."""
        means_BZ = self._encoded(pitches_VT)
        amount = AMOUNT if config.amount is None else config.amount
        noise_BZ = torch.randn(means_BZ.shape, generator=rng).to(means_BZ.device)
        # The variance of a vector drawn from the prior stays 1.
        return self._decoded((1 - amount**2) ** 0.5 * means_BZ + amount * noise_BZ)[:, : pitches_VT.shape[1]]

    def _morph(self, request: Request, config: GenerationConfig) -> GenerationResult:
        assert request.morph is not None, "a morph has a second prompt"
        reads = [self._read(each) for each in (request, replace(request, score=request.morph))]
        first_Z, last_Z = (self._encoded(prompt.pitches_VT[:, begin:])[0] for prompt, begin in reads)
        steps = NUM_STEPS if config.steps is None else config.steps
        written_VT = self._decoded(between(first_Z, last_Z, steps))
        score = ScoreTick(_TICKS_PER_QUARTER)
        score.time_signatures.append(TimeSignatureTick(0, 4, 4))
        num_16ths = written_VT.shape[1]
        edges = even_edges(num_16ths, _TICKS_PER_QUARTER // STEPS_PER_BEAT)
        struck_T = np.arange(num_16ths) % WINDOW_STEPS == 0
        remarks = (f"{steps} pieces of two bars, the first and the last as the model hears the prompts",)
        free_VT = np.full_like(written_VT, FREE)
        return GridPrompt(score, free_VT, edges, struck_T, 0, (), self.voices, remarks).result([written_VT], config)

    def _read(self, request: Request) -> tuple[GridPrompt, int]:
        """Read a prompt with the voices of the network; return also its first 16th after a pickup."""
        is_melody = len(self.voices) == 1
        prompt = read_grid_prompt(replace(request, given=self.voices if is_melody else None), self.ranges)
        if prompt.given != self.voices:
            raise InputError(
                f"This model writes {len(self.voices)} voices, and the prompt has {len(prompt.given)}. Harmonize it "
                "first, or choose --model vae-melody."
            )
        bars = bars_of(prompt.score)
        first = bars[1 if bars[0].number == 0 and len(bars) > 1 else 0].start_ticks
        return prompt, int(np.searchsorted(prompt.edges_ticks, first))

    def _encoded(self, pitches_VT: Ints) -> Tensor:
        """Return the mean vectors of pitches in windows, the last one filled up with rests, (B, Z)."""
        padded_VT = np.pad(pitches_VT, ((0, 0), (0, -pitches_VT.shape[1] % WINDOW_STEPS)), constant_values=SILENT)
        cells_VT = torch.from_numpy(cells_of(self.network.vocabulary, padded_VT)[: len(self.voices)])
        windows_BVT = cells_VT.reshape(len(self.voices), -1, WINDOW_STEPS).transpose(0, 1)
        return self.network.encode(windows_BVT.to(self.network.device)).mean

    def _decoded(self, latents_BZ: Tensor) -> Ints:
        """Return the pitches of latent vectors, one window after the other; voices it does not write rest, (V, T)."""
        cells_BVT = self.network.decode(latents_BZ, self.illegal())
        cells_VT = cells_BVT.transpose(0, 1).flatten(1).cpu().numpy()
        written_VT = pitches_of(self.network.vocabulary, cells_VT)
        return np.pad(written_VT, ((0, NUM_VOICES - len(self.voices)), (0, 0)), constant_values=SILENT)
