"""Short tunes in ABC for tests, and their notes."""

from __future__ import annotations

import random
from pathlib import Path

from descant_tokenizers.scores import ReadResult
from descant_tokenizers.scores.reading import parse_score

HEAD = "X:1\nT:Test\nM:4/4\nL:1/4\nK:C\n"


def read(body: str, head: str = HEAD, *, unfold: bool = True, tune: int | None = None) -> ReadResult:
    """Read music under a header; the fields of `head` may be anything."""
    return parse_score(Path("made.abc"), (head + body + "\n").encode(), marks=True, unfold=unfold, tune=tune)


def pitches(body: str, head: str = HEAD) -> list[int]:
    """MIDI pitches of the first track, in order of time."""
    return [note.pitch for note in read(body, head).score.tracks[0].notes]


def notes(body: str, head: str = HEAD) -> list[tuple[float, float, int]]:
    """Onset and length in quarters, and pitch, of the notes of the first track."""
    return notes_of(read(body, head))[0]


def notes_of(result: ReadResult) -> list[list[tuple[float, float, int]]]:
    """The same of every track."""
    return [[(n.time / 480, n.duration / 480, n.pitch) for n in track.notes] for track in result.score.tracks]


def lengths(body: str, head: str = HEAD) -> list[float]:
    """Lengths of the notes of the first track, in quarters."""
    return [length for _, length, _ in notes(body, head)]


def random_form(seed: int) -> str:
    """Music of whole notes between bar lines, repeats and endings in any order, as tunes by amateurs have them."""
    rng = random.Random(seed)
    lines = ("|", "|", "|", ":|", "|:", "::", "||", "|]", "|1", "|2", ":|2", "[1", "[2", ":|1", "|3", "|1,3", "| [1")
    jumps = ("!fine!", "!D.C.!", "!D.C.alfine!", "!segno!", "!D.S.!", "!coda!")
    body = "|:" if rng.random() < 0.3 else ""
    for note in "CDEFGABc"[: rng.randint(3, 8)]:
        jump = rng.choice(jumps) if rng.random() < 0.05 else ""
        body += f"{jump}{note}4 {rng.choice(lines)}"
    return body
