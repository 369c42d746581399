"""Model cards of networks that are not transformers models: the GANs, and the families on the sixteenths grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from descant_modeling.models.networks import NetworkMeta
from descant_modeling.models.publishing import PLACEHOLDER, UNKNOWN_SOURCE, MeasuredFigure, render_card, table_of
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
    sources: Mapping[str, str | None],
    is_free: bool,
) -> str:
    """Return the card of a checkpoint, with `PLACEHOLDER` for its folder.

    Args:
        meta: Contents of its `descant.json`.
        wording: Its text.
        figures: Its figures.
        sources: Sources of the training music by corpus; None for a corpus that the text names.
        is_free: True if all corpora may be distributed under this project's licence.
    """
    names = VOICES if len(meta.voice_ranges) > 1 else ("MIDI pitches",)
    ranges = ", ".join(f"{name} {low}-{high}" for name, (low, high) in zip(names, meta.voice_ranges, strict=False))
    found = {corpus: sources.get(corpus, UNKNOWN_SOURCE) for corpus in meta.corpora}
    lines = [f"- {corpus}: {source}" for corpus, source in found.items() if source is not None]
    splits = ", ".join(meta.training.get("splits", []))
    table = table_of(figures, wording.heads) if figures else "Not measured."
    return render_card(
        wording.title,
        list(meta.corpora),
        figures,
        {name: value for name, value in meta.training.items() if name != "metrics"},
        is_free=is_free,
        tags=[*TAGS, *wording.tags],
        is_transformer=False,
        what=f"{wording.description}\nMade with Descant.",
        use=USE.format(command=f"python generate.py {wording.options}", how=wording.how, call=wording.call),
        intended=INTENDED.format(study=wording.study),
        data="\n\n".join(["\n".join(lines), wording.data.format(ranges=ranges, splits=splits)]),
        quality=f"{wording.measured}\n\n{table}" if wording.measured and figures else table,
        limits=wording.limits,
    )
