"""Corpora by name: where each lies, which tracks it has, and how a study describes it."""

from pathlib import Path

import pandas as pd

from genre_utils.data import (
    checks,
    composer,
    downloads,
    fma,
    folders,
    gtzan,
    parquet,
    splits,
    track_lists,
)
from genre_utils.data.track_lists import CorpusError
from genre_utils.features import tags
from genre_utils.workspace import files

CORPORA = ("synthetic", "folder", "gtzan", "gtzan-mini", "fma", "spectrograms", "store")
GTZAN_MINI_BANNER = (
    "A check of the pipeline. The 100-track mini GTZAN has one artist in several of its genres, so "
    "tracks of one artist stand on both sides of every split: its accuracies mean nothing."
)


def locate(
    corpus: str, corpus_dir: str | Path, *, subset: str = "medium", download: bool = False
) -> Path:
    """Find the folder of a corpus.

    Parameters
    ----------
    corpus : str
        One of `CORPORA`.
    corpus_dir : str or Path
        A folder, archive or folder of parquet files, absolute or in the data folder; where empty,
        named like the corpus.
    subset : {"small", "medium", "large", "full"}
        Of ``fma``.
    download : bool
        Whether ``gtzan`` and ``fma`` may be downloaded when they are not there.

    Returns
    -------
    Path
        A folder that exists.

    Raises
    ------
    CorpusError
        If the corpus is unknown or not there.
    """
    if corpus not in CORPORA:
        raise CorpusError(f"unknown CORPUS {corpus!r}; choose one of {', '.join(CORPORA)}.")
    if corpus == "gtzan":
        return gtzan.locate(corpus_dir, download=download)
    if corpus == "fma":
        return fma.locate(corpus_dir, subset, download=download)
    path = files.data_folder() / files.typed(corpus_dir)
    if not corpus_dir or not path.exists():
        raise CorpusError(
            f"CORPUS_DIR {str(corpus_dir)!r} was not found: there is no {path}. Put the music "
            f"there, give an absolute path, or set GENRE_DATA_DIR to the folder that holds it."
        )
    if corpus == "folder" and parquet.files_of(path):
        return parquet.unpacked(path)
    return downloads.unpacked(path) if path.is_file() else path


def find_tracks(corpus: str, folder: Path, *, subset: str = "medium") -> pd.DataFrame:
    """List the candidate tracks of a corpus, before anything is decoded.

    Parameters
    ----------
    corpus : str
        One of `CORPORA`.
    folder : Path
        From `locate` or `compose`.
    subset : {"small", "medium", "large", "full"}
        Of ``fma``.

    Returns
    -------
    pd.DataFrame
        Columns track_id, path (within `folder`; empty for spectrograms), genre, artist
        (``unknown:TRACK_ID`` where it is not known), title, album, split, fault (published; these
        four may be empty) and, if a list has it, group. ``attrs`` tell what is wrong with files and
        list, see `track_lists.with_list`.

    Raises
    ------
    CorpusError
        If there is no music, or its list cannot be read.
    """
    if corpus in ("spectrograms", "store"):
        tracks = track_lists.read(folder / "tracks.csv", "track_id", "genre").assign(path="")
    elif corpus == "gtzan":
        tracks = gtzan.find(folder)
    elif corpus == "fma":
        tracks = fma.find(folder, subset)
    else:
        root = folders.genre_root(folder)
        tracks = folders.find_files(root, folder)
        known = folders.listed_beside(tracks, root, folder)
        tracks = tracks if known is None else known
    columns = ["track_id", "path", "genre", "artist", "title", "album", "split", "fault"]
    columns += tracks.columns.intersection(["group"]).to_list()
    told, tracks = tracks.attrs, tracks.reindex(columns=columns, fill_value="")
    for column in columns[3:]:
        tracks[column] = tracks[column].fillna("").astype(str).str.strip().str.normalize("NFC")
    nobody = tracks["artist"] == ""
    if corpus != "fma":  # whose table is complete: an artist there is really called NA
        nobody = tracks["artist"].map(tags.is_nobody)
    tracks["artist"] = tracks["artist"].mask(nobody, "unknown:" + tracks["track_id"])
    merged = _merge_spellings(tracks)
    tracks.attrs = told | {"warnings": [*told.get("warnings", []), *merged]}
    return tracks


def _merge_spellings(tracks):
    """Give a genre that is spelled in several ways that of most files, in place; say which."""
    said = []
    for _, rows in tracks.groupby(tracks["genre"].map(checks.spelling)):
        counts = rows["genre"].value_counts()
        if len(counts) > 1:
            ways = ", ".join(f"'{genre}' ({count} files)" for genre, count in counts.items())
            tracks.loc[rows.index, "genre"] = counts.index[0]
            said.append(
                f"Taken as one genre, '{counts.index[0]}': {ways}. If they are not the same, give "
                "them names that differ in more than case, blanks and accents."
            )
    return said


def describe(
    tracks: pd.DataFrame,
    folds: pd.DataFrame,
    genres: list[str],
    *,
    corpus: str,
    group_by: str,
    protocol: str = "cv",
    title: str = "",
    warnings: list[str],
) -> dict:
    """Describe a corpus as a study keeps it.

    Parameters
    ----------
    tracks, folds : pd.DataFrame
        All that were audited, and what `split` made of those that are used.
    genres : list of str
        Those that are studied.
    corpus, group_by, protocol : str
        As `find_tracks` and `split` were given them.
    title : str
        What the music is called in reports; without one, they say what kind of corpus it is.
    warnings : list of str
        From `check`; those of the folds and of the corpus are added.

    Returns
    -------
    dict
        The content of the study's ``corpus.json``.
    """
    used = tracks[tracks["status"] == "used"]
    content = used.sort_values("track_id")[["track_id", "md5", "genre", "artist", "split"]]
    synthetic = corpus == "synthetic"
    warnings = warnings + (gtzan.missing_lists(used) if corpus == "gtzan" else [])
    return {
        "name": "spectrograms" if corpus == "store" else corpus,
        "title": title,
        "synthetic": synthetic,
        "tracks": len(used),
        "artists": int(used["artist"].nunique()),
        "genres": genres,
        "sha256": files.sha256(content.to_csv(index=False), genres),
        "group_by": group_by,
        "set_aside": int((tracks["status"] != "used").sum()),
        "banner": GTZAN_MINI_BANNER if corpus == "gtzan-mini" else None,
        "protocol": protocol,
        "folds": int(folds["fold"].nunique()),
        "warnings": warnings + splits.fold_warnings(folds, used),
        "version": composer.GENERATOR_VERSION if synthetic else None,
    }
