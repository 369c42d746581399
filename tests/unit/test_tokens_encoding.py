"""From scores to pieces: what is refused, what is changed and said, what is exact."""

import pytest
import symusic

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.tokens.encode import decode_piece, encode_score
from descant_tokenizers.tokens.grammar import Grammar
from descant_tokenizers.tokens.piece import parse_piece, piece_ids


def score_of(notes, *, name="Soprano", signatures=((0, 4, 4),), ticks_per_quarter=480):
    score = symusic.Score(ticks_per_quarter)
    track = symusic.Track(name)
    track.notes.extend([symusic.Note(time, duration, pitch, 80) for time, duration, pitch in notes])
    score.tracks.append(track)
    score.time_signatures.extend([symusic.TimeSignature(*signature) for signature in signatures])
    return score


@pytest.mark.parametrize("signature", [(13, 4), (7, 2), (4, 1), (3, 32)])
def test_a_time_signature_outside_the_vocabulary_is_refused(vocabulary, signature):
    with pytest.raises(InputError, match=rf"time signature {signature[0]}/{signature[1]} is not in the vocabulary"):
        encode_score(vocabulary, score_of([(0, 480, 60)], signatures=((0, *signature),)))


def test_every_time_signature_of_the_vocabulary_is_kept(vocabulary):
    for numerator, denominator in vocabulary.meter_id:
        bar_ticks = 480 * 4 * numerator // denominator
        score = score_of([(0, 60, 60), (bar_ticks, 60, 62)], signatures=((0, numerator, denominator),))
        piece = encode_score(vocabulary, score).piece
        assert [bar.meter[:2] for bar in piece.bars] == [(numerator, denominator)] * 2
        assert [bar.notes[0].offset_ticks for bar in piece.bars] == [0, 0]


@pytest.mark.parametrize("pitch", [29, 91])
def test_a_pitch_outside_the_vocabulary_is_refused(vocabulary, pitch):
    with pytest.raises(InputError, match=rf"Soprano has pitch {pitch}, outside 30-90. Transpose"):
        encode_score(vocabulary, score_of([(0, 480, pitch)]))


def test_a_track_that_is_no_voice_is_refused(vocabulary):
    with pytest.raises(InputError, match="Track 'Flute' is not one of Soprano, Alto, Tenor, Bass"):
        encode_score(vocabulary, score_of([(0, 480, 60)], name="Flute"))


def test_two_tracks_of_one_voice_are_refused(vocabulary):
    score = score_of([(0, 480, 60)])
    score.tracks.append(score.tracks[0].copy())
    with pytest.raises(InputError, match="Two tracks are named after the same voice"):
        encode_score(vocabulary, score)


def test_a_score_without_notes_is_refused(vocabulary):
    with pytest.raises(InputError, match="no notes"):
        encode_score(vocabulary, score_of([]))


@pytest.mark.parametrize("duration", [480, 240, 160, 120, 80, 60, 960, 1440, 720])
def test_the_grid_holds_quarters_triplets_16ths_and_32nds(vocabulary, duration):
    encoded = encode_score(vocabulary, score_of([(0, duration, 60), (duration, duration, 62)]))
    assert encoded.changes == ()
    assert encoded.piece.num_notes == 2


@pytest.mark.parametrize(
    ("notes", "changes"),
    [
        (
            [(0, 96, 60), (96, 384, 62)],
            ("notes moved to fit the grid: 1", "notes given another length to fit the grid: 1"),
        ),
        ([(0, 480 * 20, 60)], ("notes given another length to fit the grid: 1",)),
        ([(0, 480, 60), (1, 240, 62)], ("notes dropped to fit the grid: 1",)),
        ([(0, 960, 60), (480, 480, 62)], ("notes cut where the next one of their voice begins: 1",)),
    ],
)
def test_what_the_grid_changes_is_said(vocabulary, notes, changes):
    assert encode_score(vocabulary, score_of(notes)).changes == changes


def test_of_notes_that_fall_together_the_longest_stays(vocabulary):
    (bar,) = encode_score(vocabulary, score_of([(0, 480, 60), (1, 240, 62)])).piece.bars
    assert [note.pitch for note in bar.notes] == [60]


@pytest.mark.parametrize("onset", [1, 20, 480, 1460, 1920, 2420, 9600])
def test_a_voice_never_sounds_twice_at_once(vocabulary, onset):
    """Overlaps are cut to a length that the vocabulary has, over bar lines too: the grammar allows nothing else."""
    signatures = ((0, 4, 4), (1920, 6, 8))
    encoded = encode_score(
        vocabulary, score_of([(0, 9600, 60), (onset, 4800, 72), (9600, 480, 60)], signatures=signatures)
    )
    grammar = Grammar(vocabulary)
    assert grammar.accepts([*piece_ids(vocabulary, encoded.piece), grammar.eos])
    assert any("cut where the next" in change or "dropped" in change for change in encoded.changes)


def test_pickups_and_changes_of_meter_keep_their_places(vocabulary):
    signatures = ((0, 1, 4), (480, 3, 2), (480 + 6 * 480, 6, 8))
    encoded = encode_score(
        vocabulary, score_of([(240, 240, 60), (480, 960, 62), (3600, 240, 64)], signatures=signatures)
    )
    assert encoded.changes == ()
    assert [bar.meter[:2] for bar in encoded.piece.bars] == [(1, 4), (3, 2), (6, 8)]
    assert [[note.offset_ticks for note in bar.notes] for bar in encoded.piece.bars] == [[48], [0], [48]]


def test_a_piece_becomes_one_named_track_a_voice(vocabulary, tiny_pieces):
    score = decode_piece(vocabulary, tiny_pieces[0], velocity=65)
    assert [track.name for track in score.tracks] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert {note.velocity for track in score.tracks for note in track.notes} == {65}
    assert score.note_num() == tiny_pieces[0].num_notes


def test_the_score_given_is_left_as_it_was(vocabulary):
    score = score_of([(0, 480, 60)], ticks_per_quarter=960)
    before = score.copy()
    encode_score(vocabulary, score)
    assert score == before


def test_the_order_of_voices_is_the_stream_s_and_not_the_score_s(vocabulary, outer_first, tiny_pieces):
    score = decode_piece(vocabulary, tiny_pieces[0])
    ids = encode_score(outer_first, score).ids
    assert ids == piece_ids(outer_first, encode_score(outer_first, score).piece)
    first = [outer_first.voice_name(outer_first.voice_of[i]) for i in ids if i in outer_first.voice_of][:4]
    assert first == ["Soprano", "Bass", "Alto", "Tenor"]
    again = decode_piece(outer_first, parse_piece(outer_first, ids))
    assert tracks_of(again) == tracks_of(score)


def test_voices_off_the_grid_are_rounded_in_any_order(vocabulary, outer_first, tiny_pieces):
    score = decode_piece(vocabulary, tiny_pieces[0]).resample(480)
    score.tracks[3].notes[0].time += 7
    encoded = [encode_score(own, score) for own in (vocabulary, outer_first)]
    assert encoded[0].changes == encoded[1].changes != ()
    assert tracks_of(decode_piece(vocabulary, encoded[0].piece)) == tracks_of(
        decode_piece(outer_first, encoded[1].piece)
    )


def tracks_of(score):
    return [(track.name, [(n.time, n.duration, n.pitch) for n in track.notes]) for track in score.tracks]
