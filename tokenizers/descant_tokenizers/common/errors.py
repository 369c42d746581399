"""The exception for user errors, and printable text for its messages."""

from __future__ import annotations

import re

_NOT_UTF8 = re.compile("[\ud800-\udfff]")  # Python's stand-ins for bytes that are not UTF-8
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # a terminal obeys them, and names of files may hold them
_OPTION = re.compile(r"--([a-z][a-z-]*)")

EXTRAS = {
    **dict.fromkeys(("accelerate", "datasets", "pyarrow", "tensorboard", "torch", "transformers"), "train"),
    **dict.fromkeys(("fastapi", "fastapi_offline", "gradio", "uvicorn"), "app"),
    "cairosvg": "pdf",
    "datatrove": "scale",
}
"""Libraries that a plain installation lacks, and the extra of this package that brings each."""


class InputError(ValueError):
    """An error that a user caused and can correct.

    The message has two sentences, `<What is wrong>. <What to do>.`: the first one names the file or value, the second
    one gives the remedy ("song.mid holds no notes. Choose a file with music in it."). Each begins with a capital
    letter unless its first word is the name of a file or an option. The command line prints the message after
    `error: ` and exits with status 2; see `descant_tokenizers.cli.main.run`.
    """

    def __init__(self, message: str) -> None:
        """Make an error of one line; characters that cannot be shown, as in odd file names, are replaced."""
        super().__init__(_CONTROL.sub("\ufffd", shown(message)))

    @property
    def problem(self) -> str:
        """The first sentence without its period, for callers that know a better remedy."""
        return re.split(r"\. (?=[A-Z])(?![^(]*\))|\.$", str(self), maxsplit=1)[0]  # not inside parentheses


def shown(text: str) -> str:
    """Return text that can be encoded: bytes of a file name that are not UTF-8 become replacement characters."""
    return _NOT_UTF8.sub("\ufffd", text)


def printable(text: str, max_length: int) -> str:
    """Fit text to one line of a terminal, at most `max_length` characters long; an ellipsis marks a cut.

    Each run of whitespace and unprintable characters becomes one space.
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in shown(text)).split())
    return line if len(line) <= max_length else line[: max_length - 1].rstrip() + "…"


def with_field_names(message: str) -> str:
    """Return a message for callers from Python or over HTTP: `best_of` in place of the option `--best-of`."""
    return _OPTION.sub(lambda match: match[1].replace("-", "_"), message)


class MissingExtraError(InputError):
    """A library is not installed that an extra of this package brings."""


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError:
    """Return the user error for a failed import of a library in `EXTRAS`; raise `error` for any other library."""
    module = (error.name or "").partition(".")[0]
    if module not in EXTRAS:
        raise error
    return MissingExtraError(f"This needs {module}. Run pip install -c constraints.txt -e '.[{EXTRAS[module]}]'.")
