"""The one exception that stands for a user's mistake, and how foreign text gets into its message."""

from __future__ import annotations

__all__ = ["InputError", "printable"]


class InputError(ValueError):
    """Something a user can cause and a user can put right.

    The message is one sentence that names the file or value, says what is wrong with it and what to do. The command
    line prints it after `error: ` and exits with status 2; see `descant_tokenizers.cli.main.run`.
    """


def printable(text: str, max_length: int) -> str:
    """Make text from a file or a library fit for one line of a terminal.

    Args:
        text: Any text; a track's name may hold line breaks and escape sequences.
        max_length: Most characters to keep, an ellipsis included.

    Returns:
        The text on one line, runs of blanks and of unprintable characters turned to one blank, cut to `max_length`.
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= max_length else line[: max_length - 1].rstrip() + "…"
