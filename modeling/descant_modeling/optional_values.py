"""Options whose value may be left out, which typer does not know."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

__all__ = ["GenerateCommand"]


class GenerateCommand(TyperCommand):
    """A command whose `--chords` stands alone or before a value: alone, its value is the empty string."""

    optional_values = ("--chords",)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put an empty value behind each of those options that stands alone."""
        filled: list[str] = []
        for word, following in zip(args, [*args, "--"][1:], strict=True):
            filled.append(word)
            if word in self.optional_values and following.startswith("-"):
                filled.append("")
        return super().parse_args(ctx, filled)
