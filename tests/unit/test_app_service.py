"""The service behind the page, with a generator that needs no model."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from symusic.core import NoteTick, TempoTick, TrackTick

from descant_modeling.api import Model
from descant_modeling.app.editor import blank_drawing
from descant_modeling.app.jobs import Job, StoppedError
from descant_modeling.app.media import engraved, practice_zip, print_page, stems_of, zip_of
from descant_modeling.app.requests import AppLimits, Locks, PageRequest
from descant_modeling.app.service import Service, example_files
from descant_modeling.app.sessions import Clock, RecentTakes, Session, Sessions, Take, details, runs_of
from descant_modeling.app.words import for_page
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.evaluation.rules import reference_rates
from descant_modeling.generation.base import TASKS, GenerationResult, Request, Sample, parse_phrases
from descant_tokenizers.common.errors import InputError
from descant_tokenizers.rendering import PracticeOptions
from descant_tokenizers.scores import VOICES, Limits, bars_of, read_score


class Parrot:
    """Writes each missing voice a seventh, or as many semitones as the seed says, below the one above it."""

    rewrites_melody = False
    tasks = TASKS
    draws_tokens = True
    styles = ("bach", "folk")
    has_hints = True

    def generate(self, request: Request, config: GenerationConfig) -> GenerationResult:
        self.heard = request.prompt
        if request.task == "continue":
            raise InputError("no --track here.")
        return (self.harmonize if request.task == "harmonize" else self.infill)(request, config)

    def harmonize(self, request: Request, config: GenerationConfig) -> GenerationResult:
        score = request.prompt
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
            chords = tuple(request.chords) or tuple(["C"] * len(bars_of(score)))
            samples.append(Sample(made, frozenset(added), 1, -1.0, chords=chords))
        phrases = ((2,), "guessed") if request.phrases is None else (tuple(request.phrases), "as requested")
        return GenerationResult(tuple(samples), ("melody: track 1",), VOICES[:1], VOICES[1:], *phrases)

    def infill(self, request: Request, config: GenerationConfig) -> GenerationResult:
        """Double the resolution, and put every free note of the bars on one pitch."""
        score, bars, given = request.prompt, request.bars, request.given or ()
        made = score.resample(2 * score.ticks_per_quarter)
        chosen = [bar for bar in bars_of(made) if bars[0] <= bar.number <= bars[1]]
        added = set()
        for track in made.tracks:
            for note in track.notes:
                if track.name not in given and chosen[0].start_ticks <= note.time < chosen[-1].end_ticks:
                    note.pitch = 40 + config.seed % 10
                    added.add((track.name, note.time, note.pitch))
        chords = [text if bars[0] <= number <= bars[1] else "" for number, text in enumerate(request.chords, start=1)]
        sample = Sample(made, frozenset(added), 1, -1.0, chords=tuple(chords))
        return GenerationResult((sample,), (), tuple(given), ())


@pytest.fixture
def service() -> Service:
    made = Service([])
    made.generators["parrot"] = Parrot()
    return made


@pytest.fixture
def session(service: Service) -> Session:
    return service.sessions.of("somebody")


def _four_bars() -> dict[str, object]:
    notes = [[4 * place, 4, 67 + place % 5] for place in range(16)]
    return blank_drawing() | {"title": "Four bars", "tracks": [{"name": "Melody", "notes": notes}]}


def _write(service: Service, session: Session, **options: object) -> list[Take]:
    names = ("task", "model", "num_bars", "key", "phrases", "chords")
    own = {name: options.pop(name) for name in names if name in options}
    request = PageRequest(**{"task": "harmonize", "model": "parrot", **own})  # type: ignore[arg-type]
    request = request.configured(**{"seed": 1, "progress": lambda share: None, **options})
    return service.write(session, _four_bars(), request)


def _pitches(take: Take, voice: str, bar: int) -> list[int]:
    track = next(track for track in take.score.tracks if track.name == voice)
    found = bars_of(take.score)[bar]
    return [note.pitch for note in track.notes if found.start_ticks <= note.time < found.end_ticks]


def test_takes_are_written_numbered_and_kept(service: Service, session: Session) -> None:
    written = _write(service, session, num_samples=3)
    assert [take.number for take in written] == [1, 2, 3]
    assert written[0].own_voices == ("Soprano",)
    assert written[0].own_bars == ()
    assert len({take.score.dumps_midi() for take in written}) == 3
    for _ in range(8):
        _write(service, session)
    assert [take.number for take in session.takes] == [4, 5, 6, 7, 8, 9, 10, 11]
    with pytest.raises(InputError, match="Take 2 is no longer here"):
        session.take(2)


def test_locked_bars_and_voices_stay_and_the_rest_is_written_again(service: Service, session: Session) -> None:
    (old,) = _write(service, session)
    locks = Locks(frozenset({1}), frozenset({"Bass"}))
    new = service.rewrite(
        session, 1, locks, PageRequest("harmonize", model="parrot").configured(seed=5, progress=lambda share: None)
    )
    assert session.takes == [old, new]
    for bar in range(4):
        for voice in VOICES:
            stays = bar == 1 or voice in ("Soprano", "Bass")
            assert (_pitches(new, voice, bar) == _pitches(old, voice, bar)) is stays, (bar, voice)
    # What is shown as written follows the finer resolution of both passes.
    assert new.score.ticks_per_quarter == 4 * old.score.ticks_per_quarter
    notes = {(t.name, n.time, n.pitch) for t in new.score.tracks if t.name != "Soprano" for n in t.notes}
    assert new.added == notes
    assert "bar 2 and Bass" in new.made


def test_with_nothing_locked_the_request_is_made_once_more(service: Service, session: Session) -> None:
    (old,) = _write(service, session)
    new = service.rewrite(
        session, 1, Locks(), PageRequest("harmonize", model="parrot").configured(seed=2, progress=lambda share: None)
    )
    assert new.score.ticks_per_quarter == old.score.ticks_per_quarter
    assert _pitches(new, "Soprano", 0) == _pitches(old, "Soprano", 0)
    assert _pitches(new, "Alto", 0) != _pitches(old, "Alto", 0)


def test_a_plan_is_kept_shown_and_written_again_with_other_chords(service: Service, session: Session) -> None:
    (old,) = _write(service, session, key="Bb major", phrases=(2, 4), chords=("Bb", "Eb", "F7", "Bb"))
    assert details(old)["plan"] == {
        "key": "Bb major (as requested)",
        "phrases": [2, 4],
        "phrase_source": "as requested",
        "bars": [{"number": n, "chords": c} for n, c in zip(range(1, 5), ("Bb", "Eb", "F7", "Bb"), strict=True)],
    }
    again = PageRequest("harmonize", model="parrot").configured(seed=3, progress=lambda share: None)
    chords = ("Bb", "Cm", "F7", "Gm")
    new = service.rewrite(session, 1, Locks(), again, chords)
    assert new.chords == chords
    assert new.phrases == old.phrases
    assert new.request.key == "Bb major"
    assert new.made == "Take 1 again over these chords, seed 3"
    kept = service.rewrite(session, 2, Locks(frozenset({0, 3})), again, ("Dm", "Dm", "Dm", "Dm"))
    assert kept.chords == ("Bb", "Dm", "Dm", "Gm")
    assert service.rewrite(session, 2, Locks(), again).chords == chords


def test_a_model_without_hints_is_not_told_of_them(service: Service, session: Session) -> None:
    service.generators["parrot"].has_hints = False
    (take,) = _write(service, session, key="Bb major", phrases=(2,), chords=("Bb",))
    assert take.chords == ("C",) * 4
    assert take.phrases == ((2,), "guessed")


def test_the_fermatas_of_a_file_reach_the_model(service: Service, session: Session) -> None:
    drawing = service.open_file(session, b"X:1\nM:4/4\nL:1/4\nK:C\nCDE!fermata!C|GFED|C4|\n", "tune.abc")
    music = service.music_of(session, drawing)
    fermatas = music.fermatas_ticks
    assert fermatas == (music.score.tracks[0].notes[3].time,)
    take = service.write(
        session, drawing, PageRequest("harmonize", model="parrot").configured(progress=lambda share: None)
    )[0]
    assert take.request.phrase_ends == fermatas
    assert service.music_of(session, drawing | {"edited": True}).fermatas_ticks == ()


def test_a_tune_played_by_hand_reaches_the_model_as_on_the_command_line(
    service: Service, session: Session, repo_root: Path, tmp_path: Path
) -> None:
    played = read_score(repo_root / "examples" / "twinkle.mid")
    rng = np.random.default_rng(3)
    for note in played.tracks[0].notes:
        note.time = max(0, note.time + int(rng.normal(0, 0.025) * 2 * played.ticks_per_quarter))
    path = tmp_path / "played.mid"
    played.dump_midi(path)
    parrot = service.generators["parrot"]
    (sample,) = Model(parrot).harmonize(path, progress=lambda share: None).samples
    on_the_command_line = parrot.heard
    drawing = service.open_file(session, path.read_bytes(), "played.mid")
    request = PageRequest("harmonize", model="parrot").configured(progress=lambda share: None)
    (take,) = service.write(session, drawing, request)
    heard = [(note.time, note.pitch) for note in parrot.heard.tracks[0].notes]
    assert heard == [(note.time, note.pitch) for note in on_the_command_line.tracks[0].notes]
    assert all(time % (parrot.heard.ticks_per_quarter // 4) == 0 for time, _ in heard)
    assert [note.time for note in take.score.tracks[0].notes] == [note.time for note in sample.score.tracks[0].notes]
    gaps = [
        np.diff([note.time for note in score.to("second").tracks[0].notes]) for score in (take.score, read_score(path))
    ]
    assert gaps[0] == pytest.approx(gaps[1], abs=0.002)
    assert any("played by hand" in remark for remark in take.remarks)


@pytest.mark.parametrize(
    ("locks", "what"), [(Locks(frozenset(range(4))), "bar"), (Locks(voices=frozenset(VOICES)), "voice")]
)
def test_nothing_left_to_write_is_said(service: Service, session: Session, locks: Locks, what: str) -> None:
    _write(service, session)
    with pytest.raises(InputError, match=f"Every {what} is locked"):
        service.rewrite(session, 1, locks, PageRequest("harmonize", model="parrot"))


def test_a_file_goes_to_the_model_as_it_was_until_it_is_edited(
    service: Service, session: Session, repo_root: Path
) -> None:
    drawing = service.open_example(session, "Ode to joy")
    source = service.music_of(session, drawing).score
    assert (
        source.tracks[0].notes[0].velocity
        != service.music_of(session, drawing | {"edited": True}).score.tracks[0].notes[0].velocity
        or source
    )
    assert service.music_of(session, drawing).score is source
    drawing["tracks"][0]["notes"].pop()
    edited = service.music_of(session, drawing | {"edited": True}).score
    assert len(edited.tracks[0].notes) == len(source.tracks[0].notes) - 1
    service.open_example(session, "Twinkle")
    assert service.music_of(session, drawing).score is source  # for Undo
    for _ in range(session.num_kept):
        service.open_example(session, "Twinkle")
    with pytest.raises(InputError, match="Upload it again"):
        service.music_of(session, drawing)


def test_uploads_are_bounded_and_refused_by_their_own_name(session: Session, repo_root: Path) -> None:
    service = Service([], AppLimits(upload=Limits(max_bytes=700, max_notes=40, max_bars=12), max_minutes=0.3))
    twinkle = (repo_root / "examples/twinkle.mid").read_bytes()
    with pytest.raises(InputError, match=r"^big\.mid has more than 700 bytes"):
        service.open_file(session, bytes(701), "../../big.mid")
    with pytest.raises(InputError, match=r"^song\.mid holds \d+ notes, more than the limit of 40"):
        service.open_file(session, twinkle, "song.mid")
    with pytest.raises(InputError, match=r"x\.txt has an unknown format"):
        service.open_file(session, b"hello", "x.txt")
    service = Service([], AppLimits(max_minutes=0.3))
    with pytest.raises(InputError, match="plays for"):
        service.open_file(session, twinkle, "song.mid")
    tune = "X:1\nK:C\n" + "".join(f"V:{number}\nCDEF|\n" for number in range(33))
    with pytest.raises(InputError, match=r"^song\.abc has 33 tracks, and at most 32 are accepted\. Delete some\.$"):
        Service([]).open_file(session, tune.encode(), "song.abc")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_samples": 5}, "Give 1 to 4"),
        ({"task": "continue", "num_bars": 17}, "Give 1 to 16"),
        ({"model": "nobody"}, "There is no model 'nobody'"),
        ({"style": "mozart"}, "The style is 'mozart'. Choose from bach, folk"),
    ],
)
def test_options_out_of_range_are_refused(
    service: Service, session: Session, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        _write(service, session, **options)


def test_a_model_that_only_harmonizes_keeps_nothing_alone_and_asks_another_one(
    service: Service, session: Session
) -> None:
    class Singer(Parrot):
        tasks = TASKS[:1]

    service.generators = {"singer": Singer()}
    _write(service, session, model="singer")
    locks, request = Locks(frozenset({1})), PageRequest("harmonize", model="singer").configured(seed=5)
    with pytest.raises(InputError, match=r"singer only harmonizes, and so cannot keep bars or voices\. Unlock them"):
        service.rewrite(session, 1, locks, request)
    service.generators["parrot"] = Parrot()
    new = service.rewrite(session, 1, locks, request)
    assert new.remarks == ("written by parrot, because singer only harmonizes",)


def test_who_cancels_at_the_last_moment_gets_no_take(service: Service, session: Session) -> None:
    def stop(share: float) -> None:
        if share == 1.0:
            raise StoppedError

    with pytest.raises(StoppedError):
        service.write(session, _four_bars(), PageRequest("harmonize", model="parrot").configured(progress=stop))
    assert session.takes == []


def test_sentences_name_the_controls_of_the_page() -> None:
    assert for_page(InputError("Choose with --track one of 1, 2.")) == "Choose as the melody track one of 1, 2."
    with pytest.raises(InputError) as refused:
        parse_phrases("soon")
    sentence = "The entry for phrase ends is 'soon'. Give bars in which phrases end, such as 4,8,12, or auto, or none."
    assert for_page(refused.value) == sentence
    assert for_page(InputError("The prompt has bars 0 to 8.")) == "Your tune has bars 0 to 8."


def test_a_quiet_session_makes_room_and_a_token_opens_one_door() -> None:
    sessions = Sessions(2, 8)
    first, second = sessions.of("a"), sessions.of("b")
    assert sessions.of("a") is first
    sessions.of("c")
    assert sessions.find(first.token) is first
    with pytest.raises(InputError, match="Reload it"):
        sessions.find(second.token)
    first.job = Job(lambda report: None, 60)
    sessions.leave("a")
    with pytest.raises(StoppedError):
        first.job.report(0.5)
    assert sessions.find(first.token) is first


def test_a_reloaded_page_finds_its_session_and_a_wrong_token_a_new_one() -> None:
    sessions = Sessions(2, 8)
    first = sessions.of("a")
    first.job = Job(lambda report: None, 60)
    assert sessions.resume("b", first.token) is first
    with pytest.raises(StoppedError):
        first.job.report(0.5)
    for token in ("", first.token[:-1]):
        assert sessions.resume("c", token) is not first
    assert sessions.of("b") is first
    assert sessions.of("a") is not first


def test_examples_are_found_in_the_checkout(repo_root: Path) -> None:
    assert set(example_files()) >= {"Ode to joy", "Row your boat", "Au clair de la lune"}


def test_runs_of_neighbours() -> None:
    assert runs_of(range(8), {0, 3, 4, 7}) == [(1, 2), (5, 6)]
    assert runs_of([], ()) == []


def test_the_clock_agrees_with_symusic(service: Service, session: Session) -> None:
    (take,) = _write(service, session)
    score = take.score.copy()
    score.tempos.append(TempoTick(1000, qpm=61))
    score.tempos.append(TempoTick(5000, qpm=150.5))
    clock = Clock(score)
    ours = [clock.seconds(note.time) for note in score.tracks[1].notes]
    theirs = [note.time for note in score.to("second").tracks[1].notes]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_what_the_browser_gets_of_a_take(service: Service, session: Session) -> None:
    (take,) = _write(service, session)
    known = json.loads(json.dumps(details(take)))
    assert [(voice["name"], voice["own"]) for voice in known["voices"]] == [(v, v == "Soprano") for v in VOICES]
    assert [bar["number"] for bar in known["bars"]] == [1, 2, 3, 4]
    assert sum(note[4] for note in known["notes"]) == 16
    rules = {row["label"]: row for row in known["rules"]}
    assert len(rules) == 9
    fifths = reference_rates().rates["parallel_fifths"].value
    assert rules["parallel fifths"]["bach"]["value"] == pytest.approx(fifths, abs=0.01)


def test_the_engraved_score_says_when_its_notes_sound(service: Service, session: Session) -> None:
    (take,) = _write(service, session)
    page = engraved(take.renderings["open"], 700)
    assert len(page["notes"]) == 64
    assert all(f'id="{name}"' in page["svg"] for name, _, _ in page["notes"])
    starts = sorted({start for _, start, _ in page["notes"]})
    np.testing.assert_allclose(starts, [place * 60 / 90 for place in range(16)], atol=1e-3)


def test_a_score_is_engraved_in_any_thread_as_narrow_as_a_phone(service: Service, session: Session) -> None:
    (take,) = _write(service, session)
    pages: list[str] = []
    # Verovio knows its fonts in the thread that imported it, and a server has many.
    thread = Thread(target=lambda: pages.append(engraved(take.renderings["closed"], 340)["svg"]))
    thread.start()
    thread.join()
    assert 'width="340px"' in pages[0]


def test_only_takes_that_were_used_last_keep_sheet_music_and_sound(service: Service, session: Session) -> None:
    recent = RecentTakes(2)
    takes = [_write(service, session)[0] for _ in range(3)]
    pages = []
    for take in (*takes, takes[0]):
        recent.use(take)
        take.stems[100.0] = {"Alto": b"sound"}
        pages.append(engraved(take.renderings["open"], 700)["svg"])
    assert [sorted(take.stems) for take in takes] == [[100.0], [], [100.0]]
    assert ["renderings" in vars(take) for take in takes] == [True, False, True]
    assert pages[0] == pages[3]


def test_stems_are_heard_and_everything_is_in_the_archive(service: Service, session: Session) -> None:
    import soundfile

    (take,) = _write(service, session)
    stems = stems_of(take)
    assert tuple(stems) == VOICES
    sound = [soundfile.read(io.BytesIO(data))[0] for data in stems.values()]
    assert len({len(samples) for samples in sound}) == 1
    assert all(np.sqrt((samples**2).mean()) > 0.005 for samples in sound)
    slow = soundfile.read(io.BytesIO(stems_of(take, tempo_percent=50)["Bass"]))[0]
    assert len(slow) > 1.5 * len(sound[3])
    assert "<svg" in (sheet := print_page(take, "closed"))
    assert sheet.count("<svg width=") == len(take.renderings["closed"].svg_pages)
    archive = zipfile.ZipFile(io.BytesIO(zip_of([take])))
    names = [f"take-1{suffix}" for suffix in (".mid", ".musicxml", ".svg", ".png", ".mp3")]
    assert sorted(archive.namelist()) == sorted([*names, "takes.json"])
    (facts,) = json.loads(archive.read("takes.json"))
    assert facts["seed"] == 1


def test_a_fault_is_mended_and_nothing_else_changes(service: Service, session: Session) -> None:
    service.generators |= Service(["chorales"]).generators
    (old,) = _write(service, session, seed=4)  # fifths between neighbors
    index, fault = next(
        (index, fault) for index, fault in enumerate(details(old)["faults"]) if fault["rule"] == "parallel_fifths"
    )
    assert fault["mendable"]
    assert old.checked is not None
    request = PageRequest("harmonize").configured(seed=1, progress=lambda share: None)
    new = service.mend(session, 1, [index], Locks(voices=frozenset({"Bass"})), request)
    assert session.takes == [old, new]
    assert new.made == "Take 1, mended"
    places = {(each["rule"], each["bar"], each["beat"], tuple(each["voices"])) for each in details(new)["faults"]}
    assert (fault["rule"], fault["bar"], fault["beat"], tuple(fault["voices"])) not in places
    for bar in range(4):
        for voice in ("Soprano", "Bass"):
            assert _pitches(new, voice, bar) == _pitches(old, voice, bar)
    notes = {(t.name, n.time, n.pitch) for t in new.score.tracks if t.name != "Soprano" for n in t.notes}
    assert new.added == notes


@pytest.mark.parametrize(
    ("faults", "locks", "message"),
    [
        ([99], Locks(), "These faults are no longer here"),
        ([0], Locks(voices=frozenset(VOICES)), "Every voice is locked"),
    ],
)
def test_what_cannot_be_mended_is_said(
    service: Service, session: Session, faults: list[int], locks: Locks, message: str
) -> None:
    _write(service, session, seed=4)
    with pytest.raises(InputError, match=message):
        service.mend(session, 1, faults, locks, PageRequest("harmonize"))


def test_practice_tracks_are_one_file_for_each_voice(service: Service, session: Session) -> None:
    (take,) = _write(service, session)
    data = practice_zip(take, PracticeOptions(tempo_percent=400, counts_in=False), "piano")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [f"take-1-practice-{voice.lower()}.mp3" for voice in VOICES]
