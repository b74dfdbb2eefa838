"""The feature store of a study: computed in parallel, cached by content, written as it comes."""

from dataclasses import asdict
from itertools import islice, product
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
from tqdm import tqdm

from genre_utils.features import (
    audio,
    augmentation,
    catalogue,
    decoding,
    musical,
    spectral,
    summarising,
)
from genre_utils.workspace import evidence, files, parallel

ROW_GROUP = 1024  # clips whose summaries are written at a time; each group costs memory as well


class ChangedFileError(RuntimeError):
    """A file is not the one that was checked; the message says which, and what to do."""


def extract(
    tracks: pd.DataFrame,
    folder: Path,
    study: Path,
    recipe: spectral.Recipe,
    *,
    copies: int = 0,
    seed: int = 0,
    effects=augmentation.EFFECTS,
    p: float = 0.5,
    families=tuple(catalogue.FAMILIES),
    n_jobs: int = -1,
) -> dict:
    """Compute the features of every track and write the study's feature store.

    What was computed before is read from the cache, whose keys are the content of the file and
    everything that decides the result. Clips go into the cache one by one, so an extraction that
    was stopped goes on with those that are missing. Memory does not grow with the number of tracks.

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
    effects, p
        What may change a copy, each with probability `p` (see `augmentation.augment`).
    families : sequence of str
        Families of features that are summarised; ``log_mel`` must be among them.
    n_jobs : int
        Processes; -1 for one per core.

    Returns
    -------
    dict
        What ``features.json`` holds.

    Raises
    ------
    ChangedFileError
        If a file is not there, or not the same as when its MD5 was taken.
    parallel.ClusterError
        See `parallel.over`.
    """
    clips = list(product(tracks.itertuples(), range(copies + 1)))
    keys = [_key(track.md5, recipe, copy, [seed, effects, p], families) for track, copy in clips]
    jobs = (
        (
            track.track_id,
            folder / track.path,
            track.md5,
            recipe,
            families,
            copy,
            {"seed": _draw(track.md5, copy, seed), "effects": effects, "p": p},
            files.cache_folder() / "features" / key[:2] / f"{key}.npz",
        )
        for (track, copy), key in zip(clips, keys, strict=True)
    )
    found = parallel.over(
        _cached, jobs, len(clips), desc="features", unit="clip", folder=folder, n_jobs=n_jobs
    )
    index = tracks[["track_id"]].loc[tracks.index.repeat(copies + 1)].reset_index(drop=True)
    index["copy"] = np.tile(np.arange(copies + 1), len(tracks))
    described = {
        "recipe": asdict(recipe),
        "frames_per_second": recipe.frames_per_second,
        "families": list(families),
        "sha256": files.sha256(list(index["track_id"]), keys),
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
        From `folders.load_arrays`, in the order of `tracks`.
    study : Path
        See `extract`.
    clip_seconds, excerpt_seconds : float
        Duration of a track, and of the excerpts it is cut into.
    """
    frames, mels = log_mel.shape[1:]
    rate = frames / clip_seconds
    length = spectral.excerpt_frames(excerpt_seconds, rate)
    index = tracks[["track_id"]].reset_index(drop=True).assign(copy=0)
    described = {
        "recipe": None,
        "frames_per_second": rate,
        "excerpt_seconds": excerpt_seconds,
        "families": [name for name, family in catalogue.FAMILIES.items() if family.from_log_mel],
        "sha256": files.sha256(
            list(index["track_id"]),
            list(tracks["md5"]),
            [clip_seconds, excerpt_seconds],
            evidence.code("spectrogram features"),
        ),
    }

    def computed(array):
        image = np.asarray(array, dtype=np.float32)
        families = {"log_mel": image.T, **spectral.from_decibels(image.T)}
        families["modulation"] = musical.modulation(image.T, rate)
        return image, summarising.summarise(families, length), summarising.summary_columns(families)

    found = map(computed, tqdm(log_mel, desc="features", unit="clip", mininterval=0.5))
    return _write_store(study, index, found, frames, mels, described)


def _draw(md5, copy, seed):
    """Seed of the augmentation of one copy: its own, whatever else there is."""
    return int(files.sha256(md5, [copy, seed])[:8], 16)


def _key(md5, recipe, copy, change, families):
    decided = asdict(recipe), families, copy and [copy, change]
    return files.sha256(md5, *decided, evidence.code("features", *["augmentation"] * bool(copy)))


def _cached(track_id, path, md5, recipe, families, copy, change, place):
    """Log-mel and summary of one clip, from the cache or computed and put there."""
    try:
        with np.load(place, allow_pickle=False) as stored:
            return stored["log_mel"], stored["summary"], list(stored["columns"])
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, BadZipFile, TokenError):
        pass  # not there, or not whole: computed below
    _refuse_change(track_id, path, md5)
    try:
        y, sr = audio.load_clip(path, seconds=recipe.clip_seconds, sr=recipe.sr)
    except decoding.UndecodableError as error:  # it was decoded when checked, so not the same way
        raise decoding.UndecodableError(f"{track_id}: {error}") from error
    if copy:
        y = augmentation.augment(y, sr, **change)
    y = audio.normalise_loudness(y, sr, recipe.loudness)  # last, so that copies are scaled too
    found = spectral.frame_features(y, recipe, families)
    length = spectral.excerpt_frames(recipe.excerpt_seconds, recipe.frames_per_second)
    summary, columns = summarising.summarise(found, length), summarising.summary_columns(found)
    image = np.ascontiguousarray(found["log_mel"].T)
    with files.atomic_write(place) as temporary:
        np.savez(temporary, log_mel=image, summary=summary, columns=np.array(columns))
    return image, summary, columns


def _refuse_change(track_id, path, md5):
    """Check that a file is the one whose MD5 the cache goes by."""
    try:
        found = files.file_md5(decoding.on_disk(path))
    except OSError as error:
        found = error.strerror
    if found != md5:
        raise ChangedFileError(
            f"{track_id}: the file {path} has changed since notebook 01 checked it (then its MD5 "
            f"was {md5}, now: {found}). Put it back, or run the study again from the check on: "
            "notebook 01, or `--from 01`."
        )


def _write_store(study, index, found, frames, mels, described):
    """Write the arrays as they come, so that memory does not grow with the number of tracks."""
    lengths = []
    # written to, not mapped: the pages of a mapped file count as memory of this process
    with files.atomic_write(study / "features.npy") as temporary, open(temporary, "wb") as array:
        shape = (len(index), frames, mels)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(array, header)

        def summaries():
            for image, summary, columns in found:
                array.write(image[:frames].tobytes())
                array.write(bytes(4 * mels * (frames - len(image[:frames]))))  # silence
                lengths.append(len(image[:frames]))
                yield summary, columns

        _write_summary(study / "summary.parquet", index, summaries())
    files.write_table(study / "features.parquet", index.assign(frames=lengths))
    files.write_json(study / "features.json", described)
    return described


def _write_summary(path, index, summaries):
    """Write the summaries of some clips at a time, as row groups of a parquet file."""
    groups = (
        _summary_table(index.iloc[start : start + ROW_GROUP], summaries)
        for start in range(0, len(index), ROW_GROUP)
    )
    first = next(groups)
    with (
        files.atomic_write(path) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, first.schema) as writer,
    ):
        writer.write_table(first)
        del first  # so that there is one of them in memory
        for group in groups:
            writer.write_table(group)
            del group


def _summary_table(clips, summaries):
    """Take the summaries of some clips from those that come, as a table."""
    parts, columns = zip(*islice(summaries, len(clips)), strict=True)
    statistics = pd.DataFrame(np.concatenate(parts), columns=columns[0])
    excerpts = _excerpt_table(clips, [len(part) for part in parts])
    return pyarrow.Table.from_pandas(
        pd.concat([excerpts, statistics], axis=1), preserve_index=False
    )


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
    length = spectral.excerpt_frames(recipe["excerpt_seconds"], described["frames_per_second"])
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


def clip(study: Path, track_id: str) -> np.ndarray:
    """Samples of one of a study's tracks, (n,) at `audio.SAMPLE_RATE`, to be listened to."""
    tracks = pd.read_parquet(study / "tracks.parquet").set_index("track_id")
    folder = Path(files.read_json(study / "source.json")["folder"])
    seconds = files.read_json(study / "features.json")["recipe"]["clip_seconds"]
    return audio.load_clip(folder / tracks.loc[track_id, "path"], seconds=seconds)[0]
