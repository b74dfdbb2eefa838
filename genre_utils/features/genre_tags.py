"""The genre in the tags of music files: read, written for good, and put back from a list."""

import json
import os
from datetime import datetime
from pathlib import Path

import mutagen
from mutagen import asf, id3, mp4

from genre_utils.features import decoding, tags


class TagError(ValueError):
    """Tags cannot be read, written or put back; the message says why."""


def _opened(path):
    try:
        file = mutagen.File(path)
        if file is not None and file.tags is None:
            file.add_tags()
    except tags.TAG_ERRORS as error:
        raise TagError(f"its tags cannot be read: {error}") from error
    if file is None:
        raise TagError("it is of a kind that has no tags")
    return file


def _key(file):
    kinds = {id3.ID3: "TCON", mp4.MP4Tags: "\xa9gen", asf.ASFTags: "WM/Genre"}
    return next((key for kind, key in kinds.items() if isinstance(file.tags, kind)), "genre")


def genres(path: str | Path) -> tuple[str, ...]:
    """Genres in the tags of a file; empty where they name none, TagError where it has no tags."""
    file = _opened(decoding.on_disk(path))
    found = file.tags.get(_key(file), [])
    found = found.genres if isinstance(found, id3.TCON) else found
    return tuple(map(str, found))


def write(path: str | Path, named: tuple[str, ...]) -> None:
    """Have the tags of a file name these genres and nothing else change; without any, none."""
    file = _opened(decoding.on_disk(path))
    key = _key(file)
    if key in file.tags:
        del file.tags[key]
    if named:
        file.tags[key] = id3.TCON(encoding=3, text=list(named)) if key == "TCON" else list(named)
    options = {}
    if key == "TCON" and file.tags.version < (2, 4):  # what reads the older kind may not read this
        file.tags.update_to_v23()
        options["v2_version"] = 3
    try:
        file.save(**options)
    except tags.TAG_ERRORS as error:
        raise TagError(f"its tags cannot be written: {error}") from error
    if genres(path) != tuple(named):
        raise TagError("it does not keep the genre that was written")


class Backup:
    """List of the genres that are written over, from which `restore` puts them back."""

    def __init__(self, folder: Path):
        self.path = folder / f"genres-before-{datetime.now():%Y%m%d-%H%M%S}.jsonl"
        self.files = 0  # that were written

    def write(self, path: str | Path, named: tuple[str, ...]) -> None:
        """Note what the tags of a file say, and only then write what they are to say."""
        known = {"path": os.path.abspath(path), "before": genres(path), "after": named}
        with open(self.path, "a", encoding="ascii") as handle:
            handle.write(json.dumps(known) + "\n")
        write(path, named)
        self.files += 1


def restore(backup: Path) -> dict[str, str]:
    """Put back the genres that a list tells; what was wrong with each file, empty if nothing."""
    done = {}
    try:
        lines = [json.loads(line) for line in backup.read_text(encoding="ascii").splitlines()]
        known = [
            (line["path"], *(tuple(line[key]) for key in ("before", "after"))) for line in lines
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise TagError(f"{backup} is no list of genres that were written over") from error
    for path, before, after in reversed(known):
        try:
            if genres(path) not in (before, after):
                raise TagError("its genre was changed since: it is left as it is")
            write(path, before)
            done[path] = ""
        except (TagError, OSError) as error:
            done[path] = str(error)
    return done
