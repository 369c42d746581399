"""ReaScript: add alto, tenor and bass to the melody in the selected MIDI item, on three new tracks.

Load it in REAPER's list of actions (New action, Load ReaScript) and start `descant serve`. The item begins at a bar
line; its bars have the time signature that holds there.
"""

from __future__ import annotations

import base64
import json
import struct
import urllib.error
import urllib.request
from typing import Any, NamedTuple

import reaper_python as reaper

ADDRESS = "http://127.0.0.1:7870/v1"
TOKEN = ""  # of descant serve --token

_TICKS = 480  # per quarter


class Note(NamedTuple):
    """A note in quarters from the beginning of the item."""

    onset: float
    end: float
    pitch: int


def midi_file(notes: list[Note], numerator: int, denominator: int) -> bytes:
    """Return a MIDI file with one track."""
    events = [(0, b"\xff\x03\x07Soprano"), (0, bytes([255, 88, 4, numerator, denominator.bit_length() - 1, 24, 8]))]
    for note in notes:
        events.append((round(note.onset * _TICKS), bytes([0x90, note.pitch, 80])))
        events.append((round(note.end * _TICKS), bytes([0x80, note.pitch, 0])))
    events.sort(key=lambda event: (event[0], event[1][0] != 0x80))
    events.append((events[-1][0], b"\xff\x2f\x00"))
    track, now = b"", 0
    for ticks, data in events:
        track += _variable(ticks - now) + data
        now = ticks
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable(value: int) -> bytes:
    """Return a number in the form of MIDI files: 7 bits a byte."""
    digits = [value & 127]
    while value := value >> 7:
        digits.append(value & 127 | 128)
    return bytes(reversed(digits))


def harmonize(data: bytes) -> dict[str, list[Note]]:
    """Return the new voices to a melody.

    Raises:
        ValueError: Nobody answers, or the melody cannot be harmonized.
    """
    file = {"name": "item.mid", "base64": base64.b64encode(data).decode("ascii")}
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {TOKEN}"} if TOKEN else {})
    body = json.dumps({"file": file, "formats": []}).encode()
    request = urllib.request.Request(f"{ADDRESS}/harmonize?wait=true", body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            result = json.load(answer)["result"]
    except urllib.error.HTTPError as error:
        raise ValueError(json.load(error)["error"]) from None
    except urllib.error.URLError:
        raise ValueError(f"Nobody answers at {ADDRESS}. Start descant serve.") from None
    sample, voices = result["samples"][0], {voice: [] for voice in result["written"]}
    unit = sample["ticks_per_quarter"]
    for note in sample["notes"]:
        if note["voice"] in voices:
            end = note["onset_ticks"] + note["duration_ticks"]
            voices[note["voice"]].append(Note(note["onset_ticks"] / unit, end / unit, note["pitch"]))
    return voices


def melody_of(take: Any, start: float) -> list[Note]:
    """Return the notes of a take."""
    notes = []
    for index in range(reaper.RPR_MIDI_CountEvts(take, 0, 0, 0)[2]):
        onset, end, _, pitch = reaper.RPR_MIDI_GetNote(take, index, 0, 0, 0, 0, 0, 0, 0)[5:9]
        quarters = (reaper.RPR_MIDI_GetProjQNFromPPQPos(take, ppq) - start for ppq in (onset, end))
        notes.append(Note(*quarters, pitch))
    return notes


def add_track(place: int, name: str, notes: list[Note], start: float) -> None:
    """Insert a track with one item."""
    reaper.RPR_InsertTrackAtIndex(place, True)
    track = reaper.RPR_GetTrack(0, place)
    reaper.RPR_GetSetMediaTrackInfo_String(track, "P_NAME", name, True)
    end = start + max(note.end for note in notes)
    take = reaper.RPR_GetActiveTake(reaper.RPR_CreateNewMIDIItemInProj(track, start, end, 1)[0])
    for note in notes:
        ppqs = [reaper.RPR_MIDI_GetPPQPosFromProjQN(take, start + quarters) for quarters in note[:2]]
        reaper.RPR_MIDI_InsertNote(take, False, False, *ppqs, 0, note.pitch, 80, True)
    reaper.RPR_MIDI_Sort(take)


def main() -> None:
    """Harmonize the selected item, as one step that can be undone."""
    item = reaper.RPR_GetSelectedMediaItem(0, 0)
    take = reaper.RPR_GetActiveTake(item)
    if not reaper.RPR_TakeIsMIDI(take):
        raise ValueError("No MIDI item is selected. Select one with a melody.")
    position = reaper.RPR_GetMediaItemInfo_Value(item, "D_POSITION")
    start = reaper.RPR_TimeMap2_timeToQN(0, position)
    numerator, denominator = reaper.RPR_TimeMap_GetTimeSigAtTime(0, position, 0, 0, 0)[2:4]
    if not (melody := melody_of(take, start)):
        raise ValueError("The item has no notes. Select one with a melody.")
    voices = harmonize(midi_file(melody, numerator, denominator))
    reaper.RPR_Undo_BeginBlock()
    place = int(reaper.RPR_GetMediaTrackInfo_Value(reaper.RPR_GetMediaItem_Track(item), "IP_TRACKNUMBER"))
    for voice in ("Bass", "Tenor", "Alto"):  # each directly below the melody
        if voices.get(voice):
            add_track(place, voice, voices[voice], start)
    reaper.RPR_Undo_EndBlock("Descant: harmonize", -1)


try:
    main()
except ValueError as error:
    reaper.RPR_ShowConsoleMsg(f"{error}\n")
