"""Publishing of checkpoints: model cards (`README.md` of a checkpoint folder) and pushes to the Hugging Face Hub."""

from __future__ import annotations

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
from descant_tokenizers.common.hub import CARD_NAME, Pushed, check_push, push_files
from descant_tokenizers.corpora.rights import is_free, rights_text
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.kinds import FOUR_PART, has_plain_lines, kind_of
from descant_tokenizers.tokens.vocabulary import Vocabulary


def try_generating(folder: Path) -> str:
    """Return a command that harmonizes a melody with a model."""
    return f"python generate.py --prompt examples/ode-to-joy.mid --model {folder}"


#: Placeholder in a card for the path of the folder, which `descant push` replaces with the Hub id.
PLACEHOLDER = "THIS_FOLDER"

#: License of weights whose training data may all go into published weights, and of others.
FREE_WEIGHTS = "Weights: Apache-2.0, as Descant itself. All of the training data may go into published weights."
OTHER_WEIGHTS = """\
Weights: none stated (`other`). Not all of the training data is known to be free: find out what its rights allow before
you publish or use the weights."""

RULES = (
    "Parallel fifths and octaves, augmented leaps and leaps over an octave are forbidden in generation; other rules of "
    "voice leading are learned."
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

## License

{license}

## Quality

{quality}

## Limits

{limits}

## Run

{facts}
"""

WHAT = """\
A causal Transformer ({architecture}, {millions:.2f} M parameters) over REMI tokens of {music}. It adds the
other voices to given ones, continues a piece, or infills some bars. Made with Descant."""

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

A stream to continue is `BOS CONTINUE`, then a `Program` token for each voice with notes, in ascending order, then the
REMI tokens of a score whose tracks are in the same order.
{voices}Descant adds harmonizing and infilling, keeps given notes unchanged, and masks tokens that would not decode.\
"""

INTENDED = """\
For sketching, studying and playing with music of the kind it was trained on, and as a baseline for comparison. It is
not meant for teaching or grading harmony, for styles outside its training data, or for passing its output off as
somebody's own."""

DATA = """\
{sources}

Splits trained on: {splits}. No piece of valid, test or held_out was trained on.{ranges} Tasks were mixed."""

LIMITS = """\
It writes in the style of its training data, whatever the prompt. It knows no text, and no form beyond the phrase.
{rules}"""

LIKELIHOOD = "descant evaluate likelihood --model {place} --corpus {corpus} --split valid"

TESTED = "The test split was measured for this release only; no choice was made with it."

#: Facts about a run that other sections of its card show.
UNLISTED = ("licences", "metrics")

#: Task of all models in the Hub's model-index.
TASK = "symbolic music generation"


@dataclass(frozen=True)
class MeasuredFigure:
    """A figure in a card and in the Hub's model-index.

    Attributes:
        key: Name in JSON.
        name: Name in words, with its unit.
        value: The figure.
        reference: The same figure for Bach's own pieces or the data; None if there is none.
        command: The command that printed it.
        form: Format of both figures.
        corpus: Corpus that was measured; by default the first training corpus.
        split: The split of that corpus.
    """

    key: str
    name: str
    value: float
    reference: float | None
    command: str
    form: str = ".2f"
    corpus: str | None = None
    split: str = "valid"


def model_card(
    model: PreTrainedModel, meta: CheckpointMeta, vocabulary: Vocabulary, measured: Sequence[MeasuredFigure] = ()
) -> str:
    """Return the card of a checkpoint, with `PLACEHOLDER` for its folder.

    Args:
        model: The model, for its class and size.
        meta: Contents of its `descant.json`.
        vocabulary: Its vocabulary.
        measured: Further figures, from records.
    """
    unit, kind = unit_of(vocabulary), kind_of(vocabulary)
    value = meta.training.get(f"valid_{unit.key}")
    corpora = list(meta.corpora)
    command = LIKELIHOOD.format(place=PLACEHOLDER, corpus=next(iter(corpora), "CORPUS"))
    likelihood = [] if value is None else [MeasuredFigure(unit.key, unit.name, value, None, command)]
    tags = [
        "music",
        "symbolic-music",
        "midi",
        "remi",
        "miditok",
        *(["harmonization", "bach"] if kind is FOUR_PART else []),
    ]
    names, ensemble = vocabulary.voices, vocabulary.ensemble
    if ensemble is not None:
        names = ensemble.names
        tags += ["accompaniment", ensemble.key]
    voices, ranges = (_programs(vocabulary, names), _ranges(names, meta.voice_ranges)) if names else ("", "")
    return render_card(
        f"Descant {', '.join(corpora) or 'model'}",
        corpora,
        [*likelihood, *measured],
        meta.training,
        tags=tags,
        what=WHAT.format(
            architecture=type(model).__name__,
            millions=sum(p.numel() for p in model.parameters()) / 1e6,
            music=kind.label if ensemble is None else f"music for {ensemble.scoring}",
        ),
        use=USE.format(place=PLACEHOLDER, voices=voices),
        intended=INTENDED,
        data=DATA.format(
            sources=sources_text(corpora, meta.training),
            splits=", ".join(meta.training.get("splits", [])),
            ranges=ranges,
        ),
        quality=_quality(unit, value, command, measured, "Bach" if ensemble is None else "the pieces' own"),
        limits=LIMITS.format(rules=RULES if has_plain_lines(vocabulary) else NO_RULES),
    )


def render_card(
    title: str,
    corpora: Sequence[str],
    figures: Sequence[MeasuredFigure],
    training: Mapping[str, Any],
    *,
    tags: Sequence[str],
    origins: Sequence[str] | None = None,
    is_transformer: bool = True,
    **sections: str,
) -> str:
    """Return the text of a card.

    Args:
        title: The model's name.
        corpora: Training corpora.
        figures: Figures for the Hub's model-index.
        training: Facts about the run.
        tags: Tags for the Hub.
        origins: Corpora that the training corpora were built from; by default these themselves.
        is_transformer: True if transformers loads the model.
        **sections: Texts of the sections: `what`, `use`, `intended`, `data`, `quality`, `limits`.
    """
    task = "text-generation" if is_transformer else "other"
    results = [
        EvalResult(
            task_type=task,
            task_name=TASK,
            dataset_type=_public_name(figure.corpus or corpora[0]),
            dataset_name=_public_name(figure.corpus or corpora[0]),
            dataset_split=figure.split,
            metric_type=figure.key,
            metric_name=figure.name,
            metric_value=round(figure.value, 4),
        )
        for figure in (figures if corpora else ())
    ]
    licences = training.get("licences", {})
    names = corpora if origins is None else origins
    are_free = bool(names) and all(is_free(name, licences.get(name, ())) for name in names)
    head = ModelCardData(
        license="apache-2.0" if are_free else "other",
        library_name="descant" if is_transformer else None,  # the Hub's snippet for transformers finds no tokenizer
        tags=list(tags),
        model_name=title,
        eval_results=results,
    )
    facts = "\n".join(f"- {key}: {fact}" for key, fact in training.items() if key not in UNLISTED)
    license_text = FREE_WEIGHTS if are_free else OTHER_WEIGHTS
    return CARD.format(metadata=head.to_yaml(), title=title, license=license_text, facts=facts, **sections)


def sources_text(corpora: Sequence[str], training: Mapping[str, Any]) -> str:
    """Return a list of corpora with their rights; facts about the run may hold the `licences` of folders."""
    licences = training.get("licences", {})
    return "\n".join(f"- {corpus}: {rights_text(corpus, licences.get(corpus, ()))}" for corpus in corpora)


def _public_name(corpus: str) -> str:
    """Return the name of a corpus for the Hub: that of a folder without its path, others as they are."""
    return Path(corpus).name if Path(corpus).exists() else corpus


def table_of(measured: Sequence[MeasuredFigure], heads: tuple[str, str, str]) -> str:
    """Return a table of figures, followed by the commands that printed them.

    Args:
        measured: The figures, at least one.
        heads: Column heads: names, figures of the model, reference figures.
    """
    rows = [
        f"| {figure.name} | {figure.value:{figure.form}} "
        f"| {'' if figure.reference is None else format(figure.reference, figure.form)} |"
        for figure in measured
    ]
    commands = "\n".join(f"- `{command}`" for command in dict.fromkeys(figure.command for figure in measured))
    return "\n".join([f"| {' | '.join(heads)} |", "|---|---|---|", *rows, "", "by", "", commands])


def _quality(unit: Unit, value: float | None, command: str, measured: Sequence[MeasuredFigure], reference: str) -> str:
    if value is None:
        return f"Not measured; `{command}` does."
    text = f"{value:.4f} {unit.name} on the valid split (whole pieces, bar tokens and EOS included), by\n`{command}`."
    parts = [text]
    for split in dict.fromkeys(figure.split for figure in measured):
        if split == "test":
            parts.append(TESTED)
        parts.append(table_of([f for f in measured if f.split == split], (f"on {split}", "model", reference)))
    return "\n\n".join(parts)


def _programs(vocabulary: Vocabulary, names: Sequence[str]) -> str:
    """Return a sentence that assigns programs to the four voices, from high to low, or to the parts of an ensemble."""
    programs = list(vocabulary.programs)
    if vocabulary.voices:
        names, programs = VOICES, [vocabulary.program_of[voice] for voice in VOICES]
    is_run = programs == list(range(programs[0], programs[0] + len(programs)))
    numbers = f"{programs[0]}-{programs[-1]}" if is_run else ", ".join(map(str, programs))
    return f"Programs {numbers} are {', '.join(names)}. "


def _ranges(names: Sequence[str], ranges: Sequence[tuple[int, int]]) -> str:
    voices = ", ".join(f"{voice} {low}-{high}" for voice, (low, high) in zip(names, ranges, strict=False))
    return f"\nTranspositions inside the voices' ranges ({voices}) were drawn for each epoch."


def push_checkpoint(model: ModelSource, repo_id: str, *, private: bool = False, update: bool = False) -> Pushed:
    """Push the published files of a checkpoint: no training state, no logs.

    Args:
        model: Checkpoint or run folder (its best checkpoint), or an embedded model.
        repo_id: `user/name`.
        private: Make a new repository private.
        update: Add a new version to a repository that exists.

    Raises:
        InputError: There is no such checkpoint, or the push fails (see `hub.push_folder`).
    """
    found = find_checkpoint(model)
    folder = found.folder
    files = PUBLISHED_FILES if found.objective == "causal" else PUBLISHED_WITHOUT_TOKENS
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise InputError(f"{folder} has no {missing[0]}. Push a complete checkpoint folder, as train.py writes it.")
    check_push(repo_id, update=update)
    card = (folder / CARD_NAME).read_text(encoding="utf-8").replace(PLACEHOLDER, repo_id)
    return push_files([folder / file for file in files], card, repo_id, private=private, update=update)
