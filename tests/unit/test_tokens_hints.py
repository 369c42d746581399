"""The hints in a stream, token by token, and how they move with the piece."""

from dataclasses import replace

import numpy as np
import pytest
from small_pieces import small_piece

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.harmony import ChordLabel, PieceKey, beat_chords, beats, chord_name
from descant_tokenizers.tokens.hint_tokens import HINT_TOKENS
from descant_tokenizers.tokens.hints import Annotations, Guide, HintIds, cadence_beats, has_hints
from descant_tokenizers.tokens.piece import StreamError
from descant_tokenizers.tokens.tasks import LayoutConfig, Task, TaskLayout, cut
from descant_tokenizers.tokens.train_bpe import train_tokenizer
from descant_tokenizers.tokens.vocabulary import Vocabulary

S, B, A, T = range(4)  # ranks of the voices
SPECIAL = {"Bar": "|", "BOS": "<", "EOS": ">", "CONTINUE": "C", "HARMONIZE": "H", "INFILL": "I"}
KNOWN = Annotations((192, 576), PieceKey(0, True), harmonic_rhythm="beat")


@pytest.fixture(scope="module")
def layout(hint_vocabulary):
    return TaskLayout(hint_vocabulary, LayoutConfig(hints=True, styles=("bach",)))


@pytest.fixture(scope="module")
def piece(hint_vocabulary):
    """Two bars in C major: I V I, V I; the last beat is silent in soprano."""
    return small_piece(
        hint_vocabulary,
        [(4, 4), (4, 4)],
        soprano="E5 D5 C5:2 D5:2 C5 -",
        alto="G4 B4 E4 - B4:2 E4:2",
        bass="C3 G3 C3:2 G2:2 C3:2",
    )


def read(layout, ids):
    """Return a stream in short: `@1` is the second beat, `(2 hold)` what is ahead, `[G]` a chord."""
    vocabulary, words = layout.vocabulary, []
    for i in ids:
        kind, value = vocabulary.types[i], vocabulary.values[i]
        if i in vocabulary.voice_of:
            words.append("SBAT"[vocabulary.voice_of[i]])
        elif kind == "Pitch":
            words[-1] += value
        elif kind == "Position":
            words.append(f"@{int(value) / 24:g}")
        elif kind == "Ahead":
            beat, _, sound = value.partition("-")
            words += [f"({sound})"]
            if beat != "1":
                words[-2:] = [f"{words[-2][:-1]} {sound})"]
        elif kind == "Root":
            words.append(f"[{value}")
        elif kind == "Quality" and value != "none":
            quality, _, inversion = value.rpartition("-")
            root = int(words.pop()[1:])
            words.append(f"[{chord_name(ChordLabel(root, quality, int(inversion)))}]")
        elif kind == "Quality":
            words.append("[none]")
        elif kind in SPECIAL:
            words.append(SPECIAL[kind])
        elif kind not in ("TimeSig", "Duration"):
            words.append(f"{kind.lower()}{value}")
    return " ".join(words)


def predicted(layout, encoded):
    """Return the tokens with a loss, in short."""
    return read(layout, [i for i, has_loss in zip(encoded.ids, encoded.loss_mask, strict=True) if has_loss])


def test_every_hint_is_one_token(layout, hint_vocabulary, vocabulary):
    assert len(set(HINT_TOKENS)) == len(HINT_TOKENS)
    for name in HINT_TOKENS:
        assert hint_vocabulary.names.count(name) == 1
        i = hint_vocabulary.names.index(name)
        assert hint_vocabulary.base_ids(i) == (i,)
    assert has_hints(hint_vocabulary)
    assert not has_hints(vocabulary)
    hints = HintIds(hint_vocabulary)
    used = {
        *(hints.key(PieceKey(tonic, mode)) for tonic in range(12) for mode in (True, False)),
        *(hints.harmonic_rhythm(name) for name in ("note", "beat", "half-bar", "bar")),
        *(hints.ahead(beat, sound) for beat in range(1, 5) for sound in (*range(12), "hold", "rest")),
        *(hints.after(voice, pitch) for voice in range(4) for pitch in range(60, 72)),
        *(hints.bars_left(number) for number in range(1, 9)),
        *(hints.gap_left(number) for number in range(1, 9)),
        *(hints.beats_left(number) for number in range(16)),
        *hints.chord_ids(),
        *hints.kind_of,
    }
    assert {hint_vocabulary.names[i] for i in used} == set(HINT_TOKENS)
    assert (hints.bars_left(99), hints.gap_left(99)) == (hints.bars_left(8), hints.gap_left(8))
    assert hints.beats_left(99) == hints.beats_left(15)


def test_a_layout_with_hints_needs_their_tokens_and_no_merged_ones(vocabulary, hint_vocabulary, hinted_chorales):
    pieces = [piece for piece, _ in hinted_chorales.values()]
    trained = train_tokenizer(hint_vocabulary.tokenizer, pieces, hint_vocabulary.size + 50, "BPE")
    for other in (vocabulary, Vocabulary(trained)):
        with pytest.raises(InputError, match=r"^layout\.hints needs a tokenizer with hint tokens and without merged"):
            TaskLayout(other, LayoutConfig(hints=True))


HARMONY = (
    "< H B key0-major harmonybeat "
    "| left2 @0 S76 A67 (2 0 hold 2) (11 4) phrase2 [C] B48 "
    "@1 S74 A71 (0 hold 2 hold) (4 rest) phrase1 [G] B55 "
    "@2 S72 A64 (hold 2 hold 0) (rest 11) phrase0 [C] B48 "
    "| left1 @0 S74 A71 (hold 0 rest rest) (hold 4) phrase2 [G] B43 "
    "@2 S72 A64 (rest rest rest rest) (hold rest) phrase0 [C] B48 >"
)


def test_given_notes_stand_first_and_what_is_ahead_follows_them(layout, piece):
    known = replace(KNOWN, chords=beat_chords(piece), writes_chords=True)
    encoded = layout.encode(piece, Task.HARMONIZE, (B,), annotations=known)
    assert read(layout, encoded.ids) == HARMONY
    assert predicted(layout, encoded) == ("@0 [C] B48 @1 [G] B55 @2 [C] B48 | @0 [G] B43 @2 [C] B48 >")


def test_given_chords_are_context(layout, piece):
    chords = {**beat_chords(piece), 192: None}
    encoded = layout.encode(piece, Task.HARMONIZE, (B,), annotations=replace(KNOWN, chords=chords))
    assert read(layout, encoded.ids) == HARMONY.replace("phrase0 [C] B48 |", "phrase0 [none] B48 |")
    assert predicted(layout, encoded) == "@0 B48 @1 B55 @2 B48 | @0 B43 @2 B48 >"


def test_hints_that_are_not_known_are_left_out(layout, piece):
    encoded = layout.encode(piece, Task.HARMONIZE, (B,), style="bach", annotations=Annotations(ends=False))
    assert read(layout, encoded.ids) == (
        "< H stylebach B "
        "| @0 S76 A67 (2 0 hold 2) (11 4) B48 @1 S74 A71 (0 hold 2 hold) (4 rest) B55 "
        "@2 S72 A64 (hold 2 hold 0) (rest 11) B48 "
        "| @0 S74 A71 (hold 0 rest rest) (hold 4) B43 @2 S72 A64 (rest rest rest rest) (hold rest) B48 >"
    )
    by_default = layout.encode(piece, Task.HARMONIZE, (B,))
    assert read(layout, by_default.ids).startswith("< H B | left2 @0")


def test_the_highest_given_voice_is_shown_furthest(layout, piece):
    encoded = layout.encode(piece, Task.HARMONIZE, (A,), annotations=Annotations(ends=False))
    assert read(layout, encoded.ids).startswith("< H A | @0 S76 B48 (2 0 hold 2) (7 0) A67 @1 S74 B55 (0 hold 2 hold)")
    encoded = layout.encode(piece.transpose(0).keep_voices([A, B]), Task.HARMONIZE, (B,), annotations=KNOWN)
    assert read(layout, encoded.ids).startswith(
        "< H B key0-major harmonybeat | left2 @0 A67 (11 4 rest 11) phrase2 B48"
    )


def test_there_are_no_hints_off_the_beat(layout, hint_vocabulary):
    piece = small_piece(hint_vocabulary, [(2, 4)], soprano="E5:1/2 D5:1/2 C5", bass="C3:1/2 B2:1/2 A2")
    known = Annotations((96,), chords=beat_chords(piece), writes_chords=True)
    encoded = layout.encode(piece, Task.HARMONIZE, (B,), annotations=known)
    assert read(layout, encoded.ids) == (
        "< H B | left1 @0 S76 (0 rest rest rest) phrase1 [C] B48 @0.5 S74 B47 "
        "@1 S72 (rest rest rest rest) phrase0 [Am] B45 >"
    )


def test_beats_of_a_compound_meter_and_a_phrase_end_between_beats(layout, hint_vocabulary):
    piece = small_piece(
        hint_vocabulary, [(3, 8), (6, 8)], soprano="G4:3/2 C5:1 D5:1/2 E5:3/2", bass="C3:3/2 C3:3/2 G2:3/2"
    )
    known = Annotations((144 + 96, 288), ends=False)
    encoded = layout.encode(piece, Task.HARMONIZE, (B,), annotations=known)
    assert read(layout, encoded.ids) == (
        "< H B | @0 S67 (0 4 rest rest) phrase1 B48 "
        "| @0 S72 (4 rest rest rest) phrase0 B48 @2 S74 @3 S76 (rest rest rest rest) phrase0 B43 >"
    )


def test_a_countdown_is_in_beats_of_every_meter_on_the_way(layout, hint_vocabulary):
    piece = small_piece(
        hint_vocabulary, [(3, 4), (6, 8), (1, 2)], soprano="C5 D5 C5 E5:3/2 F5:3/2 G5:2", bass="C3:3 C3:3 C3:2"
    )
    encoded = layout.encode(piece, Task.HARMONIZE, (B,), annotations=Annotations((576,), ends=False))
    counted = [word for word in read(layout, encoded.ids).split() if word.startswith("phrase")]
    assert counted == ["phrase5", "phrase4", "phrase3", "phrase2", "phrase1", "phrase0"]


@pytest.fixture(scope="module")
def four_bars(hint_vocabulary):
    return small_piece(hint_vocabulary, [(2, 4)] * 4, soprano="C5 D5 E5 F5 G5 A5 C5 B4", bass="C3:2 D3:2 E3 F3 G3:2")


def test_a_gap_says_how_long_it_is_and_what_comes_after_it(layout, four_bars):
    known = Annotations(phrase_ends=(0, 672), ends=True)
    encoded = layout.encode(four_bars, Task.INFILL, (S, B), [1, 2], annotations=known)
    assert read(layout, encoded.ids) == (
        "< I S B | @0 S72 B48 @1 S74 "
        "| left3 gap2 after0-0 after1-7 @0 gap4 after0-0 after1-7 S76 B50 @1 gap3 after0-0 after1-7 S77 "
        "| left2 gap1 after0-0 after1-7 @0 gap2 after0-0 after1-7 S79 B52 @1 gap1 after0-0 after1-7 S81 B53 |"
    )
    assert predicted(layout, encoded) == "@0 S76 B50 @1 S77 | @0 S79 B52 @1 S81 B53 |"
    assert encoded.loss_mask[-1], "the model decides where the last bar ends"


def test_in_a_gap_the_given_voices_are_shown(layout, four_bars):
    known = Annotations(phrase_ends=(0, 672), ends=False)
    encoded = layout.encode(four_bars, Task.INFILL, (B,), [1], annotations=known)
    assert read(layout, encoded.ids) == (
        "< I B | @0 S72 B48 @1 S74 | gap1 after1-4 @0 S76 (5 7 9 0) gap2 after1-4 phrase5 B50 "
        "@1 S77 (7 9 0 11) gap1 after1-4 phrase4 |"
    )


def test_only_the_last_four_beats_of_a_gap_repeat_what_follows_it(layout, hint_vocabulary):
    piece = small_piece(hint_vocabulary, [(3, 4)] * 4, soprano="C5 D5 E5 F5 G5 A5 C5 B4 A4 C5:3")
    encoded = layout.encode(piece, Task.INFILL, (S,), [1, 2], annotations=Annotations(ends=False))
    assert read(layout, encoded.ids) == (
        "< I S | @0 S72 @1 S74 @2 S76 | gap2 after0-0 @0 S77 @1 S79 @2 gap4 after0-0 S81 "
        "| gap1 after0-0 @0 gap3 after0-0 S72 @1 gap2 after0-0 S71 @2 gap1 after0-0 S69 |"
    )


def test_chords_at_cadences_alone(layout, piece, hint_vocabulary):
    line = small_piece(hint_vocabulary, [(4, 4)] * 2, soprano="C5 D5 E5 F5 E5:3/2 D5:1/2 C5:2", bass="C3:4 C3:4")
    known = Annotations((288, 528, 576), writes_chords=True)
    assert sorted(tick // 96 for tick in cadence_beats(line, known.phrase_ends)) == [1, 2, 3, 4, 5, 6]
    assert cadence_beats(line, (0, 96)) == {0, 96}
    assert cadence_beats(line, None) == frozenset()
    guide = Guide(HintIds(hint_vocabulary), hint_vocabulary, line, (B,), range(2), replace(known, phrase_ends=(288,)))
    assert [guide.chord_at(0, beat * 96) for beat in range(4)] == [False, True, True, True]
    assert guide.chord_at(1, 0) is False
    given = replace(known, chords={0: ChordLabel(0, "maj", 0)}, phrase_ends=(288,))
    guide = Guide(HintIds(hint_vocabulary), hint_vocabulary, line, (B,), range(2), given)
    assert guide.chord_at(0, 0) == ChordLabel(0, "maj", 0), "a given chord is shown wherever it stands"


def test_a_gap_at_the_end_has_nothing_after_it(layout, four_bars):
    encoded = layout.encode(four_bars, Task.INFILL, (B,), [3])
    assert read(layout, encoded.ids).endswith("| left1 @0 S72 (11 rest rest rest) B55 @1 S71 (rest rest rest rest) >")


def test_a_continuation_knows_its_key_and_end_and_every_note_of_it_is_predicted(layout, four_bars):
    known = Annotations(key=PieceKey(9, False))
    encoded = layout.encode(four_bars, Task.CONTINUE, (S, B), annotations=known)
    text = read(layout, encoded.ids)
    assert text == (
        "< C S B key9-minor | left4 @0 S72 B48 @1 S74 | left3 @0 S76 B50 @1 S77 "
        "| left2 @0 S79 B52 @1 S81 B53 | left1 @0 S72 B55 @1 S71 >"
    )
    assert predicted(layout, encoded) == " ".join(word for word in text.split()[5:] if not word.startswith("left"))
    plain = layout.encode(four_bars, Task.CONTINUE, (S, B))
    assert read(layout, plain.ids) == "< C S B " + predicted(layout, encoded)
    chords = beat_chords(four_bars)
    encoded = layout.encode(
        four_bars, Task.CONTINUE, (S, B), annotations=Annotations(ends=False, chords=chords, writes_chords=True)
    )
    assert read(layout, encoded.ids).startswith("< C S B | @0 [none] S72 B48 @1 [none] S74 | @0")
    assert predicted(layout, encoded).startswith("| @0 [none] S72 B48 @1 [none] S74 | @0")


def streams(layout, piece, known):
    """Yield examples of every task over a piece."""
    chords = beat_chords(piece)
    for shown in (known, replace(known, chords=chords), replace(known, chords=chords, writes_chords=True)):
        for voices in ((B, A, T), (A, T), (S,)):
            yield layout.encode(piece, Task.HARMONIZE, voices, annotations=shown)
            yield layout.encode(piece, Task.INFILL, voices, [2, 3], annotations=shown)
        yield layout.encode(piece, Task.INFILL, (S, B, A, T), [len(piece.bars) - 1], annotations=shown)
        yield layout.encode(piece, Task.CONTINUE, (S, B, A, T), annotations=shown)


@pytest.mark.parametrize("name", ["bwv66.6", "bwv119.9", "bwv123.6"])
def test_a_stream_is_read_back_without_its_hints(layout, hinted_chorales, name):
    piece, known = hinted_chorales[name]
    for encoded in streams(layout, piece, known):
        decoded = layout.decode(encoded.ids)
        last = len(piece.bars) if decoded.task is not Task.INFILL else decoded.bars[-1] + 1
        assert decoded.piece.bars == piece.bars[:last]
        if decoded.task is not Task.CONTINUE:
            assert decoded.context == cut(decoded.piece, decoded.voices, decoded.bars)
    infill = layout.encode(piece, Task.INFILL, (A, T), [2, 3], style="bach", annotations=known)
    decoded = layout.decode(infill.ids)
    assert (decoded.task, decoded.style, decoded.voices, decoded.bars) == (Task.INFILL, "bach", (A, T), (2, 3))
    assert layout.decode(layout.encode(piece, Task.HARMONIZE, (A,)).ids).bars == tuple(range(len(piece.bars)))


def test_a_gap_without_any_hint_is_not_found(layout, four_bars):
    encoded = layout.encode(four_bars, Task.INFILL, (S, B), [3], annotations=Annotations(ends=False))
    decoded = layout.decode(encoded.ids)
    assert (decoded.piece, decoded.bars) == (four_bars, ())
    assert layout.decode(layout.prefix(Task.INFILL, (S,))).piece.bars == ()


def test_a_stream_that_breaks_off_is_refused_at_its_place(layout, piece):
    ids = layout.encode(piece, Task.HARMONIZE, (B,), annotations=KNOWN).ids
    place = ids.index(layout.vocabulary.pitch_id[48])
    for broken, index in ((ids[:place], place), ([*ids[:place], ids[0], *ids[place + 1 :]], place)):
        with pytest.raises(StreamError, match="expected Pitch and Duration") as refused:
            layout.decode(broken)
        assert refused.value.index == index - 3  # counted from the end of the prefix


@pytest.mark.parametrize("name", ["bwv36.8-2", "bwv269"])
def test_annotations_move_with_the_piece(layout, hinted_chorales, name):
    piece, known = hinted_chorales[name]
    known = replace(known, chords=beat_chords(piece), writes_chords=True)
    for shift in (-3, 2):
        moved = known.transpose(shift)
        assert moved.chords == beat_chords(piece.transpose(shift))
        assert moved.key.tonic == (known.key.tonic + shift) % 12
        assert moved.phrase_ends == known.phrase_ends
    assert known.transpose(5).transpose(-5) == known
    start = piece.bar_starts_ticks()[2]
    shifted = known.shift(start)
    rest = type(piece)(piece.bars[2:])
    assert shifted.chords == beat_chords(rest)
    assert set(shifted.chords) == set(beats(rest))
    assert shifted.phrase_ends == tuple(end - start for end in known.phrase_ends if end >= start)
    assert Annotations().shift(96) == Annotations().transpose(3) == Annotations()
    encoded = layout.encode(rest, Task.HARMONIZE, (B, A, T), annotations=shifted)
    whole = layout.encode(piece, Task.HARMONIZE, (B, A, T), annotations=known)
    bars = [
        list(encoded.ids).index(layout.vocabulary.bar_id),
        np.flatnonzero(np.array(whole.ids) == layout.vocabulary.bar_id)[2],
    ]
    assert encoded.ids[bars[0] :] == whole.ids[bars[1] :]
