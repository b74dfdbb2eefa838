"""A study's folder: what is read is kept while its file is the same, and nobody else's."""

import pandas as pd
import pytest

from genre_utils.workspace import files
from genre_utils.workspace.study_folder import FILES, MissingStepError, StudyFolder

TRACKS = pd.DataFrame({"track_id": ["a", "b"], "genre": ["jazz", "rock"], "status": "used"})


@pytest.fixture
def study(tmp_path):
    return StudyFolder(tmp_path / "mine", make=True)


def test_what_is_written_is_read(study):
    study.write(tracks=TRACKS, corpus={"genres": ["jazz", "rock"]})
    pd.testing.assert_frame_equal(study.tracks, TRACKS.astype(study.tracks.dtypes))
    assert study.genres == ["jazz", "rock"] and study.genre_of["b"] == "rock"
    assert study.has("corpus") and not study.has("folds")


def test_what_is_handed_out_is_the_callers_own(study):
    study.write(tracks=TRACKS, corpus={"genres": ["jazz", "rock"]})
    study.genres.append("pop")
    tracks = study.tracks
    tracks.loc[0, "genre"] = "pop"
    tracks["more"] = 1
    assert study.genres == ["jazz", "rock"]
    assert list(study.tracks["genre"]) == ["jazz", "rock"] and "more" not in study.tracks


def test_a_file_is_read_once_and_again_when_it_changes(study, monkeypatch):
    read, count = files.read_json, []
    monkeypatch.setattr(files, "read_json", lambda path: count.append(path) or read(path))
    study.write(corpus={"genres": ["jazz"]})
    assert [study.genres, study.genres] == [["jazz"], ["jazz"]] and len(count) == 1
    files.write_json(study.path / "corpus.json", {"genres": ["jazz", "rock"]})
    assert study.genres == ["jazz", "rock"] and len(count) == 2


def test_the_group_of_a_track_is_the_same_in_each_fold(study):
    folds = pd.DataFrame(
        {"fold": [0, 0, 1, 1], "track_id": ["a", "b"] * 2, "group": ["A", "B"] * 2, "part": "test"}
    )
    study.write(folds=folds)
    assert study.groups.to_dict() == {"a": "A", "b": "B"}


def test_a_study_with_features_but_no_model_says_which_notebook_to_run(study):
    study.write(features={"recipe": None})
    with pytest.raises(MissingStepError, match="Run notebook 03 or 02 first"):
        study.require_models()


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_there_yet_names_the_notebook_that_makes_it(study, name):
    file, notebook = FILES[name]
    with pytest.raises(
        MissingStepError, match=f"{file} is not in the study 'mine' yet.*{notebook}"
    ):
        study.require(name)
    with pytest.raises(MissingStepError, match="make study"):
        getattr(study, name)


def test_models_are_finished_when_they_are_described(study):
    assert study.finished() == []
    predictions = pd.DataFrame({"track_id": ["a"], "p_jazz": [1.0]})
    for name in ("svm", "cnn"):
        study.write_model(name, predictions, {"model": name})
    assert study.finished() == ["cnn", "svm"]
    assert study.run("cnn") == {"model": "cnn"}
    assert study.predictions("svm")["p_jazz"].item() == 1.0


def test_a_relative_path_lies_in_the_reports_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GENRE_REPORTS_DIR", str(tmp_path))
    assert StudyFolder("quick").path == tmp_path / "quick"
    assert not StudyFolder("quick").path.exists()
    assert StudyFolder(StudyFolder("quick").path).name == "quick"
