"""The line under the page's buttons."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from descant_modeling.app.status import error_line, message_line, progress_line, waiting_line
from descant_modeling.decoding.config import Sketch, SketchNote


def test_it_says_who_waits_and_what_was_wrong() -> None:
    assert "one request is before yours" in waiting_line(1)
    assert "3 requests are before yours" in waiting_line(3)
    assert "<progress " in waiting_line(1)
    assert 'role="status"' in message_line("Take 1 written.")
    assert error_line("<b>").count("&lt;b&gt;") == 1
    assert 'role="alert"' in error_line("no")


def test_progress_is_bars_and_notes_where_there_are_some() -> None:
    assert "Writing, 12 %" in progress_line(0.12)
    notes = (SketchNote("Soprano", 0, 1.5, 72, True), SketchNote("Bass", 0, 1, 48, False))
    text = progress_line(0.5, Sketch(1, 2, 8.0, notes))
    assert "1 of 2 bars, 1 note written<" in text
    assert 'value="50"' in text
    picture = ElementTree.fromstring(text[text.index("<svg") :])
    assert picture.get("viewBox") == "0 0 80.00 29"
    given, written = picture.iter("rect")
    assert (given.get("y"), given.get("width"), given.get("opacity")) == ("2", "14.40", "0.4")
    assert (written.get("y"), written.get("opacity")) == ("26", "1")
    assert given.get("fill") != written.get("fill")


def test_a_sketch_without_notes_has_no_picture() -> None:
    assert "<svg" not in progress_line(0.0, Sketch(0, 1, 4.0, ()))
