"""Write the melodies of this folder from the note lists below.

    python examples/make_examples.py                 # into this folder
    python examples/make_examples.py --out DIR       # elsewhere

The note lists are the only source: typed for this project from melodies that are in the public domain everywhere
(README.md says where each comes from). A test checks that the files are what this script writes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.scores import write_midi

TICKS_PER_QUARTER = 480
VELOCITY = 80
CHOIR_AAHS = 52  # General MIDI program
QUARTERS = {"w": Fraction(4), "h": Fraction(2), "q": Fraction(1), "e": Fraction(1, 2), "s": Fraction(1, 4)}
TYPES = {"w": "whole", "h": "half", "q": "quarter", "e": "eighth", "s": "16th"}
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"#": 1, "b": -1}
ABC_KEYS = {-1: "F", 0: "C", 1: "G", 2: "D"}  # major
FORMATS = (".mid", ".abc", ".musicxml")


@dataclass(frozen=True)
class Tune:
    """A melody: bars split by `|`, notes such as `F#4e.` (pitch, octave, length), `~` before one tied to the next."""

    title: str
    file: str
    meter: tuple[int, int]
    sharps: int
    quarters_per_minute: int
    bars: str
    is_minor: bool = False

    def __post_init__(self) -> None:
        """Check that every bar but a pickup and the last one is full, and the file's format is known."""
        lengths = [sum((note.quarters for note in bar), Fraction(0)) for bar in self.notes_by_bar()]
        full = self.bar_quarters
        assert lengths[0] <= full, (self.title, lengths)
        assert all(length == full for length in lengths[1:-1]), (self.title, lengths)
        assert lengths[-1] in (full, full - lengths[0] % full), (self.title, lengths)
        assert Path(self.file).suffix in FORMATS, self.file

    @property
    def bar_quarters(self) -> Fraction:
        """Length of a full bar in quarter notes."""
        return Fraction(4 * self.meter[0], self.meter[1])

    @property
    def pickup_quarters(self) -> Fraction:
        """Length of the pickup in quarter notes, 0 if there is none."""
        length = sum((note.quarters for note in self.notes_by_bar()[0]), Fraction(0))
        return length % self.bar_quarters

    def notes_by_bar(self) -> list[list[ExampleNote]]:
        """The notes of each bar, the pickup's first."""
        return [[ExampleNote.parse(word) for word in bar.split()] for bar in self.bars.split("|")]


@dataclass(frozen=True)
class ExampleNote:
    """One written note."""

    step: str
    accidental: str
    octave: int
    length: str
    num_dots: int
    is_tied_on: bool

    @classmethod
    def parse(cls, word: str) -> ExampleNote:
        """Read a note such as `F#4e.` or `~D5h.`."""
        plain = word.lstrip("~").rstrip(".")
        return cls(
            step=plain[0],
            accidental=plain[1:-2],
            octave=int(plain[-2]),
            length=plain[-1],
            num_dots=word.count("."),
            is_tied_on=word.startswith("~"),
        )

    @property
    def quarters(self) -> Fraction:
        """Length in quarter notes."""
        return QUARTERS[self.length] * (2 - Fraction(1, 2**self.num_dots))

    @property
    def pitch(self) -> int:
        """MIDI pitch."""
        return 12 * (self.octave + 1) + SEMITONES[self.step] + ACCIDENTALS.get(self.accidental, 0)


TUNES = [
    Tune(
        "Ode to Joy",
        "ode-to-joy.mid",
        (4, 4),
        1,
        108,
        "B4q B4q C5q D5q | D5q C5q B4q A4q | G4q G4q A4q B4q | B4q. A4e A4h |"
        "B4q B4q C5q D5q | D5q C5q B4q A4q | G4q G4q A4q B4q | A4q. G4e G4h |"
        "A4q A4q B4q G4q | A4q B4e C5e B4q G4q | A4q B4e C5e B4q A4q | G4q A4q D4h |"
        "B4q B4q C5q D5q | D5q C5q B4q A4q | G4q G4q A4q B4q | A4q. G4e G4h",
    ),
    Tune(
        "Old Hundredth",
        "old-hundredth.mid",
        (4, 4),
        1,
        84,
        "G4q | G4q F#4q E4q D4q | G4q A4q B4q B4q | B4q B4q A4q G4q | C5q B4q A4q G4q |"
        "A4q B4q A4q G4q | E4q F#4q G4q D5q | B4q G4q A4q C5q | B4q A4q G4q",
    ),
    Tune(
        "Amazing Grace",
        "amazing-grace.mid",
        (3, 4),
        1,
        90,
        "D4q | G4h B4e G4e | B4h A4q | G4h E4q | D4h D4q | G4h B4e G4e | B4h A4q | ~D5h. | D5h B4q |"
        "D5q. B4e D5e B4e | G4h D4q | E4q. G4e G4e E4e | D4h D4q | G4h B4e G4e | B4h A4q | ~G4h. | G4h",
    ),
    Tune(
        "Greensleeves",
        "greensleeves.mid",
        (6, 8),
        0,
        66,
        "A4e | C5q D5e E5e. F5s E5e | D5q B4e G4e. A4s B4e | C5q A4e A4e. G#4s A4e | B4q G#4e E4q A4e |"
        "C5q D5e E5e. F5s E5e | D5q B4e G4e. A4s B4e | C5e. B4s A4e G#4e. F#4s G#4e | A4q. A4q. |"
        "G5q. G5e. F5s E5e | D5q B4e G4e. A4s B4e | C5q A4e A4e. G#4s A4e | B4q G#4e E4q. |"
        "G5q. G5e. F5s E5e | D5q B4e G4e. A4s B4e | C5e. B4s A4e G#4e. F#4s G#4e | A4q. A4q",
        is_minor=True,
    ),
    Tune(
        "Twinkle, Twinkle, Little Star",
        "twinkle.mid",
        (4, 4),
        2,
        100,
        "D4q D4q A4q A4q | B4q B4q A4h | G4q G4q F#4q F#4q | E4q E4q D4h |"
        "A4q A4q G4q G4q | F#4q F#4q E4h | A4q A4q G4q G4q | F#4q F#4q E4h |"
        "D4q D4q A4q A4q | B4q B4q A4h | G4q G4q F#4q F#4q | E4q E4q D4h",
    ),
    Tune(
        "Row, Row, Row Your Boat",
        "row-your-boat.abc",
        (6, 8),
        0,
        120,
        "C4q. C4q. | C4q D4e E4q. | E4q D4e E4q F4e | G4h. |"
        "C5e C5e C5e G4e G4e G4e | E4e E4e E4e C4e C4e C4e | G4q F4e E4q D4e | C4h.",
    ),
    Tune(
        "Au clair de la lune",
        "au-clair-de-la-lune.musicxml",
        (4, 4),
        1,
        104,
        "G4q G4q G4q A4q | B4h A4h | G4q B4q A4q A4q | G4w | G4q G4q G4q A4q | B4h A4h | G4q B4q A4q A4q | G4w |"
        "A4q A4q A4q A4q | E4h E4h | A4q G4q F#4q E4q | D4w | G4q G4q G4q A4q | B4h A4h | G4q B4q A4q A4q | G4w",
    ),
]


def to_score(tune: Tune) -> ScoreTick:
    """Build the score of a tune: one track named Melody, ties merged."""
    score = ScoreTick(TICKS_PER_QUARTER)
    numerator, denominator = tune.meter
    pickup_ticks = int(tune.pickup_quarters * TICKS_PER_QUARTER)
    if pickup_ticks:
        pickup_beats = int(tune.pickup_quarters * denominator / 4)
        score.time_signatures.append(TimeSignatureTick(0, pickup_beats, denominator))
    score.time_signatures.append(TimeSignatureTick(pickup_ticks, numerator, denominator))
    score.key_signatures.append(KeySignatureTick(0, tune.sharps, int(tune.is_minor)))
    score.tempos.append(TempoTick(0, qpm=tune.quarters_per_minute))
    track = TrackTick("Melody", CHOIR_AAHS, False)
    time, is_tied_on = 0, False
    for note in (note for bar in tune.notes_by_bar() for note in bar):
        duration = int(note.quarters * TICKS_PER_QUARTER)
        if is_tied_on:
            track.notes[-1].duration += duration
        else:
            track.notes.append(NoteTick(time, duration, note.pitch, VELOCITY))
        time, is_tied_on = time + duration, note.is_tied_on
    score.tracks.append(track)
    return score


def to_abc(tune: Tune, number: int = 1) -> str:
    """Write a tune without accidentals, other than the key's, and ties as ABC notation."""
    unit = Fraction(1, 2)
    bars = []
    for bar in tune.notes_by_bar():
        words = []
        for note in bar:
            name = note.step if note.octave < 5 else note.step.lower()
            count = note.quarters / unit
            words.append(name if count == 1 else f"{name}{count}")
        bars.append(" ".join(words))
    lines = [" | ".join(bars[index : index + 4]) for index in range(0, len(bars), 4)]
    numerator, denominator = tune.meter
    header = (
        f"X:{number}\nT:{tune.title}\nM:{numerator}/{denominator}\nL:1/8\n"
        f"Q:1/4={tune.quarters_per_minute}\nK:{ABC_KEYS[tune.sharps]}\n"
    )
    return header + " |\n".join(lines) + " |]\n"


def to_musicxml(tune: Tune) -> str:
    """Write a tune without pickup and ties as partwise MusicXML."""
    measures = "".join(
        f'    <measure number="{number}">\n{_attributes(tune) if number == 1 else ""}'
        + "".join(_xml_notes(bar))
        + "    </measure>\n"
        for number, bar in enumerate(tune.notes_by_bar(), start=1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
        '"http://www.musicxml.org/dtds/partwise.dtd">\n'
        '<score-partwise version="4.0">\n'
        f"  <work><work-title>{tune.title}</work-title></work>\n"
        '  <part-list><score-part id="P1"><part-name>Melody</part-name></score-part></part-list>\n'
        f'  <part id="P1">\n{measures}  </part>\n</score-partwise>\n'
    )


def _attributes(tune: Tune) -> str:
    numerator, denominator = tune.meter
    return (
        f"      <attributes><divisions>4</divisions><key><fifths>{tune.sharps}</fifths><mode>major</mode></key>"
        f"<time><beats>{numerator}</beats><beat-type>{denominator}</beat-type></time>"
        "<clef><sign>G</sign><line>2</line></clef></attributes>\n"
        "      <direction><direction-type><metronome><beat-unit>quarter</beat-unit>"
        f"<per-minute>{tune.quarters_per_minute}</per-minute></metronome></direction-type></direction>\n"
    )


def _xml_notes(bar: list[ExampleNote]) -> Iterator[str]:
    for note in bar:
        alter = f"<alter>{ACCIDENTALS[note.accidental]}</alter>" if note.accidental else ""
        yield (
            f"      <note><pitch><step>{note.step}</step>{alter}<octave>{note.octave}</octave></pitch>"
            f"<duration>{note.quarters * 4}</duration><type>{TYPES[note.length]}</type>{'<dot/>' * note.num_dots}"
            "</note>\n"
        )


def main() -> None:
    """Write every tune in the format that its file name says."""
    parser = argparse.ArgumentParser(description="Write the example melodies.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for tune in TUNES:
        path = out / tune.file
        if path.suffix == ".mid":
            write_midi(to_score(tune), path, force=True)
        else:
            text = to_abc(tune) if path.suffix == ".abc" else to_musicxml(tune)
            path.write_text(text, encoding="utf-8", newline="\n")
        print(path)


if __name__ == "__main__":
    main()
