"""ABC by section of the standard: 4.8-4.10 (bar lines and repeats), 5 (lyrics), 7 (voices)."""

from __future__ import annotations

from pathlib import Path

import pytest
from abc_tunes import HEAD, notes, notes_of, pitches, read

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import bars_of, read_score_report
from descant_tokenizers.scores.marks import Lyric

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"
LETTERS = {72: "c", 74: "d", 76: "e", 77: "f", 79: "g", 81: "a", 83: "b"}


def played(body: str, head: str = HEAD) -> str:
    """Letters of the notes as they are played."""
    return "".join(LETTERS[pitch] for pitch in pitches(body, head))


def sung(body: str, head: str = HEAD) -> list[str]:
    """Syllables in order of time and verse: `verse:text`, with `-` where a word goes on and `_` where it is held."""
    lyrics = read(body, head, unfold=False).marks.lyrics
    shown = []
    for (_, onset, _), own in sorted(lyrics.items(), key=lambda item: item[0][1]):
        for each in own:
            text = "-" * (each.syllabic in ("middle", "end")) + each.text + "-" * (each.syllabic in ("begin", "middle"))
            shown.append(f"{float(onset):g}/{each.verse}:{text}{'_' * each.is_extended}")
    return shown


# 4.8-4.10 Repeats


@pytest.mark.parametrize(
    ("music", "order"),
    [
        ("|:c4:|d4|", "ccd"),
        ("c4:|d4:|", "ccdd"),
        ("|:c4::d4:|", "ccdd"),
        ("|:c4:|:d4:|", "ccdd"),
        ("|:c4:||:d4:|", "ccdd"),
        ("c4||d4:|", "cdd"),
        ("c4|]d4:|", "cdd"),
        ("[|c4|d4:|]", "cdcd"),
        ("c4[|]d4:|", "cdcd"),
        ("c4.|d4:|", "cdcd"),
        ("|::c4::|d4|", "cccd"),
        ("|::c4:|d4|", "cccd"),
        ("|:c4|1d4:|2e4|]f4|", "cdcef"),
        ("|:c4|[1d4:|[2e4|]f4|", "cdcef"),
        ("|:c4| [1 d4 :| [2 e4 |] f4|", "cdcef"),
        ("c4|1d4:|2e4||f4|", "cdcef"),
        ("|:c4|1d4:|2e4:|3f4|]", "cdcecf"),
        ("|:c4|1,3d4:|2e4:|4f4|]", "cdcecdcf"),
        ("|:c4|1-3d4:|4f4|]", "cdcdcdcf"),
        ("|:c4|[1,2d4:|[3f4|]", "cdcdcf"),
        ("|:c4|1d4:|e4|", "cdce"),
        ("|:c4|d4[|]:|e4|", "cdcde"),
        ("c4|:d4|", "cd"),
        ("c2:|:d2:|", "ccdd"),
        ("|:c4:[|]|]d4|", "ccd"),
        ("|:c4| 1 d4:| 2 e4|]f4|", "cdcef"),
        ("|:c4|\\\n1 d4:|\n2 e4|]f4|", "cdcef"),
        ("c4|d4||\n:e4:|", "cdee"),
    ],
)
def test_repeats(music: str, order: str) -> None:
    assert played(music) == order


@pytest.mark.parametrize(
    ("music", "order"),
    [
        ("c4!fine!|d4!D.C.!|]", "cdc"),
        ("!fine!c4|d4!D.C.!|]", "cdc"),
        ("c4|!segno!d4!fine!|e4!D.S.!|]", "cded"),
        ("c4|Sd4!fine!|e4!D.S.!|]", "cded"),
        ("c4!dacoda!|d4!D.C.!|!coda!e4|]", "cdce"),
        ("c4!coda!|d4!D.C.!|!coda!e4|]", "cdce"),
        ("c4|O d4|e4!D.C.!|O f4|]", "cdecf"),
        ("c4|d4!D.C.alfine!|]", "cdcd"),
        ("c4|d4!dacapo!|]", "cdcd"),
        ("c4!fine!|d4!Da Capo al Fine!|]", "cdc"),
        ("c4|!segno!d4!fine!|e4!dal segno al fine!|]", "cded"),
        ("c4!To Coda!|d4!D. C. al Coda!|!coda!e4|]", "cdce"),
        ("|:c4:|!fine!d4|e4!D.C.!|]", "ccdecd"),
        ('c4|d4"D.C."|', "cd"),  # an annotation
    ],
)
def test_jumps(music: str, order: str) -> None:
    assert played(music) == order


def test_repeats_are_kept_as_written() -> None:
    result = read("|:c4|1d4:|2e4|]", unfold=False)
    assert len(result.score.tracks[0].notes) == 3
    assert [(sign.kind, sign.time, sign.passes) for sign in result.marks.repeats] == [
        *(("start", 0, ()), ("ending", 4, (1,)), ("end", 8, (2,)), ("ending", 8, (2,)), ("double", 12, ())),
    ]


def test_a_repeat_in_the_middle_of_a_bar() -> None:
    result = read("G|cdef|gab:|c|defg|abc'|]")
    assert [bar.length_ticks // 480 for bar in bars_of(result.score)] == [1, 4, 4, 4, 4, 4, 4]
    assert [note.time // 480 for note in result.score.tracks[0].notes if note.pitch == 67] == [0, 8]


# 5. Lyrics


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("syll-a-ble", ["0/1:syll-", "1/1:-a-", "2/1:-ble"]),
        ("syll- a- ble", ["0/1:syll-", "1/1:-a-", "2/1:-ble"]),
        ("syll-a--ble", ["0/1:syll-", "1/1:-a-", "3/1:-ble"]),
        ("syll-a -ble", ["0/1:syll-", "1/1:-a-", "3/1:-ble"]),
        ("time__ a", ["0/1:time_", "2/1:", "3/1:a"]),
        ("time_ a", ["0/1:time_", "1/1:", "2/1:a"]),
        ("ban-_ner", ["0/1:ban-", "2/1:-ner"]),
        ("of~the~day now", ["0/1:of the day", "1/1:now"]),
        (r"x\-ray a", ["0/1:x-ray", "1/1:a"]),
        ("a * b", ["0/1:a", "2/1:b"]),
        ("a ** b", ["0/1:a", "3/1:b"]),
        ("a | b", ["0/1:a", "4/1:b"]),
        ("a b c d | e", ["0/1:a", "1/1:b", "2/1:c", "3/1:d", "4/1:e"]),
        ("| a", ["4/1:a"]),
        ("1.~Three blind", ["0/1:1. Three", "1/1:blind"]),
        ("2. Three blind", ["0/1:2. Three", "1/1:blind"]),
        ("1 2 3", ["0/1:1", "1/1:2", "2/1:3"]),
        (r"\'e&eacute; a", ["0/1:éé", "1/1:a"]),
        ("", []),
    ],
)
def test_syllables_and_notes(words: str, expected: list[str]) -> None:
    assert [each for each in sung(f"cdef|gabc'|\nw:{words}") if not each.endswith(":") or "_" in words] == expected


def test_rests_and_grace_notes_have_no_syllables_and_tied_notes_have() -> None:
    assert sung("c z {d}e f-|f g|\nw:a b c d e") == ["0/1:a", "2/1:b", "3/1:c d", "5/1:e"]
    assert sung("c z {d}e f-|f g|\nw:a b c _ e") == ["0/1:a", "2/1:b", "3/1:c_", "5/1:e"]


def test_lines_of_words_go_on_where_the_last_one_ended() -> None:
    assert sung("cd|\nw:a b\nef|\nw:c d") == ["0/1:a", "1/1:b", "2/1:c", "3/1:d"]
    assert sung("cd|\nef|\nw:a b c d") == ["0/1:a", "1/1:b", "2/1:c", "3/1:d"]
    assert sung("cd|\nw:a\nef|\nw:c d") == ["0/1:a", "2/1:c", "3/1:d"]
    assert sung("cd|\nw:\nef|\nw:c d") == ["2/1:c", "3/1:d"]


def test_adjacent_lines_are_verses() -> None:
    assert sung("cd|\nw:a b\nw:c d\nef|\nw:e f\nw:g h") == [
        *("0/1:a", "0/2:c", "1/1:b", "1/2:d", "2/1:e", "2/2:g", "3/1:f", "3/2:h"),
    ]


def test_lines_of_words_are_continued() -> None:
    assert sung("cdef|\nw:a b\n+:c d\nw:e f\\\nw:g h") == [
        *("0/1:a", "0/2:e", "1/1:b", "1/2:f", "2/1:c", "2/2:g", "3/1:d", "3/2:h"),
    ]


def test_a_word_goes_on_in_the_next_line() -> None:
    assert sung("cd|\nw:a hal-\nef|\nw:lo you") == ["0/1:a", "1/1:hal-", "2/1:-lo", "3/1:you"]


def test_all_notes_of_a_chord_have_the_syllable() -> None:
    lyrics = read("[ce]|\nw:la").marks.lyrics
    assert lyrics == {(0, 0, 72): (Lyric("la", "single", 1),)}


def test_syllables_without_notes_are_counted() -> None:
    assert read("cd|\nw:a b c d").repairs == ["dropped: 2 syllables without a note"]


def test_words_after_the_tune_are_counted() -> None:
    assert read("cd|\nW:first\nW:second").repairs == ["dropped: 2 lines of words after the tune"]


def test_words_belong_to_their_voice() -> None:
    result = read("V:1\ncd|\nV:2\nef|\nw:a b")
    assert [(place[0], float(place[1])) for place in result.marks.lyrics] == [(1, 0), (1, 1)]


# 7. Voices


@pytest.mark.parametrize("name", ["voices_inline", "voices_interleaved", "voice_names"])
def test_voices_sound_together(name: str) -> None:
    result = read_score_report(CASES / f"abc_{name}.abc")
    assert [[n.time for n in track.notes] for track in result.score.tracks] == [
        [0, 480, 960, 1440, 1920, 2880] for _ in result.score.tracks
    ]
    names = {"voices_inline": ["Soprano", "Alto", "Tenor", "Bass"], "voice_names": ["Soprano", "Alto"]}
    assert [track.name for track in result.score.tracks] == names.get(name, ["Part 1", "Part 2"])


def test_names_of_voices() -> None:
    result = read('V:1 nm="Fl\\"ote" snm="Fl."\nc|\nV:Tenor clef=treble-8\nc|\nV:3\nc|')
    assert [track.name for track in result.score.tracks] == ["Flöte", "Tenor", "Part 3"]


def test_each_voice_has_its_own_fields() -> None:
    result = read("V:1\n[K:G][L:1/2]f|\nV:2\nf|\nV:1\nf|")
    assert notes_of(result) == [[(0, 2, 78), (2, 2, 78)], [(0, 1, 77)]]


def test_accidentals_and_ties_stay_in_their_voice() -> None:
    result = read("[V:1]^c2-[V:2]c2[V:1]c2|[V:2]c2|")
    assert notes_of(result) == [[(0, 4, 73)], [(0, 2, 72), (2, 2, 72)]]


def test_music_before_the_first_voice_belongs_to_it() -> None:
    assert len(read("cd|\nV:1\nef|").score.tracks) == 1
    assert [track.name for track in read("cd|", HEAD.replace("K:", 'V:A name="Air"\nK:')).score.tracks] == ["Air"]


def test_staves_give_the_order() -> None:
    head = HEAD.replace("K:", "%%score (B) | {A C}\nV:A\nV:B\nV:C\nK:")
    assert [track.name for track in read("[V:A]c|\n[V:C]d|\n[V:B]e|", head).score.tracks] == ["B", "A", "C"]
    assert [track.name for track in read("[V:A]c|\n[V:C]d|\n[V:B]e|", head.replace("C}", "}")).score.tracks] == [
        *("B", "A", "C"),
    ]


def test_repeats_of_one_voice_hold_for_all() -> None:
    result = read("V:1\n|:c4:|d4|\nV:2\ne4|f4|")
    assert notes_of(result) == [[(0, 4, 72), (4, 4, 72), (8, 4, 74)], [(0, 4, 76), (4, 4, 76), (8, 4, 77)]]


def test_too_many_voices_are_refused() -> None:
    with pytest.raises(InputError, match="has more than 64 voices"):
        read("".join(f"[V:{number}]c|" for number in range(65)))


# 7.4 Overlays


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("cdef & A4 | g4 |", [[(0, 72), (1, 74), (2, 76), (3, 77), (4, 79)], [(0, 69)]]),
        ("c4 | d4 & e4 & f2 g2 | c4 |", [[(0, 72), (4, 74), (8, 72)], [(4, 76)], [(4, 77), (6, 79)]]),
        ("c2 & e4 | d4 |", [[(0, 72), (4, 74)], [(0, 76)]]),
        ("c4|d4 & e4\\\n|f4|", [[(0, 72), (4, 74), (8, 77)], [(4, 76)]]),
        ("c4|d4|\n&& e4|f4|g4|", [[(0, 72), (4, 74), (8, 79)], [(0, 76), (4, 77)]]),
        ("c4|d4 && e4|f4|g4|", [[(0, 72), (4, 74), (8, 79)], [(0, 76), (4, 77)]]),
        ("c4 &\\\ne4 |]", [[(0, 72)], [(0, 76)]]),
    ],
)
def test_overlays(music: str, expected: list[list[tuple[int, int]]]) -> None:
    result = read(music)
    assert [[(note.time // 480, note.pitch) for note in track.notes] for track in result.score.tracks] == expected


def test_overlays_are_tracks_of_their_own() -> None:
    result = read('V:1 name="Soprano"\n^c4 & c4|\nw:la\n')
    assert [track.name for track in result.score.tracks] == ["Soprano", "Soprano 2"]
    assert notes_of(result) == [[(0, 4, 73)], [(0, 4, 72)]]
    assert [place[0] for place in result.marks.lyrics] == [0]


def test_impossible_overlays_are_counted() -> None:
    assert read("c4 &&& d4|").repairs == ["impossible overlays: 1, the first in line 6 (&&&)"]


def test_the_longest_voice_gives_the_bars() -> None:
    result = read("V:1\nc4|\nV:2\nd4|e4|f4|")
    assert len(bars_of(result.score)) == 3
    assert notes("c4|d2") == [(0, 4, 72), (4, 2, 74)]


@pytest.mark.parametrize("names", [("", ""), ('name="S A"', 'name="T B"')])
def test_two_voices_of_chords_become_four(names: tuple[str, str]) -> None:
    extra = "V:3 name=\"Flute\"\nc'4|c'4|" if names[0] else ""
    upper = f"V:1 {names[0]}\n[Gc][Gd][Ge]A|[Gc]4|\nw: A-men, a-men, so\n"
    result = read(f"{upper}V:2 {names[1]}\n[C,E][B,,D][C,C][F,C]|[C,E]4|\n{extra}")
    assert [track.name for track in result.score.tracks][:4] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert [[note.pitch for note in track.notes] for track in result.score.tracks][:4] == [
        [72, 74, 76, 69, 72],
        [67, 67, 67, 69, 67],
        [64, 62, 60, 60, 64],
        [48, 47, 48, 53, 48],
    ]
    assert [place[0] for place in result.marks.lyrics] == [0] * 5


def test_a_voice_of_chords_beside_a_melody_stays_one() -> None:
    assert len(read("V:1\ncdef|c4|\nV:2\n[C,E][B,,D][C,C][F,C]|[C,E]4|").score.tracks) == 2
