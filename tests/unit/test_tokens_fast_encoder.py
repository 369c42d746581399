"""The short way onto the grid gives what miditok's way gives, or nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from symusic.core import NoteTick, ScoreTick, TimeSignatureTick, TrackTick

from descant_tokenizers.scores import VOICES
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.piece import Piece, parse_piece, piece_ids
from descant_tokenizers.tokens.presets import VOICE_PROGRAMS
from descant_tokenizers.tokens.satb import fast_notes
from descant_tokenizers.tokens.vocabulary import Vocabulary

METERS = ((4, 4), (3, 4), (6, 8), (4, 2), (1, 4))


def _score(
    *lines: list[tuple[int, int, int]], signatures: tuple[tuple[int, int, int], ...] = ((0, 4, 4),)
) -> ScoreTick:
    score = ScoreTick(480)
    score.time_signatures.extend([TimeSignatureTick(*signature) for signature in signatures])
    for voice, line in zip(VOICES, lines, strict=False):
        track = TrackTick(voice, VOICE_PROGRAMS[voice], False)
        track.notes.extend([NoteTick(time, duration, pitch, 80) for time, duration, pitch in line])
        score.tracks.append(track)
    return score


def _exact_piece(vocabulary: Vocabulary, score: ScoreTick) -> Piece | None:
    """The piece by the short way, whose tokens must be its stream."""
    found = fast_notes(vocabulary, score)
    if found is None:
        return None
    piece = found.piece()
    assert found.ids(vocabulary) == piece_ids(vocabulary, piece)
    assert (found.voices, found.num_bars, found.end_ticks()) == (piece.voices, piece.num_bars, piece.end_ticks())
    return piece


def test_random_pieces_come_out_as_miditok_reads_them(
    vocabulary: Vocabulary, random_piece: Callable[..., Piece]
) -> None:
    num_exact = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        score = decode_piece(vocabulary, random_piece(rng, num_bars=6, meters=METERS))
        exact = _exact_piece(vocabulary, score)
        if exact is not None:
            num_exact += 1
            assert exact == parse_piece(vocabulary, vocabulary.tokenizer.encode(score, encode_ids=False).ids), seed
    assert num_exact > 20, "the short way is taken"


def test_a_pickup_and_empty_bars_stay(vocabulary: Vocabulary) -> None:
    score = _score([(0, 480, 60), (480 * 9, 480 * 3, 62)], signatures=((0, 1, 4), (480, 4, 4)))
    exact = _exact_piece(vocabulary, score)
    assert exact is not None
    assert [bar.meter.numerator for bar in exact.bars] == [1, 4, 4, 4]
    assert exact == parse_piece(vocabulary, vocabulary.tokenizer.encode(score, encode_ids=False).ids)


@pytest.mark.parametrize(
    ("score", "why"),
    [
        (_score([(7, 480, 60)]), "an onset off the grid"),
        (_score([(0, 487, 60)]), "a length off the grid"),
        (_score([(0, 480 * 40, 60)]), "a length that no token has"),
        (_score([(0, 480, 60), (0, 480, 64)]), "a chord"),
        (_score([(0, 960, 60), (480, 480, 64)]), "an overlap"),
        (_score([(0, 480, 60), (1440, 480, 62)], signatures=((0, 4, 4), (1440, 3, 4))), "a bar cut short"),
        (_score([(0, 3840, 60)], signatures=((0, 4, 4), (1920, 3, 4))), "a signature after the last onset"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_doubt_is_left_to_miditok(vocabulary: Vocabulary, score: ScoreTick, why: str) -> None:
    assert _exact_piece(vocabulary, score) is None, why
    assert encode_score(vocabulary, score).piece.num_notes > 0
