"""Music in folders: the files of each genre, what a ``tracks.csv`` says of them, ready arrays."""

from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.features import decoding


class CorpusError(ValueError):
    """The corpus cannot be studied as asked; the message says why and what to do."""


def genre_root(folder: Path) -> Path:
    """Folder whose subfolders are the genres: `folder`, or GTZAN's ``genres*`` within it."""
    for name in ("genres", "genres_original"):
        for candidate in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if candidate.is_dir():
                return candidate
    return folder


def find_files(root: Path, folder: Path) -> pd.DataFrame:
    """Track_id (path within `root`), path (within `folder`), genre (its folder) of every file."""
    rows = []
    for genre in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in decoding.music_in(genre):
            row = [path.relative_to(base).as_posix() for base in (root, folder)] + [genre.name]
            rows.append([name.encode(errors="backslashreplace").decode() for name in row])
    if not rows:
        raise CorpusError(
            f"no music found: {root} should hold one folder per genre, GENRE/clip.wav (or FLAC, "
            "OGG, MP3, M4A: what libsndfile or ffmpeg decodes)."
        )
    return pd.DataFrame(rows, columns=["track_id", "path", "genre"])


def listed_beside(tracks: pd.DataFrame, root: Path, folder: Path) -> pd.DataFrame | None:
    """Tracks with the artist and split of a ``tracks.csv`` beside them, None if there is none."""
    for csv in {folder / "tracks.csv": None, root.parent / "tracks.csv": None}:
        if csv.exists() and csv.is_relative_to(folder):
            return _with_artists(tracks, csv, folder)
    return None


def _with_artists(tracks, csv, folder):
    known = read_track_list(csv, "path")
    inside = csv.parent.relative_to(folder)
    known["path"] = [(inside / path.replace("\\", "/")).as_posix() for path in known["path"]]
    if not known["path"].isin(tracks["path"]).any():
        raise CorpusError(
            f"none of the paths in {csv} is a file of this corpus: it says "
            f"{known['path'].iloc[0]!r}, and the first file is {tracks['path'].iloc[0]!r}. "
            "Write them relative to the folder of tracks.csv."
        )
    columns = [c for c in ("path", "artist", "split") if c in known]
    return tracks.merge(known[columns], on="path", how="left")


def read_track_list(csv: Path, *needed: str) -> pd.DataFrame:
    """Rows of a ``tracks.csv`` as text; refuses one that lacks a needed column."""
    if not csv.exists():
        raise CorpusError(f"{csv} is missing; it must list the tracks ({', '.join(needed)}, ...).")
    try:
        table = pd.read_csv(csv, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise CorpusError(f"{csv} cannot be read as UTF-8 text with commas: {error}") from error
    absent = [column for column in needed if column not in table]
    if absent:
        raise CorpusError(f"{csv} lacks the column(s) {', '.join(absent)}.")
    repeated = table[needed[0]][table[needed[0]].duplicated()]
    if len(repeated):
        raise CorpusError(f"{csv} lists {needed[0]} {repeated.iloc[0]!r} more than once.")
    return table


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
    listed = read_track_list(folder / "tracks.csv", "track_id", "genre")["track_id"]
    if log_mel.ndim != 3 or log_mel.size == 0 or len(log_mel) != len(listed):
        raise CorpusError(
            f"{path} has shape {log_mel.shape}, but tracks.csv has {len(listed)} rows; the shape "
            "must be (tracks, frames, mels)."
        )
    rows = pd.Index(listed).get_indexer(list(track_ids))
    if (rows < 0).any():
        raise CorpusError(f"{folder} has changed: it lacks tracks that were there. Run 01 again.")
    return log_mel[rows]
