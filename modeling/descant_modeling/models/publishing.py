"""Model cards: the README.md of a checkpoint folder.

Checkpoints to the Hugging Face Hub.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from transformers import PreTrainedModel

from descant_modeling.models.checkpoints import (
    PUBLISHED_FILES,
    PUBLISHED_WITHOUT_TOKENS,
    CheckpointMeta,
    ModelSource,
    find_checkpoint,
)
from descant_modeling.models.likelihood import Unit, unit_of
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.hub import Pushed, check_push, push_folder
from descant_tokenizers.corpora import FREE_CORPORA
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.vocabulary import Vocabulary


def try_generating(folder: Path) -> str:
    """Return the command that lets a model write to a melody."""
    return f"python generate.py --prompt examples/ode-to-joy.mid --model {folder}"


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

{what}

## Use

{use}

## Intended use

{intended}

## Training data

{data}

## Quality

{quality}

## Limits

{limits}

## Run

{facts}
"""

WHAT = """\
A causal Transformer ({architecture}, {millions:.2f} M parameters) over REMI tokens of {music}. It writes what is
missing: other voices to given ones, the bars that follow, or some bars in the middle. Made with Descant."""

USE = """\
```
python generate.py --prompt melody.mid --model {place}
```

Without Descant, it is a stock transformers model with a stock miditok tokenizer:

```python
import miditok, transformers

model = transformers.AutoModelForCausalLM.from_pretrained("{place}")
tokenizer = miditok.REMI.from_pretrained("{place}")
```

A stream to continue is `BOS CONTINUE`, then a `Program` token for each voice that sounds, by number, then the
REMI tokens of a score whose tracks are in the same order.
{voices}Descant adds harmonizing and infilling, keeps given notes as they are, and masks tokens that would not decode.\
"""

INTENDED = """\
For sketching, study and play with music of the kind it was trained on, and as a baseline to compare with. It is not
meant to teach or grade harmony, to speak for a style that it has not heard, or to pass what it writes off as somebody's
own."""

DATA = """\
{sources}

Splits trained on: {splits}. No piece of valid, test or held_out was trained on.{ranges} Tasks were mixed."""

LIMITS = """\
It writes in the manner of what it was trained on, whatever the prompt. It does not know text, or form beyond the
phrase. {rules}"""

LIKELIHOOD = "descant evaluate likelihood --model {place} --corpus {corpus} --split valid"

TESTED = "The test split was measured for this release alone; nothing was chosen by it."

#: What the models do, for the Hub's model-index.
TASK = "writing symbolic music"


@dataclass(frozen=True)
class MeasuredFigures:
    """A figure that stands in a card and in the Hub's model-index.

    Attributes:
        key: Name in JSON.
        name: Name in words, with its unit.
        value: The figure.
        beside: The same of Bach's own pieces, where that makes sense.
        command: What printed it.
        form: How both are printed.
        corpus: What it is about; by default the first corpus that was trained on.
        split: And which of its splits.
    """

    key: str
    name: str
    value: float
    beside: float | None
    command: str
    form: str = ".2f"
    corpus: str | None = None
    split: str = "valid"


@dataclass(frozen=True)
class Head:
    """A card's YAML head but for the figures.

    Attributes:
        title: The model's name.
        corpora: What it was trained on.
        is_free: Whether all of that may be shipped under this project's licence.
        tags: For the Hub.
        task: The Hub's name for what it does.
        library: What loads it, if that is a library which the Hub knows.
    """

    title: str
    corpora: Sequence[str]
    is_free: bool
    tags: Sequence[str]
    task: str
    library: str | None = None

    def yaml(self, figures: Sequence[MeasuredFigures]) -> str:
        """Return the head with figures as the Hub's model-index."""
        data = ModelCardData(
            license="apache-2.0" if self.is_free else "other",
            library_name=self.library,
            pipeline_tag=self.task if self.library else None,
            tags=list(self.tags),
            model_name=self.title,
            eval_results=[self._result(figure) for figure in figures] if self.corpora else [],
        )
        return str(data.to_yaml())

    def _result(self, figure: MeasuredFigures) -> EvalResult:
        corpus = figure.corpus or self.corpora[0]
        return EvalResult(
            task_type=self.task,
            task_name=TASK,
            dataset_type=corpus,
            dataset_name=corpus,
            dataset_split=figure.split,
            metric_type=figure.key,
            metric_name=figure.name,
            metric_value=round(figure.value, 4),
        )


def model_card(
    model: PreTrainedModel, meta: CheckpointMeta, vocabulary: Vocabulary, measured: Sequence[MeasuredFigures] = ()
) -> str:
    """Return the card of a checkpoint; `PLACEHOLDER` stands for where it is.

    Args:
        model: The model, for its class and size.
        meta: What is known about its training.
        vocabulary: Its vocabulary.
        measured: Further figures, from records.
    """
    unit = unit_of(vocabulary)
    value = meta.training.get(f"valid_{unit.key}")
    corpora = list(meta.corpora)
    title = f"Descant {', '.join(corpora) or 'model'}"
    command = LIKELIHOOD.format(place=PLACEHOLDER, corpus=next(iter(corpora), "CORPUS"))
    likelihood = [] if value is None else [MeasuredFigures(unit.key, unit.name, value, None, command)]
    tags = ["music", "symbolic-music", "midi", "remi", *(["harmonization", "bach"] if vocabulary.is_four_part else [])]
    head = Head(title, corpora, set(corpora) <= set(FREE_CORPORA), tags, "text-generation", "transformers")
    voices = _programs(vocabulary)
    return CARD.format(
        metadata=head.yaml([*likelihood, *measured]),
        title=title,
        what=WHAT.format(
            architecture=type(model).__name__,
            millions=sum(p.numel() for p in model.parameters()) / 1e6,
            music="music in four voices" if vocabulary.is_four_part else "any MIDI",
        ),
        use=USE.format(place=PLACEHOLDER, voices=voices),
        intended=INTENDED,
        data=DATA.format(
            sources="\n".join(f"- {name}: {SOURCES.get(name, UNKNOWN_SOURCE)}" for name in corpora),
            splits=", ".join(meta.training.get("splits", [])),
            ranges=_ranges(vocabulary, meta.voice_ranges) if vocabulary.is_four_part else "",
        ),
        quality=_quality(unit, value, command, measured),
        limits=LIMITS.format(rules=RULES if vocabulary.is_four_part and not vocabulary.has_merges else NO_RULES),
        facts=facts_of(meta.training),
    )


def facts_of(training: Mapping[str, Any]) -> str:
    """List facts about a run."""
    return "\n".join(f"- {key}: {fact}" for key, fact in training.items())


def table_of(measured: Sequence[MeasuredFigures], heads: tuple[str, str, str]) -> str:
    """Return a table of figures, and below it the commands that printed them.

    Args:
        measured: At least one.
        heads: Of its three columns: the names, the model's figures, those beside them.
    """
    rows = [
        f"| {figure.name} | {figure.value:{figure.form}} "
        f"| {'' if figure.beside is None else format(figure.beside, figure.form)} |"
        for figure in measured
    ]
    commands = "\n".join(f"- `{command}`" for command in dict.fromkeys(figure.command for figure in measured))
    return "\n".join([f"| {' | '.join(heads)} |", "|---|---|---|", *rows, "", "by", "", commands])


def _quality(unit: Unit, value: float | None, command: str, measured: Sequence[MeasuredFigures]) -> str:
    if value is None:
        return f"Not measured; `{command}` does."
    text = f"{value:.4f} {unit.name} on the valid split (whole pieces, bar tokens and EOS included), by\n`{command}`."
    parts = [text]
    for split in dict.fromkeys(figure.split for figure in measured):
        if split == "test":
            parts.append(TESTED)
        parts.append(table_of([f for f in measured if f.split == split], (f"on {split}", "model", "Bach")))
    return "\n\n".join(parts)


def _programs(vocabulary: Vocabulary) -> str:
    """Say which program stands for which voice, from high to low, where there are four."""
    if not vocabulary.is_four_part:
        return ""
    programs = [vocabulary.program_of[voice] for voice in VOICES]
    is_run = programs == list(range(programs[0], programs[0] + len(programs)))
    written = f"{programs[0]}-{programs[-1]}" if is_run else ", ".join(map(str, programs))
    return f"Programs {written} stand for {', '.join(VOICES)}. "


def _ranges(vocabulary: Vocabulary, ranges: Sequence[tuple[int, int]]) -> str:
    voices = ", ".join(f"{voice} {low}-{high}" for voice, (low, high) in zip(vocabulary.voices, ranges, strict=False))
    return f"\nTranspositions inside the voices' ranges ({voices}) were drawn anew each epoch."


def push_checkpoint(model: ModelSource, repo_id: str, *, private: bool = False, update: bool = False) -> Pushed:
    """Push the published files of a checkpoint: no training state, no logs.

    Args:
        model: Checkpoint or run folder (its best checkpoint), or an embedded model.
        repo_id: `user/name`.
        private: Whether a repository that is created is private.
        update: Whether one that exists may get a new version.

    Raises:
        InputError: There is no such checkpoint, or the push can't be done (see `hub.push_folder`).
    """
    found = find_checkpoint(model)
    folder = found.folder
    files = PUBLISHED_FILES if found.objective == "causal" else PUBLISHED_WITHOUT_TOKENS
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise InputError(f"{folder} has no {missing[0]}: push a complete checkpoint folder, as train.py writes it")
    check_push(repo_id, update=update)
    with tempfile.TemporaryDirectory() as scratch:
        for file in files:
            shutil.copyfile(folder / file, Path(scratch, file))
        card = Path(scratch, "README.md")
        card.write_text(card.read_text(encoding="utf-8").replace(PLACEHOLDER, repo_id), encoding="utf-8")
        return push_folder(Path(scratch), repo_id, private=private, update=update)
