"""Find, verify and describe tracks: one track table, whatever the music comes from."""

import shutil
from pathlib import Path

import pandas as pd

from genre_utils.data import checks, errors, folders
from genre_utils.workspace import files

CORPORA = ("synthetic", "folder", "gtzan", "gtzan-mini", "fma", "store")
GTZAN_MINI_BANNER = (
    "A check of the pipeline. The 100-track mini GTZAN has one artist in several of its genres, so "
    "tracks of one artist stand on both sides of every split: its accuracies mean nothing."
)


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
        raise errors.CorpusError(f"unknown CORPUS {corpus!r}; choose one of {', '.join(CORPORA)}.")
    from genre_utils.data import fma, gtzan  # they build on this module

    if corpus == "gtzan":
        return gtzan.locate(corpus_dir, download=download)
    if corpus == "fma":
        return fma.locate(corpus_dir, subset, download=download)
    path = files.data_folder() / Path(corpus_dir).expanduser()
    if not corpus_dir or not path.exists():
        raise errors.CorpusError(
            f"CORPUS_DIR {str(corpus_dir)!r} was not found: there is no {path}. Put the music "
            f"there, give an absolute path, or set GENRE_DATA_DIR to the folder that holds it."
        )
    return folders.unpacked(path) if path.is_file() else path


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
    from genre_utils.data.composer import artists, collection, pieces

    chosen = list(genres) or list(artists.DEFAULT_GENRES)
    unknown = [genre for genre in chosen if genre not in pieces.GENRES]
    if unknown:
        raise errors.CorpusError(
            f"unknown genre(s) {', '.join(map(repr, unknown))} in GENRES; music can be composed "
            f"in {', '.join(pieces.GENRES)}."
        )
    if artists_per_genre < checks.MIN_ARTISTS or tracks_per_artist < 1:
        raise errors.CorpusError(
            f"ARTISTS_PER_GENRE is {artists_per_genre}, at least {checks.MIN_ARTISTS} are needed "
            f"(one to train on, one to validate, one to test); "
            f"TRACKS_PER_ARTIST is {tracks_per_artist}."
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
    return collection.compose_corpus(folder, **settings)


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
    from genre_utils.data import fma, gtzan  # they build on this module

    if corpus == "store":
        tracks = folders.read_track_list(
            folder / "tracks.csv", needed=("track_id", "genre")
        ).assign(path="")
    elif corpus == "gtzan":
        tracks = gtzan.find(folder)
    elif corpus == "fma":
        tracks = fma.find(folder, subset)
    else:
        root = folders.genre_root(folder)
        tracks = folders.find_files(root, folder)
        known = folders.listed_beside(tracks, root, folder)
        tracks = tracks if known is None else known
    for column in ("artist", "split", "fault"):
        if column not in tracks:
            tracks[column] = ""
        tracks[column] = tracks[column].fillna("").astype(str).str.strip()
    unknown = tracks["artist"] == ""
    tracks.loc[unknown, "artist"] = "unknown:" + tracks.loc[unknown, "track_id"]
    return tracks[["track_id", "path", "genre", "artist", "split", "fault"]]


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
