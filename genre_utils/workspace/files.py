"""Where files live, how they are hashed, and how they are written whole or not at all."""

import contextlib
import glob
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = {"folds_done", "models", "synthetic", "fingerprints"}  # names of folders, see `is_kept`
UNFINISHED = ".part-"  # how the name of a file begins that is being written
FORGOTTEN = 3600.0  # seconds after which nobody writes to such a file any more


def data_folder() -> Path:
    """Folder that holds the corpora: ``$GENRE_DATA_DIR``, by default ``data/``."""
    return Path(os.environ.get("GENRE_DATA_DIR") or ROOT / "data").expanduser().resolve()


def cache_folder() -> Path:
    """Folder of what can be computed again: ``$GENRE_CACHE_DIR``, by default ``data/cache/``."""
    return Path(os.environ.get("GENRE_CACHE_DIR") or ROOT / "data" / "cache").expanduser().resolve()


def study_folder(study_dir: str | Path) -> Path:
    """Folder of one study, made if need be.

    Parameters
    ----------
    study_dir : str or Path
        An absolute path, or one relative to ``$GENRE_REPORTS_DIR`` (by default ``reports/``).
    """
    folder = reports_folder() / study_dir
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def reports_folder() -> Path:
    """Folder that holds the studies: ``$GENRE_REPORTS_DIR``, by default ``reports/``."""
    return Path(os.environ.get("GENRE_REPORTS_DIR") or ROOT / "reports").expanduser().resolve()


def below(folder: str | Path):
    """Yield the path of all that is in a folder, at any depth, and is no folder itself.

    A link to a folder is not followed but yielded, as is a folder that cannot be listed.
    """
    left = [os.fspath(folder)]
    while left:  # not `rglob`, which before Python 3.13 fails a thousand levels deep
        place = left.pop()
        try:
            with os.scandir(place) as entries:
                inside = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            yield Path(place)
            continue
        left += [path for path, is_folder in inside if is_folder]
        yield from (Path(path) for path, is_folder in inside if not is_folder)


class MissingStepError(FileNotFoundError):
    """A notebook was opened before the one that makes what it needs."""


def require(study: Path, name: str, *, made_by: str) -> None:
    """Check that an earlier notebook has left the file `name` in the study's folder.

    Raises
    ------
    MissingStepError
        If it has not; the message says which notebook to run first.
    """
    if not (study / name).exists():
        raise MissingStepError(
            f"{name} is not in the study {study.name!r} yet: run the notebook {made_by} first, "
            f"with the same STUDY_DIR, or the whole study with `make study`."
        )


@contextlib.contextmanager
def atomic_write(path: str | Path):
    """Yield a temporary path beside `path`; move it to `path` only if the block succeeds.

    A reader sees the old file or the new one, never half of one, whenever the writer is stopped.
    What a later run goes by as it is (see `is_kept`) gets its MD5 beside it, for `drop_altered`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        if is_kept(path):  # first: a file that is older than its checksum is made again
            _checksum(path).write_text(file_md5(temporary))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_kept(path: Path) -> bool:
    """Whether a file, once made, is gone by in later runs with no other check of its content.

    Folds that are done, models, composed music and fingerprints are. (Files of the feature cache
    and long measurements hold checksums of their own; the rest is written by each run.)
    """
    # what folders further up are called is not ours to say, and what corpus.json says of music
    # decides what is done with it
    return not KEPT.isdisjoint(path.parts[-4:]) and path.name != "corpus.json"


def _checksum(path):
    return path.with_name(f".{path.name}.md5")


def is_as_written(path: Path) -> bool:
    """Whether a file is there, and has its checksum's content if there is a checksum."""
    noted = _checksum(path)
    return path.is_file() and (not noted.exists() or noted.read_text() == file_md5(path))


def altered(folder: Path) -> list[Path]:
    """Files of a folder that are not as they were written; none where no files are kept."""
    noted = sorted(folder.rglob(".*.md5")) if is_kept(folder) else []
    paths = [note.with_name(note.name[1:].removesuffix(".md5")) for note in noted]
    return [path for path in paths if path.exists() and not is_as_written(path)]


def drop_altered(folder: Path) -> list[Path]:
    """Remove the files of a folder that are `altered`, and return which, to be made again.

    What was made together goes together: files that differ in their suffix alone, and any
    ``key.json``, which says that the folder it lies in is whole.
    """
    found = altered(folder)
    for path in found:
        keys = [place / "key.json" for place in path.parents if place.is_relative_to(folder)]
        for other in [*same_stem(path), *keys]:
            other.unlink(missing_ok=True)
    return found


def same_stem(path: Path) -> list[Path]:
    """Files beside `path`, itself among them, that differ from it in their suffix alone."""
    return list(path.parent.glob(f"{glob.escape(path.stem)}.*"))


def drop_unfinished(folder: Path) -> None:
    """Remove what writers that were killed have left, and nobody has written to for an hour."""
    for path in folder.rglob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # finished meanwhile
            if time.time() - path.stat().st_mtime > FORGOTTEN:
                path.unlink()


def write_json(path: str | Path, content) -> None:
    """Write `content` as indented JSON, whole or not at all; refuses NaN and infinities."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path):
    """Read a JSON file; refuses NaN and infinities, which are no JSON, by ValueError."""
    return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)


def _refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


def write_table(path: str | Path, table) -> None:
    """Write a DataFrame as parquet, whole or not at all."""
    with atomic_write(path) as temporary:
        table.to_parquet(temporary, index=False)


def sha256(*parts) -> str:
    """Hash strings, bytes, arrays or JSON-like values, in order, to 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        if hasattr(part, "tobytes"):
            part = part.tobytes()
        elif not isinstance(part, bytes | str):
            part = json.dumps(part, sort_keys=True, ensure_ascii=False, default=str)
        if isinstance(part, str):
            part = part.encode("utf-8", errors="surrogateescape")
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def file_md5(path: str | Path) -> str:
    """MD5 of a file's content, the checksum that music corpora publish."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "md5").hexdigest()
