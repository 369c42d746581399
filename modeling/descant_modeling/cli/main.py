"""The `descant` command: its sub-commands, of which `train`, `push` and `export` are defined here.

Heavy libraries (torch, transformers, datasets) are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from descant_modeling import __version__
from descant_modeling.cli.app import app_command
from descant_modeling.cli.check import check_command
from descant_modeling.cli.doctor import doctor_command
from descant_modeling.cli.evaluate import evaluate_app
from descant_modeling.cli.examples import examples_of
from descant_modeling.cli.generate import generate_command
from descant_modeling.cli.options import Device, GenerateCommand
from descant_modeling.cli.serve import serve_command
from descant_tokenizers.cli.main import HELP_OPTIONS, dataset_app, run, tokenizer_app
from descant_tokenizers.cli.render import render_command
from descant_tokenizers.common.files import atomic_write, check_output

# Read when torch is imported: its threads sleep while they wait, and leave the cores to other programs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def train_command(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Values of the configuration to override: key=value, such as optimizer.learning_rate=3e-4."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of the run; default: that of the published model.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Run folder to resume, with its own configuration.")] = None,
    device: Device = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads per process. Default: its share of the cores.")
    ] = None,
    push_to_hub: Annotated[
        str | None, typer.Option(help="Push the best checkpoint to this Hub repository (user/name) at the end.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.")] = False,
) -> None:
    """Train a model from a configuration file. The run folder gets its logs and its last and best checkpoints."""
    from descant_tokenizers.common.hub import check_push
    from descant_tokenizers.corpora.cache import cache_dir

    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_dir() / "compiled"))  # read by the imports below
    from descant_modeling.objectives import prepare_run
    from descant_modeling.training.run import RunOptions

    if push_to_hub is not None:
        check_push(push_to_hub, update=True)
    trainer = prepare_run(config, RunOptions(tuple(overrides or ()), resume, device, threads, quiet))
    try:
        progress = trainer.train()
    finally:
        trainer.log.close()
    trainer.accelerator.end_training()  # a process group that is left to the interpreter's exit can abort there
    if not trainer.accelerator.is_main_process:
        return
    if not quiet:
        typer.echo(f"{trainer.summary()}\ntry it: {trainer.task.first_command(trainer.folder)}")
    (trainer.folder / "summary.json").write_text(json.dumps(vars(progress), indent=1) + "\n", encoding="utf-8")
    if push_to_hub is not None:
        from descant_modeling.models.publishing import push_checkpoint

        pushed = push_checkpoint(str(trainer.folder), push_to_hub, update=True)
        typer.echo(f"pushed: {pushed.url}, revision {pushed.revision}")


def push_command(
    checkpoint: Annotated[str, typer.Argument(help="Checkpoint folder, run folder or embedded model.")],
    repo_id: Annotated[str, typer.Argument(help="Hub repository: user/name.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Add a version to an existing repository.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print neither progress nor summary.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of the summary.")] = False,
) -> None:
    """Push a checkpoint to the Hugging Face Hub: stock model, stock tokenizer and model card."""
    from descant_modeling.common.console import quiet_libraries
    from descant_modeling.models.checkpoints import find_checkpoint
    from descant_modeling.models.publishing import push_checkpoint

    with quiet_libraries():
        found = find_checkpoint(checkpoint)
        pushed = push_checkpoint(found, repo_id, private=private, update=update)
    if as_json:
        typer.echo(json.dumps(asdict(pushed)))
    elif not quiet:
        prompt = "" if found.is_unconditional else "--prompt melody.mid "
        typer.echo(
            f"{pushed.url} has {len(pushed.files)} files, revision {pushed.revision}\n"
            f"use it: python generate.py {prompt}--model {repo_id}@{pushed.revision}"
        )


def export_command(
    model: Annotated[str, typer.Argument(help="Checkpoint folder, run folder, embedded model or Hub id.")],
    onnx: Annotated[Path, typer.Option("--onnx", help="File to write; its name ends in .onnx.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no summary.")] = False,
) -> None:
    """Write a causal model as the ONNX graph that generation runs, for other programs."""
    from descant_modeling.decoding.engine.graph import build_graph, read_stack
    from descant_modeling.models.checkpoints import load_checkpoint, not_loaded

    check_output(onnx, "--onnx", [".onnx"], force=force)
    checkpoint = load_checkpoint(model)
    try:
        graph = build_graph(read_stack(checkpoint.config), checkpoint.read_weights())
    except (ValueError, KeyError) as error:
        raise not_loaded(checkpoint.folder, error) from None
    with atomic_write(onnx) as temporary:
        temporary.write_bytes(graph.SerializeToString())
    if not quiet:
        typer.echo(f"Wrote {onnx} ({onnx.stat().st_size / 1e6:.1f} MB): {', '.join(i.name for i in graph.graph.input)}")


_MUSIC, _MODELS, _DATA, _HELP = "Music", "Models", "Data and tokens", "Help"

app = typer.Typer(
    name="descant",
    help="A melody in, a chorale out: tokenize, train and generate symbolic music.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
)
app.add_typer(dataset_app, rich_help_panel=_DATA)
app.add_typer(tokenizer_app, rich_help_panel=_DATA)
app.add_typer(evaluate_app, rich_help_panel=_MODELS)


def _add(name: str, command: Callable[..., None], panel: str, cls: type[TyperCommand] | None = None) -> None:
    """Add a command under a heading of the help, with its examples."""
    app.command(name, cls=cls, rich_help_panel=panel, epilog=examples_of(name))(command)


_add("generate", generate_command, _MUSIC, GenerateCommand)
_add("check", check_command, _MUSIC)
_add("render", render_command, _MUSIC)
_add("app", app_command, _MUSIC)
_add("serve", serve_command, _MUSIC)
_add("train", train_command, _MODELS)
_add("push", push_command, _MODELS)
_add("export", export_command, _MODELS)
_add("doctor", doctor_command, _HELP)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"descant {__version__}")
        raise typer.Exit


@app.callback()
def _descant(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Options before any sub-command."""


def main() -> None:
    """Run the `descant` console script."""
    run(app)


if __name__ == "__main__":
    main()
