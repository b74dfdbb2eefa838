"""A notebook runs in a process of its own, which ends with the study and imports its code."""

import ast
import io
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from genre_utils.report import execution
from genre_utils.workspace import files
from one_cell_study import place_fixture, write_notebook  # noqa: F401

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


# ------------------------------------------------------------------ whose code runs


MARK = """
from pathlib import Path

def mark(name):
    Path(name).write_text(__file__)
"""
IN_CLONE = """
from genre_utils.report import runner
runner._render = lambda *_: None
runner.run("quick", {"STUDY_DIR": "study"})
"""


def test_a_study_uses_the_clone_that_it_was_started_in(place):
    """With the environment of another: in kernels, in workers, in processes of their own."""
    clone = place / "clone"
    code = shutil.ignore_patterns("__pycache__", "pretrained")
    shutil.copytree(files.ROOT / "genre_utils", clone / "genre_utils", ignore=code)
    shutil.copytree(files.ROOT / "notebooks" / "profiles", clone / "notebooks" / "profiles")
    (clone / "genre_utils" / "marks.py").write_text(MARK)  # which no other clone has
    write_notebook(
        clone,
        "from genre_utils import marks",
        "from genre_utils.workspace import parallel",
        "names = [str(folder / name) for name in ('kernel', 'own', 'one', 'two')]",
        "marks.mark(names[0])",
        "parallel.in_own_process(marks.mark, names[1:2])",
        "jobs = [(name,) for name in names[2:]]",
        "list(parallel.over(marks.mark, jobs, 2, desc='', unit='', folder=folder, n_jobs=2))",
    )
    elsewhere = os.environ | {"PYTHONPATH": str(files.ROOT)}
    subprocess.run([sys.executable, "-c", IN_CLONE], cwd=clone, env=elsewhere, check=True)
    for name in ("kernel", "own", "one", "two"):
        used = (place / "reports" / "study" / name).read_text()
        assert used == str(clone / "genre_utils" / "marks.py"), name


MODULES = sorted((files.ROOT / "genre_utils").rglob("*.py"))
UNIX = {"fcntl", "grp", "pwd", "resource", "syslog", "termios"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_module_needs_what_windows_lacks(module):
    tree = ast.parse(module.read_text(encoding="utf-8"))
    at_import = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert UNIX.isdisjoint(alias.name for node in at_import for alias in node.names)
    assert UNIX.isdisjoint(getattr(node, "module", "") for node in at_import)


def test_what_libraries_say_of_themselves_is_not_passed_on(capsys):
    said = (
        "03 trains\n",
        "cnn, search: 4/50WARNING: All log messages before absl::InitializeLog() is called ...\n",
        "/a/process_executor.py:787: UserWarning: A worker stopped while some jobs ...\n",
        "  warnings.warn(\n",
        "/a/b.py:7: UserWarning: this is a user's\n",
    )
    execution._show_progress(io.TextIOWrapper(io.BytesIO("".join(said).encode())))
    assert capsys.readouterr().err == "".join((said[0], "cnn, search: 4/50", said[4]))
