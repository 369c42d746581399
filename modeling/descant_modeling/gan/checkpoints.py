"""The GANs' checkpoints, which hold the generator with its batch norm statistics, and their model cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from descant_modeling.gan.metrics import METRIC_NAMES
from descant_modeling.gan.midinet import MidinetGenerator
from descant_modeling.gan.networks import RollGenerator, UNetGenerator
from descant_modeling.models.checkpoints import ModelSource, find_checkpoint
from descant_modeling.models.network_cards import Wording, network_card
from descant_modeling.models.networks import LoadedNetwork, NetworkMeta, load_network
from descant_modeling.models.publishing import PLACEHOLDER, MeasuredFigure
from descant_tokenizers.common.errors import InputError

AnyGenerator = UNetGenerator | MidinetGenerator | RollGenerator

#: Builders of each objective's generator from the values of its config.json.
BUILDERS: dict[str, Callable[[dict[str, Any]], AnyGenerator]] = {
    "gan": lambda values: UNetGenerator(),
    "midinet": lambda values: MidinetGenerator(),
    "roll-gan": lambda values: RollGenerator(values["noise_size"], values["filters"]),
}


def load_gan(model: ModelSource, device: str = "cpu") -> LoadedNetwork[AnyGenerator]:
    """Load a generator.

    Raises:
        InputError: The model does not exist, is not a GAN, or its folder is incomplete or of a newer format.
    """
    found = find_checkpoint(model)
    if found.objective not in BUILDERS:
        raise InputError(f"{found.folder} is not the checkpoint of a GAN. Give a run with a GAN's configuration.")
    return load_network(found, BUILDERS[found.objective], device)


WORDINGS = {
    "gan": Wording(
        title="Descant GAN",
        tags=("gan", "harmonization", "bach"),
        description="""\
A conditional GAN (U-Net generator, 8.27 M parameters, trained as WGAN-GP) that takes a melody as a piano roll and
writes four tracks, built after AWS DeepComposer; the baseline that Descant's Transformer is measured against.""",
        options=f"--prompt melody.mid --model {PLACEHOLDER}",
        how="""\
It works in windows of two bars, with sixteenths as the shortest notes. Each sample has its own noise (`--seed`,
`--num-samples`). The prompt's own melody replaces the first track that the model writes.""",
        call='harmonize("melody.mid", seed=1)',
        study="""\
how a GAN on piano rolls harmonizes, window by window, and what the Transformer has to do better.""",
        data="""\
Two-bar windows of the 4/4 chorales in the split train, as piano rolls (`descant dataset build chorales-rolls`): 229
samples. No window of valid, test or held_out was trained on.
The ranges of the tracks are {ranges}.""",
        measured="Measured for the melodies of the valid windows, beside the data's own values:",
        limits="""\
It sees no further than its window; repeated notes come back as one long note; voices break off and restart; it knows
no rules of voice leading. Each result comes with the share of the melody that the model's own first track keeps.""",
    ),
    "roll-gan": Wording(
        title="Descant roll GAN",
        tags=(
            "gan",
            "bach",
        ),
        description="""\
An unconditional GAN (0.96 M parameters by default, trained as WGAN-GP) that writes four bars of four tracks from a
noise vector, after the sketch in the article that Descant grew from.""",
        options=f"--model {PLACEHOLDER} --seed 1",
        how="It takes no prompt. Each seed, and each of `--num-samples`, is a new noise vector.",
        call="compose(seed=1)",
        study="how much of the surface of Bach's chorales a GAN learns without any condition.",
        data="""\
Four-bar windows of the 4/4 chorales in the split train, one from each bar on, as piano rolls (`descant dataset build
chorales-rolls-64`). No window of valid, test or held_out was trained on.
The ranges of the tracks are {ranges}.""",
        measured="Measured for 128 samples, beside the values of the valid windows:",
        limits="""\
It always writes four bars; repeated notes come back as one long note; voices break off and restart; it knows no rules
of voice leading, plans no key, and knows no beginning or end of a piece.""",
    ),
    "midinet": Wording(
        title="Descant MidiNet",
        tags=(
            "gan",
            "melody",
        ),
        description="""\
MidiNet (Yang et al. 2017, 0.53 M parameters): a convolutional GAN that writes a melody bar by bar from noise, each bar
given a chord and the bar before.""",
        options=f'--model {PLACEHOLDER} --bars 8 --chords "C G Am F" --seed 1',
        how="""\
It takes no prompt. At each sixteenth the pitch with the highest value sounds. Chords are major and minor triads and
repeat; without `--chords` they are C G Am F C F G C.""",
        call='compose(bars=8, chords=["C", "G", "Am", "F"], seed=1)',
        study="how a convolutional GAN continues from the bar before under a given chord; and for tunes to play with.",
        data="""\
Bars of 4/4 of the chorales' sopranos and of folk tunes, from their train splits (`descant dataset build melody-bars`),
each in seven keys. Chords are found in the harmony, or in the melody of tunes without harmony. No bar of valid, test
or held_out was trained on. The range of the bars is {ranges} before they are transposed.""",
        measured="Measured for bars written with the chord and the bar before of each valid bar, beside these bars:",
        limits="""\
It remembers one bar; a melody has no form. A bar has no rests, and repeated notes come back as one long note. It knows
only 4/4 and sixteenths.""",
    ),
}


def gan_card(meta: NetworkMeta, measured: Sequence[MeasuredFigure] = ()) -> str:
    """Return the card of a checkpoint, with `PLACEHOLDER` for its folder.

    Args:
        meta: Contents of its `descant.json`.
        measured: Figures of the valid split, from records; by default the run's last measurements.
    """
    from descant_tokenizers.pianoroll.stored import SOURCES  # imports datasets

    wording = WORDINGS[meta.objective]
    figures = list(measured)
    if not figures:
        pairs = meta.training.get("metrics", {})
        own, valid = ({name: pair[index] for name, pair in pairs.items()} for index in (0, 1))
        command = f"accelerate launch train.py --config configs/{meta.objective}.yaml"
        figures = recorded_figures(own, valid, command)
    return network_card(meta, wording, figures, built_from=SOURCES)


def recorded_figures(
    written: Mapping[str, float], valid_data: Mapping[str, float], command: str
) -> list[MeasuredFigure]:
    """Return metrics as figures, each beside the value of the valid data."""
    return [
        MeasuredFigure(name, METRIC_NAMES[name], value, valid_data[name], command, ".3f")
        for name, value in written.items()
    ]
