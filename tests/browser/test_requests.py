"""Requests that wait, are canceled, exceed the time limit or fill the queue; styles; the fallback for missing sound.

The server runs in the test's process, with a model that can be paused.
"""

from __future__ import annotations

import dataclasses
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from descant_tokenizers.common.errors import InputError


@pytest.fixture(autouse=True)
def _held(stage: Any) -> Iterator[None]:
    """The echo waits in its second bar until a test lets it go on."""
    stage.echo.may_go_on.clear()
    yield
    stage.echo.may_go_on.set()


def test_what_is_written_is_seen_while_it_is_written(stage: Any) -> None:
    page = stage.open_page()
    page.type_tune("edcd")
    page.write()
    page.wait_for_words("1 of 2 bars, 4 notes written")
    assert page.locator("#dsc-status svg.dsc-sketch rect").count() == 8
    assert page.get_by_role("button", name="Write", exact=True).is_disabled()
    stage.echo.may_go_on.set()
    page.wait_for_take(1)
    assert page.locator("#dsc-status svg.dsc-sketch").count() == 0
    page.leave()


def test_one_waits_and_cancels_and_the_next_finds_the_queue_full(stage: Any) -> None:
    first, second, third = (stage.open_page() for _ in range(3))
    for page in (first, second, third):
        page.type_tune("ed")
    first.write()
    first.wait_for_words("notes written")
    second.write()
    second.wait_for_words("Waiting: one request is before yours.")
    third.write()
    third.wait_for_words(
        "The queue is full (one request is being written and one waiting). Try again in a minute.", "alert"
    )
    second.get_by_role("button", name="Cancel").click()
    second.wait_for_words("Canceled.")
    third.write()
    third.wait_for_words("Waiting: one request is before yours.")
    stage.echo.may_go_on.set()
    for page in (first, third):
        page.wait_for_take(1)
    assert second.locator("descant-player[hidden]").count() == 1
    second.write()  # it can ask again
    second.wait_for_take(1)
    for page in (first, second, third):
        page.leave()


def test_who_leaves_makes_room(stage: Any) -> None:
    leaver, stayer = stage.open_page(), stage.open_page()
    for page in (leaver, stayer):
        page.type_tune("ed")
        page.write()
    stayer.wait_for_words("Waiting: one request is before yours.")
    leaver.leave()
    stayer.wait_for_words("1 of 2 bars")
    stage.echo.may_go_on.set()
    stayer.wait_for_take(1)
    stayer.leave()


def test_time_is_limited_for_writing_engraving_sound_and_files(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = stage.open_page()
    monkeypatch.setattr(stage.service, "limits", dataclasses.replace(stage.service.limits, request_seconds=1.5))
    page.type_tune("ed")
    page.write()
    page.wait_for_words("This took longer than 1.5 seconds and was stopped. Ask for fewer bars or takes.", "alert")
    stage.echo.may_go_on.set()
    page.write()
    page.get_by_role("tab", name="Take 1").wait_for()

    def dawdle(*arguments: Any) -> Any:
        while True:
            time.sleep(0.05)
            arguments[-1]()  # looks at the clock

    late = "this took longer than 1.5 seconds and was stopped. take a shorter piece, or try again later."
    for name, rest in (("engraved", "1/score.json"), ("stems_of", "1/Alto.flac"), ("zip_of", "all.zip")):
        monkeypatch.setattr(f"descant_modeling.app.routes.{name}", dawdle)
        answer = page.evaluate(
            "rest => fetch(document.querySelector('descant-player').address(rest)).then(answer => answer.json())", rest
        )
        assert answer["error"].lower() == late, rest
    monkeypatch.setattr(stage.service, "open_file", lambda *arguments: time.sleep(3))
    page.upload(Path(__file__).parents[2] / "examples" / "twinkle.mid")
    page.locator("descant-editor .problem").filter(has_text="This took longer than 1.5 seconds").wait_for()
    page.leave()


def test_a_plain_tone_plays_where_no_voices_can_be_played(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("The score lasts 31 minutes, and at most 30 are played. Cut it.")

    monkeypatch.setattr("descant_modeling.app.media.render_stems", refuse)
    stage.echo.may_go_on.set()
    page = stage.open_page()
    page.type_tune("edcdeee")
    page.write()
    page.wait_for_take(1)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_words("A plain tone plays instead of voices: The score lasts 31 minutes")
    page.wait_for_function("() => document.querySelector('descant-player').level > 0.01")
    for voice in ("Soprano", "Alto", "Tenor", "Bass"):
        page.get_by_role("button", name=f"Mute {voice}").click()
    page.wait_for_function("() => document.querySelector('descant-player').level < 0.001")
    page.leave()


def test_a_model_with_styles_gets_the_chosen_one(stage: Any, tmp_path: Path) -> None:
    page = stage.open_page(accept_downloads=True)
    page.get_by_role("button", name="More options").click()
    style = page.locator("#dsc-style")
    assert not style.is_visible()  # the first model knows none
    page.choose("Model", "Transformer with styles (two-styles)")
    style.wait_for()
    page.choose("Style", "folk")
    page.type_tune("edcd")
    page.write()
    page.wait_for_take(1)
    assert "harmonized by two-styles in the style folk, seed" in page.facts(1)["made"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download everything").click()
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert json.loads(archive.read("takes.json"))[0]["style"] == "folk"
    page.choose("Model", "Transformer (echo)")
    style.wait_for(state="hidden")
    page.leave()


def test_a_tune_gets_a_piano_and_one_hand_is_written_again(stage: Any) -> None:
    page = stage.open_page()
    page.get_by_role("button", name="More options").click()
    page.choose("Model", "Transformer for songs")
    page.get_by_label("Sound of added voices").wait_for(state="hidden")
    page.type_tune("edcdeeed")
    page.get_by_label("Seed").fill("1")
    page.write()
    page.wait_for_take(1)
    facts = page.facts(1)
    assert [voice["name"] for voice in facts["voices"]] == ["Voice", "Right hand", "Left hand"]
    page.get_by_role("button", name="Mute Left hand").click()
    page.get_by_role("button", name="Keep Right hand").click()
    page.choose("Model", "Transformer (echo)")
    page.get_by_label("Sound of added voices").wait_for()
    page.get_by_role("button", name="Write another take").click()
    page.wait_for_take(2)
    again = page.facts(2)
    assert "because echo only" in again["remarks"][0]

    def notes(found: dict[str, Any], index: int) -> list[list[float]]:
        return [note for note in found["notes"] if note[0] == index]

    assert notes(again, 1) == notes(facts, 1)
    assert notes(again, 2) != notes(facts, 2)
    page.leave()


def test_a_melody_is_continued_and_its_bars_are_rewritten(stage: Any) -> None:
    page = stage.open_page()
    page.choose("Model", "Transformer with styles (two-styles)")
    page.type_tune("edcdeeed")  # two bars
    page.get_by_role("button", name="More options").click()
    page.get_by_label("Continue it").check()
    page.get_by_label("number input for Bars to add").fill("1")
    page.write()
    page.wait_for_take(1)
    facts = page.facts(1)
    assert [bar["number"] for bar in facts["bars"]] == [1, 2, 3]
    assert page.given(1) == [64, 62, 60, 62, 64, 64, 64, 62]
    assert all(note[1] >= facts["bars"][2]["start"] for note in facts["notes"] if not note[4])

    page.get_by_label("Rewrite some bars").check()
    for name, value in (("From bar", "2"), ("To bar", "2")):
        page.get_by_label(name, exact=True).fill(value)
    for take in range(2, 10):  # now and then the untrained model leaves the bar empty
        page.get_by_label("Seed").fill(str(take))
        page.write()
        page.wait_for_take(take)
        facts = page.facts(take)
        assert page.given(take) == [64, 62, 60, 62]
        written = [note for note in facts["notes"] if not note[4]]
        assert all(note[1] >= facts["bars"][1]["start"] for note in written)
        if written:
            break
    assert written

    page.get_by_label("To bar", exact=True).fill("9")
    page.write()
    page.wait_for_words("The bars to write are 2-9. Choose from your tune's bars 1 to 2.", "alert")
    page.leave()


def test_faults_are_found_shown_and_mended_and_voices_practiced(stage: Any, tmp_path: Path) -> None:
    page = stage.open_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    stage.echo.may_go_on.set()
    page.type_tune("ccdd")
    page.write()
    page.wait_for_take(1)
    player = page.locator("descant-player")
    place = player.get_by_role("button", name="Bar 1, beat 3: parallel fifths soprano C5-D5, alto F4-G4")
    place.click()
    page.wait_for_function("() => document.querySelector('descant-player').mixer.now > 0.9")
    assert player.locator(".sheet .sounding").count() >= 4
    player.get_by_role("button", name="Mark in the score").click()
    player.locator(".sheet text").filter(has_text="parallel fifths").first.wait_for()
    page.choose("Model", "Transformer with styles (two-styles)")
    faults = page.facts(1)["faults"]
    player.get_by_role("button", name="Mend bar 1, beat 3, parallel fifths").first.click()
    page.wait_for_take(2)
    facts = page.facts(2)
    assert facts["made"] == "Take 1, mended"
    assert page.given(2) == page.given(1)
    errors, mended = (sum(fault["level"] == "error" for fault in each) for each in (faults, facts["faults"]))
    assert mended < errors
    page.get_by_label("Tempo of practice tracks, in percent").fill("200")
    page.get_by_label("Tempo of practice tracks, in percent").blur()
    page.get_by_label("Sound of practice tracks").select_option("one for each voice")
    page.get_by_label("Sound of Alto").select_option("organ")
    page.get_by_label("Sound of Bass").select_option("strings")
    address = page.get_by_role("link", name="Download practice tracks").get_attribute("href")
    assert address.endswith("sound=Alto%3Dorgan%2CBass%3Dstrings")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download practice tracks").click()
    download.value.save_as(tmp_path / "practice.zip")
    with zipfile.ZipFile(tmp_path / "practice.zip") as archive:
        assert archive.namelist() == [f"take-2-practice-{voice}.mp3" for voice in ("soprano", "alto", "tenor", "bass")]
    stage.echo.may_go_on.clear()
    page.leave()
