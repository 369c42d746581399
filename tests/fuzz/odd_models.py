"""Model folders of somebody else's and configurations of training, nearly right.

Input number `index` of a seed is always the same bytes: JSON that says which files to write (`unpack` writes them).
"""

from __future__ import annotations

import hashlib
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from descant_modeling.models.stock_config import _neox_parameters

ROOT = Path(__file__).resolve().parents[2]
_BASE = ROOT / "modeling" / "descant_modeling" / "weights" / "style-free"
_SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 64, 10**6, 2**31, 2**63, 10**30, 1.5, -0.0, 1e-300, 1e308, float("nan"), float("inf")),
    *(True, False, None, "", "0", "1", "relu", "cuda", "../x", "/etc/passwd", "\0", "\ud800", "é", "a" * 5_000),
    *([], {}, [0], [[]], {"": 0}, ["x"] * 500, [0] * 500, {"a": {"b": {"c": []}}}),
)
_KEYS = (
    *("auto_map", "quantization_config", "_attn_implementation", "torch_dtype", "adapter", "trust_remote_code", ""),
    *("num_key_value_heads", "rope_scaling", "pruned_heads", "id2label", "task_specific_params", "tokenizer_class"),
    *("__proto__", "__class__", "objective", "format_version", "model_type", "architectures", "vocab_size", "bpe"),
)
_TEXTS = ("", "null", "[]", "{}", "3", '"x"', "[" * 50_000, '{"a":' * 50_000, "{", "NaN", "\ufeff{}", "1" * 5_000)
_DTYPES = ("F32", "F64", "F16", "BF16", "I64", "BOOL", "F8_E4M3")


@cache
def _base() -> dict[str, Any]:
    """Return the JSON files of a small checkpoint, parsed."""
    names = ("config.json", "descant.json", "tokenizer.json", "generation_config.json")
    files = {name: json.loads((_BASE / name).read_text(encoding="utf-8")) for name in names}
    files["config.json"] |= _SIZES
    return files


def odd_model(rng: random.Random) -> bytes:
    """Return a model folder; most are changed in one place, some in none."""
    files = json.loads(json.dumps(_base()))
    weights = [[name, list(shape), "F32"] for name, shape in _neox_parameters(files["config.json"])]
    for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
        if rng.random() < 0.2:
            _spoil_weights(rng, weights)
        else:
            _spoil(rng, files[rng.choice(tuple(files))])
    texts = {name: json.dumps(values, indent=1) for name, values in files.items()}
    if rng.random() < 0.15:
        name = rng.choice(tuple(texts))
        texts[name] = rng.choice((*_TEXTS, texts[name][: rng.randrange(len(texts[name]))]))
    if rng.random() < 0.9 and "tokenizer_sha256" in texts["descant.json"]:  # as who makes a folder would
        digest = hashlib.sha256(texts["tokenizer.json"].encode("utf-8", "surrogatepass")).hexdigest()
        texts["descant.json"] = texts["descant.json"].replace(_base()["descant.json"]["tokenizer_sha256"], digest)
    if rng.random() < 0.05:
        del texts[rng.choice(tuple(texts))]
    cut = rng.random() if rng.random() < 0.05 else 1.0
    return json.dumps({"files": texts, "weights": weights, "kept": cut}).encode()


def _spoil(rng: random.Random, values: Any) -> None:
    """Change, drop or add a value somewhere in nested ones."""
    while rng.random() < 0.7:
        inner = [v for v in (values.values() if isinstance(values, dict) else values) if isinstance(v, dict | list)]
        inner = [each for each in inner if each]
        if not inner:
            break
        values = rng.choice(inner)
    places = list(values) if isinstance(values, dict) else list(range(len(values)))
    deed = rng.random()
    if deed < 0.1 and isinstance(values, dict):
        values[rng.choice(_KEYS)] = rng.choice(_VALUES)
    elif not places:
        return
    elif deed < 0.2:
        del values[rng.choice(places)]
    else:
        place = rng.choice(places)
        own = values[place]
        near = [own + 1, own - 1, own * 2, -own, str(own), float(own)] if type(own) is int else []
        values[place] = rng.choice((*_VALUES, *near))


def _spoil_weights(rng: random.Random, weights: list[list[Any]]) -> None:
    if not weights:
        return
    entry = rng.choice(weights)
    deed = rng.randrange(5)
    if deed == 0:
        weights.remove(entry)
    elif deed == 1:
        weights.append([f"{entry[0]}.{rng.choice(('', 'x', '0'))}", entry[1], entry[2]])
    elif deed == 2:
        entry[2] = rng.choice(_DTYPES)
    elif deed == 3:
        entry[1] = [*entry[1][:-1], rng.choice((0, 1, entry[1][-1] + 1))]
    else:
        entry[1] = entry[1][::-1]


def odd_config(rng: random.Random) -> bytes:
    """Return a configuration file and overrides."""
    text = rng.choice(_config_texts())
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        text = _spoiled_yaml(rng, text)
    keys = [line.split(":")[0].strip(" {") for line in text.splitlines() if ":" in line and "#" not in line] or ["x"]
    overrides = [_override(rng, rng.choice(keys)) for _ in range(rng.choice((0, 0, 1, 2)))]
    return json.dumps({"yaml": text, "overrides": overrides}).encode()


@cache
def _config_texts() -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8") for path in sorted((ROOT / "configs").glob("*.yaml")))


_YAML = (
    *(
        "0",
        "-1",
        "1e999",
        ".nan",
        ".inf",
        "1e-3",
        "0x10",
        "1_000",
        "~",
        "true",
        "'x'",
        '"\\0"',
        '"\\ud800"',
        "2026-11-30",
    ),
    *("[]", "{}", "[0]", "{a: 1}", "&a [*a]", "*a", "!!python/object:os.system x", "!!binary AAAA", "!!set {a}", "? a"),
    *("[" * 3_000, "{a: " * 3_000, "a" * 3_000, "9" * 5_000, "- - - x", "|\n  text", "> x", "---", "%YAML 9.9", "\t"),
    *("&a {x: &b [*a, *a]}", "<<: {a: 1}", "é", "\u2028", "\x01", "12:30:45", "=", "<<", "1" + "0" * 400, "[.nan]"),
)


def _spoiled_yaml(rng: random.Random, text: str) -> str:
    lines = text.splitlines()
    place = rng.randrange(len(lines)) if lines else 0
    deed = rng.randrange(5)
    if not lines or deed == 0:
        return rng.choice(_YAML)
    if deed == 1:
        lines.insert(place, f"{rng.choice(('x', 'model', 'data', 'name', '  y'))}: {rng.choice(_YAML)}")
    elif deed == 2 and len(lines) > 1:
        del lines[place]
    elif ":" in lines[place]:
        lines[place] = f"{lines[place].partition(':')[0]}: {rng.choice(_YAML)}"
    else:
        lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
    return "\n".join(lines)


def _override(rng: random.Random, key: str) -> str:
    inner = rng.choice(("", "", ".width", ".learning_rate", ".corpora", ".x.y", "."))
    return f"{key}{inner}{rng.choice(('=', '=', '=', '', '=='))}{rng.choice(_YAML)}"


def unpack(data: bytes, folder: Path) -> None:
    """Write a model folder."""
    plan = json.loads(data)
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, text in plan["files"].items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    packed = _packed([(name, tuple(shape), dtype) for name, shape, dtype in plan["weights"]])
    (folder / "model.safetensors").write_bytes(packed[: int(len(packed) * plan["kept"])])


_STORED = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "BOOL": "?"}


def _packed(weights: list[tuple[str, tuple[int, ...], str]]) -> bytes:
    """Return a file of weights; types that numpy lacks are stored as others of their size and renamed."""
    rng = np.random.default_rng(1)
    tensors = {
        name: (0.02 * rng.standard_normal(shape)).astype(_STORED.get(dtype, {"BF16": "<f2"}.get(dtype, "?")))
        for name, shape, dtype in weights
    }
    data: bytes = save(tensors)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    for name, _, dtype in weights:
        header[name]["dtype"] = dtype
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]
