"""Find, verify and describe tracks: one track table, whatever the music comes from."""

import hashlib
import os
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from genre_utils import audio, files, splits

CORPORA = ("synthetic", "folder", "gtzan-mini", "store")
COMPANIONS = {".csv", ".json", ".txt", ".md", ".jpg", ".jpeg", ".png", ".gif", ".pdf", ".m3u"}
COMPANIONS |= {".m3u8", ".cue", ".log", ".nfo", ".ini", ".db", ".xml"}  # files beside the music
MIN_ARTISTS = 3  # per genre: one to test, one to validate, one to train
GTZAN_MINI_BANNER = (
    "A check of the pipeline. The 100-track mini GTZAN has one artist in several of its genres, so "
    "tracks of one artist stand on both sides of every split: its accuracies mean nothing."
)


class CorpusError(ValueError):
    """The corpus cannot be studied as asked; the message says why and what to do."""


# ---------------------------------------------------------------------------- finding


def locate(corpus: str, corpus_dir: str | Path) -> Path:
    """Folder of a corpus, which exists.

    Parameters
    ----------
    corpus : str
        One of `CORPORA`.
    corpus_dir : str or Path
        Absolute, or relative to ``$GENRE_DATA_DIR`` (by default ``data/``). For ``gtzan-mini`` it
        may name a ``.tar.gz`` or ``.zip`` archive, which is unpacked once into the cache.

    Raises
    ------
    CorpusError
        If the corpus is unknown or the folder is not there.
    """
    if corpus not in CORPORA:
        raise CorpusError(f"unknown CORPUS {corpus!r}; choose one of {', '.join(CORPORA)}.")
    path = files.data_folder() / Path(corpus_dir).expanduser()
    if not corpus_dir or not path.exists():
        raise CorpusError(
            f"CORPUS_DIR {str(corpus_dir)!r} was not found: there is no {path}. Put the music "
            f"there, give an absolute path, or set GENRE_DATA_DIR to the folder that holds it."
        )
    return _unpacked(path) if path.is_file() else path


def compose(
    genres: list[str], *, artists_per_genre: int, tracks_per_artist: int, seconds: float, seed: int
) -> Path:
    """Compose the embedded corpus into the cache, once, and return its folder.

    Parameters
    ----------
    genres : list of str
        Genres of the composer; all its default ones when empty.
    artists_per_genre, tracks_per_artist : int
    seconds : float
        Duration of a track in seconds.
    seed : int

    Raises
    ------
    CorpusError
        If a genre cannot be composed or there would be too few artists to split.
    """
    from genre_utils import composer, synthetic

    chosen = list(genres) or list(synthetic.DEFAULT_GENRES)
    unknown = [genre for genre in chosen if genre not in composer.GENRES]
    if unknown:
        raise CorpusError(
            f"unknown genre(s) {', '.join(map(repr, unknown))} in GENRES; music can be composed "
            f"in {', '.join(composer.GENRES)}."
        )
    if artists_per_genre < MIN_ARTISTS or tracks_per_artist < 1:
        raise CorpusError(
            f"ARTISTS_PER_GENRE is {artists_per_genre}, at least {MIN_ARTISTS} are needed (one to "
            f"train on, one to validate, one to test); TRACKS_PER_ARTIST is {tracks_per_artist}."
        )
    settings = {
        "genres": chosen,
        "artists_per_genre": artists_per_genre,
        "tracks_per_artist": tracks_per_artist,
        "seconds": seconds,
        "seed": seed,
    }
    name = f"{artists_per_genre}x{tracks_per_artist}-{files.sha256(settings)[:8]}"
    return synthetic.compose_corpus(files.cache_folder() / "synthetic" / name, **settings)


def _unpacked(archive):
    """Folder with the content of an archive, unpacked once; unsafe members are refused."""
    target = files.cache_folder() / "archives" / files.file_md5(archive)
    if target.exists():
        return target
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    print(f"Unpacking {archive.name} (once; about a minute for 1 GB).")
    try:
        if archive.suffix == ".zip":
            shutil.unpack_archive(archive, partial, "zip")
        else:
            shutil.unpack_archive(archive, partial, filter="data")
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise CorpusError(f"{archive} is not an archive that can be unpacked: {error}") from error
    partial.replace(target)
    return target


def find_tracks(corpus: str, folder: Path) -> pd.DataFrame:
    """List the candidate tracks of a corpus, before anything is decoded.

    Returns
    -------
    pd.DataFrame
        track_id, path (relative to `folder`; empty for a store), genre, artist
        (``unknown:TRACK_ID`` where it is not known), split (empty where there is none).
    """
    if corpus == "store":
        tracks = _listed(folder / "tracks.csv", needed=("track_id", "genre")).assign(path="")
    else:
        root = _genre_root(folder)
        tracks = _found(root, folder)
        for csv in {folder / "tracks.csv": None, root.parent / "tracks.csv": None}:
            if csv.exists() and csv.is_relative_to(folder):
                tracks = _with_artists(tracks, csv, folder)
                break
    for column in ("artist", "split"):
        if column not in tracks:
            tracks[column] = ""
        tracks[column] = tracks[column].fillna("").astype(str).str.strip()
    unknown = tracks["artist"] == ""
    tracks.loc[unknown, "artist"] = "unknown:" + tracks.loc[unknown, "track_id"]
    return tracks[["track_id", "path", "genre", "artist", "split"]]


def _with_artists(tracks, csv, folder):
    """Tracks with the artist and split that a table beside them gives."""
    known = _listed(csv, needed=("path",))
    inside = csv.parent.relative_to(folder)
    known["path"] = [(inside / path.replace("\\", "/")).as_posix() for path in known["path"]]
    if not known["path"].isin(tracks["path"]).any():
        raise CorpusError(
            f"none of the paths in {csv} is a file of this corpus: it says "
            f"{known['path'].iloc[0]!r}, and the first file is {tracks['path'].iloc[0]!r}. "
            "Write them relative to the folder of tracks.csv."
        )
    columns = [c for c in ("artist", "split") if c in known]
    return tracks.merge(known[["path", *columns]], on="path", how="left")


def _listed(csv, needed):
    if not csv.exists():
        raise CorpusError(f"{csv} is missing; it must list the tracks ({', '.join(needed)}, ...).")
    try:
        table = pd.read_csv(csv, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise CorpusError(f"{csv} cannot be read as UTF-8 text with commas: {error}") from error
    absent = [column for column in needed if column not in table]
    if absent:
        raise CorpusError(f"{csv} lacks the column(s) {', '.join(absent)}.")
    repeated = table[needed[0]][table[needed[0]].duplicated()].unique()
    if len(repeated):
        raise CorpusError(f"{csv} lists {needed[0]} {repeated[0]!r} more than once.")
    return table


def _genre_root(folder):
    """Folder whose subfolders are the genres: `folder`, or GTZAN's ``genres*`` within it."""
    for name in ("genres", "genres_original"):
        for candidate in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if candidate.is_dir():
                return candidate
    return folder


def _found(root, folder):
    """Every file of each genre's folder that is not hidden and no companion such as a cover."""
    rows = []
    for genre in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in sorted(genre.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            broken = path.is_symlink() and not path.exists()
            if (path.is_file() or broken) and not hidden and path.suffix.lower() not in COMPANIONS:
                row = [path.relative_to(base).as_posix() for base in (root, folder)] + [genre.name]
                rows.append([name.encode(errors="backslashreplace").decode() for name in row])
    if not rows:
        raise CorpusError(
            f"no music found: {root} should hold one folder per genre, GENRE/clip.wav (or FLAC, "
            "OGG, MP3, AU, AIFF)."
        )
    return pd.DataFrame(rows, columns=["track_id", "path", "genre"])


def choose_genres(tracks: pd.DataFrame, genres: list[str]) -> list[str]:
    """Genres to study, in order: `genres`, or all that there are when it is empty.

    Raises
    ------
    CorpusError
        If a genre is unknown, named twice, or the only one.
    """
    present = sorted(tracks["genre"].unique())
    chosen = list(genres) or present
    unknown = [genre for genre in chosen if genre not in present]
    if unknown:
        raise CorpusError(
            f"unknown genre(s) {', '.join(map(repr, unknown))} in GENRES; this corpus has "
            f"{', '.join(present)}."
        )
    if len(set(chosen)) < len(chosen):
        raise CorpusError(f"GENRES names a genre twice: {', '.join(chosen)}.")
    if len(chosen) < 2:
        raise CorpusError(
            f"only one genre ({', '.join(chosen)}): recognition needs at least two to choose from."
        )
    return chosen


# ---------------------------------------------------------------------------- verifying


def audit(tracks: pd.DataFrame, folder: Path, *, min_seconds: float, n_jobs: int = -1):
    """Decode every file of a corpus and set aside what cannot be used, with the reason.

    Parameters
    ----------
    tracks : pd.DataFrame
        From `find_tracks`.
    folder : Path
        Folder that the paths are relative to.
    min_seconds : float
        Shortest usable duration in seconds.
    n_jobs : int
        Processes that decode at the same time; -1 for one per core.

    Returns
    -------
    pd.DataFrame
        `tracks` with duration_s, md5 (of the file), status (``used`` or ``set aside``), reason.
    """
    paths = [folder / path for path in tracks["path"]]
    tasks = (joblib.delayed(_examine_and_hash)(path, min_seconds) for path in paths)
    results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    examined = list(tqdm(results, total=len(paths), desc="audit", unit="file", mininterval=0.5))
    table = tracks.reset_index(drop=True).join(pd.DataFrame(examined))
    return _without_duplicates(table)


def _examine_and_hash(path, min_seconds):
    result = audio.examine(path, min_seconds=min_seconds)
    if not os.path.lexists(path):  # `_found` saw it: its name holds bytes that are not UTF-8
        result = result._replace(reason="cannot be read: its name is not UTF-8, rename it")
    readable = result.audio_md5 or not result.reason.startswith("cannot be read")
    return {**result._asdict(), "md5": files.file_md5(path) if readable else ""}


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
        raise CorpusError(f"{path} cannot be read as an array: {error}") from error
    listed = _listed(folder / "tracks.csv", needed=("track_id", "genre"))["track_id"]
    if log_mel.ndim != 3 or log_mel.size == 0 or len(log_mel) != len(listed):
        raise CorpusError(
            f"{path} has shape {log_mel.shape}, but tracks.csv has {len(listed)} rows; the shape "
            "must be (tracks, frames, mels)."
        )
    rows = pd.Index(listed).get_indexer(list(track_ids))
    if (rows < 0).any():
        raise CorpusError(f"{folder} has changed: it lacks tracks that were there. Run 01 again.")
    return log_mel[rows]


def audit_store(tracks: pd.DataFrame, log_mel: np.ndarray, *, clip_seconds: float) -> pd.DataFrame:
    """Check every array of a store, as `audit` does for files.

    Parameters
    ----------
    tracks : pd.DataFrame
        From `find_tracks`.
    log_mel : np.ndarray, shape (tracks, frames, mels)
        From `load_arrays`, in the order of `tracks`.
    clip_seconds : float
        Duration that the frames of a track span, in seconds.
    """
    rows = [_examine_array(array) for array in log_mel]
    table = tracks.reset_index(drop=True).join(pd.DataFrame(rows))
    return _without_duplicates(table.assign(duration_s=float(clip_seconds)))


def _examine_array(array):
    md5 = hashlib.md5(array.tobytes()).hexdigest()
    if not np.isfinite(array).all():
        reason = "holds values that are not finite numbers"
    elif array.max() == array.min():
        reason = "silent: every value is the same"
    else:
        reason = ""
    return {"audio_md5": md5, "md5": md5, "reason": reason}


def _without_duplicates(table):
    """Set aside every later copy of the same sound, and both when their genres disagree."""
    usable = table[table["reason"] == ""]
    for _, copies in usable.groupby("audio_md5", sort=False):
        first, *others = copies.index
        if len(set(copies["genre"])) > 1:
            genres = ", ".join(copies["genre"])
            table.loc[copies.index, "reason"] = f"duplicate under different genres ({genres})"
        elif others:
            table.loc[others, "reason"] = f"duplicate of {table.loc[first, 'track_id']}"
    table["status"] = np.where(table["reason"] == "", "used", "set aside")
    columns = ["track_id", "path", "genre", "artist", "duration_s", "md5", "status", "reason"]
    return table[[*columns, "split"]]


# ---------------------------------------------------------------------------- describing


def check(tracks: pd.DataFrame, genres: list[str], *, group_by: str, folds: int) -> list[str]:
    """Refuse a corpus that cannot be studied; return what the report must warn of.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used, of the chosen genres.
    genres : list of str
        From `choose_genres`.
    group_by : {"artist", "track"}
        What must never stand on both sides of a split.
    folds : int
        Folds of the cross-validation.

    Raises
    ------
    CorpusError
        Under two folds, an unknown `group_by`, or a genre with under three artists (tracks).
    """
    if folds < 2:
        raise CorpusError(f"FOLDS is {folds}; cross-validation needs at least 2.")
    if group_by not in ("artist", "track"):
        raise CorpusError(f"GROUP_BY is {group_by!r}; choose 'artist' or 'track'.")
    groups = splits.groups_of(tracks, group_by)
    per_genre = groups.groupby(tracks["genre"].to_numpy()).nunique().reindex(genres, fill_value=0)
    needed = MIN_ARTISTS + (folds == 2)  # of three, half-and-half folds can test two at once
    few = per_genre[per_genre < needed]
    if len(few):
        shown = ", ".join(f"{genre} has {count}" for genre, count in few.items())
        advice = " or group by track (GROUP_BY: track), which is optimistic" * (
            group_by == "artist"
        )
        raise CorpusError(
            f"under {needed} {group_by}s in a genre: {shown}. Each genre needs one to train "
            f"on, one to validate and one to test: add music{advice}."
        )
    return _warnings(tracks, per_genre, group_by, folds)


def _warnings(tracks, per_genre, group_by, folds):
    warnings = []
    if group_by == "track":
        warnings.append(
            "Split by track, not by artist: songs of one artist stand on both sides of the split, "
            "so these accuracies are optimistic."
        )
    short = per_genre[per_genre < folds]
    if len(short):
        shown = ", ".join(f"{genre} ({count})" for genre, count in short.items())
        warnings.append(f"Fewer {group_by}s than the {folds} folds: {shown}.")
    unknown = tracks["artist"].str.startswith("unknown:")
    if group_by == "artist" and unknown.all():
        warnings.append(
            "No artist is known, so each track is its own group and the split is one by track: "
            "these accuracies are optimistic. List the artists in tracks.csv."
        )
    return warnings


def describe(tracks: pd.DataFrame, genres: list[str], *, corpus: str, group_by: str) -> dict:
    """Describe a corpus as `corpus.json` keeps it (tracks, artists, genres, hash, banner)."""
    used = tracks[tracks["status"] == "used"]
    content = used.sort_values("track_id")[["track_id", "md5", "genre", "artist", "split"]]
    return {
        "name": corpus,
        "synthetic": corpus == "synthetic",
        "tracks": len(used),
        "artists": int(used["artist"].nunique()),
        "genres": genres,
        "sha256": files.sha256(content.to_csv(index=False), genres),
        "group_by": group_by,
        "set_aside": int((tracks["status"] != "used").sum()),
        "banner": GTZAN_MINI_BANNER if corpus == "gtzan-mini" else None,
    }
