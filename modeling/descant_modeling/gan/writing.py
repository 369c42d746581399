"""A melody in, four tracks out: the GAN behind `generate.py`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick, TrackTickList

from descant_modeling.decoding.config import SamplingConfig
from descant_modeling.drafts import Generated
from descant_modeling.gan.checkpoints import GanCheckpoint
from descant_modeling.gan.networks import NUM_PITCHES, draw_noise
from descant_modeling.gan.windows import Windows, windows_of
from descant_modeling.prompts import refined
from descant_modeling.writing import (
    SOUNDS,
    TASKS,
    GenerationConfig,
    GenerationResult,
    check_style,
    refuse_instruments,
    without_controls,
)
from descant_tokenizers.errors import InputError
from descant_tokenizers.rolls import STEPS_PER_BEAT, notes_of_roll, roll_of_notes
from descant_tokenizers.scores import VOICES, bars_of
from descant_tokenizers.scores.voices import VoiceChoice, pick_voices, voice_names

#: Windows that go through the generator at once.
BATCH_WINDOWS = 64
MELODY = VOICES[:1]

Rolls = NDArray[np.bool_]


class GanWriter:
    """A generator ready to harmonize.

    Args:
        checkpoint: The model.
    """

    rewrites_melody = True
    tasks: tuple[str, ...] = TASKS[:1]
    draws_tokens = False
    styles: tuple[str, ...] = ()

    def __init__(self, checkpoint: GanCheckpoint) -> None:
        self.checkpoint = checkpoint

    def harmonize(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Write four tracks to a melody, up to its end; see `Writer`.

        A sample's noise is the same in all its windows. The first track is the prompt's own melody unless
        `config.paste_melody` is off.
        """
        refuse_instruments(write)
        config = config or GenerationConfig()
        check_style(config.style)
        if given and voice_names(given) != MELODY:
            raise InputError("this model hears one melody as its soprano and writes the rest; leave --given out.")
        refuse_sampling(config)
        fine = refined(without_controls(score), STEPS_PER_BEAT)
        choice = pick_voices(fine, MELODY, track)
        melody = choice.tracks[MELODY[0]]
        fine.tracks = TrackTickList([fine.tracks[choice.indices[MELODY[0]]]])
        windows = windows_of(bars_of(fine), fine.ticks_per_quarter)
        heard = roll_of_notes(melody.notes, windows.edges_ticks)
        samples = []
        for index in range(config.num_samples):
            rolls = self._write(windows, heard, noise_rng(config.seed, index))
            samples.append(_four_tracks(fine, windows, rolls, heard, config))
            if config.progress is not None:
                config.progress((index + 1) / config.num_samples)
        remarks = (*self._remarks(choice, melody), _kept_remark(samples))
        written = VOICES[1:] if config.paste_melody else VOICES
        return GenerationResult(tuple(samples), remarks, MELODY, written)

    def continue_(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        num_bars: int = 8,
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
        track: int | str | None = None,
    ) -> GenerationResult:
        """Refuse: see `harmonize`."""
        raise _only_harmonizes()

    def infill(
        self,
        score: ScoreTick,
        config: GenerationConfig | None = None,
        *,
        bars: tuple[int, int],
        given: Sequence[str] | None = None,
        write: Sequence[str] = (),
    ) -> GenerationResult:
        """Refuse: see `harmonize`."""
        raise _only_harmonizes()

    @torch.no_grad()
    def _write(self, windows: Windows, heard: Rolls, rng: torch.Generator) -> Rolls:
        """(steps, P) -> (steps, P, 4): what the generator writes; where nothing is heard in a window, nothing."""
        noise = draw_noise(1, rng)
        device = next(self.checkpoint.generator.parameters()).device
        melodies = windows.cut(heard)
        rolls = np.zeros((*melodies.shape, len(VOICES)), dtype=np.bool_)
        sounding = np.flatnonzero(melodies.any((1, 2)))
        for first in range(0, len(sounding), BATCH_WINDOWS):
            chosen = sounding[first : first + BATCH_WINDOWS]
            inputs = torch.from_numpy(np.where(melodies[chosen], 1.0, -1.0).astype(np.float32)).unsqueeze(1)
            z = noise.expand(len(chosen), -1, -1, -1)
            outputs = self.checkpoint.generator(inputs.to(device), z.to(device))
            rolls[chosen] = (outputs > 0).permute(0, 2, 3, 1).cpu().numpy()
        return windows.join(rolls)

    def _remarks(self, choice: VoiceChoice, melody: TrackTick) -> list[str]:
        remarks = [choice.reason]
        pitches = [note.pitch for note in melody.notes]
        low, high = self.checkpoint.meta.voice_ranges[0] if self.checkpoint.meta.voice_ranges else (0, NUM_PITCHES - 1)
        outside = sum(not low <= pitch <= high for pitch in pitches)
        if outside:
            remarks.append(
                f"{outside} of {len(pitches)} notes are outside {low}-{high}, where the model learned melodies"
            )
        return remarks


def noise_rng(seed: int, index: int) -> torch.Generator:
    """Return the random numbers that a sample's noise is drawn from.

    Args:
        seed: The user's.
        index: Which sample, from 0.
    """
    state = np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> 1))


def refuse_sampling(config: GenerationConfig) -> None:
    """Refuse what shapes the draw of tokens.

    Raises:
        InputError: Something was set.
    """
    if config.sampling != SamplingConfig():
        raise InputError("this model draws no tokens; leave --temperature, --top-p and --allow-parallels out.")


def _four_tracks(
    prompt: ScoreTick, windows: Windows, rolls: Rolls, heard: Rolls, config: GenerationConfig
) -> Generated:
    """Return the written tracks, with the melody's own notes in the first one if it is pasted."""
    own = prompt.tracks[0]
    velocity = round(statistics.fmean(note.velocity for note in own.notes))
    end = max(note.end for note in own.notes)
    score = prompt.copy()
    tracks = TrackTickList()
    added = set()
    for index, voice in enumerate(VOICES):
        track = TrackTick(voice, SOUNDS[config.sound], False)
        if index == 0 and config.paste_melody:
            track = own.copy()
            track.name = voice
        else:
            notes = notes_of_roll(rolls[..., index], windows.edges_ticks, velocity)
            track.notes = NoteTickList(_until(notes, end))
            added |= {(voice, note.time, note.pitch) for note in track.notes}
        tracks.append(track)
    score.tracks = tracks
    kept = float((rolls[..., 0] & heard).sum() / max(int(heard.sum()), 1))
    return Generated(score, frozenset(added), num_tokens=0, log_likelihood=None, melody_kept=kept)


def _until(notes: list[NoteTick], end: int) -> list[NoteTick]:
    """Return what of some notes sounds before a tick."""
    return [
        NoteTick(note.time, min(note.end, end) - note.time, note.pitch, note.velocity)
        for note in notes
        if note.time < end
    ]


def _kept_remark(samples: Sequence[Generated]) -> str:
    shares = ", ".join(f"{sample.melody_kept:.0%}" for sample in samples)
    return f"of the melody, the model's own first track had kept {shares}"


def _only_harmonizes() -> InputError:
    return InputError("this model only harmonizes a melody; leave --task out, or choose another --model.")
