"""Style tokens: who is told which, that the model learns with and without, and what the table of styles counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_modeling.cli.evaluate.likelihood import style_table
from descant_modeling.evaluation.likelihood import StyleRow
from descant_modeling.generation.base import check_style
from descant_modeling.models.checkpoints import CheckpointMeta, load_checkpoint, save_checkpoint
from descant_modeling.models.likelihood import Batch, style_contrast, token_nll
from descant_modeling.models.transformer import ModelConfig, build_model
from descant_modeling.training.config import RunConfig, TaskShares
from descant_modeling.training.data import as_voices, style_of
from descant_modeling.training.examples import ExampleSource
from descant_modeling.training.scores import initial_model
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.piece import Piece
from descant_tokenizers.tokens.presets import PITCH_RANGE, STYLES, build_tokenizer
from descant_tokenizers.tokens.tasks import STYLE_PLACE, LayoutConfig, Task, TaskLayout
from descant_tokenizers.tokens.vocabulary import Vocabulary

RANGES = (PITCH_RANGE,) * 4


@pytest.fixture(scope="module")
def style_table_of_tokens() -> Vocabulary:
    return Vocabulary(build_tokenizer("satb-style"))


@pytest.fixture(scope="module")
def layout(style_table_of_tokens: Vocabulary) -> TaskLayout:
    return TaskLayout(style_table_of_tokens, LayoutConfig(1, given_at_onsets=True, styles=("bach", "folk")))


def score_of(*tracks: list[int]) -> ScoreTick:
    score = ScoreTick(480)
    for index, pitches in enumerate(tracks):
        track = TrackTick(f"Part {index}", 48, False)
        for place, pitch in enumerate(pitches):
            track.notes.append(NoteTick(480 * place, 480, pitch, 80))
        score.tracks.append(track)
    return score


@pytest.mark.parametrize(
    ("composer", "corpus", "style"),
    [
        ("Johann Sebastian Bach", "chorales", "bach"),
        ("Giovanni Pierluigi da Palestrina", "palestrina", "palestrina"),
        ("Wolfgang Amadeus Mozart", "quartets", "mozart"),
        ("Joseph Haydn", "quartets", "haydn"),
        ("Ludwig van Beethoven", "quartets", "beethoven"),
        ("traditional", "folk", "folk"),
        ("traditional", "essen", None),
        ("Johann Sebastian Bach", "my folder", None),
    ],
)
def test_a_style_follows_from_composer_and_corpus(composer: str, corpus: str, style: str | None) -> None:
    assert style_of({"composer": composer, "corpus": corpus}) == style


def test_every_style_has_a_token_and_the_other_tokens_keep_their_order(
    vocabulary: Vocabulary, style_table_of_tokens: Vocabulary
) -> None:
    assert set(style_table_of_tokens.style_id) == set(STYLES)
    assert [name for name in style_table_of_tokens.names if not name.startswith("Style_")] == vocabulary.names
    assert vocabulary.style_id == {}


def test_a_tune_is_a_soprano_and_a_quartet_four_voices_in_the_vocabulary_s_range() -> None:
    assert [track.name for track in as_voices(score_of([60, 62])).tracks] == ["Soprano"]
    quartet = as_voices(score_of([94, 90], [70, 71], [60, 61], [40, 41]))
    assert tuple(track.name for track in quartet.tracks) == VOICES
    assert [note.pitch for note in quartet.tracks[0].notes] == [PITCH_RANGE[1], PITCH_RANGE[1] - 4]
    assert quartet.tracks[3].notes[0].pitch == 36  # all voices move together
    trio = score_of([60], [55], [48])
    assert [track.name for track in as_voices(trio).tracks] == [track.name for track in trio.tracks]


@pytest.mark.parametrize("task", list(Task))
def test_a_style_stands_behind_the_task_and_is_read_back(
    layout: TaskLayout, tiny_pieces: list[Piece], task: Task
) -> None:
    piece = tiny_pieces[0]
    voices = piece.voices if task is Task.CONTINUE else (3,)
    told, untold = (layout.encode(piece, task, voices, style=style) for style in ("folk", None))
    assert told.ids[2] == layout.vocabulary.style_id["folk"]
    assert [*told.ids[:2], *told.ids[3:]] == untold.ids
    assert not told.loss_mask[2]
    decoded = layout.decode(told.ids)
    assert (decoded.style, decoded.task, decoded.piece) == ("folk", task, piece)
    assert layout.decode(untold.ids).style is None


def test_styles_that_are_not_there_are_refused(layout: TaskLayout, vocabulary: Vocabulary) -> None:
    with pytest.raises(ValueError, match=r"The style is mozart\. Give one of bach, folk"):
        layout.prefix(Task.CONTINUE, (0,), "mozart")
    with pytest.raises(InputError, match=r"has no token for it\. Set data.tokenizer to satb-style"):
        TaskLayout(vocabulary, LayoutConfig(styles=("bach",)))
    with pytest.raises(ValueError, match=r"styles has wagner\. Choose from bach"):
        LayoutConfig(styles=("wagner",))
    with pytest.raises(InputError, match=r"Choose from bach, folk\."):
        check_style("mozart", ("bach", "folk"))
    with pytest.raises(InputError, match=r"This model was trained without styles\. Leave --style out"):
        check_style("bach")
    check_style(None)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 12), (1.0, 0)])
def test_a_style_is_told_as_often_as_wished(
    layout: TaskLayout, tiny_pieces: list[Piece], share: float, expected: int
) -> None:
    styles = ["bach"] * len(tiny_pieces)
    source = ExampleSource(
        tiny_pieces,
        layout,
        TaskShares(),
        seed=1,
        transpose=False,
        max_tokens=10_000,
        styles=styles,
        unlabelled_share=share,
    )
    told = [layout.vocabulary.style_id["bach"] in source.example(index, 0).ids for index in range(len(tiny_pieces))]
    assert sum(told) == expected


def test_a_run_begins_with_weights_of_a_vocabulary_without_styles(
    layout: TaskLayout, vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory, tiny_pieces: list[Piece]
) -> None:
    torch.manual_seed(1)
    config = ModelConfig(width=16, num_layers=1, num_heads=2, max_tokens=256, dropout=0.0)
    old = build_model(config, vocabulary.size, bos=1, eos=2, pad=0).eval()
    folder = tmp_path_factory.mktemp("old")
    save_checkpoint(
        folder, old, vocabulary.tokenizer, CheckpointMeta(LayoutConfig(), "", voice_ranges=RANGES), "# Card\n"
    )
    new = initial_model(dataclasses.replace(RunConfig(), model=config, init_from=str(folder)), layout).eval()
    assert new.config.vocab_size == layout.vocabulary.size
    names = layout.vocabulary.names
    ids = layout.encode(tiny_pieces[0], Task.CONTINUE, tiny_pieces[0].voices).ids[:100]
    old_ids = [vocabulary.names.index(names[i]) for i in ids]
    kept = [i for i, name in enumerate(names) if name in vocabulary.names]
    with torch.no_grad():
        expected = old(torch.tensor([old_ids])).logits
        found = new(torch.tensor([ids])).logits[..., kept]
    torch.testing.assert_close(found, expected)


def test_a_checkpoint_keeps_its_styles(layout: TaskLayout, tmp_path_factory: pytest.TempPathFactory) -> None:
    config = ModelConfig(width=16, num_layers=1, num_heads=2, max_tokens=64)
    model = build_model(config, layout.vocabulary.size, bos=1, eos=2, pad=0)
    folder = tmp_path_factory.mktemp("styles")
    save_checkpoint(
        folder, model, layout.vocabulary.tokenizer, CheckpointMeta(layout.config, "", voice_ranges=RANGES), "# Card\n"
    )
    assert load_checkpoint(str(folder)).layout.config == layout.config


def test_the_table_counts_whose_style_is_likeliest() -> None:
    nats = np.array([[10.0, 20.0], [30.0, 25.0], [10.0, 40.0]])
    row = StyleRow("bach", "all", ["a", "b", "c"], nats, np.array([10.0, 10.0, 20.0])).facts(("bach", "folk"))
    assert row["likeliest"] == "bach"
    assert row["pieces_likeliest_under"] == {"bach": 2, "folk": 1}
    assert row["own_is_likeliest"] == pytest.approx(66.67)
    assert row["bits_per_note"]["folk"]["value"] == pytest.approx(85 / 40 / np.log(2), abs=1e-4)
    facts = {"model": "m", "split": "valid", "styles": ["bach", "folk"], "without_pieces": ["haydn"], "rows": [row]}
    shown = style_table(facts)
    assert [column.header for column in shown.columns][:4] == ["pieces of", "n", "as bach", "as folk"]
    assert "No piece of haydn" in str(shown.caption)


def test_a_run_begins_with_weights_of_another_order_of_voices(
    vocabulary: Vocabulary, outer_first: Vocabulary, tmp_path: Path
) -> None:
    config = ModelConfig(width=16, num_layers=1, num_heads=2, max_tokens=256, dropout=0.3)
    old = build_model(dataclasses.replace(config, dropout=0.0), vocabulary.size, bos=1, eos=2, pad=0)
    save_checkpoint(
        tmp_path, old, vocabulary.tokenizer, CheckpointMeta(LayoutConfig(), "", voice_ranges=RANGES), "# Card\n"
    )
    run = dataclasses.replace(RunConfig(), model=config, init_from=str(tmp_path))
    new = initial_model(run, TaskLayout(outer_first, LayoutConfig()))
    assert new.config.hidden_dropout == 0.3
    vectors, was = new.get_input_embeddings().weight, old.get_input_embeddings().weight
    for rank, voice in enumerate(outer_first.voices):
        assert torch.equal(
            vectors[outer_first.voice_id[rank]], was[vocabulary.voice_id[vocabulary.voices.index(voice)]]
        )
    smaller = dataclasses.replace(run, model=dataclasses.replace(config, width=8))
    with pytest.raises(InputError, match=r"is gpt_neox, 1 x 16, heads 2, but the run's is gpt_neox, 1 x 8, heads 2"):
        initial_model(smaller, TaskLayout(outer_first, LayoutConfig()))


def test_rivals_differ_in_the_style_alone(layout: TaskLayout, tiny_pieces: list[Piece]) -> None:
    styles = ["bach", "folk", None]
    pieces = [tiny_pieces[index % len(tiny_pieces)] for index in range(len(styles))]
    source = contrasting(layout, pieces, styles)
    rivals = {}
    for batch in source.batches(0, 4000):
        assert batch.rivals_BT is not None
        differs_BT = batch.ids_BT != batch.rivals_BT
        for ids, others, differs in zip(batch.ids_BT, batch.rivals_BT, differs_BT, strict=True):
            assert differs.nonzero().flatten().tolist() in ([], [STYLE_PLACE])
            rivals[int(ids[STYLE_PLACE])] = int(others[STYLE_PLACE])
    style_id = layout.vocabulary.style_id
    told = {style_id[style] for style in layout.config.styles}
    for style in ("bach", "folk"):
        assert rivals[style_id[style]] in told - {style_id[style]}
    assert len(rivals) == 3  # the third has a voice there, which stays
    again = [batch.rivals_BT for batch in source.batches(0, 4000)]
    assert all(torch.equal(a, b.rivals_BT) for a, b in zip(again, source.batches(0, 4000), strict=True))


def test_without_contrast_there_are_no_rivals(layout: TaskLayout, tiny_pieces: list[Piece]) -> None:
    source = contrasting(layout, tiny_pieces[:2], ["bach", "folk"], weight=0.0)
    assert all(batch.rivals_BT is None for batch in source.batches(0, 4000))


def test_contrast_is_the_share_of_the_own_style() -> None:
    ids = torch.tensor([[1, 5, 8, 3, 0], [1, 5, 9, 3, 4], [1, 5, 7, 3, 4]])
    rivals = ids.clone()
    rivals[0, 2], rivals[1, 2] = 9, 8  # the third is told no style
    counted = torch.tensor([[0, 0, 0, 1, 0], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1]]).bool()
    own, other = torch.tensor([1.0, 2.0, 3.0, 9.0, 9.0]), torch.tensor([2.0, 2.5, 1.0, 1.0, 1.0])
    expected = -sum(np.log(np.exp(-a) / (np.exp(-a) + np.exp(-b))) for a, b in ((1.0, 2.0), (5.0, 3.5)))
    found = style_contrast(own, other, Batch(ids, counted, rivals, 1.0))
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_with_contrast_a_piece_becomes_likelier_under_its_own_style(
    layout: TaskLayout, tiny_pieces: list[Piece]
) -> None:
    def gap(weight: float) -> float:
        """Train a little; how much likelier pieces are under their own styles at last, in nats a batch."""
        torch.manual_seed(0)
        config = ModelConfig(width=32, num_layers=1, num_heads=2, dropout=0.0)
        model = build_model(config, layout.vocabulary.size, bos=1, eos=2, pad=0)
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        source = contrasting(layout, tiny_pieces[:2], ["bach", "folk"], weight=1.0)
        found = []
        for epoch in range(60):
            for batch in source.batches(epoch, 4000):
                nll_N = token_nll(model(batch.ids_BT).logits, batch)
                rival_N = token_nll(model(batch.rivals_BT).logits, batch)
                found.append(float((rival_N - nll_N).sum().detach()))
                (nll_N.sum() + weight * style_contrast(nll_N, rival_N, batch)).backward()
                optimizer.step()
                optimizer.zero_grad()
        return float(np.mean(found[-20:]))

    without, contrasted = gap(0.0), gap(30.0)
    assert contrasted > max(2.0, 2 * without)


def contrasting(
    layout: TaskLayout, pieces: list[Piece], styles: list[str | None], weight: float = 1.0
) -> ExampleSource:
    return ExampleSource(
        pieces, layout, TaskShares(), seed=3, transpose=False, max_tokens=2048, styles=styles, style_contrast=weight
    )
