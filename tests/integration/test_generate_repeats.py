"""Harmonizing music with repeats: seen as played, with the same notes in all passes, written with repeat signs."""

from __future__ import annotations

from pathlib import Path

import pytest

from descant_modeling import load
from descant_modeling.generation.base import Request
from descant_modeling.generation.forms import PlayedPrompt
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import ReadResult, bars_of
from descant_tokenizers.scores.reading import parse_score

TUNE = b"X:1\nM:4/4\nL:1/4\nK:G\n|:GABc|d2B2|[1 AGFE|D4:|[2 AFGA|G4|]\n"  # played: 1 2 3 4 1 2 5 6
PLAYED = (1, 2, 3, 4, 1, 2, 5, 6)


@pytest.fixture(scope="module")
def tune() -> ReadResult:
    return parse_score(Path("tune.abc"), TUNE, marks=True)


def prompt_of(tune: ReadResult) -> PlayedPrompt:
    assert tune.form is not None
    return PlayedPrompt(tune, tune.form)


def test_repeated_stretches_are_copies_of_their_first_pass(tune: ReadResult) -> None:
    assert tune.form is not None
    assert tune.form.copies(1) == [(16, 24, 0)]
    assert [tune.form.written_time(4 * bar, 1) // 4 + 1 for bar in range(8)] == list(PLAYED)


def test_phrases_and_chords_count_bars_as_written(tune: ReadResult) -> None:
    chords = [f"chord {number}" for number in range(1, 7)]
    request = prompt_of(tune).request(Request("harmonize", phrases=(2, 6), chords=chords))
    assert request.phrases == (2, 6, 8)
    assert request.chords == tuple(f"chord {number}" for number in PLAYED)
    assert request.prompt is tune.score


@pytest.mark.parametrize(
    ("options", "message"),
    [({"phrases": (7,)}, "in bar 7"), ({"chords": ("C",) * 7}, "chords for 7 bars, but the prompt has 6")],
)
def test_a_bar_that_is_not_written_is_refused(tune: ReadResult, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prompt_of(tune).request(Request("harmonize", **options))  # type: ignore[arg-type]


def test_all_passes_have_the_same_new_notes(tune: ReadResult) -> None:
    result = load().harmonize(tune, seed=2, num_samples=2, best_of=2)
    for sample in result.samples:
        assert tune.form is not None
        assert tune.form.folded(sample.score) is not None
        bars = [bar.start_ticks for bar in bars_of(sample.score)]
        assert len(bars) == len(PLAYED)
        length = bars[1]
        for track in sample.score.tracks:
            first, again = (
                [(note.time - start, note.pitch) for note in track.notes if start <= note.time < start + 2 * length]
                for start in (bars[0], bars[4])
            )
            assert first
            assert first == again
        assert len(sample.chords) in (0, 6)
        given = [(name, time, pitch) for name, time, pitch in sample.given if name == "Soprano"]
        assert len(given) == len(tune.score.tracks[0].notes)
