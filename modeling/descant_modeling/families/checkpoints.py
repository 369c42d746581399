"""Model cards of the families on the grid."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from descant_modeling.families.networks import GridNetwork
from descant_modeling.models.network_cards import Wording, network_card
from descant_modeling.models.networks import NetworkMeta
from descant_modeling.models.publishing import PLACEHOLDER, MeasuredFigure
from descant_modeling.models.transformer import count_parameters

HARMONIZE = f"--prompt melody.mid --model {PLACEHOLDER}"
DATA = """\
Windows of the four-part pieces of the splits {splits}, as what sounds in each voice at every 16th, transposed inside
the voices' ranges ({ranges}). No piece of valid, test or held_out was trained on."""

#: A wording with what all families share.
_wording = partial(
    Wording, study="to compare families of models on one corpus.", data=DATA, heads=("", "model", "Bach")
)
#: What is written of each family, with its size to fill in.
WORDINGS = {
    "rnn": _wording(
        title="Descant RNN",
        tags=("harmonization", "bach"),
        description="""\
A three-layer GRU ({millions:.2f} M parameters) that writes soprano, alto, tenor and bass of each 16th in turn, after
TonicNet (Peracha 2019) without its chord token.""",
        options=HARMONIZE,
        how="""\
It harmonizes given voices and continues a piece (`--task continue --bars 8`). Given notes are forced: several
particles are written side by side, and those under which the given notes are likelier go on.""",
        call='harmonize("melody.mid", seed=1)',
        limits="""\
It hears a melody only as far as it has written, so it cannot prepare a cadence. It cannot tell a held note from a
repeated one: new notes are struck again where a given voice is. It knows no rules of voice leading.""",
    ),
    "cnn": _wording(
        title="Descant CNN",
        tags=("harmonization", "infilling", "bach"),
        description="""\
Coconet (Huang et al. 2017), smaller ({millions:.2f} M parameters): masked convolutions over pitch and time that fill in
any missing cells of four voices.""",
        options=HARMONIZE,
        how="""\
It harmonizes any voices (`--given bass`), infills (`--task infill --bars 3-4`) and continues a piece, by blocked Gibbs
sampling with annealed masking (`--steps`, by default 32).""",
        call='harmonize("melody.mid", seed=1)',
        limits="""\
It sees a few bars around each cell. It cannot tell a held note from a repeated one: new notes are struck again where a
given voice is. It knows no rules of voice leading.""",
    ),
    "vae": _wording(
        title="Descant VAE",
        tags=("interpolation", "bach"),
        description="""\
A recurrent variational autoencoder of two bars of {voices} ({millions:.2f} M parameters), after MusicVAE (Roberts et
al. 2018).""",
        options=f"--prompt a.mid --morph b.mid --steps 7 --model {PLACEHOLDER}",
        how="""\
It morphs the first two bars of one prompt into those of another, and varies a prompt two bars at a time (`--task vary
--amount 0.3`).""",
        call='vary("melody.mid", amount=0.3, seed=1)',
        limits="""\
It sees two bars at a time, of 4/4. It cannot tell a held note from a repeated one. What it writes is only as near to
its prompt as its reconstruction.""",
    ),
}
#: Names of the figures of valid that a run measures.
FIGURES = {
    "nats_per_voice_16th": "nats per voice-16th, valid",
    "bits_per_note": "bits per note, valid",
    "orderless_nats_per_voice_16th": "nats per voice-16th, orderless bound, length given, valid",
    "elbo_nats_per_cell": "nats per voice-16th, upper bound, valid windows",
    "accuracy": "share of cells reconstructed, valid windows",
    "divergence": "divergence from the prior, nats a window",
    "path": "cells changed on a way of seven pieces, over those that differ at its ends",
    "largest_step": "largest share of these in one step",
}


def family_card(meta: NetworkMeta, network: GridNetwork[Any]) -> str:
    """Return the card of a network with these contents of `descant.json`, with `PLACEHOLDER` for its folder."""
    is_melody = getattr(network.sizes, "num_voices", 0) == 1
    sizes = {"millions": count_parameters(network) / 1e6, "voices": "a melody" if is_melody else "four voices"}
    wording = WORDINGS[meta.objective]
    wording = replace(wording, description=wording.description.format(**sizes))
    command = f"accelerate launch train.py --config configs/{meta.objective}{'-melody' if is_melody else ''}.yaml"
    figures = [
        MeasuredFigure(key, name, float(meta.training[f"valid_{key}"]), None, command, ".4f")
        for key, name in FIGURES.items()
        if f"valid_{key}" in meta.training
    ]
    return network_card(meta, wording, figures)
