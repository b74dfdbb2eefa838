"""The feature store of a study: computed in parallel, cached by content, written as it comes."""

from dataclasses import asdict
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from genre_utils import audio, augmentation, features, files


def extract(
    tracks: pd.DataFrame,
    folder: Path,
    study: Path,
    recipe: features.Recipe,
    *,
    copies: int = 0,
    seed: int = 0,
    n_jobs: int = -1,
) -> dict:
    """Compute the features of every track and write the study's feature store.

    What was computed before is read from the cache, whose keys are the content of the file and
    everything that decides the result.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used: track_id, path, md5.
    folder : Path
        Folder that the paths are relative to.
    study : Path
        Where ``features.npy`` (rows, frames, mels), ``features.parquet`` (which row is what),
        ``summary.parquet`` and ``features.json`` are written.
    recipe : features.Recipe
    copies : int
        Augmented copies of each track, beside the original (copy 0).
    seed : int
        Seed of the augmentation.
    n_jobs : int
        Processes; -1 for one per core.

    Returns
    -------
    dict
        What ``features.json`` holds.
    """
    jobs = [
        (
            folder / track.path,
            recipe,
            copy,
            _draw(track.md5, copy, seed),
            _key(track.md5, recipe, copy, seed),
        )
        for track in tracks.itertuples()
        for copy in range(copies + 1)
    ]
    tasks = (joblib.delayed(_cached)(*job) for job in jobs)
    found = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    found = tqdm(found, total=len(jobs), desc="features", unit="clip", mininterval=0.5)
    index = tracks[["track_id"]].loc[tracks.index.repeat(copies + 1)].reset_index(drop=True)
    index["copy"] = np.tile(np.arange(copies + 1), len(tracks))
    described = {
        "recipe": asdict(recipe),
        "frames_per_second": recipe.frames_per_second,
        "families": list(features.FAMILIES),
        "sha256": files.sha256(list(index["track_id"]), [key for *_, key in jobs]),
    }
    return _write_store(study, index, found, recipe.frames, recipe.n_mels, described)


def extract_from_store(
    tracks: pd.DataFrame, log_mel: np.ndarray, study: Path, *, clip_seconds, excerpt_seconds
) -> dict:
    """Write the study's feature store from ready log-mel arrays.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used.
    log_mel : np.ndarray, shape (tracks, frames, mels)
        From `corpus.load_arrays`, in the order of `tracks`.
    study : Path
        See `extract`.
    clip_seconds, excerpt_seconds : float
        Duration of a track, and of the excerpts it is cut into.
    """
    frames, mels = log_mel.shape[1:]
    rate = frames / clip_seconds
    length = features.excerpt_frames(excerpt_seconds, rate)
    index = tracks[["track_id"]].reset_index(drop=True).assign(copy=0)
    described = {
        "recipe": None,
        "frames_per_second": rate,
        "excerpt_seconds": excerpt_seconds,
        "families": [family for family, (_, from_mel) in features.FAMILIES.items() if from_mel],
        "sha256": files.sha256(
            list(index["track_id"]), list(tracks["md5"]), [clip_seconds, excerpt_seconds]
        ),
    }

    def computed(array):
        image = np.asarray(array, dtype=np.float32)
        families = {"log_mel": image.T, **features.from_decibels(image.T)}
        return image, features.summarise(families, length), features.summary_columns(families)

    found = map(computed, tqdm(log_mel, desc="features", unit="clip", mininterval=0.5))
    return _write_store(study, index, found, frames, mels, described)


def _draw(md5, copy, seed):
    """Seed of the augmentation of one copy: its own, whatever else there is."""
    return int(files.sha256(md5, [copy, seed])[:8], 16)


def _key(md5, recipe, copy, seed):
    sources = ("audio", "features", "augmentation") if copy else ("audio", "features")
    return files.sha256(md5, asdict(recipe), copy and [copy, seed], files.source_hash(*sources))


def _cached(path, recipe, copy, draw, key):
    """Log-mel and summary of one clip, from the cache or computed and put there."""
    place = files.cache_folder() / "features" / key[:2] / f"{key}.npz"
    try:
        with np.load(place, allow_pickle=False) as stored:
            return stored["log_mel"], stored["summary"], list(stored["columns"])
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, BadZipFile, TokenError):
        pass  # not there, or not whole: computed below
    y, sr = audio.load_clip(path, seconds=recipe.clip_seconds, sr=recipe.sr)
    if copy:
        y = augmentation.augment(y, sr, seed=draw)
    families = features.frame_features(y, recipe)
    length = features.excerpt_frames(recipe.excerpt_seconds, recipe.frames_per_second)
    summary, columns = features.summarise(families, length), features.summary_columns(families)
    image = np.ascontiguousarray(families["log_mel"].T)
    with files.written_whole(place) as temporary:
        np.savez(temporary, log_mel=image, summary=summary, columns=np.array(columns))
    return image, summary, columns


def _write_store(study, index, found, frames, mels, described):
    """Write the arrays as they come, so that memory does not grow with the number of tracks."""
    summaries, lengths = [], []
    with files.written_whole(study / "features.npy") as temporary:
        shape = (len(index), frames, mels)
        array = np.lib.format.open_memmap(temporary, "w+", dtype=np.float32, shape=shape)
        for row, (image, summary, columns) in enumerate(found):  # noqa: B007
            image = image[:frames]
            array[row, : len(image)] = image
            lengths.append(len(image))
            summaries.append(summary)
        array.flush()
        del array
    files.write_table(study / "features.parquet", index.assign(frames=lengths))
    statistics = pd.DataFrame(np.concatenate(summaries), columns=columns)
    excerpts = _excerpt_table(index, [len(summary) for summary in summaries])
    files.write_table(study / "summary.parquet", pd.concat([excerpts, statistics], axis=1))
    files.write_json(study / "features.json", described)
    return described


def _excerpt_table(index, counts):
    """Table with one row per excerpt: track_id, copy, excerpt."""
    table = index.loc[index.index.repeat(counts), ["track_id", "copy"]].reset_index(drop=True)
    return table.assign(excerpt=np.concatenate([np.arange(count) for count in counts]))


def load_excerpts(study: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Cut the store's tracks into the excerpts that models learn from.

    Returns
    -------
    excerpts : np.ndarray, shape (excerpts, frames, mels), float32
    table : pd.DataFrame
        track_id, copy, excerpt: what each of them is.
    """
    described = files.read_json(study / "features.json")
    recipe = described["recipe"] or described
    length = features.excerpt_frames(recipe["excerpt_seconds"], described["frames_per_second"])
    tracks = np.load(study / "features.npy", mmap_mode="r")
    index = pd.read_parquet(study / "features.parquet")
    counts = (index["frames"] // length).to_numpy()
    excerpts = np.concatenate(
        [
            track[: count * length].reshape(count, length, track.shape[1])
            for track, count in zip(tracks, counts, strict=True)
        ]
    )
    return excerpts, _excerpt_table(index, counts)
