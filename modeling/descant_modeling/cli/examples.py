"""Examples at the end of a command's help; a test parses them."""

from __future__ import annotations

from descant_tokenizers.cli import examples as data_examples

EXAMPLES: dict[str, tuple[str, ...]] = {
    "generate": (
        "descant generate melody.mid --seed 1",
        "descant generate duet.mid --given soprano,bass --formats midi,pdf,practice",
        'descant generate melody.mid --key "G major" --phrases 4,8 --last-chord tonic',
        "descant generate chorale.mid --task continue --bars 8",
        "descant generate chorale.mid --task infill --bars 5-8 --given soprano",
    ),
    "check": (
        "descant check chorale.mid",
        "descant check chorale.musicxml --out marked --formats musicxml,pdf",
        "descant check chorale.mid --repair --voices alto,tenor,bass",
    ),
    "render": (
        "descant render score.abc --formats pdf,mp3 --chords",
        "descant render harmony.mid --formats practice --practice-tempo 80",
    ),
    "app": ("descant app", "descant app --model chorales --port 8000 --no-browser"),
    "serve": ("descant serve", "DESCANT_TOKEN=a-long-secret-word descant serve --host 0.0.0.0"),
    "train": (
        "descant train --config configs/smoke.yaml",
        "descant train optimizer.learning_rate=3e-4",
        "descant train --resume runs/chorales",
    ),
    "push": ("descant push runs/chorales user/name --private",),
    "export": ("descant export chorales --onnx chorales.onnx",),
    "evaluate likelihood": (
        "descant evaluate likelihood --limit 5",
        "descant evaluate likelihood --task harmonize --limit 5",
        "descant evaluate likelihood --model runs/mine --corpus data/mine --json",
    ),
    "evaluate chorales": (
        "descant evaluate chorales out",
        "descant evaluate chorales harmony.mid exercise.musicxml",
        "descant evaluate chorales chorales:valid --json",
    ),
    "evaluate harmonization": (
        "descant evaluate harmonization --limit 5",
        "descant evaluate harmonization --model gan --model chorales --out harmonies",
        "descant evaluate harmonization --no-fermatas --temperature 0.9 --json",
    ),
    "evaluate families": (
        "descant evaluate families --limit 5",
        "descant evaluate families --model chorales --model gan --limit 5",
    ),
    "evaluate tunes": (
        "descant evaluate tunes tests/data/tunes --limit 5",
        "descant evaluate tunes tests/data/tunes --num-draws 2 --out tunes",
    ),
    "evaluate accompaniment": (
        "descant evaluate accompaniment data/songs --model songs",
        "descant evaluate accompaniment data/quartets --model quartets --limit 10",
    ),
    "evaluate memorization": (
        "descant evaluate memorization --limit 5",
        "descant evaluate memorization --model nearest",
        "descant evaluate memorization --samples harmonies/chorales",
    ),
    "evaluate style": (
        "descant evaluate style --model style-free --limit 2",
        "descant evaluate style --model runs/mine --json",
    ),
    "evaluate report": (
        "descant evaluate report --limit 5",
        "descant evaluate report --models runs/mine chorales baseline --out report.html",
    ),
}


def examples_of(command: str) -> str | None:
    """Return the end of a command's help."""
    return data_examples.examples_of(command, EXAMPLES)
