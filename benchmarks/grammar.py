"""Sample from the grammar of MidiTok tokenizers: count illegal tokens and lost notes, and measure what it costs.

    python benchmarks/grammar.py legal --tokens 1000000 --json legal.json    random scores, every kind of tokenizer
    python benchmarks/grammar.py legal --tokens 1000000 --json legal.json --minutes 10    the next kinds, until the end
    python benchmarks/grammar.py speed --json speed.json                     its share of the time of `generate`

`legal` draws tokens by random scores through `GrammarLogitsProcessor` until the streams end, and judges them by
miditok alone: errors as its `tokens_errors` counts them, notes that its decoder drops, and notes that change when the
decoded score is encoded and decoded again. `speed` compares `generate` of a randomly initialized GPT-2 of the smallest
published size with and without the processor, in turns, in CPU time; both draw the same number of tokens.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import miditok
import torch
from symusic.core import ScoreTick
from transformers import GPT2Config, GPT2LMHeadModel, LogitsProcessorList

from descant_modeling.decoding.logits_processor import GrammarLogitsProcessor
from descant_tokenizers.tokens.miditok_stream import BEGIN, SCHEMES

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.mid"))
Kind: TypeAlias = tuple[str, str, str]
"""Scheme, configuration and model of a tokenizer."""
MODELS = (None, "BPE", "Unigram")
CONFIGS: dict[str, dict[str, Any]] = {
    "README of MidiTok": {"num_velocities": 16, "use_chords": True, "use_programs": True},
    "one track": {
        "num_velocities": 24,
        "use_tempos": True,
        "use_time_signatures": False,
        "beat_res": {(0, 1): 8, (1, 2): 4, (2, 4): 2, (4, 8): 1},
    },
    "all options": {
        "use_programs": True,
        "use_chords": True,
        "use_rests": True,
        "use_tempos": True,
        "use_time_signatures": True,
        "use_key_signatures": True,
    },
    "no durations": {"use_programs": True, "use_velocities": False, "use_note_duration_programs": []},
}


def build(scheme: str, config: str, model: str | None, extra_ids: int = 500) -> miditok.MusicTokenizer:
    """Build a tokenizer, and train it on the examples if a model is named."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = getattr(miditok, scheme)(miditok.TokenizerConfig(**CONFIGS[config]))
        if model:
            tokenizer.train(vocab_size=len(tokenizer.vocab) + extra_ids, model=model, files_paths=EXAMPLES)
    return tokenizer


def sample(tokenizer: miditok.MusicTokenizer, length: int, rows: int, generator: torch.Generator) -> list[list[int]]:
    """Return streams drawn by random scores alone, `BOS` left out; each ends with `EOS` by `length` tokens."""
    processor = GrammarLogitsProcessor(tokenizer, max_length=length)
    ids = torch.full((rows, 1), tokenizer["BOS_None"])
    while ids.shape[1] < length:
        scores = processor(ids, torch.randn(rows, len(tokenizer), generator=generator))
        ids = torch.cat([ids, scores.argmax(dim=1, keepdim=True)], dim=1)
    eos = tokenizer["EOS_None"]
    return [row[1 : row.index(eos) + 1] if eos in row else row[1:] for row in ids.tolist()]


def notes(score: ScoreTick) -> list[tuple[int, ...]]:
    """Return the notes of a score, sorted: program, drums, begin, end, pitch, velocity."""
    return sorted((t.program, t.is_drum, n.time, n.end, n.pitch, n.velocity) for t in score.tracks for n in t.notes)


def judge(tokenizer: miditok.MusicTokenizer, ids: Sequence[int]) -> dict[str, int]:
    """Count what is wrong with a stream in miditok's eyes."""
    stream = miditok.TokSequence(ids=list(ids[:-1]), are_ids_encoded=tokenizer.is_trained)
    tokenizer.decode_token_ids(stream)
    tokenizer.complete_sequence(stream)
    names = list(stream.tokens)
    score = tokenizer.decode(stream if tokenizer.one_token_stream else [stream])
    again = tokenizer.decode(tokenizer.encode(score))
    written = sum(name.split("_")[0] in BEGIN for name in names)
    return {
        "tokens": len(ids),
        "base_tokens": len(names) + 1,
        "notes": written,
        "illegal": tokenizer._tokens_errors(names),
        "notes_lost": written - len(notes(score)),
        "changed_again": int(notes(score) != notes(again)),
        "not_ended": int(ids[-1] != tokenizer["EOS_None"]),
    }


def legal(
    schemes: Sequence[str], num_tokens: int, seed: int, known: Collection[Kind] = (), length: int = 400, rows: int = 8
) -> Iterator[dict[str, Any]]:
    """Yield the counts of every kind of tokenizer that is not known yet, each with its share of the tokens."""
    kinds = [(scheme, config, model) for scheme in schemes for config in CONFIGS for model in MODELS]
    for place, (scheme, config, model) in enumerate(kinds):
        if (scheme, config, model or "none") in known:
            continue
        generator = torch.Generator().manual_seed(seed + place)
        tokenizer = build(scheme, config, model)
        counts: dict[str, int] = {}
        while counts.get("tokens", 0) < num_tokens / len(kinds):
            for ids in sample(tokenizer, length, rows, generator):
                counts = {name: counts.get(name, 0) + n for name, n in judge(tokenizer, ids).items()}
        yield {"scheme": scheme, "config": config, "model": model or "none", "ids": len(tokenizer), **counts}


def speed(num_tokens: int, repeats: int, rows: int) -> Iterator[dict[str, Any]]:
    """Yield CPU seconds of `generate` with and without the processor, for two tokenizers."""
    for model, extra_ids in ((None, 0), ("BPE", 2000)):
        tokenizer = build("REMI", "README of MidiTok", model, extra_ids)
        torch.manual_seed(0)
        config = GPT2Config(vocab_size=len(tokenizer), n_positions=1024, bos_token_id=1, eos_token_id=2)
        network = GPT2LMHeadModel(config).train(False)
        prompt = torch.full((rows, 1), tokenizer["BOS_None"])
        seconds: dict[str, list[float]] = {"without": [], "with": []}
        for _ in range(repeats):
            for name, values in seconds.items():
                processors = LogitsProcessorList([GrammarLogitsProcessor(tokenizer)] if name == "with" else [])
                begin = time.process_time()
                network.generate(
                    prompt,
                    attention_mask=torch.ones_like(prompt),
                    do_sample=True,
                    min_new_tokens=num_tokens,
                    max_new_tokens=num_tokens,
                    pad_token_id=tokenizer["PAD_None"],
                    logits_processor=processors,
                )
                values.append(time.process_time() - begin)
        yield {
            "model": model or "none",
            "ids": len(tokenizer),
            "rows": rows,
            "tokens": num_tokens,
            **{name: statistics.median(values) for name, values in seconds.items()},
            "processor": _processor_seconds(tokenizer, num_tokens, rows),
        }


def _processor_seconds(tokenizer: miditok.MusicTokenizer, num_tokens: int, rows: int) -> float:
    """Return the CPU seconds of the processor alone, called as `generate` calls it."""
    processor = GrammarLogitsProcessor(tokenizer)
    ids = torch.full((rows, 1), tokenizer["BOS_None"])
    total, generator = 0.0, torch.Generator().manual_seed(0)
    for _ in range(num_tokens):
        scores = torch.randn(rows, len(tokenizer), generator=generator)
        scores[:, tokenizer["EOS_None"]] = -1e9
        begin = time.process_time()
        scores = processor(ids, scores)
        total += time.process_time() - begin
        ids = torch.cat([ids, scores.argmax(dim=1, keepdim=True)], dim=1)
    return total


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line of JSON for each tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["legal", "speed"])
    parser.add_argument("--tokens", type=int, default=None, help="tokens in all, or to generate (speed)")
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=SCHEMES, help="schemes (legal)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random scores (legal)")
    parser.add_argument("--rows", type=int, default=1, help="rows of a batch (speed)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (speed)")
    parser.add_argument("--json", type=Path, help="also write the lines to a file; what it has is kept (legal)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no other tokenizer after these")
    options = parser.parse_args(arguments)
    end, found = time.monotonic() + 60 * options.minutes, []
    if options.what == "legal":
        if options.json and options.json.exists():
            found = json.loads(options.json.read_text())
        known = {(line["scheme"], line["config"], line["model"]) for line in found}
        lines = legal(options.schemes, options.tokens or 20_000, options.seed, known)
    else:
        lines = speed(options.tokens or 256, options.repeats, options.rows)
    for line in lines:
        print(json.dumps(line), flush=True)
        found.append(line)
        if options.json:
            options.json.write_text("[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n")
        if time.monotonic() > end:
            break


if __name__ == "__main__":
    main()
