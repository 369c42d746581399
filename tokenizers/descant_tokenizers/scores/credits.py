"""What a notation file says about itself: title, composer, rights."""

from __future__ import annotations

import re
from dataclasses import dataclass

from descant_tokenizers.errors import printable
from descant_tokenizers.scores.music21_reader import AnyStream

__all__ = ["Credits", "credits_of"]

_MAX_TITLE = 200
_MAX_RIGHTS = 500
_HUMDRUM_RIGHTS = re.compile(r"^!!!YE[CM][^:]*:(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Credits:
    """What a file says about itself; empty where it says nothing.

    Attributes:
        title: The work's title and the part's, such as `Missa Papae Marcelli: Kyrie`.
        composer: The composer, as written in the file.
        rights: Copyright and licence statements.
        encoder: Who made the file; ABC has no field for rights, but names its transcriber.
    """

    title: str = ""
    composer: str = ""
    rights: str = ""
    encoder: str = ""


def credits_of(source: AnyStream, text: str, form: str) -> Credits:
    """Gather a file's credits.

    Args:
        source: What music21 made of the file.
        text: The file's text: of several Humdrum licence lines music21 forgets the order, of ABC the transcriber.
        form: `musicxml`, `abc` or `humdrum`.

    Returns:
        The credits, each on one line.
    """
    about = source.metadata
    rights = _HUMDRUM_RIGHTS.findall(text) if form == "humdrum" else [about.copyright] if about else []
    encoders = re.findall(r"^Z:(.*)$", text, re.MULTILINE) if form == "abc" else []
    titles = [about.parentTitle, about.title or about.movementName] if about else []
    return Credits(
        title=printable(": ".join(title for title in titles if title), _MAX_TITLE),
        composer=printable((about.composer or "") if about else "", _MAX_TITLE),
        rights=printable("; ".join(line.strip() for line in rights if line and line != "None"), _MAX_RIGHTS),
        encoder=printable(" ".join(encoders), _MAX_RIGHTS),
    )
