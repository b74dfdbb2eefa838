"""Many recordings: found in folders, recognised by some threads, written as JSON Lines or CSV."""

import contextlib
import csv
import json
import os
import tempfile
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from genre_utils.features import decoding
from genre_utils.recognition import listening, recogniser

STDIN = "-"  # in place of a file: the sound itself comes from standard input
FAILURES = (listening.RecognitionError, decoding.UndecodableError, OSError)
COLUMNS = ("audio_file", "predicted_label", "confidence", "uncertain", "unlike_training")
COLUMNS += ("distance", "duration_s", "model", "corpus", "synthetic", "warnings", "error")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would compute


def find(names) -> list[str]:
    """Files to recognise, in order: folders are replaced by what is in them, at any depth.

    Hidden files, and kinds of files that lie beside music (covers, playlists), are left out.

    Parameters
    ----------
    names : sequence of str
        Files, folders or `STDIN`. What does not exist is kept, to be reported.
    """
    found = []
    for name in names:
        if name == STDIN or not Path(name).is_dir():
            found.append(name)
            continue
        from genre_utils.data import folders

        found += map(str, folders.music_in(name))
    return found


def usable_cores() -> int:
    """Processors that this program may use: those it is pinned to, where that can be told."""
    pinned = getattr(os, "sched_getaffinity", None)
    return len(pinned(0)) if pinned else os.cpu_count() or 1


def recognise(names, model_path, *, threads: int):
    """Yield the answer to each file, in order, or what is wrong with it.

    Parameters
    ----------
    names : list of str
        From `find`.
    model_path : str or Path
    threads : int
        Recordings at a time. (Decoding, Fourier transforms and products of matrices leave Python's
        lock alone, so that threads do as well as processes, which would load all libraries again.)

    Yields
    ------
    dict
        See `recogniser.MusicStyleRecognition.run`; audio_file and error where that failed.

    Raises
    ------
    recognition.ModelError
    """
    own = threading.local()  # a LiteRT network serves one thread at a time
    own.recognition = recogniser.MusicStyleRecognition(model_path)  # fails before any thread starts

    def answer(name):
        if not hasattr(own, "recognition"):
            own.recognition = recogniser.MusicStyleRecognition(model_path)
        return _answer(own.recognition, name)

    if threads == 1 or len(names) < 2:
        yield from map(answer, names)
        return
    pool, pending = ThreadPoolExecutor(threads), deque()
    try:
        for name in names:
            pending.append(pool.submit(answer, name))
            if len(pending) > 4 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _answer(recognise, name):
    try:
        with _spooled(name) as path:
            return recognise.run(path) | {"audio_file": recogniser.printable(name)}
    except FAILURES as error:
        return {"audio_file": recogniser.printable(name), "error": why(error)}


def why(error: Exception) -> str:
    """What is wrong with a file, from one of `FAILURES`."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


@contextlib.contextmanager
def _spooled(name):
    """Path of a file; for `STDIN`, of a temporary one that holds it."""
    if name != STDIN:
        yield name
        return
    import sys

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        left = decoding.MAX_BYTES + 1  # one more: then it is refused as a file would be
        with open(path, "wb") as handle:
            while chunk := sys.stdin.buffer.read(min(left, 1 << 20)):
                left -= handle.write(chunk)
        yield path


def json_line(answer: dict) -> str:
    """One answer as a line of JSON, in ASCII, so that any terminal and any reader take it."""
    return json.dumps(answer, allow_nan=False)


class CsvLines:
    """Answers as lines of CSV: a column for each genre, and the warnings as one text.

    Parameters
    ----------
    handle : text file
    labels : sequence of str
    """

    def __init__(self, handle, labels):
        self.labels = list(labels)
        self.writer = csv.writer(handle, lineterminator="\n")
        self.writer.writerow([*COLUMNS, *(cell(f"p_{label}") for label in self.labels)])

    def write(self, answer: dict) -> None:
        """Write the line of one answer."""
        row = {key: answer.get(key, "") for key in COLUMNS}
        if "error" not in answer:
            row |= {"model": answer["model"]["name"], "corpus": answer["corpus"]["name"]}
            row |= {"synthetic": answer["corpus"]["synthetic"]}
            row |= {"warnings": " ".join(answer["warnings"])}
        shares = [answer.get("probabilities", {}).get(label, "") for label in self.labels]
        self.writer.writerow([cell(value) for value in [*row.values(), *shares]])


def cell(value):
    """Make a cell that no spreadsheet takes for a formula, and that is one line."""
    if not isinstance(value, str):
        return value
    text = value.encode("unicode_escape").decode() if not value.isprintable() else value
    return f"'{text}" if text.startswith(FORMULA) and text != STDIN else text
