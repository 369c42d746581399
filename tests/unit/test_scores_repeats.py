"""The order in which repeated music is played, and scores written out in that order."""

from __future__ import annotations

import pytest
from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import Limits, bars_of
from descant_tokenizers.scores.jumps import jump_of
from descant_tokenizers.scores.marks import Lyric, Marks, RepeatSign, SignKind, Words
from descant_tokenizers.scores.measures import Measure
from descant_tokenizers.scores.repeats import Notation, Span, play_order
from descant_tokenizers.scores.unfolding import with_bars

SIGNS: dict[str, tuple[SignKind, tuple[int, ...]]] = {
    ":|": ("end", ()),
    "::|": ("end", (3,)),
    "||": ("double", ()),
    "|:": ("start", ()),
    "[1": ("ending", (1,)),
    "[2": ("ending", (2,)),
    "[3": ("ending", (3,)),
    "[13": ("ending", (1, 3)),
    "segno": ("segno", ()),
    "coda": ("coda", ()),
    "tocoda": ("to coda", ()),
    "fine": ("fine", ()),
    "dc": ("da capo", ()),
    "ds": ("dal segno", ()),
}


def parse(text: str) -> tuple[list[RepeatSign], int]:
    """Read signs between bars that are single letters of one quarter each; `P=A` begins a part, others have labels."""
    signs, time = [], 0
    for word in text.split():
        if len(word) == 1:
            time += 1
        elif word.startswith("P="):
            signs.append(RepeatSign(time, "part", label=word[2]))  # type: ignore[arg-type]  # whole quarters
        else:
            name, _, label = word.partition("=")
            signs.append(RepeatSign(time, *SIGNS[name], label=label))  # type: ignore[arg-type]
    return signs, time


def played(text: str, part_order: str = "") -> str:
    signs, end = parse(text)
    bars = "".join(word for word in text.split() if len(word) == 1)
    spans = play_order(signs, end, part_order)  # type: ignore[arg-type]
    return "".join(bars[int(span.start) : int(span.end)] for span in spans)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("a b c", "abc"),
        ("|: a b :| c", "ababc"),
        ("a b :| c d :|", "ababcdcd"),  # no start: from the latest end
        ("a || b c :|", "abcbc"),  # or from the latest double bar
        ("|: a || b :|", "abab"),  # which is no start inside a section that has one
        ("|: a ::| b", "aaab"),
        ("|: a [1 b :| [2 c || d", "abacd"),
        ("a [1 b :| [2 c || d :|", "abacdd"),
        ("|: a [1 b :| [2 c :| [3 d || e", "abacade"),
        ("|: a [13 b :| [2 c :| d", "abacabd"),
        ("|: a [1 b :| [2 c |: d :|", "abacdd"),
        ("|: a [1 b [2 c || d", "abacd"),  # the first ending lacks its repeat sign
        ("|: a [1 b :| c", "abac"),  # no second ending
        ("a fine b dc", "aba"),
        ("a b dc", "abab"),
        ("|: a :| b fine c dc", "aabcab"),  # no repeats after a da capo
        ("|: a [1 b :| [2 c fine || d dc", "abacdac"),
        ("a segno b fine c ds", "abcb"),
        ("a tocoda b dc coda c", "abac"),
        ("a segno b tocoda c ds coda d", "abcbd"),
        ("a :| b :| dc", "aabbab"),
        ("a segno b ds segno c ds d", "abbccd"),  # back to the latest segno
        ("a segno=x b segno=y c ds=x d", "abcbcd"),  # or to that of the jump's label
        ("a tocoda=x b tocoda=y c dc coda=x d coda=y e", "abcade"),
        ("a tocoda=y b tocoda=x c dc coda=x d coda=y e", "abcae"),
        ("a coda b tocoda c dc", "abcabc"),  # no coda behind it
        ("||", ""),
        (":| a", "a"),
    ],
)
def test_music_is_played_in_the_order_of_its_signs(text: str, order: str) -> None:
    assert played(text) == order


@pytest.mark.parametrize(
    ("text", "part_order", "order"),
    [
        ("P=A a P=B b", "", "ab"),
        ("P=A a P=B b", "ABA", "aba"),
        ("P=A |: a :| P=B b c :|", "ABA", "aabcbcaa"),
        ("P=A a [1 b :| [2 c || P=B d", "ABA", "abacdabac"),
        ("x P=A a P=B b", "BA", "xba"),
        ("P=A a", "AZA", "aa"),
    ],
)
def test_parts_are_played_in_their_order(text: str, part_order: str, order: str) -> None:
    assert played(text, part_order) == order


def test_endless_orders_are_refused() -> None:
    signs = [RepeatSign(time, "ending" if time % 2 else "end", tuple(range(1, 99))) for time in range(1, 200)]  # type: ignore[arg-type]
    with pytest.raises(InputError, match="repeats music more than 5,000 times"):
        play_order(signs, 200)  # type: ignore[arg-type]


def notation(text: str, **more: object) -> Notation:
    """A bar of one whole note for each letter, from middle C upward."""
    signs, end = parse(text)
    score = ScoreTick(480)
    score.tracks.append(TrackTick("Voice"))
    for index in range(end):
        score.tracks[0].notes.append(NoteTick(1920 * index, 1920, 60 + index, 80))
    signs = [RepeatSign(4 * sign.time, sign.kind, sign.passes, sign.label) for sign in signs]
    measures = [Measure(4 * index, 4, 4, 4) for index in range(end)]  # type: ignore[arg-type]
    return Notation(score, measures, signs, **more)  # type: ignore[arg-type]


def test_a_score_is_written_out_with_its_events_and_marks() -> None:
    source = notation("|: a b :| c", fermatas_ticks=(1920,))
    source.score.key_signatures.append(KeySignatureTick(0, 1, 0))
    source.score.key_signatures.append(KeySignatureTick(1920, -1, 0))
    source.score.tempos.append(TempoTick(0, qpm=90))
    marks = Marks(
        {(0, 4, 61): (Lyric("la", "single", 1),)},  # type: ignore[dict-item]
        ("Voice",),
        {(4, 61): 8},  # type: ignore[dict-item]
        chords=(Words(4, "Am"),),  # type: ignore[arg-type]
    )
    result = with_bars(Notation(source.score, source.measures, source.signs, marks, (1920,)), Limits(), unfold=True)
    assert [(note.time // 1920, note.pitch) for note in result.score.tracks[0].notes] == [
        *((0, 60), (1, 61), (2, 60), (3, 61), (4, 62))
    ]
    assert [(event.time // 1920, event.key) for event in result.score.key_signatures] == [
        *((0, 1), (1, -1), (2, 1), (3, -1))
    ]
    assert [event.time for event in result.score.tempos] == [0]
    assert result.fermatas_ticks == (1920, 5760)
    assert sorted(result.marks.lyrics) == [(0, 4, 61), (0, 12, 61)]
    assert result.marks.fermatas == {(4, 61): 8, (12, 61): 16}
    assert [each.onset for each in result.marks.chords] == [4, 12]
    assert result.marks.repeats == ()
    assert len(bars_of(result.score)) == 5


def test_a_score_as_written_keeps_its_signs() -> None:
    result = with_bars(notation("|: a b :| c"), Limits(), unfold=False)
    assert len(result.score.tracks[0].notes) == 3
    assert [sign.kind for sign in result.marks.repeats] == ["start", "end"]


def test_a_pickup_and_the_short_bar_before_a_repeat_sign_make_a_bar() -> None:
    lengths = [1, 4, 3]
    onsets = [0, 1, 5]
    measures = [Measure(onset, length, 4, 4) for onset, length in zip(onsets, lengths, strict=True)]  # type: ignore[arg-type]
    score = ScoreTick(480)
    score.tracks.append(TrackTick("Voice"))
    for onset, length in zip(onsets, lengths, strict=True):
        score.tracks[0].notes.append(NoteTick(480 * onset, 480 * length, 60 + onset, 80))
    signs = [RepeatSign(8, "end")]  # type: ignore[arg-type]
    result = with_bars(Notation(score, measures, signs), Limits(), unfold=True)
    assert [bar.length_ticks // 480 for bar in bars_of(result.score)] == [1, 4, 4, 4, 4]
    assert [(event.numerator, event.denominator) for event in result.score.time_signatures] == [(1, 4), (4, 4)]


def test_a_note_held_into_an_ending_is_struck_again() -> None:
    source = notation("|: a [1 b :| [2 c")
    source.score.tracks[0].notes[0].duration = 2 * 1920
    source.score.tracks[0].notes[1].pitch = 40
    source.score.tracks[0].notes[2].time = 2 * 1920 + 480
    source.score.tracks[0].notes[2].duration = 1440
    result = with_bars(source, Limits(), unfold=True)
    assert [(note.time, note.duration) for note in result.score.tracks[0].notes if note.pitch == 60] == [
        *((0, 3840), (3840, 1920))
    ]


def test_what_grows_beyond_the_limits_is_refused() -> None:
    with pytest.raises(InputError, match="over 4 notes when its repeats are played"):
        with_bars(notation("|: a b c :|"), Limits(max_notes=4), unfold=True)
    with pytest.raises(InputError, match="has over 4 bars when its repeats are played"):
        with_bars(notation("|: a b c :|"), Limits(max_bars=2), unfold=True)


def test_stretches_are_joined() -> None:
    signs, _ = parse("|: a || b :| c")
    assert play_order(signs, 3) == [Span(0, 2), Span(0, 3)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "sign"),
    [
        *(("D.S. al \U0001d10c", "dal segno"), ("Dal \U0001d10b al Fine", "dal segno"), ("dal %", "dal segno")),
        *(("To \u2295", "to coda"), ("al Coda", "to coda"), ("\u2295 Coda", "coda"), ("(Fine)", "fine")),
        *(("Fine.", "fine"), ("a fine day", None), ("to Codex", None), ("dal tempo", None), ("%", None)),
    ],
)
def test_jumps_in_words_may_have_signs(words: str, sign: str | None) -> None:
    assert jump_of(words) == sign
