"""Engraved pages as a notation program would print them: accidentals, tempos, chord symbols, figures, colors, PDF."""

from __future__ import annotations

import io
import itertools
import re
from fractions import Fraction
from pathlib import Path

import pytest
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick
from typer.testing import CliRunner

from descant_modeling.cli.main import app
from descant_tokenizers.rendering.chords import chords_of
from descant_tokenizers.rendering.musicxml import ADDED_COLOR
from descant_tokenizers.rendering.spelling import Key
from descant_tokenizers.rendering.svg_text import stacked_figures, with_drawn_signs
from descant_tokenizers.rendering.verovio import pdf_of, why_no_pdf
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import VOICES, write_midi
from descant_tokenizers.scores.marks import Lyric, Marks, Words, with_notes

TPQ = 480
_TEXT = re.compile(r'class="(\w+)"[^>]*>\s*<text x="(-?\d+)" y="(-?\d+)"[^>]*>(.*?)</text>', re.DOTALL)


def score_of(*lines: str, sharps: int = 0, meter: tuple[int, int] = (4, 4), tempo: float = 88) -> ScoreTick:
    """Return a score of lines `60 62:2 -:1/2`: MIDI pitches, or rests, with lengths in quarters (default 1)."""
    score = ScoreTick(TPQ)
    score.key_signatures.append(KeySignatureTick(0, sharps, 0))
    score.time_signatures.append(TimeSignatureTick(0, *meter))
    score.tempos.append(TempoTick(0, tempo))
    for name, line in zip(VOICES, lines, strict=False):
        track, at = TrackTick(name, 0, False), 0.0
        for word in line.split():
            pitch, _, length = word.partition(":")
            quarters = float(length or 1)
            if pitch != "-":
                track.notes.append(NoteTick(round(at * TPQ), round(quarters * TPQ), int(pitch), 80))
            at += quarters
        score.tracks.append(track)
    return score


def accidentals(score: ScoreTick, **options: object) -> list[str]:
    """Return the notes of a score in the order of its file, each with its printed accidental: `F#4`, `F4 sharp`."""
    text = Rendering(score, **options).musicxml  # type: ignore[arg-type]
    notes = []
    for each in re.findall(r"<note.*?</note>", text, re.DOTALL):
        step, octave = (re.search(rf"<{tag}>(.*?)</{tag}>", each) for tag in ("step", "octave"))
        sign = re.search(r"<accidental[^>]*>(\w+)", each)
        if step and octave:
            notes.append(step[1] + octave[1] + (f" {sign[1]}" if sign else ""))
    return notes


def texts(page: str, kind: str) -> list[tuple[int, int, str]]:
    """Return x, y and the words of the texts of a class, such as `harm`."""
    found = [(int(x), int(y), inside) for name, x, y, inside in _TEXT.findall(page) if name == kind]
    return [(x, y, "".join(re.sub(r"<[^>]*>", "", inside).split())) for x, y, inside in found]


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("66 66 65 66", "F4 sharp, F4, F4 natural, F4 sharp"),
        ("-:3 66:2 66 -", "F4 sharp, F4, F4 sharp"),  # tied over the bar line; then it no longer holds
        ("-:3 66:2 65 65", "F4 sharp, F4, F4 natural, F4"),
        ("66:4 65 65 -:2", "F4 sharp, F4 natural, F4"),  # a reminder, once
        ("66 77:2 65", "F4 sharp, F5 natural, F4 natural"),
        ("66:4 67:4 65:4", "F4 sharp, G4, F4"),
    ],
)
def test_accidentals_hold_to_the_bar_line_and_ties_over_it(line: str, printed: str) -> None:
    assert ", ".join(accidentals(score_of(line))) == printed


def test_accidentals_count_for_all_voices_of_a_staff() -> None:
    score = score_of("66 74 74 74", "65 66 66 66", "50:4", "42:4")
    notes = accidentals(score, arrangement="closed")  # the soprano's F sharp stands, so the alto's F needs a natural
    assert notes[:8] == ["F4 sharp", "D5", "D5", "D5", "F4 natural", "F4 sharp", "F4", "F4"]
    assert accidentals(score, arrangement="open")[4:6] == ["F4", "F4 sharp"]


def test_a_chord_symbol_is_no_note_of_the_staff() -> None:
    score = score_of("60:4 64:4", "60:4 60:4", "55:4 55:4", "48:4 48:4")
    score.tracks[0].notes[0].pitch = 63  # C minor, then C major
    assert [each for each in accidentals(score, with_chords=True) if each.startswith("E")] == ["E4 flat", "E4 natural"]
    del score.tracks[0].notes[0]
    assert "E4 natural" not in accidentals(score, with_chords=True)


@pytest.mark.parametrize(
    ("pitches", "later", "symbol"),
    [
        ([48, 55, 60], [], "C"),  # the third is missing: that of the key
        ([57, 64, 69, 72], [53, 57, 69, 74], "Am"),  # a chord in a compound beat, and another on its last third
        ([52, 56, 64], [57, 60], "E"),
    ],
)
def test_a_beat_has_the_chord_that_it_begins_with(pitches: list[int], later: list[int], symbol: str) -> None:
    score = score_of(meter=(6, 8))
    score.tracks.append(TrackTick("Piano", 0, False))
    for pitch in pitches:
        score.tracks[0].notes.append(NoteTick(0, TPQ if later else 3 * TPQ // 2, pitch, 80))
    for pitch in later:
        score.tracks[0].notes.append(NoteTick(TPQ, TPQ // 2, pitch, 80))
    assert chords_of(score, Key(0))[0].symbol == symbol


@pytest.fixture(scope="module")
def with_chords() -> str:
    """A page of many wide chord symbols, with a tempo."""
    soprano = " ".join(["66 69 68 67"] * 6)
    lines = [soprano, "62 66 64 64 " * 6, "57 57 59 60 " * 6, "54 50 52 48 " * 6]
    rendering = Rendering(score_of(*lines, sharps=2), with_chords=True, is_given=lambda voice, _: voice == "Soprano")
    (page,) = rendering.svg_pages
    return page


def test_tempo_stands_above_the_chord_symbols(with_chords: str) -> None:
    (tempo,) = (each for each in texts(with_chords, "harm") if each[2] == "=88")
    symbols = [each for each in texts(with_chords, "harm") if each[2] != "=88"]
    assert len(symbols) > 20
    assert tempo[1] < min(y for _, y, _ in symbols)
    assert "black: given, blue: added" in with_chords
    assert not texts(with_chords, "tempo")


def test_chord_symbols_do_not_touch(with_chords: str) -> None:
    lines = itertools.groupby(texts(with_chords, "harm"), key=lambda each: each[1])
    for first, second in (pair for _, line in lines for pair in itertools.pairwise(line)):
        assert second[0] - first[0] > 200 * len(first[2])  # letters of 360 are about 200 wide


def test_signs_are_drawn_and_figures_stacked(with_chords: str) -> None:
    assert not re.search("[\ue000-\uf8ff♯♭♩]", re.sub(r"<style.*?</style>", "", with_chords, flags=re.DOTALL))
    assert with_chords.count("<path style") > 5
    assert not re.search(r"[⁰-⁹₀-₉]", with_chords)
    figures = [stacked_figures(text) for text in ("I", "V6", "iiø65", "viio7", "V42/V")]
    assert figures == ["I", "V⁶", "iiø⁶₅", "vii°⁷", "V⁴₂/V"]
    drawn = with_drawn_signs('<g class="dir"><text x="10" y="20"><tspan font-size="100px">V⁴₂/V</tspan></text></g>')
    assert re.findall(r"<tspan ([^>]*)>(.)", drawn) == [
        ('font-size="100px"', "V"),
        ('font-size="65px" dy="-40"', "4"),
        ('font-size="65px" dx="-32" dy="55"', "2"),
        ('font-size="100px" dy="-15"', "/"),
    ]


def test_words_of_a_tempo_stand_before_its_mark() -> None:
    score = score_of("60 62 64 65", meter=(6, 8), tempo=90)
    rendering = Rendering(score, marks=Marks(words=(Words(Fraction(0), "Andante", kind="tempo"),)))
    text = rendering.musicxml
    assert text.index("Andante") < text.index("<beat-unit>quarter") < text.index("<beat-unit-dot") < text.index(">60<")
    (page,) = rendering.svg_pages
    ((left, _, words),) = texts(page, "tempo")
    assert words == "Andante=60"
    note, dot = (int(x) for x in re.findall(r'<path style="[^"]*" transform="translate\((\d+)', page))
    assert left + 1200 < note < dot < left + 2000


def test_sheet_music_in_one_color() -> None:
    score = score_of("60 62 64 65", "55 55 55 55", "52 52 52 52", "48 48 48 48")
    colored, plain = (
        Rendering(score, is_given=lambda voice, _: voice == "Soprano", is_colored=is_colored)
        for is_colored in (True, False)
    )
    for shown, text in ((True, colored.musicxml), (False, plain.musicxml)):
        assert (ADDED_COLOR in text, "blue: added" in text) == (shown, shown)


def test_one_rest_stands_for_the_voices_of_a_staff() -> None:
    score = score_of("67 69 - 71", "64 64 - 65", "60:4", "- 48:3")
    rests = re.findall(r"<note([^>]*)>\s*<rest", Rendering(score).musicxml)
    assert sum("print-object" in each for each in rests) == 1
    assert len(rests) == 3
    assert "print-object" not in Rendering(score, arrangement="open").musicxml


def test_names_of_two_voices_stand_one_below_the_other() -> None:
    score = score_of("60 62 64 65", "55 55 55 55", "52 52 52 52", "48 48 48 48")
    (page,) = Rendering(score).svg_pages
    label = re.search(r'class="label">(.*?)</g>', page, re.DOTALL)[1]  # type: ignore[index]
    assert re.findall(r">([A-Z][a-z]+)<", label) == ["Soprano", "Alto"]
    assert len(set(re.findall(r' y="(\d+)"', label))) == 2


def test_bar_lines_leave_room_for_words() -> None:
    score = score_of("60 62 64 65", "55 55 55 55")
    score.tracks[0].name, score.tracks[1].name = "Voice", "Piano"
    assert "<group-barline>yes" in Rendering(score).musicxml
    marks = with_notes(Marks(lyrics={(0, Fraction(0), 60): (Lyric("la", "single", 1),)}), score)
    assert "<group-barline>no" in Rendering(score, marks=marks).musicxml


def test_a_file_name_becomes_a_title(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_midi(score_of("60 62 64 65"), "ode_to-Joy.mid")
    assert CliRunner().invoke(app, ["render", "ode_to-Joy.mid"], catch_exceptions=False).exit_code == 0
    assert "<work-title>Ode to Joy<" in Path("out/ode_to-Joy.musicxml").read_text()
    assert ">Ode to Joy<" in Path("out/ode_to-Joy.svg").read_text()


@pytest.mark.skipif(why_no_pdf() is not None, reason="PDF needs libcairo2, cairosvg and pypdf")
def test_pdf_has_notes_for_tempos_and_numbered_pages(with_chords: str) -> None:
    from pypdf import PdfReader

    pages = PdfReader(io.BytesIO(pdf_of([with_chords, with_chords]))).pages
    first, second = (page.extract_text() for page in pages)
    assert "quarter" not in first
    assert "= 88" in first
    assert second.splitlines()[-1].strip() == "2" or second.split()[-1] == "2"
    assert len(first.split()) == len(second.split()) - 1
