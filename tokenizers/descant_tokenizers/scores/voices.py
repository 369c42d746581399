"""Find the voices of a score, and its melody, among its tracks."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symusic.core import NoteTick, NoteTickList, ScoreTick, TrackTick

from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores.key import pitch_name
from descant_tokenizers.scores.names import (
    NUM_VOICES,
    VOICES,
    is_backing_name,
    is_keyboard_name,
    is_melody_name,
    is_singer_name,
    voice_names,
    voice_of_name,
)
from descant_tokenizers.scores.tracks import listed

_MAX_POLYPHONIC_SHARE = 0.1  # optional notes and suspensions that a line may have
_MAX_DOUBLE_STOPS = 0.4  # that it may have if there is no other line to take, such as a voice that is divided
_MIN_SHARE_OF_NOTES = 0.1  # of the longest line: an alternative for a few bars is no melody


@dataclass(frozen=True, slots=True)
class Line:
    """A track as a line of single notes.

    Attributes:
        track: A copy in which no two notes sound at once.
        num_trimmed: Notes that were cut where the next one begins.
        num_dropped: Notes left out, because they sounded under others.
    """

    track: TrackTick
    num_trimmed: int
    num_dropped: int

    @property
    def changes(self) -> str:
        """The changes as the end of a sentence; empty if there are none."""
        kinds = ((self.num_trimmed, "overlapping", "trimmed"), (self.num_dropped, "lower", "left out for the model"))
        return "".join(f"; {n} {what} note{'s' * (n > 1)} {done}" for n, what, done in kinds if n)


def line_of(
    track: TrackTick, ticks_per_quarter: int, max_polyphonic_share: float = _MAX_POLYPHONIC_SHARE
) -> Line | None:
    """Read a track as a line of single notes, as one instrument or singer plays it.

    A note may overlap the next one: it is played legato, and is cut there. A note is polyphonic if it begins with
    another one, or if it overlaps one by a 16th or more and ends before that does, begins while two others sound, or
    sounds together with it for half of either. A tenth of the notes may be polyphonic, such as optional notes in a
    song; the higher note is then kept.

    Returns:
        The line, None if the track is polyphonic.
    """
    notes = sorted((note.copy() for note in track.notes), key=lambda note: (note.time, -note.pitch))
    sixteenth = ticks_per_quarter / 4
    if _num_polyphonic(notes, sixteenth) > max_polyphonic_share * len(notes):
        return None
    kept: list[NoteTick] = []
    num_trimmed = 0
    for note in notes:
        before = kept[-1] if kept else None
        if before is not None and before.end > note.time:
            is_under = note.end <= before.end and note.pitch < before.pitch and before.end - note.time >= sixteenth
            if before.time == note.time or is_under:
                continue
            before.duration = note.time - before.time
            num_trimmed += 1
        kept.append(note)
    line = TrackTick(track.name, track.program, track.is_drum)
    line.notes = NoteTickList(kept)
    return Line(line, num_trimmed, len(notes) - len(kept))


def _num_polyphonic(notes: Sequence[NoteTick], sixteenth: float) -> int:
    """Count the polyphonic notes among notes in order of time; see `line_of`."""
    count = latest = second = 0  # the ends of the two notes that end last so far
    for before, note in itertools.pairwise(notes):
        latest, second = (before.end, latest) if before.end >= latest else (latest, max(second, before.end))
        overlap = latest - note.time
        is_legato = second <= note.time and 2 * overlap < min(before.duration, note.duration)
        is_under = overlap >= sixteenth and (note.end <= latest or not is_legato)
        count += overlap > 0 and (note.time == before.time or is_under)
    return count


@dataclass(frozen=True, slots=True)
class MelodyChoice:
    """The melody of a score.

    Attributes:
        track: A copy of the chosen track in which no two notes sound at once.
        index: Index of the chosen track in `score.tracks`, from 0 (messages count from 1).
        reason: One sentence: the chosen track and why it was chosen.
    """

    track: TrackTick
    index: int
    reason: str


def pick_melody(score: ScoreTick, track: int | str | None = None) -> MelodyChoice:
    """Choose the track to use as the melody.

    In order of preference: the requested track; the only pitched track; the monophonic track whose name says melody,
    soprano, vocal or the like in one of the larger European languages (see `is_melody_name`), rather than one that
    also says backing; beside a keyboard, the one named after a singer (see `is_singer_name`); the highest monophonic
    track. "Highest" is by median pitch, of those that have a tenth of the notes of the longest one; the first of equals
    is taken.
    `line_of` defines what is monophonic; a track that is requested, the only one or the only one so named may have
    double stops, whose upper notes are taken. Percussion is never chosen.

    Args:
        score: A validated score.
        track: Number of a track from 1, or its name in any case; None chooses automatically.

    Returns:
        The choice with its reason.

    Raises:
        InputError: There is no such track, or it is polyphonic.
    """
    if track is not None:
        return _choice(score, _requested_index(score, track), "as requested")
    pitched = [index for index, candidate in enumerate(score.tracks) if not candidate.is_drum and candidate.notes]
    if len(pitched) == 1:
        return _choice(score, pitched[0], "the only one")
    named = [index for index in pitched if is_melody_name(score.tracks[index].name)]
    named = [index for index in named if not is_backing_name(score.tracks[index].name)] or named
    if not named and any(is_keyboard_name(score.tracks[index].name) for index in pitched):
        named = [index for index in pitched if is_singer_name(score.tracks[index].name)]
    if len(named) == 1:
        return _choice(score, named[0], "by its name")
    monophonic = [
        index for index in named or pitched if line_of(score.tracks[index], score.ticks_per_quarter) is not None
    ]
    if not monophonic:
        culprits = "The tracks named as melody" if named else "All tracks"
        raise InputError(f"{culprits} play several notes at once, so none is a melody. {_remedy(score)}")
    most = max(len(score.tracks[index].notes) for index in monophonic)
    long = [index for index in monophonic if len(score.tracks[index].notes) >= _MIN_SHARE_OF_NOTES * most]
    best = max(long, key=lambda index: (_median_pitch(score.tracks[index]), -index))
    if len(monophonic) == 1:
        return _choice(score, best, "by its name" if named else "the only monophonic one")
    kind = "so named" if named else "monophonic"
    median = pitch_name(round(_median_pitch(score.tracks[best])))
    return _choice(score, best, f"the highest of {len(monophonic)} {kind}, median {median}")


def _choice(score: ScoreTick, index: int, why: str) -> MelodyChoice:
    found = line_of(score.tracks[index], score.ticks_per_quarter, _MAX_DOUBLE_STOPS)
    if found is None:
        raise InputError(f"Track {_label(score, index)} plays several notes at once. {_remedy(score)}")
    return MelodyChoice(found.track, index, f"melody: track {_label(score, index)} ({why}){found.changes}")


def _requested_index(score: ScoreTick, track: int | str) -> int:
    names = [candidate.name.strip().lower() for candidate in score.tracks]
    if isinstance(track, str) and track.strip().lower() in names:
        index = names.index(track.strip().lower())
    elif isinstance(track, str) and not track.strip().isdecimal():
        raise InputError(f"There is no track named '{track}'. {_remedy(score)}")
    else:
        index = int(track) - 1
    if not 0 <= index < len(score.tracks):
        raise InputError(f"There is no track {track} (there are {len(score.tracks)}, from 1). {_remedy(score)}")
    if score.tracks[index].is_drum:
        raise InputError(f"Track {_label(score, index)} is percussion. {_remedy(score)}")
    return index


def _median_pitch(track: TrackTick) -> float:
    return statistics.median(note.pitch for note in track.notes)


def _label(score: ScoreTick, index: int) -> str:
    name = score.tracks[index].name
    return f"{index + 1} '{name}'" if name else f"{index + 1}"


def _remedy(score: ScoreTick) -> str:
    choices = [
        _label(score, index)
        for index, track in enumerate(score.tracks)
        if not track.is_drum and track.notes and line_of(score.tracks[index], score.ticks_per_quarter) is not None
    ]
    if not choices:
        return "Put the melody on a track of its own."
    return f"Choose with --track one of {listed(choices, 10)}."


@dataclass(frozen=True, slots=True)
class VoiceChoice:
    """The voices of a score.

    Attributes:
        tracks: For each voice, from high to low, a copy of its track in which no two notes sound at once.
        indices: For each voice, the index of its track in `score.tracks`.
        reason: One sentence: the chosen tracks and why they were chosen.
    """

    tracks: dict[str, TrackTick]
    indices: dict[str, int]
    reason: str


def tracks_by_name(tracks: Sequence[TrackTick]) -> dict[str, int]:
    """Return the index of the track named after each voice, from high to low, leaving out names that occur twice."""
    named = [voice_of_name(track.name) for track in tracks]
    return {voice: named.index(voice) for voice in VOICES if named.count(voice) == 1}


def tracks_by_pitch(tracks: Sequence[TrackTick]) -> list[int]:
    """Return the indices of tracks with notes by median pitch, from high to low; equals keep their order."""
    return sorted(range(len(tracks)), key=lambda index: -_median_pitch(tracks[index]))


def pick_voices(score: ScoreTick, given: Sequence[str] | None = None, track: int | str | None = None) -> VoiceChoice:
    """Choose the tracks of the given voices.

    One voice is the track of its name, else the melody (see `pick_melody`). Several voices are the tracks of those
    names; without such names, the score must have as many pitched tracks, assigned by median pitch from high to low.

    Args:
        score: A validated score.
        given: Voices in the score, such as `("Soprano", "Bass")`. By default all four if tracks are named after them
            or there are four lines, else the voices that all tracks are named after, else the melody as Soprano.
        track: Number from 1, or name, of the track to take if one voice is given.

    Returns:
        The choice with its reason.

    Raises:
        InputError: The tracks do not fit the voices.
    """
    pitched = [index for index, candidate in enumerate(score.tracks) if candidate.notes and not candidate.is_drum]
    tracks = [score.tracks[index] for index in pitched]
    named = {voice: pitched[place] for voice, place in tracks_by_name(tracks).items()}
    if given is not None:
        voices = voice_names(given)
    else:
        voices = VOICES[:1] if track is not None else _default_voices(score, named, pitched)
    if len(voices) == 1:
        return _melody(score, voices[0], named, track)
    if track is not None:
        raise InputError(f"--track chooses one melody, but {len(voices)} voices are given. Omit --track.")
    if all(voice in named for voice in voices):
        indices, why = {voice: named[voice] for voice in voices}, "by name"
    elif len(pitched) == len(voices):
        high_to_low = [pitched[place] for place in tracks_by_pitch(tracks)]
        indices, why = dict(zip(voices, high_to_low, strict=True)), "by pitch from high to low"
    else:
        raise InputError(
            f"{len(voices)} voices are given ({', '.join(voices)}), but the score has {len(pitched)} "
            f"track{'s' * (len(pitched) != 1)}. Name its tracks after the voices, or give as many voices as tracks."
        )
    lines = {voice: _line(score, index, voice) for voice, index in indices.items()}
    where = ", ".join(f"{voice} track {index + 1}" for voice, index in indices.items())
    changes = "".join(f"{line.changes} in {voice}" for voice, line in lines.items() if line.changes)
    found = {voice: line.track for voice, line in lines.items()}
    return VoiceChoice(found, indices, f"voices: {where}, {why}{changes}")


def _default_voices(score: ScoreTick, named: Mapping[str, int], pitched: Sequence[int]) -> tuple[str, ...]:
    if len(named) == NUM_VOICES or (
        len(pitched) == NUM_VOICES
        and all(line_of(score.tracks[index], score.ticks_per_quarter) is not None for index in pitched)
    ):
        return VOICES
    return tuple(named) if named and len(named) == len(pitched) else VOICES[:1]


def _melody(score: ScoreTick, voice: str, named: Mapping[str, int], track: int | str | None) -> VoiceChoice:
    if track is None and voice in named:
        found = _choice(score, named[voice], "by its name")
    else:
        found = pick_melody(score, track)
    return VoiceChoice({voice: found.track}, {voice: found.index}, f"{found.reason}, as {voice}")


def _line(score: ScoreTick, index: int, voice: str) -> Line:
    found = line_of(score.tracks[index], score.ticks_per_quarter, _MAX_DOUBLE_STOPS)
    if found is None:
        raise InputError(
            f"Track {_label(score, index)} plays several notes at once, so it is not one voice ({voice}). Give each "
            "voice its own track."
        )
    return found
