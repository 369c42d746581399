"""Open the page; a Hugging Face Space runs this file.

python app.py                                    on this machine only, with the options of `descant app`
GRADIO_SERVER_NAME=0.0.0.0 python app.py         for other machines as well, as in a Space
"""

import sys

try:
    from descant_modeling.cli.app import app_command
    from descant_modeling.cli.examples import examples_of
except ModuleNotFoundError as error:
    print(f"error: This Python has no module {error.name}. Run `make app`, or see README.md.", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    import typer

    from descant_tokenizers.cli.main import HELP_OPTIONS, run

    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False, context_settings=HELP_OPTIONS)
    app.command(epilog=examples_of("app"))(app_command)
    run(app)
