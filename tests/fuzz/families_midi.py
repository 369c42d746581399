"""MIDI events and tracks that are repeated."""

from __future__ import annotations


def midi_families() -> dict[str, str]:
    """Return what is repeated, by name: an event with its delta time, or a whole track."""
    events = {
        "note-on": "\1\x90\x3c\x50",
        "note-off": "\1\x80\x3c\0",
        "note": "\0\x90\x3c\x50\1\x80\x3c\0",
        "note-running": "\0\x3c\x50\1\x3c\0",
        "note-of-all-channels": "".join(f"\0{chr(0x90 + c)}\x3c\x50\1{chr(0x80 + c)}\x3c\0" for c in range(16)),
        "drum": "\0\x99\x24\x50\1\x89\x24\0",
        "chord": "\0\x90\x3c\x50\0\x3e\x50\0\x40\x50\1\x3c\0\0\x3e\0\0\x40\0",
        "aftertouch": "\0\xa0\x3c\x50",
        "controller": "\0\xb0\x07\x50",
        "pedal": "\1\xb0\x40\x7f\1\xb0\x40\0",
        "program": "\0\xc0\1\0\xc0\2",
        "program-and-note": "\0\xc0\1\0\x90\x3c\x50\1\x80\x3c\0\0\xc0\2\0\x90\x3c\x50\1\x80\x3c\0",
        "pressure": "\0\xd0\x50",
        "pitch-bend": "\0\xe0\0\x40",
        "system-exclusive": "\0\xf0\5\x7e\x7f\x09\1\xf7",
        "escape": "\0\xf7\1\xf8",
        "song-position": "\0\xf2\0\0",
        "clock": "\0\xf8",
        "tempo": "\1\xff\x51\3\7\xa1\x20",
        "time-signature": "\1\xff\x58\4\4\2\x18\x08",
        "time-signature-of-each-bar": "\1\xff\x58\4\1\6\x18\x08\1\xff\x58\4\2\6\x18\x08",
        "key-signature": "\1\xff\x59\2\1\0\1\xff\x59\2\2\0",
        "text-before-lyrics": "\0\xff\x01\x03abc",
        "smpte-offset": "\0\xff\x54\5\0\0\0\0\0",
        "sequencer-data": "\0\xff\x7f\1\0",
        "marker-and-note": "\0\xff\x06\1a\0\x90\x3c\x50\1\x80\x3c\0",
        "lyric-and-note": "\0\xff\x05\2a-\0\x90\x3c\x50\1\x80\x3c\0",
        "karaoke-and-note": "\0\xff\x01\2\\a\0\x90\x3c\x50\1\x80\x3c\0",
        "note-and-bar": "\0\xff\x58\4\4\2\x18\x08\0\x90\x3c\x50\x60\x80\x3c\0",
        "instrument-name": "\0\xff\x04\2ab",
        "track-with-an-instrument-name": "MTrk\0\0\0\x12\0\xff\x04\2ab\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0",
        "latin-name": "\0\xff\x03\2\xe9\xe9",
        "track": "MTrk\0\0\0\x04\0\xff\x2f\0",
        "track-with-a-note": "MTrk\0\0\0\x0c\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0",
        "track-with-a-latin-name": "MTrk\0\0\0\x12\0\xff\x03\2\xe9\xe9\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0",
        "track-with-a-program": "MTrk\0\0\0\x0f\0\xc0\1\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0",
        "track-with-a-signature": "MTrk\0\0\0\x14\0\xff\x58\4\3\2\x18\x08\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0",
    }
    events |= {f"text-{kind}": f"\0\xff{chr(kind)}\2ab" for kind in range(1, 8)}
    return events
