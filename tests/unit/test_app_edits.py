"""Single notes of a take: edited by hand, and kept while the rest is written again."""

from __future__ import annotations

from typing import Any

import pytest
from symusic.core import NoteTick, TrackTick

from descant_modeling.app.editor import blank_drawing
from descant_modeling.app.requests import Locks, NoteChange, PageRequest
from descant_modeling.app.service import Service
from descant_modeling.app.sessions import Session, Take, details
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.generation.base import GenerationResult, Request, Sample
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES

QUARTER = 480
REQUEST = PageRequest("harmonize").configured(seed=3, progress=lambda share: None)


class Octaves:
    """Writes each voice eight semitones below the one above it."""

    rewrites_melody = False
    tasks = ("harmonize",)
    draws_tokens = True
    styles: tuple[str, ...] = ()
    has_hints = False

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        made, added = request.prompt.copy(), set()
        melody = made.tracks[0].copy()
        made.tracks = type(made.tracks)()
        for rank, voice in enumerate(VOICES):
            line = TrackTick(voice, 52, False)
            for note in melody.notes:
                line.notes.append(NoteTick(note.time, note.duration, note.pitch - 8 * rank, 80))
                added |= {(voice, note.time, note.pitch - 8 * rank)} if rank else set()
            made.tracks.append(line)
        return GenerationResult((Sample(made, frozenset(added), 1, -1.0),), (), VOICES[:1], VOICES[1:])


@pytest.fixture(scope="module")
def service() -> Service:
    made = Service(["chorales"])
    made.generators["octaves"] = Octaves()
    return made


@pytest.fixture
def session(service: Service) -> Session:
    session = Session("a token", 8)
    notes = [[4 * place, 4, 67 + place % 5] for place in range(12)]
    drawing = blank_drawing() | {"title": "Three bars", "tracks": [{"name": "Melody", "notes": notes}]}
    service.write(session, drawing, PageRequest("harmonize", model="octaves").configured(progress=lambda share: None))
    return session


def _notes(take: Take, voice: str) -> list[tuple[float, float, int]]:
    """Onset and length in quarters, and pitch."""
    track, unit = next(track for track in take.score.tracks if track.name == voice), take.score.ticks_per_quarter
    return [(note.time / unit, note.duration / unit, note.pitch) for note in track.notes]


def _change(before: tuple[int, int] | None, after: tuple[int, int, int] | None, voice: str = "Alto") -> NoteChange:
    return NoteChange(voice, before and (before[0] * QUARTER, before[1]), after and (
        after[0] * QUARTER, after[1] * QUARTER, after[2]
    ))  # fmt: skip


def test_notes_are_moved_deleted_and_added(service: Service, session: Session) -> None:
    changes = (
        _change((0, 59), (0, 1, 60)),
        _change((1, 60), (1, 2, 62)),
        _change((2, 61), None),
        _change(None, (3, 1, 55), "Bass"),
        _change((3, 46), None, "Bass"),
    )
    take = service.edit(session, 1, changes, REQUEST)
    assert session.takes[-1] is take
    assert take.made == "Take 1, edited by hand"
    assert _notes(take, "Alto")[:3] == [(0, 1, 60), (1, 2, 62), (3, 1, 62)]
    assert _notes(take, "Bass")[3] == (3, 1, 55)
    assert _notes(take, "Bass")[4:] == _notes(session.take(1), "Bass")[4:]
    written = {(t.name, n.time, n.pitch) for t in take.score.tracks if t.name != "Soprano" for n in t.notes}
    assert take.added == written
    facts = details(take)
    assert len(facts["ticks"]) == len(facts["notes"]) == 47
    assert facts["ticks_per_quarter"] == QUARTER
    assert [bar["end_ticks"] for bar in facts["bars"]] == [1920, 3840, 5760]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change((0, 67), None, "Soprano"), "Soprano is yours"),
        (_change((0, 67), None, "Flute"), "Flute is yours, or not there"),
        (_change((0, 58), None), "no longer there"),
        (_change((0, 59), (0, 2, 60)), "Two notes of Alto overlap"),
        (_change((0, 59), (11, 2, 60)), "outside the piece"),
        (_change((0, 59), (0, 1, 127)), "outside the piece or its voices"),
    ],
)
def test_impossible_changes_are_refused(service: Service, session: Session, change: NoteChange, message: str) -> None:
    with pytest.raises(InputError, match=message):
        service.edit(session, 1, (change,), REQUEST)
    with pytest.raises(InputError, match="Nothing was changed"):
        service.edit(session, 1, (), REQUEST)
    assert len(session.takes) == 1


def test_kept_notes_stay_and_the_others_are_written_around_them(service: Service, session: Session) -> None:
    # A note of the alto at another pitch, one of the bass that lasts a half, and one of the tenor as it was.
    changes = (_change((0, 59), (0, 1, 62)), _change((4, 47), (4, 2, 48), "Bass"), _change((5, 43), None, "Bass"))
    notes = {("Alto", 0, 62), ("Bass", 4 * QUARTER, 48), ("Tenor", 8 * QUARTER, 54)}
    take = service.rewrite(session, 1, Locks(notes=frozenset(notes), changes=changes), REQUEST)
    assert (0, 1, 62) in _notes(take, "Alto")
    assert (4, 2, 48) in _notes(take, "Bass")
    assert (8, 1, 54) in _notes(take, "Tenor")
    assert _notes(take, "Soprano") == _notes(session.take(1), "Soprano")
    assert _notes(take, "Alto") != _notes(session.take(1), "Alto")
    assert "3 notes" in take.made
    written = {(t.name, n.time, n.pitch) for t in take.score.tracks if t.name != "Soprano" for n in t.notes}
    assert take.added == written  # so that they can be written again later
    again = service.rewrite(session, 2, Locks(bars=frozenset({0, 1}), notes=frozenset({("Alto", 0, 62)})), REQUEST)
    assert _notes(again, "Alto")[0] == (0, 1, 62)


def test_a_kept_note_must_be_there(service: Service, session: Session) -> None:
    with pytest.raises(InputError, match="A kept note is yours"):
        service.rewrite(session, 1, Locks(notes=frozenset({("Soprano", 0, 67)})), REQUEST)


def test_what_a_browser_sends_is_read() -> None:
    sent: dict[str, Any] = {"bars": [1], "voices": ["Bass"], "number": 1}
    assert Locks.of(sent) == Locks(frozenset({1}), frozenset({"Bass"}))
    sent |= {"notes": [["Alto", 0, 62]], "changes": [["Alto", [0, 59], [0, 480, 62]], ["Alto", None, [480, 480, 60]]]}
    sent["changes"].append(["Bass", [0, 47], None])
    assert Locks.of(sent).changes[0] == NoteChange("Alto", (0, 59), (0, 480, 62))
    assert [change.before for change in Locks.of(sent).changes] == [(0, 59), None, (0, 47)]
    assert Locks.of(sent).changes[2].after is None
