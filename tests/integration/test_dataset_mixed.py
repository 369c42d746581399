"""`descant dataset build` on a mixed folder: bands with drums, notation, tunes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict
from symusic.core import NoteTick, ScoreTick, TempoTick, TrackTick

from descant_tokenizers.corpora import build_dataset, load_corpus, row_to_score
from descant_tokenizers.tokens.dataset import tokenize_dataset
from descant_tokenizers.tokens.presets import build_tokenizer

BAND = {"Lead": (73, False), "Piano": (0, False), "Piano 2": (0, False), "Bass": (33, False), "": (0, True)}
TUNE = "X:1\nT:A Tune\nM:3/4\nL:1/4\nK:D\nD|DFA|d2A|FED|D2|]\n"


def band() -> ScoreTick:
    """Five tracks, two of equal program, drums, velocities and two tempos."""
    score = ScoreTick(384)
    score.tempos.extend([TempoTick(0, qpm=150), TempoTick(1536, qpm=75)])
    for place, (name, (program, is_drum)) in enumerate(BAND.items()):
        track = TrackTick(name, program, is_drum)
        for beat in range(8):
            pitch = 36 if is_drum else 80 - 10 * place + beat % 5
            track.notes.append(NoteTick(384 * beat, 300, pitch, 40 + 5 * place + beat))
            if name == "Piano":
                track.notes.append(NoteTick(384 * beat, 300, pitch + 4, 90))
        score.tracks.append(track)
    return score


@pytest.fixture
def mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of MIDI and ABC files, two of them with one stem."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "mixed"
    folder.mkdir()
    band().dump_midi(folder / "song.mid")
    (folder / "song.abc").write_text(TUNE)
    return folder


def _rows(dataset: DatasetDict) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for split in dataset for row in dataset[split]}


def test_a_band_keeps_programs_drums_velocities_and_tempos(mixed: Path, tmp_path: Path) -> None:
    report = build_dataset(str(mixed), tmp_path / "out", num_proc=1)
    assert (report.num_rows, report.skipped, report.remarks) == (2, {}, {})
    assert sum(report.four_part.values()) == 0
    row = _rows(load_corpus(str(tmp_path / "out")))["song.mid"]
    score = row_to_score(row)
    assert [(track.name, (track.program, track.is_drum)) for track in score.tracks] == list(BAND.items())
    assert [track.notes for track in score.tracks] == [track.notes for track in band().tracks]
    assert [(tempo.time, round(tempo.qpm)) for tempo in score.tempos] == [(0, 150), (1536, 75)]
    assert (row["num_parts"], row["num_notes"], row["source"]) == (5, 48, "song.mid")


def test_a_tune_keeps_its_pickup(mixed: Path, tmp_path: Path) -> None:
    build_dataset(str(mixed), tmp_path / "out", num_proc=1)
    row = _rows(load_corpus(str(tmp_path / "out")))["song.abc"]
    assert (row["num_parts"], row["time_signature"], row["key"]) == (1, "3/4", "D major")
    assert [(event.time, event.numerator) for event in row_to_score(row).time_signatures] == [(0, 1), (480, 3)]


def test_four_part_tokens_take_only_what_they_can(mixed: Path, tmp_path: Path) -> None:
    build_dataset(str(mixed), tmp_path / "out", num_proc=1)
    tokenized, refused = tokenize_dataset(load_corpus(str(tmp_path / "out")), build_tokenizer())
    assert sum(len(rows) for rows in tokenized.values()) == 0
    assert refused.keys() == {"song.mid", "song.abc"}


def test_only_drums_differ_from_other_music_in_a_transposition(tmp_path: Path) -> None:
    from descant_tokenizers.corpora.splits import notes_digest

    higher = band()
    for track in higher.tracks[:-1]:
        track.shift_pitch(3, inplace=True)
    assert notes_digest(band()) != notes_digest(higher)
    assert notes_digest(band(), transposable=True) == notes_digest(higher, transposable=True)
