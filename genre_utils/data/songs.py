"""Songs as people know them: artist, album and title, and which are by or on the same."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from genre_utils.data import artists, folders
from genre_utils.features import tags


def told(paths: Sequence[str], folder: str, within: Sequence[str]) -> pd.DataFrame:
    """What is told of some files: path, seconds (-1 if unknown), artist, album, title (or empty).

    Their tags say so, and of artists, before them, a ``tracks.csv`` in the folder that the files
    `within` lie in. Raises CorpusError if that list cannot be read.
    """
    bar = tqdm(paths, desc="tags", unit="file")
    songs = pd.DataFrame([{"path": path} | tags.song(path) for path in bar])
    inside = {path: Path(os.path.relpath(path, folder)).as_posix() for path in [*within, *paths]}
    listed = pd.DataFrame({"path": [inside[path] for path in within]})
    listed = folders.listed_beside(listed, Path(folder), Path(folder))
    if listed is not None and "artist" in listed:
        named = songs["path"].map(inside).map(listed.set_index("path")["artist"]).fillna("")
        songs["artist"] = songs["artist"].where(named.map(tags.is_nobody), named)
    return songs


def labels(songs: pd.DataFrame) -> np.ndarray:
    """Artists, tied as for splits, and albums in their folders, (songs, 2); unknown ones differ."""
    nobody = pd.Series([f"unknown:{row}" for row in range(len(songs))], songs.index)
    artist = songs["artist"].mask(songs["artist"] == "", nobody)
    groups = artists.groups_of(pd.DataFrame({"track_id": nobody, "artist": artist}), "artist")
    album = songs["path"].map(os.path.dirname) + "/" + songs["album"]
    return np.column_stack([groups, album.mask(songs["album"] == "", nobody)])
