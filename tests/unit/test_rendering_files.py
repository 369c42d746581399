"""One score in every format: valid MusicXML with the words of the prompt, PDF where it can be, nothing half-written."""

from __future__ import annotations

import importlib.util
import io
import re
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import pytest
import soundfile
from music21 import converter
from symusic.core import NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick
from typer.testing import CliRunner

from descant_modeling.cli.main import app
from descant_tokenizers.common.bounded import LimitExceededError
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import FORMATS
from descant_tokenizers.rendering import engraving
from descant_tokenizers.rendering import verovio as pdf
from descant_tokenizers.rendering.musicxml import ADDED_COLOR
from descant_tokenizers.rendering.spelling import parse_key
from descant_tokenizers.rendering.write import Rendering, write_renderings
from descant_tokenizers.scores import VOICES, read_score, read_score_report
from descant_tokenizers.scores.marks import Lyric, Marks, with_notes

TPQ = 480
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SUNG = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="4.0">
  <work><work-title>Evening Song</work-title></work>
  <identification><creator type="composer">Anna Nobody</creator></identification>
  <part-list><score-part id="P1"><part-name>Voice</part-name></score-part></part-list>
  <part id="P1">
    <measure number="1">
      <attributes><divisions>2</divisions><key><fifths>1</fifths></key><time><beats>4</beats><beat-type>4</beat-type></time>
        <clef><sign>G</sign><line>2</line></clef></attributes>
      <direction placement="above"><direction-type><words>dolce</words></direction-type></direction>
      <direction placement="below"><direction-type><dynamics><p/></dynamics></direction-type></direction>
      NOTES
    </measure>
  </part>
</score-partwise>
"""
NOTE = (
    "<note><pitch><step>{}</step><octave>5</octave></pitch><duration>{}</duration><type>{}</type>"
    "<notations>{}</notations><lyric number='1'><syllabic>{}</syllabic><text>{}</text></lyric></note>"
)
SYLLABLES = [("D", 2, "quarter", "", "begin", "Eve"), ("C", 2, "quarter", "", "end", "ning"),
             ("D", 4, "half", "<fermata/>", "single", "sleeps")]  # fmt: skip


@pytest.fixture
def sung(tmp_path: Path) -> Path:
    path = tmp_path / "sung.musicxml"
    path.write_text(SUNG.replace("NOTES", "".join(NOTE.format(*each) for each in SYLLABLES)), encoding="utf-8")
    return path


def harmonized(score: ScoreTick) -> ScoreTick:
    """Four voices upon a melody, as a model writes them."""
    result = score.copy()
    result.tracks[0].name = "Soprano"
    for rank, voice in enumerate(VOICES[1:], start=1):
        track = TrackTick(voice, 52, False)
        for note in score.tracks[0].notes:
            halves = (0, 1) if rank == 1 else (0,)
            for half in halves:
                length = note.duration // len(halves)
                track.notes.append(NoteTick(note.time + half * length, length, note.pitch - 9 * rank - half, 80))
        result.tracks.append(track)
    return result


def band() -> ScoreTick:
    """A pickup, tuplets, chords, overlapping notes, changes of meter and of tempo."""
    score = ScoreTick(TPQ)
    for onset, beats in ((0, 1), (1, 4), (9, 3)):
        score.time_signatures.append(TimeSignatureTick(onset * TPQ, beats, 4))
    score.tempos.extend([TempoTick(0, qpm=96.0), TempoTick(9 * TPQ, qpm=60.0)])
    tunes = {
        "Flute": [
            (0, 1 / 3, 72),
            (1 / 3, 2 / 3, 74),
            (1, 2 / 3, 75),
            (5 / 3, 2 / 3, 77),
            (7 / 3, 2 / 3, 79),
            (5, 7, 80),
        ],
        "Piano": [(1, 4, 48), (1, 1, 60), (1, 1, 64), (2, 2, 67), (3, 6, 72), (6, 0.25, 61), (6.5, 0.5, 62)],
    }
    for name, notes in tunes.items():
        track = TrackTick(name, 0, False)
        for onset, length, pitch in notes:
            track.notes.append(NoteTick(round(onset * TPQ), round(length * TPQ), pitch, 80))
        score.tracks.append(track)
    return score


@pytest.mark.parametrize("arrangement", ["open", "closed", None])
def test_musicxml_is_valid(schema: object, sung: Path, arrangement: str | None) -> None:
    four = harmonized(read_score(sung))
    marks = read_score_report(sung, marks=True).marks
    looks = [Rendering(four, marks=marks, arrangement=arrangement, with_chords=True,  # type: ignore[arg-type]
                       is_given=lambda voice, _: voice == "Soprano")]  # fmt: skip
    looks += [Rendering(band(), with_chords=True)] if arrangement is None else []
    for look in looks:
        text = re.sub(r"<!DOCTYPE[^>]*>", "", look.musicxml)
        schema.validate(text)  # type: ignore[attr-defined]
        assert "<harmony" in text
        broken = text.replace("<type>", "<kind>").replace("</type>", "</kind>")
        assert not schema.is_valid(broken)  # type: ignore[attr-defined]


@pytest.mark.parametrize("arrangement", ["open", "closed"])
def test_music21_and_verovio_open_it_without_a_word(
    sung: Path, arrangement: str, capfd: pytest.CaptureFixture[str]
) -> None:
    read = read_score_report(sung, marks=True)
    look = Rendering(harmonized(read.score), marks=read.marks, arrangement=arrangement)  # type: ignore[arg-type]
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = converter.parseData(look.musicxml, format="musicxml")
    pages = look.svg_pages
    assert capfd.readouterr() == ("", "")
    assert sum(page.count('class="note"') for page in pages) == look.score.note_num()
    assert len(opened.flatten().notes) == look.score.note_num()


def test_words_fermatas_and_text_of_the_prompt_are_kept(sung: Path, tmp_path: Path) -> None:
    marks = read_score_report(sung, marks=True).marks
    assert (marks.title, marks.composer) == ("Evening Song", "Anna Nobody")
    look = Rendering(
        harmonized(read_score(sung)), marks=marks, arrangement="open", is_given=lambda voice, _: voice == "Soprano"
    )
    written = tmp_path / "written.musicxml"
    written.write_text(look.musicxml, encoding="utf-8")
    back = read_score_report(written, marks=True).marks
    syllables = {(part, onset): [each.text for each in found] for (part, onset, _), found in back.lyrics.items()}
    assert syllables == {(0, 0): ["Eve"], (0, 1): ["ning"], (0, 2): ["sleeps"]}
    assert [each.syllabic for found in back.lyrics.values() for each in found] == ["begin", "end", "single"]
    assert {"dolce", "p"} <= {each.text for each in back.words}
    assert (back.title, back.composer) == (marks.title, marks.composer)
    # Other voices hold their last note until the fermata's end: the alto its second half.
    assert {onset for onset, _ in back.fermatas} == {Fraction(2), Fraction(3)}
    assert len(back.fermatas) == 4
    assert "Evening Song" in look.svg_pages[0]


def test_words_go_with_the_part_whatever_the_tracks_are_called() -> None:
    score = ScoreTick(TPQ)
    for base in (60, 60, 67):
        track = TrackTick("Singer")
        track.notes.extend(NoteTick(TPQ * n, TPQ, base + n * (1 if len(score.tracks) else 2), 80) for n in range(3))
        score.tracks.append(track)
    lyrics = {
        (part, Fraction(0), score.tracks[part].notes[0].pitch): (Lyric(text, "single", 1),)
        for part, text in enumerate(["one", "two", "three"])
    }
    marks = with_notes(Marks(lyrics, ("Singer",) * 3), score)
    assert marks.parts_of(score.tracks, TPQ) == [0, 1, 2]
    moved = score.copy()
    moved.tracks = type(moved.tracks)([score.tracks[2], TrackTick("new"), score.tracks[0], score.tracks[1]])
    moved.tracks[0].name = "Soprano"
    moved.tracks[1].notes.append(NoteTick(0, TPQ, 48, 80))
    assert marks.parts_of(moved.tracks, TPQ) == [2, None, 0, 1]
    assert re.findall(r"<text>(.*?)</text>", Rendering(moved, marks=marks).musicxml) == ["three", "one", "two"]


def test_a_generated_note_has_no_syllable(sung: Path) -> None:
    score = read_score(sung)
    look = Rendering(score, marks=read_score_report(sung, marks=True).marks, is_given=lambda _, note: note.time < TPQ)
    assert re.findall(r"<text>(.*?)</text>", look.musicxml) == ["Eve"]


def test_the_key_asked_for_names_the_notes(sung: Path) -> None:
    score = read_score(sung)
    assert "<fifths>1</fifths>" in Rendering(score).musicxml
    flat = Rendering(score, chosen_key=parse_key("Db"))
    assert "<fifths>-5</fifths>" in flat.musicxml
    assert str(flat.key_found) == "Db major (as requested)"


def test_a_pdf_has_a_page_for_each_and_is_the_same_every_time() -> None:
    if (reason := pdf.why_no_pdf()) is not None:
        pytest.skip(reason)
    from pypdf import PdfReader

    long = ScoreTick(TPQ)
    track = TrackTick("Melody", 0, False)
    for index in range(900):
        track.notes.append(NoteTick(index * TPQ // 2, TPQ // 2, 60 + index % 13, 80))
    long.tracks.append(track)
    look = Rendering(long, title="Long")
    assert len(look.svg_pages) > 1
    (data,) = look.data("pdf")
    assert data[:5] == b"%PDF-"
    assert [data] == look.data("pdf")
    pages = PdfReader(io.BytesIO(data)).pages
    assert len(pages) == len(look.svg_pages)
    assert "Long" in pages[0].extract_text()
    width, height = (float(side) for side in pages[0].mediabox[2:])
    assert (width, height) == pytest.approx((595.5, 842.25), abs=1)  # A4 in points


@pytest.mark.parametrize(
    ("module", "failure", "words"),
    [
        ("cairosvg", OSError("no library called cairo-2 was found"), "PDF needs the library libcairo2"),
        ("pypdf", None, r"pip install -c constraints\.txt -e '\.\[pdf\]'"),
    ],
)
def test_without_cairo_one_sentence_says_so_and_all_else_is_written(
    sung: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    failure: Exception | None,
    words: str,
) -> None:
    class Refusing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == module and failure is not None:
                raise failure

    monkeypatch.delitem(sys.modules, module, raising=False)
    if failure is None:
        find = importlib.util.find_spec
        monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: None if name == module else find(name))
    else:
        monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: object())
        monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(
        app, ["render", "sung.musicxml", "--out", "out", "--formats", "svg,pdf,midi"], catch_exceptions=False
    )
    assert done.exit_code == 0
    (note,) = (line for line in done.stderr.splitlines() if line)
    assert re.search(words, note)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mid", "out.svg", "sung.musicxml"]
    with pytest.raises(InputError, match=words):  # nothing would be left to write
        CliRunner().invoke(app, ["render", "sung.musicxml", "--out", "x", "--formats", "pdf"], catch_exceptions=False)


def test_every_format_is_written(sung: Path, tmp_path: Path) -> None:
    look = Rendering(harmonized(read_score(sung)), title="All", sound="organ")
    formats = [form for form in FORMATS if form != "pdf" or pdf.why_no_pdf() is None]
    (written,) = write_renderings({tmp_path / "all.mid": look}, formats)
    assert list(written.files) == formats
    assert written.left_out == {}
    assert {path.suffix for path in written.paths} == {FORMATS[form] for form in formats}
    begins = {".mid": b"MThd", ".png": b"\x89PNG", ".wav": b"RIFF", ".flac": b"fLaC", ".pdf": b"%PDF", ".svg": b"<svg"}
    for path in written.paths:
        assert path.read_bytes().startswith(begins.get(path.suffix, b""))
    assert soundfile.info(tmp_path / "all.mp3").format == "MP3"
    with pytest.raises(InputError, match=r"all\.mid already exists"):
        write_renderings({tmp_path / "all.mid": look}, ["midi"])


def test_pages_do_not_replace_files_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rendering, "svg_pages", ["<svg>1</svg>", "<svg>2</svg>"])
    (tmp_path / "x-page2.svg").write_text("mine")
    look = Rendering(band())
    with pytest.raises(InputError, match=r"x-page2\.svg already exists"):
        write_renderings({tmp_path / "x.svg": look}, ["svg", "midi"])
    assert [path.name for path in tmp_path.iterdir()] == ["x-page2.svg"]
    write_renderings({tmp_path / "x.svg": look}, ["svg", "midi"], force=True)
    assert (tmp_path / "x-page2.svg").read_text() == "<svg>2</svg>"
    monkeypatch.setattr(Rendering, "svg_pages", ["<svg>1</svg>"])  # a shorter result
    write_renderings({tmp_path / "x.svg": Rendering(band())}, ["svg"], force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.mid", "x.svg"]


def test_the_file_that_is_read_is_never_replaced(sung: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sung.parent)
    with pytest.raises(InputError, match="would be replaced by its own rendering"):
        CliRunner().invoke(app, ["render", "sung.musicxml", "--out", "sung", "--force"], catch_exceptions=False)


def test_render_prints_key_and_chords(sung: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sung.parent)
    arguments = ["render", "sung.musicxml", "--out", "out", "--chords", "--key", "D minor", "--formats", "musicxml"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.output.splitlines()[0] == "Key: D minor (as requested)"
    assert done.output.splitlines()[-1] == "Wrote out.musicxml"


def test_the_same_score_gives_the_same_files(sung: Path) -> None:
    first, second = (Rendering(read_score(sung)) for _ in range(2))
    assert first.musicxml == second.musicxml
    assert first.svg_pages == second.svg_pages


def test_a_score_that_takes_too_much_to_engrave_is_written_as_midi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exceeds(*_arguments: object, **_options: object) -> None:
        raise LimitExceededError

    monkeypatch.setattr(engraving._process, "call", exceeds)
    score = read_score(EXAMPLES / "ode-to-joy.mid")
    (written,) = write_renderings({tmp_path / "tune.mid": Rendering(score)}, ["midi", "musicxml", "svg"])
    assert read_score(tmp_path / "tune.mid").dumps_midi() == score.dumps_midi()
    assert list(written.files) == ["midi"]
    assert set(written.left_out) == {"musicxml", "svg"}
    assert written.left_out["svg"].startswith("The score takes too much time or memory to engrave. Cut it shorter")


def test_the_process_that_engraves_is_told_the_given_notes() -> None:
    score = read_score(EXAMPLES / "ode-to-joy.mid")
    first = score.tracks[0].notes[0]
    colored = Rendering(score, is_given=lambda _, note: note.time > first.time).musicxml
    assert colored.count(f'<note color="{ADDED_COLOR}">') == 1


def test_thirty_parts_are_engraved_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    score = ScoreTick(TPQ)
    for number in range(30):
        score.tracks.append(TrackTick(f"Part {number}", 0, False))
        score.tracks[-1].notes.append(NoteTick(0, TPQ, 60, 80))
    channels = [int(number) for number in re.findall(r"<midi-channel>(\d+)<", Rendering(score).musicxml)]
    assert len(channels) == 30
    assert set(channels) == set(range(1, 17)) - {10}
    assert capfd.readouterr() == ("", "")
