"""Two studies at once, full and read-only disks, files that were altered: in some seconds.

`tests/faults/run.py` does the same, and more, to whole studies.
"""

import contextlib
import errno
import os
import re
import sqlite3
import subprocess
import sys

import filelock
import pytest

from genre_utils.report import disk, profiles, stages
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder
from one_cell_study import place_fixture, run, write_notebook  # noqa: F401


def test_one_study_at_a_time_runs_in_a_folder(place):
    folder = place / "reports" / "study"
    folder.mkdir(parents=True)
    write_notebook(place, "pass")
    with disk.alone(StudyFolder(folder)), pytest.raises(profiles.StudyError) as refused:
        run()
    assert f"{folder}: another study is running in this folder" in str(refused.value)
    assert f"process {os.getpid()} on " in str(refused.value) and "STUDY_DIR" in str(refused.value)
    with disk.alone(StudyFolder(folder)):
        pass


def test_the_lock_of_a_process_that_was_killed_is_free(place):
    study = StudyFolder(place)
    code = "import time\nfrom genre_utils.report import disk\n"
    code += "from genre_utils.workspace.study_folder import StudyFolder\n"
    code += f"with disk.alone(StudyFolder({str(place)!r})): print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        with pytest.raises(profiles.StudyError, match=f"process {child.pid} on"), disk.alone(study):
            pass
        child.kill()
    with disk.alone(study):
        assert f"process {os.getpid()} on" in study.lock.with_suffix(".txt").read_text()


def test_a_drive_that_knows_no_locks_is_warned_of(place, monkeypatch, capsys):
    def refuse(_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    with disk.alone(StudyFolder(place)):
        assert "No locks available): start no second study" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["models/rnn.keras", "folds_done/rnn/00-a.json"])
def test_after_a_fold_or_model_was_altered_all_notebooks_run_again(place, name, capsys):
    study, path, record = StudyFolder(place), place / name, place / "stages" / "01_only.json"
    files.write_json(record, {"key": "same", "outputs": {}})
    with files.atomic_write(path) as temporary:
        temporary.write_text("made")
    disk.mend(study)
    assert path.exists() and stages.is_done(study, "01_only", "same")
    path.write_text("changed")
    disk.mend(study)
    assert not path.exists() and not stages.is_done(study, "01_only", "same")
    assert f"{path} is not as it was written: it is made again" in capsys.readouterr().out


@contextlib.contextmanager
def small_disk(folder, options):
    """Mount a small disk, where that is allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", folder]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_named(place):
    write_notebook(place, "(folder / 'features.npy').write_bytes(bytes(9 << 20))")
    with small_disk(place / "reports", "size=6m"):
        with pytest.raises(profiles.StudyError) as full:
            run()
        assert f"The disk is full that holds {place / 'reports'}" in str(full.value)
        subprocess.run(["mount", "-o", "remount,ro", place / "reports"], check=True)
        with pytest.raises(
            profiles.StudyError, match="cannot be written to: Read-only file system"
        ):
            run()


def test_errors_that_only_tell_of_a_full_disk_are_understood(place):
    for error in (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "9 requested and 0 written"):
        assert "The disk is full" in disk.unwritable(StudyFolder(place), str(error))
    assert disk.unwritable(StudyFolder(place), "KeyError: 'full'") == ""


def test_a_damaged_database_of_trials_is_named(place):
    path = place / "reports" / "study" / "tuning" / "rnn.db"
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as trials:
        trials.executescript("create table t (x); insert into t values (zeroblob(100000));")
    disk._refuse_damage(path)
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(4096)
    path.write_bytes(content)
    write_notebook(place, "pass")
    with pytest.raises(
        profiles.StudyError, match=rf"{re.escape(str(path))}.* damaged .*move it away"
    ):
        run()
