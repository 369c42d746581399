"""Chords that are requested of songs and quartets, or written in a lead sheet: new notes are their tones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ensemble_models import save_ensemble

from descant_modeling.api import Model, load
from descant_modeling.decoding.chord_tones import ChordTones
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import GenerationResult
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import read_score_report
from descant_tokenizers.tokens.harmony import parse_chord_name
from descant_tokenizers.tokens.kinds import make_grammar
from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

WILD = GenerationConfig(temperature=1.0, top_p=1.0, seed=3)
TUNE = Path(__file__).resolve().parents[2] / "examples" / "ode-to-joy.mid"
TRIADS = {"C": {0, 4, 7}, "G7": {7, 11, 2, 5}, "Am": {9, 0, 4}}


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(save_ensemble("song", tmp_path_factory.mktemp("songs")), "cpu")


def lead_sheet(folder: Path, *chords: str) -> Path:
    """A tune of half notes in 4/4, a chord symbol at each."""
    kinds = {"C": ("C", "major"), "G7": ("G", "dominant"), "Am": ("A", "minor"), "Dsus4": ("D", "suspended-fourth")}
    measures = []
    for number, pair in enumerate(zip(chords[::2], chords[1::2], strict=True), start=1):
        opening = (
            "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
        )
        content = opening if number == 1 else ""
        for name in pair:
            root, kind = kinds[name]
            content += f"<harmony><root><root-step>{root}</root-step></root><kind>{kind}</kind></harmony>"
            content += "<note><pitch><step>E</step><octave>5</octave></pitch><duration>2</duration></note>"
        measures.append(f'<measure number="{number}">{content}</measure>')
    path = folder / "sheet.musicxml"
    path.write_text(
        '<?xml version="1.0"?><score-partwise version="4.0"><part-list><score-part id="P1"><part-name>Tune</part-name>'
        f'</score-part></part-list><part id="P1">{"".join(measures)}</part></score-partwise>',
        encoding="utf-8",
    )
    return path


def check(result: GenerationResult, chords: list[str], quarters: int) -> int:
    """Check that new notes are tones of chords of equal length as long as they sound; return the number of notes."""
    score, added = result.score, result.samples[0].added
    length = quarters * score.ticks_per_quarter
    for track in score.tracks:
        for note in track.notes:
            if (track.name, note.time, note.pitch) not in added:
                continue
            for chord in chords[note.time // length : -(-note.end // length)]:
                assert note.pitch % 12 in TRIADS[chord], (track.name, note)
    return len(added)


def test_a_piano_keeps_to_the_chord_symbols_of_a_lead_sheet(songs, tmp_path):
    names = ["C", "Am", "G7", "C", "Am", "G7", "C", "C"]
    read = read_score_report(lead_sheet(tmp_path, *names), marks=True)
    result = songs.harmonize(read, config=WILD)
    assert check(result, names, 2) > 20
    assert "over the chord symbols of the file" in result.remarks
    assert result.samples[0].chords == ("C Am", "G7 C", "Am G7", "C")
    other = songs.harmonize(read, chords=["Am"] * 4, config=WILD)
    assert check(other, ["Am"] * 8, 2) > 20


def test_the_lowest_part_brings_the_bass_of_each_new_chord():
    vocabulary = Vocabulary(build_tokenizer("song"))
    chords = {0: parse_chord_name("C/E"), 24: parse_chord_name("C/E"), 48: None}
    tones = ChordTones(chords, vocabulary, bass=1)
    state = make_grammar(vocabulary).enter_bar(vocabulary.meter_id[4, 4])
    every = np.isin(np.arange(vocabulary.size), list(vocabulary.pitch_id.values()))

    def classes(voice: int, ticks: int, struck: int = 0) -> set[int]:
        legal = tones.pitches(every, state._replace(voice=voice), ticks, struck)
        return {vocabulary.pitch_of[int(i)] % 12 for i in np.flatnonzero(legal)}

    assert classes(1, 0) == {4}
    assert classes(1, 0, struck=1) == classes(2, 0) == classes(1, 12) == classes(1, 24) == {0, 4, 7}
    assert len(classes(1, 48)) == 12


def test_the_command_reads_the_symbols_and_names_those_that_it_cannot_keep(songs, descant, tmp_path):
    sheet = lead_sheet(tmp_path, "C", "Dsus4", "G7", "C")
    model = songs.generator.checkpoint.folder
    ended = descant("generate", "--prompt", sheet, "--model", model, "--out", tmp_path / "x.mid", "--formats", "midi")
    assert ended.status == 0, ended.err
    assert "over the chord symbols of the file; free where they are Dsus4" in " ".join(ended.out.split())


def test_chords_that_do_not_fit_are_refused(songs):
    with pytest.raises(InputError, match=r"'H7' is not a chord"):
        songs.harmonize(TUNE, chords=["H7"], config=WILD)
    with pytest.raises(InputError, match=r"There are chords for 99 bars"):
        songs.harmonize(TUNE, chords=["C"] * 99, config=WILD)
    with pytest.raises(InputError, match=r"This model has no use for phrases"):
        songs.harmonize(TUNE, phrases=[4], config=WILD)


def test_the_tonic_triad_stands_under_a_tune_that_ends_on_its_tonic(songs):
    def last_pitches(**options: object) -> set[int]:
        result = songs.harmonize(TUNE, config=WILD, **options)
        assert result.samples[0].chords == ()
        tune, *hands = result.score.tracks
        start = max(note.time for note in tune.notes)
        return {note.pitch % 12 for hand in hands for note in hand.notes if note.end > start}

    final = max(read_score_report(TUNE).score.tracks[0].notes, key=lambda note: note.time).pitch
    triad = {(final + step) % 12 for step in (0, 4, 7)}
    assert last_pitches() <= triad
    assert last_pitches(last_chord="tonic") <= triad
    assert not last_pitches(last_chord="any") <= triad


def test_an_end_that_the_tune_does_not_allow_is_left_free(songs, tmp_path):
    read = read_score_report(lead_sheet(tmp_path, "C", "C", "C", "C"))  # all notes are E
    read.score.tracks[0].notes[-1].pitch = 66
    result = songs.harmonize(read.score, last_chord="tonic", key="C major", config=WILD)
    assert "the last chord is free, because the given notes do not end in the tonic triad" in result.remarks
