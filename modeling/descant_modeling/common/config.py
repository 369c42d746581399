"""Configurations: reading, checks, and the keys that all objectives share."""

from __future__ import annotations

import dataclasses
import reprlib
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from descant_tokenizers.common.errors import InputError, printable

Config = typing.TypeVar("Config")

_MAX_CHARACTERS = 50_000  # PyYAML reads 20,000 a second
_MAX_NUMBER = 2**53
_SHORT = reprlib.Repr()  # aliases can make values larger than any memory
_SHORT.maxstring = _SHORT.maxother = 200


def load_values(path: Path | None) -> tuple[dict[str, Any], str]:
    """Read a YAML file, if there is one; return its values, and what errors call them.

    Raises:
        InputError: The file does not exist or is not YAML.
    """
    if path is None:
        return {}, "the command line"
    try:
        values = _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist. Give a YAML file of configs/.") from None
    except (OSError, ValueError) as error:  # ValueError: also a text that is not UTF-8
        raise InputError(f"{path} cannot be read as YAML ({printable(str(error), 300)}). Correct it.") from None
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise InputError(f"{path} is not a mapping of keys to values. See configs/ for examples.")
    return values, str(path)


def _parsed(text: str) -> Any:
    """Parse YAML; raise a `ValueError` if it is none."""
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"it has more than {_MAX_CHARACTERS:,} characters")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("it nests too deep") from None


def build_config(
    kind: type[Config], values: dict[str, Any], where: str, overrides: typing.Sequence[str] = ()
) -> Config:
    """Build a configuration from nested plain values, strictly.

    Args:
        kind: Its dataclass.
        values: As YAML gives them; overrides are written into them.
        where: What errors call the values.
        overrides: `key=value` with dots for nesting (`optimizer.learning_rate=3e-4`); values are YAML.

    Raises:
        InputError: An unknown key, a value of a wrong type or out of range.
    """
    for override in overrides:
        _apply_override(values, override)
    try:
        return typing.cast("Config", _build(kind, values, ""))
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise InputError(f"Override {override!r} has no '='. Write key=value.")
    *parents, leaf = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise InputError(f"Override {override!r} needs a section, and {parent} is a value. Check the key.")
    try:
        values[leaf] = _parsed(text)
    except ValueError:
        raise InputError(f"Override {_SHORT.repr(override)} has no YAML after the '='. Correct the value.") from None


def _build(kind: type, values: object, prefix: str) -> object:
    if not isinstance(values, dict):
        raise ValueError(f"{prefix.rstrip('.') or 'the file'} is {_SHORT.repr(values)}. Give a mapping.")
    hints = typing.get_type_hints(kind)
    names = {f.name.rstrip("_"): f.name for f in dataclasses.fields(kind)}
    unknown = [key for key in values if key not in names]
    if unknown:
        raise ValueError(
            f"{prefix}{printable(str(unknown[0]), 60)} is not a key. Choose from {', '.join(sorted(names))}."
        )
    return kind(**{names[k]: _convert(hints[names[k]], v, f"{prefix}{k}") for k, v in values.items()})


def _convert(hint: Any, value: Any, name: str) -> object:
    """Convert a YAML value to an annotated type, strictly."""
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast("type", hint), value, f"{name}.")
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _convert(next(a for a in args if a is not type(None)), value, name)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{name} is {_SHORT.repr(value)}. Give a list.")
        return tuple(_convert(args[0], item, name) for item in value)
    if hint is float and isinstance(value, str):  # YAML reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"{name} is {_SHORT.repr(value)}. Give a number.") from None
    if isinstance(value, int | float) and not abs(value) <= _MAX_NUMBER:
        raise ValueError(f"{name} is {_SHORT.repr(value)}. Give a number of at most {_MAX_NUMBER:,}.")
    if isinstance(value, str) and not value.isprintable():
        raise ValueError(f"{name} is {_SHORT.repr(value)}. Give printable text.")
    if hint is str and isinstance(value, bool):  # YAML reads true as a truth value
        return str(value).lower()
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ValueError(f"{name} is {_SHORT.repr(value)}. Give {_TYPE_NAMES[hint]}.")
    return value


_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def check(condition: bool, name: str, value: object, remedy: str) -> None:
    """Raise a `ValueError` unless a condition on a value holds; the remedy is such as "give 0 or more"."""
    if not condition:
        raise ValueError(f"{name} is {value}. {remedy[0].upper()}{remedy[1:]}.")


@dataclass(frozen=True)
class Constraint:
    """A rule for values: which ones it allows, and the remedy for others."""

    holds: Callable[[Any], bool]
    remedy: str


def within(low: float, high: float) -> Constraint:
    """Allow numbers from `low` to `high`, both included."""
    return Constraint(lambda value: low <= value <= high, f"give {low:g} to {high:g}")


def all_of(number: int, rule: Constraint, remedy: str) -> Constraint:
    """Allow lists of `number` values that each follow a rule."""
    return Constraint(lambda values: len(values) == number and all(rule.holds(value) for value in values), remedy)


POSITIVE = Constraint(lambda value: value > 0, "give a positive number")
NOT_NEGATIVE = Constraint(lambda value: value >= 0, "give 0 or more")
BELOW_ONE = Constraint(lambda value: 0 <= value < 1, "give 0 or more, below 1")
#: Adam's decay rates.
BETAS = all_of(2, BELOW_ONE, "give two numbers of 0 or more, below 1")


def check_fields(owner: object, section: str, rule: Constraint, *names: str) -> None:
    """Raise a `ValueError` unless the named fields of a configuration follow a rule.

    The section is that of the YAML file, empty for the top.
    """
    for name in names:
        value = getattr(owner, name)
        check(rule.holds(value), f"{section}.{name}" if section else name, value, rule.remedy)


@dataclass(frozen=True)
class CommonConfig:
    """One training run; each objective has a subclass with its default values.

    Args:
        objective: Name of the objective.
        name: Folder under `out_dir`.
        out_dir: Folder of all runs.
        seed: Seed of all randomness.
        max_steps: Steps of the run.
        eval_every: Steps between validations.
        save_every: Steps between checkpoints.
        log_every: Steps between log lines.
        precision: `fp32`, `bf16`, or `auto`: bf16 on CUDA and on CPUs with bf16 units (AMX-BF16 or AVX512-BF16), else
            fp32.
        tracker: `none`, or `wandb` to log to Weights & Biases as well (its own package and account).
    """

    objective: str = ""
    name: str = ""
    out_dir: str = "runs"
    seed: int = 1
    max_steps: int = 1
    eval_every: int = 1
    save_every: int = 1
    log_every: int = 1
    precision: str = "auto"
    tracker: str = "none"

    def __post_init__(self) -> None:
        own = type(self).objective
        check(self.objective == own, "objective", self.objective, f"write objective: {own}")
        check_fields(self, "", POSITIVE, "max_steps", "eval_every", "save_every", "log_every")
        check_fields(self, "", NOT_NEGATIVE, "seed")
        check(self.precision in ("auto", "fp32", "bf16"), "precision", self.precision, "give auto, fp32 or bf16")
        check(self.tracker in ("none", "wandb"), "tracker", self.tracker, "give none or wandb")
        is_plain = self.name not in ("", "..") and Path(self.name).name == self.name
        check(is_plain, "name", repr(self.name), "give a plain folder name")

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved configuration as plain values."""
        return dataclasses.asdict(self)
