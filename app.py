"""The page, where a Hugging Face Space looks for it.

python app.py                                    on this machine only, as `descant app` does, with the same options
GRADIO_SERVER_NAME=0.0.0.0 python app.py         for other machines too, as a Space runs it
"""

from descant_modeling.cli.app import app_command

if __name__ == "__main__":
    import typer

    from descant_tokenizers.cli.main import run

    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(app_command)
    run(app)
