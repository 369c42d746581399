"""A published folder works without our code: transformers, miditok and symusic are enough to continue a chorale."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from descant_modeling.common import EMBEDDED_DEFAULT
from descant_modeling.models.checkpoints import EMBEDDED
from descant_modeling.models.publishing import PLACEHOLDER

SCRIPT = """
import importlib.abc, json, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0].startswith("descant"):
            raise ModuleNotFoundError(f"{name} is absent")

sys.meta_path.insert(0, Absent())

import symusic, torch

out = sys.argv[1]
# what the card says

score = symusic.Score(tokenizer.time_division)
score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
beat = tokenizer.time_division
chords = {56: (72, 74, 71, 72), 60: (67, 65, 67, 64), 61: (60, 57, 62, 55), 58: (48, 53, 43, 48)}
for program, pitches in sorted(chords.items()):
    track = symusic.Track("", program, False)
    for index, pitch in enumerate(pitches * 2):
        track.notes.append(symusic.Note(index * beat, beat, pitch, 80))
    score.tracks.append(track)

prompt = tokenizer(score).ids
header = ["BOS_None", "CONTINUE_None", *(f"Program_{program}" for program in sorted(chords))]
assert [token for token in tokenizer(score).tokens if token in header][:4] == header[2:]
ids = torch.tensor([[tokenizer[name] for name in header] + prompt])
torch.manual_seed(1)
written = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=60, do_sample=True, top_p=0.9)
music = tokenizer.decode(written[0, len(header):].tolist())
music.dump_midi(out)

def notes(score):
    return sorted((t.program, n.time, n.pitch, n.duration) for t in score.tracks for n in t.notes)

given, whole = notes(score.resample(music.ticks_per_quarter)), notes(music)
assert not {"music21", "verovio", "datasets", "matplotlib"} & sys.modules.keys()
print(json.dumps({"given": len(given), "kept": len(set(given) & set(whole)), "whole": len(whole)}))
"""


def test_a_chorale_goes_on_without_our_code(tmp_path: Path) -> None:
    folder, out = EMBEDDED / EMBEDDED_DEFAULT, tmp_path / "out.mid"
    (lines,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    script = SCRIPT.replace("# what the card says\n", lines.replace(PLACEHOLDER, folder.as_posix()))
    command = [sys.executable, "-c", script, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["kept"] == counts["given"] == 32
    assert counts["whole"] > counts["given"] + 6
    assert out.stat().st_size > 100
