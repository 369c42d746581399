"""Datasets are tokenized in shards: in any number of processes, and from where an interrupted call stopped."""

import pytest
from datasets import Dataset, DatasetDict

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.corpora.cache import cache_dir
from descant_tokenizers.tokens import dataset as module
from descant_tokenizers.tokens.dataset import StoredPieces, sample_rows, tokenize_dataset
from descant_tokenizers.tokens.encode import decode_piece
from descant_tokenizers.tokens.tasks import TaskLayout
from descant_tokenizers.tokens.train_bpe import train_tokenizer


@pytest.fixture
def corpus(vocabulary, tiny_pieces, tmp_path, monkeypatch):
    """A dataset of 12 pieces, of which the vocabulary cannot hold the sixth, to be tokenized five rows at a time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "SHARD_ROWS", 5)
    rows = []
    for number, piece in enumerate(tiny_pieces):
        score = decode_piece(vocabulary, piece)
        if number == 5:
            score.tracks[0].name = "Kazoo"
        rows.append({"id": str(number), "music": score.dumps_midi(), "num_notes": piece.num_notes, "fermatas": []})
    Dataset.from_list(rows).save_to_disk(tmp_path / "train")
    return DatasetDict({"train": Dataset.load_from_disk(tmp_path / "train")})


def files():
    """The names of all files in the cache of tokens."""
    return sorted(path.name for path in cache_dir().glob("tokens/*/**/*") if path.is_file())


def rows_of(outcome):
    tokenized, refused = outcome
    return tokenized["train"].to_list(), refused


def test_rows_that_the_vocabulary_cannot_hold_are_left_out(corpus, vocabulary, tiny_pieces):
    tokenized, refused = tokenize_dataset(corpus, vocabulary.tokenizer)
    assert list(refused) == ["5"]
    assert "Kazoo" in refused["5"]
    assert tokenized["train"]["id"][:] == [str(number) for number in range(12) if number != 5]
    pieces = StoredPieces([tokenized["train"]], TaskLayout(vocabulary))
    assert list(pieces) == [piece for number, piece in enumerate(tiny_pieces) if number != 5]
    assert pieces.pitch_table().num_notes_N.tolist() == [piece.num_notes for piece in pieces]


def test_worker_processes_make_the_same_rows(corpus, vocabulary, tmp_path, monkeypatch):
    expected = rows_of(tokenize_dataset(corpus, vocabulary.tokenizer))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other-cache"))
    assert rows_of(tokenize_dataset(corpus, vocabulary.tokenizer, num_proc=2)) == expected
    assert [name.partition(".")[2] for name in files()] == ["arrow"]


def test_an_interrupted_call_continues_where_it_stopped(corpus, vocabulary, tmp_path, monkeypatch):
    expected = rows_of(tokenize_dataset(corpus, vocabulary.tokenizer))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other-cache"))
    tokenize_row, seen = module._tokenize_row, []

    def interrupted(row, layout):
        seen.append(row["id"])
        if len(seen) == 8:
            raise KeyboardInterrupt
        return tokenize_row(row, layout)

    monkeypatch.setattr(module, "_tokenize_row", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tokenize_dataset(corpus, vocabulary.tokenizer)
    assert files() == ["000000000.arrow"]
    assert rows_of(tokenize_dataset(corpus, vocabulary.tokenizer)) == expected
    assert seen[8:] == [str(number) for number in range(5, 12)], "the first shard was there"
    assert [name.partition(".")[2] for name in files()] == ["arrow"]
    assert rows_of(tokenize_dataset(corpus, vocabulary.tokenizer)) == expected
    assert len(seen) == 8 + 7


def test_a_full_disk_leaves_no_partial_file(corpus, vocabulary, monkeypatch):
    def full(row, layout):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_tokenize_row", full)
    with pytest.raises(InputError, match=r"Cannot write to the cache .* \(No space left on device\)\. Free some space"):
        tokenize_dataset(corpus, vocabulary.tokenizer)
    assert files() == []


@pytest.mark.parametrize("max_notes", [5_000_000, 1000])
def test_merges_trained_on_stored_pieces_are_those_of_the_pieces(corpus, vocabulary, monkeypatch, max_notes):
    monkeypatch.setattr("descant_tokenizers.tokens.train_bpe.MAX_NOTES", max_notes)
    stored = StoredPieces([tokenize_dataset(corpus, vocabulary.tokenizer)[0]["train"]], TaskLayout(vocabulary))
    one, other = (
        train_tokenizer(vocabulary.tokenizer, pieces, vocabulary.size + 30) for pieces in (stored, list(stored))
    )
    assert one.vocab_model == other.vocab_model
    assert len(one) == vocabulary.size + 30


def test_a_sample_of_rows_is_always_the_same():
    assert sample_rows(7, 10) == sample_rows(7, None) == list(range(7))
    sample = sample_rows(1000, 10)
    assert sample == sample_rows(1000, 10) == sorted(set(sample))
    assert len(sample) == 10
    assert sample != sample_rows(1001, 10)
