"""A score in every format: MIDI, MusicXML, SVG and PDF pages, piano roll, and sound.

>>> from descant_tokenizers.scores import read_score
>>> rendering = Rendering(read_score("examples/au-clair-de-la-lune.musicxml"))
>>> str(rendering.key)
'G major'
>>> len(rendering.svg_pages), rendering.data("midi")[0][:4]
(1, b'MThd')
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from symusic.core import NoteTick, ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import FORMATS, NOTATION_FORMATS, check_free, file_of, practice_file, write_all
from descant_tokenizers.rendering import Layout, PracticeOptions, Sounds, engraving
from descant_tokenizers.rendering.audio import sound_file
from descant_tokenizers.rendering.layers import GivenRule, Notated
from descant_tokenizers.rendering.practice import practice_tracks
from descant_tokenizers.rendering.spelling import LOWEST_PRINTED, Key, KeyFound, find_key
from descant_tokenizers.scores.form import Form
from descant_tokenizers.scores.marks import Marks

if TYPE_CHECKING:
    from descant_tokenizers.rendering.chords import ChordName


class WrittenScore(NamedTuple):
    """A score as sheet music shows it, its marks, and the rule for its given notes."""

    score: ScoreTick
    marks: Marks
    is_given: GivenRule | None


@dataclass(frozen=True)
class Rendering:
    """A score with options for showing and playing it; formats are made on demand, the notation once.

    Attributes:
        score: Any score with pitched notes.
        title: Printed above the first system; by default the title of the marks.
        caption: Printed above the piano roll; by default the title.
        is_given: Rule for the given notes, for example `lambda voice, note: voice == "Soprano"`; the others are
            colored, and a legend is printed. By default all notes look the same.
        is_colored: If False, sheet music has neither colors nor a legend.
        arrangement: Staves: `open` has one for each track, `closed` two voices to one; by default closed for four
            voices (see `staves_of`).
        chosen_key: The key for spelling notes; by default that of the score.
        with_chords: If True, chord symbols and Roman numerals are written.
        marks: Lyrics, fermatas and words (see `read_score_report`).
        form: How the score is written with repeat signs; sheet music has them if all passes have the same notes.
        sound: One of `rendering.SOUNDS` for every track, or one for each of some tracks by name; by default the
            nearest to each track's program.
        muted: Names of tracks to silence.
        practice: How practice tracks are made.
        marked: Notes to color as faulty: name of the track, onset in quarters and pitch.
    """

    score: ScoreTick
    title: str = ""
    caption: str = ""
    is_given: GivenRule | None = None
    is_colored: bool = True
    arrangement: Layout | None = None
    chosen_key: Key | None = None
    with_chords: bool = False
    marks: Marks = field(default_factory=Marks)
    form: Form | None = None
    sound: Sounds = None
    muted: Collection[str] = ()
    practice: PracticeOptions = field(default_factory=PracticeOptions)
    marked: frozenset[tuple[str, Fraction, int]] = frozenset()

    @cached_property
    def key_found(self) -> KeyFound:
        """The key for spelling notes, and its source."""
        if self.chosen_key is not None:
            return KeyFound(self.chosen_key, "as requested")
        return find_key(self.score, self.marks.mode)

    @property
    def key(self) -> Key:
        """The key for spelling notes."""
        return self.key_found.key

    @cached_property
    def written(self) -> WrittenScore:
        """The score as sheet music shows it: with repeat signs, or written out."""
        folded = None if self.form is None or not self.form.is_notated else self.form.folded(self.score)
        if self.form is None or folded is None:
            return WrittenScore(self.score, self.marks, self.is_given)
        rule = self.is_given

        def is_given(name: str, note: NoteTick) -> bool:
            return rule is None or rule(name, NoteTick(folded.played(note.time), note.duration, note.pitch, 80))

        return WrittenScore(folded.score, self.form.written.marks, None if rule is None else is_given)

    @cached_property
    def chords(self) -> Sequence[ChordName]:
        """The score's chords, beat by beat."""
        from descant_tokenizers.rendering.chords import chords_of

        return chords_of(self.written.score, self.key)

    @property
    def musicxml(self) -> str:
        """The text of a MusicXML 4.0 file."""
        return self._notation.text

    @property
    def remarks(self) -> list[str]:
        """Changes that the notation makes, one phrase each."""
        moved = self._notation.moved
        remarks = []
        if self.form is not None and self.written.score is self.score:
            reason = (
                "their passes differ" if self.form.is_notated else "no signs say in which order its parts are played"
            )
            remarks.append(f"the sheet music writes the repeats out, because {reason}")
        num_low = sum(n.pitch < LOWEST_PRINTED for track in self.score.tracks if not track.is_drum for n in track.notes)
        if num_low:
            remarks.append(f"{num_low} note{'s' * (num_low > 1)} below C0 printed an octave higher in the sheet music")
        if num_drums := sum(len(track.notes) for track in self.score.tracks if track.is_drum):
            remarks.append(f"{num_drums} note{'s' * (num_drums > 1)} of percussion left out of the sheet music")
        if num_slurs := self._notation.num_slurs:
            remarks.append(f"{num_slurs} slur{'s' * (num_slurs > 1)} between staves or in a chord left out")
        if not moved.num_notes:
            return remarks
        notes, them = ("1 note falls", "it") if moved.num_notes == 1 else (f"{moved.num_notes} notes fall", "them")
        distance = max(round(float(moved.largest), 2), 0.01)
        return [
            *remarks,
            f"{notes} between writable beats; the sheet music shows {them} up to {distance:g} of a quarter off",
        ]

    @cached_property
    def _notation(self) -> Notated:
        return engraving.notation(self)

    @cached_property
    def svg_pages(self) -> Sequence[str]:
        """The engraved pages."""
        return engraving.pages(self.musicxml)

    def data(self, form: str) -> list[bytes]:
        """Return the contents of the files of one format: one per page for SVG, per voice for practice, else one.

        Args:
            form: One of `FORMATS`.

        Raises:
            InputError: The score cannot be written in this format, or a library is missing.
        """
        assert form in FORMATS, form
        if form == "midi":
            return [self.score.dumps_midi()]
        if form == "musicxml":
            return [self.musicxml.encode("utf-8")]
        if form == "svg":
            return [page.encode("utf-8") for page in self.svg_pages]
        if form == "pdf":
            return [engraving.pdf(self.svg_pages)]
        if form == "png":
            from descant_tokenizers.rendering.pianoroll import piano_roll

            return [piano_roll(self.score, is_given=self.is_given, title=self.caption or self.title)]
        if form == "practice":
            return list(self.practice_tracks.values())
        return [sound_file(self.score, form, sound=self.sound, muted=self.muted)]

    @cached_property
    def practice_tracks(self) -> dict[str, bytes]:
        """The practice track of each voice, by name."""
        return practice_tracks(self.score, self.practice, sound=self.sound)

    def files(self, name: Path, form: str, number: int) -> list[Path]:
        """Return the names of the files of one format, of which there are `number`, beside `name`."""
        if form == "practice":
            return [practice_file(name, voice) for voice in self.practice_tracks]
        return _pages(file_of(name, form), number)


@dataclass(frozen=True)
class WrittenFiles:
    """The files of a rendering by format, the reasons for missing ones, and the changes in the notation."""

    files: Mapping[str, Sequence[Path]]
    left_out: Mapping[str, str]
    remarks: Sequence[str] = ()

    @property
    def paths(self) -> list[Path]:
        """All files, in the order of the formats."""
        return [path for paths in self.files.values() for path in paths]


def write_renderings(
    renderings: Mapping[Path, Rendering], formats: Sequence[str], *, force: bool = False
) -> list[WrittenFiles]:
    """Write renderings in several formats: all files of all renderings, or none after a failure.

    A format in which a score cannot be written (a library is missing, the music is too long) is left out and reported.

    Args:
        renderings: Each rendering under its name, with the suffix of any format.
        formats: Some of `FORMATS`.
        force: Replace existing files, including all pages of a longer score.

    Raises:
        InputError: A file exists or cannot be written, or no format of a rendering can be.
    """
    written: list[WrittenFiles] = []
    data: dict[Path, bytes] = {}
    for name, rendering in renderings.items():
        contents, left_out = _contents(rendering, formats)
        files = {form: rendering.files(name, form, len(pages)) for form, pages in contents.items()}
        for form, pages in contents.items():
            data |= zip(files[form], pages, strict=True)
        has_notation = not contents.keys().isdisjoint(NOTATION_FORMATS)
        written.append(WrittenFiles(files, left_out, rendering.remarks if has_notation else ()))
    check_free(data, force=force)
    write_all(data)
    if force:
        for each in written:
            _remove_old_pages(each.files.get("svg", ()))
    return written


def _contents(rendering: Rendering, formats: Sequence[str]) -> tuple[dict[str, list[bytes]], dict[str, str]]:
    contents: dict[str, list[bytes]] = {}
    left_out: dict[str, str] = {}
    for form in formats:
        try:
            contents[form] = rendering.data(form)
        except InputError as error:
            left_out[form] = str(error)
    if not contents:
        raise InputError(next(iter(left_out.values())))
    return contents, left_out


def _pages(path: Path, count: int) -> list[Path]:
    """Name pages `x.svg`, `x-page2.svg`, ..."""
    return [path, *(path.with_name(f"{path.stem}-page{n}{path.suffix}") for n in range(2, count + 1))]


def _remove_old_pages(pages: Sequence[Path]) -> None:
    """Remove the remaining pages of a longer score that these pages replace."""
    for count in itertools.count(len(pages) + 1) if pages else ():
        page = _pages(pages[0], count)[-1]
        if not page.is_file():
            return
        page.unlink()
