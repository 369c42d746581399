"""Short scores in MusicXML for tests, and their notes."""

from __future__ import annotations

from pathlib import Path

from descant_tokenizers.scores import ReadResult
from descant_tokenizers.scores.reading import parse_score

START = (
    "<attributes><divisions>4</divisions><key><fifths>0</fifths></key>"
    "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
)


def note(
    step: str = "C", length: int = 4, more: str = "", *, octave: int = 5, before: str = "", alter: str = ""
) -> str:
    """Write a note of some divisions, with elements before its pitch and after its duration."""
    changed = f"<alter>{alter}</alter>" if alter else ""
    return (
        f"<note>{before}<pitch><step>{step}</step>{changed}<octave>{octave}</octave></pitch>"
        f"<duration>{length}</duration>{more}</note>"
    )


def rest(length: int) -> str:
    """Write a rest."""
    return f"<note><rest/><duration>{length}</duration></note>"


def xml(*parts: list[str], head: str = "", listed: str = "") -> bytes:
    """Write a score of parts, each a list of the contents of its measures."""
    names = "".join(
        f'<score-part id="P{n}"><part-name>Part</part-name>{listed}</score-part>' for n in range(len(parts))
    )
    body = "".join(
        f'<part id="P{n}">' + "".join(f'<measure number="{i}">{m}</measure>' for i, m in enumerate(own, 1)) + "</part>"
        for n, own in enumerate(parts)
    )
    return f"<score-partwise>{head}<part-list>{names}</part-list>{body}</score-partwise>".encode()


def read(*parts: list[str], unfold: bool = True, **more: str) -> ReadResult:
    """Read such a score."""
    return parse_score(Path("made.xml"), xml(*parts, **more), marks=True, unfold=unfold)


def notes(result: ReadResult) -> list[list[tuple[float, float, int]]]:
    """Return onset, length and pitch of each note, in quarters, by track."""
    return [[(n.time / 480, n.duration / 480, n.pitch) for n in track.notes] for track in result.score.tracks]


def pitches(result: ReadResult) -> list[list[int]]:
    """Return the pitches by track."""
    return [[each.pitch for each in track.notes] for track in result.score.tracks]
