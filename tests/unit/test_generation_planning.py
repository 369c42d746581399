"""The plan of a prompt: what is requested, what the prompt shows, and chords as text that can be edited."""

from dataclasses import replace
from functools import partial

import pytest
from chorale_examples import midi
from prompts import chorale, melody, scale
from symusic.core import KeySignatureTick, NoteTick, TrackTick

from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import Request, refuse_hints
from descant_modeling.generation.planning import grid_ticks, plan_of, prompt_key
from descant_modeling.generation.satb import read_four_part_prompt
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.harmony import ChordLabel, PieceKey, chord_name, parse_chord_name
from descant_tokenizers.tokens.hints import Annotations
from descant_tokenizers.tokens.tasks import Task

S, B, A, T = range(4)
RANGES = ((60, 81), (36, 66), (52, 74), (46, 69))
QUARTER, BAR = 96, 384


def tune(line, *, tpq=480, meters=((0, 4, 4),), name="Soprano"):
    """Return a score of one voice from names and lengths in quarters: `C5 D5:2 -`."""
    notes, now = [], 0.0
    for word in line.split():
        pitch, _, length = word.partition(":")
        quarters = float(length or 1)
        if pitch != "-":
            notes.append((round(now * tpq), round(quarters * tpq), midi(pitch)))
        now += quarters
    return melody(notes, tpq=tpq, meters=meters, name=name)


@pytest.fixture
def plan(hint_vocabulary):
    def make(score, *, new=(B, A, T), given=("Soprano",), task="harmonize", **values):
        request = Request(task, score, **values)
        key_of = partial(prompt_key, request)
        return plan_of(request, read_four_part_prompt(hint_vocabulary, RANGES, score, given, key_of=key_of), new)

    return make


def own_key(found):
    """Return the key of a plan at the pitch of the prompt."""
    return found.annotations.key.transpose(-found.prompt.shift)


TWO_BARS = "C5 D5 E5 F5 G5:2 C5:2"


def test_without_requests_the_prompt_is_read(plan):
    found = plan(tune(TWO_BARS))
    assert found.annotations == Annotations((576,), PieceKey(0, True), writes_chords=True)
    assert (found.phrases, found.phrase_source) == ((2,), "guessed")


def test_the_key_signature_of_the_prompt_counts(plan):
    score = tune("C4 C4 E4 E4 G4 G4 E4:2 F4 F4 D4 D4 B3 B3 G3:2 C4 C4 E4 E4 G4 G4 E4:2 C5 C5 F#4 F#4 G4:2")
    assert own_key(plan(score)) == PieceKey(7, True)
    score.key_signatures.append(KeySignatureTick(0, 0, 0))
    assert own_key(plan(score)) == PieceKey(0, True)


@pytest.mark.parametrize(
    ("semitones", "expected"),
    [
        (0, (52, 74)),
        (5, (52, 69)),  # the model sees the tune 5 semitones lower, and the alto is moved back with it
        (-7, (59, 74)),
        (-12, (52, 74)),  # less than an octave would be left
    ],
)
def test_voices_stay_in_their_ranges_when_a_tune_is_moved_for_the_model(hint_vocabulary, semitones, expected):
    score = tune("C4 D4 E4 F4 G5 A5")
    for note in score.tracks[0].notes:
        note.pitch += semitones
    prompt = read_four_part_prompt(hint_vocabulary, RANGES, score, ("Soprano",))
    assert prompt.pitches[A] == expected


def test_several_voices_end_in_the_key_of_their_last_chord(plan):
    score = tune("E5 E5 E5 E5 E5:2 E5:2")
    bass = tune("A3 B3 C4 D4 E3:2 A2:2", name="Bass")
    score.tracks.append(bass.tracks[0])
    found = plan(score, given=("Soprano", "Bass"), new=(A, T))
    assert own_key(found) == PieceKey(9, False)
    assert found.annotations.key == PieceKey(0, False)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("C", PieceKey(0, True)),
        ("F# minor", PieceKey(6, False)),
        ("Bb major", PieceKey(10, True)),
        ("ebm", PieceKey(3, False)),
        ("Cb", PieceKey(11, True)),
    ],
)
def test_a_requested_key_is_taken(plan, name, key):
    found = plan(tune(TWO_BARS), key=name)
    assert own_key(found) == key
    assert found.annotations.key == PieceKey(0, key.is_major)


def test_a_prompt_too_wide_to_move_has_no_key(plan):
    score = tune("F#1 G3 A4 F#6 G4:2 G4:2")
    assert plan(score, key="G").annotations.key is None
    assert plan(score, key="C").annotations.key == PieceKey(0, True)


def test_key_and_chords_move_with_the_melody(plan):
    low = tune("C3 D3 E3 F3 G3:2 C3:2")  # two octaves below the sopranos
    found = plan(low, key="F minor", chords=("Fm/C G7", "N.C."))
    shift = found.prompt.shift
    assert (5 + shift) % 12 == 0
    assert found.annotations.key == PieceKey(0, False)
    assert found.annotations.chords == {
        **dict.fromkeys((0, 96), parse_chord_name("Fm/C").transpose(shift)),
        **dict.fromkeys((192, 288), parse_chord_name("G7").transpose(shift)),
        **dict.fromkeys((384, 480, 576, 672)),
    }
    assert found.symbols({}) == ("Fm/C G7", "N.C.")


@pytest.mark.parametrize("tpq", [24, 120, 480, 10080])
def test_fermatas_end_phrases_at_every_resolution(plan, tpq):
    found = plan(tune(TWO_BARS, tpq=tpq), phrase_ends=(3 * tpq, 4 * tpq, 99 * tpq))
    assert found.annotations.phrase_ends == (288, 384, 576)
    assert (found.phrases, found.phrase_source) == ((1, 2), "fermatas")


def test_fermatas_are_found_after_a_pickup_and_a_change_of_meter(plan):
    score = tune("C5 D5 E5 F5 G5 A5:3", meters=((0, 1, 4), (480, 3, 4), (480 * 4, 4, 4)))
    found = plan(score, phrase_ends=(3 * 480, 5 * 480))
    assert found.annotations.phrase_ends == (288, 480)
    assert found.phrases == (1, 2)
    assert grid_ticks(found.prompt, 7 * 480) == 672


@pytest.mark.parametrize(
    ("phrases", "ends"), [((2,), (576,)), ((1, 2), (288, 576)), ((2, 1, 1), (288, 576)), ((), None)]
)
def test_requested_phrases_end_on_the_last_notes_of_bars(plan, phrases, ends):
    found = plan(tune(TWO_BARS), phrases=phrases, phrase_ends=(480,))
    assert found.annotations.phrase_ends == ends
    assert found.phrases == tuple(sorted(set(phrases)))
    assert found.phrase_source == ("as requested" if phrases else "")


def test_a_pickup_is_bar_0(plan):
    score = tune("G4 C5 D5 E5 C5:3", meters=((0, 1, 4), (480, 3, 4)))
    assert plan(score, phrases=(0, 2)).annotations.phrase_ends == (0, 384)
    found = plan(score, chords=("C", "C/E G"))
    assert [(onset // QUARTER, chord_name(chord)) for onset, chord in found.annotations.chords.items()] == [
        (1, "C"), (2, "C"), (3, "C"), (4, "C/E"), (5, "G"), (6, "G"),
    ]  # fmt: skip
    assert found.symbols({}) == ("C", "C/E G G")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C", "CCCC"),
        ("C G", "CCGG"),
        ("C F G", "CFGG"),
        ("C F G C", "CFGC"),
        ("", ""),
    ],
)
def test_the_chords_of_a_bar_share_its_beats(plan, text, expected):
    chords = plan(tune(TWO_BARS), chords=("Am", text)).annotations.chords
    assert [chord_name(chord) for onset, chord in chords.items() if onset < BAR] == ["Am"] * 4
    assert "".join(chord_name(chords[onset]) for onset in range(BAR, 2 * BAR, QUARTER) if onset in chords) == expected


def test_chords_are_on_the_beats_of_compound_meters(plan):
    found = plan(tune("C5:1.5 D5:1.5 E5:3", meters=((0, 6, 8),)), chords=("C G", "Am"))
    own = {onset: chord.transpose(-found.prompt.shift) for onset, chord in found.annotations.chords.items()}
    assert {onset: chord_name(chord) for onset, chord in own.items()} == {
        0: "C", 144: "G", 288: "Am", 432: "Am",
    }  # fmt: skip


@pytest.mark.parametrize("rhythm", ["note", "beat", "half-bar", "bar", None])
def test_a_harmonic_rhythm_is_taken(plan, rhythm):
    assert plan(tune(TWO_BARS), harmonic_rhythm=rhythm).annotations.harmonic_rhythm == rhythm


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"harmonic_rhythm": "slow"}, "The harmonic rhythm is 'slow'. Choose from auto, note, beat, half-bar, bar."),
        ({"key": "H"}, "'H' is not a key. Give one such as G, 'F# minor' or Bb."),
        ({"key": "G# major"}, "G# major has 8 sharps. Give a key with at most 7."),
        ({"phrases": (3,)}, "No note of the melody begins in bar 3. Give bars in which phrases end."),
        ({"phrases": (0,)}, "No note of the melody begins in bar 0. Give bars in which phrases end."),
        ({"chords": ("C", "G", "C")}, "There are chords for 3 bars, but the prompt has 2. Give fewer chords."),
        ({"chords": ("C", "C C C C C")}, "Bar 2 has 5 chords, but 4 beats. Give fewer chords."),
        (
            {"chords": ("C H",)},
            "'H' is not a chord. Write it as in C, F#m, Bb7, Gm7, Cmaj7, Bdim, or C/E with its bass.",
        ),
        (
            {"chords": ("C/D",)},
            "The bass of 'C/D' is not in the chord. Name its third, fifth or seventh, or leave it out.",
        ),
        (
            {"phrases": (2,), "new": (S,)},
            "Phrases belong to a given voice. Leave --phrases out, or choose a voice with --given.",
        ),
        *(
            (
                {"task": "continue", "new": (), **values},
                "--phrases, --chords and --harmonic-rhythm are for harmonize and infill. Leave them out.",
            )
            for values in ({"phrases": (2,)}, {"chords": ("C",)}, {"harmonic_rhythm": "bar"})
        ),
    ],
)
def test_what_cannot_be_planned_is_refused(plan, values, message):
    with pytest.raises(InputError) as refused:
        plan(tune(TWO_BARS), **values)
    assert str(refused.value) == message


def test_a_bar_of_one_beat_has_room_for_one_chord(plan):
    score = tune("C5 D5 E5", meters=((0, 1, 4),))
    assert plan(score, chords=("C", "G", "C")).symbols({}) == ("C", "G", "C")
    with pytest.raises(InputError, match=r"^Bar 1 has 2 chords, but 1 beat\. Give fewer chords\.$"):
        plan(score, chords=("C G",))


def test_a_long_rest_is_a_bar_without_a_note_of_the_melody(plan):
    score = tune("C5:4 -:4 C5:4")
    with pytest.raises(InputError, match="No note of the melody begins in bar 2"):
        plan(score, phrases=(2,))


def test_a_continuation_knows_its_key_and_that_it_ends(plan):
    found = plan(chorale(2), given=None, task="continue", new=(), key="G")
    assert (found.phrases, found.phrase_source, found.symbols({})) == ((), "", ())
    assert found.for_task(Task.CONTINUE) == Annotations(key=PieceKey(0, True))


def test_voices_to_continue_are_written_to_the_prompt_first_which_does_not_end(plan):
    found = plan(tune(TWO_BARS), task="continue")
    assert found.for_task(Task.HARMONIZE) == Annotations((576,), PieceKey(0, True), ends=False, writes_chords=True)
    assert found.for_task(Task.CONTINUE) == Annotations(key=PieceKey(0, True))


def test_without_a_given_voice_there_are_no_phrases(plan):
    found = plan(chorale(2), given=None, task="infill", new=(S, B, A, T), bars=(1, 1))
    assert found.annotations.phrase_ends is None
    assert found.annotations.writes_chords
    assert plan(chorale(2), given=None, task="infill", new=(B,), bars=(1, 1)).annotations.phrase_ends


def test_the_highest_voice_has_the_phrases(plan):
    score = tune("C4 D4 E4 F4 G4 A4 B4 - C4 B3 A3 G3 F3 E3 D3 C3", name="Tenor")
    score.tracks.append(tune("C3:8 D3:8", name="Bass").tracks[0])
    found = plan(score, given=("Tenor", "Bass"), new=(S, A))
    assert found.annotations.phrase_ends == (576, 1440)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("C C C C | G G G G", ("C", "G")),
        ("C C G G | C G C G", ("C G", "C G C G")),
        ("C F F F | C C C G", ("C F F F", "C C C G")),
        ("C F G G | C none C C", ("C F G G", "C N.C. C C")),
        ("C . G . | . . F .", ("C G", "G F")),  # a beat without a chord keeps the one before
        (". . F . | . . . .", ("F", "")),  # or takes the next one; a bar without any stays open
    ],
)
def test_chords_are_told_as_they_are_requested(plan, written, expected):
    found = plan(tune(TWO_BARS))
    names = [name for bar in written.split("|") for name in bar.split()]
    chords = {
        place * QUARTER: None if name == "none" else parse_chord_name(name)
        for place, name in enumerate(names)
        if name != "."
    }
    assert found.symbols(chords) == expected
    again = plan(tune(TWO_BARS), chords=expected)
    assert chords.items() <= again.annotations.chords.items()
    assert again.symbols({}) == expected


def test_chords_that_were_not_written_are_read_from_the_harmony(plan):
    found = plan(tune(TWO_BARS), chords=("", "G7"))
    score = tune("C5 D5 E5 F5 G5:2 C5:2")
    for name, line in (("Bass", "C3 G3 C3 A3 E3 G3 C3:2"), ("Alto", "E4 B3 G4 C4 C4 B3 C4:2")):
        score.tracks.append(tune(line, name=name).tracks[0])
    piece = plan(score, given=("Soprano", "Alto", "Bass"), new=(T,)).prompt.piece
    assert found.symbols({}) == ("", "G7")
    assert found.symbols({}, piece) == ("C G C F/A", "G7")
    assert found.symbols({0: ChordLabel(9, "min", 0)}, piece)[0].startswith("Am G")
    given_only = replace(found, annotations=replace(found.annotations, writes_chords=False))
    assert given_only.symbols({}, piece) == ("", "G7")


def test_requested_and_written_chords_are_told_together_in_the_spelling_of_the_key(plan):
    found = plan(tune("Eb4 F4 G4 Ab4 Bb4:2 Eb4:2"), chords=("", "Bb"))
    ab, db = ChordLabel(8, "maj", 0), ChordLabel(1, "7", 3)

    def written(found):
        return {0: ab.transpose(found.prompt.shift), 192: db.transpose(found.prompt.shift)}

    assert found.symbols(written(found)) == ("Ab Db7/B", "Bb")
    sharp = plan(tune("E4 F#4 G#4 A4 B4:2 E4:2"), key="E")
    assert sharp.symbols(written(sharp)) == ("G# C#7/B", "")
    assert sharp.symbols({}) == ()
    assert replace(sharp, annotations=Annotations()).symbols(written(sharp))[0] == "Ab C#7/B"


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize("is_major", [True, False])
def test_every_chord_can_be_read_back_in_every_key(plan, tonic, is_major):
    found = plan(tune(TWO_BARS))
    found = replace(found, annotations=Annotations(key=PieceKey(tonic, is_major)))
    for root in range(12):
        for chord in (ChordLabel(root, "7", 3), ChordLabel(root, "dim7", 1), ChordLabel(root, "aug", 2)):
            assert parse_chord_name(found.symbols({0: chord})[0]) == chord


@pytest.mark.parametrize(
    ("values", "config", "option"),
    [
        ({"phrases": (4,)}, GenerationConfig(), "--phrases"),
        ({"chords": ("C",)}, GenerationConfig(), "--chords"),
        ({"harmonic_rhythm": "bar"}, GenerationConfig(), "--harmonic-rhythm"),
        ({}, GenerationConfig(last_chord="tonic"), "--last-chord"),
    ],
)
def test_a_model_without_hints_refuses_them(values, config, option):
    request = Request("harmonize", **values)
    with pytest.raises(InputError) as refused:
        refuse_hints(request, config)
    assert str(refused.value) == f"This model has no use for {option}. Leave it out, or choose another --model."
    refuse_hints(Request("harmonize", key="G", phrases=(), phrase_ends=(5,)), GenerationConfig())
    refuse_hints(Request("compose", chords=("C",)), GenerationConfig(), but_chords=True)


def test_other_tracks_do_not_count(plan):
    score = tune(TWO_BARS)
    other = TrackTick("Flute", 73, False)
    other.notes.extend([NoteTick(*note, 80) for note in scale(8, 480, base=61)])
    score.tracks.append(other)
    assert plan(score).annotations.key == PieceKey(0, True)
