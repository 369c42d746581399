"""Measures that a sign says again, and measures without meter, in MusicXML."""

from __future__ import annotations

from pathlib import Path

import pytest

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits, bars_of, read_score
from descant_tokenizers.scores.reading import parse_score

START = "<attributes><divisions>1</divisions><time>{}</time></attributes>"
FOUR = START.format("<beats>4</beats><beat-type>4</beat-type>")
REST = '<note><rest measure="yes"/><duration>4</duration></note>'


def notes(steps: str) -> str:
    return "".join(
        f"<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>1</duration></note>" for step in steps
    )


def sign(kind: str, size: int | str = 1) -> str:
    repeat = f'<measure-repeat type="{kind}">{size}</measure-repeat>'
    return f"<attributes><measure-style>{repeat}</measure-style></attributes>"


def xml(*measures: str) -> bytes:
    body = "".join(f'<measure number="{number}">{own}</measure>' for number, own in enumerate(measures, 1))
    head = '<part-list><score-part id="P"><part-name>Part</part-name></score-part></part-list>'
    return f'<score-partwise>{head}<part id="P">{body}</part></score-partwise>'.encode()


def played(*measures: str) -> dict[int, str]:
    """The notes of each quarter."""
    (track,) = parse_score(Path("made.xml"), xml(*measures), marks=True).score.tracks
    return {note.time // 480: "C D EF G A B"[note.pitch - 60] for note in track.notes}


def test_a_repeated_measure_is_written_out_until_the_sign_ends() -> None:
    found = played(FOUR + notes("CDEF"), sign("start") + REST, REST, sign("stop") + notes("GGGG"))
    assert "".join(found.values()) == "CDEFCDEFCDEFGGGG"


def test_two_measures_are_repeated() -> None:
    found = played(FOUR + notes("CDEF"), notes("GABG"), sign("start", 2) + REST, REST, sign("stop") + REST)
    assert "".join(found.values()) == "CDEFGABGCDEFGABG"
    assert list(found) == list(range(16))


@pytest.mark.parametrize("size", [1, 2, "x", -1])
def test_a_sign_without_a_measure_before_it_says_nothing(size: int | str) -> None:
    assert "".join(played(FOUR + sign("start", size) + REST, notes("CDEF")).values()) == "CDEF"


def test_repeated_measures_count_as_notes(tmp_path: Path) -> None:
    file = tmp_path / "tune.xml"
    file.write_bytes(xml(FOUR + notes("CDEF"), sign("start") + REST, *[REST] * 50))
    with pytest.raises(InputError, match=r"tune\.xml has over 100 notes with its repeated bars"):
        read_score(file, Limits(max_notes=100))


def test_a_measure_without_meter_has_a_signature_of_its_own_length() -> None:
    free = START.format("<senza-misura/>")
    score = parse_score(Path("made.xml"), xml(free + notes("CDEFG"), notes("CDE"))).score
    assert [(bar.numerator, bar.denominator) for bar in bars_of(score)] == [(5, 4), (3, 4)]
