"""TODO report.disk."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import socket
import sqlite3
import tempfile
import time
from pathlib import Path

from genre_utils.report import profiles
from genre_utils.workspace import files

FULL = {errno.ENOSPC, errno.EDQUOT}  # what systems call a full disk
#: How a message tells of one; NumPy and SQLite have words of their own.
SAYS_FULL = re.compile("No space left|quota exceeded|disk is full|requested and [0-9]+ written")
PROBE = 1 << 20  # bytes that a disk must take to be of use


# ------------------------------------------------------------------ what can go wrong with files


@contextlib.contextmanager
def alone(study):
    """Hold the lock of a study's folder, which ends with this process, however that ends."""
    with open(study / ".lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise profiles.StudyError(
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


def unwritable(study, said=""):
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


def mend(study):
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
        raise profiles.StudyError(
            f"{path}, the trials of a search, is damaged ({found}). Put a copy of it back, or "
            "move it away: the search then begins anew."
        )
