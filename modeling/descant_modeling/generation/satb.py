"""Four-part music: the voices of a prompt, the pitch at which the model sees them, and the new voices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from symusic.core import ScoreTick, TrackTick, TrackTickList

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.live import Accompanist
from descant_modeling.generation.base import Request, refuse_instruments
from descant_modeling.generation.causal import CausalGenerator
from descant_modeling.generation.planning import named_key, prompt_key
from descant_modeling.generation.prompts import (
    Prompt,
    Ranges,
    given_voices,
    make_prompt,
    pitch_extent,
    refine_prompt,
    shift_into,
    shift_remark,
    without_controls,
)
from descant_modeling.generation.results import Players
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import check_sounds
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.names import voice_names
from descant_tokenizers.scores.voices import pick_voices
from descant_tokenizers.tokens.harmony import PieceKey, shift_to_common_tonic
from descant_tokenizers.tokens.kinds import has_plain_lines
from descant_tokenizers.tokens.vocabulary import Vocabulary

__all__ = ["FourPartGenerator", "read_four_part_prompt"]

_OCTAVE = 12


class FourPartGenerator(CausalGenerator):
    """A causal model of four voices, ready to generate."""

    def accompanist(self, meter: tuple[int, int], key: str | None, config: GenerationConfig) -> Accompanist:
        """Return what answers a soprano note by note, as it is played.

        Raises:
            InputError: The meter or the key is not known, or the model's voices are not single lines.
        """
        if not has_plain_lines(self.vocabulary):
            raise InputError(f"{self.checkpoint.folder.name} has merged tokens, and cannot play along. Choose another.")
        ranges, found = self.checkpoint.meta.voice_ranges, None if key is None else named_key(key)
        style = self._style(config)
        return Accompanist(self.model, self.checkpoint.layout, ranges, meter, found, style, config)

    def _read(self, request: Request) -> Prompt:
        refuse_instruments(request.write)
        given = given_voices(request)
        is_partial = given is not None and len(given) < len(VOICES)
        return read_four_part_prompt(
            self.vocabulary,
            self.checkpoint.meta.voice_ranges,
            request.prompt,
            None if request.task == "infill" else given,
            request.track,
            alone=request.task != "infill" and is_partial,
            key_of=partial(prompt_key, request) if self.checkpoint.layout.config.hints else None,
        )

    def _new_ranks(self, request: Request, prompt: Prompt) -> tuple[int, ...]:
        if request.task == "continue" and not request.given:
            return ()
        return tuple(rank for rank in self._all_ranks() if rank not in prompt.ranks.values())

    def _rewritten_tracks(self, request: Request, prompt: Prompt) -> tuple[int, ...]:
        kept = voice_names(request.given) if request.given else ()
        voices = self._track_names(prompt, prompt.parts)
        for voice in kept:
            if voice not in voices:
                raise InputError(
                    f"{voice} is not in the prompt, which has {', '.join(voices)}. Leave it out of --given."
                )
        tracks = tuple(index for index, voice in zip(prompt.parts, voices, strict=True) if voice not in kept)
        if not tracks:
            raise InputError("All voices of the prompt are given. Leave one out of --given.")
        return tracks

    def _tracks(self, prompt: Prompt, new: Collection[int], config: GenerationConfig) -> tuple[ScoreTick, Players]:
        """Return four tracks named after the voices if there are new voices, otherwise the prompt's own tracks."""
        if not new:
            return super()._tracks(prompt, new, config)
        check_sounds(config.sound, VOICES)
        score, players = prompt.score.copy(), {}
        tracks = TrackTickList()
        for place, rank in enumerate(self._all_ranks()):
            own = prompt.players(rank)
            voice = VOICES[place]
            track = prompt.score.tracks[own[0]].copy() if own else TrackTick("", config.program_of(voice), False)
            track.name = voice
            tracks.append(track)
            players[rank] = [place]
        score.tracks = tracks
        return score, players

    def _voice_names(self, ranks: Iterable[int]) -> tuple[str, ...]:
        return tuple(sorted(super()._voice_names(ranks), key=VOICES.index))

    def _track_names(self, prompt: Prompt, indices: Iterable[int]) -> tuple[str, ...]:
        return tuple(prompt.parts[index].name for index in indices)

    def _all_ranks(self) -> tuple[int, ...]:
        """Return the ranks of the voices from high to low."""
        return tuple(self.vocabulary.voices.index(voice) for voice in VOICES)


def read_four_part_prompt(
    vocabulary: Vocabulary,
    ranges: Ranges,
    score: ScoreTick,
    given: Sequence[str] | None = None,
    track: int | str | None = None,
    *,
    alone: bool = False,
    key_of: Callable[[Iterable[TrackTick]], PieceKey | None] | None = None,
) -> Prompt:
    """Choose the voices of a validated score (see `pick_voices`) and put them on the grid.

    With `alone`, tracks that are not voices are left out, so that the prompt ends where its voices end. With `key_of`,
    which finds the key of the voices, they are moved to the common tonic.

    Raises:
        InputError: The voices cannot be determined, or do not fit the vocabulary.
    """
    fine = refine_prompt(vocabulary, without_controls(score))
    choice = pick_voices(fine, given, track)
    indices = choice.indices
    if alone:
        fine.tracks = TrackTickList([fine.tracks[index] for index in indices.values()])
        indices = {voice: index for index, voice in enumerate(choice.tracks)}
    parts = {indices[voice]: line for voice, line in choice.tracks.items()}
    for voice, line in choice.tracks.items():
        line.name = voice
    shift = _shift(vocabulary, ranges, choice.tracks)
    key = None if key_of is None else key_of(choice.tracks.values())
    to_tonic = 0 if key is None else _shift_to_tonic(vocabulary, choice.tracks.values(), key, shift)
    moved_ranges = [_moved_range(low, high, shift, to_tonic) for low, high in ranges]
    prompt = make_prompt(vocabulary, fine, parts, moved_ranges, shift + to_tonic, [choice.reason])
    if key is not None and (at_tonic := key.transpose(shift + to_tonic)).tonic == 0:
        prompt = replace(prompt, key=at_tonic)
    return replace(prompt, remarks=(*prompt.remarks, shift_remark(shift))) if shift else prompt


def _moved_range(low: int, high: int, shift: int, to_tonic: int) -> tuple[int, int]:
    """Return the range of a voice at the pitch that the model sees: as trained, and singable when moved back.

    Where the two have less than an octave in common, it is as trained.
    """
    common = max(low, low + shift), min(high, high + shift)
    lowest, highest = common if common[1] - common[0] >= _OCTAVE else (low, high)
    return lowest + to_tonic, highest + to_tonic


def _shift_to_tonic(vocabulary: Vocabulary, lines: Iterable[TrackTick], key: PieceKey, shift: int) -> int:
    """Return the further semitones that bring moved voices to the common tonic; 0 if the vocabulary is too narrow."""
    pitches = [note.pitch + shift for line in lines for note in line.notes]
    nearest = shift_to_common_tonic(key.transpose(shift))
    legal = [
        semitones
        for semitones in (nearest, nearest - 12 if nearest > 0 else nearest + 12)
        if min(vocabulary.pitch_id) <= min(pitches) + semitones and max(pitches) + semitones <= max(vocabulary.pitch_id)
    ]
    return legal[0] if legal else 0


def _shift(vocabulary: Vocabulary, ranges: Ranges, voices: Mapping[str, TrackTick]) -> int:
    """Return the semitones that bring the voices inside the ranges of training, or as near as possible."""
    extents = {vocabulary.voices.index(voice): pitch_extent(track) for voice, track in voices.items()}
    return shift_into(extents, ranges, min(vocabulary.pitch_id), max(vocabulary.pitch_id))
