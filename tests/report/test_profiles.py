"""What is to be run, and what each notebook does before the study is opened."""

import json
import re
import shlex

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

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
        name, written, about = profiles.read_profile(path.stem)
        parameters = profiles.typed({"STUDY_DIR": name, **written})
        assert profiles.choose_notebooks(parameters)
        assert parameters == {"STUDY_DIR": name, **yaml.safe_load(path.read_text())}
        assert "minutes" in about, "a profile says how long it takes"
        assert profiles.command(path.stem, {}) == f"make study PROFILE={name}"


def test_a_profile_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("# What it is for.\nEPOCHS: 2\n")
    assert profiles.read_profile(str(path)) == ("mine", {"EPOCHS": "2"}, "What it is for.")
    with_spaces = profiles.command("my music.yaml", {"EPOCHS": "3", "GENRES": "hip hop, pop"})
    assert shlex.split(with_spaces) == [
        *("python", "-m", "genre_utils", "study", "--profile", "my music.yaml"),
        *("--set", "EPOCHS=3", "--set", "GENRES=hip hop, pop"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"EPOCHS: [2", "is not valid YAML"),
        (b"GENRES: [caf\xe9]", "is not valid YAML"),
        (b"- EPOCHS", "must hold PARAMETER"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(tmp_path, text, why):
    (tmp_path / "mine.yaml").write_bytes(text)
    with pytest.raises(profiles.StudyError, match=why):
        profiles.read_profile(str(tmp_path / "mine.yaml"))


# ------------------------------------------------------------------ types of parameters


def test_every_parameter_is_of_one_type_that_can_be_typed():
    notebooks = sorted(profiles.NOTEBOOKS.glob("[0-9]*.ipynb"))
    found = {(k, type(v)) for path in notebooks for k, v in profiles.defaults(path).items()}
    assert len(found) == len(dict(found)) > 30
    assert {kind for _, kind in found} == {str, int, float, bool, list}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        *(("STUDY_DIR", text, text) for text in ("2024", "007", "yes", "null", "1e1", "R&B")),
        ("CORPUS_DIR", "1990", "1990"),
        ("FOLDS", "3", 3),
        ("CLIP_SECONDS", "1e1", 10.0),
        ("CLIP_SECONDS", "7", 7.0),
        ("DOWNLOAD", "Yes", True),
        ("ABLATION", "off", False),
        ("GENRES", "rock", ["rock"]),
        ("GENRES", "rock, R&B,", ["rock", "R&B"]),
        ("GENRES", '[1980, "Pop, Rock", yes]', ["1980", "Pop, Rock", "yes"]),
        ("GENRES", "", []),
        ("PARTS", "train", ["train"]),
    ],
)
def test_a_value_is_of_the_type_of_the_default(tmp_path, key, text, value):
    (tmp_path / "mine.yaml").write_text(f"{key}: {text}\n")
    _, written, _ = profiles.read_profile(str(tmp_path / "mine.yaml"))
    for given_as in ({key: text}, written):
        found = profiles.typed(given_as)[key]
        assert found == value and type(found) is type(value)
    assert profiles.typed({key: value}) == {key: value}


WRONG = {"FOLDS": ["", "two", "1.5", "1e1", [], None], "DOWNLOAD": ["", "1", "maybe"]}
WRONG |= {"CLIP_SECONDS": ["", "long", "nan", "-inf", "1e999"], "STUDY_DIR": [["a"], {"a": "b"}]}
WRONG |= {"GENRES": ["[rock", "[[rock]]", "[a]: b", {"a": "b"}]}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in WRONG.items() for v in values])
def test_a_value_of_another_type_is_refused_in_a_sentence(key, value):
    with pytest.raises(profiles.StudyError) as refused:
        profiles.typed({key: value})
    said = str(refused.value)
    assert said.startswith(f"{key} is {value!r}: it needs ") and said.endswith(" (its default).")


def test_the_sentence_says_what_is_needed():
    with pytest.raises(profiles.StudyError) as refused:
        profiles.typed({"FOLDS": "two"})
    assert str(refused.value) == (
        "FOLDS is 'two': it needs a whole number, such as 2 (its default)."
    )


texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts, st.lists(texts))
def test_what_is_written_out_is_read_as_it_was(folds, seconds, name, genres):
    values = {"FOLDS": folds, "CLIP_SECONDS": seconds, "STUDY_DIR": name, "GENRES": genres}
    dumped = {k: json.dumps(v, ensure_ascii=False) for k, v in values.items()}
    written = dumped | {"STUDY_DIR": name}
    assert profiles.typed(written) == values


def test_a_study_of_no_models_is_refused():
    for empty in ("", "[]", ","):
        with pytest.raises(profiles.StudyError, match=re.escape("MODELS is empty; there are cnn")):
            profiles.choose_notebooks(profiles.typed({"MODELS": empty}))


def test_notebooks_of_networks_that_are_not_asked_for_are_left_out():
    chosen = profiles.choose_notebooks({"MODELS": ["svm", "gru"]})
    assert [path.stem[:2] for path in chosen] == ["01", "02", "04", "06", "07", "08"]


def test_a_notebook_opens_its_study_before_it_loads_tensorflow(run_python):
    notebooks = [str(path) for path in sorted((files.ROOT / "notebooks").glob("*.ipynb"))]
    program = f"import sys\nsys.argv[1:] = {notebooks}\n{SET_UP}"
    said = run_python(program).strip().splitlines()
    assert len(said) == len(notebooks) + 1
    assert not [line for line in said if line.endswith("True")]


def test_pretrained_models_need_the_notebook_that_trains_them():
    with pytest.raises(profiles.StudyError, match="notebook 05: add one of hybrid"):
        profiles.choose_notebooks({"MODELS": ["svm", "pretrained"]})
    stems = [p.stem for p in profiles.choose_notebooks({"MODELS": ["mlp", "pretrained"]})]
    assert "05_hybrid" in stems
