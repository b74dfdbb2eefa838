"""Find, verify and describe tracks: one track table, whatever the music comes from."""

import hashlib
import shutil
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils import audio, files, fingerprint, parallel

CORPORA = ("synthetic", "folder", "gtzan", "gtzan-mini", "fma", "store")
COMPANIONS = {".csv", ".json", ".txt", ".md", ".jpg", ".jpeg", ".png", ".gif", ".pdf", ".m3u"}
COMPANIONS |= {".m3u8", ".cue", ".log", ".nfo", ".ini", ".db", ".xml"}  # files beside the music
MAX_UNPACKED = 50 << 30  # bytes that the archive of a corpus may unpack to
MIN_ARTISTS = 3  # per genre: one to test, one to validate, one to train
GTZAN_MINI_BANNER = (
    "A check of the pipeline. The 100-track mini GTZAN has one artist in several of its genres, so "
    "tracks of one artist stand on both sides of every split: its accuracies mean nothing."
)


class CorpusError(ValueError):
    """The corpus cannot be studied as asked; the message says why and what to do."""


# ---------------------------------------------------------------------------- finding


def locate(
    corpus: str, corpus_dir: str | Path, *, subset: str = "medium", download: bool = False
) -> Path:
    """Folder of a corpus, which exists.

    Parameters
    ----------
    corpus : str
        One of `CORPORA`.
    corpus_dir : str or Path
        Absolute, or relative to ``$GENRE_DATA_DIR`` (by default ``data/``). For ``gtzan`` and
        ``gtzan-mini`` it may name a ``.tar.gz`` or ``.zip`` archive, which is unpacked once into
        the cache. Where it is empty, ``gtzan`` and ``fma`` are looked for under their names.
    subset : {"small", "medium", "large", "full"}
        Of ``fma``.
    download : bool
        Whether ``gtzan`` and ``fma`` may be downloaded when they are not there.

    Raises
    ------
    CorpusError
        If the corpus is unknown or the folder is not there.
    """
    if corpus not in CORPORA:
        raise CorpusError(f"unknown CORPUS {corpus!r}; choose one of {', '.join(CORPORA)}.")
    from genre_utils import fma, gtzan  # they build on this module

    if corpus == "gtzan":
        return gtzan.locate(corpus_dir, download=download)
    if corpus == "fma":
        return fma.locate(corpus_dir, subset, download=download)
    path = files.data_folder() / Path(corpus_dir).expanduser()
    if not corpus_dir or not path.exists():
        raise CorpusError(
            f"CORPUS_DIR {str(corpus_dir)!r} was not found: there is no {path}. Put the music "
            f"there, give an absolute path, or set GENRE_DATA_DIR to the folder that holds it."
        )
    return unpacked(path) if path.is_file() else path


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
    folder = files.cache_folder() / "synthetic" / name
    _mend(folder)
    return synthetic.compose_corpus(folder, **settings)


def _mend(folder):
    """Drop what is not as it was composed, so that it is composed again."""
    about, dropped = folder / "corpus.json", files.drop_altered(folder)
    if not about.exists():
        return
    try:
        known = files.read_json(about)
    except ValueError:  # nothing tells what the other files are
        shutil.rmtree(folder)
        return
    if dropped:
        files.write_json(about, known | {"complete": False})


def unpacked(archive: Path, *, max_bytes: int = MAX_UNPACKED) -> Path:
    """Folder in the cache with the content of an archive, unpacked once.

    Raises
    ------
    CorpusError
        If the archive is damaged, unsafe, or unpacks to more than `max_bytes`.
    """
    from genre_utils import fetch

    target = files.cache_folder() / "archives" / files.file_md5(archive)
    return fetch.unpack(archive, target, max_bytes=max_bytes)


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
        track_id, path (relative to `folder`; empty for a store), genre, artist
        (``unknown:TRACK_ID`` where it is not known), split (empty where there is none), fault
        (a published fault, for which a track is set aside without being decoded; mostly empty).
    """
    from genre_utils import fma, gtzan  # they build on this module

    if corpus == "store":
        tracks = _listed(folder / "tracks.csv", needed=("track_id", "genre")).assign(path="")
    elif corpus == "gtzan":
        tracks = gtzan.find(folder)
    elif corpus == "fma":
        tracks = fma.find(folder, subset)
    else:
        root = _genre_root(folder)
        tracks = find_files(root, folder)
        known = listed_beside(tracks, root, folder)
        tracks = tracks if known is None else known
    for column in ("artist", "split", "fault"):
        if column not in tracks:
            tracks[column] = ""
        tracks[column] = tracks[column].fillna("").astype(str).str.strip()
    unknown = tracks["artist"] == ""
    tracks.loc[unknown, "artist"] = "unknown:" + tracks.loc[unknown, "track_id"]
    return tracks[["track_id", "path", "genre", "artist", "split", "fault"]]


def listed_beside(tracks: pd.DataFrame, root: Path, folder: Path) -> pd.DataFrame | None:
    """Tracks with the artist and split of a ``tracks.csv`` beside them, None if there is none."""
    for csv in {folder / "tracks.csv": None, root.parent / "tracks.csv": None}:
        if csv.exists() and csv.is_relative_to(folder):
            return _with_artists(tracks, csv, folder)
    return None


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
        raise CorpusError(
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

    Artists that are not known are taken from the tags of the files. Of several copies of a
    recording, the first is used, whatever their encoding, level or start (`fingerprint`); copies
    whose genres disagree are all set aside.

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
    jobs = [
        (folder / path, min_seconds, fault)
        for path, fault in zip(tracks["path"], tracks["fault"], strict=True)
    ]
    examined = _examined(jobs, folder, n_jobs)
    fingerprints = [row.pop("fingerprint") for row in examined]
    table = tracks.reset_index(drop=True).join(pd.DataFrame(examined))
    tagged = table["artist"].str.startswith("unknown:") & (table["tagged"] != "")
    table.loc[tagged, "artist"] = table.loc[tagged, "tagged"]
    return _without_copies(table, fingerprints, fingerprint.HOP, fingerprint.MIN_SHARE)


def _examined(jobs, folder, n_jobs):
    """What `_examine_file` finds, job by job; a decoder that crashes takes no other file along."""
    settings = {"desc": "audit", "unit": "file", "folder": folder}
    rows = []
    while len(rows) < len(jobs):
        rest = jobs[len(rows) :]
        try:
            for row in parallel.over(_examine_file, rest, len(rest), n_jobs=n_jobs, **settings):
                rows.append(row)
        except BrokenProcessPool:  # by one of the files at work: look at the next one alone
            alone = jobs[len(rows) : len(rows) + 1]
            try:
                rows += list(parallel.over(_examine_file, alone, 1, n_jobs=2, **settings))
            except BrokenProcessPool:
                rows.append(_row(audio.Examination(0.0, "", "its decoder crashes on this file")))
    return rows


def _examine_file(path, min_seconds, fault):
    if fault:  # published: no need to decode it
        return _row(audio.Examination(0.0, "", fault))
    heard, rates = [], [0]

    def hear(block, sr):  # the start of the recording, mixed down
        rates[0] = sr
        if sum(map(len, heard)) < fingerprint.LONGEST * sr:
            with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is set aside
                heard.append(block.mean(axis=1))

    result = audio.examine(path, min_seconds=min_seconds, hear=hear)
    if not result.audio_md5 and result.reason.startswith("cannot be read"):
        return _row(result)
    md5 = files.file_md5(audio.on_disk(path))
    made = None if result.reason else _fingerprint(heard, rates[0], md5)
    return _row(result, md5=md5, tagged=audio.tagged_artist(path), fingerprint=made)


def _row(examination, *, md5="", tagged="", fingerprint=None):
    found = {"md5": md5, "tagged": tagged, "fingerprint": fingerprint}
    return {**examination._asdict(), **found}


def _fingerprint(heard, sr, md5):
    """Fingerprint of a file, computed once."""
    path = files.cache_folder() / "fingerprints" / fingerprint.VERSION / md5[:2] / f"{md5}.npy"
    if files.is_as_written(path):
        try:
            return np.load(path)
        except (OSError, ValueError, EOFError):
            pass  # not whole, and from before there were checksums: computed below
    made = fingerprint.of_audio(np.concatenate(heard), sr)
    with files.written_whole(path) as temporary:
        np.save(temporary, made)
    return made


def audit_report(found: pd.DataFrame, tracks: pd.DataFrame) -> dict:
    """What an audit says, as plain data: every file, the totals, and what a study would warn of.

    Parameters
    ----------
    found : pd.DataFrame
        From `find_tracks`.
    tracks : pd.DataFrame
        What `audit` made of it.

    Returns
    -------
    dict
        ``files`` (path, status, reason, duration_s, artist, genre, md5; artist is None where it
        is unknown), ``totals``, ``warnings``.
    """
    listed = ~found["artist"].str.startswith("unknown:").to_numpy()
    known = ~tracks["artist"].str.startswith("unknown:")
    used = tracks["status"] == "used"
    columns = ["path", "status", "reason", "duration_s", "genre", "md5"]
    rows = tracks[columns].assign(artist=tracks["artist"].astype(object).where(known, None))
    genres = {
        genre: {
            "tracks": len(of_genre),
            "artists": int(of_genre.loc[known[of_genre.index], "artist"].nunique()),
            "unknown": int((~known[of_genre.index]).sum()),
        }
        for genre, of_genre in tracks[used].groupby("genre")
    }
    totals = {
        "files": len(tracks),
        "used": int(used.sum()),
        "set_aside": int((~used).sum()),
        "near_duplicates": int(tracks["reason"].str.startswith("near-duplicate").sum()),
        "artist_from_list": int(listed.sum()),
        "artist_from_tags": int((known & ~listed).sum()),
        "artist_unknown": int((~known).sum()),
        "genres": genres,
    }
    warnings = _study_warnings(tracks[used])
    return {"files": rows.to_dict("records"), "totals": totals, "warnings": warnings}


def _study_warnings(used):
    if used.empty:
        return ["No file can be used."]
    try:
        return check(used, choose_genres(used, []), group_by="artist", folds=3)
    except CorpusError as error:
        return [f"A study would refuse this: {error}"]


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
    table["duration_s"] = float(clip_seconds)
    fingerprints = [fingerprint.of_log_mel(array) for array in log_mel]
    frame = clip_seconds / log_mel.shape[1]
    return _without_copies(table, fingerprints, frame, fingerprint.MEL_SHARE)


def _examine_array(array):
    md5 = hashlib.md5(array.tobytes()).hexdigest()
    if not np.isfinite(array).all():
        reason = "holds values that are not finite numbers"
    elif array.max() == array.min():
        reason = "silent: every value is the same"
    else:
        reason = ""
    return {"audio_md5": md5, "md5": md5, "reason": reason}


def _without_copies(table, fingerprints, step, least):
    """Set aside every later copy of a recording, and all copies when their genres disagree.

    `step` is the unit of the fingerprints' times in seconds, `least` as in `fingerprint.links`.
    """
    from scipy.cluster.hierarchy import DisjointSet  # slow to import: not in every worker

    usable = table.index[table["reason"] == ""]
    sounds = table.loc[usable].groupby("audio_md5", sort=False).indices.values()
    sounds = [usable[rows] for rows in sounds]  # those of one sound, sample by sample
    firsts = [rows[0] for rows in sounds]
    links = fingerprint.links([fingerprints[row] for row in firsts], least=least)
    copies = DisjointSet(usable)
    for one, *others in sounds:
        for other in others:
            copies.merge(one, other)
    for link in links.itertuples():
        copies.merge(firsts[link.first], firsts[link.second])
    for group in (sorted(rows) for rows in copies.subsets() if len(rows) > 1):
        genres = list(table.loc[group, "genre"])
        disagree = f" under different genres ({', '.join(genres)})" if len(set(genres)) > 1 else ""
        exact = len(set(table.loc[group, "audio_md5"])) == 1
        for row in group if disagree else group[1:]:
            if exact and disagree:
                original = "duplicate"
            else:
                original = _copied(row, group, table, fingerprints, step, least)
            table.loc[row, "reason"] = original + disagree
    table["status"] = np.where(table["reason"] == "", "used", "set aside")
    columns = ["track_id", "path", "genre", "artist", "duration_s", "md5", "status", "reason"]
    return table[[*columns, "split"]]


def _copied(row, group, table, fingerprints, step, least):
    """Say what a recording is a copy of: the same sound, or the first of its group that matches."""
    others = [other for other in group if other != row]
    same = [o for o in others if table.loc[o, "audio_md5"] == table.loc[row, "audio_md5"]]
    if same and same[0] < row:
        return f"duplicate of {table.loc[same[0], 'track_id']}"
    for other in others:
        found = fingerprint.compare(fingerprints[other], fingerprints[row])
        if fingerprint.are_copies(*found[:2], least):
            break
    landmarks, _, shift = found
    return (
        f"near-duplicate of {table.loc[other, 'track_id']} ({landmarks} matching landmarks, "
        f"shifted by {abs(shift) * step:.1f} s)"
    )


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
    from genre_utils import splits  # which imports scikit-learn: not in every worker

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
