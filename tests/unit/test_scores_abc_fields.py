"""ABC by section of the standard: 2 (files and tunes), 3 (fields), 4.6 (clefs), 8 (strings)."""

from __future__ import annotations

from pathlib import Path

import pytest
from abc_tunes import HEAD, lengths, notes, pitches, read

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import bars_of, read_score_report
from descant_tokenizers.scores.abc.fields import parse_key, parse_meter, parse_parts, parse_tempo
from descant_tokenizers.scores.abc.text import plain
from descant_tokenizers.scores.reading import parse_score

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"


def signatures(body: str, head: str) -> list[tuple[int, int, int]]:
    return [(e.time // 480, e.numerator, e.denominator) for e in read(body, head).score.time_signatures]


# 2. Files and tunes


def test_a_book_names_its_tunes_and_one_is_chosen() -> None:
    with pytest.raises(InputError, match=r"holds 2 tunes: 1 'First', 2 'Second'\. Choose one with --tune\."):
        read_score_report(CASES / "abc_tune_book.abc")
    assert read_score_report(CASES / "abc_tune_book.abc", tune=2).metadata.title == "Second"
    with pytest.raises(InputError, match=r"holds no tune 3\. Choose from 1 'First', 2 'Second'\."):
        read_score_report(CASES / "abc_tune_book.abc", tune=3)


def test_a_tune_is_chosen_by_its_number_before_its_place() -> None:
    book = "X:2\nT:a\nK:C\nC|\n\nX:7\nT:b\nK:C\nD|\n\nX:1\nT:c\nK:C\nE|\n"
    assert [read("", book, tune=number).metadata.title for number in (1, 2, 7, 3)] == ["c", "a", "b", "c"]


def test_typeset_text_begins_no_tune() -> None:
    assert read("", "%%begintext\nX:9\nc|\n%%endtext\nX:1\nT:a\nK:C\nc d|\n").metadata.title == "a"


def test_only_abc_has_tunes(tmp_path: Path) -> None:
    path = tmp_path / "tune.xml"
    path.write_text("<score-partwise/>")
    with pytest.raises(InputError, match=r"is not a file of tunes in ABC\. Leave --tune out\."):
        read_score_report(path, tune=1)


def test_fields_of_the_file_header_hold_for_every_tune() -> None:
    head = "%abc-2.1\nM:3/4\nL:1/2\n\nX:1\nT:a\nK:G\n"
    assert notes("F|", head) == [(0, 2, 66)]
    assert signatures("F3/2|", head) == [(0, 3, 4)]


def test_an_empty_line_ends_the_tune_and_what_follows_is_counted() -> None:
    result = read("c4|\n\nA fine tune from Cork.\nGABC\n")
    assert len(result.score.tracks[0].notes) == 1
    assert result.repairs == [
        "lines after the empty line that ends the tune: 2, the first in line 8 (A fine tune from Cork.)"
    ]


def test_music_goes_on_after_an_empty_line() -> None:
    result = read("c4|\n\ndefg|\n")
    assert [note.pitch for note in result.score.tracks[0].notes] == [72, 74, 76, 77, 79]
    assert result.repairs == ["empty lines inside the tune: 1, the first in line 8 (defg|)"]


def test_comments_and_typeset_text_are_no_music() -> None:
    body = "cd % ef\n%%text GABc\n%%begintext\nGABc|\n%%endtext\n% GG\nef|"
    assert pitches(body) == [72, 74, 76, 77]


def test_a_line_goes_on_after_a_backslash() -> None:
    assert pitches("cd\\\nef|\\  % comment\ng4|") == [72, 74, 76, 77, 79]


def test_a_file_without_a_tune_is_refused() -> None:
    with pytest.raises(InputError, match=r"cannot be read as ABC \(no line X: or K: begins a tune\)"):
        read("", "Dear diary,\n")


def test_a_tune_needs_neither_number_nor_key() -> None:
    assert pitches("cd|", "K:D\n") == [73, 74]
    assert pitches("cd|", "X:1\nT:a\nM:4/4\n") == [72, 74]


def test_lines_of_the_header_without_a_letter_are_counted() -> None:
    result = read("c|", "X:1\nI (1) || GABc\nK:C\n")
    assert [note.pitch for note in result.score.tracks[0].notes] == [72]
    assert result.repairs == ["lines of the header that are no fields: 1, the first in line 2 (I (1) || GABc)"]


# 3.1.2-3.1.3, 3.1.10 Title, composer, transcriber


def test_metadata() -> None:
    head = (
        "X:1\nT:First & best\nT:Second\nC:Words: A. Poet\nC:Music: J\\\"urgen B\\'e\nC:copyright: public domain\n"
        "Z:typed by hand\nK:C\n"
    )
    result = read("c|", head)
    about = result.metadata
    assert (about.title, about.composer, about.rights, about.encoder) == (
        *("First & best", "Jürgen Bé", "copyright: public domain", "typed by hand"),
    )
    assert (result.marks.title, result.marks.composer, result.marks.lyricist) == (
        *("First & best", "Jürgen Bé", "A. Poet"),
    )


def test_several_composers_and_a_copyright_directive() -> None:
    about = read("c|", "X:1\nT:a\nC:Bach\nC:arr. Smith\n%%abc-copyright CC0\nK:C\n").metadata
    assert (about.composer, about.rights) == ("Bach; arr. Smith", "CC0")


# 3.1.6 Meter


@pytest.mark.parametrize(
    ("text", "meter"),
    [
        *(("4/4", (4, 4)), ("C", (4, 4)), ("C|", (2, 2)), ("6/8", (6, 8)), (" 3 / 4 ", (3, 4)), ("2/1", (2, 1))),
        *(("(2+3)/8", (5, 8)), ("2+2+3/8", (7, 8)), ("(2+3+2)/16", (7, 16)), ("3/4+2/4", (5, 4)), ("2/4+3/8", (7, 8))),
    ],
)
def test_meters(text: str, meter: tuple[int, int]) -> None:
    found = parse_meter(text)
    assert found is not None
    assert (found.numerator, found.denominator) == meter


@pytest.mark.parametrize("text", ["none", "", "None"])
def test_free_meters(text: str) -> None:
    assert parse_meter(text) is None


@pytest.mark.parametrize("text", ["4", "4/3", "4/0", "x/4", "0/4", "4/128", "1/999999999", "+/4", "4/4/4", "-3/4"])
def test_impossible_meters_are_left_out_and_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_meter(text)
    result = read("cdef|g4|", f"X:1\nM:{text}\nL:1/4\nK:C\n")
    assert result.repairs == [f"unreadable fields: 1, the first in line 2 (M:{text})"]


def test_a_meter_counts_from_where_it_stands() -> None:
    assert signatures("cdef|[M:3/4]gab|c3|\nM:2/4\ncd|", HEAD) == [(0, 4, 4), (4, 3, 4), (10, 2, 4)]


def test_free_meter_takes_bars_as_they_are() -> None:
    head = "X:1\nM:none\nL:1/4\nK:C\n"
    assert signatures("cdefg|cd|cdefgab|", head) == [(0, 5, 4), (5, 2, 4), (7, 7, 4)]
    assert signatures("c" * 50 + "|", head) == [(0, 4, 4)]


# 3.1.7 Unit note length


@pytest.mark.parametrize(
    ("head", "length"),
    [
        *(("L:1/4\n", 1.0), ("L:1/16\nM:4/4\n", 0.25), ("L:1\n", 4.0), ("L: 3/8 \n", 1.5)),
        *(("", 0.5), ("M:none\n", 0.5), ("M:3/4\n", 0.5), ("M:6/8\n", 0.5), ("M:2/4\n", 0.25), ("M:C|\n", 0.5)),
    ],
)
def test_note_lengths_follow_from_the_fields(head: str, length: float) -> None:
    assert lengths("c|", f"X:1\n{head}K:C\n") == [length]


def test_the_meter_inside_a_tune_leaves_the_unit_alone() -> None:
    assert lengths("c|[M:2/4]c|[L:1/2]c|", "X:1\nM:4/4\nK:C\n") == [0.5, 0.5, 2]


# 3.1.8 Tempo


@pytest.mark.parametrize(
    ("text", "quarters", "words"),
    [
        *(("1/4=120", 120, ""), ("3/8=80", 120, ""), ("1/4 3/8 = 40", 100, ""), ("120", 60, ""), ("C=120", 60, "")),
        *(("C3=40", 60, ""), ('"Allegro" 3/8=80', 120, "Allegro"), ('1/4=80.5 "Slow"', 80.5, "Slow")),
    ],
)
def test_tempos(text: str, quarters: float, words: str) -> None:
    result = read("c|", f"X:1\nL:1/8\nQ:{text}\nK:C\n")
    assert [round(event.qpm, 3) for event in result.score.tempos] == [quarters]
    assert [each.text for each in result.marks.words if each.kind == "tempo"] == ([words] if words else [])


def test_a_tempo_of_words_is_words() -> None:
    assert parse_tempo('"Andante"', parse_meter("4/4").quarters)[1:] == (0, "Andante")  # type: ignore[union-attr]
    result = read("c|", 'X:1\nQ:"Andante"\nK:C\n')
    assert not result.score.tempos
    assert [each.text for each in result.marks.words] == ["Andante"]


def test_a_tempo_changes_where_it_stands() -> None:
    result = read("cdef|[Q:1/2=30]g4|\nQ:1/4=90\nc4|", "X:1\nL:1/4\nQ:1/4=120\nK:C\n")
    assert [(event.time // 480, round(event.qpm)) for event in result.score.tempos] == [(0, 120), (4, 60), (8, 90)]
    assert [(mark.onset, mark.unit, mark.per_minute) for mark in result.marks.metronomes][1] == (4, 2, 30)


@pytest.mark.parametrize("text", ["fast", "1/0=120", "=120", "1/4=", "1/4=99999999", '"'])
def test_unreadable_tempos_are_named(text: str) -> None:
    assert read("c|", f"X:1\nQ:{text}\nK:C\n").repairs == [f"unreadable fields: 1, the first in line 3 (Q:{text})"]


# 3.1.9 Parts


@pytest.mark.parametrize(
    ("text", "order"),
    [("ABA", "ABA"), ("A(AB)2.C", "AABABC"), ("A3B", "AAAB"), ("((AB)2C)2", "ABABCABABC"), ("A.B * C", "ABC")],
)
def test_part_orders(text: str, order: str) -> None:
    assert parse_parts(text) == order


def test_parts_are_played_in_their_order() -> None:
    head = "X:1\nM:4/4\nL:1/4\nP:ABA\nK:C\n"
    assert pitches("P:A\nc4|\nP:B\nd4|\n", head) == [72, 74, 72]
    assert pitches("[P:A]c4:|[P:B]d4|", head) == [72, 72, 74, 72, 72]
    assert [(each.onset, each.text, each.kind) for each in read("[P:A]c4|[P:B]d4|").marks.words] == [
        *((0, "A", "rehearsal"), (4, "B", "rehearsal")),
    ]


# 3.1.14 Key


@pytest.mark.parametrize(
    ("key", "sharps"),
    [
        *(("C", 0), ("G", 1), ("F", -1), ("Bb", -2), ("F#", 6), ("Cb", -7), ("C#", 7)),
        *(("Am", 0), ("A minor", 0), ("Amin", 0), ("F#m", 3), ("EM", 1), ("Ebmin", -6), ("Aaeolian", 0)),
        *(("Gmix", 0), ("G Mixolydian", 0), ("Ddor", 0), ("EbDor", -5), ("Ephr", 0), ("Flyd", 0), ("Bloc", 0)),
        *(("Cion", 0), ("Dmajor", 2), ("D maj", 2), ("HP", 2), ("Hp", 2)),
    ],
)
def test_keys_and_modes(key: str, sharps: int) -> None:
    assert parse_key(key).sharps == sharps


@pytest.mark.parametrize(("key", "sounding"), [("Ddor", 59), ("D", 59), ("Dphr", 58), ("Bbm", 58), ("G#", 60)])
def test_notes_follow_the_key(key: str, sounding: int) -> None:
    assert pitches("B,|", f"X:1\nK:{key}\n") == [sounding]


def test_modes_are_kept() -> None:
    result = read("D|", "X:1\nK:Ddor\n")
    assert result.marks.mode == "dorian"
    assert [(event.key, event.tonality) for event in result.score.key_signatures] == [(0, 0)]
    minor = read("A|", "X:1\nK:Am\n")
    assert [(event.key, event.tonality) for event in minor.score.key_signatures] == [(0, 1)]
    assert minor.marks.mode == ""


@pytest.mark.parametrize(
    ("key", "sounding"),
    [
        ("D exp _b ", [77, 72, 74, 70]),
        ("D =c", [78, 72, 74, 71]),
        ("D=c", [78, 72, 74, 71]),
        ("Dm ^c", [77, 73, 74, 70]),
        ("D Phr ^f", [78, 72, 74, 70]),
        ("exp ^f_b", [78, 72, 74, 70]),
        ("C ^^F __B", [79, 72, 74, 69]),
        ("none", [77, 72, 74, 71]),
        ("", [77, 72, 74, 71]),
        ("HP", [78, 73, 74, 71]),
        ("Hp", [78, 73, 74, 71]),
        ("Bb stafflines=1", [77, 72, 74, 70]),
    ],
)
def test_keys_with_accidentals(key: str, sounding: list[int]) -> None:
    assert pitches("fcdB|", f"X:1\nK:{key}\n") == sounding


def test_a_signature_with_accidentals_is_the_one_that_it_amounts_to() -> None:
    assert parse_key("D =c").sharps == 1
    assert parse_key("D exp _b").sharps == -1
    assert parse_key("Dm ^c").sharps == -1  # no signature amounts to it


def test_keys_beyond_seven_sharps_are_played_but_not_shown() -> None:
    result = read("f|", "X:1\nK:G#\n")
    assert result.score.tracks[0].notes[0].pitch == 79
    assert result.repairs == ["1 key signature of more than 7 sharps or flats dropped"]


def test_a_key_counts_from_where_it_stands() -> None:
    result = read("f|[K:G]f|\nK:F\nfB|")
    assert [note.pitch for note in result.score.tracks[0].notes] == [77, 78, 77, 70]
    assert [(event.time // 480, event.key) for event in result.score.key_signatures] == [(0, 0), (1, 1), (2, -1)]


@pytest.mark.parametrize("key", ["H", "Gxyz", "c", "12"])
def test_unreadable_keys_are_named(key: str) -> None:
    result = read("f|", f"X:1\nK:{key}\n")
    assert [note.pitch for note in result.score.tracks[0].notes] == [77]
    assert result.repairs == [f"unreadable fields: 1, the first in line 2 (K:{key})"]


# 4.6 Clefs and transposition


@pytest.mark.parametrize(
    ("settings", "sounding"),
    [
        *(("clef=bass", 60), ("bass", 60), ("clef=treble-8", 48), ("treble+8", 72), ("clef=bass-8", 48)),
        *(("clef=bass middle=d", 60), ("m=d", 60), ("octave=-1", 48), ("octave=2", 84), ("clef=treble+15", 84)),
        *(
            ("transpose=-2", 58),
            ("shift=CD", 62),
            ("t=3", 63),
            ("clef=treble-8 octave=1 transpose=1", 61),
            ("clef=alto1", 60),
        ),
        *(("shift=c_B", 58), ("shift=C,c'", 96), ("shift=C", 60)),
        *(("clef=unknown", 60), ("stafflines=2 nonsense", 60), ("octave=999", 60)),
    ],
)
def test_clefs_octaves_and_transposition(settings: str, sounding: int) -> None:
    assert pitches("C|", f"X:1\nK:C {settings}\n") == [sounding]
    assert pitches("C|", f"X:1\nV:1 {settings}\nK:C\n") == [sounding]


def test_a_key_without_settings_keeps_the_clef() -> None:
    assert pitches("C|[K:G]F|[K:clef=treble]F|", "X:1\nK:C clef=treble-8\n") == [48, 54, 66]


def test_percussion_is_percussion() -> None:
    result = read("V:1\nc|\nV:2 clef=perc\nC|")
    assert [track.is_drum for track in result.score.tracks] == [False, True]


def test_a_transposed_voice_sounds_in_its_key() -> None:
    result = read("V:1\nK:D transpose=-2\nd|", "X:1\nM:4/4\nK:C\n")
    assert [note.pitch for note in result.score.tracks[0].notes] == [72]


# 3.1.17 Instructions and directives


def test_accidentals_reach_as_far_as_the_instruction_says() -> None:
    assert pitches("^f F f|f|", "X:1\nK:C\n") == [78, 66, 78, 77]
    assert pitches("^f F f|f|", "X:1\nI:propagate-accidentals octave\nK:C\n") == [78, 65, 78, 77]
    assert pitches("^f F f|f|", "X:1\n%%propagate-accidentals not\nK:C\n") == [78, 65, 77, 77]


def test_a_key_of_none_ends_the_signature() -> None:
    result = read("FB|[K:none]FB|", "X:1\nK:D\n")
    assert [note.pitch for note in result.score.tracks[0].notes] == [66, 71, 65, 71]
    assert [(event.time, event.key) for event in result.score.key_signatures] == [(0, 2), (480, 0)]
    assert not read("FB|", "X:1\nK:none\n").score.key_signatures


def test_exclamation_marks_break_lines_where_an_instruction_says_so() -> None:
    assert pitches("cd!efg!ab|") == [72, 74, 81, 83]  # a decoration of that name
    assert pitches("cd!efg!ab|", "X:1\nI:linebreak !\nK:C\n") == [72, 74, 76, 77, 79, 81, 83]


def test_midi_directives_are_left_out_with_a_word() -> None:
    assert read("%%MIDI program 40\nc|\n%%scale 0.8\n").repairs == ["dropped: 1 %%MIDI line"]


def test_fields_that_describe_are_ignored() -> None:
    head = "X:1\n" + "".join(f"{letter}:GABc\n" for letter in "ABDFGHNORSTZr") + "K:C\n"
    assert read("c|\nN:GABc\nR:jig\nr:GABc\n[r:GABc]d|", head).repairs == []


# 4.16 Redefinable symbols; 9 Macros


def test_letters_are_redefined() -> None:
    result = read("U:T=!fermata!\nTc d|")
    assert list(result.marks.fermatas) == [(0, 72)]
    assert read('U:W="^so"\nWc|').marks.words[0].text == "so"
    assert read("U:T=!nil!\nTc|").repairs == []
    assert read("U: n = +trill+\nnc|").marks.symbols == {(0, 0, 72): ("trill-mark",)}


@pytest.mark.parametrize("text", ["T", "A=!trill!", "TT=!trill!", "=!trill!", "T=", "T=!!", "T=+"])
def test_unreadable_redefinitions_are_named(text: str) -> None:
    assert read(f"U:{text}\nc|").repairs == [f"unreadable fields: 1, the first in line 6 (U:{text})"]


def test_macros_are_written_out() -> None:
    assert pitches("m:~c2=c/d/c\n~c2 e|") == [72, 74, 72, 76]


def test_macros_for_any_note_follow_it() -> None:
    """`n` is the note, and the letters around it are the notes around it."""
    assert pitches("m:~n2=n/o/m\n~c2 ~B,2 ~b2 e2|") == [*(72, 74, 71), *(59, 60, 57), *(83, 84, 81), 76]
    result = read('m:!turn!n=!trill!n/"^no"m\n!turn!d !turn!^c|')
    assert [note.pitch for note in result.score.tracks[0].notes] == [74, 72, 73]
    assert result.marks.symbols == {(0, 0, 74): ("trill-mark",), (0, 1.5, 73): ("turn",)}
    assert result.marks.words[0].text == "no"


# 8. Strings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"\'a\`e\^o\~n\"u\cc\,C\=a\uo\vs\Ho\;e\.z", "áèôñüçÇāŏšőęż"),
        (r"\ss \ae \AE \oe \/O \/o \aa \AA \dh \TH", "ß æ Æ œ Ø ø å Å ð Þ"),
        (r"&eacute; &amp; &copy; \& \% \\", "é & © & % \\"),
        (r"\u00e9 \u266d \ud800.", "é ♭ ."),
        (r"plain", "plain"),
        (r"\x \q", r"\x \q"),
    ],
)
def test_special_characters(text: str, shown: str) -> None:
    assert plain(text) == shown.replace("/O", "Ø")


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ("T:Été à Noël\n".encode(), "Été à Noël"),
        ("T:Été à Noël\n".encode("latin-1"), "Été à Noël"),
        ("\ufeffX:1\nT:Über\n".encode(), "Über"),
        ("I:abc-charset iso-8859-2\nT:Święta\n".encode("iso-8859-2"), "Święta"),
    ],
)
def test_encodings(data: bytes, title: str, tmp_path: Path) -> None:
    path = tmp_path / "tune.abc"
    path.write_bytes((b"" if data.startswith(b"\xef") else b"X:1\n") + data + b"K:C\r\nc4|\r\n")
    assert read_score_report(path).metadata.title == title


def test_a_pickup_is_a_short_first_bar() -> None:
    assert [bar.length_ticks for bar in bars_of(read("G|cdef|g3|").score)] == [480, 1920, 1920]


# 3.1.3 Composer


@pytest.mark.parametrize(
    ("lines", "composer", "lyricist"),
    [
        (["Trad."], "Trad.", ""),
        (["Niel Gow (1727-1807)", "arr. by Ann Lee"], "Niel Gow (1727-1807)", ""),
        (
            ["Words: Henry F. Lyte, 1847.  Music: 'Eventide' William H. Monk, 1861."],
            "William H. Monk, 1861",
            "Henry F. Lyte, 1847",
        ),
        (
            ["Words: Josef Mohr, 1818.", "Translated by John Young.", "Music: Franz Gruber"],
            "Franz Gruber",
            "Josef Mohr, 1818. Translated by John Young",
        ),
        (["Text: Paul Gerhardt", "Melodie: Johann Crüger", "Satz: J. S. Bach"], "Johann Crüger", "Paul Gerhardt"),
        (["Words by Ann Lee", "John Hatton"], "John Hatton", "Ann Lee"),
        (["Words and Music: Ann Lee"], "Ann Lee", "Ann Lee"),
        (["Words: Ann Lee", "Setting: Karl Haupt, 1869."], "Karl Haupt, 1869", "Ann Lee"),
        (
            [
                "Ann Lee",
                "copyright: Words: Copyright 2009, B. Penney. These lyrics may be",
                "reproduced. Music: public domain.",
            ],
            "Ann Lee",
            "",
        ),
        (["Musical Museum, book 3"], "Musical Museum, book 3", ""),
    ],
)
def test_authors_of_words_and_music(lines: list[str], composer: str, lyricist: str) -> None:
    result = read("c|", "X:1\n" + "".join(f"C: {line}\n" for line in lines) + "K:C\n")
    assert (result.marks.composer, result.marks.lyricist) == (composer, lyricist)


def test_a_file_in_utf_16() -> None:
    data = "X:1\nT:Čerešničky\nK:C\nc|\n".encode("utf-16")
    assert parse_score(Path("tune.abc"), data, marks=True).marks.title == "Čerešničky"
