"""Train one small model on chorales in other tokens, or in another order of the tokens, and compare likelihoods.

    python benchmarks/token_orders.py --list                     list the rows
    python benchmarks/token_orders.py remi tsd --out /tmp/tries   train some of them, 600 steps each
    python benchmarks/token_orders.py remi --max-steps 40         check quickly that a row runs

Every row is trained on whole pieces only (no other task), with the stock model, optimizer and transpositions of
configs/chorales.yaml, and scored on the four-part pieces of valid in nats per voice-16th, which do not depend on the
tokens. A row that is finished in `--out` is not trained again. Compare rows of one run only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from descant_modeling.models.likelihood import VOICE_16TH, Likelihood, PieceScore, Unit, piece_16ths, score_streams
from descant_modeling.models.transformer import build_model
from descant_modeling.training.causal import CausalTask, begin_causal_run
from descant_modeling.training.config import RunConfig
from descant_modeling.training.data import load_data
from descant_modeling.training.examples import BatchSource
from descant_modeling.training.log import git_revision, run_header
from descant_modeling.training.run import PreparedRun, RunOptions, open_run, start_run
from descant_tokenizers.common.files import write_json
from descant_tokenizers.comparison.schemes import MiditokScheme
from descant_tokenizers.tokens.kinds import FOUR_PART
from descant_tokenizers.tokens.piece import Piece, piece_ids, survey_pitches
from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.tasks import Encoded, Task, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

PAD, BOS, EOS = 0, 1, 2
Encoder = Callable[[Piece], list[int]]


@dataclass(frozen=True)
class Row:
    """One way of encoding chorales.

    Attributes:
        about: One line for the table.
        preset: Tokenizer preset with the order of the voices.
        make_encoder: Returns a function that encodes a piece, and the vocabulary size, from the preset's layout; ids 0,
            1 and 2 are PAD, BOS and EOS.
        is_metrical: True if positions count time in the music instead of tokens.
    """

    about: str
    preset: str
    make_encoder: Callable[[TaskLayout], tuple[Encoder, int]]
    is_metrical: bool = False


def remi(layout: TaskLayout) -> tuple[Encoder, int]:
    """Encode with the preset itself."""
    return lambda piece: layout.encode(piece, Task.CONTINUE, piece.voices).ids, layout.vocabulary.size


def scheme(name: str) -> Callable[[TaskLayout], tuple[Encoder, int]]:
    """Encode with one of miditok's other schemes, on the same grid."""

    def make(layout: TaskLayout) -> tuple[Encoder, int]:
        vocabulary, other = layout.vocabulary, MiditokScheme(name, FOUR_PART)

        def write(piece: Piece) -> list[int]:
            tokens = other.encode(vocabulary.tokenizer.decode(piece_ids(vocabulary, piece)))
            found = sum(track.note_num() for track in other.decode(tokens).tracks)
            assert found == piece.num_notes, f"{name} loses {piece.num_notes - found} notes"
            return [BOS, *tokens.sequence.ids, EOS]

        return write, other.vocabulary_sizes[0]

    return make


def reordered(order: Callable[[Vocabulary, list[int]], list[int]]) -> Callable[[TaskLayout], tuple[Encoder, int]]:
    """Encode with REMI, but the tokens of each bar in another order, from which the bar can be decoded."""

    def make(layout: TaskLayout) -> tuple[Encoder, int]:
        vocabulary = layout.vocabulary

        def write(piece: Piece) -> list[int]:
            bars = (order(vocabulary, bar) for bar in bars_of(vocabulary, piece_ids(vocabulary, piece)))
            return [*layout.prefix(Task.CONTINUE, piece.voices), *(i for bar in bars for i in bar), EOS]

        return write, vocabulary.size

    return make


def bars_of(vocabulary: Vocabulary, ids: Sequence[int]) -> Iterator[list[int]]:
    """Cut a stream before every bar line."""
    starts = [index for index, i in enumerate(ids) if i == vocabulary.bar_id]
    for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        yield list(ids[start:end])


def duration_first(vocabulary: Vocabulary, bar: list[int]) -> list[int]:
    """Order each note as `Program Duration Pitch`."""
    ids = list(bar)
    for index, i in enumerate(bar):
        if vocabulary.types[i] == "Pitch":
            ids[index], ids[index + 1] = bar[index + 1], i
    return ids


def onset_rhythm_first(vocabulary: Vocabulary, bar: list[int]) -> list[int]:
    """Put the programs and durations of each onset first, then its pitches in the same order."""
    ids: list[int] = []
    waiting: list[int] = []
    for i in bar:
        if vocabulary.types[i] == "Position":
            ids, waiting = ids + waiting, []
        (waiting if vocabulary.types[i] == "Pitch" else ids).append(i)
    return ids + waiting


def bar_rhythm_first(vocabulary: Vocabulary, bar: list[int]) -> list[int]:
    """Put the rhythm of all voices in the bar first, then its pitches in the same order."""
    return [i for i in bar if vocabulary.types[i] != "Pitch"] + [i for i in bar if vocabulary.types[i] == "Pitch"]


ROWS: Mapping[str, Row] = {
    "remi": Row("REMI, soprano alto tenor bass", "satb", remi),
    "sbat": Row("REMI, soprano bass alto tenor", "sbat", remi),
    "tsd": Row("TSD", "satb", scheme("tsd")),
    "midilike": Row("MIDI-Like", "satb", scheme("midilike")),
    "duration-first": Row("REMI, length of a note before its pitch", "satb", reordered(duration_first)),
    "onset-rhythm-first": Row("REMI, lengths of an onset before its pitches", "satb", reordered(onset_rhythm_first)),
    "bar-rhythm-first": Row("REMI, rhythm of a bar before its pitches", "satb", reordered(bar_rhythm_first)),
    "metrical": Row("REMI, positions that count the music's time", "satb", remi, is_metrical=True),
}


class MusicTime:
    """Position ids that count the music's time: four to a 16th, with the tokens of one moment a quarter apart.

    A position token is read as in x/4, where it counts the grid of a quarter; few chorales are in another meter.

    Args:
        vocabulary: A vocabulary, for the lengths of bars and positions.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._is_bar = torch.arange(vocabulary.size) == vocabulary.bar_id
        self._is_moment = self._is_bar.clone()
        self._bar_16ths, self._offset_16ths = torch.zeros(vocabulary.size), torch.zeros(vocabulary.size)
        ticks_per_16th = vocabulary.ticks_per_quarter / 4
        quarter = next(meter for meter in vocabulary.meter_of.values() if meter.denominator == 4)
        for i, meter in vocabulary.meter_of.items():
            self._bar_16ths[i] = meter.bar_ticks / ticks_per_16th
        for i, position in vocabulary.position_of.items():
            self._offset_16ths[i], self._is_moment[i] = position * quarter.position_ticks / ticks_per_16th, True

    def __call__(self, ids_BT: torch.Tensor) -> torch.Tensor:
        """Return the position of every token, (B, T)."""
        # A bar begins where the lengths of those before it end; its own length follows one token later.
        ends_BT = self._bar_16ths[ids_BT].cumsum(1)
        bars_BT = torch.where(self._is_bar[ids_BT], ends_BT, 0.0).cummax(1).values
        index_BT = torch.arange(ids_BT.shape[1]).expand_as(ids_BT)
        since_BT = torch.where(self._is_moment[ids_BT], index_BT, 0).cummax(1).values
        offsets_BT = self._offset_16ths[ids_BT.gather(1, since_BT)]
        return 4 * (bars_BT + offsets_BT) + 0.25 * (index_BT - since_BT).clamp(max=15)

    def give(self, module: torch.nn.Module, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Add the position ids to the arguments of a model: a hook before its forward pass."""
        return arguments, {**named, "position_ids": self(named["input_ids"])}


class Streams(BatchSource):
    """Whole pieces, each in one transposition per epoch."""

    def __init__(self, pieces: Sequence[Piece], shifts: Sequence[range], write: Encoder, seed: int) -> None:
        super().__init__(len(pieces), seed, PAD)
        self._pieces, self._shifts, self._write = pieces, shifts, write
        self._known: dict[tuple[int, int], list[int]] = {}

    def example(self, index: int, epoch: int) -> Encoded:
        """Return piece `index` in the transposition of an epoch."""
        shift = int(np.random.default_rng((self.seed, epoch, index)).choice(self._shifts[index]))
        if (index, shift) not in self._known:
            self._known[index, shift] = self._write(self._pieces[index].transpose(shift))
        return whole(self._known[index, shift])


def whole(ids: list[int]) -> Encoded:
    """Count all tokens but the first; a prefix with the same four voices costs nothing once learned."""
    return Encoded(ids, [False] + [True] * (len(ids) - 1))


@dataclass(frozen=True)
class StreamRepresentation:
    """Validation chorales in a row's tokens; its checkpoints hold the progress of the run only."""

    valid: list[Encoded]
    pieces: Sequence[Piece]
    ticks_per_quarter: int
    unit: Unit = VOICE_16TH

    def score_valid(self, model: PreTrainedModel) -> Likelihood:
        """Score whole pieces."""
        nats = score_streams(model, self.valid, pad=PAD)
        scores = [
            PieceScore("", piece_nats, 4 * piece_16ths(piece, self.ticks_per_quarter), piece.num_notes)
            for piece, piece_nats in zip(self.pieces, nats, strict=True)
        ]
        return Likelihood(self.unit, model.config.max_position_embeddings, scores)

    def write_checkpoint(self, folder: Path, model: PreTrainedModel, training: dict[str, Any]) -> None:
        """Write the progress of the run."""
        (folder / "training.json").write_text(json.dumps(training), encoding="utf-8")

    def first_command(self, folder: Path) -> str:
        """Return an empty string, since no command loads these checkpoints."""
        return ""


def train(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train one row and return its figures."""
    row = ROWS[name]
    layout = TaskLayout(Vocabulary(build_tokenizer(row.preset)))
    write, size = row.make_encoder(layout)
    values = {
        "name": name,
        "out_dir": str(options.out),
        "max_steps": options.max_steps,
        "eval_every": options.max_steps,
        "save_every": options.max_steps,
        "seed": options.seed,
        "data": {"tokenizer": row.preset},
    }
    context = open_run(RunConfig, values, "the command line", RunOptions(threads=options.threads))
    begin_causal_run(context)
    config = context.config
    data = load_data(config, layout, quiet=context.is_quiet)
    torch.manual_seed(config.seed)
    model = build_model(config.model, size, bos=BOS, eos=EOS, pad=PAD)
    if row.is_metrical:
        model.register_forward_pre_hook(MusicTime(layout.vocabulary).give, with_kwargs=True)
    _, shifts = survey_pitches(data.train, layout.vocabulary)
    source = Streams(data.train, shifts, write, config.seed)
    valid = [whole(write(piece)) for piece in data.valid]
    representation = StreamRepresentation(valid, data.valid, layout.vocabulary.ticks_per_quarter)
    task = CausalTask(config, context.accelerator, model, source, representation)
    trainer = start_run(context, PreparedRun(task, {"row": row.about}, (row.about,)))
    trainer.train()
    trainer.log.close()
    progress = task.state
    notes = sum(piece.num_notes for piece in data.valid)
    return {
        "row": name,
        "about": row.about,
        VOICE_16TH.key: progress.history[-1][1],
        "tokens_per_note": sum(len(stream.ids) for stream in valid) / notes,
        "steps": progress.step,
        "epochs": progress.epoch,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
    }


def main() -> None:
    """Train the requested rows, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to train; default: all")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--out", type=Path, default=Path("runs/token-orders"), help="folder of the runs")
    parser.add_argument("--max-steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures of the table to a file")
    parser.add_argument("--threads", type=int, help="CPU threads; default: all cores")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"{min(unknown)} is not a row. Choose from {', '.join(ROWS)}.")
    if options.list:
        print("\n".join(f"{name:20} {row.about}" for name, row in ROWS.items()))
        return
    rows = []
    for name in options.rows or ROWS:
        path = options.out / name / "result.json"
        if not path.exists():
            write_json(path, train(name, options))
        rows.append(json.loads(path.read_text(encoding="utf-8")))
    print(f"{'row':20} {'nats per voice-16th':>20} {'tokens a note':>14} {'epochs':>7}")
    for row in rows:
        print(f"{row['row']:20} {row[VOICE_16TH.key]:20.3f} {row['tokens_per_note']:14.2f} {row['epochs']:7}")
    if options.json is not None:
        command = " ".join(("python benchmarks/token_orders.py", *options.rows))
        facts = {"command": command, "git": git_revision(), "machine": run_header({})["machine"], "rows": rows}
        write_json(options.json, facts)


if __name__ == "__main__":
    main()
