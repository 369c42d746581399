"""Slurs that overlap, and those between the two staves of a part, in sheet music that is read again."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from musicxml_scores import START, note, notes, read, rest

from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import ReadResult
from descant_tokenizers.scores.reading import parse_score

BACK = "<backup><duration>16</duration></backup>"
TEMPO = (
    "<direction placement='above'><direction-type><words>Andante</words></direction-type><direction-type><metronome>"
    "<beat-unit>quarter</beat-unit><per-minute>66</per-minute></metronome></direction-type><sound tempo='66'/>"
    "</direction>"
)


def slur(kind: str, number: int = 1) -> str:
    return f"<notations><slur type='{kind}' number='{number}'/></notations>"


def on(staff: int, more: str = "") -> str:
    return f"<voice>{4 * staff - 3}</voice><staff>{staff}</staff>{more}"


def written(result: ReadResult) -> tuple[str, list[str]]:
    look = Rendering(result.score, marks=result.marks, form=result.form, arrangement="open")
    return look.musicxml, look.remarks


def reread(text: str) -> ReadResult:
    return parse_score(Path("again.musicxml"), text.encode(), marks=True)


def test_a_long_slur_over_many_short_ones_comes_back() -> None:
    short = "".join(note("D", 1, slur("start", 2)) + note("E", 1, slur("stop", 2)) for _ in range(8))
    result = read([START + note("C", 16, slur("start")), short, short, note("C", 16, slur("stop"))])
    assert len(result.marks.slurs) == 17
    text, _ = written(result)
    again = reread(text)
    assert set(again.marks.slurs) == set(result.marks.slurs)
    assert again.repairs == []
    assert set(re.findall(r'<slur [^>]*number="(\d+)"', text)) == {"1", "2"}


def test_slurs_that_touch_and_cross_come_back() -> None:
    first = START + note("C", 4, slur("start")) + note("D", 4, slur("start", 2))
    first += note("E", 4, slur("stop") + slur("start", 3)) + note("F", 4, slur("stop", 2))
    result = read([first, note("G", 8, slur("stop", 3) + slur("start")) + note("A", 8, slur("stop"))])
    assert len(result.marks.slurs) == 4
    assert set(reread(written(result)[0]).marks.slurs) == set(result.marks.slurs)


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        (("start", ""), ("", "stop")),  # down, in a measure
        (("", "stop"), ("start", "")),  # up: the end is written first
        (("start", "stop"), ("start", "stop")),
        (("stop", ""), ("start", "")),  # at once
    ],
)
def test_slurs_between_the_staves_of_a_part_come_back(upper: tuple[str, str], lower: tuple[str, str]) -> None:
    def staff(number: int, ends: tuple[str, str], octave: int) -> str:
        one, two = (slur(end, number if all(ends) else 1) if end else "" for end in ends)
        return note("C", 8, on(number, one), octave=octave) + note("E", 8, on(number, two), octave=octave)

    result = read([START + staff(1, upper, 5) + BACK + staff(2, lower, 3)])
    assert result.marks.pairs == ((0, 1),)
    text, remarks = written(result)
    again = reread(text)
    assert (set(again.marks.slurs), notes(again)) == (set(result.marks.slurs), notes(result))
    assert len(again.marks.slurs) == (2 if all(upper) else 1)
    assert remarks == again.repairs == []


def test_slurs_between_staves_over_a_bar_line_come_back() -> None:
    first = START + note("C", 16, on(1, slur("start"))) + BACK + note("C", 16, on(2, slur("start", 2)), octave=3)
    second = note("D", 16, on(1, slur("stop", 2))) + BACK + note("D", 16, on(2, slur("stop")), octave=3)
    result = read([first, second])
    pairs = {(begin[0], end[0]) for begin, end in result.marks.slurs}
    assert pairs == {(0, 1), (1, 0)}
    assert set(reread(written(result)[0]).marks.slurs) == set(result.marks.slurs)


def test_the_staves_of_a_piano_are_one_part_with_its_tempo() -> None:
    song = [START + TEMPO + note("G", 16)]
    piano = [
        START + TEMPO + note("C", 16, on(1)) + BACK + note("C", 8, on(2), octave=3) + note("G", 8, on(2), octave=2)
    ]
    for parts, tempos in (([piano], 1), ([song, piano], 1)):
        result = read(*parts)
        text, _ = written(result)
        assert text.count("<score-part ") == len(parts)
        assert text.count("<staves>2</staves>") == 1
        assert text.count("<metronome") == text.count("Andante") == tempos
        assert re.search(r"Andante\s*</words>\s*</direction-type>\s*<direction-type>\s*<metronome", text)
        again = reread(text)
        assert (notes(again), again.marks.words) == (notes(result), result.marks.words)


def test_grace_notes_before_a_bar_line_go_to_another_voice_if_their_own_rests() -> None:
    grace = f"<note><grace/><pitch><step>B</step><octave>4</octave></pitch><voice>2</voice>{slur('start')}</note>"
    first = START + note("C", 16, "<voice>1</voice>") + BACK + note("E", 16, "<voice>2</voice>", octave=4) + grace
    result = read([first, note("D", 16, "<voice>1</voice>" + slur("stop")) + BACK + rest(16), note("F", 16)])
    place = (0, Fraction(4), 74)
    assert [(where, [each.pitches for each in own]) for where, own in result.marks.graces.items()] == [(place, [(71,)])]
    assert result.marks.slurs == (((*place, 0), place),)
    assert result.repairs == []
    assert reread(written(result)[0]).marks.slurs == result.marks.slurs
