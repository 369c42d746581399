"""Notation: note names, MusicXML that reads back to the same notes, SVG without a warning."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from symusic.core import KeySignatureTick, NoteTick, NoteTickList, ScoreTick, TimeSignatureTick, TrackTick
from typer.testing import CliRunner

from descant_modeling.cli.main import app
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.comparison.compare import fidelity
from descant_tokenizers.rendering.musicxml import ADDED_COLOR
from descant_tokenizers.rendering.spelling import find_key, spell
from descant_tokenizers.rendering.verovio import svg_pages
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import VOICES, read_score, read_score_report, write_midi

CASES = Path(__file__).resolve().parent.parent / "data" / "cases"
TPQ = 480


def name_of(pitch: int, sharps: int, mode: str = "major") -> str:
    step, alter, octave = spell(pitch, sharps, mode)
    return f"{step}{'#' * alter}{'b' * -alter}{octave}"


@pytest.mark.parametrize(
    ("sharps", "mode", "names"),
    [
        (0, "major", "C4 C#4 D4 Eb4 E4 F4 F#4 G4 G#4 A4 Bb4 B4"),
        (0, "minor", "C4 C#4 D4 D#4 E4 F4 F#4 G4 G#4 A4 Bb4 B4"),
        (-3, "minor", "C4 Db4 D4 Eb4 E4 F4 F#4 G4 Ab4 A4 Bb4 B4"),
        (4, "minor", "B#3 C#4 D4 D#4 E4 E#4 F#4 F##4 G#4 A4 A#4 B4"),
        (-6, "major", "C4 Db4 D4 Eb4 Fb4 F4 Gb4 G4 Ab4 Bbb4 Bb4 Cb5"),
    ],
)
def test_notes_are_named_after_the_key(sharps: int, mode: str, names: str) -> None:
    assert " ".join(name_of(pitch, sharps, mode) for pitch in range(60, 72)) == names


def test_every_name_sounds_at_its_pitch() -> None:
    naturals = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    for pitch, sharps, mode in itertools.product(range(128), range(-7, 8), ("major", "minor")):
        step, alter, octave = spell(pitch, sharps, mode)
        assert 12 * (octave + 1) + naturals[step] + alter == pitch
        assert abs(alter) <= 2


def chorale(sharps: int | None = None) -> ScoreTick:
    """A pickup, ties over bar lines, dots, triplets, 16ths, a change of meter, a rest in one voice."""
    score = ScoreTick(TPQ)
    for beats, onset in ((1, 0), (4, 1), (3, 9)):
        score.time_signatures.append(TimeSignatureTick(onset * TPQ, beats, 4))
    if sharps is not None:
        score.key_signatures.append(KeySignatureTick(0, sharps, 0))
    lines = {
        "Soprano": [(0, 1), (1, 1.5), (2.5, 0.5), (3, 1 / 3), (3 + 1 / 3, 1 / 3), (3 + 2 / 3, 1 / 3), (4, 5), (9, 3)],
        "Alto": [(0, 1), (1, 3), (4, 3), (7, 0.25), (7.25, 0.75), (8, 2.5), (10.5, 1.5)],
        "Tenor": [(0, 1), (5, 4), (9, 3)],
        "Bass": [(beat, 1) for beat in range(12)],
    }
    for rank, (voice, notes) in enumerate(lines.items()):
        track = TrackTick(voice, 0, False)
        for index, (onset, length) in enumerate(notes):
            track.notes.append(NoteTick(round(onset * TPQ), round(length * TPQ), 71 - 7 * rank - index % 4, 80))
        score.tracks.append(track)
    return score


def to_musicxml(score: ScoreTick, **options: Any) -> str:
    return Rendering(score, **options).musicxml


def read_back(text: str, folder: Path) -> ScoreTick:
    path = folder / "written.musicxml"
    path.write_text(text, encoding="utf-8")
    return read_score(path)


@pytest.mark.parametrize("sharps", [-4, 0, 3])
def test_an_open_score_reads_back_to_the_same_music(tmp_path: Path, sharps: int) -> None:
    score = chorale(sharps)
    back = read_back(to_musicxml(score, title="Tune", arrangement="open"), tmp_path)
    assert fidelity(score, back).is_exact
    assert [track.name for track in back.tracks] == list(VOICES)
    for track, other in zip(score.tracks, back.tracks, strict=True):
        notes = sorted((note.time, note.duration, note.pitch) for note in track.notes)
        assert sorted((note.time, note.duration, note.pitch) for note in other.notes) == notes
    assert [event.key for event in back.key_signatures] == ([sharps] if sharps else [0])


def test_a_closed_score_holds_the_same_notes_on_two_staves(tmp_path: Path) -> None:
    score = chorale(0)
    text = to_musicxml(score, arrangement="closed")
    back = read_back(text, tmp_path)
    assert [track.name for track in back.tracks] == list(VOICES)
    assert fidelity(score, back).is_exact
    assert {"<voice>1</voice>", "<voice>2</voice>"} <= set(text.split())


def test_chords_and_overlapping_notes_read_back(tmp_path: Path) -> None:
    score = ScoreTick(TPQ)
    piano = TrackTick("Piano", 0, False)
    for onset, length, pitch in [(0, 4, 48), (0, 1, 60), (0, 1, 64), (1, 2, 67), (2, 6, 72), (3, 1, 62), (5, 0.5, 60)]:
        piano.notes.append(NoteTick(round(onset * TPQ), round(length * TPQ), pitch, 80))
    score.tracks.append(piano)
    assert fidelity(score, read_back(to_musicxml(score), tmp_path)).is_exact


@pytest.mark.parametrize("arrangement", ["open", "closed"])
def test_engraving_shows_every_note_and_says_nothing(arrangement: str, capfd: pytest.CaptureFixture[str]) -> None:
    score = chorale(-2)
    options = {"title": "A < B & C", "arrangement": arrangement, "is_given": lambda voice, _: voice == "Soprano"}
    text = to_musicxml(score, **options)
    pages = svg_pages(text)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    whole = "".join(pages)
    assert whole.count('class="note"') >= score.note_num()
    assert "A &lt; B &amp; C" in whole
    assert "black: given, blue: added" in whole
    assert ADDED_COLOR.lower() in whole.lower()
    assert whole.count('class="clef"') >= (4 if arrangement == "open" else 2)
    assert 'class="grpSym"' in whole


@pytest.mark.parametrize("num_voices", [1, 2, 3])
def test_fewer_voices_than_four_have_a_staff_each(num_voices: int) -> None:
    score = chorale(0)
    del score.tracks[num_voices:]
    assert to_musicxml(score).count("<score-part ") == num_voices


def test_four_voices_are_closed_by_default_unless_one_has_chords() -> None:
    score = chorale(0)
    assert to_musicxml(score).count("<score-part ") == 2
    score.tracks[1].notes.append(NoteTick(TPQ, 2 * TPQ, 50, 80))
    assert to_musicxml(score).count("<score-part ") == 4


def test_given_notes_keep_the_ink(tmp_path: Path) -> None:
    assert ADDED_COLOR not in to_musicxml(chorale())
    assert ADDED_COLOR in to_musicxml(chorale(), is_given=lambda voice, _: voice != "Alto")


def test_a_key_is_found_where_none_is_written() -> None:
    score = ScoreTick(TPQ)
    track = TrackTick("Melody", 0, False)
    for beat, pitch in enumerate([67, 69, 71, 72, 74, 76, 78, 79, 78, 74, 71, 67]):
        track.notes.append(NoteTick(beat * TPQ, TPQ, pitch, 80))
    score.tracks.append(track)
    assert str(find_key(score).key) == "G major"
    score.key_signatures.append(KeySignatureTick(0, -1, 1))
    assert str(find_key(score).key) == "D minor"


def test_a_rhythm_without_note_values_is_written_as_the_nearest(tmp_path: Path) -> None:
    score, played = chorale(), chorale()
    for index, note in enumerate(played.tracks[3].notes):
        note.time += (3, -5, 0, 11)[index % 4] if index else 0
        note.duration -= 17
    rendering = Rendering(played, arrangement="open")
    assert fidelity(score, read_back(rendering.musicxml, tmp_path)).is_exact
    (remark,) = rendering.remarks
    assert remark.startswith(
        "8 notes fall between writable beats; the sheet music shows them up to 0.02 of a quarter off"
    )
    assert Rendering(score).remarks == []


def test_more_measures_than_can_be_read_again_are_refused() -> None:
    score = ScoreTick(4)
    score.tracks.append(TrackTick("Flute", 73, False))
    score.tracks[0].notes = NoteTickList([NoteTick(16 * 2000, 4, 72, 80)])
    with pytest.raises(InputError, match="2,001 measures, and at most 2,000 are engraved"):
        to_musicxml(score)


def test_drums_alone_are_refused() -> None:
    score = ScoreTick(TPQ)
    score.tracks.append(TrackTick("Drums", 0, True))
    score.tracks[0].notes.append(NoteTick(0, TPQ, 36, 80))
    with pytest.raises(InputError, match="no pitched notes to engrave"):
        to_musicxml(score)


def test_the_command_writes_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_midi(chorale(), "tune.mid")
    for name in ("tune", "tune-2"):
        done = CliRunner().invoke(
            app, ["render", "tune.mid", "--given", "soprano", "--layout", "open"], catch_exceptions=False
        )
        files = [f"Wrote {Path('out', name)}{suffix}" for suffix in (".musicxml", ".svg")]
        assert done.output.splitlines() == ["Key: G major (found in the notes)", *files]
    assert fidelity(chorale(), read_score("out/tune.musicxml")).is_exact
    assert Path("out/tune.svg").read_text().count('class="note"') >= chorale().note_num()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tune.mid", "--out", "tune"], "tune.svg already exists"),
        (["tune.mid", "--formats", "svg,jpg"], "Unknown format 'jpg'"),
        (["tune.mid", "--given", "flute", "--force"], "There is no track 'flute'"),
        (["none.mid"], "There is no file none.mid"),
        (["melody.mid", "--layout", "closed"], "A closed score holds Soprano, Alto, Tenor, Bass"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_midi(chorale(), "tune.mid")
    melody = chorale()
    del melody.tracks[1:]
    write_midi(melody, "melody.mid")
    Path("tune.svg").write_text("mine")
    with pytest.raises(InputError, match=message) as caught:
        CliRunner().invoke(app, ["render", *arguments], catch_exceptions=False)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["melody.mid", "tune.mid", "tune.svg"]
    assert Path("tune.svg").read_text() == "mine"


def test_a_silent_voice_of_four_has_its_staff_and_its_track() -> None:
    score = chorale()
    next(track for track in score.tracks if track.name == "Alto").notes = NoteTickList()
    for arrangement, parts in (("open", 4), ("closed", 2)):
        text = to_musicxml(score, arrangement=arrangement)
        assert text.count("<score-part ") == parts
        assert "Alto" in text
    assert b"Alto" in Rendering(score).data("midi")[0]


def test_music21s_own_words_for_a_tempo_are_not_the_prompts(repo_root: Path) -> None:
    assert (
        read_score_report(repo_root / "examples" / "row-your-boat.abc", marks=True).marks.words == ()
    )  # "animato" for 120


def test_a_beam_has_the_color_of_its_notes() -> None:
    score = chorale()
    page = svg_pages(to_musicxml(score, is_given=lambda voice, note: voice == "Soprano"))[0]
    all_given = svg_pages(to_musicxml(score))[0]
    num_beams = all_given.count("<polygon points")
    assert 0 < page.count(f' fill="{ADDED_COLOR}" points') < num_beams
    assert page.count("<polygon ") == num_beams
    assert ADDED_COLOR not in all_given


def test_a_viola_reads_its_own_clef() -> None:
    score = chorale()
    score.tracks[1].name = "Viola"
    assert "<sign>C</sign>" in to_musicxml(score)


def test_a_hand_changes_its_clef_for_two_measures_beyond_middle_c() -> None:
    score = ScoreTick(TPQ)
    score.time_signatures.append(TimeSignatureTick(0, 1, 4))
    lines = {"Right hand": [67, 50, 67, 50, None, 52, 60, 64], "Left hand": [48, 65, 48, 67, 65, 60, 48, 65]}
    for name, pitches in lines.items():
        hand = TrackTick(name, 0, False)
        hand.notes = NoteTickList([NoteTick(TPQ * i, TPQ, pitch, 80) for i, pitch in enumerate(pitches) if pitch])
        score.tracks.append(hand)
    found = []
    for part in to_musicxml(score).split("<part id=")[1:]:
        measures = part.split("<measure ")[1:]
        found.append({i: sign[1] for i, own in enumerate(measures) if (sign := re.search(r"<sign>(.)", own))})
    assert found == [{0: "G", 3: "F"}, {0: "F", 3: "G"}]


def test_a_hand_rests_only_where_nothing_of_it_sounds() -> None:
    """A held note below two others, which begin later: only the last quarter is silent."""
    score = ScoreTick(TPQ)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    hand = TrackTick("Right hand", 0, False)
    lines = [(0, 3, 60), (1, 1, 72), (2, 1, 74)]
    hand.notes = NoteTickList([NoteTick(TPQ * begin, TPQ * length, pitch, 80) for begin, length, pitch in lines])
    score.tracks.append(hand)
    notes = re.findall(r"<note( [^>]*)?>(.*?)</note>", to_musicxml(score), re.S)
    assert [kind for kind, note in notes if "<rest" in note].count("") == 1
    found = (re.search(r"<step>(.).*<voice>(.).*<stem>(\w+)", note, re.S) for _, note in notes)
    assert [each.groups() for each in found if each] == [("C", "1", "up"), ("D", "1", "up"), ("C", "2", "down")]


def test_a_pianists_staves_have_one_name() -> None:
    score = chorale()
    for track, name in zip(score.tracks, ("Voice", "Violin", "Right hand", "Left hand"), strict=True):
        track.name = name
    text = to_musicxml(score)
    assert "<group-name>Piano</group-name>" in text
    hidden = re.findall(r"<part-name( print-object=\"no\")?>(.*?)</part-name>", text)
    assert [name for is_hidden, name in hidden if is_hidden] == ["Right hand", "Left hand"]


def test_numerals_stand_on_one_line() -> None:
    rendering = Rendering(chorale(), with_chords=True)
    num_numerals = sum(bool(name.numeral) for name in rendering.chords)
    assert 0 < num_numerals == rendering.musicxml.count('<words default-y="-70">')


@pytest.mark.parametrize(
    ("case", "bar", "beams", "rests"),
    [
        ("mid_meter_13_8.mid", 1, [3, 3, 3, 2, 2], []),
        ("mid_meter_7_8_rests.mid", 4, [], ["eighth", "quarter", "quarter"]),
    ],
)
def test_beams_and_rests_show_unequal_beats(case: str, bar: int, beams: list[int], rests: list[str]) -> None:
    text = Rendering(read_score(CASES / case)).musicxml
    (measure,) = re.findall(rf'<measure[^>]* number="{bar}".*?</measure>', text, re.DOTALL)
    states = re.findall(r'<beam number="1">(\w+)', measure)
    assert [len(group) + 1 for group in " ".join(states).split("begin")[1:] for group in [group.split()]] == beams
    notes = re.findall(r"<note.*?</note>", measure, re.DOTALL)
    assert [re.search(r"<type>(\w+)", each)[1] for each in notes if "<rest" in each] == rests  # type: ignore[index]


def test_a_bar_cut_short_under_a_triplet_is_engraved() -> None:
    assert len(Rendering(read_score(CASES / "mid_one_note_engraving_hangs.mid")).svg_pages) == 1


@pytest.mark.parametrize("case", ["mid_all_legato.mid", "mid_one_legato_overlap.mid"])
def test_legato_is_one_line_on_the_staff(case: str) -> None:
    text = Rendering(read_score(CASES / case)).musicxml
    assert text.count("<pitch>") - text.count('<tie type="stop"') == 22
    assert "<chord" not in text
    assert "<voice>2" not in text


def test_notes_of_percussion_are_counted() -> None:
    score = ScoreTick(480)
    for is_drum in (False, True):
        score.tracks.append(TrackTick("Drums" if is_drum else "Tune", is_drum=is_drum))
        score.tracks[-1].notes.append(NoteTick(0, 480, 60, 80))
    assert Rendering(score).remarks == ["1 note of percussion left out of the sheet music"]
