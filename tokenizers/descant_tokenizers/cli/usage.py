"""Wrong usage of a command line, said in one line in the project's style instead of typer's box."""

from __future__ import annotations

import re
from typing import Any

from typer.exceptions import TyperException

_CHOICES = re.compile(r"(?:Value error, )?(?P<value>'.*') is not one of (?P<choices>.+?)\.?$")
_NO_COMMAND = re.compile(r"No such command '(?P<name>.*?)'\.(?: Did you mean (?P<others>.+)\?)?$")
_TOO_MANY = re.compile(r"Got unexpected extra argument\(s\) \((?P<words>.*)\)$")
_KINDS = {"valid integer": "a whole number", "valid number": "a number", "valid boolean": "true or false"}


def usage_sentence(error: TyperException) -> str:
    """Say what is wrong with a command line, and what to do; empty if the help was printed instead."""
    option, parameter, message = getattr(error, "option_name", None), getattr(error, "param", None), str(error)
    if option is not None:
        return _of_option(option, message, getattr(error, "possibilities", None), _see_help(error))
    if parameter is not None:
        return _of_parameter(parameter, message, _see_help(error))
    if found := _NO_COMMAND.match(message):
        return f"There is no command {found['name']}. {_did_you_mean(found['others']) or _see_help(error)}"
    if found := _TOO_MANY.match(message):
        return f"There is a word too many: {found['words']}. {_see_help(error)}"
    return f"{message.rstrip('.')}. {_see_help(error)}" if message else ""


def _of_option(option: str, message: str, others: list[str] | None, see_help: str) -> str:
    if "requires an argument" in message:
        return f"{option} has no value. Give one."
    if "does not take a value" in message:
        return f"{option} takes no value. Leave the value out."
    return f"There is no option {option}. {_did_you_mean(', '.join(others or ())) or see_help}"


def _of_parameter(parameter: Any, message: str, see_help: str) -> str:
    is_option = parameter.param_type_name == "option"
    name = max(parameter.opts, key=len) if is_option else f"The argument {parameter.name.upper()}"
    if variable := getattr(parameter, "envvar", None):
        name += f" (or {variable})"
    if message.startswith("Missing parameter"):
        return f"{name} is missing. {see_help}"
    if found := _CHOICES.match(message):
        return f"{name} is {found['value']}. Give one of {found['choices'].replace(chr(39), '')}."
    for kind, ours in _KINDS.items():
        if kind in message:
            return f"{name} is not {ours}. Give one."
    return f"{name} cannot be read ({message.rstrip('.')}). {see_help}"


def _did_you_mean(names: str | None) -> str:
    return f"Did you mean {names.replace(chr(39), '').replace(', ', ' or ')}?" if names else ""


def _see_help(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"See {context.command_path if context else 'descant'} --help."
