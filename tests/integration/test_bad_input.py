"""Bad input on the command line: status 2, one sentence, fast, without much memory, nothing left behind.

The table is tests/data/bad_input.yaml, which docs/errors.md shows to users; a new mistake goes there. Options of single
commands that are wrong are below.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

MAX_CPU_SECONDS = 2.0
MAX_WALL_SECONDS = 60.0  # nothing waits, but a busy machine may be slow
MAX_EXTRA_BYTES = 800 * 2**20

GENERATE = "generate --model {model} --prompt"
TUNE = f"{GENERATE} tune.mid"
TABLE: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).resolve().parents[1] / "data" / "bad_input.yaml").read_text(encoding="utf-8")
)

PROMPTS = [
    (f"{GENERATE} chords.mid", "track 1 'Piano' plays several notes at once"),
    (f"{GENERATE} odd-meter.mid", "time signature 13/16 (bar 1) is none that the model knows"),
    (f"{GENERATE} wide.mid", "the given voices reach from MIDI pitch 10 to 110"),
]

OPTIONS = [
    (f"{TUNE} --task compose", "--task compose takes no --prompt; leave one of the two out."),
    ("generate --model {model}", "--prompt is missing; give a MIDI, MusicXML, ABC or Humdrum file, or a --model that"),
    (f"{TUNE} --chords C", "this model takes no chords"),
    ("generate --prompt tune.mid --model midinet", "this model writes without a prompt; leave --prompt out"),
    (f"{TUNE} --track 2", "there is no track 2"),
    (f"{TUNE} --track flute", "there is no track named 'flute'"),
    (f"{TUNE} --given cello", "unknown voice 'cello'; give one or more of soprano, alto, tenor, bass."),
    (f"{TUNE} --given soprano,", "unknown voice ''"),
    (f"{TUNE} --given soprano,bass", "2 voices are given (Soprano, Bass), but the score has 1 track"),
    (f"{TUNE} --given soprano,alto,tenor,bass", "all four voices are given"),
    (f"{TUNE} --bars 4", "--bars goes with continue (how many) and infill (A-B)"),
    (f"{TUNE} --task continue --bars many", "--bars is 'many'; give a number of bars such as 8."),
    (f"{TUNE} --task continue --bars 2-3", "--bars is '2-3'; give a number of bars such as 8."),
    (f"{TUNE} --task continue --bars=-2", "--bars is '-2'; give a number of bars such as 8."),
    (f"{TUNE} --task continue --bars 0", "the number of bars to write is 0; give 1 to 256."),
    (f"{TUNE} --task continue --bars 257", "the number of bars to write is 257; give 1 to 256."),
    (f"{TUNE} --task infill", "--bars is missing; give the bars to write anew, such as 5-8."),
    (f"{TUNE} --task infill --bars 1-x", "--bars is '1-x'; give the bars to write anew, such as 5-8."),
    (f"{TUNE} --task infill --bars 2-9", "the bars to write are 2-9; the prompt has bars 1 to 2."),
    (f"{TUNE} --task infill --bars 2-1", "the bars to write are 2-1; the prompt has bars 1 to 2."),
    (f"{TUNE} --task infill --bars 99999999999999999999", "give the bars to write anew, such as 5-8."),
    (f"{TUNE} --task infill --bars 1 --given soprano", "all voices of the prompt are given"),
    (f"{TUNE} --task infill --bars 1 --given bass", "Bass is given, but the prompt has Soprano"),
    (f"{TUNE} --task infill --bars 1 --track 1", "--track goes with harmonize and continue"),
    (f"{TUNE} --num-samples 0", "--num-samples is 0; give 1 to 64."),
    (f"{TUNE} --num-samples 65", "--num-samples is 65; give 1 to 64."),
    (f"{TUNE} --num-samples two", "Invalid value for '--num-samples'"),
    (f"{TUNE} --seed=-1", "--seed is -1; give 0 to"),
    (f"{TUNE} --temperature=-0.1", "--temperature is -0.1; give 0 to 10."),
    (f"{TUNE} --temperature nan", "--temperature is nan; give 0 to 10."),
    (f"{TUNE} --top-p 0", "--top-p is 0.0; give"),
    (f"{TUNE} --top-p 1.5", "--top-p is 1.5; give"),
    (f"{TUNE} --own-melody", "this model never writes a given melody again"),
    (f"{TUNE} --device tpu", "device 'tpu' is not available here"),
    (f"{TUNE} --out result.txt", "the output file is result.txt; give a name that ends in .mid."),
    (f"{TUNE} --out folder.mid", "folder.mid exists already"),
    (f"{TUNE} --out folder.mid --force", "folder.mid is a folder; give the name of a file to write."),
    (f"{TUNE} --out tune.mid/x.mid", "cannot write tune.mid/x.mid (not a directory)"),
    (f"{TUNE} --out no/such/folder/x.mid", "cannot create the output folder no/such/folder"),
]

OTHERS = [
    ("generate --prompt tune.mid --model no-weights", "no-weights has no model.safetensors"),
    ("generate --prompt tune.mid --model no-tokenizer", "no-tokenizer has no tokenizer.json"),
    ("tokenizer inspect tune.mid --preset octuple", "unknown tokenizer preset 'octuple'"),
    ("train --config unknown-value.yaml", "architecture is transformer9"),
]

CONFIGS = {
    "unknown-key": "{name: x, max_steps: 1, colour: red}",
    "unknown-value": "{name: x, max_steps: 1, model: {architecture: transformer9}}",
    "out-of-range": "{name: x, max_steps: 1, model: {dropout: 1.5}}",
    "wrong-type": "{name: x, max_steps: soon}",
    "test-split": "{name: x, max_steps: 1, data: {splits: [test]}}",
    "unknown-corpus": "{name: x, max_steps: 1, precision: fp32, data: {corpora: [bach9000]}}",
    "not-yaml": "{name: [",
    "tiny": "{name: tiny, max_steps: 2, eval_every: 1, save_every: 1, precision: fp32, "
    "model: {width: 16, num_layers: 1, num_heads: 1}, data: {corpora: [built], splits: [train, valid_too], "
    "batch_tokens: 600}}",
}

END_OF_TRACK = b"\0\xff\x2f\0"
NOTE = b"\0\x90\x3c\x50\x60\x80\x3c\0"
XML = (
    '<?xml version="1.0"?>{doctype}<score-partwise><part-list><score-part id="P1"><part-name>Tune</part-name>'
    '</score-part></part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions><time><beats>4'
    "</beats><beat-type>4</beat-type></time></attributes><note><pitch><step>G</step><octave>{octave}</octave></pitch><duration>4</duration>"
    "</note></measure></part></score-partwise>"
)


def _raw(*events: bytes, division: int = 96) -> bytes:
    """A MIDI file of one track, byte by byte."""
    track = b"".join(events) + END_OF_TRACK
    header = b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1]) + division.to_bytes(2, "big")
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def _mxl(entries: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def _midi(path: Path, *tracks: TrackTick, meter: tuple[int, int] = (4, 4)) -> None:
    score = ScoreTick(480)
    score.time_signatures.append(TimeSignatureTick(0, *meter))
    score.tracks.extend(tracks)
    path.write_bytes(score.dumps_midi())


def _track(name: str, *notes: tuple[int, ...], is_drum: bool = False) -> TrackTick:
    """A track of notes (onset, pitch, length if it is not a quarter), all in ticks of 480 to the quarter."""
    track = TrackTick(name, 0, is_drum)
    track.notes.extend([NoteTick(onset, *(length or (480,)), pitch, 80) for onset, pitch, *length in notes])
    return track


TUNE_NOTES = [(i * 480, 67 + i % 3) for i in range(8)]
TIME_SIGNATURE = b"\0\xff\x58\4\4%c\x18\x08"

BAD_FILES: dict[str, bytes] = {
    "empty.mid": b"",
    "text.mid": b"not music",
    "text.xyz": b"not music",
    "silent.mid": _raw(),
    "cut.mid": _raw(NOTE, NOTE)[:40],
    "million.mid": _raw(b"\0\x90", b"\x3c\x50\1\x3c\0\0" * 999_999 + b"\x3c\x50\1\x3c\0")[:6_000_026],
    "crowd.mid": _raw(b"\0\x90\x3c\x50", b"\1\x3c\0\0\x3c\x50" * 50_000 + b"\1\x3c\0"),
    "far.mid": _raw(b"\xff\xff\xff\x7f\xff\1\0", NOTE.replace(b"\0\x90", b"\1\x90")),  # 2^28 - 1 is the longest delay
    "timeless.mid": _raw(NOTE, division=0),
    "film.mid": _raw(NOTE, division=0xE250),
    "unit-32.mid": _raw(TIME_SIGNATURE % 32, NOTE),
    "unit-255.mid": _raw(TIME_SIGNATURE % 255, NOTE),
    "high.musicxml": XML.format(doctype="", octave=40).encode(),
    "high.abc": b"X:1\nM:4/4\nL:1/4\nK:C\nc" + b"'" * 6 + b"|\n",
    "low.abc": b"X:1\nM:4/4\nL:1/4\nK:C\nC,,,,,|\n",
    "laughs.musicxml": XML.format(
        doctype='<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>', octave=4
    ).encode(),
    "cut.musicxml": XML.format(doctype="", octave=4).encode()[:-30],
    "bomb.mxl": _mxl({"score.xml": " " * 100_000_000}),
    "photos.mxl": _mxl({"photo.png": ""}),
    "lost.mxl": _mxl(
        {"META-INF/container.xml": '<container><rootfile full-path="b.xml"/></container>', "a.xml": "<a/>"}
    ),
}

REPAIRED_FILES: dict[str, bytes] = {
    # ends pair with beginnings first come, first served: the first note ends inside the second
    "overlap.mid": _raw(NOTE, b"\0\x90\x3e\x50\x30\x90\x3e\x50\x30\x80\x3e\0\x30\x80\x3e\0"),
    "legato.mid": _raw(b"\0\x90\x3c\x50\x60\x90\x3e\x50\4\x80\x3c\0\x5c\x80\x3e\0"),
    "zero.mid": _raw(NOTE, b"\0\x90\x3e\x50\0\x80\x3e\0", NOTE),
    "twice.mid": _raw(NOTE, b"\0\x90\x3c\x50\0\x90\x3c\x50\x60\x80\x3c\0\0\x80\x3c\0"),
    "hanging.mid": _raw(NOTE, b"\0\x90\x3e\x50", NOTE),
    "low.mid": _raw(NOTE.replace(b"\x3c", b"\x18"), NOTE.replace(b"\x3c", b"\x1a")),
    "swung.mid": _raw(NOTE, b"\1\x90\x3e\x50\x5f\x80\x3e\0"),
}


def _spoil_models(folder: Path, model: Path) -> None:
    """Copies of a working checkpoint, each with one thing wrong."""
    names = (
        "no-weights",
        "cut-weights",
        "pickled",
        "pickle-inside",
        "no-tokenizer",
        "other-tokenizer",
        "newer",
        "garbled",
    )
    spoilt = {name: Path(shutil.copytree(model, folder / name)) for name in names}
    weights = (model / "model.safetensors").read_bytes()
    for name in ("no-weights", "pickled"):
        (spoilt[name] / "model.safetensors").unlink()
    (spoilt["cut-weights"] / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    (spoilt["pickled"] / "pytorch_model.bin").write_bytes(PICKLE)
    (spoilt["pickle-inside"] / "model.safetensors").write_bytes(PICKLE)
    (spoilt["no-tokenizer"] / "tokenizer.json").unlink()
    with (spoilt["other-tokenizer"] / "tokenizer.json").open("a") as file:
        file.write("\n")
    meta = json.loads((model / "descant.json").read_text())
    (spoilt["newer"] / "descant.json").write_text(json.dumps(meta | {"format_version": 99}))
    (spoilt["garbled"] / "descant.json").write_text("[]")


#: Unpickled, it would make a file.
PICKLE = b"cos\nsystem\n(S'touch pickle-was-run'\ntR."


def _chorale(place: int) -> list[TrackTick]:
    return [
        _track(voice, *[(i * 480, pitch + (place * i) % 5) for i in range(16)])
        for voice, pitch in {"Soprano": 70, "Alto": 62, "Tenor": 55, "Bass": 45}.items()
    ]


@pytest.fixture(scope="module")
def bad_things(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """A folder of everything that the tables name."""
    from descant_tokenizers.corpora import build_dataset

    folder = tmp_path_factory.mktemp("bad")
    for name in ("folder", "folder.mid", "good", "files"):
        (folder / name).mkdir()
    _midi(folder / "tune.mid", _track("Melody", *TUNE_NOTES))
    for name in ("taken.mid", "locked.mid"):
        shutil.copy(folder / "tune.mid", folder / name)
    for name, data in {**BAD_FILES, **REPAIRED_FILES}.items():
        (folder / name).write_bytes(data)
    _midi(folder / "drums.mid", _track("Kit", *TUNE_NOTES, is_drum=True))
    _midi(folder / "chords.mid", _track("Piano", (0, 60), (0, 64)))
    _midi(folder / "odd-meter.mid", _track("Melody", *TUNE_NOTES), meter=(13, 16))
    _midi(folder / "wide.mid", _track("Melody", (0, 10), (480, 110)))
    for place in range(1, 6):
        _midi(folder / "good" / f"{place}.mid", *_chorale(place))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder.parent / "first-cache"))
        build_dataset(str(folder / "good"), folder / "built", num_proc=1)
    for name, text in CONFIGS.items():
        (folder / f"{name}.yaml").write_text(text)
    _spoil_models(folder, tiny_checkpoint)
    return folder


@pytest.fixture
def at_home(bad_things: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of bad things as the working folder, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("descant_tokenizers.scores.reading.open", _open, raising=False)
    monkeypatch.chdir(bad_things)
    return bad_things


def _open(path: Path, *arguments: Any, **options: Any) -> Any:
    """Refuse one file, which the superuser and Windows would let us read."""
    if Path(path).name == "locked.mid":
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return open(path, *arguments, **options)


@pytest.fixture(scope="module")
def imported(tiny_checkpoint: Path) -> None:
    """All libraries that the commands import, so that what is measured is the commands themselves."""
    import datasets  # noqa: F401
    from miditok import REMI  # noqa: F401

    from descant_modeling import runs  # noqa: F401
    from descant_modeling.checkpoints import load_checkpoint
    from descant_tokenizers.scores import notation  # noqa: F401
    from descant_tokenizers.tokens import inspect  # noqa: F401

    load_checkpoint(str(tiny_checkpoint))


@dataclass
class Cost:
    """What a block took."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    extra_bytes: int = 0


@contextlib.contextmanager
def measured() -> Iterator[Cost]:
    """Measure CPU and wall time, and on Linux the peak of memory beyond what was in use."""
    cost = Cost()
    knows_memory = Path("/proc/self/clear_refs").exists()
    if knows_memory:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew from here
    before = _memory("VmRSS") if knows_memory else 0
    cpu, wall = time.process_time(), time.monotonic()
    yield cost
    cost.cpu_seconds, cost.wall_seconds = time.process_time() - cpu, time.monotonic() - wall
    cost.extra_bytes = _memory("VmHWM") - before if knows_memory else 0


def _memory(what: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def _pattern(text: str) -> str:
    return ".*".join(map(re.escape, text.split("...")))


def _sentence(entry: dict[str, Any]) -> str:
    return f"{_pattern(entry['says'])}[:;] {_pattern(entry['do'])}"


def _assert_one_sentence(status: int, out: str, err: str, words: str) -> None:
    """Assert that a command ended with the sentence that begins with `words`, a regular expression."""
    assert status == 2, err
    assert out == ""
    assert "Traceback" not in err
    if not err.startswith("Usage:"):  # wrong usage is told by typer, in a few lines
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    assert re.search(words, err), err


def _assert_cheap(cost: Cost) -> None:
    assert cost.cpu_seconds <= MAX_CPU_SECONDS
    assert cost.wall_seconds <= MAX_WALL_SECONDS
    assert cost.extra_bytes <= MAX_EXTRA_BYTES


FILES = [
    (f"{command} {entry['file']}", entry) for entry in TABLE["files"] for command in (GENERATE, "tokenizer inspect")
]
RUNS = [
    (command, entry)
    for part in ("outputs", "models", "configurations")
    for entry in TABLE[part]
    for command in entry["run"]
]


@pytest.mark.parametrize(
    ("command", "entry"), [*FILES, *RUNS], ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_mistake_of_the_table(
    descant: Callable[..., Any],
    imported: None,
    at_home: Path,
    tiny_checkpoint: Path,
    command: str,
    entry: dict[str, Any],
) -> None:
    before = _names(at_home)
    with measured() as cost:
        outcome = descant(*command.format(model=tiny_checkpoint).split())
    _assert_one_sentence(*outcome, f"^error: {_sentence(entry)}")
    _assert_cheap(cost)
    assert _names(at_home) == before


@pytest.mark.parametrize(("command", "words"), [*PROMPTS, *OPTIONS, *OTHERS])
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(
    descant: Callable[..., Any], at_home: Path, tiny_checkpoint: Path, command: str, words: str
) -> None:
    before = _names(at_home)
    _assert_one_sentence(*descant(*command.format(model=tiny_checkpoint).split()), re.escape(words))
    assert _names(at_home) == before


def test_a_dataset_counts_names_and_skips_what_it_cannot_use(
    descant: Callable[..., Any], imported: None, at_home: Path, tmp_path: Path
) -> None:
    entries = [entry for entry in TABLE["files"] if not entry.get("not_in_build")]
    files = tmp_path / "files"
    files.mkdir()
    for name in ("tune.mid", *(entry["file"] for entry in entries)):
        shutil.copy(at_home / name, files / name)
    with measured() as cost:
        done = descant("dataset", "build", files, "--out", tmp_path / "data", "--num-proc", 1, "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert (report["num_files"], report["num_rows"], len(report["skipped"])) == (len(entries) + 1, 1, len(entries))
    for entry in entries:
        assert any(re.search(_sentence(entry), reason) for reason in report["skipped"].values()), entry["given"]
    assert cost.cpu_seconds <= MAX_CPU_SECONDS * len(entries)
    assert cost.extra_bytes <= MAX_EXTRA_BYTES


def test_a_dataset_of_nothing_but_bad_files_is_one_sentence(
    descant: Callable[..., Any], at_home: Path, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("empty.mid", "cut.mid"):
        shutil.copy(at_home / name, files / name)
    outcome = descant("dataset", "build", files, "--out", tmp_path / "data", "--num-proc", 1)
    _assert_one_sentence(*outcome, "none of the 2 files of files can be used; .*cut.mid is damaged or cut off")
    assert not (tmp_path / "data").exists()


@contextlib.contextmanager
def full_disk(max_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size: writing then fails in Python, Arrow and Rust alike."""
    import resource  # not on Windows
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("entry", TABLE["full_disk"], ids=lambda entry: entry["given"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    descant: Callable[..., Any],
    imported: None,
    at_home: Path,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: dict[str, Any],
) -> None:
    before = _names(at_home)
    for module in ("descant_modeling.publishing", "descant_tokenizers.corpora.publishing"):
        monkeypatch.setattr(f"{module}.check_push", lambda *_, **__: None)  # there is a Hub, so to speak
    with measured() as cost, full_disk(entry["bytes"]):
        outcome = descant(*entry["run"].format(model=tiny_checkpoint).split())
    _assert_one_sentence(*outcome, f"^error: {_sentence(entry)}")
    _assert_cheap(cost)
    left = _names(at_home) - before
    shutil.rmtree(at_home / "runs", ignore_errors=True)
    # A run keeps its log, and the checkpoint before: here there was none.
    expected = (
        {"runs", "runs/tiny", "runs/tiny/log.jsonl", "runs/tiny/run.json"}
        if entry["run"].startswith("train")
        else set()
    )
    assert {name for name in left if "tensorboard" not in name} == expected
    unfinished = [name for name in _names(tmp_path) if Path(name).name.startswith(("tmp", "."))]
    assert not unfinished


def test_a_network_that_swallows_everything_is_given_up(tmp_path: Path) -> None:
    """Without a limit of ours, the client would wait for ever for a host that takes connections and never answers."""
    script = "from descant_tokenizers.hub import pull_folder; pull_folder('somebody/bach9000')"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {
            "HF_ENDPOINT": address,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_ETAG_TIMEOUT": "1",
            "HF_HOME": str(tmp_path),
        }
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **environment},
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert b"InputError: model 'somebody/bach9000' could not be fetched from the Hub" in done.stderr


def test_no_space_left_anywhere_else_is_one_sentence(
    descant: Callable[..., Any], at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    outcome = descant("train", "--config", "tiny.yaml", "--quiet", "--device", "cpu")
    shutil.rmtree(at_home / "runs")
    _assert_one_sentence(
        *outcome, re.escape("cannot write runs/tiny/run.json (no space left on device); free some space.")
    )


@pytest.mark.parametrize("entry", TABLE["repaired"], ids=lambda entry: entry["given"])
def test_what_is_repaired_is_said(
    descant: Callable[..., Any], at_home: Path, tmp_path: Path, tiny_checkpoint: Path, entry: dict[str, Any]
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    shutil.copy(at_home / entry["file"], files)
    given = files / entry["file"]
    commands = {
        "generate": f"generate --prompt {given} --model {tiny_checkpoint} --out {tmp_path}/out.mid --formats midi",
        "inspect": f"tokenizer inspect {given}",
        "build": f"dataset build {files} --out {tmp_path}/data --num-proc 1",
    }
    for name in entry["in"]:
        done = descant(*commands[name].split())
        assert done.status == 0, done.err
        assert re.search(_pattern(entry["says"]), " ".join(done.out.split())), done.out


def test_a_pickle_is_never_run(descant: Callable[..., Any], at_home: Path) -> None:
    for name in ("pickled", "pickle-inside"):
        assert descant("generate", "--prompt", "tune.mid", "--model", name).status == 2
    assert not (at_home / "pickle-was-run").exists()


@pytest.mark.parametrize("damage", ["cut", "missing", "other model"])
def test_a_damaged_training_state_is_one_sentence(
    descant: Callable[..., Any], at_home: Path, tmp_path: Path, damage: str
) -> None:
    done = descant("train", "--config", "tiny.yaml", f"out_dir={tmp_path}/runs", "--quiet", "--device", "cpu")
    assert done.status == 0, done.err
    state = tmp_path / "runs" / "tiny" / "last" / "training_state.safetensors"
    if damage == "missing":
        state.unlink()
    elif damage == "cut":
        state.write_bytes(state.read_bytes()[:1000])
    else:
        shutil.copy(at_home / "no-tokenizer" / "model.safetensors", state)
    outcome = descant("train", "--resume", tmp_path / "runs" / "tiny", "max_steps=4", "--quiet", "--device", "cpu")
    _assert_one_sentence(*outcome, "tiny/last cannot be resumed .*: start a new run")


def test_the_state_of_a_run_is_json_before_its_first_evaluation(
    descant: Callable[..., Any], at_home: Path, tmp_path: Path
) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    done = descant(
        "train", "--config", "tiny.yaml", f"out_dir={tmp_path}", "eval_every=9", "--quiet", "--device", "cpu"
    )
    assert done.status == 0, done.err
    for name in ("last/training_state.json", "summary.json", "last/descant.json"):
        json.loads((tmp_path / "tiny" / name).read_text(), parse_constant=refuse)


def test_the_page_for_users_shows_the_table(repo_root: Path) -> None:
    done = subprocess.run([sys.executable, "tests/refresh_errors.py", "--check"], cwd=repo_root, check=False)
    assert done.returncode == 0, "run python tests/refresh_errors.py"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_to(
    descant: Callable[..., Any], tiny_checkpoint: Path, bad_things: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o500)
    out = tmp_path / "x.mid"
    outcome = descant("generate", "--prompt", bad_things / "tune.mid", "--model", tiny_checkpoint, "--out", out)
    _assert_one_sentence(*outcome, re.escape(f"cannot write {out} (permission denied)"))


def test_a_failure_while_writing_leaves_nothing_behind(
    descant: Callable[..., Any],
    tiny_checkpoint: Path,
    bad_things: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full_disk(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("descant_tokenizers.engraving.rendering._put", full_disk)
    monkeypatch.chdir(tmp_path)
    outcome = descant("generate", "--prompt", bad_things / "tune.mid", "--model", tiny_checkpoint, "--num-samples", 2)
    _assert_one_sentence(*outcome, "no space left on device")
    assert not _names(tmp_path)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("generate.py --prompt empty.mid", "empty.mid is empty; export it again."),
        ("train.py --config unknown-key.yaml", "unknown-key.yaml: unknown key colour: choose from"),
        ("-m descant_modeling.cli dataset build folder --out data", "folder holds no score file"),
    ],
)
def test_a_process_says_no_more_than_that(command: str, words: str, repo_root: Path, bad_things: Path) -> None:
    before = _names(bad_things)
    script = [str(repo_root / word) if word.endswith(".py") else word for word in command.split()]
    done = subprocess.run([sys.executable, *script], cwd=bad_things, capture_output=True, text=True, check=False)
    _assert_one_sentence(done.returncode, done.stdout, done.stderr, re.escape(words))
    assert _names(bad_things) == before
