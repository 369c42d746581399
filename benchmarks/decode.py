"""Compare the tokens per second of our constrained decoding with those of transformers' `generate`, side by side.

    python benchmarks/decode.py                                   # the embedded model, one stream and eight
    python benchmarks/decode.py --task harmonize
    python benchmarks/decode.py --model runs/chorales --repeats 9
    python benchmarks/decode.py --likelihood                      # what 8 bits cost in likelihood; a minute

Both sides have the same weights, the same prompt, the same temperature and nucleus, and a cache of keys and values.
Ours generates legal tokens only, theirs any tokens. The two take turns, and the printed ratio is the median over the
turns.

- Streams end at different lengths, and both sides do the same job: the number of streams and their lengths are those
  that ours drew. `generate` computes all rows until the longest has ended, so it is given that number of steps; only
  tokens up to each stream's own end count, on both sides. (`*mean` gives it steps for the mean length only, as if all
  streams could end at once: a bound in its favor.)
- The tokens that the grammar forces on ours, a time signature after each bar line, are fed but not counted.
- Both models are loaded before the first turn, ours as an ONNX session; the grammar's tables are made once, and its
  masks stay cached, as in a program that stays open.

*Continue* is the fair comparison: both continue after the first bars of the harmonized tune. To *harmonize*, ours reads
the melody's bars between the bars that it generates; theirs cannot, and continues after the first of them, in a shorter
stream.

`--likelihood` feeds the pieces of the valid split of the chorales to our engine, a token at a time as decoding does,
and compares their likelihood with that of the stock model in 32 bits.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.common.console import quiet_libraries
from descant_modeling.common.devices import pick_device
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.decoding.engine import EngineModel
from descant_modeling.decoding.infilling import with_content
from descant_modeling.decoding.sampler import sample_templates
from descant_modeling.decoding.template import Span, Template, make_template
from descant_modeling.generation.causal import open_model
from descant_modeling.generation.prompts import Prompt
from descant_modeling.generation.satb import read_four_part_prompt
from descant_modeling.models.checkpoints import Checkpoint, load_checkpoint
from descant_modeling.models.likelihood import score_streams, windows
from descant_modeling.training.data import load_named_pieces
from descant_tokenizers.scores import VOICES, read_score
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.piece import GridBar, Piece
from descant_tokenizers.tokens.tasks import Encoded, Task

TUNE = Path(__file__).resolve().parent.parent / "examples" / "ode-to-joy.mid"
CONFIG = GenerationConfig(temperature=1.0, top_p=0.95)
NUM_GIVEN_BARS, NUM_NEW_BARS = 4, 8
NUM_TOKENS = 2048  # initial capacity of each stream


def harmony_template(checkpoint: Checkpoint, prompt: Prompt) -> Template:
    """Return the template for the three lower voices of a tune, as `generate.py` makes it."""
    return span_template(checkpoint, prompt, prompt.piece, Task.HARMONIZE, 0)


def continuation_template(checkpoint: Checkpoint, prompt: Prompt) -> Template:
    """Return the template for the bars after the first ones of the harmonized tune, in four voices."""
    harmony = harmony_template(checkpoint, prompt)
    engine = open_model(checkpoint).start(NUM_TOKENS)
    (sample,) = sample_templates(engine, Grammar(checkpoint.vocabulary), [harmony], CONFIG, [np.random.default_rng(0)])
    kept = with_content(prompt.piece, sample.notes, {}).bars[:NUM_GIVEN_BARS]
    return span_template(
        checkpoint, prompt, Piece((*kept, *(GridBar(kept[-1].meter),) * NUM_NEW_BARS)), Task.CONTINUE, len(kept)
    )


def span_template(checkpoint: Checkpoint, prompt: Prompt, piece: Piece, task: Task, first: int) -> Template:
    """Return the template for the missing voices of a piece from bar `first` to its end."""
    targets = tuple(rank for rank in range(len(VOICES)) if rank not in piece.voices or task is Task.CONTINUE)
    ends = (piece.bar_starts_ticks()[-1],) * len(VOICES)
    return make_template(checkpoint.layout, piece, Span(task, targets, first, len(piece.bars), ends, prompt.pitches))


def time_ours(
    model: EngineModel, grammar: Grammar, template: Template, num_streams: int, seed: int
) -> tuple[float, list[int]]:
    """Return the seconds, and the number of tokens sampled in each stream."""
    randoms = [np.random.default_rng((seed, stream)) for stream in range(num_streams)]
    start = time.perf_counter()
    samples = sample_templates(model.start(NUM_TOKENS), grammar, [template], CONFIG, randoms)
    return time.perf_counter() - start, [sample.num_tokens for sample in samples]


def time_theirs(checkpoint: Checkpoint, template: Template, num_streams: int, num_tokens: int, seed: int) -> float:
    """Return the seconds that `generate` takes to sample `num_tokens` in each stream."""
    ids = torch.tensor([template.context[0]] * num_streams, device=checkpoint.model.device)
    torch.manual_seed(seed)
    start = time.perf_counter()
    generated = checkpoint.model.generate(  # type: ignore[operator]  # typed as a Tensor or Module by nn.Module
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=CONFIG.temperature,
        top_p=CONFIG.top_p,
        top_k=0,
        min_new_tokens=num_tokens,
        max_new_tokens=num_tokens,
        max_length=None,
        use_cache=True,
    )
    seconds = time.perf_counter() - start
    assert generated.shape == (num_streams, ids.shape[1] + num_tokens)
    return seconds


def compare(
    checkpoint: Checkpoint, template: Template, num_streams: int, repeats: int
) -> tuple[float, float, float, float]:
    """Return the median tokens per second of ours and of theirs, and the medians of the ratio and of the bound."""
    grammar, model = Grammar(checkpoint.vocabulary), open_model(checkpoint)
    ours, theirs, bounds = [], [], []
    for repeat in range(repeats + 1):
        seconds, lengths = time_ours(model, grammar, template, num_streams, repeat)
        longest = max(lengths)
        other_seconds = time_theirs(checkpoint, template, num_streams, longest, repeat)
        if repeat > 0:  # the first turn warms up
            ours.append(sum(lengths) / seconds)
            theirs.append(sum(lengths) / other_seconds)
            bounds.append(ours[-1] / (longest * num_streams / other_seconds))
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return statistics.median(ours), statistics.median(theirs), statistics.median(ratios), statistics.median(bounds)


def engine_nats(model: EngineModel, streams: Sequence[Encoded], rows_at_a_time: int = 8) -> float:
    """Return the sum of -ln p over the target tokens of streams, of which an engine reads one token at a time."""
    nats = 0.0
    for first in range(0, len(streams), rows_at_a_time):
        rows = streams[first : first + rows_at_a_time]
        longest = max(len(stream.ids) for stream in rows)
        engine = model.start(longest)
        engine.select_rows([0] * len(rows))
        for place in range(longest - 1):
            logits_BV = engine.append([stream.ids[place : place + 1] for stream in rows]).astype(np.float64)
            following = [
                (row, stream) for row, stream in enumerate(rows) if any(stream.loss_mask[place + 1 : place + 2])
            ]
            for row, stream in following:
                nats += float(np.logaddexp.reduce(logits_BV[row]) - logits_BV[row, stream.ids[place + 1]])
    return nats


def print_likelihood(checkpoint: Checkpoint) -> None:
    """Compare the likelihood of valid under our engine with that under the stock model."""
    layout, limit = checkpoint.layout, checkpoint.model.config.max_position_embeddings
    pieces = [piece for _, piece in load_named_pieces("chorales", "valid", layout)]
    whole = [layout.encode(piece, Task.CONTINUE, piece.voices) for piece in pieces]
    streams = sorted((part for stream in whole for part in windows(stream, limit)), key=lambda part: len(part.ids))
    num_targets = sum(sum(stream.loss_mask) for stream in streams)
    theirs = sum(score_streams(checkpoint.model, streams, pad=checkpoint.vocabulary.special("PAD"))) / num_targets
    ours = engine_nats(open_model(checkpoint), streams) / num_targets
    print(
        f"{len(streams)} streams of chorales:valid, {num_targets:,} target tokens; nats per target token\n"
        f"transformers  {theirs:.5f}\ndescant       {ours:.5f}  ({ours / theirs - 1:+.3%})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one row for each number of streams."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=EMBEDDED_DEFAULT, help="embedded model, checkpoint or run folder, Hub id")
    parser.add_argument("--prompt", type=Path, default=TUNE, help="melody")
    parser.add_argument("--task", choices=["continue", "harmonize"], default="continue", help="task")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8], help="numbers of parallel streams")
    parser.add_argument("--repeats", type=int, default=5, help="turns, after one to warm up")
    parser.add_argument("--device", help="cpu, cuda or mps; default: the best available one")
    parser.add_argument("--likelihood", action="store_true", help="compare likelihoods instead of speeds")
    options = parser.parse_args(arguments)
    with quiet_libraries():
        checkpoint = load_checkpoint(options.model, pick_device(options.device))
        if options.likelihood:
            print_likelihood(checkpoint)
            return
        ranges = checkpoint.meta.voice_ranges
        prompt = read_four_part_prompt(checkpoint.vocabulary, ranges, read_score(options.prompt), ("Soprano",))
        template = (harmony_template if options.task == "harmonize" else continuation_template)(checkpoint, prompt)
        place = f"{torch.get_num_threads()} threads, {checkpoint.model.device}"
        print(f"{options.prompt.name}, {options.task} {len(template.bars)} bars; {place}")
        print(f"{'streams':>7}  {'descant':>10}  {'transformers':>12}  ratio  *mean")
        for num_streams in options.streams:
            ours, theirs, ratio, bound = compare(checkpoint, template, num_streams, options.repeats)
            print(f"{num_streams:>7}  {ours:>6.0f} t/s  {theirs:>8.0f} t/s  {ratio:>4.2f}x  {bound:>4.2f}x", flush=True)


if __name__ == "__main__":
    main()
