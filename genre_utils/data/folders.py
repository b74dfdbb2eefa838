"""TODO data.folders."""

from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.data import errors
from genre_utils.workspace import files

COMPANIONS = {".csv", ".json", ".txt", ".md", ".jpg", ".jpeg", ".png", ".gif", ".pdf", ".m3u"}
COMPANIONS |= {".m3u8", ".cue", ".log", ".nfo", ".ini", ".db", ".xml"}  # files beside the music
MAX_UNPACKED = 50 << 30  # bytes that the archive of a corpus may unpack to


def unpacked(archive: Path, *, max_bytes: int = MAX_UNPACKED) -> Path:
    """Folder in the cache with the content of an archive, unpacked once.

    Raises
    ------
    CorpusError
        If the archive is damaged, unsafe, or unpacks to more than `max_bytes`.
    """
    from genre_utils.data import downloads

    target = files.cache_folder() / "archives" / files.file_md5(archive)
    return downloads.unpack(archive, target, max_bytes=max_bytes)


def listed_beside(tracks: pd.DataFrame, root: Path, folder: Path) -> pd.DataFrame | None:
    """Tracks with the artist and split of a ``tracks.csv`` beside them, None if there is none."""
    for csv in {folder / "tracks.csv": None, root.parent / "tracks.csv": None}:
        if csv.exists() and csv.is_relative_to(folder):
            return _with_artists(tracks, csv, folder)
    return None


def _with_artists(tracks, csv, folder):
    """Tracks with the artist and split that a table beside them gives."""
    known = read_track_list(csv, needed=("path",))
    inside = csv.parent.relative_to(folder)
    known["path"] = [(inside / path.replace("\\", "/")).as_posix() for path in known["path"]]
    if not known["path"].isin(tracks["path"]).any():
        raise errors.CorpusError(
            f"none of the paths in {csv} is a file of this corpus: it says "
            f"{known['path'].iloc[0]!r}, and the first file is {tracks['path'].iloc[0]!r}. "
            "Write them relative to the folder of tracks.csv."
        )
    columns = [c for c in ("artist", "split") if c in known]
    return tracks.merge(known[["path", *columns]], on="path", how="left")


def read_track_list(csv, needed):
    """Rows of a ``tracks.csv`` as text; refuses one that lacks a needed column."""
    if not csv.exists():
        raise errors.CorpusError(
            f"{csv} is missing; it must list the tracks ({', '.join(needed)}, ...)."
        )
    try:
        table = pd.read_csv(csv, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise errors.CorpusError(
            f"{csv} cannot be read as UTF-8 text with commas: {error}"
        ) from error
    absent = [column for column in needed if column not in table]
    if absent:
        raise errors.CorpusError(f"{csv} lacks the column(s) {', '.join(absent)}.")
    repeated = table[needed[0]][table[needed[0]].duplicated()].unique()
    if len(repeated):
        raise errors.CorpusError(f"{csv} lists {needed[0]} {repeated[0]!r} more than once.")
    return table


def genre_root(folder):
    """Folder whose subfolders are the genres: `folder`, or GTZAN's ``genres*`` within it."""
    for name in ("genres", "genres_original"):
        for candidate in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if candidate.is_dir():
                return candidate
    return folder


def find_files(root: Path, folder: Path) -> pd.DataFrame:
    """List every file in the genre folders of `root` (see `music_in`).

    Returns
    -------
    pd.DataFrame
        track_id (the path within `root`), path (within `folder`), genre (name of the folder).

    Raises
    ------
    CorpusError
        If there is none.
    """
    rows = []
    for genre in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in music_in(genre):
            row = [path.relative_to(base).as_posix() for base in (root, folder)] + [genre.name]
            rows.append([name.encode(errors="backslashreplace").decode() for name in row])
    if not rows:
        raise errors.CorpusError(
            f"no music found: {root} should hold one folder per genre, GENRE/clip.wav (or FLAC, "
            "OGG, MP3, M4A: what libsndfile or ffmpeg decodes)."
        )
    return pd.DataFrame(rows, columns=["track_id", "path", "genre"])


def music_in(folder: str | Path) -> list[Path]:
    """List what is below a folder, in order, but hidden files and such as lie beside music.

    What only looks like a file (see `files.below`) is listed, to be set aside with the reason.
    """
    folder = Path(folder)
    return sorted(
        path
        for path in files.below(folder)
        if path.suffix.lower() not in COMPANIONS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def load_arrays(folder: Path, track_ids) -> np.ndarray:
    """Load the log-mel arrays of some tracks of a store.

    Returns
    -------
    np.ndarray, shape (len(track_ids), frames, mels)

    Raises
    ------
    CorpusError
        If ``log_mel.npy`` is missing, unreadable, or does not match ``tracks.csv``.
    """
    path = folder / "log_mel.npy"
    try:
        log_mel = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise errors.CorpusError(f"{path} cannot be read as an array: {error}") from error
    listed = read_track_list(folder / "tracks.csv", needed=("track_id", "genre"))["track_id"]
    if log_mel.ndim != 3 or log_mel.size == 0 or len(log_mel) != len(listed):
        raise errors.CorpusError(
            f"{path} has shape {log_mel.shape}, but tracks.csv has {len(listed)} rows; the shape "
            "must be (tracks, frames, mels)."
        )
    rows = pd.Index(listed).get_indexer(list(track_ids))
    if (rows < 0).any():
        raise errors.CorpusError(
            f"{folder} has changed: it lacks tracks that were there. Run 01 again."
        )
    return log_mel[rows]
