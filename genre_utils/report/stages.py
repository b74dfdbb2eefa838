"""TODO report.stages."""

import os
from pathlib import Path

import nbformat

from genre_utils.report import profiles
from genre_utils.workspace import evidence, files

#: What a study folder holds that no notebook writes, or that may grow between runs.
SIDE = {"stages", "folds_done", "index.html", "looks.csv"}


def stage_key(path, parameters, previous):
    """Hash of everything that decides what a notebook produces."""
    own = profiles.defaults(path)
    chosen = {key: parameters.get(key, value) for key, value in own.items()}
    cells = nbformat.read(path, as_version=4).cells
    written = [cell.source for cell in cells]  # outputs that tests compare decide nothing
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    parts = [written, chosen, evidence.of_source(code), previous]
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


def is_done(study, stage, key):
    """Whether a notebook has run with this key, and what it wrote is still there."""
    try:
        done = files.read_json(study / "stages" / f"{stage}.json")
    except (FileNotFoundError, ValueError):  # never run, or the record is damaged
        return False
    return done["key"] == key and all(
        (study / name).is_file() and files.file_md5(study / name) == digest
        for name, digest in done["outputs"].items()
        if is_output(Path(name))
    )


def forget_folds(study):
    """Remove all trained folds."""
    for path in (study / "folds_done").rglob("*.*"):
        path.unlink()


def is_output(path):
    """Whether a file of a study is what a notebook has written, and written for good."""
    return path.parts[0] not in SIDE and path.suffix != ".db" and path.name[0] != "."
