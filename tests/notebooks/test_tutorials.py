"""The tutorials: on music that is not composed, and what they tell a reader to type exists.

As they are stored, test_study.py runs them with all the other notebooks.
"""

import os
import re
import subprocess
import sys

import nbformat
import pandas as pd
import pytest
from conftest import write_sound

from genre_utils.report import profiles
from genre_utils.workspace import files
from study_runs import ROOT

TUTORIALS = sorted((ROOT / "notebooks").glob("tutorial_*.ipynb"))


def text_of(path):
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)


@pytest.fixture
def own_music(tmp_path):
    """Two genres by four artists each, seven seconds of noise and a tone apiece."""
    rows = []
    for seed, (genre, artist) in enumerate((g, a) for g in ("polka", "ska & <b>") for a in "ABCD"):
        path = write_sound(tmp_path / "music" / genre / f"{artist}.wav", seed=seed, seconds=7.0)
        rows.append((path.relative_to(tmp_path / "music").as_posix(), f"Band {seed}"))
    table = pd.DataFrame(rows, columns=["path", "artist"])
    table.to_csv(tmp_path / "music" / "tracks.csv", index=False)
    return tmp_path / "music"


def test_ones_own_folder_is_studied_and_nothing_is_composed(own_music, tmp_path):
    places = {"GENRE_REPORTS_DIR": tmp_path / "reports", "GENRE_CACHE_DIR": tmp_path / "cache"}
    done = subprocess.run(
        [
            sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", ROOT / "notebooks",
            ROOT / "notebooks" / "tutorial_own_music.ipynb", tmp_path / "out.ipynb",
            "-p", "MUSIC", own_music,
        ],
        env=os.environ | {key: str(path) for key, path in places.items()},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    left = tmp_path / "reports" / "tutorial_own_music"
    corpus = files.read_json(left / "corpus.json")
    assert corpus["genres"] == ["polka", "ska & <b>"] and corpus["synthetic"] is False
    assert not (tmp_path / "cache" / "tutorial").exists()
    out = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    said = out.cells[-2].outputs[0].data["text/markdown"]
    assert "On this folder: 8 of 8 files by 8 artists in 2 genres." in said


def test_their_profiles_and_parameters_exist():
    for path in TUTORIALS:
        text = text_of(path)
        known = {name.stem for name in profiles.PROFILES.glob("*.yaml")}
        assert set(re.findall(r"--profile ([\w-]+)", text)) <= known
        parameters = profiles.typed(dict(re.findall(r"--set '?([A-Z_]+)=([^\s'`]*)", text)))
        assert set(parameters) >= ({"GENRES", "CORPUS_DIR"} if "own_music" in path.stem else set())
    assert len(TUTORIALS) == 2


def test_they_leave_the_studies_of_the_numbered_notebooks_alone():
    own = [profiles.defaults(path) for path in TUTORIALS]
    folders = [one.get("TRIAL_DIR") or one["TUTORIAL_DIR"] for one in own]
    taken = {profiles.defaults(path)["STUDY_DIR"] for path in (ROOT / "notebooks").glob("0*.ipynb")}
    assert len({*folders, *taken}) == len(folders) + len(taken)
    assert not any(one.get("INTO_STUDY") for one in own)
