"""`descant tokenizer train`: train merges on a corpus, and measure them on held-out music.

Heavy libraries are imported inside the command, so that `--help` is fast.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from descant_tokenizers.cli.options import FILES, TOKENIZER, JsonOption, NumProcOption, QuietOption

if TYPE_CHECKING:
    from descant_tokenizers.tokens.dataset import StoredPieces
    from descant_tokenizers.tokens.vocabulary import Vocabulary

FACTS_FILE = "training.json"  # written beside the tokenizer; marks a folder that `--force` may replace
TRAIN_SPLIT, VALID_SPLIT = "train", "valid"
MEASURED_PIECES = 2000  # of a larger split, a sample is measured


def train_tokenizer_command(
    source: Annotated[str, typer.Argument(metavar="CORPUS", help="A corpus (chorales), or a folder of music.")],
    vocab_size: Annotated[
        int,
        typer.Option(help="Size of the vocabulary, including the tokens of the preset.", rich_help_panel=TOKENIZER),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write the tokenizer to.", rich_help_panel=FILES)],
    preset: Annotated[str, typer.Option(help="Tokenizer preset to start from.", rich_help_panel=TOKENIZER)] = "satb",
    model: Annotated[Literal["BPE", "Unigram"], typer.Option(help="Algorithm.", rich_help_panel=TOKENIZER)] = "BPE",
    num_proc: NumProcOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the tokenizer at --out.", rich_help_panel=FILES)
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train merged tokens (BPE, Unigram) on the train split of a corpus."""
    from descant_tokenizers.corpora.store import check_out, fresh_folder

    check_out(out, force=force, what="a trained tokenizer", marker=FACTS_FILE)

    import datasets

    from descant_tokenizers.common.files import TOKENIZER_FILE
    from descant_tokenizers.corpora import load_corpus, reading_bar, silence_datasets
    from descant_tokenizers.tokens.dataset import StoredPieces, tokenize_dataset
    from descant_tokenizers.tokens.presets import build_tokenizer
    from descant_tokenizers.tokens.tasks import TaskLayout
    from descant_tokenizers.tokens.train_bpe import check_vocab_size, train_tokenizer
    from descant_tokenizers.tokens.vocabulary import Vocabulary

    started = time.monotonic()
    untrained = build_tokenizer(preset)
    base = Vocabulary(untrained)
    check_vocab_size(base, vocab_size)
    silence_datasets(quiet=quiet or as_json)
    with reading_bar(source, quiet=quiet or as_json) as progress:
        corpus = load_corpus(source, num_proc=num_proc, progress=progress)
    used = datasets.DatasetDict({name: corpus[name] for name in (TRAIN_SPLIT, VALID_SPLIT) if name in corpus})
    tokenized, refused = tokenize_dataset(used, untrained, num_proc or os.cpu_count())
    layout = TaskLayout(base)
    pieces = {name: StoredPieces([rows], layout) for name, rows in tokenized.items()}
    # Without a terminal, its bars print empty lines to stdout.
    show_progress = sys.stderr.isatty() and not (quiet or as_json)
    trained = train_tokenizer(untrained, pieces.get(TRAIN_SPLIT, []), vocab_size, model, show_progress=show_progress)
    vocabulary = Vocabulary(trained)
    facts = {
        "preset": preset,
        "model": model,
        "vocab_size": vocabulary.size,
        "num_base_tokens": base.size,
        "corpus": source,
        "splits": {name: _split_facts(vocabulary, found) for name, found in pieces.items() if found},
        "refused": refused,
        "vocabulary_sha256": vocabulary.sha256(),
    }
    with fresh_folder(out) as fresh:
        trained.save(fresh / TOKENIZER_FILE)
        (fresh / FACTS_FILE).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **facts, "seconds": seconds}))
    elif not quiet:
        typer.echo(_summary(facts, out, vocab_size, seconds))


def _split_facts(vocabulary: Vocabulary, pieces: StoredPieces) -> dict[str, Any]:
    """Count the tokens of whole pieces, or of a sample of them, without BOS, task and EOS."""
    from descant_tokenizers.tokens.dataset import sample_rows
    from descant_tokenizers.tokens.piece import piece_ids

    measured = sample_rows(len(pieces), MEASURED_PIECES)
    num_notes = num_base = num_tokens = 0
    for index in measured:
        piece = pieces[index]
        ids = piece_ids(vocabulary, piece)
        num_notes, num_base = num_notes + piece.num_notes, num_base + len(ids)
        num_tokens += len(vocabulary.merge(ids))
    is_sample = len(measured) < len(pieces)
    return {
        "num_pieces": len(pieces),
        "num_notes": int(pieces.pitch_table().num_notes_N.sum()) if is_sample else num_notes,
        **({"measured_pieces": len(measured)} if is_sample else {}),
        "base_tokens_per_note": round(num_base / num_notes, 3),
        "tokens_per_note": round(num_tokens / num_notes, 3),
        "compression": round(num_base / num_tokens, 3),
    }


def _summary(facts: dict[str, Any], out: Path, vocab_size: int, seconds: float) -> str:
    num_base = facts["num_base_tokens"]
    size, train = facts["vocab_size"], facts["splits"][TRAIN_SPLIT]
    lines = [
        f"{out}: {size:,} tokens, {size - num_base:,} of them merged by {facts['model']}, trained on "
        f"{train['num_pieces']:,} pieces ({train['num_notes']:,} notes) of {facts['corpus']} in {seconds:.1f} s"
    ]
    if size < vocab_size:
        lines.append(f"fewer than the {vocab_size:,} requested: the corpus has no further runs to merge")
    lines += [
        f"{name}: {split['tokens_per_note']:.3f} tokens per note, {split['base_tokens_per_note']:.3f} before: "
        f"{split['compression']:.2f} times shorter"
        + (f" (measured on {split['measured_pieces']:,} pieces)" if "measured_pieces" in split else "")
        for name, split in facts["splits"].items()
    ]
    if facts["refused"]:
        lines.append(f"{len(facts['refused']):,} pieces do not fit the preset; see {out / FACTS_FILE}")
    corpus = "" if facts["corpus"] == "chorales" else f" data.corpora=[{facts['corpus']}]"
    hint = f"descant train data.tokenizer={out} layout.given_at_onsets=false{corpus}"
    return "\n".join([*lines, f"train a model with it: {hint}"])
