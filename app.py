"""The page, where a Hugging Face Space looks for it.

python app.py                                    on this machine only, as `descant app` does, with the same options
GRADIO_SERVER_NAME=0.0.0.0 python app.py         for other machines too, as a Space runs it
"""

import sys

try:
    from descant_modeling.cli.app import app_command
except ModuleNotFoundError as error:
    print(f"error: This Python has no module {error.name}. Run `make app`, or see README.md.", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    import typer

    from descant_tokenizers.cli.main import run

    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(app_command)
    run(app)
