"""The example notebooks: each runs from the top and shows the output that it describes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))


def outputs(notebook: Any) -> list[dict[str, Any]]:
    """Return all that its cells show, by media type."""
    return [
        output["data"] for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# What brings messages to and from the kernel warns of its own set-up.
@pytest.mark.filterwarnings("ignore")
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs in a real kernel without an error; tables state their zone, nothing is committed with outputs."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    assert outputs(notebook) == []
    resources = {"metadata": {"path": tmp_path}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    shown = outputs(notebook)
    tables = [data["text/html"] for data in shown if "dataframe" in data.get("text/html", "")]
    assert len(tables) >= 3
    assert any(re.search(r"Times in [A-Z]\w+/\w+|Times in UTC", table) for table in tables)
    if path.stem == "look-at-calls":
        assert any("application/vnd.jupyter.widget-view+json" in data for data in shown)
        assert any("<audio" in data.get("text/html", "") for data in shown)
