"""Humdrum: **kern notes, spines that split and end, words, labels, keys, sections and reference records."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import ReadResult, bars_of, read_score_report
from descant_tokenizers.scores.humdrum.tokens import parse_kern, parse_key, parse_meter, parse_syllable, repeats_of
from descant_tokenizers.scores.reading import parse_score

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"


def read(*lines: str, unfold: bool = True) -> ReadResult:
    text = "\n".join(line.replace(" | ", "\t") for line in lines)
    return parse_score(Path("made.krn"), text.encode(), marks=True, unfold=unfold)


def notes(result: ReadResult) -> list[list[tuple[float, float, int]]]:
    return [[(n.time / 480, n.duration / 480, n.pitch) for n in track.notes] for track in result.score.tracks]


@pytest.mark.parametrize(
    ("token", "length", "pitches"),
    [
        ("4c", "1", [60]),
        ("8.ee-", "3/4", [75]),
        ("2..CC##", "7/2", [38]),
        ("3%2gg", "8/3", [79]),
        ("0C", "8", [48]),
        ("00c", "16", [60]),
        ("4c 4e 4g", "1", [60, 64, 67]),
        ("12bLL", "1/3", [71]),
        ("1r", "4", []),
    ],
)
def test_notes(token: str, length: str, pitches: list[int]) -> None:
    note = parse_kern(token)
    assert (note.length, [pitch for pitch, _ in note.pitches]) == (Fraction(length), pitches)


def test_notes_have_ties_slurs_fermatas_and_spellings() -> None:
    note = parse_kern("(4[f#; 4a_")
    assert [name for _, name in note.pitches] == [("F", 1), ("A", 0)]
    assert note.ties == ({"start"}, {"start", "stop"})
    assert (note.slurs, note.has_fermata) == ((1, 0), True)
    grace = parse_kern("8qcc")
    assert (grace.is_grace, grace.length, grace.grace_length, grace.has_slash) == (True, 0, Fraction(1, 2), True)


def test_articulations_and_hairpins_belong_to_their_part() -> None:
    result = read(
        *("**kern | **kern | **dynam", "4C' | 4c^ | <", "4D | 4d | (", "4E | 4e$ | [", "4F | 4f | f", "*- | *- | *-")
    )
    assert result.marks.symbols == {(1, 0, 48): ("staccato",), (0, 0, 60): ("accent",), (0, 2, 64): ("inverted-turn",)}
    assert [(each.part, each.onset, each.end, each.is_louder) for each in result.marks.hairpins] == [(0, 0, 2, True)]
    assert [(each.part, each.onset, each.text) for each in result.marks.words] == [(0, 3, "f")]
    assert result.repairs == []


def test_grace_notes_have_slurs_fermatas_and_articulations() -> None:
    result = read("**kern", "(8qb-;", "4c)", "(4d", "8qqg')", "8qa", "4e", "4f", "*-")
    assert result.marks.slurs == (((0, 0, 60, 0), (0, 0, 60)), ((0, 1, 62), (0, 2, 64, 0)))
    graces = [each for own in result.marks.graces.values() for each in own]
    assert [(each.pitches, each.has_fermata, each.symbols, each.spellings) for each in graces] == [
        ((70,), True, (), (("B", -1),)),
        ((67,), False, ("staccato",), (("G", 0),)),
        ((69,), False, (), (("A", 0),)),
    ]
    assert result.repairs == []
    assert read("**kern", "4c)", "(4d", "*-").repairs == ["dropped: 1 slur without a beginning, 1 slur without an end"]


@pytest.mark.parametrize(
    ("token", "text", "syllabic"),
    [("Hal-", "Hal", "begin"), ("-le-", "le", "middle"), ("-ja", "ja", "end"), ("A&ntilde;o", "Año", "single")],
)
def test_syllables(token: str, text: str, syllabic: str) -> None:
    lyric = parse_syllable(token, 1)
    assert lyric is not None
    assert (lyric.text, lyric.syllabic) == (text, syllabic)
    assert parse_syllable("|", 1) is None


@pytest.mark.parametrize(
    ("token", "key"),
    [
        ("*G:", (1, "major")),
        ("*e:", (1, "minor")),
        ("*B-:", (-2, "major")),
        ("*D:dor", (0, "dorian")),
        ("*g:dor", (-1, "dorian")),
        ("*E:phr", (0, "phrygian")),
        ("*?:X", None),
    ],
)
def test_keys(token: str, key: tuple[int, str] | None) -> None:
    assert parse_key(token) == key


def test_meters_and_repeat_signs() -> None:
    assert [parse_meter(token) for token in ("*M3/4", "*M2/0", "*M4/4%3", "*MM96")] == [(3, 4), (4, 1), None, None]
    signs = {
        "=1": [],
        "=2:|!": ["end"],
        "=!|:": ["start"],
        "=7:|!|:": ["end", "start"],
        "=:!!:": ["end", "start"],
        "==": [],
    }
    assert {token: list(repeats_of(token)) for token in signs} == signs


def test_spines_are_parts_from_the_right() -> None:
    result = read(
        "**kern | **kern",
        '*I"Low | *I"High',
        "*M4/4 | *M4/4",
        "=1 | =1",
        "2C | 4cc",
        ". | 4dd",
        "2D | 2ee",
        "== | ==",
        "*- | *-",
    )
    assert [track.name for track in result.score.tracks] == ["High", "Low"]
    assert notes(result) == [[(0, 1, 72), (1, 1, 74), (2, 2, 76)], [(0, 2, 48), (2, 2, 50)]]
    assert len(bars_of(result.score)) == 1


def test_spines_split_and_join() -> None:
    result = read(
        "**kern",
        "*M4/4",
        "=1",
        "4c",
        "*^",
        "4d | 2D",
        "4e | .",
        "*v | *v",
        "4f",
        "=2",
        "*^",
        "4g | 4G",
        "2.a | 2.A",
        "*v | *v",
        "*-",
    )
    assert notes(result) == [
        [(0, 1, 60), (1, 2, 50), (1, 1, 62), (2, 1, 64), (3, 1, 65), (4, 1, 55), (4, 1, 67), (5, 3, 57), (5, 3, 69)]
    ]


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (('*I"Tenor solo', "*Itenor", "*ICvox"), "Tenor solo"),
        (("*ICvox", "*Itenor"), "Tenor"),
        (("*ICvox",), "Voice"),
        ((), "Part 1"),
    ],
)
def test_a_label_comes_before_an_instrument_and_its_class(labels: tuple[str, ...], name: str) -> None:
    assert read("**kern", *labels, "4c", "*-").score.tracks[0].name == name


def words(result: ReadResult) -> dict[tuple[int, int], list[str]]:
    return {(part, int(onset)): [each.text for each in own] for (part, onset, _), own in result.marks.lyrics.items()}


def test_the_staves_of_a_part_share_its_name() -> None:
    head = ("**kern | **kern | **kern", "*part2 | *part1 | *part1", '*I"Viola | *I"Piano | *')
    result = read(*head, "4c | 4C | 4e", "*- | *- | *-")
    assert [track.name for track in result.score.tracks] == ["Piano", "Piano", "Viola"]


def test_a_meter_before_a_bar_line_is_that_of_the_next_measure() -> None:
    result = read("**kern", "*M6/8", "2.c", "*M2/4", "=2", "2d", "*M3/4", "=3", "2.e", "*-")
    assert [(bar.numerator, bar.denominator) for bar in bars_of(result.score)] == [(6, 8), (2, 4), (3, 4)]


def test_words_go_with_the_spine_on_the_left() -> None:
    result = read(
        "**kern | **text | **kern | **silbe | **text",
        "4c | A- | 4cc | eins | one",
        "4d | -men | 4dd | zwei | two",
        "*- | *- | *- | *- | *-",
    )
    assert words(result) == {(1, 0): ["A"], (1, 1): ["men"], (0, 0): ["eins", "one"], (0, 1): ["zwei", "two"]}
    assert [each.verse for each in result.marks.lyrics[0, Fraction(0), 72]] == [1, 2]


def test_words_go_with_their_staff() -> None:
    result = read("**kern | **kern | **text", "*staff2 | *staff1 | *staff2", "4c | 4cc | low", "*- | *- | *-")
    assert words(result) == {(1, 0): ["low"]}


def test_words_without_a_note_and_unknown_spines_are_counted() -> None:
    result = read("**kern | **text | **fing", "2c | one | C", ". | two | .", "*- | *- | *-")
    assert words(result) == {(0, 0): ["one"]}
    assert result.repairs == ["dropped: 1 syllable without a note, 1 other mark (spine **fing)"]


def test_modes_sections_and_tempos() -> None:
    result = read("**kern", "*k[b-]", "*G:dor", "*MM[Andante]", "*MM72", "4c", "*-")
    assert [(event.key, event.tonality) for event in result.score.key_signatures] == [(-1, 0)]
    assert result.marks.mode == "dorian"
    assert [round(event.qpm) for event in result.score.tempos] == [72]
    assert [(each.text, each.kind) for each in result.marks.words] == [("Andante", "tempo")]


@pytest.mark.parametrize(
    ("lines", "played"),
    [
        (["=1", "1c", "=2:|!", "1d", "=="], [60, 60, 62]),
        (
            ["*>[A,A1,A,A2]", "*>norep[A,A2]", "*>A", "=1", "1c", "*>A1", "=2", "1d", "*>A2", "=3", "1e", "=="],
            [60, 62, 60, 64],
        ),
        (["*>[A,A,B]", "*>A", "=1", "1c", "=2:|!", "*>B", "1d", "=="], [60, 60, 62]),
    ],
)
def test_repeats_and_sections_are_played(lines: list[str], played: list[int]) -> None:
    result = read("**kern", "*M4/4", *lines, "*-")
    assert [note.pitch for note in result.score.tracks[0].notes] == played
    assert len(read("**kern", "*M4/4", *lines, "*-", unfold=False).score.tracks[0].notes) == len(set(played))


def test_grace_notes_stand_before_their_note() -> None:
    result = read("**kern", "4c", "16qqd", "16qqe", "4f", "*-")
    ((place, graces),) = result.marks.graces.items()
    assert place == (0, 1, 65)
    assert [(each.pitches, each.length, each.has_slash) for each in graces] == [
        ((62,), Fraction(1, 4), False),
        ((64,), Fraction(1, 4), False),
    ]
    assert notes(result) == [[(0, 1, 60), (1, 1, 65)]]


@pytest.mark.parametrize(
    ("records", "title"),
    [
        (["!!!OTL: A Song"], "A Song"),
        (["!!!OTL@@DE: Ein sch&ouml;nes Lied", "!!!OTL@EN: A Fine Song"], "Ein schönes Lied"),
        (["!!!OTL@EN: A Fine Song", "!!!OTL@@DE: Ein Lied"], "Ein Lied"),
        (["!!!OPR: Missa", "!!!OTL: Kyrie"], "Missa: Kyrie"),
        (["!!!X: Y", "!!!title: @{X} @{Z}"], "Y"),
    ],
)
def test_titles(records: list[str], title: str) -> None:
    result = read(*records, "!!!COM: Bach, Johann Sebastian", "!!!YEC: me", "!!!YEM: all", "**kern", "4c", "*-")
    assert (result.marks.title, result.marks.composer) == (title, "Johann Sebastian Bach")
    assert (result.metadata.composer, result.metadata.rights) == ("Bach, Johann Sebastian", "me; all")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["**kern | **kern", "4c", "*- | *-"], r"line 2 has 1 tokens for 2 spines"),
        (["no music"], r"has 1 tokens for 0 spines"),
        (["**text", "la", "*-"], r"no line \*\*kern begins music"),
    ],
)
def test_broken_files_are_one_sentence(lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=rf"made\.krn cannot be read as Humdrum \(.*{message}\)\. Export it again\."):
        read(*lines)


@pytest.mark.parametrize("line", ["4d\t\tla", "4d   la"])
def test_tokens_may_stand_more_than_a_tab_apart(line: str) -> None:
    result = read("**kern | **text", "4c | sol", line, "*- | *-")
    assert notes(result) == [[(0, 1, 60), (1, 1, 62)]]
    assert [lyric.text for lyrics in result.marks.lyrics.values() for lyric in lyrics] == ["sol", "la"]


def test_a_bar_line_need_not_have_a_token_for_each_spine() -> None:
    lines = ["**kern | **kern", "*^ | *", "2e | 2d | 2C", "=1 | =1", "2e | 2d | 2C", "*v | *v | *", "*- | *-"]
    assert notes(read(*lines)) == [[(0, 2, 48), (2, 2, 48)], [(0, 2, 62), (0, 2, 64), (2, 2, 62), (2, 2, 64)]]


def test_chords_of_mxhm_are_symbols() -> None:
    tokens = ["C major", "B- minor-seventh/D-", "F#m7", "E suspended-fourth", "G", "none", "?"]
    result = read("**kern | **mxhm", *(f"4c | {token}" for token in tokens), "*- | *-")
    symbols = [(each.onset, each.text) for each in result.marks.chords]
    assert symbols == list(enumerate(["C", "Bbm7/Db", "F#m7", "Esus4", "G", "N.C."]))
    assert result.repairs == ["dropped: 1 other mark (chord symbol)"]


def test_each_case_is_right() -> None:
    labels = read_score_report(CASES / "krn_label_beside_class.krn", marks=True)
    assert [track.name for track in labels.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    text = read_score_report(CASES / "krn_text_without_staff.krn", marks=True)
    assert [each.text for (each,) in text.marks.lyrics.values()] == ["Hal", "le", "lu", "ja", "Amen"]
    title = read_score_report(CASES / "krn_title_template.krn", marks=True)
    assert title.marks.title == "Ein schönes Lied"
    assert title.marks.composer == "Ada Example"


@pytest.mark.parametrize(
    ("lines", "played"),
    [
        (["*>[A,A1,A,A2]", "*>A", "1c", "*>A1", "=", "1d", "=:|!", "*>A2", "1e", "="], "cdce"),
        (["*>[A,A,B]", "*>A", "1c", "=:|!", "*>B", "1d", "=:|!"], "ccd"),  # the list counts, not the signs
        (["*>[A,A,B,B]", "*>A", "1c", "=:|!", "*>B", "1d", "=:|!"], "ccdd"),
        (["*>[A,B]", "*>A", "1c", "=:|!", "*>B", "1d", "="], "ccd"),
    ],
)
def test_a_list_of_sections_includes_the_repeats(lines: list[str], played: str) -> None:
    (own,) = notes(read("**kern", "*M4/4", *lines, "*-"))
    assert "".join("c.d.ef"[pitch - 60] for _, _, pitch in own) == played


def test_sections_with_endings_are_repeat_signs_with_endings() -> None:
    lines = ["*>[A,A1,A,A2]", "*>A", "1c", "*>A1", "=", "1d", "=:|!", "*>A2", "1e", "="]
    marks = read("**kern", "*M4/4", *lines, "*-", unfold=False).marks
    assert [(sign.passes, sign.until) for sign in marks.repeats if sign.kind == "ending"] == [((1,), 8), ((2,), 12)]


@pytest.mark.parametrize(
    "lines",
    [
        ["1c", "=", "*segno", "1d", "=", "*fine", "1e", "=", "*dalsegno", "1f", "=="],
        ["1c", "=", "!LO:TX:a:t=Segno", "1d", "=", "!LO:TX:t=Fine", "1e", "=", "!LO:TX:t=D.S. al Fine", "1f", "=="],
    ],
)
def test_signs_and_words_of_navigation_are_followed(lines: list[str]) -> None:
    (own,) = notes(read("**kern", "*M4/4", *lines, "*-"))
    assert [pitch for _, _, pitch in own] == [60, 62, 64, 65, 62, 64]


def test_words_of_layout_comments_are_kept() -> None:
    result = read("**kern", "*M4/4", "4c", "!LO:TX:b:t=dolce&colon; p", "4d", "2e", "*-")
    assert [(word.onset, word.text, word.is_above) for word in result.marks.words] == [(1, "dolce: p", False)]
