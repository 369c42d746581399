"""Model cards: the README.md of a checkpoint folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from huggingface_hub import EvalResult, ModelCardData
from transformers import PreTrainedModel

from descant_modeling.checkpoints import CheckpointMeta
from descant_modeling.likelihood import Unit, unit_of
from descant_tokenizers.corpora import FREE_CORPORA
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.vocabulary import TokenTable

#: Stands in a card for the place where the folder is: `descant push` puts the Hub id there.
PLACEHOLDER = "THIS_FOLDER"

#: Where training music comes from, by corpus.
SOURCES = {
    "chorales": (
        "Four-part chorales by J. S. Bach as encoded in music21's corpus (the field's common research data; the files "
        "carry no rights statement), in the canonical JSB Chorales split of Boulanger-Lewandowski et al. 2012."
    ),
    "folk": "Ryan's Mammoth Collection and Aird's Airs as encoded in music21's corpus (freely contributed).",
}
UNKNOWN_SOURCE = "see the licence column of the dataset; this card's licence covers the weights as far as they allow."

CARD = """---
{metadata}
---

# {title}

A causal Transformer ({architecture}, {millions:.2f} M parameters) over REMI tokens of {music}. It writes what is
missing: other voices to given ones, the bars that follow, or some bars in the middle. Made with Descant.

## Use

```
python generate.py --prompt melody.mid --model {place}
```

Without Descant, it is a stock transformers model with a stock miditok tokenizer:

```python
model = transformers.AutoModelForCausalLM.from_pretrained("{place}")
tokenizer = miditok.REMI.from_pretrained("{place}")
```

A stream to continue is `BOS CONTINUE`, then a `Program` token for each voice that sounds, then the score's REMI tokens.
{programs}Descant adds harmonizing and infilling, keeps given notes as they are, and masks tokens that would not decode.

Intended for sketching, study and play with music of the kind it was trained on.

## Training data

{sources}

Splits trained on: {splits}. No piece of valid, test or held_out was trained on.{ranges} Tasks were mixed.

## Quality

{quality}

## Limits

It writes in the manner of what it was trained on, whatever the prompt. It does not know text, or form beyond the
phrase. Rules of voice leading are learned, not enforced.

## Run

{facts}
"""


def model_card(model: PreTrainedModel, meta: CheckpointMeta, table: TokenTable) -> str:
    """Return the card of a checkpoint; `PLACEHOLDER` stands for where it is.

    Args:
        model: The model, for its class and size.
        meta: What is known about its training.
        table: Its vocabulary.
    """
    unit = unit_of(table)
    value = meta.training.get(f"valid_{unit.key}")
    corpora = list(meta.corpora)
    title = f"Descant {', '.join(corpora) or 'model'}"
    return CARD.format(
        metadata=_metadata(title, corpora, unit, value, is_four_part=table.is_four_part),
        title=title,
        place=PLACEHOLDER,
        architecture=type(model).__name__,
        millions=sum(p.numel() for p in model.parameters()) / 1e6,
        music="music in four voices" if table.is_four_part else "any MIDI",
        programs=f"Programs 40-43 stand for {', '.join(VOICES)}. " if table.is_four_part else "",
        sources="\n".join(f"- {name}: {SOURCES.get(name, UNKNOWN_SOURCE)}" for name in corpora),
        splits=", ".join(meta.training.get("splits", [])),
        ranges=_ranges(meta.voice_ranges) if table.is_four_part else "",
        quality=_quality(unit, value, corpora),
        facts="\n".join(f"- {key}: {fact}" for key, fact in meta.training.items()),
    )


def _metadata(title: str, corpora: Collection[str], unit: Unit, value: float | None, *, is_four_part: bool) -> str:
    """The card's YAML head, with the measured figure as the Hub's model-index."""
    tags = ["music", "symbolic-music", "midi", "remi", *(["harmonization", "bach"] if is_four_part else [])]
    results = [] if value is None or not corpora else [_result(next(iter(corpora)), unit, value)]
    data = ModelCardData(
        license="apache-2.0" if set(corpora) <= set(FREE_CORPORA) else "other",
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=tags,
        model_name=title,
        eval_results=results,
    )
    return str(data.to_yaml())


def _result(corpus: str, unit: Unit, value: float) -> EvalResult:
    return EvalResult(
        task_type="text-generation",
        task_name="likelihood of symbolic music",
        dataset_type=corpus,
        dataset_name=corpus,
        dataset_split="valid",
        metric_type=unit.key,
        metric_name=unit.name,
        metric_value=round(value, 4),
    )


def _quality(unit: Unit, value: float | None, corpora: Sequence[str]) -> str:
    command = (
        f"`descant evaluate likelihood --model {PLACEHOLDER} --corpus {next(iter(corpora), 'CORPUS')} --split valid`"
    )
    if value is None:
        return f"Not measured; {command} does."
    return f"{value:.4f} {unit.name} on the valid split (whole pieces, bar tokens and EOS included), by\n{command}."


def _ranges(ranges: Sequence[tuple[int, int]]) -> str:
    voices = ", ".join(f"{voice} {low}-{high}" for voice, (low, high) in zip(VOICES, ranges, strict=False))
    return f"\nTranspositions inside the voices' ranges ({voices}) were drawn anew each epoch."
