"""The one exception that stands for a user's mistake."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """Something a user can cause and a user can put right.

    The message is one sentence that names the file or value, says what is wrong with it and what to do. The command
    line prints it after `error: ` and exits with status 2; see `descant_tokenizers.cli.run`.
    """
