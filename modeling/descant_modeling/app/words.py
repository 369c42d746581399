"""Messages of the command line, in the words of the page and in those of the HTTP API."""

from __future__ import annotations

import re

__all__ = ["for_api", "for_page"]

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
    "--own-voice-db": "the loudness of the own voice",
    "--practice-tempo": "the tempo",
    "number of samples": "number of takes",
    "the prompt": "your tune",
    "The prompt": "Your tune",
}
_OPTION = re.compile(r"--([a-z][a-z-]*)")


def for_page(error: Exception) -> str:
    """Return an error message in the words of the page, which has no command-line options."""
    message = str(error)
    for words, ours in _PAGE_WORDS.items():
        message = message.replace(words, ours)
    return message[:1].upper() + message[1:]


def for_api(error: Exception) -> str:
    """Return an error message with the fields of the HTTP API in place of options."""
    return _OPTION.sub(lambda match: match[1].replace("-", "_"), str(error))
