"""Rights in the music of the corpora and in the files that encode it, as docs/data.md and model cards show them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rights:
    """What is known of a corpus.

    Attributes:
        about: The music, and where its files come from.
        music: Rights in the music.
        encodings: Rights in the files.
        is_free: True if everything in it may go into published weights.
    """

    about: str
    music: str
    encodings: str
    is_free: bool = False


RIGHTS = {
    "chorales": Rights(
        "four-part chorales by J. S. Bach as encoded in music21's corpus, the field's common research data, in the "
        "canonical JSB Chorales split of Boulanger-Lewandowski et al. 2012",
        "public domain",
        "no rights statement",
        is_free=True,
    ),
    "folk": Rights(
        "tunes of Ryan's Mammoth Collection and Aird's Airs as encoded in music21's corpus",
        "traditional, public domain",
        "freely contributed; the transcriber is named",
        is_free=True,
    ),
    "essen": Rights(
        "songs of the Essen collection as encoded in music21's corpus", "traditional", "non-commercial use only"
    ),
    "palestrina": Rights(
        "mass movements by Palestrina as encoded in music21's corpus",
        "public domain",
        "rights to derivative formats reserved",
    ),
    "quartets": Rights(
        "string quartets by Haydn, Mozart and Beethoven as encoded in music21's corpus",
        "public domain",
        "no rights statement",
    ),
    "monteverdi": Rights(
        "madrigals by Monteverdi as encoded in music21's corpus",
        "public domain",
        "no rights statement; some files name a publisher",
    ),
}
FREE_CORPORA = tuple(name for name, rights in RIGHTS.items() if rights.is_free)
"""Corpora that may go into published weights."""

_FREE = re.compile(r"(public domain|cc0(-1\.0)?)( \([^()]*\))?", re.IGNORECASE)


def is_free(corpus: str, licences: Sequence[str] = ()) -> bool:
    """Return True if all music of a corpus may go into published weights.

    Args:
        corpus: Its name, or a folder.
        licences: Licences that the rows of a folder state; it is free if all of them are `public domain` or `CC0-1.0`.
    """
    if corpus in RIGHTS:
        return RIGHTS[corpus].is_free
    return bool(licences) and all(_FREE.fullmatch(licence) for licence in licences)


def rights_text(corpus: str, licences: Sequence[str] = ()) -> str:
    """Return what is known of the rights in a corpus, as sentences."""
    if corpus in RIGHTS:
        rights = RIGHTS[corpus]
        about = rights.about[0].upper() + rights.about[1:]
        return f"{about}. Rights in the music: {rights.music}; in the files: {rights.encodings}."
    if licences:
        return f"Licenses that its rows state: {'; '.join(licences)}."
    return "See the licence column of the dataset."
