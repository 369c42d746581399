"""Play along in headless Chromium with a scripted MIDI keyboard: how fast the other voices come, and what they are.

    python benchmarks/play_along.py speed --minutes 10 --out records/2026-11-30_play-along/speed.json
    python benchmarks/play_along.py example                 the table of docs/app.md
    python benchmarks/play_along.py harmony --limit 16 --out records/2026-11-30_play-along/harmony.json

`speed` opens the page, presses "Play along", and plays a tune again and again, as MIDI messages of a keyboard that the
page's script has instead of a real one. A latency is the time from the message to the moment at which the tones of
three voices are started. `harmony` plays the sopranos of chorales of a split note by note, and gives the same ones
whole, and compares both with Bach's voices and with the rules of voice leading.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from symusic.core import NoteTick, ScoreTick, TrackTick, TrackTickList

from descant_modeling.api import Model, load
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.evaluation.check import check_score
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.scores import VOICES, ReadResult, bars_of, read_score
from descant_tokenizers.scores.key import estimate_key, tonic_and_mode

MAJOR = ["C", "D flat", "D", "E flat", "E", "F", "F#", "G", "A flat", "A", "B flat", "B"]
MINOR = ["C", "C#", "D", "E flat", "E", "F", "F#", "G", "G#", "A", "B flat", "B"]

EXAMPLE = Path(__file__).parents[1] / "examples" / "ode-to-joy.mid"
#: The same: (length in 16ths, pitch).
TUNE = [(4, p) for p in (71, 71, 72, 74, 74, 72, 71, 69, 67, 67, 69, 71)] + [(6, 71), (2, 69), (8, 69)]
TUNE += [(4, p) for p in (69, 69, 71, 67, 69)] + [(2, 71), (2, 72), (4, 71), (4, 67), (4, 69), (2, 71), (2, 72)]
TUNE += [(4, 71), (4, 69), (4, 67), (4, 69), (8, 62)]
KEYBOARD = """
const input = { name: "Scripted keyboard", onmidimessage: null };
navigator.requestMIDIAccess = async () => ({ inputs: new Map([["1", input]]), onstatechange: null });
window.midi = (...data) => input.onmidimessage({ data, timeStamp: performance.now() });
"""
PLAY = """
async ([tune, tempo, seconds]) => {
  const unit = 15 / tempo;
  const live = document.querySelector("descant-editor").played;
  const { audioContext } = await import(new URL("descant/assets/audio.js", document.baseURI));
  const until = (at) => new Promise((done) => setTimeout(done, Math.max(0, (at - audioContext().currentTime) * 1000)));
  let sent = 0, place = 0;
  while (place * unit < seconds) {
    for (const [length, pitch] of tune) {
      await until(live.began + place * unit);
      midi(0x90, pitch, 80);
      sent += 1;
      await until(live.began + (place + length) * unit - 0.03);
      midi(0x80, pitch, 0);
      place += length;
    }
  }
  await new Promise((done) => setTimeout(done, 1000));
  return { sent, latencies: live.latencies, model: live.modelTimes };
}
"""


@contextmanager
def served() -> Iterator[str]:
    """Run `descant app`; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "descant_modeling.cli.main", "app", "--no-browser", "--port", str(port)]
    with subprocess.Popen([*command, "--model", "chorales"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield f"http://localhost:{port}"
        process.terminate()


def speed(minutes: float, tempo: int, screenshot: Path | None = None) -> dict[str, Any]:
    """Play for some minutes; return latencies and counts."""
    from playwright.sync_api import sync_playwright

    with served() as address, sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(120_000 + 60_000 * minutes)
        page.add_init_script(KEYBOARD)
        page.goto(address)
        page.get_by_label("Examples").locator("option", has_text="Ode").wait_for(state="attached")  # it is loaded
        page.get_by_text("Play it: MIDI keyboard").click()
        page.get_by_role("button", name="Connect a MIDI keyboard").click()
        page.get_by_label("Tempo", exact=True).first.fill(str(tempo))
        page.get_by_label("Tempo", exact=True).first.press("Tab")
        page.get_by_label("Key of what you play").select_option("G major")
        page.get_by_role("button", name="Play along").click()
        page.get_by_role("button", name="Stop playing").wait_for()
        found = page.evaluate(PLAY, [TUNE, tempo, 60 * minutes])
        if screenshot is not None:
            page.locator("descant-editor").screenshot(path=screenshot)
        page.get_by_role("button", name="Stop playing").click()
        browser.close()
    return {
        "minutes": minutes,
        "tempo": tempo,
        "notes": found["sent"],
        "answered": len(found["latencies"]),
        "milliseconds": _percentiles(found["latencies"]),
        "milliseconds_of_the_model": _percentiles(found["model"]),
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    names = ("median", "p95", "p99", "largest")
    return {name: round(float(p), 1) for name, p in zip(names, np.percentile(values, [50, 95, 99, 100]), strict=True)}


def harmony(split: str, limit: int) -> dict[str, Any]:
    """Compare play-along with the same melodies given whole."""
    model = load("chorales")
    kinds: dict[str, Counter[str]] = {"along": Counter(), "whole": Counter(), "bach": Counter()}
    rows = [row for row in split_rows(split) if _is_plain(row_to_score(row))][:limit]
    for row in rows:
        bach = row_to_score(row)
        melody = bach.copy()
        melody.tracks = TrackTickList([track for track in melody.tracks if track.name == VOICES[0]])
        made = {"along": _along(model, melody), "whole": model.harmonize(melody, seed=0).score, "bach": bach}
        for name, score in made.items():
            kinds[name] += _counts(score, bach)
    return {"split": split, "chorales": len(rows), **{name: _shares(counts) for name, counts in kinds.items()}}


def example(melody: Path, quarters: Sequence[range]) -> str:
    """Return a table of what a tune gets when it is played, and when it is given whole; times are in quarters."""
    score, model = read_score(melody), load("chorales")
    made = _along(model, score), model.harmonize(score, seed=0).score
    lines = ["| bar, beat | melody | played along | given whole |", "|---|---|---|---|"]
    for note in score.tracks[0].notes:
        beat, unit = note.time / score.ticks_per_quarter, score.ticks_per_quarter
        if any(int(beat) in some for some in quarters):
            chords = [
                " ".join(_name(_sounding(each, place, beat * each.ticks_per_quarter)) for place in (3, 2, 1))
                for each in made
            ]
            place = f"{int(beat) // 4 + 1}, {note.time % (4 * unit) / unit + 1:g}"
            lines.append(f"| {place} | {_name(note.pitch)} | {chords[0]} | {chords[1]} |")
    return "\n".join(lines)


def _name(pitch: int) -> str:
    return f"{('C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'G#', 'A', 'Bb', 'B')[pitch % 12]}{pitch // 12 - 1}"


def _is_plain(score: ScoreTick) -> bool:
    """Return True if all voices are there, on 16ths and in one meter."""
    notes = [note for track in score.tracks for note in track.notes]
    unit = score.ticks_per_quarter // 4
    has_voices = [track.name for track in score.tracks if track.notes] == list(VOICES)
    return has_voices and len(score.time_signatures) == 1 and not any(n.time % unit or n.end % unit for n in notes)


def _along(model: Model, melody: ScoreTick) -> ScoreTick:
    """Answer a melody note by note; return it with the answers."""
    generator, unit = model.generator, melody.ticks_per_quarter // 4
    assert isinstance(generator, FourPartGenerator)
    first = bars_of(melody)[0]
    full = 4 * melody.ticks_per_quarter * first.numerator // first.denominator
    missing = full - first.length_ticks if first.number == 0 else 0
    tonic, is_major = tonic_and_mode(estimate_key(melody))
    key = f"{(MAJOR if is_major else MINOR)[tonic]} {'major' if is_major else 'minor'}"
    accompanist = generator.accompanist((first.numerator, first.denominator), key, GenerationConfig(seed=0))
    score, lines = melody.copy(), {voice: TrackTick(voice, 52, False) for voice in VOICES[1:]}
    for note in melody.tracks[0].notes:
        for voice, pitch in accompanist.answer((note.time + missing) // unit, note.pitch).items():
            lines[voice].notes.append(NoteTick(note.time, note.duration, pitch, 80))
        accompanist.release((note.end + missing) // unit)
        accompanist.prepare()
    for line in lines.values():
        score.tracks.append(line)
    return score


def _counts(score: ScoreTick, bach: ScoreTick) -> Counter[str]:
    """Count voices that are Bach's at the onsets of the melody, and faults."""
    counts: Counter[str] = Counter()
    scale = score.ticks_per_quarter / bach.ticks_per_quarter
    melody = bach.tracks[0].notes
    for note in melody:
        counts["notes"] += 1
        for place, voice in enumerate(VOICES[1:], start=1):
            counts[voice] += _sounding(score, place, note.time * scale) == _sounding(bach, place, note.time)
    last = melody[-1].time
    counts["pieces"] += 1
    counts["last bass"] += _sounding(score, 3, last * scale) % 12 == _sounding(bach, 3, last) % 12
    checked = check_score(ReadResult(score), "score")
    counts["errors"] += len(checked.worst("error"))
    counts["warnings"] += len(checked.faults) - len(checked.worst("error"))
    return counts


def _sounding(score: ScoreTick, place: int, ticks: float) -> int:
    """Return the pitch that a voice sounds; -1 for none."""
    track = next(track for track in score.tracks if track.name == VOICES[place])
    return next((note.pitch for note in track.notes if note.time <= ticks < note.end), -1)


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    """Return the figures of a kind: percent, and faults in 100 notes of the melody."""
    found = {f"{voice} as Bach's": round(100 * counts[voice] / counts["notes"], 1) for voice in VOICES[1:]}
    found["last bass as Bach's"] = round(100 * counts["last bass"] / counts["pieces"], 1)
    return found | {name: round(100 * counts[name] / counts["notes"], 2) for name in ("errors", "warnings")}


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["speed", "harmony", "example"])
    parser.add_argument("--minutes", type=float, default=1.0, help="length of the performance (speed)")
    parser.add_argument("--tempo", type=int, default=100, help="quarters per minute (speed)")
    parser.add_argument("--screenshot", type=Path, help="picture of the editor at the end (speed)")
    parser.add_argument("--split", default="chorales:valid", help="melodies (harmony)")
    parser.add_argument("--limit", type=int, default=16, help="number of melodies (harmony)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    if options.what == "example":
        print(example(EXAMPLE, (range(8), range(56, 64))))
        return
    if options.what == "speed":
        figures = speed(options.minutes, options.tempo, options.screenshot)
    else:
        figures = harmony(options.split, options.limit)
    text = json.dumps(figures | _machine(), indent=1)
    print(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
