"""The token ids of one small four-part score. They are what published weights were trained on: they never change."""

import json
from pathlib import Path

import pytest
import symusic

from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout

GOLDEN = json.loads(Path(__file__).with_name("token_ids.json").read_text(encoding="utf-8"))

# Two bars of G major after an upbeat, a passing eighth in the tenor, a suspension held over the bar line in the alto.
PART_NOTES = {
    "Soprano": [(0, 480, 67), (480, 480, 71), (960, 480, 69), (1440, 960, 67), (2400, 480, 66), (2880, 480, 67)],
    "Alto": [(0, 480, 62), (480, 480, 62), (960, 960, 62), (1920, 480, 64), (2400, 480, 62), (2880, 480, 62)],
    "Tenor": [(0, 480, 59), (480, 240, 55), (720, 240, 57), (960, 480, 54), (1440, 960, 55), (2400, 960, 57)],
    "Bass": [(0, 480, 55), (480, 480, 55), (960, 480, 50), (1440, 960, 48), (2400, 480, 50), (2880, 480, 43)],
}


@pytest.fixture(scope="module")
def piece(vocabulary):
    score = symusic.Score(480)
    for name, notes in PART_NOTES.items():
        track = symusic.Track(name)
        track.notes.extend([symusic.Note(time, duration, pitch, 80) for time, duration, pitch in notes])
        score.tracks.append(track)
    score.time_signatures.extend([symusic.TimeSignature(0, 1, 4), symusic.TimeSignature(480, 4, 4)])
    encoded = encode_score(vocabulary, score)
    assert encoded.changes == ()
    return encoded.piece


def test_the_vocabulary_is_the_published_one(vocabulary):
    assert vocabulary.size == GOLDEN["vocabulary"]["size"]
    assert {name: vocabulary.names.index(name) for name in GOLDEN["vocabulary"]["ids"]} == GOLDEN["vocabulary"]["ids"]


@pytest.mark.parametrize("name", GOLDEN["streams"])
def test_the_ids_of_each_task(vocabulary, piece, name):
    stream = GOLDEN["streams"][name]
    layout = TaskLayout(vocabulary, LayoutConfig(stream["lookahead_bars"]))
    encoded = layout.encode(piece, Task(stream["task"]), stream["voices"], stream["bars"])
    assert encoded.ids == stream["ids"]
    assert "".join(".w"[written] for written in encoded.loss_mask) == stream["written"]
