"""TODO data.composer.collection."""

import csv
import sys
from functools import cache
from pathlib import Path

from genre_utils.data.composer import artists, rendering
from genre_utils.workspace import evidence, files

GENERATOR_VERSION = "1"


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


def clear_other_corpus(folder, found):
    """Remove the tracks of a corpus that was composed here with other settings."""
    others = [p for p in folder.iterdir() if p.name[0] != "."] if folder.exists() else []
    if others and "generator" not in found:
        raise FileExistsError(
            f"{folder} holds files that are no composed corpus; choose an empty folder"
        )
    if (folder / "tracks.csv").exists():
        files.write_json(folder / "corpus.json", {**found, "complete": False})
        for path in listed_paths(folder):
            path.unlink(missing_ok=True)


def listed_paths(folder):
    """Paths of the tracks in ``tracks.csv``, in its order."""
    with (folder / "tracks.csv").open(newline="", encoding="utf-8") as handle:
        return [folder / row["path"] for row in csv.DictReader(handle)]


def missing_tracks(plan, folder):
    """Tracks of a plan that the folder does not hold."""
    return [track for track in plan if not (folder / f"{track.track_id}.flac").exists()]


def compose_corpus(
    folder,
    *,
    genres=artists.DEFAULT_GENRES,
    artists_per_genre=20,
    tracks_per_artist=5,
    seed=0,
    seconds=30.0,
    n_jobs=-1,
    progress=True,
):
    """Compose the corpus into a folder, or complete it, or find it complete.

    Writes ``GENRE/ARTIST-SLUG_NN.flac`` (22,050 Hz, mono, 16 bit), ``tracks.csv`` (track_id, path,
    genre, artist) and ``corpus.json`` (generator, settings, whether it is complete).

    Parameters
    ----------
    folder : str or Path
        Where; it is made if need be.
    genres : sequence of str
        Genres of ``pieces.GENRES``.
    artists_per_genre, tracks_per_artist : int
        Size of the corpus.
    seed : int, default=0
        Another seed is another corpus.
    seconds : float, default=30.0
        Length of each track.
    n_jobs : int, default=-1
        Processes; -1 uses every core. The result does not depend on it.
    progress : bool, default=True
        Whether to show a message and a progress bar on stderr.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModuleNotFoundError
        If tracks are missing and tinysoundfont is not installed.
    FileExistsError
        If the folder holds something else.
    """
    folder = Path(folder)
    settings = {
        "genres": list(genres),
        "artists_per_genre": artists_per_genre,
        "tracks_per_artist": tracks_per_artist,
        "seed": seed,
    }
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
    with (
        files.atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as handle,
    ):
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["track_id", "path", "genre", "artist"])
        for track in plan:
            artist = track.artist
            writer.writerow([track.track_id, f"{track.track_id}.flac", artist.genre, artist.name])


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


def corpus_fingerprint(folder):
    """Hash of the decoded samples of every track, in the order of ``tracks.csv``."""
    import soundfile

    paths = listed_paths(Path(folder))
    return files.sha256(*[soundfile.read(path, dtype="int16")[0] for path in paths])
