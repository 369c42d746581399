"""MusicXML elements, attributes and texts that are repeated."""

from __future__ import annotations

from families_common import Parts

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
        "rest-of-a-measure": '<note><rest measure="yes"/><duration>1</duration></note>',
        "tied-chord-note": _NOTE.replace("<pitch>", "<chord/><pitch>").replace("</note>", '<tie type="start"/></note>'),
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


def musicxml_families() -> dict[str, Parts]:
    """Return head, unit and tail of files that repeat a construct, by name."""
    found: dict[str, Parts] = {name: _in_measure(unit) for name, unit in _xml_in_measure().items()}
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
    found["credit-of-no-type"] = (
        start,
        "<credit><credit-words justify='center' font-size='9'>a</credit-words></credit>",
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
