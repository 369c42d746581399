"""The page and the HTTP API with songs and string quartets: parts, takes written again, edited, shown and heard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ensemble_models import save_ensemble
from small_ensembles import song

from descant_modeling.app.editor import blank_drawing
from descant_modeling.app.live import LiveStart, _playing
from descant_modeling.app.media import engraved, stems_of
from descant_modeling.app.requests import Locks, NoteChange, PageRequest
from descant_modeling.app.schemas import HarmonizeRequest
from descant_modeling.app.service import Service
from descant_modeling.app.sessions import Session, Take, details
from descant_modeling.app.tasks import generation_task
from descant_modeling.app.words import for_page
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.scores import VOICES

NOTES = [[4 * place, 4, 67 + (5 * place) % 7] for place in range(12)]
DRAWING = blank_drawing() | {"title": "A tune", "tracks": [{"name": "Melody", "notes": NOTES}]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folders = {preset: tmp_path_factory.mktemp(preset) for preset in ("song", "quartet")}
    made = Service(["chorales", *(save_ensemble(preset, folder) for preset, folder in folders.items())], device="cpu")
    made.generators = dict(zip(("chorales", "songs", "quartets"), made.generators.values(), strict=True))
    return made


@pytest.fixture
def session(service: Service) -> Session:
    return service.sessions.of("a page")


def asked(model: str, task: str = "harmonize", **options: Any) -> PageRequest:
    configured = {"seed": 3, "temperature": 1.0, "progress": lambda share: None}
    return PageRequest(task, model=model, **options).configured(**configured)


def write(service: Service, session: Session, model: str, task: str = "harmonize", **options: Any) -> Take:
    (take,) = service.write(session, DRAWING, asked(model, task, **options))
    return take


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("songs", ["Voice", "Right hand", "Left hand"]),
        ("quartets", ["Violin I", "Violin II", "Viola", "Cello"]),
    ],
)
def test_a_drawing_gets_the_parts_of_its_model(service, session, model, names):
    take = write(service, session, model)
    facts = details(take)
    assert [voice["name"] for voice in facts["voices"]] == names
    assert [voice["name"] for voice in facts["voices"] if voice["own"]] == names[:1]
    assert {index for index, *_ in facts["notes"]} == set(range(len(names)))
    assert facts["faults"] is None
    assert list(take.renderings) == ["open"]
    page = engraved(take.renderings["open"], 900)
    assert "<svg" in page["svg"]
    assert len(page["notes"]) >= len(facts["notes"])
    assert take.renderings["open"].musicxml.count("<group-symbol>brace</group-symbol>") == (model == "songs")
    assert set(stems_of(take)) == set(names)


def test_a_locked_bar_and_hand_stay_whichever_model_is_chosen_by_then(service, session):
    old = write(service, session, "songs")
    locks = Locks(frozenset({1}), frozenset({"Right hand"}))
    new = service.rewrite(session, old.number, locks, asked("chorales"))
    assert "written by songs, because chorales only" in new.remarks[0]
    fine = new.score.ticks_per_quarter // old.score.ticks_per_quarter

    def notes(take: Take, name: str, factor: int = 1) -> set[tuple[int, int]]:
        track = next(track for track in take.score.tracks if track.name == name)
        return {(note.time * factor, note.pitch) for note in track.notes}

    for name in ("Voice", "Right hand"):
        assert notes(new, name) == notes(old, name, fine)
    kept = range(4 * new.score.ticks_per_quarter, 8 * new.score.ticks_per_quarter)
    left, before = notes(new, "Left hand"), notes(old, "Left hand", fine)
    assert {each for each in left if each[0] in kept} == {each for each in before if each[0] in kept}
    assert left != before


def test_a_chorale_is_not_rewritten_or_mended_by_songs(service, session):
    chorale = write(service, session, "chorales")
    new = service.rewrite(session, chorale.number, Locks(frozenset({0})), asked("quartets"))
    assert {track.name for track in new.score.tracks} == set(VOICES)
    assert "because quartets only writes for two violins, viola and cello" in new.remarks[0]
    assert service.infilling_model("songs") == "chorales"


def test_notes_of_a_chord_are_edited_and_single_ones_cannot_be_kept(service, session):
    take = write(service, session, "songs")
    right = next(track for track in take.score.tracks if track.name == "Right hand")
    note = next(note for note in right.notes if note.pitch < 80)
    free = next(p for p in range(81, 100) if all(other.pitch != p for other in right.notes))
    added = NoteChange("Right hand", None, (note.time, note.duration, free))
    new = service.edit(session, take.number, [added], asked("songs"))
    assert ("Right hand", note.time, free) in new.added
    with pytest.raises(InputError, match=r"Two notes of Right hand overlap\. Move or shorten one"):
        service.edit(session, new.number, [added], asked("songs"))
    locks = Locks(notes=frozenset({("Right hand", note.time, note.pitch)}))
    with pytest.raises(InputError) as refused:
        service.rewrite(session, take.number, locks, asked("songs"))
    assert for_page(refused.value) == "Single notes cannot be kept with this model. Unlock them."


def test_a_song_goes_on_and_bars_of_one_hand_are_written_again(service, session):
    request = replace(asked("songs", "continue", num_bars=2), score=song())
    goes_on = service._generate(request)
    assert {track.name for track in goes_on.score.tracks} == {"Voice", "Right hand", "Left hand"}
    infill = replace(asked("songs", "infill", bars=(2, 3), given=("Voice", "Left hand")), score=song())
    assert {name for name, _, _ in service._generate(infill).samples[0].added} <= {"Right hand"}


def test_the_api_offers_them_and_cannot_play_along_with_them(service):
    body = {
        "file": {"name": "tune.abc", "text": "X:1\nM:4/4\nL:1/4\nK:G\nGABG|BcdB|"},
        "model": "quartets",
        "style": "haydn",
        "seed": 1,
        "formats": ["musicxml"],
    }
    result = generation_task(service, HarmonizeRequest.model_validate(body))(lambda share: None, lambda sketch: None)
    assert {note["voice"] for note in result.facts["samples"][0]["notes"]} >= {"Violin I", "Viola"}
    assert b"<part-name>Viola</part-name>" in result.files["tune-harmonize.musicxml"]
    with pytest.raises(InputError, match=r"songs cannot play along\. Choose chorales"):
        _playing(service, LiveStart(model="songs").model)


def test_models_of_any_instruments_are_refused(band_checkpoint):
    with pytest.raises(InputError, match=r"the page is for four voices, songs and quartets\. Use generate\.py"):
        Service([str(band_checkpoint)])
