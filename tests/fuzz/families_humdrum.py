"""Humdrum tokens, records and spines that are repeated."""

from __future__ import annotations

from families_common import Parts


def humdrum_families() -> dict[str, Parts]:
    """Return head, unit and tail of files that repeat a construct, by name."""
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
    found: dict[str, Parts] = {name: (head, unit, "4c\n=\n*-\n") for name, unit in units.items()}
    found["splits"] = (head, "".join("\t".join(["*^"] * 2**n) + "\n" for n in range(9)), "", 1)
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
