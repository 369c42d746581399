"""A model that writes the bass before the inner voices does all that one of the other order does."""

from __future__ import annotations

import pytest
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick
from untrained import save_untrained

from descant_modeling.api import Model, load
from descant_modeling.decoding.config import GenerationConfig, Sketch
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.vocabulary import Vocabulary

RANGES = {"Soprano": (60, 81), "Alto": (52, 74), "Tenor": (46, 69), "Bass": (36, 66)}


@pytest.fixture(scope="module")
def writer(outer_first: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Model:
    ranges = [RANGES[voice] for voice in outer_first.voices]
    return load(str(save_untrained(outer_first, ranges, tmp_path_factory.mktemp("sbat"))), "cpu")


def notes_of(score: ScoreTick, voice: str) -> list[tuple[int, int, int]]:
    return [(n.time, n.duration, n.pitch) for track in score.tracks if track.name == voice for n in track.notes]


def test_what_is_seen_while_it_is_written_bears_the_right_names(writer: Model) -> None:
    prompt = ScoreTick(480)
    prompt.time_signatures.append(TimeSignatureTick(0, 4, 4))
    prompt.tracks.append(TrackTick("Soprano", 0, False))
    prompt.tracks[0].notes.extend([NoteTick(beat * 480, 480, 70 + beat % 3, 80) for beat in range(8)])
    sketches: list[Sketch] = []
    (sample,) = writer.harmonize(prompt, GenerationConfig(on_bar=sketches.append)).samples
    seen = {(note.voice, note.onset_quarters, note.pitch) for note in sketches[-1].notes}
    assert seen == {
        (voice, onset / 480, pitch) for voice in VOICES for onset, _, pitch in notes_of(sample.score, voice)
    }


def assert_in_range(score: ScoreTick, voices: tuple[str, ...]) -> None:
    for voice in voices:
        low, high = RANGES[voice]
        assert notes_of(score, voice)
        assert all(low <= pitch <= high for _, _, pitch in notes_of(score, voice))


@pytest.mark.parametrize("voice", VOICES)
def test_any_voice_may_be_given(writer: Model, voice: str) -> None:
    low, high = RANGES[voice]
    prompt = ScoreTick(480)
    prompt.time_signatures.append(TimeSignatureTick(0, 4, 4))
    prompt.tracks.append(TrackTick(voice, 0, False))
    for beat in range(16):
        prompt.tracks[0].notes.append(NoteTick(beat * 480, 480, (low + high) // 2 + beat % 3, 80))
    result = writer.harmonize(prompt, given=[voice.lower()])
    (sample,) = result.samples
    assert tuple(track.name for track in sample.score.tracks) == VOICES
    assert notes_of(sample.score, voice) == notes_of(prompt, voice)
    assert_in_range(sample.score, result.written)
    assert result.written == tuple(other for other in VOICES if other != voice)


def test_a_voice_of_four_is_written_anew(writer: Model) -> None:
    prompt = ScoreTick(480)
    prompt.time_signatures.append(TimeSignatureTick(0, 4, 4))
    for voice in VOICES:
        track = TrackTick(voice, 0, False)
        low, high = RANGES[voice]
        track.notes.extend([NoteTick(beat * 480, 480, (low + high) // 2, 80) for beat in range(16)])
        prompt.tracks.append(track)
    (sample,) = writer.infill(prompt, bars=(2, 3), given=["soprano", "alto", "tenor"]).samples
    for voice in VOICES[:3]:
        assert notes_of(sample.score, voice) == notes_of(prompt, voice)
    outside = [note for note in notes_of(prompt, "Bass") if not 1920 <= note[0] < 5760]
    assert [note for note in notes_of(sample.score, "Bass") if not 1920 <= note[0] < 5760] == outside
    assert_in_range(sample.score, VOICES)
