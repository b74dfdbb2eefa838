"""The notebooks: house style, and stored without outputs (test_study.py runs them)."""

import os
import statistics
import subprocess
import sys

import nbformat
import pytest

from genre_utils.report import profiles
from study_runs import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NUMBERED = [path for path in NOTEBOOKS if path.name[0].isdigit()]


def cells(path, kind):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == kind]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return request.param


def test_the_study_has_its_notebooks():
    assert [path.stem[:2] for path in NUMBERED] == [f"{n:02d}" for n in range(1, len(NUMBERED) + 1)]
    assert (ROOT / "notebooks" / "template.ipynb") in NOTEBOOKS


def test_it_opens_with_one_title_and_a_paragraph(notebook):
    headings = [
        line for c in cells(notebook, "markdown") for line in c.source.splitlines()
        if line.startswith("# ")
    ]  # fmt: skip
    assert len(headings) == 1
    title, paragraph = cells(notebook, "markdown")[0].source.split("\n\n")[:2]
    assert title == headings[0] and len(paragraph.split()) > 25


def test_prose_carries_the_argument(notebook):
    words = sum(len(c.source.split()) for c in cells(notebook, "markdown"))
    assert words > 250


def told(cell):
    """Lines of a cell that do something, white space aside, without its leading imports."""
    lines = ["".join(line.split()) for line in cell.source.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if "parameters" in cell.metadata.get("tags", []):
        return []
    whole = cell.source.lstrip().startswith(("from ", "import "))
    return [line for line in lines if not (whole and line.startswith(("from", "import")))]


def test_no_long_cell_stands_in_two_notebooks():
    stands_in = {}
    for path in NUMBERED:
        for lines in map(told, cells(path, "code")):
            if len(lines) > 3:
                stands_in.setdefault("".join(lines), set()).add(path.name)
    twice = {text[:60]: names for text, names in stands_in.items() if len(names) > 1}
    assert not twice, "a function in place of these cells would say what they do"


def test_cells_are_short(notebook):
    lengths = [len(c.source.splitlines()) for c in cells(notebook, "code")]
    assert max(lengths) <= 30 and statistics.median(lengths) < 8


def test_parameters_stand_in_one_tagged_cell_in_capitals(notebook):
    tagged = [c for c in cells(notebook, "code") if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert profiles.defaults(notebook) and all(
        name.isupper() for name in profiles.defaults(notebook)
    )


def test_shared_parameters_have_one_default():
    values = {}
    for path in NOTEBOOKS:
        for name, value in profiles.defaults(path).items():
            assert values.setdefault(name, value) == value, f"{name} in {path.name}"


def test_it_ends_with_a_computed_conclusion_and_references(notebook):
    assert "## Conclusion" in cells(notebook, "code")[-1].source
    assert "## References" in cells(notebook, "markdown")[-1].source


def test_only_checked_outputs_are_stored(notebook):
    for cell in cells(notebook, "code"):
        checked = "NBVAL_CHECK_OUTPUT" in cell.source
        assert bool(cell.outputs) == checked, cell.source
        assert (cell.execution_count is not None) == checked  # nbval asks for it


def test_the_first_notebook_needed_is_named_when_one_is_opened_out_of_order(tmp_path):
    done = subprocess.run(
        [
            sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", ROOT / "notebooks",
            ROOT / "notebooks" / "04_rnn.ipynb", tmp_path / "out.ipynb",
        ],
        env=os.environ | {"GENRE_REPORTS_DIR": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "run the notebook 02_feature_extraction first" in done.stderr
