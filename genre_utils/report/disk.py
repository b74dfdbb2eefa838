"""What can go wrong with files: two studies at once, full disks, files that were altered."""

import contextlib
import errno
import os
import re
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from genre_utils.report import profiles
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

FULL = {errno.ENOSPC, errno.EDQUOT}  # what systems call a full disk
#: How a message tells of one; NumPy and SQLite have words of their own.
SAYS_FULL = re.compile("No space left|quota exceeded|disk is full|requested and [0-9]+ written")
PROBE = 1 << 20  # bytes that a disk must take to be of use


@contextlib.contextmanager
def alone(study: StudyFolder) -> Iterator[None]:
    """Hold the lock of a study's folder, which ends with this process, however that ends."""
    lock = filelock.FileLock(study.lock, blocking=False, fallback_to_soft=False)
    holder = study.lock.with_suffix(".txt")  # beside it: Windows lets nobody read a locked file
    try:
        lock.acquire()
    except filelock.Timeout as error:
        known = holder.read_text(encoding="utf-8") if holder.exists() else "unknown"
        raise profiles.StudyError(
            f"{study.path}: another study is running in this folder ({known}). Wait until it has "
            "ended, stop it, or give this one a folder of its own with --set STUDY_DIR=NAME."
        ) from error
    except OSError as error:  # some network drives
        print(f"{study.path} cannot be locked ({error.strerror}): start no second study in it.")
    about = f"process {os.getpid()} on {socket.gethostname()}, since {time.ctime()}"
    holder.write_text(about, encoding="utf-8")
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def unwritable(study: StudyFolder, said: str = "") -> str:
    """Say which folder is full, or was by what was `said`, or cannot be written to; or nothing."""
    folders = [study.path, files.cache_folder()]
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
                "another with GENRE_REPORTS_DIR or GENRE_CACHE_DIR, and run the same command again."
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


def mend(study: StudyFolder) -> None:
    """Drop what is not as an earlier run has written it; then every notebook is run again."""
    files.drop_unfinished(study.path)
    files.drop_unfinished(files.cache_folder())
    for path in study.searches:
        _refuse_damage(path)
    folders = study.kept
    with contextlib.suppress(FileNotFoundError, ValueError):  # notebook 01 has not run, or will
        folders.append(Path(study.source["folder"]))
    altered = [path for folder in folders for path in files.altered(folder)]
    if altered:
        shutil.rmtree(study.stages, ignore_errors=True)  # first: this may be stopped as well
    for path in altered:
        print(f"{path} is not as it was written: it is made again", flush=True)
    for folder in study.kept:  # notebook 01 sees to the music
        files.drop_altered(folder)


def _refuse_damage(path):
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
