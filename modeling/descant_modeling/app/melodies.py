"""Melodies to try, and what files and their tracks are called on the page."""

from __future__ import annotations

from pathlib import Path

from symusic.core import ScoreTick

__all__ = ["example_files", "title_of", "with_names"]


def example_files() -> dict[str, Path]:
    """Return the melodies to try by title: those of the package, or of the checkout around it."""
    folders = [Path(__file__).parent / "examples", Path(__file__).parents[3] / "examples"]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    files = sorted(folder.iterdir()) if folder else []
    return {title_of(file): file for file in files if file.suffix in (".mid", ".abc", ".musicxml")}


def title_of(path: Path) -> str:
    """Return what a file's music is called."""
    return path.stem.replace("-", " ").replace("_", " ").capitalize()


def with_names(score: ScoreTick) -> ScoreTick:
    """Return a copy whose tracks can be told apart by name."""
    named = score.copy()
    seen: set[str] = set()
    for number, track in enumerate(named.tracks, start=1):
        if not track.name.strip() or track.name in seen:
            track.name = f"{track.name.strip()} {number}".strip() if track.name.strip() else f"Track {number}"
        seen.add(track.name)
    return named
