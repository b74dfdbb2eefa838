"""Many recordings: found in folders, recognised by some threads, remembered by their content."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from genre_utils.features import decoding
from genre_utils.recognition import exported_model, listening, output, recogniser
from genre_utils.workspace import evidence, files, parallel

FAILURES = (listening.RecognitionError, decoding.UndecodableError, OSError, ModuleNotFoundError)


def find(names: Sequence[str]) -> list[str]:
    """Files to recognise, in order: folders are replaced by the music in them, at any depth."""
    found: list[str] = []
    for name in names:
        is_folder = name != output.STDIN and Path(name).is_dir()
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


class Recognisers:
    """Recognisers of one model, one for each thread: a LiteRT network serves one at a time."""

    def __init__(self, model_path: str | Path):
        self.model_path, self.own = model_path, threading.local()

    def __call__(self, thorough: bool) -> recogniser.MusicStyleRecognition:
        """Recogniser of the thread that asks; ModelError if the model is none."""
        if not hasattr(self.own, "recognition"):
            self.own.recognition = recogniser.MusicStyleRecognition(self.model_path)
        self.own.recognition.thorough = thorough
        return self.own.recognition


def recognise(
    names: Sequence[str], model_path: str | Path, *, threads: int, thorough: bool = False
) -> Iterator[tuple[dict, bool]]:
    """Yield the prediction of each file, in order, or its audio_file and error.

    Beside it stands whether it comes from the cache, where files of the same content were heard by
    the same model before.
    """
    recognisers = Recognisers(model_path)
    recognisers(thorough)  # fails before any thread starts

    def predict(name):
        return _prediction(recognisers(thorough), name)

    yield from in_threads(predict, names, threads)


def _prediction(recognition, name):
    try:
        if name == output.STDIN:
            with _spooled() as path:
                found, remembered = recognition.run(path), False
        else:
            found, remembered = _cached(recognition, name)
    except FAILURES as error:
        return {"audio_file": recogniser.printable(name), "error": reason(error)}, False
    return found | {"audio_file": recogniser.printable(name)}, remembered


def _cached(recognition, name):
    """Prediction of a file, from the cache or put there; and whether it was there."""
    path = decoding.on_disk(name)
    if not path.is_file():
        return recognition.run(name), False  # which says what is wrong
    decides = recognition.classifier.about, recognition.thorough, evidence.code("answer")
    key = files.sha256(files.file_md5(path), *decides)
    place = files.cache_folder() / "recognised" / key[:2] / f"{key}.json"
    try:
        found = files.read_json(place)
        if not exported_model.violation(found, "prediction"):
            return found, True
    except (OSError, ValueError, RecursionError):
        pass  # not there, or not whole: heard below
    found = recognition.run(name)
    line = output.json_line(found)
    files.keep(place, lambda temporary: Path(temporary).write_text(line, "ascii"))
    return found, False


def reason(error: Exception) -> str:
    """What is wrong with a file, from one of `FAILURES`."""
    if isinstance(error, ModuleNotFoundError):  # ffmpeg, or what a model of one's own reads
        return files.installation(error)
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


@contextlib.contextmanager
def _spooled():
    """Path of a temporary file that holds what comes from standard input."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        left = decoding.MAX_BYTES + 1  # one more: then it is refused as a file would be
        with open(path, "wb") as handle:
            while chunk := sys.stdin.buffer.read(min(left, 1 << 20)):
                left -= handle.write(chunk)
        yield path
