"""Examples at the end of a command's help; a test parses them."""

from __future__ import annotations

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
        "descant render harmony.mid --formats practice --own-voice-db 12 --practice-tempo 80",
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
}


def examples_of(command: str) -> str | None:
    """Return the end of a command's help; typer keeps the lines of a paragraph that begins with a backspace."""
    lines = EXAMPLES.get(command, ())
    return "\n".join(["\b", "Examples:", *lines]) if lines else None
