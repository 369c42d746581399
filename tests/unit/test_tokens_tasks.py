"""How the three tasks are laid out, bar by bar."""

import pytest

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece, StreamError, piece_ids
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout


@pytest.fixture(scope="module")
def piece(vocabulary):
    """Three bars of 1/4, one note in each of Soprano and Bass; pitches tell bar and voice: 60 + 10 * voice + bar."""
    meter = vocabulary.meter_of[vocabulary.meter_id[1, 4]]
    bars = [tuple(GridNote(0, voice, 30 + 10 * voice + bar, 96) for voice in (0, 3)) for bar in range(3)]
    return Piece(tuple(GridBar(meter, notes) for notes in bars))


def shorthand(vocabulary, ids):
    """One letter a token, and pitches as numbers: `| t 30 60` is a bar with two notes."""
    letters = {
        "Bar": "|",
        "SEP": "/",
        "MASK": "?",
        "BOS": "<",
        "EOS": ">",
        "CONTINUE": "C",
        "HARMONIZE": "H",
        "INFILL": "I",
    }
    voices = {vocabulary.voice_id[rank]: letter for rank, letter in enumerate("SATB")}
    words = []
    for i in ids:
        if i in voices:
            words.append(voices[i])
        elif vocabulary.types[i] == "Pitch":
            words[-1] += vocabulary.values[i]
        elif vocabulary.types[i] in letters:
            words.append(letters[vocabulary.types[i]])
    return " ".join(words)


LAID_OUT = [
    (Task.HARMONIZE, None, None, "< H B | S30 | S31 | S32 / B60 / B61 / B62 >"),
    (Task.HARMONIZE, None, 0, "< H B | S30 / B60 | S31 / B61 | S32 / B62 >"),
    (Task.HARMONIZE, None, 2, "< H B | S30 | S31 | S32 / B60 / B61 / B62 >"),
    (Task.HARMONIZE, None, 1, "< H B | S30 | S31 / B60 | S32 / B61 / B62 >"),
    (Task.INFILL, [1], None, "< I B | S30 B60 | ? S31 | S32 B62 / B61 >"),
    (Task.INFILL, [1], 0, "< I B | S30 B60 | ? S31 / B61 | S32 B62 >"),
    (Task.INFILL, [1], 2, "< I B | S30 B60 | ? S31 | S32 B62 / B61 >"),
    (Task.INFILL, [0, 1], 0, "< I B | ? S30 / B60 | ? S31 / B61 | S32 B62 >"),
    (Task.CONTINUE, None, 2, "< C S B | S30 B60 | S31 B61 | S32 B62 >"),
]


@pytest.mark.parametrize(("task", "bars", "lookahead", "expected"), LAID_OUT)
def test_the_order_of_given_and_written(vocabulary, piece, task, bars, lookahead, expected):
    layout = TaskLayout(vocabulary, LayoutConfig(lookahead))
    encoded = layout.encode(piece, task, (0, 3) if task is Task.CONTINUE else (3,), bars)
    assert shorthand(vocabulary, encoded.ids) == expected
    decoded = layout.decode(encoded.ids)
    assert (decoded.task, decoded.piece) == (task, piece)
    assert len(encoded.ids) == len(encoded.loss_mask)


def test_what_is_written_is_predicted_and_so_is_the_end_of_each_bar(vocabulary, piece):
    layout = TaskLayout(vocabulary, LayoutConfig(0))
    encoded = layout.encode(piece, Task.HARMONIZE, (3,))
    predicted = [i for i, written in zip(encoded.ids, encoded.loss_mask, strict=True) if written]
    # Position, then the bass; what ends a bar is the next bar line, and EOS at last.
    assert shorthand(vocabulary, predicted) == "B60 | B61 | B62 >"
    assert [vocabulary.types[i] for i in predicted[:5]] == ["Position", "Program", "Pitch", "Duration", "Bar"]


AT_ONSETS = [
    (Task.HARMONIZE, None, 0, "< H B | S30 / S30 B60 | S31 / S31 B61 | S32 / S32 B62 >"),
    (Task.HARMONIZE, None, 1, "< H B | S30 | S31 / S30 B60 | S32 / S31 B61 / S32 B62 >"),
    (Task.INFILL, [1], 0, "< I B | S30 B60 | ? S31 / S31 B61 | S32 B62 >"),
    (Task.CONTINUE, None, 1, "< C B | B60 | B61 | B62 >"),
]


@pytest.mark.parametrize(("task", "bars", "lookahead", "expected"), AT_ONSETS)
def test_given_notes_are_repeated_at_their_onsets(vocabulary, piece, task, bars, lookahead, expected):
    layout = TaskLayout(vocabulary, LayoutConfig(lookahead, given_at_onsets=True))
    encoded = layout.encode(piece, task, (3,), bars)
    assert shorthand(vocabulary, encoded.ids) == expected
    decoded = layout.decode(encoded.ids)
    assert (decoded.task, decoded.piece) == (task, piece.keep_voices([3]) if task is Task.CONTINUE else piece)
    predicted = [i for i, written in zip(encoded.ids, encoded.loss_mask, strict=True) if written]
    assert "S" not in shorthand(vocabulary, predicted)


def test_a_repeated_note_s_voice_is_predicted_where_another_could_come_first(vocabulary, piece):
    layout = TaskLayout(vocabulary, LayoutConfig(0, given_at_onsets=True))
    encoded = layout.encode(piece, Task.HARMONIZE, (0,))
    predicted = [i for i, written in zip(encoded.ids, encoded.loss_mask, strict=True) if written]
    types = [vocabulary.types[i] for i in predicted[:6]]
    assert types == ["Position", "Program", "Pitch", "Duration", "Program", "Bar"]


def test_a_block_that_repeats_other_notes_than_the_given_ones_is_refused(vocabulary, piece):
    layout = TaskLayout(vocabulary, LayoutConfig(0, given_at_onsets=True))
    ids = layout.encode(piece, Task.HARMONIZE, (3,)).ids
    place = ids.index(layout.sep)
    wrong = next(i for i in range(place, len(ids)) if ids[i] in vocabulary.pitch_of)
    ids[wrong] = ids[wrong] + 1
    with pytest.raises(StreamError, match="a bar that repeats the given notes"):
        layout.decode(ids)


def test_learned_tokens_and_instruments_cannot_stand_at_onsets(merged_vocabulary, gm_vocabulary):
    for vocabulary in (merged_vocabulary, gm_vocabulary):
        with pytest.raises(InputError, match="given_at_onsets is only for tokens without velocities and merges"):
            TaskLayout(vocabulary, LayoutConfig(given_at_onsets=True))


def test_the_header_is_given_and_the_rest_of_a_continuation_is_predicted(vocabulary, piece):
    encoded = TaskLayout(vocabulary).encode(piece, Task.CONTINUE, (0, 3))
    assert encoded.loss_mask == [False] * 4 + [True] * (len(encoded.ids) - 4)
    assert encoded.ids[4:-1] == piece_ids(vocabulary, piece)


def test_voices_outside_a_continuation_are_left_out(vocabulary, piece):
    layout = TaskLayout(vocabulary)
    assert layout.decode(layout.encode(piece, Task.CONTINUE, (3,)).ids).piece == piece.keep_voices([3])


@pytest.mark.parametrize("voices", [(), (4,), (-1,)])
def test_voices_must_be_some_and_known(vocabulary, piece, voices):
    with pytest.raises(ValueError, match="The voices to generate are"):
        TaskLayout(vocabulary).encode(piece, Task.HARMONIZE, voices)


@pytest.mark.parametrize("bars", [[], [3], [-1]])
def test_bars_must_be_some_of_the_piece(vocabulary, piece, bars):
    with pytest.raises(ValueError, match="The bars to generate are"):
        TaskLayout(vocabulary).encode(piece, Task.INFILL, (0,), bars)


def test_a_negative_lookahead_is_refused():
    with pytest.raises(ValueError, match="lookahead_bars is -1"):
        LayoutConfig(-1)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "BOS"),
        (["Bar_None"], "BOS"),
        (["BOS_None", "Bar_None"], "a task"),
        (["BOS_None", "HARMONIZE_None", "Program_43", "Pitch_60"], "Bar"),
        (["BOS_None", "HARMONIZE_None", "Program_43", "SEP_None"], "a bar to generate"),
        (["BOS_None", "INFILL_None", "Program_43", "Bar_None", "TimeSig_4/4", "SEP_None"], "a bar to generate"),
    ],
)
def test_a_stream_that_breaks_the_layout_is_refused(vocabulary, names, expected):
    with pytest.raises(StreamError, match=f"expected {expected}"):
        TaskLayout(vocabulary).decode([vocabulary.names.index(name) for name in names])
