"""Many recordings: found in folders, recognised by some threads, written as JSON Lines or CSV."""

import contextlib
import csv
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from genre_utils.features import decoding
from genre_utils.recognition import listening, recogniser
from genre_utils.workspace import files, parallel

STDIN = "-"  # in place of a file: the sound itself comes from standard input
FAILURES = (listening.RecognitionError, decoding.UndecodableError, OSError)
COLUMNS: tuple[str, ...] = ("audio_file", "predicted_label", "confidence", "uncertain")
COLUMNS += ("unlike_training", "distance", "duration_s", "model", "corpus", "synthetic")
COLUMNS += ("warnings", "error")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would compute


def find(names: Sequence[str]) -> list[str]:
    """Files to recognise, in order: folders are replaced by the music in them, at any depth."""
    found: list[str] = []
    for name in names:
        is_folder = name != STDIN and Path(name).is_dir()  # what does not exist is reported later
        found += map(str, decoding.music_in(name)) if is_folder else [name]
    return found


def usable_cores() -> int:
    """Processors that this program may use: those it is pinned to, where that can be told."""
    pinned = getattr(os, "sched_getaffinity", None)
    return len(pinned(0)) if pinned else os.cpu_count() or 1


def in_threads(function: Callable[[str], Any], names: Sequence[str], threads: int) -> Iterator[Any]:
    """Yield the result of each call, in order; few are ahead, so that memory does not grow."""
    if threads == 1 or len(names) < 2:
        yield from map(function, names)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        submitted = (pool.submit(function, name).result for name in names)
        yield from parallel.in_order(submitted, 4 * threads)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def recognise(names: Sequence[str], model_path: str | Path, *, threads: int) -> Iterator[dict]:
    """Yield the prediction of each file, in order, or its audio_file and error."""
    own = threading.local()  # a LiteRT network serves one thread at a time
    own.recognition = recogniser.MusicStyleRecognition(model_path)  # fails before any thread starts

    def predict(name):
        if not hasattr(own, "recognition"):
            own.recognition = recogniser.MusicStyleRecognition(model_path)
        return _prediction(own.recognition, name)

    yield from in_threads(predict, names, threads)


def _prediction(recognition, name):
    try:
        with _spooled(name) as path:
            return recognition.run(path) | {"audio_file": recogniser.printable(name)}
    except FAILURES as error:
        return {"audio_file": recogniser.printable(name), "error": reason(error)}


def reason(error: Exception) -> str:
    """What is wrong with a file, from one of `FAILURES`."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


@contextlib.contextmanager
def _spooled(name):
    """Path of a file; for `STDIN`, of a temporary one that holds it."""
    if name != STDIN:
        yield name
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        left = decoding.MAX_BYTES + 1  # one more: then it is refused as a file would be
        with open(path, "wb") as handle:
            while chunk := sys.stdin.buffer.read(min(left, 1 << 20)):
                left -= handle.write(chunk)
        yield path


def json_line(prediction: dict) -> str:
    """One prediction as a line of JSON, in ASCII, so that any terminal and any reader take it."""
    return json.dumps(prediction, allow_nan=False)


class CsvLines:
    """Lines of CSV in a text file: a column for each genre, and the warnings as one text."""

    def __init__(self, handle, labels):
        names = [*COLUMNS, *(f"p_{label}" for label in labels)]
        self.lines = csv.DictWriter(handle, names, extrasaction="ignore", lineterminator="\n")
        self.lines.writerow({name: cell(name) for name in names})

    def write(self, prediction: dict) -> None:
        """Write the line of one prediction."""
        row, corpus = prediction, prediction.get("corpus", {})
        if "error" not in prediction:
            row = row | {"model": prediction["model"]["name"], "corpus": corpus["name"]}
            row |= {"synthetic": corpus["synthetic"], "warnings": " ".join(prediction["warnings"])}
            row |= {f"p_{label}": p for label, p in prediction["probabilities"].items()}
        self.lines.writerow({name: cell(value) for name, value in row.items()})


def cell(value):
    """Make a cell that no spreadsheet takes for a formula, and that is one line."""
    if not isinstance(value, str):
        return value
    text = files.readable(value)
    return f"'{text}" if text.startswith(FORMULA) and text != STDIN else text
