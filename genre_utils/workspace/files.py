"""Where files live, how they are hashed, and how they are written whole or not at all."""

import atexit
import contextlib
import glob
import hashlib
import io
import json
import math
import os
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Whether this is an installed wheel, which holds what lies beside the package in a clone.
INSTALLED = (ROOT / "genre_utils" / "notebooks").is_dir()
SHIPPED = ROOT / "genre_utils" if INSTALLED else ROOT  # notebooks, benchmarks
CLUSTER = "GENRE_DASK"  # environment variable with the address of a Dask scheduler
KEPT = {"folds_done", "models", "synthetic", "fingerprints"}  # folders, see `_is_kept`
UNFINISHED = ".part-"  # how the name of a file begins that is being written
TOLD_EVERY = 10.0  # seconds between two lines on how far something is, where no bar is shown
FORGOTTEN = 3600.0  # seconds after which nobody writes to such a file any more
#: Extra of this package, if not `train`, that brings a library.
EXTRAS = {"gradio": "page", "imageio_ffmpeg": "ffmpeg", "papermill": "study", "tensorflow": "study"}
FOLDERS = ("GENRE_DATA_DIR", "GENRE_CACHE_DIR", "GENRE_REPORTS_DIR")
#: Environment variables with folders that libraries write to, in the user's home if not set.
HOMES = ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR")
_told: dict[Path, object] = {}  # folders of which was said that they cannot be written to


class PlaceError(ValueError):
    """It cannot be told which folder is meant; the message says why and what to do."""


def _settle() -> None:
    """Have the folders, which a clone has inside, be in the current one; children are told so."""
    for variable, place in zip(FOLDERS, ("data", "data/cache", "reports"), strict=True):
        if not os.environ.get(variable):
            os.environ[variable] = os.path.abspath(place)


if INSTALLED:
    _settle()


def data_folder() -> Path:
    """Folder that holds the corpora: ``$GENRE_DATA_DIR``, by default ``data/``."""
    return _folder("GENRE_DATA_DIR", "data")


def cache_folder() -> Path:
    """Folder of what can be computed again: ``$GENRE_CACHE_DIR``, by default ``data/cache/``."""
    return _folder("GENRE_CACHE_DIR", "data/cache")


def reports_folder() -> Path:
    """Folder that holds the studies: ``$GENRE_REPORTS_DIR``, by default ``reports/``."""
    return _folder("GENRE_REPORTS_DIR", "reports")


def _folder(variable, default):
    place = typed(os.environ.get(variable) or ROOT / default)
    if str(place).startswith("~"):
        raise PlaceError(f"{variable} is {str(place)!r}: no such user is known here.")
    return place.resolve()


def typed(path: str | Path) -> Path:
    """Path that a user has typed; ``~`` stays where there is no such user (`Path` would fail)."""
    return Path(os.path.expanduser(path))


def music_folder(words: str) -> Path:
    """Folder or archive of music that a user has typed: absolute, in the data folder, or here.

    ``./X`` and ``../X`` are always here, in the current folder. Raises `PlaceError` if there is an
    X in both; one that is nowhere would belong into the data folder.
    """
    places = [folder / typed(words) for folder in (data_folder(), Path.cwd())]
    if words.replace(os.sep, "/").split("/")[0] in {"", ".", ".."}:
        return places[1]
    found = [place for place in places if os.path.exists(place)]
    if len(found) > 1 and not os.path.samefile(*found):
        names = f"{os.path.join('.', words)!r} or {str(found[0])!r}"
        raise PlaceError(f"{words!r} is here and, another one, in the data folder: name {names}.")
    return [*found, *places][0]


def cluster_address() -> str:
    """Address of the Dask scheduler whose cluster does the work: ``$GENRE_DASK``, or empty."""
    return os.environ.get(CLUSTER, "")


def child_environment(**more: str) -> dict[str, str]:
    """Environment, for any current folder, of Python with this copy of the package, and `more`."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    places = {name: str(_folder(name, "")) for name in FOLDERS if os.environ.get(name)}
    return os.environ | places | {"PYTHONPATH": os.pathsep.join(path)} | more


def installation(error: ModuleNotFoundError) -> str:
    """Say which library is not installed, and what to type."""
    extra = EXTRAS.get(str(error.name), "train")
    required = f"-r requirements{'-page' if extra == 'page' else ''}.txt"
    what = f'"genre-utils[{extra}]"' if INSTALLED else required
    return f"this needs {error.name}, which is not installed: pip install {what}"


def set_environment(**variables: str) -> None:
    """Set environment variables of this process, for libraries that read them later."""
    os.environ.update(variables)


def quiet_libraries() -> None:
    """Silence what no reader could act on, and find a home where none can be written to."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", message="IProgress not found")
    wanted = [name for name in HOMES if name not in os.environ]
    if not wanted or os.access(os.path.expanduser("~"), os.W_OK):
        return
    base = cache_folder() / "home"  # or else a temporary folder
    with contextlib.suppress(OSError):
        base.mkdir(parents=True, exist_ok=True)
    if not os.access(base, os.W_OK):
        base = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, base, ignore_errors=True)
    os.environ.update({name: str(base / name.lower()) for name in wanted})


def silence_decoders() -> None:
    """Keep stderr to Python: what decoders written in C print there names no file."""
    stream = sys.__stderr__
    if stream and sys.stderr is stream and stream.fileno() == 2 and not sys._xoptions:
        own, look = os.dup(2), (stream.encoding, "backslashreplace")
        sys.stderr = open(own, "w", 1, *look)  # noqa: SIM115  until the program ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class _Lines:
    """A stream on which a bar, which begins again after a carriage return, is a line at times."""

    def __init__(self, stream):
        self._stream, self._bar, self._told = stream, "", -TOLD_EVERY

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if not self._bar and "\r" not in text:
            return self._stream.write(text)
        *whole, self._bar = (self._bar + text).split("\n")
        for line in whole:
            self._say(line)
        due = time.monotonic() - self._told >= TOLD_EVERY
        if "\r" in self._bar and due and "100%" not in _seen(self._bar):  # said when it has ended
            self._say(self._bar)
            self._bar = "\r"  # and not empty: the line break that ends a bar is no line of its own
        return len(text)

    def _say(self, line):
        if said := _seen(line):
            self._told = time.monotonic()
            self._stream.write(said + "\n")
            self._stream.flush()


def _seen(line):
    """Return what carriage returns have left of a line."""
    return line.rstrip().rpartition("\r")[2]


def calm_progress() -> None:
    """Have bars on stderr be a line every ten seconds, and a last one, unless on a terminal."""
    if isinstance(sys.stderr, io.TextIOWrapper) and not sys.stderr.isatty():
        sys.stderr = _Lines(sys.stderr)


def below(folder: str | Path):
    """Yield all that is below a folder and no folder itself; no link to one is followed."""
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


@contextlib.contextmanager
def atomic_write(path: str | Path):
    """Yield a temporary path beside `path`; move it to `path` only if the block succeeds.

    What later runs take as it is gets its MD5 beside it, for `drop_altered`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        if _is_kept(path):  # first: a file that is older than its checksum is made again
            _checksum(path).write_text(file_md5(temporary))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def keep(path: Path, write) -> None:
    """Have a file of the cache written by ``write(temporary path)``, or say once why it is not."""
    try:
        with atomic_write(path) as temporary:
            write(temporary)
    except OSError as error:
        folder, why, mine = cache_folder(), error.strerror or error, object()
        if _told.setdefault(folder, mine) is mine:  # the first thread that comes here
            told = f"The cache {folder} cannot be written to ({why}), so results are not kept there"
            print(f"{told}: name another with GENRE_CACHE_DIR.", file=sys.stderr, flush=True)


def _is_kept(path):
    """Whether later runs take a file as it is: folds, models, composed music, fingerprints."""
    # folders further up may have any name, and what corpus.json says of music decides what is done
    return not KEPT.isdisjoint(path.parts[-4:]) and path.name != "corpus.json"


def _checksum(path):
    return path.with_name(f".{path.name}.md5")


def is_as_written(path: Path) -> bool:
    """Whether a file is there, and has its checksum's content if there is a checksum."""
    noted = _checksum(path)
    return os.path.isfile(path) and (not noted.exists() or noted.read_text() == file_md5(path))


def altered(folder: Path) -> list[Path]:
    """Files of a folder that are not as they were written; none where no files are kept."""
    noted = sorted(folder.rglob(".*.md5")) if _is_kept(folder) else []
    paths = [note.with_name(note.name[1:].removesuffix(".md5")) for note in noted]
    return [path for path in paths if path.exists() and not is_as_written(path)]


def drop_altered(folder: Path) -> list[Path]:
    """Remove the files of a folder that are `altered`, and return which, to be made again.

    With them go files that differ in their suffix alone, and any ``key.json`` of a whole folder.
    """
    found = altered(folder)
    for path in found:
        keys = [place / "key.json" for place in path.parents if place.is_relative_to(folder)]
        for other in [*path.parent.glob(f"{glob.escape(path.stem)}.*"), *keys]:
            other.unlink(missing_ok=True)
    return found


def drop_unfinished(folder: Path) -> None:
    """Remove what writers that were killed have left, and nobody has written to for an hour."""
    for path in folder.rglob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # finished meanwhile
            if time.time() - path.stat().st_mtime > FORGOTTEN:
                path.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content) -> None:
    """Write `content` as indented JSON, whole or not at all; refuses NaN and infinities."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path):
    """Read a JSON file; refuses NaN and infinities, which are no JSON, by ValueError."""
    return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)


def _refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


def readable(text: str) -> str:
    r"""Text in which what a terminal does not print is spelled out, as in ``\x1b[31mcafé``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plain(value):
    """A value as JSON holds it: lists for arrays, Python's numbers, and None for NaN."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
