"""Play along in headless Chromium with a scripted MIDI keyboard: how fast the other voices come, and what they are.

    python benchmarks/play_along.py speed --minutes 10 --out records/2026-11-30_play-along/speed.json
    python benchmarks/play_along.py example                 the table of docs/app.md
    python benchmarks/play_along.py harmony --limit 16 --out records/2026-11-30_play-along/harmony.json

`speed` opens the page, presses "Play along", and plays a tune again and again, as MIDI messages of a keyboard that the
page's script has instead of a real one. A latency is the time from the message to the moment at which the tones of
three voices are started. `harmony` plays sopranos of a split note by note, and gives the same ones whole; the fermatas
are told neither way. Both are measured as `descant evaluate harmonization` does. The chorales are drawn by `--seed` of
those whose soprano is on 16ths and in one meter.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from symusic.core import NoteTick, ScoreTick, TrackTick

from descant_modeling.api import load
from descant_modeling.decoding.config import GenerationConfig
from descant_modeling.evaluation.corpus_stats import ReferenceCorpus, measure, split_chorales
from descant_modeling.evaluation.harmonization import harmonize_rows, measure_harmonies
from descant_modeling.evaluation.harmonizers import ModelHarmonizer, melody_of
from descant_modeling.generation.satb import FourPartGenerator
from descant_tokenizers.common.files import write_json
from descant_tokenizers.corpora import row_to_score
from descant_tokenizers.corpora.build import split_rows
from descant_tokenizers.pianoroll.frames import chorale_of_row
from descant_tokenizers.scores import VOICES, Bar, bars_of, read_score
from descant_tokenizers.scores.key import estimate_key, pitch_name

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


class PlayAlong:
    """A harmonizer that answers a melody note by note (see `Harmonizer`)."""

    name = "along"

    def __init__(self, generator: FourPartGenerator) -> None:
        self._generator = generator

    def harmonize(self, melody: ScoreTick, seed: int, phrase_ends: Sequence[int] = ()) -> ScoreTick:
        """Play a melody; return it with the answers."""
        bars, unit = bars_of(melody), melody.ticks_per_quarter // 4
        meter, pickup = _meters(bars)[-1], bars[0].length_ticks if bars[0].number == 0 else 0
        missing = -pickup % (4 * melody.ticks_per_quarter * meter[0] // meter[1])
        accompanist = self._generator.accompanist(meter, estimate_key(melody), GenerationConfig(seed=seed))
        score, lines = melody.copy(), {voice: TrackTick(voice, 52, False) for voice in VOICES[1:]}
        for note in melody.tracks[0].notes:
            for voice, pitch in accompanist.answer((note.time + missing) // unit, note.pitch).items():
                lines[voice].notes.append(NoteTick(note.time, note.duration, pitch, 80))
            accompanist.release((note.end + missing) // unit)
            accompanist.prepare()
        for line in lines.values():
            score.tracks.append(line)
        return score


def harmonizers() -> tuple[PlayAlong, ModelHarmonizer]:
    """Return the model that plays along, and the same one that knows the whole melody."""
    generator = load("chorales").generator
    assert isinstance(generator, FourPartGenerator)
    return PlayAlong(generator), ModelHarmonizer("whole", generator, GenerationConfig())


def harmony(split: str, limit: int, seed: int) -> dict[str, Any]:
    """Compare play-along with the same melodies given whole, and both with Bach."""
    plain = [row for row in split_rows(split) if _is_plain(row_to_score(row))]
    rows = random.Random(seed).sample(plain, min(limit, len(plain)))
    reference = ReferenceCorpus(split_chorales("chorales:train"))
    found = {}
    for harmonizer in harmonizers():
        draw = harmonize_rows(harmonizer, rows, seed=seed, fermatas=False)
        found[harmonizer.name] = measure_harmonies([draw], reference).facts()
    bach = measure([chorale_of_row(row) for row in rows], reference).facts()
    names = [row["id"] for row in rows]
    return {"split": split, "of": len(plain), "seed": seed, "chorales": names, "models": found, "bach": bach}


def example(melody: Path, quarters: Sequence[range]) -> str:
    """Return a table of what a tune gets when it is played, and when it is given whole; times are in quarters."""
    score = read_score(melody)
    made = [harmonizer.harmonize(score, 0) for harmonizer in harmonizers()]
    lines = ["| bar, beat | melody | played along | given whole |", "|---|---|---|---|"]
    for note in score.tracks[0].notes:
        beat, unit = note.time / score.ticks_per_quarter, score.ticks_per_quarter
        if any(int(beat) in some for some in quarters):
            chords = [
                " ".join(pitch_name(_sounding(each, place, beat * each.ticks_per_quarter)) for place in (3, 2, 1))
                for each in made
            ]
            place = f"{int(beat) // 4 + 1}, {note.time % (4 * unit) / unit + 1:g}"
            lines.append(f"| {place} | {pitch_name(note.pitch)} | {chords[0]} | {chords[1]} |")
    return "\n".join(lines)


def _is_plain(score: ScoreTick) -> bool:
    """Return True if a soprano can be played along: on 16ths, and in one meter after its pickup."""
    unit, meters = score.ticks_per_quarter // 4, _meters(bars_of(score))
    return len(set(meters)) == 1 and not any(n.time % unit or n.end % unit for n in melody_of(score).tracks[0].notes)


def _meters(bars: Sequence[Bar]) -> list[tuple[int, int]]:
    """Return the meters of the bars after a pickup."""
    return [(bar.numerator, bar.denominator) for bar in bars if bar.number > 0]


def _sounding(score: ScoreTick, place: int, ticks: float) -> int:
    """Return the pitch that a voice sounds; -1 for none."""
    track = next(track for track in score.tracks if track.name == VOICES[place])
    return next((note.pitch for note in track.notes if note.time <= ticks < note.end), -1)


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
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample and of the voices (harmony)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    if options.what == "example":
        print(example(EXAMPLE, (range(8), range(56, 64))))
        return
    if options.what == "speed":
        figures = speed(options.minutes, options.tempo, options.screenshot)
    else:
        figures = harmony(options.split, options.limit, options.seed)
    sys.stdout.write(write_json(options.out, figures | _machine()))


if __name__ == "__main__":
    main()
