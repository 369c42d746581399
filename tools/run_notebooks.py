"""Run the notebooks of docs/notebooks and store their output in them.

    python tools/run_notebooks.py            all (families trains for six minutes, gan for two)
    python tools/run_notebooks.py tokens     one of them

Needs the development install. The stored output contains no paths, times, versions or warnings. A cell with the tag
`varies` shows the output of a model, which may differ on another processor; all other cells are reproducible, and a
test compares them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "docs" / "notebooks"
#: Time limit of a cell on a busy machine; one of families takes six minutes on an idle one.
CELL_SECONDS = 1800


def executed(path: Path) -> nbformat.NotebookNode:
    """Run a notebook in the root of the repository.

    Raises:
        CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(ROOT)}}
    # The kernel flushes output in parts that vary from run to run, so join them.
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources=where, coalesce_streams=True
    )
    client.execute(env={**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"})
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags"}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def main() -> None:
    """Run all notebooks, or those given as arguments."""
    names = sys.argv[1:] or sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    for name in names:
        path = NOTEBOOKS / f"{name}.ipynb"
        nbformat.write(executed(path), path)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
