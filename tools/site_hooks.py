"""Hooks of mkdocs, so that the pages of docs/ read well both in the repository and on the site.

mkdocs.yml names this file under `hooks`. The page of all commands is built from the command line itself, and one page
from each notebook. Links that leave docs/ become the paths of their targets; markers of embedded tables are removed;
lists are spaced the way Python-Markdown needs them; diagrams are drawn by the copy of mermaid in docs/javascripts.
"""

from __future__ import annotations

import json
import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LOG = logging.getLogger("mkdocs.hooks.site")
ROOT = Path(__file__).resolve().parent.parent

COMMANDS_PAGE = "reference/commands.md"
NOTEBOOKS = "notebooks/*.ipynb"
DIAGRAM = '<pre class="mermaid">'
DIAGRAM_SCRIPT = "javascripts/mermaid.tiny.js"

_MARKER = re.compile(r"<!--/?(?:records|rows|schemes|table|figures|house)\b[^>]*-->")
_LEAVING_LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)\s#]*)(#[^)\s]*)?\)")
_FENCE = re.compile(r" *(```|~~~)")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")
_INSIDE_ITEM = re.compile(r" {2,3}\S")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    files.append(File.generated(config, COMMANDS_PAGE, content=commands_page()))
    docs = Path(config.docs_dir)
    for path in sorted(docs.glob(NOTEBOOKS)):
        page = path.relative_to(docs).with_suffix(".md").as_posix()
        files.append(File.generated(config, page, content=notebook_page(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt Markdown written for the repository to the site."""
    markdown = _MARKER.sub("", markdown)
    markdown = _LEAVING_LINK.sub(lambda link: _inside(link, page.file.src_uri), markdown)
    return spaced_lists(markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Load mermaid before the theme does, on pages with a diagram only."""
    if DIAGRAM not in output:
        return output
    source = posixpath.relpath(DIAGRAM_SCRIPT, posixpath.dirname(page.file.dest_uri))
    return output.replace("</head>", f'<script src="{source}"></script></head>', 1)


def _inside(link: re.Match[str], page: str) -> str:
    """Return a link unchanged if it stays inside docs/, else its label with the path in the repository."""
    label, target = link[1], link[2]
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
    if path.startswith("docs/"):
        return link[0]
    if not (ROOT / path).exists():
        LOG.warning("%s links to %s, which is not in the repository", page, path)
    return f"`{path}`" if label.strip("`/") in (path, target.strip("/")) else f"{label} (`{path}`)"


def spaced_lists(markdown: str) -> str:
    """Return Markdown whose lists Python-Markdown reads as CommonMark does.

    It needs a blank line before a list, and paragraphs inside an item indented by four columns.
    """
    return "\n".join(_spaced(markdown.split("\n")))


def _spaced(lines: list[str]) -> Iterator[str]:
    in_fence = is_inside = False
    last = ""
    for line in lines:
        if _FENCE.match(line):
            in_fence = not in_fence
        elif not in_fence:
            if _ITEM.match(line) and last and (is_inside or not (last.startswith(" ") or _ITEM.match(last))):
                yield ""
            is_inside = not last and bool(_INSIDE_ITEM.match(line))
            line = f"    {line.strip()}" if is_inside else line
        yield line
        last = line


def commands_page() -> str:
    """Return the page of all commands: purpose, usage, options, examples."""
    import typer

    from descant_modeling.cli.main import app

    head = "# Commands\n\nThe output of `descant COMMAND --help` for every command.\n"
    commands = _leaves(typer.main.get_command(app), "descant")
    return "\n".join([head, *(_command_section(name, command) for name, command in commands)])


def _leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for word, child in children.items():
        yield from _leaves(child, f"{name} {word}")


def _command_section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [f"| `{option}` | {_cell(text)} |" for option, text in filter(None, records)]
    usage = " ".join([name, *(piece for p in command.params for piece in p.get_usage_pieces(context)), "[OPTIONS]"])
    table = ["| | |", "|---|---|", *rows]
    lines = [f"## {name}", "", command.help, "", "```text", usage, "```", "", *table, ""]
    _, _, examples = (command.epilog or "").partition("Examples:\n")
    return "\n".join([*lines, "```bash", examples, "```", ""] if examples else lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")


def notebook_page(path: Path) -> str:
    """Return a notebook as a page: text, code, and the output of its last run."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = [part for cell in cells for part in _cell_parts(cell)]
    title, *rest = parts
    where = f'Download the notebook: [{path.name}]({path.name}){{ download="{path.name}" }}'
    return "\n\n".join([title, where, *rest]) + "\n"


def _cell_parts(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        yield from _output_parts(output)


def _output_parts(output: dict[str, Any]) -> Iterator[str]:
    data = output.get("data", {})
    if "image/png" in data:
        yield f"![](data:image/png;base64,{''.join(data['image/png']).strip()})"
    elif "image/svg+xml" in data:
        yield f'<div class="score" markdown="0">{_one_line("".join(data["image/svg+xml"]))}</div>'
    elif "<audio" in (html := "".join(data.get("text/html", ""))):
        yield f'<div markdown="0">{_one_line(html)}</div>'
    elif text := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
        yield f"```text\n{text}\n```"


def _one_line(markup: str) -> str:
    return re.sub(r"\s*\n\s*", " ", markup)
