"""Results in Python: short in the terminal, saved by suffix, shown in a notebook."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest

import descant_modeling
import descant_tokenizers
from descant_modeling.generation.base import GenerationResult, Sample
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import read_score


@pytest.fixture
def result(repo_root: Path) -> GenerationResult:
    """A tune whose first note is given."""
    score = read_score(repo_root / "examples" / "twinkle.mid")
    notes = [(track.name, note.time, note.pitch) for track in score.tracks for note in track.notes]
    sample = Sample(score, frozenset(notes[1:]), num_tokens=5, log_likelihood=-12.34)
    return GenerationResult((sample,), ("in G major",), ("Soprano",), ("Alto", "Bass"))


def test_a_result_is_short_in_the_terminal(result: GenerationResult) -> None:
    number = len(result.samples[0].added)
    name = result.score.tracks[0].name
    assert repr(result).split("\n  ") == [
        "GenerationResult(given Soprano; written Alto, Bass)",
        f"Sample({number} new notes beside 1 given; tracks {name}, log likelihood -12.3)",
        "in G major",
    ]


def test_a_result_is_saved_by_its_suffix(result: GenerationResult, tmp_path: Path) -> None:
    assert result.save(tmp_path / "tune.mid") == [tmp_path / "tune.mid"]
    assert read_score(tmp_path / "tune.mid").note_num() == result.score.note_num()
    (xml,) = result.samples[0].save(str(tmp_path / "tune.musicxml"))
    assert "<score-partwise" in xml.read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"tune\.mid exists"):
        result.save(tmp_path / "tune.mid")
    result.save(tmp_path / "tune.mid", force=True)
    with pytest.raises(InputError, match=r"tune\.doc has no suffix of a format\. Give one of \.mid"):
        result.save(tmp_path / "tune.doc")


def test_a_notebook_shows_score_and_sound(result: GenerationResult) -> None:
    html = result._repr_html_()
    data = dict(re.findall(r'src="data:([^;]+);base64,([^"]+)"', html))
    assert b"<svg" in base64.b64decode(data["image/svg+xml"])
    assert len(base64.b64decode(data["audio/mpeg"])) > 10_000
    assert "http" not in re.sub(r"base64,[^\"]+", "", html)


def test_music_without_notes_is_shown_as_nothing(result: GenerationResult) -> None:
    score = result.score.copy()
    score.tracks = score.tracks[:0]
    assert replace(result.samples[0], score=score, added=frozenset())._repr_html_() == ""


@pytest.mark.parametrize("package", [descant_tokenizers, descant_modeling], ids=lambda package: package.__name__)
def test_public_names_complete(package: object) -> None:
    assert dir(package) == sorted(package.__all__)  # type: ignore[attr-defined]
