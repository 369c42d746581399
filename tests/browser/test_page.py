"""Everything that a user does with the page, in a real browser (headless Chromium).

The melody is typed on the page, one bar of quarter notes, so that each request takes a second or two.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

TUNE = "edcdeee"
OUTSIDE = re.compile(r"(?:https?:)?//(?!127\.0\.0\.1|localhost|www\.w3\.org/)[\w-]+\.[\w.]+")


@pytest.fixture(scope="module")
def written(open_page: Callable[..., Any]) -> Any:
    """A page on a wide screen with one take of the typed tune."""
    page = open_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page.type_tune(TUNE)
    page.write()
    page.wait_for_take(1)
    return page


def test_a_typed_melody_is_harmonized_and_its_score_seen(written: Any) -> None:
    facts = written.facts(1)
    assert [voice["name"] for voice in facts["voices"]] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert written.given(1) == [64, 62, 60, 62, 64, 64, 64]
    heads = written.locator("descant-player .sheet g.note").count()
    assert heads >= len(facts["notes"])
    assert written.locator("descant-player .roll rect").count() == len(facts["notes"])
    assert written.locator("descant-player table tbody tr").count() == 9
    assert written.get_by_role("status").filter(has_text="Take 1 written.").is_visible()


def test_it_is_heard_followed_and_muted(written: Any) -> None:
    player = written.locator("descant-player")
    written.get_by_role("button", name="Play", exact=True).click()
    written.wait_for_function("() => document.querySelector('descant-player').level > 0.01")
    written.wait_for_function("() => document.querySelector('descant-player').shadowRoot.querySelector('.sounding')")
    assert "plain tone" not in player.locator(".remark").inner_text()
    for voice in ("Soprano", "Alto", "Tenor", "Bass"):
        written.get_by_role("button", name=f"Mute {voice}").click()
    written.wait_for_function("() => document.querySelector('descant-player').level < 0.001")
    written.get_by_role("button", name="Mute Bass").click()
    if written.get_by_role("button", name="Play", exact=True).count():  # the tune is short
        written.get_by_role("button", name="Play", exact=True).click()
    written.wait_for_function("() => document.querySelector('descant-player').level > 0.005")
    for voice in ("Soprano", "Alto", "Tenor"):
        written.get_by_role("button", name=f"Mute {voice}").click()
    written.evaluate("() => document.querySelector('descant-player').mixer.pause()")


def test_a_locked_bar_and_voice_stay_in_another_take(written: Any) -> None:
    written.get_by_role("button", name="Keep bar 1").click()
    written.get_by_role("button", name="Keep Bass").click()
    assert "Keeps bar 1 and Bass" in written.locator("descant-player .ask").inner_text()
    written.get_by_role("button", name="Write another take").click()
    written.wait_for_take(2)
    old, new = written.facts(1), written.facts(2)
    end = old["bars"][0]["end"]

    def kept(facts: dict[str, Any]) -> list[Any]:
        return sorted(note for note in facts["notes"] if note[1] < end or note[0] == 3)

    assert kept(new) == kept(old)
    assert "bar 1 and Bass" in new["made"]
    assert written.get_by_role("button", name="Keep bar 1").get_attribute("aria-pressed") == "true"


def test_the_harmony_is_directed_shown_and_written_again_over_other_chords(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    page.type_tune(TUNE)
    page.get_by_role("button", name="Direct the harmony").click()
    is_whole = page.get_by_label("Last chord").first.evaluate("field => field.scrollWidth <= field.clientWidth")
    assert is_whole, "its value is cut off"
    page.get_by_label("Key at the end").fill("C major")
    page.get_by_label("Bars in which phrases end").fill("at the end")
    entry = page.locator("#dsc-chords").get_by_role("textbox")
    entry.fill("C G7 | C/E H C")
    page.choose("The harmony changes", "with each beat")
    page.write()
    sentence = (
        "The entry for phrase ends is 'at the end'. Give bars in which phrases end, such as 4,8,12, or auto, or none."
    )
    page.wait_for_words(sentence, "alert")
    page.get_by_label("Bars in which phrases end").fill("2")
    page.write()
    page.wait_for_words(
        "'H' is not a chord. Write it as in C, F#m, Bb7, Gm7, Cmaj7, Bdim, or C/E with its bass.", "alert"
    )
    entry.fill("C G7 | C/E G C")
    page.write()
    page.wait_for_take(1)
    player = page.locator("descant-player")
    assert "Key: C major (as requested); phrases end in bar 2 (as requested)." in player.locator(".plan").inner_text()
    chords = [page.get_by_label(f"Chords of bar {number}") for number in (1, 2)]
    assert [each.input_value() for each in chords] == ["C G7", "C/E G C C"]
    chords[0].fill("Am E7")
    page.get_by_role("button", name="Harmonize with these chords").click()
    page.wait_for_take(2)
    assert [each.input_value() for each in chords] == ["Am E7", "C/E G C C"]
    assert "Take 1 again over these chords" in page.facts(2)["made"]
    chords[1].fill("X")
    chords[1].press("Enter")
    page.wait_for_words("'X' is not a chord.", "alert")
    page.choose("Model", "GAN")
    page.get_by_role("button", name="Direct the harmony").wait_for(state="hidden")
    page.leave()


def test_everything_is_downloaded_in_one_file(written: Any, tmp_path: Path) -> None:
    with written.expect_download() as download:
        written.get_by_role("link", name="Download everything").click()
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        names = set(archive.namelist())
        assert archive.read("take-2.mid")[:4] == b"MThd"
        facts = json.loads(archive.read("takes.json"))
    assert {f"take-1{suffix}" for suffix in (".mid", ".musicxml", ".svg", ".png", ".mp3")} <= names
    assert [each["title"] for each in facts] == ["Untitled", "Untitled"]


def test_each_file_of_a_take_is_downloaded_and_its_sheets_are_printed(written: Any, tmp_path: Path) -> None:
    for name, suffix, start in (("MIDI", "mid", b"MThd"), ("MusicXML", "musicxml", b"<?xml"), ("MP3", "mp3", b"")):
        with written.expect_download() as download:
            written.get_by_role("link", name=name, exact=True).click()
        assert download.value.suggested_filename == f"untitled-take-2.{suffix}"
        download.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
        assert (tmp_path / name).stat().st_size > 200
    with written.context.expect_page() as opened:
        written.context.add_init_script("window.print = () => { window.wasPrinted = true; }")
        written.get_by_role("link", name="Print").click()
    opened.value.wait_for_function("() => window.wasPrinted")
    assert opened.value.locator("svg g.note").count() >= len(written.facts(2)["notes"])
    opened.value.close()


def test_it_is_played_slower_and_softer(written: Any) -> None:
    written.get_by_label("Tempo of the sound").select_option("50 %")
    written.get_by_label("Volume").fill("0.25")
    written.get_by_role("button", name="Play", exact=True).click()
    place = "() => document.querySelector('descant-player').mixer.now"
    written.wait_for_function("() => document.querySelector('descant-player').level > 0.001")
    clock = "() => document.querySelector('descant-player').mixer.master.context.currentTime"
    (start, since), _ = (written.evaluate(place), written.evaluate(clock)), time.sleep(1)
    share = (written.evaluate(place) - start) / (written.evaluate(clock) - since)
    assert 0.4 < share < 0.6
    assert written.evaluate("() => document.querySelector('descant-player').mixer.master.gain.value") == 0.25
    written.evaluate("() => document.querySelector('descant-player').mixer.pause()")
    written.get_by_label("Tempo of the sound").select_option("100 %")


def test_a_bad_file_is_one_sentence_and_a_good_one_is_opened(
    open_page: Callable[..., Any], repo_root: Path, tmp_path: Path
) -> None:
    page = open_page()
    (tmp_path / "broken.mid").write_bytes(b"MThd nothing")
    page.upload(tmp_path / "broken.mid")
    problem = page.locator("descant-editor .problem")
    problem.filter(has_text="broken.mid").wait_for()
    assert str(tmp_path) not in problem.inner_text()
    (tmp_path / "big.mid").write_bytes(bytes(3 << 20))
    page.upload(tmp_path / "big.mid")
    problem.filter(has_text="more than 1,048,576 bytes").wait_for()
    page.write()  # nothing was drawn
    page.get_by_role("alert").filter(has_text="There is no melody yet").wait_for()
    page.upload(repo_root / "examples" / "old-hundredth.mid")
    page.locator("descant-editor rect.note").nth(20).wait_for()
    assert problem.inner_text() == ""
    page.leave()


def test_cancel_stops_the_computing_and_two_are_served_at_once(
    open_page: Callable[..., Any], server: tuple[str, psutil.Process]
) -> None:
    long, short = open_page(), open_page()
    long.get_by_label("Examples").select_option("Ode to joy")
    long.locator("descant-editor rect.note").nth(50).wait_for()
    long.get_by_label("number input for Takes").fill("4")
    short.type_tune("gec")
    long.write()
    long.wait_for_function("() => document.querySelector('#dsc-status progress')?.value > 0")
    short.write()  # waits for its turn
    long.get_by_role("button", name="Cancel").click()
    long.get_by_role("status").filter(has_text="Canceled.").wait_for()
    short.wait_for_take(1)
    assert short.given(1) == [67, 64, 60]
    busy = sum(server[1].cpu_times()[:2])
    time.sleep(1.5)
    assert sum(server[1].cpu_times()[:2]) - busy < 0.5  # nobody computes any more
    assert long.locator("descant-player[hidden]").count() == 1
    for page in (long, short):
        page.leave()


# Text that does not stand out by 4.5 to 1 (WCAG AA) from the nearest opaque ground, including shadow roots.
CONTRASTS = r"""() => {
  const parse = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const linear = (x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement ?? e.getRootNode().host) {
      const color = parse(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const left_out = ":disabled, svg, script, style, option, .visually-hidden";
  const found = [], seen = [];
  const visit = (root) => {
    for (const e of root.querySelectorAll("*")) {
      if (e.shadowRoot) visit(e.shadowRoot);
      const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join("");
      const style = getComputedStyle(e);
      const is_shown = e.getClientRects().length && style.visibility !== "hidden";
      if (!text || !is_shown || e.closest(left_out)) continue;
      seen.push(text);
      const [a, b] = [light(parse(style.color)), light(ground(e))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
  };
  visit(document);
  return { found, seen };
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground(written: Any, theme: str) -> None:
    written.evaluate("isDark => document.body.classList.toggle('dark', isDark)", theme == "dark")
    contrasts: dict[str, list[str]] = {"found": [""]}
    for _ in range(20):  # colors fade over
        written.wait_for_timeout(250)
        contrasts = written.evaluate(CONTRASTS)
        if not contrasts["found"]:
            break
    assert contrasts["found"] == []
    assert {"Descant", "Write", "Write another take", "parallel fifths"} <= set(contrasts["seen"])
    written.evaluate("() => document.body.classList.remove('dark')")


def test_the_whole_page_works_from_the_keyboard(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.type_tune("ccc")
    roll = page.locator("descant-editor .paper .scroller")
    for key in ("ArrowLeft", "ArrowUp", "ArrowLeft", "Backspace"):  # the last note up, the second one gone
        roll.press(key)
    assert page.notes == [[0, 4, 72], [8, 4, 73]]
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.innerText ?? ''"))
        if reached[-1] == "Write":
            break
    assert reached[-1] == "Write"
    page.keyboard.press("Enter")
    page.wait_for_take(1)
    page.get_by_role("button", name="Keep bar 1").focus()
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Keep bar 1").get_attribute("aria-pressed") == "true"
    page.leave()


def test_a_phone_shows_it_without_scrolling_sideways(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="G4", exact=True).tap()
    page.get_by_role("button", name="E4", exact=True).tap()
    page.write()
    page.wait_for_take(1)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert page.locator("descant-player .sheet > svg").bounding_box()["width"] <= 390
    page.leave()


def test_a_model_that_only_harmonizes_has_no_temperature(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.get_by_role("button", name="More options").click()
    page.get_by_label("number input for Temperature").wait_for()
    page.choose("Model", "GAN")
    page.get_by_label("number input for Temperature").wait_for(state="hidden")
    page.type_tune("ccdd")
    page.get_by_label("Continue it").check()
    page.write()
    page.get_by_role("alert").filter(has_text="Gan only harmonizes").wait_for()
    page.leave()


def test_no_page_asked_anybody_else(asked: list[str], server: tuple[str, psutil.Process], repo_root: Path) -> None:
    assert len(asked) > 50
    assert [url for url in asked if not url.startswith((server[0], "blob:", "data:"))] == []
    assets = repo_root / "modeling" / "descant_modeling" / "app" / "assets"
    for path in [*assets.glob("*.js"), *assets.glob("*.css")]:
        assert OUTSIDE.findall(path.read_text(encoding="utf-8")) == [], path.name


def test_a_strangers_address_opens_nothing(server: tuple[str, psutil.Process]) -> None:
    for rest in ("music/guess/1.json", "music/guess/all.zip", "assets/..%2fpage.py", "assets/nothing.js"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{server[0]}/descant/{rest}")
        assert refused.value.code in (404, 422)
        refused.value.close()
