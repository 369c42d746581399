"""Finding the voices of a score among its tracks."""

from __future__ import annotations

import pytest
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES
from descant_tokenizers.scores.names import voice_names, voice_of_name
from descant_tokenizers.scores.voices import pick_voices, tracks_by_name


def _track(name: str, pitch: int, *, is_drum: bool = False, num_parts: int = 1) -> TrackTick:
    track = TrackTick(name, 0, is_drum)
    for part in range(num_parts):
        track.notes.append(NoteTick(0, 480, pitch + 3 * part, 80))
    return track


def _score(*tracks: TrackTick) -> ScoreTick:
    score = ScoreTick(480)
    score.tracks.extend(tracks)
    return score


@pytest.mark.parametrize(
    ("name", "voice"),
    [
        *(("Soprano", "Soprano"), (" alto ", "Alto"), ("T", "Tenor"), ("BASS", "Bass"), ("Bassoon", None), ("", None)),
        *(("Sopran", "Soprano"), ("Alt", "Alto"), ("Ténor", "Tenor"), ("Basso", "Bass"), ("Baixo", "Bass")),
        *(("Sop.", "Soprano"), ("Сопрано", "Soprano"), ("Альт", "Alto"), ("Soprán", "Soprano"), ("Contralto", "Alto")),
    ],
)
def test_a_voice_is_said_by_name_or_initial(name: str, voice: str | None) -> None:
    assert voice_of_name(name) == voice


def test_voices_come_from_high_to_low_each_once() -> None:
    assert voice_names(["bass", "Soprano", "s"]) == ("Soprano", "Bass")


@pytest.mark.parametrize("names", [["cello"], [""], []])
def test_what_is_no_voice_is_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match="Give one or more of soprano, alto, tenor, bass"):
        voice_names(names)


def test_two_tracks_of_one_name_name_nobody() -> None:
    assert tracks_by_name([_track("Alto", 60), _track("a", 62), _track("Bass", 40)]) == {"Bass": 2}


def test_four_named_tracks_are_found_in_any_order_and_company() -> None:
    tracks = [_track("Organ", 48, num_parts=2), *(_track(voice, 60) for voice in reversed(VOICES))]
    choice = pick_voices(_score(*tracks))
    assert choice.indices == {"Soprano": 4, "Alto": 3, "Tenor": 2, "Bass": 1}
    assert choice.reason == "voices: Soprano track 5, Alto track 4, Tenor track 3, Bass track 2, by name"


def test_four_tracks_without_names_go_by_pitch() -> None:
    choice = pick_voices(
        _score(_track("", 40), _track("", 70), _track("", 50), _track("", 60), _track("", 35, is_drum=True))
    )
    assert choice.indices == {"Soprano": 1, "Alto": 3, "Tenor": 2, "Bass": 0}


def test_a_duet_named_after_voices_stays_a_duet() -> None:
    assert list(pick_voices(_score(_track("Bass", 40), _track("Alto", 60))).tracks) == ["Alto", "Bass"]


def test_anything_else_is_a_melody() -> None:
    choice = pick_voices(_score(_track("Bass", 40), _track("Lead", 70), _track("Piano", 60, num_parts=3)))
    assert choice.indices == {"Soprano": 1}


def test_one_given_voice_is_the_track_of_its_name() -> None:
    score = _score(*(_track(voice, 70 - 8 * rank) for rank, voice in enumerate(VOICES)))
    choice = pick_voices(score, ["bass"])
    assert choice.indices == {"Bass": 3}
    assert choice.reason == "melody: track 4 'Bass' (by its name), as Bass"


def test_the_track_asked_for_is_taken_as_the_given_voice() -> None:
    choice = pick_voices(_score(_track("Soprano", 70), _track("Flute", 80)), ["soprano"], track=2)
    assert choice.indices == {"Soprano": 1}
    assert "(as requested), as Soprano" in choice.reason


def test_a_track_asked_for_is_a_melody_whatever_the_others_are_named() -> None:
    score = _score(*(_track(voice, 70 - 8 * rank) for rank, voice in enumerate(VOICES)))
    assert pick_voices(score, track="Alto").indices == {"Soprano": 1}


def test_two_voices_without_names_go_by_pitch() -> None:
    choice = pick_voices(_score(_track("left", 40), _track("right", 70)), ["soprano", "bass"])
    assert choice.indices == {"Soprano": 1, "Bass": 0}


def test_too_few_tracks_are_refused() -> None:
    with pytest.raises(InputError, match=r"2 voices are given \(Soprano, Bass\), but the score has 1 track\."):
        pick_voices(_score(_track("", 60)), ["soprano", "bass"])


def test_a_track_and_several_voices_are_refused() -> None:
    with pytest.raises(InputError, match="Omit --track"):
        pick_voices(_score(_track("", 60), _track("", 40)), ["soprano", "bass"], track=1)


def test_a_voice_of_chords_is_refused() -> None:
    score = _score(_track("Soprano", 70), _track("Bass", 40, num_parts=2))
    with pytest.raises(
        InputError, match=r"Track 2 'Bass' plays several notes at once, so it is not one voice \(Bass\)"
    ):
        pick_voices(score, ["soprano", "bass"])


def test_a_voice_may_be_divided_for_a_while() -> None:
    tracks = [_track(voice, 72 - 6 * place) for place, voice in enumerate(VOICES)]
    for beat in range(1, 10):
        tracks[0].notes.append(NoteTick(480 * beat, 480, 72, 80))
    tracks[0].notes.extend(NoteTick(480 * beat, 480, 67, 80) for beat in range(3))
    choice = pick_voices(_score(*tracks))
    assert [note.pitch for note in choice.tracks["Soprano"].notes] == [72] * 10
    assert choice.reason.endswith("by name; 3 lower notes left out for the model in Soprano")


def test_a_melody_of_chords_is_refused_with_what_could_be_chosen() -> None:
    with pytest.raises(InputError, match=r"Choose with --track one of 2 'Flute'\."):
        pick_voices(_score(_track("Soprano", 60, num_parts=2), _track("Flute", 70)), ["soprano"])


def test_four_tracks_of_which_one_has_chords_have_a_melody() -> None:
    trio = [_track("Violin", 70), _track("Cello", 40), _track("Piano", 60, num_parts=3), _track("Piano", 36)]
    assert pick_voices(_score(*trio)).indices == {"Soprano": 0}
