"""Every command that the documentation shows exists, with these options and values; both languages show the same ones.

Commands are parsed by the command line itself and configurations by what reads them; only `tokenizer inspect` is run.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from descant_modeling.cli.examples import EXAMPLES
from descant_modeling.cli.main import app
from descant_modeling.common.config import build_config, load_values
from descant_modeling.objectives import objective_of
from descant_tokenizers.cli.examples import EXAMPLES as DATA_EXAMPLES
from descant_tokenizers.scores import read_score

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "examples" / "README.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "_generated"),
    *sorted((ROOT / "modeling/descant_modeling/weights").glob("*/README.md")),
]
SCRIPTS = [ROOT / "generate.py", ROOT / "train.py"]
TRANSLATIONS = {"README.es.md": "README.md"} | {
    page.relative_to(ROOT).as_posix(): f"docs/{page.relative_to(ROOT / 'docs/es').as_posix()}"
    for page in sorted((ROOT / "docs" / "es").rglob("*.md"))
}

FENCED = re.compile(r"^( *)(?:```|~~~)(\S*)\n(.*?)^ *(?:```|~~~)", re.DOTALL | re.MULTILINE)
SHELLS = ("bash", "console", "sh", "")
INLINE = re.compile(r"(?<!`)`((?:python|descant|accelerate|torchrun|make|\.venv/bin/\S+|pip) [^`]+)`")
DESCRIPTION = re.compile(r" {2,}\S.*")  # of an indented command: what stands behind two or more spaces

#: What others' programs are called with is theirs to check.
FOREIGN = ("cd", "git", "hf", "tensorboard", "source", "pre-commit", "apt-get", "npm", "node")


class Shown(NamedTuple):
    """A command as a document shows it."""

    line: str
    is_whole: bool  # an inline mention may leave out what is required


def shown(text: str) -> Iterator[Shown]:
    """All commands of a document, in order of their kind: blocks, indented lines, mentions."""
    for block in FENCED.finditer(text):
        if block[2] in SHELLS:
            lines = block[3].replace("\\\n", " ").split("\n")
            prompt = "$ " if block[2] == "console" else ""
            yield from (
                Shown(line.strip().removeprefix(prompt), True)
                for line in lines
                if line.strip() and line.strip().startswith(prompt)
            )
    rest = FENCED.sub("", text)
    for line in rest.split("\n"):
        if line.startswith("    ") and command_of(DESCRIPTION.sub("", line.strip())):
            yield Shown(DESCRIPTION.sub("", line.strip()), True)
    for mention in INLINE.finditer(rest):
        yield Shown(" ".join(mention[1].split()), False)


def words_of(line: str) -> Iterator[list[str]]:
    """The commands of a line of shell, without comments, loops and variables set for one command."""
    lexer = shlex.shlex(re.sub(r"\$\w+", "1024", line), posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    for is_end, group in groupby(lexer, key=lambda word: not word.strip(";&|")):
        words = [] if is_end else list(group)
        while words and (words[0] == "do" or re.match(r"[A-Z_]+=", words[0])):
            words = words[1:]
        if words and words[0] not in ("for", "done"):
            yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


def command_of(line: str) -> str | None:
    """The name of a command line's program, if it is one that documents show."""
    first = line.split(" ", 1)[0].removeprefix(".venv/bin/")
    return first if first in (*CHECKS, *FOREIGN) or re.match(r"[A-Z_]+=\S", line) else None


@cache
def _descant() -> Any:
    return typer.main.get_command(app)


def parse(command: Any, name: str, words: list[str], is_whole: bool) -> Any:
    """Parse arguments as the command line would; returns the context of the command, None for an incomplete mention."""
    try:
        while hasattr(command, "commands"):
            if not words and not is_whole:
                return None
            assert words, f"{name} needs a command"
            if words[0].startswith("-"):
                return command.make_context(name, [*words], resilient_parsing=True)
            assert words[0] in command.commands, f"{name} has no command {words[0]}"
            command, name, words = command.commands[words[0]], f"{name} {words[0]}", words[1:]
        return command.make_context(name, [*words])
    except Exception as error:
        if type(error).__name__ in ("MissingParameter", "BadOptionUsage") and not is_whole:
            return None
        if type(error).__name__ == "Exit":  # --help, --version
            return None
        raise AssertionError(f"{name} {' '.join(words)}: {error}") from error


def check_descant(words: list[str], is_whole: bool) -> None:
    context = parse(_descant(), "descant", words, is_whole)
    if words and words[0] == "train":
        check_configuration(context)


def check_training(words: list[str], is_whole: bool) -> None:
    check_configuration(parse(_descant().commands["train"], "train.py", words, is_whole))


def check_configuration(context: Any) -> None:
    """The configuration file is there, and takes these overrides."""
    if context is None or context.params["resume"] is not None:
        return
    config = context.params["config"]
    values, where = load_values(None if config is None else ROOT / config)
    build_config(objective_of(values, where).config, values, where, context.params["overrides"] or ())


def check_launcher(words: list[str], is_whole: bool) -> None:
    place = words.index("train.py") if "train.py" in words else len(words)
    for option, value in pairwise(words[:place]):
        if option == "--config_file":
            assert (ROOT / value).is_file(), value
    assert "train.py" in words or not is_whole, words
    check_training(words[place + 1 :], is_whole)


def check_python(words: list[str], is_whole: bool) -> None:
    if words[0] == "-m":
        assert words[1] in ("venv", "pip", "pytest", "build"), words
        return check_pip(words[2:], is_whole) if words[1] == "pip" else None
    if words[0] == "generate.py":
        parse(_descant().commands["generate"], "generate.py", words[1:], is_whole)
    elif words[0] == "train.py":
        check_training(words[1:], is_whole)
    else:
        source = (ROOT / words[0]).read_text(encoding="utf-8")
        for word in words[1:]:
            assert not word.startswith("--") or f'"{word.split("=")[0]}"' in source, f"{words[0]} has no {word}"


def check_make(words: list[str], is_whole: bool) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert words[0] in targets, f"make has no target {words[0]}"


def check_pip(words: list[str], is_whole: bool) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for names in re.findall(r"(?:descant|\.)\[([^\]]+)\]", " ".join(words)):
        for name in names.split(","):
            assert name in extras, f"there is no extra {name}"


CHECKS: dict[str, Callable[[list[str], bool], None]] = {
    "descant": check_descant,
    "python": check_python,
    "accelerate": check_launcher,
    "torchrun": check_launcher,
    "make": check_make,
    "pip": check_pip,
}


def check(command: Shown) -> None:
    for name, *words in words_of(command.line):
        if name in FOREIGN:
            continue
        assert name in CHECKS, f"nothing here checks {name!r} of {command.line!r}"
        CHECKS[name](words, command.is_whole)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_of_a_document_exist(document: Path) -> None:
    for command in shown(document.read_text(encoding="utf-8")):
        check(command)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_commands_of_a_script_exist(script: Path) -> None:
    doc = script.read_text(encoding="utf-8").split('"""')[1]
    lines = [DESCRIPTION.sub("", line.strip()) for line in doc.split("\n")]
    commands = [Shown(line, True) for line in lines if command_of(line)]
    assert len(commands) >= 5
    for command in commands:
        check(command)


@pytest.mark.parametrize("line", [line for lines in (EXAMPLES | DATA_EXAMPLES).values() for line in lines])
def test_examples_of_the_help_exist(line: str) -> None:
    check(Shown(line, True))


@pytest.mark.parametrize(
    ("name", "least"),
    [("README.md", 12), ("docs/quickstart.md", 12), ("docs/evaluation.md", 5), ("docs/tutorials/midi-folder.md", 14)],
)
def test_commands_are_found(name: str, least: int) -> None:
    assert len(list(shown((ROOT / name).read_text(encoding="utf-8")))) >= least


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python generate.py --prompt x.mid --barz 3", "barz"),
        ("python generate.py --task harmonise --prompt x.mid", "harmonise"),
        ("descant dataset build chorales", "out"),
        ("descant evaluate everything", "everything"),
        ("accelerate launch train.py model.widht=3", "widht"),
        ("accelerate launch train.py --config configs/none.yaml", "none.yaml"),
        ("accelerate launch --config_file configs/accelerate/none.yaml train.py", "none.yaml"),
        ("python benchmarks/decode.py --wrong", "wrong"),
        ("make coffee", "coffee"),
        ("pip install 'descant[tea]'", "tea"),
        ("cargo run", "cargo"),
    ],
)
def test_a_wrong_command_is_found(line: str, words: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=words):
        check(Shown(line, True))


@pytest.mark.parametrize("translation", TRANSLATIONS)
def test_a_translation_says_the_same(translation: str) -> None:
    ours = _text(ROOT / TRANSLATIONS[translation])
    theirs = (ROOT / translation).read_text(encoding="utf-8")
    assert _code(theirs) == _code(ours), "the translation shows other commands: bring it up to date"
    assert _figures(theirs) == _figures(ours), "the translation embeds other tables: bring it up to date"
    assert _headings(theirs) == _headings(ours), "the translation has other sections: bring it up to date"


def _text(page: Path) -> str:
    """A page; of one that is made from a notebook, the text and the code."""
    notebook = page.with_suffix(".ipynb")
    if not notebook.exists():
        return page.read_text(encoding="utf-8")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    return "\n\n".join(source if kind == "markdown" else f"```python\n{source}\n```" for kind, source in sources)


def _code(text: str) -> list[str]:
    blocks = [re.sub(r" *#.*", "", block[3]).split("\n") for block in FENCED.finditer(text) if block[2] != "mermaid"]
    return [line for lines in blocks for line in lines if line]


def _figures(text: str) -> list[str]:
    """The tables that a page embeds; a translation embeds a table of the same name with its language behind it."""
    return [name.removesuffix(".es") for name in re.findall(r"<!--records (\S+)-->", text)]


def _headings(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", FENCED.sub("", text), re.MULTILINE)]


@pytest.mark.parametrize(("name", "least"), [("tutorials/tokens.md", 2), ("tokenizers.md", 1)])
def test_what_a_page_prints_is_printed(
    name: str, least: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    consoles = [block[3].strip().split("\n") for block in FENCED.finditer(page) if block[2] == "console"]
    consoles = [lines for lines in consoles if len(lines) > 1]  # others show the command alone
    assert len(consoles) >= least
    for command, *lines in consoles:
        app(shlex.split(command.removeprefix("$ descant ")), standalone_mode=False)
        printed = iter(capsys.readouterr().out.split("\n"))
        for line in lines:
            assert line == "..." or line.rstrip() in printed, f"{command} does not print {line!r} there"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("README.md", "harmony.mid"),
        ("docs/quickstart.md", "sample-2.mid"),
        ("docs/tokenizers.md", None),
        ("docs/learned-tokens.md", "my-tokenizer/tokenizer.json"),
        ("docs/notation.md", "harmony.mp3"),
    ],
)
def test_python_runs(name: str, written: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what an example writes belongs in nobody's checkout
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "melody.mid").write_bytes((ROOT / "examples" / "old-hundredth.mid").read_bytes())
    if name == "docs/notation.md":
        _duet(tmp_path / "melody.mid", tmp_path / "harmony.mid")
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = [block[3] for block in FENCED.finditer(text) if block[2] == "python"]
    assert blocks
    for block in blocks:
        exec(compile(block, name, "exec"), {})
    assert written is None or (tmp_path / written).stat().st_size > 0


def _duet(melody: Path, path: Path) -> None:
    """A melody, an octave apart in two voices."""
    score = read_score(melody)
    score.tracks[0].name = "Soprano"
    score.tracks.append(score.tracks[0].shift_pitch(-12))
    score.tracks[1].name = "Tenor"
    score.dump_midi(path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    """Links inside docs/, anchors included, are checked again when the site is built (test_site.py)."""
    text = FENCED.sub("", document.read_text(encoding="utf-8"))
    generated = {
        "docs/reference/commands.md",
        *(f"docs/notebooks/{path.stem}.md" for path in ROOT.glob("docs/notebooks/*.ipynb")),
    }
    for target in re.findall(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path = (document.parent / target).resolve()
        assert path.exists() or path.relative_to(ROOT).as_posix() in generated, f"{document.name} links to {target}"
