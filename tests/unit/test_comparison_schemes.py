"""Every scheme brings back the music that it can say, and loses exactly what it is said to lose."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.comparison.catalogue import CATALOGUE, MAX_BARS, label_voices, music_of
from descant_tokenizers.comparison.compare import Fidelity, fidelity
from descant_tokenizers.comparison.schemes import Scheme, default_schemes, load_scheme, scheme_names
from descant_tokenizers.comparison.sheet import describe_token, shown_parts
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.kinds import FOUR_PART, MULTITRACK, MusicKind

TPQ = 480
NO_SIGNATURES = {"structured", "mumidi"}
ALL = sorted(CATALOGUE)


@cache
def scheme(name: str, music: MusicKind = MULTITRACK) -> Scheme:
    return load_scheme(name, music)


def score_of(
    notes: Sequence[tuple[float, ...]], signatures: Sequence[tuple[float, int, int]] = ((0, 4, 4),)
) -> ScoreTick:
    """A score of notes (onset, duration, pitch[, program]) in quarters; program -1 is drums."""
    score = ScoreTick(TPQ)
    for onset, numerator, denominator in signatures:
        score.time_signatures.append(TimeSignatureTick(round(onset * TPQ), numerator, denominator))
    tracks: dict[int, TrackTick] = {}
    for onset, duration, pitch, *program in notes:
        number = int(program[0]) if program else 0
        if number not in tracks:
            tracks[number] = TrackTick(f"track {number}", max(number, 0), number < 0)
        tracks[number].notes.append(NoteTick(round(onset * TPQ), round(duration * TPQ), int(pitch), 80))
    for track in tracks.values():
        score.tracks.append(track)
    return score


def line(num: int = 16, step: float = 1.0, program: int = 0) -> list[tuple[float, ...]]:
    return [(index * step, step, 60 + index % 12, program) for index in range(num)]


def round_trip(name: str, score: ScoreTick, music: MusicKind = MULTITRACK) -> Fidelity:
    before = score.dumps_midi()
    tokens = scheme(name, music).encode(score)
    assert score.dumps_midi() == before, "the score was changed"
    steps = scheme(name, music).steps(tokens)
    assert len(steps) == tokens.num_tokens > 0
    assert all(step.time_ticks >= 0 for step in steps)
    return fidelity(score, scheme(name, music).decode(tokens))


MUSIC = {
    "one line": (line(), ((0, 4, 4),)),
    "chords": ([(beat, 1, pitch) for beat in range(4) for pitch in (48, 60, 64, 67)], ((0, 4, 4),)),
    "drums": (line() + [(i / 2, 0.5, 36, -1) for i in range(32)], ((0, 4, 4),)),
    "two instruments in unison": (line(program=5) + line(program=70), ((0, 4, 4),)),
    "notes that overlap": ([(0, 4, 60), (1, 1, 64), (2, 6, 67)], ((0, 4, 4),)),
    "extreme pitches": ([(0, 1, 0), (1, 1, 127), (2, 1, 60)], ((0, 4, 4),)),
    "triplets": (line(24, 1 / 3), ((0, 4, 4),)),
    "32nds": (line(24, 1 / 8), ((0, 4, 4),)),
    "three-four": (line(), ((0, 3, 4),)),
    "six-eight": (line(24, 0.5), ((0, 6, 8),)),
    "alla breve": (line(24, 0.5), ((0, 2, 2),)),
    "empty bars": ([(0, 1, 60), (16, 1, 62)], ((0, 4, 4),)),
    "a long note": ([(0, 15.75, 60), (16, 1, 62)], ((0, 4, 4),)),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", sorted(MUSIC))
def test_what_a_scheme_can_say_comes_back_exactly(name: str, kind: str) -> None:
    notes, signatures = MUSIC[kind]
    kept = round_trip(name, score_of(notes, signatures))
    if name == "beat" and kind in ("triplets", "32nds"):
        assert not kept.same_notes  # its grid has four steps to the beat
        return
    assert kept.same_notes
    assert kept.num_matched == kept.num_notes == kept.num_back
    assert kept.same_signatures == (name not in NO_SIGNATURES or signatures == ((0, 4, 4),))


@pytest.mark.parametrize("name", default_schemes(FOUR_PART))
def test_four_voices_come_back_exactly(name: str) -> None:
    score = ScoreTick(TPQ)
    score.time_signatures.append(TimeSignatureTick(0, 4, 4))
    for rank, voice in enumerate(VOICES):
        track = TrackTick(voice, 0, False)
        for beat in range(12):
            track.notes.append(NoteTick(beat * TPQ, TPQ, 72 - 8 * rank + beat % 5, 80))
        score.tracks.append(track)
    assert music_of(score) is FOUR_PART
    labelled = label_voices(score)
    assert round_trip(name, labelled, FOUR_PART).is_exact


def test_programs_that_stand_for_voices_are_named_after_them() -> None:
    voices = scheme("tsd", FOUR_PART).voices
    assert [describe_token(f"Program_{program}", voices) for program in sorted(voices)] == [
        f"voice: {v}" for v in VOICES
    ]
    assert scheme("tsd").voices == {}


# What is lost. When one of these fails, an upstream release has changed: put `limits` and the table in the docs right.


@pytest.mark.parametrize("name", sorted(NO_SIGNATURES))
def test_schemes_that_drop_time_signatures(name: str) -> None:
    assert any("time signatures are dropped" in limit for limit in scheme(name).limits)
    kept = round_trip(name, score_of(line(), ((0, 4, 4), (4, 3, 4))))
    assert kept.same_notes
    assert not kept.same_signatures


def test_structured_rounds_long_ways_between_onsets_and_what_follows_moves() -> None:
    kept = round_trip("structured", score_of([(0, 1, 60), (3 + 1 / 24, 1, 62), (5, 1, 64)]))
    assert (kept.num_matched, kept.num_notes) == (1, 3)
    assert round_trip("tsd", score_of([(0, 1, 60), (3 + 1 / 24, 1, 62), (5, 1, 64)])).is_exact


def test_structured_cuts_silence() -> None:
    silence = score_of([(0, 1, 60), (24, 1, 62)])
    assert round_trip("structured", silence).num_exact == 1
    assert all(round_trip(name, silence).is_exact for name in ALL if name != "structured")


@pytest.mark.parametrize("name", ALL)
def test_notes_of_more_than_16_beats_are_cut_wherever_notes_have_durations(name: str) -> None:
    kept = round_trip(name, score_of([(0, 20, 60), (20, 1, 62)]))
    assert kept.is_exact == (name in ("midilike", "beat"))
    assert kept.num_back == 2


def test_pertok_ends_before_16_beats() -> None:
    longest = score_of([(0, 16, 60), (16, 1, 62)])
    assert {name for name in ALL if not round_trip(name, longest).is_exact} == {"pertok"}


def test_pertok_loses_the_place_of_a_changed_time_signature() -> None:
    changes = score_of(line(), ((0, 4, 4), (4, 3, 4), (10, 4, 4)))
    assert {name for name in ALL if not round_trip(name, changes).is_exact} == {"pertok", *NO_SIGNATURES}


def test_pertok_adds_up_what_the_grid_rounds() -> None:
    fifths = score_of(line(24, 1 / 5))
    assert {name for name in ALL if round_trip(name, fifths).num_matched < 24} == {"pertok", "beat"}
    assert not any(round_trip(name, fifths).same_notes for name in ALL)


@pytest.mark.parametrize("notes", [[(0, 4, 60), (1, 1, 60)], [(0, 2, 60), (1, 3, 60)]])
def test_midilike_mixes_up_the_ends_of_notes_of_one_pitch(notes: list[tuple[float, ...]]) -> None:
    nested = notes[1][0] + notes[1][1] < notes[0][1]
    kept = round_trip("midilike", score_of(notes))
    assert kept.num_matched == 2
    assert kept.same_notes == (not nested)  # the note that began first ends first
    assert all(round_trip(name, score_of(notes)).same_notes for name in ALL if name not in ("midilike", "beat"))
    assert not round_trip("beat", score_of(notes)).same_notes  # which sounds each pitch once at a time


@pytest.mark.parametrize("notes", [[(0, 4, 60), (1, 1, 60)], [(0, 1, 60), (0, 2, 60)]])
def test_gm_plays_each_pitch_of_an_instrument_once_at_a_time(notes: list[tuple[float, ...]]) -> None:
    assert not round_trip("gm", score_of(notes)).same_notes
    assert round_trip("remi", score_of(notes)).is_exact


def test_octuple_loses_a_change_of_time_signature_in_an_empty_bar() -> None:
    changes = score_of([(0, 1, 60), (12, 1, 62)], ((0, 4, 4), (4, 3, 4), (7, 4, 4)))
    kept = round_trip("octuple", changes)
    assert (kept.num_matched, kept.same_signatures) == (1, False)
    assert round_trip("remi", changes).is_exact


@pytest.mark.parametrize("name", ALL)
def test_schemes_that_count_bars_have_a_last_one(name: str) -> None:
    score = score_of([(4 * bar, 1, 60) for bar in range(MAX_BARS + 1)])
    if name in ("octuple", "mumidi"):
        with pytest.raises(InputError, match=f"counts {MAX_BARS} bars and the score has {MAX_BARS + 1}"):
            scheme(name).encode(score)
    else:
        assert round_trip(name, score).is_exact


@pytest.mark.parametrize("name", ALL)
def test_compound_schemes_have_several_vocabularies_and_say_so(name: str) -> None:
    sizes, limits = scheme(name).vocabulary_sizes, scheme(name).limits
    assert (len(sizes) > 1) == any("compound" in limit for limit in limits) == (name in ("octuple", "cpword", "mumidi"))
    steps = scheme(name).steps(scheme(name).encode(score_of(line())))
    assert any(len(step.names) > 1 for step in steps) == (len(sizes) > 1)


def test_mmm_writes_one_track_after_the_other() -> None:
    two = score_of(line(program=5) + line(program=70))
    times = {name: [step.time_ticks for step in scheme(name).steps(scheme(name).encode(two))] for name in ALL}
    assert {name for name in ALL if times[name] != sorted(times[name])} == {"mmm"}


@pytest.mark.parametrize("name", ALL)
def test_a_time_signature_outside_the_vocabulary_is_lost_or_refused(name: str) -> None:
    score = score_of(line(), ((0, 5, 1),))
    if name == "pertok":
        with pytest.raises(InputError, match="cannot encode the score"):
            round_trip(name, score)
    else:
        assert not round_trip(name, score).same_signatures


def test_the_grid_of_all_schemes_is_that_of_the_preset() -> None:
    off_grid = score_of([(1 / 23, 1, 60), (2, 1, 62)])
    assert not any(round_trip(name, off_grid).same_notes for name in ALL)


# Names, meanings, comparison of scores.


def test_beat_counts_pitches_of_a_beat_down() -> None:
    chord = score_of([(0, 1, pitch) for pitch in (60, 64, 67)])
    steps = scheme("beat").steps(scheme("beat").encode(chord))
    names = [name for step in steps for name in step.names if name.startswith("Pitch")]
    assert names == ["Pitch_67", "PitchInterval_3", "PitchInterval_4"]
    pattern = describe_token("Pattern_53", {})  # 1222 to base 3
    assert pattern == "steps of the beat: x o o o (x begins, o goes on)"


@pytest.mark.parametrize("name", scheme_names())
def test_every_token_has_a_meaning(name: str) -> None:
    music = FOUR_PART if name == "satb" else MULTITRACK
    score = score_of(line())
    score.tracks[0].name = "Soprano"
    found = scheme(name, music)
    for step in found.steps(found.encode(score)):
        for token in shown_parts(step):
            assert describe_token(token, found.voices) != token


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("Pitch_60", "C4 (MIDI pitch 60)"),
        ("Duration_1.12.24", "lasts 1 1/2 beats"),
        ("Duration_0.6.24", "lasts 1/4 beat"),
        ("TimeShift_0.0.1", "no time passes"),
        ("Program_40", "voice: Soprano"),
        ("Program_0", "instrument: Acoustic Grand Piano (program 0)"),
        ("Program_-1", "drums"),
        ("Bar_3", "in bar 4 of the stream"),
        ("Nonsense_x", "Nonsense_x"),
        ("Pitch_?", "Pitch_?"),
    ],
)
def test_meanings(token: str, said: str) -> None:
    assert describe_token(token, {40: "Soprano"}) == said


@pytest.mark.parametrize("name", ["MIDI-Like", "midilike", "Octuple", "SATB"])
def test_names_are_taken_in_any_spelling(name: str) -> None:
    assert load_scheme(name, FOUR_PART).name == name.lower().replace("-", "")


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"'nope' is not a tokenizer scheme\. Choose one of satb, .*octuple"):
        load_scheme("nope", MULTITRACK)


def test_the_preset_refuses_other_music() -> None:
    with pytest.raises(InputError, match="is not one of Soprano, Alto, Tenor, Bass"):
        scheme("satb", FOUR_PART).encode(score_of(line()))


def test_a_trained_tokenizer_is_a_scheme_that_loses_nothing(tmp_path: Path) -> None:
    from descant_tokenizers.tokens.encode import encode_score
    from descant_tokenizers.tokens.presets import build_tokenizer
    from descant_tokenizers.tokens.train_bpe import train_tokenizer
    from descant_tokenizers.tokens.vocabulary import Vocabulary

    score = score_of(line(program=40))
    score.tracks[0].name = "Soprano"
    vocabulary = Vocabulary(build_tokenizer())
    trained_tokenizer = train_tokenizer(
        vocabulary.tokenizer, [encode_score(vocabulary, score).piece], vocabulary.size + 20
    )
    trained_tokenizer.save_pretrained(tmp_path)
    trained, plain = load_scheme(str(tmp_path), FOUR_PART), scheme("satb", FOUR_PART)
    tokens = trained.encode(score)
    assert tokens.num_tokens < plain.encode(score).num_tokens
    assert trained.vocabulary_sizes[0] > plain.vocabulary_sizes[0]
    assert fidelity(score, trained.decode(tokens)).is_exact
    merged, single = trained.steps(tokens), plain.steps(plain.encode(score))
    assert [name for step in merged for name in step.names] == [name for step in single for name in step.names]


def test_fidelity_compares_to_the_tick_and_f1_to_half_a_step_of_the_grid() -> None:
    score = score_of([(0, 1, 60), (1, 1, 62), (2, 1, 64), (3, 1, 65)])
    other = score.copy()
    other.tracks[0].notes[0].duration += 1
    other.tracks[0].notes[1].time += TPQ // 48
    other.tracks[0].notes[2].time += TPQ // 48 + 1
    other.tracks[0].notes[3].pitch += 12
    kept = fidelity(score, other)
    assert (kept.num_exact, kept.num_matched, kept.num_notes, kept.num_back) == (0, 2, 4, 4)
    assert kept.num_in_place == 1
    assert kept.same_signatures


def test_fidelity_pairs_each_note_once() -> None:
    score, other = score_of([(0, 1, 60)]), score_of([(0, 1, 60), (0, 2, 60), (0, 3, 60)])
    assert fidelity(score, other).num_matched == 1
    assert (fidelity(other, score).num_matched, fidelity(other, score).num_notes) == (1, 3)


def test_fidelity_does_not_depend_on_the_resolution() -> None:
    score = score_of(line(24, 1 / 3), ((0, 4, 4), (4, 3, 4)))
    assert fidelity(score, score.resample(96, min_dur=1)).is_exact


def test_a_repeated_time_signature_is_no_change() -> None:
    assert fidelity(score_of(line(), ((0, 4, 4), (4, 4, 4))), score_of(line(), ())).is_exact
