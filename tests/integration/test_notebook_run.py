"""A notebook that runs a study, executed by Jupyter's own client."""

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

CELLS = (
    """
import bakeoff

study = bakeoff.Study(
    study={"name": "cells"},
    data={"dataset": "digits", "train_samples": 200},
    model={"model": "mlp", "width": 8},
    training={"epochs": 2, "precision": "fp32"},
    search={"optimizers": ["sgd", "adam"], "schedulers": ["constant"], "trials_per_arm": 3},
    confirm={"seeds": 0},
)
study
""",
    "result = study.run(workers=1)",
    "result",
    "print(result.answer)",
    "result.figures",
)


def test_a_notebook_shows_progress_and_the_answer(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, CELLS)])
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    # libraries may warn on stderr, for instance about missing widgets
    outputs = [
        [one for one in cell.outputs if one.get("name") != "stderr"] for cell in notebook.cells
    ]
    study, table, result, answer, figures = [one[-1] for one in outputs]
    assert study.data["text/plain"].startswith("<Study cells: mlp on digits; sgd, adam;")
    assert [one.output_type for one in outputs[1]] == ["display_data"]
    assert "3 of 3" in table.data["text/html"]
    assert "<h3>" in result.data["text/html"]
    assert answer.text.startswith("No verdict")
    assert "F4  " in figures.data["text/plain"]
    assert (tmp_path / "results" / "cells" / "index.html").exists()
