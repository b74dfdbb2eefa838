"""What is done: the key of all that decides what a notebook writes, and the record that it has."""

import os
from collections.abc import Iterable
from pathlib import Path

import nbformat

from genre_utils.report import arrangement, profiles
from genre_utils.workspace import evidence, files
from genre_utils.workspace.study_folder import StudyFolder


def stage_key(notebook: Path, parameters: dict, previous: str) -> str:
    """Hash of all that decides what a notebook produces; `previous` is that of the one before."""
    own = profiles.defaults(notebook)
    cells = nbformat.read(notebook, as_version=4).cells
    cells = [cell for cell in cells if not arrangement.tagged(cell, arrangement.ONLINE)]
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    chosen = {key: parameters.get(key, value) for key, value in own.items()}
    written = [cell.source for cell in cells]  # outputs that tests compare decide nothing
    corpus = [] if previous else _listing(parameters.get("CORPUS_DIR", own.get("CORPUS_DIR")))
    return files.sha256(written, chosen, evidence.of_source(code), previous, corpus)


def _listing(place):
    """Names, sizes and times of a corpus's files: tells whether it changed, without reading it."""
    folder = files.data_folder() / files.typed(place or "")
    if not place or not folder.exists():
        return []
    found = sorted(filter(os.path.isfile, files.below(folder) if folder.is_dir() else [folder]))
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found]


def is_done(study: StudyFolder, stage: str, key: str) -> bool:
    """Whether a stage was done with this key, and what it wrote is still there."""
    try:
        done = files.read_json(study.stage(stage))
    except (FileNotFoundError, ValueError):  # never run, or the record is damaged
        return False
    return done["key"] == key and all(
        (study.path / name).is_file() and files.file_md5(study.path / name) == digest
        for name, digest in done["outputs"].items()
        if study.is_output(study.path / name)
    )


def record(study: StudyFolder, stage: str, key: str, written: Iterable[Path], **more) -> None:
    """Note that a stage is done, and what it has written."""
    outputs = {path.relative_to(study.path).as_posix(): files.file_md5(path) for path in written}
    files.write_json(study.stage(stage), {"key": key, **more, "outputs": outputs})
