"""What musicnn hears in the clips of a study: computed once for each, and cached by content."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from genre_utils.features import audio, patches, store
from genre_utils.workspace import evidence, files, parallel
from genre_utils.workspace.study_folder import StudyFolder


def embed_tracks(study: StudyFolder, *, how_many: int = 0, n_jobs: int = -1) -> pd.DataFrame:
    """Have musicnn listen to every clip of a study, and store what it hears there.

    Parameters
    ----------
    study : StudyFolder
        One of recordings, whose features were extracted.
    how_many : int
        How many patches of 3 s of each clip are heard, evenly spread; 0 for all.
    n_jobs : int
        Processes; -1 for one per core.

    Returns
    -------
    pd.DataFrame
        What each row of ``study.embedded`` is of: track_id, patch, start in seconds, and the key of
        all that decides it.
    """
    tracks, folder = study.tracks, Path(study.source["folder"])
    tracks, recipe = tracks[tracks["status"] == "used"], study.features["recipe"]
    settings = {key: recipe[key] for key in ("clip_seconds", "loudness")} | {"how_many": how_many}
    decides = settings, evidence.code("embedding"), patches.network_sha256()
    keys = [files.sha256(md5, *decides) for md5 in tracks["md5"]]
    made = tracks[["track_id"]].assign(key=keys).to_numpy().tolist()
    if study.has("embeddings"):
        there = study.embeddings
        if there[["track_id", "key"]].drop_duplicates().to_numpy().tolist() == made:
            return there
    jobs = (
        (track.track_id, folder / track.path, track.md5, settings, key)
        for track, key in zip(tracks.itertuples(), keys, strict=True)
    )
    found = parallel.over(
        _cached, jobs, len(keys), desc="musicnn", unit="clip", folder=folder, n_jobs=n_jobs
    )
    values, tables = [], []
    for (track_id, key), (own, starts) in zip(made, found, strict=True):
        values.append(own)
        rows = {"track_id": track_id, "patch": np.arange(len(starts)), "start": starts, "key": key}
        tables.append(pd.DataFrame(rows))
    study.place("embeddings").unlink(missing_ok=True)  # it would tell of other values
    with files.atomic_write(study.place("embedded")) as temporary:
        np.save(temporary, np.concatenate(values, dtype=np.float32))
    study.write(embeddings=pd.concat(tables, ignore_index=True))
    return study.embeddings


def _cached(track_id, path, md5, settings, key):
    """Values of the patches of one clip and where they start, from the cache or put there."""
    place = files.cache_folder() / "embeddings" / key[:2] / f"{key}.npz"
    try:
        with np.load(place, allow_pickle=False) as stored:
            return stored["values"], stored["starts"]
    except (OSError, EOFError, KeyError, ValueError, BadZipFile):
        pass  # not there, or not whole: computed below
    values, starts = _heard(track_id, path, md5, **settings)
    files.keep(place, lambda temporary: np.savez(temporary, values=values, starts=starts))
    return values, starts


def _heard(track_id, path, md5, clip_seconds, loudness, how_many):
    """Pooled values and embedding of the patches of one clip, and where each starts."""
    sr = patches.SAMPLE_RATE
    y, _ = store.checked_clip(track_id, path, md5, seconds=clip_seconds, sr=sr)
    power, starts = patches.cut(audio.normalise_loudness(y, sr, loudness), how_many)
    heard = patches.listen(power)
    return np.concatenate([heard["pooled"], heard["embedding"]], axis=1), starts
