"""Scores as sound, with nothing but Python packages (extra `sound`): WAV, FLAC and MP3.

Units: seconds, samples; samples_LC has a row for each moment and a column for each channel.

The SoundFont of the package: FluidR3Mono, trimmed (`tools/soundfont`), its samples in Ogg Vorbis (SF3).

The synthesizer reads SF2 only, that is plain samples: they are unpacked here, those of the wished sounds alone. Layout
of the file: SoundFont 2.04 specification, section 7; in SF3, a sample's start and end are bytes of its Ogg stream, and
its loop counts from its start.
"""

from __future__ import annotations

import importlib.util
import io
import os
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick, TextMetaTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import atomic_write

__all__ = [
    "FONT",
    "LICENCE",
    "MAX_MINUTES",
    "SOUNDS",
    "SOUND_SUFFIXES",
    "has_sound",
    "render_samples",
    "render_sound",
    "render_stems",
    "sf2_of",
    "sound_file",
]

FONT = Path(__file__).parent / "data" / "sounds.sf3"
LICENCE = FONT.with_name("sounds-LICENSE.md")

Bank = tuple[int, int]
"""Bank and program; drums are bank 128."""

_COMPRESSED = 0x10  # flag of a sample's type
_GUARD = 46  # samples of silence that the specification wants behind each sample
_INSTRUMENT, _SAMPLE = 41, 53  # the generators that name one
_PRESETS = np.dtype([("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")])
_INSTRUMENTS = np.dtype([("name", "S20"), ("bag", "<u2")])
_BAGS = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
_GENERATORS = np.dtype([("kind", "<u2"), ("amount", "<u2")])
_SAMPLES = np.dtype(
    [
        ("name", "S20"),
        *((name, "<u4") for name in ("start", "end", "loop_start", "loop_end", "rate")),
        ("pitch", "u1"),
        ("correction", "i1"),
        ("link", "<u2"),
        ("kind", "<u2"),
    ]
)
Table = NDArray[Any]


@lru_cache(maxsize=8)
def sf2_of(sounds: frozenset[Bank], font: Path = FONT) -> bytes:
    """Unpack some sounds of an SF3 file.

    Args:
        sounds: Bank and program of each; what the font does not have is passed over.
        font: The file.

    Returns:
        An SF2 file with the presets of the whole font, of which only the wished ones have samples.

    Raises:
        ModuleNotFoundError: soundfile is not installed.
    """
    data = font.read_bytes()
    lists = {kind: dict(_chunks(body[4:])) for kind, body in _lists(data)}
    packed, tables = lists[b"sdta"][b"smpl"], lists[b"pdta"]
    samples = np.frombuffer(tables[b"shdr"], _SAMPLES).copy()
    plain = [_unpack(samples, index, packed) for index in sorted(_needed(tables, sounds))]
    unused = samples["kind"] & _COMPRESSED != 0
    for field in ("start", "end", "loop_start", "loop_end"):
        samples[field][unused] = 0
    _place(samples, unused, plain)
    tables[b"shdr"] = samples.tobytes()
    guard = np.zeros(_GUARD, np.int16)
    whole = np.concatenate([part for _, sound in plain for part in (sound, guard)] or [guard])
    parts = [
        _list(b"INFO", [(b"ifil", struct.pack("<HH", 2, 1)), (b"isng", b"EMU8000\0"), (b"INAM", b"Descant\0")]),
        _list(b"sdta", [(b"smpl", whole.astype("<i2").tobytes())]),
        _list(b"pdta", tables.items()),
    ]
    return _chunk(b"RIFF", b"sfbk" + b"".join(parts))


def _needed(tables: dict[bytes, bytes], sounds: frozenset[Bank]) -> set[int]:
    """Find the samples that presets lead to: preset, its zones, instruments, their zones, samples."""
    presets, instruments = np.frombuffer(tables[b"phdr"], _PRESETS), np.frombuffer(tables[b"inst"], _INSTRUMENTS)
    chosen = [i for i, row in enumerate(presets[:-1]) if (int(row["bank"]), int(row["program"])) in sounds]
    players = _named(presets, chosen, tables[b"pbag"], tables[b"pgen"], _INSTRUMENT)
    return _named(instruments, sorted(players), tables[b"ibag"], tables[b"igen"], _SAMPLE)


def _named(owners: Table, chosen: Sequence[int], bags: bytes, generators: bytes, kind: int) -> set[int]:
    """Collect what the zones of some presets or instruments name; each owner's zones end where the next one's begin."""
    zones, rules = np.frombuffer(bags, _BAGS)["generator"], np.frombuffer(generators, _GENERATORS)
    found: set[int] = set()
    for index in chosen:
        own = rules[zones[owners["bag"][index]] : zones[owners["bag"][index + 1]]]
        found |= {int(amount) for amount in own["amount"][own["kind"] == kind]}
    return found


def _unpack(samples: Table, index: int, packed: bytes) -> tuple[int, NDArray[np.int16]]:
    import soundfile

    row = samples[index]
    sound, _ = soundfile.read(io.BytesIO(packed[row["start"] : row["end"]]), dtype="int16")
    row["kind"] &= ~_COMPRESSED & 0xFFFF
    return index, sound


def _place(samples: Table, unused: NDArray[np.bool_], plain: Sequence[tuple[int, NDArray[np.int16]]]) -> None:
    """Tell the samples' headers where the samples now lie."""
    samples["kind"][unused] &= ~_COMPRESSED & 0xFFFF
    at = 0
    for index, sound in plain:
        row = samples[index]
        row["start"], row["end"] = at, at + len(sound)
        row["loop_start"] += at
        row["loop_end"] += at
        at += len(sound) + _GUARD


def _lists(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for _, body in _chunks(data[12:]):
        yield body[:4], body


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _list(kind: bytes, chunks: Any) -> bytes:
    return _chunk(b"LIST", kind + b"".join(_chunk(name, body) for name, body in chunks))


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
