"""Model cards of GAN checkpoints."""

from __future__ import annotations

from descant_modeling.cards import SOURCES, UNKNOWN_SOURCE
from descant_modeling.gan.checkpoints import GanMeta
from descant_tokenizers.rolls import ROLLS_CORPUS
from descant_tokenizers.scores import VOICES

CARD = """---
license: apache-2.0
tags: [music, symbolic-music, midi, piano-roll, harmonization, gan, bach]
---

# Descant GAN

A conditional GAN (U-Net generator, 8.27 M parameters, trained as WGAN-GP) that hears a melody as a piano roll and
writes four tracks, built after AWS DeepComposer; the baseline that Descant's Transformer is measured against.

## Use

```
python generate.py --prompt melody.mid --model THIS_FOLDER
```

It works in windows of two bars, a sixteenth the shortest note. Noise makes each sample another one (`--seed`,
`--num-samples`). The prompt's own melody is put back in place of the first track that it writes.

## Training data

{sources}

Two-bar windows of the 4/4 chorales in the split train, as piano rolls (`descant dataset build chorales-rolls`): 229
samples. No window of valid, test or held_out was trained on. The tracks reach {ranges}.

## Quality

Measured for the melodies of the valid windows, beside the data's own values:

{metrics}

## Limits

It hears no further than its window; repeated notes come back as one long note; voices break off and restart; it knows
no rules of voice leading. What share of the melody it keeps by itself is said with each result.

## Run

{facts}
"""


def gan_card(meta: GanMeta) -> str:
    """Return the card of a checkpoint."""
    metrics = meta.training.get("metrics", {})
    facts = {name: value for name, value in meta.training.items() if name != "metrics"}
    sources = {**SOURCES, ROLLS_CORPUS: SOURCES["chorales"]}
    rows = [f"| {name.replace('_', ' ')} | {value:.3f} | {own:.3f} |" for name, (value, own) in metrics.items()]
    table = ["| | written | valid data |", "|---|---|---|", *rows] if rows else ["Not measured."]
    return CARD.format(
        sources="\n".join(f"- {name}: {sources.get(name, UNKNOWN_SOURCE)}" for name in meta.corpora),
        ranges=", ".join(f"{v} {low}-{high}" for v, (low, high) in zip(VOICES, meta.voice_ranges, strict=False)),
        metrics="\n".join(table),
        facts="\n".join(f"- {name}: {value}" for name, value in facts.items()),
    )
