"""Repeats as they are written and as they are played, in scores, results and sheet music."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_modeling.generation.base import GenerationResult, Sample
from descant_modeling.generation.forms import unfolded_result
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import ReadResult, bars_of, read_score_report
from descant_tokenizers.scores.form import Form
from descant_tokenizers.scores.reading import parse_score

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"
BAR = 1920


def measure(number: int, step: str, *, start: str = "", end: str = "", length: int = 4, first: bool = False) -> str:
    """A measure of one note."""
    meter = "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    left = f'<barline location="left">{start}</barline>' if start else ""
    right = f'<barline location="right">{end}</barline>' if end else ""
    note = f"<note><pitch><step>{step}</step><octave>5</octave></pitch><duration>{length}</duration></note>"
    return f'<measure number="{number}">{left}{meter if first else ""}{note}{right}</measure>'


def read(*measures: str) -> ReadResult:
    head = "<part-list><score-part id='P1'><part-name>Tune</part-name></score-part></part-list>"
    text = f"<score-partwise>{head}<part id='P1'>{''.join(measures)}</part></score-partwise>"
    return parse_score(Path("made.xml"), text.encode(), marks=True)


FORWARD, BACKWARD = '<repeat direction="forward"/>', '<repeat direction="backward"/>'
VOLTA = read(
    measure(1, "C", start=FORWARD, first=True),
    measure(2, "D", start='<ending number="1" type="start"/>', end=f'<ending number="1" type="stop"/>{BACKWARD}'),
    measure(3, "E", start='<ending number="2" type="start"/>', end='<ending number="2" type="discontinue"/>'),
    measure(4, "F"),
)
#: A pickup that a repeat sign pays back in the middle of a bar.
UPBEAT = read(
    measure(0, "G", length=1, first=True),
    measure(1, "C"),
    measure(2, "D", length=3, end=BACKWARD),
    measure(3, "E", length=1),
    measure(4, "F", length=3),
)


def form_of(result: ReadResult) -> Form:
    assert result.form is not None
    return result.form


def events(score: ScoreTick) -> list[list[tuple[int, int, int]]]:
    return [[(note.time, note.duration, note.pitch) for note in track.notes] for track in score.tracks]


@pytest.mark.parametrize("result", [VOLTA, UPBEAT])
def test_a_score_folds_and_unfolds(result: ReadResult) -> None:
    form = form_of(result)
    folded = form.folded(result.score)
    assert folded is not None
    assert events(folded.score) == events(form.written.score)
    assert events(form.unfold(folded.score)) == events(result.score)
    assert [bar.length_ticks for bar in bars_of(folded.score)] == [
        bar.length_ticks for bar in bars_of(form.written.score)
    ]


def test_a_place_knows_when_it_is_played() -> None:
    folded = form_of(VOLTA).fold(VOLTA.score)
    assert [folded.played(bar * BAR) // BAR for bar in range(4)] == [0, 1, 3, 4]


def test_passes_that_differ_do_not_fold() -> None:
    other = VOLTA.score.copy()
    other.tracks[0].notes[2].pitch = 60
    assert form_of(VOLTA).folded(other) is None
    longer = VOLTA.score.copy()
    longer.tracks[0].notes.append(NoteTick(9 * BAR, BAR, 60, 80))
    assert form_of(VOLTA).folded(longer) is None


def test_a_result_is_unfolded_with_its_new_notes() -> None:
    form = form_of(VOLTA)
    folded = form.fold(VOLTA.score).score
    bass = TrackTick("Bass", 0, False)
    bass.notes.extend([NoteTick(bar * BAR, BAR, 40 + bar, 80) for bar in range(4)])
    folded.tracks.append(bass)
    added = frozenset(("Bass", note.time, note.pitch) for note in bass.notes)
    result = GenerationResult((Sample(folded, added, 0, None),), (), ("Tune",), ("Bass",))
    (sample,) = unfolded_result(result, form, VOLTA.score).samples
    assert [note.pitch for note in sample.score.tracks[1].notes] == [40, 41, 40, 42, 43]
    assert {name for name, _, _ in sample.given} == {"Tune"}
    assert len(sample.given) == len(sample.added) == 5
    assert len(bars_of(sample.score)) == 5


def test_sheet_music_has_the_signs_and_sound_the_passes() -> None:
    look = Rendering(VOLTA.score, marks=VOLTA.marks, form=VOLTA.form)
    assert look.musicxml.count("<pitch>") == 4
    assert re.findall(r"<(repeat|ending)[^>]*(?:direction|type)=\"(\w+)\"", look.musicxml) == [
        ("repeat", "forward"),
        ("ending", "start"),
        ("ending", "stop"),
        ("repeat", "backward"),
        ("ending", "start"),
        ("ending", "stop"),
    ]
    assert look.remarks == []
    assert ScoreTick.from_midi(look.data("midi")[0]).note_num() == 5
    again = parse_score(Path("again.xml"), look.musicxml.encode())
    assert events(again.score) == events(VOLTA.score)


def test_a_repeat_sign_divides_a_bar() -> None:
    look = Rendering(UPBEAT.score, marks=UPBEAT.marks, form=UPBEAT.form)
    assert re.findall(r'<measure implicit="(\w+)" number="(\d+)"', look.musicxml) == [
        *(("yes", "0"), ("no", "1"), ("no", "2"), ("yes", "2"), ("no", "3"))
    ]
    assert events(parse_score(Path("again.xml"), look.musicxml.encode()).score) == events(UPBEAT.score)
    assert "<rest" not in look.musicxml


def test_sheet_music_is_written_out_if_passes_differ() -> None:
    other = VOLTA.score.copy()
    other.tracks[0].notes[2].pitch = 60
    look = Rendering(other, marks=VOLTA.marks, form=VOLTA.form)
    assert look.musicxml.count("<pitch>") == 5
    assert "<repeat" not in look.musicxml
    assert look.remarks == ["the sheet music writes the repeats out, because their passes differ"]


@pytest.mark.parametrize(
    ("signs", "words", "sounds"),
    [
        (("fine", "dacapo"), ["Fine", "D.C. al Fine"], ['fine="yes"', 'dacapo="yes"']),
        (("tocoda", "dalsegno"), ["To Coda", "D.S. al Coda"], ['tocoda="coda"', 'dalsegno="segno"']),
    ],
)
def test_jumps_are_words_that_programs_play(signs: tuple[str, str], words: list[str], sounds: list[str]) -> None:
    segno = '<sound segno="s"/>' if signs[0] == "tocoda" else ""
    coda = '<sound coda="c"/>' if signs[0] == "tocoda" else ""
    sound = [f'<sound {sign}="yes"/></measure>' for sign in signs]
    result = read(
        measure(1, "C", first=True),
        measure(2, "D").replace("<note>", f"{segno}<note>").replace("</measure>", sound[0]),
        measure(3, "E").replace("</measure>", sound[1]),
        measure(4, "F").replace("<note>", f"{coda}<note>"),
    )
    text = Rendering(result.score, marks=result.marks, form=result.form).musicxml
    assert re.findall(r"<words[^>]*>([^<]*)</words>", text) == words
    assert re.findall(r"<sound (\w+=\"\w+\")", text) == sounds
    assert events(parse_score(Path("again.xml"), text.encode()).score) == events(result.score)


def test_no_repeats_plays_the_text_and_keeps_its_signs() -> None:
    read_plain = read_score_report(CASES / "xml_volta.musicxml", marks=True, unfold=False)
    assert read_plain.score.note_num() == 12
    text = Rendering(read_plain.score, marks=read_plain.marks).musicxml
    assert text.count("<repeat ") == 2
    assert read_score_report(CASES / "xml_volta.musicxml").score.note_num() == 16


@pytest.mark.parametrize(
    ("music", "lengths"),
    [
        ("G|CDEF|GAB:|G|CDEF|GAB|]", [1, 4, 4, 4, 4, 4, 4]),
        ("|:CDEF|GA:|Bc|defg|", [4, 2, 4, 4, 4]),  # the first pass ends in the middle of a bar
        ("CDEF|GA|:Bc|defg|ab:|CD|EFGA|", [4, 4, 4, 4, 4, 4, 4]),
        ("G|CDEF|GAB:|:c|defg|abc:|", [1, 4, 4, 4, 4, 4, 4, 4, 4]),
        ("G|CDEF|[1GAB:|[2GAc||", [1, 4, 4, 4, 4]),
    ],
)
def test_bars_at_the_seam_of_a_repeat_in_the_middle_of_a_bar(music: str, lengths: list[int]) -> None:
    tune = f"X:1\nM:4/4\nL:1/4\nK:C\n{music}\n"
    result = parse_score(Path("seam.abc"), tune.encode(), marks=True)
    look = Rendering(result.score, marks=result.marks, form=result.form)
    assert look.musicxml.count("<time>") == 1
    for read in (result, parse_score(Path("again.xml"), look.musicxml.encode())):
        assert [bar.length_ticks / 480 for bar in bars_of(read.score)] == lengths


@pytest.mark.parametrize(
    ("parts", "signs"),
    [
        ("AABB", [("backward", ""), ("forward", ""), ("backward", "")]),
        ("AAAB", [("backward", "3")]),
        ("ABB", [("forward", ""), ("backward", "")]),
        ("(AB)2", [("backward", "")]),
        ("ABA", None),
        ("BA", None),
        ("ABACA", None),
    ],
)
def test_an_order_of_parts_becomes_repeat_signs_or_is_written_out(
    parts: str, signs: list[tuple[str, str]] | None
) -> None:
    tune = f"X:1\nM:4/4\nL:1/4\nP:{parts}\nK:C\nP:A\nCDEF|G4|\nP:B\nABcd|e4|\n" + "P:C\nf4|\n" * ("C" in parts)
    result = parse_score(Path("parts.abc"), tune.encode(), marks=True)
    look = Rendering(result.score, marks=result.marks, form=result.form)
    found = re.findall(r'<repeat direction="(\w+)"(?: times="(\d+)")?', look.musicxml)
    assert found == (signs or [])
    assert events(parse_score(Path("again.xml"), look.musicxml.encode()).score) == events(result.score)
    out = "the sheet music writes the repeats out, because no signs say in which order its parts are played"
    assert look.remarks == ([out] if signs is None else [])
