"""Files of one megabyte that repeat one construct of a format: what takes more than linear time shows in them.

Each family is a head, a unit that is repeated until the size is reached, and a tail. In a unit, `@` is the number of
the repetition; in MIDI, the unit is one event with its delta time, or a whole track.
"""

from __future__ import annotations

from dataclasses import dataclass

from families_abc import abc_families
from families_humdrum import humdrum_families
from families_midi import midi_families
from families_musicxml import musicxml_families

SIZE = 2**20
_NUMBER = "@"


@dataclass(frozen=True)
class Family:
    """Files that repeat one construct.

    Attributes:
        suffix: Suffix of the file name.
        head: What stands before the repetitions.
        unit: What is repeated.
        tail: What stands behind them.
        num_max: Most repetitions, for constructs that a limit forbids beyond it.
    """

    suffix: str
    head: str
    unit: str
    tail: str = ""
    num_max: int = 10**9

    def make(self, size: int = SIZE) -> bytes:
        """Return a file of about `size` bytes."""
        count = min(self.num_max, max(1, (size - len(self.head) - len(self.tail)) // len(self.unit)))
        if _NUMBER in self.unit and self.suffix != ".mid":  # where it is a byte
            pieces = self.unit.split(_NUMBER)
            body = "".join(str(index).join(pieces) for index in range(count))[: size - len(self.head)]
            body = body[: body.rfind(pieces[-1]) + len(pieces[-1])] if pieces[-1] else body
        else:
            body = self.unit * count
        if self.suffix == ".mid":
            return _midi(body.encode("latin-1"), is_track=self.unit.startswith("MTrk"))
        return (self.head + body + self.tail).encode()


def _midi(body: bytes, *, is_track: bool) -> bytes:
    note, end = b"\0\x90\x3c\x50\x60\x80\x3c\0", b"\0\xff\x2f\0"
    if is_track:
        return b"MThd\0\0\0\6\0\1%b\0\x60" % min(body.count(b"MTrk"), 65_535).to_bytes(2, "big") + body
    track = note + body + note + end
    return b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk" + len(track).to_bytes(4, "big") + track


FAMILIES = {
    **{f"midi-{name}": Family(".mid", "", unit) for name, unit in midi_families().items()},
    **{f"musicxml-{name}": Family(".musicxml", *parts) for name, parts in musicxml_families().items()},
    **{f"abc-{name}": Family(".abc", *parts) for name, parts in abc_families().items()},
    **{f"humdrum-{name}": Family(".krn", *parts) for name, parts in humdrum_families().items()},
}
"""All families by name."""
