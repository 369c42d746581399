"""Marks of a file in sheet music: valid MusicXML for every input, and the same words when it is read again."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from music21 import note, spanner
from symusic.core import NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.rendering.signs import IndexedSpanners
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import ReadResult, read_score_report
from descant_tokenizers.scores.marks import Grace, Hairpin, Lyric, Marks, Metronome, Words, with_notes
from descant_tokenizers.scores.reading import parse_score

TESTS = Path(__file__).resolve().parent.parent
CASES = TESTS / "data" / "cases"
EXAMPLES = TESTS.parent / "examples"
INPUTS = sorted(
    path
    for folder in (CASES, TESTS / "data" / "scores", EXAMPLES)
    for path in folder.iterdir()
    if path.suffix in (".mid", ".musicxml", ".xml", ".mxl", ".abc", ".krn")
)
TPQ = 480


def rendering(result: ReadResult, **more: object) -> Rendering:
    return Rendering(result.score, marks=result.marks, form=result.form, **more)  # type: ignore[arg-type]


def read_again(look: Rendering) -> ReadResult:
    return parse_score(Path("again.musicxml"), look.musicxml.encode(), marks=True)


def contents(score: ScoreTick) -> list[list[tuple[int, int, int]]]:
    return [sorted((note.time, note.end, note.pitch) for note in track.notes) for track in score.tracks]


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_every_input_gives_valid_musicxml_with_the_same_notes_and_words(path: Path, schema: object) -> None:
    result = read_score_report(path, marks=True, tune=1 if path.suffix == ".abc" else None)
    look = rendering(result, arrangement="open")
    schema.validate(re.sub(r"<!DOCTYPE[^>]*>", "", look.musicxml))  # type: ignore[attr-defined]
    again = read_again(look)
    if path.name not in ("mid_all_legato.mid", "mid_one_legato_overlap.mid", "mid_one_overlap_picks_backing.mid") and (
        not look.remarks
    ):
        assert contents(again.score) == contents(result.score)
    assert again.marks.lyrics == result.marks.lyrics
    assert (again.marks.title, again.marks.composer) == (result.marks.title, result.marks.composer)
    assert again.marks.slurs == result.marks.slurs
    assert again.marks.graces == result.marks.graces
    assert again.marks.mode == result.marks.mode


@pytest.mark.parametrize("path", [path for path in INPUTS if "xml" in path.name], ids=lambda path: path.name)
def test_music21_reads_the_same_notes(path: Path) -> None:
    """A second, independent reading of the files and of what is written."""
    from music21 import converter

    from descant_tokenizers.scores.music21_reader import from_music21

    result = read_score_report(path, unfold=False)
    sources = [Rendering(result.score, arrangement="open").musicxml]
    if path.read_bytes()[:2] != b"PK" and not {"xml_cue_notes", "xml_key_slash_flat", "xml_closed_hymn"} & {path.stem}:
        sources.append(path.read_text("utf-8"))
    for text in sources:
        assert contents(from_music21(converter.parseData(text, format="musicxml"))) == contents(result.score)


def tune(*pitches: int, name: str = "Tune") -> ScoreTick:
    score = ScoreTick(TPQ)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    track = TrackTick(name)
    track.notes.extend([NoteTick(TPQ * place, TPQ, pitch, 80) for place, pitch in enumerate(pitches)])
    score.tracks.append(track)
    return score


def marked(score: ScoreTick, **marks: object) -> Rendering:
    return Rendering(score, marks=with_notes(Marks(**marks), score))  # type: ignore[arg-type]


def test_grace_notes_slurs_and_melismas_come_back() -> None:
    score = tune(60, 62, 64, 65)
    chord = Grace((66, 69), Fraction(1, 2), False, True, ("accent",), (("G", -1), ("A", 0)))
    graces = {(0, Fraction(2), 64): (Grace((62,), Fraction(1, 4), spellings=(("D", 0),)), chord)}
    slurs = (
        ((0, Fraction(0), 60), (0, Fraction(3), 65)),
        ((0, Fraction(0), 60), (0, Fraction(2), 64, 1)),
        ((0, Fraction(2), 64, 0), (0, Fraction(2), 64, 1)),
        ((0, Fraction(2), 64, 1), (0, Fraction(2), 64)),
    )
    lyrics = {
        (0, Fraction(0), 60): (Lyric("Ah", "single", 1, is_extended=True), Lyric("O", "begin", 2)),
        (0, Fraction(2), 64): (Lyric("", "single", 1),),
    }
    look = marked(score, graces=graces, slurs=slurs, lyrics=lyrics)
    again = read_again(look).marks
    assert (again.graces, set(again.slurs), again.lyrics) == (graces, set(slurs), lyrics)
    assert look.svg_pages[0].count('class="slur') == 4


def test_articulations_hairpins_slurs_of_grace_notes_and_dynamics_of_each_part_come_back() -> None:
    result = read_score_report(TESTS / "data" / "scores" / "xml_marks_of_notes.musicxml", marks=True)
    assert result.repairs == ["dropped: 1 other mark (fingering)"]
    marks = result.marks
    assert marks.symbols == {
        (0, 0, 72): ("staccato", "accent", "trill-mark"),
        (0, 2, 76): ("tremolo-2",),
        (0, 4, 79): ("breath-mark", "up-bow"),
        (1, 0, 48): ("arpeggiate",),
        (1, 0, 52): ("arpeggiate",),
    }
    assert marks.hairpins == (
        Hairpin(0, Fraction(0), Fraction(4), is_louder=True),
        Hairpin(1, Fraction(4), Fraction(8), is_louder=False),
    )
    assert ((0, 0, 72, 0), (0, 0, 72)) in marks.slurs
    assert sorted((each.text, each.part) for each in marks.words) == [("p", 0), ("p", 1), ("pizz.", 1)]
    again = read_again(rendering(result, arrangement="open")).marks
    assert again.symbols == marks.symbols
    assert again.hairpins == marks.hairpins
    assert set(again.slurs) == set(marks.slurs)
    assert set(again.words) == set(marks.words)


def test_a_slur_goes_to_the_part_of_its_notes_though_others_have_equal_notes() -> None:
    score = tune(60, 62, 64, 65)
    score.tracks.append(tune(60, 62, 64, 65, name="Twin").tracks[0])
    slurs = (((1, Fraction(1), 62), (1, Fraction(2), 64)),)
    assert read_again(marked(score, slurs=slurs)).marks.slurs == slurs


def test_spanners_are_found_by_their_elements() -> None:
    notes = [note.Note(pitch) for pitch in (60, 62, 64, 65)]
    slurs = [spanner.Slur(notes[0], notes[1]), spanner.Slur(notes[1], notes[2]), spanner.Slur(notes[0], notes[2])]
    plain, indexed = spanner.SpannerBundle(slurs), IndexedSpanners(slurs)
    for each in notes:
        assert list(indexed.getBySpannedElement(each)) == list(plain.getBySpannedElement(each))


def test_a_slur_over_tied_notes_comes_back() -> None:
    score = tune(60, 62, 64, 65)
    score.tracks[0].notes.append(NoteTick(6 * TPQ, 4 * TPQ, 67, 80))
    slurs = (((0, Fraction(6), 67), (0, Fraction(6), 67)),)
    assert read_again(marked(score, slurs=slurs)).marks.slurs == slurs


def test_grace_notes_of_two_notes_of_a_chord_are_played_together() -> None:
    score = tune(60, 62, 64, 65)
    score.tracks[0].notes.append(NoteTick(TPQ, TPQ, 74, 80))
    graces = {
        (0, Fraction(1), 62): (Grace((60,), Fraction(1, 2)), Grace((61,), Fraction(1, 2))),
        (0, Fraction(1), 74): (Grace((73,), Fraction(1, 2)),),
    }
    ((_, found),) = read_again(marked(score, graces=graces)).marks.graces.items()
    assert [each.pitches for each in found] == [(60,), (61, 73)]


def test_slurs_between_voices_are_written_on_one_staff_and_named_on_two() -> None:
    score = tune(72, 72, 72, 72, name="Soprano")
    for name, pitch in (("Alto", 67), ("Tenor", 60), ("Bass", 48)):
        score.tracks.append(tune(*[pitch] * 4, name=name).tracks[0])
    slurs = (((0, Fraction(0), 72), (1, Fraction(2), 67)),)
    look = marked(score, slurs=slurs)
    assert look.remarks == []
    assert read_again(look).marks.slurs == slurs
    assert marked(score, slurs=(((1, Fraction(0), 67), (2, Fraction(2), 60)),)).remarks == [
        "1 slur between staves or in a chord left out"
    ]


def test_slurs_between_the_notes_of_a_chord_are_named() -> None:
    score = tune(60, 62, 64, 65)
    score.tracks[0].notes.append(NoteTick(0, TPQ, 67, 80))
    look = marked(score, slurs=(((0, Fraction(0), 60), (0, Fraction(0), 67)),))
    assert look.remarks == ["1 slur between staves or in a chord left out"]


def test_notes_are_spelled_as_written() -> None:
    score = tune(61, 61, 66, 66)
    spellings = {
        (0, Fraction(place), pitch): name
        for place, (pitch, name) in enumerate([(61, ("C", 1)), (61, ("D", -1)), (66, ("G", -1)), (66, ("F", 1))])
    }
    assert read_again(marked(score, spellings=spellings)).marks.spellings == spellings


def test_words_are_printed_as_what_they_are() -> None:
    words = (
        Words(Fraction(0), "Andante", kind="tempo"),
        Words(Fraction(0), "dolce"),
        Words(Fraction(0), "B", kind="rehearsal"),
        Words(Fraction(2), "pp", is_above=False, kind="dynamic"),
    )
    score = tune(60, 62, 64, 65)
    score.tempos.append(TempoTick(0, qpm=76))
    look = marked(score, words=words)
    assert sorted((each.text, each.kind) for each in read_again(look).marks.words) == sorted(
        (each.text, each.kind) for each in words
    )
    assert re.search(r"<words[^>]*>Andante ?</words>.*<metronome", look.musicxml, re.DOTALL)


def test_two_tempo_words_at_once_are_both_printed() -> None:
    words = (Words(Fraction(0), "Tempo I", kind="tempo"), Words(Fraction(0), "moderato", kind="tempo"))
    score = tune(60, 62, 64, 65)
    score.tempos.append(TempoTick(0, qpm=76))
    again = read_again(marked(score, words=words)).marks.words
    assert sorted(each.text for each in again) == ["Tempo I", "moderato"]


def test_words_and_dynamics_at_the_end_stand_behind_the_last_note() -> None:
    words = (Words(Fraction(4), "attacca"), Words(Fraction(4), "fff", is_above=False, kind="dynamic"))
    again = read_again(marked(tune(60, 62, 64, 65), words=words)).marks.words
    assert sorted((each.onset, each.text) for each in again) == [(4, "attacca"), (4, "fff")]


def test_a_note_may_have_two_lines_of_one_number() -> None:
    lyrics = {(0, Fraction(0), 60): (Lyric("verse", "single", 1), Lyric("chorus", "single", 1))}
    again = read_again(marked(tune(60, 62, 64, 65), lyrics=lyrics)).marks.lyrics
    assert [each.text for each in again[0, Fraction(0), 60]] == ["verse", "chorus"]


def test_notes_of_a_chord_may_have_verses_of_their_own() -> None:
    score = tune(60, 62, 64, 65)
    score.tracks[0].notes.append(NoteTick(0, TPQ, 67, 64))
    lyrics = {(0, Fraction(0), 60): (Lyric("one", "single", 1),), (0, Fraction(0), 67): (Lyric("two", "single", 2),)}
    assert [each.text for each in read_again(marked(score, lyrics=lyrics)).marks.lyrics[0, Fraction(0), 60]] == [
        "one",
        "two",
    ]


@pytest.mark.parametrize("text", ["C", "F#m7", "Bb7/D", "Ebmaj7", "Gsus4", "C7b9", "Adim7", "Cm7b5", "N.C."])
def test_chord_symbols_come_back(text: str, schema: object) -> None:
    look = marked(tune(60, 62, 64, 65), chords=(Words(Fraction(2), text, kind="chord"),))
    schema.validate(re.sub(r"<!DOCTYPE[^>]*>", "", look.musicxml))  # type: ignore[attr-defined]
    assert [(each.onset, each.text) for each in read_again(look).marks.chords] == [(2, text)]


@pytest.mark.parametrize(
    ("meter", "metronome", "unit", "rate"),
    [
        ((6, 8), None, "quarter dotted", "60"),
        ((3, 4), None, "quarter", "90"),
        ((2, 2), Metronome(Fraction(0), Fraction(2), 45), "half", "45"),
        ((6, 8), Metronome(Fraction(0), Fraction(1, 2), 180), "eighth", "180"),
    ],
)
def test_tempos_have_the_note_value_of_the_beat(
    meter: tuple[int, int], metronome: Metronome | None, unit: str, rate: str
) -> None:
    score = tune(60, 62, 64, 65)
    score.time_signatures[0].numerator, score.time_signatures[0].denominator = meter
    score.tempos.append(TempoTick(0, qpm=90))
    text = marked(score, metronomes=(metronome,) if metronome else ()).musicxml
    found = re.search(r"<beat-unit>(\w+)</beat-unit>(.*?)<per-minute>(\w+)</per-minute>", text, re.DOTALL)
    assert found is not None
    assert (found[1] + " dotted" * ("beat-unit-dot" in found[2]), found[3]) == (unit, rate)


def test_a_dotted_tempo_is_engraved_with_its_dot() -> None:
    page = rendering(read_score_report(CASES / "xml_dotted_tempo.musicxml", marks=True)).svg_pages[0]
    note, dot = re.findall(r"<path style=.*? />", page)
    assert len(note) > len(dot) > 0


def test_authors_are_printed() -> None:
    look = rendering(read_score_report(CASES / "xml_composer_on_page.musicxml", marks=True))
    for text in ("Evening Walk", "Ada Example", "Bob Words"):
        assert text in look.svg_pages[0]


def test_no_title_and_no_composer_are_none() -> None:
    look = rendering(read_score_report(CASES / "xml_no_title_no_composer.musicxml", marks=True))
    assert "<creator" not in look.musicxml
    assert "title>" not in look.musicxml


def test_modal_keys_are_kept() -> None:
    look = rendering(read_score_report(CASES / "xml_dorian.musicxml", marks=True))
    assert str(look.key_found) == "D dorian (from the file)"
    assert "<mode>dorian</mode>" in look.musicxml


def test_minor_keys_of_the_file_are_kept() -> None:
    result = parse_score(Path("tune.abc"), b"X:1\nM:2/4\nL:1/4\nK:Am\nAe|[K:F]fc|[K:Dm]dA|\n", marks=True)
    text = Rendering(result.score, marks=result.marks).musicxml
    again = parse_score(Path("again.musicxml"), text.encode()).score
    assert [(each.key, each.tonality) for each in again.key_signatures] == [(0, 1), (-1, 0), (-1, 1)]


def test_a_pickup_is_paid_back_by_the_last_bar() -> None:
    text = rendering(read_score_report(CASES / "xml_pickup_short_last_bar.musicxml", marks=True)).musicxml
    assert "<rest" not in text
    assert text.count("<measure ") == 3
    longer = tune(60, 62, 64, 65, 67)
    longer.time_signatures[0].numerator = 1
    longer.time_signatures.append(TimeSignatureTick(TPQ, 4, 4))
    assert "<rest" not in Rendering(longer).musicxml


def test_a_long_name_is_printed_whole() -> None:
    name = "Clarinet in B-flat 1 (doubling Bass Clarinet) and anything else in reach"
    page = Rendering(tune(60, 62, 64, 65, name=name)).svg_pages[0]
    for word in name.split():
        assert word in page


def test_the_default_sheet_of_four_voices_comes_back_as_four_voices() -> None:
    closed = read_score_report(CASES / "xml_closed_hymn.musicxml", marks=True)
    look = rendering(closed)
    assert "Soprano\nAlto<" in look.musicxml
    again = read_again(look)
    assert [track.name for track in again.score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert contents(again.score) == contents(closed.score)


def test_four_voices_with_unisons_rests_and_crossings_come_back_from_two_staves() -> None:
    score = ScoreTick(TPQ)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    lines = {
        "Soprano": [(0, 1, 72), (1, 1, 67), (2, 2, 71), (4, 4, 72)],
        "Alto": [(0, 1, 67), (1, 1, 67), (2, 1, 72), (3, 1, 65), (4, 4, 64)],
        "Tenor": [(1, 1, 60), (2, 2, 60), (4, 4, 60)],
        "Bass": [(0, 1, 48), (1, 1, 60), (2, 1, 43), (3, 1, 43), (4, 4, 48)],
    }
    for name, notes in lines.items():
        track = TrackTick(name)
        track.notes.extend([NoteTick(TPQ * onset, TPQ * length, pitch, 80) for onset, length, pitch in notes])
        score.tracks.append(track)
    again = read_again(Rendering(score))
    assert contents(again.score) == contents(score)


def test_notes_of_a_notation_file_that_overlap_in_a_line_come_back_with_their_lengths() -> None:
    score = tune(*range(60, 72))
    score.tracks[0].notes[2].duration = 2 * TPQ
    look = marked(score, spellings={(0, Fraction(0), 60): ("C", 0)})
    assert contents(read_again(look).score) == contents(score)
