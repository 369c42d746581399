"""Training examples: tasks, transpositions, buckets."""

from collections import Counter

import numpy as np
import pytest
import torch

from descant_modeling.models.likelihood import bucket, collate
from descant_modeling.training.config import TaskShares
from descant_modeling.training.examples import ExampleSource
from descant_tokenizers.tokens.piece import GridBar, GridNote, Piece, join_ranges, pitch_ranges, shifts_within
from descant_tokenizers.tokens.tasks import Encoded, Task, TaskLayout


@pytest.fixture
def make_source(vocabulary, tiny_pieces):
    def make(max_tokens=3000, shares=None, **values):
        values = {"seed": 3, "transpose": True, **values}
        return ExampleSource(
            tiny_pieces, TaskLayout(vocabulary), shares or TaskShares(), max_tokens=max_tokens, **values
        )

    return make


def melody(vocabulary, *pitches, voice=0):
    meter = vocabulary.meter_of[vocabulary.meter_id[4, 4]]
    return Piece((GridBar(meter, tuple(GridNote(96 * i, voice, pitch, 96) for i, pitch in enumerate(pitches))),))


def test_transpositions_keep_every_voice_in_its_range(tiny_pieces):
    ranges = join_ranges(map(pitch_ranges, tiny_pieces), 4)
    for piece in tiny_pieces:
        shifts = list(shifts_within(pitch_ranges(piece), ranges))
        assert 0 in shifts
        assert shifts == list(range(shifts[0], shifts[-1] + 1))
        for shift in shifts:
            moved = join_ranges([pitch_ranges(piece.transpose(shift))], 4)
            for (low, high), (lowest, highest) in zip(moved, ranges, strict=True):
                assert lowest <= low <= high <= highest


def test_transpositions_go_no_further_than_half_an_octave_nor_than_the_narrowest_voice(vocabulary):
    own = pitch_ranges(melody(vocabulary, 60, 62))
    assert list(shifts_within(own, [(40, 90)] * 4)) == list(range(-6, 7))
    assert list(shifts_within(own, [(58, 63), *[(127, 0)] * 3])) == [-2, -1, 0, 1]
    assert list(shifts_within(own, [(61, 61)] * 4)) == [0]  # a piece outside the ranges stays where it is


def test_an_example_depends_on_seed_epoch_and_piece_alone(make_source):
    source, again, other = make_source(), make_source(), make_source(seed=4)
    examples = [source.example(i, epoch) for epoch in (0, 1) for i in range(12)]
    assert examples == [again.example(i, epoch) for epoch in (1, 0) for i in reversed(range(12))][::-1]
    assert examples[:12] != examples[12:]
    assert examples != [other.example(i, epoch) for epoch in (0, 1) for i in range(12)]


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("continue_", Task.CONTINUE),
        ("continue_some", Task.CONTINUE),
        ("harmonize", Task.HARMONIZE),
        ("harmonize_some", Task.HARMONIZE),
        ("infill", Task.INFILL),
    ],
)
def test_each_share_draws_its_task(make_source, tiny_pieces, name, task):
    shares = TaskShares(**{**dict.fromkeys(TaskShares.__dataclass_fields__, 0.0), name: 1.0})
    source = make_source(shares=shares, transpose=False)
    for index, piece in enumerate(tiny_pieces):
        decoded = source.layout.decode(source.example(index, 0).ids)
        assert decoded.task is task
        if name == "continue_some":
            assert 1 <= len(decoded.voices) < 4
            assert decoded.piece == piece.keep_voices(decoded.voices)
        else:
            assert decoded.piece == piece
        if name == "harmonize":
            assert decoded.voices == (1, 2, 3)


def test_shares_are_kept_over_many_draws(make_source):
    source = make_source(shares=TaskShares(2, 0, 1, 0, 1))
    drawn = Counter(source.layout.decode(source.example(i, epoch).ids).task for i in range(12) for epoch in range(30))
    assert drawn[Task.CONTINUE] / 360 == pytest.approx(0.5, abs=0.08)
    assert drawn[Task.HARMONIZE] / 360 == pytest.approx(0.25, abs=0.08)


def test_a_melody_is_always_continued(vocabulary):
    source = ExampleSource(
        [melody(vocabulary, 60)],
        TaskLayout(vocabulary),
        TaskShares(0, 0, 1, 0, 0),
        seed=1,
        transpose=False,
        max_tokens=99,
    )
    assert source.layout.decode(source.example(0, 0).ids).task is Task.CONTINUE


def test_long_streams_are_cut_at_bar_lines(make_source):
    source = make_source(max_tokens=120)
    for index in range(12):
        encoded = source.example(index, 0)
        assert len(encoded.ids) <= 120 or len(source.layout.decode(encoded.ids).piece.bars) == 1
        assert encoded.ids[-1] == source.layout.eos


def test_padding_is_under_5_percent_on_lengths_like_the_corpus():
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(750), 0.4, 229), 200, 2800).astype(int)  # mean about 800, as chorales have
    groups = bucket(lengths.tolist(), 3500)
    assert sorted(i for group in groups for i in group) == list(range(229))
    padded = sum(len(group) * max(lengths[group]) for group in groups)
    assert 1 - lengths.sum() / padded < 0.05
    assert all(len(group) == 1 or len(group) * max(lengths[group]) <= 3500 for group in groups)


def test_an_epoch_holds_every_piece_once_in_batches_that_fit(make_source):
    source = make_source()
    batches = list(source.batches(0, 700))
    assert sum(len(batch.ids_BT) for batch in batches) == 12
    assert all(batch.ids_BT.numel() <= 700 or len(batch.ids_BT) == 1 for batch in batches)
    again = list(source.batches(0, 700))
    assert all(torch.equal(a.ids_BT, b.ids_BT) for a, b in zip(batches, again, strict=True))


def test_padding_never_counts():
    batch = collate([Encoded([1, 5, 6], [False, True, True]), Encoded([1, 7], [False, True])], pad=0)
    assert batch.ids_BT.tolist() == [[1, 5, 6], [1, 7, 0]]
    assert batch.loss_mask_BT.tolist() == [[False, True, True], [False, True, False]]
    assert batch.num_targets == 3


def test_drums_are_not_transposed_and_do_not_narrow_the_transpositions(gm_vocabulary, random_band):
    pieces = [random_band(np.random.default_rng(seed), 2, (33, -1)) for seed in range(4)]
    shares = TaskShares(continue_=1, continue_some=0, harmonize=0, harmonize_some=0, infill=0)
    layout = TaskLayout(gm_vocabulary)
    source = ExampleSource(pieces, layout, shares, seed=1, transpose=True, max_tokens=10_000)
    shifts = set()
    for index, piece in enumerate(pieces):
        for epoch in range(12):
            drawn = layout.decode(source.example(index, epoch).ids).piece
            drums, bass = ([p.keep_voices([v]) for p in (drawn, piece)] for v in (gm_vocabulary.drum_voice, 33))
            assert drums[0] == drums[1]
            (shift,) = {a.pitch - b.pitch for x, y in zip(bass[0].bars, bass[1].bars, strict=True)
                        for a, b in zip(x.notes, y.notes, strict=True)}  # fmt: skip
            shifts.add(shift)
    assert len(shifts) > 1


def test_of_instruments_the_highest_is_the_melody(gm_vocabulary, random_band):
    shares = TaskShares(continue_=0, continue_some=0, harmonize=1, harmonize_some=0, infill=0)
    piece = random_band(np.random.default_rng(1), 2, (0, -1)).merge(
        random_band(np.random.default_rng(2), 2, (24,)).transpose(36)
    )
    layout = TaskLayout(gm_vocabulary)
    source = ExampleSource([piece], layout, shares, seed=1, transpose=False, max_tokens=10_000)
    assert layout.decode(source.example(0, 0).ids).voices == (0, gm_vocabulary.drum_voice)


@pytest.mark.parametrize("num_bars", [1, 40])
def test_no_example_is_longer_than_a_model_can_hold(gm_vocabulary, random_band, num_bars):
    piece = random_band(np.random.default_rng(1), num_bars, (0, 24, -1))
    source = ExampleSource([piece], TaskLayout(gm_vocabulary), TaskShares(), seed=1, transpose=True, max_tokens=60)
    for epoch in range(20):
        example = source.example(0, epoch)
        assert len(example.ids) == len(example.loss_mask) <= 60
        assert any(example.loss_mask)
