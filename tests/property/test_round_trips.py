"""What is encoded decodes to itself: tasks, pieces, scores."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.piece import GridBar, Piece, parse_piece, piece_ids
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout, cut

METERS = ((4, 4), (3, 4), (2, 2), (6, 8), (12, 8), (3, 2), (5, 16), (1, 4), (1, 8))
VOICES = st.sets(st.integers(0, 3), min_size=1).map(lambda voices: tuple(sorted(voices)))


@given(
    seed=st.integers(0, 2**32),
    num_bars=st.integers(1, 9),
    has=VOICES,
    writes=VOICES,
    config=st.builds(LayoutConfig, st.one_of(st.none(), st.integers(0, 4)), st.booleans()),
    task=st.sampled_from([Task.HARMONIZE, Task.INFILL]),
    data=st.data(),
)
def test_tasks_decode_to_what_was_encoded(vocabulary, random_piece, seed, num_bars, has, writes, config, task, data):
    piece = random_piece(np.random.default_rng(seed), num_bars=num_bars, voices=has, meters=METERS)
    layout = TaskLayout(vocabulary, config)
    bars = None
    if task is Task.INFILL:
        bars = sorted(data.draw(st.sets(st.integers(0, num_bars - 1), min_size=1)))
    encoded = layout.encode(piece, task, writes, bars)
    decoded = layout.decode(encoded.ids)
    assert (decoded.task, decoded.voices, decoded.piece) == (task, writes, piece)
    assert list(decoded.bars) == (list(range(num_bars)) if bars is None else bars)
    assert decoded.context == cut(piece, writes, decoded.bars)
    assert len(encoded.loss_mask) == len(encoded.ids)
    # Every note of the span is predicted, and no other; so is the token that ends each bar of it.
    predicted = [i for i, written in zip(encoded.ids, encoded.loss_mask, strict=True) if written]
    assert sum(i in vocabulary.pitch_of for i in predicted) == piece.num_notes - decoded.context.num_notes
    assert sum(vocabulary.types[i] in ("Bar", "SEP", "EOS") for i in predicted) == len(decoded.bars)


@given(seed=st.integers(0, 2**32), num_bars=st.integers(1, 9), has=VOICES, keeps=VOICES)
def test_continuations_decode_to_the_voices_kept(vocabulary, random_piece, seed, num_bars, has, keeps):
    piece = random_piece(np.random.default_rng(seed), num_bars=num_bars, voices=has, meters=METERS)
    layout = TaskLayout(vocabulary)
    decoded = layout.decode(layout.encode(piece, Task.CONTINUE, keeps).ids)
    assert (decoded.task, decoded.voices, decoded.piece) == (Task.CONTINUE, keeps, piece.keep_voices(keeps))


@given(seed=st.integers(0, 2**32), num_bars=st.integers(1, 9), has=VOICES)
def test_pieces_come_back_from_scores(vocabulary, random_piece, seed, num_bars, has):
    piece = random_piece(np.random.default_rng(seed), num_bars=num_bars, voices=has, meters=METERS)
    assert parse_piece(vocabulary, piece_ids(vocabulary, piece)) == piece
    if piece.num_notes == 0:
        return
    encoded = encode_score(vocabulary, decode_piece(vocabulary, piece))
    assert encoded.changes == ()
    assert without_silence_at_the_end(encoded.piece) == without_silence_at_the_end(piece)


def without_silence_at_the_end(piece):
    """Scores have no bars after their last note."""
    bars = list(piece.bars)
    while bars and not bars[-1].notes:
        bars.pop()
    return Piece(tuple(GridBar(bar.meter, bar.notes) for bar in bars))
