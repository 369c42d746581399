"""The SoundFont of the package: FluidR3Mono, trimmed (`tools/soundfont`), its samples in Ogg Vorbis (SF3).

The synthesizer reads SF2 only, that is plain samples: they are unpacked here, those of the wished sounds alone. Layout
of the file: SoundFont 2.04 specification, section 7; in SF3, a sample's start and end are bytes of its Ogg stream, and
its loop counts from its start.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FONT", "LICENCE", "sf2_of"]

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
