"""ABC music, fields and lines that are repeated."""

from __future__ import annotations

import string

from families_common import Parts

_ABC = "X:1\nT:Tune\nM:4/4\nL:1/4\nK:C\n"


def abc_families() -> dict[str, Parts]:
    """Return head, unit and tail of files that repeat a construct, by name."""
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
    found: dict[str, Parts] = {f"music-{name}": (_ABC + "CDEF|", unit, "\nCDEF|\n") for name, unit in music.items()}
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
    found["macro-doubled"] = (
        _ABC[:-4] + "".join(f"m:{c}{c}={c}{c}{c}{c}\n" for c in "abcdefghij"),
        "K:C\n",
        "a" * 4_000 + "\n",
        1,
    )
    return found
