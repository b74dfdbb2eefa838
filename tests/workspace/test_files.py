import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.workspace import files


@pytest.mark.parametrize(
    ("variable", "folder"),
    [("GENRE_DATA_DIR", files.data_folder), ("GENRE_CACHE_DIR", files.cache_folder)],
)
def test_folders_follow_the_environment_and_else_lie_in_the_repository(
    variable, folder, monkeypatch, tmp_path
):
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert folder() == (tmp_path / "elsewhere").resolve()
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv(variable)
        else:
            monkeypatch.setenv(variable, unset)
        assert folder().is_relative_to(files.ROOT / "data")


def test_a_study_folder_is_made_under_the_reports_unless_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("GENRE_REPORTS_DIR", str(tmp_path / "reports"))
    assert files.study_folder("one/two") == tmp_path / "reports" / "one" / "two"
    assert files.study_folder(tmp_path / "own") == tmp_path / "own"
    assert (tmp_path / "reports" / "one" / "two").is_dir()
    assert (tmp_path / "own").is_dir()


def test_a_missing_step_names_the_notebook_to_run(tmp_path):
    with pytest.raises(files.MissingStepError, match=r"corpus\.json.*01_data_preparation"):
        files.require(tmp_path, "corpus.json", made_by="01_data_preparation")
    (tmp_path / "corpus.json").touch()
    files.require(tmp_path, "corpus.json", made_by="01_data_preparation")


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_a_stopped_writer_leaves_the_old_file_and_nothing_else(tmp_path, old, stop):
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)
    with pytest.raises(stop), files.atomic_write(path) as temporary:
        temporary.write_text("half of the n")
        raise stop
    assert [p.read_text() for p in tmp_path.iterdir()] == ([old] if old else [])


def test_a_finished_writer_leaves_the_new_file_alone(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with files.atomic_write(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_is_not_a_number_and_keeps_the_old_file(tmp_path, value):
    path = tmp_path / "results.json"
    files.write_json(path, {"accuracy": 0.5, "genre": "Bebop é"})
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(path, {"accuracy": value})
    assert files.read_json(path) == {"accuracy": 0.5, "genre": "Bebop é"}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_tables_come_back_as_written(tmp_path):
    table = pd.DataFrame({"track_id": ["a\nb", "<c>"], "fold": [0, 1]}, index=[7, 3])
    files.write_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "t.parquet"), table.reset_index()[[*table]]
    )


texts = st.lists(st.text(max_size=3), max_size=4)


@given(texts, texts)
def test_hashes_are_equal_only_for_equal_parts(one, other):
    assert (files.sha256(*one) == files.sha256(*other)) == (one == other)


def test_hashes_know_where_parts_end_and_ignore_the_order_of_keys():
    assert files.sha256("ab", "c") != files.sha256("a", "bc")
    assert files.sha256({"a": 1, "b": 2}) == files.sha256({"b": 2, "a": 1})
    assert files.sha256({"a": 1}) != files.sha256({"a": 2})
    assert files.sha256(np.arange(3)) != files.sha256(np.arange(1, 4))
    assert len(files.sha256("caf\udce9")) == 64  # a file name that is not UTF-8


def test_the_checksum_of_a_file_is_its_md5(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    assert files.file_md5(tmp_path / "a") == "5d41402abc4b2a76b9719d911017c592"


def test_the_source_hash_depends_on_the_modules_named():
    assert files.source_hash("workspace/files") == files.source_hash("workspace/files")
    assert files.source_hash("workspace/files") != files.source_hash(
        "features/audio", "features/decoding", "features/tags", "workspace/files"
    )
