"""Single notes of the written voices that stay: tick for tick, with new notes only around them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prompts import WILD, assert_no_overlap, chorale, events, melody, scale

from descant_modeling.api import Model, load
from descant_modeling.generation.base import FixedPlace, Request
from descant_modeling.generation.fixed import places_of
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, read_score, write_midi


@pytest.fixture(scope="module", params=["hints", "plain"])
def model(request: pytest.FixtureRequest, hints_checkpoint: Path, tiny_checkpoint: Path) -> Model:
    """An untrained model of four voices, with hints or without."""
    return load(str(hints_checkpoint if request.param == "hints" else tiny_checkpoint), "cpu")


def lower_notes(score: Any) -> list[FixedPlace]:
    return [place for place in places_of(score, "x", score.ticks_per_quarter) if place.voice != "Soprano"]


def kept_in(places: list[FixedPlace], score: Any, ticks_per_quarter: int) -> bool:
    factor = score.ticks_per_quarter // ticks_per_quarter
    found = {(track.name, *event) for track in score.tracks for event in events(track.notes)}
    wanted = {(p.voice, p.onset_ticks * factor, p.duration_ticks * factor, p.pitches[0], p.velocity) for p in places}
    return wanted <= found


@pytest.mark.parametrize("seed", range(3))
def test_kept_notes_of_a_harmony(model: Model, seed: int) -> None:
    whole = chorale(4)
    places = random.Random(seed).sample(lower_notes(whole), 12)
    prompt = melody(scale(16, 480, base=72))
    sample = model.generate(prompt, Request("harmonize", fixed=tuple(places)), WILD, seed=seed).samples[0]
    assert kept_in(places, sample.score, 480)
    factor = sample.score.ticks_per_quarter // 480
    assert not {(p.voice, p.onset_ticks * factor, p.pitches[0]) for p in places} & sample.added
    for track in sample.score.tracks:
        assert_no_overlap(events(track.notes))
    assert sample.added


@pytest.mark.parametrize("seed", range(3))
def test_kept_notes_of_an_infill(model: Model, seed: int) -> None:
    whole = chorale(4)
    inside = [place for place in lower_notes(whole) if 1920 <= place.onset_ticks < 5760]
    places = random.Random(seed).sample(inside, 7)
    request = Request("infill", given=["Soprano"], bars=(2, 3), fixed=tuple(places))
    sample = model.generate(whole, request, WILD, seed=seed).samples[0]
    assert kept_in(places, sample.score, 480)
    for track in sample.score.tracks:
        assert_no_overlap(events(track.notes))


def test_only_the_free_part_is_written(model: Model) -> None:
    whole = chorale(4)
    fixed = [place for place in lower_notes(whole) if not 2400 <= place.onset_ticks < 2880]
    request = Request("infill", given=["Soprano"], bars=(2, 3), fixed=tuple(fixed), free=(2400, 2880))
    for seed in range(4):
        sample = model.generate(whole, request, WILD, seed=seed).samples[0]
        factor = sample.score.ticks_per_quarter // 480
        assert kept_in(fixed, sample.score, 480)
        assert all(2400 * factor <= time < 2880 * factor for _, time, _ in sample.added)


def test_a_fixed_place_chooses_among_its_pitches(model: Model) -> None:
    whole = chorale(4)
    inside = [place for place in lower_notes(whole) if 1920 <= place.onset_ticks < 3840]
    chosen = inside[1]._replace(pitches=(57, 59), is_kept=False)
    request = Request("infill", given=["Soprano"], bars=(2, 2), fixed=(chosen, inside[0], *inside[2:]), free=(0, 0))
    added = [model.generate(whole, request, WILD, seed=seed).samples[0].added for seed in range(6)]
    assert all(len(notes) == 1 for notes in added)
    ((voice, time, _),) = added[0]
    assert (voice, time) == (chosen.voice, chosen.onset_ticks)
    assert {pitch for notes in added for _, _, pitch in notes} <= {57, 59}


def test_notes_outside_of_what_is_written_are_refused(model: Model) -> None:
    place = FixedPlace("Soprano", 0, 480, (72,))
    with pytest.raises(InputError, match=r"^None of the notes to keep lies in the voices and bars to write\. "):
        model.generate(chorale(2), Request("infill", given=["Soprano"], bars=(1, 1), fixed=(place,)), WILD)
    with pytest.raises(InputError, match=r"^Single notes cannot be kept to continue\. "):
        model.generate(chorale(2), Request("continue", num_bars=1, fixed=(place,)), WILD)


def test_the_command_keeps_the_notes_of_a_file(
    descant: Callable[..., Any], tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_midi(melody(scale(8, 480, base=72)), "tune.mid")
    kept = chorale(2, tpq=96)
    kept.tracks = type(kept.tracks)([kept.tracks[VOICES.index("Tenor")]])
    write_midi(kept, "kept.mid")
    generate = ("generate", "--prompt", "tune.mid", "--model", tiny_checkpoint, "--formats", "midi", "--seed", 1)
    assert descant(*generate, "--keep", "kept.mid", "--out", "new.mid", "--quiet") == (0, "", "")
    tenor = next(track for track in read_score("new.mid").tracks if track.name == "Tenor")
    assert [note.pitch for note in tenor.notes] == [note.pitch for note in kept.tracks[0].notes]
    write_midi(melody(scale(4, 480), name="Flute"), "flute.mid")
    assert descant(*generate, "--keep", "flute.mid").err == (
        "error: flute.mid has no track named after a voice. Name its tracks Soprano, Alto, Tenor, Bass.\n"
    )
    assert descant("generate", "--keep", "kept.mid", "--model", "midinet").status == 2
