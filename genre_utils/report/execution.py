"""Run one notebook by papermill, in a process of its own, and publish what came of it."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from textwrap import indent

import nbformat
import psutil
import yaml

from genre_utils.report import disk, profiles, stages
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

#: What TensorFlow writes of itself, whatever its log level, a decoder of what it repairs, the bars
#: of a library of what it lacks in a notebook, and loky of workers whose memory has grown.
NOISE = re.compile(
    r"\s*(WARNING: All log messages before absl|[IWE]0000 |To enable the following|\[src/libmpg123|"
    r"Note: (Illegal Audio|Trying to resync|Hit end|Skip)|Warning: (Xing|Big change|Real sample)|"
    r"INFO:tensorflow:Assets written|INFO: Created TensorFlow Lite|"
    r"\S*: TqdmWarning: IProgress|from \.autonotebook import|"
    r"\S*: UserWarning: A worker stopped while some|warnings\.warn\($)"
)


def run_notebook(path: Path, parameters: dict, study: StudyFolder, key: str, label: str) -> None:
    """Execute a notebook into the study, and note what it has written."""
    print(f"{label} ...", flush=True)
    study.stage(path.stem).unlink(missing_ok=True)
    executed = study.stages / path.name  # until it is whole
    executed.parent.mkdir(exist_ok=True)
    started, since, before = time.perf_counter(), time.time_ns(), _processor_seconds()
    wanted = {k: parameters[k] for k in profiles.defaults(path) if k in parameters}
    failed, said = _execute(path, executed, wanted)
    if failed:
        failure = _failure(path, executed, said)
        raise profiles.StudyError(disk.unwritable(study, failure + said) or failure)
    _publish(executed, study.executed(path.stem))
    there = [p for p in sorted(study.path.rglob("*")) if p.is_file() and study.is_output(p)]
    written = [p for p in there if p.stat().st_mtime_ns >= since]
    seconds = time.perf_counter() - started
    took = {"seconds": seconds, "cpu_seconds": _processor_seconds() - before}
    stages.record(study, path.stem, key, written, **took)
    print(f"{label}: done in {seconds:.0f} s", flush=True)


def _processor_seconds():
    """CPU time of all processes that this one has started and that have ended (not on Windows)."""
    times = os.times()
    return times.children_user + times.children_system


def _execute(path, executed, parameters):
    """Run a notebook by papermill; return its exit code and what it said on stderr."""
    command = [sys.executable, "-m", "papermill", str(path), str(executed)]
    command += ["--parameters_yaml", yaml.safe_dump(parameters), "--cwd", str(profiles.NOTEBOOKS)]
    command += ["--kernel", "python3", "--log-level", "ERROR", "--stderr-file", "-"]
    # the last one saves a fifth of the time of a small study
    command += ["--no-progress-bar", "--no-request-save-on-cell-execute"]
    environment = files.child_environment(PYTHONIOENCODING="utf-8:backslashreplace")
    options = {"encoding": "utf-8", "env": environment, "stdout": subprocess.PIPE}
    options["preexec_fn"] = _die_with_parent if sys.platform == "linux" else None
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as complaint,
        subprocess.Popen(command, stderr=complaint, **options) as child,
    ):
        try:
            _show_progress(child.stdout)
            failed = child.wait()
        except BaseException:
            _end(child.pid)
            raise
        complaint.seek(0)
        return failed, complaint.read()


def _end(pid):
    """End a process and all that it has started, so that nothing works on after a stop."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)


def _show_progress(stream):
    """Pass on what cells say on stderr, progress bars above all, without TensorFlow's start-up."""
    stream.reconfigure(newline="")  # a bar ends its lines with a carriage return: keep it
    for line in stream:
        noise = NOISE.search(line)  # it may stand behind a bar
        sys.stderr.write(line[: noise.start()] if noise else line)
        sys.stderr.flush()


def _publish(executed, published):
    """Move an executed notebook, without what no reader needs: stderr, paths of this machine."""
    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    notebook.metadata.papermill.input_path = f"notebooks/{executed.name}"
    notebook.metadata.papermill.output_path = executed.name
    with files.atomic_write(published) as temporary:
        nbformat.write(notebook, temporary)
    executed.unlink()


def _die_with_parent():
    """Ask Linux to end this process when the study is killed, so that nothing trains on unseen."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _failure(path, executed, complaint):
    """Say which cell failed, how, and where the partial notebook is."""
    try:
        cells = nbformat.read(executed, as_version=4).cells
    except (FileNotFoundError, ValueError):  # it did not begin, or the disk is full
        cells = []
    for number, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return (
                    f"{path.stem} failed in cell {number}:\n\n{indent(cell.source, '    ')}\n\n"
                    f"{output.ename}: {output.evalue}\n\n"
                    f"The partial notebook, with the whole traceback: {executed}"
                )
    return f"{path.stem} failed before or between its cells:\n{complaint}\nPartial: {executed}"
