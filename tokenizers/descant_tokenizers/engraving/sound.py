"""Scores as sound, with nothing but Python packages (extra `sound`): WAV, FLAC and MP3.

Units: seconds, samples; samples_LC has a row for each moment and a column for each channel.
"""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick, TextMetaTick, TrackTick

from descant_tokenizers.engraving.soundfont import sf2_of
from descant_tokenizers.errors import InputError
from descant_tokenizers.files import atomic_write

__all__ = [
    "MAX_MINUTES",
    "SOUNDS",
    "SOUND_SUFFIXES",
    "has_sound",
    "render_samples",
    "render_sound",
    "render_stems",
    "sound_file",
]

#: General MIDI programs of the sounds that can be asked for.
SOUNDS = {"choir": 52, "organ": 19, "piano": 0, "strings": 48}
SOUND_SUFFIXES = {"wav": ".wav", "flac": ".flac", "mp3": ".mp3"}
MAX_MINUTES = 30

Samples: TypeAlias = NDArray[np.int16]

# What plays the sixteen families of General MIDI, eight programs each.
_FAMILIES = (0, 0, 19, 24, 33, 48, 48, 56, 73, 73, 73, 48, 48, 24, 0, 48)
_VOICES = range(52, 55)  # choirs, inside the family of ensembles
_DRUMS = (128, 0)
_MAX_CHANNELS = 15  # of sixteen, one is the drums'
_PEAK = 0.89  # of full scale: 1 dB of room, which MP3 wants
_BLOCK = 65_536
_TAIL_SECONDS = 1.5


def has_sound() -> bool:
    """Say whether the packages of the extra `sound` are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("midirenderer", "soundfile"))


def render_sound(
    score: ScoreTick,
    path: str | os.PathLike[str],
    *,
    sound: str | None = None,
    muted: Collection[str] = (),
) -> None:
    """Write a score as a sound file; an existing one is replaced in one step.

    Args:
        score: Any score with notes.
        path: Its suffix chooses the format: ``.wav``, ``.flac`` or ``.mp3``.
        sound: One of :data:`SOUNDS` for every pitched track; by default what comes nearest to each track's program.
        muted: Names of tracks that are silent.

    Raises:
        InputError: As for `render_samples`, or the suffix is another, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in SOUND_SUFFIXES.values():
        raise InputError(
            f"{target} is no sound file's name; give one that ends in {', '.join(SOUND_SUFFIXES.values())}."
        )
    data = sound_file(score, target.suffix.lower().lstrip("."), sound=sound, muted=muted)
    with atomic_write(target) as temporary:
        temporary.write_bytes(data)


def sound_file(score: ScoreTick, form: str, *, sound: str | None = None, muted: Collection[str] = ()) -> bytes:
    """Play a score; see `render_sound`.

    Args:
        score: Any score with notes.
        form: `wav`, `flac` or `mp3`.
        sound: As for `render_sound`.
        muted: As for `render_sound`.

    Returns:
        The bytes of a sound file.

    Raises:
        InputError: As for `render_samples`.
    """
    assert form in SOUND_SUFFIXES, form
    samples_LC, rate = render_samples(score, sound=sound, muted=muted)
    data = io.BytesIO()
    _write(samples_LC, rate, data, form)
    return data.getvalue()


def render_samples(score: ScoreTick, *, sound: str | None = None, muted: Collection[str] = ()) -> tuple[Samples, int]:
    """Play a score.

    Args:
        score: Any score with notes.
        sound: One of :data:`SOUNDS` for every pitched track; by default what comes nearest to each track's program.
        muted: Names of tracks that are silent. What is left sounds as loud as it does among the others.

    Returns:
        Samples of 16 bits, shape (length, 2), and their rate per second. The loudest one of the whole score lies 1 dB
        below full scale.

    Raises:
        InputError: The extra `sound` is not installed, the sound is unknown, the score is empty or over
            :data:`MAX_MINUTES` minutes long, or there is no track of a muted name.
    """
    _check_playable(score, sound)
    tracks = {track.name for track in score.tracks}
    for name in muted:
        if name not in tracks:
            raise InputError(f"there is no track '{name}' to be muted; the tracks are {', '.join(sorted(tracks))}.")
    whole_LC, rate = _play(score, sound)
    peak = int(np.abs(whole_LC.astype(np.int32)).max())
    heard_LC = _play(score, sound, muted)[0] if muted else whole_LC
    gain = _PEAK * np.iinfo(np.int16).max / max(peak, 1)
    return _finished(heard_LC, gain), rate


def render_stems(score: ScoreTick, *, sound: str | None = None) -> tuple[dict[str, Samples], int]:
    """Play each track of a score alone, to be mixed elsewhere: the sum of all is as loud as `render_samples` makes it.

    Args:
        score: Any score with notes, its tracks told apart by name.
        sound: As for `render_samples`.

    Returns:
        For each track with notes, by name, samples of 16 bits in one channel, shape (length,); and their rate.

    Raises:
        InputError: As for `render_samples`.
    """
    _check_playable(score, sound)
    names = list(dict.fromkeys(track.name for track in score.tracks if track.notes))
    played = {}
    for name in names:
        alone_LC, rate = _play(score, sound, [other for other in names if other != name])
        played[name] = alone_LC.astype(np.float32).mean(axis=1)
    length = max(len(samples) for samples in played.values())
    padded = {name: np.pad(samples, (0, length - len(samples))) for name, samples in played.items()}
    peak = float(np.abs(np.sum(list(padded.values()), axis=0)).max())
    gain = _PEAK * np.iinfo(np.int16).max / max(peak, 1.0)
    largest = np.iinfo(np.int16).max  # a voice alone may be louder than where another one cancels it
    return {n: np.clip(np.round(x * gain), -largest, largest).astype(np.int16) for n, x in padded.items()}, rate


def _check_playable(score: ScoreTick, sound: str | None) -> None:
    if not has_sound():
        raise InputError("sound needs midirenderer and soundfile; pip install 'descant[sound]'.")
    if sound is not None and sound not in SOUNDS:
        raise InputError(f"the sound is '{sound}'; give one of {', '.join(SOUNDS)}.")
    if not any(track.notes for track in score.tracks):
        raise InputError("the score has no notes, so there is nothing to hear; give one that has.")
    timed: Any = score.to("second")  # typed as object
    seconds = float(timed.end())
    if seconds > 60 * MAX_MINUTES:
        raise InputError(f"the score lasts {seconds / 60:.0f} minutes, and at most {MAX_MINUTES} are played; cut it.")


def _play(score: ScoreTick, sound: str | None, muted: Collection[str] = ()) -> tuple[Samples, int]:
    import midirenderer
    import soundfile

    played = _for_channels(score, sound, muted)
    wished = frozenset(_DRUMS if track.is_drum else (0, track.program) for track in played.tracks)
    wave = midirenderer.render_wave_from(sf2_of(wished), played.dumps_midi())
    samples_LC, rate = soundfile.read(io.BytesIO(wave), dtype="int16", always_2d=True)
    return samples_LC, rate


def _for_channels(score: ScoreTick, sound: str | None, muted: Collection[str]) -> ScoreTick:
    """Return a copy whose tracks play what the font has, with time for the last note to die away."""
    played = score.copy()
    for track in played.tracks:
        track.program = 0 if track.is_drum else SOUNDS[sound] if sound is not None else _nearest(track.program)
        if track.name in muted:
            track.notes = type(track.notes)()
    if len(played.tracks) > _MAX_CHANNELS:
        played.tracks = type(played.tracks)(_joined(played.tracks))
    last_tempo = max(played.tempos, key=lambda tempo: tempo.time, default=None)
    beats_per_minute = 120.0 if last_tempo is None else last_tempo.qpm
    tail_ticks = round(_TAIL_SECONDS * beats_per_minute / 60 * played.ticks_per_quarter)
    played.markers = type(played.markers)(
        [TextMetaTick(score.end() + tail_ticks, "end")]
    )  # the synthesizer plays to it
    return played


def _nearest(program: int) -> int:
    return SOUNDS["choir"] if program in _VOICES else _FAMILIES[program // 8]


def _joined(tracks: Iterable[TrackTick]) -> list[TrackTick]:
    """Join tracks of equal sound; their controllers, which need not agree, are left out."""
    joined: dict[tuple[int, bool], TrackTick] = {}
    for track in tracks:
        whole = joined.setdefault((track.program, track.is_drum), TrackTick("", track.program, track.is_drum))
        whole.notes.extend(track.notes)
    return list(joined.values())


def _finished(samples_LC: Samples, gain: float) -> Samples:
    return np.round(samples_LC * np.float32(gain)).astype(np.int16)


def _write(samples_LC: Samples, rate: int, target: io.BytesIO, form: str) -> None:
    import soundfile

    with soundfile.SoundFile(target, "w", rate, samples_LC.shape[1], format=form.upper()) as file:
        for start in range(0, len(samples_LC), _BLOCK):
            block_LC = samples_LC[start : start + _BLOCK]
            # libsndfile 1.2.2 garbles integers on the way to MP3: a sine of 0.6 comes back clipped.
            file.write(block_LC / np.float32(2**15) if form == "mp3" else block_LC)
