"""Real MusicXML files are read, written and read again: the same notes, words and structure."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from random_notation import random_score

ROOT = Path(__file__).resolve().parents[2]
#: Songs, choirs, transposing instruments, chord symbols, repeats and endings; small, because writing is slow.
SAMPLE = (
    *("bwv269.mxl", "bwv4.8.mxl", "bwv432.mxl", "madrigal.3.1.mxl", "aloha_oe.mxl", "maple_leaf_rag.mxl"),
    *("fosterBrownHair.mxl", "berlinAlexandersRagtime.mxl", "polonaise.mxl", "Lascia_chio_pianga.mxl"),
)
SONGS = ("lc6583477", "lc5636215", "lc5013945", "lc6910499")


@pytest.fixture(scope="module")
def round_trip() -> ModuleType:
    """The script of the whole comparison."""
    spec = importlib.util.spec_from_file_location("round_trip", ROOT / "benchmarks" / "round_trip.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["round_trip"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shipped(round_trip: ModuleType) -> dict[str, bytes]:
    files = round_trip.files_of("music21")
    return {Path(name).name: read() for name, read in files.items() if Path(name).name in SAMPLE}


@pytest.mark.parametrize("name", SAMPLE)
def test_files_of_music21_come_back(round_trip: ModuleType, shipped: dict[str, bytes], name: str) -> None:
    if name not in shipped:
        pytest.skip(f"the installed music21 has no {name}")
    found = round_trip.examine(name, shipped[name], None, second=True)
    assert "refused" not in found
    assert "refused_again" not in found
    if not found["between_beats"]:
        assert [found[field] for field in round_trip.FIELDS] == [True] * len(round_trip.FIELDS)
    assert found.get("same_in_music21", True) is True


@pytest.mark.parametrize("name", SONGS)
def test_songs_of_openscore_come_back(round_trip: ModuleType, name: str) -> None:
    archive = ROOT.parent / "shared" / "data" / "openscore" / "lieder.zip"
    if not archive.is_file():
        pytest.skip("the songs of OpenScore are not in ../shared/data/openscore")
    data = next(read() for own, read in round_trip.files_of(str(archive)).items() if name in own)
    found = round_trip.examine(f"{name}.mxl", data, None, second=False)
    assert [found[field] for field in round_trip.FIELDS] == [True] * len(round_trip.FIELDS)


@pytest.mark.parametrize("first", range(0, 48, 8))
def test_random_scores_come_back(round_trip: ModuleType, first: int) -> None:
    for seed in range(first, first + 8):
        found = round_trip.examine("random.musicxml", random_score(seed), None, second=False)
        assert found == {"between_beats": False} | dict.fromkeys(round_trip.FIELDS, True), seed
