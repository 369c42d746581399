"""Files of one megabyte that repeat one construct of a format: what takes more than linear time shows in them.

Each family is a head, a unit that is repeated until the size is reached, and a tail. In a unit, `@` is the number of
the repetition; in MIDI, the unit is one event with its delta time, or a whole track.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

SIZE = 2**20
_NUMBER = "@"


@dataclass(frozen=True)
class Family:
    """Files that repeat one construct.

    Attributes:
        suffix: Suffix of the file name.
        head: What stands before the repetitions.
        unit: What is repeated.
        tail: What stands behind them.
        num_max: Most repetitions, for constructs that a limit forbids beyond it.
    """

    suffix: str
    head: str
    unit: str
    tail: str = ""
    num_max: int = 10**9

    def make(self, size: int = SIZE) -> bytes:
        """Return a file of about `size` bytes."""
        count = min(self.num_max, max(1, (size - len(self.head) - len(self.tail)) // len(self.unit)))
        if _NUMBER in self.unit:
            pieces = self.unit.split(_NUMBER)
            body = "".join(str(index).join(pieces) for index in range(count))[: size - len(self.head)]
            body = body[: body.rfind(pieces[-1]) + len(pieces[-1])] if pieces[-1] else body
        else:
            body = self.unit * count
        if self.suffix == ".mid":
            return _midi(body.encode("latin-1"), is_track=self.unit.startswith("MTrk"))
        return (self.head + body + self.tail).encode()


def _midi(body: bytes, *, is_track: bool) -> bytes:
    note, end = b"\0\x90\x3c\x50\x60\x80\x3c\0", b"\0\xff\x2f\0"
    if is_track:
        return b"MThd\0\0\0\6\0\1%b\0\x60" % min(body.count(b"MTrk"), 65_535).to_bytes(2, "big") + body
    track = note + body + note + end
    return b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk" + len(track).to_bytes(4, "big") + track


def _midi_families() -> dict[str, str]:
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
        "latin-name": "\0\xff\x03\2\xe9\xe9",
        "track": "MTrk\0\0\0\x04\0\xff\x2f\0",
        "track-with-a-note": "MTrk\0\0\0\x0c\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0",
        "track-with-a-latin-name": "MTrk\0\0\0\x12\0\xff\x03\2\xe9\xe9\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0",
        "track-with-a-program": "MTrk\0\0\0\x0f\0\xc0\1\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0",
        "track-with-a-signature": "MTrk\0\0\0\x14\0\xff\x58\4\3\2\x18\x08\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0",
    }
    events |= {f"text-{kind}": f"\0\xff{chr(kind)}\2ab" for kind in range(1, 8)}
    return events


_HEAD = '<score-partwise><part-list><score-part id="P1"><part-name>A</part-name></score-part></part-list>'
_NOTE = "<note><pitch><step>G</step><octave>4</octave></pitch><duration>1</duration></note>"
_LONG_NOTE = _NOTE.replace("<duration>1", "<duration>4")
_MEASURE = f"<measure>{_LONG_NOTE}</measure>"


def _in_measure(unit: str) -> tuple[str, str, str]:
    return f'{_HEAD}<part id="P1"><measure>{_NOTE}', unit, f"{_NOTE}</measure></part></score-partwise>"


def _as_measures(unit: str, num_max: int = 2_000) -> tuple[str, str, str, int]:
    return f'{_HEAD}<part id="P1">', f"<measure>{unit}</measure>", f"{_MEASURE}</part></score-partwise>", num_max


def _inside(before: str, unit: str, after: str) -> tuple[str, str, str]:
    head, _, tail = _in_measure("")
    return head + before, unit, after + tail


def _xml_in_measure() -> dict[str, str]:
    words = "<direction><direction-type><words>w@</words></direction-type></direction>"
    chord = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    units = {
        "note": _NOTE,
        "rest": "<note><rest/><duration>1</duration></note>",
        "chord-note": _NOTE.replace("<pitch>", "<chord/><pitch>"),
        "grace-note": _NOTE.replace("<note>", "<note><grace/>").replace("<duration>1</duration>", ""),
        "cue-note": _NOTE.replace("<note>", "<note><cue/>"),
        "unpitched-note": "<note><unpitched/><duration>1</duration></note>",
        "tied-note": _NOTE.replace("</note>", '<tie type="stop"/><tie type="start"/></note>'),
        "note-of-its-own-voice": _NOTE.replace("</note>", "<voice>@</voice></note>"),
        "note-of-its-own-staff": _NOTE.replace("</note>", "<staff>@</staff></note>"),
        "grace-of-its-own-voice": "<note><grace/><pitch><step>G</step><octave>4</octave></pitch>"
        "<voice>@</voice></note>",
        "backup": "<backup><duration>1</duration></backup>" + _NOTE,
        "forward": "<forward><duration>1</duration></forward>",
        "words": words,
        "words-and-note": words + _NOTE,
        "equal-words": words.replace("@", ""),
        "jump": words.replace("w@", "D.C."),
        "fine": words.replace("w@", "Fine") + _NOTE,
        "words-almost-a-jump": words.replace("w@", "d s a l D"),
        "rehearsal": "<direction><direction-type><rehearsal>A</rehearsal></direction-type></direction>",
        "metronome": "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>90</per-minute>"
        "</metronome></direction-type></direction>",
        "metronome-after-words": words + "<direction><direction-type><metronome><beat-unit>quarter</beat-unit>"
        "<per-minute>90</per-minute></metronome></direction-type></direction>",
        "dynamics": "<direction><direction-type><dynamics><p/></dynamics></direction-type></direction>",
        "wedge": '<direction><direction-type><wedge type="crescendo"/></direction-type></direction>',
        "segno": "<direction><direction-type><segno/></direction-type></direction>",
        "coda": "<direction><direction-type><coda/></direction-type></direction>" + _NOTE,
        "direction-offset": "<direction><direction-type><words>w</words></direction-type>"
        "<offset>@</offset></direction>",
        "sound": '<sound tempo="@"/>' + _NOTE,
        "sound-jump": '<sound dacapo="yes" fine="yes" tocoda="a"/>',
        "chord-symbol": chord,
        "chord-symbol-and-note": chord + _NOTE,
        "harmony-without-root": "<harmony>",
        "repeat-start": '<barline><repeat direction="forward"/></barline>' + _NOTE,
        "repeat-end": '<barline><repeat direction="backward"/></barline>' + _NOTE,
        "ending": '<barline><ending type="start" number="1"/></barline>' + _NOTE,
        "ending-stop": '<barline><ending type="stop" number="1"/></barline>',
        "clef": "<attributes><clef><sign>G</sign><line>2</line></clef></attributes>",
        "divisions": "<attributes><divisions>1@</divisions></attributes>" + _NOTE,
        "key": "<attributes><key><fifths>1</fifths></key></attributes>" + _NOTE,
        "time": "<attributes><time><beats>3</beats><beat-type>4</beat-type></time></attributes>",
        "transpose": "<attributes><transpose><chromatic>2</chromatic></transpose></attributes>" + _NOTE,
        "measure-style": '<attributes><measure-style><slash type="start"/></measure-style></attributes>',
        "figured-bass": "<figured-bass/>",
        "print": "<print/>",
        "unknown": "<u@/>",
        "unknown-attribute": '<print a="@"/>',
        "comment": "<!-- <harmony <note <beats -->",
        "instruction": "<?p <beats ?>",
        "cdata": "<![CDATA[ <beats> ]]>",
        "entity": "&#60;&amp;",
        "space": " \n",
        "nested": "<a>",
    }
    units["harmony-without-root"] += "</harmony>"
    return units


def _xml_families() -> dict[str, tuple[str, str, str] | tuple[str, str, str, int]]:
    found: dict[str, tuple[str, str, str] | tuple[str, str, str, int]] = {
        name: _in_measure(unit) for name, unit in _xml_in_measure().items()
    }
    open_note = "<note><pitch><step>G</step><octave>4</octave></pitch><duration>1</duration>"
    in_note = {
        "lyric": '<lyric number="@"><text>a</text></lyric>',
        "tie": '<tie type="start"/>',
        "dot": "<dot/>",
        "notations": "<notations><fermata/></notations>",
        "beam": "<beam>begin</beam>",
    }
    found |= {f"{name}-in-note": _inside(open_note, unit, "</note>") for name, unit in in_note.items()}
    in_notations = {
        "slur": '<slur type="start" number="@"/>',
        "slur-stop": '<slur type="stop" number="1"/>',
        "articulations": "<articulations><staccato/></articulations>",
        "ornament": "<ornaments><o@/></ornaments>",
        "dynamics-of-note": "<dynamics><f/></dynamics>",
        "fermata": "<fermata/>",
    }
    for name, unit in in_notations.items():
        found[f"{name}-in-notations"] = _inside(f"{open_note}<notations>", unit, "</notations></note>")
    found["syllable-of-lyric"] = _inside(f"{open_note}<lyric>", "<text>a</text><elision/>", "</lyric></note>")
    chord = "<harmony><root><root-step>C</root-step></root><kind>major</kind>"
    degree = "<degree><degree-value>5</degree-value><degree-alter>1</degree-alter></degree>"
    found["degree"] = _inside(chord, degree, "</harmony>")
    found["degree-alter"] = _inside(
        f"{chord}<degree><degree-value>5</degree-value><degree-alter>", "9", "</degree-alter></degree></harmony>"
    )
    time = "<attributes><time>"
    beats = "<beats>4</beats><beat-type>4</beat-type>"
    found["beats-in-time"] = _inside(time, beats, "</time></attributes>")
    found["sum-of-beats"] = _inside(f"{time}<beats>4", "+4", "</beats><beat-type>4</beat-type></time></attributes>")
    found["digits-of-beats"] = _inside(f"{time}<beats>", "9", "</beats><beat-type>4</beat-type></time></attributes>")
    found["digits-of-duration"] = _inside("<forward><duration>", "9", "</duration></forward>")
    found["digits-of-octave"] = _inside(
        "<note><pitch><step>C</step><octave>", "9", "</octave></pitch><duration>1</duration></note>"
    )
    found["long-words"] = _inside("<direction><direction-type><words>", "d", "</words></direction-type></direction>")
    found["spaces-in-words"] = _inside(
        "<direction><direction-type><words>D", " ", "x</words></direction-type></direction>"
    )
    found["spaces-before-fine"] = _inside(
        "<direction><direction-type><words>", " ", "x</words></direction-type></direction>"
    )
    found["long-attribute"] = _inside('<barline><ending type="start" number="', "1,", '"/></barline>')
    found["times-of-repeat"] = _inside('<barline><repeat direction="backward" times="', "9", '"/></barline>')
    found["per-minute"] = _inside(
        "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>",
        "1x",
        "</per-minute></metronome></direction-type></direction>",
    )
    found["words-in-one-direction"] = _inside(
        "<direction><direction-type>", "<words>w</words>", "</direction-type></direction>"
    )
    found["types-in-one-direction"] = _inside(
        "<direction>", "<direction-type><dynamics><p/></dynamics></direction-type>", "</direction>"
    )
    in_measures = {
        "measure": _LONG_NOTE,
        "short-measure": _NOTE,
        "empty-measure": "",
        "measure-of-a-rest": '<note><rest measure="yes"/><duration>4</duration></note>',
        "measure-with-time": "<attributes><time><beats>@</beats><beat-type>4</beat-type></time></attributes>"
        + _LONG_NOTE,
        "measure-with-key": "<attributes><key><fifths>1</fifths></key></attributes>" + _LONG_NOTE,
        "measure-with-start": '<barline location="left"><repeat direction="forward"/></barline>' + _LONG_NOTE,
        "measure-with-end": f'{_LONG_NOTE}<barline><repeat direction="backward"/></barline>',
        "measure-with-many-ends": f'{_LONG_NOTE}<barline><repeat direction="backward" times="99"/></barline>',
        "measure-with-both": '<barline location="left"><repeat direction="forward"/></barline>'
        + f'{_LONG_NOTE}<barline><repeat direction="backward" times="2"/></barline>',
        "measure-with-ending": '<barline location="left"><ending type="start" number="@"/></barline>'
        + f'{_LONG_NOTE}<barline><ending type="stop" number="1"/><repeat direction="backward"/></barline>',
        "measure-with-segno": "<direction><direction-type><segno/></direction-type></direction>"
        f'{_LONG_NOTE}<sound dalsegno="y"/>',
        "measure-with-coda": "<direction><direction-type><coda/></direction-type></direction>"
        f'{_LONG_NOTE}<sound tocoda="y"/>',
        "measure-with-capo": f'{_LONG_NOTE}<sound dacapo="yes"/>',
        "measure-with-fine": f'{_LONG_NOTE}<sound fine="yes"/>',
        "measure-with-words": "<direction><direction-type><words>w@</words></direction-type></direction>" + _LONG_NOTE,
        "measure-of-many-notes": _NOTE * 24,
        "measure-of-many-tuplets": _NOTE.replace("<duration>1", "<duration>0.3333333") * 12,
        "measure-of-voices": "".join(
            _LONG_NOTE.replace("</note>", f"<voice>{v}</voice></note><backup><duration>4</duration></backup>")
            for v in range(1, 5)
        ),
        "measure-with-slurs": _NOTE.replace("</note>", '<notations><slur type="start" number="@"/></notations></note>')
        * 2,
        "measure-with-fermata": _NOTE.replace("</note>", "<notations><fermata/></notations></note>") * 4,
        "measure-with-lyrics": _NOTE.replace("</note>", '<lyric number="@"><text>a</text></lyric></note>') * 4,
    }
    found |= {name: _as_measures(unit) for name, unit in in_measures.items()}
    found["measures-beyond-the-limit"] = _as_measures(_LONG_NOTE, 10**9)
    tail = f'<part id="P1">{_MEASURE}</part></score-partwise>'
    start = "<score-partwise>"
    found["credit"] = (
        start,
        "<credit><credit-type>title</credit-type><credit-words>a</credit-words></credit>",
        _HEAD[len(start) :] + tail,
    )
    found["creator"] = (
        f"{start}<identification>",
        '<creator type="composer">a</creator>',
        f"</identification>{_HEAD[len(start) :]}{tail}",
    )
    found["rights"] = (
        f"{start}<identification>",
        "<rights>a</rights>",
        f"</identification>{_HEAD[len(start) :]}{tail}",
    )
    found["long-title"] = (f"{start}<movement-title>", "a ", f"</movement-title>{_HEAD[len(start) :]}{tail}")
    found["score-part"] = (
        f"{start}<part-list>",
        '<score-part id="P@"><part-name>a</part-name></score-part>',
        f"</part-list>{tail}",
    )
    found["long-part-name"] = (
        f'{start}<part-list><score-part id="P1"><part-name>',
        "sop ",
        f"</part-name></score-part></part-list>{tail}",
    )
    found["part"] = (_HEAD, f'<part id="P@">{_MEASURE}</part>', "</score-partwise>")
    found["empty-part"] = (_HEAD, '<part id="P@"/>', tail)
    found["equal-parts"] = (_HEAD, f'<part id="P1">{_MEASURE}</part>', "</score-partwise>")
    found["part-of-many-measures"] = (
        _HEAD,
        f'<part id="P@">{"<measure/>" * 999}{_MEASURE}</part>',
        "</score-partwise>",
    )
    found["part-with-signs"] = (
        _HEAD,
        '<part id="P@">' + f'<measure><barline location="left"><repeat direction="forward"/></barline>{_LONG_NOTE}'
        '<barline><repeat direction="backward"/></barline></measure>' * 20 + "</part>",
        "</score-partwise>",
    )
    timewise = _HEAD.replace("partwise", "timewise")
    found["timewise-measure"] = (
        timewise,
        f'<measure><part id="P1">{_LONG_NOTE}</part></measure>',
        "</score-timewise>",
        2_000,
    )
    found["timewise-parts"] = (
        timewise,
        f'<measure><part id="P@">{_LONG_NOTE}</part></measure>',
        "</score-timewise>",
        2_000,
    )
    found["timewise-equal-parts"] = (
        f"{timewise}<measure>",
        f'<part id="P1">{_LONG_NOTE}</part>',
        "</measure></score-timewise>",
    )
    return found


_ABC = "X:1\nT:Tune\nM:4/4\nL:1/4\nK:C\n"


def _abc_families() -> dict[str, tuple[str, str, str] | tuple[str, str, str, int]]:
    music = {
        "note": "C",
        "notes-of-bars": "CDEF|",
        "short-bars": "C|",
        "rest": "z",
        "invisible-rest": "x",
        "bar-rest": "Z|",
        "many-bar-rests": "Z99|",
        "spacer": "y",
        "space": " ",
        "backtick": "`",
        "microtone": "^3/4C",
        "accidental": "^C",
        "octave": "C'",
        "octaves-of-one-note": "'",
        "length": "C3/2",
        "slashes": "/",
        "digits": "9",
        "chord": "[CEG]",
        "open-chord": "[C",
        "closed-chord": "C]",
        "chord-of-many": "[" + "CEG" * 60 + "]",
        "grace": "{g}C",
        "open-grace": "{g",
        "tuplet": "(3CDE",
        "tuplet-only": "(3",
        "tuplet-with-numbers": "(5:4:7C",
        "slur": "(C",
        "slur-open": "(",
        "slur-close": ")",
        "slurred": "(CD)",
        "tie": "C-",
        "ties": "-",
        "broken": "C>D",
        "brackets": "<",
        "quote": '"Am7"C',
        "quote-open": '"',
        "annotation": '"^word"C',
        "annotation-with-escapes": '"\\',
        "long-chord-symbol": '"Cmajmajmaj"',
        "decoration": "!trill!C",
        "decoration-open": "!",
        "plus": "+trill+C",
        "plus-open": "+",
        "plus-notes": "+CEG+",
        "plus-of-plus": "+a+b",
        "fermata": "HC",
        "letters": "T",
        "jump": "!D.C.!C|",
        "segno": "!segno!C|!D.S.!",
        "coda": "!coda!C|",
        "fine": "!fine!C|",
        "dynamic": "!p!C",
        "overlay": "C&D|",
        "overlays": "&",
        "overlay-of-two": "C|D&&E|",
        "bar": "|",
        "double-bar": "C||",
        "repeat": "C:|",
        "repeat-both": "|:C:|",
        "repeat-signs": ":",
        "repeat-many": "C::",
        "thick-bar": "C|]",
        "bar-and-bracket": "[|",
        "bar-ending": "C|1",
        "ending": "[1C",
        "ending-list": "[1,3-5C|",
        "ending-long": "[1,",
        "bare-digit": " 1 ",
        "unknown": "\x7f",
        "ignored": "$",
        "backslash": "\\",
        "percent-escaped": "\\%",
        "inline-key": "[K:G]C",
        "inline-key-with-accidentals": "[K:C ^f_b^c]C",
        "inline-meter": "[M:3/4]C",
        "inline-meter-sum": "[M:(1+1+1)/4]C",
        "inline-meter-open": "[M:",
        "inline-length": "[L:1/8]C",
        "inline-tempo": "[Q:1/4=90]C",
        "inline-tempo-words": '[Q:"Allegro" 1/4=90]C',
        "inline-voice": "[V:1]C",
        "inline-voices": "[V:@]C",
        "inline-voices-of-eight": "".join(f"[V:{v}]CDEF|" for v in range(1, 9)),
        "inline-voices-of-sixteen": "".join(f"[V:{v}]C|" for v in range(1, 17)),
        "inline-part": "[P:A]C|",
        "inline-remark": "[r:no]C",
        "inline-unknown": "[y:no]C",
        "inline-directive": "[I:MIDI 1]C",
        "inline-propagation": "[I:propagate-accidentals not]C",
        "inline-letter": "[U:T=!p!]TC",
        "note-line": "CDEF|\n",
        "empty-line": "\n",
        "music-after-an-empty-line": "\nCDEF|\n",
        "comment-line": "%comment\n",
        "comment-in-line": "C%c\n",
        "directive-line": "%%MIDI program 1\n",
        "score-line": "%%score (1 2)\n",
        "text-block": "%%begintext\na\n%%endtext\n",
        "text-blocks-open": "%%begintext\n",
        "continued-line": "C\\\n",
        "lyric-line": "C|\nw:a\n",
        "lyric-verses": "w:a\n",
        "field-continued": "+:a\n",
        "words-line": "W:words\n",
        "voice-line": "V:@\nC|\n",
        "voice-line-of-twelve": "".join(f"V:{v}\nCDEF|\n" for v in range(1, 13)),
        "voice-line-of-two": "V:1\nC|\nV:2\nD|\n",
        "tune": "X:@\nK:C\nC|\n",
        "tune-without-key": "X:@\n",
    }
    found: dict[str, tuple[str, str, str] | tuple[str, str, str, int]] = {
        f"music-{name}": (_ABC + "CDEF|", unit, "\nCDEF|\n") for name, unit in music.items()
    }
    found |= {f"field-{letter}": (_ABC + "CDEF|\n", f"{letter}:a\n", "CDEF|\n") for letter in string.ascii_letters}
    found |= {f"header-{letter}": (_ABC[:-4], f"{letter}:a\n", "K:C\nCDEF|\n") for letter in string.ascii_letters}
    lines = {
        "title": "T:",
        "meter": "M:",
        "length": "L:",
        "tempo": "Q:",
        "key": "K:",
        "voice": "V:1 ",
        "parts": "P:",
        "macro": "m:a=",
        "letter": "U:T=",
        "directive": "%%score ",
        "charset": "%%abc-charset ",
        "composer": "C:",
    }
    contents = {
        **{"title": ("a ", "\\'e", "&eacute;", "&amp", "\\", "&"), "composer": ("a ", "words:", "(c)")},
        **{"meter": ("4+", "(4+4", "64+", "/", "4/4 ", "9", " ", "C"), "length": ("1/", "9", " ")},
        **{
            "tempo": ('"a"', '"', "1/4 ", "1/4=", "=", "9", " ", "1"),
            "key": ("^f", "C ", "=", "m", "clef=", " ", "t="),
        },
        **{
            "voice": ("name=a ", 'name="', 'a"', "m=", '\\"', "middle=", "=", " "),
            "parts": ("A", "(A)2", "(", ")9", "A9", "."),
        },
        **{
            "macro": ("C", "a", " "),
            "letter": ("!", '"', "a"),
            "directive": ("(1 2)", "{", "| ", "1"),
            "charset": ("a", "-"),
        },
    }
    for name, units in contents.items():
        for number, unit in enumerate(units, start=1):
            found[f"line-{name}-{number}"] = (_ABC[:-4] + lines[name], unit, "\nK:C\nCDEF|\n")
            found[f"body-{name}-{number}"] = (_ABC + "CDEF|\n" + lines[name], unit, "\nCDEF|\n")
    lyrics = ("a ", "a-", "-", "_", "a_ ", "*", "|", "~", "\\-", "\\", "1.", "a- ", "a _", "a|_")
    for number, unit in enumerate(lyrics, start=1):
        found[f"lyrics-{number}"] = (_ABC + "CDEF|" * 1_000 + "\nw:", unit, "\n")
    found["macros"] = (_ABC[:-4] + "".join(f"m:{c}=CDEF\n" for c in "pqrs"), "x", "\nK:C\n" + "pqrs" * 10_000 + "\n", 1)
    found["macro-of-a-space"] = (_ABC[:-4] + "m:z=zz\nm:y=zz\n", "", "", 1)
    found["macro-doubled"] = (
        _ABC[:-4] + "".join(f"m:{c}{c}={c}{c}{c}{c}\n" for c in "abcdefghij"),
        "K:C\n",
        "a" * 4_000 + "\n",
        1,
    )
    del found["macro-of-a-space"]
    return found


def _kern_families() -> dict[str, tuple[str, str, str] | tuple[str, str, str, int]]:
    units = {
        "note": "4c\n",
        "rest": "4r\n",
        "chord": "4c 4e 4g\n",
        "chord-of-many": " ".join(["4c"] * 60) + "\n",
        "grace": "cqq\n",
        "grace-and-note": "cqq\n4c\n",
        "tied": "[4c\n4c_\n",
        "slur": "(4c\n",
        "slurs": "4c((((((((\n",
        "slur-end": "4c)\n",
        "signs": "4cTtMmWwS$O'^~`\n",
        "fermata": "4c;\n",
        "beam": "8cL\n8cJ\n",
        "unreadable": "x\n",
        "unreadable-with-digits": "9x\n",
        "long-token": "4" + "c" * 300 + "\n",
        "dots": "4...........c\n",
        "percent": "4%3c\n",
        "null": ".\n",
        "bar": "4c\n=\n",
        "bars": "=\n",
        "repeat-bar": "4c\n=:|!|:\n",
        "repeat-start": "=!|:\n4c\n",
        "long-bar": "=" * 100 + "\n4c\n",
        "comment": "!c\n",
        "global-comment": "!!c\n",
        "record": "!!!COM: a\n",
        "records": "!!!OTL@: a\n",
        "records-of-names": "!!!N@: a\n",
        "key": "*k[f#]\n4c\n",
        "key-name": "*G:\n4c\n",
        "meter": "*M3/4\n4c\n=\n",
        "tempo": "*MM90\n4c\n",
        "tempo-words": "*MM[Allegro]\n",
        "label": '*I"Name\n',
        "instrument": "*Isoprn\n",
        "staff": "*staff1\n",
        "transposition": "*Trd1c2\n",
        "section": "*>A\n4c\n",
        "section-list": "*>[A,B]\n",
        "interpretation": "*x1\n",
        "null-interpretation": "*\n",
        "empty": "\n",
        "spaces": "   \n",
        "split-and-join": "*^\n4c\t4e\n*v\t*v\n",
    }
    head = "**kern\n*M4/4\n4c\n"
    found: dict[str, tuple[str, str, str] | tuple[str, str, str, int]] = {
        name: (head, unit, "4c\n=\n*-\n") for name, unit in units.items()
    }
    found["splits"] = (head, "", "".join("\t".join(["*^"] * 2**n) + "\n" for n in range(9)), 1)
    found["spines"] = ("**kern", "\t**kern", "\n", 200_000)
    found["long-line"] = (head, "4c ", "\n*-\n")
    found["digits"] = (head, "4", "c\n*-\n")
    found["letters"] = (head + "4", "c", "\n*-\n")
    found["sharps"] = (head + "4c", "#", "\n*-\n")
    found["meter-digits"] = (head + "*M", "4", "/4\n4c\n*-\n")
    found["key-sharps"] = (head + "*k[", "f#", "]\n4c\n*-\n")
    found["key-flats"] = (head + "*b", "-", ":\n4c\n*-\n")
    found["section-names"] = (head + "*>[", "A,", "A]\n*>A\n4c\n*-\n")
    found["template"] = ("!!!title: ", "@{a}", "\n" + head + "*-\n")
    found["title"] = ("!!!OTL: ", "&amp", "\n" + head + "*-\n")
    for kind, token in (("**text", "a-"), ("**silbe", "-a-"), ("**dynam", "p"), ("**mxhm", "C major")):
        found[kind.strip("*")] = (f"**kern\t{kind}\n*M4/4\t*\n", f"4c\t{token}\n", "*-\t*-\n")
    wide = 40
    voices = "\t".join(["**kern"] * wide)
    found["wide-data"] = (f"{voices}\n", "\t".join(["4c"] * wide) + "\n", "\t".join(["*-"] * wide) + "\n")
    found["wide-bars"] = (f"{voices}\n", "\t".join(["4c"] * wide) + "\n" + "\t".join(["="] * wide) + "\n", "")
    texts = "\t".join(["**kern", *["**text"] * 200])
    found["wide-text"] = (f"{texts}\n", "\t".join(["4c", *["a"] * 200]) + "\n", "")
    pairs = "\t".join(["**kern\t**text"] * 100)
    found["wide-pairs"] = (f"{pairs}\n", "\t".join(["4c\ta"] * 100) + "\n", "")
    return found


def _all() -> dict[str, Family]:
    found = {f"midi-{name}": Family(".mid", "", unit) for name, unit in _midi_families().items()}
    found |= {f"musicxml-{name}": Family(".musicxml", *parts) for name, parts in _xml_families().items()}
    found |= {f"abc-{name}": Family(".abc", *parts) for name, parts in _abc_families().items()}
    found |= {f"humdrum-{name}": Family(".krn", *parts) for name, parts in _kern_families().items()}
    return found


FAMILIES = _all()
"""All families by name."""
