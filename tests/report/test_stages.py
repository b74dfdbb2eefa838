"""A notebook is done as long as nothing has changed that decides what it writes."""

import os

import nbformat
import pytest

from genre_utils.report import stages
from genre_utils.workspace import evidence, files
from genre_utils.workspace.study_folder import StudyFolder


def test_a_damaged_record_means_that_a_notebook_is_not_done(tmp_path):
    files.write_json(tmp_path / "stages" / "01_only.json", {"key": "same", "outputs": {}})
    os.truncate(tmp_path / "stages" / "01_only.json", 10)
    assert not stages.is_done(StudyFolder(tmp_path), "01_only", "same")


def test_a_notebook_is_done_though_its_log_of_looks_has_grown(tmp_path):
    outputs = {"looks.csv": "that of fewer looks", "tuning/rnn.db": "that of fewer trials"}
    files.write_json(tmp_path / "stages" / "01_only.json", {"key": "same", "outputs": outputs})
    assert stages.is_done(StudyFolder(tmp_path), "01_only", "same")


# ------------------------------------------------------------------ keys

FACE = "from .splitting import halves as halves"
MODULE = """
def halves(x):
    \"\"\"Say what it does.\"\"\"
    return _half(x), x

def _half(x):
    return x / 2

def unused(x):
    return x + 1
"""


@pytest.fixture(name="key")
def key_fixture(tmp_path, monkeypatch):
    """Key of a notebook that calls a small package in place of this one, through its face."""
    monkeypatch.setattr(files, "ROOT", tmp_path)
    place = tmp_path / "genre_utils" / "data"
    place.mkdir(parents=True)
    (place / "__init__.pyi").write_text(FACE)

    def key(code=MODULE, *, source="SEED = 0", parameters=None, previous="before"):
        evidence._module.cache_clear()
        evidence._known.clear()
        (place / "splitting.py").write_text(code)
        cells = [source, "from genre_utils import data\n\ndata.halves(SEED)"]
        cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        cells[0].metadata["tags"] = ["parameters"]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_one.ipynb")
        return stages.stage_key(tmp_path / "01_one.ipynb", parameters or {}, previous)

    yield key
    evidence._module.cache_clear()
    evidence._known.clear()


def test_words_and_what_a_notebook_does_not_use_leave_its_key(key):
    assert key() == key(MODULE.replace("Say what it does", "Say it otherwise"))
    assert key() == key(MODULE.replace("x + 1", "x + 2"))
    assert key() == key(parameters={"SEED": 0, "OF_ANOTHER": 1})


def test_what_decides_a_notebook_changes_its_key(key):
    changed = [
        key(MODULE.replace("x / 2", "x * 2")),
        key(parameters={"SEED": 1}),
        key(source="SEED = 1"),
        key(previous="another"),
    ]
    assert len({key(), *changed}) == 5


def test_other_files_in_a_corpus_change_the_key_of_the_first_notebook(key, tmp_path, monkeypatch):
    monkeypatch.setenv("GENRE_DATA_DIR", str(tmp_path / "music"))
    source = "CORPUS_DIR = 'mine'"
    before = key(source=source, previous="")
    files.write_json(tmp_path / "music" / "mine" / "a.json", {})
    assert key(source=source, previous="") != before
    assert key(source=source) == key(source=source)
