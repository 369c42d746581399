"""Model cards of the families on the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from descant_modeling.models.networks import NetworkMeta
from descant_modeling.models.publishing import (
    NETWORK_USE,
    PLACEHOLDER,
    SOURCES,
    UNKNOWN_SOURCE,
    MeasuredFigure,
    render_card,
    table_of,
)
from descant_modeling.models.transformer import count_parameters
from descant_tokenizers.corpora import FREE_CORPORA
from descant_tokenizers.scores import VOICES

INTENDED = """\
For study: to compare families of models on one corpus. It is not meant for music to be performed unedited, for teaching
or grading harmony, or for passing its output off as somebody's own."""

DATA = """\
{sources}

Windows of the four-part pieces of the splits {splits}, as what sounds in each voice at every 16th, transposed inside
the voices' ranges ({ranges}). No piece of valid, test or held_out was trained on."""


@dataclass(frozen=True)
class FamilyWording:
    """Text of one family's card; `command` and `call` generate music, `figures` are names of valid's figures."""

    title: str
    tags: tuple[str, ...]
    description: str
    command: str
    how: str
    call: str
    figures: dict[str, str]
    limits: str


HARMONIZE = f"python generate.py --prompt melody.mid --model {PLACEHOLDER}"

WORDINGS = {
    "rnn": FamilyWording(
        title="Descant RNN",
        tags=("harmonization", "bach"),
        description="A three-layer GRU ({millions:.2f} M parameters) that writes soprano, alto, tenor and bass of each "
        "16th in turn, after TonicNet (Peracha 2019) without its chord token.",
        command=HARMONIZE,
        how="""\
It harmonizes given voices and continues a piece (`--task continue --bars 8`). Given notes are forced: several
particles are written side by side, and those under which the given notes are likelier go on.""",
        call='harmonize("melody.mid", seed=1)',
        figures={"nats_per_voice_16th": "nats per voice-16th, valid", "bits_per_note": "bits per note, valid"},
        limits="""\
It hears a melody only as far as it has written, so it cannot prepare a cadence. It cannot tell a held note from a
repeated one: new notes are struck again where a given voice is. It knows no rules of voice leading.""",
    ),
    "cnn": FamilyWording(
        title="Descant CNN",
        tags=("harmonization", "infilling", "bach"),
        description="Coconet (Huang et al. 2017), smaller ({millions:.2f} M parameters): masked convolutions over "
        "pitch and time that fill in any missing cells of four voices.",
        command=HARMONIZE,
        how="""\
It harmonizes any voices (`--given bass`), infills (`--task infill --bars 3-4`) and continues a piece, by blocked Gibbs
sampling with annealed masking (`--steps`, by default 32).""",
        call='harmonize("melody.mid", seed=1)',
        figures={"orderless_nats_per_voice_16th": "nats per voice-16th, orderless bound, length given, valid"},
        limits="""\
It sees a few bars around each cell. It cannot tell a held note from a repeated one: new notes are struck again where a
given voice is. It knows no rules of voice leading.""",
    ),
    "vae": FamilyWording(
        title="Descant VAE",
        tags=("interpolation", "bach"),
        description="A recurrent variational autoencoder of two bars ({millions:.2f} M parameters), after MusicVAE "
        "(Roberts et al. 2018).",
        command=f"python generate.py --prompt a.mid --morph b.mid --steps 7 --model {PLACEHOLDER}",
        how="""\
It morphs the first two bars of one prompt into those of another, and varies a prompt two bars at a time (`--task vary
--amount 0.3`).""",
        call='vary("melody.mid", amount=0.3, seed=1)',
        figures={
            "elbo_nats_per_cell": "nats per voice-16th, upper bound, valid windows",
            "accuracy": "share of cells reconstructed, valid windows",
            "divergence": "divergence from the prior, nats a window",
            "path": "cells changed on a way of seven pieces, over those that differ at its ends",
            "largest_step": "largest share of these in one step",
        },
        limits="""\
It sees two bars at a time, of 4/4. It cannot tell a held note from a repeated one. What it writes is only as near to
its prompt as its reconstruction.""",
    ),
}


def family_card(meta: NetworkMeta, network: nn.Module, measured: Sequence[MeasuredFigure] = ()) -> str:
    """Return the card of a checkpoint, with `PLACEHOLDER` for its folder.

    Args:
        meta: Contents of its `descant.json`.
        network: Its network, for its size.
        measured: Further figures, from records.
    """
    wording = WORDINGS[meta.objective]
    command = f"accelerate launch train.py --config configs/{meta.objective}.yaml"
    figures = [
        MeasuredFigure(key, name, float(meta.training[f"valid_{key}"]), None, command, ".4f")
        for key, name in wording.figures.items()
        if f"valid_{key}" in meta.training
    ]
    figures += measured
    ranges = ", ".join(f"{name} {low}-{high}" for name, (low, high) in zip(VOICES, meta.voice_ranges, strict=False))
    sources = "\n".join(f"- {name}: {SOURCES.get(name, UNKNOWN_SOURCE)}" for name in meta.corpora)
    millions = count_parameters(network) / 1e6
    return render_card(
        wording.title,
        list(meta.corpora),
        figures,
        meta.training,
        is_free=set(meta.corpora) <= set(FREE_CORPORA),
        tags=["music", "symbolic-music", "midi", "piano-roll", *wording.tags],
        is_transformer=False,
        what=f"{wording.description.format(millions=millions)}\nMade with Descant.",
        use=NETWORK_USE.format(command=wording.command, how=wording.how, call=wording.call),
        intended=INTENDED,
        data=DATA.format(sources=sources, splits=", ".join(meta.training.get("splits", [])), ranges=ranges),
        quality=table_of(figures, ("", "model", "Bach")) if figures else "Not measured.",
        limits=wording.limits,
    )
