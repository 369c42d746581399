"""Model cards: the README.md of a checkpoint folder."""

from __future__ import annotations

from transformers import PreTrainedModel

from descant_modeling.checkpoints import CheckpointMeta
from descant_tokenizers.scores import VOICES

#: Where the training music comes from, by corpus.
SOURCES = {
    "chorales": (
        "Four-part chorales by J. S. Bach as encoded in music21's corpus (the field's common research data; the files "
        "carry no rights statement), in the canonical JSB Chorales split of Boulanger-Lewandowski et al. 2012."
    ),
}

UNKNOWN_SOURCE = "files of the person who trained it."

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags: [music, symbolic-music, midi, remi, harmonization, bach]
---

# {title}

A causal Transformer ({architecture}, {millions:.2f} M parameters) over REMI tokens of music in four voices. It writes
what is missing: the other voices to a melody, the bars that follow, or some bars in the middle. Made with Descant.

## Use

```
python generate.py --prompt melody.mid --model THIS_FOLDER
```

Without Descant, the folder is a stock transformers model with a stock miditok tokenizer:

```python
model = transformers.AutoModelForCausalLM.from_pretrained(folder)
tokenizer = miditok.REMI.from_pretrained(folder)
```

A stream is `BOS CONTINUE Program_40 Program_41 Program_42 Program_43`, then the score's REMI tokens. Programs 40-43
stand for {voices}. Descant adds harmonizing and infilling, keeps given notes as they
are, and masks tokens that would not decode.

## Training data

{sources}

Splits trained on: {splits}. No piece of valid, test or held_out was trained on. Transpositions inside the voices'
ranges ({ranges}) were drawn anew each epoch; tasks
were mixed.

## Quality

{nats} nats per voice-16th on the valid split (four-part pieces, whole, bar tokens and EOS included), measured by
`descant evaluate likelihood --model THIS_FOLDER --corpus chorales --split valid`.

## Limits

It writes in the manner of what it was trained on, whatever the melody. It does not know text, form beyond the phrase,
or instruments. Rules of voice leading are learned, not enforced.

## Run

{facts}
"""


def model_card(model: PreTrainedModel, meta: CheckpointMeta) -> str:
    """Return the card of a checkpoint.

    Args:
        model: The model, for its class and size.
        meta: What is known about its training.
    """
    nats = meta.training.get("valid_nats_per_voice_16th")
    return CARD.format(
        title=f"Descant {', '.join(meta.corpora) or 'model'}",
        architecture=type(model).__name__,
        millions=sum(p.numel() for p in model.parameters()) / 1e6,
        voices=", ".join(VOICES),
        sources="\n".join(f"- {name}: {SOURCES.get(name, UNKNOWN_SOURCE)}" for name in meta.corpora),
        splits=", ".join(meta.training.get("splits", [])),
        ranges=", ".join(f"{v} {low}-{high}" for v, (low, high) in zip(VOICES, meta.voice_ranges, strict=False)),
        nats="Not measured:" if nats is None else f"{nats:.4f}",
        facts="\n".join(f"- {key}: {value}" for key, value in meta.training.items()),
    )
