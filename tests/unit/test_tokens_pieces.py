"""Pieces on the grid and their token streams."""

import numpy as np
import pytest

from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece, StreamError, parse_piece, piece_ids

METERS = ((4, 4), (3, 4), (6, 8), (3, 2), (5, 16), (1, 4))


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_reads_back_as_its_piece(vocabulary, random_piece, seed):
    piece = random_piece(np.random.default_rng(seed), meters=METERS)
    assert parse_piece(vocabulary, piece_ids(vocabulary, piece)) == piece


@pytest.mark.parametrize("seed", range(5))
def test_streams_are_those_of_miditok(vocabulary, random_piece, seed):
    piece = random_piece(np.random.default_rng(seed), meters=METERS)
    ids = piece_ids(vocabulary, piece)
    score = vocabulary.tokenizer.decode(ids)
    score.tracks.sort(key=lambda track: track.program)
    assert vocabulary.tokenizer.encode(score, encode_ids=False).ids == ids


def test_lengths_and_voices(vocabulary):
    meter = vocabulary.meter_of[vocabulary.meter_id[3, 4]]
    piece = Piece((GridBar(meter), GridBar(meter, (GridNote(96, 3, 50, 384), GridNote(192, 1, 60, 96)))))
    assert piece.bar_starts_ticks() == [0, 288, 576]
    assert piece.end_ticks() == 288 + 96 + 384
    assert piece.voices == (1, 3)
    assert piece.num_notes == 2
    assert piece.keep_voices([1]).voices == (1,)
    assert piece.keep_voices([1]).merge(piece.keep_voices([3])) == piece
    assert piece.transpose(2).transpose(-2) == piece.transpose(0) == piece
    assert Piece(()).end_ticks() == 0


@pytest.mark.parametrize(
    ("names", "index", "expected"),
    [
        (["Pitch_60"], 0, "Bar"),
        (["Bar_None"], 1, "TimeSig"),
        (["Bar_None", "Position_0"], 1, "TimeSig"),
        (["Bar_None", "TimeSig_4/4", "Program_40"], 2, "Position"),
        (["Bar_None", "TimeSig_4/4", "Position_0", "Program_40", "Program_41"], 4, "Pitch and Duration"),
        (["Bar_None", "TimeSig_4/4", "Position_0", "Program_40"], 4, "Pitch and Duration"),
        (["Bar_None", "TimeSig_4/4", "SEP_None"], 2, "Bar"),
    ],
)
def test_a_broken_stream_says_where(vocabulary, names, index, expected):
    with pytest.raises(StreamError, match=f"expected {expected}") as caught:
        parse_piece(vocabulary, [vocabulary.names.index(name) for name in names])
    assert caught.value.index == index
