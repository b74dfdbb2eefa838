"""Run the study: each notebook by papermill, in its own process, skipping what is unchanged."""

import ast
import contextlib
import ctypes
import errno
import fcntl
import itertools
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
import yaml

from genre_utils import files

NOTEBOOKS = files.ROOT / "notebooks"
PROFILES = NOTEBOOKS / "profiles"
#: Notebooks that serve certain models alone; they are left out when MODELS names none of them.
MODELS_OF = {
    "03_cnn": ("cnn", "cnn1d"),
    "04_rnn": ("rnn", "gru", "lstm"),
    "05_hybrid": ("hybrid", "hybrid_parallel", "mlp", "fusion", "dbn"),
}
CLASSICAL = ("svm", "logistic", "knn")  # models of notebook 02, which always runs
#: What TensorFlow writes when it starts, whatever its log level.
NOISE = re.compile(r"\s*(WARNING: All log messages before absl|[IWE]0000 |To enable the following)")
#: Modules that decide how results are run and shown, not what they are.
PRESENTATION = {"report", "study", "parallel", "__main__"}
#: What a study folder holds that no notebook writes, or that may grow between runs.
SIDE = {"stages", "folds_done", "index.html", "looks.csv"}
FULL = {errno.ENOSPC, errno.EDQUOT}  # what systems call a full disk
#: How a message tells of one; NumPy and SQLite have words of their own.
SAYS_FULL = re.compile("No space left|quota exceeded|disk is full|requested and [0-9]+ written")
PROBE = 1 << 20  # bytes that a disk must take to be of use


class StudyError(RuntimeError):
    """The study cannot start or a notebook failed; the message says what to do."""


def run(profile: str, overrides: dict, *, start: str = "", force: bool = False) -> Path:
    """Run the study of a profile and render its reports.

    Parameters
    ----------
    profile : str
        A name in ``notebooks/profiles/``, or the path of a YAML file of parameters.
    overrides : dict
        Parameters that replace those of the profile.
    start : str
        Number of the notebook from which on everything is run again, for example ``"03"``.
    force : bool
        Run every notebook and train every fold again.

    Returns
    -------
    Path
        The report's ``index.html``.

    Raises
    ------
    StudyError
        If the profile or a parameter is unknown, or a notebook fails.
    """
    name, given, about = read_profile(profile)
    parameters = {"PROFILE": name, "STUDY_DIR": name, **given, **overrides}
    notebooks = choose_notebooks(parameters)
    study = files.reports_folder() / parameters["STUDY_DIR"]
    if start and not any(path.name.startswith(start) for path in notebooks):
        raise StudyError(f"--from {start}: no such notebook; there are {_names(notebooks)}.")
    if why := _unwritable(study):
        raise StudyError(why)
    try:
        with _alone(study):
            print(f"Study {name!r}: {len(notebooks)} notebooks into {study}\n{about}", flush=True)
            _mend(study)
            if force:
                _forget_folds(study)
            key = _run_notebooks(notebooks, parameters, study, start, force)
            return _render(study, parameters["PROFILE"], key)
    except OSError as error:
        if why := _unwritable(study, str(error)):
            raise StudyError(why) from error
        raise


def _run_notebooks(notebooks, parameters, study, start, again):
    """Run those that are not done, and all after the first of them; return the last one's key."""
    key = ""
    for number, path in enumerate(notebooks, 1):
        key = _stage_key(path, parameters, key)
        again = again or (start != "" and path.name >= start)
        label = f"[{number}/{len(notebooks)}] {path.stem}"
        if not again and _is_done(study, path.stem, key):
            print(f"{label}: unchanged since the last run", flush=True)
            continue
        _run_notebook(path, parameters, study, key, label)
        again = True  # what comes after reads what this one wrote
    return key


# ------------------------------------------------------------------ what can go wrong with files


@contextlib.contextmanager
def _alone(study):
    """Hold the lock of a study's folder, which ends with this process, however that ends."""
    with open(study / ".lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise StudyError(
                f"{study}: another study is running in this folder ({lock.read() or 'unknown'}). "
                "Wait until it has ended, stop it, or give this one a folder of its own with "
                "--set STUDY_DIR=NAME."
            ) from error
        except OSError as error:  # some network drives
            print(f"{study} cannot be locked ({error.strerror}): start no second study in it.")
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}, since {time.ctime()}")
        lock.flush()
        yield
        lock.truncate(0)


def _unwritable(study, said=""):
    """Say which folder is full or cannot be written to, and what to do; empty if none is.

    Parameters
    ----------
    study : Path
    said : str, optional
        What failed. Where that tells of a full disk, the fullest is named, even if it takes a
        little more, now that what did not fit has been removed.
    """
    folders = [study, files.cache_folder()]
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(bytes(PROBE))
        except OSError as error:
            if error.errno in FULL:
                return _full(folder)
            return (
                f"{folder} cannot be written to: {error.strerror}. Make it writable, or name "
                "another folder with GENRE_REPORTS_DIR (reports) or GENRE_CACHE_DIR (cache), then "
                "run the same command again."
            )
    if not SAYS_FULL.search(said):
        return ""
    folders.append(Path(tempfile.gettempdir()))
    return _full(min(folders, key=lambda folder: shutil.disk_usage(folder).free))


def _full(folder):
    free = shutil.disk_usage(folder).free / 1e6
    return (
        f"The disk is full that holds {folder} ({free:.0f} MB free). Make room, then run the same "
        "command again: it goes on where it was, and nothing that was finished is lost."
    )


def _mend(study):
    """Drop what is not as an earlier run has written it; then every notebook is run again."""
    files.drop_unfinished(study)
    files.drop_unfinished(files.cache_folder())
    for path in sorted((study / "tuning").glob("*.db")):
        _refuse_damage(path)
    folders = [study / "folds_done", study / "models"]
    with contextlib.suppress(FileNotFoundError, ValueError):  # notebook 01 has not run, or will
        folders.append(Path(files.read_json(study / "source.json")["folder"]))
    altered = [path for folder in folders for path in files.altered(folder)]
    if altered:
        shutil.rmtree(study / "stages", ignore_errors=True)  # first: this may be stopped as well
    for path in altered:
        print(f"{path} is not as it was written: it is made again", flush=True)
    for folder in folders[:2]:  # notebook 01 sees to the music
        files.drop_altered(folder)


def _refuse_damage(path):
    """Raise an error if a database of trials cannot be read."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as trials:
            found = trials.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise StudyError(
            f"{path}, the trials of a search, is damaged ({found}). Put a copy of it back, or "
            "move it away: the search then begins anew."
        )


# ------------------------------------------------------------------ which notebooks, and when


def read_profile(profile: str) -> tuple[str, dict, str]:
    """Read a profile: its name, its parameters, and the comment that opens its file."""
    path = PROFILES / f"{profile}.yaml"
    if not path.exists():
        path = Path(profile)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.yaml")))
        raise StudyError(f"unknown profile {profile!r}: choose one of {known}, or name a file.")
    text = path.read_text(encoding="utf-8")
    try:
        parameters = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(parameters, dict):
        raise StudyError(f"{path} must hold PARAMETER: value lines.")
    comment = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
    return path.stem, parameters, " ".join(comment)


def choose_notebooks(parameters: dict) -> list[Path]:
    """Numbered notebooks that the parameters call for, in order.

    Raises
    ------
    StudyError
        If no notebook knows one of the parameters.
    """
    notebooks = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    known = {key: value for path in notebooks for key, value in defaults(path).items()}
    unknown = [key for key in parameters if key not in known]
    if unknown:
        raise StudyError(
            f"unknown parameter(s) {', '.join(unknown)}; there are {', '.join(known)}."
        )
    models = set(parameters.get("MODELS") or known["MODELS"])
    there_are = [*itertools.chain.from_iterable(MODELS_OF.values()), *CLASSICAL]
    if models - set(there_are):
        wrong = ", ".join(sorted(models - set(there_are)))
        raise StudyError(f"unknown model(s) {wrong}; there are {', '.join(there_are)}.")
    return [p for p in notebooks if p.stem not in MODELS_OF or models & set(MODELS_OF[p.stem])]


def defaults(notebook: Path) -> dict:
    """Parameters of a notebook and their default values, from its cell tagged ``parameters``."""
    cells = nbformat.read(notebook, as_version=4).cells
    tagged = [c.source for c in cells if "parameters" in c.metadata.get("tags", [])]
    lines = ast.parse("\n".join(tagged)).body  # literals only: nothing is executed
    return {line.targets[0].id: ast.literal_eval(line.value) for line in lines}


def _names(notebooks):
    return ", ".join(path.stem for path in notebooks)


def _stage_key(path, parameters, previous):
    """Hash of everything that decides what a notebook produces."""
    own = defaults(path)
    chosen = {key: parameters.get(key, value) for key, value in own.items()}
    package = Path(__file__).parent
    sources = [p for p in sorted(package.glob("*.py")) if p.stem not in PRESENTATION]
    cells = nbformat.read(path, as_version=4).cells
    written = [cell.source for cell in cells]  # outputs that tests compare decide nothing
    parts = [written, chosen, files.source_hash(*[p.stem for p in sources]), previous]
    if not previous:
        parts.append(_listing(parameters, own))
    return files.sha256(*parts)


def _listing(parameters, own):
    """Names, sizes and times of a corpus's files: tells whether it changed, without reading it."""
    place = parameters.get("CORPUS_DIR", own.get("CORPUS_DIR"))
    folder = files.data_folder() / Path(place or "").expanduser()
    if not place or not folder.exists():
        return []
    found = sorted(filter(os.path.isfile, files.below(folder) if folder.is_dir() else [folder]))
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in found]


def _is_done(study, stage, key):
    try:
        done = files.read_json(study / "stages" / f"{stage}.json")
    except (FileNotFoundError, ValueError):  # never run, or the record is damaged
        return False
    return done["key"] == key and all(
        (study / name).is_file() and files.file_md5(study / name) == digest
        for name, digest in done["outputs"].items()
        if _is_output(Path(name))
    )


def _forget_folds(study):
    for path in (study / "folds_done").rglob("*.*"):
        path.unlink()


def _run_notebook(path, parameters, study, key, label):
    print(f"{label} ...", flush=True)
    record = study / "stages" / f"{path.stem}.json"
    record.unlink(missing_ok=True)
    executed = study / "stages" / path.name  # until it is whole
    executed.parent.mkdir(exist_ok=True)
    started, since = time.perf_counter(), time.time_ns()
    wanted = {k: parameters[k] for k in defaults(path) if k in parameters}
    failed, said = _execute(path, executed, wanted)
    if failed:
        failure = _failure(path, executed, said)
        raise StudyError(_unwritable(study, failure + said) or failure)
    _publish(executed, study / "notebooks" / path.name)
    outputs = {
        str(p.relative_to(study)): files.file_md5(p)
        for p in sorted(study.rglob("*"))
        if p.is_file() and p.stat().st_mtime_ns >= since and _is_output(p.relative_to(study))
    }
    seconds = time.perf_counter() - started
    files.write_json(record, {"key": key, "seconds": seconds, "outputs": outputs})
    print(f"{label}: done in {seconds:.0f} s", flush=True)


def _is_output(path):
    """Whether a file of a study is what a notebook has written, and written for good."""
    return path.parts[0] not in SIDE and path.suffix != ".db" and path.name[0] != "."


def _execute(path, executed, parameters):
    """Run a notebook by papermill; return its exit code and what it said on stderr."""
    with (
        tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as given,
        tempfile.TemporaryFile("w+", encoding="utf-8") as complaint,
    ):
        yaml.safe_dump(parameters, given)
        given.flush()
        command = [sys.executable, "-m", "papermill", str(path), str(executed), "-f", given.name]
        command += ["--cwd", str(NOTEBOOKS), "--no-progress-bar", "--stderr-file", "-"]
        command += ["--kernel", "python3", "--log-level", "ERROR"]
        command += ["--no-request-save-on-cell-execute"]  # a fifth of the time of a small study
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=complaint,
            encoding="utf-8",
            preexec_fn=_die_with_parent,
        ) as child:
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
        if not NOISE.match(line):
            sys.stderr.write(line)
            sys.stderr.flush()


def _publish(executed, published):
    """Move an executed notebook, without what no reader needs: stderr, paths of this machine."""
    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    notebook.metadata.papermill.input_path = f"notebooks/{executed.name}"
    notebook.metadata.papermill.output_path = executed.name
    with files.written_whole(published) as temporary:
        nbformat.write(notebook, temporary)
    executed.unlink()


def _die_with_parent():
    """Ask Linux to end this process when the study is killed, so that nothing trains on unseen."""
    if sys.platform == "linux":
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
                    f"{path.stem} failed in cell {number}:\n\n{_indented(cell.source)}\n\n"
                    f"{output.ename}: {output.evalue}\n\n"
                    f"The partial notebook, with the whole traceback: {executed}"
                )
    return f"{path.stem} failed before or between its cells:\n{complaint}\nPartial: {executed}"


def _indented(source):
    return "\n".join(f"    {line}" for line in source.splitlines())


def _render(study, name, key):
    """Render the reports, unless they show just what is there already."""
    from genre_utils import report

    template = sorted(p for p in (Path(__file__).parent / "report_template").iterdir())
    executed = sorted((study / "notebooks").glob("*.ipynb"))  # they may have run again as they are
    shown = [p.read_bytes() for p in (*template, *executed) if p.is_file()]
    key = files.sha256(key, files.source_hash("report"), *shown)
    if _is_done(study, "reports", key):
        return study / "index.html"
    print("Rendering the reports ...", flush=True)
    index = report.render_study(study, profile=name)
    outputs = {p.name: files.file_md5(p) for p in sorted(study.glob("*.html"))}
    files.write_json(study / "stages" / "reports.json", {"key": key, "outputs": outputs})
    return index


def headline(study: Path) -> str:
    """Headline table of a finished study, as text."""
    from genre_utils import paper

    results = files.read_json(study / "results.json")
    corpus = results["corpus"]
    music = "composed music" if corpus["synthetic"] else f"corpus {corpus['name']}"
    width = 2 + max(len(name) for name in results["models"])
    lines = [
        f"{corpus['tracks']} tracks, {corpus['artists']} artists, {music}",
        f"{'model':<{width}}{'accuracy of tracks':<24}{'F1':<7}{'of excerpts':<13}training",
    ]
    for name, model in results["models"].items():
        low, high = model["ci95"]["accuracy"]
        accuracy = f"{model['accuracy']:.2f} [{low:.2f} to {high:.2f}]"
        lines.append(
            f"{name:<{width}}{accuracy:<24}{model['f1']:<7.2f}{model['excerpt_accuracy']:<13.2f}"
            f"{paper.duration(model['training_seconds'])}"
        )
    return "\n".join(lines)
