"""Learned tokens: which ids they get, where they end, what is saved of them, and what is refused."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from miditok import REMI, TokSequence

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.common.files import TOKENIZER_FILE
from descant_tokenizers.tokens.bpe import SubwordMerges
from descant_tokenizers.tokens.encode import decode_piece
from descant_tokenizers.tokens.piece import bar_ids, note_ids, piece_ids
from descant_tokenizers.tokens.presets import build_tokenizer, load_tokenizer, open_tokenizer
from descant_tokenizers.tokens.train_bpe import train_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary


def test_base_tokens_have_one_id_in_both_vocabularies(vocabulary, merged_vocabulary):
    tokenizer = merged_vocabulary.tokenizer
    assert merged_vocabulary.names == vocabulary.names
    assert merged_vocabulary.size == len(tokenizer) == len(tokenizer.vocab_model) == vocabulary.size + 200
    for name, base_id in tokenizer.vocab.items():
        assert tokenizer.vocab_model[tokenizer._vocab_base_id_to_byte[base_id]] == base_id, name


def test_learned_tokens_stand_for_what_miditok_says(merged_vocabulary):
    for token_id in range(merged_vocabulary.size):
        sequence = TokSequence(ids=[token_id], are_ids_encoded=True)
        merged_vocabulary.tokenizer.decode_token_ids(sequence)
        assert tuple(sequence.ids) == merged_vocabulary.base_ids(token_id)


def test_learned_tokens_stay_inside_an_onset(merged_vocabulary):
    kinds = [[merged_vocabulary.types[i] for i in merged_vocabulary.base_ids(t)] for t in range(merged_vocabulary.size)]
    learned = kinds[merged_vocabulary.num_base_ids :]
    assert {kind for run in learned for kind in run} <= {"Position", "Program", "Pitch", "Duration"}
    assert not any("Position" in run[1:] for run in learned)
    assert len({merged_vocabulary.base_ids(t) for t in range(merged_vocabulary.size)}) == merged_vocabulary.size


def test_miditok_alone_gives_the_same_ids_and_the_same_notes(merged_vocabulary, tiny_pieces):
    tokenizer = merged_vocabulary.tokenizer
    for piece in tiny_pieces:
        merged = merged_vocabulary.merge(piece_ids(merged_vocabulary, piece))
        sequence = TokSequence(ids=piece_ids(merged_vocabulary, piece))
        tokenizer.encode_token_ids(sequence)
        assert sequence.ids == merged
        assert len(merged) < 0.7 * len(piece_ids(merged_vocabulary, piece))
        assert notes_of(tokenizer.decode(merged)) == notes_of(decode_piece(merged_vocabulary, piece))


def notes_of(score):
    return {track.program: sorted((n.time, n.pitch, n.duration) for n in track.notes) for track in score.tracks}


def test_a_stream_is_segmented_onset_by_onset(merged_vocabulary, tiny_pieces):
    for piece in tiny_pieces:
        whole = merged_vocabulary.merge(piece_ids(merged_vocabulary, piece))
        parts = []
        for bar in piece.bars:
            parts += bar_ids(merged_vocabulary, bar)
            ids = note_ids(merged_vocabulary, bar)
            starts = [i for i, token in enumerate(ids) if merged_vocabulary.types[token] == "Position"]
            for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True):
                parts += merged_vocabulary.merge(ids[start:stop])
        assert whole == parts


def test_saving_and_loading_keeps_every_id(merged_vocabulary, tiny_pieces, tmp_path):
    streams = [piece_ids(merged_vocabulary, piece) for piece in tiny_pieces]
    merged = [merged_vocabulary.merge(ids) for ids in streams]
    tokenizer = merged_vocabulary.tokenizer
    for turn in range(3):  # nothing drifts from one turn to the next
        folder = tmp_path / str(turn)
        folder.mkdir()
        tokenizer.save(folder / TOKENIZER_FILE)
        tokenizer = open_tokenizer(str(folder))
        again = Vocabulary(tokenizer)
        assert again.sha256() == merged_vocabulary.sha256()
        assert [again.merge(ids) for ids in streams] == merged
    assert REMI.from_pretrained(tmp_path / "0").vocab_model == merged_vocabulary.tokenizer.vocab_model


def test_bpe_training_gives_the_same_tokens_again(vocabulary, tiny_pieces):
    one, two = (Vocabulary(train_tokenizer(vocabulary.tokenizer, tiny_pieces, vocabulary.size + 50)) for _ in range(2))
    assert one.sha256() == two.sha256()


def test_the_hash_tells_vocabularies_and_segmentations_apart(vocabulary, tiny_pieces):
    trained = [vocabulary.tokenizer] + [
        train_tokenizer(vocabulary.tokenizer, tiny_pieces, vocabulary.size + n) for n in (20, 21)
    ]
    swapped = json.loads(trained[1]._model.to_str())
    merges = swapped["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]
    trained.append(with_model(trained[1], swapped))
    assert len({Vocabulary(tokenizer).sha256() for tokenizer in trained}) == len(trained)


def test_the_hash_does_not_depend_on_how_a_release_writes_merges(vocabulary, tiny_pieces):
    tokenizer = train_tokenizer(vocabulary.tokenizer, tiny_pieces, vocabulary.size + 20)
    older = json.loads(tokenizer._model.to_str())
    older["model"]["merges"] = [" ".join(pair) for pair in older["model"]["merges"]]
    tokens = SubwordMerges(tokenizer)
    wanted = tokens.sha256()
    tokens._model = Written(older)
    assert tokens.sha256() == wanted


class Written:
    """A model that only says how it is written."""

    def __init__(self, params):
        self.params = params

    def to_str(self):
        return json.dumps(self.params)


def with_model(tokenizer, params):
    """The same tokenizer with another model, as miditok loads it."""
    values = {**tokenizer.to_dict(), "_model": json.dumps(params)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, TOKENIZER_FILE)
        path.write_text(json.dumps(values))
        return REMI(params=path)


@pytest.mark.parametrize(
    ("model", "split", "reason"),
    [
        ("BPE", "no", "its merged tokens reach across onsets or bars"),
        ("BPE", "bar", "its merged tokens do not follow its base tokens"),
        ("Unigram", "no", "its base tokens have other ids in its trained vocabulary"),
    ],
)
def test_a_tokenizer_that_miditok_trained_is_refused(vocabulary, random_piece, tmp_path, model, split, reason):
    rng = np.random.default_rng(1)
    paths = [tmp_path / f"{index}.mid" for index in range(8)]
    for path in paths:
        decode_piece(vocabulary, random_piece(rng)).dump_midi(path)
    tokenizer = build_tokenizer()
    tokenizer.config.encode_ids_split = split
    tokenizer.train(vocab_size=vocabulary.size + 60, model=model, files_paths=paths)
    tokenizer.config.encode_ids_split = build_tokenizer().config.encode_ids_split
    tokenizer.save(tmp_path / TOKENIZER_FILE)
    with pytest.raises(InputError, match=rf"is not a REMI tokenizer of Descant \({reason}\)"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("size", [0, 524, 100_000])
def test_a_vocabulary_that_cannot_be_is_refused(vocabulary, tiny_pieces, size):
    with pytest.raises(InputError, match=rf"The vocabulary size is {size}\. Give more than the 524 tokens"):
        train_tokenizer(vocabulary.tokenizer, tiny_pieces, size)


def test_music_without_notes_is_refused(vocabulary, random_piece):
    silence = random_piece(np.random.default_rng(0), voices=())
    with pytest.raises(InputError, match="There are no notes to train on"):
        train_tokenizer(vocabulary.tokenizer, [silence], 600)


def test_a_small_corpus_holds_fewer_tokens_than_asked_for(vocabulary, random_piece):
    tokenizer = train_tokenizer(vocabulary.tokenizer, [random_piece(np.random.default_rng(0), num_bars=2)], 60_000)
    assert vocabulary.size < len(tokenizer) < 5_000
