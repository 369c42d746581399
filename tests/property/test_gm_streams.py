"""The vocabulary for any MIDI: what is sampled decodes, what is encoded comes back."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic.core import NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.grammar import NEVER, Grammar, Rules
from descant_tokenizers.tokens.kinds import make_grammar
from descant_tokenizers.tokens.multitrack_grammar import MultitrackGrammar
from descant_tokenizers.tokens.piece import parse_piece, piece_ids
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout, cut
from descant_tokenizers.tokens.train_bpe import train_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

METERS = ((4, 4), (3, 4), (6, 8), (3, 2), (5, 16), (1, 4))
PROGRAMS = st.sets(st.sampled_from([-1, 0, 24, 33, 127]), min_size=1).map(lambda programs: tuple(sorted(programs)))


def heard(vocabulary, score):
    """Every note (program, onset, pitch, duration, velocity), and every tempo (onset, the vocabulary's nearest)."""
    scale = vocabulary.ticks_per_quarter / score.ticks_per_quarter
    notes = Counter(
        (-1 if track.is_drum else track.program, n.time * scale, n.pitch, n.duration * scale, n.velocity)
        for track in score.tracks
        for n in track.notes
    )
    return notes, sorted(
        (tempo.time * scale, min(vocabulary.tempo_id, key=lambda known: abs(known - tempo.qpm)))
        for tempo in score.tempos
    )


def written(vocabulary, piece):
    starts = piece.bar_starts_ticks()
    notes = Counter(
        (vocabulary.programs[n.voice], start + n.offset_ticks, n.pitch, n.duration_ticks, n.velocity)
        for start, bar in zip(starts, piece.bars, strict=False)
        for n in bar.notes
    )
    tempos = sorted(
        (start + tempo.offset_ticks, tempo.quarters_per_minute)
        for start, bar in zip(starts, piece.bars, strict=False)
        for tempo in bar.tempos
    )
    return notes, tempos


def assert_decodes(vocabulary, ids):
    """miditok decodes ids to just what the stream says, and so does a MIDI file of it."""
    piece = parse_piece(vocabulary, [base_id for i in ids[:-1] for base_id in vocabulary.base_ids(i)])
    assert piece.num_notes > 0
    score = vocabulary.tokenizer.decode(list(ids))
    notes, tempos = heard(vocabulary, score)
    if (0, 120) not in written(vocabulary, piece)[1]:  # miditok states what MIDI assumes
        tempos = [tempo for tempo in tempos if tempo != (0, 120)]
    assert (notes, tempos) == written(vocabulary, piece)
    read_back = ScoreTick.from_midi(score.dumps_midi())
    assert heard(vocabulary, read_back)[0] == written(vocabulary, piece)[0]
    assert piece_ids(vocabulary, piece) == [base_id for i in ids[:-1] for base_id in vocabulary.base_ids(i)]


def test_each_vocabulary_gets_its_grammar(vocabulary, gm_vocabulary):
    assert type(make_grammar(vocabulary)) is Grammar
    assert type(make_grammar(gm_vocabulary)) is MultitrackGrammar


@pytest.mark.parametrize("block", range(4))
def test_random_walks_decode(gm_vocabulary, walk, block):
    grammar, rng = make_grammar(gm_vocabulary), np.random.default_rng(block)
    for _ in range(250):
        assert_decodes(gm_vocabulary, walk(grammar, rng))


@pytest.fixture(scope="module", params=["BPE", "Unigram"])
def merged_gm_vocabulary(request, gm_vocabulary, random_band):
    """The vocabulary with 300 tokens learned from random pieces."""
    rng = np.random.default_rng(11)
    pieces = [random_band(rng, num_bars=2) for _ in range(4)]
    return Vocabulary(train_tokenizer(gm_vocabulary.tokenizer, pieces, gm_vocabulary.size + 300, request.param))


def test_random_walks_over_learned_tokens_decode(merged_gm_vocabulary, walk):
    grammar, rng = make_grammar(merged_gm_vocabulary), np.random.default_rng(0)
    lengths = []
    for _ in range(30):
        ids = walk(grammar, rng)
        assert_decodes(merged_gm_vocabulary, ids)
        lengths += [len(merged_gm_vocabulary.base_ids(i)) for i in ids]
    assert max(lengths) > 1, "no learned token was walked"


def test_a_learned_token_is_legal_exactly_if_its_parts_are(merged_gm_vocabulary, walk):
    vocabulary = merged_gm_vocabulary
    grammar, rng = make_grammar(vocabulary), np.random.default_rng(3)
    found = set()
    for _ in range(3):
        state = grammar.start()
        for token in walk(grammar, rng)[:-1]:
            state = grammar.advance(state, token)
            mask = grammar.mask(state)
            begun = [i for i in range(vocabulary.num_base_ids, vocabulary.size) if mask[vocabulary.base_ids(i)[0]]]
            for token_id in rng.choice(begun, 5) if begun else ():
                assert mask[token_id] == is_legal_step_by_step(grammar, state, vocabulary.base_ids(int(token_id)))
                found.add(bool(mask[token_id]))
    assert found == {False, True}


def is_legal_step_by_step(grammar, state, base_ids):
    try:
        for base_id in base_ids:
            state = grammar.advance(state, base_id)
    except ValueError:
        return False
    return True


def test_pieces_are_legal_in_every_prefix(gm_vocabulary, random_band):
    grammar, rng = make_grammar(gm_vocabulary), np.random.default_rng(5)
    for _ in range(10):
        ids = piece_ids(gm_vocabulary, random_band(rng, num_bars=3, meters=METERS))
        assert grammar.accepts([*ids, grammar.eos])


@pytest.mark.parametrize("tempos", [False, True])
def test_rules_are_kept(gm_vocabulary, tempos):
    """Inside the bar to be filled: the instruments, pitches and ends that a caller allows, and no pitch that sounds."""
    vocabulary = gm_vocabulary
    grammar, rng = make_grammar(vocabulary), np.random.default_rng(2)
    sep, meter_id, drums = vocabulary.special("SEP"), vocabulary.meter_id[4, 4], vocabulary.drum_voice
    latest, pitches = [NEVER] * vocabulary.num_voices, [(0, 127)] * vocabulary.num_voices
    latest[0], latest[33], latest[drums] = 200, 300, 384
    pitches[0], pitches[33], pitches[drums] = (60, 61), (40, 40), (36, 127)
    rules = Rules((0, 33, drums), tuple(latest), tuple(pitches), (sep,), tempos)
    held = parse_piece(vocabulary, _held(vocabulary)).bars[0].notes
    num_tempos = 0
    for _ in range(150):
        state, ids = grammar.enter_bar(meter_id, grammar.busy_with([(0, note) for note in held])), []
        while not ids or ids[-1] != sep:
            mask = grammar.mask(state, rules)
            closing = mask[sep] and len(ids) > 60
            ids.append(sep if closing else int(rng.choice(np.flatnonzero(mask))))
            if ids[-1] != sep:
                state = grammar.advance(state, ids[-1], rules)
        (bar,) = parse_piece(vocabulary, [vocabulary.bar_id, meter_id, *ids[:-1]]).bars
        num_tempos += len(bar.tempos)
        busy = {(note.voice, note.pitch): note.duration_ticks for note in held}
        for note in bar.notes:
            low, high = pitches[note.voice]
            assert low <= note.pitch <= high
            assert note.offset_ticks + note.duration_ticks <= latest[note.voice]
            assert note.offset_ticks >= busy.get((note.voice, note.pitch), 0)
            busy[note.voice, note.pitch] = note.offset_ticks + note.duration_ticks
    assert (num_tempos > 0) == tempos


def _held(vocabulary):
    """A bass note until tick 96, and one of the two pitches of the piano until 48."""
    names = ["Bar_None", "TimeSig_4/4", "Position_0", "Program_0", "Pitch_60", "Velocity_79", "Duration_0.12.24"]
    names += ["Program_33", "Pitch_40", "Velocity_79", "Duration_1.0.24"]
    return [vocabulary.names.index(name) for name in names]


ONE_NOTE = ["Program_0", "Pitch_60", "Velocity_79", "Duration_1.0.24"]


@pytest.mark.parametrize(
    "names",
    [
        ["Position_0", "Program_-1", "Pitch_60"],
        ["Position_0", "Program_0", "PitchDrum_60"],
        ["Position_0", "Program_0", "Pitch_60", "Duration_1.0.24"],
        ["Position_0", *ONE_NOTE, "Program_0", "Pitch_60"],
        ["Position_0", *ONE_NOTE, "Program_0", "Pitch_59"],
        ["Position_0", *ONE_NOTE, "Position_12", "Program_0", "Pitch_60"],
        ["Position_0", "Program_1", "Pitch_60", "Velocity_79", "Duration_1.0.24", "Program_0"],
        ["Position_0", *ONE_NOTE, "Tempo_120.0"],
        ["Position_0", "Tempo_120.0", "Tempo_120.0"],
        ["Position_0", "Tempo_120.0", "EOS"],
        ["Tempo_120.0"],
    ],
)
def test_illegal_streams_are_refused(gm_vocabulary, names):
    vocabulary = gm_vocabulary
    names = ["Bar_None", "TimeSig_4/4", *(f"{name}_None" if name == "EOS" else name for name in names)]
    *before, last = (vocabulary.names.index(name) for name in names)
    grammar = make_grammar(vocabulary)
    state = grammar.start()
    for token_id in before:
        state = grammar.advance(state, token_id)
    assert not grammar.mask(state)[last]


def test_pieces_in_learned_tokens_are_legal_and_come_back(merged_gm_vocabulary, random_band):
    layout, grammar, rng = (
        TaskLayout(merged_gm_vocabulary),
        make_grammar(merged_gm_vocabulary),
        np.random.default_rng(1),
    )
    piece = random_band(rng, 4, meters=METERS)
    ids = merged_gm_vocabulary.merge(piece_ids(merged_gm_vocabulary, piece))
    assert len(ids) < len(piece_ids(merged_gm_vocabulary, piece))
    assert grammar.accepts([*ids, grammar.eos])
    for task in Task:
        encoded = layout.encode(piece, task, piece.voices[:1])
        kept = piece.keep_voices(piece.voices[:1]) if task is Task.CONTINUE else piece
        assert layout.decode(encoded.ids).piece == kept


@given(seed=st.integers(0, 2**32), num_bars=st.integers(1, 6), programs=PROGRAMS)
def test_pieces_come_back_from_scores(gm_vocabulary, random_band, seed, num_bars, programs):
    piece = random_band(np.random.default_rng(seed), num_bars, programs, METERS)
    assert parse_piece(gm_vocabulary, piece_ids(gm_vocabulary, piece)) == piece
    if piece.num_notes == 0:
        return
    encoded = encode_score(gm_vocabulary, decode_piece(gm_vocabulary, piece))
    assert encoded.changes == ()
    assert written(gm_vocabulary, encoded.piece)[0] == written(gm_vocabulary, piece)[0]
    assert [bar.meter for bar in encoded.piece.bars] == [bar.meter for bar in piece.bars[: len(encoded.piece.bars)]]


@given(
    seed=st.integers(0, 2**32),
    num_bars=st.integers(1, 6),
    has=PROGRAMS,
    writes=PROGRAMS,
    lookahead=st.one_of(st.none(), st.integers(0, 4)),
    task=st.sampled_from(list(Task)),
    data=st.data(),
)
def test_tasks_decode_to_what_was_encoded(
    gm_vocabulary, random_band, seed, num_bars, has, writes, lookahead, task, data
):
    piece = random_band(np.random.default_rng(seed), num_bars, has, METERS)
    layout = TaskLayout(gm_vocabulary, LayoutConfig(lookahead))
    voices = tuple(sorted(gm_vocabulary.programs.index(program) for program in writes))
    bars = None
    if task is Task.INFILL:
        bars = sorted(data.draw(st.sets(st.integers(0, num_bars - 1), min_size=1)))
    encoded = layout.encode(piece, task, voices, bars)
    decoded = layout.decode(encoded.ids)
    assert (decoded.task, decoded.voices) == (task, voices)
    if task is Task.CONTINUE:
        assert decoded.piece == piece.keep_voices(voices)
        return
    assert decoded.piece == piece
    assert decoded.context == cut(piece, voices, decoded.bars)
    predicted = [i for i, is_written in zip(encoded.ids, encoded.loss_mask, strict=True) if is_written]
    assert sum(i in gm_vocabulary.pitch_of for i in predicted) == piece.num_notes - decoded.context.num_notes
    assert not any(gm_vocabulary.types[i] == "Tempo" for i in predicted)


@given(seed=st.integers(0, 2**32), programs=PROGRAMS, denominator=st.sampled_from([2, 4, 8, 16]))
def test_the_tokens_are_those_of_miditok(gm_vocabulary, random_band, seed, programs, denominator):
    meters = [meter for meter in ((3, 2), (4, 4), (3, 4), (6, 8), (5, 16)) if meter[1] == denominator]
    piece = random_band(np.random.default_rng(seed), 4, programs, meters)
    if piece.num_notes:
        score = decode_piece(gm_vocabulary, piece)
        assert gm_vocabulary.tokenizer.encode(score).ids == piece_ids(
            gm_vocabulary, encode_score(gm_vocabulary, score).piece
        )


@st.composite
def any_score(draw):
    """A score as files have them: any resolution, notes, tempos and signatures anywhere."""
    ticks = draw(st.sampled_from([24, 96, 100, 220, 480, 1023]))
    score = ScoreTick(ticks)
    time = st.integers(0, 20 * ticks)
    for _ in range(draw(st.integers(1, 4))):
        is_drum = draw(st.booleans())
        track = TrackTick("", 0 if is_drum else draw(st.sampled_from([0, 0, 33, 127])), is_drum)
        for _ in range(draw(st.integers(1, 12))):
            onset, duration = draw(time), draw(st.integers(1, 30 * ticks))
            track.notes.append(NoteTick(onset, duration, draw(st.integers(0, 127)), draw(st.integers(1, 127))))
        score.tracks.append(track)
    for onset in sorted(draw(st.sets(time, max_size=3))):
        meter = draw(st.sampled_from([(4, 4), (3, 4), (6, 8), (2, 2), (5, 16), (24, 16), (7, 8)]))
        score.time_signatures.append(TimeSignatureTick(onset, *meter))
    for onset in sorted(draw(st.sets(time, max_size=4))):
        score.tempos.append(TempoTick(onset, qpm=draw(st.floats(5, 900))))
    return score


@settings(max_examples=150)
@given(score=any_score())
def test_any_score_is_refused_in_words_or_becomes_a_legal_piece(gm_vocabulary, score):
    try:
        encoded = encode_score(gm_vocabulary, score)
    except InputError:
        return
    grammar = make_grammar(gm_vocabulary)
    ids = piece_ids(gm_vocabulary, encoded.piece)
    assert grammar.accepts([*ids, grammar.eos])
    assert parse_piece(gm_vocabulary, ids) == encoded.piece
    assert 0 < encoded.piece.num_notes <= score.note_num()
    again = encode_score(gm_vocabulary, decode_piece(gm_vocabulary, encoded.piece))
    assert written(gm_vocabulary, again.piece)[0] == written(gm_vocabulary, encoded.piece)[0]
