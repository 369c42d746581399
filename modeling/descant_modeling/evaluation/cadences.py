"""Cadences and harmony of four-part music: how phrases close, and whether sevenths and leading tones are led on.

Chords are those that the notes of a moment spell (`descant_tokenizers.pianoroll.harmony`), from whatever source, with
no model of style. Bach's own figures, from the same code, are what to compare with: none is 0 or 100 for him.

A *phrase* ends with a note of the melody under a fermata (in a tune, where its phrases are marked), and the piece with
its last note. The chord of an end is the one that sounds longest under that note, the later of equals. Dominant, tonic
and so on are those of that chord: a cadence in another key is one too. Where a figure depends on the key of the piece,
a harmony is measured in the key of the original.

Units: frames are 16ths, pitches are MIDI numbers or, above a root, semitones.
Shapes: V = 4 voices from high to low, T frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from descant_modeling.evaluation.bootstrap import Estimate, by_piece, estimate_text, ratio_interval
from descant_tokenizers.pianoroll.frames import SILENT, Chorale, Ints
from descant_tokenizers.pianoroll.harmony import SoundingChord, chords_of_frames
from descant_tokenizers.scores.key import NUM_PITCH_CLASSES, key_of_weights, tonic_and_mode
from descant_tokenizers.tokens.harmony import PieceKey

WINDOW_BEATS = 8
_HOP_BEATS = 4
_RELATED = 1
_BEFORE_FRAMES = 8
_JUST_BEFORE_FRAMES = 2
_STEP = 2
_SIX_FOUR = 2
_FIFTH, _FOURTH = 7, 5
_DISSONANT = (1, 2, 6, 10, 11)  # between any two voices
_DISSONANT_BASS = (*_DISSONANT, _FOURTH)  # above the bass


@dataclass(frozen=True)
class CadenceFigure:
    """A figure of cadences and harmony.

    Attributes:
        key: Name in JSON.
        label: Name in tables.
        unit: Unit of the figure.
    """

    key: str
    label: str
    unit: str = "%"

    @property
    def scale(self) -> int:
        """Factor from a ratio to the unit."""
        return 100 if self.unit == "%" else 1

    @property
    def title(self) -> str:
        """Label and unit."""
        return f"{self.label}, {self.unit}"


FIGURES = (
    CadenceFigure("last_triad", "ends on a root-position triad"),
    CadenceFigure("last_tonic", "ends on that of the tonic"),
    CadenceFigure("last_authentic", "ends V-I"),
    CadenceFigure("phrase_triad", "phrases end on such a triad"),
    CadenceFigure("phrase_authentic", "phrases end V-I"),
    CadenceFigure("authentic", "authentic cadences"),
    CadenceFigure("half", "half cadences"),
    CadenceFigure("plagal", "plagal cadences"),
    CadenceFigure("deceptive", "deceptive cadences"),
    CadenceFigure("other", "other phrase ends"),
    CadenceFigure("sevenths_resolved", "sevenths resolved"),
    CadenceFigure("leading_resolved", "leading tones resolved"),
    CadenceFigure("leading_doubled", "leading tones doubled"),
    CadenceFigure("strong_dissonance", "dissonant strong beats"),
    CadenceFigure("missing_thirds", "chords without third"),
    CadenceFigure("six_fours", "six-four chords"),
    CadenceFigure("foreign_windows", "windows in a foreign key"),
    CadenceFigure("lower_onsets", "notes of a lower voice", "a beat"),
    CadenceFigure("lower_silent", "lower voices silent"),
)
KINDS = ("authentic", "half", "plagal", "deceptive", "other")


class Share(NamedTuple):
    """A part and its whole, both counts."""

    part: float
    whole: float


def count_cadences(chorale: Chorale, key: PieceKey | None = None) -> dict[str, Share]:
    """Count every figure in a piece, by key of `FIGURES`; a figure whose whole is 0 says nothing about this piece.

    - `last_triad`: the chord of the last note is a triad with its root in the bass. It may lack its fifth or its third.
    - `last_tonic`: its root is the tonic of the piece's key, too.
    - `last_authentic`: it is such a triad, and the bass came to its root from the fifth above it (or the fourth below),
      over which the voices spelled a major triad or a dominant seventh in the last eighth. Their fifth may be missing.
    - `phrase_triad`, `phrase_authentic`: the same of all phrase ends, the last one among them. Pieces whose phrase ends
      are not known do not count, here and in the kinds of cadence.
    - `authentic`, `half`, `plagal`, `deceptive`, `other`: the kind of each phrase end (see `_kind`).
    - `sevenths_resolved`: of the sevenths of chords that sound on a beat (not of diminished chords, whose seventh
      cannot be told from their root), those whose voice goes on to a pitch one or two semitones lower. One that is
      still held when its phrase ends, or is followed by a rest, does not count.
    - `leading_resolved`: of the leading tones (of the piece's key) in chords that sound on a beat and are a V, V7,
      vii or vii7, those whose voice goes on a semitone up. Bach's inner voices often fall to the fifth instead.
    - `leading_doubled`: of these chords, those with the leading tone in two or more voices.
    - `strong_dissonance`: of the strong beats, those at which two voices are a second, a seventh or a tritone apart, or
      a voice is a fourth above the lowest. Suspensions and dominant sevenths are among them.
    - `missing_thirds`: of the beats at which all four voices sound, those that spell a root without its
      third (a fifth or octaves, perhaps with a seventh).
    - `six_fours`: of the beats at which all four voices sound, those with a triad whose fifth is lowest.
    - `foreign_windows`: of the windows of eight beats (one every four), those whose estimated key has two or more
      accidentals more or fewer than the piece's key.
    - `lower_onsets`: notes of the alto, tenor and bass, per voice and beat (three eighths in compound meters).
    - `lower_silent`: of the frames of these voices in which the melody sounds, those in which the voice rests.

    Args:
        chorale: The piece; its first voice is the melody.
        key: Key of the piece, if not the one estimated from all its notes.
    """
    key = key or PieceKey(chorale.tonic, chorale.is_major)
    chords = chords_of_frames(chorale.pitches_VT)
    beats = np.ceil(chorale.beats.onsets_16ths).astype(int)
    inside = beats < chorale.num_frames
    on_beat = beats[inside].tolist()
    return (
        _count_ends(chorale, chords, key)
        | _count_leading(chorale, chords, on_beat, key)
        | _count_sonorities(chorale, chords, on_beat, beats[inside & chorale.beats.is_strong])
        | {"foreign_windows": _foreign_windows(chorale, beats, key)}
        | _count_voices(chorale, len(on_beat))
    )


class PhraseEnd(NamedTuple):
    """The end of a phrase.

    Attributes:
        chord: Chord of its last note; None if the voices spell none.
        is_authentic: True if it was reached V-I in root position (see `count_cadences`).
        kind: A member of `KINDS`.
        is_last: True at the end of the piece.
    """

    chord: SoundingChord | None
    is_authentic: bool
    kind: str
    is_last: bool

    @property
    def is_root_triad(self) -> bool:
        """True if its chord is a triad in root position."""
        return self.chord is not None and self.chord.is_triad and self.chord.inversion == 0


def phrase_ends(chorale: Chorale, key: PieceKey | None = None) -> list[PhraseEnd]:
    """Return the ends of a piece's phrases; only that of the piece if no other is known."""
    return _phrase_ends(chorale, chords_of_frames(chorale.pitches_VT), key or PieceKey(chorale.tonic, chorale.is_major))


def _phrase_ends(chorale: Chorale, chords: Sequence[SoundingChord | None], key: PieceKey) -> list[PhraseEnd]:
    melody = chorale.lines[0]
    begins = np.ceil(melody.onsets_16ths).astype(int)
    ends = np.minimum(np.ceil(melody.onsets_16ths + melody.lengths_16ths).astype(int), chorale.num_frames)
    found = []
    for index, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        is_last = index == len(begins) - 1
        if begin < end and (is_last or (end < chorale.num_frames and chorale.phrase_ends_T[end])):
            found.append(_phrase_end(chorale, chords, key, range(begin, end), is_last=is_last))
    return found


def _phrase_end(
    chorale: Chorale, chords: Sequence[SoundingChord | None], key: PieceKey, note: range, *, is_last: bool
) -> PhraseEnd:
    """Judge the end of a phrase whose last note sounds in the frames `note`."""
    lengths = Counter(chords[frame] for frame in note)
    last = {chords[frame]: frame for frame in note}
    chord = max(lengths, key=lambda each: (lengths[each], last[each]))
    if chord is None:
        return PhraseEnd(None, False, "other", is_last)
    starts = np.flatnonzero(chorale.phrase_ends_T[: note.start + 1])
    first = int(starts[-1]) if len(starts) else 0  # of the phrase
    basses = _basses(chorale.pitches_VT)
    arrival = note.start + next(i for i, frame in enumerate(note) if chords[frame] == chord)
    while arrival > first and basses[arrival - 1] == chord.bass:
        arrival -= 1
    before = [each for each in chords[max(first, arrival - _BEFORE_FRAMES) : arrival] if each is not None]
    fifth = (chord.root + _FIFTH) % NUM_PITCH_CLASSES
    start = arrival
    while start > max(first, arrival - _JUST_BEFORE_FRAMES) and basses[start - 1] == fifth:
        start -= 1
    is_dominant = any(each is not None and each.root == fifth and _is_dominant(each) for each in chords[start:arrival])
    is_root_triad = chord.is_triad and chord.inversion == 0
    previous = before[-1] if before else None
    return PhraseEnd(chord, is_root_triad and is_dominant, _kind(chord, previous, key), is_last)


def _kind(chord: SoundingChord, before: SoundingChord | None, key: PieceKey) -> str:
    """Return the kind of cadence by its last chord and the chord before.

    The chord before is the last one that the voices spell within two quarters before the bass comes to its last note.

    - authentic: from a V, V7, vii or vii7 of the last chord, in any position, to a triad in root position;
    - deceptive: from a V or V7 in root position to a triad in root position a step higher: to VI of a minor key, one
      semitone up and major, or to vi of a major key, two semitones up and minor;
    - half: to a major triad in root position that is the V of the piece's key or of its relative key;
    - plagal: from a triad on the fourth above to a triad in root position that is the I of one of these keys.
    """
    if not chord.is_triad or chord.inversion:
        return "other"
    tonics = (key.tonic, (key.tonic + (-3 if key.is_major else 3)) % NUM_PITCH_CLASSES)
    if before is not None:
        above = (before.root - chord.root) % NUM_PITCH_CLASSES
        leading = (chord.root - 1) % NUM_PITCH_CLASSES
        if (above == _FIFTH and _is_dominant(before)) or _is_diminished_on(before, leading):
            return "authentic"
        rise = 1 if chord.quality.name == "major" else 2
        if above == NUM_PITCH_CLASSES - rise and _is_dominant(before) and before.inversion == 0:
            return "deceptive"
    if chord.quality.name == "major" and (chord.root + _FOURTH) % NUM_PITCH_CLASSES in tonics:
        return "half"
    if before is not None and above == _FOURTH and chord.root in tonics:
        return "plagal"
    return "other"


def _is_dominant(chord: SoundingChord) -> bool:
    return chord.quality.name in ("major", "dominant seventh")


def _is_diminished_on(chord: SoundingChord, root: int) -> bool:
    """Return True for a diminished triad or seventh chord on a root; any tone of a full diminished one may be it."""
    name = chord.quality.name
    if name == "diminished seventh":
        return (chord.root - root) % 3 == 0
    return name in ("diminished", "half-diminished seventh") and chord.root == root


def _count_ends(chorale: Chorale, chords: Sequence[SoundingChord | None], key: PieceKey) -> dict[str, Share]:
    ends = _phrase_ends(chorale, chords, key)
    last = [end for end in ends if end.is_last]
    known = ends if chorale.has_fermatas else []
    found = {
        "last_triad": Share(sum(end.is_root_triad for end in last), len(last)),
        "last_tonic": Share(
            sum(end.is_root_triad and end.chord is not None and end.chord.root == key.tonic for end in last), len(last)
        ),
        "last_authentic": Share(sum(end.is_authentic for end in last), len(last)),
        "phrase_triad": Share(sum(end.is_root_triad for end in known), len(known)),
        "phrase_authentic": Share(sum(end.is_authentic for end in known), len(known)),
    }
    return found | {kind: Share(sum(end.kind == kind for end in known), len(known)) for kind in KINDS}


def _count_leading(
    chorale: Chorale, chords: Sequence[SoundingChord | None], on_beat: Sequence[int], key: PieceKey
) -> dict[str, Share]:
    leading, dominant = (key.tonic - 1) % NUM_PITCH_CLASSES, (key.tonic + _FIFTH) % NUM_PITCH_CLASSES
    sevenths: list[bool] = []
    leadings: list[bool] = []
    doubled: list[bool] = []
    for frame in on_beat:
        chord = chords[frame]
        if chord is None:
            continue
        if chord.seventh is not None and chord.quality.name != "diminished seventh":
            sevenths += [-_STEP <= step < 0 for step in _steps(chorale, frame, chord.seventh)]
        if (chord.third == leading and chord.root == dominant) or _is_diminished_on(chord, leading):
            leadings += [step == 1 for step in _steps(chorale, frame, leading)]
            doubled.append(int(_sounds(chorale, frame, leading).sum()) > 1)
    return {
        "sevenths_resolved": Share(sum(sevenths), len(sevenths)),
        "leading_resolved": Share(sum(leadings), len(leadings)),
        "leading_doubled": Share(sum(doubled), len(doubled)),
    }


def _sounds(chorale: Chorale, frame: int, pitch_class: int) -> Any:
    """Return a flag for each voice: True if it sounds a pitch class in a frame."""
    pitches = chorale.pitches_VT[:, frame]
    return (pitches != SILENT) & (pitches % NUM_PITCH_CLASSES == pitch_class)


def _steps(chorale: Chorale, frame: int, pitch_class: int) -> list[int]:
    """Return the step to the next pitch of each voice that sounds a pitch class, unless its phrase ends or it rests."""
    steps = []
    for voice in np.flatnonzero(_sounds(chorale, frame, pitch_class)):
        pitches = chorale.pitches_VT[voice, frame:]
        changes = np.flatnonzero(pitches != pitches[0])
        if not len(changes) or pitches[changes[0]] == SILENT:
            continue
        if not chorale.phrase_ends_T[frame + 1 : frame + int(changes[0]) + 1].any():
            steps.append(int(pitches[changes[0]] - pitches[0]))
    return steps


def _count_sonorities(
    chorale: Chorale, chords: Sequence[SoundingChord | None], on_beat: Sequence[int], strong: Ints
) -> dict[str, Share]:
    full = [chords[frame] for frame in on_beat if (chorale.pitches_VT[:, frame] != SILENT).all()]
    six_fours = [chord is not None and chord.is_triad and chord.inversion == _SIX_FOUR for chord in full]
    dissonant = [_is_dissonant(pitches[pitches != SILENT]) for pitches in chorale.pitches_VT[:, strong].T]
    return {
        "strong_dissonance": Share(sum(dissonant), len(dissonant)),
        "missing_thirds": Share(sum(chord is not None and chord.third is None for chord in full), len(full)),
        "six_fours": Share(sum(six_fours), len(full)),
    }


def _is_dissonant(pitches: Ints) -> bool:
    if not len(pitches):
        return False
    between = (pitches[:, None] - pitches) % NUM_PITCH_CLASSES
    above = (pitches - pitches.min()) % NUM_PITCH_CLASSES
    return bool(np.isin(between, _DISSONANT).any() or np.isin(above, _DISSONANT_BASS).any())


def _foreign_windows(chorale: Chorale, beats: Ints, key: PieceKey) -> Share:
    edges = np.append(beats[beats < chorale.num_frames], chorale.num_frames)
    num_beats = len(edges) - 1
    foreign = []
    for first in range(0, max(num_beats - WINDOW_BEATS, 0) + 1, _HOP_BEATS):
        window = chorale.pitches_VT[:, edges[first] : edges[min(first + WINDOW_BEATS, num_beats)]]
        weights = np.bincount(window[window != SILENT] % NUM_PITCH_CLASSES, minlength=NUM_PITCH_CLASSES)
        if weights.any():
            found = PieceKey(*tonic_and_mode(key_of_weights(weights)))
            distance = (_signature(found) - _signature(key)) % NUM_PITCH_CLASSES
            foreign.append(min(distance, NUM_PITCH_CLASSES - distance) > _RELATED)
    return Share(sum(foreign), len(foreign))


def _signature(key: PieceKey) -> int:
    """Return the sharps of a key signature, modulo 12."""
    return (key.tonic if key.is_major else key.tonic + 3) * _FIFTH % NUM_PITCH_CLASSES


def _count_voices(chorale: Chorale, num_beats: int) -> dict[str, Share]:
    lower, under = chorale.lines[1:], chorale.pitches_VT[0] != SILENT
    silent = (chorale.pitches_VT[1:] == SILENT) & under
    return {
        "lower_onsets": Share(sum(len(line.onsets_16ths) for line in lower), num_beats * len(lower)),
        "lower_silent": Share(int(silent.sum()), int(under.sum()) * len(lower)),
    }


def _basses(pitches_VT: Ints) -> list[int]:
    """Return the lowest pitch class of each frame; -1 where nothing sounds."""
    sounding = pitches_VT != SILENT
    lowest = np.where(sounding, pitches_VT, np.iinfo(np.int64).max).min(axis=0) % NUM_PITCH_CLASSES
    basses: list[int] = np.where(sounding.any(axis=0), lowest, -1).tolist()
    return basses


def cadence_rates(names: Sequence[str], counts: Sequence[Mapping[str, Share]]) -> dict[str, Estimate]:
    """Return each figure with an interval over pieces, by key; figures that no piece says anything about are left out.

    Args:
        names: Piece of each count; several draws of one piece share its name.
        counts: Counts of the pieces.
    """
    found = {}
    for figure in FIGURES:
        parts, wholes = (by_piece(names, [count[figure.key][index] for count in counts]) for index in (0, 1))
        if wholes.any():
            found[figure.key] = ratio_interval(parts, wholes, scale=figure.scale)
    return found


def cadence_facts(rates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Return the figures for JSON; None for one that no piece says anything about."""
    return {
        figure.key: {"unit": figure.unit, **rates[figure.key].rounded()} if figure.key in rates else None
        for figure in FIGURES
    }


def figure_text(fact: Mapping[str, Any] | None) -> str:
    """Return a figure of `cadence_facts` as `value [low, high]`; a dash if nothing is known."""
    return "-" if fact is None else estimate_text(fact, 1 if fact["unit"] == "%" else 2)


def cadence_figures(chorales: Sequence[Chorale], keys: Sequence[PieceKey] | None = None) -> dict[str, float]:
    """Return the figures of some pieces, by key, without intervals; see `count_cadences`.

    Pieces written down as frames become chorales with `descant_tokenizers.pianoroll.frames.chorale_of_frames`.
    """
    counts = [count_cadences(chorale, keys[index] if keys else None) for index, chorale in enumerate(chorales)]
    totals = {f: [sum(count[f.key][index] for count in counts) for index in (0, 1)] for f in FIGURES}
    return {figure.key: figure.scale * part / whole for figure, (part, whole) in totals.items() if whole}
