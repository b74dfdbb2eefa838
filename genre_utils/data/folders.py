"""Music in folders: the files of each genre, and ready arrays."""

from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.data import track_lists
from genre_utils.data.track_lists import CorpusError
from genre_utils.features import decoding

TABLES = {".csv", ".tsv", ".xls", ".xlsx", ".ods"}  # how a list of artists may be saved


def genre_root(folder: Path) -> Path:
    """Folder whose subfolders are the genres: `folder`, or GTZAN's ``genres*`` within it."""
    for name in ("genres", "genres_original"):
        for candidate in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if candidate.is_dir():
                return candidate
    return folder


def find_files(root: Path, folder: Path) -> pd.DataFrame:
    """Track_id (path within `root`), path (within `folder`), genre (its folder) of every file.

    Files that lie in no genre's folder are in none of the rows; ``attrs["warnings"]`` tells them.
    """
    rows = []
    for genre in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in decoding.music_in(genre):
            row = [path.relative_to(base).as_posix() for base in (root, folder)] + [genre.name]
            rows.append([name.encode(errors="backslashreplace").decode() for name in row])
    is_table = {path.name: path.suffix.lower() in TABLES for path in sorted(root.iterdir())}
    unread = [name for name, table in is_table.items() if table and name.lower() != "tracks.csv"]
    loose = [path.name for path in decoding.music_in(root, deep=False) if not is_table[path.name]]
    told = f"Files that lie in no genre's folder ({len(loose)}): {track_lists.some(loose)}."
    aside = f"Not read: {track_lists.some(unread)}. A list of artists is called tracks.csv."
    if not rows:
        raise CorpusError(
            f"no music found: {root} should hold one folder per genre, GENRE/clip.wav (or FLAC, "
            f"OGG, MP3, M4A: what libsndfile or ffmpeg decodes).{f' {told}' if loose else ''}"
        )
    tracks = pd.DataFrame(rows, columns=["track_id", "path", "genre"])
    tracks.attrs["warnings"] = [told] * bool(loose) + [aside] * bool(unread)
    return tracks


def listed_beside(tracks: pd.DataFrame, root: Path, folder: Path) -> pd.DataFrame | None:
    """Tracks with what a ``tracks.csv`` beside them says, None if there is none."""
    for place in (folder, root.parent):
        named = [path for path in sorted(place.iterdir()) if path.name.lower() == "tracks.csv"]
        if named and place.is_relative_to(folder):
            return track_lists.with_list(tracks, named[0], folder)
    return None


def load_arrays(folder: Path, track_ids) -> np.ndarray:
    """Load the ready log-mel spectrograms of some tracks.

    Parameters
    ----------
    folder : Path
        Has ``log_mel.npy`` and ``tracks.csv``, in the same order.
    track_ids : sequence of str
        Tracks to load.

    Returns
    -------
    np.ndarray, shape (len(track_ids), frames, mels)
        In the order of `track_ids`.

    Raises
    ------
    CorpusError
        If ``log_mel.npy`` is missing, unreadable, or does not match ``tracks.csv``.
    """
    path = folder / "log_mel.npy"
    try:
        log_mel = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CorpusError(f"{path} cannot be read as an array: {error}") from error
    listed = track_lists.read(folder / "tracks.csv", "track_id", "genre")["track_id"]
    if log_mel.ndim != 3 or log_mel.size == 0 or len(log_mel) != len(listed):
        raise CorpusError(
            f"{path} has shape {log_mel.shape}, but tracks.csv has {len(listed)} rows; the shape "
            "must be (tracks, frames, mels)."
        )
    rows = pd.Index(listed).get_indexer(list(track_ids))
    if (rows < 0).any():
        raise CorpusError(f"{folder} has changed: it lacks tracks that were there. Run 01 again.")
    return log_mel[rows]
