"""Whatever is sampled through the mask decodes, in base tokens and in learned ones; and every chorale is legal."""

from collections import Counter

import numpy as np
import pytest

from descant_tokenizers.corpora import load_corpus, row_to_score
from descant_tokenizers.tokens.encode import encode_score
from descant_tokenizers.tokens.grammar import NEVER, Grammar, Rules
from descant_tokenizers.tokens.piece import parse_piece, piece_ids
from descant_tokenizers.tokens.tasks import Task, TaskLayout
from descant_tokenizers.tokens.train_bpe import train_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

METERS = ((4, 4), (3, 4), (6, 8), (3, 2), (1, 4))


def sounding(vocabulary, score):
    """(program, onset, pitch, duration) of every note, in grid ticks."""
    scale = vocabulary.ticks_per_quarter / score.ticks_per_quarter
    return Counter(
        (track.program, note.time * scale, note.pitch, note.duration * scale)
        for track in score.tracks
        for note in track.notes
    )


def written(vocabulary, piece):
    starts = piece.bar_starts_ticks()
    return Counter(
        (
            int(vocabulary.values[vocabulary.voice_id[n.voice]]),
            starts[index] + n.offset_ticks,
            n.pitch,
            n.duration_ticks,
        )
        for index, bar in enumerate(piece.bars)
        for n in bar.notes
    )


def assert_decodes(vocabulary, ids):
    """Ids end in EOS; miditok decodes them to just the notes that the stream says, each voice monophonic."""
    base = [base_id for i in ids[:-1] for base_id in vocabulary.base_ids(i)]
    piece = parse_piece(vocabulary, base)
    assert piece.num_notes > 0
    assert sounding(vocabulary, vocabulary.tokenizer.decode(list(ids))) == written(vocabulary, piece)
    ends = dict.fromkeys(range(vocabulary.num_voices), 0)
    starts = piece.bar_starts_ticks()
    for index, bar in enumerate(piece.bars):
        for note in bar.notes:
            assert starts[index] + note.offset_ticks >= ends[note.voice]
            ends[note.voice] = starts[index] + note.offset_ticks + note.duration_ticks
    assert piece_ids(vocabulary, piece) == base


@pytest.mark.parametrize("block", range(10))
def test_10_000_random_walks_decode(vocabulary, walk, block):
    grammar, rng = Grammar(vocabulary), np.random.default_rng(block)
    for _ in range(1000):
        assert_decodes(vocabulary, walk(grammar, rng))


@pytest.mark.parametrize("block", [0, *(pytest.param(block, marks=pytest.mark.slow) for block in range(1, 10))])
def test_10_000_random_walks_over_learned_tokens_decode(merged_vocabulary, walk, block):
    grammar, rng = Grammar(merged_vocabulary), np.random.default_rng(block)
    lengths = []
    for _ in range(500):  # of BPE and of Unigram each
        ids = walk(grammar, rng, max_tokens=15)
        assert_decodes(merged_vocabulary, ids)
        lengths += [len(merged_vocabulary.base_ids(i)) for i in ids]
    assert max(lengths) > 1, "no learned token was walked"


def test_a_learned_token_is_legal_exactly_if_its_parts_are(merged_vocabulary, walk):
    grammar, rng = Grammar(merged_vocabulary), np.random.default_rng(3)
    learned = range(merged_vocabulary.num_base_ids, merged_vocabulary.size)
    num_legal = 0
    for _ in range(10):
        state = grammar.start()
        for token in walk(grammar, rng)[:-1]:
            state = grammar.advance(state, token)
            mask = grammar.mask(state)
            begun = [token_id for token_id in learned if mask[merged_vocabulary.base_ids(token_id)[0]]]
            for token_id in rng.choice(begun or learned, 20):
                assert mask[token_id] == step_by_step(grammar, state, merged_vocabulary.base_ids(int(token_id)))
                num_legal += int(mask[token_id])
    assert num_legal > 100


def step_by_step(grammar, state, base_ids):
    try:
        for base_id in base_ids:
            state = grammar.advance(state, base_id)
    except ValueError:
        return False
    return True


def test_pieces_are_legal_in_base_and_in_learned_tokens(vocabulary, merged_vocabulary, random_piece):
    grammar, learned_grammar, rng = Grammar(vocabulary), Grammar(merged_vocabulary), np.random.default_rng(5)
    for _ in range(20):
        ids = piece_ids(vocabulary, random_piece(rng, meters=METERS))
        assert grammar.accepts([*ids, grammar.eos])
        merged = merged_vocabulary.merge(ids)
        assert len(merged) < len(ids)
        assert learned_grammar.accepts([*merged, learned_grammar.eos])


def test_rules_are_kept(vocabulary):
    assert_rules_are_kept(vocabulary)


def test_rules_are_kept_by_learned_tokens(merged_vocabulary):
    assert_rules_are_kept(merged_vocabulary)


def assert_rules_are_kept(vocabulary):
    """Inside the bar to be filled: the voices, pitches and ends that a caller allows, and only its closing tokens."""
    grammar, rng = Grammar(vocabulary), np.random.default_rng(2)
    sep = vocabulary.special("SEP")
    meter_id = vocabulary.meter_id[4, 4]
    rules = Rules((1, 3), (NEVER, 200, NEVER, 300), ((0, 127), (60, 62), (0, 127), (40, 40)), (sep,))
    for _ in range(300):
        state, ids = grammar.enter_bar(meter_id, (0, 96, 0, 0)), []
        while not ids or ids[-1] != sep:
            mask = grammar.mask(state, rules)
            ids.append(int(rng.choice(np.flatnonzero(mask))))
            if ids[-1] != sep:
                state = grammar.advance(state, ids[-1], rules)
        (bar,) = parse_piece(vocabulary, [vocabulary.bar_id, meter_id, *vocabulary.expand(ids[:-1])]).bars
        for note in bar.notes:
            assert note.voice in (1, 3)
            assert note.pitch in ((60, 61, 62) if note.voice == 1 else (40,))
            assert note.offset_ticks >= (96 if note.voice == 1 else 0)
            assert note.offset_ticks + note.duration_ticks <= (200 if note.voice == 1 else 300)


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["EOS"],
        ["Bar_None", "TimeSig_4/4", "EOS"],
        ["TimeSig_4/4"],
        ["Bar_None", "Position_0"],
        ["Bar_None", "TimeSig_4/4", "Program_40"],
        ["Bar_None", "TimeSig_1/4", "Position_24"],
        ["Bar_None", "TimeSig_1/4", "Position_0", "EOS"],
        ["Bar_None", "TimeSig_4/4", "Position_0", "Program_41", "Pitch_60", "Duration_1.0.24", "Program_40"],
        [
            "Bar_None",
            "TimeSig_4/4",
            "Position_0",
            "Program_40",
            "Pitch_60",
            "Duration_1.0.24",
            "Position_12",
            "Program_40",
        ],
        ["Bar_None", "TimeSig_4/4", "Position_0", "Program_40", "Pitch_60", "Duration_1.0.24", "Position_0"],
        ["Bar_None", "TimeSig_4/4", "Position_0", "Program_40", "Pitch_60", "Duration_1.0.24", "SEP", "EOS"],
    ],
)
def test_illegal_streams_are_refused(vocabulary, names):
    names = [f"{name}_None" if name in ("EOS", "SEP") else name for name in names]
    assert not Grammar(vocabulary).accepts([vocabulary.names.index(name) for name in names])


def test_masks_cannot_be_changed_by_a_caller(vocabulary):
    grammar = Grammar(vocabulary)
    with pytest.raises(ValueError, match="read-only"):
        grammar.mask(grammar.start())[0] = True


@pytest.mark.slow  # where the corpus is not in the cache yet
def test_every_chorale_is_legal_and_comes_back_from_the_grid(vocabulary):
    grammar = Grammar(vocabulary)
    num_pieces = 0
    for split in load_corpus("chorales").values():
        for row in split:
            encoded = encode_score(vocabulary, row_to_score(row))
            assert encoded.changes == (), row["id"]
            assert encoded.piece.num_notes == row["num_notes"]
            assert grammar.accepts([*piece_ids(vocabulary, encoded.piece), grammar.eos]), row["id"]
            num_pieces += 1
    assert num_pieces > 350


@pytest.mark.slow  # where the corpus is not in the cache yet
@pytest.mark.parametrize("model", ["BPE", "Unigram"])
def test_every_chorale_is_legal_in_tokens_learned_from_some(vocabulary, model):
    corpus = load_corpus("chorales")
    pieces = [encode_score(vocabulary, row_to_score(row)).piece for split in corpus.values() for row in split]
    learned = Vocabulary(train_tokenizer(vocabulary.tokenizer, pieces[:10], vocabulary.size + 400, model))
    grammar, layout = Grammar(learned), TaskLayout(learned)
    for piece in pieces:
        ids = learned.merge(piece_ids(learned, piece))
        assert len(ids) < len(piece_ids(learned, piece))
        assert grammar.accepts([*ids, grammar.eos])
        for task, voices in ((Task.CONTINUE, piece.voices), (Task.HARMONIZE, piece.voices[1:])):
            assert layout.decode(layout.encode(piece, task, voices).ids).piece == piece
