"""MusicXML: titles and authors, closed scores, staves that share ties, measures of rests."""

from __future__ import annotations

from pathlib import Path

import pytest
from musicxml_scores import START, note, notes, pitches, read, rest, xml

from descant_tokenizers.scores.reading import parse_score


def test_titles_and_authors() -> None:
    head = (
        "<work><work-title>A Song.mscz</work-title></work><identification><creator type='composer'>Ada</creator>"
        "<creator type='lyricist'>Bob</creator><rights>CC0</rights></identification>"
    )
    result = read([START + note("C", 16)], head=head)
    assert (result.marks.title, result.marks.composer, result.marks.lyricist) == ("A Song", "Ada", "Bob")
    assert (result.metadata.title, result.metadata.composer, result.metadata.rights) == ("A Song", "Ada", "CC0")
    on_page = "<credit page='1'><credit-type>title</credit-type><credit-words>From the Page</credit-words></credit>"
    names = (
        "<movement-title>Music21 Fragment</movement-title>"
        "<identification><creator type='composer'>Music21</creator></identification>"
    )
    result = read([START + note("C", 16)], head=names + on_page)
    assert (result.marks.title, result.marks.composer) == ("From the Page", "")
    filled_in = (
        "<movement-title>Untitled score</movement-title>"
        "<identification><creator type='composer'>Composer / arranger</creator></identification>"
    )
    marks = read([START + note("C", 16)], head=filled_in).marks
    assert (marks.title, marks.composer) == ("", "")
    path = "<movement-title>C:\\songs\\A Song.xml</movement-title>"
    assert read([START + note("C", 16)], head=path).marks.title == "A Song"


def test_the_title_names_the_work_and_the_movement() -> None:
    work = "<work><work-title>6 Lieder, Op. 10</work-title></work>"
    both = read([START + note("C", 16)], head=work + "<movement-title>Scheideblick</movement-title>")
    assert both.marks.title == both.metadata.title == "6 Lieder, Op. 10: Scheideblick"
    same = read([START + note("C", 16)], head=work + "<movement-title>6 Lieder, Op. 10</movement-title>")
    assert same.marks.title == "6 Lieder, Op. 10"


def test_texts_on_the_page_without_types_are_told_by_their_places() -> None:
    def credit(text: str, place: str, size: int, page: int = 1) -> str:
        words = f"<credit-words justify='{place}' font-size='{size}'>{text}</credit-words>"
        return f"<credit page='{page}'>{words}</credit>"

    texts = [
        *(credit("for three voices", "center", 12), credit("Evening Song", "center", 24), credit("Ada", "right", 10)),
        *(credit("\u00a9 1999", "right", 12), credit("Part Two", "center", 30, page=2), credit("5", "left", 40)),
    ]
    marks = read([START + note("C", 16)], head="".join(texts)).marks
    assert (marks.title, marks.composer) == ("Evening Song", "Ada")


def test_a_part_without_a_name_has_the_one_that_is_shown() -> None:
    shown = "<part-name/><part-name-display><display-text>Sopran</display-text></part-name-display>"
    data = xml([START + note("C", 16)]).decode().replace("<part-name>Part</part-name>", shown)
    assert [track.name for track in parse_score(Path("made.xml"), data.encode()).score.tracks] == ["Sopran"]


@pytest.mark.parametrize("name", ["SA", "Soprano / Alto", "S. A.", "Sopran und Alt"])
def test_a_part_named_after_two_voices_becomes_them(name: str) -> None:
    voices = "".join(note(step, 4, "<voice>1</voice>") for step in "CDEF")
    voices += "<backup><duration>16</duration></backup>"
    voices += "".join(note(step, 4, "<voice>2</voice>", octave=4) for step in "GABA")
    names = ("<part-name>Part</part-name>", f"<part-name>{name}</part-name>")
    data = xml([START + voices], [START + note("C", 16, octave=3)]).decode().replace(*names, 1)
    result = parse_score(Path("made.xml"), data.encode(), marks=True)
    assert [track.name for track in result.score.tracks] == ["Soprano", "Alto", "Part"]
    assert pitches(result) == [[72, 74, 76, 77], [67, 69, 71, 69], [48]]


def voice(number: int, steps: str, octave: int, staff: int = 1) -> str:
    more = f"<voice>{number}</voice><type>quarter</type><staff>{staff}</staff>"
    return "".join(note(step, 4, more, octave=octave) for step in steps)


BACK = "<backup><duration>16</duration></backup>"
HYMN = voice(1, "EDCD", 5) + BACK + voice(2, "GGGG", 4) + BACK + voice(5, "CBGB", 3, 2) + BACK + voice(6, "CGEG", 2, 2)
FOUR_VOICES = [[76, 74, 72, 74], [67] * 4, [48, 59, 55, 59], [36, 43, 40, 43]]


def test_a_closed_score_is_four_voices_by_voice() -> None:
    result = read([START + HYMN])
    assert [track.name for track in result.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert pitches(result) == FOUR_VOICES


def test_a_closed_score_of_two_parts_is_four_voices() -> None:
    upper = voice(1, "EDCD", 5) + BACK + voice(2, "GGGG", 4)
    lower = voice(1, "CBGB", 3) + BACK + voice(2, "CGEG", 2)
    assert pitches(read([START + upper], [START + lower])) == FOUR_VOICES


def chords(low: str, high: str, octaves: tuple[int, int], staff: int) -> str:
    more = f"<voice>{staff}</voice><staff>{staff}</staff>"
    return "".join(
        note(below, 4, more, octave=octaves[0])
        + (note(above, 4, more, octave=octaves[1], before="<chord/>") if above != "-" else "")
        for below, above in zip(low, high, strict=True)
    )


def test_a_closed_score_is_four_voices_by_pitch() -> None:
    """Two notes on a stem, and a unison where a stem has one."""
    upper = chords("GGGG", "EDC-", (4, 5), 1)
    lower = chords("CGEG", "CBGB", (2, 3), 2)
    sung = upper.replace("</note>", "<lyric><text>la</text></lyric></note>", 1)  # at the lower note of the chord
    result = read([START + sung + BACK + lower, START + upper + BACK + lower])
    assert [(place, lyric.text) for place, (lyric,) in result.marks.lyrics.items()] == [((0, 0, 76), "la")]
    assert pitches(result)[0] == [76, 74, 72, 67] * 2
    assert pitches(result)[1] == [67] * 8
    assert [track.name for track in result.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]


@pytest.mark.parametrize(
    "names", [("Soprano, Alto", "Tenor, Bass"), ("S/A", "T/B"), ("SA", "TB"), ("Sopran Alt", "Tenor Bass")]
)
def test_names_tell_a_closed_score_beside_other_parts(names: tuple[str, str]) -> None:
    upper = voice(1, "ED", 5) + rest(8) + BACK + voice(2, "GGGG", 4)
    lower = voice(1, "CB", 3) + BACK + voice(2, "CG", 2)
    text = xml([START + upper], [START + lower], [START + voice(1, "CCCC", 4)]).decode()
    for name in names:
        text = text.replace("<part-name>Part<", f"<part-name>{name}<", 1)
    result = parse_score(Path("made.xml"), text.encode())
    assert [track.name for track in result.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass", "Part"]
    assert pitches(result)[:2] == [[76, 74], [67] * 4]


def test_a_piano_is_no_closed_score() -> None:
    melody = voice(1, "EDCD", 5)
    left = chords("CGEG", "CBGB", (2, 3), 2)
    assert len(read([START + melody + BACK + left] * 2).score.tracks) == 2


def test_a_tie_to_the_other_staff_makes_one_note() -> None:
    first = note("C", 16, "<voice>1</voice><staff>1</staff>").replace("<duration>", "<tie type='start'/><duration>")
    left = note("C", 16, "<voice>2</voice><staff>2</staff>", octave=3)
    last = note("C", 16, "<voice>1</voice><staff>2</staff>").replace("<duration>", "<tie type='stop'/><duration>")
    assert notes(read([START + first + BACK + left, last])) == [[(0, 8, 72)], [(0, 4, 48)]]


def test_a_rest_of_a_measure_is_not_longer_than_it() -> None:
    start = START.replace("<beats>4", "<beats>3")
    whole = "<note><rest measure='yes'/><duration>16</duration></note>"
    assert notes(read([start + whole, note("C", 12)])) == [[(3, 3, 72)]]
