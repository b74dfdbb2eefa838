"""Predictions as users want them: JSON Lines, a spreadsheet, a playlist, tags; and the progress."""

import contextlib
import csv
import io
import json
import os
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from genre_utils.features import genre_tags
from genre_utils.workspace import files

STDIN = "-"  # in place of a file: the sound itself comes from standard input
COLUMNS: tuple[str, ...] = ("audio_file", "predicted_label", "confidence", "uncertain")
COLUMNS += ("unlike_training", "distance", "duration_s", "heard_s", "model", "corpus", "synthetic")
COLUMNS += ("warnings", "error")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would compute
M3U_HEADER = "#EXTM3U\n"
UNWRITABLE = {"Cc", "Cs", "Zl", "Zp"}  # kinds of characters: controls, no UTF-8, line breaks
BYTE_ORDER_MARK = "\ufeff"  # by which spreadsheets know UTF-8


class OutputError(ValueError):
    """What is asked for cannot be written; the message says why."""


def json_line(prediction: dict) -> str:
    """One prediction as a line of JSON, in ASCII, so that any terminal and any reader take it."""
    return json.dumps(prediction, allow_nan=False)


class JsonLines:
    """A line of JSON for each prediction."""

    def __init__(self, handle: TextIO):
        self.handle = handle

    def write(self, name: str, prediction: dict) -> None:
        """Write one prediction."""
        self.handle.write(json_line(prediction) + "\n")


class CsvLines:
    """Lines of CSV: a column for each genre, and the warnings as one text."""

    def __init__(self, handle: TextIO, labels: Sequence[str]):
        names = [*COLUMNS, *(f"p_{label}" for label in labels)]
        self.lines = csv.DictWriter(handle, names, extrasaction="ignore", lineterminator="\n")
        self.lines.writerow({name: cell(name) for name in names})

    def write(self, name: str, prediction: dict) -> None:
        """Write the line of one prediction."""
        row, corpus = prediction, prediction.get("corpus", {})
        if "error" not in prediction:
            row = row | {"model": prediction["model"]["name"], "corpus": corpus["name"]}
            row |= {"synthetic": corpus["synthetic"], "warnings": " ".join(prediction["warnings"])}
            row |= {f"p_{label}": p for label, p in prediction["probabilities"].items()}
        self.lines.writerow({column: cell(value) for column, value in row.items()})


def cell(value):
    """Make a cell that no spreadsheet takes for a formula, and that is one line."""
    if not isinstance(value, str):
        return value
    text = files.readable(value)
    return f"'{text}" if text.startswith(FORMULA) and text != STDIN else text


class Playlist:
    """Extended M3U of the files of one genre, by their absolute paths."""

    def __init__(self, handle: TextIO, genre: str):
        self.handle, self.genre = handle, genre
        handle.write(M3U_HEADER)

    def write(self, name: str, prediction: dict) -> None:
        """Write the file, if it is of the genre."""
        if prediction.get("predicted_label") != self.genre:
            return
        self.handle.write(m3u_entry(name, prediction["duration_s"], Path(name).stem))


def m3u_entry(name: str, seconds: float, title: str, folder: str = "") -> str:
    """Entry of an extended M3U, by the absolute path, or the path from a folder where there is one.

    A name that it cannot hold, as one with a line break, is told: its entry is empty.
    """
    path = os.path.abspath(name)
    if folder:
        with contextlib.suppress(ValueError):  # it is on another drive
            path = os.path.relpath(os.path.realpath(name), os.path.realpath(folder))
    if name == STDIN or any(unicodedata.category(c) in UNWRITABLE for c in path + title):
        tell(f"'{name}' is left out: a playlist cannot hold such a name.")
        return ""
    path = Path(path).as_posix()
    path = f"./{path}" if path.startswith(("#", " ")) else path  # it is no comment
    return f"#EXTINF:{round(seconds)},{title}\n{path}\n"


class Tags:
    """What tags say of the genre and what they would say; written over only `backup` is given."""

    def __init__(self, handle: TextIO, backup: genre_tags.Backup | None = None):
        self.handle, self.backup = handle, backup

    def write(self, name: str, prediction: dict) -> None:
        """Tell the change of one file, and make it if asked to."""
        self.handle.write(files.readable(f"'{name}': {self._done(name, prediction)}") + "\n")

    def _done(self, name, prediction):
        if "error" in prediction:
            return f"left as it is: {prediction['error']}"
        label = prediction["predicted_label"]
        try:
            before = genre_tags.genres(name)
            said = f"{'; '.join(before) or 'no genre'} -> {label}"
            if prediction["uncertain"] or prediction["unlike_training"]:
                return f"{said}, left as it is: the model is unsure"
            if before == (label,):
                return f"{label}, as it is"
            if self.backup:
                self.backup.write(name, (label,))
        except (genre_tags.TagError, OSError) as error:
            return f"left as it is: {error}"
        return said


def writer(options, labels: Sequence[str]) -> JsonLines | CsvLines | Playlist | Tags:
    """What writes predictions to standard output as the options of the command line ask."""
    out = sys.stdout
    if options.m3u and options.m3u not in labels:
        known = ", ".join(labels)
        raise OutputError(f"The model knows no genre {options.m3u!r}; it knows {known}.")
    if options.tags or options.write_tags:
        return Tags(out, genre_tags.Backup(Path()) if options.write_tags and options.yes else None)
    if options.format == "json" and not options.m3u:
        return JsonLines(out)
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(encoding="utf-8")  # whatever the terminal's is
    if options.m3u:
        return Playlist(out, options.m3u)
    out.write(BYTE_ORDER_MARK)
    return CsvLines(out, labels)


def tell(message: str) -> None:
    """Say something on standard error, in one line."""
    print(files.readable(message), file=sys.stderr, flush=True)


@dataclass
class Count:
    """Files that were recognised, and how."""

    files: int = 0
    failed: int = 0
    unsure: int = 0
    unlike: int = 0
    remembered: int = 0

    def add(self, prediction: dict, remembered: bool) -> None:
        """Count one file."""
        self.files += 1
        self.failed += "error" in prediction
        self.unsure += prediction.get("uncertain", False)
        self.unlike += prediction.get("unlike_training", False)
        self.remembered += remembered

    def __str__(self) -> str:
        text = f"{self.files} files: {self.failed} could not be recognised, {self.unsure} unsure, "
        text += f"{self.unlike} unlike the training music."
        if self.remembered:
            text += f" {self.remembered} were heard before: their answers come from the cache."
        return text


def with_progress(heard: Iterable[tuple[dict, bool]], total: int) -> Iterator[tuple[dict, bool]]:
    """Yield what is recognised and tell how far it is: a bar on a terminal, else a line at times.

    Files that fail are told at once.
    """
    told = -files.TOLD_EVERY
    with tqdm(total=total, unit="file", desc="recognised", file=sys.stderr, disable=None) as bar:
        start = time.monotonic()
        for number, (prediction, remembered) in enumerate(heard, 1):
            with tqdm.external_write_mode(sys.stdout, nolock=True):
                yield prediction, remembered
            bar.update()
            error, now = prediction.get("error"), time.monotonic() - start
            if error:
                with tqdm.external_write_mode(sys.stderr, nolock=True):
                    tell(f"[{number}/{total}] '{prediction['audio_file']}': {error}")
            elif bar.disable and (now - told >= files.TOLD_EVERY or number == total):
                told, left = now, now / number * (total - number)
                tell(f"[{number}/{total}] about {left:.0f} s left")
