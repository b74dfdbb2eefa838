"""Where files live, how they are hashed, and how they are written whole or not at all."""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


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
    reports = Path(os.environ.get("GENRE_REPORTS_DIR") or ROOT / "reports").expanduser().resolve()
    folder = reports / study_dir
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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
def written_whole(path: str | Path):
    """Yield a temporary path beside `path`; move it to `path` only if the block succeeds.

    A reader sees the old file or the new one, never half of one, whenever the writer is stopped.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content) -> None:
    """Write `content` as indented JSON, whole or not at all; refuses NaN and infinities."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with written_whole(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path):
    """Read a JSON file; refuses NaN and infinities, which are no JSON, by ValueError."""
    return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)


def _refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


def write_table(path: str | Path, table) -> None:
    """Write a DataFrame as parquet, whole or not at all."""
    with written_whole(path) as temporary:
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


def source_hash(*modules: str) -> str:
    """Hash of the source of this package's modules, so that results know the code behind them."""
    package = Path(__file__).parent
    return sha256(*[(package / f"{name}.py").read_bytes() for name in modules])
