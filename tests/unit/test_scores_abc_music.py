"""ABC by section of the standard: 4 (the tune body) but for its repeats."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from abc_tunes import HEAD, lengths, notes, notes_of, pitches, read

from descant_tokenizers.scores import read_score_report
from descant_tokenizers.scores.marks import Grace

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"


@pytest.mark.parametrize(
    ("name", "sounding"),
    [
        ("accidental_in_bar", [66, 66, 64, 66, 65, 64]),
        ("inline_key", [72, 74, 76, 77, 78, 78]),
        ("inline_meter", [72, 74, 76, 77, 79, 76, 72, 74, 76, 77]),
        ("key_explicit_accidentals", [77, 72, 74, 70, 77]),
        ("key_added_accidental", [78, 72, 74, 71, 78]),
        ("key_clef_bass", [55, 59, 62, 67, 55]),
        ("multimeasure_rest", [72, 74, 76, 77, 79]),
        ("letter_fermata_drops_note", [72, 74, 76, 77, 79, 76]),
        ("user_letter_adds_note", [72, 74, 76, 77, 79]),
        ("broken_rhythm_grace", [72, 74, 76, 72]),
        ("lyrics", [60, 62, 64, 65, 67, 67]),
        ("no_meter_no_length", [72, 74, 76, 77, 79]),
        ("volta", [72, 74, 76, 77, 79, 79, 76, 76, 72, 74, 76, 77, 79, 72]),
    ],
)
def test_cases(name: str, sounding: list[int]) -> None:
    result = read_score_report(CASES / f"abc_{name}.abc", marks=True)
    assert [note.pitch for note in result.score.tracks[0].notes] == sounding


# 4.1 Pitch


def test_octaves() -> None:
    assert pitches("C,, C, C c c' c'' C' c,|") == [36, 48, 60, 72, 84, 96, 72, 60]


# 4.2 Accidentals


@pytest.mark.parametrize(
    ("music", "sounding"),
    [
        ("^F =F _F ^^F __F|", [66, 65, 64, 67, 63]),
        ("^F F E F|F", [66, 66, 64, 66, 65]),
        ("^F f F,|F", [66, 78, 54, 65]),  # all octaves, as the standard says
        ("_B B =B B|B", [70, 70, 71, 71, 71]),
        ("^F-|F F|F", [66, 65, 65]),  # over a tie, and no further
        ("^F-|F2-|F F", [66, 65]),
        ("^F- F|", [66]),
        ("^F|:F:|", [66, 65, 65]),
        ("^F||F [|F |]F", [66, 65, 65, 65]),
    ],
)
def test_accidentals_hold_to_the_bar_line(music: str, sounding: list[int]) -> None:
    assert pitches(music) == sounding


def test_microtones_are_rounded_and_counted() -> None:
    result = read("^/F _3/2E ^2G =C|")
    assert [note.pitch for note in result.score.tracks[0].notes] == [65, 62, 69, 60]
    assert result.repairs == ["dropped: 3 microtones"]


# 4.3 Note lengths


@pytest.mark.parametrize(
    ("music", "length"),
    [
        *(
            ("c", 1),
            ("c2", 2),
            ("c3/2", 1.5),
            ("c/", 0.5),
            ("c//", 0.25),
            ("c///", 0.125),
            ("c/4", 0.25),
            ("c7/8", 0.875),
        ),
        *(("c3/", 1.5), ("c/1", 1), ("c0/0", 0)),
    ],
)
def test_note_lengths(music: str, length: float) -> None:
    assert lengths(music + "d") == ([length, 1] if length else [1])


# 4.4 Broken rhythm


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        *(("c>d", [1.5, 0.5]), ("c<d", [0.5, 1.5]), ("c>>d", [1.75, 0.25]), ("c<<<d", [0.125, 1.875])),
        *(("c > d", [1.5, 0.5]), ("c2>d", [3, 0.5]), ("c>{ga}d", [1.5, 0.5]), ("c{g}<d", [0.5, 1.5])),
        *(("c>!trill!d", [1.5, 0.5]), ('c>"Am"d', [1.5, 0.5]), ("[ce]>[df]", [1.5, 1.5, 0.5, 0.5])),
        *(("c>(d e)", [1.5, 0.5, 1]), ("c>|d", [1.5, 0.5])),
    ],
)
def test_broken_rhythm(music: str, expected: list[float]) -> None:
    assert lengths(music) == expected


def test_broken_rhythm_counts_rests() -> None:
    assert notes("c>z c<z d|") == [(0, 1.5, 72), (2, 0.5, 72), (4, 1, 74)]


def test_broken_rhythm_lengthens_a_tied_note_once() -> None:
    assert notes("c-c>d|") == [(0, 2.5, 72), (2.5, 0.5, 74)]


def test_a_sign_without_a_note_is_counted() -> None:
    assert read(">c|").repairs == ["broken rhythms without a note: 1, the first in line 6 (>)"]


# 4.5 Rests


@pytest.mark.parametrize(
    ("music", "onset"),
    [
        *(("cz3|d", 4), ("cx3|d", 4), ("c4|Z|d", 8), ("c4|Z2|d", 12), ("c4|X3|d", 16), ("cyy2d", 1), ("cz/d", 1.5)),
        *(("c4|[M:3/4]Z2|d", 10), ("c4|Z d", 8)),
    ],
)
def test_rests(music: str, onset: float) -> None:
    assert notes(music)[1][0] == onset


def test_measures_of_rest_are_bars() -> None:
    result = read("V:1\nc4|Z2|d4|\nV:2\nc4|c4|c4|c4|")
    assert [(event.time, event.numerator) for event in result.score.time_signatures] == [(0, 4)]
    assert notes_of(result)[0][1] == (12, 4, 74)


# 4.11 Ties and slurs


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("c-c d", [(0, 2, 72), (2, 1, 74)]),
        ("c4-|c4-|c2 d2", [(0, 10, 72), (10, 2, 74)]),
        ("c-d", [(0, 1, 72), (1, 1, 74)]),
        ("c-z c", [(0, 1, 72), (2, 1, 72)]),
        ("[ce]-[ce]", [(0, 2, 72), (0, 2, 76)]),
        ("[c-e][ce]", [(0, 2, 72), (0, 1, 76), (1, 1, 76)]),
        ("[ce]-c", [(0, 2, 72), (0, 1, 76)]),
        ("c-[ce]", [(0, 2, 72), (1, 1, 76)]),
        ("c.-c", [(0, 2, 72)]),
        ("c-{d}c", [(0, 2, 72)]),
        ("c4-\\\n|c4", [(0, 8, 72)]),
        ("^c-=c", [(0, 1, 73), (1, 1, 72)]),
        ("c-c'", [(0, 1, 72), (1, 1, 84)]),
    ],
)
def test_ties(music: str, expected: list[tuple[float, float, int]]) -> None:
    assert sorted(notes(music)) == sorted(expected)


def test_slurs_are_kept() -> None:
    result = read("(cd) e (f (g a) b)|(c4-|c4)")
    places = [(first[1:], last[1:]) for first, last in result.marks.slurs]
    tied = ((7, 72), (7, 72))
    assert places == [((0, 72), (1, 74)), ((4, 79), (5, 81)), ((3, 77), (6, 83)), tied]


def test_slurs_without_a_partner_are_no_slurs() -> None:
    assert read("c) (d|(e)").marks.slurs == ()


# 4.12 Grace notes


def test_grace_notes_are_kept_beside_the_notes() -> None:
    result = read("{g}c {/ga}d {^f}e f|{a2}g|")
    assert notes_of(result)[0][0] == (0, 1, 72)
    assert {place[1]: own for place, own in result.marks.graces.items()} == {
        0: (grace(79, "G"),),
        1: (grace(79, "G", has_slash=True), grace(81, "A", has_slash=True)),
        2: (grace(78, "F", 1),),
        4: (grace(81, "A", length=Fraction(1)),),
    }


def test_grace_notes_have_slurs_and_marks_and_may_be_chords() -> None:
    result = read("{(g}c) ({a}d {.gHa)}e {[eg][^f_b]}f|")
    assert [(first[1:], last[1:]) for first, last in result.marks.slurs] == [
        ((0, 72, 0), (0, 72)),
        ((1, 74), (2, 76, 1)),
    ]
    assert {place[1]: own for place, own in result.marks.graces.items()} == {
        0: (grace(79, "G"),),
        1: (grace(81, "A"),),
        2: (replace(grace(79, "G"), symbols=("staccato",)), replace(grace(81, "A"), has_fermata=True)),
        3: (
            Grace((76, 79), Fraction(1, 2), has_slash=False, spellings=(("E", 0), ("G", 0))),
            Grace((78, 82), Fraction(1, 2), has_slash=False, spellings=(("F", 1), ("B", -1))),
        ),
    }
    assert result.repairs == []


def grace(
    pitch: int, step: str, alter: int = 0, *, has_slash: bool = False, length: Fraction = Fraction(1, 2)
) -> Grace:
    return Grace((pitch,), length, has_slash, spellings=((step, alter),))


def test_what_is_lost_of_slurs_and_grace_notes_is_named() -> None:
    assert read("c) (d|(e)").repairs == [
        "dropped: 1 slur without an end, 1 slur without a beginning, 1 slur over one note"
    ]
    assert read("{(g}z c)|").repairs == []
    assert read("c {!roll!g-}d ({a)}|").repairs == [
        "dropped: 1 tie of grace notes, 1 grace note without a note, 1 slur without an end, "
        "1 slur without a beginning, 1 decoration (roll)"
    ]


def test_repeats_in_quotes_are_named() -> None:
    result = read('c"^Fine"|d "D.C."|')
    assert result.repairs == ["repeats in quotes (printed, not played): 1, the first in line 6 (D.C.)"]


def test_accidentals_of_grace_notes_stay_there() -> None:
    assert pitches("{^f}g f|") == [79, 77]


def test_grace_notes_without_an_end_are_counted() -> None:
    result = read("c{gd|e|\nf{g\na|")
    assert [note.pitch for note in result.score.tracks[0].notes] == [72, 76, 77, 81]
    assert result.repairs == ["chords or grace notes without an end: 2, the first in line 6 ({)"]


# 4.13 Tuplets


@pytest.mark.parametrize(
    ("music", "meter", "ticks"),
    [
        ("(3ccc d", "4/4", [320, 320, 320, 480]),
        ("(2cc d", "4/4", [720, 720, 480]),
        ("(4cccc d", "4/4", [360, 360, 360, 360, 480]),
        ("(5ccccc d", "4/4", [192] * 5 + [480]),
        ("(5ccccc d", "6/8", [288] * 5 + [480]),
        ("(6cccccc d", "4/4", [160] * 6 + [480]),
        ("(7ccccccc d", "9/8", [206, 205, 206, 206, 206, 205, 206, 480]),
        ("(8cccccccc d", "4/4", [180] * 8 + [480]),
        ("(3:2:2c2c d", "4/4", [640, 320, 480]),
        ("(3:2:4c/c/cc d", "4/4", [160, 160, 320, 320, 480]),
        ("(3::2 cc d", "4/4", [320, 320, 480]),
        ("(3:: ccc d", "4/4", [320, 320, 320, 480]),
        ("(3:4 ccc d", "4/4", [640, 640, 640, 480]),
        ("(3 c z c d", "4/4", [320, 320, 480]),
        ("(3[ce][ce][ce] d", "4/4", [320] * 6 + [480]),
        ("(3{g}c{g}cc d", "4/4", [320, 320, 320, 480]),
        ("(3c>cc d", "4/4", [480, 160, 320, 480]),
        ("((3ccc) d", "4/4", [320, 320, 320, 480]),
        ("(3:2:4c(3ddd e", "4/4", [320, 213, 214, 213, 480]),  # nested
    ],
)
def test_tuplets(music: str, meter: str, ticks: list[int]) -> None:
    result = read(music.replace("cc", "cc"), f"X:1\nM:{meter}\nL:1/4\nK:C\n")
    found = sorted((note.time, note.pitch, note.duration) for note in result.score.tracks[0].notes)
    assert [duration for _, _, duration in found] == ticks


@pytest.mark.parametrize("music", ["(0ccc", "(99ccc", "(3:0ccc", "(3:2:0ccc", "(3(3(3(3(3ccc"])
def test_impossible_tuplets_are_counted(music: str) -> None:
    (repair,) = [each for each in read(music + "|").repairs if "tuplet" in each]
    assert repair.startswith("impossible tuplets: 1, the first in line 6 ((")


# 4.14 Decorations


def test_decorations_are_no_notes() -> None:
    result = read(".c ~d Te Mf Pg La ub vc' !trill!c !8va(!d!8va)! +turn+e|")
    assert len(result.score.tracks[0].notes) == 11
    (repair,) = result.repairs
    assert repair == "dropped: 3 decorations (roll, 8va(, 8va))"


@pytest.mark.parametrize(
    "music", ["Hc d", "!fermata!c d", "+fermata+c d", "!invertedfermata!c d", "U:W=!fermata!\nWc d"]
)
def test_fermatas(music: str) -> None:
    result = read(music + "|")
    assert result.fermatas_ticks == (0,)
    assert result.marks.fermatas == {(0, 72): 1}


def test_a_fermata_counts_for_the_whole_tied_note_and_chord() -> None:
    result = read("[ce]-H[ce] d|")
    assert result.marks.fermatas == {(0, 72): 2, (0, 76): 2}


def test_dynamics_are_words_below() -> None:
    words = read("!p!c d !ff!e|").marks.words
    assert [(each.onset, each.text, each.kind, each.is_above) for each in words] == [
        *((0, "p", "dynamic", False), (2, "ff", "dynamic", False)),
    ]


def test_unknown_letters_and_signs_are_counted() -> None:
    result = read("c J d k e § f|")
    assert [note.pitch for note in result.score.tracks[0].notes] == [72, 74, 76, 77]
    assert result.repairs == ["unknown signs: 3, the first in line 6 (J)"]


def test_exclamation_marks_may_break_lines() -> None:
    assert pitches("cd!ef|!g4|") == [72, 74, 76, 77, 79]


def test_symbol_lines_are_counted() -> None:
    assert read("cd|\ns:!f! *").repairs == ["dropped: 1 symbol line"]


# 4.17 Chords and unisons


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("[CEG]2 d", [(0, 2, 60), (0, 2, 64), (0, 2, 67), (2, 1, 74)]),
        ("[C2E2]3 d", [(0, 6, 60), (0, 6, 64), (6, 1, 74)]),
        ("[C2E] d", [(0, 2, 60), (0, 1, 64), (2, 1, 74)]),
        ("[C E]/ d", [(0, 0.5, 60), (0, 0.5, 64), (0.5, 1, 74)]),
        ('["Am"C!f!E] d', [(0, 1, 60), (0, 1, 64), (1, 1, 74)]),
        ("+CE+ d", [(0, 1, 60), (0, 1, 64), (1, 1, 74)]),
        ("[^F_B]F|", [(0, 1, 66), (0, 1, 70), (1, 1, 66)]),
        ("[]d", [(0, 1, 74)]),
    ],
)
def test_chords(music: str, expected: list[tuple[float, float, int]]) -> None:
    assert sorted(notes(music)) == sorted(expected)


def test_a_unison_is_one_note() -> None:
    result = read("[cc]2|")
    assert notes_of(result) == [[(0, 2, 72)]]
    assert result.repairs == ["track 1 'Part 1': 1 note struck twice at once dropped"]


def test_a_bracket_that_is_not_closed_is_no_chord() -> None:
    result = read('["Coda" cd|[ef|g]|')
    assert [(time, pitch) for time, _, pitch in notes_of(result)[0]] == [(0, 72), (1, 74), (2, 76), (3, 77), (4, 79)]
    assert "unknown signs: 3" in result.repairs[0]


# 4.18-4.19 Chord symbols and annotations


def test_chord_symbols_and_annotations_are_told_apart() -> None:
    result = read('"Am7"c"F#m/C#"d "^so"e"_under"f|"4"g"D.C."a"N.C."b"Bb"c\'|')
    assert [(each.onset, each.text) for each in result.marks.chords] == [
        *((0, "Am7"), (1, "F#m/C#"), (6, "N.C."), (7, "Bb")),
    ]
    assert [(each.onset, each.text, each.is_above) for each in result.marks.words] == [
        *((2, "so", True), (3, "under", False), (4, "4", True), (5, "D.C.", True)),
    ]


@pytest.mark.parametrize("place", ["@-10,5.5 ", "@", "^", "_", "<", ">"])
def test_the_place_of_an_annotation_is_not_printed(place: str) -> None:
    assert read(f'"{place}text ^ 2,3"c|').marks.words[0].text == "text ^ 2,3"


def test_special_characters_in_annotations() -> None:
    assert read(r'"^gr\"u\ss e"c|').marks.words[0].text == "grüß e"


# 4.20 Order of constructs, and written spelling


def test_constructs_stand_before_a_note_in_any_order() -> None:
    assert notes('(("Gm7"v.=G,2~ ^c\'2))|', HEAD) == [(0, 2, 55), (2, 2, 85)]


def test_spelling_is_kept() -> None:
    result = read("^D _E F|", "X:1\nL:1/4\nK:D\n")
    assert [spelling for _, spelling in sorted(result.marks.spellings.items())] == [("D", 1), ("E", -1), ("F", 1)]
    assert read("C|", "X:1\nK:C transpose=1\n").marks.spellings == {}


def test_articulations_and_hairpins() -> None:
    result = read("K:C\n.C!>!D !<(!TEF !<)!!tenuto!G2 | !fingering!!diminuendo(!A2 !diminuendo)![CE]2 |]\n")
    assert result.marks.symbols == {
        (0, 0, 60): ("staccato",),
        (0, 1, 62): ("accent",),
        (0, 2, 64): ("trill-mark",),
        (0, 4, 67): ("tenuto",),
    }
    assert [(each.onset, each.end, each.is_louder) for each in result.marks.hairpins] == [(2, 6, True), (6, 10, False)]
    assert result.repairs == ["dropped: 1 decoration (fingering)"]
