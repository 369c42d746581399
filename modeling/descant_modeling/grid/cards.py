"""Model cards of grid checkpoints."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel

from descant_modeling.cards import CARD, PLACEHOLDER, Head, Measured, facts_of
from descant_modeling.grid.vocabulary import GridVocabulary
from descant_modeling.likelihood import VOICE_16TH

TITLE = "Descant grid model"

WHAT = """\
A causal Transformer ({architecture}, {millions:.2f} M parameters) over the sounding-pitch grid of four-part chorales:
soprano, alto, tenor and bass of each 16th in turn. Made with Descant."""

USE = """\
```
descant evaluate likelihood --model {place} --corpus chorales
```

The model is a stock transformers one. No stock tokenizer holds its tokens: `vocabulary` in `descant.json` describes
them ({size} of them, pitches {lowest}-{highest}).

```python
import transformers

model = transformers.AutoModelForCausalLM.from_pretrained("{place}")
```"""

INTENDED = """\
To be compared with published likelihoods of the JSB Chorales. It is not meant to write music: held and repeated notes
look alike to it."""

DATA = """\
The file that `data.grid_json` named: the JSB Chorales on a grid of 16ths, research data that is no part of Descant.
Splits trained on: {splits}. No piece of valid or test was trained on."""

LIMITS = "Four voices, sixteenths, no onsets, no words, no form beyond what it saw."

COMMAND = "accelerate launch train.py --config configs/grid.yaml data.grid_json=FILE"


def grid_card(
    model: PreTrainedModel, vocabulary: GridVocabulary, corpora: dict[str, str], training: dict[str, Any]
) -> str:
    """Return the card of a checkpoint; `PLACEHOLDER` stands for where it is.

    Args:
        model: The model, for its class and size.
        vocabulary: Its tokens.
        corpora: What it was trained on.
        training: Facts about the run.
    """
    unit = VOICE_16TH
    value = training.get(f"valid_{unit.key}")
    likelihood = [Measured(unit.key, unit.name, value, None, COMMAND)] if value is not None else []
    head = Head(TITLE, list(corpora), False, ("music", "symbolic-music", "bach"), "text-generation", "transformers")
    return CARD.format(
        metadata=head.yaml(likelihood),
        title=TITLE,
        what=WHAT.format(architecture=type(model).__name__, millions=sum(p.numel() for p in model.parameters()) / 1e6),
        use=USE.format(place=PLACEHOLDER, size=vocabulary.size, lowest=vocabulary.lowest, highest=vocabulary.highest),
        intended=INTENDED,
        data=DATA.format(splits=", ".join(training.get("splits", []))),
        quality="\n".join(
            f"{figure.value:.4f} {figure.name} on the valid split of that file, by\n`{figure.command}`."
            for figure in likelihood
        )
        or "Not measured.",
        limits=LIMITS,
        facts=facts_of(training),
    )
