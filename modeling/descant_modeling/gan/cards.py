"""Model cards of GAN checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from descant_modeling.cards import SOURCES, UNKNOWN_SOURCE
from descant_modeling.gan.checkpoints import GanMeta
from descant_tokenizers.rolls import LONG_ROLLS_CORPUS, MELODY_CORPUS, ROLLS_CORPUS
from descant_tokenizers.scores import VOICES

CARD = """---
license: apache-2.0
tags: [{tags}]
---

# {title}

{what}

## Use

```
{use}
```

{how}

## Training data

{sources}

{data}

## Quality

{measured}

{metrics}

## Limits

{limits}

## Run

{facts}
"""


@dataclass(frozen=True)
class Wording:
    """What a card says of one kind of GAN.

    Attributes:
        title: Its name.
        tags: For the Hub.
        what: What it is.
        use: A command.
        how: What the command does.
        data: What it was trained on; `{ranges}` stands for where the tracks reach.
        measured: What the table shows.
        limits: What it cannot do.
    """

    title: str
    tags: str
    what: str
    use: str
    how: str
    data: str
    measured: str
    limits: str


WORDINGS = {
    "gan": Wording(
        title="Descant GAN",
        tags="music, symbolic-music, midi, piano-roll, harmonization, gan, bach",
        what="""\
A conditional GAN (U-Net generator, 8.27 M parameters, trained as WGAN-GP) that hears a melody as a piano roll and
writes four tracks, built after AWS DeepComposer; the baseline that Descant's Transformer is measured against.""",
        use="python generate.py --prompt melody.mid --model THIS_FOLDER",
        how="""\
It works in windows of two bars, a sixteenth the shortest note. Noise makes each sample another one (`--seed`,
`--num-samples`). The prompt's own melody is put back in place of the first track that it writes.""",
        data="""\
Two-bar windows of the 4/4 chorales in the split train, as piano rolls (`descant dataset build chorales-rolls`): 229
samples. No window of valid, test or held_out was trained on. The tracks reach {ranges}.""",
        measured="Measured for the melodies of the valid windows, beside the data's own values:",
        limits="""\
It hears no further than its window; repeated notes come back as one long note; voices break off and restart; it knows
no rules of voice leading. What share of the melody it keeps by itself is said with each result.""",
    ),
    "roll-gan": Wording(
        title="Descant roll GAN",
        tags="music, symbolic-music, midi, piano-roll, gan, bach",
        what="""\
An unconditional GAN (0.96 M parameters by default, trained as WGAN-GP) that writes four bars of four tracks from a
noise vector, after the sketch in the article that Descant grows from. For study: it shows what a GAN learns of the
surface of Bach's chorales when nothing is given to it.""",
        use="python generate.py --model THIS_FOLDER --seed 1",
        how="It takes no prompt. Each seed, and each of `--num-samples`, is another noise vector.",
        data="""\
Four-bar windows of the 4/4 chorales in the split train, one from each bar on, as piano rolls (`descant dataset build
chorales-rolls-64`). No window of valid, test or held_out was trained on. The tracks reach {ranges}.""",
        measured="Measured for 128 samples, beside the values of the valid windows:",
        limits="""\
Four bars, always; repeated notes come back as one long note; voices break off and restart; it knows no rules of voice
leading, no key beyond what happens to come out, and no beginning or end of a piece.""",
    ),
    "midinet": Wording(
        title="Descant MidiNet",
        tags="music, symbolic-music, midi, piano-roll, melody, gan",
        what="""\
MidiNet (Yang et al. 2017, 0.53 M parameters): a convolutional GAN that writes a melody bar by bar from noise, each bar
given a chord and the bar before.""",
        use='python generate.py --model THIS_FOLDER --bars 8 --chords "C G Am F" --seed 1',
        how="""\
It takes no prompt. Of each sixteenth the pitch with the highest value sounds. Chords are major and minor triads and
go round; without `--chords` they are C G Am F C F G C.""",
        data="""\
Bars of 4/4 of the chorales' sopranos and of folk tunes in the splits train (`descant dataset build melody-bars`), each
in seven keys, the chords found from the harmony, of tunes without one from the melody. No bar of valid, test or
held_out was trained on. The bars reach {ranges} before they are transposed.""",
        measured="Measured for bars written with the chord and the bar before of each valid bar, beside these bars:",
        limits="""\
It remembers one bar; a melody has no form. A bar has no rests, and repeated notes come back as one long note. 4/4 and
sixteenths only.""",
    ),
}


def gan_card(meta: GanMeta) -> str:
    """Return the card of a checkpoint."""
    wording = WORDINGS[meta.objective]
    metrics = meta.training.get("metrics", {})
    facts = {name: value for name, value in meta.training.items() if name != "metrics"}
    sources = {**SOURCES, ROLLS_CORPUS: SOURCES["chorales"], LONG_ROLLS_CORPUS: SOURCES["chorales"]}
    rows = [f"| {name.replace('_', ' ')} | {value:.3f} | {own:.3f} |" for name, (value, own) in metrics.items()]
    table = ["| | written | valid data |", "|---|---|---|", *rows] if rows else ["Not measured."]
    names = VOICES if len(meta.voice_ranges) > 1 else ("MIDI pitches",)
    return CARD.format(
        title=wording.title,
        tags=wording.tags,
        what=wording.what,
        use=wording.use,
        how=wording.how,
        measured=wording.measured,
        limits=wording.limits,
        sources="\n".join(
            f"- {name}: {sources.get(name, UNKNOWN_SOURCE)}" for name in meta.corpora if name != MELODY_CORPUS
        ),
        data=wording.data.format(
            ranges=", ".join(f"{v} {low}-{high}" for v, (low, high) in zip(names, meta.voice_ranges, strict=False))
        ),
        metrics="\n".join(table),
        facts="\n".join(f"- {name}: {value}" for name, value in facts.items()),
    )
