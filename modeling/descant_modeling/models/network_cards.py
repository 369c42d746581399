"""Model cards of networks that are not transformers models: the GANs, and the families on the sixteenths grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from descant_modeling.models.networks import NetworkMeta
from descant_modeling.models.publishing import PLACEHOLDER, MeasuredFigure, render_card, sources_text, table_of
from descant_tokenizers.scores import VOICES

TAGS = ("music", "symbolic-music", "midi", "piano-roll")

#: How to use a network: `command`, `how` it works, and a `call` in Python.
USE = f"""\
```
{{command}}
```

{{how}}

From Python, with Descant (there is no stock class for it):

```python
from descant_modeling import load

result = load("{PLACEHOLDER}").{{call}}
result.score.dump_midi("out.mid")
```"""

INTENDED = """\
For study: {study}
It is not meant for music to be performed unedited, for teaching or grading harmony, or for passing its output off as
somebody's own."""


@dataclass(frozen=True)
class Wording:
    """Text of one kind of network's card.

    Attributes:
        title: Its name.
        tags: Tags for the Hub besides `TAGS`.
        description: What it is.
        options: Options of generate.py that use it.
        how: How it generates.
        call: The same as `options` in Python.
        study: What it is good for.
        data: Its training data; with `{ranges}` of the voices and `{splits}` to fill in.
        limits: What it cannot do.
        measured: Caption of the table of figures.
        heads: Heads of that table.
    """

    title: str
    tags: tuple[str, ...]
    description: str
    options: str
    how: str
    call: str
    study: str
    data: str
    limits: str
    measured: str = ""
    heads: tuple[str, str, str] = ("", "written", "valid data")


def network_card(
    meta: NetworkMeta,
    wording: Wording,
    figures: Sequence[MeasuredFigure],
    *,
    built_from: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Return the card of a checkpoint, with `PLACEHOLDER` for its folder.

    Args:
        meta: Contents of its `descant.json`.
        wording: Its text.
        figures: Its figures.
        built_from: Corpora that others were built from.
    """
    names = VOICES if len(meta.voice_ranges) > 1 else ("MIDI pitches",)
    ranges = ", ".join(f"{name} {low}-{high}" for name, (low, high) in zip(names, meta.voice_ranges, strict=False))
    known = built_from or {}
    origins = list(dict.fromkeys(origin for corpus in meta.corpora for origin in known.get(corpus, [corpus])))
    splits = ", ".join(meta.training.get("splits", []))
    table = table_of(figures, wording.heads) if figures else "Not measured."
    return render_card(
        wording.title,
        list(meta.corpora),
        figures,
        meta.training,
        origins=origins,
        tags=[*TAGS, *wording.tags],
        is_transformer=False,
        what=f"{wording.description}\nMade with Descant.",
        use=USE.format(command=f"python generate.py {wording.options}", how=wording.how, call=wording.call),
        intended=INTENDED.format(study=wording.study),
        data="\n\n".join([sources_text(origins, meta.training), wording.data.format(ranges=ranges, splits=splits)]),
        quality=f"{wording.measured}\n\n{table}" if wording.measured and figures else table,
        limits=wording.limits,
    )
