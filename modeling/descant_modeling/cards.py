"""Model cards: the README.md of a checkpoint folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

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

RULES = (
    "Parallel fifths and octaves, augmented leaps and leaps over an octave are forbidden while it writes; other rules "
    "of voice leading are learned."
)
NO_RULES = "Rules of voice leading are learned, not enforced."

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
import miditok, transformers

model = transformers.AutoModelForCausalLM.from_pretrained("{place}")
tokenizer = miditok.REMI.from_pretrained("{place}")
```

A stream to continue is `BOS CONTINUE`, then a `Program` token for each voice that sounds, then the score's REMI tokens.
{programs}Descant adds harmonizing and infilling, keeps given notes as they are, and masks tokens that would not decode.

## Intended use

For sketching, study and play with music of the kind it was trained on, and as a baseline to compare with. It is not
meant to teach or grade harmony, to speak for a style that it has not heard, or to pass what it writes off as somebody's
own.

## Training data

{sources}

Splits trained on: {splits}. No piece of valid, test or held_out was trained on.{ranges} Tasks were mixed.

## Quality

{quality}

## Limits

It writes in the manner of what it was trained on, whatever the prompt. It does not know text, or form beyond the
phrase. {rules}

## Run

{facts}
"""


@dataclass(frozen=True)
class Measured:
    """A figure of the valid split that stands in a card and in the Hub's model-index.

    Attributes:
        key: Name in JSON.
        name: Name in words, with its unit.
        value: The figure.
        beside: The same of Bach's own pieces, where that makes sense.
        command: What printed it.
    """

    key: str
    name: str
    value: float
    beside: float | None
    command: str


def model_card(
    model: PreTrainedModel, meta: CheckpointMeta, table: TokenTable, measured: Sequence[Measured] = ()
) -> str:
    """Return the card of a checkpoint; `PLACEHOLDER` stands for where it is.

    Args:
        model: The model, for its class and size.
        meta: What is known about its training.
        table: Its vocabulary.
        measured: Further figures of the valid split, from records.
    """
    unit = unit_of(table)
    value = meta.training.get(f"valid_{unit.key}")
    corpora = list(meta.corpora)
    title = f"Descant {', '.join(corpora) or 'model'}"
    return CARD.format(
        metadata=_metadata(title, corpora, unit, value, measured, is_four_part=table.is_four_part),
        title=title,
        place=PLACEHOLDER,
        architecture=type(model).__name__,
        millions=sum(p.numel() for p in model.parameters()) / 1e6,
        music="music in four voices" if table.is_four_part else "any MIDI",
        programs=f"Programs 40-43 stand for {', '.join(VOICES)}. " if table.is_four_part else "",
        sources="\n".join(f"- {name}: {SOURCES.get(name, UNKNOWN_SOURCE)}" for name in corpora),
        splits=", ".join(meta.training.get("splits", [])),
        ranges=_ranges(meta.voice_ranges) if table.is_four_part else "",
        quality=_quality(unit, value, corpora, measured),
        rules=RULES if table.is_four_part and not table.has_learned_tokens else NO_RULES,
        facts="\n".join(f"- {key}: {fact}" for key, fact in meta.training.items()),
    )


def _metadata(
    title: str,
    corpora: Collection[str],
    unit: Unit,
    value: float | None,
    measured: Sequence[Measured],
    *,
    is_four_part: bool,
) -> str:
    """The card's YAML head, with the measured figures as the Hub's model-index."""
    tags = ["music", "symbolic-music", "midi", "remi", *(["harmonization", "bach"] if is_four_part else [])]
    figures = [] if value is None else [(unit.key, unit.name, value)]
    figures += [(figure.key, figure.name, figure.value) for figure in measured]
    results = [_result(next(iter(corpora)), *figure) for figure in figures] if corpora else []
    data = ModelCardData(
        license="apache-2.0" if set(corpora) <= set(FREE_CORPORA) else "other",
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=tags,
        model_name=title,
        eval_results=results,
    )
    return str(data.to_yaml())


def _result(corpus: str, key: str, name: str, value: float) -> EvalResult:
    return EvalResult(
        task_type="text-generation",
        task_name="writing symbolic music",
        dataset_type=corpus,
        dataset_name=corpus,
        dataset_split="valid",
        metric_type=key,
        metric_name=name,
        metric_value=round(value, 4),
    )


def _quality(unit: Unit, value: float | None, corpora: Sequence[str], measured: Sequence[Measured]) -> str:
    command = (
        f"`descant evaluate likelihood --model {PLACEHOLDER} --corpus {next(iter(corpora), 'CORPUS')} --split valid`"
    )
    if value is None:
        return f"Not measured; {command} does."
    text = f"{value:.4f} {unit.name} on the valid split (whole pieces, bar tokens and EOS included), by\n{command}."
    if not measured:
        return text
    rows = [
        f"| {figure.name} | {figure.value:.2f} | {'' if figure.beside is None else f'{figure.beside:.2f}'} |"
        for figure in measured
    ]
    commands = "\n".join(f"- `{command}`" for command in dict.fromkeys(figure.command for figure in measured))
    return f"{text}\n\n| on valid | model | Bach |\n|---|---|---|\n" + "\n".join(rows) + f"\n\nby\n\n{commands}"


def _ranges(ranges: Sequence[tuple[int, int]]) -> str:
    voices = ", ".join(f"{voice} {low}-{high}" for voice, (low, high) in zip(VOICES, ranges, strict=False))
    return f"\nTranspositions inside the voices' ranges ({voices}) were drawn anew each epoch."
