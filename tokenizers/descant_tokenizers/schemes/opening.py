"""Schemes by name: miditok's, the presets, and the tokenizer of any folder."""

from __future__ import annotations

from pathlib import Path

from descant_tokenizers.errors import InputError
from descant_tokenizers.schemes.base import Scheme
from descant_tokenizers.schemes.catalogue import CATALOGUE
from descant_tokenizers.schemes.miditok_scheme import catalogue_scheme
from descant_tokenizers.schemes.own import OwnScheme
from descant_tokenizers.schemes.settings import Music
from descant_tokenizers.tokens.presets import (
    PRESETS,
    TOKENIZER_FILE,
    build_tokenizer,
    load_tokenizer,
    tokenizer_folder,
)
from descant_tokenizers.tokens.vocabulary import TokenTable

__all__ = ["default_schemes", "open_scheme", "scheme_names"]


def scheme_names() -> tuple[str, ...]:
    """Return every name that `open_scheme` knows, presets first."""
    # the other presets have the music of satb: they add special tokens or change the order of voices
    return ("satb", "gm", *CATALOGUE)


def default_schemes(music: Music) -> tuple[str, ...]:
    """Return the names of the schemes that fit: without the preset for four voices where there is other music."""
    return tuple(name for name in scheme_names() if music is Music.VOICES or name != "satb")


def open_scheme(name: str, music: Music) -> Scheme:
    """Build a scheme.

    Args:
        name: One of `scheme_names()`, in any case (`MIDI-Like` is `midilike`), or a folder with a `tokenizer.json`, or
            a Hub id.
        music: What its vocabulary has to hold; a preset and a folder have theirs already.

    Raises:
        InputError: There is no such scheme, or the folder's tokenizer cannot be read.
    """
    known = name.lower().replace("-", "")
    if known in CATALOGUE:
        return catalogue_scheme(known, music)
    if known in PRESETS:
        return OwnScheme(known, f"{known} (preset)", TokenTable(build_tokenizer(known)))
    folder = tokenizer_folder(name)
    if folder is not None and (folder / TOKENIZER_FILE).is_file():
        label = Path(name).resolve().name
        return OwnScheme(name, label, TokenTable(load_tokenizer(folder)))
    raise InputError(
        f"unknown tokenizer scheme {name!r}; choose one of {', '.join(scheme_names())}, or a folder with a "
        f"{TOKENIZER_FILE}."
    )
