"""Valid notation files with unusual contents: MusicXML, ABC and Humdrum.

File number `index` of a seed is always the same bytes.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

_DIVISIONS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 96, 480, 768, 10_080)
_METERS = (
    (4, 4),
    (3, 4),
    (2, 2),
    (6, 8),
    (5, 4),
    (7, 8),
    (13, 16),
    (1, 4),
    (3, 2),
    (1, 1),
    (11, 32),
    (9, 64),
    (64, 64),
)
_TYPES = ("whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th", "breve")


def _some(rng: random.Random, share: float, text: str) -> str:
    return text if rng.random() < share else ""


# MusicXML


def odd_musicxml(rng: random.Random) -> str:
    """Return a partwise or timewise score of one to four parts."""
    parts = [f"P{number}" for number in range(1, rng.choice((1, 1, 2, 4)) + 1)]
    listed = "".join(
        f'<score-part id="{name}"><part-name>{rng.choice(("Soprano", "Alto, Tenor", "", "Klavier", "P"))}</part-name>'
        + _some(
            rng, 0.3, f"<midi-instrument id='i'><midi-program>{rng.randint(0, 200)}</midi-program></midi-instrument>"
        )
        + "</score-part>"
        for name in parts
    )
    num_measures = rng.choice((1, 2, 3, 6))
    measures = [[_measure(rng, index) for index in range(num_measures)] for _ in parts]
    kind = rng.choice(("partwise", "partwise", "timewise"))
    if kind == "partwise":
        body = "".join(
            f'<part id="{name}">'
            + "".join(f"<measure number='{i}'>{each}</measure>" for i, each in enumerate(own))
            + "</part>"
            for name, own in zip(parts, measures, strict=True)
        )
    else:
        body = "".join(
            f"<measure number='{index}'>"
            + "".join(
                f'<part id="{name}">{own[index]}</part>'
                for name, own in zip(parts, measures, strict=True)
                if rng.random() < 0.9
            )
            + "</measure>"
            for index in range(num_measures)
        )
    title = _some(rng, 0.3, "<work><work-title>Odd &amp; even</work-title></work>")
    return f"<score-{kind}>{title}<part-list>{listed}</part-list>{body}</score-{kind}>"


def _measure(rng: random.Random, index: int) -> str:
    found = []
    if index == 0 or rng.random() < 0.2:
        beats, unit = rng.choice(_METERS)
        found.append(
            "<attributes>"
            + _some(rng, 0.9, f"<divisions>{rng.choice(_DIVISIONS)}</divisions>")
            + _some(rng, 0.6, f"<key><fifths>{rng.randint(-9, 9)}</fifths></key>")
            + _some(rng, 0.8, f"<time><beats>{beats}</beats><beat-type>{unit}</beat-type></time>")
            + _some(rng, 0.2, f"<staves>{rng.randint(1, 3)}</staves>")
            + _some(rng, 0.2, f"<transpose><chromatic>{rng.randint(-14, 14)}</chromatic></transpose>")
            + _some(rng, 0.1, "<measure-style><measure-repeat type='start'>1</measure-repeat></measure-style>")
            + "</attributes>"
        )
    if rng.random() < 0.2:
        sign = rng.choice(("<repeat direction='forward'/>", _ending(rng)))
        found.append(f"<barline location='left'>{sign}</barline>")
    for _ in range(rng.choice((0, 1, 3, 6))):
        found.append(rng.choice((_note, _note, _note, _note, _direction, _move))(rng))
    if rng.random() < 0.25:
        times = _some(rng, 0.3, f" times='{rng.randint(0, 9)}'")
        sign = f"<repeat direction='backward'{times}/>"
        found.append(f"<barline>{_some(rng, 0.4, _ending(rng))}{sign}</barline>")
    return "".join(found)


def _ending(rng: random.Random) -> str:
    kind = rng.choice(("start", "stop", "discontinue"))
    return f"<ending type='{kind}' number='{rng.choice(('1', '2', '1,2', '1-3', ''))}'/>"


def _note(rng: random.Random) -> str:
    pitch = (
        f"<pitch><step>{rng.choice('CDEFGAB')}</step>"
        + _some(rng, 0.3, f"<alter>{rng.choice((-2, -1, -0.5, 0, 0.5, 1, 2))}</alter>")
        + f"<octave>{rng.choice((0, 3, 4, 4, 4, 5, 8))}</octave></pitch>"
    )
    what = rng.choice((pitch, pitch, pitch, pitch, "<rest/>", "<rest measure='yes'/>", "<unpitched/>"))
    is_grace = rng.random() < 0.1
    length = "" if is_grace else f"<duration>{rng.choice((0, 1, 1, 2, 3, 4, 5, 7, 0.5, 480, 1000))}</duration>"
    tie = rng.choice(("start", "stop"))
    notations = (
        _some(rng, 0.1, "<slur type='start'/>")
        + _some(rng, 0.1, "<slur type='stop'/>")
        + _some(rng, 0.05, "<fermata/>")
        + _some(rng, 0.05, "<tuplet type='start'/>")
    )
    return (
        "<note>"
        + _some(rng, 1.0 if is_grace else 0.0, "<grace/>")
        + _some(rng, 0.05, "<cue/>")
        + _some(rng, 0.15, "<chord/>")
        + what
        + length
        + _some(rng, 0.15, f"<tie type='{tie}'/>")
        + _some(rng, 0.4, f"<voice>{rng.randint(1, 5)}</voice>")
        + _some(rng, 0.5, f"<type>{rng.choice(_TYPES)}</type>")
        + _some(rng, 0.1, "<dot/>")
        + _some(
            rng,
            0.1,
            "<time-modification><actual-notes>7</actual-notes><normal-notes>4</normal-notes></time-modification>",
        )
        + _some(rng, 0.2, f"<staff>{rng.randint(1, 3)}</staff>")
        + _some(rng, 0.3, f"<notations>{notations}</notations>")
        + _some(rng, 0.2, f"<lyric number='{rng.randint(1, 3)}'><syllabic>begin</syllabic><text>la</text></lyric>")
        + "</note>"
    )


def _direction(rng: random.Random) -> str:
    words = rng.choice(("D.C. al Fine", "Fine", "To Coda", "dolce", "D.S.", ""))
    kind = rng.choice(
        (f"<words>{words}</words>", "<segno/>", "<coda/>", "<dynamics><p/></dynamics>", "<wedge type='stop'/>")
    )
    chord = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    sound = _some(rng, 0.2, f"<sound tempo='{rng.choice((0, 1, 60, 999999))}'/>")
    return rng.choice((f"<direction><direction-type>{kind}</direction-type>{sound}</direction>", chord))


def _move(rng: random.Random) -> str:
    return (
        f"<{(kind := rng.choice(('backup', 'forward')))}><duration>{rng.choice((1, 2, 4, 7, 99))}</duration></{kind}>"
    )


# ABC

_ABC_HEADERS = (
    *(
        "M:4/4",
        "M:C|",
        "M:6/8",
        "M:none",
        "M:5/8",
        "M:(2+3)/8",
        "M:1/64",
        "M:64/4",
        "L:1/8",
        "L:1/4",
        "L:1/16",
        "L:1/512",
    ),
    *("Q:120", "Q:1/4=60", 'Q:"Slow"', "P:A(AB)2A", "P:AB", "U:T=!fermata!", "m:~g=g{a}g", "%%score (1 2)", "T:Odd"),
)
_ABC_KEYS = ("C", "Gm", "F#dor", "Bb mix", "HP", "none", "C exp ^f", "D clef=bass", "C transpose=-2", "A octave=1")
_ABC_MUSIC = (
    *("C", "D2", "E/", "F3/2", "G//", "A4", "B,", "c'", "^d", "_e", "=f", "z", "z4", "Z", "Z3", "x2", "y"),
    *(
        "[CEG]",
        "[C2E]3",
        "{g}A",
        "{/ga}b",
        "(3CDE",
        "(5:4:5",
        "(2",
        "(CD)",
        "A-A",
        "A-|A",
        "C>D",
        "E<<F",
        '"Am"',
        '"^so"',
    ),
    *(
        "!fermata!",
        "!D.C.!",
        "!segno!",
        "!coda!",
        "!fine!",
        "+trill+",
        "H",
        "T",
        "~",
        ".",
        "&",
        "&&",
        "|",
        "|",
        "|",
        "||",
    ),
    *(
        "|:",
        ":|",
        "::",
        "|1",
        ":|2",
        "[1,3",
        "|]",
        "[|",
        " ",
        " ",
        "[K:G]",
        "[M:3/4]",
        "[L:1/16]",
        "[V:2]",
        "[V:1]",
        "[P:B]",
    ),
    *(
        "\n",
        "\n",
        "\nw:la la-la_ *|\n",
        "\nV:2\n",
        "\nV:1\n",
        "\nK:Eb\n",
        "\nM:7/8\n",
        "\nP:A\n",
        "\nP:B\n",
        "\n%%MIDI x\n",
    ),
)


def odd_abc(rng: random.Random) -> str:
    """Return a tune."""
    header = "".join(f"{line}\n" for line in rng.sample(_ABC_HEADERS, rng.randint(0, 5)))
    music = "".join(rng.choice(_ABC_MUSIC) for _ in range(rng.choice((5, 20, 60, 150))))
    return f"X:1\n{header}K:{rng.choice(_ABC_KEYS)}\n{music}|\n"


# Humdrum

_KERN = (
    *(
        "4c",
        "8d",
        "16e",
        "2.f",
        "1G",
        "4A-",
        "8B##",
        "12c",
        "20d",
        "3e",
        "4%3f",
        "0g",
        "00a",
        "64b",
        "4r",
        "2r",
        "8.c#",
    ),
    *("[4c", "4c]", "4c_", "(4d", "4d)", "4e;", "qc", "8cqq", "4c 4e", "4c 8e 2g", "4cT", "4ccccc", "4CC", "."),
)
_TANDEM = (
    "*",
    "*M3/4",
    "*M7/8",
    "*k[f#]",
    "*k[b-e-a-]",
    "*G:",
    "*d:dor",
    "*MM90",
    '*I"Voice',
    "*Isoprn",
    "*staff1",
    "*>A",
)


def odd_humdrum(rng: random.Random) -> str:
    """Return a file of one to four spines that split and join."""
    kinds = ["**kern", *rng.choices(("**kern", "**text", "**dynam", "**silbe"), k=rng.randint(0, 3))]
    lines = ["!!!COM: Odd, Anne\n", "\t".join(kinds)]
    for _ in range(rng.choice((2, 8, 30))):
        deed = rng.random()
        if deed < 0.1:
            lines.append("\t".join([rng.choice(("=", "=1", "==", "=:|!", "=!|:"))] * len(kinds)))
        elif deed < 0.25:
            lines.append("\t".join(rng.choice(_TANDEM) if kind == "**kern" else "*" for kind in kinds))
        elif deed < 0.32 and len(kinds) < 8:
            place = rng.randrange(len(kinds))
            lines.append("\t".join("*^" if index == place else "*" for index in range(len(kinds))))
            kinds.insert(place, kinds[place])
        elif deed < 0.37 and any(a == b for a, b in itertools.pairwise(kinds)):
            place = next(index for index, (a, b) in enumerate(itertools.pairwise(kinds)) if a == b)
            lines.append("\t".join("*v" if index in (place, place + 1) else "*" for index in range(len(kinds))))
            del kinds[place]
        elif deed < 0.4:
            lines.append("!" if len(kinds) == 1 else "!!global")
        else:
            others = ("la-", "-la", ".", "p", "ff", "<")
            lines.append("\t".join(rng.choice(_KERN) if kind == "**kern" else rng.choice(others) for kind in kinds))
    lines.append("\t".join(["*-"] * len(kinds)))
    return "\n".join(lines) + "\n"


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "odd-musicxml": odd_musicxml,
    "odd-abc": odd_abc,
    "odd-humdrum": odd_humdrum,
}
"""Makers by kind of campaign."""
