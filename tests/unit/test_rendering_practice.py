"""Practice tracks, measured from their sound: loudness of the own voice, count-in, tempo, names, and single sounds."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from prompts import chorale, melody, scale
from symusic.core import TempoTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import PracticeOptions, parse_sounds
from descant_tokenizers.rendering.audio import render_stems
from descant_tokenizers.rendering.practice import count_in, practice_tracks
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import VOICES, write_midi

RATE = 48_000


def samples(data: bytes) -> Any:
    found, rate = soundfile.read(io.BytesIO(data))
    assert rate == RATE
    return found


def own_gain_db(track: Any, stems: dict[str, Any], voice: str) -> float:
    """How much louder a voice is than the others in a track, beside how it is in the sum of all stems."""
    length = min(len(track), len(stems[voice]))
    voices = np.stack([stem[:length].astype(float) for stem in stems.values()], axis=1)
    gains = np.linalg.lstsq(voices, track[:length], rcond=None)[0]
    own = list(stems).index(voice)
    return float(20 * np.log10(gains[own] / np.delete(gains, own).mean()))


@pytest.mark.parametrize("decibels", [0.0, 9.0])
def test_the_own_voice_is_louder_by_so_much(decibels: float) -> None:
    score = chorale(1)
    stems, _ = render_stems(score)
    tracks = practice_tracks(score, PracticeOptions(own_voice_db=decibels, counts_in=False))
    assert list(tracks) == list(VOICES)
    for voice, data in tracks.items():
        track = samples(data)
        assert own_gain_db(track, stems, voice) == pytest.approx(decibels, abs=0.5)
        assert 0.7 < np.abs(track).max() <= 1


def onset_seconds(track: Any) -> float:
    """When the music begins: after the last click, the first lasting sound."""
    loud = np.abs(track) > 0.02
    windows = np.array([loud[at : at + 4800].mean() for at in range(0, len(loud) - 4800, 480)])
    return float(np.argmax(windows > 0.5) * 480 / RATE)


def test_a_bar_of_clicks_comes_first() -> None:
    score = chorale(1)
    plain, counted = (
        samples(practice_tracks(score, PracticeOptions(counts_in=each))["Bass"]) for each in (False, True)
    )
    assert len(counted) - len(plain) == pytest.approx(2 * RATE, abs=2400)  # four quarters at 120 a minute
    assert onset_seconds(counted) - onset_seconds(plain) == pytest.approx(2, abs=0.05)


def test_clicks_are_on_the_beats() -> None:
    clicks = count_in(chorale(1), RATE)
    assert len(clicks) == 2 * RATE
    loud = np.flatnonzero(np.abs(clicks) > 1000)
    begins = loud[np.diff(loud, prepend=-RATE) > 4800] / RATE
    assert begins == pytest.approx([0, 0.5, 1, 1.5], abs=0.01)
    six = melody(scale(6, 240), meters=((0, 6, 8),))
    assert len(count_in(six, RATE)) == 1.5 * RATE
    loud = np.flatnonzero(np.abs(count_in(six, RATE)) > 1000)
    assert loud[np.diff(loud, prepend=-RATE) > 4800] / RATE == pytest.approx([0, 0.75], abs=0.01)


def test_a_pickup_is_counted_to() -> None:
    pickup = melody(scale(9, 480), meters=((0, 1, 4), (480, 4, 4)))
    assert len(count_in(pickup, RATE)) == 3.5 * RATE  # a bar, and three beats before the pickup


def test_the_tempo_is_a_percentage() -> None:
    score = chorale(1)
    score.tempos.append(TempoTick(0, qpm=120.0))
    slow, normal = (samples(practice_tracks(score, PracticeOptions(tempo_percent=each))["Alto"]) for each in (50, 100))
    # Four quarters of clicks and four of music, at half the tempo; the decay of the last note is as long.
    assert len(slow) - len(normal) == pytest.approx(4 * RATE, abs=4800)
    assert score.tempos[0].qpm == 120


def test_options_have_limits() -> None:
    with pytest.raises(InputError, match=r"^--own-voice-db is 30\. Give 0 to 24\."):
        PracticeOptions(own_voice_db=30)
    with pytest.raises(InputError, match=r"^--practice-tempo is 10\. Give 25 to 400\."):
        PracticeOptions(tempo_percent=10)


def test_sounds_of_single_voices() -> None:
    assert parse_sounds("organ") == "organ"
    assert parse_sounds("soprano=piano, Bass=organ") == {"soprano": "piano", "Bass": "organ"}
    for text in ("flute", "soprano=flute", "organ,soprano=piano", "=piano", "soprano="):
        with pytest.raises(InputError, match=r"^The sound is '"):
            parse_sounds(text)
    score = chorale(1)
    choir, mixed = (render_stems(score, sound=sound)[0] for sound in ("choir", {"soprano": "piano"}))
    own = render_stems(score)[0]

    def shape(stems: dict[str, Any], voice: str) -> Any:
        return stems[voice] / np.abs(stems[voice]).max()

    length = min(len(stem) for stems in (choir, mixed, own) for stem in stems.values())
    assert np.abs(shape(mixed, "Soprano")[:length] - shape(own, "Soprano")[:length]).max() > 0.2
    assert np.abs(shape(mixed, "Bass")[:length] - shape(own, "Bass")[:length]).max() < 0.02
    with pytest.raises(InputError, match=r"^There is no voice 'flute' for a sound\. The voices are Soprano, Alto"):
        render_stems(score, sound={"flute": "piano"})


def test_the_command_writes_a_file_for_each_voice(
    descant: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_midi(chorale(1), "song.mid")
    assert descant("render", "song.mid", "--formats", "practice", "--no-count-in", "--quiet") == (0, "", "")
    names = {f"song-practice-{voice.lower()}.mp3" for voice in VOICES}
    assert {path.name for path in tmp_path.glob("out/*.mp3")} == names
    refused = descant("render", "song.mid", "--formats", "practice", "--quiet", "--out", "out/song")
    assert refused.err.startswith("error: out/song-practice-alto.mp3 already exists. Add --force to replace it")
    assert descant("render", "song.mid", "--formats", "practice", "--own-voice-db", 40, "--force").err == (
        "error: --own-voice-db is 40. Give 0 to 24.\n"
    )


def test_tracks_of_one_name_have_a_file_each() -> None:
    score = chorale(1)
    for track in score.tracks[:2]:
        track.name = "Violin"
    names = Rendering(score).files(Path("x.mid"), "practice", 4)
    assert [str(name) for name in names] == [
        "x-practice-violin.mp3",
        "x-practice-violin-2.mp3",
        "x-practice-tenor.mp3",
        "x-practice-bass.mp3",
    ]
