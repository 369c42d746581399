"""MusicXML by its elements: voices, ties, transposition, cues, grace notes, words, keys, tempos, repeats."""

from __future__ import annotations

import io
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest
from musicxml_scores import START, note, notes, pitches, read, xml

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits, bars_of, read_score_report
from descant_tokenizers.scores.reading import parse_score

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"


def test_voices_of_a_staff_sound_together_and_chords_at_once() -> None:
    chord = note("E", 4, before="<chord/>")
    backup = "<backup><duration>8</duration></backup>"
    result = read([START + note("C") + chord + note("D") + backup + note("G", 8, octave=4) + note("C", 8)])
    assert notes(result) == [[(0, 2, 67), (0, 1, 72), (0, 1, 76), (1, 1, 74), (2, 2, 72)]]


def test_ties_of_unisons_stay_in_their_voices() -> None:
    """Two voices at one pitch: each goes on with its own tie, and a held note outlasts a shorter one beside it."""
    start, stop = ("<tie type='start'/>", "<tie type='stop'/>")
    first, second = ("<voice>1</voice>", "<voice>2</voice>")
    back = "<backup><duration>16</duration></backup>"
    upper = note("C", 8, start + first) + note("C", 8, stop + first)
    both = START + upper + back + note("C", 8, start + second) + note("C", 4, stop + second) + note("D", 4, second)
    assert notes(read([both])) == [[(0, 4, 72), (3, 1, 74)]]
    shorter = START + upper + back + note("C", 4, second) + note("D", 12, second)
    assert notes(read([shorter])) == [[(0, 4, 72), (1, 3, 74)]]
    struck = START + note("C", 16, first) + back + note("D", 4, second) + note("C", 4, second) + note("E", 8, second)
    assert notes(read([struck])) == [[(0, 1, 72), (0, 1, 74), (1, 3, 72), (2, 2, 76)]]


def test_the_staves_of_a_part_are_tracks() -> None:
    backup = "<backup><duration>16</duration></backup>"
    left = note("C", 16, "<staff>2</staff>", octave=3)
    result = read([START + note("C", 16, "<staff>1</staff>") + backup + left])
    assert notes(result) == [[(0, 4, 72)], [(0, 4, 48)]]


def test_a_forward_is_silence() -> None:
    assert notes(read([START + "<forward><duration>8</duration></forward>" + note("C", 8)])) == [[(2, 2, 72)]]


def test_parts_begin_each_measure_together() -> None:
    """One part has too few notes in the first measure, another one too many in the second."""
    full, short, long = note("C", 16), note("C", 8), note("C", 24)
    result = read([START + full, full, full], [START + short, long, full])
    assert notes(result)[0] == [(0, 4, 72), (4, 4, 72), (8, 4, 72)]
    assert [onset for onset, _, _ in notes(result)[1]] == [0, 4, 8]
    assert [bar.length_ticks for bar in bars_of(result.score)] == [1920] * 3


def test_rounded_tuplets_do_not_lengthen_a_measure() -> None:
    start = START.replace("<divisions>4", "<divisions>10")
    triplets = "".join(note("C", 3) for _ in range(12)) + note("C", 4) + note("C", 1)
    result = read([start + triplets, note("D", 40)])
    assert [bar.length_ticks for bar in bars_of(result.score)] == [1920, 1920]


@pytest.mark.parametrize(
    ("actual", "normal", "value", "length"), [(7, 4, "16th", 69), (7, 4, "32nd", 34), (3, 2, "eighth", 160)]
)
@pytest.mark.parametrize("backup", [0, 1])
def test_tuplets_have_the_lengths_of_their_values(
    actual: int, normal: int, value: str, length: int, backup: int
) -> None:
    """Durations are rounded to the divisions of the file: seven 16ths of 69 last more than a quarter of 480."""
    tuplet = (
        f"<type>{value}</type><time-modification><actual-notes>{actual}</actual-notes>"
        f"<normal-notes>{normal}</normal-notes></time-modification>"
    )
    total = (length * actual + 30) // 60 * 60
    start = START.replace("<divisions>4", "<divisions>480")
    back = f"<backup><duration>{(total if backup else actual * length) + 480}</duration></backup>"
    lower = note("C", 1920, "<voice>2</voice>", octave=4)
    result = read([start + note("C", length, tuplet) * actual + note("D", 480) + back + lower])
    upper = [(each.time, each.pitch) for each in result.score.tracks[0].notes if each.pitch > 60]
    expected = [(round(Fraction(total * index, actual)), 72) for index in range(actual)]
    assert upper == [*expected, (total, 74)]
    assert [each.time for each in result.score.tracks[0].notes if each.pitch == 60] == [0]


def test_transposing_instruments_sound_at_pitch_in_their_key() -> None:
    transpose = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose></attributes>"
    start = START.replace("</attributes>", transpose).replace("<fifths>0", "<fifths>2")
    result = read([start + note("D", 16)])
    assert notes(result) == [[(0, 4, 72)]]
    assert [event.key for event in result.score.key_signatures] == [0]
    octave = START.replace(
        "</attributes>", "<transpose><chromatic>0</chromatic><octave-change>-1</octave-change></transpose></attributes>"
    )
    assert pitches(read([octave + note("D", 16)])) == [[62]]


def test_cue_notes_and_percussion_are_silent_and_counted() -> None:
    cue = note("C", 8, before="<cue/>")
    unpitched = "<unpitched><display-step>E</display-step><display-octave>4</display-octave></unpitched>"
    drum = f"<note>{unpitched}<duration>4</duration></note>"
    result = read([START + cue + note("D", 4) + drum])
    assert notes(result) == [[(2, 1, 74)]]
    assert result.repairs == ["dropped: 1 cue note, 1 note of percussion"]


def test_microtones_are_rounded_and_counted() -> None:
    result = read([START + note("E", 8, alter="-0.5") + note("E", 8, alter="-1")])
    assert pitches(result) == [[76, 75]]
    assert result.repairs == ["1 microtone rounded to a semitone"]


def test_grace_notes_stand_before_their_note() -> None:
    grace = '<note><grace slash="yes"/><pitch><step>B</step><octave>4</octave></pitch><type>16th</type></note>'
    chord = "<note><grace/><chord/><pitch><step>D</step><octave>5</octave></pitch><type>16th</type></note>"
    result = read([START + note("C", 8) + grace + chord + note("E", 8)])
    ((place, graces),) = result.marks.graces.items()
    assert place == (0, 2, 76)
    assert [(each.pitches, each.length, each.has_slash) for each in graces] == [((71, 74), Fraction(1, 4), True)]
    lost = read([START + note("C", 16) + grace])
    assert lost.repairs == ["dropped: 1 grace note without a note"]


def test_grace_notes_have_slurs_fermatas_articulations_and_spellings() -> None:
    def grace(more: str) -> str:
        pitch = "<pitch><step>B</step><alter>-1</alter><octave>4</octave></pitch>"
        return f"<note><grace/>{pitch}<type>eighth</type><notations>{more}</notations></note>"

    begin, end = "<slur type='start' number='1'/>", "<slur type='stop' number='1'/>"
    first = note("C", 8, f"<notations>{begin}</notations>")
    second = grace(f"{end}<fermata/><articulations><staccato/></articulations>")
    result = read([START + first + second + grace(begin) + note("E", 8, f"<notations>{end}</notations>")])
    assert result.repairs == []
    (graces,) = result.marks.graces.values()
    assert [(each.has_fermata, each.symbols, each.spellings) for each in graces] == [
        (True, ("staccato",), (("B", -1),)),
        (False, (), (("B", -1),)),
    ]
    assert result.marks.slurs == (((0, 0, 72), (0, 2, 76, 0)), ((0, 2, 76, 1), (0, 2, 76)))


def test_what_grace_notes_and_noteheads_lose_is_named() -> None:
    more = '<tie type="start"/><lyric><text>a</text></lyric>'
    tied = f"<note><grace/><pitch><step>C</step><octave>5</octave></pitch>{more}</note>"
    result = read([START + tied + note("C", 16, "<notehead>x</notehead>")])
    assert result.repairs == [
        "dropped: 1 tie of a grace note, 1 syllable under a grace note, 1 other mark (notehead x)"
    ]


def test_words_slurs_melismas_and_fermatas() -> None:
    first = (
        "<notations><slur type='start'/></notations><lyric><syllabic>begin</syllabic><text>Glo</text><extend/></lyric>"
    )
    elision = "<lyric number='2'><text>in</text><elision> </elision><text>ex</text></lyric>"
    last = f"<notations><slur type='stop'/><fermata/></notations>{elision}"
    marks = read([START + note("C", 4, first) + note("D") + note("E", 8, last)]).marks
    ((_, (glo,)), (_, (elided,))) = marks.lyrics.items()
    assert (glo.text, glo.syllabic, glo.verse, glo.is_extended) == ("Glo", "begin", 1, True)
    assert (elided.text, elided.verse) == ("in\u203fex", 2)
    assert marks.slurs == (((0, 0, 72), (0, 2, 76)),)
    assert marks.fermatas == {(2, 76): 4}


def test_marks_go_to_the_note_that_a_tie_continues() -> None:
    start = "<tie type='start'/><notations><slur type='start'/></notations>"
    stop = "<tie type='stop'/><notations><slur type='stop'/></notations>"
    on = "<tie type='stop'/><tie type='start'/>"
    result = read([START + note("D", 12) + note("C", 4, start), note("C", 16, on), note("C", 4, stop) + note("D", 12)])
    assert notes(result) == [[(0, 3, 74), (3, 6, 72), (9, 3, 74)]]
    assert result.marks.slurs == (((0, 3, 72), (0, 3, 72)),)
    one = "<notations><slur type='start' number='1'/><slur type='stop' number='1'/></notations>"
    assert read([START + note("C", 16, one)]).repairs == ["dropped: 1 slur without a beginning, 1 slur without an end"]


def test_an_end_of_a_hairpin_or_slur_may_be_written_before_its_beginning() -> None:
    wedge = "<direction><direction-type><wedge type='{}' number='1'/></direction-type></direction>".format
    slur = "<notations><slur type='{}' number='1'/></notations>".format
    upper = note("C", 8) + note("D", 8, more=slur("stop")) + wedge("stop")
    lower = (
        "<backup><duration>16</duration></backup>" + wedge("diminuendo") + note("C", 16, more=slur("start"), octave=4)
    )
    marks = read([START + upper + lower]).marks
    assert [(each.onset, each.end, each.is_louder) for each in marks.hairpins] == [(0, 4, False)]
    assert marks.slurs == (((0, 0, 60), (0, 2, 74)),)


def test_a_slur_begins_at_its_earlier_note() -> None:
    slur = "<notations><slur type='{}' number='1'/></notations>".format
    upper = note("C", 8) + note("D", 8, more=slur("start"))
    lower = "<backup><duration>16</duration></backup>" + note("C", 16, more=slur("stop"), octave=4)
    assert read([START + upper + lower]).marks.slurs == (((0, 0, 60), (0, 2, 74)),)


def test_directions_are_words_of_their_kinds() -> None:
    directions = (
        "<direction><direction-type><rehearsal>A</rehearsal></direction-type></direction>"
        "<direction><direction-type><words>Andante</words></direction-type><direction-type><metronome><beat-unit>quarter"
        "</beat-unit><beat-unit-dot/><per-minute>60</per-minute></metronome></direction-type></direction>"
        "<direction placement='below'><direction-type><dynamics><mf/></dynamics></direction-type></direction>"
        "<direction><direction-type><wedge type='crescendo'/></direction-type></direction>"
        "<direction><direction-type><wedge type='stop'/></direction-type></direction>"
    )
    result = read([START + directions + note("C", 16)])
    assert [(each.text, each.kind) for each in result.marks.words] == [
        ("A", "rehearsal"),
        ("Andante", "tempo"),
        ("mf", "dynamic"),
    ]
    assert [round(event.qpm) for event in result.score.tempos] == [90]
    assert [(mark.unit, mark.per_minute) for mark in result.marks.metronomes] == [(Fraction(3, 2), 60)]
    assert result.repairs == ["dropped: 1 hairpin without an end"]


@pytest.mark.parametrize(
    ("kind", "more", "text"),
    [
        ("major", "", "Bb"),
        ("minor-seventh", "", "Bbm7"),
        ("dominant", "<bass><bass-step>D</bass-step></bass>", "Bb7/D"),
        (
            "dominant",
            "<degree><degree-value>9</degree-value><degree-alter>-1</degree-alter><degree-type>add</degree-type></degree>",
            "Bb7b9",
        ),
        ("suspended-fourth", "", "Bbsus4"),
        ("other", "", "Bb"),
    ],
)
def test_chord_symbols_are_text(kind: str, more: str, text: str) -> None:
    root = "<root><root-step>B</root-step><root-alter>-1</root-alter></root>"
    harmony = f"<harmony>{root}<kind>{kind}</kind>{more}</harmony>"
    marks = read([START + note("C", 8) + harmony + note("C", 8)]).marks
    assert [(each.onset, each.text) for each in marks.chords] == [(2, text)]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("<key-step>E</key-step><key-alter>-0.5</key-alter>", "1 key signature that is not one of sharps or flats"),
        ("<fifths/>", "1 key signature that is not one of sharps or flats"),
        ("<fifths>9</fifths>", "1 key signature of more than 7 sharps or flats"),
    ],
)
def test_odd_keys_are_dropped_and_said(key: str, said: str) -> None:
    result = read([START.replace("<fifths>0</fifths>", key) + note("C", 16)])
    assert notes(result) == [[(0, 4, 72)]]
    assert result.repairs == [f"dropped: {said}"]
    assert not result.score.key_signatures
    twice = read([START.replace("<fifths>0</fifths>", key) + note("C", 16)] * 2).repairs
    assert twice == [
        f"dropped: 2{said[1:]}".replace("signature that is", "signatures that are").replace("ture of", "tures of")
    ]


def test_keys_and_meters_of_one_part_or_staff_are_dropped_and_said() -> None:
    other = (
        START.replace("<fifths>0", "<fifths>2").replace("<beats>4", "<beats>8").replace("<beat-type>4", "<beat-type>8")
    )
    result = read([START + note("C", 16), note("C", 16)], [other + note("C", 16), note("C", 16)])
    assert result.repairs == ["dropped: 1 time signature of one part, 1 key signature of one part"]
    assert [event.key for event in result.score.key_signatures] == [0]
    assert {(bar.numerator, bar.denominator) for bar in bars_of(result.score)} == {(4, 4)}
    staves = START.replace("</key>", "</key><key number='2'><fifths>2</fifths></key>")
    assert read([staves + note("C", 16)]).repairs == ["dropped: 1 key signature of one staff"]
    flats, sharps = (START.replace("<fifths>0", f"<fifths>{number}") for number in (-6, 6))
    assert read([flats + note("C", 16)], [sharps + note("C", 16)]).repairs == []  # the same keys


def test_modes_are_kept() -> None:
    assert read([START.replace("</key>", "<mode>Dorian</mode></key>") + note("D", 16)]).marks.mode == "dorian"
    minor = read([START.replace("</key>", "<mode>minor</mode></key>") + note("D", 16)])
    assert (minor.marks.mode, minor.score.key_signatures[0].tonality) == ("", 1)


def test_additive_meters_are_added() -> None:
    start = START.replace("<beats>4</beats><beat-type>4", "<beats>3+2</beats><beat-type>8")
    result = read([start + note("C", 10), note("C", 10)])
    assert [(bar.numerator, bar.denominator) for bar in bars_of(result.score)] == [(5, 8)] * 2


def barline(content: str, location: str = "right") -> str:
    return f"<barline location='{location}'>{content}</barline>"


def sounds(kind: str, words: str = "") -> str:
    return f"<direction><direction-type><words>{words}</words></direction-type><sound {kind}/></direction>"


def bracket(numbers: str, measure: str, more: str = "") -> str:
    """A measure under the bracket of an ending."""
    start, stop = (f"<ending number='{numbers}' type='{kind}'/>" for kind in ("start", "stop"))
    return barline(start, "left") + measure + barline(stop + more)


def between_segnos(name: str, first: str, last: str) -> tuple[str, str]:
    return sounds(f'segno="{name}"') + first, last + sounds(f'dalsegno="{name}"')


REPEAT = '<repeat direction="backward"/>'
FORWARD, BACKWARD = barline('<repeat direction="forward"/>', "left"), barline(REPEAT)
LETTERS = {letter: note(letter, 16) for letter in "CDEFG"}
C, D, E, F, G = LETTERS.values()


@pytest.mark.parametrize(
    ("measures", "played"),
    [
        ([C, D + BACKWARD, E], "CDCDE"),
        ([C, FORWARD + D, E + BACKWARD], "CDEDE"),
        ([C + barline('<repeat direction="backward" times="3"/>'), D], "CCCD"),
        (
            [
                C,
                barline("<ending number='1' type='start'/>", "left")
                + D
                + barline("<ending number='1' type='stop'/><repeat direction='backward'/>"),
                barline("<ending number='2' type='start'/>", "left")
                + E
                + barline("<ending number='2' type='discontinue'/>"),
                F,
            ],
            "CDCEF",
        ),
        # What follows a last ending is a section, unless its bracket is shorter than the ending.
        ([C, bracket("1", D, REPEAT), bracket("2", E), F, G + BACKWARD, C], "CDCEFGFGC"),
        ([C, bracket("1", D), E + BACKWARD, bracket("2", F), G], "CDECFG"),
        ([C, bracket("1, 2", D), E + BACKWARD, F], "CDECDEF"),
        ([C, bracket("1", D, REPEAT), bracket("2", E), F + BACKWARD, bracket("3", G)], "CDCEFCG"),
        ([C, bracket("1", D, REPEAT), FORWARD + bracket("2", E), F + BACKWARD, G], "CDCEFEFG"),
        (
            [C, *(mark for name, *pair in (("a", D, E), ("b", F, G)) for mark in between_segnos(name, *pair))],
            "CDEDEFGFG",
        ),
        ([C + sounds('fine="yes"', "Fine"), D, E + sounds('dacapo="yes"', "D.C. al Fine")], "CDEC"),
        ([C + sounds("x='1'", "Fine"), D, E + sounds("x='1'", "D.C. al Fine")], "CDEC"),
        (
            [C, sounds('segno="s"') + D + sounds('tocoda="c"'), E + sounds('dalsegno="s"'), sounds('coda="c"') + F],
            "CDEDF",
        ),
        (
            [
                C,
                "<direction><direction-type><segno/></direction-type></direction>" + D + sounds("x='1'", "To Coda"),
                E + sounds("x='1'", "D.S. al Coda"),
                "<direction><direction-type><coda/></direction-type></direction>" + F,
            ],
            "CDEDF",
        ),
    ],
)
def test_repeats_are_played(measures: list[str], played: str) -> None:
    measures = [START + measures[0], *measures[1:]]
    result = read(measures)
    steps = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G"}
    assert "".join(steps[each.pitch % 12] for each in result.score.tracks[0].notes) == played
    assert len(bars_of(result.score)) == len(played)
    assert result.form is not None
    assert result.repairs == []
    written = read(measures, unfold=False)
    assert len(written.score.tracks[0].notes) == len(measures)
    assert written.marks.repeats
    assert written.form is None


@pytest.mark.parametrize(
    ("more", "unit"),
    [
        ("<beat-unit-dot/><beat-unit-dot/>", Fraction(7, 4)),
        ("<beat-unit-tied><beat-unit>eighth</beat-unit></beat-unit-tied>", Fraction(3, 2)),
        ("<beat-unit-tied><beat-unit>half</beat-unit><beat-unit-dot/></beat-unit-tied>", Fraction(4)),
    ],
)
def test_metronome_marks_have_dots_and_tied_notes(more: str, unit: Fraction) -> None:
    mark = f"<metronome><beat-unit>quarter</beat-unit>{more}<per-minute>60</per-minute></metronome>"
    result = read([START + f"<direction><direction-type>{mark}</direction-type></direction>" + note("C", 16)])
    assert [(each.unit, each.per_minute) for each in result.marks.metronomes] == [(unit, 60)]
    assert result.score.tempos[0].qpm == pytest.approx(60 * float(unit), abs=0.001)


def test_lines_of_words_have_numbers_or_names() -> None:
    named = "<lyric name='verse'><text>a</text></lyric><lyric name='chorus'><text>b</text></lyric>"
    ((_, lyrics),) = read([START + note("C", 16, named)]).marks.lyrics.items()
    assert [(each.text, each.verse) for each in lyrics] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("rate", ["118.49999999999999", "96", ".5e", "fast", ""])
def test_a_tempo_that_is_no_number_refuses_nothing(rate: str) -> None:
    words = "<direction-type><words>x</words></direction-type>"
    result = read([START + f'<direction>{words}<sound tempo="{rate}"/></direction>' + C])
    expected = {"118.49999999999999": [118.5], "96": [96.0]}.get(rate, [])
    assert [round(event.qpm, 1) for event in result.score.tempos] == expected


def test_timewise_scores_are_read() -> None:
    data = (
        "<score-timewise><part-list><score-part id='A'><part-name>One</part-name></score-part><score-part id='B'>"
        f"<part-name>Two</part-name></score-part></part-list><measure number='1'><part id='A'>{START}{C}</part>"
        f"<part id='B'>{START}{D}</part></measure><measure number='2'><part id='A'>{E}</part><part id='B'>{F}</part>"
        "</measure></score-timewise>"
    )
    result = parse_score(Path("made.xml"), data.encode())
    assert pitches(result) == [[72, 76], [74, 77]]
    assert [track.name for track in result.score.tracks] == ["One", "Two"]


@pytest.mark.parametrize("name", ["song.mxl", "song.musicxml", "song.xml", "song"])
def test_a_container_names_the_score_whatever_the_suffix(name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", xml([START + D]) + b" " * 2 * Limits().max_bytes)  # refused if it were unpacked
        archive.writestr("sheet/b.xml", xml([START + C], head="<work><work-title>B</work-title></work>"))
        container = "<container><rootfiles><rootfile full-path='sheet/b.xml'/></rootfiles></container>"
        archive.writestr("META-INF/container.xml", container)
    (tmp_path / name).write_bytes(buffer.getvalue())
    result = read_score_report(tmp_path / name, marks=True)
    assert pitches(result) == [[72]]
    assert result.marks.title == "B"


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        ("<note><pitch><step>H</step><octave>4</octave></pitch><duration>4</duration></note>", "'H' is not a step"),
        ("<note><pitch><step>C</step><octave>x</octave></pitch><duration>4</duration></note>", "'x' is not a number"),
        ("<attributes><divisions>1e9</divisions></attributes>", "'1e9' is not a number"),
    ],
)
def test_broken_elements_are_one_sentence(measure: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"made\.xml cannot be read as MusicXML \({reason}\)\. Export it again\."):
        read([START + measure])


RIGHT = {
    "xml_closed_hymn": [8, 8, 8, 8],
    "xml_cue_notes": [9],
    "xml_volta": [16],
    "xml_two_parts_one_name": [5, 5],
}


@pytest.mark.parametrize("path", sorted(CASES.glob("xml_*")), ids=lambda path: path.stem)
def test_each_case_has_its_notes(path: Path) -> None:
    result = read_score_report(path, marks=True)
    if path.stem in RIGHT:
        assert [len(track.notes) for track in result.score.tracks] == RIGHT[path.stem]
    assert result.marks.composer != "Music21"


def test_rests_that_staves_in_other_meters_shorten_have_their_values() -> None:
    """MuseScore writes an eighth rest of a third of a quarter where a staff in 9/8 has eighths as long as in 3/4."""
    start = START.replace("<beats>4</beats><beat-type>4", "<beats>6</beats><beat-type>8").replace(">4</div", ">12</div")
    eighth = "<note><rest/><duration>4</duration><voice>1</voice><type>eighth</type></note>"
    voice = note("C", 12) + eighth + note("D", 12) + eighth
    lower = "<backup><duration>32</duration></backup>" + note("E", 36, octave=3)
    result = read([start + voice + lower, note("F", 36)])
    assert notes(result) == [[(0, 3, 52), (0, 1, 72), (1.5, 1, 74), (3, 3, 77)]]
    triplets = "".join(note("C", 4) for _ in range(7)) + eighth + eighth  # they fill the measure as they are
    assert [onset for onset, *_ in notes(read([start + triplets, note("F", 36)]))[0]][-1] == 3
