"""The documentation builds into a site without a warning, and the site asks nobody outside for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

#: What a browser fetches automatically to show a page.
LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "link": "href",
    "source": "src",
    "audio": "src",
    "object": "data",
}


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if LOADED.get(tag) == name and value:
                self.urls.append(value)


@pytest.fixture(scope="module")
def site(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built; fails at any warning."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=repo_root, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def hooks(tool: Callable[[str], ModuleType]) -> ModuleType:
    """The hooks of mkdocs."""
    return tool("site_hooks")


def _pages(site: Path) -> Iterator[Path]:
    return (path for path in site.rglob("*.html"))


def test_every_page_is_there(site: Path, repo_root: Path) -> None:
    docs = repo_root / "docs"
    pages = (page for page in docs.rglob("*.md") if page.parent.name != "_generated")
    sources = [*pages, *docs.glob("notebooks/*.ipynb")]
    assert len(sources) > 20
    for source in sources:
        assert (site / source.relative_to(docs)).with_suffix(".html").is_file()


def test_no_page_loads_anything_from_outside(site: Path) -> None:
    for page in _pages(site):
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.urls
        for url in loads.urls:
            assert not re.match(r"(?:https?:)?//", url), f"{page.name} loads {url}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_no_marker_of_a_record_is_left(site: Path) -> None:
    markers = re.compile("<!--/?(?:record|rows|schemes|table|figures|house)")
    assert not [page for page in _pages(site) if markers.search(page.read_text(encoding="utf-8"))]


def test_diagrams_are_drawn_by_our_copy(site: Path, hooks: ModuleType) -> None:
    drawn = [page for page in _pages(site) if hooks.DIAGRAM in page.read_text(encoding="utf-8")]
    assert drawn
    for page in drawn:
        (script,) = re.findall(r'src="([^"]*mermaid[^"]*)"', page.read_text(encoding="utf-8"))
        assert (page.parent / script).resolve() == site / hooks.DIAGRAM_SCRIPT


def test_every_command_has_its_section(site: Path) -> None:
    text = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name in ("descant generate", "descant dataset push", "descant evaluate memorization"):
        assert f">{name}<" in text
    assert "--num-samples &lt;int&gt;" in text
    assert "Number of samples.  [default: 1]" in text
    assert "descant dataset build my-midis" in re.sub(r"<[^>]*>", "", text)


def test_docstrings_are_there(site: Path) -> None:
    text = (site / "reference" / "tokens.html").read_text(encoding="utf-8")
    assert "Build an untrained tokenizer from a preset name." in text


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("see\n- one\n- two", "see\n\n- one\n- two"),
        ("- one\n\n  more of it\n- two", "- one\n\n    more of it\n\n- two"),
        ("- one\n  goes on\n- two", "- one\n  goes on\n- two"),
        ("```\nx\n- y\n```", "```\nx\n- y\n```"),
    ],
)
def test_lists_are_spaced(hooks: ModuleType, written: str, wanted: str) -> None:
    assert hooks.spaced_lists(written) == wanted


def test_a_page_with_a_broken_link_does_not_build(repo_root: Path, tmp_path: Path) -> None:
    for name in ("mkdocs.yml", "tools", "modeling", "tokenizers"):
        (tmp_path / name).symlink_to(repo_root / name)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# x\n\n[lost](../records/nowhere)\n", encoding="utf-8")
    text = (repo_root / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[0]
    (tmp_path / "mkdocs.yml").unlink()
    (tmp_path / "mkdocs.yml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "links to records/nowhere, which is not in the repository" in done.stderr


def test_a_browser_asks_nobody_and_draws(site: Path) -> None:
    """In a real browser, from the disk, without a network."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(
        (path for path in map(Path, ("/usr/bin/chromium", "/usr/bin/chromium-browser")) if path.exists()), None
    )
    if chromium is None:
        pytest.skip("Chromium is not installed")
    asked: list[str] = []

    def look() -> None:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.set_default_timeout(240_000)  # a busy machine is no failure
            page.on("request", lambda request: asked.append(request.url))
            page.goto((site / "models.html").as_uri())
            page.wait_for_selector("div.mermaid")
            assert page.locator("pre.mermaid").count() == 0
            page.fill("input[name=query]", "Gulrajani")
            page.wait_for_selector(".md-search-result__item")
            browser.close()

    with ThreadPoolExecutor(max_workers=1) as threads:  # the page's tests hold a Playwright in the main one
        threads.submit(look).result()
    assert asked
    assert [url for url in asked if url.startswith("http")] == []
