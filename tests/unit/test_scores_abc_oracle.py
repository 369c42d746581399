"""ABC against second readers: all tunes of Ryan and Aird against abc2midi, the Open Hymnal against its MIDI files.

The differences are listed one by one in tests/data/abc2midi_differences.yaml, each with its reason.
"""

from __future__ import annotations

import functools
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from abc2midi import COMMAND, are_equal, plain, play, played
from symusic.core import ScoreTick

from descant_tokenizers.corpora.catalogue import LIMITS, Music21Corpus
from descant_tokenizers.scores import reading
from descant_tokenizers.scores.abc.text import decode, tunes_of

DATA = Path(__file__).resolve().parent.parent / "data"

needs_abc2midi = pytest.mark.skipif(COMMAND is None, reason="abc2midi (Debian: abcmidi) is not installed")


def listed() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((DATA / "abc2midi_differences.yaml").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse the text of a tune once, and write its repeats out or not."""
    monkeypatch.setattr(reading, "read_abc", functools.lru_cache(maxsize=1)(reading.read_abc))


def differences(keys: list[str], folder: Path) -> dict[str, set[str]]:
    """Return the keys of tunes that abc2midi reads otherwise, as written and as played."""
    reader = Music21Corpus("folk").reader
    found: dict[str, set[str]] = {"written": set(), "played": set()}
    for key in keys:
        data = reader.load(key)
        for form, others in found.items():
            unfold = form == "played"
            score = reading.parse_score(reader.root / key, data, LIMITS, unfold=unfold).score
            if not are_equal(played(score), play(plain(data.decode("latin-1"), with_repeats=unfold), folder)):
                others.add(key)
    return found


def expected(keys: list[str]) -> dict[str, set[str]]:
    known = listed()
    return {form: {*known["both"], *known[form]} & set(keys) for form in ("written", "played")}


@needs_abc2midi
def test_some_tunes_of_ryan_and_aird_have_the_notes_of_abc2midi(tmp_path: Path, read_once: None) -> None:
    keys = [*Music21Corpus("folk").keys][::25]
    assert differences(keys, tmp_path) == expected(keys)


@needs_abc2midi
@pytest.mark.slow
def test_all_tunes_of_ryan_and_aird_have_the_notes_of_abc2midi(tmp_path: Path, read_once: None) -> None:
    keys = [*Music21Corpus("folk").keys]
    assert len(keys) == 1_059 + 1_180
    assert {key for form in expected(keys).values() for key in form} == {
        key for form in listed().values() for key in form
    }
    assert differences(keys, tmp_path) == expected(keys)


def chords(track: list[tuple[int, int, int]]) -> list[int]:
    """Return the pitches of a track in order; those of one chord from low to high (abc2midi rolls chords)."""
    found: list[tuple[int, int]] = []
    start = -100
    for time, pitch, _ in track:
        start = time if time - start > 6 else start
        found.append((start, pitch))
    return [pitch for _, pitch in sorted(found)]


def notes_at_once(tracks: list[list[tuple[int, int, int]]]) -> list[int]:
    """Return the pitches of all tracks, those of one time from low to high and each once."""
    times = {(round(time / 12), pitch) for track in tracks for time, pitch, _ in track}
    return [pitch for _, pitch in sorted(times)]


def test_the_open_hymnal_has_the_notes_of_its_midi_files(repo_root: Path) -> None:
    folder = repo_root.parent / "shared" / "data" / "hymns"
    if not folder.is_dir():
        pytest.skip("the Open Hymnal is not in ../shared/data/hymns")
    archive = zipfile.ZipFile(folder / "open_hymnal_midi.zip")
    num_four_part = num_closed = 0
    others = []
    for tune in tunes_of(decode((folder / "OpenHymnal.abc").read_bytes())):
        text = "\n".join(line for _, line in tune.lines)
        own = played(reading.parse_score(Path("hymn.abc"), text.encode()).score)
        right = played(ScoreTick.from_midi(archive.read(f"hymn{int(tune.number):03}.mid")))
        if len(own) == 4 and len(right) == 2 and notes_at_once(own) == notes_at_once(right):
            num_closed += 1
        elif sorted(map(chords, own)) != sorted(map(chords, right)):
            others.append((tune.number, tune.title))
        elif len(own) == 4:
            num_four_part += 1
    assert (num_four_part, num_closed) == (273, 4)
    # Six hymns have the number 1 and share a MIDI file; 137 has no MIDI notes.
    assert sorted(int(number) for number, _ in others) == [1, 1, 1, 1, 1, 137]
