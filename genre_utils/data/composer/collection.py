"""The folder of a composed corpus: written track by track, completed, mended, or replaced."""

import shutil
import sys
from functools import cache
from pathlib import Path

import pandas as pd

from genre_utils.data.composer import artists, pieces, rendering
from genre_utils.data.track_lists import CorpusError
from genre_utils.workspace import evidence, files

GENERATOR_VERSION = "1"  #: of the rules by which music is composed


def write_track(track, folder, seconds):
    """Write one track as FLAC unless it is there."""
    import soundfile

    path = Path(folder) / f"{track.track_id}.flac"
    if not path.exists():
        y, sample_rate = rendering.perform_track(track, seconds)
        with files.atomic_write(path) as temporary:
            soundfile.write(temporary, y, sample_rate, subtype="PCM_16", format="FLAC")


@cache
def generator_hash():
    """Hash of everything that shapes the corpus: this source, the composer's, the soundfont."""
    return files.sha256(evidence.code("composed corpus"), rendering.soundfont_path().read_bytes())


def check_settings(genres, artists_per_genre, tracks_per_artist, seed):
    """Refuse what cannot be composed."""
    unknown = [genre for genre in genres if genre not in pieces.GENRES]
    if unknown:
        raise CorpusError(
            f"unknown genre(s) {', '.join(map(repr, unknown))} in GENRES; music can be composed "
            f"in {', '.join(pieces.GENRES)}."
        )
    if min(artists_per_genre, tracks_per_artist) < 1:
        size = f"ARTISTS_PER_GENRE is {artists_per_genre} and TRACKS_PER_ARTIST {tracks_per_artist}"
        raise CorpusError(f"{size}: nothing would be composed.")


def drop_altered(folder):
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


def clear_other_corpus(folder, found):
    """Remove the tracks of a corpus that was composed here with other settings."""
    others = [p for p in folder.iterdir() if p.name[0] != "."] if folder.exists() else []
    if others and "generator" not in found:
        raise FileExistsError(
            f"{folder} holds files that are no composed corpus; choose an empty folder"
        )
    if (folder / "tracks.csv").exists():
        files.write_json(folder / "corpus.json", {**found, "complete": False})
        for path in pd.read_csv(folder / "tracks.csv")["path"]:
            (folder / path).unlink(missing_ok=True)


def missing_tracks(plan, folder):
    """Tracks of a plan that the folder does not hold."""
    return [track for track in plan if not (folder / f"{track.track_id}.flac").exists()]


def compose_corpus(
    folder=None,
    *,
    genres=(),
    artists_per_genre=20,
    tracks_per_artist=5,
    seed=0,
    seconds=30.0,
    n_jobs=-1,
    progress=True,
):
    """Compose the corpus into a folder, or complete it, or find it complete.

    Writes ``GENRE/ARTIST-SLUG_NN.flac`` (22,050 Hz, mono, 16 bit), ``tracks.csv``, ``corpus.json``.

    Parameters
    ----------
    folder : str or Path, optional
        Where; by default in the cache, under a name made of the settings.
    genres : sequence of str
        Genres of `GENRES`; all of them when empty.
    artists_per_genre, tracks_per_artist, seed : int
        Size of the corpus; another seed is another corpus.
    seconds : float
        Length of each track.
    n_jobs : int
        Processes; -1 uses every core. The result does not depend on it.
    progress : bool
        Whether to show a message and a progress bar on stderr.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CorpusError
        If a genre cannot be composed, or there would be nothing in it.
    ModuleNotFoundError
        If tracks are missing and tinysoundfont is not installed.
    FileExistsError
        If the folder holds something else.
    """
    settings = {
        "genres": list(genres) or list(pieces.GENRES),
        "artists_per_genre": artists_per_genre,
        "tracks_per_artist": tracks_per_artist,
        "seed": seed,
    }
    check_settings(**settings)
    if folder is None:
        key = files.sha256(settings | {"seconds": seconds})[:8]
        name = f"{artists_per_genre}x{tracks_per_artist}-{key}"
        folder = files.cache_folder() / "synthetic" / name
    folder = Path(folder)
    drop_altered(folder)
    about = {
        "name": "synthetic",
        "synthetic": True,
        "generator": {"version": GENERATOR_VERSION, "sha256": generator_hash()},
        "settings": {**settings, "seconds": float(seconds)},
    }
    found = files.read_json(folder / "corpus.json") if (folder / "corpus.json").exists() else {}
    plan = artists.track_plan(**settings)
    if found == {**about, "complete": True} and not missing_tracks(plan, folder):
        return folder
    rendering.load_synth()
    if {**found, "complete": True} != {**about, "complete": True}:
        clear_other_corpus(folder, found)
    files.write_json(folder / "corpus.json", {**about, "complete": False})
    write_track_table(folder / "tracks.csv", plan)
    write_tracks(plan, folder, seconds, n_jobs, progress)
    files.write_json(folder / "corpus.json", {**about, "complete": True})
    return folder


def write_track_table(path, plan):
    """Write which tracks there are and whose they are."""
    rows = [(t.track_id, f"{t.track_id}.flac", t.artist.genre, t.artist.name) for t in plan]
    table = pd.DataFrame(rows, columns=["track_id", "path", "genre", "artist"])
    with files.atomic_write(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def write_tracks(plan, folder, seconds, n_jobs, progress):
    """Write the tracks that are missing, in parallel."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    missing = missing_tracks(plan, folder)
    if progress:
        print(f"Composing {len(missing)} of {len(plan)} tracks into {folder}", file=sys.stderr)
    work = (delayed(write_track)(track, folder, seconds) for track in missing)
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(work)
    for _ in tqdm(done, total=len(missing), unit="track", disable=not progress):
        pass
