"""Whatever is sampled through the mask decodes, with a base vocabulary and with BPE; and every chorale is legal."""

from collections import Counter

import numpy as np
import pytest
from miditok import TokSequence

from descant_tokenizers.corpora import load_corpus, row_to_score
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.grammar import NEVER, Grammar, Rules
from descant_tokenizers.tokens.piece import parse_piece, piece_ids
from descant_tokenizers.tokens.presets import build_tokenizer
from descant_tokenizers.tokens.vocabulary import TokenTable

METERS = ((4, 4), (3, 4), (6, 8), (3, 2), (1, 4))
MAX_TOKENS = 40


@pytest.fixture(scope="module")
def bpe_table(table, random_piece, tmp_path_factory):
    """A vocabulary with 150 merges, trained by miditok on random pieces."""
    folder = tmp_path_factory.mktemp("bpe")
    rng = np.random.default_rng(1)
    paths = []
    for index in range(30):
        score = decode_piece(table, random_piece(rng, meters=METERS))
        paths.append(folder / f"{index}.mid")
        score.dump_midi(paths[-1])
    tokenizer = build_tokenizer()
    tokenizer.train(vocab_size=table.size + 150, model="BPE", files_paths=paths)
    return TokenTable(tokenizer)


def walk(grammar, rng, sharpness):
    """Follow random logits through the mask; once `MAX_TOKENS` are written, end as soon as it is legal."""
    state, ids = grammar.start(), []
    while not grammar.is_final(state):
        mask = grammar.mask(state)
        assert mask.any(), "a dead end"
        if len(ids) >= MAX_TOKENS and mask[grammar.eos]:
            token = grammar.eos
        else:
            token = int(np.where(mask, rng.standard_normal(mask.size) * sharpness, -np.inf).argmax())
        ids.append(token)
        state = grammar.advance(state, token)
        assert len(ids) < 10 * MAX_TOKENS
    return ids


def sounding(table, score):
    """(program, onset, pitch, duration) of every note, in grid ticks."""
    scale = table.ticks_per_quarter / score.ticks_per_quarter
    return Counter(
        (track.program, note.time * scale, note.pitch, note.duration * scale)
        for track in score.tracks
        for note in track.notes
    )


def written(table, piece):
    starts = piece.bar_starts_ticks()
    return Counter(
        (int(table.values[table.voice_id[n.voice]]), starts[index] + n.offset_ticks, n.pitch, n.duration_ticks)
        for index, bar in enumerate(piece.bars)
        for n in bar.notes
    )


def assert_decodes(table, ids):
    """Ids end in EOS; miditok decodes them to just the notes that the stream says, each voice monophonic."""
    base = [base_id for i in ids[:-1] for base_id in table.base_ids(i)]
    piece = parse_piece(table, base)
    assert piece.num_notes > 0
    assert sounding(table, table.tokenizer.decode(list(ids))) == written(table, piece)
    ends = dict.fromkeys(range(table.num_voices), 0)
    starts = piece.bar_starts_ticks()
    for index, bar in enumerate(piece.bars):
        for note in bar.notes:
            assert starts[index] + note.offset_ticks >= ends[note.voice]
            ends[note.voice] = starts[index] + note.offset_ticks + note.duration_ticks
    assert piece_ids(table, piece) == base


@pytest.mark.parametrize("block", range(10))
def test_10_000_random_walks_decode(table, block):
    grammar, rng = Grammar(table), np.random.default_rng(block)
    for _ in range(1000):
        assert_decodes(table, walk(grammar, rng, sharpness=1.0))


def test_random_walks_over_bpe_tokens_decode(bpe_table):
    grammar, rng = Grammar(bpe_table), np.random.default_rng(0)
    lengths = []
    for _ in range(300):
        ids = walk(grammar, rng, sharpness=1.0)
        assert_decodes(bpe_table, ids)
        lengths += [len(bpe_table.base_ids(i)) for i in ids]
    assert max(lengths) > 1, "no merged token was walked"


def test_bpe_tokens_stand_for_what_miditok_says(bpe_table):
    for token_id in range(bpe_table.size):
        sequence = TokSequence(ids=[token_id], are_ids_encoded=True)
        bpe_table.tokenizer.decode_token_ids(sequence)
        assert tuple(sequence.ids) == bpe_table.base_ids(token_id)
    assert bpe_table.size == len(bpe_table.tokenizer) == bpe_table.num_base_ids + 150


def test_a_merged_token_is_legal_exactly_if_its_parts_are(bpe_table):
    grammar, rng = Grammar(bpe_table), np.random.default_rng(3)
    merged = range(bpe_table.num_base_ids, bpe_table.size)
    for _ in range(10):
        state = grammar.start()
        for token in walk(grammar, rng, sharpness=1.0)[:-1]:
            state = grammar.advance(state, token)
            mask = grammar.mask(state)
            for token_id in rng.choice(merged, 10):
                assert mask[token_id] == step_by_step(grammar, state, bpe_table.base_ids(int(token_id)))


def step_by_step(grammar, state, base_ids):
    if not base_ids:  # the marker of beginnings that BPE itself brings along: it says nothing, so it is never written
        return False
    try:
        for base_id in base_ids:
            state = grammar.advance(state, base_id)
    except ValueError:
        return False
    return True


def test_pieces_are_legal_with_and_without_bpe(table, bpe_table, random_piece):
    grammar, bpe_grammar, rng = Grammar(table), Grammar(bpe_table), np.random.default_rng(5)
    shorter = 0
    for _ in range(20):
        piece = random_piece(rng, meters=METERS)
        ids = piece_ids(table, piece)
        assert grammar.accepts([*ids, grammar.eos])
        sequence = TokSequence(ids=list(ids))
        bpe_table.tokenizer.complete_sequence(sequence)
        bpe_table.tokenizer.encode_token_ids(sequence)
        assert bpe_grammar.accepts([*sequence.ids, bpe_grammar.eos])
        shorter += len(ids) - len(sequence.ids)
    assert shorter > 0


def test_rules_are_kept(table):
    """Inside the bar to be filled: the voices, pitches and ends that a caller allows, and only its closing tokens."""
    grammar, rng = Grammar(table), np.random.default_rng(2)
    sep = table.special("SEP")
    meter_id = table.meter_id[4, 4]
    rules = Rules((1, 3), (NEVER, 200, NEVER, 300), ((0, 127), (60, 62), (0, 127), (40, 40)), (sep,))
    for _ in range(300):
        state, ids = grammar.enter_bar(meter_id, (0, 96, 0, 0)), []
        while not ids or ids[-1] != sep:
            mask = grammar.mask(state, rules)
            ids.append(int(rng.choice(np.flatnonzero(mask))))
            if ids[-1] != sep:
                state = grammar.advance(state, ids[-1], rules)
        (bar,) = parse_piece(table, [table.bar_id, meter_id, *ids[:-1]]).bars
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
def test_illegal_streams_are_refused(table, names):
    names = [f"{name}_None" if name in ("EOS", "SEP") else name for name in names]
    assert not Grammar(table).accepts([table.names.index(name) for name in names])


def test_masks_cannot_be_changed_by_a_caller(table):
    grammar = Grammar(table)
    with pytest.raises(ValueError, match="read-only"):
        grammar.mask(grammar.start())[0] = True


@pytest.mark.slow  # where the corpus is not in the cache yet
def test_every_chorale_is_legal_and_comes_back_from_the_grid(table):
    grammar = Grammar(table)
    num_pieces = 0
    for split in load_corpus("chorales").values():
        for row in split:
            encoded = encode_score(table, row_to_score(row))
            assert encoded.changes == (), row["id"]
            assert encoded.piece.num_notes == row["num_notes"]
            assert grammar.accepts([*piece_ids(table, encoded.piece), grammar.eos]), row["id"]
            num_pieces += 1
    assert num_pieces > 350
