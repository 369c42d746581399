"""Splits, canonical for the chorales and by content for all other corpora, and the digests that identify content."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files

import numpy as np
from symusic.core import ScoreTick

from descant_tokenizers.scores.bars import signature_ticks
from descant_tokenizers.scores.key import pitched_notes
from descant_tokenizers.scores.tracks import Notes, notes_of

CHORALE_SPLITS = ("train", "valid", "test", "extra", "held_out")
FOLDER_SPLITS = ("train", "valid", "test")
TRAIN_SHARE = 0.8
VALID_SHARE = 0.1
INCIPIT_INTERVALS = 12


@cache
def canonical_splits() -> dict[str, str]:
    """Map each Bach file of music21's corpus, such as `bwv1.6.mxl`, to one of `CHORALE_SPLITS`.

    train, valid and test are the JSB Chorales split of Boulanger-Lewandowski et al. (2012), matched by content;
    `held_out` pieces are outside it but close to a valid or test piece; `extra` pieces are free to train on.
    """
    splits = json.loads(files("descant_tokenizers.corpora").joinpath("data/jsb_splits.json").read_text("utf-8"))
    return {name: entry["split"] for name, entry in splits["files"].items()}


def split_of_digest(digest: str) -> str:
    """Choose one of `FOLDER_SPLITS` from a hexadecimal content digest: 80 % train, 10 % valid, 10 % test.

    A piece keeps its split when files are added, renamed or moved; `incipit_digest` keeps versions of a piece together.
    """
    share = int(digest[:8], 16) / 16**8
    if share < TRAIN_SHARE:
        return "train"
    return "valid" if share < TRAIN_SHARE + VALID_SHARE else "test"


def split_of_text(text: str) -> str:
    """Choose a split from a text, such as the name of a work whose movements must stay together."""
    return split_of_digest(hashlib.sha256(text.encode()).hexdigest())


def main_time_signature(score: ScoreTick) -> str:
    """Return the time signature that governs the most ticks, such as `"4/4"`; a pickup does not count."""
    ticks = signature_ticks(score)
    numerator, denominator = max(ticks, key=ticks.__getitem__)
    return f"{numerator}/{denominator}"


def notes_digest(score: ScoreTick, notes: Notes | None = None, *, transposable: bool = False) -> str:
    """Hash the onsets, durations and pitches of each voice (SHA-256, hexadecimal), independent of the resolution.

    The order of the tracks matters; file name, tempo, meter, velocities, sounds and track names do not. With
    `transposable`, every transposition of a piece has the same digest (percussion is not transposed).
    """
    notes = notes_of(score.tracks) if notes is None else notes
    is_drum_T = np.array([track.is_drum for track in score.tracks], dtype=bool)
    unit = int(np.gcd.reduce(np.concatenate([notes.time_N, notes.duration_N, [score.tpq]])))
    shift = int(notes.pitch_N[~is_drum_T[notes.track_N]].min(initial=128)) if transposable else 0
    shift_N = np.where(is_drum_T[notes.track_N], 0, shift)
    columns = (notes.time_N // unit, notes.duration_N // unit, notes.pitch_N - shift_N)
    order = np.lexsort((*columns, notes.track_N))  # depends on the notes alone
    rows = np.stack(columns, axis=1)[order].astype("<i8")
    ends = np.cumsum(np.bincount(notes.track_N, minlength=is_drum_T.size)).tolist()
    digest = hashlib.sha256(str(score.tpq // unit).encode())
    for is_drum, start, end in zip(is_drum_T, [0, *ends], ends, strict=False):
        digest.update(b"drums" if is_drum else b"voice")
        digest.update(rows[start:end].tobytes())
    return digest.hexdigest()


def incipit_digest(score: ScoreTick, notes: Notes | None = None) -> str:
    """Hash the first intervals of a piece's upper line (SHA-256, hexadecimal); a repeated pitch counts once.

    Rhythm, transposition, lower parts and the continuation do not matter, so that versions of a piece share it.
    """
    pitched = pitched_notes(score, notes)
    order = np.lexsort((-pitched.pitch_N, pitched.time_N))
    times, pitches = pitched.time_N[order], pitched.pitch_N[order]
    upper = pitches[np.append(True, np.diff(times) > 0)]
    steps = np.diff(upper)
    return hashlib.sha256(steps[steps != 0][:INCIPIT_INTERVALS].astype("<i8").tobytes()).hexdigest()
