"""The datatrove backend: build corpora larger than one machine with datatrove's executors (extra `scale`).

The pieces of a corpus are assigned to tasks in order. Each task writes the outcomes of its pieces to one file in the
work folder; when all tasks are done, the files are combined into the rows that a plain build writes. A finished task is
not repeated: after a failure, or when the jobs of a cluster have ended, the same command continues.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.executor.base import PipelineExecutor
from datatrove.pipeline.base import PipelineStep

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import atomic_write
from descant_tokenizers.corpora.build import BuildReport, open_corpus, write_rows
from descant_tokenizers.corpora.cache import pack_piece, piece_version, unpack_piece
from descant_tokenizers.corpora.files import FolderCorpus
from descant_tokenizers.corpora.reading import Parts
from descant_tokenizers.corpora.rows import Corpus, Reader
from descant_tokenizers.corpora.store import FileFormat, check_out, fresh_folder
from descant_tokenizers.corpora.workers import ReadOutcome, read_one

ExecutorName = Literal["local", "slurm", "ray"]
PIECES_PER_TASK = 1000
"""Default size of a task: minutes of work, so that little is lost when one fails."""
MAX_JOB_TIME = "04:00:00"
"""Default time limit of a Slurm job."""

KEYS_FILE, BUILD_FILE, SHARDS = "keys.jsonl", "build.json", "outcomes"


@dataclass(frozen=True)
class Cluster:
    """Executor and number of tasks.

    Attributes:
        executor: datatrove's Local, Slurm or Ray executor.
        workers: Tasks that run at a time; None for one per core locally and no limit on a cluster.
        tasks: Number of tasks; None for one per 1,000 pieces, and at least one per worker.
        partition: Slurm partition.
        time: Time limit of a Slurm job, `hours:minutes:seconds`; None for four hours.
    """

    executor: ExecutorName = "local"
    workers: int | None = None
    tasks: int | None = None
    partition: str | None = None
    time: str | None = None

    def __post_init__(self) -> None:
        for name, number in (("--num-proc", self.workers), ("--tasks", self.tasks)):
            if number is not None and number < 1:
                raise InputError(f"{name} is {number}. Give 1 or more.")
        if self.executor != "slurm" and (self.partition or self.time):
            raise InputError("--partition and --job-time are options of Slurm. Add --executor slurm, or omit them.")
        if self.executor == "slurm" and self.partition is None:
            raise InputError("Slurm needs a partition. Give --partition.")
        if self.executor == "slurm" and shutil.which("sbatch") is None:
            raise InputError("There is no sbatch on this machine. Run this where Slurm accepts jobs.")
        if self.executor == "ray" and importlib.util.find_spec("ray") is None:
            raise InputError("Ray is not installed. Run pip install ray.")


class ReadShare(PipelineStep):  # type: ignore[misc]
    """Pipeline step that reads one task's share of the pieces, whose keys are in the work folder."""

    name = "pieces"
    type = "Descant"

    def __init__(self, reader: Reader, work: Path, num_keys: int) -> None:
        super().__init__()
        self.reader, self.work, self.num_keys = reader, work, num_keys

    def run(self, data: object = None, rank: int = 0, world_size: int = 1) -> None:
        """Write the outcome of each piece of share `rank` of `world_size`, one line of JSON each."""
        first, end = (self.num_keys * number // world_size for number in (rank, rank + 1))
        with (
            (self.work / KEYS_FILE).open(encoding="utf-8") as lines,
            atomic_write(_shard(self.work, rank)) as temporary,
            temporary.open("w", encoding="utf-8") as shard,
        ):
            for line in itertools.islice(lines, first, end):
                outcome = read_one(self.reader, json.loads(line))
                self.stat_update("skipped" if outcome.piece is None else "read")
                shard.write(json.dumps(_pack(outcome)) + "\n")


def build(
    source: str,
    out: Path,
    cluster: Cluster,
    *,
    work: Path | None = None,
    force: bool = False,
    licence: str | None = None,
    parts: Parts = "auto",
    unfold: bool = True,
    file_format: FileFormat = "arrow",
    quiet: bool = False,
) -> BuildReport | None:
    """Build a corpus like `descant_tokenizers.corpora.build_dataset`, reading its pieces in the tasks of a cluster.

    The tasks write outcomes and logs to the folder `work`, which all machines must see; by default it lies beside
    `out`, and is removed when the dataset is written. With `quiet`, datatrove's log goes to that folder only, not to
    stderr.

    Returns:
        The outcome of every piece; None if jobs were submitted to Slurm: call again when they have ended.

    Raises:
        InputError: No piece can be used, a task failed, the work folder belongs to another build, or a folder cannot
            be written.
    """
    check_out(out, force=force)
    corpus = open_corpus(source, licence, parts, unfold=unfold)
    folder = (work or out.with_name(f"{out.name}.work")).resolve()  # Ray's workers have other working directories
    num_tasks = _prepare(folder, corpus, cluster)
    executor = _executor(cluster, [ReadShare(corpus.reader, folder, len(corpus.keys))], num_tasks, folder)
    if executor.get_incomplete_ranks():
        _run(executor, folder, quiet=quiet)
    if executor.get_incomplete_ranks():
        return None
    with fresh_folder(out) as fresh:
        report = write_rows(corpus, _outcomes(folder, num_tasks), fresh, file_format)
    if work is None:
        shutil.rmtree(folder)
    return report


def _prepare(folder: Path, corpus: Corpus, cluster: Cluster) -> int:
    """Make the work folder, or check that it belongs to this build; return the number of tasks."""
    identity = {"corpus": _identity(corpus), "reader": f"{corpus.reader.name}-{piece_version()}"}
    file = folder / BUILD_FILE
    try:
        if file.exists():
            found = json.loads(file.read_text("utf-8"))
            num_tasks = int(found.pop("tasks"))
            if found != identity or cluster.tasks not in (None, num_tasks):
                raise InputError(
                    f"{folder} belongs to another build (other files, another version, or {num_tasks} tasks). "
                    "Remove it, or give another --work."
                )
            return num_tasks
        workers = cluster.workers or (os.cpu_count() or 1 if cluster.executor == "local" else 1)
        num_tasks = cluster.tasks or max(workers, -(-len(corpus.keys) // PIECES_PER_TASK))
        (folder / SHARDS).mkdir(parents=True, exist_ok=True)
        with (folder / KEYS_FILE).open("w", encoding="utf-8") as keys:
            keys.writelines(json.dumps(key) + "\n" for key in corpus.keys)
        with atomic_write(file) as temporary:
            temporary.write_text(json.dumps(identity | {"tasks": num_tasks}), "utf-8")
    except OSError as error:
        raise InputError(f"Cannot use the work folder {folder} ({error.strerror}). Give another --work.") from error
    return num_tasks


def _identity(corpus: Corpus) -> str:
    if isinstance(corpus, FolderCorpus):
        return corpus.fingerprint()
    return hashlib.sha256("\n".join((corpus.name, *corpus.keys)).encode()).hexdigest()[:16]


def _executor(cluster: Cluster, pipeline: list[PipelineStep], num_tasks: int, folder: Path) -> PipelineExecutor:
    common: dict[str, Any] = {"pipeline": pipeline, "tasks": num_tasks, "logging_dir": str(folder)}
    if cluster.executor == "slurm":
        limits = {"partition": cluster.partition, "time": cluster.time or MAX_JOB_TIME, "job_name": "descant"}
        return SlurmPipelineExecutor(**common, **limits, workers=cluster.workers or -1, mail_type="NONE")
    if cluster.executor == "ray":
        return RayPipelineExecutor(**common, workers=cluster.workers or -1)
    return LocalPipelineExecutor(**common, workers=min(cluster.workers or os.cpu_count() or 1, num_tasks))


def _run(executor: PipelineExecutor, folder: Path, *, quiet: bool) -> None:
    stderr = os.dup(2)
    try:
        if quiet:  # also of the worker processes, which inherit it
            with (folder / "datatrove.log").open("ab") as log:
                os.dup2(log.fileno(), 2)
        executor.run()
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"A task failed ({type(error).__name__}: {error}), and its log is in {folder / 'logs'}. Fix the cause, and "
            "run the same command again."
        ) from error
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _shard(folder: Path, rank: int) -> Path:
    return folder / SHARDS / f"{rank:05d}.jsonl"


def _outcomes(folder: Path, num_tasks: int) -> Iterator[ReadOutcome]:
    """Yield the outcome of every piece, in order."""
    for rank in range(num_tasks):
        with _shard(folder, rank).open(encoding="utf-8") as lines:
            yield from map(_unpack, map(json.loads, lines))


def _pack(outcome: ReadOutcome) -> dict[str, Any]:
    fields = {name: getattr(outcome, name) for name in ("key", "reason", "is_cached")}
    return fields | {"piece": outcome.piece and pack_piece(outcome.piece)}


def _unpack(fields: dict[str, Any]) -> ReadOutcome:
    return ReadOutcome(**{**fields, "piece": fields["piece"] and unpack_piece(fields["piece"])})
