"""Measure the structure of both packages, before the redesign and now: the table of docs/architecture.md.

    python tools/house.py             write the table
    python tools/house.py --check     print it only

A room is a direct subfolder or module of a package, an arrow an import from one room to another; a room is one floor
above the highest room that it imports. Imports inside functions and for type checking count.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!--house-->", "<!--/house-->"
#: The last commit before the redesign.
BEFORE = "dc2d22e29535"
PACKAGES = ("tokenizers/descant_tokenizers", "modeling/descant_modeling")

Sources = dict[PurePosixPath, str]
"""Text of each Python file of a package, by its path in the package."""


@dataclass(frozen=True)
class Structure:
    """Figures of one package.

    Attributes:
        files: Python files.
        lines: Lines of all files.
        longest_file: Lines of the longest file.
        median: Lines of the median function.
        p90: Length that nine of ten functions do not exceed, in lines.
        longest: Lines of the longest function.
        rooms: Direct subfolders and modules, `__init__.py` left out.
        floors: Length of the longest chain of imports between rooms; rooms in a circle share a floor.
        arrows: Pairs of rooms of which the first imports the second.
        circles: Groups of rooms that import one another in a circle.
    """

    files: int
    lines: int
    longest_file: int
    median: int
    p90: int
    longest: int
    rooms: int
    floors: int
    arrows: int
    circles: int


def measure(name: str, sources: Sources) -> Structure:
    """Measure a package.

    Args:
        name: Its import name.
        sources: Its files.
    """
    trees = {path: ast.parse(text) for path, text in sources.items()}
    spans = sorted(span for tree in trees.values() for span in _function_lines(tree))
    lines = [text.count("\n") for text in sources.values()]
    rooms = {_room(path) for path in sources} - {"__init__"}
    arrows = {
        (_room(path), target)
        for path, tree in trees.items()
        for target in _imported_rooms(name, path, tree)
        if _room(path) in rooms and target in rooms and target != _room(path)
    }
    floors, circles = _floors(rooms, arrows)
    return Structure(
        files=len(sources),
        lines=sum(lines),
        longest_file=max(lines),
        median=round(statistics.median(spans)),
        p90=spans[int(0.9 * (len(spans) - 1))],
        longest=spans[-1],
        rooms=len(rooms),
        floors=floors,
        arrows=len(arrows),
        circles=circles,
    )


def sources_at(revision: str, folder: str) -> Sources:
    """Return the files of a package as a commit has them."""
    archive = subprocess.run(["git", "archive", revision, folder], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        members = [member for member in packed if member.isfile() and member.name.endswith(".py")]
        files = {member.name: packed.extractfile(member) for member in members}
        return {
            PurePosixPath(path).relative_to(folder): file.read().decode()
            for path, file in files.items()
            if file is not None
        }


def sources_now(folder: str) -> Sources:
    """Return the files of a package in the working tree."""
    base = ROOT / folder
    return {PurePosixPath(path.relative_to(base).as_posix()): path.read_text("utf-8") for path in base.rglob("*.py")}


def table() -> str:
    """Return the table in Markdown: a column for each package and state, a row for each figure."""
    columns = {}
    for folder in PACKAGES:
        name = folder.rpartition("/")[2]
        columns[f"`{name}`, before"] = measure(name, sources_at(BEFORE, folder))
        columns[f"`{name}`, now"] = measure(name, sources_now(folder))
    titles = {
        "files": "Python files",
        "lines": "lines",
        "longest_file": "longest file, lines",
        "median": "median function, lines",
        "p90": "nine of ten functions, lines at most",
        "longest": "longest function, lines",
        "rooms": "rooms (direct subfolders and modules)",
        "floors": "floors",
        "arrows": "arrows (imports between rooms)",
        "circles": "circles",
    }
    head = f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}\n"
    rows = [
        f"| {title} | {' | '.join(f'{getattr(each, key):,}' for each in columns.values())} |"
        for key, title in titles.items()
    ]
    return head + "\n".join(rows)


def _room(path: PurePosixPath) -> str:
    return path.parts[0].removesuffix(".py")


def _function_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.end_lineno - node.lineno + 1


def _imported_rooms(name: str, path: PurePosixPath, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            own = node.module == name
            targets = [f"{name}.{alias.name}" for alias in node.names] if own else [node.module]
        else:
            continue
        yield from (target.split(".")[1] for target in targets if target.startswith(f"{name}."))


def _floors(rooms: set[str], arrows: set[tuple[str, str]]) -> tuple[int, int]:
    """Return the number of floors and of circles."""
    reach = {room: {target for source, target in arrows if source == room} for room in rooms}
    for _ in rooms:  # transitive closure; there are a few dozen rooms
        reach = {room: below.union(*(reach[target] for target in below)) for room, below in reach.items()}
    circles = {frozenset({room, *(other for other in reach[room] if room in reach[other])}) for room in rooms}
    group = {room: circle for circle in circles for room in circle}
    level: dict[frozenset[str], int] = {}

    def floor(circle: frozenset[str]) -> int:
        if circle not in level:
            below = {group[t] for source, t in arrows if source in circle and t not in circle}
            level[circle] = 1 + max(map(floor, below), default=0)
        return level[circle]

    return max(map(floor, circles)), sum(len(circle) > 1 for circle in circles)


def main() -> None:
    """Write the table, or print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="print the table and write nothing")
    options = parser.parse_args()
    found = table()
    if options.check:
        print(found)
        return
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{found}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
