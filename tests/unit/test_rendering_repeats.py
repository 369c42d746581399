"""Repeats, endings and jumps inside measures: sheet music that is read again is played in the same order."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import abc_tunes
import pytest
from symusic.core import NoteTick

from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import ReadResult
from descant_tokenizers.scores.musicxml.movements import movement_starts
from descant_tokenizers.scores.reading import parse_score
from descant_tokenizers.scores.validation import Limits

FORWARD, BACKWARD = '<repeat direction="forward"/>', '<repeat direction="backward"/>'
FINE, DA_CAPO = '<sound fine="yes"/>', '<sound dacapo="yes"/>'
PITCHES = [(step, octave) for octave in (4, 5, 6) for step in "CDEFGAB"]


def ending(number: str, kind: str) -> str:
    return f'<ending number="{number}" type="{kind}"/>'


def jump(kind: str) -> str:
    return f"<direction><direction-type><words/></direction-type><sound {kind}/></direction>"


class Tune:
    """Measures of one part, each of one note or rest, given its length in eighths."""

    def __init__(self) -> None:
        self.text, self._number, self._pitch = "", 0, 0

    def add(
        self,
        length: int,
        *,
        start: str = "",
        end: str = "",
        sound: str = "",
        meter: str = "",
        number: str | None = None,
        rest: bool = False,
    ) -> Tune:
        step, octave = PITCHES[self._pitch % len(PITCHES)]
        self._pitch += not rest
        kind = "<rest/>" if rest else f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
        beats, _, unit = meter.partition("/")
        time = f"<time><beats>{beats}</beats><beat-type>{unit}</beat-type></time>" if meter else ""
        self.text += (
            f'<measure number="{self._number if number is None else number}">'
            + (f'<barline location="left">{start}</barline>' if start else "")
            + f"<attributes><divisions>2</divisions>{time}</attributes>"
            + f"<note>{kind}<duration>{length}</duration></note>{sound}"
            + (f'<barline location="right">{end}</barline>' if end else "")
            + "</measure>"
        )
        self._number = self._number + 1 if number is None or not number.isdecimal() else int(number) + 1
        return self

    @property
    def data(self) -> bytes:
        head = "<part-list><score-part id='P1'><part-name>Tune</part-name></score-part></part-list>"
        return f"<score-partwise>{head}<part id='P1'>{self.text}</part></score-partwise>".encode()

    def read(self, *, unfold: bool = True) -> ReadResult:
        return parse_score(Path("made.xml"), self.data, marks=True, unfold=unfold)


def order(result: ReadResult) -> list[tuple[Fraction, Fraction]]:
    """The stretches as played, in eighths."""
    assert result.form is not None
    return [(2 * span.start, 2 * span.end) for span in result.form.spans]


def notes(result: ReadResult) -> list[tuple[int, int, int]]:
    return [(note.time, note.end, note.pitch) for note in result.score.tracks[0].notes]


def sheet(result: ReadResult) -> str:
    return Rendering(result.score, marks=result.marks, form=result.form).musicxml


def reread(text: str, *, unfold: bool = True) -> ReadResult:
    return parse_score(Path("again.xml"), text.encode(), marks=True, unfold=unfold)


def minuet(meter: str, *, trio_number: str | None = None) -> Tune:
    """An upbeat, a minuet with its fine inside a bar, and a trio with an upbeat and two endings that goes back."""
    bar = {"3/4": 6, "6/8": 6, "4/4": 8}[meter]
    up = 1 if meter == "6/8" else 2
    tune = Tune().add(up, meter=meter).add(bar).add(bar - up, end=BACKWARD).add(up, start=FORWARD).add(bar)
    tune.add(bar - up, end=BACKWARD, sound=FINE).add(up, start=FORWARD, number=trio_number).add(bar)
    tune.add(bar - up, start=ending("1", "start"), end=ending("1", "stop") + BACKWARD)
    return tune.add(bar - up, start=ending("2", "start"), end=ending("2", "stop"), sound=DA_CAPO)


TUNES = {
    "the last bar pays nothing back": (
        Tune().add(2, meter="4/4").add(8).add(6).add(2, rest=True).add(8).add(4).add(4, rest=True, end=BACKWARD),
        [(0, 34), (0, 34)],
    ),
    "bars of rest before the repeat": (
        Tune().add(2, meter="3/4").add(6).add(6, rest=True).add(4, rest=True, end=BACKWARD),
        [(0, 18), (0, 18)],
    ),
    "forward and backward inside bars": (
        Tune().add(6, meter="3/4").add(4).add(2, start=FORWARD).add(6).add(2, end=BACKWARD).add(4).add(6),
        [(0, 20), (10, 30)],
    ),
    "the same in 6/8": (
        Tune().add(6, meter="6/8").add(5).add(1, start=FORWARD).add(6).add(3, end=BACKWARD).add(3).add(6),
        [(0, 21), (11, 30)],
    ),
    "a repeat across a change of meter": (
        Tune().add(2, meter="4/4").add(8).add(6, end=BACKWARD).add(1, meter="6/8", start=FORWARD).add(6).add(
            5, end=BACKWARD
        ),
        [(0, 16), (0, 28), (16, 28)],
    ),
    "minuet and trio in 3/4": (
        minuet("3/4"),
        [(0, 12), (0, 24), (12, 36), (24, 32), (36, 40), (0, 24)],
    ),
    "minuet and trio in 6/8": (
        minuet("6/8"),
        [(0, 12), (0, 24), (12, 36), (24, 31), (36, 41), (0, 24)],
    ),
    "a trio that counts its bars again": (
        minuet("3/4", trio_number="0"),
        [(0, 12), (0, 24), (12, 36), (24, 32), (36, 40), (0, 24)],
    ),
    "music behind a da capo": (
        minuet("4/4").add(8, number="20").add(8, end=BACKWARD).add(8),
        [(0, 16), (0, 32), (16, 48), (32, 42), (48, 54), (0, 32), (54, 70), (54, 78)],
    ),
    "three movements": (
        minuet("3/4").add(4, number="1", meter="2/4").add(4).add(1, number="0", meter="6/8").add(6, sound=FINE).add(
            5, sound=DA_CAPO
        ),
        [(0, 12), (0, 24), (12, 36), (24, 32), (36, 40), (0, 24), (40, 60), (48, 55)],
    ),
    "a second ending that begins the next section": (
        Tune().add(8, meter="4/4").add(8, start=ending("1", "start"), end=ending("1", "stop") + BACKWARD).add(
            8, start=ending("2", "start") + FORWARD, end=ending("2", "stop")
        ).add(8, end=BACKWARD).add(8, sound=FINE).add(8, sound=DA_CAPO),
        [(0, 16), (0, 8), (16, 32), (16, 48), (0, 8), (16, 40)],
    ),
    "a repeat behind a last ending": (
        Tune().add(8, meter="4/4").add(8, start=ending("1", "start"), end=ending("1", "stop") + BACKWARD).add(
            8, start=ending("2", "start"), end=ending("2", "stop")
        ).add(8).add(8, end=BACKWARD).add(8),
        [(0, 16), (0, 8), (16, 40), (24, 48)],
    ),
    "notes at the end that are never played": (
        Tune().add(8, meter="4/4").add(8, end=BACKWARD).add(4, start=ending("3", "start"), end=ending("3", "stop")),
        [(0, 16), (0, 16)],
    ),
    "a last ending that is never played": (
        Tune().add(8, meter="4/4").add(8, start=ending("1", "start"), end=ending("1", "stop")).add(
            8, rest=True, start=ending("3", "start"), end=ending("3", "stop")
        ),
        [(0, 16)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TUNES)
def test_the_order_comes_back(name: str) -> None:
    tune, played = TUNES[name]
    result = tune.read()
    assert order(result) == played
    assert sum(stop - start for start, stop in played) * 240 >= result.score.end()
    again = reread(sheet(result))
    assert (order(again), notes(again)) == (played, notes(result))
    assert again.marks.words == result.marks.words


def test_two_signs_to_go_back_to_are_written_out_unless_the_last_one_is_meant() -> None:
    """A sign with a label says where a jump goes, but its label is not printed."""

    def played(first: str, second: str) -> Tune:
        tune = Tune().add(8, meter="4/4", sound=jump('segno="a"')).add(8, sound=jump('segno="b"'))
        return tune.add(8, sound=jump(first)).add(8, sound=jump(second)).add(8)

    for labels, order_played, is_written_out in (
        (("a", "b"), [(0, 24), (0, 32), (8, 40)], True),
        (("b", "b"), [(0, 24), (8, 32), (8, 40)], False),
    ):
        result = played(*(f'dalsegno="{label}"' for label in labels)).read()
        assert order(result) == order_played
        again = reread(sheet(result))
        assert notes(again) == notes(result)
        assert (again.form is None) == is_written_out


@pytest.mark.parametrize("name", TUNES)
def test_the_text_as_written_comes_back(name: str) -> None:
    result = TUNES[name][0].read(unfold=False)
    again = reread(sheet(result), unfold=False)
    assert notes(again) == notes(result)
    assert again.marks.repeats == result.marks.repeats


@pytest.mark.parametrize(
    ("music", "signs"),
    [
        ("C4||D4|E4:|", ["forward", "backward"]),
        ("|:C4|1D4:|2E4||F4|G4:|", ["forward", "backward", "forward", "backward"]),
        ("C4|1D4:|2E4|]F4|1G4:|2A4|]", ["backward", "forward", "backward"]),
        ("C4|1D4|2E4|]F4|", []),  # no repeat follows the first ending, but the second one
        ("C4|1D4|2E4|]F4|1G4|", None),
        ("C4|3D4|]E4|1F4||", None),
    ],
)
def test_tunes_are_printed_as_they_are_played(music: str, signs: list[str] | None) -> None:
    result = abc_tunes.read(music)
    look = Rendering(result.score, marks=result.marks, form=result.form)
    assert re.findall(r'<repeat direction="(\w+)"', look.musicxml) == (signs or [])
    assert bool(look.remarks) == (signs is None)
    assert notes(reread(look.musicxml)) == notes(result)


@pytest.mark.parametrize("first", range(0, 80, 20))
def test_odd_repeats_and_endings_are_printed_as_they_are_played(first: int) -> None:
    for seed in range(first, first + 20):
        music = abc_tunes.random_form(seed)
        result = abc_tunes.read(music)
        assert notes(reread(sheet(result))) == notes(result), music


def test_upbeats_of_movements_have_no_time_signature_of_their_own() -> None:
    tune, _ = TUNES["three movements"]
    text = sheet(tune.read())
    assert re.findall(r"<beats>(\d+)</beats>\s*<beat-type>(\d+)<", text) == [("3", "4"), ("2", "4"), ("6", "8")]
    measures = re.findall(r'<measure [^>]*number="(\d+)"', text)
    assert [int(number) for number in measures] == [0, 1, 2, 2, 3, 4, 4, 5, 6, 7, 1, 2, 0, 1, 2]


def test_music_that_is_cut_or_goes_on_ends_with_its_notes() -> None:
    """Of music as written, the signs behind the end say nothing."""
    result = Tune().add(2, meter="4/4").add(8).add(6, end=BACKWARD).add(8).add(8).add(8, rest=True).read(unfold=False)
    assert sheet(result).count("<measure ") == 6
    short, long = result.score.copy(), result.score.copy()
    short.tracks[0].notes = short.tracks[0].notes[:2]
    long.tracks[0].notes.append(NoteTick(9 * 960, 1920, 60, 80))
    for score, count in ((short, 2), (long, 7)):
        text = Rendering(score, marks=result.marks).musicxml
        assert text.count("<measure ") == count
        assert notes(reread(text, unfold=False)) == [(n.time, n.end, n.pitch) for n in score.tracks[0].notes]


def test_notes_that_no_sign_leads_to_are_counted() -> None:
    coda = Tune().add(8, meter="4/4").add(8, sound='<sound tocoda="c"/>').add(8, sound=DA_CAPO).add(8).add(8)
    behind = coda.add(8, start="<coda/>").read()
    assert order(behind) == [(0, 24), (0, 16), (40, 48)]
    assert behind.repairs[0] == "dropped: 2 notes that repeats and jumps never reach"


def test_a_repeat_may_begin_without_a_sign() -> None:
    """Programs that play the file begin at `forward-repeat`."""
    tune = Tune().add(8, meter="4/4").add(8, sound='<sound forward-repeat="yes"/>').add(8, end=BACKWARD)
    assert order(tune.read()) == [(0, 24), (8, 24)]


@pytest.mark.parametrize(
    ("numbers", "starts"),
    [
        ("0 1 2 3 1 2 3", [0, 4]),
        ("1 2 X1 3 X2 0 1 2 X1 1 2", [0, 5, 9]),  # some programs count the rests of divided bars apart
        ("1 1 2 2 3", [0]),
        ("0 1 1 1", [0]),
        ("5 6 7 2 3", [0]),  # a part of a score
        ("1 2 3 0 1", [0, 3]),
    ],
)
def test_movements_begin_where_measures_count_again(numbers: str, starts: list[int]) -> None:
    tune = Tune()
    for number in numbers.split():
        tune.add(8, meter="4/4", number=number)
    assert movement_starts(Path("made.xml"), tune.data, Limits()) == starts
    signs = [sign.time for sign in tune.read(unfold=False).marks.repeats if sign.kind == "movement"]
    assert [0, *(time / 4 for time in signs)] == starts
    assert all(first < second for first, second in pairwise(starts))
