"""The plugins of integrations/: requests and answers with a real server, and MuseScore 3 where it is installed."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from serving import served

from descant_modeling.app.service import Service
from descant_tokenizers.scores import VOICES, read_score

MUSESCORE = shutil.which("mscore3")
TYPES = {1: "<type>quarter</type>", 2: "<type>half</type>", 4: "<type>whole</type>"}
Bars = list[list[tuple[str, int]]]

# Quarters of a pickup and three bars in 4/4, and two bars with parallel fifths and octaves between the outer voices.
MELODY: Bars = [
    [("D4", 1)],
    [("G4", 1), ("G4", 1), ("A4", 1), ("B4", 1)],
    [("C5", 2), ("B4", 1), ("A4", 1)],
    [("G4", 2), ("r", 1)],
]
FAULTS: dict[str, Bars] = {
    "Soprano": [[("G4", 2), ("A4", 2)], [("G4", 4)]],
    "Alto": [[("E4", 2), ("F4", 2)], [("E4", 4)]],
    "Tenor": [[("C4", 2), ("C4", 2)], [("C4", 4)]],
    "Bass": [[("C3", 2), ("D3", 2)], [("C3", 4)]],
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    service = Service(["chorales"])
    with served(service) as found:
        yield f"{found}/v1"
    service.reader.close()


@pytest.fixture(scope="module")
def plugin(repo_root: Path) -> Path:
    return repo_root / "integrations" / "musescore"


def _musicxml(parts: dict[str, Bars], *, pickup: bool = False) -> str:
    """Write parts in 4/4 and G or C major; a rest is r."""
    names = "".join(f'<score-part id="{name}"><part-name>{name}</part-name></score-part>' for name in parts)
    fifths = 1 if pickup else 0
    meter = f"<key><fifths>{fifths}</fifths></key><time><beats>4</beats><beat-type>4</beat-type></time>"
    text = f'<score-partwise version="3.1"><part-list>{names}</part-list>'
    for name, bars in parts.items():
        text += f'<part id="{name}">'
        for index, notes in enumerate(bars):
            mark = ' implicit="yes"' if pickup and not index else ""
            text += f'<measure number="{index + (not pickup)}"{mark}>'
            text += "" if index else f"<attributes><divisions>1</divisions>{meter}</attributes>"
            for pitch, length in notes:
                what = f"<pitch><step>{pitch[0]}</step><octave>{pitch[-1]}</octave></pitch>"
                what = "<rest/>" if pitch == "r" else what
                text += f"<note>{what}<duration>{length}</duration><voice>1</voice>{TYPES[length]}</note>"
            text += "</measure>"
        text += "</part>"
    return f"{text}</score-partwise>"


# ------------------------------------------------------------------------------------------------ plain JavaScript


def _javascript(plugin: Path, expression: str) -> Any:
    """Evaluate an expression of descant.js."""
    if not (node := shutil.which("node")):
        pytest.skip("node is not installed")
    code = f"{(plugin / 'descant.js').read_text()}\nconsole.log(JSON.stringify({expression}))"
    return json.loads(subprocess.run([node, "-e", code], capture_output=True, text=True, check=True).stdout)


def _excerpt(voices: dict[str, Any], numerator: int = 4) -> str:
    bars = [{"tick": 0, "length": 480, "numerator": numerator, "denominator": 4}]
    bars += [{"tick": 480 + 1920 * i, "length": 1920, "numerator": numerator, "denominator": 4} for i in range(2)]
    return json.dumps({"keySignature": 1, "bars": bars, "voices": voices})


def _note(tick: int, length: int, pitch: int, fifths: int, *, fermata: bool = False) -> dict[str, Any]:
    return {"tick": tick, "length": length, "pitch": pitch, "tpc": fifths, "fermata": fermata}


def _ask(settings: dict[str, str], request: dict[str, Any]) -> httpx.Response:
    assert request["url"].startswith(settings["address"])
    return httpx.post(request["url"], headers=request["headers"], content=request["body"], timeout=120)


def test_a_melody_of_the_plugin_is_harmonized(plugin: Path, address: str) -> None:
    # A pickup, a tie across a bar line, a fermata and an F sharp, whose place in the line of fifths is 20.
    notes = [_note(0, 480, 62, 16), _note(480, 1440, 67, 15), _note(1920, 960, 66, 20), _note(2880, 960, 67, 15)]
    notes[-1]["fermata"] = True
    settings = {"address": address, "token": "a-token-of-the-tests"}
    excerpt = _excerpt({"Soprano": notes})
    request = _javascript(plugin, f"harmonizeRequest({json.dumps(settings)}, {excerpt})")
    assert request["headers"]["Authorization"] == "Bearer a-token-of-the-tests"
    text = json.loads(request["body"])["file"]["text"]
    assert text.count("<tied ") == 2
    assert text.count("<fermata/>") == 1
    assert "<step>F</step><alter>1</alter><octave>4</octave>" in text
    answer = _ask(settings, request)
    found = _javascript(plugin, f"answerOf({json.dumps(settings)}, {answer.status_code}, {json.dumps(answer.text)})")
    voices = _javascript(plugin, f"newVoices({json.dumps(found['result'])})")
    assert set(voices) == {"Alto", "Tenor", "Bass"}
    for line in voices.values():
        assert line[0]["tick"] == 0
        assert line[-1]["tick"] + line[-1]["length"] == 3840
        assert all(a["tick"] + a["length"] <= b["tick"] for a, b in pairwise(line))


def test_a_fault_is_placed_in_ticks(plugin: Path, address: str) -> None:
    pairs = {"Soprano": (67, 69), "Alto": (64, 65), "Tenor": (60, 60), "Bass": (48, 50)}
    fifths = {48: 14, 50: 16, 60: 14, 64: 18, 65: 13, 67: 15, 69: 17}
    voices = {
        name: [_note(480, 480, low, fifths[low]), _note(960, 480, high, fifths[high])]
        for name, (low, high) in pairs.items()
    }
    settings = {"address": address, "token": ""}
    request = _javascript(plugin, f"checkRequest({json.dumps(settings)}, {_excerpt(voices)})")
    result = _ask(settings, request).json()["result"]
    (mark,) = _javascript(plugin, f"marks({json.dumps(result)}, {_excerpt(voices)})")
    assert mark == {
        "tick": 960, "end": 1080, "voices": ["Soprano", "Bass"], "text": "parallel fifths S-B", "isMotion": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("number", "beat", "numerator", "denominator", "tick"),
    [(1, 2, 4, 4, 960), (0, 4, 4, 4, 0), (2, 1.5, 6, 8, 2760), (1, 2, 2, 2, 960)],
)
def test_beats_become_ticks(
    plugin: Path, number: int, beat: float, numerator: int, denominator: int, tick: int
) -> None:
    bars = [{"tick": 0, "length": 480}, {"tick": 480, "length": 1920}, {"tick": 2400, "length": 1440}]
    for bar in bars:
        bar |= {"numerator": numerator, "denominator": denominator}
    assert _javascript(plugin, f"tickOf({json.dumps({'bars': bars})}, {number}, {beat})") == tick


@pytest.mark.parametrize(
    ("length", "fractions"), [(480, [[1, 4]]), (720, [[3, 8]]), (600, [[1, 4], [1, 16]]), (1680, [[7, 8]]), (20, [])]
)
def test_lengths_become_notes(plugin: Path, length: int, fractions: list[list[int]]) -> None:
    assert _javascript(plugin, f"fractions({length})") == fractions


def test_what_is_wrong_is_one_sentence(plugin: Path) -> None:
    settings = {"address": "http://127.0.0.1:1/v1", "token": ""}
    for status, text in ((0, ""), (200, "<html>"), (422, '{"error": "This is wrong. Do that."}')):
        error = _javascript(plugin, f"answerOf({json.dumps(settings)}, {status}, {json.dumps(text)})")["error"]
        assert re.fullmatch(r"[A-Z].*\. [A-Z].*\.", error)
    assert "Alto, Bass" in _javascript(plugin, f"problemOf({_excerpt({'Alto': [], 'Bass': []})})")
    assert "two staves or four" in _javascript(plugin, "problemOf(null)")


# ------------------------------------------------------------------------------------------------------ MuseScore 3


def _musescore(name: str, plugin: Path, address: str, folder: Path, score: str) -> str:
    """Run a plugin in MuseScore's converter, which shows no window; return the score as MusicXML.

    The converter reads the score again after the plugin, so a copy of the plugin saves what it changed.
    """
    if MUSESCORE is None:
        pytest.skip("mscore3 (Debian's musescore3) is not installed")
    copy = folder / "plugin"
    shutil.copytree(plugin, copy)
    (copy / "settings.js").write_text(f'var address = "{address}";\nvar token = "";\n')
    server, saved = (copy / "server.js").read_text(), folder / "saved.musicxml"
    line = "    if (text) console.log(text);\n"
    assert line in server
    saving = f'    plugin.writeScore(plugin.curScore, "{saved}", "musicxml");\n'
    (copy / "server.js").write_text(server.replace(line, line + saving))
    (folder / "score.musicxml").write_text(score)
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    command = [MUSESCORE, "-p", str(copy / f"{name}.qml"), "-o", str(folder / "other.musicxml"), "score.musicxml"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert saved.is_file(), done.stderr
    return saved.read_text()


@pytest.mark.parametrize("num_staves", [4, 2])
def test_musescore_writes_the_voices_into_the_score(
    num_staves: int, plugin: Path, address: str, tmp_path: Path
) -> None:
    empty = [[("r", sum(length for _, length in bar))] for bar in MELODY[:3]] + [[("r", 2), ("r", 1)]]
    parts = dict(zip(VOICES, [MELODY, empty, empty, empty], strict=True)) if num_staves == 4 else {}
    parts = parts or {"Upper": MELODY, "Lower": empty}
    saved = _musescore("harmonize", plugin, address, tmp_path, _musicxml(parts, pickup=True))
    assert saved.count("<part id=") == num_staves
    score = read_score(tmp_path / "saved.musicxml")
    tracks = [track for track in score.tracks if track.notes]
    assert len(tracks) == 4
    given = [(67, 480), (67, 480), (69, 480), (71, 480)]
    scale = 480 // score.ticks_per_quarter
    soprano = [(note.pitch, note.duration * scale) for note in tracks[0].notes]
    assert soprano[1:5] == given
    for track in tracks[1:]:
        assert track.notes[0].time == 0
        assert {note.end for note in track.notes} >= {12 * score.ticks_per_quarter - score.ticks_per_quarter}


def test_musescore_marks_faults(plugin: Path, address: str, tmp_path: Path) -> None:
    saved = _musescore("check", plugin, address, tmp_path, _musicxml(FAULTS))
    assert re.findall(r"<words[^>]*>([^<]*)</words>", saved) == ["parallel fifths S-B"] * 2
    notes = saved.split("<note ")[1:]
    colored = [re.findall(r"<step>(\w)", note)[0] for note in notes if 'notehead color="#C00000"' in note]
    assert colored == ["G", "A", "G", "C", "D", "C"]


# ---------------------------------------------------------------------------------------------------------- REAPER


class Reaper(ModuleType):
    """REAPER's functions as far as the script calls them: 960 ticks a quarter, an item of three quarters at beat 4."""

    melody = ((67, 3840, 4800), (69, 4800, 5760), (71, 5760, 6720))

    def __init__(self) -> None:
        super().__init__("reaper_python")
        self.tracks: dict[int, str] = {}
        self.notes: dict[int, list[tuple[float, float, int]]] = {}
        self.messages: list[str] = []

    def __getattr__(self, name: str) -> Any:
        simple: dict[str, Any] = {
            "RPR_GetSelectedMediaItem": "item",
            "RPR_GetActiveTake": "take",
            "RPR_TakeIsMIDI": True,
            "RPR_GetMediaItemInfo_Value": 2.0,
            "RPR_TimeMap2_timeToQN": 4.0,
            "RPR_GetMediaItem_Track": "track",
            "RPR_GetMediaTrackInfo_Value": 1.0,
        }
        if name in simple:
            return lambda *arguments: arguments[0] if arguments[0] in self.notes else simple[name]
        if name in ("RPR_Undo_BeginBlock", "RPR_Undo_EndBlock", "RPR_MIDI_Sort"):
            return lambda *arguments: None
        raise AttributeError(name)

    def RPR_MIDI_CountEvts(self, take: str, *_: int) -> tuple[bool, str, int, int, int]:
        return True, take, len(self.melody), 0, 0

    def RPR_MIDI_GetNote(self, take: str, index: int, *_: int) -> tuple[Any, ...]:
        pitch, onset, end = self.melody[index]
        return True, take, index, 0, 0, float(onset), float(end), 0, pitch, 80

    def RPR_MIDI_GetProjQNFromPPQPos(self, take: str, ppq: float) -> float:
        return ppq / 960

    def RPR_MIDI_GetPPQPosFromProjQN(self, take: str, quarters: float) -> float:
        return quarters * 960

    def RPR_TimeMap_GetTimeSigAtTime(self, project: int, time: float, *_: int) -> tuple[Any, ...]:
        return project, time, 3, 4, 120.0

    def RPR_InsertTrackAtIndex(self, place: int, wants_defaults: bool) -> None:
        assert place == 1

    def RPR_GetTrack(self, project: int, place: int) -> int:
        self.notes[len(self.notes)] = []
        return len(self.notes) - 1

    def RPR_GetSetMediaTrackInfo_String(self, track: int, field: str, name: str, is_new: bool) -> None:
        assert field == "P_NAME"
        self.tracks[track] = name

    def RPR_CreateNewMIDIItemInProj(self, track: int, start: float, end: float, in_quarters: int) -> tuple[Any, ...]:
        assert (start, end, in_quarters) == (4.0, 7.0, 1)
        return track, track, start, end, in_quarters

    def RPR_MIDI_InsertNote(self, take: int, *note: Any) -> None:
        _, _, onset, end, _, pitch, _, _ = note
        self.notes[take].append((onset, end, pitch))

    def RPR_ShowConsoleMsg(self, text: str) -> None:
        self.messages.append(text)


def _run_script(repo_root: Path, monkeypatch: pytest.MonkeyPatch, address: str, folder: Path) -> Reaper:
    reaper = Reaper()
    monkeypatch.setitem(sys.modules, "reaper_python", reaper)
    text = (repo_root / "integrations" / "reaper" / "descant_harmonize.py").read_text()
    script = folder / "script.py"
    script.write_text(text.replace("http://127.0.0.1:7870/v1", address))
    runpy.run_path(str(script))
    return reaper


def test_reaper_gets_three_tracks(
    repo_root: Path, monkeypatch: pytest.MonkeyPatch, address: str, tmp_path: Path
) -> None:
    reaper = _run_script(repo_root, monkeypatch, address, tmp_path)
    assert reaper.messages == []
    assert list(reaper.tracks.values()) == ["Bass", "Tenor", "Alto"]
    for notes in reaper.notes.values():
        assert notes[0][0] == 3840
        assert notes[-1][1] == 6720


def test_reaper_is_told_what_is_wrong(repo_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reaper = _run_script(repo_root, monkeypatch, "http://127.0.0.1:9/v1", tmp_path)
    assert reaper.messages == ["Nobody answers at http://127.0.0.1:9/v1. Start descant serve.\n"]
    monkeypatch.setattr(Reaper, "melody", ())
    reaper = _run_script(repo_root, monkeypatch, "http://127.0.0.1:9/v1", tmp_path)
    assert reaper.messages == ["The item has no notes. Select one with a melody.\n"]
