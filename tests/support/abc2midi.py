"""Debian's `abc2midi` as a second reader of ABC.

It plays ornaments and short staccato notes and changes the length of notes under a fermata, so the text that it gets
has none of them: the notes alone are compared.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from symusic.core import ScoreTick

COMMAND = shutil.which("abc2midi")
_OPTIONS = ("-NGUI", "-NGRA", "-NFER", "-NCOM", "-quiet")
_ASIDE = re.compile(r'"[^"\n]*"|![^!\n|]{1,20}!')
_ORNAMENT = re.compile(r"(\[[A-Za-z]:[^\]]*\])|\.(?!\|)|[~THLMPSOuvRk]")
_REPEAT = re.compile(r"\|[\]|]*\s*\[?[1-9](?!/)|:*\|+:*\]?[1-9]?|::+|\[[1-9]")

PlayedNote = tuple[int, int, int]
"""Onset, pitch and length; times in 48ths of a quarter."""


def plain(text: str, *, with_repeats: bool = True) -> str:
    """Return a tune without ornaments, annotations and fields that change how it is played, or without repeats."""
    lines = []
    for line in text.split("\n"):
        is_field = re.match(r"[A-Za-z]:|%", line) is not None
        if is_field and not line.startswith("R:") and (with_repeats or not line.startswith("P:")):
            lines.append(line)
        elif not is_field:
            music = _ORNAMENT.sub(lambda match: match[1] or "", _ASIDE.sub("", line))
            lines.append(music if with_repeats else _REPEAT.sub("|", music.replace("[|]", "|")))
        if line.startswith("K:") and "%%MIDI chordattack 0" not in lines:
            lines.append("%%MIDI chordattack 0")
    return "\n".join(lines)


def play(text: str, folder: Path) -> list[list[PlayedNote]]:
    """Return the notes of each voice with notes; none if abc2midi makes no file."""
    assert COMMAND is not None, "abc2midi is installed"
    source, target = folder / "tune.abc", folder / "tune.mid"
    target.unlink(missing_ok=True)
    source.write_text(text, encoding="latin-1", errors="replace")
    subprocess.run([COMMAND, str(source), "-o", str(target), *_OPTIONS], capture_output=True, timeout=30, check=False)
    if not target.exists():
        return []
    return played(ScoreTick.from_midi(target.read_bytes()))


def played(score: ScoreTick) -> list[list[PlayedNote]]:
    """Return the notes of each track with notes, in 48ths of a quarter."""
    unit = score.ticks_per_quarter
    return [
        sorted((round(48 * n.time / unit), n.pitch, round(48 * (n.duration + 1) / unit)) for n in track.notes)
        for track in score.tracks
        if track.notes
    ]


def are_equal(first: Sequence[Sequence[PlayedNote]], second: Sequence[Sequence[PlayedNote]]) -> bool:
    """Return True if two readings have the same notes; times may differ by a 48th, because abc2midi rounds."""
    return len(first) == len(second) and all(
        len(own) == len(other)
        and all(
            a[1] == b[1] and abs(a[0] - b[0]) <= 1 and abs(a[2] - b[2]) <= 1 for a, b in zip(own, other, strict=True)
        )
        for own, other in zip(first, second, strict=True)
    )
