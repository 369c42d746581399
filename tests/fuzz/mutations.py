"""Broken inputs, made from good ones, and unusual ones.

Input number `index` of a campaign's seed is always the same bytes.
"""

from __future__ import annotations

import functools
import io
import random
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from families import FAMILIES, Family
from odd_files import MAKERS

from descant_tokenizers.scores.midi_events import track_events

SUFFIXES = {"midi": ".mid", "musicxml": ".musicxml", "abc": ".abc"}
SUFFIXES |= {f"odd-{kind}": suffix for kind, suffix in (*SUFFIXES.items(), ("humdrum", ".krn"))}
SUFFIXES |= {"models": ".json", "configs": ".json"}
#: Kinds that inputs of these kinds take turns to be of.
TURNS = {
    "sample": ("midi", "musicxml", "abc", "odd-musicxml", "odd-abc", "odd-humdrum"),
    "engraving": ("odd-midi", "odd-musicxml", "odd-midi", "odd-abc", "odd-musicxml", "odd-humdrum"),
}
ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(__file__).parent / "seeds"
MAX_MUTATIONS = 6
#: Inputs that stay a well-formed file, so that what lies behind the parsers is reached.
GENTLE_SHARE = 0.7

Mutation = Callable[[random.Random, bytes, bytes], bytes]
"""From a generator, an input and another seed (to borrow from) to a worse input."""

_BYTES = (0, 1, 2, 8, 9, 0x1F, 0x20, 0x3C, 0x40, 0x7F, 0x80, 0x81, 0x90, 0x99, 0xC0, 0xE0, 0xF0, 0xF7, 0xFE, 0xFF)
_MIDI_EVENTS = (
    *(b"\0\xff\x58\4\4" + bytes([unit]) + b"\x18\x08" for unit in (0, 2, 6, 7, 31, 32, 255)),
    b"\0\xff\x58\4\0\2\x18\x08",
    b"\0\xff\x58\4\xff\2\x18\x08",
    b"\0\xff\x58\0",
    b"\0\xff\x51\3\0\0\0",
    b"\0\xff\x51\3\xff\xff\xff",
    b"\0\xff\x59\2\x7f\7",
    b"\0\xff\x59\2\x80\1",
    b"\0\xff\x2f\0",
    b"\0\xff\x03\x04\xff\xfe\x1b[",
    b"\0\x90\x3c\x40",
    b"\0\x90\x3c\0",
    b"\xff\xff\xff\x7f\x90\x40\x40\x10\x80\x40\0",
    b"\x84\x80\x80\x00\x90\x40\x40\x10\x80\x40\0",
    b"\0\xf0\x05\x7e\x7f\x09\x01\xf7",
    b"\0\xc0\x7f",
    b"\0\x99\x24\x40\x30\x24\0",
)
_NUMBERS = ("0", "1", "-1", "2.5", "1/3", "64", "65", "127", "999", "99999999", "1e9", "nan", "", " ", "x", "٣", "0x10")
_TEXTS = (
    "",
    "quarter",
    "eighth",
    "1024th",
    "maxima",
    "start",
    "stop",
    "G",
    "H",
    "double-sharp",
    "percussion",
    "\N{ESCAPE}",
)
_ABC_SYMBOLS = (
    *(
        "|:",
        ":|",
        "::",
        "|1",
        ":|2",
        "[1,3",
        "||",
        "|]",
        "[|]",
        ".|",
        "&",
        "&&",
        "(3",
        "(5:4:7",
        "(",
        ")",
        "-",
        ">",
        "<<",
    ),
    *("[", "]", "[CEG]2", "[V:2]", "[V:new clef=bass]", "[K:Ab exp ^f]", "[K:]", "[M:13/8]", "[M:none]", "[L:1/64]"),
    *(
        "[Q:1/4=0]",
        "[P:B]",
        "[I:x]",
        "{g}",
        "{",
        "}",
        '"Am7"',
        '"^so',
        "!fermata!",
        "!D.C.!",
        "!segno!",
        "!coda!",
        "!fine!",
    ),
    *(
        "+trill+",
        "+CE+",
        "Z9",
        "Z99999",
        "X",
        "z",
        "y",
        "x3/",
        "C,,,,,",
        "c''''",
        "^/f",
        "__b",
        "c99999",
        "d/////",
        "e7/512",
    ),
    *(
        "%",
        "\\",
        "~",
        "H",
        "U",
        "$",
        "§",
        "\n\n",
        "\nw:la-la_ *|x\n",
        "\n+:more\n",
        "\nW:words\n",
        "\nK:HP\n",
        "\nX:9\n",
    ),
    *("\nm:c=cd\n", "\nU:T=!fermata!\n", "\nP:A\n", "\nV:3\n", "\n%%score (1 2)\n", "\n%%MIDI x\n", "\n%%begintext\n"),
    *("\nM:(2+3+2)/8\n", "\nL:0/4\n", '\nQ:"x" 1/4 1/8=77\n', "\nP:(A(BA)9)99\n", "\nI:propagate-accidentals not\n"),
)
_ABC_NUMBER = re.compile(rb"\d+")
_XML_VALUE = re.compile(rb">([^<>]*)<")
_XML_NUMBER = re.compile(rb'(?<=[>"])-?\d+(?=["<])')
_XML_ATTRIBUTE = re.compile(rb'[a-z-]+="[^"]*"')
_XML_ELEMENT = re.compile(rb"(?m)^ *<([a-z-]+)\b[^\n]*(</\1>|/>)\n")
_XML_TAG = re.compile(rb"<[^>]*>")


def make(kind: str, seed: int, index: int, seeds: Sequence[bytes]) -> bytes:
    """Return one broken input.

    Args:
        kind: `midi`, `musicxml` or `abc` for mutations; `odd-midi`, `odd-musicxml`, `odd-abc` or `odd-humdrum` for
            unusual files that are valid; `families` for the files of families.py, in their order; `models` and
            `configs` for those of odd_models.py; `sample` and `engraving` for several kinds in turn.
        seed: Of the campaign.
        index: Number of the input.
        seeds: From `load_seeds`; those of several kinds in turn are found here.
    """
    if kind in TURNS:
        kind, index = _turn(kind, index)
        seeds = load_seeds(kind)
    if kind == "families":
        return _family(index).make()
    if kind == "odd-midi":
        from odd_midi import odd_midi

        return odd_midi(seed, index)
    rng = random.Random(f"{kind} {seed} {index}")
    if kind in ("models", "configs"):
        from odd_models import odd_config, odd_model

        return odd_model(rng) if kind == "models" else odd_config(rng)
    if kind in MAKERS:
        return MAKERS[kind](rng).encode()
    data = rng.choice(seeds)
    gentle, rough = {
        "midi": (_GENTLE_MIDI, _MIDI),
        "musicxml": (_GENTLE_XML, _XML),
        "abc": (_GENTLE_ABC, _GENERAL),
    }[kind]
    mutations = gentle if rng.random() < GENTLE_SHARE else gentle + rough
    for _ in range(rng.randint(1, MAX_MUTATIONS)):
        data = rng.choice(mutations)(rng, data, rng.choice(seeds))
    if kind == "midi" and rng.random() < 0.9:
        data = _whole(data)
    if kind == "musicxml" and rng.random() < 0.05:
        data = _zipped(rng, data)
    return data


def suffix_of(kind: str, index: int) -> str:
    """Return the suffix of a file name."""
    if kind in TURNS:
        kind, index = _turn(kind, index)
    return _family(index).suffix if kind == "families" else SUFFIXES[kind]


def _turn(kind: str, index: int) -> tuple[str, int]:
    """Return the kind of one input of several kinds in turn, and its number."""
    kinds = TURNS[kind]
    return kinds[index % len(kinds)], index


def _family(index: int) -> Family:
    return list(FAMILIES.values())[index % len(FAMILIES)]


@functools.cache
def load_seeds(kind: str) -> list[bytes]:
    """Return good inputs of a kind: the examples, the files beside this one, and for MIDI some generated ones."""
    if kind not in ("midi", "musicxml", "abc"):
        return []
    suffix = SUFFIXES[kind]
    files = sorted(path for folder in (ROOT / "examples", SEEDS) for path in folder.glob(f"*{suffix}"))
    seeds = [path.read_bytes() for path in files]
    return seeds + [_random_midi(random.Random(number)) for number in range(8)] if kind == "midi" else seeds


def _random_midi(rng: random.Random) -> bytes:
    """A file of up to four tracks with every kind of event, running status and a pickup among them."""
    tracks = [
        b"\0\xff\x58\4\1\2\x18\x08\0\xff\x51\3\7\xa1\x20\x60\xff\x58\4" + bytes([rng.randint(2, 9)]) + b"\2\x18\x08"
    ]
    for channel in rng.sample((0, 1, 2, 9), rng.randint(1, 4)):
        events = b"\0\xff\x03\x05Track\0" + bytes([0xC0 | channel, rng.randrange(128)])
        for _ in range(rng.randint(3, 30)):
            pitch, length = rng.randrange(30, 90), rng.choice((12, 24, 32, 48, 96))
            events += b"\0" + bytes([0x90 | channel, pitch, 90, length, pitch, 0])  # running status, velocity 0
            if rng.random() < 0.2:
                events += b"\x10" + bytes([0xB0 | channel, 64, rng.choice((0, 127))])
        tracks.append(events)
    chunks = b"".join(_chunk(track + b"\0\xff\x2f\0") for track in tracks)
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), 96) + chunks


def _chunk(track: bytes) -> bytes:
    return b"MTrk" + struct.pack(">I", len(track)) + track


def _whole(data: bytes) -> bytes:
    """Correct the number of tracks and their lengths; what is broken inside the tracks stays broken."""
    head, *tracks = data.split(b"MTrk")
    head = (head + bytes(14))[:14]
    chunks = b"".join(_chunk(track[4:]) for track in tracks)
    return b"MThd" + struct.pack(">I", 6) + head[8:10] + struct.pack(">H", len(tracks)) + head[12:14] + chunks


def _place(rng: random.Random, data: bytes) -> int:
    return rng.randrange(len(data)) if data else 0


def _set_byte(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    place = _place(rng, data)
    return data[:place] + bytes([rng.choice(_BYTES)]) + data[place + 1 :]


def _flip_bit(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    place = _place(rng, data)
    return data[:place] + bytes(value ^ 1 << rng.randrange(8) for value in data[place : place + 1]) + data[place + 1 :]


def _cut(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    return data[: _place(rng, data)]


def _drop(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    place = _place(rng, data)
    return data[:place] + data[place + rng.randint(1, 20) :]


def _repeat(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    place, length = _place(rng, data), rng.randint(1, 60)
    return data[:place] + data[place : place + length] * rng.choice((2, 3, 50)) + data[place + length :]


def _borrow(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _midi_header(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    words = [rng.choice((0, 1, 2, 6, 24, 96, 480, 0x7FFF, 0x8000, 0xE250, 0xFFFF)) for _ in range(3)]
    start = rng.choice((8, 10, 12))
    return data[:start] + struct.pack(">H", words[0]) + data[start + 2 :]


def _midi_data(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    """Change a byte below 128 to another one: a pitch, a velocity, a time, a length."""
    place = 14 + _place(rng, data[14:])
    if place >= len(data) or data[place] > 127:
        return data
    return data[:place] + bytes([rng.choice((0, 1, 12, 60, 127, rng.randrange(128)))]) + data[place + 1 :]


def _midi_event(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    """Drop an event, put it elsewhere, or put a nasty one in front of it; `_whole` corrects the track's length."""
    start = data.rfind(b"MTrk", 0, _place(rng, data) + 4)
    events = list(track_events(data, start + 8, len(data))) if start >= 0 else []
    if not events:
        return data
    first, *_, last = rng.choice(events)
    place = rng.choice(events)[0]
    deed = rng.randrange(4)
    if deed == 0:
        return data[:first] + data[last:]
    new = data[first:last] if deed == 1 else rng.choice(_MIDI_EVENTS)
    return data[:place] + new + data[place:]


def _xml_number(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    return _replace(rng, data, _XML_NUMBER, rng.choice(_NUMBERS))


def _xml_value(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    return _replace(rng, data, _XML_VALUE, f">{rng.choice(_TEXTS + _NUMBERS)}<")


def _xml_attribute(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    return _replace(
        rng, data, _XML_ATTRIBUTE, rng.choice(('x="y"', 'number="2"', 'type="start"', 'type="stop"', 'id="P2"'))
    )


def _xml_tag(rng: random.Random, data: bytes, other: bytes) -> bytes:
    tags = _XML_TAG.findall(other)
    return _replace(rng, data, _XML_TAG, rng.choice(tags).decode("utf-8", "replace")) if tags else data


def _xml_line(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Drop, repeat or move an element that has a line to itself, or borrow one."""
    mine, theirs = data.splitlines(keepends=True), [m.group() for m in _XML_ELEMENT.finditer(other)]
    places = [place for place, line in enumerate(mine) if _XML_ELEMENT.fullmatch(line)]
    if not places or not theirs:
        return data
    place = rng.choice(places)
    deed = rng.randrange(4)
    if deed == 0:
        del mine[place]
    elif deed == 1:
        mine.insert(place, mine[place] * rng.choice((1, 2, 30)))
    elif deed == 2:
        mine.insert(rng.choice(places[:-1] or places), mine.pop(place))
    else:
        mine.insert(place, rng.choice(theirs))
    return b"".join(mine)


def _abc_symbol(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    place = _place(rng, data)
    return data[:place] + rng.choice(_ABC_SYMBOLS).encode() + data[place:]


def _abc_number(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    return _replace(rng, data, _ABC_NUMBER, rng.choice(_NUMBERS))


def _abc_line(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Drop, repeat or move a line, or borrow one."""
    mine, theirs = data.splitlines(keepends=True), other.splitlines(keepends=True)
    if not mine or not theirs:
        return data
    place = rng.randrange(len(mine))
    deed = rng.randrange(4)
    if deed == 0:
        del mine[place]
    elif deed == 1:
        mine.insert(place, mine[place] * rng.choice((1, 2, 30)))
    elif deed == 2:
        mine.insert(rng.randrange(len(mine)), mine.pop(place))
    else:
        mine.insert(place, rng.choice(theirs))
    return b"".join(mine)


def _replace(rng: random.Random, data: bytes, pattern: re.Pattern[bytes], text: str) -> bytes:
    found = list(pattern.finditer(data))
    if not found:
        return data
    match = rng.choice(found)
    return data[: match.start()] + text.encode() + data[match.end() :]


def _zipped(rng: random.Random, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if rng.random() < 0.5:
            inner = rng.choice(("score.xml", "lost.xml", "../score.xml"))
            archive.writestr("META-INF/container.xml", f'<container><rootfile full-path="{inner}"/></container>')
        archive.writestr("score.xml", data)
    packed = buffer.getvalue()
    return _set_byte(rng, packed, b"") if rng.random() < 0.5 else packed


_GENERAL: tuple[Mutation, ...] = (_set_byte, _flip_bit, _cut, _drop, _repeat, _borrow)
_GENTLE_MIDI: tuple[Mutation, ...] = (_midi_event, _midi_event, _midi_data)
_MIDI: tuple[Mutation, ...] = (*_GENERAL, _midi_header)
_GENTLE_XML: tuple[Mutation, ...] = (
    _xml_number,
    _xml_number,
    _xml_value,
    _xml_attribute,
    _xml_line,
    _xml_line,
    _xml_line,
)
_XML: tuple[Mutation, ...] = (*_GENERAL, _xml_tag)
_GENTLE_ABC: tuple[Mutation, ...] = (_abc_symbol, _abc_symbol, _abc_symbol, _abc_number, _abc_line)
