"""One score in every format: MIDI, MusicXML, pages as SVG and PDF, a piano roll, sound.

>>> from descant_tokenizers.scores import read_score
>>> rendering = Rendering(read_score("examples/au-clair-de-la-lune.musicxml"))
>>> str(rendering.key)
'G major'
>>> len(rendering.svg_pages), rendering.data("midi")[0][:4]
(1, b'MThd')
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from symusic.core import ScoreTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import FORMATS, Write, check_free, file_of, write_all
from descant_tokenizers.rendering.audio import has_sound, sound_file
from descant_tokenizers.rendering.layers import GivenRule, Moved
from descant_tokenizers.rendering.marks import Marks
from descant_tokenizers.rendering.spelling import Key, KeyFound, find_key
from descant_tokenizers.rendering.verovio import pdf_of

if TYPE_CHECKING:
    from descant_tokenizers.rendering.chords import ChordName
    from descant_tokenizers.rendering.staves import Layout, SheetOptions

__all__ = ["Rendering", "Written", "default_formats", "write_renderings"]

_NOTATED = ("musicxml", "svg", "pdf")


@dataclass(frozen=True)
class Rendering:
    """A score and how it is to be seen and heard; what is asked for is made once.

    Attributes:
        score: Any score with pitched notes.
        title: Stands above the first system; by default the title of the marks.
        caption: Stands above the piano roll; by default the title.
        is_given: Which notes were given, for example `lambda voice, note: voice == "Soprano"`; the others get a
            colour. By default no difference is drawn.
        arrangement: Staves: `open` has one for each track, `closed` two voices to one; by default closed for four
            voices.
        chosen_key: The key that notes are named after; by default that of the score.
        with_chords: Whether chord symbols and Roman numerals are written.
        marks: Lyrics, fermatas and words (see `read_marks`).
        sound: One of `engraving.sound.SOUNDS` for every track; by default what is nearest to each track's program.
        muted: Names of tracks that are not heard.
    """

    score: ScoreTick
    title: str = ""
    caption: str = ""
    is_given: GivenRule | None = None
    arrangement: Layout | None = None
    chosen_key: Key | None = None
    with_chords: bool = False
    marks: Marks = field(default_factory=Marks)
    sound: str | None = None
    muted: Collection[str] = ()

    @cached_property
    def key_found(self) -> KeyFound:
        """The key that notes are named after, and who says so."""
        return find_key(self.score) if self.chosen_key is None else KeyFound(self.chosen_key, "as asked for")

    @property
    def key(self) -> Key:
        """The key that notes are named after."""
        return self.key_found.key

    @cached_property
    def chords(self) -> Sequence[ChordName]:
        """The score's chords, beat by beat."""
        from descant_tokenizers.rendering.chords import chords_of

        return chords_of(self.score, self.key)

    @property
    def musicxml(self) -> str:
        """The text of a MusicXML 4.0 file."""
        return self._notated[0]

    @property
    def remarks(self) -> list[str]:
        """What notation could not say as it is, a sentence each."""
        _, moved = self._notated
        if not moved.num_notes:
            return []
        notes = "1 note has" if moved.num_notes == 1 else f"{moved.num_notes} notes have"
        way = max(round(float(moved.furthest), 2), 0.01)
        return [f"{notes} no note value's place, and stand up to {way:g} of a quarter beside it in the sheet music"]

    @cached_property
    def _notated(self) -> tuple[str, Moved]:
        from descant_tokenizers.rendering.musicxml import musicxml_and_moves

        return musicxml_and_moves(self.score, self._sheet)

    @cached_property
    def svg_pages(self) -> Sequence[str]:
        """Engraved pages."""
        from descant_tokenizers.rendering.verovio import svg_pages

        return svg_pages(self.musicxml, has_chords=self.with_chords)

    @property
    def _sheet(self) -> SheetOptions:
        from descant_tokenizers.rendering.staves import SheetOptions

        return SheetOptions(
            title=self.title or self.marks.title,
            composer=self.marks.composer,
            arrangement=self.arrangement,
            is_given=self.is_given,
            key=self.chosen_key,
            chords=self.chords if self.with_chords else (),
            marks=self.marks,
        )

    def data(self, form: str) -> list[bytes]:
        """Return the contents of the files of one format: a file a page in SVG, one file else.

        Args:
            form: One of `FORMATS`.

        Raises:
            InputError: The score cannot be written so, or a library is missing.
        """
        assert form in FORMATS, form
        if form == "midi":
            return [self.score.dumps_midi()]
        if form == "musicxml":
            return [self.musicxml.encode("utf-8")]
        if form == "svg":
            return [page.encode("utf-8") for page in self.svg_pages]
        if form == "pdf":
            return [pdf_of(self.svg_pages)]
        if form == "png":
            from descant_tokenizers.rendering.pianoroll import piano_roll_png

            return [piano_roll_png(self.score, is_given=self.is_given, title=self.caption or self.title)]
        return [sound_file(self.score, form, sound=self.sound, muted=self.muted)]


@dataclass(frozen=True)
class Written:
    """What became of a result's formats.

    Attributes:
        files: The files of each format that was written.
        left_out: Why others were not, a sentence each.
        remarks: What notation could not say as it is.
    """

    files: Mapping[str, Sequence[Path]]
    left_out: Mapping[str, str]
    remarks: Sequence[str] = ()

    @property
    def paths(self) -> list[Path]:
        """All files, in the order of the formats."""
        return [path for paths in self.files.values() for path in paths]


def default_formats() -> tuple[str, ...]:
    """Return what is written where nothing is asked for: sound only with the extra `sound`."""
    return ("midi", "musicxml", "svg", "png", *(["flac"] if has_sound() else []))


def write_renderings(
    renderings: Mapping[Path, Rendering], formats: Sequence[str], *, force: bool = False
) -> list[Written]:
    """Write results in several formats: all files of all results, or after a failure none.

    A format that a result cannot be written in (a library is missing, music too long to be played) is left out, and
    said why.

    Args:
        renderings: Each result under its name, with the suffix of any format.
        formats: Some of `FORMATS`.
        force: Replace files that exist, and all pages of a longer result.

    Returns:
        What became of each result.

    Raises:
        InputError: A file exists or cannot be written, or nothing can be made.
    """
    written: list[Written] = []
    writers: dict[Path, Write] = {}
    for name, rendering in renderings.items():
        made, left_out = _made(rendering, formats)
        files = {form: _paths(file_of(name, form), len(data)) for form, data in made.items()}
        for form, data in made.items():
            writers |= {path: partial(_put, each) for path, each in zip(files[form], data, strict=True)}
        is_notated = not made.keys().isdisjoint(_NOTATED)
        written.append(Written(files, left_out, rendering.remarks if is_notated else ()))
    check_free(list(writers), force=force)
    write_all(writers)
    if force:
        for each in written:
            _remove_old_pages(each.files.get("svg", ()))
    return written


def _made(rendering: Rendering, formats: Sequence[str]) -> tuple[dict[str, list[bytes]], dict[str, str]]:
    made: dict[str, list[bytes]] = {}
    left_out: dict[str, str] = {}
    for form in formats:
        try:
            made[form] = rendering.data(form)
        except InputError as error:
            left_out[form] = str(error)
    if not made:
        raise InputError(next(iter(left_out.values())))
    return made, left_out


def _paths(path: Path, count: int) -> list[Path]:
    """Name pages `x.svg`, `x-page2.svg`, ..."""
    return [path, *(path.with_name(f"{path.stem}-page{n}{path.suffix}") for n in range(2, count + 1))]


def _remove_old_pages(pages: Sequence[Path]) -> None:
    """Remove the further pages of a longer result that these pages have replaced: they would seem to go on."""
    for page in itertools.takewhile(Path.is_file, _following(pages)):
        page.unlink()


def _following(pages: Sequence[Path]) -> Iterator[Path]:
    for number in itertools.count(len(pages) + 1) if pages else ():
        yield _paths(pages[0], number)[-1]


def _put(data: bytes, path: Path) -> None:
    path.write_bytes(data)
