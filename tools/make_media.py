"""Make the pictures and sounds of the documentation: docs/media, under 5 MB in total.

    python tools/make_media.py

Makes a harmonized score (score.png), a tune with a piano (song.png), the page after a harmonization (page.png), and two
harmonies, that song and one of Bach's own chorales as MP3. The pictures need Chromium (Debian's package `chromium`) and
the extra `dev`. The same seed gives the same music.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from descant_tokenizers.corpora.chorales import chorale_files
from descant_tokenizers.rendering.write import Rendering
from descant_tokenizers.scores import read_score

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
MEDIA = ROOT / "docs" / "media"
MAX_BYTES = 5_000_000
SEED = "1"
#: A chorale of the training split, as its composer wrote it.
BACH = "bwv269"
TUNES = ("examples/ode-to-joy.mid", "examples/twinkle.mid")
SONG = "tests/data/tunes/skye-boat-song.abc"
PAGE_SIZE = {"width": 1280, "height": 1200}


def harmonize(tune: str, folder: Path, *options: str) -> Path:
    """Harmonize a tune into a folder, as SVG and MP3, and copy the sound; return the SVG."""
    out = folder / f"{Path(tune).stem}.mid"
    command = ["generate.py", "--prompt", tune, "--seed", SEED, "--formats", "midi,svg,mp3", "--out", str(out)]
    subprocess.run([sys.executable, *command, *options], cwd=ROOT, check=True)
    shutil.copy(out.with_suffix(".mp3"), MEDIA)
    return out.with_suffix(".svg")


def draw_score(browser: Browser, svg: Path, png: Path) -> None:
    """Take a picture of an engraved page on white paper."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.set_content(f'<body style="margin:0;background:white">{svg.read_text("utf-8")}</body>')
    page.locator("svg").first.screenshot(path=png)
    page.close()


def draw_page(browser: Browser, address: str, png: Path) -> None:
    """Open an example on the page, have it harmonized, and take a picture."""
    page = browser.new_page(viewport=PAGE_SIZE, reduced_motion="reduce")
    page.set_default_timeout(240_000)
    page.goto(address)
    examples = page.get_by_label("Examples")
    examples.locator("option", has_text="Ode").wait_for(state="attached")
    examples.select_option(label=examples.locator("option", has_text="Ode").first.inner_text())
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator("descant-player .sheet > svg").wait_for()
    page.wait_for_function("() => scrollY > 0")  # it goes to the new take
    page.evaluate("() => scrollTo(0, 0)")
    page.add_style_tag(content="#dsc-actions { position: static !important; }")
    sheet = page.locator("descant-player .sheet")
    whole = "all => all.forEach(e => { e.style.maxHeight = 'none'; })"
    page.locator("descant-player .scroller, descant-player div.score").evaluate_all(whole)
    bottom = sheet.bounding_box()
    assert bottom is not None
    clip = {"x": 0, "y": 0, "width": PAGE_SIZE["width"], "height": bottom["y"] + bottom["height"] + 8}
    page.screenshot(path=png, full_page=True, clip=clip)
    page.close()


@contextmanager
def serve_page() -> Iterator[str]:
    """Run `descant app` inside the block; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "descant_modeling.cli.main", "app", "--no-browser", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # printed once the server answers
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def main() -> None:
    """Make every file."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("error: Chromium is not installed. Install it (Debian's package is chromium).")
    MEDIA.mkdir(exist_ok=True)
    (bach,) = (path for path in chorale_files() if path.stem == BACH)
    (MEDIA / f"bach-{BACH}.mp3").write_bytes(Rendering(read_score(bach)).data("mp3")[0])
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        scores = [harmonize(tune, Path(folder)) for tune in TUNES]
        song = harmonize(SONG, Path(folder), "--model", "songs")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        draw_score(browser, scores[0], MEDIA / "score.png")
        draw_score(browser, song, MEDIA / "song.png")
        with serve_page() as address:
            draw_page(browser, address, MEDIA / "page.png")
        browser.close()
    total = sum(file.stat().st_size for file in MEDIA.iterdir())
    print(f"{MEDIA}: {total / 1e6:.1f} MB")
    if total > MAX_BYTES:
        raise SystemExit(f"error: {MEDIA} is larger than {MAX_BYTES / 1e6:.0f} MB. Take shorter tunes.")


if __name__ == "__main__":
    main()
