"""The service behind the page, with a writer that needs no model."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from symusic.core import NoteTick, ScoreTick, TempoTick, TrackTick

from descant_modeling.api import Model
from descant_modeling.app.editor import blank_drawing
from descant_modeling.app.jobs import Job, StoppedError
from descant_modeling.app.requests import AppLimits, Listener, Locks, PageRequest
from descant_modeling.app.routes import engraved, rendering_of, stems_of, zip_of
from descant_modeling.app.service import Service, example_files, for_page
from descant_modeling.app.sessions import Clock, Session, Sessions, Take, details, runs_of
from descant_modeling.evaluation.rules import reference_rates
from descant_modeling.generation.base import TASKS, GenerationConfig, GenerationResult, Sample
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering.audio import has_sound
from descant_tokenizers.scores import VOICES, Limits, bars_of


class Parrot:
    """Writes each missing voice a seventh, or as many semitones as the seed says, below the one above it."""

    rewrites_melody = False
    tasks = TASKS
    draws_tokens = True
    styles = ("bach", "folk")

    def harmonize(
        self, score: ScoreTick, config: GenerationConfig, *, given=None, write=(), track=None
    ) -> GenerationResult:
        config.progress(0.5)
        samples = []
        for index in range(config.num_samples):
            made, added = score.copy(), set()
            melody = made.tracks[0].copy()
            made.tracks = type(made.tracks)()
            for rank, voice in enumerate(VOICES):
                line = TrackTick(voice, 52, False)
                for note in melody.notes:
                    pitch = note.pitch - rank * (config.seed % 7 + 3 + index)
                    line.notes.append(NoteTick(note.time, note.duration, pitch, 80))
                    if rank:
                        added.add((voice, note.time, pitch))
                made.tracks.append(line)
            samples.append(Sample(made, frozenset(added), 1, -1.0))
        return GenerationResult(tuple(samples), ("melody: track 1",), VOICES[:1], VOICES[1:])

    def continue_(self, score, config, *, num_bars=8, given=None, write=(), track=None):
        raise InputError("no --track here.")

    def infill(
        self, score: ScoreTick, config: GenerationConfig, *, bars: tuple[int, int], given: Sequence[str] = (), write=()
    ) -> GenerationResult:
        """Double the resolution, and put every free note of the bars on one pitch."""
        made = score.resample(2 * score.ticks_per_quarter)
        chosen = [bar for bar in bars_of(made) if bars[0] <= bar.number <= bars[1]]
        added = set()
        for track in made.tracks:
            for note in track.notes:
                if track.name not in given and chosen[0].start_ticks <= note.time < chosen[-1].end_ticks:
                    note.pitch = 40 + config.seed % 10
                    added.add((track.name, note.time, note.pitch))
        sample = Sample(made, frozenset(added), 1, -1.0)
        return GenerationResult((sample,), (), tuple(given), ())


@pytest.fixture
def studio() -> Service:
    made = Service([])
    made.models["parrot"] = Model(Parrot())  # type: ignore[arg-type]
    return made


@pytest.fixture
def visitor(studio: Service) -> Session:
    return studio.visitors.of("somebody")


def _four_bars() -> dict[str, object]:
    notes = [[4 * place, 4, 67 + place % 5] for place in range(16)]
    return blank_drawing() | {"title": "Four bars", "tracks": [{"name": "Melody", "notes": notes}]}


def _write(studio: Service, visitor: Session, **wishes: object) -> list[Take]:
    asked = PageRequest(**{"model": "parrot", "seed": 1, **wishes})  # type: ignore[arg-type]
    return studio.write(visitor, _four_bars(), asked, Listener(lambda share: None))


def _pitches(version: Take, voice: str, bar: int) -> list[int]:
    track = next(track for track in version.score.tracks if track.name == voice)
    found = bars_of(version.score)[bar]
    return [note.pitch for note in track.notes if found.start_ticks <= note.time < found.end_ticks]


def test_versions_are_written_numbered_and_kept(studio: Service, visitor: Session) -> None:
    written = _write(studio, visitor, num_particles=3)
    assert [version.number for version in written] == [1, 2, 3]
    assert written[0].own_voices == ("Soprano",)
    assert written[0].own_bars == ()
    assert len({version.score.dumps_midi() for version in written}) == 3
    for _ in range(8):
        _write(studio, visitor)
    assert [version.number for version in visitor.versions] == [4, 5, 6, 7, 8, 9, 10, 11]
    with pytest.raises(InputError, match="version 2 is not here any more"):
        visitor.version(2)


def test_locked_bars_and_voices_stay_and_the_rest_is_written_anew(studio: Service, visitor: Session) -> None:
    (old,) = _write(studio, visitor)
    locks = Locks(frozenset({1}), frozenset({"Bass"}))
    new = studio.rewrite(visitor, 1, locks, PageRequest(model="parrot", seed=5), Listener(lambda share: None))
    assert visitor.versions == [old, new]
    for bar in range(4):
        for voice in VOICES:
            stays = bar == 1 or voice in ("Soprano", "Bass")
            assert (_pitches(new, voice, bar) == _pitches(old, voice, bar)) is stays, (bar, voice)
    # What is shown as written follows the finer resolution of both passes.
    assert new.score.ticks_per_quarter == 4 * old.score.ticks_per_quarter
    notes = {(t.name, n.time, n.pitch) for t in new.score.tracks if t.name != "Soprano" for n in t.notes}
    assert new.added == notes
    assert "bar 2 and Bass" in new.made


def test_with_nothing_locked_the_request_is_made_once_more(studio: Service, visitor: Session) -> None:
    (old,) = _write(studio, visitor)
    new = studio.rewrite(visitor, 1, Locks(), PageRequest(model="parrot", seed=2), Listener(lambda share: None))
    assert new.score.ticks_per_quarter == old.score.ticks_per_quarter
    assert _pitches(new, "Soprano", 0) == _pitches(old, "Soprano", 0)
    assert _pitches(new, "Alto", 0) != _pitches(old, "Alto", 0)


@pytest.mark.parametrize(
    ("locks", "what"), [(Locks(frozenset(range(4))), "bar"), (Locks(voices=frozenset(VOICES)), "voice")]
)
def test_nothing_left_to_write_is_said(studio: Service, visitor: Session, locks: Locks, what: str) -> None:
    _write(studio, visitor)
    with pytest.raises(InputError, match=f"every {what} is locked"):
        studio.rewrite(visitor, 1, locks, PageRequest(model="parrot"))


def test_a_file_goes_to_the_model_as_it_was_until_it_is_edited(
    studio: Service, visitor: Session, repo_root: Path
) -> None:
    drawing = studio.open_example(visitor, "Ode to joy")
    source = studio.score_of(visitor, drawing)
    assert (
        source.tracks[0].notes[0].velocity
        != studio.score_of(visitor, drawing | {"edited": True}).tracks[0].notes[0].velocity
        or source
    )
    assert studio.score_of(visitor, drawing) is source
    drawing["tracks"][0]["notes"].pop()
    edited = studio.score_of(visitor, drawing | {"edited": True})
    assert len(edited.tracks[0].notes) == len(source.tracks[0].notes) - 1
    studio.open_example(visitor, "Twinkle")
    with pytest.raises(InputError, match="upload it again"):
        studio.score_of(visitor, drawing)


def test_uploads_are_bounded_and_refused_by_their_own_name(visitor: Session, repo_root: Path) -> None:
    studio = Service([], AppLimits(upload=Limits(max_bytes=700, max_notes=40, max_bars=12), max_minutes=0.3))
    twinkle = (repo_root / "examples/twinkle.mid").read_bytes()
    with pytest.raises(InputError, match=r"^big\.mid has more than 700 bytes"):
        studio.open_file(visitor, bytes(701), "../../big.mid")
    with pytest.raises(InputError, match=r"^song\.mid holds \d+ notes, and at most 40"):
        studio.open_file(visitor, twinkle, "song.mid")
    with pytest.raises(InputError, match=r"x\.txt is of no known format"):
        studio.open_file(visitor, b"hello", "x.txt")
    studio = Service([], AppLimits(max_minutes=0.3))
    with pytest.raises(InputError, match="plays for"):
        studio.open_file(visitor, twinkle, "song.mid")


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"num_particles": 5}, "give 1 to 4"),
        ({"task": "continue", "num_bars": 17}, "give 1 to 16"),
        ({"model": "nobody"}, "there is no model 'nobody'"),
        ({"style": "mozart"}, "the style is 'mozart'; this model knows bach, folk"),
    ],
)
def test_wishes_out_of_range_are_refused(
    studio: Service, visitor: Session, wishes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        _write(studio, visitor, **wishes)


def test_a_model_that_only_harmonizes_keeps_nothing_alone_and_asks_another_one(
    studio: Service, visitor: Session
) -> None:
    class Singer(Parrot):
        tasks = TASKS[:1]

    studio.models = {"singer": Model(Singer())}  # type: ignore[arg-type]
    _write(studio, visitor, model="singer")
    locks, wishes = Locks(frozenset({1})), PageRequest(model="singer", seed=5)
    with pytest.raises(InputError, match="singer only harmonizes, and so cannot keep bars or voices; unlock them"):
        studio.rewrite(visitor, 1, locks, wishes)
    studio.models["parrot"] = Model(Parrot())  # type: ignore[arg-type]
    new = studio.rewrite(visitor, 1, locks, wishes)
    assert new.remarks == ("written by parrot, because singer only harmonizes",)


def test_who_cancels_at_the_last_moment_gets_no_version(studio: Service, visitor: Session) -> None:
    def stop(share: float) -> None:
        if share == 1.0:
            raise StoppedError

    with pytest.raises(StoppedError):
        studio.write(visitor, _four_bars(), PageRequest(model="parrot"), Listener(stop))
    assert visitor.versions == []


def test_sentences_name_the_controls_of_the_page() -> None:
    assert for_page(InputError("choose with --track one of: 1, 2.")) == "Choose as the melody's track one of: 1, 2."


def test_a_quiet_visitor_makes_room_and_a_token_opens_one_door() -> None:
    visitors = Sessions(2, 8)
    first, second = visitors.of("a"), visitors.of("b")
    assert visitors.of("a") is first
    visitors.of("c")
    assert visitors.find(first.token) is first
    with pytest.raises(InputError, match="reload it"):
        visitors.find(second.token)
    first.job = Job(lambda report: None, 60)
    visitors.leave("a")
    with pytest.raises(StoppedError):
        first.job.report(0.5)
    assert visitors.find(first.token) is first


def test_examples_are_found_in_the_checkout(repo_root: Path) -> None:
    assert set(example_files()) >= {"Ode to joy", "Row your boat", "Au clair de la lune"}


def test_runs_of_neighbours() -> None:
    assert runs_of(range(8), {0, 3, 4, 7}) == [(1, 2), (5, 6)]
    assert runs_of([], ()) == []


def test_the_clock_agrees_with_symusic(studio: Service, visitor: Session) -> None:
    (version,) = _write(studio, visitor)
    score = version.score.copy()
    score.tempos.append(TempoTick(1000, qpm=61))
    score.tempos.append(TempoTick(5000, qpm=150.5))
    clock = Clock(score)
    ours = [clock.seconds(note.time) for note in score.tracks[1].notes]
    theirs = [note.time for note in score.to("second").tracks[1].notes]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_what_the_browser_gets_of_a_version(studio: Service, visitor: Session) -> None:
    (version,) = _write(studio, visitor)
    known = json.loads(json.dumps(details(version)))
    assert [(voice["name"], voice["own"]) for voice in known["voices"]] == [(v, v == "Soprano") for v in VOICES]
    assert [bar["number"] for bar in known["bars"]] == [1, 2, 3, 4]
    assert sum(note[4] for note in known["notes"]) == 16
    rules = {row["label"]: row for row in known["rules"]}
    assert len(rules) == 9
    fifths = reference_rates().rates["parallel_fifths"].value
    assert rules["parallel fifths"]["bach"]["value"] == pytest.approx(fifths, abs=0.01)


def test_the_engraved_score_says_when_its_notes_sound(studio: Service, visitor: Session) -> None:
    (version,) = _write(studio, visitor)
    page = engraved(rendering_of(version), 700)
    assert len(page["notes"]) == 64
    assert all(f'id="{name}"' in page["svg"] for name, _, _ in page["notes"])
    starts = sorted({start for _, start, _ in page["notes"]})
    np.testing.assert_allclose(starts, [place * 60 / 90 for place in range(16)], atol=1e-3)


def test_a_score_is_engraved_in_any_thread_as_narrow_as_a_phone(studio: Service, visitor: Session) -> None:
    (version,) = _write(studio, visitor)
    pages: list[str] = []
    # Verovio knows its fonts in the thread that imported it, and a server has many.
    thread = Thread(target=lambda: pages.append(engraved(rendering_of(version, is_closed=True), 340)["svg"]))
    thread.start()
    thread.join()
    assert 'width="340px"' in pages[0]


@pytest.mark.skipif(not has_sound(), reason="needs the extra `sound`")
def test_stems_are_heard_and_everything_is_in_the_archive(studio: Service, visitor: Session) -> None:
    import soundfile

    (version,) = _write(studio, visitor)
    stems = stems_of(version)
    assert tuple(stems) == VOICES
    sound = [soundfile.read(io.BytesIO(data))[0] for data in stems.values()]
    assert len({len(samples) for samples in sound}) == 1
    assert all(np.sqrt((samples**2).mean()) > 0.005 for samples in sound)
    archive = zipfile.ZipFile(io.BytesIO(zip_of([version])))
    names = [f"version-1{suffix}" for suffix in (".mid", ".musicxml", ".svg", ".png", ".mp3")]
    assert sorted(archive.namelist()) == sorted([*names, "versions.json"])
    (facts,) = json.loads(archive.read("versions.json"))
    assert facts["seed"] == 1
