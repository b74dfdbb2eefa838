"""A study of notebooks of a few lines, in folders of its own."""

import nbformat
import pytest

from genre_utils.report import profiles, runner

NOTEBOOK = """
import os, pathlib, subprocess, sys, time
folder = pathlib.Path(os.environ["GENRE_REPORTS_DIR"]) / STUDY_DIR
"""


@pytest.fixture(name="place")
def place_fixture(tmp_path, monkeypatch):
    """Folders of its own for reports, caches and notebooks."""
    for variable, name in (("GENRE_REPORTS_DIR", "reports"), ("GENRE_CACHE_DIR", "cache")):
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setattr(profiles, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(runner, "_render", lambda *_: None)
    return tmp_path


def write_notebook(place, *lines, name="01_only"):
    """Write a notebook of a study."""
    parameters = "PROFILE = 'quick'\nSTUDY_DIR = 'quick'\nMODELS = ['svm']"
    cells = [nbformat.v4.new_code_cell(text) for text in (parameters, NOTEBOOK, "\n".join(lines))]
    cells[0].metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "name": "python3", "language": "python", "display_name": "Python",
    }  # fmt: skip
    (place / "notebooks").mkdir(exist_ok=True)
    nbformat.write(notebook, place / "notebooks" / f"{name}.ipynb")


def run():
    return runner.run("quick", {"STUDY_DIR": "study"})
