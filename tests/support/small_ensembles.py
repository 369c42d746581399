"""Small songs and string quartets, as scores and as MusicXML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from symusic.core import KeySignatureTick, NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

STEPS = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G", 9: "A", 11: "B"}
SCALE = tuple(STEPS)
QUARTET_PARTS = {"Violin 1": (76, 74), "Violin 2": (67, 65), "Viola": (60, 59), "Violoncello": (48, 43)}


def song(num_bars: int = 4, names: Sequence[str] = ("Voice", "Right hand", "Left hand")) -> ScoreTick:
    """Return a song in 3/4 after a pickup: a tune over chords, with velocities and a tempo."""
    score = ScoreTick(480)
    score.time_signatures.extend([TimeSignatureTick(0, 1, 4), TimeSignatureTick(480, 3, 4)])
    score.key_signatures.append(KeySignatureTick(0, 0, 0))
    score.tempos.append(TempoTick(0, qpm=92))
    tracks = [TrackTick(name, program, False) for name, program in zip(names, (52, 0, 0), strict=True)]
    tracks[0].notes.append(NoteTick(0, 480, 67, 70))
    for bar in range(num_bars):
        start = 480 + 1440 * bar
        for beat, pitch in enumerate((72, 74, 76)):
            tracks[0].notes.append(NoteTick(start + 480 * beat, 480, pitch - bar % 12, 70))
            if beat:
                for inner in (60, 64, 67):
                    tracks[1].notes.append(NoteTick(start + 480 * beat, 240, inner, 55))
        tracks[2].notes.append(NoteTick(start, 960 if bar % 2 else 1440, 48 - bar % 12, 60))
    score.tracks.extend(tracks)
    return score


def _note(pitch: int, quarters: int, staff: int | None) -> str:
    where = f"<staff>{staff}</staff>" if staff else ""
    return (
        f"<note><pitch><step>{STEPS[pitch % 12]}</step><octave>{pitch // 12 - 1}</octave></pitch>"
        f"<duration>{quarters}</duration>{where}</note>"
    )


def _part(index: int, contents: Sequence[str], starts: Sequence[int], attributes: Sequence[str]) -> str:
    measures = []
    for (start, stop), stated in zip(pairwise([*starts, len(contents)]), attributes, strict=True):
        for number, content in enumerate(contents[start:stop], start=1):
            head = f"<attributes>{stated}</attributes>" if number == 1 and stated else ""
            measures.append(f'<measure number="{number}">{head}{content}</measure>')
    return f'<part id="P{index}">{"".join(measures)}</part>'


def _document(parts: Mapping[str, str], title: str, composer: str) -> str:
    listed = "".join(
        f'<score-part id="P{index}"><part-name>{name}</part-name></score-part>' for index, name in enumerate(parts)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="4.0">'
        f"<work><work-title>{title}</work-title></work>"
        f'<identification><creator type="composer">{composer}</creator></identification>'
        f"<part-list>{listed}</part-list>{''.join(parts.values())}</score-partwise>"
    )


def song_xml(title: str = "Air", composer: str = "A. Composer", voice: str = "Singstimme", shift: int = 0) -> str:
    """Return a song whose piano has two staves; `shift` moves the tune by whole octaves or other steps in C major."""
    opening = "<divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time>"
    tune = [_note(72 + shift, 2, None) + _note(76, 2, None), _note(74, 4, None)] * 3
    hands = [_note(64, 4, 1) + "<backup><duration>4</duration></backup>" + _note(48, 4, 2)] * 6
    piano = opening.replace("<time>", "<time>") + "<staves>2</staves>"
    parts = {voice: _part(0, tune, [0], [opening]), "Klavier": _part(1, hands, [0], [piano])}
    return _document(parts, title, composer)


def quartet_xml(title: str = "Quartet", composer: str = "Joseph Haydn", movements: int = 2, number: int = 0) -> str:
    """Return a quartet with movements of three measures in one file, which differs by number from 0 to 48.

    The key and meter are stated in the first movement only.
    """
    own = QUARTET_PARTS | ({"Violin 1": (72 + SCALE[number % 7], 72 + SCALE[number // 7])} if number else {})
    opening = (
        "<divisions>1</divisions><key><fifths>0</fifths><mode>major</mode></key>"
        "<time><beats>3</beats><beat-type>4</beat-type></time>"
    )
    starts, stated = [3 * index for index in range(movements)], [opening, *[""] * (movements - 1)]
    parts = {}
    for index, (name, (high, low)) in enumerate(own.items()):
        contents = []
        for movement in range(movements):
            contents += [_note(high, 1, None) + _note(low, 2, None), _note(low, 3, None)]
            contents.append(_note(high - movement * 12, 3, None))
        parts[name] = _part(index, contents, starts, stated)
    return _document(parts, title, composer)
