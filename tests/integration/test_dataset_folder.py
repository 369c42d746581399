"""`descant dataset build FOLDER`: the user's own files, good and bad, as a Hugging Face dataset."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict, load_from_disk
from symusic.core import NoteTick, ScoreTick, TempoTick, TrackTick

from descant_modeling.cli.main import main
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora import build_dataset, load_corpus, row_to_score
from descant_tokenizers.corpora.files import FileReader
from descant_tokenizers.corpora.reading import Reading
from descant_tokenizers.corpora.rows import COLUMN_TYPES
from descant_tokenizers.scores import VOICES

NUM_PIECES = 24
NOT_FOUR_PART = {"chords", "trio"}
BAD = {"drums", "empty", "garbage", "truncated"}
NUM_ROWS = NUM_PIECES + 1 + len(NOT_FOUR_PART)
LOWEST = {"Soprano": 62, "Alto": 57, "Tenor": 50, "Bass": 42}


def four_parts(seed: int, *, tpq: int = 480, qpm: float = 80.0, transposition: int = 0) -> ScoreTick:
    """A piece of four random lines, the same for the same seed."""
    rng = random.Random(seed)
    score = ScoreTick(tpq)
    score.tempos.append(TempoTick(0, qpm=qpm))
    for voice, lowest in LOWEST.items():
        track = TrackTick(voice, 0, False)
        for beat in range(16):
            track.notes.append(NoteTick(beat * tpq, tpq, lowest + rng.randrange(12) + transposition, 80))
        score.tracks.append(track)
    return score


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """A folder of good, equal, transposed and bad MIDI files."""
    folder = tmp_path / "songs"
    (folder / "more").mkdir(parents=True)
    for seed in range(NUM_PIECES):
        four_parts(seed).dump_midi(folder / f"piece{seed:02}.mid")
    four_parts(3, tpq=96, qpm=140).dump_midi(folder / "more" / "zz-same-as-3.MID")
    four_parts(4, transposition=2).dump_midi(folder / "more" / "transposed4.midi")
    chords, trio, drums, empty = (four_parts(90 + index) for index in range(4))
    for track in chords.tracks:
        track.name = ""
    chords.tracks[0].notes.append(NoteTick(0, 480, 40, 80))
    del trio.tracks[1]
    drums.tracks = [TrackTick("Drums", 0, True)]
    drums.tracks[0].notes.append(NoteTick(0, 480, 36, 80))
    empty.tracks = []
    for name, score in {"chords": chords, "trio": trio, "drums": drums, "empty": empty}.items():
        score.dump_midi(folder / f"{name}.mid")
    (folder / "garbage.mid").write_bytes(b"no music here")
    (folder / "truncated.mid").write_bytes((folder / "piece00.mid").read_bytes()[:60])
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that no other test has filled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _exit_status(*arguments: str | Path, command: str = "dataset build") -> object:
    """Run the command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["descant", *command.split(), *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
    return exit_info.value.code


def _rows(dataset: DatasetDict) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for split in dataset for row in dataset[split]}


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_becomes_a_row_or_a_named_reason(songs: Path, tmp_path: Path) -> None:
    report = build_dataset(str(songs), tmp_path / "out", num_proc=1)
    assert report.num_files == NUM_ROWS + 1 + len(BAD)
    assert report.num_rows == NUM_ROWS
    assert report.skipped.keys() == BAD
    assert all(str(songs) in reason for reason in report.skipped.values())
    assert report.duplicates == {"piece03": "more/zz-same-as-3"}
    assert json.loads((tmp_path / "out" / "report.json").read_text())["skipped"] == report.skipped


def test_rows_hold_the_music_and_say_what_is_known(songs: Path, tmp_path: Path) -> None:
    build_dataset(str(songs), tmp_path / "out", num_proc=1, licence="CC0-1.0")
    dataset = load_from_disk(str(tmp_path / "out"))
    rows = _rows(dataset)
    assert len(rows) == NUM_ROWS
    row = rows["piece05"]
    assert list(row) == list(COLUMN_TYPES)
    assert (row["corpus"], row["licence"], row["title"]) == ("songs", "CC0-1.0", "piece05")
    assert (row["num_notes"], row["num_parts"], row["time_signature"], row["fermatas"]) == (64, 4, "4/4", [])
    score = row_to_score(row)
    assert row["source"] == "piece05.mid"
    assert [track.name for track in score.tracks] == list(VOICES)
    assert [track.notes for track in score.tracks] == [track.notes for track in four_parts(5).tracks]
    assert all(row["split"] == split for split in dataset for row in dataset[split])
    assert rows["piece04"]["split"] == rows["more/transposed4"]["split"]


def test_a_piece_keeps_its_split_whatever_else_is_there(songs: Path, tmp_path: Path) -> None:
    build_dataset(str(songs), tmp_path / "all", num_proc=1)
    (tmp_path / "few").mkdir()
    for seed in range(0, NUM_PIECES, 3):
        shutil.copy(songs / f"piece{seed:02}.mid", tmp_path / "few" / f"renamed-{seed:02}.mid")
    build_dataset(str(tmp_path / "few"), tmp_path / "some", num_proc=1)
    before, after = (_rows(load_corpus(str(tmp_path / name))) for name in ("all", "some"))
    assert len(after) == NUM_PIECES // 3
    for name, row in after.items():
        known = before.get(name.replace("renamed-", "piece"), before["more/zz-same-as-3"])
        assert row["split"] == known["split"]


def test_the_number_of_processes_changes_no_byte(songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_dataset(str(songs), tmp_path / "one", num_proc=1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another cache"))
    build_dataset(str(songs), tmp_path / "two", num_proc=2)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")


def test_a_second_build_reads_no_good_file_again(songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_dataset(str(songs), tmp_path / "one", num_proc=1)
    read_again = _record_reads(monkeypatch)
    build_dataset(str(songs), tmp_path / "two", num_proc=1)
    assert set(read_again) == BAD
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")


def test_an_interrupted_build_goes_on_where_it_stopped(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(num_done: int, num_files: int) -> None:
        if num_done == num_files // 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        build_dataset(str(songs), out, num_proc=1, progress=stop)
    assert not out.exists()
    read_again = _record_reads(monkeypatch)
    report = build_dataset(str(songs), out, num_proc=1)
    assert len(read_again) <= report.num_files // 2 + len(BAD)
    assert report.num_rows == NUM_ROWS


def test_ctrl_c_stops_the_worker_processes_at_once(songs: Path, tmp_path: Path, own_cache: Path) -> None:
    script = tmp_path / "interrupt.py"
    script.write_text(_INTERRUPT.format(songs=songs, out=tmp_path / "out"))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert 1 <= len(list(own_cache.rglob("*.json"))) <= NUM_PIECES // 2
    assert not (tmp_path / "out").exists()


def test_force_replaces_a_dataset_and_nothing_is_left_beside_it(songs: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    build_dataset(str(songs), out, num_proc=1)
    with pytest.raises(InputError, match="already exists"):
        build_dataset(str(songs), out, num_proc=1)
    build_dataset(str(songs), out, num_proc=1, force=True, file_format="parquet")
    assert len(_rows(load_corpus(str(out)))) == NUM_ROWS
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_parquet_needs_none_of_our_code(songs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = build_dataset(str(songs), out, num_proc=1, file_format="parquet")
    story = (
        "import json, sys; from datasets import load_dataset;"
        f"data = load_dataset('parquet', data_dir={str(out)!r}, cache_dir={str(tmp_path / 'hf')!r});"
        "assert not any(name.startswith('descant') for name in sys.modules);"
        "print(json.dumps({split: [row['id'] for row in rows] for split, rows in data.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", story], capture_output=True, text=True, check=True)
    arrow = tmp_path / "arrow"
    build_dataset(str(songs), arrow, num_proc=1)
    expected = {split: list(rows["id"]) for split, rows in load_from_disk(str(arrow)).items()}
    assert json.loads(done.stdout) == expected
    assert {split: len(names) for split, names in expected.items()} == {s: n for s, n in report.splits.items() if n}


def test_a_split_without_pieces_is_left_out(songs: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(songs / "piece00.mid", tmp_path / "one")
    report = build_dataset(str(tmp_path / "one"), tmp_path / "out", num_proc=1, file_format="parquet")
    assert sorted(report.splits.values()) == [0, 0, 1]
    assert len(load_corpus(str(tmp_path / "out"))) == 1


def test_a_folder_of_bad_files_alone_writes_nothing(songs: Path, tmp_path: Path) -> None:
    for path in songs.rglob("*"):
        if path.is_file() and path.stem not in BAD:
            path.unlink()
    with pytest.raises(InputError, match=f"None of the {len(BAD)} files of songs can be used"):
        build_dataset(str(songs), tmp_path / "out", num_proc=1)
    assert not (tmp_path / "out").exists()


def test_a_file_that_kills_its_reader_is_one_bad_file(songs: Path, tmp_path: Path) -> None:
    script = tmp_path / "crash.py"
    script.write_text(_CRASH.format(songs=songs, out=tmp_path / "out"))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["skipped"].keys() == BAD | {"piece07"}
    assert report["skipped"]["piece07"].endswith("crashed the reader. Export it again.")


def test_a_script_without_a_main_guard_is_told_so(songs: Path, tmp_path: Path) -> None:
    script = tmp_path / "guardless.py"
    script.write_text(
        "from pathlib import Path; from descant_tokenizers.corpora import build_dataset\n"
        f"build_dataset({str(songs)!r}, Path({str(tmp_path / 'out')!r}), num_proc=2)"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert "Worker processes cannot be started" in done.stderr.splitlines()[-1]


def test_the_command_reports_as_json(songs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "descant_modeling.cli.main", "dataset", "build", str(songs), "--json", "--quiet"]
    options = ["--out", str(tmp_path / "out"), "--num-proc", "2"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    report = json.loads(line)
    assert (report["num_rows"], report["out"]) == (NUM_ROWS, str(tmp_path / "out"))
    assert report["skipped"].keys() == BAD


def test_the_command_sums_up_for_a_person(songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_status(songs, "--out", tmp_path / "out", "--num-proc", "1") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"songs: {NUM_ROWS} pieces from {NUM_ROWS + 1 + len(BAD)} files")
    assert f"skipped: {len(BAD)}" in said
    assert "piece03 has the notes of more/zz-same-as-3" in said
    assert str(tmp_path / "out") in said.splitlines()[-1]


def test_the_summary_counts_cached_pieces(songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for number, said in enumerate(("", "  1 of them from the cache", "  2 of them from the cache")):
        shutil.copy(songs / f"piece0{number}.mid", few)
        assert _exit_status(few, "--out", tmp_path / f"out{number}", "--num-proc", "1") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if "from the cache" in line] == [said] * bool(said)


def _bad_commands(folder: Path) -> Iterator[tuple[list[str], str]]:
    out = str(folder / "out")
    yield ["chorals", "--out", out], "Unknown corpus 'chorals'. Give one of chorales, palestrina,"
    yield [str(folder / "song.mid"), "--out", out], "is not a folder"
    yield [str(folder / "songs"), "--out", str(folder / "songs")], "already exists and is not empty"
    yield [str(folder / "songs"), "--out", str(folder / "songs"), "--force"], "does not look like a dataset"
    yield [str(folder / "songs"), "--out", str(folder / "song.mid" / "out")], "Cannot write"
    yield [str(folder / "songs"), "--out", out, "--num-proc", "0"], "num_proc is 0"
    yield ["chorales", "--out", out, "--licence", "CC0"], "is known"


def test_bad_input_is_one_sentence_and_leaves_nothing(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(songs / "piece00.mid", tmp_path / "song.mid")
    before = _bytes(songs)
    for arguments, said in _bad_commands(tmp_path):
        assert _exit_status(*arguments, "--quiet") == 2, arguments
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert said in line
        assert not (tmp_path / "out").exists()
    assert _bytes(songs) == before


def test_what_is_no_dataset_is_not_loaded(songs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Unknown corpus 'chorals'"):
        load_corpus("chorals")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no score file"):
        load_corpus(str(tmp_path / "nothing"))
    build_dataset(str(songs), tmp_path / "out", num_proc=1)
    load_from_disk(str(tmp_path / "out")).remove_columns("music").save_to_disk(str(tmp_path / "silent"))
    with pytest.raises(InputError, match="lacks the columns music"):
        load_corpus(str(tmp_path / "silent"))


def test_files_are_tokenized_in_one_pass_to_the_same_rows(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_dataset(str(songs), tmp_path / "built", num_proc=1)
    for source, out in ((tmp_path / "built", "two"), (songs, "one")):
        arguments = ["tokenize", str(source), "--out", str(tmp_path / out), "--num-proc", "2", "--quiet"]
        assert _exit_status(*arguments, command="dataset") == 0, capsys.readouterr().err
    one, two = (load_from_disk(str(tmp_path / name)) for name in ("one", "two"))
    assert {name: list(rows) for name, rows in one.items()} == {name: list(rows) for name, rows in two.items()}
    assert sum(len(rows) for rows in one.values()) == NUM_PIECES + 2  # one is a trio of named voices
    skipped = json.loads((tmp_path / "one" / "report.json").read_text())["skipped"]
    assert skipped.keys() == BAD | {"chords"}
    assert (tmp_path / "one" / "tokenizer.json").read_bytes() == (tmp_path / "two" / "tokenizer.json").read_bytes()


def test_a_killed_build_goes_on_where_it_stopped(songs: Path, tmp_path: Path, own_cache: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(_INTERRUPT.format(songs=songs, out=tmp_path / "out").replace("num_done == 2", "False"))
    process = subprocess.Popen([sys.executable, script], start_new_session=True)
    while len(list(own_cache.rglob("*.json"))) < 8:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)  # the workers as well: nothing is cleaned up
    process.wait()
    num_read = len(list(own_cache.rglob("*.json")))
    assert 8 <= num_read < NUM_PIECES
    assert not (tmp_path / "out").exists()
    report = build_dataset(str(songs), tmp_path / "out", num_proc=2)
    assert num_read - 1 <= report.num_cached <= num_read + 1  # equal music in two files has one name in the cache
    build_dataset(str(songs), tmp_path / "again", num_proc=1)
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "again")


def _record_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    read = FileReader.read

    def recorded(self: FileReader, key: str, data: bytes) -> Reading:
        names.append(Path(key).stem)
        return read(self, key, data)

    monkeypatch.setattr(FileReader, "read", recorded)
    return names


_CRASH = """
import os
from pathlib import Path
from descant_tokenizers.corpora.files import FileReader, FolderCorpus

class Crashing(FileReader):
    def read(self, key, data):
        if key == "piece07.mid":
            os._exit(11)
        return super().read(key, data)

class Corpus(FolderCorpus):
    reader = Crashing(Path("{songs}"))

if __name__ == "__main__":
    from descant_tokenizers.corpora import build_dataset
    build_dataset(Corpus.of(Path("{songs}")), Path("{out}"), num_proc=2)
"""

_INTERRUPT = """
import time
from pathlib import Path
from descant_tokenizers.corpora.files import FileReader, FolderCorpus

class Slow(FileReader):
    def read(self, key, data):
        time.sleep(0.3)
        return super().read(key, data)

class Corpus(FolderCorpus):
    reader = Slow(Path("{songs}"))

def stop(num_done, num_files):
    if num_done == 2:
        raise KeyboardInterrupt

if __name__ == "__main__":
    from descant_tokenizers.corpora import build_dataset
    build_dataset(Corpus.of(Path("{songs}")), Path("{out}"), num_proc=2, progress=stop)
"""
