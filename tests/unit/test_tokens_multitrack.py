"""Scores of any instruments on the token grid: what is refused, what is changed and said, what is exact."""

import pytest
import symusic

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.encode import decode_piece, encode_score


def band(*tracks, signatures=((0, 4, 4),), tempos=((0, 120),), ticks_per_quarter=480):
    """A score of tracks given as (program or -1, notes), a note as (onset, duration, pitch, velocity)."""
    score = symusic.Score(ticks_per_quarter)
    for program, notes in tracks:
        track = symusic.Track("", max(program, 0), program < 0)
        track.notes.extend([symusic.Note(*note) for note in notes])
        score.tracks.append(track)
    score.time_signatures.extend([symusic.TimeSignature(*signature) for signature in signatures])
    score.tempos.extend([symusic.Tempo(*tempo) for tempo in tempos])
    return score


PIANO = (0, [(0, 480, 60, 79), (0, 480, 64, 79), (480, 240, 60, 83)])


def test_programs_drums_chords_velocities_and_tempos_are_kept(gm_vocabulary):
    score = band(PIANO, (127, [(0, 1920, 127, 3)]), (-1, [(0, 120, 0, 127)]), tempos=((0, 60), (960, 240)))
    encoded = encode_score(gm_vocabulary, score)
    assert encoded.changes == ()
    (bar,) = encoded.piece.bars
    assert [(gm_vocabulary.programs[n.voice], n.pitch, n.velocity) for n in bar.notes] == [
        (0, 60, 79),
        (0, 64, 79),
        (127, 127, 3),
        (-1, 0, 127),
        (0, 60, 83),
    ]
    assert bar.tempos == ((0, 60.0), (192, 240.0))
    back = decode_piece(gm_vocabulary, encoded.piece)
    assert [(track.program, track.is_drum, track.name) for track in back.tracks] == [
        (0, False, "Acoustic Grand Piano"),
        (127, False, "Gunshot, Machine Gun, Lasergun, Explosion"),
        (0, True, "Drums"),
    ]


@pytest.mark.parametrize(
    ("score", "changes"),
    [
        (band(PIANO, (0, [(0, 480, 48, 79)])), ["tracks 1, 2 are one voice: Acoustic Grand Piano"]),
        (
            band(PIANO, (0, [(0, 960, 60, 79)])),
            [
                "tracks 1, 2 are one voice: Acoustic Grand Piano",
                "notes dropped to fit the grid: 1",
                "notes given another length to fit the grid: 1",
            ],
        ),
        (band((0, [(0, 480, 60, 80)])), ["velocities rounded: 1"]),
        (band((0, [(7, 480, 60, 79)])), ["notes moved to fit the grid: 1"]),
        (band((0, [(0, 480 * 20, 60, 79)])), ["notes given another length to fit the grid: 1"]),
        (
            band(PIANO, tempos=((0, 121), (480, 122))),
            ["tempos rounded: 2", "tempos dropped that the rounded ones repeat: 1"],
        ),
        (band(PIANO, signatures=((0, 24, 16),)), ["bars written in another time signature: 24/16 as 12/8"]),
        (band(PIANO, signatures=((0, 5, 32),)), None),
        (band(PIANO, signatures=((0, 13, 8),)), None),
        (band(PIANO, signatures=((0, 4, 4), (540, 4, 4))), None),
        (
            band((0, [(0, 480, 60, 79), (460, 480, 62, 79)]), signatures=((0, 4, 4), (460, 4, 4))),
            ["bars whose length was rounded to a 16th: 1"],
        ),
    ],
)  # fmt: skip
def test_what_the_vocabulary_changes_is_said(gm_vocabulary, score, changes):
    if changes is None:
        with pytest.raises(InputError, match=r"time signature"):
            encode_score(gm_vocabulary, score)
    else:
        assert list(encode_score(gm_vocabulary, score).changes) == changes


def test_the_kit_of_drums_is_said_to_be_lost(gm_vocabulary):
    score = band((-1, [(0, 480, 36, 79)]))
    score.tracks[0].program = 25
    assert encode_score(gm_vocabulary, score).changes == ("drum tracks without their own kit: 1",)


def test_a_pitch_struck_again_ends_the_note_before(gm_vocabulary):
    score = band((0, [(0, 960, 60, 79)]), (0, [(480, 480, 60, 79), (480, 480, 62, 79)]))
    (bar,) = encode_score(gm_vocabulary, score).piece.bars
    assert [(n.offset_ticks, n.pitch, n.duration_ticks) for n in bar.notes] == [(0, 60, 96), (96, 60, 96), (96, 62, 96)]


def test_bars_keep_their_places_at_any_resolution(gm_vocabulary):
    """miditok rounds the places of time signatures down, which would shift every bar after them."""
    for ticks in (24, 96, 120, 220, 480, 1000, 1023, 32767):
        bar_ticks = 3 * ticks
        signatures = tuple((number * bar_ticks, 3 + number % 2, 4) for number in (0,))
        notes = [(number * bar_ticks, ticks, 60, 79) for number in range(50)]
        piece = encode_score(gm_vocabulary, band((0, notes), signatures=signatures, ticks_per_quarter=ticks)).piece
        assert [[n.offset_ticks for n in bar.notes] for bar in piece.bars] == [[0]] * 50


@pytest.mark.parametrize("ticks", [480, 30])
def test_a_bar_line_a_little_off_moves_nothing_in_the_bars_behind_it(gm_vocabulary, ticks):
    """Notation programs leave such bars after grace notes."""
    short = 4 * ticks - ticks // 30
    signatures = ((0, 4, 4), (short, 4, 4))
    notes = [(0, ticks, 60, 79), (short, ticks, 62, 79), (short + 5 * ticks, ticks, 64, 79)]
    encoded = encode_score(gm_vocabulary, band((0, notes), signatures=signatures, ticks_per_quarter=ticks))
    bars = encoded.piece.bars
    assert [bar.meter[:2] for bar in bars] == [(4, 4)] * 3
    assert [[(n.offset_ticks, n.duration_ticks, n.pitch) for n in bar.notes] for bar in bars] == [
        [(0, 96, 60)],
        [(0, 96, 62)],
        [(96, 96, 64)],
    ]
    assert encoded.changes == ("bars whose length was rounded to a 16th: 1",)


def test_a_score_without_notes_is_refused(gm_vocabulary):
    with pytest.raises(InputError, match="no notes"):
        encode_score(gm_vocabulary, band((0, [])))


def test_the_score_given_is_left_as_it_was(gm_vocabulary):
    score = band(PIANO, (-1, [(0, 120, 36, 100)]))
    before = score.copy()
    encode_score(gm_vocabulary, score)
    assert score == before


def test_a_last_bar_of_another_meter_into_which_notes_are_only_held_is_kept(gm_vocabulary):
    score = band((0, [(0, 480 * 5, 60, 79)]), signatures=((0, 3, 4), (480 * 3, 4, 4)))
    piece = encode_score(gm_vocabulary, score).piece
    assert [(bar.meter.numerator, len(bar.notes)) for bar in piece.bars] == [(3, 1), (4, 0)]
    back = decode_piece(gm_vocabulary, piece)
    assert [(s.time / back.ticks_per_quarter, s.numerator) for s in back.time_signatures] == [(0, 3), (3, 4)]
    as_before = band((0, [(0, 480 * 5, 60, 79)]), signatures=((0, 3, 4),))
    assert len(encode_score(gm_vocabulary, as_before).piece.bars) == 1, "miditok writes no token for such a bar"
