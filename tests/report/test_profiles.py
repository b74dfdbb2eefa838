"""What is to be run, and what each notebook does before the study is opened."""

import pytest

from genre_utils.report import profiles
from genre_utils.workspace import files

#: Executes each notebook up to where it opens its study, which silences TensorFlow's start-up.
SET_UP = """
import os, sys
import matplotlib
import nbformat

matplotlib.use("agg")
os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
for path in sys.argv[1:]:
    cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    opens = [number for number, cell in enumerate(cells) if "StudyFolder(" in cell]
    for cell in cells[: opens[0]]:
        exec(cell, {})
    print(path, "tensorflow" in sys.modules)
print("TF_CPP_MIN_LOG_LEVEL" in os.environ)
"""


def test_every_profile_names_parameters_that_exist():
    for path in profiles.PROFILES.glob("*.yaml"):
        name, parameters, about = profiles.read_profile(path.stem)
        assert profiles.choose_notebooks({"STUDY_DIR": name, **parameters})
        assert "minutes" in about, "a profile says how long it takes"
        assert profiles.description(path.stem) == about


def test_a_profile_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("# What it is for.\nEPOCHS: 2\n")
    assert profiles.read_profile(str(path)) == ("mine", {"EPOCHS": 2}, "What it is for.")
    assert profiles.description("mine") == ""


@pytest.mark.parametrize(
    ("text", "why"), [("EPOCHS: [2", "is not valid YAML"), ("- EPOCHS", "must hold PARAMETER")]
)
def test_a_file_that_is_no_profile_is_refused(tmp_path, text, why):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(profiles.StudyError, match=why):
        profiles.read_profile(str(tmp_path / "mine.yaml"))


def test_notebooks_of_networks_that_are_not_asked_for_are_left_out():
    chosen = profiles.choose_notebooks({"MODELS": ["svm", "gru"]})
    assert [path.stem[:2] for path in chosen] == ["01", "02", "04", "06", "07", "08"]


def test_a_notebook_opens_its_study_before_it_loads_tensorflow(run_python):
    notebooks = [str(path) for path in sorted((files.ROOT / "notebooks").glob("*.ipynb"))]
    program = f"import sys\nsys.argv[1:] = {notebooks}\n{SET_UP}"
    said = run_python(program).strip().splitlines()
    assert len(said) == len(notebooks) + 1
    assert not [line for line in said if line.endswith("True")]
