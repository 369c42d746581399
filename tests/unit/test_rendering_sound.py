"""Sound: audible, in tune, as long as the score, the same every time, in three formats."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from symusic.core import NoteTick, ScoreTick, TempoTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import SOUNDS
from descant_tokenizers.rendering import audio as sound
from descant_tokenizers.rendering.audio import (
    FONT,
    LICENSE,
    render_samples,
    render_sound,
    render_stems,
    unpack_soundfont,
)

TPQ = 480
A4 = 69


def score_of(*tracks: tuple[str, int, Iterable[int]], is_drum: bool = False) -> ScoreTick:
    """Tracks of quarter notes at 120 beats a minute."""
    score = ScoreTick(TPQ)
    score.tempos.append(TempoTick(0, qpm=120.0))
    for name, program, pitches in tracks:
        track = TrackTick(name, program, is_drum)
        for index, pitch in enumerate(pitches):
            track.notes.append(NoteTick(index * TPQ, TPQ, pitch, 80))
        score.tracks.append(track)
    return score


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))


def strongest_hz(samples_LC: np.ndarray, rate: int) -> float:
    heard = samples_LC[rate // 5 : rate * 19 // 10].mean(axis=1)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 2**19))
    return float(spectrum.argmax()) * rate / 2**19


@pytest.mark.parametrize("name", SOUNDS)
def test_a_note_is_in_tune_and_audible(name: str) -> None:
    score = score_of(("Melody", 0, [A4]))
    score.tracks[0].notes[0].duration = 4 * TPQ
    samples_LC, rate = render_samples(score, sound=name)
    assert samples_LC.dtype == np.int16
    assert rms(samples_LC[: 2 * rate]) > 500
    harmonic = strongest_hz(samples_LC, rate) / 440
    cents = 1200 * np.log2(harmonic / round(harmonic))
    assert round(harmonic) >= 1
    assert abs(cents) < 20


def test_it_lasts_as_long_as_the_score_and_dies_away() -> None:
    samples_LC, rate = render_samples(score_of(("Melody", 0, [60, 62, 64, 65])))
    assert len(samples_LC) / rate == pytest.approx(4 * 0.5 + 1.5, abs=0.01)
    assert rms(samples_LC[-rate // 5 :]) < 0.02 * rms(samples_LC[: 2 * rate])
    assert np.abs(samples_LC.astype(int)).max() == pytest.approx(0.89 * 32767, abs=2)


def test_the_stems_of_a_score_add_up_to_it() -> None:
    score = score_of(("Soprano", 52, (72, 74)), ("Bass", 52, (48, 50)), ("Silent", 52, ()))
    stems, rate = render_stems(score)
    whole, same_rate = render_samples(score)
    assert list(stems) == ["Soprano", "Bass"]
    assert rate == same_rate
    mix = sum(samples.astype(np.float64) for samples in stems.values())
    expected = whole.astype(np.float64).mean(axis=1)
    length = min(len(mix), len(expected))
    mix, expected = mix[:length], expected[:length]
    gain = (mix @ expected) / (expected @ expected)  # the loudest moment of one channel is not that of two
    assert rms(mix - gain * expected) < 0.02 * rms(mix)
    assert 0.5 < gain < 2


def test_the_same_score_sounds_the_same() -> None:
    score = score_of(("Melody", 52, [60, 64, 67]))
    first, second = render_samples(score)[0], render_samples(score)[0]
    assert np.array_equal(first, second)
    assert not np.array_equal(first, render_samples(score, sound="organ")[0])


def test_muted_tracks_are_silent_and_the_others_as_loud_as_before() -> None:
    high, low = ("High", 0, [81] * 4), ("Low", 0, [45] * 4)
    both, muted = score_of(high, low), render_samples(score_of(high, low), muted=["High", "Low"])[0]
    assert not muted.any()
    alone, rate = render_samples(both, muted=["Low"])
    assert strongest_hz(alone, rate) > 800
    assert rms(alone) < rms(render_samples(both)[0])


@pytest.mark.parametrize(("suffix", "form"), [(".wav", "WAV"), (".flac", "FLAC"), (".mp3", "MP3")])
def test_files_hold_what_was_played(tmp_path: Path, suffix: str, form: str) -> None:
    score = score_of(("Melody", 19, [60, 64]))
    samples_LC, rate = render_samples(score)
    path = tmp_path / f"tune{suffix}"
    render_sound(score, path)
    heard, file_rate = soundfile.read(path, dtype="int16")
    assert soundfile.info(path).format == form
    assert file_rate == rate
    assert rms(heard) == pytest.approx(rms(samples_LC), rel=0.02)
    if suffix != ".mp3":
        assert np.array_equal(heard, samples_LC)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_every_program_is_heard_and_drums_are() -> None:
    many = score_of(*((f"Track {program}", program, [60]) for program in range(0, 128, 4)))  # more than MIDI's channels
    joined = sound._playable(many, None, ())
    assert len(joined.tracks) <= 9
    assert sum(len(track.notes) for track in joined.tracks) == 32
    for program in range(0, 128, 8):
        assert rms(render_samples(score_of(("Solo", program, [60])))[0]) > 100, program
    assert rms(render_samples(score_of(("Kit", 0, [36, 38, 42, 49]), is_drum=True))[0]) > 100


def test_the_font_holds_the_sounds_that_can_be_asked_for(repo_root: Path) -> None:
    header = FONT.read_bytes()
    assert header[:4] == b"RIFF"
    assert struct.unpack("<I", header[4:8])[0] + 8 == len(header)
    assert len(header) < 4_000_000
    assert "Permission is hereby granted" in LICENSE.read_text(encoding="utf-8")
    script = (repo_root / "tools/soundfont/trim.mjs").read_text(encoding="utf-8")
    found = re.search(r"PROGRAMS = \[(.*?)\].*?from: (\d+), to: (\d+)", script, re.DOTALL)
    assert found is not None
    kept = {int(number) for number in found[1].split(",")} - {int(found[2])} | {int(found[3])}
    assert kept == set(SOUNDS.values()) | set(sound._FAMILIES)


def test_only_the_requested_sounds_are_unpacked() -> None:
    one, two = unpack_soundfont(frozenset({(0, 0)})), unpack_soundfont(frozenset({(0, 0), (0, 19)}))
    assert 1_000_000 < len(one) < len(two)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sound": "kazoo"}, "The sound is 'kazoo'. Give one of choir, organ, piano, strings."),
        ({"muted": ["Alto"]}, "There is no track 'Alto' to mute. The tracks are Melody."),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        render_samples(score_of(("Melody", 0, [60])), **arguments)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_what_cannot_be_played_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no notes to play"):
        render_samples(ScoreTick(TPQ))
    endless = score_of(("Melody", 0, [60]))
    endless.tracks[0].notes[0].time = 2**26
    with pytest.raises(InputError, match="lasts 1165 minutes, and at most 30 are played"):
        render_samples(endless)
    with pytest.raises(InputError, match=r"ends in \.wav, \.flac, \.mp3"):
        render_sound(score_of(("Melody", 0, [60])), tmp_path / "tune.ogg")
    assert not list(tmp_path.iterdir())
