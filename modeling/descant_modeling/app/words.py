"""Messages of the command line, in the words of the page and in those of the HTTP API."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from descant_modeling.app.language import ENGLISH, Language
from descant_modeling.generation.base import MusicGenerator
from descant_modeling.generation.ensembles import EnsembleGenerator
from descant_tokenizers.common.errors import InputError, printable, with_field_names

__all__ = [
    "API_PREFIX",
    "AUTO",
    "HARMONIC_RHYTHMS",
    "LAST_CHORDS",
    "MODELS",
    "first_fault",
    "for_api",
    "for_page",
    "model_label",
    "remarks_for_page",
    "shown_name",
]

API_PREFIX = "/v1"

AUTO = "automatic"
HARMONIC_RHYTHMS = {
    AUTO: AUTO,
    "with each note of the melody": "note",
    "with each beat": "beat",
    "twice a bar": "half-bar",
    "once a bar": "bar",
}
LAST_CHORDS = {
    "the tonic, if the melody ends on it": "auto",
    "the tonic, in root position": "tonic",
    "the model's choice": "any",
}

MODELS = {
    "chorales": "Chorale in four voices",
    "songs": "Song with piano",
    "quartets": "String quartet",
    "style-free": "Four voices, chorale or folk",
    "gan": "Four voices by a GAN",
    "rnn": "Four voices by a small RNN",
    "cnn": "Four voices by a small CNN",
}
"""What embedded models write, in the order of the page."""

# The page's words for what messages name in the words of the command line.
_PAGE_WORDS = {
    "with --track one of": "as the melody track one of",
    "--track": "the melody track",
    "--given": "the given voices",
    "--task": "the task",
    "--style": "the style",
    "--model": "model",
    "--bars": "the bars",
    "--phrases is": "The entry for phrase ends is",
    "--phrases": "the phrase ends",
    "--chords": "the chords",
    "--harmonic-rhythm": "the harmonic rhythm",
    "--last-chord tonic": "the tonic as last chord",
    "--last-chord": "the last chord",
    "--key": "the key",
    "Leave --keep out": "Unlock them",
    "Read it as written (--no-repeats)": "Read it without repeats",
    "Choose one with --tune": "Keep one of them in the file",
    "--own-voice-db": "the loudness of the own voice",
    "--practice-tempo": "the tempo",
    "number of samples": "number of takes",
    "the prompt": "your tune",
    "The prompt": "Your tune",
}


def for_page(error: Exception) -> str:
    """Return an error message in the words of the page, which has no command-line options."""
    message = str(error)
    for words, ours in _PAGE_WORDS.items():
        message = message.replace(words, ours)
    return message[:1].upper() + message[1:]


def remarks_for_page(remarks: Iterable[str]) -> tuple[str, ...]:
    """Leave out that the only track of a file is its melody."""
    return tuple(remark for remark in remarks if "(the only one), as" not in remark)


def for_api(error: Exception) -> str:
    """Return an error message with the fields of the HTTP API in place of options."""
    return with_field_names(str(error))


def first_fault(error: ValidationError) -> str:
    """Say what is wrong with the first field that is."""
    fault = error.errors(include_url=False, include_input=False)[0]
    if isinstance(own := fault.get("ctx", {}).get("error"), InputError):
        return str(own)
    name = printable(".".join(map(str, fault["loc"])), 60)
    if fault["type"] == "extra_forbidden":
        return f"There is no field {name}. See {API_PREFIX}/docs."
    if fault["type"] == "missing":
        return f"The field {name} is missing. Give it."
    reason = printable(fault["msg"], 120)
    return f"The field {name} cannot be read: {reason[:1].lower()}{reason[1:]}. Give another value."


def shown_name(name: str) -> str:
    """Return a model's name on the page: of a folder, only its last part."""
    return Path(name).name if Path(name).is_dir() else name


def model_label(name: str, generator: MusicGenerator, say: Language = ENGLISH) -> str:
    """Return what a model writes, or its kind if it is not embedded, and its name."""
    kind = "Transformer" if generator.draws_tokens else "GAN" if generator.rewrites_melody else "network"
    music = f" for {generator.ensemble.key}s" if isinstance(generator, EnsembleGenerator) else ""
    own = f"{kind}{music}{' with styles' if generator.styles else ''}"
    return f"{say.filled(MODELS.get(name, own))} ({shown_name(name)})"
