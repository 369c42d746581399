from __future__ import annotations

import pytest
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import pick_melody
from descant_tokenizers.scores.names import is_backing_name, is_melody_name, voice_of_name

Notes = list[tuple[int, int, int]]
HIGH: Notes = [(0, 480, 79), (480, 480, 81)]
LOW: Notes = [(0, 480, 48), (480, 480, 50)]
CHORDS: Notes = [(0, 480, 60), (0, 480, 64), (480, 480, 62), (480, 480, 65)]


def score_of(**tracks: Notes) -> ScoreTick:
    """Tracks by name (underscores mean no name); a name with Drum is percussion."""
    score = ScoreTick(480)
    for name, notes in tracks.items():
        track = TrackTick(name.strip("_"), 0, "Drum" in name)
        for time, duration, pitch in notes:
            track.notes.append(NoteTick(time, duration, pitch, 80))
        score.tracks.append(track)
    return score


def test_one_track_is_taken_as_it_is() -> None:
    score = score_of(Anything=LOW)
    choice = pick_melody(score)
    assert choice.index == 0
    assert choice.reason == "melody: track 1 'Anything' (the only one)"
    assert list(choice.track.notes) == list(score.tracks[0].notes)


def test_percussion_does_not_count() -> None:
    assert pick_melody(score_of(Drums=HIGH, Bass=LOW)).index == 1


@pytest.mark.parametrize("name", ["Melody", "SOPRANO", "vocals", "Lead_guitar", "Cantus_firmus"])
def test_a_name_beats_the_pitch(name: str) -> None:
    choice = pick_melody(score_of(Flute=HIGH, **{name: LOW}))
    assert choice.index == 1
    assert choice.reason.endswith("(by its name)")


def test_of_several_names_the_highest_is_taken() -> None:
    choice = pick_melody(score_of(Flute=HIGH, Voice_2=LOW, Voice_1=[(0, 480, 60)]))
    assert choice.index == 2
    assert choice.reason == "melody: track 3 'Voice_1' (the highest of 2 so named, median C4)"


def test_singers_come_before_a_piano() -> None:
    duet = pick_melody(score_of(Contralto_=[(0, 480, 60)], Ténor=LOW, Piano=HIGH))
    assert (duet.index, duet.reason) == (0, "melody: track 1 'Contralto' (the highest of 2 so named, median C4)")
    assert pick_melody(score_of(Klavier=HIGH, Baritone=LOW)).reason == "melody: track 2 'Baritone' (by its name)"
    assert pick_melody(score_of(Piano=HIGH, Bass=LOW)).index == 0  # perhaps a guitar
    assert pick_melody(score_of(Flute=HIGH, Tenor=LOW)).index == 0


def test_an_alternative_of_a_few_notes_is_not_the_melody() -> None:
    score = score_of(
        Voice_alternative=[(0, 480, 84)], Voice=[(480 * beat, 480, 60) for beat in range(12)], Piano=CHORDS
    )
    assert pick_melody(score).index == 1


def test_without_names_the_highest_monophonic_track_is_taken() -> None:
    choice = pick_melody(score_of(Piano=CHORDS, Bass=LOW, Flute=HIGH))
    assert choice.index == 2
    assert choice.reason == "melody: track 3 'Flute' (the highest of 2 monophonic, median Ab5)"


def test_the_only_monophonic_track_is_taken() -> None:
    reason = pick_melody(score_of(Piano=CHORDS, Bass=LOW)).reason
    assert reason == "melody: track 2 'Bass' (the only monophonic one)"


def test_of_equal_tracks_the_first_is_taken() -> None:
    assert pick_melody(score_of(One=HIGH, Two=HIGH)).index == 0


@pytest.mark.parametrize("track", [2, "2", "bass", " BASS "])
def test_a_track_is_asked_for_by_number_or_name(track: int | str) -> None:
    choice = pick_melody(score_of(Melody=HIGH, Bass=LOW), track)
    assert choice.index == 1
    assert choice.reason == "melody: track 2 'Bass' (as requested)"


def test_a_track_may_be_named_like_a_number() -> None:
    assert pick_melody(score_of(One=HIGH, Two=LOW, **{"1": LOW}), "1").index == 2


@pytest.mark.parametrize(
    ("track", "message"),
    [
        (0, r"There is no track 0 \(there are 4, from 1\). Choose with --track one of 1 'Flute', 3 'Bass'\."),
        (5, "There is no track 5"),
        (-1, "There is no track -1"),
        ("-1", "There is no track named '-1'"),
        ("Oboe", "There is no track named 'Oboe'"),
        ("piano", "Track 2 'Piano' plays several notes at once. Choose with --track one of 1 'Flute', 3 'Bass'."),
        (4, "Track 4 'Drums' is percussion"),
    ],
)
def test_a_wrong_choice_lists_the_right_ones(track: int | str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pick_melody(score_of(Flute=HIGH, Piano=CHORDS, Bass=LOW, Drums=LOW), track)


def test_a_polyphonic_track_named_as_melody_is_not_passed_over() -> None:
    with pytest.raises(InputError, match=r"Track 2 'Vocals' plays several notes at once.*one of 1 'Bass'"):
        pick_melody(score_of(Bass=LOW, Vocals=CHORDS))
    with pytest.raises(InputError, match=r"tracks named as melody play several notes at once.*one of 1 'Bass'"):
        pick_melody(score_of(Bass=LOW, Vocals=CHORDS, Voice=CHORDS))


def test_with_only_polyphony_there_is_no_choice() -> None:
    with pytest.raises(InputError, match="Put the melody on a track of its own"):
        pick_melody(score_of(Piano=CHORDS))
    with pytest.raises(InputError, match="All tracks play several notes at once"):
        pick_melody(score_of(Left=CHORDS, Right=CHORDS))


def test_a_long_list_is_cut() -> None:
    tracks = {f"Part{number}": LOW for number in range(14)}
    with pytest.raises(InputError, match="and 4 more"):
        pick_melody(score_of(**tracks), 99)


def test_legato_is_trimmed_in_the_copy_only() -> None:
    score = score_of(Flute=[(0, 599, 72), (480, 490, 74), (960, 480, 76)])
    choice = pick_melody(score)
    assert [(note.time, note.duration) for note in choice.track.notes] == [(0, 480), (480, 480), (960, 480)]
    assert choice.reason.endswith("; 2 overlapping notes trimmed")
    assert score.tracks[0].notes[0].duration == 599


@pytest.mark.parametrize("overlap", [90, 240])
def test_an_overlap_up_to_half_a_note_is_legato(overlap: int) -> None:
    flute = [(480 * place, 480 + overlap, 72 + place % 3) for place in range(8)]
    choice = pick_melody(score_of(Flute=flute))
    assert [(note.time, note.pitch) for note in choice.track.notes] == [(time, pitch) for time, _, pitch in flute]
    assert all(note.duration == 480 for note in choice.track.notes[:-1])
    assert choice.reason.endswith("; 7 overlapping notes trimmed")


CANON = [(480 * place, 960, 60 + place) for place in range(8)]
UNDER_A_HELD_NOTE = [(0, 1920, 72), *[(480 * place, 480, 60) for place in range(4)]]
ARPEGGIO = [(120 * place, 480 + place, 60 + place) for place in range(16)]


@pytest.mark.parametrize("notes", [CANON, UNDER_A_HELD_NOTE, ARPEGGIO, CHORDS])
def test_two_voices_on_a_track_are_no_line(notes: Notes) -> None:
    with pytest.raises(InputError, match="several notes at once"):
        pick_melody(score_of(Flute=notes))


def test_a_few_optional_notes_leave_a_song_a_line() -> None:
    song = [(480 * place, 480, 72 - place % 5) for place in range(20)]
    choice = pick_melody(score_of(Voice=[*song, (960, 480, 65), (2400, 240, 60)]))
    assert [(note.time, note.pitch) for note in choice.track.notes] == [(time, pitch) for time, _, pitch in song]
    assert choice.reason.endswith("; 2 lower notes left out for the model")


REEL = [(120 * place, 120, 79 - place % 5) for place in range(40)]
DOUBLE_STOPS = [(480 * place, 120, 62) for place in range(10)]


@pytest.mark.parametrize(
    ("tracks", "track"), [(("Fiddle",), None), (("Fiddle", "Flute"), 1), (("Voice", "Flute"), None)]
)
def test_double_stops_leave_a_fiddle_a_line_if_there_is_no_other_to_take(
    tracks: tuple[str, ...], track: int | None
) -> None:
    choice = pick_melody(score_of(**dict(zip(tracks, [[*REEL, *DOUBLE_STOPS], HIGH], strict=False))), track)
    assert choice.index == 0
    assert [note.pitch for note in choice.track.notes] == [pitch for *_, pitch in REEL]
    assert choice.reason.endswith("; 10 lower notes left out for the model")


def test_another_line_is_preferred_to_double_stops() -> None:
    assert pick_melody(score_of(Fiddle=[*REEL, *DOUBLE_STOPS], Flute=LOW)).index == 1


@pytest.mark.parametrize(
    "name",
    [
        *("Melodie", "Singstimme", "Leadgitarre", "Mélodie", "Chant", "Voix", "Melodía", "voz 1", "Voce", "Melodia"),
        *("Zang", "Śpiew", "Głos", "Мелодия", "Голос", "Sång", "Stämma", "Zpěv", "Hlas", "Laulu", "Ének", "Μελωδία"),
    ],
)
def test_a_melody_is_named_in_the_language_of_the_country(name: str) -> None:
    assert pick_melody(score_of(Flute=HIGH, **{name: LOW})).reason.endswith("(by its name)")


def test_a_backing_voice_is_no_melody_beside_another() -> None:
    choice = pick_melody(score_of(**{"Backing Vocals": HIGH, "Vocals": LOW}))
    assert choice.index == 1
    assert pick_melody(score_of(**{"Backing Vocals": LOW, "Flute": HIGH})).index == 0
    assert pick_melody(score_of(Zweitstimme=HIGH, Leadstimme=LOW)).index == 1
    assert not is_melody_name("Main gauche")


@pytest.mark.parametrize(
    "name",
    [
        *("Śpiew", "Głos", "Zang", "Stem", "Voz", "Canto", "Voce", "Мелодія", "Голос", "Meloodia", "Laulu", "Röst"),
        *("Dallam", "Zpěv", "Chant", "Singstimme", "Φωνή", "Solo", "Solista", "Zangpartij", "Sangstemme"),
        *("Solist", "Kantor", "Főszólam", "Солист", "Main"),
    ],
)
def test_melodies_have_names_in_many_languages(name: str) -> None:
    assert is_melody_name(name)
    assert not is_backing_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Backing Vocals", "Chór", "Begeleiding", "2. Stimme", "2ª voz", "Segunda voz", "Tweede stem", "Kör", "Coros"),
        *("Drugi głos", "Второй голос", "Tegenstem", "Säestys", "Acompañamento", "Akompaniament"),
    ],
)
def test_tracks_that_accompany_are_known_by_name(name: str) -> None:
    assert is_backing_name(name)


@pytest.mark.parametrize(
    ("names", "voice"),
    [
        (("Sopraan", "Szoprán", "Σοπράνο", "Sopranos", "Soprani"), "Soprano"),
        (("Contralto", "Άλτο", "Altos", "Alti"), "Alto"),
        (("Ténor", "Τενόρος", "Tenors", "Tenores"), "Tenor"),
        (("Baixo", "Μπάσος", "Basses", "Bassi"), "Bass"),
    ],
)
def test_voices_have_names_in_many_languages(names: tuple[str, ...], voice: str) -> None:
    assert {voice_of_name(name) for name in names} == {voice}
