"""Text of unknown encoding: track names and lyrics of MIDI files, ABC and Humdrum files.

UTF-8 is recognized with certainty. Anything else is decoded in the likeliest of the encodings that older programs
wrote, judged by whether the result reads as words.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

_MAX_JUDGED = 20_000  # bytes
_IMPOSSIBLE = 1_000_000
_ENCODINGS = ("cp1252", "cp1250", "cp1251", "mac_roman", "cp850", "cp1253", "koi8_r", "cp932", "latin-1")
"""The encodings tried, in order: of equally likely ones, the first is taken."""

# What is unlikely in decoded text, and its cost. Latin letters with accents seldom stand side by side.
_ACCENTED = "\u00c0-\u00c2\u00c4-\u00de\u00e0-\u00e2\u00e4-\u00ff"  # but ã and ß, which stand so in "ção" and "größe"
_UNLIKELY = {
    re.compile(r"[^\W\d_][^\w\s'’´`.,;:!?()/\-][^\W\d_]|[\x80-\x9f]"): 3,  # a sign between letters
    re.compile(r"[¹³¾¼¢£¤¥¦§©¬®¯°±¶·¸][^\W\d_]|[^\W\d_][¹³¿¾¼¢£¤¥¦§©¬®¯±¶·¸ˆ˜ˇ˘˙˚]"): 3,  # or beside one
    re.compile(r"[^\W\d_](?<=[a-zà-öø-ÿа-яα-ω])[A-ZÀ-ÖØ-ÞА-ЯΑ-Ω]"): 3,  # a capital inside a word
    re.compile(r"(?<=[A-Za-z])[ÀÁ-ÖØ-ÞŠŽŸŒ](?=[a-z])"): 3,
    re.compile(r"[a-zA-Z][Ͱ-ӿ\u3040-\u9fff]|[Ͱ-ӿ\u3040-\u9fff][a-zA-Z]"): 3,  # two alphabets in a word
    re.compile(rf"(?=[^\W\d_])[{_ACCENTED}](?=[^\W\d_])[{_ACCENTED}]"): 2,
    re.compile(r"[ìòù][a-zà-ÿ]|œ(?![uid])|[ðþ]|[ŕĺ]|\bÿ|[\ufb00-\ufb06]|[＀-￯]"): 2,
    re.compile(r"[Ѐ-ЏѢ-ӿ\u2500-\u259f]"): 2,
    re.compile(r"[ƒˆ‰‹›™•†‡…‚„“”]|õ(?!e)"): 1,
}


def decode_text(data: bytes, declared: str | None = None) -> str:
    """Decode text: as UTF-16 if it is marked so, as UTF-8 if it is valid, else as declared, else as is likeliest."""
    marked = ["utf-16"] if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else []
    for encoding in (*marked, "utf-8-sig", *([declared] if declared else ())):
        try:
            return data.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return data.decode(likely_encoding([data]), "replace")


def likely_encoding(texts: Iterable[bytes]) -> str:
    """Return the likeliest encoding of texts that are not UTF-8, such as all names in a file."""
    joined = b"\n".join(text for text in texts if not text.isascii())[:_MAX_JUDGED]
    return min(_ENCODINGS, key=lambda encoding: _cost(joined, encoding))


def _cost(data: bytes, encoding: str) -> int:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return _IMPOSSIBLE
    return sum(cost * len(pattern.findall(text)) for pattern, cost in _UNLIKELY.items())
