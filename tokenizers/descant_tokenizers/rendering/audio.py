"""Scores as sound, using only Python packages: WAV, FLAC and MP3.

The SoundFont of the package is FluidR3Mono, trimmed (`tools/soundfont`), with its samples in Ogg Vorbis (SF3). The
synthesizer reads only SF2, which holds uncompressed samples, so the requested sounds are unpacked here. File layout:
SoundFont 2.04 specification, section 7. In SF3 a sample's start and end are byte offsets of its Ogg stream, and its
loop is counted from its start.

Units: seconds and samples. Shapes: L samples, C channels.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from symusic.core import ScoreTick, TextMetaTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import atomic_write
from descant_tokenizers.rendering import SOUNDS, Sounds, check_sounds, sound_of

FONT = Path(__file__).parent / "data" / "sounds.sf3"
LICENSE = FONT.with_name("sounds-LICENSE.md")
SOUND_FORMATS = ("wav", "flac", "mp3")
MAX_MINUTES = 30

Waveform = NDArray[np.int16]
Preset = tuple[int, int]
"""Bank and program of a SoundFont preset; drums are in bank 128."""

# The program that plays each of the sixteen families of General MIDI, eight programs each.
_FAMILIES = (0, 0, 19, 24, 33, 48, 48, 56, 73, 73, 73, 48, 48, 24, 0, 48)
_CHOIRS = range(52, 55)  # inside the family of ensembles
_DRUMS: Preset = (128, 0)
_MAX_CHANNELS = 15  # of sixteen, one is reserved for drums
_FULL_SCALE = np.iinfo(np.int16).max
PEAK = 0.89 * _FULL_SCALE
"""Loudest sample: 1 dB of headroom, which MP3 needs."""
_BLOCK = 65_536
_TAIL_SECONDS = 1.5

_COMPRESSED = 0x10  # flag of a sample's type
_GUARD = 46  # silent samples that the specification requires after each sample
_INSTRUMENT, _SAMPLE = 41, 53  # the generators that refer to one
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


def render_sound(
    score: ScoreTick, path: str | os.PathLike[str], *, sound: Sounds = None, muted: Collection[str] = ()
) -> None:
    """Write a score as a sound file; an existing file is replaced in one step.

    Args:
        score: Any score with notes.
        path: The file; its suffix selects the format: ``.wav``, ``.flac`` or ``.mp3``.
        sound: One of :data:`SOUNDS` for every pitched track, or one for each of some tracks by name; by default the
            nearest to each track's program.
        muted: Names of tracks to silence.

    Raises:
        InputError: As for `render_samples`; or the suffix is not one of these, or the file cannot be written.
    """
    target = Path(path)
    form = target.suffix.lower().lstrip(".")
    if form not in SOUND_FORMATS:
        raise InputError(f"{target} is not a sound file. Give a name that ends in .{', .'.join(SOUND_FORMATS)}.")
    data = sound_file(score, form, sound=sound, muted=muted)
    with atomic_write(target) as temporary:
        temporary.write_bytes(data)


def sound_file(score: ScoreTick, form: str, *, sound: Sounds = None, muted: Collection[str] = ()) -> bytes:
    """Return the bytes of a sound file; `form` is `wav`, `flac` or `mp3`, the rest as for `render_sound`."""
    assert form in SOUND_FORMATS, form
    samples_LC, rate = render_samples(score, sound=sound, muted=muted)
    return encoded(samples_LC, rate, form)


def encoded(samples_LC: Waveform, rate: int, form: str) -> bytes:
    """Return 16-bit samples, shape (length, channels), as the bytes of a sound file of a rate in Hz."""
    import soundfile

    data = io.BytesIO()
    with soundfile.SoundFile(data, "w", rate, samples_LC.shape[1], format=form.upper()) as file:
        for start in range(0, len(samples_LC), _BLOCK):
            block_LC = samples_LC[start : start + _BLOCK]
            # libsndfile 1.2.2 garbles integers on the way to MP3: a sine of amplitude 0.6 comes back clipped.
            file.write(block_LC / np.float32(2**15) if form == "mp3" else block_LC)
    return data.getvalue()


def render_samples(score: ScoreTick, *, sound: Sounds = None, muted: Collection[str] = ()) -> tuple[Waveform, int]:
    """Synthesize a score.

    Args:
        score: Any score with notes.
        sound: One of :data:`SOUNDS` for every pitched track, or one for each of some tracks by name; by default the
            nearest to each track's program.
        muted: Names of tracks to silence. The others stay as loud as they are in the full score.

    Returns:
        16-bit samples, shape (length, 2), and the sample rate in Hz. The loudest sample of the full score is 1 dB below
        full scale.

    Raises:
        InputError: The sound is unknown, the score is empty or longer than :data:`MAX_MINUTES` minutes, or no track has
            a muted name.
    """
    _check_playable(score, sound)
    tracks = {track.name for track in score.tracks}
    for name in muted:
        if name not in tracks:
            raise InputError(f"There is no track '{name}' to mute. The tracks are {', '.join(sorted(tracks))}.")
    full_LC, rate = _synthesize(score, sound)
    peak = int(np.abs(full_LC.astype(np.int32)).max())
    audible_LC = _synthesize(score, sound, muted)[0] if muted else full_LC
    return np.round(audible_LC * np.float32(PEAK / max(peak, 1))).astype(np.int16), rate


def render_stems(score: ScoreTick, *, sound: Sounds = None) -> tuple[dict[str, Waveform], int]:
    """Synthesize each track of a score separately, for mixing; the sum of all is as loud as in `render_samples`.

    Args:
        score: Any score with notes; its tracks have distinct names.
        sound: As for `render_samples`.

    Returns:
        For each track with notes, by name, mono 16-bit samples, shape (length,); and the sample rate in Hz.

    Raises:
        InputError: As for `render_samples`.
    """
    _check_playable(score, sound)
    names = list(dict.fromkeys(track.name for track in score.tracks if track.notes))
    stems: dict[str, NDArray[np.float32]] = {}
    for name in names:
        samples_LC, rate = _synthesize(score, sound, [other for other in names if other != name])
        stems[name] = samples_LC.astype(np.float32).mean(axis=1)
    length = max(len(samples) for samples in stems.values())
    padded = {name: np.pad(samples, (0, length - len(samples))) for name, samples in stems.items()}
    peak = float(np.abs(np.sum(list(padded.values()), axis=0)).max())
    gain = PEAK / max(peak, 1.0)
    # A single voice may be louder than the mix, where another one cancels it.
    return {n: np.clip(np.round(x * gain), -_FULL_SCALE, _FULL_SCALE).astype(np.int16) for n, x in padded.items()}, rate


def _check_playable(score: ScoreTick, sound: Sounds) -> None:
    check_sounds(sound, [track.name for track in score.tracks])
    if not any(track.notes for track in score.tracks):
        raise InputError("The score has no notes to play. Give one that has.")
    timed: Any = score.to("second")  # typed as object
    minutes = float(timed.end()) / 60
    if minutes > MAX_MINUTES:
        raise InputError(f"The score lasts {minutes:.0f} minutes, and at most {MAX_MINUTES} are played. Cut it.")


def _synthesize(score: ScoreTick, sound: Sounds, muted: Collection[str] = ()) -> tuple[Waveform, int]:
    import midirenderer
    import soundfile

    playable = _playable(score, sound, muted)
    presets = frozenset(_DRUMS if track.is_drum else (0, track.program) for track in playable.tracks)
    wave = midirenderer.render_wave_from(unpack_soundfont(presets), playable.dumps_midi())
    samples_LC, rate = soundfile.read(io.BytesIO(wave), dtype="int16", always_2d=True)
    return samples_LC, rate


def _playable(score: ScoreTick, sound: Sounds, muted: Collection[str]) -> ScoreTick:
    """Return a copy whose tracks use the font's programs, with time for the last note to decay."""
    playable = score.copy()
    for track in playable.tracks:
        chosen = sound_of(sound, track.name)
        track.program = 0 if track.is_drum else SOUNDS[chosen] if chosen is not None else _nearest(track.program)
        if track.name in muted:
            track.notes = type(track.notes)()
    if len(playable.tracks) > _MAX_CHANNELS:
        playable.tracks = type(playable.tracks)(_merged(playable.tracks))
    last_tempo = max(playable.tempos, key=lambda tempo: tempo.time, default=None)
    beats_per_minute = 120.0 if last_tempo is None else last_tempo.qpm
    tail_ticks = round(_TAIL_SECONDS * beats_per_minute / 60 * playable.ticks_per_quarter)
    end = TextMetaTick(score.end() + tail_ticks, "end")  # the synthesizer plays up to the last event
    playable.markers = type(playable.markers)([end])
    return playable


def _nearest(program: int) -> int:
    return SOUNDS["choir"] if program in _CHOIRS else _FAMILIES[program // 8]


def _merged(tracks: Iterable[TrackTick]) -> list[TrackTick]:
    """Merge tracks of the same program; their controllers, which need not agree, are dropped."""
    merged: dict[tuple[int, bool], TrackTick] = {}
    for track in tracks:
        target = merged.setdefault((track.program, track.is_drum), TrackTick("", track.program, track.is_drum))
        target.notes.extend(track.notes)
    return list(merged.values())


@lru_cache(maxsize=8)
def unpack_soundfont(presets: frozenset[Preset], font: Path = FONT) -> bytes:
    """Convert an SF3 file to an SF2 file that lists all presets, but holds samples only for those requested."""
    lists = {body[:4]: dict(_chunks(body[4:])) for _, body in _chunks(font.read_bytes()[12:])}
    packed, tables = lists[b"sdta"][b"smpl"], lists[b"pdta"]
    samples = np.frombuffer(tables[b"shdr"], _SAMPLES).copy()
    unpacked = {index: _unpack(samples, index, packed) for index in sorted(_samples_of(tables, presets))}
    unused = samples["kind"] & _COMPRESSED != 0
    for field in ("start", "end", "loop_start", "loop_end"):
        samples[field][unused] = 0
    samples["kind"][unused] &= ~_COMPRESSED & 0xFFFF
    guard = np.zeros(_GUARD, np.int16)
    parts = [guard] if not unpacked else []
    at = 0
    for index, waveform in unpacked.items():
        samples["start"][index], samples["end"][index] = at, at + len(waveform)
        samples["loop_start"][index] += at
        samples["loop_end"][index] += at
        parts += [waveform, guard]
        at += len(waveform) + _GUARD
    tables[b"shdr"] = samples.tobytes()
    info = [(b"ifil", struct.pack("<HH", 2, 1)), (b"isng", b"EMU8000\0"), (b"INAM", b"Descant\0")]
    waveforms = [(b"smpl", np.concatenate(parts).astype("<i2").tobytes())]
    content = _list(b"INFO", info) + _list(b"sdta", waveforms) + _list(b"pdta", tables.items())
    return _chunk(b"RIFF", b"sfbk" + content)


def _samples_of(tables: dict[bytes, bytes], presets: frozenset[Preset]) -> set[int]:
    """Find the samples of presets: from presets through their zones to instruments, and through theirs to samples."""
    owners, instruments = np.frombuffer(tables[b"phdr"], _PRESETS), np.frombuffer(tables[b"inst"], _INSTRUMENTS)
    chosen = [i for i, row in enumerate(owners[:-1]) if (int(row["bank"]), int(row["program"])) in presets]
    players = _references(owners, chosen, tables[b"pbag"], tables[b"pgen"], _INSTRUMENT)
    return _references(instruments, sorted(players), tables[b"ibag"], tables[b"igen"], _SAMPLE)


def _references(owners: NDArray[Any], chosen: Sequence[int], bags: bytes, generators: bytes, kind: int) -> set[int]:
    """Collect what the zones of presets or instruments refer to; they end where those of the next owner begin."""
    zones, rows = np.frombuffer(bags, _BAGS)["generator"], np.frombuffer(generators, _GENERATORS)
    found: set[int] = set()
    for index in chosen:
        own = rows[zones[owners["bag"][index]] : zones[owners["bag"][index + 1]]]
        found |= {int(amount) for amount in own["amount"][own["kind"] == kind]}
    return found


def _unpack(samples: NDArray[Any], index: int, packed: bytes) -> Waveform:
    """Decode a sample and clear its flag."""
    import soundfile

    row = samples[index]
    waveform: Waveform = soundfile.read(io.BytesIO(packed[row["start"] : row["end"]]), dtype="int16")[0]
    row["kind"] &= ~_COMPRESSED & 0xFFFF
    return waveform


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _list(kind: bytes, chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    return _chunk(b"LIST", kind + b"".join(_chunk(name, body) for name, body in chunks))
