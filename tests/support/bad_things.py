"""The bad files, models and configurations of the table of mistakes."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

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
    "low.abc": b"X:1\nM:4/4\nL:1/4\nK:C\nC,,,,,,|\n",
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

#: Unpickled, it would make a file.
PICKLE = b"cos\nsystem\n(S'touch pickle-was-run'\ntR."


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


def _chorale(place: int) -> list[TrackTick]:
    return [
        _track(voice, *[(i * 480, pitch + (place * i) % 5) for i in range(16)])
        for voice, pitch in {"Soprano": 70, "Alto": 62, "Tenor": 55, "Bass": 45}.items()
    ]


def make_bad_things(folder: Path, model: Path) -> None:
    """Put everything that the table names into a folder; `model` is a working checkpoint."""
    from descant_tokenizers.corpora import build_dataset

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
    _spoil_models(folder, model)
