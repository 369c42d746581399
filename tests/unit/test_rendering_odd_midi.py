"""Valid MIDI files with unusual contents end as music: read, engraved, and the same when read again."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.spelling import LOWEST_PRINTED
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import read_score_report
from descant_tokenizers.scores.reading import parse_score

NUM_FILES, SEED = 50, 1


@pytest.fixture(scope="module")
def odd_midi(repo_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("odd_midi", repo_root / "tests" / "fuzz" / "odd_midi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("first", range(0, NUM_FILES, 10))
def test_odd_files_are_engraved_or_refused_in_one_sentence(
    first: int, odd_midi: ModuleType, schema: object, tmp_path: Path
) -> None:
    outcomes = []
    for index in range(first, first + 10):
        path = tmp_path / "odd.mid"
        path.write_bytes(odd_midi.odd_midi(SEED, index))
        try:
            read = read_score_report(path, marks=True)
            rendering = Rendering(read.score, with_chords=index % 3 == 0)
            text = rendering.musicxml
        except InputError as error:
            outcomes.append("two sentences" if "\n" in str(error) else "refused")
            continue
        outcomes.append("engraved")
        if index % 10 == 0:
            schema.validate(re.sub(r"<!DOCTYPE[^>]*>", "", text))  # type: ignore[attr-defined]
            assert rendering.svg_pages[0].count('class="note"') > 0
        again = parse_score(Path("again.musicxml"), text.encode())
        pitched = [track for track in read.score.tracks if not track.is_drum]
        pitches = {note.pitch for track in pitched for note in track.notes}
        assert {note.pitch for track in again.score.tracks for note in track.notes} == {
            max(pitch, pitch % 12 + LOWEST_PRINTED) for pitch in pitches
        }
        assert any("below C0" in remark for remark in rendering.remarks) == (min(pitches) < LOWEST_PRINTED)
    assert "two sentences" not in outcomes
    assert outcomes.count("engraved") > 5


def test_an_odd_file_can_be_had_again(odd_midi: ModuleType) -> None:
    first, again, other = (odd_midi.odd_midi(SEED, index) for index in (3, 3, 4))
    assert first == again != other
