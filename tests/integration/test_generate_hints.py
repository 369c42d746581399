"""A model with hints: what it is told of a prompt, and what it tells of its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompts import WILD, assert_harmony, assert_no_overlap, chorale, events, melody, outside, scale
from symusic.core import ScoreTick
from untrained import save_untrained

from descant_modeling.api import Model, load
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import Sample
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES, bars_of, read_score_report
from descant_tokenizers.tokens.harmony import chord_name, parse_chord_name, read_chord
from descant_tokenizers.tokens.tasks import LayoutConfig
from descant_tokenizers.tokens.vocabulary import Vocabulary

RANGES = ((60, 81), (36, 66), (52, 74), (46, 69))
ONE = replace(WILD, best_of=1)
PARTICLES = pytest.mark.parametrize("best_of", [1, 8])


@pytest.fixture(scope="module")
def short(hint_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """One that holds few bars."""
    folder = tmp_path_factory.mktemp("short")
    return load(str(save_untrained(hint_vocabulary, RANGES, folder, LayoutConfig(hints=True), max_tokens=700)), "cpu")


def assert_planned(sample: Sample) -> None:
    """Chords for every bar that begins with one, and each can be read."""
    bars = [bar for bar in bars_of(sample.score) if bar.number]
    assert len(sample.chords) == len(bars)
    for text in sample.chords:
        for symbol in text.split():
            parse_chord_name(symbol)
    notes = [note for track in sample.score.tracks for note in track.notes]
    for bar, text in zip(bars, sample.chords, strict=True):
        assert text or read_chord(note.pitch for note in notes if note.time <= bar.start_ticks < note.end) is None


@PARTICLES
@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (6, 8), (12, 8), (3, 2), (5, 8), (7, 8), (2, 2)])
def test_harmonies_in_any_meter(guided: Model, meter: tuple[int, int], best_of: int) -> None:
    bar_ticks = 1920 * meter[0] // meter[1]
    prompt = melody(scale(6, bar_ticks // 2), meters=((0, *meter),))
    result = guided.harmonize(prompt, replace(WILD, best_of=best_of, num_samples=2))
    for sample in result.samples:
        assert_harmony(prompt, sample.score)
        assert_planned(sample)
    assert result.phrase_source == "guessed"


@PARTICLES
@pytest.mark.parametrize(
    "notes",
    [
        pytest.param([(1920 + i * 480, 480, 65) for i in range(8)], id="rest first"),
        pytest.param([(i * 960, 480, 65 + i) for i in range(8)], id="rests between"),
        pytest.param([(0, 1920 * 7, 70)], id="one long note"),
        pytest.param([(i * 1920 * 2, 1920 * 2, 70 + i) for i in range(4)], id="long notes"),
        pytest.param([(i * 160, 160, 65 + i % 5) for i in range(24)], id="triplets"),
        pytest.param([(240 + i * 480, 480, 65 + i % 5) for i in range(15)], id="syncopes"),
        pytest.param([(3, 17, 70)], id="one tiny note"),
        pytest.param([(i * 480 + 7 * (i % 3), 451, 65 + i % 5) for i in range(8)], id="humanized"),
    ],
)
def test_harmonies_to_any_rhythm(guided: Model, notes: list[tuple[int, int, int]], best_of: int) -> None:
    prompt = melody(notes)
    (sample,) = guided.harmonize(prompt, replace(WILD, best_of=best_of)).samples
    assert_harmony(prompt, sample.score)


@pytest.mark.parametrize("pickup", [(1, 4), (1, 8), (3, 8), (4, 8), (5, 8)])
@pytest.mark.parametrize("meter", [(4, 4), (6, 8)])
def test_a_pickup_has_no_place_in_the_plan(guided: Model, pickup: tuple[int, int], meter: tuple[int, int]) -> None:
    first, bar_ticks = 1920 * pickup[0] // pickup[1], 1920 * meter[0] // meter[1]
    prompt = melody([(0, first, 67), *scale(4, bar_ticks // 2, start=first)], meters=((0, *pickup), (first, *meter)))
    (sample,) = guided.harmonize(prompt, WILD).samples
    assert_harmony(prompt, sample.score)
    assert_planned(sample)
    assert len(sample.chords) == 2
    (again,) = guided.harmonize(prompt, WILD, chords=sample.chords).samples
    assert asked_bars(again.chords, sample.chords) == asked_bars(sample.chords, sample.chords)


def asked_bars(chords: Sequence[str], asked: Sequence[str]) -> list[str]:
    """Return the bars for which chords were asked; the others are the model's."""
    return [own for own, names in zip(chords, asked, strict=True) if names]


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(-40, 40), st.integers(55, 80)), min_size=1, max_size=24),
    st.sampled_from([24, 96, 120, 480]),
    st.sampled_from([(4, 4), (3, 4), (6, 8)]),
    st.integers(0, 1000),
)
def test_any_melody_is_kept(
    guided: Model, steps: list[tuple[int, int, int]], tpq: int, meter: tuple[int, int], seed: int
) -> None:
    notes, onset = [], 0
    for step, longer, pitch in steps:
        notes.append((onset, max(1, min(step + longer, step + tpq // 5)), pitch))
        onset += step
    prompt = melody(notes, tpq=tpq, meters=((0, *meter),))
    (sample,) = guided.harmonize(prompt, replace(ONE, seed=seed)).samples
    assert_harmony(prompt, sample.score)


TUNES = ("swallowtail-jig", "skye-boat-song", "auld-lang-syne", "kid-on-the-mountain", "silent-night", "runo")


@pytest.mark.parametrize("name", TUNES)
def test_tunes_are_written_window_by_window(short: Model, repo_root: Path, name: str) -> None:
    read = read_score_report(repo_root / f"tests/data/tunes/{name}.abc", controls=True)
    result = short.harmonize(read, ONE)
    assert_harmony(read.score, result.score)
    assert_planned(result.samples[0])
    assert result.phrases


def test_two_hundred_bars_are_written_window_by_window(guided: Model) -> None:
    assert_long_harmony(guided, 200, best_of=1)


def test_windows_are_written_with_particles(short: Model) -> None:
    assert_long_harmony(short, 40, best_of=8)


def assert_long_harmony(model: Model, num_bars: int, best_of: int) -> None:
    prompt = melody(scale(2 * num_bars, 960))
    (sample,) = model.harmonize(prompt, replace(ONE, best_of=best_of, temperature=0.2)).samples
    assert_harmony(prompt, sample.score)
    assert_planned(sample)
    assert len(sample.chords) == num_bars


def test_given_chords_are_used_and_the_others_are_written(guided: Model) -> None:
    prompt = melody(scale(16, 480))
    chords = ("C G/B", "", "N.C. F#m7b5/E", "Bb")
    for best_of in (1, 8):
        config = replace(WILD, best_of=best_of, num_samples=2)
        for sample in guided.harmonize(prompt, config, chords=chords, phrases=(2, 4)).samples:
            assert_harmony(prompt, sample.score)
            assert sample.chords[0] == "C G/B"
            assert sample.chords[1]
            assert sample.chords[2:] == chords[2:]


def test_chords_are_at_the_pitch_of_the_prompt(guided: Model) -> None:
    low = melody(scale(16, 480, base=38))
    result = guided.harmonize(low, WILD, chords=("C", "F", "G7/B", "Am"))
    assert any("transposed" in remark for remark in result.remarks)
    assert result.samples[0].chords == ("C", "F", "G7/B", "Am")


def test_a_plan_that_is_passed_back_is_kept(guided: Model) -> None:
    prompt = melody(scale(16, 480))
    (sample,) = guided.harmonize(prompt, WILD).samples
    (again,) = guided.harmonize(prompt, replace(WILD, seed=9), chords=sample.chords).samples
    assert asked_bars(again.chords, sample.chords) == asked_bars(sample.chords, sample.chords)


def test_bass_or_bass_and_soprano_are_given(guided: Model) -> None:
    prompt = melody(scale(8, 480, base=45))
    result = guided.harmonize(prompt, WILD, given=["bass"], chords=("C", "G"))
    assert_harmony(prompt, result.score, "Bass")
    assert result.samples[0].chords == ("C", "G")
    both = chorale()
    result = guided.harmonize(both, WILD, given=["soprano", "bass"])
    for index in (0, 3):
        assert events(result.score.tracks[index].notes) == events(both.tracks[index].notes)
    assert {name for name, _, _ in result.samples[0].added} == {"Alto", "Tenor"} == set(result.written)
    assert_planned(result.samples[0])


@PARTICLES
@pytest.mark.parametrize("bars", [(1, 1), (2, 3), (4, 4), (1, 4)])
@pytest.mark.parametrize("kept", [(), ("soprano",), ("soprano", "alto", "bass")])
def test_an_infill_plans_its_bars_alone(
    guided: Model, bars: tuple[int, int], kept: tuple[str, ...], best_of: int
) -> None:
    prompt = chorale()
    result = guided.infill(prompt, replace(WILD, best_of=best_of), bars=bars, given=kept or None)
    (sample,) = result.samples
    start, end = (bars[0] - 1) * 1920, bars[1] * 1920
    assert outside(sample.score, start, end) == outside(prompt, start, end)
    for track in sample.score.tracks:
        assert_no_overlap(events(track.notes))
    planned = [number for number, text in enumerate(sample.chords, start=1) if text]
    assert set(planned) <= set(range(bars[0], bars[1] + 1))
    assert planned or not kept or bars[1] < 4, "chords of the cadence"
    assert result.phrase_source == ("guessed" if kept else "")


def test_a_long_infill_is_written_window_by_window(short: Model) -> None:
    prompt = chorale(40)
    (sample,) = short.infill(prompt, ONE, bars=(3, 37), given=["soprano"]).samples
    assert outside(sample.score, 2 * 1920, 37 * 1920) == outside(prompt, 2 * 1920, 37 * 1920)
    assert events(sample.score.tracks[0].notes) == events(prompt.tracks[0].notes)


@PARTICLES
def test_continuations_have_no_plan(guided: Model, best_of: int) -> None:
    config = replace(WILD, best_of=best_of)
    for prompt, voices in ((melody(scale(10, 480)), 1), (chorale(), 4)):
        result = guided.continue_(prompt, config, bars=3)
        assert len(result.score.tracks) == voices
        assert len(bars_of(result.score)) == len(bars_of(prompt)) + 3
        assert (result.phrases, result.phrase_source, result.samples[0].chords) == ((), "", ())
    (sample,) = guided.continue_(chorale(), config, bars=60).samples
    assert len(bars_of(sample.score)) == 64


def test_voices_are_planned_before_they_go_on(guided: Model) -> None:
    prompt = melody(scale(8, 480))
    result = guided.continue_(prompt, WILD, bars=2, given=["soprano"])
    soprano = result.score.tracks[0]
    assert events(n for n in soprano.notes if n.time < 8 * 480) == events(prompt.tracks[0].notes)
    assert len(result.samples[0].chords) == 2
    assert result.phrases == (2,)


def test_a_seed_names_its_music_and_its_plan(guided: Model) -> None:
    prompt, config = melody(scale(8, 480)), GenerationConfig(seed=5, num_samples=3)
    first, again = (guided.harmonize(prompt, config).samples for _ in range(2))
    assert [(s.score.dumps_midi(), s.chords) for s in first] == [(s.score.dumps_midi(), s.chords) for s in again]
    assert len({sample.chords for sample in first}) > 1


def test_hints_change_the_music(guided: Model) -> None:
    prompt = melody(scale(16, 480))
    found = {guided.harmonize(prompt, GenerationConfig(seed=1), **options).score.dumps_midi() for options in (
        {}, {"key": "Eb minor"}, {"phrases": [2]}, {"phrases": []}, {"harmonic_rhythm": "bar"}, {"chords": ["Ebm"]}
    )}  # fmt: skip
    assert len(found) == 6


def test_names_of_voices_stay(guided: Model) -> None:
    assert tuple(track.name for track in guided.harmonize(melody(scale(4, 480))).score.tracks) == VOICES


def last_pitches(score: ScoreTick) -> list[int]:
    """Pitches that sound until the end, which all four voices reach."""
    ends = {track.name: max(track.notes, key=lambda note: note.time) for track in score.tracks}
    assert len({note.end for note in ends.values()}) == 1
    return [ends[voice].pitch for voice in VOICES]


@pytest.mark.parametrize(
    ("last", "key", "tonics", "best_of"),
    [
        (60, "C major", ["C"], 8),
        (64, "C minor", ["C"], 1),
        (63, "C minor", ["Cm"], 1),
        (67, "C minor", ["C", "Cm"], 1),
    ],
)
def test_a_harmony_ends_on_the_tonic_if_it_is_asked_to(
    guided: Model, last: int, key: str, tonics: list[str], best_of: int
) -> None:
    for notes in (scale(7, 480), scale(11, 320), [*scale(4, 480), (1920, 480, 71)]):
        onset = notes[-1][0] + notes[-1][1]
        prompt = melody([*notes, (onset, 960, last)])
        config = replace(WILD, best_of=best_of, num_samples=2, last_chord="tonic")
        for sample in guided.harmonize(prompt, config, key=key).samples:
            assert_harmony(prompt, sample.score)
            chord = read_chord(last_pitches(sample.score))
            assert chord is not None
            assert chord_name(chord) in tonics


def test_a_melody_that_ends_elsewhere_leaves_the_last_chord_free(guided: Model) -> None:
    prompt = melody([*scale(7, 480), (7 * 480, 960, 62)])
    result = guided.harmonize(prompt, WILD, key="C", last_chord="tonic")
    assert "the last chord is free, because the given notes do not end in the tonic triad" in result.remarks
    last_pitches(result.score)


def test_a_melody_that_ends_on_the_tonic_gets_its_chord_unless_another_one_is_requested(guided: Model) -> None:
    prompt = melody([*scale(7, 480), (7 * 480, 480, 72)])
    config = replace(WILD, num_samples=3)

    def endings(prompt: ScoreTick, **options: Any) -> list[str | None]:
        found = (last_pitches(s.score) for s in guided.harmonize(prompt, config, key="C", **options).samples)
        return [None if (chord := read_chord(pitches)) is None else chord_name(chord) for pitches in found]

    assert endings(prompt) == ["C"] * 3
    assert set(endings(prompt, last_chord="any")) != {"C"}
    assert "C" not in endings(prompt, chords=("C", "Am"))
    elsewhere = melody([*scale(7, 480), (7 * 480, 480, 67)])
    assert endings(elsewhere) == endings(elsewhere, last_chord="any")


def test_the_end_of_an_infill_is_the_tonic_too(guided: Model) -> None:
    prompt = guided.harmonize(melody([*scale(6, 480), (6 * 480, 960, 72)]), WILD).score
    options = {"key": "C", "last_chord": "tonic", "given": ["soprano"]}
    result = guided.infill(prompt, WILD, bars=(2, 2), **options)
    assert chord_name(read_chord(last_pitches(result.score))) == "C"
    with pytest.raises(InputError, match="last_chord tonic needs the last bar among those to write"):
        guided.infill(prompt, WILD, bars=(1, 1), **options)


def test_an_infill_is_told_what_a_harmony_is(guided: Model) -> None:
    prompt = chorale()
    chords = ("C", "Am Em", "F", "G C")
    result = guided.infill(
        prompt, WILD, bars=(2, 3), given=["soprano"], key="C", phrases=(2, 4), chords=chords, harmonic_rhythm="bar"
    )
    assert (result.phrases, result.phrase_source) == ((2, 4), "as requested")
    assert result.samples[0].chords == ("", "Am Em", "F", "")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"chords": ("C", "G")},
            "The chords from the last given note on are not all C. Leave last_chord out, or give that chord.",
        ),
        ({"last_chord": "V"}, "The last chord is 'V'. Give auto, any or tonic."),
    ],
)
def test_contradictions_about_the_last_chord_are_refused(guided: Model, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        guided.harmonize(
            melody([*scale(7, 480), (7 * 480, 480, 72)]), WILD, key="C", **{"last_chord": "tonic"} | options
        )
    assert str(refused.value) == sentence


def test_a_continuation_has_no_last_chord(guided: Model) -> None:
    with pytest.raises(InputError, match=r"^last_chord is for harmonize and infill\. Leave it out\.$"):
        guided.continue_(melody(scale(8, 480)), WILD, bars=2, last_chord="tonic")


def test_every_voice_holds_the_last_chord_to_the_end_of_the_melody(guided: Model) -> None:
    for notes in (scale(7, 480), [(0, 480, 72), (480, 3200, 71)], [(i * 320, 320, 70) for i in range(11)]):
        for sample in guided.harmonize(melody(notes), replace(ONE, num_samples=6)).samples:
            last_pitches(sample.score)


@pytest.mark.parametrize("meter", [(7, 8), (5, 4), (3, 4)])
def test_a_meter_that_was_not_trained_on_is_remarked(guided: Model, meter: tuple[int, int]) -> None:
    generator = guided.generator
    meta = replace(generator.checkpoint.meta, meters=("3/4", "4/4"))
    model = Model(FourPartGenerator(replace(generator.checkpoint, meta=meta), generator.model))
    prompt = melody(scale(4, 1920 * meter[0] // meter[1]), meters=((0, *meter),))
    remark = f"no training piece is in {meter[0]}/{meter[1]}, so the new notes may fit it poorly"
    assert (remark in model.harmonize(prompt, ONE).remarks) is (meter != (3, 4))
    assert remark not in guided.harmonize(prompt, ONE).remarks  # its meters are not known
