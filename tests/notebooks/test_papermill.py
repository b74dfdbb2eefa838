"""Papermill runs notebooks without our runner, from the repository's folder or from theirs."""

import subprocess
import sys

import nbformat
import pytest

from genre_utils.workspace import files
from study_runs import ROOT

# three seconds of eight tracks, and nothing that is trained more than once
SMALL = {"CLIP_SECONDS": 3, "STUDY_DIR": "x"}
MUSIC = {"ARTISTS_PER_GENRE": 4, "TRACKS_PER_ARTIST": 1, "GENRES": ["rock", "jazz"]}
FEATURES = {"AUGMENTED_COPIES": 0, "ABLATION": False, "MODELS": ["cnn"]}


def papermill(name, out, *, cwd, env, parameters):
    notebook = (ROOT / "notebooks" / name).relative_to(cwd)
    given = str(SMALL | parameters)  # which is YAML, too
    command = [
        sys.executable,
        "-m",
        "papermill",
        "--no-progress-bar",
        notebook,
        out,
        "-y",
        given,
    ]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(out, as_version=4)


def test_a_study_goes_on_in_the_other_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GENRE_REPORTS_DIR", str(tmp_path / "reports"))
    env = files.child_environment()
    steps = [("01_data_preparation.ipynb", ROOT, MUSIC)]
    steps += [("02_feature_extraction.ipynb", ROOT / "notebooks", FEATURES)]
    for name, cwd, parameters in steps:
        papermill(name, tmp_path / "out.ipynb", cwd=cwd, env=env, parameters=parameters)
    study = tmp_path / "reports" / "x"
    assert {"folds.parquet", "features.npy"} <= {path.name for path in study.iterdir()}


@pytest.mark.parametrize("cwd", [ROOT, ROOT / "notebooks"], ids=["root", "notebooks"])
def test_the_default_folders_are_those_of_the_repository(cwd):
    program = "from genre_utils.workspace import files as f; "
    program += "print(f.data_folder(), f.cache_folder(), f.reports_folder())"
    env = {k: v for k, v in files.child_environment().items() if k not in files.FOLDERS}
    told = subprocess.run([sys.executable, "-c", program], cwd=cwd, env=env, capture_output=True)
    wanted = [ROOT / "data", ROOT / "data" / "cache", ROOT / "reports"]
    assert told.stdout.decode().split() == [str(path.resolve()) for path in wanted]
