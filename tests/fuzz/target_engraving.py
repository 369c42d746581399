"""Target of the campaign of odd files: reading and engraving."""

from __future__ import annotations

from pathlib import Path

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.musicxml import notate
from descant_tokenizers.rendering.spelling import LOWEST_PRINTED
from descant_tokenizers.rendering.verovio import svg_pages
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import read_score_report
from descant_tokenizers.scores.reading import parse_score


class Engraver:
    """Reading and engraving."""

    names_file = False

    def feed(self, path: Path) -> str:
        """Read a file, write its sheet music in this process, and read that."""
        read = read_score_report(path, marks=True)
        rendering = Rendering(read.score, with_chords=path.stat().st_size % 3 == 0, form=read.form, marks=read.marks)
        try:
            text = notate(rendering).text
            pages = svg_pages(text)
        except InputError as error:
            return str(error)
        assert all("</svg>" in page for page in pages), "a page is cut short"
        try:
            again = parse_score(Path("again.musicxml"), text.encode(), unfold=False).score
        except InputError as error:
            raise AssertionError(f"the sheet music is not read: {error}") from error
        pitched = [track for track in rendering.written.score.tracks if not track.is_drum]
        wanted = {max(note.pitch, note.pitch % 12 + LOWEST_PRINTED) for track in pitched for note in track.notes}
        assert {note.pitch for track in again.tracks for note in track.notes} == wanted, "pitches change"
        return ""
