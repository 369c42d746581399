"""The presets of songs and string quartets: parts as programs, without velocities and tempos."""

from __future__ import annotations

import numpy as np
import pytest
from small_ensembles import song
from symusic.core import NoteTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.ensembles import ENSEMBLES, QUARTET, SONG, ensemble_of
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.kinds import kind_of, make_grammar, parts_of
from descant_tokenizers.tokens.piece import piece_ids
from descant_tokenizers.tokens.presets import build_tokenizer, load_tokenizer
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def songs() -> Vocabulary:
    return Vocabulary(build_tokenizer("song"))


@pytest.mark.parametrize("key", ENSEMBLES)
def test_each_ensemble_has_a_preset_whose_voices_are_its_parts(key, tmp_path):
    tokenizer = build_tokenizer(key)
    tokenizer.save(tmp_path / "tokenizer.json")
    for vocabulary in (Vocabulary(tokenizer), Vocabulary(load_tokenizer(tmp_path))):
        ensemble = ENSEMBLES[key]
        assert vocabulary.ensemble is ensemble
        assert vocabulary.programs == ensemble.labels
        assert [vocabulary.voice_name(rank) for rank in range(vocabulary.num_voices)] == list(ensemble.names)
        assert parts_of(vocabulary) == key
        assert not vocabulary.velocity_id
        assert not vocabulary.tempo_id
        assert sorted(ensemble.tracks) == sorted(ensemble.names)


def test_no_other_vocabulary_is_taken_for_an_ensemble(vocabulary, outer_first, gm_vocabulary):
    for other in (vocabulary, outer_first, gm_vocabulary):
        assert other.ensemble is None
    assert ensemble_of([0, 1]) is None


def test_a_song_goes_to_tokens_and_back_with_its_names_and_sounds(songs):
    score = song()
    encoded = encode_score(songs, score)
    assert encoded.changes == ()  # velocities and tempos have no tokens, and so are not rounded
    decoded = decode_piece(songs, encoded.piece)
    assert [(track.name, track.program) for track in decoded.tracks] == [
        ("Voice", 52),
        ("Right hand", 0),
        ("Left hand", 0),
    ]
    for before, after in zip(score.tracks, decoded.resample(480).tracks, strict=True):
        assert {(n.time, n.duration, n.pitch) for n in before.notes} == {
            (n.time, n.duration, n.pitch) for n in after.notes
        }


def test_the_stream_is_that_of_miditok(songs):
    score = song()
    for track in score.tracks:
        track.program = SONG.part(track.name).label
    assert piece_ids(songs, encode_score(songs, score).piece) == songs.tokenizer.encode(score).ids


def test_the_grammar_accepts_a_song_and_no_velocity_is_needed(songs):
    piece = encode_score(songs, song()).piece
    grammar, ids = make_grammar(songs), piece_ids(songs, piece)
    assert grammar.accepts([*ids, grammar.eos])
    assert not grammar.accepts(ids)
    state = grammar.start()
    for token_id in ids[: 1 + next(place for place, own in enumerate(ids) if own in songs.pitch_of)]:
        state = grammar.advance(state, token_id)
    assert {songs.types[i] for i in np.flatnonzero(grammar.mask(state))} == {"Duration"}


@pytest.mark.parametrize("lookahead", [0, 2, None])
def test_given_notes_of_chords_can_be_repeated_at_their_onsets(songs, lookahead):
    piece = encode_score(songs, song()).piece
    layout = TaskLayout(songs, LayoutConfig(lookahead, given_at_onsets=True))
    for voices in ((1, 2), (0,), (2,)):
        encoded = layout.encode(piece, Task.HARMONIZE, voices)
        assert layout.decode(encoded.ids).piece == piece
        inner = layout.encode(piece, Task.INFILL, voices, [1, 2])
        assert layout.decode(inner.ids).piece == piece
        predicted = {
            songs.voice_of[token_id]
            for token_id, is_target in zip(encoded.ids, encoded.loss_mask, strict=True)
            if is_target and token_id in songs.voice_of
        }
        assert predicted >= set(voices)
    # the voice comes first at an onset, so it is never a decision
    assert predicted_voices(layout, piece, (1, 2)) == {1, 2}


def predicted_voices(layout: TaskLayout, piece, voices) -> set[int]:
    encoded = layout.encode(piece, Task.HARMONIZE, voices)
    pairs = zip(encoded.ids, encoded.loss_mask, strict=True)
    return {layout.vocabulary.voice_of[i] for i, is_target in pairs if is_target and i in layout.vocabulary.voice_of}


def test_the_melody_is_the_leading_part_even_below_others(songs):
    score = song()
    score.tracks[1].notes.append(NoteTick(0, 480, 100, 64))
    piece = encode_score(songs, score).piece
    assert kind_of(songs).melody_voice(songs, piece) == songs.ensemble.names.index("Voice") == 0


def test_other_tracks_and_pitches_are_refused(songs):
    score = song(names=("Voice", "Right hand", "Organ"))
    with pytest.raises(InputError, match=r"Track 'Organ' is no part of the model\. Name it one of Voice, Right hand"):
        encode_score(songs, score)
    score = song()
    score.tracks[2].notes.append(NoteTick(480, 480, 12, 64))
    with pytest.raises(InputError, match=r"no MIDI pitch 12, only 21 to 108\. Transpose"):
        encode_score(songs, score)


def test_a_quartet_has_styles_and_a_song_has_none(songs):
    quartets = Vocabulary(build_tokenizer("quartet"))
    assert {"mozart", "haydn", "beethoven"} <= set(quartets.style_id)
    assert songs.style_id == {}
    assert QUARTET.lead.name == "Violin I"
