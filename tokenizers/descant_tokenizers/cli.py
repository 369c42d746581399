"""Commands about corpora and tokens, and the one place where a user's mistake becomes an exit status.

Heavy libraries (datasets, music21, miditok) are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import sys

import typer

from descant_tokenizers.errors import InputError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it

dataset_app = typer.Typer(
    name="dataset",
    help="Build and inspect corpora as Hugging Face datasets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
tokenizer_app = typer.Typer(
    name="tokenizer",
    help="Look at music as the model sees it: tokens.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@dataset_app.callback()
def _dataset() -> None:
    """Keep `dataset` a group of commands, however few it holds."""


@tokenizer_app.callback()
def _tokenizer() -> None:
    """Keep `tokenizer` a group of commands, however few it holds."""


def run(app: typer.Typer) -> None:
    """Run a typer app as a program: bad input is one sentence on stderr, never a traceback.

    Args:
        app: The application; its arguments are read from `sys.argv`.

    Raises:
        SystemExit: Always. Status 0 after success, 2 after bad input (`InputError` or wrong usage), 130 after Ctrl-C.
    """
    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:  # typer turns most of these into the same status itself
        sys.exit(EXIT_INTERRUPTED)
