from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from descant_tokenizers.scores import SUFFIXES, bars_of, last_note_end, pick_melody, read_score_report

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
FILES = sorted(path for path in EXAMPLES.iterdir() if path.suffix in SUFFIXES)
NUM_BARS = {
    "amazing-grace.mid": 16,
    "au-clair-de-la-lune.musicxml": 16,
    "greensleeves.mid": 16,
    "ode-to-joy.mid": 16,
    "old-hundredth.mid": 8,
    "row-your-boat.abc": 8,
    "twinkle.mid": 12,
}
PICKUPS = {"amazing-grace.mid", "greensleeves.mid", "old-hundredth.mid"}


def test_every_example_is_known_here_and_in_the_readme() -> None:
    assert [path.name for path in FILES] == sorted(NUM_BARS)
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name, num_bars in NUM_BARS.items():
        row = next(line for line in readme.splitlines() if f"`{name}`" in line and line.startswith("|"))
        assert f"| {num_bars} |" in row
        assert ("pickup" in row) == (name in PICKUPS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_example_is_a_clean_melody_for_a_soprano(path: Path) -> None:
    result = read_score_report(path)
    assert result.repairs == []
    melody = pick_melody(result.score).track
    assert "trimmed" not in pick_melody(result.score).reason
    pitches = [note.pitch for note in melody.notes]
    assert min(pitches) >= 60
    assert max(pitches) <= 81
    bars = bars_of(result.score)
    assert bars[0].number == (0 if path.name in PICKUPS else 1)
    assert bars[-1].number == NUM_BARS[path.name]
    pickup_ticks = bars[0].length_ticks if path.name in PICKUPS else 0
    assert bars[-1].end_ticks - last_note_end(result.score) == pickup_ticks  # the last bar leaves room for the pickup
    assert len(result.score.tempos) == len(result.score.key_signatures) == 1


def test_the_script_writes_what_is_committed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(EXAMPLES / "make_examples.py"), "--out", str(tmp_path)], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NUM_BARS)
    for path in FILES:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
