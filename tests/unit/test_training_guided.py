"""Training examples with hints: what is drawn, and that it is drawn again from the same seed."""

import itertools
from dataclasses import replace

import pytest
from datasets import Dataset, Features, List, Value
from small_pieces import small_piece

from descant_modeling.training.config import DataConfig, TaskShares
from descant_modeling.training.guided import GuidedSource
from descant_tokenizers.tokens.dataset import StoredPieces
from descant_tokenizers.tokens.harmony import closing_key, shift_to_common_tonic, sounding_notes
from descant_tokenizers.tokens.hint_tokens import HINT_TOKENS
from descant_tokenizers.tokens.piece import piece_ids, pitch_ranges
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout

NO_SHARES = dict.fromkeys(TaskShares.__dataclass_fields__, 0.0)
RICH = DataConfig(tokenizer="sbat-hints", ornaments=0.5, other_meters=0.5)


@pytest.fixture(scope="module")
def layout(hint_vocabulary):
    return TaskLayout(hint_vocabulary, LayoutConfig(hints=True, styles=("bach",)))


def stored(layout, pieces):
    """Return pieces and the ends of their phrases as training reads them."""
    columns = {name: [] for name in ("input_ids", "phrase_ends", "voices", "pitch_ranges", "ids_sha256", "num_notes")}
    for piece, ends in pieces:
        ranges = pitch_ranges(piece)
        columns["input_ids"].append(layout.continue_ids(piece_ids(layout.vocabulary, piece), piece.voices or (0,)))
        columns["phrase_ends"].append(list(ends))
        columns["voices"].append(list(piece.voices))
        columns["pitch_ranges"].append([pitch for voice in piece.voices for pitch in ranges[voice]])
        columns["ids_sha256"].append("")
        columns["num_notes"].append(piece.num_notes)
    integers = List(Value("int64"))
    kinds = [integers] * 4 + [Value("string"), Value("int64")]
    features = Features(dict(zip(columns, kinds, strict=True)))
    return StoredPieces([Dataset.from_dict(columns, features=features)], layout)


@pytest.fixture(scope="module")
def chorales(layout, hinted_chorales):
    return stored(layout, [(piece, known.phrase_ends) for piece, known in hinted_chorales.values()])


@pytest.fixture(scope="module")
def at_tonic(hinted_chorales):
    """The chorales at the common tonic, where training moves them."""
    return [
        (piece.transpose(shift_to_common_tonic(known.key)), known.phrase_ends)
        for piece, known in hinted_chorales.values()
    ]


@pytest.fixture
def make_source(chorales, layout):
    def make(pieces=chorales, shares=None, data=RICH, **values):
        values = {"seed": 3, "max_tokens": 3000, "styles": ["bach"] * len(pieces), **values}
        return GuidedSource(pieces, layout, shares or TaskShares(), data, **values)

    return make


def only(name):
    return TaskShares(**{**NO_SHARES, name: 1.0})


def test_pieces_are_stored_with_their_phrases(chorales, hinted_chorales):
    for index, (piece, known) in enumerate(hinted_chorales.values()):
        assert chorales[index] == piece
        assert chorales.phrase_ends(index) == known.phrase_ends


def test_the_ranges_are_those_of_the_first_style(make_source, layout, hinted_chorales):
    pieces = [(piece, known.phrase_ends) for piece, known in hinted_chorales.values()]
    styles = ["bach", *[None] * (len(pieces) - 1)]
    ranges = pitch_ranges(pieces[0][0])
    own = make_source(stored(layout, pieces), styles=styles).voice_ranges
    assert own == [ranges[voice] for voice in range(4)]
    assert own != make_source(stored(layout, pieces), styles=[None] * len(pieces)).voice_ranges


def test_an_example_depends_on_seed_epoch_and_piece_alone(make_source):
    source, again, other = make_source(), make_source(), make_source(seed=4)
    places = [(index, epoch) for epoch in range(4) for index in range(6)]
    examples = [source.example(*place) for place in places]
    assert [again.example(*place) for place in reversed(places)] == examples[::-1]
    assert examples[:6] != examples[6:12]
    assert [other.example(*place) for place in places] != examples


@pytest.mark.parametrize("max_tokens", [40, 150, 600, 3000])
def test_no_example_is_longer_than_the_model_can_hold(make_source, max_tokens):
    source = make_source(max_tokens=max_tokens)
    lengths = [len(source.example(index, epoch).ids) for epoch in range(12) for index in range(6)]
    assert max(lengths) <= max_tokens
    assert max_tokens > 600 or max(lengths) > max_tokens / 2
    for index in range(6):
        example = source.example(index, 0)
        assert len(example.ids) == len(example.loss_mask)
        assert any(example.loss_mask)


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
def test_each_share_draws_its_task(make_source, layout, at_tonic, name, task):
    source = make_source(
        stored(layout, at_tonic), shares=only(name), data=DataConfig(transpose=False, unlabelled_share=0.5)
    )
    styles = set()
    for epoch in range(4):
        for index, (piece, _) in enumerate(at_tonic):
            decoded = source.layout.decode(source.example(index, epoch).ids)
            styles.add(decoded.style)
            assert decoded.task is task
            own = piece.keep_voices(decoded.voices) if task is Task.CONTINUE else piece
            if task is Task.INFILL:
                whole = own.bars
                stops = [
                    stop
                    for stop in range(1, len(whole) + 1)
                    if whole[:stop][-len(decoded.piece.bars) :] == decoded.piece.bars
                ]
                assert stops, "some bars of the piece"
                assert len(decoded.bars) <= 8
                assert len(decoded.piece.bars) <= 16
            else:
                assert decoded.piece == own
            if name == "harmonize":
                assert decoded.voices == (1, 2, 3)
    assert styles == {None, "bach"}


def test_every_kind_of_hint_is_used_and_every_kind_is_left_out(make_source):
    source = make_source()
    names = source.layout.vocabulary.names
    kinds = {name.split("_")[0] for name in HINT_TOKENS}
    seen, without = set(), set()
    for epoch in range(25):
        for index in range(6):
            own = {names[token_id] for token_id in source.example(index, epoch).ids} & set(HINT_TOKENS)
            seen |= own
            without |= kinds - {name.split("_")[0] for name in own}
    assert {name.split("_")[0] for name in seen} == kinds
    assert without == kinds
    assert {name for name in HINT_TOKENS if name.startswith(("Left", "Gap", "Harmony", "Root"))} - seen <= {
        "Harmony_note"
    }
    assert {f"Ahead_{beat}-{sound}" for beat in (1, 2, 3, 4) for sound in ("hold", "rest", 0, 7)} <= seen


def test_chords_are_predicted_or_given_and_sometimes_not_there(make_source):
    source = make_source(shares=only("harmonize"))
    vocabulary = source.layout.vocabulary
    outcomes = []
    for epoch in range(15):
        for index in range(6):
            example = source.example(index, epoch)
            flags = {
                has_loss
                for token_id, has_loss in zip(example.ids, example.loss_mask, strict=True)
                if vocabulary.types[token_id] == "Root"
            }
            assert len(flags) <= 1
            outcomes += flags or {None}
    assert {outcome: outcomes.count(outcome) / len(outcomes) for outcome in (True, False, None)} == pytest.approx(
        {True: 0.4, False: 0.22, None: 0.38}, abs=0.13
    )


def test_some_examples_have_chords_at_cadences_or_in_some_bars_alone(make_source):
    source = make_source(shares=only("harmonize"))
    types = source.layout.vocabulary.types
    shares = {True: [], False: []}  # of the beats that have a chord, written or given
    for epoch in range(15):
        for index in range(6):
            example = source.example(index, epoch)
            chords = [place for place, token_id in enumerate(example.ids) if types[token_id] == "Quality"]
            beats = [place for place, token_id in enumerate(example.ids) if types[token_id] == "Ahead"]
            if chords:
                shares[example.loss_mask[chords[0]]].append(4 * len(chords) / len(beats))
    assert min(shares[False]) < 0.5 < 0.9 < max(shares[False])
    assert sum(share < 0.7 for share in shares[True]) > len(shares[True]) * 0.9


def test_ornaments_and_other_meters_are_drawn_as_often_as_asked(make_source, layout, at_tonic):
    pieces = [piece for piece, _ in at_tonic]

    def shares(**values):
        data = replace(DataConfig(transpose=False), **values)
        source = make_source(stored(layout, at_tonic), shares=only("harmonize"), data=data)
        changed = []
        for epoch in range(12):
            for index in (0, 1, 2, 5):
                drawn = source.layout.decode(source.example(index, epoch).ids).piece
                lower = (1, 2, 3)
                changed.append((drawn.keep_voices(lower) != pieces[index].keep_voices(lower), drawn != pieces[index]))
        return [sum(column) / len(changed) for column in zip(*changed, strict=True)]

    assert shares() == [0, 0]
    assert shares(ornaments=0.5) == [0, pytest.approx(0.5, abs=0.2)]
    moved, changed = shares(other_meters=0.8)
    assert 0.4 < moved == changed <= 0.8


def test_a_cut_example_does_not_say_that_it_ends(make_source):
    source = make_source(shares=only("harmonize"), data=DataConfig(transpose=False), max_tokens=300)
    types = source.layout.vocabulary.types
    for epoch in range(5):
        for index in range(6):
            example = source.example(index, epoch)
            assert not any(types[token_id] == "Left" for token_id in example.ids)


def test_unmarked_phrases_are_not_counted(make_source, layout, hinted_chorales):
    pieces = stored(layout, [(piece, ()) for piece, _ in hinted_chorales.values()])
    source = make_source(pieces)
    examples = (source.example(index, epoch) for epoch in range(6) for index in range(6))
    assert not any(layout.vocabulary.types[token_id] == "Phrase" for example in examples for token_id in example.ids)


def test_a_piece_whose_key_is_told_is_seen_at_the_common_tonic(make_source, hinted_chorales):
    source = make_source(shares=only("continue_"))
    names = source.layout.vocabulary.names
    modes = [known.key.is_major for _, known in hinted_chorales.values()]
    keys = []
    for index, epoch in itertools.product(range(6), range(12)):
        example = source.example(index, epoch)
        said = [names[token_id] for token_id in example.ids if names[token_id].startswith("Key")]
        if said:
            key = closing_key(sounding_notes(source.layout.decode(example.ids).piece))
            assert key == (0, modes[index])
            assert said == [f"Key_0-{'major' if modes[index] else 'minor'}"]
        keys += said or [None]
    assert keys.count(None) / len(keys) == pytest.approx(0.25, abs=0.12)


@pytest.mark.parametrize("lines", [{"soprano": "C5 D5 E5 C5"}, {"soprano": "C5:4", "bass": "C3:4"}, {}])
def test_small_and_silent_pieces_are_examples_too(make_source, layout, lines):
    piece = small_piece(layout.vocabulary, [(4, 4)], **lines)
    source = make_source(stored(layout, [(piece, ())]))
    tasks = set()
    for epoch in range(20):
        decoded = layout.decode(source.example(0, epoch).ids)
        assert (decoded.piece.num_notes > 0) == bool(lines)
        tasks.add(decoded.task)
    assert tasks == ({*Task} if "bass" in lines else {Task.CONTINUE})
