"""`descant dataset stats`: statistics of a corpus as a table, a picture and JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.cli.stats import SplitStats, _draw_lengths, table
from descant_tokenizers.corpora import build_dataset
from descant_tokenizers.scores import VOICES

LOWEST = dict(zip(VOICES, (72, 65, 58, 48), strict=True))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six four-part pieces in 3/4 and C major and, in 4/4, a duet that four-part tokens cannot hold."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "pieces"
    folder.mkdir()
    for seed in range(6):
        _score(dict(LOWEST), (3, 4), 6 + seed).dump_midi(folder / f"{seed}.mid")
    _score({"Flute": 90, "Drum": 30}, (4, 4), 8).dump_midi(folder / "duet.mid")
    return folder


def _score(lowest: dict[str, int], meter: tuple[int, int], num_beats: int) -> ScoreTick:
    score = ScoreTick(24)
    score.time_signatures.append(TimeSignatureTick(0, *meter))
    for name, low in lowest.items():
        track = TrackTick(name, 0, name == "Drum")
        track.notes.extend([NoteTick(24 * beat, 24, low + beat % 2, 80) for beat in range(num_beats)])
        score.tracks.append(track)
    return score


def _whole(stats: dict[str, Any], *path: str) -> int:
    """Sum a value over the splits."""
    total = 0
    for split in stats.values():
        value = split
        for part in path:
            value = value.get(part, 0) if isinstance(value, dict) else 0
        total += value
    return total


def test_nothing_moves_where_nobody_watches(folder: Path, tmp_path: Path) -> None:
    """In a separate process, because the setting of the bars of `datasets` holds for a whole process."""
    command = ["-m", "descant_modeling.cli.main", "dataset", "stats", str(folder)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_json_counts_everything_in_every_split(folder: Path, descant: Callable[..., Any]) -> None:
    done = descant("dataset", "stats", folder, "--num-proc", 1, "--json", "--quiet")
    assert (done.status, done.err) == (0, "")
    stats = json.loads(done.out)["splits"]
    assert _whole(stats, "pieces") == 7
    assert _whole(stats, "four_part") == 6
    assert _whole(stats, "notes", "sum") == 4 * sum(range(6, 12)) + 16
    assert _whole(stats, "bars", "sum") == 2 + 3 + 3 + 3 + 4 + 4 + 2
    assert _whole(stats, "tokens", "pieces") == 6
    assert (_whole(stats, "meters", "3/4"), _whole(stats, "meters", "4/4")) == (6, 1)
    assert (_whole(stats, "parts", "4"), _whole(stats, "parts", "2")) == (6, 1)
    assert _whole(stats, "licences", "unknown (user files)") == 7
    assert max(split["ranges"]["all"][1] for split in stats.values()) == 91
    assert min(split["ranges"]["all"][0] for split in stats.values()) == 48, "percussion has no range"
    assert {tuple(split["ranges"]["Alto"]) for split in stats.values() if split["four_part"]} == {(65, 66)}


def test_a_corpus_of_little_four_part_music_is_counted_in_tokens_for_any(
    tmp_path: Path, descant: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "duets").mkdir()
    for number, name in enumerate(("one", "two")):
        _score({"Flute": 80 + number, "Drum": 30}, (4, 4), 8 + number).dump_midi(tmp_path / "duets" / f"{name}.mid")
    _score(dict(LOWEST), (3, 4), 6).dump_midi(tmp_path / "duets" / "quartet.mid")
    found = json.loads(descant("dataset", "stats", tmp_path / "duets", "--num-proc", 1, "--json", "--quiet").out)
    assert found["tokenizer"] == "gm"
    assert _whole(found["splits"], "tokens", "pieces") == 3


def test_outliers_do_not_press_a_histogram_into_one_bar(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    for longest, scale in ((100, "linear"), (10_000, "log")):
        axes = Figure().subplots()
        _draw_lengths(axes, {"train": SplitStats(notes=[10, 20, 30, 40, longest])}, "notes", "notes per piece")
        assert axes.get_xscale() == scale


def test_names_as_long_as_a_paragraph_are_cut_in_the_table() -> None:
    split = SplitStats(pieces=3, licences=Counter({"may be copied " * 20: 2, "CC0-1.0": 1}))
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table({"train": split}, "x", "gm"))
    said = capture.get()
    assert "…: 2" in said
    assert "CC0-1.0: 1" in said
    assert said.count("may be copied") < 5


def test_table_and_picture(folder: Path, tmp_path: Path, descant: Callable[..., Any]) -> None:
    build_dataset(str(folder), tmp_path / "dataset", num_proc=1)
    picture = tmp_path / "stats.png"
    done = descant("dataset", "stats", tmp_path / "dataset", "--plot", picture, "--quiet")
    assert done.status == 0, done.err
    for said in ("pieces", "tokens per piece", "3/4: ", "Alto F4 to F#4", f"Wrote {picture}"):
        assert said in done.out.replace("\n", " ").replace("│", " ") or said in done.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000
    refused = descant("dataset", "stats", tmp_path / "dataset", "--plot", picture)
    assert (refused.status, "already exists" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "Unknown corpus 'nothing'"),
        (("folk", "--plot", "x.docx"), "--plot is x.docx. Give a name that ends in .png or"),
        (("folk", "--preset", "x"), "preset"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    descant: Callable[..., Any], arguments: tuple[str, ...], said: str
) -> None:
    done = descant("dataset", "stats", *arguments)
    assert done.status == 2
    assert said in done.err
