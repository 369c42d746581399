"""The commands `descant dataset` and `descant tokenizer`, and the exit status of every command.

Heavy libraries (datasets, music21, miditok) are imported inside the commands, so that `--help` is fast.
"""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.exceptions import TyperException

from descant_tokenizers.cli.compare import compare_command, inspect_command, listing
from descant_tokenizers.cli.examples import examples_of
from descant_tokenizers.cli.options import (
    FILES,
    MACHINES,
    OWN_FILES,
    RUN,
    TOKENIZER,
    FormatOption,
    JsonOption,
    ModelOption,
    NoRepeatsOption,
    NoSummaryOption,
    NumProcOption,
    PresetOption,
    PrivateOption,
    QuietOption,
    ReplaceOption,
    RepoArgument,
    SourceArgument,
    UpdateOption,
)
from descant_tokenizers.cli.train import train_tokenizer_command
from descant_tokenizers.cli.usage import usage_sentence
from descant_tokenizers.common.errors import InputError, missing_extra, printable
from descant_tokenizers.common.files import check_output
from descant_tokenizers.corpora import reading_bar, silence_datasets

if TYPE_CHECKING:
    from descant_tokenizers.common.hub import Pushed
    from descant_tokenizers.corpora.build import BuildReport
    from descant_tokenizers.pianoroll.melodies import MelodyReport
    from descant_tokenizers.pianoroll.windows import RollReport

EXIT_BAD_INPUT = 2
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
"""Settings of a command line, which its sub-commands inherit."""
MAX_NAME = 120
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
DISK_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Free some space."),
    errno.EROFS: "Choose another place.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}
"""Errors of a disk that can occur wherever something is written, and what to do."""

dataset_app = typer.Typer(
    name="dataset",
    help="Build and inspect corpora as Hugging Face datasets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
tokenizer_app = typer.Typer(
    name="tokenizer",
    help="Inspect, compare, train and push tokenizers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


TASK_OPTIONS = ("--executor", "--tasks", "--work", "--partition", "--job-time")


def _given(context: typer.Context, *options: str) -> list[str]:
    """Return those of the options that are on the command line."""
    sources = {option: context.get_parameter_source(option[2:].replace("-", "_")) for option in options}
    return [option for option, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


@dataset_app.command("build", epilog=examples_of("dataset build"))
def build_command(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="A corpus (chorales, palestrina, quartets, monteverdi, folk, essen; for GANs chorales-rolls, "
            "chorales-rolls-64, melody-bars), or a folder of score files."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write the dataset to.", rich_help_panel=FILES)],
    file_format: FormatOption = "arrow",
    parts: Annotated[
        Literal["auto", "all", "song", "quartet"],
        typer.Option(
            help="The four voices where a file has them; every track of every file; or only songs (voice and piano) or "
            "string quartets, split by work.",
            rich_help_panel=OWN_FILES,
        ),
    ] = "auto",
    licence: Annotated[
        str | None, typer.Option(help="Their licence, for the column `licence`.", rich_help_panel=OWN_FILES)
    ] = None,
    no_repeats: NoRepeatsOption = False,
    engine: Annotated[
        Literal["plain", "datatrove"],
        typer.Option(
            help="Worker processes on this machine, or datatrove's tasks (extra `scale`).", rich_help_panel=MACHINES
        ),
    ] = "plain",
    executor: Annotated[
        Literal["local", "slurm", "ray"],
        typer.Option(help="Executor of datatrove's tasks.", rich_help_panel=MACHINES),
    ] = "local",
    tasks: Annotated[
        int | None, typer.Option(help="Number of tasks; default: one per 1,000 files.", rich_help_panel=MACHINES)
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="Folder shared by the tasks; default: beside --out.", rich_help_panel=MACHINES),
    ] = None,
    partition: Annotated[str | None, typer.Option(help="Slurm partition.", rich_help_panel=MACHINES)] = None,
    job_time: Annotated[
        str | None, typer.Option(help="Time limit of a Slurm job; default: 04:00:00.", rich_help_panel=MACHINES)
    ] = None,
    num_proc: NumProcOption = None,
    force: ReplaceOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build a corpus as a Hugging Face dataset: one row per piece, the music as MIDI bytes."""
    from descant_tokenizers.corpora import build_dataset
    from descant_tokenizers.pianoroll.stored import SOURCES as GAN_CORPORA

    shared: dict[str, Any] = {"force": force, "file_format": file_format}
    if source in GAN_CORPORA:
        if useless := _given(context, "--parts", "--licence", "--no-repeats", "--engine", *TASK_OPTIONS):
            raise InputError(f"The corpus {source} takes no {', '.join(useless)}. Omit what it does not take.")
        _build_for_gans(source, out, quiet=quiet, as_json=as_json, num_proc=num_proc, **shared)
        return
    start, common = time.monotonic(), {"licence": licence, "parts": parts, "unfold": not no_repeats, **shared}
    if engine == "datatrove":
        from descant_tokenizers.corpora import datatrove as backend

        cluster = backend.Cluster(executor, num_proc, tasks, partition, job_time)
        done = backend.build(source, out, cluster, work=work, quiet=quiet or as_json, **common)
        if done is None:
            typer.echo(f"The tasks were submitted to Slurm. When they end, run this again to write {out}.", err=True)
            return
        report = done
    elif useless := _given(context, *TASK_OPTIONS):
        raise InputError(f"The plain build takes no {', '.join(useless)}. Add --engine datatrove.")
    else:
        with reading_bar(source, quiet=quiet) as progress:
            report = build_dataset(source, out, num_proc=num_proc, progress=progress, **common)
    if as_json:
        typer.echo(json.dumps({"out": str(out), "num_rows": report.num_rows, **asdict(report)}, ensure_ascii=False))
    elif not quiet:
        typer.echo(summary(report, out, time.monotonic() - start))


@dataset_app.command("stats", epilog=examples_of("dataset stats"))
def stats_command(
    source: SourceArgument,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            "--tokenizer",
            help="Preset or folder of a tokenizer; default: satb or gm, as fits.",
            rich_help_panel=TOKENIZER,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Also draw it to this image file (.png, .svg, .pdf).", rich_help_panel=FILES),
    ] = None,
    num_proc: NumProcOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file at --plot.", rich_help_panel=FILES)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.", rich_help_panel=RUN)] = False,
    as_json: JsonOption = False,
) -> None:
    """Show statistics of a corpus by split: pieces, notes, ranges, keys, meters, lengths, tokens and licences."""
    check_output(plot, "--plot", (".png", ".svg", ".pdf"), force=force)
    from rich.console import Console

    from descant_tokenizers.cli.stats import corpus_stats, draw, table

    silence_datasets(quiet=quiet or as_json)
    with reading_bar(source, quiet=quiet) as progress:
        stats, tokenizer = corpus_stats(source, preset, num_proc=num_proc, progress=progress)
    if plot is not None:
        draw(stats, plot, source, tokenizer)
    if as_json:
        splits = {name: split.to_json() for name, split in stats.items()}
        typer.echo(json.dumps({"tokenizer": tokenizer, "splits": splits}, ensure_ascii=False))
    else:
        Console(highlight=False).print(table(stats, source, tokenizer))
        if plot is not None:
            typer.echo(f"Wrote {plot}")


@dataset_app.command("tokenize", epilog=examples_of("dataset tokenize"))
def tokenize_command(
    source: SourceArgument,
    out: Annotated[Path, typer.Option(help="Folder to write the tokenized dataset to.", rich_help_panel=FILES)],
    preset: PresetOption = "satb",
    model: ModelOption = None,
    num_proc: NumProcOption = None,
    file_format: FormatOption = "arrow",
    force: ReplaceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Add token columns to a corpus, a dataset or a folder of score files, and save the tokenizer there."""
    from descant_tokenizers.corpora import load_corpus
    from descant_tokenizers.corpora.build import is_score_folder
    from descant_tokenizers.corpora.files import FolderCorpus
    from descant_tokenizers.tokens.dataset import tokenize_dataset, tokenize_files, write_tokenized
    from descant_tokenizers.tokens.kinds import parts_of
    from descant_tokenizers.tokens.presets import open_tokenizer
    from descant_tokenizers.tokens.vocabulary import Vocabulary

    silence_datasets(quiet=quiet)
    tokenizer = open_tokenizer(model or preset)
    if is_score_folder(source):
        start = time.monotonic()
        files = FolderCorpus.of(Path(source), parts=parts_of(Vocabulary(tokenizer)))
        with reading_bar(source, quiet=quiet) as progress:
            report = tokenize_files(
                files, tokenizer, out, num_proc=num_proc, force=force, file_format=file_format, progress=progress
            )
        if not quiet:
            typer.echo(summary(report, out, time.monotonic() - start))
        return
    with reading_bar(source, quiet=quiet) as progress:
        corpus = load_corpus(source, num_proc=num_proc, progress=progress)
    tokenized, refused = tokenize_dataset(corpus, tokenizer, num_proc or os.cpu_count())
    write_tokenized(tokenized, refused, tokenizer, out, file_format, force=force)
    if not quiet:
        counts = ", ".join(f"{len(rows)} {name}" for name, rows in tokenized.items())
        typer.echo(f"{out}: {counts} pieces in {len(tokenizer)} tokens of vocabulary; {len(refused)} refused")
        for piece, reason in refused.items():
            typer.echo(f"  {piece}: {reason}")


@dataset_app.command("push", epilog=examples_of("dataset push"))
def push_dataset_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a built dataset.")],
    repo_id: RepoArgument,
    private: PrivateOption = False,
    update: UpdateOption = False,
    quiet: NoSummaryOption = False,
) -> None:
    """Push a dataset to the Hugging Face Hub, as Parquet with a card."""
    from descant_tokenizers.corpora.store import push_dataset

    _report_push(push_dataset(folder, repo_id, private=private, update=update), quiet)


@tokenizer_app.command("push", epilog=examples_of("tokenizer push"))
def push_tokenizer_command(
    folder: Annotated[Path, typer.Argument(help="Folder with a tokenizer.json of miditok.")],
    repo_id: RepoArgument,
    private: PrivateOption = False,
    update: UpdateOption = False,
    quiet: NoSummaryOption = False,
) -> None:
    """Push a tokenizer to the Hugging Face Hub."""
    from descant_tokenizers.tokens.presets import push_tokenizer

    _report_push(push_tokenizer(folder, repo_id, private=private, update=update), quiet)


def _report_push(pushed: Pushed, quiet: bool) -> None:
    if not quiet:
        typer.echo(f"{pushed.url} has {len(pushed.files)} files, revision {pushed.revision}")


tokenizer_app.command("inspect", epilog=examples_of("tokenizer inspect"))(inspect_command)
tokenizer_app.command("compare", epilog=examples_of("tokenizer compare"))(compare_command)
tokenizer_app.command("train", epilog=examples_of("tokenizer train"))(train_tokenizer_command)


def summary(report: BuildReport, out: Path, seconds: float) -> str:
    """Summarize a build in a few lines, without a final line break."""
    lines = [f"{report.corpus}: {report.num_rows} pieces from {report.num_files} files in {seconds:.1f} s"]
    if report.num_found > report.num_files:
        lines.append(f"  {report.num_found} pieces found, counting each tune of a tune book")
    if report.num_cached:
        lines.append(f"  {report.num_cached} of them from the cache")
    lines.append(f"  {'split':<10}{'pieces':>8}{'of four parts':>16}")
    lines += [f"  {split:<10}{count:>8}{report.four_part[split]:>16}" for split, count in report.splits.items()]
    for what, entries in {
        "skipped": list(report.skipped.values()),
        "left out, equal to another": [f"{name} has the notes of {kept}" for name, kept in report.duplicates.items()],
        "repaired": [f"{name}: {'; '.join(remarks)}" for name, remarks in report.remarks.items()],
    }.items():
        lines += (f"  {line}" for line in listing(what, len(entries), entries, most=8))
    lines.append(f"Wrote {out} ({out / 'report.json'} has the details)")
    return "\n".join(lines)


def run(app: typer.Typer) -> None:
    """Run a typer app on `sys.argv`; bad input and wrong usage are one line on stderr, never a traceback.

    Raises:
        SystemExit: Always. Status 0 after success, 2 after bad input (`InputError`, wrong usage, full disk), 130 after
            Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # the bytes of a file name that is not UTF-8 are printed
    try:
        name = app.info.name if isinstance(app.info.name, str) else None  # a script has the name of its file
        ended = app(standalone_mode=False, prog_name=name)
        sys.exit(ended if isinstance(ended, int) else 0)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except TyperException as error:
        if sentence := usage_sentence(error):
            print(f"error: {sentence}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except typer.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except ModuleNotFoundError as error:
        print(f"error: {missing_extra(error)}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:
        if error.errno not in DISK_REMEDIES:
            raise  # a bug
        where, reason = printable(str(error.filename or "a file"), MAX_NAME), os.strerror(error.errno).lower()
        print(f"error: Cannot write {where} ({reason}). {DISK_REMEDIES[error.errno]}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:  # typer turns most of these into the same status
        sys.exit(EXIT_INTERRUPTED)


def _build_for_gans(corpus: str, out: Path, *, quiet: bool, as_json: bool, **options: Any) -> None:
    from descant_tokenizers.pianoroll.stored import SOURCES, build_corpus

    with reading_bar(", ".join(SOURCES[corpus]), quiet=quiet or as_json) as progress:
        _, report = build_corpus(corpus, out, progress=progress, **options)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **asdict(report)}))
    elif not quiet:
        typer.echo(f"{out}: {_gan_summary(report, corpus)}")


def _gan_summary(report: RollReport | MelodyReport, corpus: str) -> str:
    from descant_tokenizers.pianoroll.windows import ROLL_CORPORA, RollReport

    if isinstance(report, RollReport):
        return (
            f"windows of {ROLL_CORPORA[corpus]} bars: {_counts(report.splits)}; {report.second_windows} of train "
            f"are further windows of a chorale\n{report.merged} of {report.num_notes} notes merge with the same pitch "
            f"before them, and {report.off_grid} are not on sixteenths"
        )
    splits = "; ".join(f"{split} {_counts(counts)}" for split, counts in report.splits.items())
    inside = ", ".join(f"{share:.0%} in {corpus}" for corpus, share in report.in_chord.items())
    return (
        f"bars of melody: {splits}\n{report.filled:.1%} of their sixteenths were rests, and the pitch belongs to the "
        f"bar's chord at {inside}"
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
