"""The tutorial notebook: every cell is run, its training included."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "tutorial.ipynb"


@pytest.mark.end_to_end
@pytest.mark.timeout(1200)
def test_every_cell_runs(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=1000, resources=place).execute()
    texts = [
        "".join(part.get("text", "") for part in cell.outputs if part.output_type == "stream")
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    assert any("gold " in text and "correct 1" in text for text in texts)
    assert any("does not stop at" in text for text in texts)
    assert any("3/3" in text for text in texts), "the last step of the training"
    assert (tmp_path / "tutorial/run/merged/config.json").is_file()
    assert (tmp_path / "tutorial/run/report/index.html").is_file()
