"""Files that were cut off or changed, full and read-only disks, two at once: in some seconds.

`tests/faults/run.py` does the same, and more, to whole studies.
"""

import contextlib
import errno
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import nbformat
import numpy as np
import psutil
import pytest

from genre_utils.data import auditing, corpora, fingerprint
from genre_utils.data.composer import collection
from genre_utils.report import disk, html, profiles, runner, stages
from genre_utils.workspace import files

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
    monkeypatch.setattr(runner, "_render", lambda folder, *_: folder / "index.html")
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


# ------------------------------------------------------------------ files


def test_what_is_kept_and_altered_is_dropped_with_what_was_made_with_it(tmp_path):
    done = tmp_path / "folds_done" / "rnn"
    for name in ("00-a.parquet", "00-a.json", "00-a.keras", "01-b.parquet", "key.json"):
        with files.atomic_write(done / name) as temporary:
            temporary.write_text(name)
    assert not files.altered(tmp_path / "folds_done")
    (done / "00-a.json").write_text("another")
    assert files.drop_altered(tmp_path / "folds_done") == [done / "00-a.json"]
    assert [path.name for path in done.glob("[!.]*")] == ["01-b.parquet"]


def test_what_folders_further_up_are_called_decides_nothing(tmp_path):
    study = tmp_path / "models" / "clone" / "reports" / "demo"
    files.write_json(study / "results.json", {})
    assert not list(study.glob(".*.md5"))


def test_a_file_older_than_its_checksum_is_dropped(tmp_path):
    """As a writer leaves it that is killed in between."""
    path = tmp_path / "models" / "rnn.keras"
    with files.atomic_write(path) as temporary:
        temporary.write_text("old")
    (path.parent / ".rnn.keras.md5").write_text("that of the new one")
    assert files.drop_altered(path.parent) == [path]


def test_the_music_of_others_is_never_dropped(tmp_path):
    (tmp_path / "song.flac").write_text("music")
    (tmp_path / ".song.flac.md5").write_text("something else")
    assert files.drop_altered(tmp_path) == [] and (tmp_path / "song.flac").exists()


def test_what_a_killed_writer_left_goes_after_an_hour(tmp_path):
    old, new = tmp_path / f"{files.UNFINISHED}a.npy", tmp_path / f"{files.UNFINISHED}b.npy"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, time.time() - 1.1 * files.FORGOTTEN))
    files.drop_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_a_fingerprint_that_was_altered_is_made_again(place):
    y = np.random.default_rng(0).normal(size=22_050 * 3).astype(np.float32)
    made = auditing._fingerprint([y], 22_050, "0" * 32)
    (path,) = (place / "cache" / "fingerprints").rglob("[!.]*.npy")
    np.save(path, made[::2])
    np.testing.assert_array_equal(auditing._fingerprint([y], 22_050, "0" * 32), made)
    np.testing.assert_array_equal(np.load(path), fingerprint.of_audio(y, 22_050))


def test_composed_music_that_was_altered_is_composed_again(place):
    settings = {"artists_per_genre": 3, "tracks_per_artist": 1, "seconds": 1.0, "seed": 0}
    folder = corpora.compose(["rock"], **settings)
    before = collection.corpus_fingerprint(folder)
    for name in ("tracks.csv", "rock/*_01.flac", "corpus.json"):
        path = sorted(folder.glob(name))[0]
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        assert corpora.compose(["rock"], **settings) == folder
        assert path.read_bytes() == content
        assert collection.corpus_fingerprint(folder) == before


# ------------------------------------------------------------------ a study


def test_one_study_at_a_time_runs_in_a_folder(place):
    folder = place / "reports" / "study"
    folder.mkdir(parents=True)
    write_notebook(place, "pass")
    with disk.alone(folder), pytest.raises(profiles.StudyError) as refused:
        run()
    assert f"{folder}: another study is running in this folder" in str(refused.value)
    assert f"process {os.getpid()} on " in str(refused.value) and "STUDY_DIR" in str(refused.value)
    with disk.alone(folder):
        pass


def test_the_lock_of_a_process_that_was_killed_is_free(place):
    code = "import sys, time, pathlib; from genre_utils.report import disk\n"
    code += f"with disk.alone(pathlib.Path({str(place)!r})): print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        with pytest.raises(profiles.StudyError, match=f"process {child.pid} on"), disk.alone(place):
            pass
        child.kill()
    with disk.alone(place):
        assert str(os.getpid()) in (place / ".lock").read_text()


@pytest.mark.parametrize("name", ["models/rnn.keras", "folds_done/rnn/00-a.json"])
def test_after_a_fold_or_model_was_altered_all_notebooks_run_again(place, name, capsys):
    path, record = place / name, place / "stages" / "01_only.json"
    files.write_json(record, {"key": "same", "outputs": {}})
    with files.atomic_write(path) as temporary:
        temporary.write_text("made")
    disk.mend(place)
    assert path.exists() and stages.is_done(place, "01_only", "same")
    path.write_text("changed")
    disk.mend(place)
    assert not path.exists() and not stages.is_done(place, "01_only", "same")
    assert f"{path} is not as it was written: it is made again" in capsys.readouterr().out


def test_a_changed_result_is_made_again_and_what_comes_after_it(place, capsys):
    write_notebook(place, "pass", name="01_before")
    write_notebook(place, "(folder / 'results.json').write_text('{}')", name="02_results")
    write_notebook(place, "assert (folder / 'results.json').read_text() == '{}'", name="03_after")
    run()
    (place / "reports" / "study" / "results.json").write_text("altered")
    capsys.readouterr()
    run()
    said = capsys.readouterr().out
    assert re.findall(r"(\w+): (unchanged|done)", said) == [
        ("01_before", "unchanged"), ("02_results", "done"), ("03_after", "done"),
    ]  # fmt: skip
    run()
    assert capsys.readouterr().out.count("unchanged since the last run") == 3


def test_pages_are_rendered_again_after_a_notebook_that_ran_again_as_it_was(tmp_path, monkeypatch):
    rendered = []

    def render(folder, profile):
        rendered.append(profile)
        (folder / "index.html").write_text("page")
        return folder / "index.html"

    monkeypatch.setattr(html, "render_study", render)
    executed = tmp_path / "notebooks" / "06_comparison.ipynb"
    executed.parent.mkdir()
    for text, times in (("first", 1), ("first", 1), ("again, with what was measured since", 2)):
        executed.write_text(text)
        runner._render(tmp_path, "quick", "the same key")
        assert len(rendered) == times


def test_a_damaged_record_means_that_a_notebook_is_not_done(place):
    files.write_json(place / "stages" / "01_only.json", {"key": "same", "outputs": {}})
    os.truncate(place / "stages" / "01_only.json", 10)
    assert not stages.is_done(place, "01_only", "same")


def test_a_notebook_is_done_though_its_log_of_looks_has_grown(place):
    outputs = {"looks.csv": "that of fewer looks", "tuning/rnn.db": "that of fewer trials"}
    files.write_json(place / "stages" / "01_only.json", {"key": "same", "outputs": outputs})
    assert stages.is_done(place, "01_only", "same")


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
        assert "The disk is full" in disk.unwritable(place, str(error))
    assert disk.unwritable(place, "KeyError: 'full'") == ""


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


STOP = """
import sys
from pathlib import Path
from genre_utils import __main__
from genre_utils.report import profiles
profiles.NOTEBOOKS = Path(sys.argv[1])
sys.exit(__main__.main(["study", "--profile", "quick", "--set", "STUDY_DIR=study"]))
"""


def test_a_stopped_study_leaves_nothing_running(place):
    write_notebook(
        place,
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])",
        "(folder / 'began').touch()",
        "time.sleep(99)",
    )
    command = [sys.executable, "-c", STOP, place / "notebooks"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        deadline = time.time() + 300
        while not (place / "reports" / "study" / "began").exists() and time.time() < deadline:
            time.sleep(0.05)
        started = psutil.Process(child.pid).children(recursive=True)
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 143
        assert "Stopped. The same command goes on" in child.stderr.read()
    assert len(started) >= 3 and not [p for p in started if p.is_running()]
